// Running sums, and the index of the extreme, along one axis.
#include <algorithm>

#include "libruntime/backends/cpu/rows.h"

namespace mnn::cpu {
namespace {

constexpr int64_t kColumns = 64;

// A dense array as [outer, n, inner] in memory, n along an axis.
struct Lines {
  int64_t outer = 1, n = 1, inner = 1;
};

Lines lines_of(const Array& x, size_t axis) {
  Lines lines;
  lines.n = x.dims[axis];
  const Order order = order_of(x);
  for (size_t i = order.size(); i-- > 0 && order[i] != static_cast<int>(axis);) {
    lines.inner *= x.dims[static_cast<size_t>(order[i])];
  }
  // An axis of extent 1 has no place of its own.
  if (lines.n == 1) lines.inner = 1;
  lines.outer = x.elements() / lines.n / lines.inner;
  return lines;
}

// ---- CumSum ----

std::optional<std::string> supports_cum_sum(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  const DType t = n.in_type(0);
  if (t != DType::kF32 && t != DType::kI64 && t != DType::kI32) return "element type";
  if (!n.ints(1)) return "the axis is not constant";
  return std::nullopt;
}

template <typename T>
void running_integers(const T* x, T* y, int64_t n, int64_t step, bool exclusive) {
  uint64_t sum = 0;  // wraps
  for (int64_t i = 0; i < n; ++i, x += step, y += step) {
    const uint64_t next = sum + static_cast<uint64_t>(*x);
    *y = static_cast<T>(exclusive ? sum : next);
    sum = next;
  }
}

Status lower_cum_sum(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const size_t rank = n.in(0).type.rank();
  const int64_t given = (*n.ints(1))[0];
  const auto axis = static_cast<size_t>(given < 0 ? given + static_cast<int64_t>(rank) : given);
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  const Array y = l.allocate(x.dtype, x.dims, order_of(x));
  const Lines lines = lines_of(x, axis);
  const bool exclusive = n.attr_int("exclusive") != 0, reverse = n.attr_int("reverse") != 0;
  const Array in[] = {x}, out[] = {y};
  Step& step = l.add_step("running_sum", in, out, x.elements(), nullptr);
  const int64_t pieces = (lines.inner + kColumns - 1) / kColumns;
  step.run = [=, parts = step.parts, k = &l.kernels()](const Run& run, int, int part) {
    const Range r = part_of(lines.outer * pieces, part, parts);
    const int64_t row = reverse ? -lines.inner : lines.inner;
    for (int64_t i = r.begin; i < r.end; ++i) {
      const int64_t first = i % pieces * kColumns, width = std::min(kColumns, lines.inner - first);
      const int64_t at = (i / pieces * lines.n + (reverse ? lines.n - 1 : 0)) * lines.inner + first;
      if (x.dtype == DType::kF32) {
        k->running_sum(run.data<float>(x) + at, run.data<float>(y) + at, lines.n, row, width,
                       exclusive);
        continue;
      }
      for (int64_t j = 0; j < width; ++j) {
        if (x.dtype == DType::kI64) {
          running_integers(run.data<int64_t>(x) + at + j, run.data<int64_t>(y) + at + j, lines.n,
                           row, exclusive);
        } else {
          running_integers(run.data<int32_t>(x) + at + j, run.data<int32_t>(y) + at + j, lines.n,
                           row, exclusive);
        }
      }
    }
  };
  return l.finish(node, y);
}

// ---- ArgMax, ArgMin ----

std::optional<std::string> supports_arg(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  const Dims d = n.in_dims(0);
  if (d[n.axis("axis", d.size())] > INT32_MAX) return "a long axis";
  return std::nullopt;
}

// Where in x[0, n) the extreme lies: the first or last one equal to it.
int64_t arg_row(const VectorKernels& k, const float* x, int64_t n, bool least, bool last) {
  const float best = k.reduce_row(least ? ReduceOp::kMin : ReduceOp::kMax, x, n);
  // The first NaN ends the search.
  if (best != best) return std::find_if(x, x + n, [](float v) { return v != v; }) - x;
  if (!last) return std::find(x, x + n, best) - x;
  int64_t i = n - 1;
  while (x[i] != best) --i;
  return i;
}

Status lower_arg(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const bool least = node.op == "ArgMin", last = n.attr_int("select_last_index") != 0;
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  const size_t axis = n.axis("axis", x.rank());
  const Lines lines = lines_of(x, axis);
  Dims dims = x.dims;
  dims[axis] = 1;
  const Array y = l.allocate(DType::kI64, dims, order_of(x));
  const Array in[] = {x}, out[] = {y};
  Step& step = l.add_step(least ? "arg_min" : "arg_max", in, out, x.elements() / 2, nullptr);
  const int64_t pieces = (lines.inner + kColumns - 1) / kColumns;
  step.run = [=, parts = step.parts, k = &l.kernels()](const Run& run, int, int part) {
    const Range r = part_of(lines.outer * pieces, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      const int64_t o = i / pieces, first = i % pieces * kColumns;
      const float* from = run.data<float>(x) + o * lines.n * lines.inner + first;
      int64_t* to = run.data<int64_t>(y) + o * lines.inner + first;
      if (lines.inner == 1) {
        *to = arg_row(*k, from, lines.n, least, last);
        continue;
      }
      const int64_t width = std::min(kColumns, lines.inner - first);
      int32_t index[kColumns];
      k->arg_column(from, index, lines.n, lines.inner, width, least, last);
      std::copy_n(index, width, to);
    }
  };
  return l.finish(node, *reshaped(y, l.dims(node.outputs[0])));
}

constexpr OpRow kScanRows[] = {
    {"CumSum", supports_cum_sum, lower_cum_sum},
    {"ArgMax", supports_arg, lower_arg},
    {"ArgMin", supports_arg, lower_arg},
};

}  // namespace

std::span<const OpRow> scan_rows() { return kScanRows; }

}  // namespace mnn::cpu
