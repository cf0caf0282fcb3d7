// Holds every trait that a row of the op table claims against the operator's own cases. A claim
// that no case puts to the test fails too.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <set>

#include "libruntime/core/op.h"
#include "tests/ops/op_case.h"
#include "tests/test_data.h"

namespace mnn {
namespace {

// A node of a case as it ran.
struct NodeRun {
  const Graph* graph;
  const OpDef* def;
  Node node;
  std::vector<Tensor> in;  // undefined: absent
  std::vector<Tensor> out;
  std::string where;

  bool has(size_t i) const { return i < in.size() && in[i].defined() && in[i].is_tensor(); }
  Result<std::vector<Tensor>> again(const std::vector<Tensor>& inputs) const {
    std::vector<const Tensor*> pointers;
    for (const Tensor& t : inputs) pointers.push_back(t.defined() ? &t : nullptr);
    return run_node(node, pointers);
  }
};

void collect_runs(const OpCase& c, std::vector<std::unique_ptr<Graph>>& graphs,
                  std::vector<NodeRun>& runs) {
  Result<Graph> parsed = c.graph();
  if (!parsed.ok() || !c.error.empty() || !c.has_data() || !verify(*parsed).ok()) return;
  graphs.push_back(std::make_unique<Graph>(std::move(parsed).value()));
  Graph& g = *graphs.back();
  if (!infer_types(g).ok()) return;
  std::vector<Tensor> values(g.values.size());
  for (size_t v = 0; v < g.values.size(); ++v) values[v] = g.values[v].data;
  for (size_t i = 0; i < g.inputs.size(); ++i) {
    values[static_cast<size_t>(g.inputs[i])] = *c.inputs[i].data;
  }
  for (const Node& node : g.nodes) {
    if (!node.subgraphs.empty()) return;
    NodeRun run{&g, find_op(node.op), node, {}, {}, c.where() + " (" + node.op + ")"};
    std::vector<const Tensor*> pointers;
    for (const ValueId v : node.inputs) {
      const Tensor* t = v == kNoValue ? nullptr : &values[static_cast<size_t>(v)];
      pointers.push_back(t && t->defined() ? t : nullptr);
    }
    const Result<std::vector<Tensor>> all = run_node(node, pointers);
    if (!all.ok()) return;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] != kNoValue) values[static_cast<size_t>(node.outputs[i])] = (*all)[i];
    }
    // The operator without its post-ops.
    run.node.fused.clear();
    run.node.inputs.resize(node.own_inputs());
    for (size_t i = 0; i < run.node.inputs.size(); ++i) {
      run.in.push_back(pointers[i] ? *pointers[i] : Tensor());
    }
    Result<std::vector<Tensor>> own = run.again(run.in);
    if (!own.ok()) return;
    run.out = std::move(own).value();
    runs.push_back(std::move(run));
  }
}

const std::vector<NodeRun>& all_runs() {
  static const auto* runs = [] {
    static std::vector<std::unique_ptr<Graph>> graphs;
    auto* made = new std::vector<NodeRun>;
    for (const OpCase& c : load_op_cases(test_data("ops"))) collect_runs(c, graphs, *made);
    return made;
  }();
  return *runs;
}

// What a check says of one run: it does not apply, it holds, or why not.
struct Verdict {
  bool applies = false;
  std::string fault;
};
const Verdict kHolds{true, ""}, kSaysNothing{false, ""};
Verdict fault(std::string text) { return {true, std::move(text)}; }

// Calls `check` for every run of an operator with the trait.
void hold(OpTraits trait, const char* name, const std::function<Verdict(const NodeRun&)>& check) {
  std::set<std::string> held;
  for (const NodeRun& run : all_runs()) {
    if (!run.def->is(trait)) continue;
    const Verdict v = check(run);
    EXPECT_EQ(v.fault, "") << run.where << " claims " << name;
    if (v.applies) held.insert(run.def->name);
  }
  for (const std::string& op : ops_with(trait)) {
    EXPECT_TRUE(held.contains(op)) << op << " claims " << name << ", and no case can tell";
  }
}

template <typename F>
bool with_numbers(const Tensor& t, F&& f) {
  return t.is_tensor() && dispatch_numeric(t.dtype(), std::forward<F>(f));
}

bool is_real(const Tensor& t) { return t.dtype() == DType::kF32 || t.dtype() == DType::kF64; }

