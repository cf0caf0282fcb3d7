// The derivatives of matrix products, normalizations and losses.
#include <algorithm>
#include <numeric>

#include "libruntime/core/differentiate.h"
#include "libruntime/core/ops/gradients.h"

namespace mnn {
namespace {

Status refuse_rounding(const AttributeReader& c) {
  if (c.attr_int("activation_bits") == 0) return {};
  return unsupported("it rounds its input to bytes: derivatives are taken of float models");
}

ValueId turned(Builder& b, ValueId v, size_t rank) {
  std::vector<int64_t> perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[rank - 1], perm[rank - 2]);
  return transpose(b, v, perm);
}

}  // namespace

// ---- products ----

Gradients matmul_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_RETURN_IF_ERROR(refuse_rounding(AttributeReader(n, *find_op(n.op))));
  const ValueId x = n.inputs[0], w = n.inputs[1];
  MNN_ASSIGN_OR_RETURN(const size_t x_rank, known_rank(b, x));
  MNN_ASSIGN_OR_RETURN(const size_t w_rank, known_rank(b, w));
  if (x_rank == 1 || w_rank == 1) {
    // A vector is a row or a column, and the product lacks its axis.
    ValueId left = x, right = w, g = dy[0];
    if (x_rank == 1) {
      left = b.op("Unsqueeze", {x, b.ints({0})});
      g = b.op("Unsqueeze", {g, b.ints({w_rank == 1 ? 0 : -2})});
    }
    if (w_rank == 1) {
      right = b.op("Unsqueeze", {w, b.ints({-1})});
      g = b.op("Unsqueeze", {g, b.ints({-1})});
    }
    // Sums over the batch of the other operand.
    auto merged = [&](ValueId v, size_t rank, ValueId like) {
      std::vector<int64_t> axes(rank - 2);
      std::iota(axes.begin(), axes.end(), 0);
      return reshape_like(b, axes.empty() ? v : sum_over(b, v, axes), like);
    };
    const size_t batched = std::max({x_rank, w_rank, size_t{2}});
    const ValueId dx = b.op("MatMul", {g, turned(b, right, std::max(w_rank, size_t{2}))});
    const ValueId dw = b.op("MatMul", {turned(b, left, std::max(x_rank, size_t{2})), g});
    return std::vector<ValueId>{x_rank == 1 ? merged(dx, batched, x) : dx,
                                w_rank == 1 ? merged(dw, batched, w) : dw};
  }
  if (w_rank == 2) {
    const int64_t rows = -1;
    const ValueId dx = b.op("MatMul", {dy[0], turned(b, w, 2)});
    ValueId left = x, g = dy[0];
    if (x_rank > 2) {
      // One product over all rows of the batch.
      auto flat = [&](ValueId v, ValueId like) {
        const Dim& columns = b.type(like).shape->back();
        const ValueId last =
            columns.known()
                ? b.ints({rows, columns.value()})
                : b.op("Concat", {b.ints({rows}), b.op("Shape", {like}, {{"start", int64_t{-1}}})},
                       {{"axis", int64_t{0}}});
        return b.op("Reshape", {v, last});
      };
      left = flat(x, x);
      g = flat(dy[0], n.outputs[0]);
    }
    return std::vector<ValueId>{dx, b.op("Gemm", {left, g}, {{"transA", int64_t{1}}})};
  }
  const ValueId dx = b.op("MatMul", {dy[0], turned(b, w, w_rank)});
  const ValueId dw = b.op("MatMul", {turned(b, x, x_rank), dy[0]});
  // The batch dims broadcast; the shapes before summing are those of the product but for the last
  // two.
  const Type &xt = b.type(x), &wt = b.type(w), &yt = b.type(n.outputs[0]);
  if (!yt.shape) return unsupported("its derivative needs a known rank");
  auto to = [&](ValueId g, const Type& own, ValueId like) -> Result<ValueId> {
    Shape full(yt.shape->begin(), yt.shape->end() - 2);
    full.insert(full.end(), own.shape->end() - 2, own.shape->end());
    b.graph().value(g).type = tensor_type(own.dtype, full);
    return sum_to(b, g, g, like);
  };
  MNN_ASSIGN_OR_RETURN(const ValueId dx_own, to(dx, Type(xt), x));
  MNN_ASSIGN_OR_RETURN(const ValueId dw_own, to(dw, Type(wt), w));
  return std::vector<ValueId>{dx_own, dw_own};
}

