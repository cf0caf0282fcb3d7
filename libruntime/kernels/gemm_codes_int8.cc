// Products of rows of bytes, quantized as they come, with weights in codes. Two phases: the rows,
// then the tiles.
#include <algorithm>
#include <limits>

#include "libruntime/kernels/code_panels.h"
#include "libruntime/kernels/conv_plan.h"
#include "libruntime/kernels/gemm.h"
#include "libruntime/kernels/isa.h"
#include "libruntime/kernels/plan.h"

namespace mnn {
namespace {

// From this many rows on a panel's codes are spread to bytes once, not in every tile.
constexpr int64_t kLeastRowsToSpread = 24;

class GemmCodesInt8 final : public MatrixKernel {
 public:
  GemmCodesInt8(const GemmGeometry& g, const KernelTable& table, const WeightCodes& b,
                const Epilogue& epilogue, const KernelOptions& options)
      : g_(g),
        table_(table),
        epilogue_(epilogue),
        post_(plan_epilogue(epilogue)),
        name_(std::string("gemm_codes_int8_") + table.isa),
        rows_(g.batch * g.m),
        panels_(split_columns(g.n, 1, 0, table.lanes, table.code_tiles.vectors)),
        codes_(b, panels_, table.lanes, g.k, g.n, CodeOrder::kWords) {
    const auto count = static_cast<int64_t>(panels_.size());
    int64_t macs = rows_ * g.n;
    if (!checked_mul(&macs, g.k)) macs = std::numeric_limits<int64_t>::max();
    split_ = split_work(rows_, count, macs, options.threads);
    row_bytes_ = round_up(codes_.padded_k(), 16);
    scales_at_ = round_up(rows_ * row_bytes_, 64);
    sums_at_ = scales_at_ + round_up(rows_ * 4, 64);
    parts_at_ = sums_at_ + round_up(rows_ * codes_.parts() * 4, 64);
    spread_ = codes_.kind() != kByteCodes && rows_ / split_.rows >= kLeastRowsToSpread;
    const int64_t widest = int64_t{panels_.front().vectors} * table.lanes;
    spread_bytes_ = spread_ ? round_up(codes_.padded_k() * widest, 64) : 0;
    rows_block_ = std::min<int64_t>(rows_, kRowsBlock);
    part_bytes_ = spread_bytes_ + round_up(rows_block_ * 8, 64);
  }

  Status pack(const WeightCodes& b, const float* bias, WeightsCache* cache) {
    AlignedBuffer<float> own(padded_columns(panels_, table_.lanes));
    if (bias) std::copy_n(bias, g_.n, own.data());
    MNN_ASSIGN_OR_RETURN(bias_, keep(cache, own));
    std::string layout = codes_.layout(table_);
    layout.append(reinterpret_cast<const char*>(&g_.alpha), sizeof(g_.alpha));
    MNN_ASSIGN_OR_RETURN(
        block_, keep<std::byte>(cache, b.id, layout, codes_.bytes(),
                                [&](std::byte* block) { return codes_.pack(b, g_.alpha, block); }));
    return {};
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return parts_at_ + part_bytes_ * parts(); }
  int phases() const override { return 2; }
  int parts() const override { return split_.parts(); }

  void run(int phase, int part, const KernelArgs& args) const override {
    if (phase == 0) {
      const Range rows = piece(rows_, parts(), part);
      for (int64_t r = rows.begin; r < rows.end; ++r) quantize(r, args);
      return;
    }
    const Range rows = piece(rows_, split_.rows, part / split_.panels, 6);
    const Range panels =
        piece(static_cast<int64_t>(panels_.size()), split_.panels, part % split_.panels);
    if (rows.size() == 0) return;
    std::byte* own = args.scratch + parts_at_ + part * part_bytes_;
    auto* y_offset = reinterpret_cast<int64_t*>(own + spread_bytes_);
    for (int64_t r = 0; r < rows_block_; ++r) y_offset[r] = r * g_.c_stride;
    for (int64_t i = panels.begin; i < panels.end; ++i) {
      TileCodes t = codes_.tile(block_, static_cast<size_t>(i));
      CodeKind kind = codes_.kind();
      if (spread_) {
        const int planes = planes_of(kind);
        auto* bytes = reinterpret_cast<uint8_t*>(own);
        table_.spread_codes(t.codes, planes, t.blocks, t.columns, bytes);
        t.codes = bytes;
        t.blocks *= planes;
        t.part_blocks *= planes;
        kind = kSmallCodes;
      }
      t.y_offset = y_offset;
      run_rows(panels_[static_cast<size_t>(i)], rows, kind, args, t);
    }
  }

