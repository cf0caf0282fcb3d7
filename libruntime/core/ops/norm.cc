// Normalizations by statistics of the batch, the instance, the group or the layer.
#include <algorithm>
#include <cmath>

#include "libruntime/core/builder.h"
#include "libruntime/core/ops/axis.h"
#include "libruntime/core/ops/broadcast.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

using Made = Result<std::vector<ValueId>>;

constexpr TypeMask kNormFloats = kFloats;

// Input i is a vector with one element per channel of input 0.
Status expect_per_channel(const OpContext& c, size_t i) {
  MNN_RETURN_IF_ERROR(expect_input(c, i, kNormFloats));
  MNN_RETURN_IF_ERROR(expect_rank(c, i, 1));
  if (!c.rank_known(0) || !c.rank_known(i)) return {};
  return expect_dim((*c.in[i].shape)[0], (*c.in[0].shape)[1], "size of input " + std::to_string(i));
}

Status expect_least_rank(const OpContext& c, size_t least) {
  if (!c.rank_known(0) || c.in[0].rank() >= least) return {};
  return invalid("input 0: expected rank " + std::to_string(least) + " or more, found " +
                 c.in[0].str());
}

Status infer_batch_norm(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<kNormFloats>(c));
  const bool training = c.attr_int("training_mode") != 0;
  for (size_t i = 1; i < 3; ++i) {
    if (!c.has_output(i)) continue;
    if (!training) return invalid("the running statistics are outputs in training mode only");
    c.out[i].type = c.in[i + 2];
  }
  if (c.rank_known(0) && c.in[0].rank() == 1) {
    // A batch of single numbers has one channel.
    for (size_t i = 1; i < 5; ++i) {
      MNN_RETURN_IF_ERROR(expect_input(c, i, kNormFloats));
      MNN_RETURN_IF_ERROR(expect_scalar(c, i));
    }
    return {};
  }
  MNN_RETURN_IF_ERROR(expect_least_rank(c, 1));
  for (size_t i = 1; i < 5; ++i) MNN_RETURN_IF_ERROR(expect_per_channel(c, i));
  return {};
}

Status store_all(Tensor& t, const std::vector<double>& values) {
  dispatch_float(t.dtype(), [&]<typename T>() {
    for (size_t i = 0; i < values.size(); ++i) t.data<T>()[i] = store_from_compute<T>(values[i]);
  });
  return {};
}

// The mean and the variance of each channel of a batch.
template <typename T>
void batch_statistics(const Tensor& x, int64_t channels, int64_t size, std::vector<double>& mean,
                      std::vector<double>& variance) {
  const double count = static_cast<double>(x.dims()[0] * size);
  mean.assign(static_cast<size_t>(channels), 0.0);
  variance.assign(static_cast<size_t>(channels), 0.0);
  auto each = [&](auto&& f) {
    for (int64_t i = 0; i < x.elements(); ++i) {
      f(static_cast<size_t>(i / size % channels), load_as_compute(x.data<T>()[i]));
    }
  };
  each([&](size_t ch, double v) { mean[ch] += v; });
  for (double& v : mean) v /= count;
  each([&](size_t ch, double v) { variance[ch] += (v - mean[ch]) * (v - mean[ch]); });
  for (double& v : variance) v /= count;
}

// What training mode makes of the running statistics `running` and those of the batch.
Status store_running(KernelContext& c, size_t i, const std::vector<double>& running,
                     const std::vector<double>& batch) {
  if (!c.has_output(i)) return {};
  const double momentum = c.attr_float("momentum");
  MNN_ASSIGN_OR_RETURN(Tensor* const out, c.make(i));
  std::vector<double> next;
  for (size_t k = 0; k < running.size(); ++k) {
    next.push_back(running[k] * momentum + batch[k] * (1.0 - momentum));
  }
  return store_all(*out, next);
}

