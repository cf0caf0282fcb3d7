#include "libruntime/kernels/plan.h"

#include <algorithm>
#include <limits>

namespace mnn {

Range piece(int64_t n, int64_t count, int64_t index, int64_t step) {
  const int64_t units = ceil_div(n, step);
  const int64_t least = units / count, more = units % count;
  const int64_t begin = index * least + std::min(index, more);
  const int64_t end = begin + least + (index < more ? 1 : 0);
  return {std::min(n, begin * step), std::min(n, end * step)};
}

std::vector<Panel> split_columns(int64_t n, int64_t groups, int64_t group_inputs, int lanes,
                                 int max_vectors) {
  std::vector<Panel> panels;
  const int64_t units = ceil_div(n, lanes);
  const int64_t count = ceil_div(units, max_vectors);
  int64_t column = 0;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t i = 0; i < count; ++i) {
      const Range r = piece(units, count, i);
      Panel p;
      p.n0 = g * n + r.begin * lanes;
      p.width = static_cast<int>(std::min(n, r.end * lanes) - r.begin * lanes);
      p.vectors = static_cast<int>(r.size());
      p.column = column;
      p.a_offset = g * group_inputs;
      column += r.size() * lanes;
      panels.push_back(p);
    }
  }
  return panels;
}

int64_t padded_columns(std::span<const Panel> panels, int lanes) {
  return panels.empty() ? 0 : panels.back().column + int64_t{panels.back().vectors} * lanes;
}

int panel_vectors_f32(const KernelTable& table, int64_t m) {
  for (int v = table.vectors_f32 + 1; v <= kMaxVectors; ++v)
    if (m <= table.rows_f32[v]) return kMaxVectors;
  return table.vectors_f32;
}

int tile_vectors_f32(const KernelTable& table, int vectors, int64_t m) {
  int best = std::min(vectors, table.vectors_f32);
  for (int v = best + 1; v <= vectors; ++v)
    if (m <= table.rows_f32[v]) best = v;
  return best;
}

std::string layout_of(const KernelTable& table, std::string_view name,
                      std::initializer_list<int64_t> numbers) {
  return layout_name(std::string(table.isa) + " " + std::string(name), numbers);
}

Split split_work(int64_t m, int64_t panels, int64_t macs, int threads) {
  constexpr int64_t kLeastMacs = 100000;  // about two microseconds
  constexpr int64_t kRowGrain = 6;
  Split best;
  if (macs < kLeastMacs) return best;
  const int64_t row_units = ceil_div(m, kRowGrain);
  int64_t best_cost = std::numeric_limits<int64_t>::max();
  for (int rows = 1; rows <= threads; ++rows) {
    const int columns = threads / rows;
    if (rows > row_units || columns > panels) continue;
    const int64_t cost = ceil_div(row_units, rows) * ceil_div(panels, columns);
    // Equal cost: many rows are better split (weights are shared), few rows are not.
    const bool better = cost < best_cost || (cost == best_cost && m >= 180);
    if (better) {
      best_cost = cost;
      best = {rows, columns};
    }
  }
  if (best_cost == std::numeric_limits<int64_t>::max()) {
    best.rows = static_cast<int>(std::min<int64_t>(threads, row_units));
    best.panels = static_cast<int>(std::min<int64_t>(threads / best.rows, panels));
  }
  return best;
}

TilePost plan_epilogue(const Epilogue& e) {
  const auto in_tile = [](const PostOp& op) {
    return op.kind == Activation::kNone || op.kind == Activation::kRelu ||
           op.kind == Activation::kClip;
  };
  constexpr float kInf = std::numeric_limits<float>::infinity();
  TilePost post{-kInf, kInf, false, false, false, false};
  const bool before = e.before.kind != Activation::kNone;
  post.add_residual = e.residual && !before;
  post.residual_pass = e.residual && before;
  // What the tile clamps to: `after` when all before it happens in the tile as well.
  const PostOp& last = before ? e.before : e.after;
  const bool clamp = in_tile(last);
  if (clamp && last.kind == Activation::kRelu) post.low = 0;
  if (clamp && last.kind == Activation::kClip) {
    post.low = last.a;
    post.high = last.b;
  }
  post.before_pass = before && !clamp;
  post.after_pass = e.after.kind != Activation::kNone && (before || !clamp);
  return post;
}

void run_post_pass(const KernelTable& table, const Epilogue& epilogue, const TilePost& post,
                   const float* residual, float* y, int64_t n) {
  const auto apply = [&](const PostOp& op) {
    table.activation_f32[static_cast<int>(op.kind)](y, y, n, op.a, op.b);
  };
  if (post.before_pass) apply(epilogue.before);
  if (post.residual_pass) table.add_f32(residual, y, n);
  if (post.after_pass) apply(epilogue.after);
}

}  // namespace mnn