// Every element through a function of doubles.
Tensor mapped(const Tensor& t, const std::function<double(double)>& f) {
  Tensor out = t.clone().value();
  with_numbers(t, [&]<typename T>() {
    for (int64_t i = 0; i < t.elements(); ++i) {
      const auto x = static_cast<double>(load_as_compute(t.data<T>()[i]));
      out.data<T>()[i] = store_from_compute<T>(static_cast<compute_t<T>>(f(x)));
    }
  });
  return out;
}

std::vector<double> reals(const Tensor& t) { return t.to_doubles().value(); }

// The elements as bytes, for comparison by bits.
std::vector<std::string> elements_of(const Tensor& t) {
  if (t.dtype() == DType::kString) return {t.string_values().begin(), t.string_values().end()};
  std::vector<std::string> found;
  const auto width = static_cast<size_t>(dtype_bits(t.dtype()) / 8);
  for (int64_t i = 0; i < t.elements() && width > 0; ++i) {
    found.emplace_back(reinterpret_cast<const char*>(t.raw()) + static_cast<size_t>(i) * width,
                       width);
  }
  return found;
}

// The data inputs with elements that are all different and none 0: 1, 2, 3… through `f`. False when
// their type does not hold so many.
bool number_elements(const NodeRun& run, const std::function<double(double)>& f,
                     std::vector<Tensor>& inputs) {
  inputs = run.in;
  double next = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!run.has(i) || !run.def->traits.data_input(i)) continue;
    if (inputs[i].elements() > 100 || inputs[i].dtype() == DType::kBool) return false;
    bool filled = false;
    inputs[i] = inputs[i].clone().value();
    with_numbers(inputs[i], [&]<typename T>() {
      for (int64_t k = 0; k < inputs[i].elements(); ++k) {
        inputs[i].data<T>()[k] = store_from_compute<T>(static_cast<compute_t<T>>(f(++next)));
      }
      filled = true;
    });
    if (!filled || next > 100) return false;
  }
  return next > 1;
}

// Numbers in, the same numbers out: `f` of the data is `f` of the result.
Verdict commutes(const NodeRun& run, const std::function<double(double)>& f) {
  std::vector<Tensor> plain, turned;
  if (!number_elements(
          run, [](double x) { return x; }, plain) ||
      !number_elements(run, f, turned)) {
    return kSaysNothing;
  }
  const auto a = run.again(plain), b = run.again(turned);
  if (!a.ok() || !b.ok() || !(*a)[0].is_tensor() || (*a)[0].elements() == 0) return kSaysNothing;
  std::set<std::string> known;
  DType dtype = DType::kUndefined;
  for (size_t i = 0; i < plain.size(); ++i) {
    if (!run.has(i) || !run.def->traits.data_input(i)) continue;
    dtype = plain[i].dtype();
    for (const std::string& e : elements_of(plain[i])) known.insert(e);
  }
  for (size_t o = 0; o < a->size(); ++o) {
    if (run.node.outputs[o] == kNoValue || (*a)[o].dtype() != dtype) continue;
    for (const std::string& e : elements_of((*a)[o])) {
      if (!known.contains(e)) return fault("an element of output " + std::to_string(o) + " is new");
    }
    if (o == 0 && !identical(mapped((*a)[o], f), (*b)[o])) {
      return fault("which elements are taken depends on their values");
    }
  }
  return kHolds;
}

double turned_around(double x) { return 101 - x; }
double stretched(double x) { return x + 20; }

TEST(OpTraits, WhatMovesMakesNoNewElements) {
  hold(kMoves, "kMoves", [](const NodeRun& run) { return commutes(run, turned_around); });
}

TEST(OpTraits, AnExtremeIsAnElementChosenByItsValue) {
  std::set<std::string> chooses;
  hold(kExtreme, "kExtreme", [&](const NodeRun& run) {
    if (!commutes(run, turned_around).fault.empty()) chooses.insert(run.def->name);
    return commutes(run, stretched);
  });
  for (const std::string& op : ops_with(kExtreme)) {
    EXPECT_TRUE(chooses.contains(op)) << op << " claims kExtreme, but looks at places alone";
  }
}

TEST(OpTraits, AViewKeepsTheOrder) {
  hold(kView, "kView", [](const NodeRun& run) {
    std::vector<Tensor> in;
    if (!number_elements(
            run, [](double x) { return x; }, in))
      return kSaysNothing;
    const auto out = run.again(in);
    if (!out.ok()) return kSaysNothing;
    return elements_of(in[0]) == elements_of((*out)[0]) ? kHolds : fault("the elements moved");
  });
}

