// Images read at computed positions, as weighted sums of pixels with their channels last:
// GridSample, and DeformConv as a product behind such sums.
#include <algorithm>

#include "libruntime/backends/cpu/matrix.h"
#include "libruntime/backends/cpu/rows.h"
#include "libruntime/core/ops/sampling.h"
#include "libruntime/core/ops/window.h"

namespace mnn::cpu {
namespace {

constexpr size_t kMostAxes = 3;
constexpr int64_t kMostTaps = 64;                   // 4^kMostAxes
constexpr int64_t kMostColumns = int64_t{1} << 32;  // of a DeformConv

std::optional<std::string> supports_grid_sample(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(0) != DType::kF32 || n.in_type(1) != DType::kF32) return "input is not f32";
  if (n.in(0).type.rank() > 2 + kMostAxes) return "more than three axes";
  return std::nullopt;
}

// The pixels one point of a grid reads, as offsets from the image, and their weights.
struct Pixels {
  int64_t count = 0;
  int64_t offset[kMostTaps];
  float weight[kMostTaps];
};

// All combinations of the axes' taps that lie inside. strides[d]: elements from index to index.
void combine(const AxisReader::Taps* taps, const int64_t* strides, size_t axes, Pixels& p) {
  double weight[kMostTaps];
  p.count = 1;
  p.offset[0] = 0;
  weight[0] = 1;
  for (size_t d = 0; d < axes; ++d) {
    int64_t offset[kMostTaps];
    double product[kMostTaps];
    int64_t count = 0;
    for (int64_t i = 0; i < p.count; ++i) {
      for (size_t k = 0; k < taps[d].count; ++k) {
        if (taps[d].index[k] < 0) continue;
        offset[count] = p.offset[i] + taps[d].index[k] * strides[d];
        product[count++] = weight[i] * taps[d].weight[k];
      }
    }
    p.count = count;
    std::copy_n(offset, count, p.offset);
    std::copy_n(product, count, weight);
  }
  for (int64_t i = 0; i < p.count; ++i) p.weight[i] = static_cast<float>(weight[i]);
}

// y[0..c) = the weighted sum of the pixels.
void mix(const VectorKernels& k, const float* image, const Pixels& p, float* y, int64_t c) {
  const float* rows[kMostTaps];
  for (int64_t i = 0; i < p.count; ++i) rows[i] = image + p.offset[i];
  k.mix_rows(rows, p.weight, p.count, y, c);
}

Status lower_grid_sample(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const ValueId yv = node.outputs[0];
  const size_t rank = n.in(0).type.rank(), axes = rank - 2;
  MNN_ASSIGN_OR_RETURN(const Array x, l.real(node.inputs[0], channels_last(rank)));
  MNN_ASSIGN_OR_RETURN(const Array grid, l.real(node.inputs[1], row_major(rank)));
  const Array y = l.allocate(DType::kF32, l.dims(yv), channels_last(rank));
  std::vector<AxisReader> readers;
  std::vector<int64_t> strides;
  for (size_t d = 2; d < rank; ++d) {
    readers.push_back(axis_reader(n, x.dims[d]));
    strides.push_back(x.strides[d]);
  }
  const bool nearest = n.attr_string("mode") == "nearest";
  const int64_t c = x.dims[1], image = x.elements() / x.dims[0];
  const int64_t points = product(std::span(y.dims).subspan(2));
  const Array in[] = {x, grid}, out[] = {y};
  Step& step = l.add_step("grid_sample", in, out, y.dims[0] * points * (c + 64), nullptr);
  step.run = [=, batch = y.dims[0], parts = step.parts, k = &l.kernels()](const Run& run, int,
                                                                          int part) {
    const Range r = part_of(batch * points, part, parts);
    AxisReader::Taps taps[kMostAxes];
    Pixels pixels;
    for (int64_t i = r.begin; i < r.end; ++i) {
      const float* at = run.data<float>(grid) + i * static_cast<int64_t>(axes);
      for (size_t d = 0; d < axes; ++d) {  // the grid names the last axis first
        taps[d] = readers[d].taps(grid_sample_position(at[axes - 1 - d], readers[d]));
      }
      combine(taps, strides.data(), axes, pixels);
      const float* from = run.data<float>(x) + i / points * image;
      float* to = run.data<float>(y) + i * c;
      if (nearest && pixels.count == 1) {
        std::copy_n(from + pixels.offset[0], c, to);
      } else {
        mix(*k, from, pixels, to, c);
      }
    }
  };
  return l.finish(node, y);
}

std::optional<std::string> supports_deform_conv(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  for (size_t i = 0; i < node.own_inputs(); ++i) {
    if (n.has_input(i) && n.in_type(i) != DType::kF32) return "input is not f32";
  }
  if (!n.is_constant(1)) return "weights are not constant";
  if (n.has_input(3) && !n.is_constant(3)) return "bias is not constant";
  const Dims w = n.in_dims(1), y = n.out_dims();
  int64_t columns = y[0] * y[2] * y[3];
  for (const int64_t factor : {w[2], w[3], n.in_dims(0)[1]}) {
    if (columns > kMostColumns / factor) return "columns too large";
    columns *= factor;
  }
  return check_post_ops(graph, node, kDevice);
}

// The columns of a deformed convolution: per output pixel and group of channels, tap after tap the
// channels of the group as they are read there.
struct Columns {
  Array x, offsets, columns;
  std::optional<Array> mask;
  Window window;
  int64_t height = 0, width = 0, rows = 0, row = 0;  // of the image, of the output
  int64_t channels = 0, groups = 1, offset_groups = 1, taps = 1, kernel_w = 1;

