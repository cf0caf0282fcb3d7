#include "libquant/report/islands.h"

#include <algorithm>
#include <map>
#include <set>

#include "libquant/calibrate/data_check.h"
#include "libquant/plan.h"
#include "libquant/weights/weight_role.h"
#include "libruntime/compile/backend.h"
#include "libruntime/compile/subgraphs.h"
#include "libruntime/core/op.h"
#include "libruntime/report/format.h"

namespace mnn {
namespace {

// Float MACs worth a warning.
constexpr double kNotableMacShare = 0.01;

// Those with int8 kernels.
bool is_matrix(const Node& n) { return has_traits(n.op, kLinear); }

bool multiplies(const Node& n) {
  const OpDef* def = find_op(n.op);
  return def != nullptr && def->multiplies();
}

// Whether the node takes rows of a table of floats.
bool looks_up(const Graph& g, const Node& n) {
  const OpDef* def = find_op(n.op);
  if (def == nullptr || !def->is(kMoves) || n.own_inputs() < 2 || !def->traits.index_input(1) ||
      !reads_first_only(n)) {
    return false;
  }
  const Tensor* table = g.constant(n.inputs[0]);
  return table != nullptr && is_float(table->dtype());
}

bool is_float_value(const Graph& g, ValueId v) {
  if (v == kNoValue) return false;
  const Value& value = g.value(v);
  return value.kind != ValueKind::kConstant && value.type.kind == Type::Kind::kTensor &&
         value.type.dtype == DType::kF32 && !value.quant;
}

bool runs_in_int8(const Graph& g, const Node& n) {
  return is_matrix(n) && g.value(n.inputs[0]).quant && g.value(n.inputs[1]).quant;
}

std::string why_matrix(const Graph& g, const Node& n) {
  if (g.value(n.inputs[1]).quant) return "its weights are codes that are computed with in float";
  const bool computed = g.value(n.inputs[1]).kind != ValueKind::kConstant;
  const ComputeForm form = computed ? ComputeForm::kU8xU8 : ComputeForm::kU8xS8;
  if (const auto why = quantization_backend().why_not_form(g, n, form)) return *why;
  if (n.op == "Gemm") {
    const AttributeReader read(n, *find_op(n.op));
    if (read.attr_int("transA") != 0 || read.attr_float("beta") != 1.0) {
      return "beta or transA is set";
    }
  }
  return "it was kept in float";
}

std::string why_other(const Graph& g, const Node& n) {
  if (looks_up(g, n)) return "the table it looks up is no layer's weights";
  const bool makes_output = std::any_of(n.outputs.begin(), n.outputs.end(),
                                        [&](ValueId v) { return v != kNoValue && g.is_result(v); });
  if (makes_output) return "it makes an output of the model";
  const bool from_bytes = std::none_of(n.inputs.begin(), n.inputs.end(),
                                       [&](ValueId v) { return is_float_value(g, v); });
  return from_bytes ? "what reads it needs floats" : "it works on floats";
}

// A constant inside a sub-graph may be one of the graphs around it.
using Outer = std::map<ValueId, const Value*>;

const Value* constant_of(const Graph& g, const Outer& outer, ValueId v) {
  if (v == kNoValue) return nullptr;
  if (g.value(v).kind == ValueKind::kConstant) return &g.value(v);
  const auto it = outer.find(v);
  return it == outer.end() ? nullptr : it->second;
}

Outer captured_constants(const Graph& g, const Outer& outer, const Node& n, const Graph& inner) {
  Outer constants;
  for (size_t i = 0; i < std::min(n.captures.size(), inner.captures.size()); ++i) {
    if (const Value* c = constant_of(g, outer, n.captures[i])) constants[inner.captures[i]] = c;
  }
  return constants;
}

class Islands {
 public:
  // `times`: how often a run executes the graph. `inside`: the control flow it belongs to, empty at
  // the top.
  void visit(const Graph& g, const Outer& outer, double times, const std::string& inside) {
    for (const Node& n : g.nodes) {
      if (!n.subgraphs.empty()) {
        visit_inside(g, outer, n, times);
        continue;
      }
      const double macs = static_cast<double>(count_macs(g, n)) * times;
      all_ += macs;
      const bool floats = std::any_of(n.outputs.begin(), n.outputs.end(),
                                      [&](ValueId v) { return is_float_value(g, v); });
      const bool works = multiplies(n) || floats || looks_up(g, n);
      if (runs_in_int8(g, n) || !works) continue;
      const std::string why = why_float(g, n, inside);
      FloatIsland& island = found_[{n.op, why}];
      island.op = n.op;
      island.why = why;
      island.layers.push_back(display_name(g, n));
      island.mac_share += macs;
      for (const ValueId v : n.inputs) {
        const Value* c = constant_of(g, outer, v);
        if (c != nullptr && !c->quant && counted_.insert(c->data.raw()).second)
          island.constants += c->data.bytes();
      }
    }
  }

