// Direct int8 convolution and product, of bytes where the set's byte products are exact for the
// weights (byte_pairs.h), else of int16. A block of output rows has the input it needs copied into
// a buffer with its border, as bytes or as int16 minus the zero point: then neighbouring taps are
// neighbours in memory, borders need no tests, and the copy stays in cache for all panels. 1x1
// kernels read bytes where they lie.
#include <algorithm>
#include <cstring>

#include "libruntime/kernels/byte_pairs.h"
#include "libruntime/kernels/conv_plan.h"
#include "libruntime/kernels/gemm.h"
#include "libruntime/kernels/int8_plan.h"
#include "libruntime/kernels/isa.h"

namespace mnn {
namespace {

constexpr int64_t kBufferBytes = 96 * 1024;        // of a block's input, to stay in L2
constexpr int64_t kLargeBufferBytes = 192 * 1024;  // with weights that do not stay there anyway
constexpr int64_t kChunkBytes = 16 * 1024;         // of it used at a time, to stay in L1
constexpr int64_t kSmallWeights = 192 * 1024;      // weights up to this stay in L2
constexpr int64_t kMostBuffer = int64_t{1} << 28;  // what why_not_int8 allows
constexpr int64_t kTileRows = 6;

class DirectConvInt8 final : public Int8Kernel {
 public:
  DirectConvInt8(const ConvGeometry& g, const KernelTable& table, bool bytes,
                 const ConvQuant& quant, const Int8Epilogue& epilogue)
      : g_(g),
        table_(table),
        tiles_(bytes ? table.bytes_int8 : table.words_int8),
        bytes_(bytes),
        epilogue_(epilogue),
        zero_(quant.in.zero_point) {
    name_ = std::string(bytes ? "conv_int8_bytes_" : "conv_int8_words_") + table.isa;
    const bool pointwise = g.kh == 1 && g.kw == 1 && g.pad_top == 0 && g.pad_left == 0;
    if (pointwise && g.stride_h == 1 && g.stride_w == 1 && g.oh == g.ih && g.ow == g.iw) {
      // Pixels are alike: one column of them.
      g_.ih = g_.oh = g.n * g.ih * g.iw;
      g_.n = g_.iw = g_.ow = 1;
    }
    const WeightRuns order = weight_runs(g);
    group_inputs_ = order.inputs;
    group_ = bytes ? 4 : 2;
    element_ = 4 / group_;
    in_place_ = bytes && pointwise && group_inputs_ % 4 == 0 && (g_.oh - 1) * g_.stride_h < g_.ih &&
                (g_.ow - 1) * g_.stride_w < g_.iw;
    run_ = order.run;
    runs_ = order.taps / run_;
    k_ = ceil_div(run_ * group_inputs_, group_);
    buffer_width_ = (g_.ow - 1) * g_.stride_w + (g_.kw - 1) * g_.dilation_w + 1;
  }

