// fp32 products. A constant B without batch is a 1x1 convolution; the rest is here: each unit of
// work (batch item, panel) has its panel of B packed, then all rows of A pass over it.
#include <algorithm>
#include <limits>
#include <map>

#include "libruntime/kernels/code_panels.h"
#include "libruntime/kernels/conv_plan.h"
#include "libruntime/kernels/gemm.h"
#include "libruntime/kernels/isa.h"
#include "libruntime/kernels/plan.h"

namespace mnn {
namespace {

// Below this many rows B [k, n] is read in place: packing it would cost as much as the product.
constexpr int64_t kLeastRowsToPack = 16;

class BatchedGemmF32 final : public MatrixKernel {
 public:
  enum class Source {
    kPacked,  // floats, packed when the kernel is made
    kCodes,   // codes, unpacked panel by panel in each run
    kRun,     // comes with each run
  };
  BatchedGemmF32(const GemmGeometry& g, const KernelTable& table, Source source,
                 const Epilogue& epilogue, const KernelOptions& options)
      : g_(g), table_(table), epilogue_(epilogue), post_(plan_epilogue(epilogue)) {
    const char* const kind = source == Source::kPacked  ? "gemm_f32_"
                             : source == Source::kCodes ? "gemm_codes_"
                                                        : "matmul_f32_";
    name_ = std::string(kind) + table.isa;
    // Codes have one layout for any number of rows.
    panels_ = split_columns(g.n, 1, 0, table.lanes,
                            source == Source::kCodes ? std::min(2 * table.vectors_f32, kMaxVectors)
                                                     : panel_vectors_f32(table, g.m));
    columns_ = padded_columns(panels_, table.lanes);
    units_ = g.batch * static_cast<int64_t>(panels_.size());
    split_ = split_work(g.m, units_, saturating_macs(), options.threads);
    in_place_ = source == Source::kRun && !g.b_transposed && g.alpha == 1 && g.m < kLeastRowsToPack;
    const int64_t widest = int64_t{panels_.front().vectors} * table.lanes;
    panel_bytes_ = source == Source::kPacked ? 0 : round_up(g.k * widest * 4, 64);
    rows_block_ = std::min<int64_t>(g.m, kRowsBlock);
    part_scratch_ = panel_bytes_ + 2 * round_up(rows_block_ * 8, 64);
  }

  // `b` none: it comes with each run.
  Status pack(const Weights<float>& b, const float* bias, WeightsCache* cache) {
    MNN_RETURN_IF_ERROR(keep_bias(bias, cache));
    return b ? pack_constant(b, cache) : Status();
  }
  Status pack(const WeightCodes& b, const float* bias, WeightsCache* cache) {
    MNN_RETURN_IF_ERROR(keep_bias(bias, cache));
    code_panels_ = CodePanels(b, panels_, table_.lanes, g_.k, g_.n);
    std::string layout = code_panels_.layout(table_);
    layout.append(reinterpret_cast<const char*>(&g_.alpha), sizeof(g_.alpha));
    MNN_ASSIGN_OR_RETURN(
        codes_, keep<std::byte>(cache, b.id, layout, code_panels_.bytes(), [&](std::byte* block) {
          return code_panels_.pack(b, g_.alpha, block);
        }));
    return {};
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return part_scratch_ * parts(); }
  int parts() const override { return split_.parts(); }

  void run(int, int part, const KernelArgs& args) const override {
    const Range rows = piece(g_.m, split_.rows, part / split_.panels, 6);
    const Range units = piece(units_, split_.panels, part % split_.panels);
    if (rows.size() == 0) return;
    std::byte* scratch = args.scratch + part * part_scratch_;
    auto* panel_scratch = reinterpret_cast<float*>(scratch);
    const auto** pointers = reinterpret_cast<const float**>(scratch + panel_bytes_);
    auto* y_offset =
        reinterpret_cast<int64_t*>(scratch + panel_bytes_ + round_up(rows_block_ * 8, 64));
    for (int64_t r = 0; r < rows_block_; ++r) y_offset[r] = r * g_.c_stride;
    const auto panel_count = static_cast<int64_t>(panels_.size());
    for (int64_t u = units.begin; u < units.end; ++u) {
      const auto item = static_cast<size_t>(u / panel_count);
      const Panel& p = panels_[static_cast<size_t>(u % panel_count)];
      TileF32 t;
      t.w_stride = int64_t{p.vectors} * table_.lanes;
      if (codes_ != nullptr) {
        const PanelCodes codes = code_panels_.panel(codes_, static_cast<size_t>(u % panel_count));
        if (few_rows()) {
          run_few(p, item, rows, args, pointers, y_offset, codes);
          continue;
        }
        table_.unpack_codes(codes, panel_scratch);
        t.w = panel_scratch;
      } else {
        t.w = panel(p, item, static_cast<const float*>(args.b), panel_scratch, &t.w_stride);
      }
      run_rows(p, item, rows, args, pointers, y_offset, t);
    }
  }

 private:
  static constexpr int64_t kRowsBlock = 120;

