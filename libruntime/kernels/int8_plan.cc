#include "libruntime/kernels/int8_plan.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "libruntime/kernels/byte_pairs.h"

namespace mnn {
namespace {

constexpr int64_t kMostSumBytes = int64_t{1} << 30;
constexpr int64_t kMostWindowBytes = int64_t{1} << 28;

std::optional<std::string> sum_too_long(int64_t depth) {
  constexpr int64_t kMostProducts = 65793;  // times 255 times 128 stays below 2^31
  if (depth <= kMostProducts) return std::nullopt;
  return "int8 product over " + std::to_string(depth) + " inputs, at most " +
         std::to_string(kMostProducts);
}

bool is_clamp(const PostOp& op) { return op.kind <= Activation::kClip; }

// Magnitudes that outputs stay below.
float reach(const ConvGeometry& g, const ConvQuant& quant, const float* bias, int64_t depth) {
  float in_scale = quant.in.scale, scale = 0, offset = 0;
  if (quant.in_scales)
    for (int64_t c = 0; c < g.ic; ++c) in_scale = std::max(in_scale, quant.in_scales[c]);
  for (int64_t o = 0; o < g.oc; ++o) {
    scale = std::max(scale, quant.weight_scales[o]);
    if (bias && !(std::fabs(bias[o]) <= offset)) offset = std::fabs(bias[o]);
  }
  return static_cast<float>(depth * 255 * 128) * in_scale * scale + offset;
}

// The clamp of an epilogue that has at most one: behind the residual, or in front of it.
const PostOp& clamp_of(const Int8Post& post) {
  return post.before.kind == Activation::kNone ? post.after : post.before;
}

// `reach`: what v stays below before the residual. `saturates`: bytes end where the clamp does.
// There is no residual of floats; one of bytes goes with kClamp, kClampFirst and kSwish only.
PlainPost plain_form(const Int8Post& post, float reach, float inverse, bool saturates) {
  const bool affine = post.factor != 1 || post.offset != 0;
  const bool residual = post.residual != ByteOrFloat::kNone;
  if (residual) reach += 255 * post.r_scale;
  if (clamp_of(post).kind == Activation::kClip)
    reach += std::max(post.low, 0.0f) + std::max(-post.high, 0.0f);
  reach = reach * std::fabs(post.factor) + std::fabs(post.offset);
  // Must round to an int32 with room for the zero point.
  if (!(reach * inverse < 1e9f)) return PlainPost::kNone;
  if (!affine &&
      (residual ? post.before.kind == Activation::kSwish && post.after.kind == Activation::kNone
                : post.after.kind == Activation::kSwish))
    return PlainPost::kSwish;
  if (post.after.kind == Activation::kHardSwish && !residual)
    return affine ? PlainPost::kAffineHardSwish : PlainPost::kHardSwish;
  if (!is_clamp(post.before) || !is_clamp(post.after) || affine) return PlainPost::kNone;
  if (post.before.kind != Activation::kNone)
    return residual && post.after.kind == Activation::kNone ? PlainPost::kClampFirst
                                                            : PlainPost::kNone;
  return saturates && !residual ? PlainPost::kSaturate : PlainPost::kClamp;
}

}  // namespace

Status check_grid(const char* what, const QuantU8& grid) {
  if (!(grid.scale > 0) || !std::isfinite(grid.scale))
    return invalid(std::string(what) + " scale must be positive, found " +
                   std::to_string(grid.scale));
  if (grid.zero_point < 0 || grid.zero_point > 255)
    return invalid(std::string(what) + " zero point must be a byte, found " +
                   std::to_string(grid.zero_point));
  return {};
}

QuantU8 output_grid(const ConvQuant& quant, int64_t channel) {
  QuantU8 grid = *quant.out;
  if (quant.out_scales) grid.scale = quant.out_scales[channel];
  if (quant.out_zero_points) grid.zero_point = quant.out_zero_points[channel];
  return grid;
}

Int8Columns::Int8Columns(int64_t columns, bool y_per_channel) : scale(columns), bias(columns) {
  if (!y_per_channel) return;
  y_inverse = AlignedBuffer<float>(columns);
  y_zero = AlignedBuffer<int32_t>(columns);
}

void Int8Columns::set(int64_t at, const ConvQuant& quant, float in_scale, const float* b,
                      int64_t o) {
  scale[at] = in_scale * quant.weight_scales[o];
  if (b) bias[at] = b[o];
  if (y_inverse.size() == 0) return;
  const QuantU8 grid = output_grid(quant, o);
  y_inverse[at] = 1.0f / grid.scale;
  y_zero[at] = grid.zero_point;
}

Status Int8Kernel::keep_columns(WeightsCache* cache, const Int8Columns& made) {
  MNN_ASSIGN_OR_RETURN(scale_, keep(cache, made.scale));
  MNN_ASSIGN_OR_RETURN(bias_, keep(cache, made.bias));
  if (made.y_inverse.size() == 0) return {};
  MNN_ASSIGN_OR_RETURN(y_inverse_, keep(cache, made.y_inverse));
  MNN_ASSIGN_OR_RETURN(y_zero_, keep(cache, made.y_zero));
  return {};
}

std::optional<std::string> why_not_int8(const ConvGeometry& g, bool transposed) {
  if (g.deep()) return "convolution of bytes in three dimensions";
  if (transposed) {
    if (g.groups != 1) return "transposed int8 convolution with groups";
    int64_t row = g.iw * 4;
    if (!checked_mul(&row, g.kh * g.kw) || !checked_mul(&row, g.oc + 64) ||
        !checked_mul(&row, (g.kh - 1) * g.dilation_h / g.stride_h + 1) || row > kMostSumBytes)
      return "transposed int8 convolution with rows of more than 1 GiB of sums";
  }
  if (auto why = sum_too_long(g.ic / g.groups * g.kh * g.kw)) return why;
  if (transposed || (g.groups > 1 && g.groups == g.ic)) return std::nullopt;
  // The rows under a kernel, as int16.
  const bool row_alone = g.kh == 1 && g.stride_h == 1;
  int64_t window = row_alone && g.kw == 1 && g.stride_w == 1
                       ? 1
                       : (g.ow - 1) * g.stride_w + (g.kw - 1) * g.dilation_w + 1;
  if (!checked_mul(&window, g.ic * 2) ||
      !checked_mul(&window, std::max((g.kh - 1) * g.dilation_h + 1, g.stride_h)) ||
      window > kMostWindowBytes)
    return "int8 convolution whose window covers more than 256 MiB of input";
  return std::nullopt;
}

Result<Int8Epilogue> plan_int8(const ConvGeometry& g, const float* bias, const ConvQuant& quant,
                               const Epilogue& epilogue, int64_t depth) {
  if (const auto why = sum_too_long(depth)) return unsupported(*why);
  if ((quant.in_scales || quant.in_zero_points) && (g.groups != g.ic || g.groups == 1))
    return invalid("input scales per channel need a depthwise convolution");
  for (int64_t c = 0; c < g.ic; ++c) {
    MNN_RETURN_IF_ERROR(check_grid(
        "input", {quant.in_scales ? quant.in_scales[c] : quant.in.scale,
                  quant.in_zero_points ? quant.in_zero_points[c] : quant.in.zero_point}));
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
      MNN_RETURN_IF_ERROR(check_grid("residual", quant.residual));
      post.residual = ByteOrFloat::kByte;
      post.r_scale = quant.residual.scale;
      post.r_zero = quant.residual.zero_point;
    } else {
      post.residual = ByteOrFloat::kFloat;
    }
  }
  e.residual_bytes = post.residual == ByteOrFloat::kFloat ? 4 : 1;
  if (!quant.out && (epilogue.factor != 1 || epilogue.offset != 0))
    return unsupported("a factor and an offset need byte outputs");
  if (!quant.out) {
    post.output = ByteOrFloat::kFloat;
    e.y_bytes = 4;
    return e;
  }
  e.y_bytes = 1;
  e.y_per_channel = quant.out_scales || quant.out_zero_points;
  post.y_inverse = 1.0f / quant.out->scale;
  post.y_zero = quant.out->zero_point;
  post.factor = epilogue.factor;
  post.offset = epilogue.offset;
  const PostOp& clamp = clamp_of(post);
  post.low = clamp.kind == Activation::kRelu ? 0.0f : -__builtin_inff();
  post.high = __builtin_inff();
  if (clamp.kind == Activation::kClip) {
    post.low = clamp.a;
    post.high = clamp.b;
  }
  float largest_inverse = 0;
  bool saturates = true;  // on every grid
  for (int64_t o = 0; o < (e.y_per_channel ? g.oc : 1); ++o) {
    const QuantU8 grid = output_grid(quant, o);
    MNN_RETURN_IF_ERROR(check_grid("output", grid));
    const float inverse = 1.0f / grid.scale, zero = static_cast<float>(grid.zero_point);
    if (!std::isfinite(inverse)) return invalid("output scale is too small");
    largest_inverse = std::max(largest_inverse, inverse);
    saturates = saturates && std::nearbyintf(post.low * inverse) + zero <= 0 &&
                std::nearbyintf(post.high * inverse) + zero >= 255;
  }
  if (post.residual != ByteOrFloat::kFloat)
    post.plain = plain_form(post, reach(g, quant, bias, depth), largest_inverse, saturates);
  return e;
}

bool fit_in_pairs(const ConvGeometry& g, const int8_t* weights) {
  const WeightRuns runs = weight_runs(g);
  for (int64_t o = 0; o < g.oc; ++o)
    if (largest_byte_pair(runs, weights + o * runs.inputs * runs.taps) > kLargestBytePair)
      return false;
  return true;
}

}  // namespace mnn
