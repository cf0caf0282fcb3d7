// Quantized tensors: PT2E's pairs of quantize and dequantize, TorchScript's tensors of codes and
// the operators of torch.ao on packed weights. `fold_qdq` makes QuantParams of all of them.
#include <algorithm>
#include <cmath>

#include "libconvert/frontends/torch/quantized.h"

namespace mnn::torch {
namespace {

const Grid* grid_of(const Arg& arg) {
  if (const TensorArg* t = arg.get<TensorArg>()) return t->quantized() ? &t->grid : nullptr;
  const ListArg* list = arg.get<ListArg>();
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const TensorArg* t = (*list)[i].get<TensorArg>();
    if (t != nullptr && t->quantized()) return &t->grid;
  }
  return nullptr;
}

}  // namespace

DType storage_of(Call& c, const Grid& grid) { return c.dtype_of(grid.zero_point); }

const Grid* first_grid(const Call& c) {
  const auto& params = c.call.row->schema.params;
  for (size_t i = 0; i < params.size(); ++i) {
    const Grid* grid = params[i].kind == ParamKind::kTensor ? grid_of(c.call.values[i]) : nullptr;
    if (grid != nullptr) return grid;
  }
  return nullptr;
}

TensorArg on_grid(Call& c, ValueId x, const Grid& grid) {
  Call::Attributes axis;
  if (grid.axis >= 0) axis["axis"] = grid.axis;
  const ValueId codes = c.emit("QuantizeLinear", {x, grid.scale, grid.zero_point}, axis);
  return {c.emit("DequantizeLinear", {codes, grid.scale, grid.zero_point}, axis), false, grid};
}

Grid constant_grid(Call& c, double scale, double zero_point, DType storage) {
  return {c.number(scale, DType::kF32), c.number(zero_point, storage), -1};
}

