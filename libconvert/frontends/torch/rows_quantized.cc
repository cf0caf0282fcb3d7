// Quantized tensors: PT2E's pairs of quantize and dequantize, TorchScript's tensors of codes and
// the operators of torch.ao on packed weights. `fold_qdq` makes QuantParams of all of them.
#include <algorithm>
#include <cmath>
#include <limits>

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

// The numbers as the type; an error where one does not fit.
Result<Tensor> with_type(const Tensor& numbers, DType dtype) {
  MNN_ASSIGN_OR_RETURN(const std::vector<double> values, numbers.to_doubles());
  MNN_ASSIGN_OR_RETURN(Tensor made, Tensor::allocate(dtype, numbers.dims()));
  bool fits = true;
  const auto fill = [&]<typename T>(T* to) {
    for (size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_integral_v<T>) {
        fits &= values[i] >= std::numeric_limits<T>::min() &&
                values[i] <= std::numeric_limits<T>::max();
        to[i] = fits ? static_cast<T>(values[i]) : T{};
      } else {
        to[i] = static_cast<T>(values[i]);
      }
    }
  };
  switch (dtype) {
    case DType::kU8: fill(made.data<uint8_t>()); break;
    case DType::kI8: fill(made.data<int8_t>()); break;
    case DType::kI32: fill(made.data<int32_t>()); break;
    case DType::kF32: fill(made.data<float>()); break;
    default: return unsupported("codes of the type " + std::string(dtype_name(dtype)));
  }
  if (!fits) return invalid("the zero point of a quantized tensor is none of its type");
  return made;
}

DType storage_of(Call& c, const Grid& grid) { return c.dtype_of(grid.zero_point); }

const Grid* first_grid(const Call& c) {
  const auto& params = c.call.row->schema.params;
  for (size_t i = 0; i < params.size(); ++i) {
    const Grid* grid = params[i].kind == ParamKind::kTensor ? grid_of(c.call.values[i]) : nullptr;
    if (grid != nullptr) return grid;
  }
  return nullptr;
}

