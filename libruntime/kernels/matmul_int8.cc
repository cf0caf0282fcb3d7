// int8 products of two computed matrices, rescaled or as int32 sums. Each part packs the matrix B
// of its batch item, unless B is constant and packed already, then takes rows of A over it block by
// block. Without VNNI both operands become
// int16 minus their zero points; with it A stays as it is and B is taken minus 128, and what the
// zero points add is taken off the sums: (a - za)(b - zb) = a w - za w + d a - d za, with w = b -
// 128 and d = 128 - zb.
#include <algorithm>
#include <cstring>
#include <limits>

#include "libruntime/kernels/conv_plan.h"
#include "libruntime/kernels/gemm.h"
#include "libruntime/kernels/int8_plan.h"
#include "libruntime/kernels/isa.h"

namespace mnn {
namespace {

constexpr int64_t kBlockBytes = 16 * 1024;
constexpr int64_t kTileRows = 6;
constexpr int64_t kMostRows = 96;

class MatMulInt8 final : public Int8Kernel {
 public:
  // Sums, with the zero points of each run.
  MatMulInt8(const GemmGeometry& g, const KernelTable& table, int threads)
      : g_(g), table_(table), sums_(true), threads_(threads) {
    name_ = std::string("matmul_integer_") + table.isa;
    plan();
  }

  MatMulInt8(const GemmGeometry& g, const KernelTable& table, const ConvQuant& quant,
             const QuantU8& b, const Int8Epilogue& epilogue, int threads)
      : g_(g),
        table_(table),
        epilogue_(epilogue),
        a_zero_(quant.in.zero_point),
        b_zero_(b.zero_point),
        threads_(threads) {
    name_ = std::string("matmul_int8_") + table.isa;
    plan();
  }

  Status pack(const float* bias, const ConvQuant& quant, WeightsCache* cache) {
    Int8Columns made(columns_, epilogue_.y_per_channel);
    for (const Panel& p : panels_)
      for (int64_t j = 0; j < p.width; ++j)
        made.set(p.column + j, quant, quant.in.scale, bias, p.n0 + j);
    return keep_columns(cache, made);
  }

  // B is constant, `zeros` of it: one, or one a column. Other columns than the first are taken with
  // the first one's zero point and put right by what their rows of A come to.
  Status keep_b(const Weights<uint8_t>& b, std::span<const uint8_t> zeros, WeightsCache* cache) {
    kept_zero_ = zeros[0];
    const std::string layout = layout_name(
        name_ + " kept",
        {g_.n, g_.k, g_.b_stride, g_.b_transposed, panels_.front().vectors, kept_zero_});
    const auto fill = [&](std::byte* to) -> Status {
      MNN_ASSIGN_OR_RETURN(const auto elements, b.read());
      AlignedBuffer<std::byte> turned(turned_bytes_);
      Scratch s;
      s.b = reinterpret_cast<int32_t*>(to);
      s.start = reinterpret_cast<int32_t*>(to + b_bytes_);
      s.turned = reinterpret_cast<int32_t*>(turned.data());
      s.a_zero = -1;  // the columns' sums as they are
      s.b_zero = kept_zero_;
      pack(elements.get(), s);
      return {};
    };
    MNN_ASSIGN_OR_RETURN(const std::byte* kept,
                         keep<std::byte>(cache, b.id(), layout, b_bytes_ + start_bytes_, fill));
    kept_b_ = reinterpret_cast<const int32_t*>(kept);
    kept_start_ = reinterpret_cast<const int32_t*>(kept + b_bytes_);
    for (const uint8_t z : zeros) shifts_.push_back(static_cast<uint32_t>(kept_zero_ - z));
    if (std::ranges::all_of(shifts_, [](uint32_t shift) { return shift == 0; })) shifts_.clear();
    split_ =
        split_work(g_.m, static_cast<int64_t>(panels_.size()), g_.m * g_.n * g_.k / 2, threads_);
    part_scratch_ -= b_bytes_ + turned_bytes_;
    if (!shifts_.empty()) part_scratch_ += row_bytes_;
    return {};
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return part_scratch_ * parts(); }
  int parts() const override { return split_.parts(); }

