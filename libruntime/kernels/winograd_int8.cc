// Exact Winograd convolution of bytes for 3x3 kernels of stride 1, on instruction sets whose
// integer products take int16 pairs. The weight transform is scaled line by line until it is whole,
// so both transforms are int16 and the products int32 modulo 2^32. The output transform makes a
// known multiple of the true sum, which is divided away without remainder: the bytes are those of
// the direct kernel. F(4x4) does 2.25 products an output, F(2x2) four, the direct kernel nine.
#include <algorithm>
#include <limits>

#include "libruntime/kernels/conv_plan.h"
#include "libruntime/kernels/int8_plan.h"

namespace mnn {
namespace {

constexpr int64_t kTileRows = 6;
constexpr int64_t kBlockBytes = 128 * 1024;    // input transforms of a block, to stay in L2
constexpr int64_t kSmallWeights = 256 * 1024;  // more do not stay there
constexpr int64_t kLargeBlockBytes = 320 * 1024;

// Lines of G times 4, 6, 6, 24, 24, 1, and of G times 1, 2, 2, 1.
constexpr int kG4[6][3] = {{1, 0, 0}, {-1, -1, -1}, {-1, 1, -1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 1}};
constexpr int kG2[4][3] = {{1, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 1}};

// The result is multiplied by up to 2^6, or 2^2, before it is divided.
constexpr int64_t kLargestSum4 = int64_t{1} << 25, kLargestSum2 = int64_t{1} << 29;

// Greatest magnitude a sum of (x - zero) * w can have, for any input.
int64_t largest_sum(const ConvGeometry& g, const int8_t* weights, int zero) {
  const int64_t depth = g.ic * g.kh * g.kw;
  int64_t largest = 0;
  for (int64_t o = 0; o < g.oc; ++o) {
    int64_t plus = 0, minus = 0;
    for (int64_t i = 0; i < depth; ++i) {
      const int64_t w = weights[o * depth + i];
      (w > 0 ? plus : minus) += std::abs(w);
    }
    largest =
        std::max({largest, plus * (255 - zero) + minus * zero, minus * (255 - zero) + plus * zero});
  }
  return largest;
}

// Rough cycles of a form with `out` x `out` outputs a tile (1: direct, of bytes or of int16) where
// a register holds `words` int16.
int64_t estimate(const ConvGeometry& g, int64_t out, bool bytes, int64_t words) {
  constexpr int64_t kMemoryBytes = 5;     // a cycle, of weights that are not in L2
  constexpr int64_t kLineCycles = 6;      // to transform a line of a tile
  constexpr int64_t kEpilogueCycles = 3;  // an output register
  const int64_t in = out == 1 ? 3 : out + 2;
  const int64_t tiles = g.n * ceil_div(g.oh, out) * ceil_div(g.ow, out);
  const int64_t weight_bytes = in * in * g.ic * g.oc * (bytes ? 1 : 2);
  int64_t cycles = tiles * in * in * g.ic * g.oc / (2 * words);
  if (bytes) cycles = cycles * 4 / 5;
  if (weight_bytes > kSmallWeights) cycles += weight_bytes / kMemoryBytes;
  if (out > 1) {
    cycles += tiles * ceil_div(g.ic, words) * 2 * in * kLineCycles;
    cycles += tiles * ceil_div(2 * g.oc, words) *
              ((in + out) * kLineCycles + out * out * kEpilogueCycles);
  }
  return cycles;
}

class WinogradConvInt8 final : public Int8Kernel {
 public:
  WinogradConvInt8(const ConvGeometry& g, int64_t out, const ConvQuant& quant,
                   const Int8Epilogue& epilogue, const KernelTable& table, int threads)
      : g_(g), table_(table), epilogue_(epilogue), zero_(quant.in.zero_point), out_(out) {
    in_ = out_ + 2;
    frequencies_ = in_ * in_;
    name_ = std::string(out_ == 4 ? "conv_int8_winograd4_" : "conv_int8_winograd2_") + table.isa;
    tiles_h_ = ceil_div(g.oh, out_);
    tiles_w_ = ceil_div(g.ow, out_);
    tiles_ = g.n * tiles_h_ * tiles_w_;
    panels_ = split_columns(g.oc, 1, 0, table.lanes, table.words_int8.vectors);
    inputs_ = round_up(g.ic, 2 * table.lanes);
    groups_ = ceil_div(g.ic, 2);
    int64_t widest = 0;
    for (const Panel& p : panels_) widest = std::max<int64_t>(widest, p.vectors);
    widest *= table.lanes;
    const bool small = frequencies_ * g.ic * g.oc * 2 <= kSmallWeights;
    const int64_t fit = (small ? kBlockBytes : kLargeBlockBytes) / (frequencies_ * inputs_ * 2);
    block_ = std::max(fit / kTileRows, int64_t{2}) * kTileRows;
    block_ = std::min(block_, round_up(tiles_, kTileRows));
    split_ = split_work(tiles_ * kTileRows, static_cast<int64_t>(panels_.size()),
                        tiles_ * frequencies_ * g.ic * g.oc / 2, threads);
    v_bytes_ = round_up(block_ * frequencies_ * inputs_ * 2 + 64, 64);
    m_frequency_ = block_ * widest;
    m_bytes_ = round_up(m_frequency_ * frequencies_ * 4 + 64, 64);
    pointer_bytes_ = round_up(std::max(frequencies_, block_) * 8, 64);
    part_scratch_ = v_bytes_ + m_bytes_ + 2 * pointer_bytes_;
    pads_ = AlignedBuffer<uint8_t>(inputs_);
    std::fill_n(pads_.data(), inputs_, static_cast<uint8_t>(zero_));
    start_ = AlignedBuffer<int32_t>(int64_t{kMaxVectors} * table_.lanes);
  }

