// Kernels that move words, whatever is in them. Tables (`t`) hold what depends on extents.
#include "libruntime/backends/gpu/code_kernels.h"
#include "libruntime/backends/gpu/kernel.h"

namespace mnn::gpu {
namespace {

using Element = KernelRow::Element;

// y[to(c)] = x[from(c)] for all coordinates c, outermost first: t holds depth extents, depth
// strides of x, depth strides of y.
KernelRow copy() {
  KernelRow row;
  row.name = "mnn_copy";
  row.buffers = {{"x", Element::kInt}, {"t", Element::kInt}, {"y", Element::kInt, true}};
  row.params = {{"n"}, {"depth"}, {"from"}, {"to"}};
  row.body = R"(
  if (ITEM >= n) return;
  int rest = ITEM;
  int i = from;
  int o = to;
  for (int d = depth - 1; d >= 0; d--) {
    int c = rest % t[d];
    rest = rest / t[d];
    i = i + c * t[depth + d];
    o = o + c * t[2 * depth + d];
  }
  y[o] = x[i];
)";
  return row;
}

// y dense; element c of it, `words` words, comes from the sum over the axes of t[start of axis +
// c]; a negative entry gives the fill. t holds depth extents, depth starts, then the entries.
KernelRow table_copy() {
  KernelRow row;
  row.name = "mnn_table_copy";
  row.buffers = {{"x", Element::kInt}, {"t", Element::kInt}, {"y", Element::kInt, true}};
  row.params = {{"n"}, {"depth"}, {"from"}, {"words"}, {"fill"}, {"fill_high"}};
  row.body = R"(
  if (ITEM >= n) return;
  int rest = ITEM / words;
  int word = ITEM % words;
  int i = from;
  bool inside = true;
  for (int d = depth - 1; d >= 0; d--) {
    int e = t[t[depth + d] + rest % t[d]];
    rest = rest / t[d];
    if (e < 0) inside = false;
    i = i + e;
  }
  if (inside) y[ITEM] = x[i * words + word];
  else y[ITEM] = word == 0 ? fill : fill_high;
)";
  return row;
}

// Bytes to one word each, and back.
KernelRow unpack_bytes() {
  KernelRow row;
  row.name = "mnn_unpack_bytes";
  row.buffers = {{"x", Element::kInt}, {"y", Element::kInt, true}};
  row.params = {{"n"}};
  row.body = R"(
  if (ITEM >= n) return;
  y[ITEM] = (x[ITEM / 4] >> (ITEM % 4 * 8)) & 255;
)";
  return row;
}

KernelRow pack_bytes() {
  KernelRow row;
  row.name = "mnn_pack_bytes";
  row.buffers = {{"x", Element::kInt}, {"y", Element::kInt, true}};
  row.params = {{"n"}};
  row.body = R"(
  int i = ITEM * 4;
  if (i >= n) return;
  int v = x[i] & 255;
  if (i + 1 < n) v = v | (x[i + 1] & 255) << 8;
  if (i + 2 < n) v = v | (x[i + 2] & 255) << 16;
  if (i + 3 < n) v = v | (x[i + 3] & 255) << 24;
  y[ITEM] = v;
)";
  return row;
}

// An index that may be in two words, counted from the end when it is negative; -1, and the error
// word set, where it is not in [-extent, extent).
constexpr const char* kIndex = R"(
#define INDEX(v, i, extent) int v = at[(i) * at_words]; \
  if (at_words == 2 && at[(i) * 2 + 1] != (v < 0 ? -1 : 0)) v = extent; \
  if (v < 0) v = v + extent < 0 ? extent : v + extent; \
  if (v >= extent) { error[0] = 1; v = -1; }
)";

// x [outer, extent, inner] words, y [outer, count, inner].
KernelRow gather() {
  KernelRow row;
  row.name = "mnn_gather";
  row.buffers = {{"x", Element::kInt},
                 {"at", Element::kInt},
                 {"error", Element::kInt, true},
                 {"y", Element::kInt, true}};
  row.params = {{"n"}, {"count"}, {"inner"}, {"extent"}, {"at_words"}};
  row.functions = kIndex;
  row.body = R"(
  if (ITEM >= n) return;
  int i = ITEM / inner;
  INDEX(v, i % count, extent)
  y[ITEM] = v < 0 ? 0 : x[(i / count * extent + v) * inner + ITEM % inner];
)";
  return row;
}

