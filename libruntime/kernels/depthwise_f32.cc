// Depthwise fp32 convolution. With a channel multiplier the input rows are first widened, each
// channel repeated, so that every output channel has an input channel of its own.
#include <algorithm>

#include "libruntime/kernels/direct_f32.h"

namespace mnn {
namespace {

constexpr int64_t kChannelGrain = 16;  // a cache line

class DepthwiseF32 final : public MatrixKernel {
 public:
  DepthwiseF32(const ConvGeometry& g, const float* weights, const float* bias,
               const Epilogue& epilogue, const KernelTable& table, int threads)
      : g_(g), table_(table), epilogue_(epilogue), post_(plan_epilogue(epilogue)) {
    name_ = std::string("conv_f32_depthwise_") + table.isa;
    multiplier_ = g.oc / g.ic;
    const int64_t area = g.kh * g.kw;
    const int64_t channels = round_up(g.oc, std::max<int64_t>(kChannelGrain, table.lanes));
    packed_ = AlignedBuffer<float>(channels * area);
    bias_ = AlignedBuffer<float>(channels);
    for (int64_t c = 0; c < g.oc; ++c) {
      const int64_t block = c / table.lanes, lane = c % table.lanes;
      for (int64_t tap = 0; tap < area; ++tap)
        packed_[(block * area + tap) * table.lanes + lane] = weights[c * area + tap];
      if (bias) bias_[c] = bias[c];
    }
    const int64_t rows = g.n * g.oh;
    const Split split =
        split_work(rows >= 12 ? rows * 6 : 1, rows >= 12 ? 1 : ceil_div(g.oc, kChannelGrain),
                   rows * g.ow * g.oc * area, threads);
    parts_ = split.parts();
    by_rows_ = split.rows > 1;
    widened_ = multiplier_ > 1 ? round_up(g.iw * g.oc * 4, 64) : 0;
    part_scratch_ = round_up(g.kh * 16, 64) + g.kh * widened_;
  }

  const char* name() const override { return name_.c_str(); }
  int64_t packed_bytes() const override { return packed_.bytes() + bias_.bytes(); }
  int64_t scratch_bytes() const override { return part_scratch_ * parts_; }
  int parts() const override { return parts_; }

  void run(int, int part, const KernelArgs& args) const override {
    const Range rows = by_rows_ ? piece(g_.n * g_.oh, parts_, part) : Range{0, g_.n * g_.oh};
    const Range channels = by_rows_ ? Range{0, g_.oc} : piece(g_.oc, parts_, part, kChannelGrain);
    if (channels.size() == 0) return;
    std::byte* scratch = args.scratch + part * part_scratch_;
    const auto** row = reinterpret_cast<const float**>(scratch);
    auto* ky = reinterpret_cast<int64_t*>(scratch + g_.kh * 8);

    DepthwiseRowF32 d;
    d.row = row;
    d.ky = ky;
    d.iw = g_.iw;
    d.ow = g_.ow;
    d.kh = g_.kh;
    d.kw = g_.kw;
    d.stride = g_.stride_w;
    d.dilation = g_.dilation_w;
    d.pad = g_.pad_left;
    d.x_stride = multiplier_ > 1 ? g_.oc : g_.x_pixel_stride;
    d.y_stride = g_.y_pixel_stride;
    d.w = packed_.data() + channels.begin * g_.kh * g_.kw;
    d.bias = bias_.data() + channels.begin;
    d.channels = channels.size();
    d.low = post_.low;
    d.high = post_.high;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const int64_t n = r / g_.oh, oy = r % g_.oh;
      d.rows = 0;
      for (int64_t k = 0; k < g_.kh; ++k) {
        const int64_t iy = oy * g_.stride_h - g_.pad_top + k * g_.dilation_h;
        if (iy < 0 || iy >= g_.ih) continue;
        const float* x =
            static_cast<const float*>(args.x) + (n * g_.ih + iy) * g_.iw * g_.x_pixel_stride;
        if (multiplier_ > 1) {
          auto* wide = reinterpret_cast<float*>(scratch + round_up(g_.kh * 16, 64) + k * widened_);
          widen(x, wide);
          x = wide;
        }
        row[d.rows] = x + channels.begin;
        ky[d.rows++] = k;
      }
      const int64_t at = r * g_.ow * g_.y_pixel_stride + channels.begin;
      d.y = static_cast<float*>(args.y) + at;
      const float* residual =
          epilogue_.residual ? static_cast<const float*>(args.residual) + at : nullptr;
      d.residual = post_.add_residual ? residual : nullptr;
      table_.depthwise_row_f32(d);
      if (post_.any_pass()) finish(residual, d.y, channels.size());
    }
  }

 private:
  void widen(const float* x, float* wide) const {
    for (int64_t ix = 0; ix < g_.iw; ++ix, x += g_.x_pixel_stride)
      for (int64_t c = 0; c < g_.ic; ++c)
        for (int64_t j = 0; j < multiplier_; ++j) *wide++ = x[c];
  }

  void finish(const float* residual, float* y, int64_t channels) const {
    if (channels == g_.y_pixel_stride) {
      run_post_pass(table_, epilogue_, post_, residual, y, g_.ow * channels);
      return;
    }
    for (int64_t x = 0; x < g_.ow; ++x)
      run_post_pass(table_, epilogue_, post_, residual ? residual + x * g_.y_pixel_stride : nullptr,
                    y + x * g_.y_pixel_stride, channels);
  }

  ConvGeometry g_;
  const KernelTable& table_;
  Epilogue epilogue_;
  TilePost post_;
  std::string name_;
  int64_t multiplier_ = 1, widened_ = 0, part_scratch_ = 0;
  int parts_ = 1;
  bool by_rows_ = false;
  AlignedBuffer<float> packed_, bias_;
};

}  // namespace

Result<MatrixKernelPtr> make_depthwise_f32(const ConvGeometry& g, const float* weights,
                                           const float* bias, const Epilogue& epilogue,
                                           const KernelTable& table, int threads) {
  return MatrixKernelPtr(
      std::make_unique<DepthwiseF32>(g, weights, bias, epilogue, table, threads));
}

}  // namespace mnn
