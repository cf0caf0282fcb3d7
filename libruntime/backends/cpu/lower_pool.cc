// Pooling over windows of channels-last images.
#include <algorithm>

#include "libruntime/backends/cpu/rows.h"
#include "libruntime/lower/geometry.h"

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

std::vector<PoolPass> passes_of(const PoolGeometry& g) {
  auto down = [](PoolRow& row, const WindowAxis& axis) {
    row.ih = axis.in;
    row.kh = axis.kernel;
    row.stride_h = axis.stride;
    row.dilation_h = axis.dilation;
    row.pad_top = axis.pad_begin;
    row.end_h = axis.in + axis.pad_begin + axis.pad_end;
  };
  PoolPass pass;
  PoolRow& p = pass.row;
  p.count_pads = g.count_pads;
  p.c = g.c;
  p.iw = g.w.in;
  p.ow = g.w.out;
  p.kw = g.w.kernel;
  p.stride_w = g.w.stride;
  p.dilation_w = g.w.dilation;
  p.pad_left = g.w.pad_begin;
  p.end_w = g.w.in + g.w.pad_begin + g.w.pad_end;
  down(p, g.h);
  pass.images = g.n * g.d.in;
  pass.oh = g.h.out;
  if (g.d.kernel == 1 && g.d.stride == 1 && g.d.pad_begin == 0 && g.d.pad_end == 0) return {pass};
  PoolPass across;
  across.row.c = g.c;
  across.row.iw = across.row.ow = across.row.end_w = g.h.out * g.w.out;
  across.row.count_pads = g.count_pads;
  down(across.row, g.d);
  across.images = g.n;
  across.oh = g.d.out;
  return {pass, across};
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
  MNN_ASSIGN_OR_RETURN(const PoolGeometry geometry, pool_geometry(n));
  const std::vector<PoolPass> passes = passes_of(geometry);
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

constexpr OpRow kPoolRows[] = {
    {"MaxPool", supports_pool, lower_pool},
    {"AveragePool", supports_pool, lower_pool},
};

}  // namespace

std::span<const OpRow> pool_rows() { return kPoolRows; }

}  // namespace mnn::cpu
