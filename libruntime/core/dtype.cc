#include "libruntime/core/dtype.h"

#include <array>

namespace mnn {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  int bits;
};

constexpr std::array<Row, 29> kRows = {{
    {DType::kF32, "f32", 32},
    {DType::kU8, "u8", 8},
    {DType::kI8, "i8", 8},
    {DType::kU16, "u16", 16},
    {DType::kI16, "i16", 16},
    {DType::kI32, "i32", 32},
    {DType::kI64, "i64", 64},
    {DType::kString, "str", 0},
    {DType::kBool, "bool", 8},
    {DType::kF16, "f16", 16},
    {DType::kF64, "f64", 64},
    {DType::kU32, "u32", 32},
    {DType::kU64, "u64", 64},
    {DType::kC64, "c64", 64},
    {DType::kC128, "c128", 128},
    {DType::kBF16, "bf16", 16},
    {DType::kF8E4M3FN, "f8e4m3fn", 8},
    {DType::kF8E4M3FNUZ, "f8e4m3fnuz", 8},
    {DType::kF8E5M2, "f8e5m2", 8},
    {DType::kF8E5M2FNUZ, "f8e5m2fnuz", 8},
    {DType::kU4, "u4", 4},
    {DType::kI4, "i4", 4},
    {DType::kF4E2M1, "f4e2m1", 4},
    {DType::kF8E8M0, "f8e8m0", 8},
    {DType::kU2, "u2", 2},
    {DType::kI2, "i2", 2},
    {DType::kU3, "u3", 3},
    {DType::kU5, "u5", 5},
    {DType::kU6, "u6", 6},
}};

const Row* find_row(DType dtype) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype) return &row;
  }
  return nullptr;
}

}  // namespace

std::string_view dtype_name(DType dtype) {
  const Row* row = find_row(dtype);
  return row ? row->name : "undefined";
}

std::optional<DType> parse_dtype(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

int dtype_bits(DType dtype) {
  const Row* row = find_row(dtype);
  return row ? row->bits : 0;
}

bool is_float(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kF64:
    case DType::kF16:
    case DType::kBF16:
    case DType::kF8E4M3FN:
    case DType::kF8E4M3FNUZ:
    case DType::kF8E5M2:
    case DType::kF8E5M2FNUZ:
    case DType::kF8E8M0:
    case DType::kF4E2M1: return true;
    default: return false;
  }
}

bool is_signed_integer(DType dtype) {
  switch (dtype) {
    case DType::kI8:
    case DType::kI16:
    case DType::kI32:
    case DType::kI64:
    case DType::kI4:
    case DType::kI2: return true;
    default: return false;
  }
}

bool is_integer(DType dtype) {
  switch (dtype) {
    case DType::kU8:
    case DType::kU16:
    case DType::kU32:
    case DType::kU64:
    case DType::kU4:
    case DType::kU2:
    case DType::kU3:
    case DType::kU5:
    case DType::kU6: return true;
    default: return is_signed_integer(dtype);
  }
}

uint16_t float_to_half_bits(float value) {
  const uint32_t u = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((u >> 16) & 0x8000u);
  const uint32_t magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);   // NaN
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // rounds to infinity
  if (magnitude < 0x38800000u) {
    // Subnormal half: adding 0.5 lets the float unit round the kept bits to nearest even.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u;
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

float half_bits_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t fraction = bits & 0x3ffu;
  if (exponent == 0) {
    const float subnormal = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(subnormal) | sign);
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (fraction << 13));
}

}  // namespace mnn
