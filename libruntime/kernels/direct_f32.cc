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
constexpr int64_t kPackBlock = 64;     // input channels packed at a time, to stay in L1
constexpr int64_t kPackFloats = 4096;  // of a panel that are turned at a time
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
  m_ = g.n * grid_.qd * grid_.qh * grid_.qw;
  group_inputs_ = g.ic / g.groups;
  const auto taps = static_cast<int64_t>(grid_.taps.size());
  if (g.groups == 1 && g.ic < kRunChannels && g.x_pixel_stride == g.ic) run_ = grid_.run;
  runs_ = taps / run_;
  k_ = run_ * group_inputs_;
  dots_ = g.groups == 1 && g.oc <= kMaxDots && k_ >= table.lanes;
  if (dots_) name_ = std::string("conv_f32_dot_") + table.isa;
  identity_ = taps == 1 && grid_.taps[0].dz == 0 && grid_.taps[0].dy == 0 &&
              grid_.taps[0].dx == 0 && g.stride_d == 1 && g.stride_h == 1 && g.stride_w == 1 &&
              grid_.qd == g.id && grid_.qh == g.ih && grid_.qw == g.iw && g.od == g.id &&
              g.oh == g.ih && g.ow == g.iw && grid_.y_step_d == 1 && grid_.y_step_h == 1 &&
              grid_.y_step_w == 1;
  panels_ = split_columns(g.oc / g.groups, g.groups, group_inputs_, table.lanes,
                          panel_vectors_f32(table, m_));
  const int64_t weights = taps * group_inputs_ * (g.oc / g.groups);
  split_ = split_work(m_, static_cast<int64_t>(panels_.size()), m_ * weights * g.groups, threads);
  const int64_t pixel_bytes =
      group_inputs_ * 4 * std::min(g.stride_d * g.stride_h * g.stride_w, taps);
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

int64_t DirectConvF32::columns() const {
  return dots_ ? g_.oc : padded_columns(panels_, table_.lanes);
}

int64_t DirectConvF32::depth() const {
  return dots_ ? runs_ * round_up(k_, table_.lanes) : runs_ * k_;
}

// All that pack_columns asks.
std::string DirectConvF32::layout() const {
  std::string text = layout_of(table_, dots_ ? "f32 dots" : "f32 panels",
                               {panels_.front().vectors, static_cast<int64_t>(panels_.size()),
                                g_.oc, g_.groups, group_inputs_, run_, view_.outputs,
                                view_.group_stride, view_.output_stride, view_.input_stride});
  for (const int64_t tap : view_.taps) text += " " + std::to_string(tap);
  return text;
}

Status DirectConvF32::set_weights(const WeightView& view, const Weights<float>& weights,
                                  const float* bias, WeightsCache* cache) {
  view_ = view;
  computed_ = !weights;
  taps_inside_ = view.input_stride == static_cast<int64_t>(view.taps.size());
  for (size_t tap = 0; tap < view.taps.size(); ++tap)
    taps_inside_ = taps_inside_ && view.taps[tap] == static_cast<int64_t>(tap);
  if (computed_) return {};
  const auto pack = [&](float* packed) -> Status {
    MNN_ASSIGN_OR_RETURN(const auto elements, weights.read());
    pack_columns(elements.get(), packed, 0, 1);
    return {};
  };
  MNN_ASSIGN_OR_RETURN(packed_,
                       keep<float>(cache, weights.id(), layout(), columns() * depth(), pack));
  AlignedBuffer<float> own(columns());
  pack_bias(bias, own.data(), 0, 1);
  MNN_ASSIGN_OR_RETURN(bias_, keep(cache, own));
  return {};
}

// Run after run, each filled up to whole registers.
void DirectConvF32::pack_dot(const float* weights, int64_t o, float* packed) const {
  const int64_t step = round_up(k_, table_.lanes);
  std::fill_n(packed + o * runs_ * step, runs_ * step, 0.0f);
  for (size_t tap = 0; tap < grid_.taps.size(); ++tap) {
    const auto t = static_cast<int64_t>(tap);
    float* w = packed + (o * runs_ + t / run_) * step + t % run_ * group_inputs_;
    const float* from = weights + view_.at(o, tap);
    for (int64_t c = 0; c < group_inputs_; ++c) w[c] = from[c * view_.input_stride];
  }
}

