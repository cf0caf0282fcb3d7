// Direct fp32 convolution: a product whose rows of A are read in place through one pointer per
// output pixel and tap. Taps that fall outside the input point at a row of zeros.
#include <algorithm>
#include <cstring>

#include "libruntime/kernels/conv.h"
#include "libruntime/kernels/conv_plan.h"
#include "libruntime/kernels/isa.h"
#include "libruntime/kernels/plan.h"

namespace mnn {
namespace {

// From how many input channels on each tap is a run of its own; below, a whole kernel row is one
// run of kw * ic floats and pixels at the border are copied.
constexpr int64_t kRowRunChannels = 16;

class DirectConvF32 final : public MatrixKernel {
 public:
  DirectConvF32(const ConvGeometry& g, const KernelTable& table, const Epilogue& epilogue,
                const KernelOptions& options)
      : g_(g), table_(table), epilogue_(epilogue), post_(plan_epilogue(epilogue)) {
    name_ = std::string("conv_f32_direct_") + table.isa;
    m_ = g.n * g.oh * g.ow;
    row_runs_ = g.groups == 1 && g.kw > 1 && g.dilation_w == 1 && g.ic < kRowRunChannels &&
                g.x_pixel_stride == g.ic;
    group_inputs_ = g.ic / g.groups;
    taps_ = row_runs_ ? g.kh : g.kh * g.kw;
    k_ = row_runs_ ? g.kw * g.ic : group_inputs_;
    panels_ = split_columns(g.oc / g.groups, g.groups, group_inputs_, table.lanes,
                            panel_vectors_f32(table, m_));
    const int64_t depth = taps_ * k_;
    split_ = split_work(m_, static_cast<int64_t>(panels_.size()), m_ * (g.oc / g.groups) * depth,
                        options.threads);
    const int64_t pixel_bytes =
        group_inputs_ * 4 * std::min(g.stride_h, g.kh) * std::min(g.stride_w, g.kw);
    block_ = block_rows(pixel_bytes, depth * (g.oc / g.groups) * 4);
    zeros_ = AlignedBuffer<float>(std::max(g.ic, k_));
    pointer_bytes_ = round_up(taps_ * block_ * 8, 64);
    copy_bytes_ = row_runs_ ? round_up(block_ * taps_ * k_ * 4, 64) : 0;
    part_scratch_ = pointer_bytes_ + round_up(block_ * 8, 64) + copy_bytes_;
  }

  void pack(const float* weights, const float* bias) {
    const int64_t columns = padded_columns(panels_, table_.lanes), depth = taps_ * k_;
    packed_ = AlignedBuffer<float>(columns * depth);
    bias_ = AlignedBuffer<float>(columns);
    const int64_t area = g_.kh * g_.kw;
    for (const Panel& p : panels_) {
      const int64_t nr = int64_t{p.vectors} * table_.lanes;
      float* w = packed_.data() + p.column * depth;
      for (int64_t tap = 0; tap < area; ++tap)
        for (int64_t c = 0; c < group_inputs_; ++c, w += nr)
          for (int64_t j = 0; j < p.width; ++j)
            w[j] = weights[((p.n0 + j) * group_inputs_ + c) * area + tap];
      for (int64_t j = 0; bias && j < p.width; ++j) bias_[p.column + j] = bias[p.n0 + j];
    }
  }

  const char* name() const override { return name_.c_str(); }
  int64_t packed_bytes() const override { return packed_.bytes() + bias_.bytes(); }
  int64_t scratch_bytes() const override { return part_scratch_ * parts(); }
  int parts() const override { return split_.parts(); }

  void run(int, int part, const KernelArgs& args) const override {
    const Range rows = piece(m_, split_.rows, part / split_.panels, kTileRows);
    const Range panels =
        piece(static_cast<int64_t>(panels_.size()), split_.panels, part % split_.panels);
    if (rows.size() == 0 || panels.size() == 0) return;
    std::byte* scratch = args.scratch + part * part_scratch_;
    const auto** pointers = reinterpret_cast<const float**>(scratch);
    auto* y_offset = reinterpret_cast<int64_t*>(scratch + pointer_bytes_);
    auto* copies = reinterpret_cast<float*>(scratch + part_scratch_ - copy_bytes_);
    const int64_t blocks = ceil_div(rows.size(), block_);
    for (int64_t i = 0; i < blocks; ++i) {
      Range block = piece(rows.size(), blocks, i, kTileRows);
      block.begin += rows.begin;
      block.end += rows.begin;
      point(block, static_cast<const float*>(args.x), pointers, copies);
      for (int64_t r = 0; r < block.size(); ++r)
        y_offset[r] = (block.begin + r) * g_.y_pixel_stride;
      for (int64_t p = panels.begin; p < panels.end; ++p)
        run_panel(panels_[static_cast<size_t>(p)], block.size(), pointers, y_offset, args);
      if (post_.any_pass()) finish(block, panels, args);
    }
  }

 private:
  static constexpr int64_t kTileRows = 6;

  // Rows of A that are worked on together: with weights that stay in L2 a block of A that stays in
  // L1 while all panels pass; with larger weights a block of A that stays in L2.
  int64_t block_rows(int64_t pixel_bytes, int64_t weight_bytes) const {
    const int64_t budget = weight_bytes <= 300 * 1024 ? 16 * 1024 : 192 * 1024;
    const int64_t rows = std::clamp<int64_t>(budget / pixel_bytes, 12, 480);
    return std::min(round_up(rows, kTileRows), round_up(m_, kTileRows)) + kTileRows;
  }

