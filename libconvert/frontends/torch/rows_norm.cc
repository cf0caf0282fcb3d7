// Normalizations.
#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

// A constant [n] of one number.
ValueId repeated(Call& c, double value, int64_t n, DType type) {
  constexpr int64_t kMost = int64_t{1} << 26;
  if (n < 0 || n > kMost) {
    c.fail(invalid("bad number of channels"));
    return kNoValue;
  }
  const std::vector<float> values(static_cast<size_t>(n), static_cast<float>(value));
  return c.cast(c.add_constant(Tensor::of<float>({n}, values)), type);
}
ValueId or_constant(Call& c, std::string_view name, double value, int64_t n, DType type) {
  const ValueId given = c.tensor(name);
  return given != kNoValue ? given : repeated(c, value, n, type);
}

void batch_norm(Call& c) {
  const ValueId x = c.tensor("input");
  const DType type = c.dtype_of(x);
  const int64_t channels = c.known_dim(x, 1);
  if (c.has_param("training") && c.flag("training")) {
    return c.refuse("batch_norm in training mode; call eval() before the export");
  }
  if (c.none("running_mean") || c.none("running_var")) {
    return c.refuse("batch_norm without running statistics is not supported");
  }
  const ValueId y = c.emit(
      "BatchNormalization",
      {x, or_constant(c, "weight", 1, channels, type), or_constant(c, "bias", 0, channels, type),
       c.tensor("running_mean"), c.tensor("running_var")},
      {{"epsilon", c.real("eps")}});
  c.give(y);
  // Statistics of the batch: empty in evaluation.
  while (c.results.size() < c.call.row->schema.results.size()) {
    c.give(c.add_constant(Tensor::of<float>({0}, {})));
  }
}

// Over batch and space, per channel, with the statistics of what comes in.
void batch_norm_own_statistics(Call& c) {
  const ValueId x = c.tensor("input");
  const DType type = c.dtype_of(x);
  const size_t rank = c.rank(x);
  if (rank < 2) return c.fail(invalid("expected [N, C, *]"));
  std::vector<int64_t> axes, column(rank - 1, 1);
  for (size_t i = 0; i < rank; ++i) {
    if (i != 1) axes.push_back(static_cast<int64_t>(i));
  }
  column[0] = -1;
  const ValueId mean = c.reduce("ReduceMean", x, axes, true), d = c.binary("Sub", x, mean);
  const ValueId var = c.reduce("ReduceMean", c.binary("Mul", d, d), axes, true);
  const ValueId rstd =
      c.unary("Reciprocal", c.unary("Sqrt", c.binary("Add", var, c.number(c.real("eps"), type))));
  ValueId y = c.binary("Mul", d, rstd);
  if (!c.none("weight")) y = c.binary("Mul", y, c.reshape(c.tensor("weight"), column));
  if (!c.none("bias")) y = c.binary("Add", y, c.reshape(c.tensor("bias"), column));
  c.give(y);
  c.give(c.reshape(mean, {-1}));
  c.give(c.reshape(rstd, {-1}));
}
void native_batch_norm(Call& c) {
  if (c.has_param("training") && c.flag("training")) return batch_norm_own_statistics(c);
  batch_norm(c);
}

// Sizes of the normalized dims: the last ones.
std::vector<int64_t> normalized_dims(Call& c, ValueId x) {
  std::vector<int64_t> dims = c.ints("normalized_shape");
  if (dims.empty() || dims.size() > c.rank(x))
    c.fail(invalid("argument 'normalized_shape' does not fit"));
  return dims;
}
ValueId ones(Call& c, const std::vector<int64_t>& dims, DType type) {
  const std::optional<int64_t> n = checked_elements(dims);
  const ValueId flat = repeated(c, 1, n.value_or(-1), type);
  return flat == kNoValue ? flat : c.reshape(flat, dims);
}

// Mean and 1 / deviation over the last dims, for who reads them.
void give_statistics(Call& c, ValueId x, size_t dims) {
  std::vector<int64_t> axes;
  for (size_t i = c.rank(x) - dims; i < c.rank(x); ++i) axes.push_back(static_cast<int64_t>(i));
  const DType type = c.dtype_of(x);
  const ValueId mean = c.reduce("ReduceMean", x, axes, true), d = c.binary("Sub", x, mean);
  const ValueId var = c.reduce("ReduceMean", c.binary("Mul", d, d), axes, true);
  c.give(mean);
  c.give(
      c.unary("Reciprocal", c.unary("Sqrt", c.binary("Add", var, c.number(c.real("eps"), type)))));
}

void layer_norm(Call& c) {
  const ValueId x = c.tensor("input");
  const std::vector<int64_t> dims = normalized_dims(c, x);
  if (!c.status.ok()) return;
  const ValueId given = c.tensor("weight");
  const ValueId scale = given != kNoValue ? given : ones(c, dims, c.dtype_of(x));
  c.give(c.emit("LayerNormalization", {x, scale, c.tensor("bias")},
                {{"axis", -static_cast<int64_t>(dims.size())}, {"epsilon", c.real("eps")}}));
  if (c.call.row->schema.results.size() > 1) give_statistics(c, x, dims.size());
}

