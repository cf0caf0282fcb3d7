// Element types. The numbers are ONNX TensorProto.DataType's (onnx.proto), so attributes such as
// Cast's `to` need no translation.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace mnn {

enum class DType : uint8_t {
  kUndefined = 0,
  kF32 = 1,
  kU8 = 2,
  kI8 = 3,
  kU16 = 4,
  kI16 = 5,
  kI32 = 6,
  kI64 = 7,
  kString = 8,
  kBool = 9,
  kF16 = 10,
  kF64 = 11,
  kU32 = 12,
  kU64 = 13,
  kC64 = 14,
  kC128 = 15,
  kBF16 = 16,
  kF8E4M3FN = 17,
  kF8E4M3FNUZ = 18,
  kF8E5M2 = 19,
  kF8E5M2FNUZ = 20,
  kU4 = 21,
  kI4 = 22,
  kF4E2M1 = 23,
  kF8E8M0 = 24,
  kU2 = 25,
  kI2 = 26,
  // Ours, for quantized weights only: no operator computes with them.
  kU3 = 128,
  kU5 = 129,
  kU6 = 130,
};
// The last of ONNX's types: what an attribute or a file of others may name.
inline constexpr DType kLastOnnxType = DType::kI2;

// "f32", "u8", "i64", "bool", "str", "f16", "bf16", "f8e4m3fn", "u4", …; "undefined" for others.
std::string_view dtype_name(DType dtype);
std::optional<DType> parse_dtype(std::string_view name);
// Bits of one element as stored: types narrower than a byte are packed, low bits first
// (core/packed.h). 0 for kString and kUndefined, and for numbers that are no type.
int dtype_bits(DType dtype);
bool is_float(DType dtype);    // f16, bf16, f32, f64 and the 8- and 4-bit floats
bool is_integer(DType dtype);  // signed or unsigned of any width; bool is not one
bool is_signed_integer(DType dtype);

// IEEE 754 binary16 and bfloat16 as storage: converted to float, round to nearest even.
uint16_t float_to_half_bits(float value);
float half_bits_to_float(uint16_t bits);
inline uint16_t float_to_bfloat16_bits(float value) {
  const uint32_t u = std::bit_cast<uint32_t>(value);
  if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((u >> 16) | 0x40u);
  return static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}
inline float bfloat16_bits_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

struct Half {
  uint16_t bits = 0;
  Half() = default;
  explicit Half(float value) : bits(float_to_half_bits(value)) {}
  explicit operator float() const { return half_bits_to_float(bits); }
};
struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  explicit BFloat16(float value) : bits(float_to_bfloat16_bits(value)) {}
  explicit operator float() const { return bfloat16_bits_to_float(bits); }
};

// The type reference kernels compute in: double for every float, the type itself for integers.
template <typename T>
struct ComputeType {
  using type = std::conditional_t<std::is_integral_v<T>, T, double>;
};
template <typename T>
using compute_t = typename ComputeType<T>::type;

template <typename T>
inline compute_t<T> load_as_compute(T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return static_cast<double>(static_cast<float>(value));
  } else {
    return static_cast<compute_t<T>>(value);
  }
}
template <typename T>
inline T store_from_compute(compute_t<T> value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return T(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

template <typename T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::kF32;
  if constexpr (std::is_same_v<T, double>) return DType::kF64;
  if constexpr (std::is_same_v<T, Half>) return DType::kF16;
  if constexpr (std::is_same_v<T, BFloat16>) return DType::kBF16;
  if constexpr (std::is_same_v<T, bool>) return DType::kBool;
  if constexpr (std::is_same_v<T, int8_t>) return DType::kI8;
  if constexpr (std::is_same_v<T, int16_t>) return DType::kI16;
  if constexpr (std::is_same_v<T, int32_t>) return DType::kI32;
  if constexpr (std::is_same_v<T, int64_t>) return DType::kI64;
  if constexpr (std::is_same_v<T, uint8_t>) return DType::kU8;
  if constexpr (std::is_same_v<T, uint16_t>) return DType::kU16;
  if constexpr (std::is_same_v<T, uint32_t>) return DType::kU32;
  if constexpr (std::is_same_v<T, uint64_t>) return DType::kU64;
  return DType::kUndefined;
}

// Calls f.template operator()<T>() for the C++ type of `dtype` and returns true; false when
// `dtype` is not in the list. Usage: dispatch_numeric(t, [&]<typename T>() { … }).
template <typename F>
bool dispatch_float(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kF32: f.template operator()<float>(); return true;
    case DType::kF64: f.template operator()<double>(); return true;
    case DType::kF16: f.template operator()<Half>(); return true;
    case DType::kBF16: f.template operator()<BFloat16>(); return true;
    default: return false;
  }
}
template <typename F>
bool dispatch_integer(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kI8: f.template operator()<int8_t>(); return true;
    case DType::kI16: f.template operator()<int16_t>(); return true;
    case DType::kI32: f.template operator()<int32_t>(); return true;
    case DType::kI64: f.template operator()<int64_t>(); return true;
    case DType::kU8: f.template operator()<uint8_t>(); return true;
    case DType::kU16: f.template operator()<uint16_t>(); return true;
    case DType::kU32: f.template operator()<uint32_t>(); return true;
    case DType::kU64: f.template operator()<uint64_t>(); return true;
    default: return false;
  }
}
template <typename F>
bool dispatch_numeric(DType dtype, F&& f) {
  return dispatch_float(dtype, f) || dispatch_integer(dtype, f);
}
// Numeric types and bool.
template <typename F>
bool dispatch_plain(DType dtype, F&& f) {
  if (dtype == DType::kBool) {
    f.template operator()<bool>();
    return true;
  }
  return dispatch_numeric(dtype, f);
}

}  // namespace mnn