  std::vector<FloatIsland> take() {
    std::vector<FloatIsland> islands;
    for (auto& [key, island] : found_) {
      island.mac_share = all_ > 0 ? island.mac_share / all_ : 0.0;
      islands.push_back(std::move(island));
    }
    std::stable_sort(islands.begin(), islands.end(),
                     [](const FloatIsland& a, const FloatIsland& b) {
                       if (a.mac_share != b.mac_share) return a.mac_share > b.mac_share;
                       if (a.constants != b.constants) return a.constants > b.constants;
                       return a.layers.size() > b.layers.size();
                     });
    return islands;
  }

 private:
  static std::string why_float(const Graph& g, const Node& n, const std::string& inside) {
    if (!inside.empty()) return "it is inside " + inside + ", where nothing is quantized";
    if (is_matrix(n)) return why_matrix(g, n);
    return multiplies(n) ? "there is no int8 kernel for it" : why_other(g, n);
  }

  // Only the branch of an If with the most MACs counts, as everywhere.
  void visit_inside(const Graph& g, const Outer& outer, const Node& n, double times) {
    const std::string name = n.op + " " + display_name(g, n);
    const auto trips = static_cast<double>(trip_count(g, n));
    size_t most = 0;
    std::vector<Graph> bodies;
    std::vector<double> macs;
    for (size_t i = 0; i < n.subgraphs.size(); ++i) {
      bodies.push_back(first_trip(g, n, i));
      macs.push_back(0);
      for (const Node& inner : bodies[i].nodes)
        macs[i] += static_cast<double>(count_macs(bodies[i], inner));
      if (macs[i] > macs[most]) most = i;
    }
    for (size_t i = 0; i < bodies.size(); ++i) {
      visit(bodies[i], captured_constants(g, outer, n, bodies[i]), i == most ? times * trips : 0,
            name);
    }
  }

  std::map<std::pair<std::string, std::string>, FloatIsland> found_;
  std::set<const std::byte*> counted_;  // constants
  double all_ = 0;
};

void collect_constants(const Graph& g, const Outer& outer, std::set<const std::byte*>& seen,
                       std::vector<FloatConstant>& found) {
  for (const Node& n : g.nodes) {
    for (const Graph& inner : n.subgraphs)
      collect_constants(inner, captured_constants(g, outer, n, inner), seen, found);
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      const Value* c = constant_of(g, outer, n.inputs[i]);
      if (c == nullptr || c->quant || c->data.bytes() == 0) continue;
      if (!seen.insert(c->data.raw()).second) continue;
      const bool weight = is_weight(*c) && i < n.own_inputs() && weight_role(g, n, i);
      found.push_back({c->name, display_name(g, n), n.op, c->data.bytes(),
                       c->data.dtype() == DType::kF32 ? c->data.bytes() / 2 : 0,
                       weight ? c->data.bytes() / 4 * 3 : 0});
    }
  }
}

std::string warning_of(const FloatIsland& island) {
  return format_percent(island.mac_share, 1) + " % of the MACs stay float: " + island.op + ", " +
         island.why + ": " + some_of(island.layers);
}

}  // namespace

std::vector<FloatIsland> float_islands(const Graph& graph) {
  Islands islands;
  islands.visit(graph, {}, 1, "");
  return islands.take();
}

std::vector<FloatConstant> float_constants(const Graph& graph) {
  std::vector<FloatConstant> found;
  std::set<const std::byte*> seen;
  collect_constants(graph, {}, seen, found);
  std::stable_sort(found.begin(), found.end(), [](const FloatConstant& a, const FloatConstant& b) {
    return a.bytes > b.bytes;
  });
  return found;
}

Status measure_macs(const Graph& graph, const SampleSet& samples, const RunOptions& run,
                    QuantReport& report) {
  MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(graph, run));
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, samples.load(0));
  // Samples may differ in shape: the first is the one to count by.
  std::vector<std::vector<int64_t>> dims;
  for (const Tensor& t : sample) dims.push_back(t.dims());
  MNN_RETURN_IF_ERROR(session->prepare(dims));
  report.macs = session->macs().all;
  report.int8_mac_share = session->int8_mac_share();
  MNN_ASSIGN_OR_RETURN(const Graph bound, bound_to(graph, sample));
  report.islands = float_islands(bound);
  for (const FloatIsland& island : report.islands) {
    if (island.mac_share >= kNotableMacShare) report.warnings.push_back(warning_of(island));
  }
  return {};
}

}  // namespace mnn