// The dims of all inputs together, nullopt when they do not broadcast.
std::optional<std::vector<int64_t>> broadcast(const NodeRun& run) {
  std::vector<int64_t> dims;
  for (size_t i = 0; i < run.in.size(); ++i) {
    if (!run.has(i)) continue;
    const auto& d = run.in[i].dims();
    if (d.size() > dims.size()) dims.insert(dims.begin(), d.size() - dims.size(), 1);
    for (size_t k = 0; k < d.size(); ++k) {
      int64_t& all = dims[dims.size() - d.size() + k];
      if (all != d[k] && all != 1 && d[k] != 1) return std::nullopt;
      if (all == 1) all = d[k];
    }
  }
  return dims;
}

// The element of a tensor of `dims` at the place of element `at` of one of `whole`.
int64_t under(const std::vector<int64_t>& dims, const std::vector<int64_t>& whole, int64_t at) {
  int64_t index = 0, stride = 1;
  for (size_t k = whole.size(); k-- > 0;) {
    const int64_t place = at % whole[k];
    at /= whole[k];
    const size_t behind = whole.size() - k;
    if (behind > dims.size()) continue;
    const int64_t extent = dims[dims.size() - behind];
    index += (extent == 1 ? 0 : place) * stride;
    stride *= extent;
  }
  return index;
}

// Another value in element `at`: the next one, or for floats infinity or NaN.
enum class Other : uint8_t { kNext, kInfinity, kNan };
Tensor with_other(const Tensor& t, int64_t at, Other kind = Other::kNext) {
  if (t.dtype() == DType::kString) {
    std::vector<std::string> strings(t.string_values().begin(), t.string_values().end());
    strings[static_cast<size_t>(at)] += "!";
    return Tensor::strings(t.dims(), std::move(strings));
  }
  Tensor other = t.clone().value();
  if (t.dtype() == DType::kBool) {
    other.data<bool>()[at] = !other.data<bool>()[at];
  } else {
    with_numbers(t, [&]<typename T>() {
      T& x = other.data<T>()[at];
      if (std::is_floating_point_v<compute_t<T>> && kind != Other::kNext) {
        x = store_from_compute<T>(static_cast<compute_t<T>>(kind == Other::kNan ? NAN : INFINITY));
      } else {
        x = store_from_compute<T>(static_cast<compute_t<T>>(load_as_compute(x) + 1));
      }
    });
  }
  return other;
}

// Changes elements one by one: only what `reads` names may change. `reads(input, out)` is the
// element of the input that output element `out` depends on.
Verdict depends_on(const NodeRun& run, const std::function<int64_t(size_t, int64_t)>& reads) {
  const std::vector<std::string> before = elements_of(run.out[0]);
  bool any = false;
  for (size_t i = 0; i < run.in.size(); ++i) {
    if (!run.has(i)) continue;
    for (int64_t n = 0; n < 3 * std::min<int64_t>(run.in[i].elements(), 40); ++n) {
      const int64_t at = n / 3;
      std::vector<Tensor> in = run.in;
      in[i] = with_other(in[i], at, static_cast<Other>(n % 3));
      const auto out = run.again(in);
      if (!out.ok()) continue;
      const std::vector<std::string> after = elements_of((*out)[0]);
      if (after.size() != before.size()) return fault("the shape depends on the data");
      for (size_t k = 0; k < after.size(); ++k) {
        if (after[k] == before[k]) continue;
        any = true;
        if (reads(i, static_cast<int64_t>(k)) != at) {
          return fault("output element " + std::to_string(k) + " depends on element " +
                       std::to_string(at) + " of input " + std::to_string(i));
        }
      }
    }
  }
  return any ? kHolds : kSaysNothing;
}

TEST(OpTraits, ElementwiseReadsOnePlace) {
  hold(kElementwise, "kElementwise", [](const NodeRun& run) {
    const auto dims = broadcast(run);
    if (!dims || run.out[0].dims() != *dims) return fault("the result has not the inputs' shape");
    return depends_on(run,
                      [&](size_t i, int64_t out) { return under(run.in[i].dims(), *dims, out); });
  });
}

