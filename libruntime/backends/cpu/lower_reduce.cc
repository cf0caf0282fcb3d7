// Reductions over any axes, and softmax.
#include <algorithm>
#include <cmath>

#include "libruntime/backends/cpu/row_step.h"
#include "libruntime/backends/cpu/rows.h"
#include "libruntime/lower/view.h"

namespace mnn::cpu {
namespace {

struct ReduceRow {
  std::string_view op;
  ReduceOp kernel;
  bool mean = false;
  std::optional<UnaryOp> after = std::nullopt;
};
constexpr ReduceRow kReduce[] = {
    {"ReduceSum", ReduceOp::kSum},
    {"ReduceMean", ReduceOp::kSum, true},
    {"ReduceMax", ReduceOp::kMax},
    {"ReduceMin", ReduceOp::kMin},
    {"ReduceSumSquare", ReduceOp::kSumSquare},
    {"ReduceL1", ReduceOp::kSumAbs},
    {"ReduceL2", ReduceOp::kSumSquare, false, UnaryOp::kSqrt},
    {"ReduceLogSum", ReduceOp::kSum, false, UnaryOp::kLog},
    {"GlobalAveragePool", ReduceOp::kSum, true},
    {"GlobalMaxPool", ReduceOp::kMax},
};
const ReduceRow& reduce_row(std::string_view op) {
  return *std::find_if(std::begin(kReduce), std::end(kReduce),
                       [&](const ReduceRow& r) { return r.op == op; });
}

std::optional<std::string> supports_reduce(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  return why_no_axes(n);
}

// x [outer, n, inner] -> y [outer, inner].
void add_reduction(Lowering& l, ReduceOp op, const Array& x, const Array& y, int64_t outer,
                   int64_t n, int64_t inner) {
  const Array in[] = {x}, out[] = {y};
  Step& step = l.add_step("reduce", in, out, x.elements() / 4, nullptr);
  const VectorKernels* k = &l.kernels();
  if (inner == 1) {
    step.parts = static_cast<int>(std::min<int64_t>(step.parts, outer));
    step.run = [=, parts = step.parts](const Run& run, int, int part) {
      const Range r = part_of(outer, part, parts);
      const float* from = run.data<float>(x);
      float* to = run.data<float>(y);
      for (int64_t i = r.begin; i < r.end; ++i) to[i] = k->reduce_row(op, from + i * n, n);
    };
    return;
  }
  constexpr int64_t kColumns = 64;
  const int64_t pieces = (inner + kColumns - 1) / kColumns;
  step.run = [=, parts = step.parts](const Run& run, int, int part) {
    const Range r = part_of(outer * pieces, part, parts);
    for (int64_t i = r.begin; i < r.end;) {
      const int64_t o = i / pieces, first = i % pieces;
      const int64_t last = std::min(pieces, first + r.end - i);
      const int64_t begin = first * kColumns, end = std::min(inner, last * kColumns);
      k->reduce_column(op, run.data<float>(x) + o * n * inner + begin,
                       run.data<float>(y) + o * inner + begin, n, inner, end - begin, true);
      i += last - first;
    }
  };
}

// The mean of each channel of an image of bytes, from an exact sum.
Status lower_mean_u8(Lowering& l, const Node& node) {
  const ValueId xv = node.inputs[0], yv = node.outputs[0];
  const Dims dims = l.dims(xv);
  const Grid in_grid = *l.grid(xv);
  const auto out_grid = node.fused.empty() ? l.grid(yv) : std::nullopt;
  MNN_ASSIGN_OR_RETURN(const Array x, l.stored(xv, channels_last(dims.size())));
  const Array y = l.allocate(DType::kF32, {dims[0], dims[1]}, {0, 1}, out_grid);
  const Array in[] = {x}, out[] = {y};
  Step& step = l.add_step("mean_u8", in, out, x.elements() / 8, nullptr);
  constexpr int64_t kColumns = 64;
  const int64_t c = dims[1], pixels = product(std::span(dims).subspan(2));
  const int64_t pieces = (c + kColumns - 1) / kColumns;
  step.parts = static_cast<int>(std::min<int64_t>(step.parts, dims[0] * pieces));
  step.run = [=, n = dims[0], parts = step.parts, k = &l.kernels()](const Run& run, int, int part) {
    const float scale = in_grid.scale / static_cast<float>(pixels);
    const Range r = part_of(n * pieces, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      const int64_t image = i / pieces, begin = i % pieces * kColumns;
      const int64_t width = std::min(kColumns, c - begin);
      int32_t sums[kColumns];
      float means[kColumns];
      k->sum_u8(run.data<uint8_t>(x) + image * pixels * c + begin, sums, pixels, c, width);
      for (int64_t j = 0; j < width; ++j) {
        means[j] = static_cast<float>(sums[j] - pixels * in_grid.zero) * scale;
      }
      if (out_grid) {
        k->to_u8(means, run.data<uint8_t>(y) + image * c + begin, width, out_grid->scale,
                 out_grid->zero);
      } else {
        std::copy_n(means, width, run.data<float>(y) + image * c + begin);
      }
    }
  };
  return l.finish(node, *reshaped(y, l.dims(yv)));
}

// Whether exactly the axes of space go, over no more bytes than an int32 sum holds.
bool is_space(const std::vector<bool>& gone, const Dims& dims) {
  if (dims.size() < 3 || gone[0] || gone[1]) return false;
  return std::all_of(gone.begin() + 2, gone.end(), [](bool g) { return g; }) &&
         product(std::span(dims).subspan(2)) < (int64_t{1} << 23);
}

Status lower_reduce(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const ReduceRow& row = reduce_row(node.op);
  const std::vector<bool> gone = reduced_axes(n);
  const ValueId xv = node.inputs[0];
  const Dims dims = l.dims(xv);
  if (row.mean && l.grid(xv) && is_space(gone, dims)) return lower_mean_u8(l, node);
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(xv));
  Order order = order_of(x);
  int64_t count = 1;
  for (size_t d = 0; d < dims.size(); ++d) count *= gone[d] ? dims[d] : 1;