Status batch_norm(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  std::vector<double> v[4];
  for (size_t i = 0; i < 4; ++i) {
    MNN_ASSIGN_OR_RETURN(v[i], c.in[i + 1]->to_doubles());
  }
  const std::vector<double>&gain = v[0], &bias = v[1];
  std::vector<double>&mean = v[2], &variance = v[3];
  const double epsilon = c.attr_float("epsilon");
  const int64_t channels = x.rank() == 1 ? 1 : x.dims()[1];
  const bool training = c.attr_int("training_mode") != 0;
  if (x.elements() == 0) {
    if (training) return invalid("training mode needs elements, found " + x.type_str());
    return {};
  }
  const int64_t size = x.elements() / (x.dims()[0] * channels);
  if (training) {
    std::vector<double> batch_mean, batch_variance;
    dispatch_float(x.dtype(), [&]<typename T>() {
      batch_statistics<T>(x, channels, size, batch_mean, batch_variance);
    });
    MNN_RETURN_IF_ERROR(store_running(c, 1, mean, batch_mean));
    MNN_RETURN_IF_ERROR(store_running(c, 2, variance, batch_variance));
    mean = batch_mean;
    variance = batch_variance;
  }
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    for (int64_t plane = 0; plane < x.dims()[0] * channels; ++plane) {
      const auto ch = static_cast<size_t>(plane % channels);
      const double factor = gain[ch] / std::sqrt(variance[ch] + epsilon);
      const T* const in = x.data<T>() + plane * size;
      T* const out = y->data<T>() + plane * size;
      for (int64_t i = 0; i < size; ++i) {
        out[i] = store_from_compute<T>((load_as_compute(in[i]) - mean[ch]) * factor + bias[ch]);
      }
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

// In training mode by the batch's own statistics; else by those given.
Made decompose_batch_norm(Builder& b, const Node& node) {
  const AttributeReader c(node, *find_op("BatchNormalization"));
  const ValueId x = node.inputs[0];
  const Type type = b.type(x);
  if (!type.shape) return unsupported("BatchNormalization of unknown rank cannot be decomposed");
  const size_t rank = type.rank();
  auto cast = [&](ValueId v, DType to) {
    return b.type(v).dtype == to ? v : b.op("Cast", {v}, {{"to", static_cast<int64_t>(to)}});
  };
  std::vector<int64_t> column(rank < 2 ? 0 : rank - 1, 1), axes = {0};
  if (!column.empty()) column[0] = -1;
  for (size_t i = 2; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  auto spread = [&](size_t i) {
    return b.op("Reshape", {cast(node.inputs[i], type.dtype), b.ints(column)});
  };
  const bool training = c.attr_int("training_mode") != 0;
  ValueId mean = kNoValue, variance = kNoValue, apart = kNoValue;
  if (training) {
    mean = b.op("ReduceMean", {x, b.ints(axes)});
    apart = b.op("Sub", {x, mean});
    variance = b.op("ReduceMean", {b.op("Mul", {apart, apart}), b.ints(axes)});
  } else {
    mean = spread(3);
    variance = spread(4);
    apart = b.op("Sub", {x, mean});
  }
  const ValueId epsilon = b.scalar(c.attr_float("epsilon"), type.dtype);
  const ValueId root = b.op("Sqrt", {b.op("Add", {variance, epsilon})});
  const ValueId unit = b.op("Mul", {b.op("Div", {apart, root}), spread(1)});
  std::vector<ValueId> result = {b.op("Add", {unit, spread(2)}), kNoValue, kNoValue};
  const double momentum = c.attr_float("momentum");
  for (size_t i = 1; training && i < 3; ++i) {
    const ValueId running = node.inputs[i + 2];
    const DType own = b.type(running).dtype;
    const ValueId batch = cast(i == 1 ? mean : variance, own);
    auto num = [&](double v) { return b.scalar(v, own); };
    const ValueId line = rank < 2 ? b.op("Shape", {running}) : b.ints({-1});
    result[i] = b.op("Add", {b.op("Mul", {running, num(momentum)}),
                             b.op("Mul", {b.op("Reshape", {batch, line}), num(1.0 - momentum)})});
  }
  result.resize(node.outputs.size());
  return result;
}

struct Moments {
  double mean, inverse_deviation;
};

template <typename T>
Moments moments(const T* in, int64_t n, double epsilon) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) sum += load_as_compute(in[i]);
  const double mean = sum / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) {
    const double d = load_as_compute(in[i]) - mean;
    squares += d * d;
  }
  return {mean, 1.0 / std::sqrt(squares / static_cast<double>(n) + epsilon)};
}

