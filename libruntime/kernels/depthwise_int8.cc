// Depthwise int8 convolution. Inputs stay bytes; what the zero points add is taken off by the start
// value of each sum, and pixels outside the input read as zero points. With a channel multiplier
// the input rows are first widened, each channel repeated.
#include <algorithm>

#include "libruntime/kernels/int8_plan.h"

namespace mnn {
namespace {

constexpr int64_t kBlock = 16;              // channels of a tile
constexpr int64_t kLine = 64;               // bytes of a cache line: channels that go together
constexpr int64_t kBlockBytes = 64 * 1024;  // input of the rows that are worked on together

class DepthwiseConvInt8 final : public MatrixKernel {
 public:
  DepthwiseConvInt8(const ConvGeometry& g, const int8_t* weights, const float* bias,
                    const ConvQuant& quant, const Int8Epilogue& epilogue, const KernelTable& table,
                    int threads)
      : g_(g), table_(table), epilogue_(epilogue) {
    name_ = std::string("conv_int8_depthwise_") + table.isa;
    multiplier_ = g.oc / g.ic;
    const int64_t channels = round_up(g.oc, kLine), pairs = ceil_div(g.kh, 2);
    block_weights_ = g.kw * pairs * kBlock * 2;
    packed_ = AlignedBuffer<int16_t>(channels / kBlock * block_weights_);
    start_ = AlignedBuffer<int32_t>(channels);
    scale_ = AlignedBuffer<float>(channels);
    bias_ = AlignedBuffer<float>(channels);
    pads_ = AlignedBuffer<uint8_t>(channels);
    if (epilogue.y_per_channel) y_grids_.allocate(channels);
    for (int64_t c = 0; c < g.oc; ++c) {
      const int64_t in = c / multiplier_;
      const int zero = quant.in_zero_points ? quant.in_zero_points[in] : quant.in.zero_point;
      int16_t* block = packed_.data() + c / kBlock * block_weights_;
      int32_t sum = 0;
      for (int64_t ky = 0; ky < g.kh; ++ky)
        for (int64_t kx = 0; kx < g.kw; ++kx) {
          const int8_t w = weights[(c * g.kh + ky) * g.kw + kx];
          block[((kx * pairs + ky / 2) * kBlock + c % kBlock) * 2 + ky % 2] = w;
          sum += w;
        }
      start_[c] = -sum * zero;
      scale_[c] = (quant.in_scales ? quant.in_scales[in] : quant.in.scale) * quant.weight_scales[c];
      if (bias) bias_[c] = bias[c];
      if (epilogue.y_per_channel) y_grids_.set(c, output_grid(quant, c));
      pads_[c] = static_cast<uint8_t>(zero);
    }
    const int64_t rows = g.n * g.oh;
    const Split split = split_work(rows >= 12 ? rows * 6 : 1, rows >= 12 ? 1 : channels / kLine,
                                   rows * g.ow * g.oc * g.kh * g.kw / 2, threads);
    parts_ = split.parts();
    by_rows_ = split.rows > 1;
    const int64_t row_bytes = g.iw * g.oc * g.stride_h;
    row_block_ = std::clamp<int64_t>(kBlockBytes / row_bytes, 4, g.oh);
    input_rows_ = (row_block_ - 1) * g.stride_h + (g.kh - 1) * g.dilation_h + 1;
    part_scratch_ = multiplier_ > 1 ? round_up(input_rows_ * g.iw * g.oc, 64) : 0;
  }

  const char* name() const override { return name_.c_str(); }
  int64_t packed_bytes() const override {
    return packed_.bytes() + start_.bytes() + scale_.bytes() + bias_.bytes() + pads_.bytes() +
           y_grids_.bytes();
  }
  int64_t scratch_bytes() const override { return part_scratch_ * parts_; }
  int parts() const override { return parts_; }