  // Chooses blocks and panels.
  void plan(int threads) {
    const int64_t outputs = g_.oc / g_.groups;
    const int64_t span = (g_.kh - 1) * g_.dilation_h + 1;
    row_bytes_ = buffer_width_ * g_.ic * element_;
    const int64_t weight_bytes = runs_ * k_ * 4 * outputs;
    const bool small_weights = weight_bytes <= kSmallWeights;
    const int64_t fit =
        (small_weights ? kBufferBytes : kLargeBufferBytes) / (row_bytes_ * g_.stride_h);
    block_rows_ = std::clamp<int64_t>(fit, std::min<int64_t>(4, g_.oh), g_.oh);
    if (row_bytes_ * g_.stride_h * block_rows_ > kMostBuffer) block_rows_ = 1;
    const int64_t m = g_.n * g_.oh * g_.ow;
    int widest = tiles_.vectors;
    for (int v = widest + 1; v <= kMaxVectors; ++v)
      if (m <= tiles_.rows[v]) widest = v;
    panels_ = split_columns(outputs, g_.groups, group_inputs_, table_.lanes, widest);
    split_ = split_work(g_.n * g_.oh * (g_.ow == 1 ? 1 : kTileRows),
                        static_cast<int64_t>(panels_.size()),
                        m * g_.oc * group_inputs_ * g_.kh * g_.kw / 2, threads);
    // The last panel of a group is filled up with columns of the one before, as whole panels take
    // the shortest way out; not where an output may already lie on a residual.
    if (split_.panels == 1 && epilogue_.post.residual == ByteOrFloat::kNone)
      for (Panel& p : panels_) {
        const int missing = p.vectors * table_.lanes - p.width;
        if (p.n0 % outputs < missing) continue;
        p.n0 -= missing;
        p.width += missing;
      }
    chunk_ = block_rows_ * g_.ow;
    if (small_weights) {
      const int64_t pixel = std::max<int64_t>(1, g_.ic * element_ * g_.stride_h * g_.stride_w);
      chunk_ = std::min(chunk_, round_up(std::max<int64_t>(kChunkBytes / pixel, 12), kTileRows));
    }
    chunk_ = std::min<int64_t>(chunk_, 1200);
    buffer_bytes_ =
        in_place_ ? 0 : round_up(((block_rows_ - 1) * g_.stride_h + span) * row_bytes_ + 64, 64);
    pointer_bytes_ = round_up(runs_ * chunk_ * 8, 64);
    part_scratch_ = buffer_bytes_ + pointer_bytes_;
  }

  // Panels, then the sum of every column.
  Status pack(const Weights<int8_t>& weights, const float* bias, const ConvQuant& quant,
              WeightsCache* cache) {
    const int64_t columns = padded_columns(panels_, table_.lanes), cells = columns * runs_ * k_;
    const bool filled = panels_.back().width == panels_.back().vectors * table_.lanes;
    const auto pack = [&](int32_t* packed) -> Status {
      MNN_ASSIGN_OR_RETURN(const auto elements, weights.read());
      pack_columns(elements.get(), packed, packed + cells);
      return {};
    };
    MNN_ASSIGN_OR_RETURN(packed_,
                         keep<int32_t>(cache, weights.id(),
                                       layout_of(table_, bytes_ ? "int8 bytes" : "int8 words",
                                                 {panels_.front().vectors, filled, g_.oc, g_.groups,
                                                  group_inputs_, g_.kh, g_.kw, run_}),
                                       cells + columns, pack));
    AlignedBuffer<int32_t> start(columns);
    // With int16 the zero point is taken off the inputs already.
    for (int64_t i = 0; bytes_ && i < columns; ++i) start[i] = -packed_[cells + i] * zero_;
    MNN_ASSIGN_OR_RETURN(start_, keep(cache, start));
    Int8Columns made(columns, epilogue_.y_per_channel);
    for (const Panel& p : panels_)
      for (int64_t j = 0; j < p.width; ++j)
        made.set(p.column + j, quant, quant.in.scale, bias, p.n0 + j);
    MNN_RETURN_IF_ERROR(keep_columns(cache, made));
    y_offset_ = AlignedBuffer<int64_t>(chunk_);
    for (int64_t r = 0; r < chunk_; ++r) y_offset_[r] = r * g_.y_pixel_stride;
    return {};
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return part_scratch_ * parts(); }
  int parts() const override { return split_.parts(); }

  void run(int, int part, const KernelArgs& args) const override {
    const Range rows =
        piece(g_.n * g_.oh, split_.rows, part / split_.panels, g_.ow == 1 ? kTileRows : 1);
    const Range panels =
        piece(static_cast<int64_t>(panels_.size()), split_.panels, part % split_.panels);
    if (panels.size() == 0) return;
    std::byte* scratch = args.scratch + part * part_scratch_;
    for (int64_t row = rows.begin; row < rows.end;) {
      const int64_t image = row / g_.oh, first = row % g_.oh;
      const int64_t left = std::min(rows.end - row, g_.oh - first);
      const Range block = piece(left, ceil_div(left, block_rows_), 0);
      run_block(image, first, block.size(), panels, args, scratch);
      row += block.size();
    }
  }

