// Depthwise int8 convolution. Inputs stay bytes; what the zero points add is taken off by the start
// value of each sum, and pixels outside the input read as zero points. With a channel multiplier
// the input rows are first widened, each channel repeated.
#include <algorithm>

#include "libruntime/kernels/int8_plan.h"

namespace mnn {
namespace {

constexpr int64_t kBlock = 16;  // channels of a tile
constexpr int64_t kLine = 64;   // bytes of a cache line: channels that go together

class DepthwiseInt8 final : public MatrixKernel {
 public:
  DepthwiseInt8(const ConvGeometry& g, const int8_t* weights, const float* bias,
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
      pads_[c] = static_cast<uint8_t>(zero);
    }
    const int64_t rows = g.n * g.oh;
    const Split split = split_work(rows >= 12 ? rows * 6 : 1, rows >= 12 ? 1 : channels / kLine,
                                   rows * g.ow * g.oc * g.kh * g.kw / 2, threads);
    parts_ = split.parts();
    by_rows_ = split.rows > 1;
    widened_ = multiplier_ > 1 ? round_up(g.iw * g.oc, 64) : 0;
    row_bytes_ = round_up(g.kh * 8, 64);
    part_scratch_ = row_bytes_ + g.kh * widened_;
  }

  const char* name() const override { return name_.c_str(); }
  int64_t packed_bytes() const override {
    return packed_.bytes() + start_.bytes() + scale_.bytes() + bias_.bytes() + pads_.bytes();
  }
  int64_t scratch_bytes() const override { return part_scratch_ * parts_; }
  int parts() const override { return parts_; }

  void run(int, int part, const KernelArgs& args) const override {
    const Range rows = by_rows_ ? piece(g_.n * g_.oh, parts_, part) : Range{0, g_.n * g_.oh};
    const Range channels = by_rows_ ? Range{0, g_.oc} : piece(g_.oc, parts_, part, kLine);
    if (channels.size() == 0) return;
    std::byte* scratch = args.scratch + part * part_scratch_;
    const auto** row = reinterpret_cast<const uint8_t**>(scratch);

    DepthwiseRowInt8 d;
    d.row = row;
    d.iw = g_.iw;
    d.ow = g_.ow;
    d.kh = g_.kh;
    d.kw = g_.kw;
    d.stride = g_.stride_w;
    d.dilation = g_.dilation_w;
    d.pad = g_.pad_left;
    d.x_stride = multiplier_ > 1 ? g_.oc : g_.x_pixel_stride;
    d.y_stride = g_.y_pixel_stride;
    d.pads = pads_.data() + channels.begin;
    d.w = packed_.data() + channels.begin / kBlock * block_weights_;
    d.start = start_.data() + channels.begin;
    d.scale = scale_.data() + channels.begin;
    d.bias = bias_.data() + channels.begin;
    d.post = &epilogue_.post;
    d.channels = channels.size();
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const int64_t n = r / g_.oh, oy = r % g_.oh;
      for (int64_t k = 0; k < g_.kh; ++k) {
        const int64_t iy = oy * g_.stride_h - g_.pad_top + k * g_.dilation_h;
        row[k] = nullptr;
        if (iy < 0 || iy >= g_.ih) continue;
        const auto* x =
            static_cast<const uint8_t*>(args.x) + (n * g_.ih + iy) * g_.iw * g_.x_pixel_stride;
        if (multiplier_ > 1) {
          auto* wide = reinterpret_cast<uint8_t*>(scratch + row_bytes_ + k * widened_);
          widen(x, wide);
          x = wide;
        }
        row[k] = x + channels.begin;
      }
      const int64_t at = r * g_.ow * g_.y_pixel_stride + channels.begin;
      d.y = static_cast<std::byte*>(args.y) + at * epilogue_.y_bytes;
      if (epilogue_.post.residual != ByteOrFloat::kNone)
        d.residual = static_cast<const std::byte*>(args.residual) + at * epilogue_.residual_bytes;
      table_.depthwise_row_int8(d);
      if (epilogue_.pass.kind != Activation::kNone)
        finish(static_cast<float*>(d.y), channels.size());
    }
  }

 private:
  void widen(const uint8_t* x, uint8_t* wide) const {
    for (int64_t ix = 0; ix < g_.iw; ++ix, x += g_.x_pixel_stride)
      for (int64_t c = 0; c < g_.ic; ++c)
        for (int64_t j = 0; j < multiplier_; ++j) *wide++ = x[c];
  }

  void finish(float* y, int64_t channels) const {
    const PostOp& op = epilogue_.pass;
    for (int64_t x = 0; x < g_.ow; ++x, y += g_.y_pixel_stride)
      table_.activation_f32[static_cast<int>(op.kind)](y, y, channels, op.a, op.b);
  }

  ConvGeometry g_;
  const KernelTable& table_;
  Int8Epilogue epilogue_;
  std::string name_;
  int64_t multiplier_ = 1, block_weights_ = 0, widened_ = 0, row_bytes_ = 0, part_scratch_ = 0;
  int parts_ = 1;
  bool by_rows_ = false;
  AlignedBuffer<int16_t> packed_;
  AlignedBuffer<int32_t> start_;
  AlignedBuffer<float> scale_, bias_;
  AlignedBuffer<uint8_t> pads_;
};

}  // namespace

Result<MatrixKernelPtr> make_depthwise_int8(const ConvGeometry& g, const int8_t* weights,
                                            const float* bias, const ConvQuant& quant,
                                            const Int8Epilogue& epilogue, const KernelTable& table,
                                            int threads) {
  return MatrixKernelPtr(
      std::make_unique<DepthwiseInt8>(g, weights, bias, quant, epilogue, table, threads));
}

}  // namespace mnn
