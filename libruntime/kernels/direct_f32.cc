// A product whose rows of A are read in place through one pointer per output pixel and tap. Taps
// that fall outside the input point at a row of zeros.
#include "libruntime/kernels/direct_f32.h"

#include <algorithm>
#include <cstring>

namespace mnn {
namespace {

// From how many input channels on each tap is a run of its own; below, neighbouring taps make one
// run and pixels at the border are copied.
constexpr int64_t kRunChannels = 16;
constexpr int64_t kPackBlock = 64;  // input channels packed at a time, to stay in L1
constexpr int64_t kTileRows = 6;

}  // namespace

DirectConvF32::DirectConvF32(const ConvGeometry& g, DirectGrid grid, const KernelTable& table,
                             const Epilogue& epilogue, int threads)
    : g_(g),
      grid_(std::move(grid)),
      table_(table),
      epilogue_(epilogue),
      post_(plan_epilogue(epilogue)) {
  name_ = std::string("conv_f32_direct_") + table.isa;
  m_ = g.n * grid_.qh * grid_.qw;
  group_inputs_ = g.ic / g.groups;
  const auto taps = static_cast<int64_t>(grid_.taps.size());
  if (g.groups == 1 && g.ic < kRunChannels && g.x_pixel_stride == g.ic) run_ = grid_.run;
  runs_ = taps / run_;
  k_ = run_ * group_inputs_;
  dots_ = g.groups == 1 && g.oc <= kMaxDots && k_ >= table.lanes;
  if (dots_) name_ = std::string("conv_f32_dot_") + table.isa;
  identity_ = taps == 1 && grid_.taps[0].dy == 0 && grid_.taps[0].dx == 0 && g.stride_h == 1 &&
              g.stride_w == 1 && grid_.qh == g.ih && grid_.qw == g.iw && g.oh == g.ih &&
              g.ow == g.iw && grid_.y_step_h == 1 && grid_.y_step_w == 1;
  panels_ = split_columns(g.oc / g.groups, g.groups, group_inputs_, table.lanes,
                          panel_vectors_f32(table, m_));
  const int64_t weights = taps * group_inputs_ * (g.oc / g.groups);
  split_ = split_work(m_, static_cast<int64_t>(panels_.size()), m_ * weights * g.groups, threads);
  const int64_t pixel_bytes = group_inputs_ * 4 * std::min(g.stride_h * g.stride_w, taps);
  block_ = block_rows(std::max<int64_t>(pixel_bytes, 4), weights * 4);
  zeros_ = AlignedBuffer<float>(std::max(g.ic, k_));
  pointer_bytes_ = round_up(runs_ * block_ * 8, 64);
  copy_bytes_ = run_ > 1 ? round_up(block_ * runs_ * k_ * 4, 64) : 0;
  part_scratch_ = pointer_bytes_ + round_up(block_ * 8, 64) + copy_bytes_;
}

// Rows of A that are worked on together: with weights that stay in L2 a block of A that stays in
// L1 while all panels pass; with larger weights a block of A that stays in L2.
int64_t DirectConvF32::block_rows(int64_t pixel_bytes, int64_t weight_bytes) const {
  const int64_t budget = weight_bytes <= 300 * 1024 ? 16 * 1024 : 192 * 1024;
  const int64_t rows = std::clamp<int64_t>(budget / pixel_bytes, 12, 480);
  return std::min(round_up(rows, kTileRows), round_up(m_, kTileRows)) + kTileRows;
}

// Run after run, each filled up to whole registers.
void DirectConvF32::pack_dots(const WeightView& weights, const float* bias) {
  const int64_t step = round_up(k_, table_.lanes);
  packed_ = AlignedBuffer<float>(g_.oc * runs_ * step);
  bias_ = AlignedBuffer<float>(g_.oc);
  for (int64_t o = 0; o < g_.oc; ++o) {
    if (bias) bias_[o] = bias[o];
    for (size_t tap = 0; tap < grid_.taps.size(); ++tap) {
      const auto t = static_cast<int64_t>(tap);
      float* w = packed_.data() + (o * runs_ + t / run_) * step + t % run_ * group_inputs_;
      const float* from = weights.at(o, tap);
      for (int64_t c = 0; c < group_inputs_; ++c) w[c] = from[c * weights.input_stride];
    }
  }
}

void DirectConvF32::pack(const WeightView& weights, const float* bias) {
  if (dots_) return pack_dots(weights, bias);
  const int64_t columns = padded_columns(panels_, table_.lanes), depth = runs_ * k_;
  packed_ = AlignedBuffer<float>(columns * depth);
  bias_ = AlignedBuffer<float>(columns);
  for (const Panel& p : panels_) {
    const int64_t nr = int64_t{p.vectors} * table_.lanes;
    float* w = packed_.data() + p.column * depth;
    for (size_t tap = 0; tap < grid_.taps.size(); ++tap, w += group_inputs_ * nr)
      for (int64_t c0 = 0; c0 < group_inputs_; c0 += kPackBlock) {
        const int64_t end = std::min(c0 + kPackBlock, group_inputs_);
        for (int64_t j = 0; j < p.width; ++j) {
          const float* from = weights.at(p.n0 + j, tap);
          for (int64_t c = c0; c < end; ++c) w[c * nr + j] = from[c * weights.input_stride];
        }
      }
    for (int64_t j = 0; bias && j < p.width; ++j) bias_[p.column + j] = bias[p.n0 + j];
  }
}

void DirectConvF32::run(int, int part, const KernelArgs& args) const {
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
    point(block, static_cast<const float*>(args.x), pointers, y_offset, copies);
    if (dots_) run_dots(block.size(), pointers, y_offset, args);
    for (int64_t p = panels.begin; p < panels.end && !dots_; ++p)
      run_panel(panels_[static_cast<size_t>(p)], block.size(), pointers, y_offset, args);
    if (post_.any_pass()) finish(y_offset, block.size(), panels, args);
  }
}