// Y = alpha A' B' + beta C, A' and B' perhaps transposed.
Gradients gemm_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const AttributeReader c(n, *find_op(n.op));
  MNN_RETURN_IF_ERROR(refuse_rounding(c));
  const int64_t ta = c.attr_int("transA") != 0, tb = c.attr_int("transB") != 0;
  const double alpha = c.attr_float("alpha"), beta = c.attr_float("beta");
  auto product = [&](ValueId p, int64_t tp, ValueId q, int64_t tq) {
    return b.op("Gemm", {p, q}, {{"alpha", alpha}, {"transA", tp}, {"transB", tq}});
  };
  const ValueId p = n.inputs[0], q = n.inputs[1];
  std::vector<ValueId> result = {
      ta ? product(q, tb, dy[0], 1) : product(dy[0], 0, q, 1 - tb),
      tb ? product(dy[0], 1, p, ta) : product(p, 1 - ta, dy[0], 0),
  };
  if (n.own_inputs() > 2 && n.inputs[2] != kNoValue) {
    MNN_ASSIGN_OR_RETURN(ValueId dc, sum_to(b, dy[0], n.outputs[0], n.inputs[2]));
    if (beta != 1.0) dc = b.op("Mul", {dc, scalar_like(b, p, beta)});
    result.push_back(dc);
  }
  return result;
}

// ---- normalizations ----

namespace {

// What is normalized over `axes`: y = unit * gain + bias, unit = (x - mean) / deviation.
struct Normal {
  Builder& b;
  ValueId unit, inverse;
  std::vector<int64_t> axes;

  ValueId mul(ValueId p, ValueId q) const { return b.op("Mul", {p, q}); }
  ValueId sub(ValueId p, ValueId q) const { return b.op("Sub", {p, q}); }
  // From the derivative by unit to that by x; with `centred`, the mean was taken off.
  ValueId back(ValueId g, bool centred) const {
    const ValueId along = mul(unit, mean_over(b, mul(g, unit), axes));
    const ValueId rest = centred ? sub(g, mean_over(b, g, axes)) : g;
    return mul(inverse, sub(rest, along));
  }
};

Normal normalize(Builder& b, ValueId x, std::vector<int64_t> axes, double epsilon, bool centred) {
  const ValueId apart = centred ? b.op("Sub", {x, mean_over(b, x, axes)}) : x;
  const ValueId power = mean_over(b, b.op("Mul", {apart, apart}), axes);
  const ValueId root = b.op("Sqrt", {b.op("Add", {power, scalar_like(b, x, epsilon)})});
  const ValueId inverse = b.op("Reciprocal", {root});
  return {b, b.op("Mul", {apart, inverse}), inverse, std::move(axes)};
}

// A vector per channel as [C, 1, …].
ValueId per_channel(Builder& b, ValueId v, size_t rank) {
  std::vector<int64_t> dims(rank - 1, 1);
  dims[0] = -1;
  return b.op("Reshape", {v, b.ints(dims)});
}

// Every axis but the channels.
std::vector<int64_t> but_channels(size_t rank) {
  std::vector<int64_t> axes = {0};
  for (size_t i = 2; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  return axes;
}

ValueId per_channel_sum(Builder& b, ValueId v, size_t rank) {
  return b.op("ReduceSum", {v, b.ints(but_channels(rank))}, {{"keepdims", int64_t{0}}});
}

Gradients layer_back(Builder& b, const Node& n, std::span<const ValueId> dy, bool centred) {
  MNN_ASSIGN_OR_RETURN(const ValueId g, only_first(dy));
  const AttributeReader c(n, *find_op(n.op));
  const ValueId x = n.inputs[0], gain = n.inputs[1];
  MNN_ASSIGN_OR_RETURN(const size_t rank, known_rank(b, x));
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", rank));
  if (b.type(gain).dtype != b.type(x).dtype) {
    return unsupported("its derivative needs a scale of the type of its input");
  }
  std::vector<int64_t> axes;
  for (size_t i = axis; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  const Normal m = normalize(b, x, axes, c.attr_float("epsilon"), centred);
  std::vector<ValueId> result = {m.back(m.mul(g, gain), centred)};
  MNN_ASSIGN_OR_RETURN(const ValueId dgain, sum_to(b, m.mul(g, m.unit), x, gain));
  result.push_back(dgain);
  if (n.own_inputs() > 2 && n.inputs[2] != kNoValue) {
    MNN_ASSIGN_OR_RETURN(const ValueId dbias, sum_to(b, g, x, n.inputs[2]));
    result.push_back(dbias);
  }
  return result;
}

}  // namespace

Gradients layer_norm_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return layer_back(b, n, dy, true);
}
Gradients rms_norm_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return layer_back(b, n, dy, false);
}