  Status pack(const Weights<int8_t>& weights, const float* bias, const ConvQuant& quant,
              WeightsCache* cache) {
    const int64_t columns = padded_columns(panels_, table_.lanes);
    const auto pack = [&](int16_t* packed) -> Status {
      MNN_ASSIGN_OR_RETURN(const auto elements, weights.read());
      transform_weights(elements.get(), packed);
      return {};
    };
    MNN_ASSIGN_OR_RETURN(packed_,
                         keep<int16_t>(cache, weights.id(),
                                       layout_of(table_, "int8 winograd",
                                                 {out_, table_.words_int8.vectors, g_.ic, g_.oc}),
                                       frequencies_ * groups_ * 2 * columns, pack));
    Int8Columns made(columns, epilogue_.y_per_channel);
    for (const Panel& p : panels_)
      for (int64_t j = 0; j < p.width; ++j)
        made.set(p.column + j, quant, quant.in.scale, bias, p.n0 + j);
    return keep_columns(cache, made);
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return part_scratch_ * parts(); }
  int parts() const override { return split_.parts(); }

  void run(int, int part, const KernelArgs& args) const override {
    const Range tiles = piece(tiles_, split_.rows, part / split_.panels);
    const Range panels =
        piece(static_cast<int64_t>(panels_.size()), split_.panels, part % split_.panels);
    if (tiles.size() == 0) return;
    std::byte* scratch = args.scratch + part * part_scratch_;
    auto* v = reinterpret_cast<int16_t*>(scratch);
    auto* m = reinterpret_cast<int32_t*>(scratch + v_bytes_);
    const auto** pointers = reinterpret_cast<const uint8_t**>(scratch + v_bytes_ + m_bytes_);
    auto* offsets = reinterpret_cast<int64_t*>(scratch + v_bytes_ + m_bytes_ + pointer_bytes_);
    const int64_t blocks = ceil_div(tiles.size(), block_);
    for (int64_t b = 0; b < blocks; ++b) {
      Range block = piece(tiles.size(), blocks, b, kTileRows);
      block.begin += tiles.begin;
      block.end += tiles.begin;
      transform_input(block, static_cast<const uint8_t*>(args.x), pointers, v);
      for (int64_t p = panels.begin; p < panels.end; ++p) {
        const Panel& panel = panels_[static_cast<size_t>(p)];
        multiply(panel, block.size(), v, m, pointers, offsets);
        transform_output(panel, block, m, args);
      }
    }
  }

