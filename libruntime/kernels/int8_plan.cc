#include "libruntime/kernels/int8_plan.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace mnn {
namespace {

Status check_quant(const char* what, float scale, int zero_point) {
  if (!(scale > 0) || !std::isfinite(scale))
    return invalid(std::string(what) + " scale must be positive, found " + std::to_string(scale));
  if (zero_point < 0 || zero_point > 255)
    return invalid(std::string(what) + " zero point must be a byte, found " +
                   std::to_string(zero_point));
  return {};
}

bool is_simple(const PostOp& op) { return op.kind <= Activation::kHardSwish; }

bool is_clamp(const PostOp& op) { return op.kind <= Activation::kClip; }

}  // namespace

QuantU8 output_grid(const ConvQuant& quant, int64_t channel) {
  QuantU8 grid = *quant.out;
  if (quant.out_scales) grid.scale = quant.out_scales[channel];
  if (quant.out_zero_points) grid.zero_point = quant.out_zero_points[channel];
  return grid;
}

void ChannelGrids::allocate(int64_t channels) {
  inverse_ = AlignedBuffer<float>(channels);
  zero_ = AlignedBuffer<int32_t>(channels);
}

void ChannelGrids::set(int64_t at, const QuantU8& grid) {
  inverse_[at] = 1.0f / grid.scale;
  zero_[at] = grid.zero_point;
}

Result<Int8Epilogue> plan_int8(const ConvGeometry& g, const ConvQuant& quant,
                               const Epilogue& epilogue, int64_t depth) {
  constexpr int64_t kMostProducts = 65793;  // times 255 times 128 stays below 2^31
  if (depth > kMostProducts)
    return unsupported("int8 product over " + std::to_string(depth) + " inputs, at most " +
                       std::to_string(kMostProducts));
  if ((quant.in_scales || quant.in_zero_points) && (g.groups != g.ic || g.groups == 1))
    return invalid("input scales per channel need a depthwise convolution");
  for (int64_t c = 0; c < g.ic; ++c) {
    MNN_RETURN_IF_ERROR(
        check_quant("input", quant.in_scales ? quant.in_scales[c] : quant.in.scale,
                    quant.in_zero_points ? quant.in_zero_points[c] : quant.in.zero_point));
    if (!quant.in_scales && !quant.in_zero_points) break;
  }
  for (int64_t o = 0; o < g.oc; ++o)
    if (!std::isfinite(quant.weight_scales[o]) || quant.weight_scales[o] < 0)
      return invalid("weight scale must be finite, found " +
                     std::to_string(quant.weight_scales[o]));

  Int8Epilogue e;
  Int8Post& post = e.post;
  post.before = epilogue.before;
  post.after = epilogue.after;
  if (!epilogue.residual && post.after.kind == Activation::kNone)
    std::swap(post.before, post.after);
  if (epilogue.residual) {
    if (quant.residual_type == ResidualType::kU8) {
      MNN_RETURN_IF_ERROR(check_quant("residual", quant.residual.scale, quant.residual.zero_point));
      post.residual = ByteOrFloat::kByte;
      post.r_scale = quant.residual.scale;
      post.r_zero = quant.residual.zero_point;
    } else {
      post.residual = ByteOrFloat::kFloat;
    }
  }
  e.residual_bytes = post.residual == ByteOrFloat::kFloat ? 4 : 1;
  if (!is_simple(post.before) || (quant.out && !is_simple(post.after)))
    return unsupported("int8 kernels apply only activations without transcendental functions");
  if (!quant.out && (epilogue.factor != 1 || epilogue.offset != 0))
    return unsupported("a factor and an offset need byte outputs");
  if (!quant.out) {
    post.output = ByteOrFloat::kFloat;
    e.y_bytes = 4;
    if (!is_simple(post.after)) std::swap(e.pass, post.after);
    return e;
  }
  const bool per_channel = quant.out_scales || quant.out_zero_points;
  for (int64_t o = 0; o < (per_channel ? g.oc : 1); ++o) {
    const QuantU8 grid = output_grid(quant, o);
    MNN_RETURN_IF_ERROR(check_quant("output", grid.scale, grid.zero_point));
    if (!std::isfinite(1.0f / grid.scale)) return invalid("output scale is too small");
  }
  e.y_bytes = 1;
  e.y_per_channel = per_channel;
  post.y_inverse = 1.0f / quant.out->scale;
  post.y_zero = quant.out->zero_point;
  post.factor = epilogue.factor;
  post.offset = epilogue.offset;
  post.clamp_only = post.before.kind == Activation::kNone && is_clamp(post.after) &&
                    post.residual == ByteOrFloat::kNone && post.factor == 1 && post.offset == 0 &&
                    !per_channel;
  const auto least = static_cast<float>(-post.y_zero);
  const auto most = static_cast<float>(255 - post.y_zero);
  post.low = least;
  post.high = most;
  if (post.after.kind == Activation::kRelu) post.low = std::max(least, 0.0f);
  if (post.after.kind == Activation::kClip) {
    post.low = std::clamp(post.after.a * post.y_inverse, least, most);
    post.high = std::clamp(post.after.b * post.y_inverse, least, most);
  }
  return e;
}

}  // namespace mnn