namespace {

// PT2E: numbers to codes and back. `fold_qdq` makes QuantParams of the pair.
ValueId zero_point(Call& c, DType storage) {
  const Arg& a = c.arg(c.has_param("zero_point") ? "zero_point" : "zero_points");
  if (const IntArg* n = a.get<IntArg>(); n != nullptr && n->known()) {
    return c.number(static_cast<double>(n->value), storage);
  }
  if (a.is_none()) return kNoValue;
  const ValueId z =
      c.cast(c.tensor(c.has_param("zero_point") ? "zero_point" : "zero_points"), storage);
  return c.has_param("axis") || !c.status.ok() ? z : c.reshape(z, {});
}
ValueId scale(Call& c) {
  const std::string_view name = c.has_param("scale") ? "scale" : "scales";
  const ValueId s = c.cast(c.as(name, DType::kF32), DType::kF32);
  return c.has_param("axis") || !c.status.ok() ? s : c.reshape(s, {});
}

// Codes limited to less than their type: kept when the bounds are the type's own.
bool whole_range(Call& c, DType storage) {
  const int64_t low = c.integer("quant_min"), high = c.integer("quant_max");
  const int bits = dtype_bits(storage);
  const bool with_sign = is_signed_integer(storage);
  const int64_t least = with_sign ? -(int64_t{1} << (bits - 1)) : 0;
  const int64_t most = with_sign ? (int64_t{1} << (bits - 1)) - 1 : (int64_t{1} << bits) - 1;
  return low == least && high == most;
}

Call::Attributes axis_attribute(Call& c, ValueId x) {
  if (!c.has_param("axis")) return {};
  return {{"axis", c.axis("axis", c.rank(x))}};
}

void quantize(Call& c) {
  const ValueId x = c.cast(c.tensor("input"), DType::kF32);
  const DType storage = c.dtype("dtype", DType::kI8);
  if (!is_integer(storage) || dtype_bits(storage) > 16)
    return c.refuse("quantization to this element type");
  const Call::Attributes axis = axis_attribute(c, x);
  ValueId y = c.emit("QuantizeLinear", {x, scale(c), zero_point(c, storage)}, axis);
  if (!whole_range(c, storage)) {
    // Narrow ranges (-127…127): clipped as numbers, which pairs still fold over.
    const auto wide = [&](int64_t v) { return c.number(static_cast<double>(v), DType::kI32); };
    y = c.cast(c.emit("Clip", {c.cast(y, DType::kI32), wide(c.integer("quant_min")),
                               wide(c.integer("quant_max"))}),
               storage);
  }
  c.give(y);
}

void dequantize(Call& c) {
  const ValueId x = c.tensor("input");
  const DType storage = c.dtype_of(x);
  const ValueId y =
      c.emit("DequantizeLinear", {x, scale(c), zero_point(c, storage)}, axis_attribute(c, x));
  c.give(c.has_param("out_dtype") ? c.cast(y, c.dtype("out_dtype", DType::kF32)) : y);
}

void fake_quantize(Call& c) {
  const ValueId x = c.tensor("self");
  const int64_t low = c.integer("quant_min");
  const DType storage = low < 0 ? DType::kI8 : DType::kU8;
  const Call::Attributes axis = axis_attribute(c, x);
  if (!whole_range(c, storage) && !(low == -127 && c.integer("quant_max") == 127)) {
    return c.refuse("fake quantization to fewer than 8 bits");
  }
  const ValueId s = scale(c), z = zero_point(c, storage);
  c.give(c.emit("DequantizeLinear", {c.emit("QuantizeLinear", {x, s, z}, axis), s, z}, axis));
}

void quantize_to_codes(Call& c) {
  const DType storage = c.dtype("dtype", DType::kU8);
  if (!is_integer(storage)) return c.refuse("quantization to this element type");
  const ValueId x = c.cast(c.tensor("self"), DType::kF32);
  Grid grid{scale(c), zero_point(c, storage), -1};
  if (c.has_param("axis")) grid.axis = c.axis("axis", c.rank(x));
  if (c.status.ok()) c.give(on_grid(c, x, grid));
}

void dequantize_codes(Call& c) {
  if (const ListArg* list = c.arg(c.call.row->schema.params[0].name).get<ListArg>()) {
    ListArg plain;
    for (const Arg& item : *list) {
      const TensorArg* t = item.get<TensorArg>();
      if (t != nullptr) plain.push_back(Arg::tensor(t->id));
    }
    return c.give(Arg(std::move(plain)));
  }
  c.give(c.tensor(c.call.row->schema.params[0].name));
}

// The codes themselves, and where their grid lies.
const Grid* own_grid(Call& c) {
  const Grid* grid = grid_of(c.arg("self"));
  if (grid == nullptr) c.fail(invalid("expected a quantized tensor"));
  return grid;
}
void codes(Call& c) {
  const Grid* grid = own_grid(c);
  if (grid == nullptr) return;
  Call::Attributes axis;
  if (grid->axis >= 0) axis["axis"] = grid->axis;
  c.give(c.emit("QuantizeLinear", {c.tensor("self"), grid->scale, grid->zero_point}, axis));
}
void grid_scale(Call& c) {
  const Grid* grid = own_grid(c);
  if (grid == nullptr) return;
  const Tensor* known = c.graph.constant(grid->scale);
  c.give(known != nullptr ? Arg::of_float(known->to_doubles()->at(0))
                          : Arg(FloatArg{0, grid->scale}));
}
void grid_zero_point(Call& c) {
  const Grid* grid = own_grid(c);
  if (grid == nullptr) return;
  const ValueId wide = c.cast(grid->zero_point, DType::kI64);
  c.give(Arg(c.int_of(wide)));
}

// A grid for the input's extremes: x = (code - zero point) * scale.
void choose_qparams(Call& c) {
  const ValueId x = c.cast(c.tensor("input"), DType::kF32);
  const double low = c.real("quant_min"), high = c.real("quant_max");
  const ValueId none = c.number(0, DType::kF32);
  const auto extreme = [&](const char* reduce, const char* with) {
    return c.binary(with, c.emit(reduce, {x}, {{"keepdims", int64_t{0}}}), none);
  };
  const ValueId least = extreme("ReduceMin", "Min"), most = extreme("ReduceMax", "Max");
  const auto number = [&](double v) { return c.number(v, DType::kF32); };
  const bool symmetric = c.op().find("symmetric") != std::string::npos;
  ValueId s = kNoValue, z = kNoValue;
  if (symmetric) {
    const ValueId largest = c.binary("Max", most, c.unary("Neg", least));
    s = c.binary("Div", largest, number((high - low) / 2));
  } else {
    s = c.binary("Div", c.binary("Sub", most, least), number(high - low));
  }
  s = c.binary("Max", s, number(c.real("eps")));
  z = symmetric ? number(low < 0 ? 0 : std::ceil((low + high) / 2))
                : c.emit("Clip",
                         {c.binary("Sub", number(low), c.unary("Round", c.binary("Div", least, s))),
                          number(low), number(high)});
  c.give(c.cast(s, DType::kF64));
  c.give(c.cast(z, DType::kI64));
}

}  // namespace