TEST(OpTraits, PerChannelReadsOnePlaceAndOneParameter) {
  hold(kPerChannel, "kPerChannel", [](const NodeRun& run) {
    // Training is another operator under the same name.
    const AttributeReader read(run.node, *run.def);
    if (read.attr_int("training_mode") != 0) return kSaysNothing;
    const std::vector<int64_t>& dims = run.out[0].dims();
    if (dims != run.in[0].dims() || dims.size() < 2) return fault("the result has another shape");
    const int64_t inner =
        std::accumulate(dims.begin() + 2, dims.end(), int64_t{1}, std::multiplies<>());
    return depends_on(run,
                      [&](size_t i, int64_t out) { return i == 0 ? out : out / inner % dims[1]; });
  });
}

TEST(OpTraits, ActivationsAreContinuousAndGentle) {
  for (const std::string& op : ops_with(kActivation)) {
    const OpDef* def = find_op(op);
    EXPECT_TRUE(def->is(kElementwise)) << op;
    constexpr double kStep = 1.0 / 64;
    std::vector<float> x;
    for (int i = -1024; i <= 1024; ++i) x.push_back(static_cast<float>(i * kStep));
    std::vector<Tensor> in = {Tensor::of<float>({static_cast<int64_t>(x.size())}, x)};
    const float quarter[] = {0.25f};
    while (in.size() < static_cast<size_t>(def->min_inputs)) {
      in.push_back(Tensor::of<float>({1}, quarter));
    }
    Node node;
    node.op = op;
    node.inputs.assign(in.size(), 0);
    node.outputs = {0};
    std::vector<const Tensor*> pointers;
    for (const Tensor& t : in) pointers.push_back(&t);
    const auto out = run_node(node, pointers);
    ASSERT_TRUE(out.ok()) << op << ": " << out.status().message();
    const std::vector<double> y = reals((*out)[0]);
    for (size_t i = 1; i < y.size(); ++i) {
      ASSERT_LE(std::abs(y[i] - y[i - 1]), 2 * kStep + 1e-6) << op << " at " << x[i];
    }
  }
}

// Whether `out` is `in` with some dims 1 or left out.
bool is_reduced(const std::vector<int64_t>& in, const std::vector<int64_t>& out) {
  if (out.size() == in.size()) {
    for (size_t i = 0; i < in.size(); ++i) {
      if (out[i] != in[i] && out[i] != 1) return false;
    }
    return true;
  }
  size_t next = 0;
  for (const int64_t d : in) next += next < out.size() && out[next] == d;
  return out.size() < in.size() && next == out.size();
}

TEST(OpTraits, ReducingLeavesFewerElements) {
  hold(kReduces, "kReduces", [](const NodeRun& run) {
    const Tensor &x = run.in[0], &y = run.out[0];
    if (!is_reduced(x.dims(), y.dims())) return fault(x.type_str() + " became " + y.type_str());
    return y.elements() < x.elements() ? kHolds : kSaysNothing;
  });
}

TEST(OpTraits, WhatReadsShapesIgnoresElements) {
  hold(kReadsShape, "kReadsShape", [](const NodeRun& run) {
    if (run.in[0].elements() == 0) return kSaysNothing;
    for (int64_t at = 0; at < run.in[0].elements(); ++at) {
      const auto out = run.again({with_other(run.in[0], at)});
      if (!out.ok() || !identical((*out)[0], run.out[0])) return fault("the elements matter");
    }
    return kHolds;
  });
}

// f(a) + f(b) = f(a + b) + f(0) for input i and two values of it.
Verdict is_affine_in(const NodeRun& run, size_t i) {
  if (!run.has(i) || !is_real(run.in[i]) || run.in[i].elements() == 0) return kSaysNothing;
  auto at = [&](double factor, double step) {
    std::vector<Tensor> in = run.in;
    int64_t k = 0;
    in[i] =
        mapped(in[i], [&](double x) { return x * factor + step * static_cast<double>(k++ % 5); });
    return reals((*run.again(in))[0]);
  };
  const auto a = at(1, 0), b = at(0, 1), both = at(1, 1), none = at(0, 0);
  double scale = 1e-6;
  for (size_t k = 0; k < a.size(); ++k) scale = std::max({scale, std::abs(a[k]), std::abs(b[k])});
  for (size_t k = 0; k < a.size(); ++k) {
    if (!(std::abs(a[k] + b[k] - both[k] - none[k]) <= 1e-5 * scale)) {
      return fault("it is not linear in input " + std::to_string(i));
    }
  }
  return a == none && b == none ? kSaysNothing : kHolds;
}

