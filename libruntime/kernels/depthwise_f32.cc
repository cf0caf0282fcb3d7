// Depthwise fp32 convolution. With a channel multiplier the input rows are first widened, each
// channel repeated, so that every output channel has an input channel of its own.
#include <algorithm>

#include "libruntime/kernels/direct_f32.h"

namespace mnn {
namespace {

constexpr int64_t kChannelGrain = 16;        // a cache line
constexpr int64_t kBlockBytes = 128 * 1024;  // input of the rows that are worked on together

class DepthwiseConvF32 final : public MatrixKernel {
 public:
  // `computed`: weights come with each run.
  DepthwiseConvF32(const ConvGeometry& g, const OutputGrid& grid, bool computed,
                   const Epilogue& epilogue, const KernelTable& table, int threads)
      : g_(g), grid_(grid), table_(table), epilogue_(epilogue), post_(plan_epilogue(epilogue)) {
    if (grid_.ow == 0) {
      grid_.oh = g.oh;
      grid_.ow = g.ow;
    }
    name_ = std::string("conv_f32_depthwise_") + table.isa;
    multiplier_ = g.oc / g.ic;
    const int64_t area = g.kh * g.kw;
    channels_ = round_up(g.oc, std::max<int64_t>(kChannelGrain, table.lanes));
    computed_ = computed;
    const int64_t rows = g.n * g.oh;
    const Split split =
        split_work(rows >= 12 ? rows * 6 : 1, rows >= 12 ? 1 : ceil_div(g.oc, kChannelGrain),
                   rows * g.ow * g.oc * area, threads);
    parts_ = split.parts();
    by_rows_ = split.rows > 1;
    const int64_t row_bytes = g.iw * g.oc * 4 * g.stride_h;
    block_ = std::clamp<int64_t>(kBlockBytes / row_bytes, 4, g.oh);
    input_rows_ = (block_ - 1) * g.stride_h + (g.kh - 1) * g.dilation_h + 1;
    part_scratch_ = multiplier_ > 1 ? round_up(input_rows_ * g.iw * g.oc * 4, 64) : 0;
    weight_bytes_ = computed_ ? round_up(channels_ * (area + 1) * 4, 64) : 0;
  }

  Status pack(const Weights<float>& weights, const float* bias, WeightsCache* cache) {
    const int64_t area = g_.kh * g_.kw;
    const auto pack = [&](float* packed) -> Status {
      MNN_ASSIGN_OR_RETURN(const auto elements, weights.read());
      pack_taps(elements.get(), packed);
      return {};
    };
    MNN_ASSIGN_OR_RETURN(packed_,
                         keep<float>(cache, weights.id(),
                                     layout_of(table_, "f32 depthwise", {channels_, g_.oc, area}),
                                     channels_ * area, pack));
    AlignedBuffer<float> own(channels_);
    if (bias) std::copy_n(bias, g_.oc, own.data());
    MNN_ASSIGN_OR_RETURN(bias_, keep(cache, own));
    return {};
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return weight_bytes_ + part_scratch_ * parts_; }
  int phases() const override { return computed_ ? 2 : 1; }
  int parts() const override { return parts_; }

