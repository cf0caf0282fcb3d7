#include "libconvert/passes/permute.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_map>

#include "libconvert/passes/conditions.h"

namespace mnn {
namespace {

// How an operator's parameters follow a permutation of the axes of its data.
enum class Family { kElementwise, kAxis, kConcat, kReduce, kPad, kSlice, kResize, kTile };

std::optional<Family> family_of(std::string_view op) {
  static const std::unordered_map<std::string_view, Family> kByName = {
      {"Softmax", Family::kAxis},  {"LogSoftmax", Family::kAxis}, {"Split", Family::kAxis},
      {"Concat", Family::kConcat}, {"Pad", Family::kPad},         {"Slice", Family::kSlice},
      {"Resize", Family::kResize}, {"Tile", Family::kTile}};
  const OpDef* def = find_op(op);
  if (def == nullptr) return std::nullopt;
  if (def->is(kElementwise)) return Family::kElementwise;
  // Those that list their axes in an input.
  if (def->is(kReduces) && def->traits.shape_input(1)) return Family::kReduce;
  const auto it = kByName.find(op);
  return it == kByName.end() ? std::nullopt : std::optional(it->second);
}

bool has_rank(const Graph& graph, ValueId v, size_t rank) {
  if (v == kNoValue) return false;
  const Type& type = graph.value(v).type;
  return type.kind == Type::Kind::kTensor && type.shape && type.rank() == rank;
}

// Broadcasting aligns dims at the end: an operand of lower rank has to be a constant, which can be
// reshaped, or 0-d.
bool fits_elementwise(const Graph& graph, const Node& node, size_t rank) {
  return std::ranges::all_of(node.inputs, [&](ValueId v) {
    if (v == kNoValue) return true;
    const Type& type = graph.value(v).type;
    if (type.kind != Type::Kind::kTensor || !type.shape || type.rank() > rank) return false;
    return type.rank() == rank || type.rank() == 0 || graph.constant(v) != nullptr;
  });
}

std::optional<std::vector<int64_t>> axes_of(const Graph& graph, const Node& node, size_t input,
                                            size_t rank) {
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), int64_t{0});
  const ValueId id = input_of(node, input);
  if (id == kNoValue) return axes;
  const auto listed = ints_of(graph, id);
  if (!listed) return std::nullopt;
  axes.clear();
  for (const int64_t a : *listed) {
    const Result<size_t> axis = normalize_axis(a, rank);
    if (!axis.ok()) return std::nullopt;
    axes.push_back(static_cast<int64_t>(*axis));
  }
  return axes;
}

// Whether the dims that a reduction without keepdims leaves stand in the same order in both
// layouts.
bool leaves_same_order(const std::vector<int64_t>& reduced, const Perm& perm) {
  int64_t last = -1;
  for (size_t i = 0; i < perm.size(); ++i) {
    if (std::ranges::find(reduced, static_cast<int64_t>(i)) != reduced.end()) continue;
    if (perm[i] < last) return false;
    last = perm[i];
  }
  return true;
}

bool is_vector_of(const Graph& graph, ValueId id, size_t rank) {
  const Tensor* t = graph.constant(id);
  return t && t->rank() == 1 && t->elements() == static_cast<int64_t>(rank);
}

// A constant vector with one entry per axis, entries moved to where their axes go.
ValueId permute_vector(Graph& graph, ValueId id, const Perm& perm) {
  const Tensor& from = *graph.constant(id);
  Tensor to = *from.clone();
  const auto width = static_cast<size_t>(dtype_bits(from.dtype()) / 8);
  for (size_t i = 0; i < perm.size(); ++i) {
    std::copy_n(from.raw() + i * width, width, to.raw() + static_cast<size_t>(perm[i]) * width);
  }
  return graph.add_constant(to);
}

ValueId permuted_axes(Graph& graph, const Node& node, size_t input, const Perm& perm) {
  std::vector<int64_t> axes = *axes_of(graph, node, input, perm.size());
  for (int64_t& a : axes) a = perm[static_cast<size_t>(a)];
  return graph.add_constant(Tensor::ints(axes));
}

void set_input(Node& node, size_t i, ValueId v) {
  if (node.inputs.size() <= i) node.inputs.resize(i + 1, kNoValue);
  node.inputs[i] = v;
}

}  // namespace

bool is_identity(const Perm& perm) { return std::is_sorted(perm.begin(), perm.end()); }

Perm inverse(const Perm& perm) {
  Perm inv(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) {
    inv[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  }
  return inv;
}

std::optional<Perm> perm_of(const Graph& graph, const Node& node) {
  if (node.op != "Transpose") return std::nullopt;
  const Type& type = graph.value(node.inputs[0]).type;
  if (type.kind != Type::Kind::kTensor || !type.shape) return std::nullopt;
  Perm perm = attr_ints(node, "perm");
  if (perm.empty()) {
    for (size_t i = type.rank(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
  }
  Perm sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] != static_cast<int64_t>(i)) return std::nullopt;
  }
  if (perm.size() != type.rank()) return std::nullopt;
  return perm;
}

