// Depthwise int8 convolution. The channels go in groups of a cache line. The input rows that some
// output rows of a group need lie in a ring of rows with their borders, whose pixels are the zero
// points, so the kernel never meets an edge at the sides; kernel rows above and below are left out.
#include <algorithm>
#include <cstring>
#include <vector>

#include "libruntime/kernels/int8_plan.h"

namespace mnn {
namespace {

constexpr int64_t kLine = 64;                // most channels of a group
constexpr int64_t kGrain = 16;               // groups are cut at multiples of it
constexpr int64_t kBlockBytes = 128 * 1024;  // input that all groups pass over before more, in L2
constexpr int64_t kRingBytes = 16 * 1024;    // to stay in L1

class DepthwiseConvInt8 final : public Int8Kernel {
 public:
  DepthwiseConvInt8(const ConvGeometry& g, const Int8Epilogue& epilogue, const KernelTable& table,
                    int threads)
      : g_(g), table_(table), epilogue_(epilogue) {
    name_ = std::string("conv_int8_depthwise_") + table.isa;
    multiplier_ = g.oc / g.ic;
    make_blocks();
    width_ = (g.ow - 1) * g.stride_w + (g.kw - 1) * g.dilation_w + 1;
    const int64_t rows = g.n * g.oh, groups = static_cast<int64_t>(groups_.size());
    const Split split = split_work(rows >= 12 ? rows * 6 : 1, rows >= 12 ? 1 : groups,
                                   rows * g.ow * g.oc * g.kh * g.kw / 2, threads);
    parts_ = split.parts();
    by_rows_ = split.rows > 1;
    const int64_t span = (g.kh - 1) * g.dilation_h + 1;
    const int64_t fit = kBlockBytes / (g.iw * g.x_pixel_stride) - span;
    row_block_ = std::clamp<int64_t>(fit / g.stride_h + 1, std::min<int64_t>(4, g.oh), g.oh);
    const int64_t row_bytes = width_ * round_up(std::min(kLine, g.oc), table.lanes);
    batch_ = std::clamp<int64_t>((kRingBytes / row_bytes - span) / g.stride_h + 1, 1, row_block_);
    ring_ = (batch_ - 1) * g.stride_h + span;
    pointer_bytes_ = round_up(ring_ * 8, 64);
    ring_ = std::min(ring_, g.ih);
    part_scratch_ = pointer_bytes_ + round_up(ring_ * row_bytes, 64);
  }

  Status pack(const Weights<int8_t>& weights, const float* bias, const ConvQuant& quant,
              WeightsCache* cache) {
    pads_ = AlignedBuffer<uint8_t>(g_.oc);
    for (int64_t c = 0; c < g_.oc; ++c) {
      const int zero =
          quant.in_zero_points ? quant.in_zero_points[c / multiplier_] : quant.in.zero_point;
      pads_[c] = static_cast<uint8_t>(zero);
    }
    // In int32 cells: the weights, then what the zero points take off them.
    const int64_t cells = slots_ * depthwise_int8_taps(g_.kh, g_.kw);
    std::string layout = layout_of(table_, "int8 depthwise", {residual(), g_.oc, g_.kh, g_.kw});
    layout.append(reinterpret_cast<const char*>(pads_.data()), static_cast<size_t>(g_.oc));
    const auto pack = [&](int32_t* packed) -> Status {
      MNN_ASSIGN_OR_RETURN(const auto elements, weights.read());
      pack_blocks(elements.get(), reinterpret_cast<int16_t*>(packed), packed + cells);
      return {};
    };
    MNN_ASSIGN_OR_RETURN(const int32_t* packed, keep<int32_t>(cache, weights.id(), layout,
                                                              cells + slots_ * (g_.kh + 1), pack));
    packed_ = reinterpret_cast<const int16_t*>(packed);
    start_ = packed + cells;
    const bool plain = table_.depthwise_int8_plain && epilogue_.post.plain != PlainPost::kNone;
    Int8Columns made(slots_, epilogue_.y_per_channel);
    for (const Group& group : groups_)
      for (const Block& b : group.blocks)
        for (int64_t i = 0; i < b.channels; ++i) {
          const int64_t c = plain && b.channels == width_of(b) ? channel_at(b, i) : b.channel + i;
          const float in_scale =
              quant.in_scales ? quant.in_scales[c / multiplier_] : quant.in.scale;
          made.set(b.slot + i, quant, in_scale, bias, c);
        }
    return keep_columns(cache, made);
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return part_scratch_ * parts_; }
  int parts() const override { return parts_; }

