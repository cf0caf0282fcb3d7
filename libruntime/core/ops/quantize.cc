// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
#include <algorithm>
#include <cmath>

#include "libruntime/core/ops/convert.h"
#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// Which scale an element has: index = (o * scales_along + i / block) * inner_scales + j.
struct Granularity {
  int64_t outer = 1, along = 1, inner = 1;
  int64_t block = 1;         // elements along the axis that share a scale
  int64_t scales_along = 1;  // scales along the axis
  bool per_tensor = false;
  bool blocked = false;

  int64_t scale_index(int64_t o, int64_t i, int64_t j) const {
    if (per_tensor) return 0;
    if (!blocked) return i;
    return (o * scales_along + i / block) * inner + j;
  }
};

Result<Granularity> granularity(const AttributeReader& c, const std::vector<int64_t>& dims,
                                const std::vector<int64_t>& scale_dims) {
  Granularity g;
  const int64_t block = c.attr_int("block_size");
  const std::string found =
      "scale " + shape_str(to_shape(scale_dims)) + " does not fit " + shape_str(to_shape(dims));
  if (block < 0) return invalid("block_size is negative: " + std::to_string(block));
  if (block == 0 && checked_elements(scale_dims).value_or(0) == 1) {
    g.per_tensor = true;
    g.inner = checked_elements(dims).value_or(0);
    return g;
  }
  if (dims.empty()) return invalid(found);
  const bool only_axis = block == 0 && dims.size() == 1;
  MNN_ASSIGN_OR_RETURN(const size_t axis,
                       only_axis ? Result<size_t>(size_t{0}) : c.attr_axis("axis", dims.size()));
  g.outer = product(dims, 0, axis);
  g.along = dims[axis];
  g.inner = product(dims, axis + 1, dims.size());
  if (block == 0 && scale_dims.size() == 1) {
    if (scale_dims[0] != g.along) return invalid(found + " along axis " + std::to_string(axis));
    return g;
  }
  if (scale_dims.size() != dims.size() || block == 0) return invalid(found);
  g.blocked = true;
  g.block = block;
  g.scales_along = scale_dims[axis];
  for (size_t d = 0; d < dims.size(); ++d) {
    const int64_t expected = d == axis ? dims[d] / block + (dims[d] % block != 0) : dims[d];
    if (scale_dims[d] != expected) {
      return invalid(found + " in blocks of " + std::to_string(block) + " along axis " +
                     std::to_string(axis));
    }
  }
  return g;
}

// f(element index, scale index) for every element.
template <typename F>
void for_each_scaled(const Granularity& g, F&& f) {
  int64_t e = 0;
  for (int64_t o = 0; o < g.outer; ++o) {
    for (int64_t i = 0; i < g.along; ++i) {
      for (int64_t j = 0; j < g.inner; ++j) {
        f(static_cast<size_t>(e), static_cast<size_t>(g.scale_index(o, i, j)));
        ++e;
      }
    }
  }
}

Status check_scale_shapes(const OpContext& c) {
  if (c.has_input(2) && c.in[1].is_static() && c.in[2].is_static() &&
      num_elements(*c.in[1].shape).value() != num_elements(*c.in[2].shape).value()) {
    return invalid("scale and zero point must have one shape, found " + c.in[1].str() + " and " +
                   c.in[2].str());
  }
  if (!is_float(c.in[1].dtype)) return invalid("scale: expected floats, found " + c.in[1].str());
  if (c.in[0].is_static() && c.in[1].is_static()) {
    MNN_RETURN_IF_ERROR(
        granularity(c, known_dims(*c.in[0].shape), known_dims(*c.in[1].shape)).status());
  }
  return {};
}

Result<DType> type_attribute(const AttributeReader& c, std::string_view name, DType otherwise) {
  const int64_t value = c.attr_int(name);
  if (value == 0) return otherwise;
  if (value < 0 || value > static_cast<int64_t>(kLastOnnxType)) {
    return invalid(std::string(name) + ": " + std::to_string(value) + " is no element type");
  }
  return static_cast<DType>(value);
}

// All elements of any numeric type as double; 64-bit integers do not occur here.
Result<std::vector<double>> wide_values(const Tensor& t) {
  MNN_ASSIGN_OR_RETURN(const Tensor wide, convert_elements(t, DType::kF64));
  return wide.to_doubles();
}

double round_to_type(double value, DType dtype) {
  switch (dtype) {
    case DType::kF64: return value;
    case DType::kF16:
      return static_cast<double>(static_cast<float>(Half(round_to_odd_float(value))));
    case DType::kBF16:
      return static_cast<double>(static_cast<float>(BFloat16(round_to_odd_float(value))));
    default: return static_cast<double>(static_cast<float>(value));
  }
}

// ---- QuantizeLinear ----

Status infer_quantize(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(DType to, type_attribute(c, "output_dtype", DType::kUndefined));
  if (c.has_input(2)) {
    if (to != DType::kUndefined && to != c.in[2].dtype) {
      return invalid("output_dtype is " + std::string(dtype_name(to)) + ", the zero point's type " +
                     std::string(dtype_name(c.in[2].dtype)));
    }
    to = c.in[2].dtype;
  }
  if (to == DType::kUndefined) to = DType::kU8;
  if (!is_integer(to) && !(is_float(to) && dtype_bits(to) <= 8)) {
    return invalid("cannot quantize to " + std::string(dtype_name(to)));
  }
  MNN_RETURN_IF_ERROR(check_scale_shapes(c));
  set_output(c, 0, to, c.in[0].shape);
  return {};
}