 private:
  void pack_columns(const int8_t* weights, int32_t* packed, int32_t* sums) const {
    const int64_t area = g_.kh * g_.kw;
    for (const Panel& p : panels_) {
      const int64_t nr = int64_t{p.vectors} * table_.lanes;
      int32_t* out = packed + p.column * runs_ * k_;
      for (int64_t j = 0; j < p.width; ++j) {
        const int64_t o = p.n0 + j;
        int32_t sum = 0;
        for (int64_t run = 0; run < runs_; ++run) {
          int32_t* cell = out + run * k_ * nr + j;
          int64_t in_group = 0;
          for (int64_t tap = run * run_; tap < (run + 1) * run_; ++tap) {
            const int8_t* w = weights + o * group_inputs_ * area + tap;
            for (int64_t c = 0; c < group_inputs_; ++c, w += area) {
              sum += *w;
              put(cell, in_group, *w);
              if (++in_group < group_) continue;
              in_group = 0;
              cell += nr;
            }
          }
        }
        sums[p.column + j] = sum;
      }
    }
  }

  void put(int32_t* cell, int64_t index, int8_t w) const {
    if (bytes_) {
      reinterpret_cast<int8_t*>(cell)[index] = w;
    } else {
      reinterpret_cast<int16_t*>(cell)[index] = w;
    }
  }

  void run_block(int64_t image, int64_t first, int64_t rows, const Range& panels,
                 const KernelArgs& args, std::byte* scratch) const {
    auto* buffer = reinterpret_cast<uint8_t*>(scratch);
    const auto** pointers = reinterpret_cast<const uint8_t**>(scratch + buffer_bytes_);
    const auto* x = static_cast<const uint8_t*>(args.x) + image * g_.ih * g_.iw * g_.x_pixel_stride;
    if (!in_place_) fill(x, first, rows, buffer);
    const int64_t pixels = rows * g_.ow, chunks = ceil_div(pixels, chunk_);
    const int64_t m0 = (image * g_.oh + first) * g_.ow;
    TileInt8 t;  // what all panels share
    t.a_tap_stride = chunk_;
    t.taps = runs_;
    t.k = k_;
    t.post = &epilogue_.post;
    for (int64_t i = 0; i < chunks; ++i) {
      const Range chunk = piece(pixels, chunks, i, kTileRows);
      point(x, first, chunk, buffer, pointers);
      const int64_t at = (m0 + chunk.begin) * g_.y_pixel_stride;
      t.y = static_cast<std::byte*>(args.y) + at * epilogue_.y_bytes;
      if (epilogue_.post.residual != ByteOrFloat::kNone)
        t.residual = static_cast<const std::byte*>(args.residual) + at * epilogue_.residual_bytes;
      for (int64_t p = panels.begin; p < panels.end; ++p)
        run_panel(panels_[static_cast<size_t>(p)], chunk.size(), pointers, t);
    }
  }

  // The input of output rows [first, first + rows) with its border; buffer row i is input row
  // first * stride - pad_top + i.
  void fill(const uint8_t* x, int64_t first, int64_t rows, uint8_t* buffer) const {
    const int64_t top = first * g_.stride_h - g_.pad_top;
    const int64_t count = (rows - 1) * g_.stride_h + (g_.kh - 1) * g_.dilation_h + 1;
    const int64_t lo = std::clamp<int64_t>(g_.pad_left, 0, buffer_width_);
    const int64_t hi = std::clamp<int64_t>(g_.iw + g_.pad_left, lo, buffer_width_);
    const bool dense = g_.x_pixel_stride == g_.ic;
    if (dense && lo == 0 && hi == buffer_width_ && buffer_width_ == g_.iw && g_.pad_left == 0 &&
        top >= 0 && top + count <= g_.ih && g_.kh >= g_.stride_h) {
      copy(x + top * g_.iw * g_.ic, count * g_.iw * g_.ic, buffer);
      return;
    }
    for (int64_t i = 0; i < count; ++i, buffer += row_bytes_) {
      if (!is_read(i)) continue;
      const int64_t iy = top + i;
      if (iy < 0 || iy >= g_.ih) {
        fill_pad(buffer, row_bytes_);
        continue;
      }
      const uint8_t* row = x + (iy * g_.iw + lo - g_.pad_left) * g_.x_pixel_stride;
      const int64_t pixel = g_.ic * element_;
      fill_pad(buffer, lo * pixel);
      if (dense) {
        copy(row, (hi - lo) * g_.ic, buffer + lo * pixel);
      } else {
        for (int64_t j = lo; j < hi; ++j, row += g_.x_pixel_stride)
          copy(row, g_.ic, buffer + j * pixel);
      }
      fill_pad(buffer + hi * pixel, (buffer_width_ - hi) * pixel);
    }
  }