  void run(int, int part, const KernelArgs& args) const override {
    const auto count = static_cast<int64_t>(groups_.size());
    const Range rows = by_rows_ ? piece(g_.n * g_.oh, parts_, part) : Range{0, g_.n * g_.oh};
    const Range groups = by_rows_ ? Range{0, count} : piece(count, parts_, part);
    std::byte* scratch = args.scratch + part * part_scratch_;
    for (int64_t row = rows.begin; row < rows.end;) {
      const int64_t left = std::min(rows.end - row, g_.oh - row % g_.oh);
      const int64_t size = piece(left, ceil_div(left, row_block_), 0).size();
      for (int64_t i = groups.begin; i < groups.end; ++i)
        run_group(groups_[static_cast<size_t>(i)], {row, row + size}, args, scratch);
      row += size;
    }
  }

 private:
  // Channels that one call of the kernel makes. The last ones may overlap those before them.
  struct Block {
    int64_t channel = 0;  // first
    int64_t channels = 0;
    int64_t slot = 0;  // in arrays that are padded to whole blocks
    bool wide = false;
  };
  struct Group {
    Range channels;
    int64_t line = 0;  // bytes of a pixel in the ring
    std::vector<Block> blocks;
  };

  bool residual() const { return epilogue_.post.residual != ByteOrFloat::kNone; }
  int64_t width_of(const Block& b) const { return int64_t{table_.lanes} * (b.wide ? 2 : 1); }

  void make_blocks() {
    const int64_t narrow = table_.lanes, wide = 2 * narrow, count = ceil_div(g_.oc, kLine);
    for (int64_t i = 0; i < count; ++i) {
      Group group;
      group.channels = piece(g_.oc, count, i, kGrain);
      group.line = round_up(group.channels.size(), narrow);
      for (int64_t c = group.channels.begin; c < group.channels.end;) {
        const int64_t left = group.channels.end - c;
        // The output may lie where the residual was: nothing is made twice then.
        const auto reaches = [&](int64_t width) {
          return !residual() && group.channels.size() >= width;
        };
        Block b;
        b.wide = left >= wide || (left > narrow && reaches(wide));
        const int64_t width = width_of(b);
        b.channel = left < width && reaches(width) ? group.channels.end - width : c;
        b.channels = std::min(width, group.channels.end - b.channel);
        b.slot = slots_;
        slots_ += width;
        c = b.channel + b.channels;
        group.blocks.push_back(b);
      }
      groups_.push_back(std::move(group));
    }
  }

  // The weights of all blocks as pairs of int16, `start` behind them.
  void pack_blocks(const int8_t* weights, int16_t* packed, int32_t* start) const {
    for (const Group& group : groups_)
      for (const Block& b : group.blocks) {
        const int64_t width = width_of(b);
        for (int64_t i = 0; i < width; ++i) {
          const int64_t c = channel_at(b, i);
          if (c < g_.oc) pack_channel(b, i, weights + c * g_.kh * g_.kw, packed, start);
        }
      }
  }

  // The channel at position `i` of a block's weights.
  int64_t channel_at(const Block& b, int64_t i) const {
    return b.channel + (b.wide ? table_.depthwise_int8_order[i] : i);
  }

  // The weights of one channel, at position `at` of its block.
  void pack_channel(const Block& b, int64_t at, const int8_t* weights, int16_t* packed,
                    int32_t* starts) const {
    const int64_t width = width_of(b), kh = g_.kh, kw = g_.kw;
    int16_t* out = packed + b.slot * depthwise_int8_taps(kh, kw) * 2 + at * 2;
    int32_t* start = starts + b.slot * (kh + 1) + at;
    const int zero = pads_.data()[channel_at(b, at)];
    int32_t sum = 0;
    for (int64_t ky = 0; ky < kh; ++ky) {
      const int8_t* w = weights + ky * kw;
      for (int64_t kx = 0; kx < kw; ++kx) {
        sum += w[kx];
        if (ky + 1 < kh) {
          int16_t* pair = out + (ky * kw + kx) * width * 2;
          pair[0] = w[kx];
          pair[1] = w[kw + kx];
        }
        const int64_t row = (kh - 1) * kw + ky * ((kw + 1) / 2);
        out[(row + kx / 2) * width * 2 + kx % 2] = w[kx];
      }
      start[(ky + 1) * width] = -sum * zero;
    }
  }