 private:
  static constexpr int64_t kRowsBlock = 120;

  void quantize(int64_t r, const KernelArgs& args) const {
    QuantizeRow q;
    q.x = static_cast<const float*>(args.x) + g_.a_offsets[static_cast<size_t>(r / g_.m)] +
          r % g_.m * g_.a_stride;
    q.k = g_.k;
    q.padded = codes_.padded_k();
    q.part = codes_.part();
    q.parts = codes_.parts();
    q.q = reinterpret_cast<int8_t*>(args.scratch + r * row_bytes_);
    q.scale = reinterpret_cast<float*>(args.scratch + scales_at_) + r;
    q.sums = reinterpret_cast<int32_t*>(args.scratch + sums_at_) + r * q.parts;
    table_.quantize_row(q);
  }

  void run_rows(const Panel& p, const Range& rows, CodeKind kind, const KernelArgs& args,
                TileCodes& t) const {
    const CodeTiles& tiles = table_.code_tiles;
    const TileCodes panel = t;
    t.a_stride = row_bytes_;
    t.low = post_.low;
    t.high = post_.high;
    const int64_t blocks = ceil_div(rows.size(), rows_block_);
    for (int64_t i = 0; i < blocks; ++i) {
      const Range block = piece(rows.size(), blocks, i);
      const int64_t m0 = rows.begin + block.begin, at = m0 * g_.c_stride + p.n0;
      float* y = static_cast<float*>(args.y) + at;
      const float* residual =
          epilogue_.residual ? static_cast<const float*>(args.residual) + at : nullptr;
      for (int v = 0; v < p.vectors;) {
        const int left = p.vectors - v, vectors = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        const int64_t column = int64_t{v} * table_.lanes;
        t.codes = panel.codes + column * 4;
        t.scale = panel.scale + column;
        t.shift = panel.shift ? panel.shift + column : nullptr;
        t.bias = bias_ + p.column + column;
        t.n = std::min(p.width - column, int64_t{vectors} * table_.lanes);
        for_tiles(block.size(), tiles.rows[vectors], [&](int64_t first, int64_t count) {
          const int64_t row = m0 + first;
          t.a = reinterpret_cast<const int8_t*>(args.scratch + row * row_bytes_);
          t.a_scale = reinterpret_cast<const float*>(args.scratch + scales_at_) + row;
          t.a_sums =
              reinterpret_cast<const int32_t*>(args.scratch + sums_at_) + row * codes_.parts();
          t.y = y + first * g_.c_stride + column;
          t.residual = post_.add_residual ? residual + first * g_.c_stride + column : nullptr;
          tiles.tile[kind][vectors][count](t);
        });
        v += vectors;
      }
      if (!post_.any_pass()) continue;
      for (int64_t r = 0; r < block.size(); ++r)
        run_post_pass(table_, epilogue_, post_, residual ? residual + r * g_.c_stride : nullptr,
                      y + r * g_.c_stride, p.width);
    }
  }

  GemmGeometry g_;
  const KernelTable& table_;
  Epilogue epilogue_;
  TilePost post_;
  std::string name_;
  int64_t rows_;
  std::vector<Panel> panels_;
  CodePanels codes_;
  Split split_;
  bool spread_ = false;
  // Scratch: codes of the rows, their scales and sums; then for each part a panel of bytes and the
  // places of rows in C.
  int64_t row_bytes_ = 0, scales_at_ = 0, sums_at_ = 0, parts_at_ = 0;
  int64_t spread_bytes_ = 0, rows_block_ = 0, part_bytes_ = 0;
  const float* bias_ = nullptr;
  const std::byte* block_ = nullptr;
};

}  // namespace

Result<MatrixKernelPtr> make_gemm_codes_int8(const GemmGeometry& geometry, const WeightCodes& b,
                                             const float* bias, const Epilogue& epilogue,
                                             const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const GemmGeometry g, check_product(geometry));
  if (!takes_codes_int8(b.params, b.stored.dims(), b.transposed))
    return internal_error("codes that no product of bytes reads");
  auto kernel = std::make_unique<GemmCodesInt8>(g, *table, b, epilogue, options);
  MNN_RETURN_IF_ERROR(kernel->pack(b, bias, options.weights));
  return MatrixKernelPtr(std::move(kernel));
}

}  // namespace mnn