  void run(int, int part, const KernelArgs& args) const override {
    const Range rows = piece(g_.m, split_.rows, part / split_.panels, kTileRows);
    // Of items, each with its B, or of the columns of the one that is kept.
    const Range share =
        piece(kept_b_ ? std::ssize(panels_) : g_.batch, split_.panels, part % split_.panels);
    if (rows.size() == 0 || share.size() == 0) return;
    Scratch s = scratch(args.scratch + part * part_scratch_);
    s.a_zero = sums_ ? args.x_zero : a_zero_;
    s.b_zero = !sums_ ? b_zero_ : kept_b_ ? kept_zero_ : args.b_zero;
    for (int64_t r = 0; r < rows_block_; ++r) s.y_offset[r] = r * g_.c_stride;
    std::span<const Panel> panels = panels_;
    if (kept_b_) {
      s.b = kept_b_;
      panels = panels.subspan(static_cast<size_t>(share.begin), static_cast<size_t>(share.size()));
      for (int64_t j = 0; j < columns_; ++j) s.start[j] = fours() ? kept_start_[j] * -s.a_zero : 0;
      return run_rows(0, rows, panels, s, args);
    }
    int64_t packed = -1;
    for (int64_t item = share.begin; item < share.end; ++item) {
      const int64_t b = g_.b_offsets[static_cast<size_t>(item)];
      if (b != packed) {
        packed = b;
        pack(static_cast<const uint8_t*>(args.b) + packed, s);
      }
      run_rows(item, rows, panels, s, args);
    }
  }

 private:
  void plan() {
    const GemmGeometry& g = g_;
    const KernelTable& table = table_;
    k_ = ceil_div(g.k, fours() ? 4 : 2);
    in_place_ = fours() && g.k % 4 == 0;
    int widest = tiles().vectors;
    for (int v = widest + 1; v <= kMaxVectors; ++v)
      if (g.m <= tiles().rows[v]) widest = v;
    panels_ = split_columns(g.n, 1, 0, table.lanes, widest);
    columns_ = padded_columns(panels_, table.lanes);
    int64_t macs = g.m * g.n * g.k;
    if (!checked_mul(&macs, g.batch)) macs = std::numeric_limits<int64_t>::max();
    split_ = split_work(g.m, g.batch, macs / 2, threads_);
    rows_block_ = std::clamp<int64_t>(kBlockBytes / (k_ * 4) / kTileRows * kTileRows, 2 * kTileRows,
                                      kMostRows);
    rows_block_ = std::min(rows_block_, g.m);
    b_bytes_ = round_up(columns_ * k_ * 4, 64);
    turned_bytes_ = g.b_transposed ? round_up(g.n * k_ * 4 + 64, 64) : 0;
    start_bytes_ = round_up(columns_ * 4, 64);
    a_bytes_ = in_place_ ? 0 : round_up(rows_block_ * k_ * 4, 64);
    row_bytes_ = round_up(rows_block_ * 8, 64);
    const int64_t widest_columns = int64_t{panels_.front().vectors} * table.lanes;
    sum_bytes_ = sums_ ? round_up(kMaxTileRows * widest_columns * 4, 64) : 0;
    part_scratch_ =
        b_bytes_ + turned_bytes_ + start_bytes_ + a_bytes_ + 3 * row_bytes_ + sum_bytes_;
  }

  struct Scratch {
    const int32_t* b;  // packed panels
    int32_t* turned;   // rows of a transposed B in groups
    int32_t* start;    // per column
    uint8_t* a;        // rows of A in groups
    const uint8_t** pointers;
    int64_t* y_offset;
    int32_t* row_start;
    int32_t* sums;      // of a tile
    uint32_t* row_sum;  // of a - a_zero
    int a_zero, b_zero;
  };

