// Elements kept by value or by place: TopK, Trilu.
#include <algorithm>
#include <cstring>

#include "libruntime/backends/cpu/rows.h"

namespace mnn::cpu {
namespace {

// ---- TopK ----

std::optional<std::string> supports_top_k(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  return std::nullopt;
}

struct Entry {
  float key;
  int64_t index;
};

// Which of two entries comes first: NaN counts as the greatest, of equal ones the lower index.
template <bool kLargest>
bool before(const Entry& a, const Entry& b) {
  const bool a_nan = a.key != a.key, b_nan = b.key != b.key;
  if (a_nan || b_nan) {
    if (a_nan != b_nan) return a_nan == kLargest;
  } else if (a.key != b.key) {
    return kLargest ? a.key > b.key : a.key < b.key;
  }
  return a.index < b.index;
}

// The first k of n elements `step` apart, in order, in kept[0, k). Those seen so far are a heap
// with the last of them on top.
template <bool kLargest>
void top_k(const float* x, int64_t n, int64_t step, int64_t k, Entry* kept) {
  for (int64_t i = 0; i < k; ++i) kept[i] = {x[i * step], i};
  std::make_heap(kept, kept + k, before<kLargest>);
  for (int64_t i = k; i < n; ++i) {
    const float v = x[i * step], worst = kept[0].key;
    const bool better = kLargest ? v > worst || v != v : v < worst || worst != worst;
    if (!better || !before<kLargest>({v, i}, kept[0])) continue;
    std::pop_heap(kept, kept + k, before<kLargest>);
    kept[k - 1] = {v, i};
    std::push_heap(kept, kept + k, before<kLargest>);
  }
  std::sort_heap(kept, kept + k, before<kLargest>);
}

Status lower_top_k(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const Dims dims = l.dims(node.inputs[0]);
  const Dims kept = l.dims(node.outputs[n.has_output(0) ? 0 : 1]);
  const size_t rank = dims.size(), axis = n.axis("axis", rank);
  MNN_ASSIGN_OR_RETURN(const Array x, l.real(node.inputs[0], row_major(rank)));
  const Array y = l.allocate(DType::kF32, kept, row_major(rank));
  const Array indices = l.allocate(DType::kI64, kept, row_major(rank));
  const int64_t along = dims[axis], k = kept[axis];
  const int64_t inner = product(std::span(dims).subspan(axis + 1));
  const int64_t lines = x.elements() / along;
  const bool largest = n.attr_int("largest") != 0;
  const Array in[] = {x}, out[] = {y, indices};
  Step& step = l.add_step("top_k", in, out, x.elements() * 2, nullptr);
  const int parts = step.parts;
  const int scratch = l.add_scratch(k * parts * static_cast<int64_t>(sizeof(Entry)));
  l.last_step().run = [=](const Run& run, int, int part) {
    auto* best = reinterpret_cast<Entry*>(run.storage(scratch)) + k * part;
    const Range r = part_of(lines, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      const float* from = run.data<float>(x) + i / inner * along * inner + i % inner;
      (largest ? top_k<true> : top_k<false>)(from, along, inner, k, best);
      const int64_t at = i / inner * k * inner + i % inner;
      for (int64_t j = 0; j < k; ++j) {
        run.data<float>(y)[at + j * inner] = best[j].key;
        run.data<int64_t>(indices)[at + j * inner] = best[j].index;
      }
    }
  };
  if (n.has_output(1)) l.define(node.outputs[1], indices);
  return n.has_output(0) ? l.finish(node, y) : Status();
}

// ---- Trilu ----

std::optional<std::string> supports_trilu(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.has_input(1) && !n.ints(1)) return "the diagonal is not constant";
  return std::nullopt;
}

Status lower_trilu(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const size_t rank = n.in(0).type.rank();
  MNN_ASSIGN_OR_RETURN(const Array x, l.real(node.inputs[0], row_major(rank)));
  const Array y = l.allocate(x.dtype, x.dims, row_major(rank));
  const int64_t height = x.dims[rank - 2], width = x.dims[rank - 1], bytes = x.item_bytes();
  const bool upper = n.attr_int("upper") != 0;
  const int64_t diagonal =
      std::clamp(n.has_input(1) ? (*n.ints(1))[0] : int64_t{0}, -height, width);
  const Array in[] = {x}, out[] = {y};
  Step& step = l.add_step("trilu", in, out, x.bytes() / 8, nullptr);
  step.run = [=, rows = x.elements() / width, parts = step.parts](const Run& run, int, int part) {
    const Range r = part_of(rows, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      const std::byte* from = run.bytes(x) + i * width * bytes;
      std::byte* to = run.bytes(y) + i * width * bytes;
      // Columns [low, high) are kept.
      const int64_t edge = i % height + diagonal;
      const int64_t low = upper ? std::clamp<int64_t>(edge, 0, width) : 0;
      const int64_t high = upper ? width : std::clamp<int64_t>(edge + 1, 0, width);
      std::memset(to, 0, static_cast<size_t>(low * bytes));
      std::memcpy(to + low * bytes, from + low * bytes, static_cast<size_t>((high - low) * bytes));
      std::memset(to + high * bytes, 0, static_cast<size_t>((width - high) * bytes));
    }
  };
  return l.finish(node, y);
}

constexpr OpRow kSelectRows[] = {
    {"TopK", supports_top_k, lower_top_k, false},
    {"Trilu", supports_trilu, lower_trilu},
};

}  // namespace

std::span<const OpRow> select_rows() { return kSelectRows; }

}  // namespace mnn::cpu