Status infer_instance_norm(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<kNormFloats>(c));
  MNN_RETURN_IF_ERROR(expect_least_rank(c, 3));
  MNN_RETURN_IF_ERROR(expect_per_channel(c, 1));
  return expect_per_channel(c, 2);
}

Status infer_group_norm(OpContext& c) {
  const int64_t groups = c.attr_int("num_groups");
  if (groups < 1)
    return invalid("num_groups: expected at least 1, found " + std::to_string(groups));
  MNN_RETURN_IF_ERROR(infer_same_type<kNormFloats>(c));
  MNN_RETURN_IF_ERROR(expect_least_rank(c, 2));
  MNN_RETURN_IF_ERROR(expect_per_channel(c, 1));
  MNN_RETURN_IF_ERROR(expect_per_channel(c, 2));
  if (!c.rank_known(0)) return {};
  const Dim& channels = (*c.in[0].shape)[1];
  if (channels.known() && channels.value() % groups != 0) {
    return invalid("channels: expected a multiple of num_groups " + std::to_string(groups) +
                   ", found " + channels.str());
  }
  return {};
}

// Normalizes groups of channels over their elements, then scales and shifts per channel.
Status normalize_groups(KernelContext& c, int64_t groups) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  if (x.elements() == 0) return {};
  MNN_ASSIGN_OR_RETURN(const std::vector<double> gain, c.in[1]->to_doubles());
  MNN_ASSIGN_OR_RETURN(const std::vector<double> bias, c.in[2]->to_doubles());
  const double epsilon = c.attr_float("epsilon");
  const int64_t channels = x.dims()[1] / groups;
  const int64_t size = x.elements() / (x.dims()[0] * x.dims()[1]);
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    for (int64_t g = 0; g < x.dims()[0] * groups; ++g) {
      const T* const in = x.data<T>() + g * channels * size;
      T* const out = y->data<T>() + g * channels * size;
      const Moments m = moments(in, channels * size, epsilon);
      for (int64_t i = 0; i < channels * size; ++i) {
        const auto ch = static_cast<size_t>(g % groups * channels + i / size);
        out[i] = store_from_compute<T>(
            (load_as_compute(in[i]) - m.mean) * m.inverse_deviation * gain[ch] + bias[ch]);
      }
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Status instance_norm(KernelContext& c) {
  return normalize_groups(c, std::max<int64_t>(1, c.in[0]->dims()[1]));
}

Status group_norm(KernelContext& c) { return normalize_groups(c, c.attr_int("num_groups")); }

// An instance normalization of [n, groups, rest], then scale and shift per channel.
Made decompose_group_norm(Builder& b, const Node& node) {
  const AttributeReader c(node, *find_op("GroupNormalization"));
  const ValueId x = node.inputs[0];
  const Type type = b.type(x);
  if (!type.shape) return unsupported("GroupNormalization of unknown rank cannot be decomposed");
  const int64_t groups = c.attr_int("num_groups");
  const std::vector<float> ones(static_cast<size_t>(groups), 1.0f);
  auto per_group = [&](double value) -> Result<ValueId> {
    MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(type.dtype, {groups}));
    dispatch_float(type.dtype, [&]<typename T>() {
      std::fill(t.data<T>(), t.data<T>() + groups, store_from_compute<T>(value));
    });
    return b.constant(std::move(t));
  };
  MNN_ASSIGN_OR_RETURN(const ValueId one, per_group(1.0));
  MNN_ASSIGN_OR_RETURN(const ValueId zero, per_group(0.0));
  const ValueId shape = b.op("Shape", {x});
  const ValueId grouped = b.op("Reshape", {x, b.ints({0, groups, -1})});
  const ValueId normal =
      b.op("InstanceNormalization", {grouped, one, zero}, {{"epsilon", c.attr_float("epsilon")}});
  const ValueId back = b.op("Reshape", {normal, shape});
  std::vector<int64_t> per_channel(type.rank() - 1, 1);
  per_channel[0] = -1;
  const ValueId target = b.ints(per_channel);
  const ValueId gain = b.op("Reshape", {node.inputs[1], target});
  const ValueId bias = b.op("Reshape", {node.inputs[2], target});
  return std::vector<ValueId>{b.op("Add", {b.op("Mul", {back, gain}), bias})};
}