  Scratch scratch(std::byte* at) const {
    const auto take = [&at](int64_t bytes) {
      std::byte* here = at;
      at += bytes;
      return here;
    };
    Scratch s;
    s.b = s.turned = nullptr;
    if (!kept_b_) {
      s.b = reinterpret_cast<int32_t*>(take(b_bytes_));
      s.turned = reinterpret_cast<int32_t*>(take(turned_bytes_));
    }
    s.start = reinterpret_cast<int32_t*>(take(start_bytes_));
    s.a = reinterpret_cast<uint8_t*>(take(a_bytes_));
    s.pointers = reinterpret_cast<const uint8_t**>(take(row_bytes_));
    s.y_offset = reinterpret_cast<int64_t*>(take(row_bytes_));
    s.row_start = reinterpret_cast<int32_t*>(take(row_bytes_));
    s.sums = reinterpret_cast<int32_t*>(take(sum_bytes_));
    s.row_sum = shifts_.empty() ? nullptr : reinterpret_cast<uint32_t*>(take(row_bytes_));
    return s;
  }

  // Groups of four bytes, where their products are added without loss; else two int16.
  bool fours() const { return !table_.pairs_saturate; }
  const Int8Tiles& tiles() const { return fours() ? table_.bytes_int8 : table_.words_int8; }

  void pack(const uint8_t* b, const Scratch& s) const {
    if (!fours()) std::memset(s.start, 0, static_cast<size_t>(columns_) * 4);
    if (g_.b_transposed) turn(b, s);
    for (const Panel& p : panels_) {
      const int64_t nr = int64_t{p.vectors} * table_.lanes;
      int32_t* out = const_cast<int32_t*>(s.b) + p.column * k_;
      int32_t* start = s.start + p.column;
      if (g_.b_transposed) {
        table_.pack_words(s.turned + p.n0 * k_, k_, k_, p.width, nr, out);
      } else if (fours()) {
        table_.pack_fours(b + p.n0, g_.b_stride, g_.k, p.width, nr, out, start);
      } else {
        table_.pack_pairs(b + p.n0, g_.b_stride, g_.k, p.width, nr, s.b_zero, out);
      }
      if (!fours()) continue;
      if (g_.b_transposed) {
        for (int64_t j = 0; j < nr; ++j)
          start[j] = j < p.width ? table_.sum_u8(b + (p.n0 + j) * g_.b_stride, g_.k) -
                                       static_cast<int32_t>(128 * g_.k)
                                 : 0;
      }
      for (int64_t j = 0; j < nr; ++j) start[j] *= -s.a_zero;
    }
  }

  // The rows of a transposed B as groups of two or four along k, zero behind the end.
  void turn(const uint8_t* b, const Scratch& s) const {
    for (int64_t j = 0; j < g_.n; ++j, b += g_.b_stride) {
      int32_t* out = s.turned + j * k_;
      out[k_ - 1] = 0;
      if (fours()) {
        table_.minus_128(b, reinterpret_cast<int8_t*>(out), g_.k);
      } else {
        table_.widen_u8(b, s.b_zero, reinterpret_cast<int16_t*>(out), g_.k);
      }
    }
  }

  void run_rows(int64_t item, const Range& rows, std::span<const Panel> panels, const Scratch& s,
                const KernelArgs& args) const {
    const auto* a = static_cast<const uint8_t*>(args.x) + g_.a_offsets[static_cast<size_t>(item)];
    const int64_t blocks = ceil_div(rows.size(), rows_block_);
    for (int64_t n = 0; n < blocks; ++n) {
      const Range block = piece(rows.size(), blocks, n, kTileRows);
      const int64_t m0 = rows.begin + block.begin;
      if (block.size() > 0)
        run_block(a + m0 * g_.a_stride, block.size(), item * g_.m + m0, panels, s, args);
    }
  }

