#include "libruntime/core/storage.h"

#include <algorithm>
#include <array>
#include <limits>

#include "libruntime/core/ops/convert.h"
#include "libruntime/core/packed.h"

namespace mnn {
namespace {

template <typename T>
void unpack_whole(const std::byte* data, int64_t begin, int64_t count, double* codes) {
  const T* x = reinterpret_cast<const T*>(data) + begin;
  for (int64_t i = 0; i < count; ++i) codes[i] = static_cast<double>(x[i]);
}

template <typename T>
void pack_whole(const double* codes, int64_t begin, int64_t count, std::byte* data) {
  T* y = reinterpret_cast<T*>(data) + begin;
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<T>(codes[i]);
}

template <int kBits, bool kSigned>
void unpack_bits(const std::byte* data, int64_t begin, int64_t count, double* codes) {
  constexpr int kHalf = 1 << (kBits - 1);
  for (int64_t i = 0; i < count; ++i) {
    const int code = packed_get(data, kBits, begin + i);
    codes[i] = kSigned && code >= kHalf ? code - 2 * kHalf : code;
  }
}

template <int kBits>
void pack_bits(const double* codes, int64_t begin, int64_t count, std::byte* data) {
  for (int64_t i = 0; i < count; ++i) {
    packed_set(data, kBits, begin + i, static_cast<uint8_t>(static_cast<int>(codes[i])));
  }
}

template <DType kType>
const std::array<double, 256>& small_float_values() {
  static const std::array<double, 256> values = [] {
    std::array<double, 256> all{};
    for (size_t i = 0; i < (kType == DType::kF4E2M1 ? 16u : 256u); ++i) {
      all[i] = small_float_value(kType, static_cast<uint8_t>(i));
    }
    return all;
  }();
  return values;
}

template <DType kType, int kBits>
void unpack_float(const std::byte* data, int64_t begin, int64_t count, double* codes) {
  const auto& values = small_float_values<kType>();
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t code =
        kBits == 8 ? static_cast<uint8_t>(data[begin + i]) : packed_get(data, kBits, begin + i);
    codes[i] = values[code];
  }
}

template <DType kType, int kBits>
void pack_float(const double* codes, int64_t begin, int64_t count, std::byte* data) {
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t code = small_float_code(kType, codes[i], true, RoundMode::kNearest);
    if constexpr (kBits == 8) {
      data[begin + i] = static_cast<std::byte>(code);
    } else {
      packed_set(data, kBits, begin + i, code);
    }
  }
}

template <typename T>
void unpack_half(const std::byte* data, int64_t begin, int64_t count, double* codes) {
  const T* x = reinterpret_cast<const T*>(data) + begin;
  for (int64_t i = 0; i < count; ++i) codes[i] = static_cast<double>(load_as_compute(x[i]));
}

template <typename T>
void pack_half(const double* codes, int64_t begin, int64_t count, std::byte* data) {
  T* y = reinterpret_cast<T*>(data) + begin;
  for (int64_t i = 0; i < count; ++i) y[i] = store_from_compute<T>(static_cast<float>(codes[i]));
}

template <typename T>
constexpr StorageType half(DType dtype, double highest) {
  return {dtype, 16, false, -highest, highest, unpack_half<T>, pack_half<T>};
}

template <typename T>
constexpr StorageType whole(DType dtype) {
  using Limits = std::numeric_limits<T>;
  return {dtype,
          static_cast<int>(8 * sizeof(T)),
          true,
          static_cast<double>(Limits::min()),
          static_cast<double>(Limits::max()),
          unpack_whole<T>,
          pack_whole<T>};
}

template <int kBits, bool kSigned>
constexpr StorageType bits(DType dtype) {
  constexpr int kCodes = 1 << kBits;
  return {dtype,
          kBits,
          true,
          kSigned ? -kCodes / 2 : 0,
          kSigned ? kCodes / 2 - 1 : kCodes - 1,
          unpack_bits<kBits, kSigned>,
          pack_bits<kBits>};
}

template <DType kType, int kBits>
constexpr StorageType small_float(double highest) {
  return {
      kType, kBits, false, -highest, highest, unpack_float<kType, kBits>, pack_float<kType, kBits>};
}

constexpr std::array kRows = {
    whole<int32_t>(DType::kI32),
    half<BFloat16>(DType::kBF16, 3.3895313892515355e38),
    half<Half>(DType::kF16, 65504),
    whole<uint16_t>(DType::kU16),
    whole<int16_t>(DType::kI16),
    whole<uint8_t>(DType::kU8),
    whole<int8_t>(DType::kI8),
    bits<6, false>(DType::kU6),
    bits<5, false>(DType::kU5),
    bits<4, false>(DType::kU4),
    bits<4, true>(DType::kI4),
    bits<3, false>(DType::kU3),
    bits<2, false>(DType::kU2),
    bits<2, true>(DType::kI2),
    small_float<DType::kF8E4M3FN, 8>(448),
    small_float<DType::kF8E5M2, 8>(57344),
    small_float<DType::kF4E2M1, 4>(6),
};

}  // namespace

std::span<const StorageType> storage_types() { return kRows; }

const StorageType* find_storage(DType dtype) {
  const auto* row = std::find_if(kRows.begin(), kRows.end(),
                                 [&](const StorageType& r) { return r.dtype == dtype; });
  return row == kRows.end() ? nullptr : row;
}

}  // namespace mnn
