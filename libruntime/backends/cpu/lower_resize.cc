// Resize along any axes: nearest as a table of elements, linear along two neighbouring axes at
// once, everything else as weighted sums of rows, one axis after the other.
#include <algorithm>
#include <bit>
#include <cmath>

#include "libruntime/backends/cpu/rows.h"
#include "libruntime/backends/cpu/table_copy.h"
#include "libruntime/core/ops/sampling.h"

namespace mnn::cpu {
namespace {

using AxisTaps = std::vector<ResizeTaps>;

bool given(const NodeView& n, size_t i) {
  return n.has_input(i) && !(n.is_constant(i) && n.in(i).data.elements() == 0);
}

std::optional<std::string> supports_resize(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  for (size_t i = 1; i < 4; ++i) {
    if (!given(n, i)) continue;
    if (!n.is_constant(i) || n.in(i).quant) return "scales, sizes or roi are not constant";
  }
  return std::nullopt;
}

Result<std::vector<AxisTaps>> taps_of(const NodeView& n) {
  auto input = [&](size_t i) { return given(n, i) ? &n.in(i).data : nullptr; };
  return resize_taps(n, n.in_dims(0), input(1), input(2), input(3));
}

// The order of axes a resize works in: channels last, or as they are where the last axis stays.
Order order_of_resize(const std::vector<AxisTaps>& taps, const Dims& dims) {
  const size_t rank = dims.size();
  const bool channels = rank >= 3 && taps[1].empty() && dims[1] > 1;
  return taps.back().empty() || !channels ? row_major(rank) : channels_last(rank);
}

Status lower_nearest(Lowering& l, const Node& node, const std::vector<AxisTaps>& taps) {
  const NodeView n(l.graph(), node);
  const ValueId yv = node.outputs[0];
  const bool outside = std::any_of(taps.begin(), taps.end(), [](const AxisTaps& axis) {
    return std::any_of(axis.begin(), axis.end(), [](const ResizeTaps& t) { return t.outside; });
  });
  // What lies outside gets a number that need not be on the grid.
  const std::optional<Grid> grid = node.fused.empty() && !outside ? l.grid(yv) : std::nullopt;
  MNN_ASSIGN_OR_RETURN(const Array x, l.on_grid(node.inputs[0], grid));
  const Dims dims = l.dims(yv);
  std::vector<Dims> tables(dims.size());
  for (size_t d = 0; d < dims.size(); ++d) {
    for (int64_t i = 0; i < dims[d]; ++i) {
      if (taps[d].empty()) {
        tables[d].push_back(i * x.strides[d]);
        continue;
      }
      const ResizeTaps& t = taps[d][static_cast<size_t>(i)];
      tables[d].push_back(t.outside ? TableCopy::kOutside : t.index[0] * x.strides[d]);
    }
  }
  const auto fill = static_cast<float>(n.attr_float("extrapolation_value"));
  const Array y = l.allocate(x.dtype, dims, order_of(x), grid);
  auto plan = std::make_shared<const TableCopy>(tables, y, std::bit_cast<uint32_t>(fill));
  const Array in[] = {x}, out[] = {y};
  Step& step = l.add_step("resize_nearest", in, out, y.bytes() / 8, nullptr);
  step.run = [plan, x, y, parts = step.parts](const Run& run, int, int part) {
    plan->run(run.bytes(x), run.bytes(y), part, parts);
  };
  return l.finish(node, y);
}

// Along one axis: the two neighbours of every output and how much of the second it takes.
struct LinearAxis {
  std::vector<int32_t> left = {0}, right = {0};
  std::vector<float> t = {0};
};

LinearAxis linear_axis(const AxisTaps& taps) {
  LinearAxis a{{}, {}, {}};
  for (const ResizeTaps& tap : taps) {
    a.left.push_back(static_cast<int32_t>(tap.index[0]));
    a.right.push_back(static_cast<int32_t>(tap.index[1]));
    a.t.push_back(static_cast<float>(tap.weight[1]));
  }
  return a;
}

// An image in memory: n stacks of h x w pixels of c elements; along h and w it is resized.
struct Image {
  size_t h = 0, w = 0;  // axes; h == w: there is no h
  int64_t n = 1, c = 1;
};

// nullopt when it is not one or two neighbouring axes that are resized linearly.
std::optional<Image> linear_image(const NodeView& n, const std::vector<AxisTaps>& taps,
                                  const Order& order) {
  if (n.attr_string("mode") != "linear") return std::nullopt;
  const Dims dims = n.in_dims(0);
  std::vector<size_t> places;  // in `order`
  for (size_t i = 0; i < order.size(); ++i) {
    const AxisTaps& axis = taps[static_cast<size_t>(order[i])];
    if (axis.empty()) continue;
    places.push_back(i);
    const bool pairs = std::all_of(axis.begin(), axis.end(), [](const ResizeTaps& t) {
      return t.index.size() == 2 && std::fabs(t.weight[0] + t.weight[1] - 1.0) < 1e-9;
    });
    if (!pairs) return std::nullopt;
  }
  if (places.empty() || places.size() > 2) return std::nullopt;
  if (places.size() == 2 && places[1] != places[0] + 1) return std::nullopt;
  Image image;
  image.h = static_cast<size_t>(order[places.front()]);
  image.w = static_cast<size_t>(order[places.back()]);
  for (size_t i = 0; i < order.size(); ++i) {
    const int64_t extent = dims[static_cast<size_t>(order[i])];
    if (i < places.front()) image.n *= extent;
    if (i > places.back()) image.c *= extent;
  }
  return image;
}

Status lower_linear(Lowering& l, const Node& node, const std::vector<AxisTaps>& taps,
                    const Order& order, const Image& image) {
  const ValueId xv = node.inputs[0], yv = node.outputs[0];
  const Dims from = l.dims(xv), to = l.dims(yv);
  const auto in_grid = l.grid(xv), out_grid = node.fused.empty() ? l.grid(yv) : std::nullopt;
  const bool bytes = in_grid && out_grid;
  MNN_ASSIGN_OR_RETURN(const Array x, bytes ? l.stored(xv, order) : l.real(xv, order));
  const Array y = l.allocate(DType::kF32, to, order, bytes ? out_grid : std::nullopt);
  const bool two = image.h != image.w;
  auto across = std::make_shared<const LinearAxis>(linear_axis(taps[image.w]));
  auto down = std::make_shared<const LinearAxis>(two ? linear_axis(taps[image.h]) : LinearAxis());
  const int64_t ih = two ? from[image.h] : 1, oh = two ? to[image.h] : 1;
  const int64_t c = image.c, ow = to[image.w], iw = from[image.w];
  const Array in[] = {x}, out[] = {y};
  Step& step =
      l.add_step(bytes ? "resize_linear_u8" : "resize_linear", in, out, y.elements(), nullptr);
  // The weights of a mixture add to 1, so its zero point is that of the input.
  const float factor = bytes ? in_grid->scale / out_grid->scale : 1.0f;
  const float offset =
      bytes ? static_cast<float>(out_grid->zero) - static_cast<float>(in_grid->zero) * factor : 0;
  step.run = [=, n = image.n, parts = step.parts, k = &l.kernels()](const Run& run, int, int part) {
    const Range r = part_of(n * oh, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      const auto row = static_cast<size_t>(i % oh);
      if (bytes) {
        const uint8_t* base = run.data<uint8_t>(x) + i / oh * ih * iw * c;
        k->bilinear_u8(base + down->left[row] * iw * c, base + down->right[row] * iw * c,
                       down->t[row], across->left.data(), across->right.data(), across->t.data(),
                       ow, c, factor, offset, run.data<uint8_t>(y) + i * ow * c);
        continue;
      }
      const float* base = run.data<float>(x) + i / oh * ih * iw * c;
      k->bilinear(base + down->left[row] * iw * c, base + down->right[row] * iw * c, down->t[row],
                  across->left.data(), across->right.data(), across->t.data(), ow, c,
                  run.data<float>(y) + i * ow * c);
    }
  };
  return l.finish(node, y);
}

// The taps of an axis one behind the other.
struct FlatTaps {
  std::vector<int64_t> first = {0};  // of each output, and the end
  std::vector<int64_t> index;
  std::vector<float> weight;
  std::vector<bool> outside;
  int64_t most = 0;

