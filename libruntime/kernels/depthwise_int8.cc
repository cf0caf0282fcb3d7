// Depthwise int8 convolution. The input of a block of output rows is widened to int16 with its
// border, in blocks of 16 channels; pixels outside the input are zero points, and what the zero
// points add is taken off by the start value of each sum.
#include <algorithm>

#include "libruntime/kernels/int8_plan.h"

namespace mnn {
namespace {

constexpr int64_t kBlock = 16;              // channels of a tile
constexpr int64_t kLine = 64;               // bytes of a cache line: channels that go together
constexpr int64_t kBlockBytes = 96 * 1024;  // widened input that is worked on together, in L2

class DepthwiseConvInt8 final : public MatrixKernel {
 public:
  DepthwiseConvInt8(const ConvGeometry& g, const int8_t* weights, const float* bias,
                    const ConvQuant& quant, const Int8Epilogue& epilogue, const KernelTable& table,
                    int threads)
      : g_(g), table_(table), epilogue_(epilogue) {
    name_ = std::string("conv_int8_depthwise_") + table.isa;
    multiplier_ = g.oc / g.ic;
    const int64_t channels = round_up(g.oc, kLine);
    block_weights_ = depthwise_int8_taps(g.kh, g.kw) * kBlock * 2;
    packed_ = AlignedBuffer<int16_t>(channels / kBlock * block_weights_);
    start_ = AlignedBuffer<int32_t>(channels);
    scale_ = AlignedBuffer<float>(channels);
    bias_ = AlignedBuffer<float>(channels);
    pads_ = AlignedBuffer<uint8_t>(channels);
    if (epilogue.y_per_channel) y_grids_.allocate(channels);
    for (int64_t c = 0; c < g.oc; ++c) {
      const int64_t in = c / multiplier_;
      const int zero = quant.in_zero_points ? quant.in_zero_points[in] : quant.in.zero_point;
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
    // The last 16 channels may overlap those before them, unless another part makes those or an
    // output may already lie where its residual was.
    const bool apart = by_rows_ || parts_ == 1 || g.oc % kLine > kBlock;
    overlaps_ = g.oc > kBlock && g.oc % kBlock != 0 && apart && !residual();
    for (int64_t b = 0; b < g.oc; b += kBlock) pack(b, weights);
    width_ = (g.ow - 1) * g.stride_w + (g.kw - 1) * g.dilation_w + 1;
    const int64_t row_bytes = width_ * std::min(kLine, channels) * 2;
    const int64_t span = (g.kh - 1) * g.dilation_h + 1;
    row_block_ = std::clamp<int64_t>((kBlockBytes / row_bytes - span) / g.stride_h + 1, 4, g.oh);
    block_stride_ = ((row_block_ - 1) * g.stride_h + span) * width_ * kBlock;
    const int64_t wide = kLine / kBlock * block_stride_ * 2;
    repeat_bytes_ = multiplier_ > 1 ? round_up(g.iw * g.oc, 64) : 0;
    part_scratch_ = round_up(wide, 64) + repeat_bytes_;
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
    std::byte* scratch = args.scratch + part * part_scratch_;
    auto* wide = reinterpret_cast<int16_t*>(scratch + repeat_bytes_);

    DepthwiseInt8 d;
    d.x_row_stride = width_ * kBlock;
    d.ow = g_.ow;
    d.kh = g_.kh;
    d.kw = g_.kw;
    d.stride_h = g_.stride_h;
    d.stride_w = g_.stride_w;
    d.dilation_h = g_.dilation_h;
    d.dilation_w = g_.dilation_w;
    d.y_stride = g_.y_pixel_stride;
    d.y_row_stride = g_.ow * d.y_stride;
    d.post = &epilogue_.post;
    for (int64_t row = rows.begin; row < rows.end;) {
      const int64_t image = row / g_.oh, oy = row % g_.oh;
      const int64_t left = std::min(rows.end - row, g_.oh - oy);
      d.rows = piece(left, ceil_div(left, row_block_), 0).size();
      for (int64_t c = channels.begin; c < channels.end; c += kLine) {
        const int64_t end = std::min(c + kLine, channels.end);
        fill(static_cast<const uint8_t*>(args.x) + image * g_.ih * g_.iw * g_.x_pixel_stride, oy,
             d.rows, {c, end}, reinterpret_cast<uint8_t*>(scratch), wide);
        for (int64_t b = c; b < end; b += kBlock) {
          const int64_t first = first_channel(b);
          d.x = wide + (b - c) / kBlock * block_stride_;
          d.w = packed_.data() + b / kBlock * block_weights_;
          d.start = start_.data() + b;
          d.scale = scale_.data() + first;
          d.bias = bias_.data() + first;
          d.y_inverse = y_grids_.inverse(first);
          d.y_zero = y_grids_.zero(first);
          d.channels = std::min(kBlock, end - first);
          const int64_t at = row * d.y_row_stride + first;
          d.y = static_cast<std::byte*>(args.y) + at * epilogue_.y_bytes;
          if (residual())
            d.residual =
                static_cast<const std::byte*>(args.residual) + at * epilogue_.residual_bytes;
          table_.depthwise_int8(d);
        }
      }
      row += d.rows;
    }
  }

 private:
  bool residual() const { return epilogue_.post.residual != ByteOrFloat::kNone; }

  // Of the block that starts at channel b when blocks do not overlap.
  int64_t first_channel(int64_t b) const { return overlaps_ ? std::min(b, g_.oc - kBlock) : b; }

  void pack(int64_t b, const int8_t* weights) {
    const int64_t first = first_channel(b);
    int16_t* block = packed_.data() + b / kBlock * block_weights_;
    for (int64_t i = 0; i < kBlock; ++i) {
      const int64_t c = first + table_.depthwise_int8_order[i];
      if (c >= g_.oc) continue;
      int32_t sum = 0;
      for (int64_t ky = 0; ky < g_.kh; ++ky)
        for (int64_t kx = 0; kx < g_.kw; ++kx) {
          const int8_t w = weights[(c * g_.kh + ky) * g_.kw + kx];
          const bool last = g_.kh % 2 != 0 && ky == g_.kh - 1;
          const int64_t tap = ky / 2 * g_.kw + (last ? kx / 2 : kx);
          block[(tap * kBlock + i) * 2 + (last ? kx : ky) % 2] = w;
          sum += w;
        }
      start_[b + i] = -sum * pads_[c];
    }
  }

  // The input of `rows` output rows from `oy` on with its border.
  void fill(const uint8_t* x, int64_t oy, int64_t rows, const Range& channels, uint8_t* repeated,
            int16_t* wide) const {
    const int64_t top = oy * g_.stride_h - g_.pad_top;
    const int64_t count = (rows - 1) * g_.stride_h + (g_.kh - 1) * g_.dilation_h + 1;
    const int64_t lo = std::clamp<int64_t>(g_.pad_left, 0, width_);
    const int64_t hi = std::clamp<int64_t>(g_.iw + g_.pad_left, lo, width_);
    const int64_t whole =
        overlaps_ ? channels.size() / kBlock * kBlock : channels.size();  // up to the overlap
    const auto put = [&](const uint8_t* from, int64_t stride, int64_t first, int64_t last,
                         int64_t row) {
      int16_t* out = wide + (row * width_ + first) * kBlock;
      table_.widen_pixels(from, last - first, stride, whole, out, block_stride_);
      if (whole == channels.size()) return;
      const int64_t back = channels.begin + whole - first_channel(channels.begin + whole);
      table_.widen_pixels(from + whole - back, last - first, stride, kBlock,
                          out + whole / kBlock * block_stride_, block_stride_);
    };
    const uint8_t* pads = pads_.data() + channels.begin;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t iy = top + i;
      if (iy < 0 || iy >= g_.ih) {
        put(pads, 0, 0, width_, i);
        continue;
      }
      const uint8_t* row = x + iy * g_.iw * g_.x_pixel_stride;
      int64_t stride = g_.x_pixel_stride;
      if (multiplier_ > 1) {
        repeat(row, repeated);
        row = repeated;
        stride = g_.oc;
      }
      put(pads, 0, 0, lo, i);
      put(row + (lo - g_.pad_left) * stride + channels.begin, stride, lo, hi, i);
      put(pads, 0, hi, width_, i);
    }
  }

  // A row with every channel as often as the multiplier says.
  void repeat(const uint8_t* x, uint8_t* out) const {
    for (int64_t i = 0; i < g_.iw; ++i, x += g_.x_pixel_stride)
      for (int64_t c = 0; c < g_.ic; ++c)
        for (int64_t j = 0; j < multiplier_; ++j) *out++ = x[c];
  }

  ConvGeometry g_;
  const KernelTable& table_;
  Int8Epilogue epilogue_;
  std::string name_;
  int64_t multiplier_ = 1, block_weights_ = 0, row_block_ = 1;
  int64_t width_ = 0;         // of a row with its border
  int64_t block_stride_ = 0;  // elements from 16 channels of a block of rows to the next 16
  int64_t repeat_bytes_ = 0, part_scratch_ = 0;
  int parts_ = 1;
  bool by_rows_ = false, overlaps_ = false;
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