  Status keep_bias(const float* bias, WeightsCache* cache) {
    AlignedBuffer<float> own(columns_);
    if (bias) std::copy_n(bias, g_.n, own.data());
    MNN_ASSIGN_OR_RETURN(bias_, keep(cache, own));
    return {};
  }

  int64_t saturating_macs() const {
    int64_t macs = g_.m * g_.n * g_.k;
    return checked_mul(&macs, g_.batch) ? macs : std::numeric_limits<int64_t>::max();
  }

  Status pack_constant(const Weights<float>& b, WeightsCache* cache) {
    std::map<int64_t, int64_t> slots;
    for (const int64_t offset : g_.b_offsets) {
      const auto [it, fresh] = slots.try_emplace(offset, static_cast<int64_t>(slots.size()));
      slot_.push_back(it->second);
    }
    std::string layout =
        layout_of(table_, "f32 matrices",
                  {panels_.front().vectors, g_.n, g_.k, g_.b_transposed, g_.b_stride});
    layout.append(reinterpret_cast<const char*>(&g_.alpha), sizeof(g_.alpha));
    for (const auto& [offset, slot] : slots) layout += " " + std::to_string(offset);
    const auto pack = [&](float* packed) -> Status {
      MNN_ASSIGN_OR_RETURN(const auto elements, b.read());
      for (const auto& [offset, slot] : slots)
        for (const Panel& p : panels_)
          pack_panel(p, elements.get() + offset, packed + (slot * columns_ + p.column) * g_.k);
      return {};
    };
    MNN_ASSIGN_OR_RETURN(packed_,
                         keep<float>(cache, b.id(), layout,
                                     static_cast<int64_t>(slots.size()) * columns_ * g_.k, pack));
    return {};
  }

  void pack_panel(const Panel& p, const float* b, float* out) const {
    const int64_t nr = int64_t{p.vectors} * table_.lanes;
    if (g_.b_transposed) {
      table_.pack_transposed_f32(b + p.n0 * g_.b_stride, g_.b_stride, g_.k, p.width, nr, g_.alpha,
                                 out);
    } else {
      table_.pack_f32(b + p.n0, g_.b_stride, g_.k, p.width, nr, g_.alpha, out);
    }
  }

  // Whether codes are unpacked in registers.
  bool few_rows() const { return g_.m <= 2 * kMostFewRows && !code_panels_.has_offsets(); }

  void run_few(const Panel& p, size_t item, const Range& rows, const KernelArgs& args,
               const float** pointers, const int64_t* y_offset, const PanelCodes& codes) const {
    const float* a = static_cast<const float*>(args.x) + g_.a_offsets[item];
    const int64_t at = (static_cast<int64_t>(item) * g_.m + rows.begin) * g_.c_stride + p.n0;
    for (int64_t r = 0; r < rows.size(); ++r) pointers[r] = a + (rows.begin + r) * g_.a_stride;
    FewRows f;
    f.w = codes;
    f.bias = bias_ + p.column;
    f.y = static_cast<float*>(args.y) + at;
    const float* residual =
        epilogue_.residual ? static_cast<const float*>(args.residual) + at : nullptr;
    f.residual = post_.add_residual ? residual : nullptr;
    f.low = post_.low;
    f.high = post_.high;
    f.n = p.width;
    for_tiles(rows.size(), kMostFewRows, [&](int64_t first, int64_t count) {
      f.a = pointers + first;
      f.y_offset = y_offset + first;
      table_.few_rows[count](f);
    });
    finish_rows(p, rows.size(), residual, y_offset, f.y);
  }

  // What the tiles leave of the epilogue, for rows from `y` on.
  void finish_rows(const Panel& p, int64_t rows, const float* residual, const int64_t* y_offset,
                   float* y) const {
    if (!post_.any_pass()) return;
    for (int64_t r = 0; r < rows; ++r)
      run_post_pass(table_, epilogue_, post_, residual ? residual + y_offset[r] : nullptr,
                    y + y_offset[r], p.width);
  }

  const float* panel(const Panel& p, size_t item, const float* b, float* scratch,
                     int64_t* stride) const {
    if (!slot_.empty()) return packed_ + (slot_[item] * columns_ + p.column) * g_.k;
    b += g_.b_offsets[item];
    if (in_place_ && p.width == *stride) {
      *stride = g_.b_stride;
      return b + p.n0;
    }
    pack_panel(p, b, scratch);
    return scratch;
  }