ValueId on_dynamic_grid(Call& c, ValueId x) {
  const std::vector<ValueId> q = c.emit_n("DynamicQuantizeLinear", {x}, 3);
  if (!c.status.ok()) return kNoValue;
  const auto real = [&](ValueId id) { return c.cast(id, DType::kF32); };
  return c.binary("Mul", c.binary("Sub", real(q[0]), real(q[2])), q[1]);
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

// A constant stays one.
ValueId typed(Call& c, ValueId id, DType dtype) {
  const Tensor* constant = c.graph.constant(id);
  if (constant == nullptr || constant->dtype() == dtype) return c.cast(id, dtype);
  Result<Tensor> made = with_type(*constant, dtype);
  if (made.ok()) return c.add_constant(std::move(made).value());
  c.fail(made.status());
  return kNoValue;
}

// Scale and zero point: of one element without dims, or one an index along the axis.
ValueId shaped(Call& c, ValueId id) {
  return c.has_param("axis") || !c.status.ok() ? id : c.reshape(id, {});
}
ValueId zero_point(Call& c, DType storage) {
  const char* name = c.has_param("zero_point") ? "zero_point" : "zero_points";
  if (c.none(name)) return kNoValue;
  const IntArg* n = c.arg(name).get<IntArg>();
  if (n == nullptr || !n->known()) return shaped(c, typed(c, c.tensor(name), storage));
  Result<Tensor> made = with_type(Tensor::scalar(n->value), storage);
  if (made.ok()) return c.add_constant(std::move(made).value());
  c.fail(made.status());
  return kNoValue;
}
ValueId scale(Call& c) {
  const std::string_view name = c.has_param("scale") ? "scale" : "scales";
  const FloatArg* n = c.arg(name).get<FloatArg>();
  if (n != nullptr && n->known()) return c.number(n->value, DType::kF32);
  return shaped(c, typed(c, c.tensor(name), DType::kF32));
}

// How codes are made of numbers.
struct Parameters {
  ValueId scale, zero_point;
  Call::Attributes axis;
  int64_t low = 0, high = 0;  // of the codes
  bool whole = true;          // they use all of their type
};
Parameters parameters(Call& c, ValueId x, DType storage) {
  Parameters p{scale(c), zero_point(c, storage), {}};
  if (c.has_param("axis")) p.axis["axis"] = c.axis("axis", c.rank(x));
  p.low = c.integer("quant_min");
  p.high = c.integer("quant_max");
  const int bits = dtype_bits(storage);
  const bool with_sign = is_signed_integer(storage);
  p.whole = p.low == (with_sign ? -(int64_t{1} << (bits - 1)) : 0) &&
            p.high == (with_sign ? (int64_t{1} << (bits - 1)) : int64_t{1} << bits) - 1;
  return p;
}

// x as far as codes of less than their type reach (-127…127, 0…127), which a pair of nodes then
// needs no limit for.
ValueId limited(Call& c, ValueId x, const Parameters& p) {
  if (p.whole || !c.status.ok()) return x;
  std::vector<int64_t> dims;
  if (!p.axis.empty()) {
    dims.assign(c.rank(x), 1);
    dims[static_cast<size_t>(c.axis("axis", c.rank(x)))] = -1;
  }
  const ValueId s = c.emit("Reshape", {p.scale, c.add_ints(dims)});
  const auto bound = [&](int64_t code) {
    ValueId steps = c.number(static_cast<double>(code), DType::kF32);
    if (p.zero_point != kNoValue) {
      const ValueId zero = c.cast(p.zero_point, DType::kF32);
      steps = c.binary("Sub", steps, c.emit("Reshape", {zero, c.add_ints(dims)}));
    }
    return c.binary("Mul", steps, s);
  };
  return c.binary("Min", c.binary("Max", x, bound(p.low)), bound(p.high));
}

// PT2E: numbers to codes and back. Parameters that a run computes are no annotation: arithmetic.
void quantize(Call& c) {
  const ValueId x = c.cast(c.tensor("input"), DType::kF32);
  const DType storage = c.dtype("dtype", DType::kI8);
  if (!is_integer(storage) || dtype_bits(storage) > 16)
    return c.refuse("quantization to this element type");
  const Parameters p = parameters(c, x, storage);
  if (!c.status.ok()) return;
  if (c.graph.constant(p.scale) != nullptr || !p.axis.empty()) {
    std::vector<ValueId> in = {limited(c, x, p), p.scale};
    if (p.zero_point != kNoValue) in.push_back(p.zero_point);
    return c.give(c.emit("QuantizeLinear", in, p.axis));
  }
  ValueId y = c.unary("Round", c.binary("Div", x, p.scale));
  if (p.zero_point != kNoValue) y = c.binary("Add", y, c.cast(p.zero_point, DType::kF32));
  const auto number = [&](int64_t v) { return c.number(static_cast<double>(v), DType::kF32); };
  c.give(c.cast(c.emit("Clip", {y, number(p.low), number(p.high)}), storage));
}

void dequantize(Call& c) {
  const ValueId x = c.tensor("input");
  const Parameters p = parameters(c, x, c.dtype_of(x));
  if (!c.status.ok()) return;
  ValueId y = kNoValue;
  if (c.graph.constant(p.scale) != nullptr || !p.axis.empty()) {
    std::vector<ValueId> in = {x, p.scale};
    if (p.zero_point != kNoValue) in.push_back(p.zero_point);
    y = c.emit("DequantizeLinear", in, p.axis);
  } else {
    y = c.cast(x, DType::kF32);
    if (p.zero_point != kNoValue) y = c.binary("Sub", y, c.cast(p.zero_point, DType::kF32));
    y = c.binary("Mul", y, p.scale);
  }
  c.give(c.has_param("out_dtype") ? c.cast(y, c.dtype("out_dtype", DType::kF32)) : y);
}

void fake_quantize(Call& c) {
  const ValueId x = c.tensor("self");
  const int64_t low = c.integer("quant_min"), high = c.integer("quant_max");
  const DType storage = low < 0 ? DType::kI8 : DType::kU8;
  if (low < (low < 0 ? -128 : 0) || high > (low < 0 ? 127 : 255) || low >= high) {
    return c.refuse("fake quantization to more than 8 bits");
  }
  const Parameters p = parameters(c, x, storage);
  std::vector<ValueId> in = {limited(c, x, p), p.scale};
  if (p.zero_point != kNoValue) in.push_back(p.zero_point);
  in[0] = c.emit("QuantizeLinear", in, p.axis);
  c.give(c.emit("DequantizeLinear", in, p.axis));
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
  if (!(low < high)) return c.fail(invalid("no codes between quant_min and quant_max"));
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
  c.give(c.expand_dims(c.cast(s, DType::kF64), {0}));
  c.give(c.expand_dims(c.cast(z, DType::kI64), {0}));
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