void DirectConvF32::pack_panel(const float* weights, const Panel& p, float* w) const {
  const int64_t nr = int64_t{p.vectors} * table_.lanes;
  const auto taps = static_cast<int64_t>(grid_.taps.size());
  if (taps_inside_ && taps * nr <= kPackFloats) {
    // Some channels with all their taps at a time; then the taps are taken apart.
    alignas(64) float rows[kPackFloats];
    const int64_t step = kPackFloats / nr / taps;
    for (int64_t c0 = 0; c0 < group_inputs_; c0 += step) {
      const int64_t count = std::min(step, group_inputs_ - c0);
      float* out = taps == 1 ? w + c0 * nr : rows;
      table_.pack_transposed_f32(weights + view_.at(p.n0, 0) + c0 * taps, view_.output_stride,
                                 count * taps, p.width, nr, 1.0f, out);
      for (int64_t c = 0; c < count && taps > 1; ++c)
        for (int64_t tap = 0; tap < taps; ++tap)
          std::memcpy(w + (tap * group_inputs_ + c0 + c) * nr, rows + (c * taps + tap) * nr,
                      static_cast<size_t>(nr) * sizeof(float));
    }
    return;
  }
  for (size_t tap = 0; tap < grid_.taps.size(); ++tap, w += group_inputs_ * nr) {
    for (int64_t c0 = 0; c0 < group_inputs_; c0 += kPackBlock) {
      const int64_t end = std::min(c0 + kPackBlock, group_inputs_);
      for (int64_t j = 0; j < p.width; ++j) {
        const float* from = weights + view_.at(p.n0 + j, tap);
        for (int64_t c = c0; c < end; ++c) w[c * nr + j] = from[c * view_.input_stride];
      }
      for (int64_t c = c0; c < end && p.width < nr; ++c)
        std::fill_n(w + c * nr + p.width, nr - p.width, 0.0f);
    }
  }
}

void DirectConvF32::pack_columns(const float* weights, float* packed, int part, int parts) const {
  if (dots_) {
    const Range outputs = piece(g_.oc, parts, part);
    for (int64_t o = outputs.begin; o < outputs.end; ++o) pack_dot(weights, o, packed);
    return;
  }
  const Range panels = piece(static_cast<int64_t>(panels_.size()), parts, part);
  for (int64_t i = panels.begin; i < panels.end; ++i) {
    const Panel& p = panels_[static_cast<size_t>(i)];
    pack_panel(weights, p, packed + p.column * depth());
  }
}

void DirectConvF32::pack_bias(const float* bias, float* packed, int part, int parts) const {
  if (dots_) {
    const Range outputs = piece(g_.oc, parts, part);
    for (int64_t o = outputs.begin; o < outputs.end; ++o) packed[o] = bias ? bias[o] : 0.0f;
    return;
  }
  const Range panels = piece(static_cast<int64_t>(panels_.size()), parts, part);
  for (int64_t i = panels.begin; i < panels.end; ++i) {
    const Panel& p = panels_[static_cast<size_t>(i)];
    for (int64_t j = 0; j < int64_t{p.vectors} * table_.lanes; ++j)
      packed[p.column + j] = bias && j < p.width ? bias[p.n0 + j] : 0.0f;
  }
}

void DirectConvF32::pack(const float* weights, const float* bias, float* packed, int part,
                         int parts) const {
  pack_columns(weights, packed, part, parts);
  pack_bias(bias, packed + columns() * depth(), part, parts);
}

