// Every derivative of the op table against central differences of the reference kernels in double,
// over the operator cases of all families and the cases of gradients.txt; and the same derivatives
// as the CPU computes them in float.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "libruntime/core/builder.h"
#include "libruntime/core/differentiate.h"
#include "libruntime/core/text.h"
#include "libruntime/session.h"
#include "tests/ops/op_case.h"
#include "tests/test_data.h"

namespace mnn {
namespace {

constexpr double kStep = 1e-5;
constexpr int64_t kMostElements = 48;  // of one input that are tried

bool is_plain_float(DType t) { return t == DType::kF32 || t == DType::kF64; }

Tensor widened(const Tensor& t) {
  if (t.dtype() != DType::kF32 || !t.is_tensor()) return t;
  Tensor wide = std::move(Tensor::allocate(DType::kF64, t.dims())).value();
  for (int64_t i = 0; i < t.elements(); ++i) wide.data<double>()[i] = t.data<float>()[i];
  return wide;
}

// The case in double, where its operators take that; else as it is.
struct Numeric {
  Graph graph;
  std::vector<Tensor> inputs;
};

bool runs_in_double(const Numeric& n) {
  Graph typed = n.graph;
  if (!infer_types(typed).ok() || !run_reference(n.graph, n.inputs).ok()) return false;
  // What a Cast or a stashed mean rounds to float has no small steps.
  return std::ranges::none_of(typed.values,
                              [](const Value& v) { return v.type.dtype == DType::kF32; });
}

Numeric in_double(const OpCase& c) {
  Numeric plain{std::move(c.graph()).value(), {}};
  for (const OpCase::Input& input : c.inputs) plain.inputs.push_back(*input.data);
  Numeric wide = plain;
  for (Value& v : wide.graph.values) {
    if (v.quant) return plain;
    if (v.kind == ValueKind::kConstant) {
      v.data = widened(v.data);
      v.type = type_of(v.data);
    } else if (v.kind == ValueKind::kInput && v.type.dtype == DType::kF32) {
      v.type.dtype = DType::kF64;
    } else if (v.kind == ValueKind::kTemporary) {
      v.type = {};
    }
  }
  for (Tensor& t : wide.inputs) t = widened(t);
  return runs_in_double(wide) ? wide : plain;
}

// A fixed number in [0.5, 1.5) per place.
double weight_at(size_t output, int64_t i) {
  const double v =
      std::sin(static_cast<double>(i) * 12.9898 + static_cast<double>(output) * 78.2) * 43758.5453;
  return 0.5 + (v - std::floor(v));
}

// The graph with one output: the sum of its float outputs times fixed weights. `first`: of the
// first output alone. Empty when there are no floats.
std::optional<Graph> with_loss(const Graph& given, std::span<const Tensor> results, bool first) {
  Graph graph = given;
  Builder b(graph);
  std::vector<ValueId> terms;
  DType type = DType::kUndefined;
  for (size_t i = 0; i < results.size() && !(first && i > 0); ++i) {
    const Tensor& y = results[i];
    if (!y.is_tensor() || !is_plain_float(y.dtype()) || y.elements() == 0) continue;
    if (type == DType::kUndefined) type = y.dtype();
    if (y.dtype() != type) continue;
    Tensor w = std::move(Tensor::allocate(type, y.dims())).value();
    dispatch_float(type, [&]<typename T>() {
      for (int64_t k = 0; k < y.elements(); ++k) {
        w.data<T>()[k] = store_from_compute<T>(weight_at(i, k));
      }
    });
    const ValueId product = b.op("Mul", {graph.outputs[i], b.constant(std::move(w))});
    terms.push_back(b.op("ReduceSum", {product}, {{"keepdims", int64_t{0}}}));
  }
  if (terms.empty()) return std::nullopt;
  const ValueId loss = terms.size() == 1 ? terms[0] : b.op("Sum", terms);
  graph.outputs = {loss};
  return graph;
}

struct Checked {
  std::set<std::string> ops;
  std::map<std::string, std::set<std::string>> refused;  // operator -> reasons
  int64_t elements = 0, kinks = 0;
};

void collect(const Graph& graph, std::set<std::string>& ops) {
  for (const Node& node : graph.nodes) {
    ops.insert(node.op);
    for (const FusedOp& f : node.fused) ops.insert(f.op);
  }
}

// The sum of weighted outputs in double, not rounded to the type of the loss.
Result<double> loss_of(const Graph& graph, std::span<const Tensor> inputs, bool first, DType type) {
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> results, run_reference(graph, inputs));
  double sum = 0;
  for (size_t i = 0; i < results.size() && !(first && i > 0); ++i) {
    if (!results[i].is_tensor() || results[i].dtype() != type) continue;
    MNN_ASSIGN_OR_RETURN(const std::vector<double> y, results[i].to_doubles());
    for (size_t k = 0; k < y.size(); ++k) sum += y[k] * weight_at(i, static_cast<int64_t>(k));
  }
  return sum;
}

double element(const Tensor& t, int64_t i) {
  return t.dtype() == DType::kF64 ? t.data<double>()[i] : double{t.data<float>()[i]};
}
void set_element(Tensor& t, int64_t i, double v) {
  if (t.dtype() == DType::kF64) {
    t.data<double>()[i] = v;
  } else {
    t.data<float>()[i] = static_cast<float>(v);
  }
}

// Holds dx against differences around each element of input `at`.
void compare(const Numeric& n, size_t at, const Tensor& dx, bool first, DType type,
             Checked& checked) {
  std::vector<Tensor> inputs = n.inputs;
  inputs[at] = std::move(inputs[at].clone()).value();
  const bool wide = inputs[at].dtype() == DType::kF64;
  // A bend of the slope within a step is seen as a part of the step.
  const double step = wide ? kStep : 1e-2, tolerance = wide ? 3 * kStep : 2e-2;
  const Result<double> base = loss_of(n.graph, inputs, first, type);
  ASSERT_TRUE(base.ok()) << base.status().message();
  const int64_t count = inputs[at].elements();
  const int64_t stride = std::max<int64_t>(1, count / kMostElements);
  for (int64_t i = 0; i < count; i += stride) {
    const double x = element(inputs[at], i);
    if (!std::isfinite(x)) continue;
    const double h = step * std::max(1.0, std::fabs(x));
    set_element(inputs[at], i, x + h);
    const Result<double> above = loss_of(n.graph, inputs, first, type);
    set_element(inputs[at], i, x - h);
    const Result<double> below = loss_of(n.graph, inputs, first, type);
    set_element(inputs[at], i, x);
    if (!above.ok() || !below.ok()) continue;
    const double right = (*above - *base) / h, left = (*base - *below) / h;
    if (!std::isfinite(right) || !std::isfinite(left)) continue;
    const double found = element(dx, i), scale = 1.0 + std::max(std::fabs(right), std::fabs(left));
    ++checked.elements;
    // A jump has no slope.
    if (std::max(std::fabs(right), std::fabs(left)) * h > 0.05 * (1.0 + std::fabs(*base))) continue;
    if (std::fabs(right - left) > 30 * tolerance * scale) {
      ++checked.kinks;
      EXPECT_TRUE((found >= std::min(left, right) - tolerance * scale &&
                   found <= std::max(left, right) + tolerance * scale))
          << "element " << i << " at a kink: " << found << " is not in [" << left << ", " << right
          << "]";
      continue;
    }
    EXPECT_NEAR(found, (right + left) / 2, tolerance * scale) << "element " << i << " = " << x;
  }
}

// The derivative by input `at` of the sum; nothing where an operator refuses.
struct Derived {
  Graph graph;  // its outputs: the loss, the derivative
  bool first = false;
};
std::optional<Derived> derive(const Numeric& n, size_t at, std::span<const Tensor> results,
                              Checked& checked) {
  Status refused;
  for (const bool first : {false, true}) {
    std::optional<Graph> graph = with_loss(n.graph, results, first);
    if (!graph) return std::nullopt;
    const ValueId x = graph->inputs[at], y = graph->outputs[0];
    // Parameters are constants, as in a model that is trained; x is not.
    for (size_t i = 0; i < graph->inputs.size(); ++i) {
      Value& v = graph->value(graph->inputs[i]);
      v.type = type_of(n.inputs[i]);
      if (i == at) continue;
      v.kind = ValueKind::kConstant;
      v.data = n.inputs[i];
    }
    graph->inputs = {x};
    const auto dx = differentiate(*graph, y, std::span(&x, 1));
    if (!dx.ok()) {
      refused = dx.status();
      continue;
    }
    ValueId made = (*dx)[0];
    if (made == kNoValue) {
      // Nothing depends on it: the slope is zero.
      made = graph->add_constant(
          std::move(Tensor::allocate(n.inputs[at].dtype(), n.inputs[at].dims())).value());
    }
    graph->outputs.push_back(made);
    remove_dead(*graph);
    const Status status = verify(*graph);
    EXPECT_TRUE(status.ok()) << status.message();
    return Derived{std::move(*graph), first};
  }
  EXPECT_EQ(refused.code(), Code::kUnsupported) << refused.message();
  for (const Node& node : n.graph.nodes) checked.refused[node.op].insert(refused.message());
  return std::nullopt;
}

void check_on_cpu(const Derived& derived, const Tensor& x, const Tensor& expected) {
  const auto session = Session::create(derived.graph, {});
  ASSERT_TRUE(session.ok()) << session.status().message();
  const auto made = (*session)->run(std::span(&x, 1));
  ASSERT_TRUE(made.ok()) << made.status().message();
  const auto found = (*made)[1].to_doubles(), wanted = expected.to_doubles();
  ASSERT_EQ(found->size(), wanted->size());
  double scale = 0.02;  // what cancels is as exact as its summands
  for (const double v : *wanted) {
    if (std::isfinite(v)) scale = std::max(scale, std::fabs(v));
  }
  for (size_t i = 0; i < found->size(); ++i) {
    const double a = (*wanted)[i], b = (*found)[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    // A sum of sums in float.
    EXPECT_NEAR(b, a, 2e-4 * scale) << "element " << i << " on the CPU";
  }
}

void check_case(const OpCase& c, Checked& checked) {
  const Numeric n = in_double(c);
  const auto results = run_reference(n.graph, n.inputs);
  if (!results.ok()) return;
  std::set<std::string> ops;
  for (size_t at = 0; at < n.inputs.size(); ++at) {
    if (!n.inputs[at].is_tensor() || !is_plain_float(n.inputs[at].dtype())) continue;
    SCOPED_TRACE(c.where() + ", by input " + c.inputs[at].name);
    const std::optional<Derived> derived = derive(n, at, *results, checked);
    if (!derived) continue;
    const auto made = run_reference(derived->graph, std::span(&n.inputs[at], 1));
    ASSERT_TRUE(made.ok()) << made.status().message() << "\n" << print_graph(derived->graph);
    const DType type = (*made)[0].dtype();
    ASSERT_EQ((*made)[1].dims(), n.inputs[at].dims());
    compare(n, at, (*made)[1], derived->first, type, checked);
    collect(n.graph, ops);
    if (testing::Test::HasFailure()) continue;
    // In float through the compiler, where the case is one of floats.
    Numeric plain{std::move(c.graph()).value(), {}};
    for (const OpCase::Input& input : c.inputs) plain.inputs.push_back(*input.data);
    if (plain.inputs[at].dtype() != DType::kF32) continue;
    const auto own_results = run_reference(plain.graph, plain.inputs);
    Checked unused;
    const std::optional<Derived> own = derive(plain, at, *own_results, unused);
    if (own) check_on_cpu(*own, plain.inputs[at], (*made)[1]);
  }
  checked.ops.insert(ops.begin(), ops.end());
}

// Random operators have no repeatable loss.
bool deterministic(const Graph& graph) {
  return std::ranges::all_of(graph.nodes, [](const Node& node) {
    const OpDef* def = find_op(node.op);
    return def != nullptr && def->deterministic && node.subgraphs.empty();
  });
}

TEST(Gradients, AgreeWithCentralDifferences) {
  Checked checked;
  for (const char* folder : {"ops", "gradients"}) {
    for (const OpCase& c : load_op_cases(test_data(folder))) {
      ASSERT_EQ(c.malformed, "") << c.where();
      if (!c.error.empty() || !c.has_data()) continue;
      const Result<Graph> graph = c.graph();
      ASSERT_TRUE(graph.ok()) << c.where() << ": " << graph.status().message();
      if (!deterministic(*graph)) continue;
      check_case(c, checked);
    }
  }
  std::cout << checked.elements << " elements, " << checked.kinks << " at kinks\n";
  for (const OpDef* def : all_ops()) {
    if (def->gradient == nullptr) continue;
    EXPECT_TRUE(checked.ops.contains(def->name)) << "no case tries the derivative of " << def->name;
  }
  for (const auto& [op, reasons] : checked.refused) {
    if (!checked.ops.contains(op)) continue;
    for (const std::string& reason : reasons)
      std::cout << op << " in some case: " << reason << "\n";
  }
}

}  // namespace
}  // namespace mnn
