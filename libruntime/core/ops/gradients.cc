// What the derivatives of rows are written with.
#include "libruntime/core/ops/gradients.h"

#include <numeric>

namespace mnn {

ValueId scalar_like(Builder& b, ValueId like, double value) {
  return b.scalar(value, b.type(like).dtype);
}

namespace {

// The dims of a value for Reshape and its kin: a constant where they are static.
ValueId shape_of(Builder& b, ValueId v) {
  const Type& type = b.type(v);
  return type.is_static() ? b.ints(known_dims(*type.shape)) : b.op("Shape", {v});
}

}  // namespace

ValueId reshape_like(Builder& b, ValueId v, ValueId like) {
  return b.op("Reshape", {v, shape_of(b, like)}, {{"allowzero", int64_t{1}}});
}

ValueId zeros_like(Builder& b, ValueId like) {
  const ValueId zero = scalar_like(b, like, 0.0);
  return b.op("Expand", {zero, shape_of(b, like)});
}

Result<ValueId> sum_to(Builder& b, ValueId g, ValueId of, ValueId to) {
  const Type &from = b.type(of), &target = b.type(to);
  if (!from.shape || !target.shape) {
    return unsupported("the rank of a broadcast operand is not known");
  }
  const Shape &a = *from.shape, &t = *target.shape;
  if (same_shape(a, t)) return g;
  const size_t lead = a.size() - t.size();
  std::vector<int64_t> axes;
  for (size_t i = 0; i < a.size(); ++i) {
    if (i >= lead && t[i - lead].same(a[i])) continue;
    if (i >= lead && !t[i - lead].is(1)) {
      return unsupported("whether " + target.str() + " is broadcast to " + from.str() +
                         " depends on shapes that are open; bind them");
    }
    axes.push_back(static_cast<int64_t>(i));
  }
  if (axes.empty()) return g;
  const bool all_lead = axes.back() < static_cast<int64_t>(lead);
  const ValueId sum =
      b.op("ReduceSum", {g, b.ints(axes)}, {{"keepdims", int64_t{all_lead ? 0 : 1}}});
  return all_lead || lead == 0 ? sum : reshape_like(b, sum, to);
}

Result<std::vector<int64_t>> static_dims(const Builder& b, ValueId v) {
  const Type& type = b.type(v);
  if (type.is_static()) return known_dims(*type.shape);
  return unsupported("its derivative needs static shapes, found " + type.str() + "; bind them");
}

Result<size_t> known_rank(const Builder& b, ValueId v) {
  if (b.type(v).shape) return b.type(v).rank();
  return unsupported("its derivative needs a known rank, found " + b.type(v).str());
}

Result<std::vector<int64_t>> constant_ints(const Builder& b, const Node& node, size_t input,
                                           std::string_view what) {
  if (input >= node.own_inputs() || node.inputs[input] == kNoValue) return std::vector<int64_t>();
  const Tensor* t = const_cast<Builder&>(b).graph().constant(node.inputs[input]);
  if (t == nullptr) return unsupported("its derivative needs constant " + std::string(what));
  return t->to_ints();
}

ValueId transpose(Builder& b, ValueId v, std::vector<int64_t> perm) {
  return b.op("Transpose", {v}, {{"perm", std::move(perm)}});
}

ValueId sum_over(Builder& b, ValueId v, const std::vector<int64_t>& axes) {
  return b.op("ReduceSum", {v, b.ints(axes)}, {{"noop_with_empty_axes", int64_t{1}}});
}

ValueId mean_over(Builder& b, ValueId v, const std::vector<int64_t>& axes) {
  return b.op("ReduceMean", {v, b.ints(axes)}, {{"noop_with_empty_axes", int64_t{1}}});
}

ValueId apply_transposed(Builder& b, ValueId dy, ValueId matrix, size_t axis, size_t rank) {
  if (rank >= 2 && axis == rank - 2) return b.op("MatMul", {matrix, dy});
  const ValueId turned = transpose(b, matrix, {1, 0});
  if (axis == rank - 1) return b.op("MatMul", {dy, turned});
  std::vector<int64_t> perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[axis], perm[rank - 1]);
  return transpose(b, b.op("MatMul", {transpose(b, dy, perm), turned}), perm);
}

Result<ValueId> only_first(std::span<const ValueId> dy) {
  for (size_t i = 1; i < dy.size(); ++i) {
    if (dy[i] != kNoValue) {
      return unsupported("output " + std::to_string(i) + " has no derivative");
    }
  }
  return dy[0];
}

}  // namespace mnn