  // Rows of A from `a` on, which are rows of C from m0 on.
  void run_block(const uint8_t* a, int64_t rows, int64_t m0, std::span<const Panel> panels,
                 const Scratch& s, const KernelArgs& args) const {
    const int64_t d = 128 - s.b_zero;
    for (int64_t r = 0; r < rows; ++r, a += g_.a_stride) {
      s.pointers[r] = a;
      if (!in_place_) {
        uint8_t* row = s.a + r * k_ * 4;
        std::memset(row + (k_ - 1) * 4, 0, 4);
        if (fours()) {
          std::memcpy(row, a, static_cast<size_t>(g_.k));
        } else {
          table_.widen_u8(a, s.a_zero, reinterpret_cast<int16_t*>(row), g_.k);
        }
        s.pointers[r] = row;
      }
      const bool starts = fours() && d != 0;
      if (!starts && shifts_.empty()) continue;
      const int64_t sum = table_.sum_u8(a, g_.k) - s.a_zero * g_.k;
      if (starts) s.row_start[r] = static_cast<int32_t>(d * sum);
      if (!shifts_.empty()) s.row_sum[r] = static_cast<uint32_t>(sum);
    }
    TileInt8 t;
    t.taps = 1;
    t.k = k_;
    t.post = &epilogue_.post;
    for (const Panel& p : panels) {
      const int64_t at = m0 * g_.c_stride + p.n0;
      t.w = s.b + p.column * k_;
      t.start = s.start + p.column;
      if (sums_) {
        run_sums(p, rows, static_cast<int32_t*>(args.y) + at, s, t);
        continue;
      }
      t.scale = scale_ + p.column;
      t.bias = bias_ + p.column;
      t.y_inverse = y_inverse(p.column);
      t.y_zero = y_zero(p.column);
      t.y = static_cast<std::byte*>(args.y) + at * epilogue_.y_bytes;
      if (epilogue_.post.residual != ByteOrFloat::kNone)
        t.residual = static_cast<const std::byte*>(args.residual) + at * epilogue_.residual_bytes;
      t.n = p.width;
      const auto* tile = tiles().tile[p.vectors];
      for_tiles(rows, tiles().rows[p.vectors], [&](int64_t first, int64_t count) {
        t.a = s.pointers + first;
        t.y_offset = s.y_offset + first;
        t.row_start = fours() && d != 0 ? s.row_start + first : nullptr;
        tile[count](t);
      });
    }
  }

  // A panel's sums. Tiles store whole registers, so a panel that does not fill them goes through
  // scratch.
  void run_sums(const Panel& p, int64_t rows, int32_t* y, const Scratch& s, TileInt8& t) const {
    const int64_t nr = int64_t{p.vectors} * table_.lanes;
    int64_t offsets[kMaxTileRows];
    for (int64_t r = 0; r < kMaxTileRows; ++r) offsets[r] = r * nr;
    const bool full = p.width == nr;
    const auto* tile = tiles().tile[p.vectors];
    for_tiles(rows, tiles().rows[p.vectors], [&](int64_t first, int64_t count) {
      t.a = s.pointers + first;
      t.row_start = fours() && s.b_zero != 128 ? s.row_start + first : nullptr;
      t.sums = full ? y : s.sums;
      t.y_offset = full ? s.y_offset + first : offsets;
      tile[count](t);
      for (int64_t r = 0; r < count && !full; ++r)
        std::memcpy(y + s.y_offset[first + r], s.sums + r * nr, static_cast<size_t>(p.width) * 4);
      for (int64_t r = 0; r < count && !shifts_.empty(); ++r) {
        // Modulo 2^32: the sum fits, what it is made of need not.
        int32_t* row = y + s.y_offset[first + r];
        const uint32_t* shift = shifts_.data() + p.n0;
        for (int64_t j = 0; j < p.width; ++j)
          row[j] =
              static_cast<int32_t>(static_cast<uint32_t>(row[j]) + shift[j] * s.row_sum[first + r]);
      }
    });
  }

