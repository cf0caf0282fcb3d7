// Pooling over windows of channels-last images.
#include <algorithm>

#include "libruntime/backends/cpu/rows.h"
#include "libruntime/core/ops/window.h"

namespace mnn::cpu {
namespace {

std::optional<std::string> supports_pool(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  const size_t rank = n.in(0).type.rank();
  if (rank < 3 || rank > 5) return std::to_string(rank) + "-dimensional input";
  if (n.has_output(1)) return "indices";
  return std::nullopt;
}

// A pass over images of h x w pixels. A window of three axes is one over each slice, then one over
// the columns of the slices: the greatest of the greatest, or the mean of equal means.
struct PoolPass {
  PoolRow row;
  int64_t images = 1, oh = 1;
};

Result<std::vector<PoolPass>> passes_of(const NodeView& n) {
  const Dims x = n.in_dims(0), y = n.out_dims();
  MNN_ASSIGN_OR_RETURN(std::vector<Dim> kernel, read_kernel_shape(n));
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(n, std::move(kernel)));
  PoolPass pass;
  PoolRow& p = pass.row;
  const bool count_pads = n.node.op == "AveragePool" && n.attr_int("count_include_pad") != 0;
  p.count_pads = count_pads;
  p.c = x[1];
  p.iw = x.back();
  p.ow = y.back();
  const size_t last = w.rank() - 1;
  auto begin = [&](size_t i) { return window_pad_begin(w, i, x[i + 2], y[i + 2]); };
  auto end = [&](size_t i) { return window_pad_end(w, i, x[i + 2], y[i + 2]); };
  p.kw = w.kernel[last].value();
  p.stride_w = w.strides[last];
  p.dilation_w = w.dilations[last];
  p.pad_left = begin(last);
  p.end_w = p.iw + p.pad_left + end(last);
  p.end_h = 1;
  auto down = [&](PoolRow& row, size_t i) {
    row.ih = x[i + 2];
    row.kh = w.kernel[i].value();
    row.stride_h = w.strides[i];
    row.dilation_h = w.dilations[i];
    row.pad_top = begin(i);
    row.end_h = row.ih + row.pad_top + end(i);
  };
  pass.images = x[0];
  if (w.rank() >= 2) {
    down(p, last - 1);
    pass.oh = y[last + 1];
  }
  if (w.rank() < 3) return std::vector<PoolPass>{pass};
  pass.images *= x[2];
  if (w.kernel[0].value() == 1 && w.strides[0] == 1 && begin(0) == 0 && end(0) == 0) {
    return std::vector<PoolPass>{pass};
  }
  PoolPass across;
  across.row.c = p.c;
  across.row.iw = across.row.ow = across.row.end_w = pass.oh * p.ow;
  across.row.count_pads = count_pads;
  down(across.row, 0);
  across.images = x[0];
  across.oh = y[2];
  return std::vector<PoolPass>{pass, across};
}

// The average of bytes, as a byte where that is all there is to do.
Status lower_average_u8(Lowering& l, const Node& node, const PoolPass& pass) {
  const PoolRow& p = pass.row;
  const int64_t oh = pass.oh;
  const ValueId xv = node.inputs[0], yv = node.outputs[0];
  const Order order = channels_last(l.dims(xv).size());
  const Grid in_grid = *l.grid(xv);
  const auto out_grid = node.fused.empty() ? l.grid(yv) : std::nullopt;
  MNN_ASSIGN_OR_RETURN(const Array x, l.stored(xv, order));
  const Array y = l.allocate(DType::kF32, l.dims(yv), order, out_grid);
  const Array in[] = {x}, out[] = {y};
  Step& step =
      l.add_step("average_pool_u8", in, out, y.elements() * (p.kh * p.kw + 1) / 4, nullptr);
  const int64_t rows = pass.images * oh;
  const int64_t image = p.ih * p.iw * p.c, row = p.ow * p.c;
  const float factor = out_grid ? in_grid.scale / out_grid->scale : in_grid.scale;
  step.run = [=, zero = static_cast<float>(in_grid.zero), parts = step.parts, k = &l.kernels()](
                 const Run& run, int, int part) {
    const Range r = part_of(rows, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      const uint8_t* from = run.data<uint8_t>(x) + i / oh * image;
      if (out_grid) {
        k->average_pool_u8(from, run.data<uint8_t>(y) + i * row, i % oh, p, zero, factor,
                           static_cast<float>(out_grid->zero));
      } else {
        k->average_pool_u8_to_float(from, run.data<float>(y) + i * row, i % oh, p, zero, factor);
      }
    }
  };
  return l.finish(node, y);
}

void add_pass(Lowering& l, const PoolPass& pass, bool average, const Array& x, const Array& y) {
  const PoolRow& p = pass.row;
  const bool bytes = x.grid.has_value();
  const Array in[] = {x}, out[] = {y};
  const int64_t work = y.elements() * p.kh * p.kw / (bytes ? 16 : 4);
  Step& step = l.add_step(average ? "average_pool"
                          : bytes ? "max_pool_u8"
                                  : "max_pool",
                          in, out, work, nullptr);
  const int64_t oh = pass.oh, rows = pass.images * oh;
  const int64_t image = p.ih * p.iw * p.c, row = p.ow * p.c;
  step.run = [p, x, y, rows, oh, image, row, average, bytes, parts = step.parts, k = &l.kernels()](
                 const Run& run, int, int part) {
    const Range r = part_of(rows, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      if (bytes) {
        k->max_pool_u8(run.data<uint8_t>(x) + i / oh * image, run.data<uint8_t>(y) + i * row,
                       i % oh, p);
      } else {
        (average ? k->average_pool : k->max_pool)(run.data<float>(x) + i / oh * image,
                                                  run.data<float>(y) + i * row, i % oh, p);
      }
    }
  };
}

Status lower_pool(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const std::vector<PoolPass> passes, passes_of(n));
  const bool average = node.op == "AveragePool";
  const ValueId xv = node.inputs[0], yv = node.outputs[0];
  const Order order = channels_last(l.dims(xv).size());
  const auto in_grid = l.grid(xv), out_grid = l.grid(yv);
  if (average && in_grid && passes.size() == 1) return lower_average_u8(l, node, passes[0]);
  // The greatest byte is the greatest number, as long as both use one grid.
  const bool bytes = !average && in_grid && out_grid && *in_grid == *out_grid && node.fused.empty();
  const std::optional<Grid> grid = bytes ? out_grid : std::nullopt;
  MNN_ASSIGN_OR_RETURN(Array x, bytes ? l.stored(xv, order) : l.real(xv, order));
  for (const PoolPass& pass : passes) {
    Dims dims = l.dims(yv);
    if (&pass != &passes.back()) dims[2] = x.dims[2];
    const Array y = l.allocate(DType::kF32, dims, order, grid);
    add_pass(l, pass, average, x, y);
    x = y;
  }
  return l.finish(node, x);
}

constexpr OpRow kRows[] = {
    {"MaxPool", supports_pool, lower_pool},
    {"AveragePool", supports_pool, lower_pool},
};

}  // namespace

std::span<const OpRow> pool_rows() { return kRows; }

}  // namespace mnn::cpu