std::vector<RowText> quantized_rows() {
  return {
      {"quantized_decomposed::quantize_per_tensor(Tensor input, float scale, int zero_point, int "
       "quant_min, int quant_max, ScalarType dtype) -> Tensor",
       "QuantizeLinear", quantize},
      {"quantized_decomposed::quantize_per_tensor.tensor(Tensor input, Tensor scale, Tensor "
       "zero_point, int quant_min, int quant_max, ScalarType dtype) -> Tensor",
       "QuantizeLinear", quantize},
      {"quantized_decomposed::quantize_per_tensor.tensor2(Tensor input, Tensor scale, Tensor "
       "zero_point, Scalar quant_min, Scalar quant_max, ScalarType dtype) -> Tensor",
       "QuantizeLinear", quantize},
      {"quantized_decomposed::dequantize_per_tensor(Tensor input, float scale, int zero_point, int "
       "quant_min, int quant_max, ScalarType dtype, *, ScalarType? out_dtype=None) -> Tensor",
       "DequantizeLinear", dequantize},
      {"quantized_decomposed::dequantize_per_tensor.tensor(Tensor input, Tensor scale, Tensor "
       "zero_point, int quant_min, int quant_max, ScalarType dtype, *, ScalarType? "
       "out_dtype=None) -> Tensor",
       "DequantizeLinear", dequantize},
      {"quantized_decomposed::dequantize_per_tensor.tensor2(Tensor input, Tensor scale, Tensor "
       "zero_point, Scalar quant_min, Scalar quant_max, ScalarType dtype, *, ScalarType? "
       "out_dtype=None) -> Tensor",
       "DequantizeLinear", dequantize},
      {"quantized_decomposed::quantize_per_channel(Tensor input, Tensor scales, Tensor "
       "zero_points, int axis, int quant_min, int quant_max, ScalarType dtype) -> Tensor",
       "QuantizeLinear", quantize},
      {"quantized_decomposed::dequantize_per_channel(Tensor input, Tensor scales, Tensor? "
       "zero_points, int axis, int quant_min, int quant_max, ScalarType dtype, *, ScalarType? "
       "out_dtype=None) -> Tensor",
       "DequantizeLinear", dequantize},
      {"fake_quantize_per_tensor_affine(Tensor self, float scale, int zero_point, int quant_min, "
       "int quant_max) -> Tensor",
       "QuantizeLinear, DequantizeLinear", fake_quantize},
      {"fake_quantize_per_channel_affine(Tensor self, Tensor scale, Tensor zero_point, int axis, "
       "int quant_min, int quant_max) -> Tensor",
       "QuantizeLinear, DequantizeLinear", fake_quantize},
      {"quantized_decomposed::choose_qparams.tensor(Tensor input, int quant_min, int quant_max, "
       "float eps, ScalarType dtype) -> (Tensor, Tensor)",
       "ReduceMin, ReduceMax, Div, Round", choose_qparams},
      {"quantized_decomposed::choose_qparams_symmetric.tensor(Tensor input, int quant_min, int "
       "quant_max, float eps, ScalarType dtype) -> (Tensor, Tensor)",
       "ReduceMin, ReduceMax, Div", choose_qparams},
      {"quantize_per_tensor(Tensor self, float scale, int zero_point, ScalarType dtype) -> Tensor",
       "QuantizeLinear, DequantizeLinear", quantize_to_codes},
      {"quantize_per_tensor.tensor_qparams(Tensor self, Tensor scale, Tensor zero_point, "
       "ScalarType dtype) -> Tensor",
       "QuantizeLinear, DequantizeLinear", quantize_to_codes},
      {"quantize_per_channel(Tensor self, Tensor scales, Tensor zero_points, int axis, ScalarType "
       "dtype) -> Tensor",
       "QuantizeLinear, DequantizeLinear", quantize_to_codes},
      {"dequantize.self(Tensor self) -> Tensor", "none", dequantize_codes},
      {"dequantize.tensors(Tensor[] tensors) -> Tensor[]", "none", dequantize_codes},
      {"int_repr(Tensor self) -> Tensor", "QuantizeLinear", codes},
      {"q_scale(Tensor self) -> float", "none", grid_scale},
      {"q_zero_point(Tensor self) -> int", "none", grid_zero_point},
  };
}

void keep_grid(Call& c) {
  const Grid* grid = first_grid(c);
  const std::string& op = c.op();
  if (grid == nullptr || !c.status.ok() || op == "aten::dequantize") return;
  // Those of 0…1 and -1…1 have grids of their own.
  Grid onto = *grid;
  const bool with_sign = is_signed_integer(storage_of(c, *grid));
  if (op == "aten::sigmoid" || op == "aten::hardsigmoid") {
    onto = constant_grid(c, 1.0 / 256, with_sign ? -128 : 0, storage_of(c, *grid));
  } else if (op == "aten::tanh") {
    onto = constant_grid(c, 1.0 / 128, with_sign ? 0 : 128, storage_of(c, *grid));
  }
  const bool view = c.call.row->schema.params[0].view;
  const auto keep = [&](Arg& result) {
    const TensorArg* t = result.get<TensorArg>();
    if (t == nullptr || t->quantized() || c.dtype_of(t->id) != DType::kF32) return;
    result = view ? TensorArg{t->id, t->complex, onto} : on_grid(c, t->id, onto);
  };
  for (Arg& result : c.results) {
    keep(result);
    const ListArg* list = result.get<ListArg>();
    if (list == nullptr) continue;
    ListArg items = *list;
    for (Arg& item : items) keep(item);
    result = Arg(std::move(items));
  }
}

}  // namespace mnn::torch