// Input i broadcasts to input 0 without growing it.
Status expect_broadcasts(const OpContext& c, size_t i) {
  MNN_RETURN_IF_ERROR(expect_input(c, i, kNormFloats));
  if (!c.rank_known(0) || !c.rank_known(i)) return {};
  const Shape &x = *c.in[0].shape, &s = *c.in[i].shape;
  bool fits = s.size() <= x.size();
  for (size_t k = 0; fits && k < s.size(); ++k) {
    const Dim &d = s[k], &o = x[x.size() - s.size() + k];
    fits = !d.known() || d.is(1) || !o.known() || d.same(o);
  }
  if (fits) return {};
  return invalid("input " + std::to_string(i) + ": " + c.in[i].str() + " does not broadcast to " +
                 c.in[0].str());
}

// What LayerNormalization and RMSNormalization share; the axis where the normalized part begins.
Result<std::optional<size_t>> check_layer(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<kNormFloats>(c));
  MNN_RETURN_IF_ERROR(expect_broadcasts(c, 1));
  if (c.has_input(2)) MNN_RETURN_IF_ERROR(expect_broadcasts(c, 2));
  c.out[0].type.dtype = c.in[1].dtype;
  if (!c.rank_known(0)) return std::optional<size_t>();
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", c.in[0].rank()));
  return std::optional<size_t>(axis);
}

Status infer_layer_norm(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(const std::optional<size_t> axis, check_layer(c));
  c.out[0].type.dtype = c.in[0].dtype;
  for (size_t i = 1; i < 3; ++i) {
    if (!c.has_output(i)) continue;
    c.out[i].type.dtype = static_cast<DType>(c.attr_int("stash_type"));
    if (!(mask_of(c.out[i].type.dtype) & kNormFloats)) {
      return invalid("stash_type: expected a float type, found " +
                     std::to_string(c.attr_int("stash_type")));
    }
    if (!axis) continue;
    Shape s = *c.in[0].shape;
    std::fill(s.begin() + static_cast<int64_t>(*axis), s.end(), Dim(1));
    c.out[i].type.shape = std::move(s);
  }
  return {};
}

Status infer_rms_norm(OpContext& c) { return check_layer(c).status(); }

// Normalizes the elements from `axis` on; rms leaves the mean alone.
Status normalize_layers(KernelContext& c, bool rms) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", x.rank()));
  const double epsilon = c.attr_float("epsilon");
  Tensor* stash[2] = {nullptr, nullptr};
  for (size_t i = 0; i < 2; ++i) {
    if (c.has_output(i + 1)) {
      MNN_ASSIGN_OR_RETURN(stash[i], c.make(i + 1));
    }
  }
  if (x.elements() == 0) return {};
  int64_t lines = 1;
  for (size_t i = 0; i < axis; ++i) lines *= x.dims()[i];
  const int64_t size = x.elements() / lines;
  MNN_ASSIGN_OR_RETURN(Tensor normal, Tensor::allocate(DType::kF64, x.dims()));
  double* const n = normal.data<double>();
  std::vector<double> means, deviations;
  dispatch_float(x.dtype(), [&]<typename T>() {
    for (int64_t l = 0; l < lines; ++l) {
      const T* const in = x.data<T>() + l * size;
      Moments m{0, 0};
      if (rms) {
        double squares = 0;
        for (int64_t i = 0; i < size; ++i)
          squares += load_as_compute(in[i]) * load_as_compute(in[i]);
        m.inverse_deviation = 1.0 / std::sqrt(squares / static_cast<double>(size) + epsilon);
      } else {
        m = moments(in, size, epsilon);
      }
      for (int64_t i = 0; i < size; ++i) {
        n[l * size + i] = (load_as_compute(in[i]) - m.mean) * m.inverse_deviation;
      }
      if (stash[0]) means.push_back(m.mean);
      if (stash[1]) deviations.push_back(m.inverse_deviation);
    }
  });
  if (stash[0]) MNN_RETURN_IF_ERROR(store_all(*stash[0], means));
  if (stash[1]) MNN_RETURN_IF_ERROR(store_all(*stash[1], deviations));
  // Scale, then shift, each broadcast over the whole tensor.
  for (size_t k = 1; k < 3; ++k) {
    if (!c.has_input(k)) continue;
    const Tensor& operand = *c.in[k];
    const std::vector<int64_t>* const operands[] = {&operand.dims()};
    dispatch_float(operand.dtype(), [&]<typename T>() {
      BroadcastRows rows(x.dims(), operands);
      while (rows.next()) {
        const T* const p = operand.data<T>() + rows.offset(0);
        double* const out = n + rows.begin();
        for (int64_t i = 0; i < rows.count(); ++i) {
          const double v = load_as_compute(p[i * rows.step(0)]);
          out[i] = k == 1 ? out[i] * v : out[i] + v;
        }
      }
    });
  }
  const bool done = dispatch_float(y->dtype(), [&]<typename T>() {
    for (int64_t i = 0; i < y->elements(); ++i) y->data<T>()[i] = store_from_compute<T>(n[i]);
  });
  return done ? Status() : no_kernel_for(c, y->dtype());
}