Gradients instance_norm_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const ValueId x = n.inputs[0];
  MNN_ASSIGN_OR_RETURN(const size_t rank, known_rank(b, x));
  std::vector<int64_t> axes;
  for (size_t i = 2; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  const double epsilon = AttributeReader(n, *find_op(n.op)).attr_float("epsilon");
  const Normal m = normalize(b, x, axes, epsilon, true);
  const ValueId gain = per_channel(b, n.inputs[1], rank);
  return std::vector<ValueId>{m.back(m.mul(dy[0], gain), true),
                              per_channel_sum(b, m.mul(dy[0], m.unit), rank),
                              per_channel_sum(b, dy[0], rank)};
}

Gradients batch_norm_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_ASSIGN_OR_RETURN(const ValueId g, only_first(dy));
  const AttributeReader c(n, *find_op(n.op));
  const ValueId x = n.inputs[0];
  MNN_ASSIGN_OR_RETURN(const size_t rank, known_rank(b, x));
  if (rank < 2) return unsupported("its derivative needs an axis of channels");
  const ValueId gain = per_channel(b, n.inputs[1], rank);
  const double epsilon = c.attr_float("epsilon");
  if (c.attr_int("training_mode") != 0) {
    const Normal m = normalize(b, x, but_channels(rank), epsilon, true);
    return std::vector<ValueId>{m.back(m.mul(g, gain), true),
                                per_channel_sum(b, m.mul(g, m.unit), rank),
                                per_channel_sum(b, g, rank), kFlat, kFlat};
  }
  auto mul = [&](ValueId p, ValueId q) { return b.op("Mul", {p, q}); };
  const ValueId root =
      b.op("Sqrt", {b.op("Add", {n.inputs[4], scalar_like(b, n.inputs[4], epsilon)})});
  const ValueId inverse = b.op("Reciprocal", {root});  // per channel
  const ValueId factor = mul(n.inputs[1], inverse);
  const ValueId apart = b.op("Sub", {x, per_channel(b, n.inputs[3], rank)});
  const ValueId sum = per_channel_sum(b, g, rank);
  const ValueId along = per_channel_sum(b, mul(g, apart), rank);
  const ValueId dgain = mul(along, inverse);
  const ValueId half = scalar_like(b, x, -0.5);
  return std::vector<ValueId>{mul(g, per_channel(b, factor, rank)), dgain, sum,
                              b.op("Neg", {mul(sum, factor)}),
                              mul(mul(mul(dgain, n.inputs[1]), mul(inverse, inverse)), half)};
}

namespace {

// x (bias + alpha / size * the sum of squares of neighbouring channels)^-beta
Gradients expand_lrn(Builder& b, const Node& n) {
  const AttributeReader c(n, *find_op("LRN"));
  const ValueId x = n.inputs[0];
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, static_dims(b, x));
  const int64_t size = c.attr_int("size"), before = (size - 1) / 2;
  // The mean over windows of channels, as that of rows of an image.
  const ValueId rows = b.op("Reshape", {b.op("Mul", {x, x}), b.ints({dims[0], 1, dims[1], -1})});
  const ValueId mean = b.op("AveragePool", {rows},
                            {{"kernel_shape", std::vector<int64_t>{size, 1}},
                             {"pads", std::vector<int64_t>{before, 0, size - 1 - before, 0}},
                             {"count_include_pad", int64_t{1}}});
  const ValueId scaled = b.op(
      "Mul", {b.op("Reshape", {mean, b.ints(dims)}), scalar_like(b, x, c.attr_float("alpha"))});
  const ValueId base = b.op("Add", {scaled, scalar_like(b, x, c.attr_float("bias"))});
  const ValueId power = b.op("Pow", {base, scalar_like(b, x, -c.attr_float("beta"))});
  return std::vector<ValueId>{b.op("Mul", {x, power})};
}