  // Whether some tap of some output row reads buffer row i.
  bool is_read(int64_t i) const {
    for (int64_t ky = 0; ky < g_.kh && ky * g_.dilation_h <= i; ++ky)
      if ((i - ky * g_.dilation_h) % g_.stride_h == 0) return true;
    return false;
  }

  void fill_pad(uint8_t* out, int64_t bytes) const {
    std::memset(out, bytes_ ? zero_ : 0, static_cast<size_t>(bytes));
  }

  void copy(const uint8_t* x, int64_t count, uint8_t* out) const {
    if (bytes_) {
      std::memcpy(out, x, static_cast<size_t>(count));
    } else {
      table_.widen_u8(x, zero_, reinterpret_cast<int16_t*>(out), count);
    }
  }

  // pointers[run * chunk_ + r] for the pixels of a chunk of the block whose first
  // output row is `first`.
  void point(const uint8_t* x, int64_t first, const Range& chunk, const uint8_t* buffer,
             const uint8_t** pointers) const {
    const int64_t pixel = in_place_ ? g_.x_pixel_stride : g_.ic * element_;
    const int64_t row = in_place_ ? g_.iw * pixel : row_bytes_;
    const uint8_t* origin = in_place_ ? x + first * g_.stride_h * row : buffer;
    const int64_t step = (g_.ow == 1 ? g_.stride_h * row : g_.stride_w * pixel);
    for (int64_t r = 0; r < chunk.size();) {
      // Pixels of one row follow each other; where rows are one pixel wide, so do all.
      const int64_t at = chunk.begin + r;
      const int64_t y = g_.ow == 1 ? at : at / g_.ow, ox = g_.ow == 1 ? 0 : at % g_.ow;
      const int64_t count = g_.ow == 1 ? chunk.size() : std::min(chunk.size() - r, g_.ow - ox);
      for (int64_t run = 0; run < runs_; ++run) {
        const int64_t ky = run * run_ / g_.kw, kx = run * run_ % g_.kw;
        const uint8_t* p = origin + (y * g_.stride_h + ky * g_.dilation_h) * row +
                           (ox * g_.stride_w + kx * g_.dilation_w) * pixel;
        const uint8_t** out = pointers + run * chunk_ + r;
        for (int64_t i = 0; i < count; ++i, p += step) out[i] = p;
      }
      r += count;
    }
  }

  // y and the residual of `shared` are those of the first row.
  void run_panel(const Panel& p, int64_t rows, const uint8_t* const* pointers,
                 const TileInt8& shared) const {
    TileInt8 t = shared;
    t.a_offset = p.a_offset * element_;
    t.w = packed_ + p.column * runs_ * k_;
    t.start = start_ + p.column;
    t.scale = scale_ + p.column;
    t.bias = bias_ + p.column;
    t.y_inverse = y_inverse(p.column);
    t.y_zero = y_zero(p.column);
    t.y = static_cast<std::byte*>(t.y) + p.n0 * epilogue_.y_bytes;
    if (t.residual)
      t.residual = static_cast<const std::byte*>(t.residual) + p.n0 * epilogue_.residual_bytes;
    t.n = p.width;
    const auto* tile = tiles_.tile[p.vectors];
    for_tiles(rows, tiles_.rows[p.vectors], [&](int64_t first, int64_t count) {
      t.a = pointers + first;
      t.y_offset = y_offset_.data() + first;
      tile[count](t);
    });
  }