void DirectConvF32::run(int phase, int part, const KernelArgs& args) const {
  if (!computed_) return run_packed(packed_, bias_, part, args);
  auto* packed = reinterpret_cast<float*>(args.scratch + part_scratch_ * parts());
  if (phase == 1) return run_packed(packed, part, args);
  pack(static_cast<const float*>(args.b), static_cast<const float*>(args.bias), packed, part,
       parts());
}

void DirectConvF32::run_packed(const float* packed, const float* bias, int part,
                               const KernelArgs& args) const {
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
    if (dots_) run_dots(block.size(), pointers, y_offset, packed, bias, args);
    for (int64_t p = panels.begin; p < panels.end && !dots_; ++p)
      run_panel(panels_[static_cast<size_t>(p)], block.size(), pointers, y_offset, packed, bias,
                args);
    if (post_.any_pass()) finish(y_offset, block.size(), panels, args);
  }
}

void DirectConvF32::run_dots(int64_t rows, const float* const* pointers, const int64_t* y_offset,
                             const float* packed, const float* bias, const KernelArgs& args) const {
  TileF32 t;
  t.a = pointers;
  t.a_tap_stride = block_;
  t.taps = runs_;
  t.k = k_;
  t.w = packed;
  t.w_stride = runs_ * round_up(k_, table_.lanes);
  t.bias = bias;
  t.y_offset = y_offset;
  t.y = static_cast<float*>(args.y);
  if (post_.add_residual) t.residual = static_cast<const float*>(args.residual);
  t.low = post_.low;
  t.high = post_.high;
  t.n = g_.oc;
  table_.dot_f32(t, rows);
}

void DirectConvF32::run_panel(const Panel& p, int64_t rows, const float* const* pointers,
                              const int64_t* y_offset, const float* packed, const float* bias,
                              const KernelArgs& args) const {
  TileF32 t;
  t.a_tap_stride = block_;
  t.a_offset = p.a_offset;
  t.taps = runs_;
  t.k = k_;
  t.w_stride = int64_t{p.vectors} * table_.lanes;
  t.low = post_.low;
  t.high = post_.high;
  const int wide = tile_vectors_f32(table_, p.vectors, m_);
  for (int v = 0; v < p.vectors; v += wide) {
    const int vectors = std::min(wide, p.vectors - v);
    const int64_t at = int64_t{v} * table_.lanes;
    t.w = packed + p.column * runs_ * k_ + at;
    t.bias = bias + p.column + at;
    t.y = static_cast<float*>(args.y) + p.n0 + at;
    if (post_.add_residual) t.residual = static_cast<const float*>(args.residual) + p.n0 + at;
    t.n = std::min(p.width - at, int64_t{vectors} * table_.lanes);
    const auto* tile = table_.tile_f32[vectors];
    for_tiles(rows, table_.rows_f32[vectors], [&](int64_t first, int64_t count) {
      t.a = pointers + first;
      t.y_offset = y_offset + first;
      tile[count](t);
    });
  }
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
    const int64_t n = walk.n / grid_.qd, qz = walk.n % grid_.qd;
    const int64_t oz = grid_.y_first_d + qz * grid_.y_step_d;
    const int64_t oy = grid_.y_first_h + walk.y * grid_.y_step_h;
    const int64_t ox = grid_.y_first_w + walk.x * grid_.y_step_w;
    const int64_t line = ((n * g_.od + oz) * g_.oh + oy) * g_.ow + ox;
    for (int64_t i = 0; i < count; ++i) y_offset[r + i] = (line + i * grid_.y_step_w) * ys;
    for (int64_t j = 0; j < runs_; ++j) {
      const DirectGrid::Tap& tap = grid_.taps[static_cast<size_t>(j * run_)];
      const int64_t iz = qz * g_.stride_d + tap.dz, iy = walk.y * g_.stride_h + tap.dy;
      const bool inside = iz >= 0 && iz < g_.id && iy >= 0 && iy < g_.ih;
      const float* row = inside ? x + ((n * g_.id + iz) * g_.ih + iy) * g_.iw * xs : nullptr;
      point_row(row, walk.x * g_.stride_w + tap.dx, count, pointers + j * block_ + r,
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
