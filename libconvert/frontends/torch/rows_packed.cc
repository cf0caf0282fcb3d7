// The operators of torch.ao on quantized tensors and packed weights (`quantized::…`): those of
// floats between grids.
#include <cmath>
#include <optional>

#include "libconvert/frontends/torch/quantized.h"

namespace mnn::torch {
namespace {

// Where the operator's own arguments put its result; else on its input's grid.
std::optional<Grid> result_grid(Call& c) {
  const Grid* of_input = first_grid(c);
  const bool prefixed = c.has_param("output_scale");
  const char *scale = prefixed ? "output_scale" : "scale",
             *zero = prefixed ? "output_zero_point" : "zero_point";
  if (of_input == nullptr) {
    c.fail(invalid("expected a quantized tensor"));
    return std::nullopt;
  }
  if (!c.has_param(scale) || !c.has_param(zero) || c.none(scale)) return *of_input;
  return constant_grid(c, c.real(scale), static_cast<double>(c.integer(zero)),
                       storage_of(c, *of_input));
}

void give_on_grid(Call& c, ValueId x, const std::optional<Grid>& grid) {
  if (!c.status.ok() || !grid) return;
  const bool relu = c.op().find("_relu") != std::string::npos && c.op() != "quantized::leaky_relu";
  c.give(on_grid(c, relu ? c.unary("Relu", x) : x, *grid));
}

// What another operator of the table makes of the arguments.
ValueId call_float(Call& c, std::string op, ListArg args) {
  if (!c.status.ok()) return kNoValue;
  // The inner operator knows nothing of grids.
  const auto plain = [](const auto& self, Arg& arg) -> void {
    if (const TensorArg* t = arg.get<TensorArg>()) arg = Arg::tensor(t->id, t->complex);
    if (const ListArg* list = arg.get<ListArg>()) {
      ListArg items = *list;
      for (Arg& item : items) self(self, item);
      arg = Arg(std::move(items));
    }
  };
  for (Arg& arg : args) plain(plain, arg);
  const AtenCall inner{std::move(op), "", std::move(args), {}, c.name};
  const Result<std::vector<Arg>> made = lower_call(c.draft, c.budget, inner);
  if (!made.ok()) {
    c.fail(made.status());
    return kNoValue;
  }
  const TensorArg* result = made->empty() ? nullptr : (*made)[0].get<TensorArg>();
  if (result == nullptr) c.fail(internal_error(inner.op + " gives no tensor"));
  return result == nullptr ? kNoValue : result->id;
}

// The operator of the same name on floats: its arguments without those of the result's grid.
void same_on_floats(Call& c) {
  const std::optional<Grid> grid = result_grid(c);
  std::string op = "aten::" + c.op().substr(std::string_view("quantized::").size());
  if (op.ends_with("_relu") && op != "aten::leaky_relu") op.resize(op.size() - 5);
  const bool prefixed = c.has_param("output_scale");
  const auto& params = c.call.row->schema.params;
  ListArg args;
  for (size_t i = 0; i < params.size(); ++i) {
    const std::string& name = params[i].name;
    const bool of_grid =
        prefixed ? name.starts_with("output_") : name == "scale" || name == "zero_point";
    if (!of_grid && name != "inplace") args.push_back(c.call.values[i]);
  }
  give_on_grid(c, call_float(c, op, std::move(args)), grid);
}

void packed_batch_norm(Call& c) {
  const std::optional<Grid> grid = result_grid(c);
  const ValueId y =
      call_float(c, "aten::batch_norm",
                 {c.arg("qx"), c.arg("weight"), c.arg("bias"), c.arg("mean"), c.arg("var"),
                  Arg::of_bool(false), Arg::of_float(0.1), c.arg("eps"), Arg::of_bool(true)});
  give_on_grid(c, y, grid);
}

void packed_instance_norm(Call& c) {
  const std::optional<Grid> grid = result_grid(c);
  const ValueId y =
      call_float(c, "aten::instance_norm",
                 {c.arg("input"), c.arg("weight"), c.arg("bias"), Arg(), Arg(), Arg::of_bool(true),
                  Arg::of_float(0.1), c.arg("eps"), Arg::of_bool(true)});
  give_on_grid(c, y, grid);
}

void quantized_dropout(Call& c) { give_on_grid(c, c.tensor("self"), result_grid(c)); }

// x + b or x * b of codes: the grid moves with them, as far as its type goes.
void with_scalar(Call& c) {
  const Grid* grid = first_grid(c);
  const Tensor* scale = grid != nullptr ? c.graph.constant(grid->scale) : nullptr;
  const Tensor* zero = grid != nullptr ? c.graph.constant(grid->zero_point) : nullptr;
  if (scale == nullptr || zero == nullptr || grid->axis >= 0) {
    return c.refuse("a number and a tensor whose scale is known at run time only");
  }
  const double s = scale->to_doubles()->at(0), z = zero->to_doubles()->at(0);
  const DType storage = zero->dtype();
  const double least = is_signed_integer(storage) ? -128 : 0, most = least + 255;
  if (dtype_bits(storage) != 8) return c.refuse("codes of more than 8 bits");
  const ValueId x = c.tensor("qa");
  const double b = c.real("b");
  if (c.op().find("mul") != std::string::npos) {
    // A factor of 0 leaves the scale 1.
    const double factor = b == 0 ? 1 : std::abs(b) * s;
    const double zero_point = b < 0 ? most + least - z : b == 0 ? 0 : z;
    return give_on_grid(c, c.binary("Mul", x, c.number(b, DType::kF32)),
                        constant_grid(c, factor, zero_point, storage));
  }
  const double steps = std::nearbyint(b / s), moved = z - steps;
  double new_scale = s, zero_point = moved;
  if (moved < least) {
    new_scale = (most - moved) / (most - least) * s;
    zero_point = least;
  } else if (moved > most) {
    new_scale = (moved - least) / (most - least) * s;
    zero_point = most;
  }
  give_on_grid(c, c.binary("Add", x, c.number(steps * s, DType::kF32)),
               constant_grid(c, new_scale, zero_point, storage));
}

// Item i of packed weights: weight, bias, stride, padding, dilation, output padding, groups,
// transposed (of a convolution), in this order.
Arg packed(Call& c, std::string_view name, size_t i) {
  const ListArg* list = c.arg(name).get<ListArg>();
  if (list != nullptr && i < list->size()) return (*list)[i];
  c.fail(invalid("the packed weights are none of this operator's"));
  return {};
}

void conv_packed(Call& c) {
  const std::string_view name = c.has_param("packed_weight") ? "packed_weight" : "weight";
  const std::optional<Grid> grid = result_grid(c);
  ListArg args = {c.arg("qx")};
  for (const size_t i : {0, 1, 2, 3, 4, 7, 5, 6}) args.push_back(packed(c, name, i));
  if (!c.status.ok()) return;
  // One dim: files keep such weights with a height of 1.
  const TensorArg* weight = args[1].get<TensorArg>();
  const bool flat =
      c.op().find("1d") != std::string::npos && weight != nullptr && c.rank(weight->id) == 4;
  if (flat) args[0] = Arg::tensor(c.expand_dims(c.tensor("qx"), {2}));
  const ValueId y = call_float(c, "aten::convolution", std::move(args));
  give_on_grid(c, y, grid);
  if (!flat || !c.status.ok()) return;
  const TensorArg made = *c.results.back().get<TensorArg>();
  c.results.back() = TensorArg{c.squeeze(made.id, {2}), false, made.grid};
}

void linear_packed(Call& c) {
  Grid grid;
  const Grid* of_input = first_grid(c);
  if (of_input == nullptr) return c.fail(invalid("expected a quantized tensor"));
  grid = constant_grid(c, c.real("Y_scale_i"), static_cast<double>(c.integer("Y_zero_point_i")),
                       storage_of(c, *of_input));
  give_on_grid(c,
               call_float(c, "aten::linear",
                          {c.arg("X"), packed(c, "W_prepack", 0), packed(c, "W_prepack", 1)}),
               grid);
}

void linear_dynamic(Call& c) {
  const ValueId x = on_dynamic_grid(c, c.tensor("X"));
  const ValueId y = call_float(
      c, "aten::linear", {Arg::tensor(x), packed(c, "W_prepack", 0), packed(c, "W_prepack", 1)});
  c.give(c.op().find("_relu") != std::string::npos ? c.unary("Relu", y) : y);
}

void embedding_packed(Call& c) {
  if (c.flag("pruned_weights")) return c.refuse("pruned tables");
  c.give(call_float(c, "aten::embedding", {packed(c, "weight", 0), c.arg("indices")}));
}

void embedding_bag_packed(Call& c) {
  if (c.flag("pruned_weights") || !c.none("compressed_indices_mapping")) {
    return c.refuse("pruned tables");
  }
  if (c.none("offsets")) {  // each row of the indices is a bag
    ValueId rows = call_float(c, "aten::embedding", {packed(c, "weight", 0), c.arg("indices")});
    if (!c.none("per_sample_weights") && c.status.ok()) {
      rows = c.binary("Mul", rows, c.expand_dims(c.tensor("per_sample_weights"), {2}));
    }
    return c.give(c.reduce("ReduceSum", rows, {1}, false));
  }
  const ValueId y = call_float(c, "aten::embedding_bag",
                               {packed(c, "weight", 0), c.arg("indices"), c.arg("offsets"),
                                Arg::of_bool(false), Arg::of_int(0), Arg::of_bool(false),
                                c.arg("per_sample_weights"), c.arg("include_last_offset")});
  c.give(y);
}

// XNNPACK's: floats, with limits behind the other items.
void limited(Call& c, ValueId y, size_t least) {
  const auto limit = [&](size_t i) -> ValueId {
    const Arg arg = packed(c, "W_prepack", i);
    if (const FloatArg* n = arg.get<FloatArg>(); n != nullptr) return c.value_of(*n);
    const IntArg* n = arg.get<IntArg>();
    return n == nullptr ? kNoValue : c.cast(c.value_of(*n), DType::kF32);
  };
  const ValueId low = limit(least), high = limit(least + 1);
  c.give(low == kNoValue && high == kNoValue ? y : c.emit("Clip", {y, low, high}));
}
void conv_clamp(Call& c) {
  ListArg args = {c.arg("X")};
  for (const size_t i : {0, 1, 2, 3, 4, 7, 5, 6}) args.push_back(packed(c, "W_prepack", i));
  limited(c, call_float(c, "aten::convolution", std::move(args)), 8);
}
void linear_clamp(Call& c) {
  limited(c,
          call_float(c, "aten::linear",
                     {c.arg("X"), packed(c, "W_prepack", 0), packed(c, "W_prepack", 1)}),
          2);
}

}  // namespace

std::vector<RowText> packed_rows() {
  return {
      {"prepacked::conv2d_clamp_run(Tensor X, Packed W_prepack) -> Tensor", "Conv, Clip",
       conv_clamp},
      {"prepacked::conv2d_transpose_clamp_run(Tensor X, Packed W_prepack) -> Tensor",
       "ConvTranspose, Clip", conv_clamp},
      {"prepacked::linear_clamp_run(Tensor X, Packed W_prepack) -> Tensor", "Gemm, Clip",
       linear_clamp},
      {"quantized::conv1d(Tensor qx, Packed packed_weight, float output_scale, int "
       "output_zero_point) -> Tensor",
       "Conv, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::conv1d_relu(Tensor qx, Packed packed_weight, float output_scale, int "
       "output_zero_point) -> Tensor",
       "Conv, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::conv_transpose1d(Tensor qx, Packed packed_weight, float output_scale, int "
       "output_zero_point) -> Tensor",
       "ConvTranspose, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::conv2d.new(Tensor qx, Packed packed_weight, float output_scale, int "
       "output_zero_point) -> Tensor",
       "Conv, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::conv2d(Tensor qx, Packed weight, int[] stride, int[] padding, int[] "
       "dilation, int groups, float output_scale, int output_zero_point) -> Tensor",
       "Conv, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::conv2d_relu.new(Tensor qx, Packed packed_weight, float output_scale, int "
       "output_zero_point) -> Tensor",
       "Conv, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::conv2d_relu(Tensor qx, Packed weight, int[] stride, int[] padding, int[] "
       "dilation, int groups, float output_scale, int output_zero_point) -> Tensor",
       "Conv, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::conv_transpose2d(Tensor qx, Packed packed_weight, float output_scale, int "
       "output_zero_point) -> Tensor",
       "ConvTranspose, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::conv3d.new(Tensor qx, Packed packed_weight, float output_scale, int "
       "output_zero_point) -> Tensor",
       "Conv, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::conv3d(Tensor qx, Packed weight, int[] stride, int[] padding, int[] "
       "dilation, int groups, float output_scale, int output_zero_point) -> Tensor",
       "Conv, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::conv3d_relu.new(Tensor qx, Packed packed_weight, float output_scale, int "
       "output_zero_point) -> Tensor",
       "Conv, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::conv3d_relu(Tensor qx, Packed weight, int[] stride, int[] padding, int[] "
       "dilation, int groups, float output_scale, int output_zero_point) -> Tensor",
       "Conv, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::conv_transpose3d(Tensor qx, Packed packed_weight, float output_scale, int "
       "output_zero_point) -> Tensor",
       "ConvTranspose, QuantizeLinear, DequantizeLinear", conv_packed},
      {"quantized::linear(Tensor X, Packed W_prepack, float Y_scale_i, int Y_zero_point_i) -> "
       "Tensor",
       "Gemm, QuantizeLinear, DequantizeLinear", linear_packed},
      {"quantized::linear_dynamic(Tensor X, Packed W_prepack, bool reduce_range=False) -> "
       "Tensor",
       "DynamicQuantizeLinear, Gemm", linear_dynamic},
      {"quantized::linear_relu(Tensor X, Packed W_prepack, float Y_scale_i, int "
       "Y_zero_point_i) -> Tensor",
       "Gemm, QuantizeLinear, DequantizeLinear", linear_packed},
      {"quantized::linear_relu_dynamic(Tensor X, Packed W_prepack, bool reduce_range=False) -> "
       "Tensor",
       "DynamicQuantizeLinear, Gemm", linear_dynamic},
      {"quantized::add(Tensor qa, Tensor qb, float scale, int zero_point) -> Tensor",
       "Add, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::add.Scalar(Tensor qa, Scalar b) -> Tensor",
       "Add, QuantizeLinear, DequantizeLinear", with_scalar},
      {"quantized::add_scalar(Tensor qa, Scalar b) -> Tensor",
       "Add, QuantizeLinear, DequantizeLinear", with_scalar},
      {"quantized::add_relu(Tensor qa, Tensor qb, float scale, int zero_point) -> Tensor",
       "Add, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::add_relu.Scalar(Tensor qa, Scalar b) -> Tensor",
       "Add, QuantizeLinear, DequantizeLinear", with_scalar},
      {"quantized::add_scalar_relu(Tensor qa, Scalar b) -> Tensor",
       "Add, QuantizeLinear, DequantizeLinear", with_scalar},
      {"quantized::mul(Tensor qa, Tensor qb, float scale, int zero_point) -> Tensor",
       "Mul, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::mul.Scalar(Tensor qa, Scalar b) -> Tensor",
       "Mul, QuantizeLinear, DequantizeLinear", with_scalar},
      {"quantized::mul_scalar(Tensor qa, Scalar b) -> Tensor",
       "Mul, QuantizeLinear, DequantizeLinear", with_scalar},
      {"quantized::mul_relu(Tensor qa, Tensor qb, float scale, int zero_point) -> Tensor",
       "Mul, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::mul_relu.Scalar(Tensor qa, Scalar b) -> Tensor",
       "Mul, QuantizeLinear, DequantizeLinear", with_scalar},
      {"quantized::mul_scalar_relu(Tensor qa, Scalar b) -> Tensor",
       "Mul, QuantizeLinear, DequantizeLinear", with_scalar},
      {"quantized::cat(Tensor[] qx, int dim, float? scale, int? zero_point) -> Tensor",
       "Concat, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::cat_relu(Tensor[] qx, int dim, float? scale, int? zero_point) -> Tensor",
       "Concat, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::matmul(Tensor qa, Tensor qb, float scale, int zero_point) -> Tensor",
       "MatMul, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::batch_norm(Tensor qx, Tensor? weight, Tensor? bias, Tensor mean, Tensor "
       "var, float eps, float output_scale, int output_zero_point) -> Tensor",
       "BatchNormalization, QuantizeLinear, DequantizeLinear", packed_batch_norm},
      {"quantized::batch_norm_relu(Tensor qx, Tensor? weight, Tensor? bias, Tensor mean, "
       "Tensor var, float eps, float output_scale, int output_zero_point) -> Tensor",
       "BatchNormalization, QuantizeLinear, DequantizeLinear", packed_batch_norm},
      {"quantized::batch_norm1d(Tensor qx, Tensor? weight, Tensor? bias, Tensor mean, Tensor "
       "var, float eps, float output_scale, int output_zero_point) -> Tensor",
       "BatchNormalization, QuantizeLinear, DequantizeLinear", packed_batch_norm},
      {"quantized::batch_norm1d_relu(Tensor qx, Tensor? weight, Tensor? bias, Tensor mean, "
       "Tensor var, float eps, float output_scale, int output_zero_point) -> Tensor",
       "BatchNormalization, QuantizeLinear, DequantizeLinear", packed_batch_norm},
      {"quantized::batch_norm2d(Tensor qx, Tensor? weight, Tensor? bias, Tensor mean, Tensor "
       "var, float eps, float output_scale, int output_zero_point) -> Tensor",
       "BatchNormalization, QuantizeLinear, DequantizeLinear", packed_batch_norm},
      {"quantized::batch_norm2d_relu(Tensor qx, Tensor? weight, Tensor? bias, Tensor mean, "
       "Tensor var, float eps, float output_scale, int output_zero_point) -> Tensor",
       "BatchNormalization, QuantizeLinear, DequantizeLinear", packed_batch_norm},
      {"quantized::batch_norm3d(Tensor qx, Tensor? weight, Tensor? bias, Tensor mean, Tensor "
       "var, float eps, float output_scale, int output_zero_point) -> Tensor",
       "BatchNormalization, QuantizeLinear, DequantizeLinear", packed_batch_norm},
      {"quantized::batch_norm3d_relu(Tensor qx, Tensor? weight, Tensor? bias, Tensor mean, "
       "Tensor var, float eps, float output_scale, int output_zero_point) -> Tensor",
       "BatchNormalization, QuantizeLinear, DequantizeLinear", packed_batch_norm},
      {"quantized::layer_norm(Tensor input, int[] normalized_shape, Tensor? weight, Tensor? "
       "bias, float eps, float output_scale, int output_zero_point) -> Tensor",
       "LayerNormalization, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::group_norm(Tensor input, int num_groups, Tensor? weight, Tensor? bias, "
       "float eps, float output_scale, int output_zero_point) -> Tensor",
       "GroupNormalization, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::instance_norm(Tensor input, Tensor? weight, Tensor? bias, float eps, float "
       "output_scale, int output_zero_point) -> Tensor",
       "InstanceNormalization, QuantizeLinear, DequantizeLinear", packed_instance_norm},
      {"quantized::hardswish(Tensor input, float output_scale, int output_zero_point) -> "
       "Tensor",
       "HardSwish, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::leaky_relu(Tensor qx, Scalar negative_slope, bool inplace, float "
       "output_scale, int output_zero_point) -> Tensor",
       "LeakyRelu, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::elu(Tensor self, float output_scale, int output_zero_point, Scalar alpha=1, "
       "Scalar scale=1, Scalar input_scale=1) -> Tensor",
       "Elu, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::celu(Tensor self, float output_scale, int output_zero_point, Scalar "
       "alpha=1) -> Tensor",
       "Celu, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::prelu(Tensor qx, Tensor weight, float output_scale, int output_zero_point) "
       "-> Tensor",
       "PRelu, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::sigmoid(Tensor qx, float output_scale, int output_zero_point) -> Tensor",
       "Sigmoid, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::softmax(Tensor qx, int dim, float output_scale, int output_zero_point) -> "
       "Tensor",
       "Softmax, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::dropout(Tensor self, float output_scale, int output_zero_point, Scalar "
       "p=0.5, bool training=False) -> Tensor",
       "QuantizeLinear, DequantizeLinear", quantized_dropout},
      {"quantized::relu6(Tensor qx, bool inplace=False) -> Tensor",
       "Clip, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::clamp(Tensor qx, Scalar? min=None, Scalar? max=None) -> Tensor",
       "Clip, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::threshold(Tensor qx, Scalar threshold, Scalar value) -> Tensor",
       "Where, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::max_pool1d(Tensor qx, int[] kernel_size, int[] stride, int[] padding, int[] "
       "dilation, bool ceil_mode) -> Tensor",
       "MaxPool, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::max_pool2d(Tensor qx, int[] kernel_size, int[] stride, int[] padding, int[] "
       "dilation, bool ceil_mode) -> Tensor",
       "MaxPool, QuantizeLinear, DequantizeLinear", same_on_floats},
      {"quantized::embedding_byte(Packed weight, Tensor indices, bool pruned_weights=False) -> "
       "Tensor",
       "Gather", embedding_packed},
      {"quantized::embedding_4bit(Packed weight, Tensor indices, bool pruned_weights=False) -> "
       "Tensor",
       "Gather", embedding_packed},
      {"quantized::embedding_bag_4bit(Packed weight, Tensor indices, Tensor? offsets=None, "
       "bool scale_grad_by_freq=False, int mode=0, bool pruned_weights=False, Tensor? "
       "per_sample_weights=None, Tensor? compressed_indices_mapping=None, bool "
       "include_last_offset=False) -> Tensor",
       "Gather, ReduceSum", embedding_bag_packed},
      {"quantized::embedding_bag_byte(Packed weight, Tensor indices, Tensor? offsets=None, "
       "bool scale_grad_by_freq=False, int mode=0, bool pruned_weights=False, Tensor? "
       "per_sample_weights=None, Tensor? compressed_indices_mapping=None, bool "
       "include_last_offset=False) -> Tensor",
       "Gather, ReduceSum", embedding_bag_packed},
  };
}

}  // namespace mnn::torch
