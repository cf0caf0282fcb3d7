// The derivatives that rows of the op table carry, and what they are written with. They read the
// types of the node's own values: those of a sorted graph with inferred types.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "libruntime/core/builder.h"
#include "libruntime/core/op.h"

namespace mnn {

using Gradients = Result<std::vector<ValueId>>;
using Gradient = Gradients(Builder& b, const Node& node, std::span<const ValueId> dy);

// For an input on which the outputs depend in no smooth way, or not at all: the derivative is zero.
// kNoValue says that none is written, which is an error where it is wanted.
inline constexpr ValueId kFlat = -2;

// A row with its derivative.
inline OpDef with_gradient(GradientFn gradient, OpDef row) {
  row.gradient = gradient;
  return row;
}

// ---- what they are written with ----

// A scalar of the type of `like`.
ValueId scalar_like(Builder& b, ValueId like, double value);
// `v` under the dims of `like`, which has as many elements.
ValueId reshape_like(Builder& b, ValueId v, ValueId like);
// Zeros of the type and dims of `like`.
ValueId zeros_like(Builder& b, ValueId like);
// `g` has the shape of `of`, to which `to` broadcasts: its sums along what was broadcast, of the
// shape of `to`. Fails where the shapes do not tell which axes those are.
Result<ValueId> sum_to(Builder& b, ValueId g, ValueId of, ValueId to);
// The dims of a value; an error that names what is open where they are not static.
Result<std::vector<int64_t>> static_dims(const Builder& b, ValueId v);
Result<size_t> known_rank(const Builder& b, ValueId v);
// The elements of an integer input that must be constant; empty for an absent one.
Result<std::vector<int64_t>> constant_ints(const Builder& b, const Node& node, size_t input,
                                           std::string_view what);
ValueId transpose(Builder& b, ValueId v, std::vector<int64_t> perm);
// `v` summed over axes, which stay as 1.
ValueId sum_over(Builder& b, ValueId v, const std::vector<int64_t>& axes);
ValueId mean_over(Builder& b, ValueId v, const std::vector<int64_t>& axes);
// For a linear map y = x M along one axis, M [in, out]: dy M^T along it. `rank` is that of dy.
ValueId apply_transposed(Builder& b, ValueId dy, ValueId matrix, size_t axis, size_t rank);
inline bool has_gradient(std::span<const ValueId> dy, size_t i) {
  return i < dy.size() && dy[i] != kNoValue;
}
// The derivative of the first output, when the others have none; an error that names them.
Result<ValueId> only_first(std::span<const ValueId> dy);

// ---- elementwise ----

Gradient zero_gradient;  // of what is flat wherever it is smooth
Gradient identity_gradient;
Gradient abs_gradient, neg_gradient, reciprocal_gradient, sqrt_gradient, exp_gradient, log_gradient,
    sin_gradient, cos_gradient, tan_gradient, asin_gradient, acos_gradient, atan_gradient,
    sinh_gradient, cosh_gradient, tanh_gradient, asinh_gradient, acosh_gradient, atanh_gradient,
    erf_gradient;
Gradient relu_gradient, leaky_relu_gradient, prelu_gradient, elu_gradient, selu_gradient,
    celu_gradient, sigmoid_gradient, hard_sigmoid_gradient, hard_swish_gradient, softplus_gradient,
    softsign_gradient, thresholded_relu_gradient, gelu_gradient, mish_gradient, swish_gradient,
    shrink_gradient, clip_gradient, dropout_gradient;
Gradient add_gradient, sub_gradient, mul_gradient, div_gradient, mod_gradient, pow_gradient,
    extreme_gradient, sum_gradient, mean_gradient, where_gradient, cast_gradient;

// ---- reductions, products, normalizations ----

Gradient reduce_sum_gradient, reduce_mean_gradient, reduce_prod_gradient, reduce_extreme_gradient,
    reduce_l1_gradient, reduce_l2_gradient, reduce_sum_square_gradient, reduce_log_sum_gradient,
    reduce_log_sum_exp_gradient, softmax_gradient, log_softmax_gradient, cum_sum_gradient;
Gradient global_average_gradient, global_max_gradient, global_lp_gradient;
Gradient matmul_gradient, gemm_gradient;
Gradient batch_norm_gradient, instance_norm_gradient, layer_norm_gradient, rms_norm_gradient,
    lrn_gradient, lp_norm_gradient;
Gradient negative_log_likelihood_gradient;

// ---- windows ----

Gradient conv_gradient, conv_transpose_gradient, max_pool_gradient, average_pool_gradient,
    resize_gradient;

// ---- moved elements ----

Gradient view_gradient, transpose_gradient, concat_gradient, split_gradient, expand_gradient,
    tile_gradient, slice_gradient, pad_gradient, gather_gradient, gather_elements_gradient,
    gather_nd_gradient, scatter_elements_gradient, scatter_nd_gradient, depth_to_space_gradient,
    space_to_depth_gradient, trilu_gradient, reverse_sequence_gradient, top_k_gradient;

// ---- attention, recurrences ----

Gradient attention_gradient, rotary_gradient, recurrent_gradient;

}  // namespace mnn
