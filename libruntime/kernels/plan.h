// How a product is cut: columns of C into panels (one packed weight block each), rows into tiles,
// both into parts for threads. Shared by all convolution and GEMM kernels.
#pragma once

#include <cstdlib>
#include <span>
#include <vector>

#include "libruntime/kernels/aligned_buffer.h"
#include "libruntime/kernels/kernel.h"
#include "libruntime/kernels/kernel_table.h"

namespace mnn {

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
// False when a * b does not fit; otherwise *a = a * b.
inline bool checked_mul(int64_t* a, int64_t b) { return !__builtin_mul_overflow(*a, b, a); }

struct Range {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};
// Piece `index` of `count` nearly equal pieces of [0, n), cut at multiples of `step`.
Range piece(int64_t n, int64_t count, int64_t index, int64_t step = 1);

// Calls f(first, count) for nearly equal pieces of [0, rows) of at most `most`.
template <typename F>
void for_tiles(int64_t rows, int64_t most, F&& f) {
  const int64_t tiles = ceil_div(rows, most), least = rows / tiles, more = rows % tiles;
  int64_t first = 0;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t count = least + (i < more ? 1 : 0);
    f(first, count);
    first += count;
  }
}

// Columns [n0, n0 + width) of C. Weights and bias of all panels lie one behind the other.
struct Panel {
  int64_t n0 = 0;
  int width = 0;
  int vectors = 0;       // registers across, width <= vectors * lanes
  int64_t column = 0;    // first column in the padded order: offset of its bias
  int64_t a_offset = 0;  // first input channel of its group
};

// Cuts each group's `n` columns into nearly equal panels of at most `max_vectors` registers.
std::vector<Panel> split_columns(int64_t n, int64_t groups, int64_t group_inputs, int lanes,
                                 int max_vectors);
int64_t padded_columns(std::span<const Panel> panels, int lanes);

// Most registers a panel should have for `m` rows of C. Weights thus have two layouts: wide panels
// for a row or a few, narrow ones for all other m.
int panel_vectors_f32(const KernelTable& table, int64_t m);
// Registers across a tile of `m` rows on a panel of `vectors`; such tiles lie side by side on it.
int tile_vectors_f32(const KernelTable& table, int vectors, int64_t m);

// A layout of packed weights as text, for WeightsCache: what it is called, the kernels that read
// it, and the numbers that tell it from others of that name.
std::string layout_of(const KernelTable& table, std::string_view name,
                      std::initializer_list<int64_t> numbers);

// Rows [0, m) times panels [0, n) for `parts` threads: rows x panels pieces.
struct Split {
  int rows = 1, panels = 1;
  int parts() const { return rows * panels; }
};
// `macs` in all: little work stays on one thread.
Split split_work(int64_t m, int64_t panels, int64_t macs, int threads);

// An epilogue as the register tiles understand it, and what remains for a second pass over the
// rows just stored.
struct TilePost {
  float low, high;
  bool add_residual;  // the tile adds it
  bool before_pass, residual_pass, after_pass;
  bool any_pass() const { return before_pass || residual_pass || after_pass; }
};
TilePost plan_epilogue(const Epilogue& epilogue);

// The second pass over n values of one row.
void run_post_pass(const KernelTable& table, const Epilogue& epilogue, const TilePost& post,
                   const float* residual, float* y, int64_t n);

}  // namespace mnn