Status layer_norm(KernelContext& c) { return normalize_layers(c, false); }
Status rms_norm(KernelContext& c) { return normalize_layers(c, true); }

// x / sqrt(mean(x * x) + epsilon) * scale, in f32 for shorter floats.
Made decompose_rms_norm(Builder& b, const Node& node) {
  const AttributeReader c(node, *find_op("RMSNormalization"));
  ValueId x = node.inputs[0], gain = node.inputs[1];
  const Type type = b.type(x);
  if (!type.shape) return unsupported("RMSNormalization of unknown rank cannot be decomposed");
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", type.rank()));
  const DType result = b.type(gain).dtype;
  const DType inner = type.dtype == DType::kF64 ? DType::kF64 : DType::kF32;
  auto cast = [&](ValueId v, DType from, DType to) {
    return from == to ? v : b.op("Cast", {v}, {{"to", static_cast<int64_t>(to)}});
  };
  x = cast(x, type.dtype, inner);
  gain = cast(gain, result, inner);
  std::vector<int64_t> axes;
  for (size_t i = axis; i < type.rank(); ++i) axes.push_back(static_cast<int64_t>(i));
  const ValueId mean = b.op("ReduceMean", {b.op("Mul", {x, x}), b.ints(axes)});
  const ValueId root =
      b.op("Sqrt", {b.op("Add", {mean, b.scalar(c.attr_float("epsilon"), inner)})});
  const ValueId y = b.op("Mul", {b.op("Div", {x, root}), gain});
  return std::vector<ValueId>{cast(y, inner, result)};
}

}  // namespace

std::vector<OpDef> define_norm() {
  const AttrDef epsilon{"epsilon", 1e-5}, stash{"stash_type", int64_t{1}},
      axis{"axis", int64_t{-1}};
  return {
      {.name = "BatchNormalization",
       .min_inputs = 5,
       .max_inputs = 5,
       .traits = kPerChannel,
       .attributes = {epsilon, {"momentum", 0.9}, {"training_mode", int64_t{0}}},
       .infer = infer_batch_norm,
       .reference = batch_norm,
       .decompose = decompose_batch_norm,
       .max_outputs = 3,
       .gradient = batch_norm_gradient},
      with_gradient(
          instance_norm_gradient,
          {"InstanceNormalization", 3, 3, {}, {epsilon}, infer_instance_norm, instance_norm}),
      {"GroupNormalization",
       3,
       3,
       {},
       {epsilon, {"num_groups", int64_t{0}, true}, stash},
       infer_group_norm,
       group_norm,
       decompose_group_norm},
      {.name = "LayerNormalization",
       .min_inputs = 2,
       .max_inputs = 3,
       .attributes = {axis, epsilon, stash},
       .infer = infer_layer_norm,
       .reference = layer_norm,
       .max_outputs = 3,
       .gradient = layer_norm_gradient},
      with_gradient(rms_norm_gradient, {"RMSNormalization",
                                        2,
                                        2,
                                        {},
                                        {axis, epsilon, stash},
                                        infer_rms_norm,
                                        rms_norm,
                                        decompose_rms_norm}),
  };
}

}  // namespace mnn
