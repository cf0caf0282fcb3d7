// Normalizations by statistics of their input.
#include <algorithm>

#include "libruntime/backends/cpu/row_step.h"
#include "libruntime/backends/cpu/rows.h"

namespace mnn::cpu {
namespace {

std::optional<std::string> supports_norm(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  for (size_t i = 0; i < node.own_inputs(); ++i) {
    if (n.has_input(i) && n.in_type(i) != DType::kF32) return "input is not f32";
  }
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    if (n.has_output(i)) return "statistics as outputs";
  }
  return std::nullopt;
}

std::optional<std::string> supports_layer_norm(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  const Dims x = n.in_dims(0);
  const size_t axis = n.axis("axis", x.size());
  const Dims tail(x.begin() + static_cast<long>(axis), x.end());
  for (size_t i = 1; i < 3; ++i) {
    if (n.has_input(i) && n.in_dims(i) != tail) return "scale or bias of other dims";
  }
  return supports_norm(graph, node);
}

Status lower_layer_norm(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const ValueId xv = node.inputs[0];
  const Dims dims = l.dims(xv);
  const size_t axis = n.axis("axis", dims.size());
  // The normalized axes must be innermost, in their order; the others may lie as they like.
  MNN_ASSIGN_OR_RETURN(Array x, l.real(xv));
  Order order;
  for (const int a : order_of(x)) {
    if (a < static_cast<int>(axis)) order.push_back(a);
  }
  for (size_t a = axis; a < dims.size(); ++a) order.push_back(static_cast<int>(a));
  MNN_ASSIGN_OR_RETURN(x, l.real(xv, order));
  const int64_t size = product(std::span(dims).subspan(axis));
  Array in[3] = {x, x, x};
  const bool gain = n.has_input(1), bias = n.has_input(2);
  for (size_t i = 1; i < 3; ++i) {
    if (!n.has_input(i)) continue;
    MNN_ASSIGN_OR_RETURN(in[i], l.real(node.inputs[i], row_major(dims.size() - axis)));
  }
  const auto epsilon = static_cast<float>(n.attr_float("epsilon"));
  const bool rms = node.op == "RMSNormalization";
  return lower_rows(l, node, rms ? "rms_norm" : "layer_norm", x, std::span(in).subspan(1), size, 2,
                    [=, g = in[1], b = in[2], k = &l.kernels()](const Run& run, const float* from,
                                                                float* to, int64_t rows) {
                      k->normalize(from, to, rows, size, gain ? run.data<float>(g) : nullptr,
                                   bias ? run.data<float>(b) : nullptr, epsilon, rms);
                    });
}

// Row-major: each group is one row, then every channel is scaled and shifted.
struct GroupNorm {
  int64_t batch, groups, channels, space;  // channels of one group
  float epsilon;
};

void add_row_groups(Lowering& l, const GroupNorm& g, const Array& x, const Array& gain,
                    const Array& bias, const Array& y) {
  const Array in[] = {x, gain, bias}, out[] = {y};
  Step& step = l.add_step("group_norm", in, out, x.elements() * 2, nullptr);
  step.parts = static_cast<int>(std::min<int64_t>(step.parts, g.batch * g.groups));
  step.run = [=, parts = step.parts, k = &l.kernels()](const Run& run, int, int part) {
    const Range r = part_of(g.batch * g.groups, part, parts);
    const int64_t size = g.channels * g.space;
    for (int64_t i = r.begin; i < r.end; ++i) {
      float* to = run.data<float>(y) + i * size;
      k->normalize(run.data<float>(x) + i * size, to, 1, size, nullptr, nullptr, g.epsilon, false);
      for (int64_t c = 0; c < g.channels; ++c, to += g.space) {
        const int64_t channel = i % g.groups * g.channels + c;
        const auto mul = k->unary[static_cast<int>(UnaryOp::kMulBy)];
        const auto add = k->unary[static_cast<int>(UnaryOp::kAddTo)];
        mul(to, to, g.space, run.data<float>(gain)[channel], 0);
        add(to, to, g.space, run.data<float>(bias)[channel], 0);
      }
    }
  };
}

// Channels last: sums per channel, joined per group, then one pass that scales and shifts.
void add_column_groups(Lowering& l, const GroupNorm& g, const Array& x, const Array& gain,
                       const Array& bias, const Array& y) {
  const int64_t all = g.groups * g.channels;
  const Array mean = l.allocate(DType::kF32, {g.batch, all}, {0, 1});
  const Array variance = l.allocate(DType::kF32, {g.batch, all}, {0, 1});
  const VectorKernels* k = &l.kernels();
  {
    const Array in[] = {x}, out[] = {mean, variance};
    Step& step = l.add_step("group_statistics", in, out, x.elements(), nullptr);
    constexpr int64_t kColumns = 16;
    step.parts = static_cast<int>(std::min<int64_t>(step.parts, (all + kColumns - 1) / kColumns));
    step.run = [=, parts = step.parts](const Run& run, int, int part) {
      const Range r = part_of(all, part, parts, kColumns);
      for (int64_t b = 0; b < g.batch && r.begin < r.end; ++b) {
        const float* from = run.data<float>(x) + b * g.space * all + r.begin;
        float* m = run.data<float>(mean) + b * all + r.begin;
        float* v = run.data<float>(variance) + b * all + r.begin;
        const int64_t width = r.end - r.begin;
        k->reduce_column(ReduceOp::kSum, from, m, g.space, all, width, true);
        k->unary[static_cast<int>(UnaryOp::kDivBy)](m, m, width, static_cast<float>(g.space), 0);
        k->column_variance(from, m, v, g.space, all, width, true);
      }
    };
  }
  {
    const Array in[] = {mean, variance, gain, bias}, out[] = {mean, variance};
    Step& step = l.add_step("group_scales", in, out, 0, nullptr);
    step.run = [=](const Run& run, int, int) {
      for (int64_t i = 0; i < g.batch * g.groups; ++i) {
        float* m = run.data<float>(mean) + i * g.channels;
        float* v = run.data<float>(variance) + i * g.channels;
        double sum = 0, squares = 0;
        for (int64_t c = 0; c < g.channels; ++c) sum += m[c];
        const double centre = sum / static_cast<double>(g.channels);
        for (int64_t c = 0; c < g.channels; ++c) {
          const double d = m[c] - centre;
          squares += v[c] + d * d * static_cast<double>(g.space);
        }
        const double spread = squares / static_cast<double>(g.channels * g.space);
        const double scale = 1.0 / __builtin_sqrt(spread + static_cast<double>(g.epsilon));
        for (int64_t c = 0; c < g.channels; ++c) {
          const int64_t channel = i % g.groups * g.channels + c;
          const double s = scale * run.data<float>(gain)[channel];
          // From here on: the factor and the summand of each channel.
          m[c] = static_cast<float>(run.data<float>(bias)[channel] - centre * s);
          v[c] = static_cast<float>(s);
        }
      }
    };
  }
  const Array in[] = {x, mean, variance}, out[] = {y};
  Step& step = l.add_step("group_norm", in, out, x.elements() / 2, nullptr);
  step.run = [=, parts = step.parts](const Run& run, int, int part) {
    const Range r = part_of(g.batch * g.space, part, parts);
    for (int64_t i = r.begin; i < r.end;) {
      const int64_t b = i / g.space, rows = std::min(r.end - i, (b + 1) * g.space - i);
      k->scale_shift(run.data<float>(x) + i * all, run.data<float>(y) + i * all, rows, all,
                     run.data<float>(variance) + b * all, run.data<float>(mean) + b * all);
      i += rows;
    }
  };
}

Status lower_group_norm(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const ValueId xv = node.inputs[0];
  const Dims dims = l.dims(xv);
  GroupNorm g;
  g.batch = dims[0];
  g.groups = node.op == "InstanceNormalization" ? dims[1] : n.attr_int("num_groups");
  g.channels = dims[1] / g.groups;
  g.space = product(std::span(dims).subspan(2));
  g.epsilon = static_cast<float>(n.attr_float("epsilon"));
  MNN_ASSIGN_OR_RETURN(const Array gain, l.real(node.inputs[1], {0}));
  MNN_ASSIGN_OR_RETURN(const Array bias, l.real(node.inputs[2], {0}));
  MNN_ASSIGN_OR_RETURN(Array x, l.real(xv));
  const Order last = channels_last(dims.size()), first = row_major(dims.size());
  const bool columns = is_dense(x, last) && !is_dense(x, first);
  if (!columns) {
    MNN_ASSIGN_OR_RETURN(x, l.real(xv, first));
  }
  const Array y = l.allocate(DType::kF32, dims, columns ? last : first);
  (columns ? add_column_groups : add_row_groups)(l, g, x, gain, bias, y);
  return l.finish(node, y);
}

constexpr OpRow kNormRows[] = {
    {"LayerNormalization", supports_layer_norm, lower_layer_norm},
    {"RMSNormalization", supports_layer_norm, lower_layer_norm},
    {"InstanceNormalization", supports_norm, lower_group_norm},
    {"GroupNormalization", supports_norm, lower_group_norm},
};

}  // namespace

std::span<const OpRow> norm_rows() { return kNormRows; }

}  // namespace mnn::cpu