 private:
  void transform_weights(const int8_t* weights, int16_t* packed) const {
    const auto* g = out_ == 4 ? kG4 : kG2;
    for (const Panel& p : panels_) {
      const int64_t nr = int64_t{p.vectors} * table_.lanes;
      int16_t* panel = packed + p.column * groups_ * 2 * frequencies_;
      for (int64_t j = 0; j < p.width; ++j) {
        const int64_t o = p.n0 + j;
        for (int64_t c = 0; c < g_.ic; ++c) {
          const int8_t* w = weights + (o * g_.ic + c) * 9;
          int16_t* cell = panel + ((c / 2) * nr + j) * 2 + c % 2;
          for (int64_t y = 0; y < in_; ++y) {
            int line[3];
            for (int x = 0; x < 3; ++x)
              line[x] = g[y][0] * w[x] + g[y][1] * w[3 + x] + g[y][2] * w[6 + x];
            for (int64_t x = 0; x < in_; ++x, cell += groups_ * nr * 2)
              *cell =
                  static_cast<int16_t>(line[0] * g[x][0] + line[1] * g[x][1] + line[2] * g[x][2]);
          }
        }
      }
    }
  }

  void transform_input(const Range& block, const uint8_t* x, const uint8_t** pixels,
                       int16_t* v) const {
    const int64_t xs = g_.x_pixel_stride;
    WinogradInputInt8 t;
    t.pixels = pixels;
    t.channels = g_.ic;
    t.zero = zero_;
    t.v_frequency = block_ * inputs_;
    PixelWalk walk(tiles_h_, tiles_w_, block.begin);
    for (int64_t i = 0; i < block.size(); ++i, walk.next()) {
      const uint8_t* image = x + walk.n * g_.ih * g_.iw * xs;
      const int64_t iy0 = walk.y * out_ - g_.pad_top, ix0 = walk.x * out_ - g_.pad_left;
      for (int64_t y = 0; y < in_; ++y)
        for (int64_t j = 0; j < in_; ++j) {
          const int64_t iy = iy0 + y, ix = ix0 + j;
          const bool inside = iy >= 0 && iy < g_.ih && ix >= 0 && ix < g_.iw;
          pixels[y * in_ + j] = inside ? image + (iy * g_.iw + ix) * xs : pads_.data();
        }
      t.v = v + i * inputs_;
      table_.winograd_input_int8[out_ / 4](t);
    }
  }

  // Sums of all frequencies for the columns of a panel.
  void multiply(const Panel& p, int64_t rows, const int16_t* v, int32_t* m,
                const uint8_t** pointers, int64_t* offsets) const {
    const int64_t nr = int64_t{p.vectors} * table_.lanes;
    TileInt8 t;
    t.taps = 1;
    t.k = groups_;
    t.start = start_.data();
    t.n = nr;
    for (int64_t i = 0; i < rows; ++i) {
      pointers[i] = reinterpret_cast<const uint8_t*>(v + i * inputs_);
      offsets[i] = i * nr;
    }
    const auto* w = reinterpret_cast<const int32_t*>(packed_) + p.column * groups_ * frequencies_;
    const auto* tile = table_.words_int8.tile[p.vectors];
    for (int64_t f = 0; f < frequencies_; ++f) {
      t.a_offset = f * block_ * inputs_ * 2;
      t.w = w + f * groups_ * nr;
      t.sums = m + f * m_frequency_;
      for_tiles(rows, table_.words_int8.rows[p.vectors], [&](int64_t first, int64_t count) {
        t.a = pointers + first;
        t.y_offset = offsets + first;
        tile[count](t);
      });
    }
  }