  explicit FlatTaps(const AxisTaps& taps) {
    for (const ResizeTaps& t : taps) {
      for (size_t k = 0; k < t.index.size(); ++k) {
        if (t.weight[k] == 0) continue;
        index.push_back(t.index[k]);
        weight.push_back(static_cast<float>(t.weight[k]));
      }
      outside.push_back(t.outside);
      most = std::max(most, static_cast<int64_t>(index.size()) - first.back());
      first.push_back(static_cast<int64_t>(index.size()));
    }
  }
};

// x [outer, in, inner] -> y [outer, taps, inner].
void add_axis(Lowering& l, const AxisTaps& taps, float extrapolation, const Array& x,
              const Array& y, int64_t outer, int64_t inner) {
  auto flat = std::make_shared<const FlatTaps>(taps);
  const auto out = static_cast<int64_t>(taps.size()), in = x.elements() / outer / inner;
  const Array reads[] = {x}, writes[] = {y};
  const int64_t work = y.elements() * std::max<int64_t>(1, flat->most / 2);
  Step& step = l.add_step("resize_axis", reads, writes, work, nullptr);
  const int parts = step.parts;
  const VectorKernels* k = &l.kernels();
  if (inner == 1) {
    step.run = [=](const Run& run, int, int part) {
      const Range r = part_of(outer, part, parts);
      for (int64_t o = r.begin; o < r.end; ++o) {
        const float* from = run.data<float>(x) + o * in;
        float* to = run.data<float>(y) + o * out;
        for (int64_t i = 0; i < out; ++i) {
          const auto at = static_cast<size_t>(i);
          float sum = flat->outside[at] ? extrapolation : 0.0f;
          for (auto t = static_cast<size_t>(flat->first[at]);
               t < static_cast<size_t>(flat->first[at + 1]); ++t) {
            sum += from[flat->index[t]] * flat->weight[t];
          }
          to[i] = sum;
        }
      }
    };
    return;
  }
  const int64_t own = (flat->most + 7) / 8 * 8;  // pointers of a part
  const int scratch = l.add_scratch(std::max<int64_t>(own, 8) * parts * 8);
  l.last_step().run = [=](const Run& run, int, int part) {
    const auto** rows = reinterpret_cast<const float**>(run.storage(scratch)) + own * part;
    const Range r = part_of(outer * out, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      const auto at = static_cast<size_t>(i % out);
      float* to = run.data<float>(y) + i * inner;
      if (flat->outside[at]) {
        k->fill(to, extrapolation, inner);
        continue;
      }
      const float* from = run.data<float>(x) + i / out * in * inner;
      const int64_t first = flat->first[at], count = flat->first[at + 1] - first;
      for (int64_t t = 0; t < count; ++t) {
        rows[t] = from + flat->index[static_cast<size_t>(first + t)] * inner;
      }
      k->mix_rows(rows, flat->weight.data() + first, count, to, inner);
    }
  };
}

Status lower_axes(Lowering& l, const Node& node, const std::vector<AxisTaps>& taps,
                  const Order& order) {
  const NodeView n(l.graph(), node);
  const auto extrapolation = static_cast<float>(n.attr_float("extrapolation_value"));
  MNN_ASSIGN_OR_RETURN(Array x, l.real(node.inputs[0], order));
  const Dims to = l.dims(node.outputs[0]);
  // What lies outside on any axis is outside: axes that add nothing to it come in any order, the
  // ones that shrink first.
  std::vector<size_t> axes;
  for (size_t d = 0; d < to.size(); ++d) {
    if (!taps[d].empty()) axes.push_back(d);
  }
  const Dims from = x.dims;
  std::stable_sort(axes.begin(), axes.end(), [&](size_t a, size_t b) {
    return static_cast<double>(to[a]) * static_cast<double>(from[b]) <
           static_cast<double>(to[b]) * static_cast<double>(from[a]);
  });
  if (axes.empty()) {
    const Array own = l.allocate(DType::kF32, to, order);
    l.copy_into(x, own);
    return l.finish(node, own);
  }
  for (const size_t d : axes) {
    int64_t outer = 1, inner = 1;
    bool behind = false;
    for (const int axis : order) {
      const auto a = static_cast<size_t>(axis);
      if (a == d) {
        behind = true;
      } else {
        (behind ? inner : outer) *= x.dims[a];
      }
    }
    Dims dims = x.dims;
    dims[d] = to[d];
    const Array y = l.allocate(DType::kF32, dims, order);
    add_axis(l, taps[d], extrapolation, x, y, outer, inner);
    x = y;
  }
  return l.finish(node, x);
}

Status lower_resize(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const std::vector<AxisTaps> taps, taps_of(n));
  if (n.attr_string("mode") == "nearest") return lower_nearest(l, node, taps);
  const Order order = order_of_resize(taps, l.dims(node.inputs[0]));
  if (const auto image = linear_image(n, taps, order)) {
    return lower_linear(l, node, taps, order, *image);
  }
  return lower_axes(l, node, taps, order);
}

constexpr OpRow kResizeRows[] = {{"Resize", supports_resize, lower_resize}};

}  // namespace

std::span<const OpRow> resize_rows() { return kResizeRows; }

}  // namespace mnn::cpu