TEST(OpTraits, LayersAreLinear) {
  hold(kLinear, "kLinear", [](const NodeRun& run) {
    if (!run.def->multiplies()) return fault("it counts no multiply-accumulates");
    if (run.node.attributes.contains("activation_bits")) return kSaysNothing;
    for (const size_t i : {size_t{0}, size_t{1}, size_t{2}}) {
      const Verdict v = is_affine_in(run, i);
      if (!v.fault.empty() || (i < 2 && !v.applies)) return v;
    }
    return kHolds;
  });
}

TEST(OpTraits, ConvolutionsKeepBatchAndRank) {
  hold(kConvolves, "kConvolves", [](const NodeRun& run) {
    const auto &x = run.in[0].dims(), &y = run.out[0].dims();
    if (x.size() < 3 || y.size() != x.size() || x[0] != y[0]) return fault("the axes differ");
    return run.def->multiplies() ? kHolds : fault("it counts no multiply-accumulates");
  });
}

TEST(OpTraits, NonNegativeResultsAreSo) {
  hold(kNonNegative, "kNonNegative", [](const NodeRun& run) {
    bool positive = false;
    for (const double factor : {1.0, -1.0, 0.01, -30.0}) {
      std::vector<Tensor> in = run.in;
      if (is_real(in[0])) in[0] = mapped(in[0], [&](double x) { return x * factor; });
      const auto out = run.again(in);
      if (!out.ok() || !is_real((*out)[0])) continue;
      for (const double y : reals((*out)[0])) {
        if (y < 0) return fault("it makes " + std::to_string(y));
        positive = positive || y > 0;
      }
    }
    return positive ? kHolds : kSaysNothing;
  });
}

TEST(OpTraits, HomogeneousFunctionsScale) {
  hold(kHomogeneous, "kHomogeneous", [](const NodeRun& run) {
    if (!is_real(run.in[0])) return kSaysNothing;
    for (const double factor : {2.0, 0.5, 64.0}) {
      std::vector<Tensor> in = run.in;
      const auto scale = [&](double x) { return x * factor; };
      in[0] = mapped(in[0], scale);
      const auto out = run.again(in);
      if (!out.ok()) return kSaysNothing;
      if (!identical((*out)[0], mapped(run.out[0], scale))) return fault("it does not scale");
    }
    return kHolds;
  });
}

// The types of the node's outputs when the elements of input `hidden` are not known.
std::vector<Type> types_without(const NodeRun& run, size_t hidden) {
  OpContext c(run.node, *run.def);
  for (size_t i = 0; i < run.in.size(); ++i) {
    const Tensor& t = run.in[i];
    c.in.push_back(t.defined() ? tensor_type(t.dtype(), to_shape(t.dims())) : Type());
    c.constants.push_back(i == hidden || !t.defined() ? nullptr : &t);
    c.known_values.push_back(nullptr);
  }
  c.out.resize(run.node.outputs.size());
  std::vector<Type> types;
  if (!run.def->infer(c).ok()) return types;
  for (const OpContext::Output& o : c.out) types.push_back(o.type);
  return types;
}

bool all_tensors(const NodeRun& run) {
  return std::all_of(run.in.begin(), run.in.end(),
                     [](const Tensor& t) { return !t.defined() || t.is_tensor(); });
}

bool tells_less(const std::vector<Type>& less, const std::vector<Type>& more) {
  for (size_t o = 0; o < more.size() && o < less.size(); ++o) {
    if (more[o].is_static() && !less[o].is_static()) return true;
  }
  return false;
}