  // Output rows of one image, counted over all images.
  void run_group(const Group& group, const Range& rows, const KernelArgs& args,
                 std::byte* scratch) const {
    const auto** pointers = reinterpret_cast<const uint8_t**>(scratch);
    auto* ring = reinterpret_cast<uint8_t*>(scratch + pointer_bytes_);
    const auto* x = static_cast<const uint8_t*>(args.x) +
                    rows.begin / g_.oh * g_.ih * g_.iw * g_.x_pixel_stride;
    const int64_t row_bytes = width_ * group.line;
    DepthwiseInt8 d;
    d.x = pointers;
    d.x_stride = group.line;
    d.ow = g_.ow;
    d.kh = g_.kh;
    d.kw = g_.kw;
    d.stride_h = g_.stride_h;
    d.stride_w = g_.stride_w;
    d.dilation_h = g_.dilation_h;
    d.dilation_w = g_.dilation_w;
    d.y_stride = g_.y_pixel_stride;
    d.post = &epilogue_.post;
    pad(group, ring);
    int64_t next = 0;  // of the input rows before it, those still needed are in the ring
    for (int64_t row = rows.begin; row < rows.end; row += d.rows) {
      d.rows = std::min(batch_, rows.end - row);
      const int64_t top = row % g_.oh * g_.stride_h - g_.pad_top;
      const int64_t bottom = top + (d.rows - 1) * g_.stride_h + (g_.kh - 1) * g_.dilation_h + 1;
      const int64_t begin = std::clamp<int64_t>(0, top, bottom);
      const int64_t end = std::clamp<int64_t>(g_.ih, begin, bottom);
      next = std::max(next, begin);
      for (; next < end; ++next)
        copy_row(group, x + next * g_.iw * g_.x_pixel_stride, ring + next % ring_ * row_bytes);
      for (int64_t iy = begin; iy < end; ++iy) pointers[iy - top] = ring + iy % ring_ * row_bytes;
      d.x_begin = begin - top;
      d.x_end = end - top;
      for (const Block& b : group.blocks) {
        d.x_offset = b.channel - group.channels.begin;
        d.w = packed_ + b.slot * depthwise_int8_taps(g_.kh, g_.kw) * 2;
        d.start = start_ + b.slot * (g_.kh + 1);
        d.scale = scale_ + b.slot;
        d.bias = bias_ + b.slot;
        d.y_inverse = y_inverse(b.slot);
        d.y_zero = y_zero(b.slot);
        d.channels = b.channels;
        d.wide = b.wide;
        const int64_t at = row * g_.ow * d.y_stride + b.channel;
        d.y = static_cast<std::byte*>(args.y) + at * epilogue_.y_bytes;
        if (residual())
          d.residual = static_cast<const std::byte*>(args.residual) + at * epilogue_.residual_bytes;
        table_.depthwise_int8(d);
      }
    }
  }

  // Columns of a row of the ring that hold input: [left, right).
  int64_t left() const { return std::clamp<int64_t>(g_.pad_left, 0, width_); }
  int64_t right() const { return std::clamp<int64_t>(g_.iw + g_.pad_left, left(), width_); }

  void pad(const Group& group, uint8_t* ring) const {
    const uint8_t* pads = pads_.data() + group.channels.begin;
    const int64_t line = group.line, n = group.channels.size();
    for (int64_t i = 0; i < ring_; ++i, ring += width_ * line) {
      table_.copy_pixels(pads, left(), 0, n, ring, line);
      table_.copy_pixels(pads, width_ - right(), 0, n, ring + right() * line, line);
    }
  }

  void copy_row(const Group& group, const uint8_t* x, uint8_t* out) const {
    const int64_t pixels = right() - left(), n = group.channels.size();
    if (pixels == 0) return;
    x += (left() - g_.pad_left) * g_.x_pixel_stride;
    out += left() * group.line;
    if (multiplier_ == 1) {
      x += group.channels.begin;
      if (g_.x_pixel_stride == group.line) {
        std::memcpy(out, x, static_cast<size_t>((pixels - 1) * group.line + n));
      } else {
        table_.copy_pixels(x, pixels, g_.x_pixel_stride, n, out, group.line);
      }
      return;
    }
    for (int64_t i = 0; i < pixels; ++i, x += g_.x_pixel_stride, out += group.line) {
      int64_t c = group.channels.begin / multiplier_, copies = group.channels.begin % multiplier_;
      for (int64_t j = 0; j < n; ++j) {
        out[j] = x[c];
        if (++copies == multiplier_) copies = 0, ++c;
      }
    }
  }

  ConvGeometry g_;
  const KernelTable& table_;
  Int8Epilogue epilogue_;
  std::string name_;
  int64_t multiplier_ = 1, row_block_ = 1;
  int64_t width_ = 0;  // of a row with its border
  int64_t batch_ = 1;  // output rows of a call
  int64_t ring_ = 0;   // input rows they need
  int64_t pointer_bytes_ = 0, part_scratch_ = 0;
  int parts_ = 1;
  bool by_rows_ = false;
  std::vector<Group> groups_;
  int64_t slots_ = 0;
  const int16_t* packed_ = nullptr;
  const int32_t* start_ = nullptr;
  AlignedBuffer<uint8_t> pads_;  // the zero point of each channel
};

}  // namespace

Result<MatrixKernelPtr> make_depthwise_int8(const ConvGeometry& g, const Weights<int8_t>& weights,
                                            const float* bias, const ConvQuant& quant,
                                            const Int8Epilogue& epilogue, const KernelTable& table,
                                            const KernelOptions& options) {
  auto kernel = std::make_unique<DepthwiseConvInt8>(g, epilogue, table, options.threads);
  MNN_RETURN_IF_ERROR(kernel->pack(weights, bias, quant, options.weights));
  return MatrixKernelPtr(std::move(kernel));
}

}  // namespace mnn