  void run(int, int part, const KernelArgs& args) const override {
    const Range rows = by_rows_ ? piece(g_.n * g_.oh, parts_, part) : Range{0, g_.n * g_.oh};
    const Range channels = by_rows_ ? Range{0, g_.oc} : piece(g_.oc, parts_, part, kLine);
    if (channels.size() == 0) return;
    auto* wide = reinterpret_cast<uint8_t*>(args.scratch + part * part_scratch_);

    DepthwiseInt8 d;
    d.iw = g_.iw;
    d.ow = g_.ow;
    d.kh = g_.kh;
    d.kw = g_.kw;
    d.stride_h = g_.stride_h;
    d.stride_w = g_.stride_w;
    d.dilation_h = g_.dilation_h;
    d.dilation_w = g_.dilation_w;
    d.pad_top = g_.pad_top;
    d.pad_left = g_.pad_left;
    d.x_stride = multiplier_ > 1 ? g_.oc : g_.x_pixel_stride;
    d.x_row_stride = g_.iw * d.x_stride;
    d.y_stride = g_.y_pixel_stride;
    d.y_row_stride = g_.ow * d.y_stride;
    d.pads = pads_.data() + channels.begin;
    d.w = packed_.data() + channels.begin / kBlock * block_weights_;
    d.start = start_.data() + channels.begin;
    d.scale = scale_.data() + channels.begin;
    d.bias = bias_.data() + channels.begin;
    d.y_inverse = y_grids_.inverse(channels.begin);
    d.y_zero = y_grids_.zero(channels.begin);
    d.post = &epilogue_.post;
    d.channels = channels.size();
    for (int64_t row = rows.begin; row < rows.end;) {
      const int64_t image = row / g_.oh;
      d.oy_begin = row % g_.oh;
      const int64_t left = std::min(rows.end - row, g_.oh - d.oy_begin);
      const int64_t count = piece(left, ceil_div(left, row_block_), 0).size();
      d.oy_end = d.oy_begin + count;
      const int64_t top = d.oy_begin * g_.stride_h - g_.pad_top;
      d.iy_begin = std::clamp<int64_t>(top, 0, g_.ih);
      d.iy_end = std::clamp<int64_t>(
          top + (count - 1) * g_.stride_h + (g_.kh - 1) * g_.dilation_h + 1, d.iy_begin, g_.ih);
      const auto* x =
          static_cast<const uint8_t*>(args.x) + image * g_.ih * g_.iw * g_.x_pixel_stride;
      if (multiplier_ > 1) {
        widen(x + d.iy_begin * g_.iw * g_.x_pixel_stride, (d.iy_end - d.iy_begin) * g_.iw, wide);
        d.x = wide - d.iy_begin * d.x_row_stride + channels.begin;
      } else {
        d.x = x + channels.begin;
      }
      const int64_t at = row * d.y_row_stride + channels.begin;
      d.y = static_cast<std::byte*>(args.y) + at * epilogue_.y_bytes;
      if (epilogue_.post.residual != ByteOrFloat::kNone)
        d.residual = static_cast<const std::byte*>(args.residual) + at * epilogue_.residual_bytes;
      table_.depthwise_int8(d);
      if (epilogue_.pass.kind != Activation::kNone)
        finish(static_cast<float*>(d.y), count * g_.ow, channels.size());
      row += count;
    }
  }

 private:
  void widen(const uint8_t* x, int64_t pixels, uint8_t* wide) const {
    for (int64_t i = 0; i < pixels; ++i, x += g_.x_pixel_stride)
      for (int64_t c = 0; c < g_.ic; ++c)
        for (int64_t j = 0; j < multiplier_; ++j) *wide++ = x[c];
  }

  void finish(float* y, int64_t pixels, int64_t channels) const {
    const PostOp& op = epilogue_.pass;
    for (int64_t i = 0; i < pixels; ++i, y += g_.y_pixel_stride)
      table_.activation_f32[static_cast<int>(op.kind)](y, y, channels, op.a, op.b);
  }

  ConvGeometry g_;
  const KernelTable& table_;
  Int8Epilogue epilogue_;
  std::string name_;
  int64_t multiplier_ = 1, block_weights_ = 0, row_block_ = 1, input_rows_ = 0, part_scratch_ = 0;
  int parts_ = 1;
  bool by_rows_ = false;
  AlignedBuffer<int16_t> packed_;
  AlignedBuffer<int32_t> start_;
  AlignedBuffer<float> scale_, bias_;
  AlignedBuffer<uint8_t> pads_;
  ChannelGrids y_grids_;
};

}  // namespace

Result<MatrixKernelPtr> make_depthwise_int8(const ConvGeometry& g, const int8_t* weights,
                                            const float* bias, const ConvQuant& quant,
                                            const Int8Epilogue& epilogue, const KernelTable& table,
                                            int threads) {
  return MatrixKernelPtr(
      std::make_unique<DepthwiseConvInt8>(g, weights, bias, quant, epilogue, table, threads));
}

}  // namespace mnn