  ConvGeometry g_;
  const KernelTable& table_;
  const Int8Tiles& tiles_;
  bool bytes_;
  Int8Epilogue epilogue_;
  int zero_;
  std::string name_;
  int64_t group_inputs_ = 0, group_ = 0, element_ = 0;
  bool in_place_ = false;
  int64_t run_ = 1, runs_ = 0, k_ = 0;
  int64_t buffer_width_ = 0, row_bytes_ = 0, block_rows_ = 0, chunk_ = 0;
  int64_t buffer_bytes_ = 0, pointer_bytes_ = 0, part_scratch_ = 0;
  std::vector<Panel> panels_;
  Split split_;
  const int32_t *packed_ = nullptr, *start_ = nullptr;
  AlignedBuffer<int64_t> y_offset_;  // of the rows of a chunk
};

}  // namespace

Result<MatrixKernelPtr> make_conv_int8(const ConvGeometry& geometry, const Weights<int8_t>& weights,
                                       const float* bias, const ConvQuant& quant,
                                       const Epilogue& epilogue, const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const ConvGeometry g, check_geometry(geometry, 1));
  if (const auto why = why_not_int8(g, false)) return unsupported(*why);
  MNN_ASSIGN_OR_RETURN(const Int8Epilogue e,
                       plan_int8(g, bias, quant, epilogue, g.ic / g.groups * g.kh * g.kw));
  if (g.groups > 1 && g.groups == g.ic)
    return make_depthwise_int8(g, weights, bias, quant, e, *table, options);
  bool bytes = true;
  if (table->pairs_saturate) {
    MNN_ASSIGN_OR_RETURN(const auto elements, weights.read());
    bytes = fit_in_pairs(g, elements.get());
    const int tile = options.winograd
                         ? winograd_int8_tile(g, elements.get(), quant.in.zero_point, bytes, *table)
                         : 0;
    if (tile > 0) return make_winograd_int8(g, tile, weights, bias, quant, e, *table, options);
  }
  auto kernel = std::make_unique<DirectConvInt8>(g, *table, bytes, quant, e);
  kernel->plan(options.threads);
  MNN_RETURN_IF_ERROR(kernel->pack(weights, bias, quant, options.weights));
  return MatrixKernelPtr(std::move(kernel));
}

Result<MatrixKernelPtr> make_gemm_int8(const GemmGeometry& geometry, const Weights<int8_t>& b,
                                       const float* bias, const ConvQuant& quant,
                                       const Epilogue& epilogue, const KernelOptions& options) {
  const GemmGeometry& g = geometry;
  if (g.batch != 1 || g.alpha != 1) return invalid("int8 product with a batch or a factor");
  ConvGeometry c;
  c.iw = c.ow = g.m;
  c.ic = g.k;
  c.oc = g.n;
  c.x_pixel_stride = g.a_stride;
  c.y_pixel_stride = g.c_stride;
  MNN_RETURN_IF_ERROR(check_geometry(c, 1).status());
  const int64_t stride = g.b_stride ? g.b_stride : (g.b_transposed ? g.k : g.n);
  if (stride < (g.b_transposed ? g.k : g.n))
    return invalid("matrix row strides must not be below the row");
  if (g.b_transposed && stride == g.k) return make_conv_int8(c, b, bias, quant, epilogue, options);
  const auto turn = [n = g.n, k = g.k, row = g.b_transposed ? stride : 1,
                     column = g.b_transposed ? 1 : stride](const int8_t* from, int8_t* to) {
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < k; ++j) *to++ = from[i * row + j * column];
  };
  const Weights<int8_t> turned =
      b.derived(layout_name("turned", {g.n, g.k, g.b_transposed, stride}), g.n * g.k, turn);
  return make_conv_int8(c, turned, bias, quant, epilogue, options);
}

}  // namespace mnn