void DirectConvF32::run_dots(int64_t rows, const float* const* pointers, const int64_t* y_offset,
                             const KernelArgs& args) const {
  TileF32 t;
  t.a = pointers;
  t.a_tap_stride = block_;
  t.taps = runs_;
  t.k = k_;
  t.w = packed_.data();
  t.w_stride = runs_ * round_up(k_, table_.lanes);
  t.bias = bias_.data();
  t.y_offset = y_offset;
  t.y = static_cast<float*>(args.y);
  if (post_.add_residual) t.residual = static_cast<const float*>(args.residual);
  t.low = post_.low;
  t.high = post_.high;
  t.n = g_.oc;
  table_.dot_f32(t, rows);
}

void DirectConvF32::run_panel(const Panel& p, int64_t rows, const float* const* pointers,
                              const int64_t* y_offset, const KernelArgs& args) const {
  TileF32 t;
  t.a_tap_stride = block_;
  t.a_offset = p.a_offset;
  t.taps = runs_;
  t.k = k_;
  t.w = packed_.data() + p.column * runs_ * k_;
  t.w_stride = int64_t{p.vectors} * table_.lanes;
  t.bias = bias_.data() + p.column;
  t.y = static_cast<float*>(args.y) + p.n0;
  if (post_.add_residual) t.residual = static_cast<const float*>(args.residual) + p.n0;
  t.low = post_.low;
  t.high = post_.high;
  t.n = p.width;
  const auto* tile = table_.tile_f32[p.vectors];
  for_tiles(rows, table_.rows_f32[p.vectors], [&](int64_t first, int64_t count) {
    t.a = pointers + first;
    t.y_offset = y_offset + first;
    tile[count](t);
  });
}