  // Runs of neighbouring axes that all go, from the innermost outwards: one pass each.
  ReduceOp op = row.kernel;
  Array y = x;
  bool any = false;
  for (size_t end = order.size(); end > 0;) {
    auto goes = [&](size_t i) {
      const auto axis = static_cast<size_t>(order[i]);
      return gone[axis] && y.dims[axis] != 1;
    };
    auto ignored = [&](size_t i) { return y.dims[static_cast<size_t>(order[i])] == 1; };
    size_t last = end;
    while (last > 0 && !goes(last - 1)) --last;
    if (last == 0) break;
    size_t first = last;
    while (first > 0 && (goes(first - 1) || ignored(first - 1))) --first;
    Dims left = y.dims;
    int64_t outer = 1, length = 1, inner = 1;
    for (size_t i = 0; i < order.size(); ++i) {
      const auto axis = static_cast<size_t>(order[i]);
      (i < first ? outer : i < last ? length : inner) *= y.dims[axis];
      if (i >= first && i < last) left[axis] = 1;
    }
    const Array next = l.allocate(DType::kF32, left, order);
    add_reduction(l, op, y, next, outer, length, inner);
    if (op == ReduceOp::kSumSquare || op == ReduceOp::kSumAbs) op = ReduceOp::kSum;
    y = next;
    any = true;
    end = first;
  }
  const bool after = row.mean || row.after || !any;
  if (after) {
    const Array from = y;
    if (!any) y = l.allocate(DType::kF32, dims, order);
    // Sums of squares and of sizes of single elements are not done by any pass.
    UnaryOp single = UnaryOp::kMulBy;
    if (!any && op == ReduceOp::kSumSquare) single = UnaryOp::kSquare;
    if (!any && op == ReduceOp::kSumAbs) single = UnaryOp::kAbs;
    const UnaryFn one = l.kernels().unary[static_cast<int>(single)];
    const UnaryFn then = row.after ? l.kernels().unary[static_cast<int>(*row.after)] : nullptr;
    const UnaryFn divide = l.kernels().unary[static_cast<int>(UnaryOp::kDivBy)];
    const Array in[] = {from}, out[] = {y};
    const bool mean = row.mean;
    Step& step = l.add_step("reduce_end", in, out, 0, nullptr);
    step.run = [=, n = y.elements(), c = static_cast<float>(count)](const Run& run, int, int) {
      float* to = run.data<float>(y);
      if (!any) one(run.data<float>(from), to, n, 1.0f, 0);
      if (mean) divide(to, to, n, c, 0);
      if (then != nullptr) then(to, to, n, 0, 0);
    };
  }
  // The axes that went are 1 now, or not there at all.
  const std::optional<Array> shaped = reshaped(y, l.dims(node.outputs[0]));
  return l.finish(node, *shaped);
}

std::optional<std::string> supports_softmax(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  if (n.in(0).type.rank() == 0) return "a scalar";
  return std::nullopt;
}

Status lower_softmax(Lowering& l, const Node& node) {
  const NodeView v(l.graph(), node);
  const bool log = node.op == "LogSoftmax";
  const ValueId xv = node.inputs[0];
  const Dims dims = l.dims(xv);
  const size_t axis = v.axis("axis", dims.size());
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(xv));
  const Order order = order_of(x);
  const int64_t n = dims[axis];
  int64_t inner = 1;
  for (size_t i = order.size(); i-- > 0 && order[i] != static_cast<int>(axis);) {
    inner *= dims[static_cast<size_t>(order[i])];
  }
  if (n == 1) inner = 1;
  const int64_t outer = x.elements() / n / inner;
  const VectorKernels* k = &l.kernels();
  if (inner == 1) {
    return lower_rows(l, node, log ? "log_softmax" : "softmax", x, {}, n, 4,
                      [=](const Run&, const float* from, float* to, int64_t rows) {
                        k->softmax(from, to, rows, n, log);
                      });
  }
  const Array y = l.allocate(DType::kF32, dims, order);
  const Array in[] = {x}, out[] = {y};
  Step& step = l.add_step(log ? "log_softmax" : "softmax", in, out, x.elements() * 4, nullptr);
  if (x.offset == 0) step.in_place = x.storage;
  constexpr int64_t kColumns = 64;
  const int64_t pieces = (inner + kColumns - 1) / kColumns;
  step.run = [=, parts = step.parts](const Run& run, int, int part) {
    const Range r = part_of(outer * pieces, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      const int64_t at = i / pieces * n * inner + i % pieces * kColumns;
      const int64_t width = std::min(kColumns, inner - i % pieces * kColumns);
      k->softmax_column(run.data<float>(x) + at, run.data<float>(y) + at, n, width, inner, log);
    }
  };
  return l.finish(node, y);
}

constexpr OpRow kReduceRows[] = {
    {"ReduceSum", supports_reduce, lower_reduce},
    {"ReduceMean", supports_reduce, lower_reduce},
    {"ReduceMax", supports_reduce, lower_reduce},
    {"ReduceMin", supports_reduce, lower_reduce},
    {"ReduceSumSquare", supports_reduce, lower_reduce},
    {"ReduceL1", supports_reduce, lower_reduce},
    {"ReduceL2", supports_reduce, lower_reduce},
    {"ReduceLogSum", supports_reduce, lower_reduce},
    {"GlobalAveragePool", supports_reduce, lower_reduce},
    {"GlobalMaxPool", supports_reduce, lower_reduce},
    {"Softmax", supports_softmax, lower_softmax},
    {"LogSoftmax", supports_softmax, lower_softmax},
};

}  // namespace

std::span<const OpRow> reduce_rows() { return kReduceRows; }

}  // namespace mnn::cpu