TEST(OpTraits, ShapeInputsAreThoseThatShapesDependOn) {
  std::set<std::pair<std::string, size_t>> shapes, seen;
  for (const NodeRun& run : all_runs()) {
    if (!all_tensors(run)) continue;
    const std::vector<Type> all = types_without(run, SIZE_MAX);
    for (size_t i = 0; i < run.in.size(); ++i) {
      if (!run.has(i)) continue;
      seen.insert({run.def->name, i});
      if (tells_less(types_without(run, i), all)) {
        shapes.insert({run.def->name, i});
        EXPECT_FALSE(run.def->traits.data_input(i))
            << run.where << ": the shape depends on input " << i << ", and the row says data";
      }
    }
  }
  for (const NodeRun& run : all_runs()) {
    for (size_t i = 0; i < run.in.size(); ++i) {
      if (!run.has(i) || run.def->traits.data_input(i)) continue;
      if (run.def->traits.shape_input(i) && shapes.contains({run.def->name, i})) continue;
      EXPECT_TRUE(run.def->traits.index_input(i) || run.in[i].rank() <= 1) << run.where;
      if (run.def->name == "Resize") continue;  // its crop is in fractions
      for (const double x : reals(run.in[i])) {
        EXPECT_EQ(x, std::nearbyint(x)) << run.where << ": input " << i << " is no index";
      }
    }
  }
  for (const OpDef* def : all_ops()) {
    for (size_t i = 0; i < 32; ++i) {
      if (def->traits.data_input(i)) continue;
      EXPECT_LT(i, static_cast<size_t>(def->max_inputs)) << def->name;
      EXPECT_TRUE(seen.contains({def->name, i}) || def->traits.has(kReadsShape))
          << def->name << " says what input " << i << " is, and no case has one";
    }
  }
}

TEST(OpTraits, WhatTheDataSizesStaysSmall) {
  hold(kDataSized, "kDataSized", [](const NodeRun& run) {
    int64_t in = 0, out = 0;
    for (size_t i = 0; i < run.in.size(); ++i) in += run.has(i) ? run.in[i].elements() : 0;
    for (const Tensor& t : run.out) out += t.defined() ? t.elements() : 0;
    if (out > 8 * in + 8) return fault("its results are much larger than its inputs");
    const std::vector<Type> types = types_without(run, 0);
    return types.empty() || !types[0].is_static() ? kHolds : kSaysNothing;
  });
}

// Every node of every case, with each of its inputs made a sequence in turn.
TEST(OpTraits, ContainersAreRefusedByAllOthers) {
  std::set<std::string> taken;
  int asked = 0;
  for (const OpCase& c : load_op_cases(test_data("ops"))) {
    Result<Graph> parsed = c.graph();
    if (!parsed.ok() || !c.error.empty() || !infer_types(*parsed).ok()) continue;
    for (const Node& node : parsed->nodes) {
      const bool containers = has_traits(node.op, kContainers);
      for (size_t i = 0; i < node.own_inputs(); ++i) {
        if (node.inputs[i] == kNoValue) continue;
        Type& type = parsed->values[static_cast<size_t>(node.inputs[i])].type;
        if (!containers && !node.subgraphs.empty()) continue;
        const Type kept = type;
        type = {Type::Kind::kSequence, kept.dtype, std::nullopt};
        const bool accepted = infer_node(*parsed, node).ok();
        type = kept;
        if (containers && (accepted || kept.kind != Type::Kind::kTensor)) taken.insert(node.op);
        EXPECT_TRUE(containers || !accepted) << c.where() << ": " << node.op << " input " << i;
        ++asked;
      }
    }
  }
  EXPECT_GE(asked, 1000);
  for (const std::string& op : ops_with(kContainers)) {
    EXPECT_TRUE(taken.contains(op)) << op << " claims kContainers, and no case can tell";
  }
}

// Every result is a sum of one product at least.
TEST(OpTraits, MacsCountWhatMultiplies) {
  std::set<std::string> counted;
  for (const NodeRun& run : all_runs()) {
    const int64_t macs = macs_of(*run.graph, run.node);
    if (!run.def->multiplies()) {
      EXPECT_EQ(macs, 0) << run.where;
      continue;
    }
    if (macs > 0) counted.insert(run.def->name);
    const bool sums_nothing = std::any_of(run.in.begin(), run.in.end(), [](const Tensor& t) {
      return t.defined() && t.elements() == 0;
    });
    const bool is_known = std::all_of(
        run.node.inputs.begin(), run.node.inputs.end(),
        [&](ValueId v) { return v == kNoValue || run.graph->value(v).type.is_static(); });
    if (sums_nothing || !is_known || run.in.size() < 2) continue;
    EXPECT_GE(macs, run.out[0].elements()) << run.where;
  }
  for (const OpDef* def : all_ops()) {
    if (!def->multiplies()) continue;
    EXPECT_TRUE(counted.contains(def->name)) << "no case counts the MACs of " << def->name;
  }
}

}  // namespace
}  // namespace mnn