std::optional<Permutable> as_permutable(const Graph& graph, const Node& node, const Perm& perm) {
  const std::optional<Family> family = family_of(node.op);
  const size_t rank = perm.size();
  if (!family || !node.fused.empty() || node.inputs.empty()) return std::nullopt;
  Permutable p{{0}, false};
  bool fits = has_rank(graph, node.inputs[0], rank);
  switch (*family) {
    case Family::kElementwise:
      fits = fits_elementwise(graph, node, rank);
      p.data.clear();
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        // 0-d operands have no axes.
        const ValueId v = node.inputs[i];
        if (fits && v != kNoValue && graph.value(v).type.rank() > 0) p.data.push_back(i);
      }
      break;
    case Family::kConcat:
      fits = std::ranges::all_of(node.inputs, [&](ValueId v) { return has_rank(graph, v, rank); });
      p.data.resize(node.inputs.size());
      std::iota(p.data.begin(), p.data.end(), size_t{0});
      [[fallthrough]];
    case Family::kAxis: fits = fits && normalize_axis(attr_int(node, "axis"), rank).ok(); break;
    case Family::kReduce: {
      const auto axes = axes_of(graph, node, 1, rank);
      fits = fits && axes && input_of(node, 1) != kNoValue && !axes->empty();
      if (fits && attr_int(node, "keepdims") == 0) {
        p.ends_layout = true;
        return leaves_same_order(*axes, perm) ? std::optional(p) : std::nullopt;
      }
      break;
    }
    case Family::kPad: fits = fits && axes_of(graph, node, 3, rank).has_value(); break;
    case Family::kSlice: {
      // Without axes the starts say how many dims are meant.
      fits = fits && axes_of(graph, node, 3, rank).has_value() &&
             (input_of(node, 3) != kNoValue || is_vector_of(graph, node.inputs[1], rank));
      break;
    }
    case Family::kResize: {
      const ValueId sizes = input_of(node, 3), scales = input_of(node, 2);
      fits = fits && input_of(node, 1) == kNoValue && attr_ints(node, "axes").empty() &&
             is_vector_of(graph, sizes != kNoValue ? sizes : scales, rank);
      break;
    }
    case Family::kTile: fits = fits && is_vector_of(graph, node.inputs[1], rank); break;
  }
  for (const ValueId v : node.outputs) fits = fits && (v == kNoValue || has_rank(graph, v, rank));
  return fits ? std::optional(std::move(p)) : std::nullopt;
}

void permute_parameters(Graph& graph, Node& node, const Perm& perm) {
  switch (*family_of(node.op)) {
    case Family::kElementwise: break;
    case Family::kConcat:
    case Family::kAxis:
      node.attributes["axis"] = perm[*normalize_axis(attr_int(node, "axis"), perm.size())];
      break;
    case Family::kReduce: set_input(node, 1, permuted_axes(graph, node, 1, perm)); break;
    case Family::kPad:
    case Family::kSlice: set_input(node, 3, permuted_axes(graph, node, 3, perm)); break;
    case Family::kResize:
      for (const size_t i : {size_t{2}, size_t{3}}) {
        const ValueId v = input_of(node, i);
        if (v != kNoValue && is_vector_of(graph, v, perm.size())) {
          set_input(node, i, permute_vector(graph, v, perm));
        }
      }
      break;
    case Family::kTile: set_input(node, 1, permute_vector(graph, node.inputs[1], perm)); break;
  }
}

std::optional<Tensor> permuted_constant(const Tensor& t, const Perm& perm) {
  const int bits = dtype_bits(t.dtype());
  if (t.rank() > perm.size() || bits == 0 || bits % 8 != 0) return std::nullopt;
  std::vector<int64_t> from = t.dims();
  from.insert(from.begin(), perm.size() - from.size(), 1);
  const Perm inv = inverse(perm);
  std::vector<int64_t> to(perm.size()), stride(perm.size(), 1), step(perm.size());
  for (size_t i = perm.size(); i-- > 1;) stride[i - 1] = stride[i] * from[i];
  for (size_t j = 0; j < to.size(); ++j) {
    to[j] = from[static_cast<size_t>(inv[j])];
    step[j] = stride[static_cast<size_t>(inv[j])];
  }
  Result<Tensor> out = Tensor::allocate(t.dtype(), to);
  if (!out.ok()) return std::nullopt;
  const auto width = static_cast<size_t>(bits / 8);
  std::vector<int64_t> at(to.size(), 0);
  int64_t source = 0;
  for (int64_t i = 0; i < out->elements(); ++i) {
    std::copy_n(t.raw() + static_cast<size_t>(source) * width, width,
                out->raw() + static_cast<size_t>(i) * width);
    for (size_t d = to.size(); d-- > 0;) {
      source += step[d];
      if (++at[d] < to[d]) break;
      source -= step[d] * to[d];
      at[d] = 0;
    }
  }
  return std::move(out).value();
}

}  // namespace mnn
