// Winograd convolution for 3x3 kernels of stride 1. A block of output tiles is transformed, then
// one product per frequency with the tiles as rows, then the results are transformed back; a
// block's transforms stay in cache. The transformed weights depend on the size of the map in one
// bit, the size of the tile.
#include <algorithm>

#include "libruntime/kernels/direct_f32.h"

namespace mnn {
namespace {

constexpr int64_t kTileRows = 6;
constexpr int64_t kBlockBytes = 320 * 1024;         // transforms of a block, to stay in L2
constexpr int64_t kLargeWeights = 2 * 1024 * 1024;  // these pass through the cache for each block
constexpr int64_t kLargeBlockBytes = 2 * 1024 * 1024;

// Below this size of the map the larger transformed weights of F(4x4) cost more than they save.
constexpr int64_t kLargeMap = 20;

class WinogradConvF32 final : public MatrixKernel {
 public:
  WinogradConvF32(const ConvGeometry& g, const Epilogue& epilogue, const KernelTable& table,
                  int threads)
      : g_(g), table_(table), epilogue_(epilogue), post_(plan_epilogue(epilogue)) {
    out_ = std::min(g.oh, g.ow) >= kLargeMap ? 4 : 2;
    in_ = out_ + 2;
    frequencies_ = in_ * in_;
    name_ = std::string(out_ == 4 ? "conv_f32_winograd4_" : "conv_f32_winograd2_") + table.isa;
    tiles_h_ = ceil_div(g.oh, out_);
    tiles_w_ = ceil_div(g.ow, out_);
    tiles_ = g.n * tiles_h_ * tiles_w_;
    panels_ = split_columns(g.oc, 1, 0, table.lanes, table.vectors_f32);
    columns_ = padded_columns(panels_, table.lanes);
    inputs_ = round_up(g.ic, table.lanes);
    const int64_t tile_bytes = frequencies_ * (inputs_ + columns_) * 4;
    const bool large = frequencies_ * g.ic * columns_ * 4 > kLargeWeights;
    const int64_t fit = (large ? kLargeBlockBytes : kBlockBytes) / tile_bytes;
    block_ = std::max(fit / kTileRows, int64_t{2}) * kTileRows;
    block_ = std::min(block_, round_up(tiles_, kTileRows));
    // Split tile by tile: there may be few.
    parts_ = split_work(tiles_ * kTileRows, 1, tiles_ * frequencies_ * g.ic * g.oc, threads).rows;
    const int64_t transforms = round_up(block_ * frequencies_ * (inputs_ + columns_) * 4, 64);
    pointer_bytes_ = round_up(std::max(frequencies_, block_) * 8, 64);
    part_scratch_ = transforms + 2 * pointer_bytes_;
    zeros_ = AlignedBuffer<float>(columns_ + inputs_);
  }

  Status pack(const Weights<float>& weights, const float* bias, WeightsCache* cache) {
    const auto pack = [&](float* packed) -> Status {
      MNN_ASSIGN_OR_RETURN(const auto elements, weights.read());
      transform_weights(elements.get(), packed);
      return {};
    };
    MNN_ASSIGN_OR_RETURN(packed_, keep<float>(cache, weights.id(),
                                              layout_of(table_, "f32 winograd",
                                                        {out_, table_.vectors_f32, g_.ic, g_.oc}),
                                              frequencies_ * g_.ic * columns_, pack));
    AlignedBuffer<float> own(columns_);
    if (bias) std::copy_n(bias, g_.oc, own.data());
    MNN_ASSIGN_OR_RETURN(bias_, keep(cache, own));
    return {};
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return part_scratch_ * parts_; }
  int parts() const override { return parts_; }

