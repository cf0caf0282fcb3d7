// If, Loop, Scan, SequenceMap: rows and inference. core/control_flow.cc runs them.
#include <algorithm>

#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// The type of a sub-graph's `i`-th output.
const Type& branch_type(const Graph& g, size_t i) { return g.value(g.outputs[i]).type; }

// ---- If ----

Status infer_if(OpContext& c) {
  if (c.in[0].defined() && c.in[0].dtype != DType::kBool) {
    return invalid("the condition must be bool, found " + c.in[0].str());
  }
  for (const Graph& g : c.node.subgraphs) {
    if (g.outputs.size() != c.out.size()) {
      return invalid("expected branches with " + std::to_string(c.out.size()) + " outputs, found " +
                     std::to_string(g.outputs.size()));
    }
    if (!g.inputs.empty()) return invalid("a branch has inputs, expected none");
  }
  for (size_t i = 0; i < c.out.size(); ++i) {
    const Type& a = branch_type(c.node.subgraphs[0], i);
    const Type& b = branch_type(c.node.subgraphs[1], i);
    if (a.defined() && b.defined() && (a.dtype != b.dtype || a.kind != b.kind)) {
      return invalid("the branches disagree on output " + std::to_string(i) + ": " + a.str() +
                     " and " + b.str());
    }
    Type merged = a.defined() ? a : b;
    if (!a.defined() || !b.defined() || !a.shape || !b.shape ||
        a.shape->size() != b.shape->size()) {
      merged.shape.reset();
    } else {
      for (size_t d = 0; d < a.shape->size(); ++d) {
        if (!(*a.shape)[d].same((*b.shape)[d])) (*merged.shape)[d] = Dim::unknown();
      }
    }
    c.out[i].type = std::move(merged);
  }
  return {};
}

// ---- What Loop and Scan share ----

// Whether a dim of the body means something outside: known, or in symbols of what goes in.
class OuterSymbols {
 public:
  explicit OuterSymbols(const OpContext& c) {
    for (const Type& t : c.in) add(t);
    for (const Graph& g : c.node.subgraphs) {
      for (const ValueId v : g.captures) add(g.value(v).type);
    }
  }
  Dim outside(const Dim& d) const {
    std::vector<std::string> used;
    d.collect_symbols(used);
    for (const std::string& s : used) {
      if (std::find(symbols_.begin(), symbols_.end(), s) == symbols_.end()) return Dim::unknown();
    }
    return d;
  }

 private:
  void add(const Type& t) {
    if (!t.shape) return;
    for (const Dim& d : *t.shape) d.collect_symbols(symbols_);
  }
  std::vector<std::string> symbols_;
};

// What a value is that starts as `initial` and is replaced by `next` on each trip.
Result<Type> carried_type(const Type& initial, const Type& next, size_t i) {
  if (next.defined() && initial.defined() && next.dtype != initial.dtype) {
    return invalid("carried value " + std::to_string(i) + " goes in as " + initial.str() +
                   " and comes out as " + next.str());
  }
  std::optional<Shape> shape;
  if (initial.shape && next.shape && initial.shape->size() == next.shape->size()) {
    shape = initial.shape;
    for (size_t d = 0; d < shape->size(); ++d) {
      if (!(*next.shape)[d].same((*shape)[d])) (*shape)[d] = Dim::unknown();
    }
  }
  return Type{initial.kind, initial.dtype, std::move(shape)};
}

Status check_body(const OpContext& c, size_t inputs, size_t least_outputs) {
  const Graph& body = c.node.subgraphs[0];
  if (body.inputs.size() != inputs) {
    return invalid("expected a body with " + std::to_string(inputs) + " inputs, found " +
                   std::to_string(body.inputs.size()));
  }
  if (body.outputs.size() < least_outputs) {
    return invalid("expected a body with " + std::to_string(least_outputs) +
                   " outputs or more, found " + std::to_string(body.outputs.size()));
  }
  return {};
}

// The body's output with a new axis of `length`.
Result<Type> stacked_type(const Type& part, int64_t axis, const Dim& length,
                          const OuterSymbols& outer) {
  if (!part.shape) return part;
  Shape shape;
  for (const Dim& d : *part.shape) shape.push_back(outer.outside(d));
  MNN_ASSIGN_OR_RETURN(const size_t at, normalize_axis(axis, shape.size() + 1));
  shape.insert(shape.begin() + static_cast<long>(at), length);
  return tensor_type(part.dtype, std::move(shape));
}

// ---- Loop ----

Status infer_loop(OpContext& c) {
  const Graph& body = c.node.subgraphs[0];
  if (c.in.size() < 2) return invalid("expected a trip count and a condition, absent or not");
  if (c.has_input(0)) MNN_RETURN_IF_ERROR(expect_integers(c, 0, "trip count"));
  if (c.has_input(1) && c.in[1].dtype != DType::kBool) {
    return invalid("the condition must be bool, found " + c.in[1].str());
  }
  const size_t carried = c.in.size() - 2;
  MNN_RETURN_IF_ERROR(check_body(c, 2 + carried, 1 + carried));
  if (c.out.size() != body.outputs.size() - 1) {
    return invalid("expected " + std::to_string(body.outputs.size() - 1) + " outputs, found " +
                   std::to_string(c.out.size()));
  }
  for (size_t i = 0; i < carried; ++i) {
    MNN_ASSIGN_OR_RETURN(c.out[i].type, carried_type(c.in[i + 2], branch_type(body, i + 1), i));
  }
  const OuterSymbols outer(c);
  for (size_t i = carried; i < c.out.size(); ++i) {
    // Without a condition the loop makes all its trips.
    Dim trips = Dim::unknown();
    if (const auto count = c.has_input(1) ? std::nullopt : c.values(0);
        count && count->size() == 1) {
      trips = larger_of((*count)[0], 0);
    }
    MNN_ASSIGN_OR_RETURN(c.out[i].type, stacked_type(branch_type(body, i + 1), 0, trips, outer));
  }
  return {};
}