  GemmGeometry g_;
  const KernelTable& table_;
  bool sums_ = false;
  Int8Epilogue epilogue_;
  int a_zero_ = 0, b_zero_ = 0;
  int threads_ = 1;
  const int32_t *kept_b_ = nullptr, *kept_start_ = nullptr;  // of a constant B: panels, column sums
  int kept_zero_ = 0;
  std::vector<uint32_t> shifts_;  // a column: kept_zero_ - its zero point; empty: all 0
  std::string name_;
  int64_t k_ = 0;  // groups along k
  bool in_place_ = false;
  std::vector<Panel> panels_;
  int64_t columns_ = 0, rows_block_ = 0;
  int64_t b_bytes_ = 0, turned_bytes_ = 0, start_bytes_ = 0, a_bytes_ = 0, row_bytes_ = 0;
  int64_t sum_bytes_ = 0, part_scratch_ = 0;
  Split split_;
};

}  // namespace

Result<MatrixKernelPtr> make_matmul_int8(const GemmGeometry& geometry, const QuantU8& b,
                                         const float* bias, const ConvQuant& quant,
                                         const Epilogue& epilogue, const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const GemmGeometry g, check_product(geometry));
  if (g.k > kMostByteProducts)
    return unsupported("int8 product over " + std::to_string(g.k) + " inputs, at most " +
                       std::to_string(kMostByteProducts));
  MNN_RETURN_IF_ERROR(check_grid("second input", b));
  if (!(g.alpha > 0)) return unsupported("int8 product with a factor that is not positive");
  ConvGeometry c;
  c.ic = g.k;
  c.oc = g.n;
  const std::vector<float> scales(static_cast<size_t>(g.n), b.scale * g.alpha);
  ConvQuant all = quant;
  all.weight_scales = scales.data();
  // Differences from zero points reach 255, twice what weights do.
  MNN_ASSIGN_OR_RETURN(const Int8Epilogue e, plan_int8(c, bias, all, epilogue, 2 * g.k));
  auto kernel = std::make_unique<MatMulInt8>(g, *table, all, b, e, options.threads);
  MNN_RETURN_IF_ERROR(kernel->pack(bias, all, options.weights));
  return MatrixKernelPtr(std::move(kernel));
}

namespace {

Result<std::unique_ptr<MatMulInt8>> make_integer(const GemmGeometry& geometry,
                                                 const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const GemmGeometry g, check_product(geometry));
  if (g.k > kMostByteProducts)
    return unsupported("integer product over " + std::to_string(g.k) + " inputs, at most " +
                       std::to_string(kMostByteProducts));
  if (g.alpha != 1) return unsupported("integer product with a factor");
  return std::make_unique<MatMulInt8>(g, *table, options.threads);
}

}  // namespace

Result<MatrixKernelPtr> make_matmul_integer(const GemmGeometry& geometry,
                                            const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(auto kernel, make_integer(geometry, options));
  return MatrixKernelPtr(std::move(kernel));
}

Result<MatrixKernelPtr> make_gemm_integer(const GemmGeometry& geometry, const Weights<uint8_t>& b,
                                          std::span<const uint8_t> b_zeros,
                                          const KernelOptions& options) {
  if (geometry.batch != 1) return unsupported("integer product of several constant matrices");
  if (b_zeros.size() != 1 && std::ssize(b_zeros) != geometry.n)
    return invalid("integer product with " + std::to_string(b_zeros.size()) + " zero points for " +
                   std::to_string(geometry.n) + " columns");
  MNN_ASSIGN_OR_RETURN(auto kernel, make_integer(geometry, options));
  MNN_RETURN_IF_ERROR(kernel->keep_b(b, b_zeros, options.weights));
  return MatrixKernelPtr(std::move(kernel));
}

}  // namespace mnn