Gradients expand_lp_norm(Builder& b, const Node& n) {
  const AttributeReader c(n, *find_op("LpNormalization"));
  const ValueId x = n.inputs[0];
  const ValueId size =
      b.op(c.attr_int("p") == 1 ? "ReduceL1" : "ReduceL2", {x, b.ints({c.attr_int("axis")})});
  const ValueId none = b.op("Equal", {size, scalar_like(b, x, 0.0)});
  const ValueId divisor = b.op("Where", {none, scalar_like(b, x, 1.0), size});
  return std::vector<ValueId>{b.op("Div", {x, divisor})};
}

}  // namespace

Gradients lrn_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return gradient_through(b, n, dy, expand_lrn);
}
Gradients lp_norm_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return gradient_through(b, n, dy, expand_lp_norm);
}

// ---- losses ----

// -weight[label] at each label's score, over the sum of weights for the mean.
Gradients negative_log_likelihood_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const AttributeReader c(n, *find_op(n.op));
  const ValueId scores = n.inputs[0];
  ValueId labels = n.inputs[1];
  MNN_ASSIGN_OR_RETURN(const size_t rank, known_rank(b, scores));
  const Dim& classes = (*b.type(scores).shape)[1];
  if (!classes.known()) return unsupported("its derivative needs a known number of classes");
  const bool weighted = n.own_inputs() > 2 && n.inputs[2] != kNoValue;
  const DType label_type = b.type(labels).dtype;
  const ValueId one = scalar_like(b, scores, 1.0), zero = scalar_like(b, scores, 0.0);
  ValueId weights = kNoValue;  // per label; none: 1
  if (c.has("ignore_index")) {
    const ValueId ignored = b.scalar(static_cast<double>(c.attr_int("ignore_index")), label_type);
    const ValueId skip = b.op("Equal", {labels, ignored});
    labels = b.op("Where", {skip, b.scalar(0.0, label_type), labels});
    weights = b.op("Where", {skip, zero, one});
  }
  if (weighted) {
    const ValueId own = b.op("Gather", {n.inputs[2], labels});
    weights = weights == kNoValue ? own : b.op("Mul", {own, weights});
  }
  const std::string reduction = c.attr_string("reduction");
  ValueId factor = dy[0];
  if (reduction == "mean") {
    ValueId count = kNoValue;
    if (weights != kNoValue) {
      count = b.op("ReduceSum", {weights}, {{"keepdims", int64_t{0}}});
    } else {
      count = b.op("Cast", {b.op("Size", {labels})},
                   {{"to", static_cast<int64_t>(b.type(scores).dtype)}});
    }
    factor = b.op("Div", {factor, count});
  }
  if (weights != kNoValue) factor = b.op("Mul", {factor, weights});
  const bool per_label = weights != kNoValue || reduction == "none";
  if (per_label) factor = b.op("Unsqueeze", {factor, b.ints({1})});
  // The classes along axis 1, compared with each label.
  std::vector<int64_t> column(rank - 1, 1);
  column[0] = classes.value();
  MNN_ASSIGN_OR_RETURN(Tensor index, Tensor::allocate(label_type, column));
  dispatch_integer(label_type, [&]<typename T>() {
    for (int64_t i = 0; i < classes.value(); ++i) index.data<T>()[i] = static_cast<T>(i);
  });
  const ValueId hit =
      b.op("Equal", {b.op("Unsqueeze", {labels, b.ints({1})}), b.constant(std::move(index))});
  std::vector<ValueId> result(n.own_inputs(), kNoValue);
  result[0] = b.op("Where", {hit, b.op("Neg", {factor}), zero});
  return result;
}

}  // namespace mnn