  void fill(const Run& run, const VectorKernels& k, int64_t pixel) const;
};

void Columns::fill(const Run& run, const VectorKernels& k, int64_t pixel) const {
  const int64_t size = rows * row, n = pixel / size, p = pixel % size;
  const int64_t inner = channels / groups, per_offset = channels / offset_groups;
  const float* image = run.data<float>(x) + n * height * width * channels;
  float* to = run.data<float>(columns) + pixel * taps * channels;
  for (int64_t og = 0; og < offset_groups; ++og) {
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t tap = (n * offset_groups + og) * taps + t;
      const float* offset = run.data<float>(offsets) + tap * 2 * size + p;
      const double at_y = static_cast<double>(p / row * window.strides[0] - window.pads_begin[0] +
                                              t / kernel_w * window.dilations[0]) +
                          static_cast<double>(offset[0]);
      const double at_x = static_cast<double>(p % row * window.strides[1] - window.pads_begin[1] +
                                              t % kernel_w * window.dilations[1]) +
                          static_cast<double>(offset[size]);
      const Corners corners = open_corners(at_y, at_x, height, width);
      const float factor = mask ? run.data<float>(*mask)[tap * size + p] : 1.0f;
      Pixels pixels;
      for (int c = 0; c < 4; ++c) {
        if (corners.weight[c] == 0) continue;
        pixels.offset[pixels.count] = corners.at[c] * channels;
        pixels.weight[pixels.count++] = static_cast<float>(corners.weight[c]) * factor;
      }
      // Channels of one group of the offsets, cut where a group of the weights ends.
      for (int64_t c = og * per_offset; c < (og + 1) * per_offset;) {
        const int64_t g = c / inner, end = std::min((og + 1) * per_offset, (g + 1) * inner);
        mix(k, image + c, pixels, to + (g * taps + t) * inner + c % inner, end - c);
        c = end;
      }
    }
  }
}

Status lower_deform_conv(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const Dims w = n.in_dims(1), y_dims = n.out_dims();
  Columns c;
  MNN_ASSIGN_OR_RETURN(c.window, read_window(n, to_shape({w.begin() + 2, w.end()})));
  MNN_ASSIGN_OR_RETURN(c.x, l.real(node.inputs[0], channels_last(4)));
  MNN_ASSIGN_OR_RETURN(c.offsets, l.real(node.inputs[2], row_major(4)));
  if (n.has_input(4)) {
    MNN_ASSIGN_OR_RETURN(c.mask, l.real(node.inputs[4], row_major(4)));
  }
  c.height = c.x.dims[2];
  c.width = c.x.dims[3];
  c.rows = y_dims[2];
  c.row = y_dims[3];
  c.channels = c.x.dims[1];
  c.groups = n.attr_int("group");
  c.offset_groups = n.attr_int("offset_group");
  c.kernel_w = w[3];
  c.taps = w[2] * w[3];
  const int64_t pixels = y_dims[0] * c.rows * c.row, inner = w[1];
  c.columns = l.allocate(DType::kF32, {pixels, c.taps * c.channels}, row_major(2));
  std::vector<Array> in = {c.x, c.offsets};
  if (c.mask) in.push_back(*c.mask);
  const Array out[] = {c.columns};
  Step& step = l.add_step("deform_columns", in, out, c.columns.elements() * 2, nullptr);
  step.run = [c, pixels, parts = step.parts, k = &l.kernels()](const Run& run, int, int part) {
    const Range r = part_of(pixels, part, parts);
    for (int64_t p = r.begin; p < r.end; ++p) c.fill(run, *k, p);
  };

  const Tensor* weights = l.constant(node.inputs[1]);
  const Tensor* bias = n.has_input(3) ? l.constant(node.inputs[3]) : nullptr;
  if (weights == nullptr || (n.has_input(3) && bias == nullptr)) {
    return internal_error("the weights cannot be read");
  }
  const auto turn = [outputs = w[0], inner, taps = c.taps](const float* from, float* to) {
    for (int64_t o = 0; o < outputs; ++o) {
      for (int64_t i = 0; i < inner; ++i) {
        for (int64_t t = 0; t < taps; ++t) {
          to[(o * taps + t) * inner + i] = from[(o * inner + i) * taps + t];
        }
      }
    }
  };
  const Weights<float> turned =  // taps before channels
      l.weights(node.inputs[1])
          .derived(layout_name("taps first", {w[0], inner, c.taps}), product(w), turn);
  ConvGeometry g;
  g.iw = g.ow = pixels;
  g.ic = c.taps * c.channels;
  g.oc = w[0];
  g.groups = c.groups;
  const FusedPart part = fuse(l.graph(), node, 0);
  std::optional<Array> residual;
  if (part.residual != kNoValue) {
    MNN_ASSIGN_OR_RETURN(residual, l.real(part.residual, channels_last(4)));
  }
  const Array y = l.allocate(DType::kF32, y_dims, channels_last(4));
  MNN_ASSIGN_OR_RETURN(MatrixKernelPtr kernel,
                       make_conv_f32(g, turned, bias ? bias->data<float>() : nullptr, part.epilogue,
                                     l.kernel_options()));
  add_matrix_step(l, node, std::move(kernel), c.columns, nullptr, residual ? &*residual : nullptr,
                  y, ComputeForm::kF32, product(w) * 4, part.epilogue);
  return l.finish(node, y, part.count);
}

constexpr OpRow kSampleRows[] = {
    {"GridSample", supports_grid_sample, lower_grid_sample},
    {"DeformConv", supports_deform_conv, lower_deform_conv},
};

}  // namespace

std::span<const OpRow> sample_rows() { return kSampleRows; }

}  // namespace mnn::cpu