  void run(int, int part, const KernelArgs& args) const override {
    const Range tiles = piece(tiles_, parts_, part);
    if (tiles.size() == 0) return;
    std::byte* scratch = args.scratch + part * part_scratch_;
    auto* v = reinterpret_cast<float*>(scratch);
    float* m = v + block_ * frequencies_ * inputs_;
    const auto** pointers =
        reinterpret_cast<const float**>(scratch + part_scratch_ - 2 * pointer_bytes_);
    auto* offsets = reinterpret_cast<int64_t*>(scratch + part_scratch_ - pointer_bytes_);
    for (int64_t i = 0; i < block_; ++i) offsets[i] = i * columns_;
    const int64_t blocks = ceil_div(tiles.size(), block_);
    for (int64_t b = 0; b < blocks; ++b) {
      Range block = piece(tiles.size(), blocks, b, kTileRows);
      block.begin += tiles.begin;
      block.end += tiles.begin;
      transform_input(block, static_cast<const float*>(args.x), pointers, v);
      for (int64_t f = 0; f < frequencies_; ++f)
        multiply(f, block.size(), v + f * block_ * inputs_, m + f * block_ * columns_, pointers,
                 offsets);
      transform_output(block, m, args);
    }
  }

 private:
  // Transforms in double: G w G^T, frequency by frequency.
  void transform_weights(const float* weights, float* packed) const {
    static constexpr double kG2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
    static constexpr double kG4[6][3] = {{1.0 / 4, 0, 0},
                                         {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                         {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                         {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                         {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                         {0, 0, 1}};
    const auto* g = out_ == 4 ? kG4 : kG2;
    for (const Panel& p : panels_) {
      const int64_t nr = int64_t{p.vectors} * table_.lanes;
      for (int64_t j = 0; j < p.width; ++j)
        for (int64_t c = 0; c < g_.ic; ++c) {
          const float* w = weights + ((p.n0 + j) * g_.ic + c) * 9;
          for (int64_t y = 0; y < in_; ++y) {
            double line[3];
            for (int x = 0; x < 3; ++x)
              line[x] = g[y][0] * w[x] + g[y][1] * w[3 + x] + g[y][2] * w[6 + x];
            for (int64_t x = 0; x < in_; ++x) {
              const double value = line[0] * g[x][0] + line[1] * g[x][1] + line[2] * g[x][2];
              packed[(y * in_ + x) * g_.ic * columns_ + p.column * g_.ic + c * nr + j] =
                  static_cast<float>(value);
            }
          }
        }
    }
  }

  void transform_input(const Range& block, const float* x, const float** pixels, float* v) const {
    const int64_t xs = g_.x_pixel_stride;
    WinogradInput t;
    t.pixels = pixels;
    t.channels = g_.ic;
    t.v_frequency = block_ * inputs_;
    PixelWalk walk(tiles_h_, tiles_w_, block.begin);
    for (int64_t i = 0; i < block.size(); ++i, walk.next()) {
      const float* image = x + walk.n * g_.ih * g_.iw * xs;
      const int64_t iy0 = walk.y * out_ - g_.pad_top, ix0 = walk.x * out_ - g_.pad_left;
      for (int64_t y = 0; y < in_; ++y)
        for (int64_t j = 0; j < in_; ++j) {
          const int64_t iy = iy0 + y, ix = ix0 + j;
          const bool inside = iy >= 0 && iy < g_.ih && ix >= 0 && ix < g_.iw;
          pixels[y * in_ + j] = inside ? image + (iy * g_.iw + ix) * xs : zeros_.data();
        }
      t.v = v + i * inputs_;
      table_.winograd_input[out_ / 4](t);
    }
  }

  void multiply(int64_t f, int64_t rows, const float* v, float* m, const float** pointers,
                const int64_t* offsets) const {
    for (int64_t i = 0; i < rows; ++i) pointers[i] = v + i * inputs_;
    TileF32 t;
    t.taps = 1;
    t.k = g_.ic;
    t.bias = zeros_.data();
    t.low = -__builtin_inff();
    t.high = __builtin_inff();
    for (const Panel& p : panels_) {
      const int64_t nr = int64_t{p.vectors} * table_.lanes;
      t.w = packed_ + (f * columns_ + p.column) * g_.ic;
      t.w_stride = nr;
      t.y = m + p.column;
      t.n = nr;
      const auto* tile = table_.tile_f32[p.vectors];
      for_tiles(rows, table_.rows_f32[p.vectors], [&](int64_t first, int64_t count) {
        t.a = pointers + first;
        t.y_offset = offsets + first;
        tile[count](t);
      });
    }
  }

  void transform_output(const Range& block, const float* m, const KernelArgs& args) const {
    const int64_t ys = g_.y_pixel_stride;
    WinogradOutput t;
    t.m_frequency = block_ * columns_;
    t.bias = bias_;
    t.y_step = ys;
    t.y_row_step = g_.ow * ys;
    t.channels = g_.oc;
    t.low = post_.low;
    t.high = post_.high;
    PixelWalk walk(tiles_h_, tiles_w_, block.begin);
    for (int64_t i = 0; i < block.size(); ++i, walk.next()) {
      const int64_t oy = walk.y * out_, ox = walk.x * out_;
      const int64_t at = ((walk.n * g_.oh + oy) * g_.ow + ox) * ys;
      t.m = m + i * columns_;
      t.y = static_cast<float*>(args.y) + at;
      const float* residual =
          epilogue_.residual ? static_cast<const float*>(args.residual) + at : nullptr;
      t.residual = post_.add_residual ? residual : nullptr;
      t.rows = std::min(out_, g_.oh - oy);
      t.columns = std::min(out_, g_.ow - ox);
      table_.winograd_output[out_ / 4](t);
      if (!post_.any_pass()) continue;
      const bool dense = ys == g_.oc;  // pixels of a row follow each other
      const int64_t n = dense ? t.columns * ys : g_.oc;
      for (int64_t y = 0; y < t.rows; ++y)
        for (int64_t x = 0; x < (dense ? 1 : t.columns); ++x) {
          const int64_t pixel = y * t.y_row_step + x * ys;
          run_post_pass(table_, epilogue_, post_, residual ? residual + pixel : nullptr,
                        t.y + pixel, n);
        }
    }
  }

  ConvGeometry g_;
  const KernelTable& table_;
  Epilogue epilogue_;
  TilePost post_;
  std::string name_;
  int64_t out_ = 0, in_ = 0, frequencies_ = 0;
  int64_t tiles_h_ = 0, tiles_w_ = 0, tiles_ = 0, block_ = 0;
  int64_t inputs_ = 0, columns_ = 0;  // channels as stored, rounded up to registers
  int parts_ = 1;
  std::vector<Panel> panels_;
  const float *packed_ = nullptr, *bias_ = nullptr;
  AlignedBuffer<float> zeros_;
  int64_t pointer_bytes_ = 0, part_scratch_ = 0;
};

}  // namespace

bool prefer_winograd(const ConvGeometry& g) {
  constexpr int64_t kLeastMap = 13, kLeastChannels = 16;
  return g.groups == 1 && g.kh == 3 && g.kw == 3 && g.stride_h == 1 && g.stride_w == 1 &&
         g.dilation_h == 1 && g.dilation_w == 1 && g.ic >= kLeastChannels &&
         g.oc >= kLeastChannels && std::min(g.oh, g.ow) >= kLeastMap;
}

Result<MatrixKernelPtr> make_winograd_f32(const ConvGeometry& g, const Weights<float>& weights,
                                          const float* bias, const Epilogue& epilogue,
                                          const KernelTable& table, const KernelOptions& options) {
  auto kernel = std::make_unique<WinogradConvF32>(g, epilogue, table, options.threads);
  MNN_RETURN_IF_ERROR(kernel->pack(weights, bias, options.weights));
  return MatrixKernelPtr(std::move(kernel));
}

}  // namespace mnn