// Rows of a table in codes: those of x [extent][inner] in this order, with scales [entries] that
// are per_row a row, one per `group` codes, or one for all.
KernelRow gather_codes() {
  KernelRow row;
  row.name = "mnn_gather_codes";
  row.buffers = {{"w", Element::kInt},
                 {"scales", Element::kFloat},
                 {"at", Element::kInt},
                 {"error", Element::kInt, true},
                 {"y", Element::kFloat, true}};
  row.params = {{"n"}, {"inner"}, {"extent"}, {"at_words"}, {"per_row"}, {"group"}};
  row.constants = {"BITS", "OFFSET"};
  row.functions = std::string(kIndex) + kSingleCode;
  row.body = R"(
  if (ITEM >= n) return;
  int i = ITEM / inner;
  int j = ITEM % inner;
  INDEX(v, i, extent)
  y[ITEM] = v < 0 ? 0.0f : WEIGHT(v * inner + j, v * per_row + j / group);
)";
  return row;
}

// As GatherElements: y has the dims of `at`, and element c comes from x at c with the index on one
// axis. t holds depth extents of y and depth strides of x, that of the axis 0.
KernelRow gather_elements() {
  KernelRow row;
  row.name = "mnn_gather_elements";
  row.buffers = {{"x", Element::kInt},
                 {"at", Element::kInt},
                 {"t", Element::kInt},
                 {"error", Element::kInt, true},
                 {"y", Element::kInt, true}};
  row.params = {{"n"}, {"depth"}, {"words"}, {"stride"}, {"extent"}, {"at_words"}};
  row.functions = kIndex;
  row.body = R"(
  if (ITEM >= n) return;
  int i = ITEM / words;
  INDEX(v, i, extent)
  int from = v * stride;
  int rest = i;
  for (int d = depth - 1; d >= 0; d--) {
    from = from + rest % t[d] * t[depth + d];
    rest = rest / t[d];
  }
  y[ITEM] = v < 0 ? 0 : x[from * words + ITEM % words];
)";
  return row;
}

// As GatherND: at [batch, count, depth] says which of x [batch, extents…, inner]; t holds the
// extents and the strides of the indexed axes, in units of inner; size: of all of them.
KernelRow gather_nd() {
  KernelRow row;
  row.name = "mnn_gather_nd";
  row.buffers = {{"x", Element::kInt},
                 {"at", Element::kInt},
                 {"t", Element::kInt},
                 {"error", Element::kInt, true},
                 {"y", Element::kInt, true}};
  row.params = {{"n"}, {"count"}, {"depth"}, {"inner"}, {"size"}, {"at_words"}};
  row.functions = kIndex;
  row.body = R"(
  if (ITEM >= n) return;
  int i = ITEM / inner;
  int from = i / count * size;
  bool good = true;
  for (int d = 0; d < depth; d++) {
    INDEX(v, i * depth + d, t[d])
    if (v < 0) good = false;
    from = from + v * t[depth + d];
  }
  y[ITEM] = good ? x[from * inner + ITEM % inner] : 0;
)";
  return row;
}

// Weighted sums along one axis: x [outer, in, inner], y [outer, out, inner]. t holds out + 1 starts
// into the entries, the entries' indices, their weights as bits; a start below 0: outside. `count`
// entries.
KernelRow mix() {
  KernelRow row;
  row.name = "mnn_mix";
  row.buffers = {{"x", Element::kFloat}, {"t", Element::kInt}, {"y", Element::kFloat, true}};
  row.params = {{"n"}, {"in_extent"}, {"out_extent"}, {"inner"}, {"count"}, {"outside", true}};
  row.body = R"(
  if (ITEM >= n) return;
  int i = ITEM / inner;
  int o = i % out_extent;
  int from = i / out_extent * in_extent * inner + ITEM % inner;
  float sum = 0.0f;
  int begin = t[o];
  int end = t[o + 1] < 0 ? -1 - t[o + 1] : t[o + 1];
  for (int e = begin; e >= 0 && e < end; e++) {
    sum = sum + x[from + t[out_extent + 1 + e] * inner] * AS_FLOAT(t[out_extent + 1 + count + e]);
  }
  y[ITEM] = begin < 0 ? outside : sum;
)";
  return row;
}

}  // namespace

std::vector<KernelRow> move_kernels() {
  return {copy(),         table_copy(),      unpack_bytes(), pack_bytes(), gather(),
          gather_codes(), gather_elements(), gather_nd(),    mix()};
}

}  // namespace mnn::gpu