  void run(int phase, int part, const KernelArgs& args) const override {
    const float *packed = packed_, *bias = bias_;
    if (computed_) {
      auto* own = reinterpret_cast<float*>(args.scratch);
      float* own_bias = own + channels_ * g_.kh * g_.kw;
      if (phase == 0) {
        if (part > 0) return;
        std::fill_n(own, channels_ * (g_.kh * g_.kw + 1), 0.0f);
        pack_taps(static_cast<const float*>(args.b), own);
        if (args.bias) std::copy_n(static_cast<const float*>(args.bias), g_.oc, own_bias);
        return;
      }
      packed = own;
      bias = own_bias;
    }
    const Range rows = by_rows_ ? piece(g_.n * g_.oh, parts_, part) : Range{0, g_.n * g_.oh};
    const Range channels = by_rows_ ? Range{0, g_.oc} : piece(g_.oc, parts_, part, kChannelGrain);
    if (channels.size() == 0) return;
    auto* wide = reinterpret_cast<float*>(args.scratch + weight_bytes_ + part * part_scratch_);

    DepthwiseF32 d;
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
    const int64_t y_row = grid_.ow * g_.y_pixel_stride;
    d.y_stride = grid_.step_w * g_.y_pixel_stride;
    d.y_row_stride = grid_.step_h * y_row;
    d.w = packed + channels.begin * g_.kh * g_.kw;
    d.bias = bias + channels.begin;
    d.channels = channels.size();
    d.low = post_.low;
    d.high = post_.high;
    for (int64_t row = rows.begin; row < rows.end;) {
      const int64_t image = row / g_.oh;
      d.oy_begin = row % g_.oh;
      const int64_t left = std::min(rows.end - row, g_.oh - d.oy_begin);
      const int64_t count = piece(left, ceil_div(left, block_), 0).size();
      d.oy_end = d.oy_begin + count;
      const int64_t top = d.oy_begin * g_.stride_h - g_.pad_top;
      d.iy_begin = std::clamp<int64_t>(top, 0, g_.ih);
      d.iy_end = std::clamp<int64_t>(
          top + (count - 1) * g_.stride_h + (g_.kh - 1) * g_.dilation_h + 1, d.iy_begin, g_.ih);
      const float* x =
          static_cast<const float*>(args.x) + image * g_.ih * g_.iw * g_.x_pixel_stride;
      if (multiplier_ > 1) {
        widen(x + d.iy_begin * g_.iw * g_.x_pixel_stride, (d.iy_end - d.iy_begin) * g_.iw, wide);
        d.x = wide - d.iy_begin * d.x_row_stride + channels.begin;
      } else {
        d.x = x + channels.begin;
      }
      const int64_t at = (image * grid_.oh + grid_.first_h + d.oy_begin * grid_.step_h) * y_row +
                         grid_.first_w * g_.y_pixel_stride + channels.begin;
      d.y = static_cast<float*>(args.y) + at;
      const float* residual =
          epilogue_.residual ? static_cast<const float*>(args.residual) + at : nullptr;
      d.residual = post_.add_residual ? residual : nullptr;
      table_.depthwise_f32(d);
      if (post_.any_pass()) finish(residual, d, count);
      row += count;
    }
  }

 private:
  // Taps of whole registers of channels into zeroed memory.
  void pack_taps(const float* weights, float* packed) const {
    const int64_t area = g_.kh * g_.kw, lanes = table_.lanes;
    for (int64_t c = 0; c < g_.oc; ++c) {
      float* w = packed + c / lanes * area * lanes + c % lanes;
      for (int64_t tap = 0; tap < area; ++tap) w[tap * lanes] = weights[c * area + tap];
    }
  }

  void widen(const float* x, int64_t pixels, float* wide) const {
    for (int64_t i = 0; i < pixels; ++i, x += g_.x_pixel_stride)
      for (int64_t c = 0; c < g_.ic; ++c)
        for (int64_t j = 0; j < multiplier_; ++j) *wide++ = x[c];
  }

  void finish(const float* residual, const DepthwiseF32& d, int64_t rows) const {
    const bool dense = d.channels == d.y_stride;  // pixels of a row follow each other
    const int64_t n = dense ? g_.ow * d.channels : d.channels;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t x = 0; x < (dense ? 1 : g_.ow); ++x) {
        const int64_t at = r * d.y_row_stride + x * d.y_stride;
        run_post_pass(table_, epilogue_, post_, residual ? residual + at : nullptr, d.y + at, n);
      }
  }

  ConvGeometry g_;
  OutputGrid grid_;
  const KernelTable& table_;
  Epilogue epilogue_;
  TilePost post_;
  std::string name_;
  int64_t multiplier_ = 1, block_ = 1, input_rows_ = 0, part_scratch_ = 0;
  int parts_ = 1;
  bool by_rows_ = false;
  bool computed_ = false;  // weights come with each run
  int64_t channels_ = 0, weight_bytes_ = 0;
  const float *packed_ = nullptr, *bias_ = nullptr;
};

}  // namespace

Result<MatrixKernelPtr> make_depthwise_f32(const ConvGeometry& g, const OutputGrid& grid,
                                           const Weights<float>& weights, const float* bias,
                                           const Epilogue& epilogue, const KernelTable& table,
                                           const KernelOptions& options) {
  auto kernel =
      std::make_unique<DepthwiseConvF32>(g, grid, !weights, epilogue, table, options.threads);
  if (weights) MNN_RETURN_IF_ERROR(kernel->pack(weights, bias, options.weights));
  return MatrixKernelPtr(std::move(kernel));
}

}  // namespace mnn