void DirectConvF32::finish(const int64_t* y_offset, int64_t rows, const Range& panels,
                           const KernelArgs& args) const {
  const int64_t first = panels_[static_cast<size_t>(panels.begin)].n0;
  const Panel& last = panels_[static_cast<size_t>(panels.end - 1)];
  const int64_t width = last.n0 + last.width - first;
  for (int64_t r = 0; r < rows;) {
    // Rows that follow each other in memory are one.
    int64_t count = 1;
    while (r + count < rows && y_offset[r + count] - y_offset[r + count - 1] == width) ++count;
    const int64_t at = y_offset[r] + first;
    const float* residual =
        post_.residual_pass ? static_cast<const float*>(args.residual) + at : nullptr;
    run_post_pass(table_, epilogue_, post_, residual, static_cast<float*>(args.y) + at,
                  count * width);
    r += count;
  }
}

// Fills pointers[run * block_ + row] and y_offset[row] for the rows of a block.
void DirectConvF32::point(const Range& block, const float* x, const float** pointers,
                          int64_t* y_offset, float* copies) const {
  const int64_t xs = g_.x_pixel_stride, ys = g_.y_pixel_stride;
  if (identity_) {
    for (int64_t r = 0; r < block.size(); ++r) {
      pointers[r] = x + (block.begin + r) * xs;
      y_offset[r] = (block.begin + r) * ys;
    }
    return;
  }
  PixelWalk walk(grid_.qh, grid_.qw, block.begin);
  for (int64_t r = 0; r < block.size();) {
    const int64_t count = std::min(block.size() - r, grid_.qw - walk.x);
    const int64_t oy = grid_.y_first_h + walk.y * grid_.y_step_h;
    const int64_t ox = grid_.y_first_w + walk.x * grid_.y_step_w;
    for (int64_t i = 0; i < count; ++i)
      y_offset[r + i] = ((walk.n * g_.oh + oy) * g_.ow + ox + i * grid_.y_step_w) * ys;
    const float* image = x + walk.n * g_.ih * g_.iw * xs;
    for (int64_t j = 0; j < runs_; ++j) {
      const DirectGrid::Tap& tap = grid_.taps[static_cast<size_t>(j * run_)];
      const int64_t iy = walk.y * g_.stride_h + tap.dy;
      point_row(iy >= 0 && iy < g_.ih ? image + iy * g_.iw * xs : nullptr,
                walk.x * g_.stride_w + tap.dx, count, pointers + j * block_ + r,
                copies + (r * runs_ + j) * k_);
    }
    r += count;
    walk.skip(count);
  }
}

// The pointers of one run for `count` output pixels in a row, the first of which reads from column
// `ix` on. `row` null: outside the input.
void DirectConvF32::point_row(const float* row, int64_t ix, int64_t count, const float** p,
                              float* copies) const {
  if (!row) {
    std::fill_n(p, count, zeros_.data());
    return;
  }
  const int64_t step = g_.stride_w, xs = g_.x_pixel_stride;
  // Pixels [lo, hi) have their whole run inside.
  const int64_t lo = ix >= 0 ? 0 : std::min(count, ceil_div(-ix, step));
  const int64_t room = g_.iw - run_ - ix;
  const int64_t hi = room < 0 ? lo : std::clamp(room / step + 1, lo, count);
  for (int64_t i = 0; i < lo; ++i) p[i] = edge(row, ix + i * step, copies + i * runs_ * k_);
  const float* pixel = row + (ix + lo * step) * xs;
  for (int64_t i = lo; i < hi; ++i, pixel += step * xs) p[i] = pixel;
  for (int64_t i = hi; i < count; ++i) p[i] = edge(row, ix + i * step, copies + i * runs_ * k_);
}

// A run that is not wholly inside the row.
const float* DirectConvF32::edge(const float* row, int64_t ix, float* copy) const {
  const int64_t lo = std::clamp<int64_t>(-ix, 0, run_);
  const int64_t hi = std::clamp<int64_t>(g_.iw - ix, lo, run_);
  if (lo == hi) return zeros_.data();
  std::fill_n(copy, k_, 0.0f);
  std::memcpy(copy + lo * g_.ic, row + (ix + lo) * g_.ic,
              static_cast<size_t>((hi - lo) * g_.ic) * sizeof(float));
  return copy;
}

}  // namespace mnn