void rms_norm(Call& c) {
  const ValueId x = c.tensor("input");
  const std::vector<int64_t> dims = normalized_dims(c, x);
  if (!c.status.ok()) return;
  const DType type = c.dtype_of(x);
  // None is the type's own epsilon.
  constexpr double kF32 = 1.1920928955078125e-07, kF16 = 0.0009765625, kBf16 = 0.0078125,
                   kF64 = 2.220446049250313e-16;
  const double own = type == DType::kF64    ? kF64
                     : type == DType::kF16  ? kF16
                     : type == DType::kBF16 ? kBf16
                                            : kF32;
  const ValueId given = c.tensor("weight");
  c.give(c.emit("RMSNormalization", {x, given != kNoValue ? given : ones(c, dims, type)},
                {{"axis", -static_cast<int64_t>(dims.size())},
                 {"epsilon", c.none("eps") ? own : c.real("eps")}}));
}

void group_norm(Call& c) {
  const ValueId x = c.tensor("input");
  const DType type = c.dtype_of(x);
  const int64_t channels = c.known_dim(x, 1);
  const int64_t groups = c.integer(c.has_param("num_groups") ? "num_groups" : "group");
  c.give(c.emit(
      "GroupNormalization",
      {x, or_constant(c, "weight", 1, channels, type), or_constant(c, "bias", 0, channels, type)},
      {{"epsilon", c.real("eps")}, {"num_groups", groups}}));
  if (c.call.row->schema.results.size() > 1 && c.status.ok()) {
    const ValueId flat = c.view(x, {c.size(x, 0), IntArg{groups}, IntArg{-1}});
    give_statistics(c, flat, 1);
    for (size_t i = 1; i < c.results.size(); ++i) {
      const TensorArg t = *c.results[i].get<TensorArg>();
      c.results[i] = Arg::tensor(c.squeeze(t.id, {2}));
    }
  }
}

void instance_norm(Call& c) {
  const ValueId x = c.tensor("input");
  const DType type = c.dtype_of(x);
  const int64_t channels = c.known_dim(x, 1);
  if (!c.flag("use_input_stats")) {
    return c.give(c.emit(
        "BatchNormalization",
        {x, or_constant(c, "weight", 1, channels, type), or_constant(c, "bias", 0, channels, type),
         c.tensor("running_mean"), c.tensor("running_var")},
        {{"epsilon", c.real("eps")}}));
  }
  c.give(c.emit(
      "InstanceNormalization",
      {x, or_constant(c, "weight", 1, channels, type), or_constant(c, "bias", 0, channels, type)},
      {{"epsilon", c.real("eps")}}));
}

}  // namespace

std::vector<RowText> norm_rows() {
  return {
      {"batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? "
       "running_var, bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor",
       "BatchNormalization", batch_norm},
      {"native_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, "
       "Tensor? running_var, bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)",
       "BatchNormalization", native_batch_norm},
      {"_native_batch_norm_legit(Tensor input, Tensor? weight, Tensor? bias, Tensor running_mean, "
       "Tensor running_var, bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)",
       "BatchNormalization", native_batch_norm},
      {"_native_batch_norm_legit.no_stats(Tensor input, Tensor? weight, Tensor? bias, bool "
       "training, float momentum, float eps) -> (Tensor, Tensor, Tensor)",
       "ReduceMean, Sub, Mul", batch_norm_own_statistics},
      {"_native_batch_norm_legit_no_training(Tensor input, Tensor? weight, Tensor? bias, Tensor "
       "running_mean, Tensor running_var, float momentum, float eps) -> (Tensor, Tensor, Tensor)",
       "BatchNormalization", batch_norm},
      {"_batch_norm_no_update(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, "
       "Tensor? running_var, float momentum, float eps) -> (Tensor, Tensor, Tensor, Tensor)",
       "BatchNormalization", batch_norm},
      {"cudnn_batch_norm(Tensor input, Tensor weight, Tensor? bias, Tensor? running_mean, Tensor? "
       "running_var, bool training, float exponential_average_factor, float eps) -> (Tensor, "
       "Tensor, Tensor, Tensor)",
       "BatchNormalization", batch_norm},
      {"layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, "
       "float eps=1e-05, bool cudnn_enable=True) -> Tensor",
       "LayerNormalization", layer_norm},
      {"native_layer_norm(Tensor input, int[] normalized_shape, Tensor? weight, Tensor? bias, "
       "float eps) -> (Tensor, Tensor, Tensor)",
       "LayerNormalization", layer_norm},
      {"rms_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, float? eps=None) -> "
       "Tensor",
       "RMSNormalization", rms_norm},
      {"group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float "
       "eps=1e-05, bool cudnn_enabled=True) -> Tensor",
       "GroupNormalization", group_norm},
      {"native_group_norm(Tensor input, Tensor? weight, Tensor? bias, int N, int C, int HxW, int "
       "group, float eps) -> (Tensor, Tensor, Tensor)",
       "GroupNormalization", group_norm},
      {"instance_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? "
       "running_var, bool use_input_stats, float momentum, float eps, bool cudnn_enabled) -> "
       "Tensor",
       "InstanceNormalization", instance_norm},
  };
}

}  // namespace mnn::torch
