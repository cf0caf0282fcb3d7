// Resize of channels-last images: nearest as a table of pixels, linear along two axes at once.
#include <algorithm>
#include <cmath>

#include "libruntime/backends/cpu/rows.h"
#include "libruntime/backends/cpu/table_copy.h"

namespace mnn::cpu {
namespace {

std::optional<std::string> supports_resize(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  const Dims x = n.in_dims(0), y = n.out_dims();
  if (x.size() != 3 && x.size() != 4) return std::to_string(x.size()) + "-dimensional input";
  if (x[0] != y[0] || x[1] != y[1]) return "batch or channels are resized";
  const std::string mode = n.attr_string("mode");
  if (mode != "nearest" && mode != "linear") return "mode " + mode;
  if (n.attr_string("coordinate_transformation_mode") == "tf_crop_and_resize") {
    return "coordinate mode tf_crop_and_resize";
  }
  if (n.attr_int("antialias") != 0) return "antialias";
  if (n.attr_int("exclude_outside") != 0) return "exclude_outside";
  if (n.attr_string("keep_aspect_ratio_policy") != "stretch") return "keep_aspect_ratio_policy";
  const bool scales = n.is_constant(2) && n.in(2).data.elements() > 0;
  if (!scales && !n.ints(3)) return "neither scales nor sizes are constant";
  return std::nullopt;
}

// Where every output of an axis lies on its input: the operator itself applied to 0, 1, 2, ….
Result<std::vector<double>> coordinates(Lowering& l, const Node& node, size_t axis) {
  const NodeView n(l.graph(), node);
  const int64_t in = n.in_dims(0)[axis], out = n.out_dims()[axis];
  MNN_ASSIGN_OR_RETURN(Tensor line, Tensor::allocate(DType::kF64, {in}));
  for (int64_t i = 0; i < in; ++i) line.data<double>()[i] = static_cast<double>(i);
  Node alone = node;
  alone.fused.clear();
  alone.attributes.erase("axes");
  alone.inputs = {0, kNoValue, kNoValue, kNoValue};
  Tensor parameter;
  const Tensor* inputs[] = {&line, nullptr, nullptr, nullptr};
  if (n.is_constant(2) && n.in(2).data.elements() > 0) {
    const Tensor& all = n.in(2).data;
    std::vector<int64_t> axes = n.attr_ints("axes");
    const auto rank = static_cast<int64_t>(n.in(0).type.rank());
    float scale = 1;
    for (int64_t i = 0; i < all.elements(); ++i) {
      const int64_t a = axes.empty() ? i : axes[static_cast<size_t>(i)];
      if ((a < 0 ? a + rank : a) == static_cast<int64_t>(axis)) scale = all.data<float>()[i];
    }
    parameter = Tensor::of<float>({1}, std::span<const float>(&scale, 1));
    inputs[2] = &parameter;
    alone.inputs[2] = 1;
  } else {
    parameter = Tensor::ints({out});
    inputs[3] = &parameter;
    alone.inputs[3] = 1;
  }
  alone.outputs = {2};
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> made, run_node(alone, inputs));
  if (made[0].elements() != out) return internal_error("a resized axis has another size");
  return made[0].to_doubles();
}

Status lower_nearest(Lowering& l, const Node& node) {
  const ValueId xv = node.inputs[0], yv = node.outputs[0];
  const std::optional<Grid> grid = node.fused.empty() ? l.grid(yv) : std::nullopt;
  MNN_ASSIGN_OR_RETURN(const Array x, l.on_grid(xv, grid));
  const Dims dims = l.dims(yv);
  std::vector<Dims> tables(dims.size());
  for (size_t d = 0; d < dims.size(); ++d) {
    if (d < 2) {
      for (int64_t i = 0; i < dims[d]; ++i) tables[d].push_back(i * x.strides[d]);
      continue;
    }
    MNN_ASSIGN_OR_RETURN(const std::vector<double> at, coordinates(l, node, d));
    for (const double i : at) tables[d].push_back(static_cast<int64_t>(i) * x.strides[d]);
  }
  const Array y = l.allocate(x.dtype, dims, order_of(x), grid);
  auto plan = std::make_shared<const TableCopy>(tables, y, 0);
  const Array in[] = {x}, out[] = {y};
  Step& step = l.add_step("resize_nearest", in, out, y.bytes() / 8, nullptr);
  step.run = [plan, x, y, parts = step.parts](const Run& run, int, int part) {
    plan->run(run.bytes(x), run.bytes(y), part, parts);
  };
  return l.finish(node, y);
}

// Along one axis: the two neighbours of every output and how much of the second it takes.
struct LinearAxis {
  std::vector<int32_t> left, right;
  std::vector<float> t;
};

LinearAxis linear_axis(const std::vector<double>& at, int64_t extent) {
  LinearAxis a;
  for (const double x : at) {
    const auto left = std::clamp<int64_t>(static_cast<int64_t>(std::floor(x)), 0, extent - 1);
    a.left.push_back(static_cast<int32_t>(left));
    a.right.push_back(static_cast<int32_t>(std::min(left + 1, extent - 1)));
    a.t.push_back(static_cast<float>(x - static_cast<double>(left)));
  }
  return a;
}

Status lower_linear(Lowering& l, const Node& node) {
  const ValueId xv = node.inputs[0], yv = node.outputs[0];
  const Dims from = l.dims(xv), to = l.dims(yv);
  const size_t rank = from.size();
  const Order order = channels_last(rank);
  const auto in_grid = l.grid(xv), out_grid = node.fused.empty() ? l.grid(yv) : std::nullopt;
  const bool bytes = in_grid && out_grid;
  MNN_ASSIGN_OR_RETURN(const Array x, bytes ? l.stored(xv, order) : l.real(xv, order));
  const Array y = l.allocate(DType::kF32, to, order, bytes ? out_grid : std::nullopt);
  MNN_ASSIGN_OR_RETURN(const std::vector<double> at_w, coordinates(l, node, rank - 1));
  auto across = std::make_shared<const LinearAxis>(linear_axis(at_w, from.back()));
  std::vector<double> at_h = {0};
  if (rank == 4) {
    MNN_ASSIGN_OR_RETURN(at_h, coordinates(l, node, 2));
  }
  const int64_t ih = rank == 4 ? from[2] : 1, oh = rank == 4 ? to[2] : 1;
  auto down = std::make_shared<const LinearAxis>(linear_axis(at_h, ih));
  const int64_t c = to[1], ow = to.back(), iw = from.back();
  const Array in[] = {x}, out[] = {y};
  Step& step =
      l.add_step(bytes ? "resize_linear_u8" : "resize_linear", in, out, y.elements(), nullptr);
  // The weights of a mixture add to 1, so its zero point is that of the input.
  const float factor = bytes ? in_grid->scale / out_grid->scale : 1.0f;
  const float offset =
      bytes ? static_cast<float>(out_grid->zero) - static_cast<float>(in_grid->zero) * factor : 0;
  step.run = [=, n = to[0], parts = step.parts, k = &l.kernels()](const Run& run, int, int part) {
    const Range r = part_of(n * oh, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      const auto row = static_cast<size_t>(i % oh);
      if (bytes) {
        const uint8_t* image = run.data<uint8_t>(x) + i / oh * ih * iw * c;
        k->bilinear_u8(image + down->left[row] * iw * c, image + down->right[row] * iw * c,
                       down->t[row], across->left.data(), across->right.data(), across->t.data(),
                       ow, c, factor, offset, run.data<uint8_t>(y) + i * ow * c);
        continue;
      }
      const float* image = run.data<float>(x) + i / oh * ih * iw * c;
      k->bilinear(image + down->left[row] * iw * c, image + down->right[row] * iw * c, down->t[row],
                  across->left.data(), across->right.data(), across->t.data(), ow, c,
                  run.data<float>(y) + i * ow * c);
    }
  };
  return l.finish(node, y);
}

Status lower_resize(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  return n.attr_string("mode") == "nearest" ? lower_nearest(l, node) : lower_linear(l, node);
}

constexpr OpRow kRows[] = {{"Resize", supports_resize, lower_resize}};

}  // namespace

std::span<const OpRow> resize_rows() { return kRows; }

}  // namespace mnn::cpu