// ---- Scan ----

Status infer_scan(OpContext& c) {
  const Graph& body = c.node.subgraphs[0];
  const int64_t scanned = c.attr_int("num_scan_inputs");
  if (scanned < 1 || scanned > static_cast<int64_t>(c.in.size())) {
    return invalid("num_scan_inputs " + std::to_string(scanned) + " is not in [1, " +
                   std::to_string(c.in.size()) + "]");
  }
  const size_t states = c.in.size() - static_cast<size_t>(scanned);
  MNN_RETURN_IF_ERROR(check_body(c, c.in.size(), states));
  if (c.out.size() != body.outputs.size()) {
    return invalid("expected " + std::to_string(body.outputs.size()) + " outputs, found " +
                   std::to_string(c.out.size()));
  }
  const size_t outputs = body.outputs.size() - states;
  auto list = [&](std::string_view name, size_t count) -> Result<std::vector<int64_t>> {
    if (!c.has(name)) return std::vector<int64_t>(count, 0);
    std::vector<int64_t> values = c.attr_ints(name);
    if (values.size() == count) return values;
    return invalid(std::string(name) + " has " + std::to_string(values.size()) +
                   " entries, expected " + std::to_string(count));
  };
  MNN_ASSIGN_OR_RETURN(const auto in_axes, list("scan_input_axes", c.in.size() - states));
  MNN_ASSIGN_OR_RETURN(const auto out_axes, list("scan_output_axes", outputs));
  MNN_RETURN_IF_ERROR(list("scan_input_directions", c.in.size() - states).status());
  MNN_RETURN_IF_ERROR(list("scan_output_directions", outputs).status());
  Dim length = Dim::unknown();
  for (size_t i = 0; i < in_axes.size(); ++i) {
    const Type& t = c.in[states + i];
    if (!t.shape) continue;
    MNN_ASSIGN_OR_RETURN(const size_t axis, normalize_axis(in_axes[i], t.rank()));
    if (!length.known()) length = (*t.shape)[axis];
  }
  for (size_t i = 0; i < states; ++i) {
    MNN_ASSIGN_OR_RETURN(c.out[i].type, carried_type(c.in[i], branch_type(body, i), i));
  }
  const OuterSymbols outer(c);
  for (size_t i = 0; i < outputs; ++i) {
    MNN_ASSIGN_OR_RETURN(c.out[states + i].type,
                         stacked_type(branch_type(body, states + i), out_axes[i], length, outer));
  }
  return {};
}

// ---- SequenceMap ----

Status infer_sequence_map(OpContext& c) {
  const Graph& body = c.node.subgraphs[0];
  for (size_t i = 0; i < c.in.size(); ++i) {
    const bool sequence = c.in[i].kind == Type::Kind::kSequence;
    if (c.has_input(i) && (sequence || (i > 0 && c.in[i].kind == Type::Kind::kTensor))) continue;
    return invalid("input " + std::to_string(i) + ": expected a sequence" +
                   (i > 0 ? " or a tensor" : "") + ", found " +
                   (c.has_input(i) ? c.in[i].str() : "none"));
  }
  MNN_RETURN_IF_ERROR(check_body(c, c.in.size(), 1));
  if (c.out.size() != body.outputs.size()) {
    return invalid("expected " + std::to_string(body.outputs.size()) + " outputs, found " +
                   std::to_string(c.out.size()));
  }
  const OuterSymbols outer(c);
  for (size_t i = 0; i < c.out.size(); ++i) {
    Type type = branch_type(body, i);
    if (type.kind != Type::Kind::kTensor) {
      return invalid("expected a body that makes tensors, found " + type.str());
    }
    type.kind = Type::Kind::kSequence;
    if (type.shape) {
      for (Dim& d : *type.shape) d = outer.outside(d);
    }
    c.out[i].type = std::move(type);
  }
  return {};
}

}  // namespace

std::vector<OpDef> define_control() {
  const std::vector<AttrDef> scan = {
      {"num_scan_inputs", int64_t{0}, true},
      {"scan_input_axes", std::vector<int64_t>{}},
      {"scan_input_directions", std::vector<int64_t>{}},
      {"scan_output_axes", std::vector<int64_t>{}},
      {"scan_output_directions", std::vector<int64_t>{}},
  };
  return {
      {"Loop", 0, kVariadic, kContainers, {}, infer_loop, nullptr, nullptr, 1, kVariadic, 1},
      {"Scan", 1, kVariadic, {}, scan, infer_scan, nullptr, nullptr, 1, kVariadic, 1},
      {"SequenceMap",
       1,
       kVariadic,
       kContainers,
       {},
       infer_sequence_map,
       nullptr,
       nullptr,
       1,
       kVariadic,
       1},
      {"If", 1, 1, {}, {}, infer_if, nullptr, nullptr, 1, kVariadic, 2},
  };
}

}  // namespace mnn