  void transform_output(const Panel& p, const Range& block, const int32_t* m,
                        const KernelArgs& args) const {
    const int64_t ys = g_.y_pixel_stride, nr = int64_t{p.vectors} * table_.lanes;
    WinogradOutputInt8 t;
    t.m_frequency = m_frequency_;
    t.scale = scale_ + p.column;
    t.bias = bias_ + p.column;
    t.y_inverse = y_inverse(p.column);
    t.y_zero = y_zero(p.column);
    t.y_step = ys;
    t.y_row_step = g_.ow * ys;
    t.channels = p.width;
    t.post = &epilogue_.post;
    PixelWalk walk(tiles_h_, tiles_w_, block.begin);
    for (int64_t i = 0; i < block.size(); ++i, walk.next()) {
      const int64_t oy = walk.y * out_, ox = walk.x * out_;
      const int64_t at = ((walk.n * g_.oh + oy) * g_.ow + ox) * ys + p.n0;
      t.m = m + i * nr;
      t.y = static_cast<std::byte*>(args.y) + at * epilogue_.y_bytes;
      if (epilogue_.post.residual != ByteOrFloat::kNone)
        t.residual = static_cast<const std::byte*>(args.residual) + at * epilogue_.residual_bytes;
      t.rows = std::min(out_, g_.oh - oy);
      t.columns = std::min(out_, g_.ow - ox);
      table_.winograd_output_int8[out_ / 4](t);
    }
  }

  ConvGeometry g_;
  const KernelTable& table_;
  Int8Epilogue epilogue_;
  int zero_;
  std::string name_;
  int64_t out_ = 0, in_ = 0, frequencies_ = 0;
  int64_t tiles_h_ = 0, tiles_w_ = 0, tiles_ = 0, block_ = 0;
  int64_t inputs_ = 0, groups_ = 0;  // channels rounded up to registers; pairs of channels
  int64_t m_frequency_ = 0;
  int64_t v_bytes_ = 0, m_bytes_ = 0, pointer_bytes_ = 0, part_scratch_ = 0;
  Split split_;
  std::vector<Panel> panels_;
  const int16_t* packed_ = nullptr;
  AlignedBuffer<int32_t> start_;  // zeros
  AlignedBuffer<uint8_t> pads_;
};

}  // namespace

int winograd_int8_tile(const ConvGeometry& g, const int8_t* weights, int zero, bool bytes,
                       const KernelTable& table) {
  constexpr int64_t kLeastChannels = 8;
  const bool fits = table.pairs_saturate && g.groups == 1 && g.kh == 3 && g.kw == 3 &&
                    g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 && g.dilation_w == 1 &&
                    g.ic >= kLeastChannels && g.oc >= kLeastChannels;
  if (!fits) return 0;
  const int64_t largest = largest_sum(g, weights, zero);
  int64_t best = estimate(g, 1, bytes, 2 * table.lanes);
  int tile = 0;
  for (const int out : {2, 4}) {
    if (largest >= (out == 4 ? kLargestSum4 : kLargestSum2)) continue;
    const int64_t cycles = estimate(g, out, false, 2 * table.lanes);
    if (cycles >= best) continue;
    best = cycles;
    tile = out;
  }
  return tile;
}

Result<MatrixKernelPtr> make_winograd_int8(const ConvGeometry& g, int tile,
                                           const Weights<int8_t>& weights, const float* bias,
                                           const ConvQuant& quant, const Int8Epilogue& epilogue,
                                           const KernelTable& table, const KernelOptions& options) {
  auto kernel =
      std::make_unique<WinogradConvInt8>(g, tile, quant, epilogue, table, options.threads);
  MNN_RETURN_IF_ERROR(kernel->pack(weights, bias, quant, options.weights));
  return MatrixKernelPtr(std::move(kernel));
}

}  // namespace mnn