  void run_rows(const Panel& p, size_t item, const Range& rows, const KernelArgs& args,
                const float** pointers, const int64_t* y_offset, TileF32& t) const {
    const float* a = static_cast<const float*>(args.x) + g_.a_offsets[item];
    t.taps = 1;
    t.k = g_.k;
    t.low = post_.low;
    t.high = post_.high;
    const float* w = t.w;
    const int wide = tile_vectors_f32(table_, p.vectors, g_.m);
    const int64_t blocks = ceil_div(rows.size(), rows_block_);
    for (int64_t i = 0; i < blocks; ++i) {
      const Range block = piece(rows.size(), blocks, i);
      const int64_t m0 = rows.begin + block.begin;
      const int64_t at = (static_cast<int64_t>(item) * g_.m + m0) * g_.c_stride + p.n0;
      for (int64_t r = 0; r < block.size(); ++r) pointers[r] = a + (m0 + r) * g_.a_stride;
      float* y = static_cast<float*>(args.y) + at;
      const float* residual =
          epilogue_.residual ? static_cast<const float*>(args.residual) + at : nullptr;
      for (int v = 0; v < p.vectors; v += wide) {
        const int vectors = std::min(wide, p.vectors - v);
        const int64_t column = int64_t{v} * table_.lanes;
        t.w = w + column;
        t.bias = bias_ + p.column + column;
        t.y = y + column;
        t.residual = post_.add_residual ? residual + column : nullptr;
        t.n = std::min(p.width - column, int64_t{vectors} * table_.lanes);
        const auto* tile = table_.tile_f32[vectors];
        for_tiles(block.size(), table_.rows_f32[vectors], [&](int64_t first, int64_t count) {
          t.a = pointers + first;
          t.y_offset = y_offset + first;
          tile[count](t);
        });
      }
      finish_rows(p, block.size(), residual, y_offset, y);
    }
  }

  GemmGeometry g_;
  const KernelTable& table_;
  Epilogue epilogue_;
  TilePost post_;
  std::string name_;
  std::vector<Panel> panels_;
  int64_t columns_ = 0, units_ = 0, rows_block_ = 0, panel_bytes_ = 0, part_scratch_ = 0;
  bool in_place_ = false;
  Split split_;
  std::vector<int64_t> slot_;  // packed matrix of each batch item
  const float *packed_ = nullptr, *bias_ = nullptr;
  CodePanels code_panels_;
  const std::byte* codes_ = nullptr;
};

// B as the weights of a 1x1 convolution: [n, k], times alpha.
Weights<float> as_weights(const GemmGeometry& g, const Weights<float>& b) {
  if (g.b_transposed && g.alpha == 1 && g.b_stride == g.k && g.b_offsets[0] == 0) return b;
  std::string how = layout_name("times", {g.n, g.k, g.b_transposed, g.b_stride, g.b_offsets[0]});
  how.append(reinterpret_cast<const char*>(&g.alpha), sizeof(g.alpha));
  return b.derived(how, g.n * g.k,
                   [n = g.n, k = g.k, alpha = g.alpha, at = g.b_offsets[0],
                    row = g.b_transposed ? g.b_stride : 1,
                    column = g.b_transposed ? 1 : g.b_stride](const float* from, float* to) {
                     for (int64_t i = 0; i < n; ++i)
                       for (int64_t j = 0; j < k; ++j)
                         *to++ = alpha * from[at + i * row + j * column];
                   });
}

Result<MatrixKernelPtr> make_batched(const GemmGeometry& g, const KernelTable& table,
                                     const Weights<float>& b, const float* bias,
                                     const Epilogue& epilogue, const KernelOptions& options) {
  using Source = BatchedGemmF32::Source;
  auto kernel = std::make_unique<BatchedGemmF32>(g, table, b ? Source::kPacked : Source::kRun,
                                                 epilogue, options);
  MNN_RETURN_IF_ERROR(kernel->pack(b, bias, options.weights));
  return MatrixKernelPtr(std::move(kernel));
}

}  // namespace

Result<MatrixKernelPtr> make_gemm_f32(const GemmGeometry& geometry, const Weights<float>& b,
                                      const float* bias, const Epilogue& epilogue,
                                      const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const GemmGeometry g, check_product(geometry));
  if (g.batch > 1) return make_batched(g, *table, b, bias, epilogue, options);
  // As a 1x1 convolution over m pixels.
  ConvGeometry c;
  c.iw = c.ow = g.m;
  c.ic = g.k;
  c.oc = g.n;
  c.x_pixel_stride = g.a_stride;
  c.y_pixel_stride = g.c_stride;
  return make_conv_f32(c, as_weights(g, b), bias, epilogue, options);
}

Result<MatrixKernelPtr> make_gemm_codes(const GemmGeometry& geometry, const WeightCodes& b,
                                        const float* bias, const Epilogue& epilogue,
                                        const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const GemmGeometry g, check_product(geometry));
  const bool fits = b.rows.empty() ? takes_codes(b.params, b.stored.dims(), b.transposed)
                                   : b.transposed && std::ssize(b.rows) == g.n &&
                                         takes_row_codes(b.params, b.stored.dims());
  if (!fits) return internal_error("codes that no product reads");
  auto kernel = std::make_unique<BatchedGemmF32>(g, *table, BatchedGemmF32::Source::kCodes,
                                                 epilogue, options);
  MNN_RETURN_IF_ERROR(kernel->pack(b, bias, options.weights));
  return MatrixKernelPtr(std::move(kernel));
}

Result<MatrixKernelPtr> make_matmul_f32(const GemmGeometry& geometry, const float* bias,
                                        const Epilogue& epilogue, const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const GemmGeometry g, check_product(geometry));
  return make_batched(g, *table, nullptr, bias, epilogue, options);
}

}  // namespace mnn