  void run_panel(const Panel& p, int64_t rows, const float* const* pointers,
                 const int64_t* y_offset, const KernelArgs& args) const {
    TileF32 t;
    t.a_tap_stride = block_;
    t.a_offset = p.a_offset;
    t.taps = taps_;
    t.k = k_;
    t.w = packed_.data() + p.column * taps_ * k_;
    t.w_stride = int64_t{p.vectors} * table_.lanes;
    t.bias = bias_.data() + p.column;
    t.y = static_cast<float*>(args.y) + p.n0;
    if (post_.add_residual) t.residual = static_cast<const float*>(args.residual) + p.n0;
    t.low = post_.low;
    t.high = post_.high;
    t.n = p.width;
    const int64_t tiles = ceil_div(rows, table_.rows_f32[p.vectors]);
    for (int64_t i = 0; i < tiles; ++i) {
      const Range r = piece(rows, tiles, i);
      t.a = pointers + r.begin;
      t.y_offset = y_offset + r.begin;
      table_.tile_f32[p.vectors][r.size()](t);
    }
  }

  void finish(const Range& block, const Range& panels, const KernelArgs& args) const {
    const int64_t first = panels_[static_cast<size_t>(panels.begin)].n0;
    const Panel& last = panels_[static_cast<size_t>(panels.end - 1)];
    const int64_t width = last.n0 + last.width - first;
    for (int64_t m = block.begin; m < block.end; ++m) {
      const int64_t at = m * g_.y_pixel_stride + first;
      const float* residual =
          post_.residual_pass ? static_cast<const float*>(args.residual) + at : nullptr;
      run_post_pass(table_, epilogue_, post_, residual, static_cast<float*>(args.y) + at, width);
    }
  }

  // Fills pointers[tap * block_ + row] for the rows of a block.
  void point(const Range& block, const float* x, const float** pointers, float* copies) const {
    const int64_t ps = g_.x_pixel_stride;
    if (taps_ == 1 && g_.kw == 1 && g_.stride_h == 1 && g_.stride_w == 1 && dense_pixels()) {
      for (int64_t r = 0; r < block.size(); ++r) pointers[r] = x + (block.begin + r) * ps;
      return;
    }
    PixelWalk walk(g_, block.begin);
    for (int64_t r = 0; r < block.size(); ++r, walk.next()) {
      const float* image = x + walk.n * g_.ih * g_.iw * ps;
      const int64_t iy0 = walk.oy * g_.stride_h - g_.pad_top;
      const int64_t ix0 = walk.ox * g_.stride_w - g_.pad_left;
      if (row_runs_) {
        point_runs(image, iy0, ix0, pointers + r, copies + r * taps_ * k_);
        continue;
      }
      const float** p = pointers + r;
      for (int64_t ky = 0; ky < g_.kh; ++ky) {
        const int64_t iy = iy0 + ky * g_.dilation_h;
        const bool row_inside = iy >= 0 && iy < g_.ih;
        for (int64_t kx = 0; kx < g_.kw; ++kx, p += block_) {
          const int64_t ix = ix0 + kx * g_.dilation_w;
          *p = row_inside && ix >= 0 && ix < g_.iw ? image + (iy * g_.iw + ix) * ps : zeros_.data();
        }
      }
    }
  }

  void point_runs(const float* image, int64_t iy0, int64_t ix0, const float** p,
                  float* copy) const {
    const int64_t lo = std::clamp<int64_t>(-ix0, 0, g_.kw);
    const int64_t hi = std::clamp<int64_t>(g_.iw - ix0, lo, g_.kw);
    for (int64_t ky = 0; ky < g_.kh; ++ky, p += block_, copy += k_) {
      const int64_t iy = iy0 + ky * g_.dilation_h;
      if (iy < 0 || iy >= g_.ih || lo == hi) {
        *p = zeros_.data();
        continue;
      }
      const float* row = image + (iy * g_.iw + ix0) * g_.ic;
      if (lo == 0 && hi == g_.kw) {
        *p = row;
        continue;
      }
      std::fill_n(copy, k_, 0.0f);
      std::memcpy(copy + lo * g_.ic, row + lo * g_.ic,
                  static_cast<size_t>((hi - lo) * g_.ic) * sizeof(float));
      *p = copy;
    }
  }

  // Output pixel i reads input pixel i.
  bool dense_pixels() const {
    return g_.pad_top == 0 && g_.pad_left == 0 && g_.oh == g_.ih && g_.ow == g_.iw;
  }

  ConvGeometry g_;
  const KernelTable& table_;
  Epilogue epilogue_;
  TilePost post_;
  std::string name_;
  int64_t m_ = 0, group_inputs_ = 0, taps_ = 0, k_ = 0, block_ = 0;
  bool row_runs_ = false;
  std::vector<Panel> panels_;
  Split split_;
  AlignedBuffer<float> packed_, bias_, zeros_;
  int64_t pointer_bytes_ = 0, copy_bytes_ = 0, part_scratch_ = 0;
};

}  // namespace

Result<MatrixKernelPtr> make_conv_f32(const ConvGeometry& geometry, const float* weights,
                                      const float* bias, const Epilogue& epilogue,
                                      const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const ConvGeometry g, check_geometry(geometry, 4));
  auto kernel = std::make_unique<DirectConvF32>(g, *table, epilogue, options);
  kernel->pack(weights, bias);
  return MatrixKernelPtr(std::move(kernel));
}

}  // namespace mnn
