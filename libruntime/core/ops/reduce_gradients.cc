// The derivatives of reductions, softmaxes, running sums and global poolings.
#include <algorithm>
#include <numeric>

#include "libruntime/core/ops/gradients.h"

namespace mnn {
namespace {

// A reduction of x to y: which axes go, and y and dy under x's rank with those axes as 1.
struct Reduced {
  Builder& b;
  ValueId x, y, dy;
  std::vector<int64_t> axes;

  ValueId mul(ValueId p, ValueId q) const { return b.op("Mul", {p, q}); }
  ValueId num(double v) const { return scalar_like(b, x, v); }
  // `v` repeated along the axes that went.
  ValueId spread(ValueId v) const {
    const Type& type = b.type(x);
    const ValueId shape = type.is_static() ? b.ints(known_dims(*type.shape)) : b.op("Shape", {x});
    return b.op("Expand", {v, shape});
  }
  std::vector<ValueId> result(const Node& node, ValueId dx) const {
    std::vector<ValueId> all(node.own_inputs(), kNoValue);
    all[0] = dx;
    return all;
  }
};

Result<Reduced> read_reduction(Builder& b, const Node& n, std::span<const ValueId> dy) {
  Reduced r{b, n.inputs[0], n.outputs[0], dy[0], {}};
  MNN_ASSIGN_OR_RETURN(const size_t rank, known_rank(b, r.x));
  const AttributeReader c(n, *find_op(n.op));
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> given, constant_ints(b, n, 1, "axes"));
  for (const int64_t a : given) {
    MNN_ASSIGN_OR_RETURN(const size_t axis, normalize_axis(a, rank));
    r.axes.push_back(static_cast<int64_t>(axis));
  }
  if (given.empty() && c.attr_int("noop_with_empty_axes") == 0) {
    r.axes.resize(rank);
    std::iota(r.axes.begin(), r.axes.end(), 0);
  }
  std::ranges::sort(r.axes);
  r.axes.erase(std::unique(r.axes.begin(), r.axes.end()), r.axes.end());
  if (c.attr_int("keepdims") == 0 && !r.axes.empty()) {
    r.y = b.op("Unsqueeze", {r.y, b.ints(r.axes)});
    r.dy = b.op("Unsqueeze", {r.dy, b.ints(r.axes)});
  }
  return r;
}

// All axes behind the channels, kept.
Result<Reduced> read_global(Builder& b, const Node& n, std::span<const ValueId> dy) {
  Reduced r{b, n.inputs[0], n.outputs[0], dy[0], {}};
  MNN_ASSIGN_OR_RETURN(const size_t rank, known_rank(b, r.x));
  for (size_t i = 2; i < rank; ++i) r.axes.push_back(static_cast<int64_t>(i));
  return r;
}

// How many elements one of y gathers, as a number of x's type.
ValueId count_of(const Reduced& r) {
  const Type& type = r.b.type(r.x);
  int64_t count = 1;
  bool known = true;
  for (const int64_t a : r.axes) {
    const Dim& d = (*type.shape)[static_cast<size_t>(a)];
    known = known && d.known();
    if (d.known()) count *= d.value();
  }
  if (known) return r.num(static_cast<double>(count));
  const ValueId shape = r.b.op("Gather", {r.b.op("Shape", {r.x}), r.b.ints(r.axes)});
  const ValueId product = r.b.op("ReduceProd", {shape}, {{"keepdims", int64_t{0}}});
  return r.b.op("Cast", {product}, {{"to", static_cast<int64_t>(type.dtype)}});
}

ValueId mean_back(const Reduced& r) { return r.spread(r.b.op("Div", {r.dy, count_of(r)})); }

// The elements that attain the extreme share alike.
ValueId extreme_back(const Reduced& r) {
  const ValueId hit = r.b.op("Where", {r.b.op("Equal", {r.x, r.y}), r.num(1.0), r.num(0.0)});
  return r.mul(hit, r.b.op("Div", {r.dy, sum_over(r.b, hit, r.axes)}));
}

// 0 where the divisor is 0.
ValueId safe_div(const Reduced& r, ValueId p, ValueId q) {
  const ValueId none = r.b.op("Equal", {q, r.num(0.0)});
  return r.b.op("Where",
                {none, r.num(0.0), r.b.op("Div", {p, r.b.op("Where", {none, r.num(1.0), q})})});
}

// The root of the sum of |x|^p has the slope sign(x) (|x| / y)^(p-1).
ValueId norm_back(const Reduced& r, double p) {
  const ValueId sign = r.b.op("Sign", {r.x});
  if (p == 1.0) return r.mul(r.dy, sign);
  if (p == 2.0) return r.mul(r.dy, safe_div(r, r.x, r.y));
  const ValueId ratio = safe_div(r, r.b.op("Abs", {r.x}), r.y);
  return r.mul(r.dy, r.mul(sign, r.b.op("Pow", {ratio, r.num(p - 1.0)})));
}

}  // namespace

