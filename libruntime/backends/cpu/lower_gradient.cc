// The derivatives of maximum poolings and of depthwise convolutions by their weights, on
// channels-last images. Those of other convolutions are made of convolutions.
#include <algorithm>

#include "libruntime/backends/cpu/rows.h"
#include "libruntime/lower/geometry.h"

namespace mnn::cpu {
namespace {

// Channels that a part takes: whole lines of memory.
constexpr int64_t kBlock = 16;

std::optional<std::string> supports_images(const NodeView& n) {
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  const size_t rank = n.in(0).type.rank();
  if (rank < 3 || rank > 4) return std::to_string(rank) + "-dimensional input";
  return std::nullopt;
}

std::optional<std::string> supports_max_pool_gradient(const Graph& graph, const Node& node) {
  return supports_images(NodeView(graph, node));
}

std::optional<std::string> supports_weight_gradient(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (auto why = supports_images(n)) return why;
  const int64_t group = n.attr_int("group");
  if (group != n.in_dims(0)[1] || group != n.in_dims(1)[1]) return "it is not depthwise";
  return std::nullopt;
}

PoolRow window_of(const PoolGeometry& g) {
  PoolRow p;
  p.c = g.c;
  p.ih = g.h.in;
  p.iw = g.w.in;
  p.ow = g.w.out;
  p.kh = g.h.kernel;
  p.kw = g.w.kernel;
  p.stride_h = g.h.stride;
  p.stride_w = g.w.stride;
  p.dilation_h = g.h.dilation;
  p.dilation_w = g.w.dilation;
  p.pad_top = g.h.pad_begin;
  p.pad_left = g.w.pad_begin;
  return p;
}

Status lower_max_pool_gradient(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const PoolGeometry g, window_geometry(n, n.in_dims(0), n.in_dims(1)));
  const Order order = channels_last(l.dims(node.inputs[0]).size());
  MNN_ASSIGN_OR_RETURN(const Array x, l.real(node.inputs[0], order));
  MNN_ASSIGN_OR_RETURN(const Array dy, l.real(node.inputs[1], order));
  const Array dx = l.allocate(DType::kF32, l.dims(node.outputs[0]), order);
  const PoolRow p = window_of(g);
  const Array in[] = {x, dy}, out[] = {dx};
  const int64_t blocks = (p.c + kBlock - 1) / kBlock, items = g.n * blocks;
  Step& step = l.add_step("max_pool_gradient", in, out,
                          x.elements() + dy.elements() * p.kh * p.kw / 2, nullptr);
  const int64_t image = p.ih * p.iw * p.c, small = g.h.out * p.ow * p.c;
  step.run = [=, oh = g.h.out, parts = step.parts, k = &l.kernels()](const Run& run, int,
                                                                     int part) {
    const Range r = part_of(items, part, parts);
    for (int64_t i = r.begin; i < r.end;) {
      // The blocks of one image that are this part's.
      const int64_t at = i / blocks, last_block = std::min(r.end, (at + 1) * blocks);
      const int64_t first = i % blocks * kBlock;
      const int64_t last = std::min(p.c, (last_block - at * blocks) * kBlock);
      float* to = run.data<float>(dx) + at * image;
      for (int64_t pixel = 0; pixel < p.ih * p.iw; ++pixel) {
        std::fill(to + pixel * p.c + first, to + pixel * p.c + last, 0.0f);
      }
      k->max_pool_gradient(run.data<float>(x) + at * image, run.data<float>(dy) + at * small, to,
                           oh, p, first, last);
      i = last_block;
    }
  };
  return l.finish(node, dx);
}

Status lower_weight_gradient(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const PoolGeometry g, window_geometry(n, n.in_dims(0), n.in_dims(1)));
  const size_t rank = l.dims(node.inputs[0]).size();
  MNN_ASSIGN_OR_RETURN(const Array x, l.real(node.inputs[0], channels_last(rank)));
  MNN_ASSIGN_OR_RETURN(const Array dy, l.real(node.inputs[1], channels_last(rank)));
  // [c, 1, kernel…] with the channels innermost.
  Order order = {1};
  for (size_t i = 2; i < rank; ++i) order.push_back(static_cast<int>(i));
  order.push_back(0);
  const Array dw = l.allocate(DType::kF32, l.dims(node.outputs[0]), order);
  const PoolRow p = window_of(g);
  const Array in[] = {x, dy}, out[] = {dw};
  const int64_t blocks = (p.c + kBlock - 1) / kBlock, taps = p.kh * p.kw;
  Step& step = l.add_step("depthwise_weight_gradient", in, out, dy.elements() * taps / 2, nullptr);
  const int64_t image = p.ih * p.iw * p.c, small = g.h.out * p.ow * p.c;
  step.run = [=, images = g.n, oh = g.h.out, parts = step.parts, k = &l.kernels()](const Run& run,
                                                                                   int, int part) {
    const Range r = part_of(blocks, part, parts);
    const int64_t first = r.begin * kBlock, last = std::min(p.c, r.end * kBlock);
    if (first >= last) return;
    float* to = run.data<float>(dw);
    for (int64_t t = 0; t < taps; ++t) std::fill(to + t * p.c + first, to + t * p.c + last, 0.0f);
    for (int64_t i = 0; i < images; ++i) {
      for (int64_t oy = 0; oy < oh; ++oy) {
        k->depthwise_weight_gradient(run.data<float>(x) + i * image,
                                     run.data<float>(dy) + i * small + oy * p.ow * p.c, to, oy, p,
                                     first, last);
      }
    }
  };
  return l.finish(node, dw);
}

constexpr OpRow kGradientRows[] = {
    {"MaxPoolGradient", supports_max_pool_gradient, lower_max_pool_gradient},
    {"ConvWeightGradient", supports_weight_gradient, lower_weight_gradient},
};

}  // namespace

std::span<const OpRow> gradient_rows() { return kGradientRows; }

}  // namespace mnn::cpu
