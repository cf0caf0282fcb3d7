#include "libruntime/core/quant.h"

#include <limits>

namespace mnn {
namespace {

// Calls f(element index, channel) for every element.
template <typename F>
void for_each_channel(const Tensor& t, size_t axis, F&& f) {
  int64_t inner = 1;
  for (size_t d = axis + 1; d < t.rank(); ++d) inner *= t.dims()[d];
  const int64_t channels = t.dims()[axis];
  for (int64_t i = 0; i < t.elements(); ++i) f(i, static_cast<size_t>(i / inner % channels));
}

// Calls f(element index, scale index) for every element.
template <typename F>
Status for_each_element(const Tensor& t, const QuantParams& p, F&& f) {
  if (p.scale.empty() || p.scale.size() != p.zero_point.size()) {
    return invalid("quantization has " + std::to_string(p.scale.size()) + " scales and " +
                   std::to_string(p.zero_point.size()) + " zero points");
  }
  if (p.axis < 0) {
    for (int64_t i = 0; i < t.elements(); ++i) f(i, size_t{0});
    return {};
  }
  if (static_cast<size_t>(p.axis) >= t.rank() ||
      t.dims()[static_cast<size_t>(p.axis)] != static_cast<int64_t>(p.scale.size())) {
    return invalid("quantization axis " + std::to_string(p.axis) + " with " +
                   std::to_string(p.scale.size()) + " scales does not fit " + t.type_str());
  }
  for_each_channel(t, static_cast<size_t>(p.axis), f);
  return {};
}

}  // namespace

QuantRange quant_range(DType storage) {
  switch (storage) {
    case DType::kU8: return {0, 255};
    case DType::kI8: return {-128, 127};
    default: return {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
  }
}

Result<Tensor> quantize_tensor(const Tensor& real, const QuantParams& params) {
  if (real.dtype() != DType::kF32) return invalid("cannot quantize " + real.type_str());
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(params.storage, real.dims()));
  const QuantRange range = quant_range(params.storage);
  const float* x = real.data<float>();
  auto fill = [&]<typename T>() {
    T* y = out.data<T>();
    return for_each_element(real, params, [&](int64_t i, size_t c) {
      y[i] = static_cast<T>(quantize_one(x[i], params.scale[c], params.zero_point[c], range));
    });
  };
  switch (params.storage) {
    case DType::kU8: MNN_RETURN_IF_ERROR(fill.operator()<uint8_t>()); break;
    case DType::kI8: MNN_RETURN_IF_ERROR(fill.operator()<int8_t>()); break;
    case DType::kI32: MNN_RETURN_IF_ERROR(fill.operator()<int32_t>()); break;
    default: return unsupported("quantized storage " + std::string(dtype_name(params.storage)));
  }
  return out;
}

Result<Tensor> dequantize_tensor(const Tensor& stored, const QuantParams& params) {
  if (stored.dtype() != params.storage) {
    return invalid("expected stored type " + std::string(dtype_name(params.storage)) + ", found " +
                   stored.type_str());
  }
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(DType::kF32, stored.dims()));
  float* y = out.data<float>();
  auto fill = [&]<typename T>() {
    const T* x = stored.data<T>();
    return for_each_element(stored, params, [&](int64_t i, size_t c) {
      y[i] =
          static_cast<float>(static_cast<int64_t>(x[i]) - params.zero_point[c]) * params.scale[c];
    });
  };
  switch (params.storage) {
    case DType::kU8: MNN_RETURN_IF_ERROR(fill.operator()<uint8_t>()); break;
    case DType::kI8: MNN_RETURN_IF_ERROR(fill.operator()<int8_t>()); break;
    case DType::kI32: MNN_RETURN_IF_ERROR(fill.operator()<int32_t>()); break;
    default: return unsupported("quantized storage " + std::string(dtype_name(params.storage)));
  }
  return out;
}

Result<Tensor> round_to_grid(const Tensor& real, const QuantParams& params) {
  MNN_ASSIGN_OR_RETURN(const Tensor stored, quantize_tensor(real, params));
  return dequantize_tensor(stored, params);
}

Result<Tensor> without_smoothing(const Tensor& t, const ChannelDivisors& smoothing) {
  if (t.dtype() != DType::kF32) return invalid("smoothing is for f32, found " + t.type_str());
  const auto rank = static_cast<int64_t>(t.rank());
  const int64_t axis = smoothing.axis < 0 ? smoothing.axis + rank : smoothing.axis;
  if (axis < 0 || axis >= rank ||
      t.dims()[static_cast<size_t>(axis)] != static_cast<int64_t>(smoothing.divisors.size())) {
    return invalid(std::to_string(smoothing.divisors.size()) + " divisors along axis " +
                   std::to_string(smoothing.axis) + " do not fit " + t.type_str());
  }
  MNN_ASSIGN_OR_RETURN(Tensor out, t.clone());
  float* y = out.data<float>();
  for_each_channel(out, static_cast<size_t>(axis),
                   [&](int64_t i, size_t c) { y[i] *= smoothing.divisors[c]; });
  return out;
}

Result<Tensor> constant_as_real(const Value& value) {
  if (!value.quant) return value.data;
  return dequantize_tensor(value.data, *value.quant);
}

}  // namespace mnn