Gradients reduce_sum_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Reduced r, read_reduction(b, n, dy));
  return r.result(n, r.spread(r.dy));
}

Gradients reduce_mean_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Reduced r, read_reduction(b, n, dy));
  return r.result(n, mean_back(r));
}

// The product of the others: those before it along the reduced axes times those behind it.
Gradients reduce_prod_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Reduced r, read_reduction(b, n, dy));
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, static_dims(b, r.x));
  std::vector<int64_t> perm, back(dims.size()), moved;
  int64_t line = 1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (!std::ranges::count(r.axes, static_cast<int64_t>(i))) {
      perm.push_back(static_cast<int64_t>(i));
    }
  }
  for (const int64_t a : r.axes) {
    perm.push_back(a);
    line *= dims[static_cast<size_t>(a)];
  }
  for (size_t i = 0; i < perm.size(); ++i) {
    back[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
    moved.push_back(dims[static_cast<size_t>(perm[i])]);
  }
  const ValueId lines = b.op("Reshape", {transpose(b, r.x, perm), b.ints({-1, line})});
  const ValueId axis = b.constant(Tensor::scalar(int64_t{1}));
  const ValueId before = b.op("CumProd", {lines, axis}, {{"exclusive", int64_t{1}}});
  const ValueId behind =
      b.op("CumProd", {lines, axis}, {{"exclusive", int64_t{1}}, {"reverse", int64_t{1}}});
  const ValueId others =
      transpose(b, b.op("Reshape", {r.mul(before, behind), b.ints(moved)}), back);
  return r.result(n, r.mul(r.dy, others));
}

Gradients reduce_extreme_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Reduced r, read_reduction(b, n, dy));
  return r.result(n, extreme_back(r));
}

Gradients reduce_l1_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Reduced r, read_reduction(b, n, dy));
  return r.result(n, norm_back(r, 1.0));
}

Gradients reduce_l2_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Reduced r, read_reduction(b, n, dy));
  return r.result(n, norm_back(r, 2.0));
}

Gradients reduce_sum_square_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Reduced r, read_reduction(b, n, dy));
  return r.result(n, r.mul(r.dy, r.mul(r.x, r.num(2.0))));
}

Gradients reduce_log_sum_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Reduced r, read_reduction(b, n, dy));
  return r.result(n, r.spread(b.op("Div", {r.dy, b.op("Exp", {r.y})})));
}

Gradients reduce_log_sum_exp_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Reduced r, read_reduction(b, n, dy));
  return r.result(n, r.mul(r.dy, b.op("Exp", {b.op("Sub", {r.x, r.y})})));
}

Gradients global_average_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Reduced r, read_global(b, n, dy));
  return r.result(n, mean_back(r));
}

Gradients global_max_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Reduced r, read_global(b, n, dy));
  return r.result(n, extreme_back(r));
}

Gradients global_lp_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const Reduced r, read_global(b, n, dy));
  const auto p = static_cast<double>(AttributeReader(n, *find_op(n.op)).attr_int("p"));
  return r.result(n, norm_back(r, p));
}

// y (dy - sum of dy y)
Gradients softmax_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const int64_t axis = AttributeReader(n, *find_op(n.op)).attr_int("axis");
  const ValueId y = n.outputs[0];
  const ValueId along = sum_over(b, b.op("Mul", {dy[0], y}), {axis});
  return std::vector<ValueId>{b.op("Mul", {y, b.op("Sub", {dy[0], along})})};
}

// dy - exp(y) times the sum of dy
Gradients log_softmax_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const int64_t axis = AttributeReader(n, *find_op(n.op)).attr_int("axis");
  const ValueId sum = sum_over(b, dy[0], {axis});
  const ValueId along = b.op("Mul", {b.op("Exp", {n.outputs[0]}), sum});
  return std::vector<ValueId>{b.op("Sub", {dy[0], along})};
}

// The running sum from the other end.
Gradients cum_sum_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  Builder::Attributes attributes = n.attributes;
  const bool reverse = AttributeReader(n, *find_op(n.op)).attr_int("reverse") != 0;
  attributes["reverse"] = int64_t{reverse ? 0 : 1};
  return std::vector<ValueId>{b.op("CumSum", {dy[0], n.inputs[1]}, std::move(attributes)),
                              kNoValue};
}

}  // namespace mnn