Status reference_quantize(KernelContext& c) {
  const Tensor &x = *c.in[0], &scale = *c.in[1];
  MNN_ASSIGN_OR_RETURN(const Granularity g, granularity(c, x.dims(), scale.dims()));
  MNN_ASSIGN_OR_RETURN(const std::vector<double> values, wide_values(x));
  MNN_ASSIGN_OR_RETURN(const std::vector<double> scales, wide_values(scale));
  std::vector<double> zero(scales.size(), 0.0);
  if (c.has_input(2)) {
    MNN_ASSIGN_OR_RETURN(zero, wide_values(*c.in[2]));
    if (zero.size() != scales.size()) return invalid("scale and zero point must have one shape");
  }
  MNN_ASSIGN_OR_RETURN(const DType precision, type_attribute(c, "precision", scale.dtype()));
  const DType to = c.types[0].dtype;
  MNN_ASSIGN_OR_RETURN(Tensor codes, Tensor::allocate(DType::kF64, x.dims()));
  double* out = codes.data<double>();
  const bool to_integer = is_integer(to);
  const IntegerRange range = to_integer ? integer_range(to) : IntegerRange{0, 0};
  for_each_scaled(g, [&](size_t e, size_t s) {
    const double scaled = round_to_type(
        round_to_type(values[e], precision) / round_to_type(scales[s], precision), precision);
    if (!to_integer) {
      out[e] = scaled + zero[s];
    } else if (std::isnan(scaled)) {
      out[e] = zero[s];
    } else {
      out[e] = std::clamp(std::nearbyint(scaled) + zero[s], static_cast<double>(range.low),
                          static_cast<double>(range.high));
    }
  });
  MNN_ASSIGN_OR_RETURN(c.out[0], convert_elements(codes, to, c.attr_int("saturate") != 0));
  return {};
}

// ---- DequantizeLinear ----

Status infer_dequantize(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(const DType to, type_attribute(c, "output_dtype", c.in[1].dtype));
  if (!is_float(to)) return invalid("cannot dequantize to " + std::string(dtype_name(to)));
  if (c.has_input(2) && c.in[2].dtype != c.in[0].dtype) {
    return invalid("zero point: expected " + std::string(dtype_name(c.in[0].dtype)) + ", found " +
                   c.in[2].str());
  }
  MNN_RETURN_IF_ERROR(check_scale_shapes(c));
  set_output(c, 0, to, c.in[0].shape);
  return {};
}

Status reference_dequantize(KernelContext& c) {
  const Tensor &x = *c.in[0], &scale = *c.in[1];
  MNN_ASSIGN_OR_RETURN(const Granularity g, granularity(c, x.dims(), scale.dims()));
  MNN_ASSIGN_OR_RETURN(const std::vector<double> values, wide_values(x));
  MNN_ASSIGN_OR_RETURN(const std::vector<double> scales, wide_values(scale));
  std::vector<double> zero(scales.size(), 0.0);
  if (c.has_input(2)) {
    MNN_ASSIGN_OR_RETURN(zero, wide_values(*c.in[2]));
    if (zero.size() != scales.size()) return invalid("scale and zero point must have one shape");
  }
  const DType to = c.types[0].dtype;
  MNN_ASSIGN_OR_RETURN(Tensor real, Tensor::allocate(DType::kF64, x.dims()));
  double* out = real.data<double>();
  for_each_scaled(
      g, [&](size_t e, size_t s) { out[e] = round_to_type(values[e] - zero[s], to) * scales[s]; });
  MNN_ASSIGN_OR_RETURN(c.out[0], convert_elements(real, to));
  return {};
}

// ---- DynamicQuantizeLinear ----

Status infer_dynamic_quantize(OpContext& c) {
  if (c.in[0].dtype != DType::kF32) return invalid("expected f32, found " + c.in[0].str());
  set_output(c, 0, DType::kU8, c.in[0].shape);
  set_output(c, 1, DType::kF32, Shape{});
  set_output(c, 2, DType::kU8, Shape{});
  return {};
}

Status reference_dynamic_quantize(KernelContext& c) {
  const Tensor& x = *c.in[0];
  float low = 0.0f, high = 0.0f;  // the range always holds 0
  for (const float v : x.span<float>()) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  const float scale = high == low ? 1.0f : (high - low) / 255.0f;
  const float zero = std::clamp(std::nearbyint(0.0f - low / scale), 0.0f, 255.0f);
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0, DType::kU8, x.dims()));
  for (int64_t i = 0; i < x.elements(); ++i) {
    const float q = std::nearbyint(x.data<float>()[i] / scale) + zero;
    y->data<uint8_t>()[i] = std::isnan(q) ? static_cast<uint8_t>(zero)
                                          : static_cast<uint8_t>(std::clamp(q, 0.0f, 255.0f));
  }
  if (c.has_output(1)) c.out[1] = Tensor::scalar(scale);
  if (c.has_output(2)) c.out[2] = Tensor::scalar(static_cast<uint8_t>(zero));
  return {};
}

}  // namespace

std::vector<OpDef> define_quantize() {
  const AttrDef axis{"axis", int64_t{1}}, block{"block_size", int64_t{0}};
  const AttrDef type{"output_dtype", int64_t{0}};
  const AttrDef saturate{"saturate", int64_t{1}}, precision{"precision", int64_t{0}};
  return {
      {"QuantizeLinear",
       2,
       3,
       {},
       {axis, saturate, block, type, precision},
       infer_quantize,
       reference_quantize},
      {"DequantizeLinear", 2, 3, {}, {axis, block, type}, infer_dequantize, reference_dequantize},
      {"DynamicQuantizeLinear",
       1,
       1,
       {},
       {},
       infer_dynamic_quantize,
       reference_dynamic_quantize,
       nullptr,
       1,
       3},
  };
}

}  // namespace mnn
