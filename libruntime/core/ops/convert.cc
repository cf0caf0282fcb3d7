#include "libruntime/core/ops/convert.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// The finite non-negative codes of a small float are 0…max_code, their values ascending.
struct SmallFloat {
  int mantissa_bits;
  int bias;
  uint8_t max_code;
  uint8_t sign_bit;
  uint8_t nan_code;       // of a positive NaN; 0 when the type has none
  uint8_t infinity_code;  // 0 when the type has none
  bool signed_zero;
};

SmallFloat small_float(DType dtype) {
  switch (dtype) {
    case DType::kF8E4M3FN: return {3, 7, 0x7e, 0x80, 0x7f, 0, true};
    case DType::kF8E4M3FNUZ: return {3, 8, 0x7f, 0x80, 0x80, 0, false};
    case DType::kF8E5M2: return {2, 15, 0x7b, 0x80, 0x7e, 0x7c, true};
    case DType::kF8E5M2FNUZ: return {2, 16, 0x7f, 0x80, 0x80, 0, false};
    default: return {1, 1, 0x7, 0x8, 0, 0, true};  // f4e2m1
  }
}

double magnitude(const SmallFloat& f, int code) {
  const int exponent = code >> f.mantissa_bits;
  const int fraction = code & ((1 << f.mantissa_bits) - 1);
  if (exponent == 0) return std::ldexp(fraction, 1 - f.bias - f.mantissa_bits);
  return std::ldexp(fraction + (1 << f.mantissa_bits), exponent - f.bias - f.mantissa_bits);
}

uint8_t power_of_two_code(double value, bool saturate, RoundMode mode) {
  constexpr uint8_t kNan = 255;
  if (std::isnan(value)) return kNan;
  if (std::isinf(value)) return saturate ? 254 : kNan;
  value = std::fabs(value);
  if (value < 0x1p-127) return saturate ? 0 : kNan;
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent) * 2;  // value = fraction * 2^(exponent - 1)
  int code = exponent - 1 + 127;
  if (mode == RoundMode::kUp ? fraction > 1.0 : mode == RoundMode::kNearest && fraction >= 1.5) {
    ++code;
  }
  if (code > 254) return saturate ? 254 : kNan;
  return static_cast<uint8_t>(code);
}

}  // namespace

double small_float_value(DType dtype, uint8_t code) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  if (dtype == DType::kF8E8M0) return code == 255 ? kNan : std::ldexp(1.0, code - 127);
  const SmallFloat f = small_float(dtype);
  if (f.nan_code == f.sign_bit && code == f.nan_code) return kNan;
  const uint8_t positive = static_cast<uint8_t>(code & (f.sign_bit - 1));
  const double sign = (code & f.sign_bit) != 0 ? -1.0 : 1.0;
  if (positive <= f.max_code) return sign * magnitude(f, positive);
  if (f.infinity_code != 0 && positive == f.infinity_code) {
    return sign * std::numeric_limits<double>::infinity();
  }
  return kNan;
}

uint8_t small_float_code(DType dtype, double value, bool saturate, RoundMode mode) {
  if (dtype == DType::kF8E8M0) return power_of_two_code(value, saturate, mode);
  const SmallFloat f = small_float(dtype);
  const bool negative = std::signbit(value);
  auto with_sign = [&](uint8_t code) {
    if (!negative || (code == 0 && !f.signed_zero) || code == f.sign_bit) return code;
    return static_cast<uint8_t>(code | f.sign_bit);
  };
  if (std::isnan(value)) return f.nan_code == 0 ? f.sign_bit : with_sign(f.nan_code);
  const double x = std::fabs(value);
  int low = 0, high = f.max_code;
  while (low < high) {  // the largest code whose value is not above x
    const int mid = (low + high + 1) / 2;
    if (magnitude(f, mid) <= x)
      low = mid;
    else
      high = mid - 1;
  }
  const double below = x - magnitude(f, low), above = magnitude(f, low + 1) - x;
  const bool round_up = below > above || (below == above && (low & 1) != 0);
  const bool overflows = std::isinf(x) || (low == f.max_code && round_up);
  if (!overflows) return with_sign(static_cast<uint8_t>(low + (round_up ? 1 : 0)));
  if (saturate || f.nan_code == 0) return with_sign(f.max_code);
  return with_sign(f.infinity_code != 0 ? f.infinity_code : f.nan_code);
}

float round_to_odd_float(double value) {
  const float f = static_cast<float>(value);
  if (static_cast<double>(f) == value || !std::isfinite(f)) return f;
  uint32_t bits = std::bit_cast<uint32_t>(f);
  if (std::fabs(static_cast<double>(f)) > std::fabs(value)) --bits;
  return std::bit_cast<float>(bits | 1u);
}

IntegerRange integer_range(DType dtype) {
  if (dtype == DType::kU64) return {0, std::numeric_limits<int64_t>::max()};
  const int bits = dtype_bits(dtype);
  if (!is_signed_integer(dtype)) return {0, (int64_t{1} << bits) - 1};
  if (bits == 64) {
    return {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  }
  return {-(int64_t{1} << (bits - 1)), (int64_t{1} << (bits - 1)) - 1};
}

namespace {

// All elements on the way from one type to another: as double, or as 64-bit integers.
struct Wide {
  std::vector<double> floats;
  std::vector<int64_t> ints;
  bool is_float = false;
  bool is_unsigned = false;  // ints hold the bits of uint64

  double as_double(size_t i) const {
    if (is_float) return floats[i];
    return is_unsigned ? static_cast<double>(static_cast<uint64_t>(ints[i]))
                       : static_cast<double>(ints[i]);
  }
};

bool equals_ignoring_case(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() &&
         std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
         });
}

Result<double> parse_number(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  while (!rest.empty() && rest.back() == ' ') rest.remove_suffix(1);
  if (!rest.empty() && rest.front() == '+') rest.remove_prefix(1);
  if (equals_ignoring_case(rest, "inf")) return std::numeric_limits<double>::infinity();
  if (equals_ignoring_case(rest, "-inf")) return -std::numeric_limits<double>::infinity();
  if (equals_ignoring_case(rest, "nan")) return std::numeric_limits<double>::quiet_NaN();
  double value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (error == std::errc::result_out_of_range && end == rest.data() + rest.size()) {
    // from_chars leaves the value: far above or below everything.
    const bool tiny = rest.find("e-") != rest.npos || rest.find("E-") != rest.npos;
    const double far = tiny ? 0.0 : std::numeric_limits<double>::infinity();
    return rest.front() == '-' ? -far : far;
  }
  if (error != std::errc() || end != rest.data() + rest.size()) {
    return invalid("expected a number, found the string '" + std::string(text.substr(0, 40)) + "'");
  }
  return value;
}

Result<Wide> widen_strings(const Tensor& x, DType to) {
  Wide w;
  w.is_float = !is_integer(to);
  for (const std::string& s : x.string_values()) {
    int64_t exact = 0;
    if (!w.is_float) {
      const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), exact);
      if (error == std::errc() && end == s.data() + s.size()) {
        w.ints.push_back(exact);
        continue;
      }
    }
    MNN_ASSIGN_OR_RETURN(const double value, parse_number(s));
    if (w.is_float) {
      w.floats.push_back(value);
    } else if (value >= -0x1p63 && value < 0x1p63) {
      w.ints.push_back(static_cast<int64_t>(value));
    } else {
      return invalid("the string '" + s.substr(0, 40) + "' is not an integer");
    }
  }
  return w;
}

Result<Wide> widen(const Tensor& x, DType to) {
  if (x.dtype() == DType::kString) return widen_strings(x, to);
  Wide w;
  w.is_float = is_float(x.dtype());
  w.is_unsigned = x.dtype() == DType::kU64;
  const auto count = static_cast<size_t>(x.elements());
  const bool plain = dispatch_plain(x.dtype(), [&]<typename T>() {
    const T* p = x.data<T>();
    if constexpr (std::is_integral_v<T>) {
      w.ints.resize(count);
      for (size_t i = 0; i < count; ++i) w.ints[i] = static_cast<int64_t>(p[i]);
    } else {
      w.floats.resize(count);
      for (size_t i = 0; i < count; ++i) w.floats[i] = load_as_compute(p[i]);
    }
  });
  if (plain) return w;
  if (dtype_bits(x.dtype()) > 8) return unsupported("cannot cast from " + x.type_str());
  Tensor codes = x;
  if (dtype_bits(x.dtype()) < 8) {
    MNN_ASSIGN_OR_RETURN(codes, unpack_elements(x));
  }
  const auto* p = reinterpret_cast<const uint8_t*>(codes.raw());
  if (w.is_float) {
    std::array<double, 256> values;
    for (int i = 0; i < 256; ++i) {
      values[static_cast<size_t>(i)] = small_float_value(x.dtype(), static_cast<uint8_t>(i));
    }
    w.floats.resize(count);
    for (size_t i = 0; i < count; ++i) w.floats[i] = values[p[i]];
    return w;
  }
  const IntegerRange range = integer_range(x.dtype());
  w.ints.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const int64_t code = p[i];
    w.ints[i] = code > range.high ? code - (range.high - range.low + 1) : code;
  }
  return w;
}

// Truncates towards zero; what no int64 can hold saturates, NaN is 0.
int64_t truncate(double value) {
  if (std::isnan(value)) return 0;
  if (value >= 0x1p63) return std::numeric_limits<int64_t>::max();
  if (value < -0x1p63) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

template <typename T>
T narrow(const Wide& w, size_t i) {
  if constexpr (std::is_same_v<T, bool>) {
    return w.is_float ? w.floats[i] != 0.0 : w.ints[i] != 0;
  } else if constexpr (std::is_integral_v<T>) {
    if (!w.is_float) return static_cast<T>(w.ints[i]);
    if (std::is_same_v<T, uint64_t> && w.floats[i] >= 0x1p63) {
      return w.floats[i] >= 0x1p64 ? std::numeric_limits<T>::max() : static_cast<T>(w.floats[i]);
    }
    return static_cast<T>(truncate(w.floats[i]));
  } else if constexpr (std::is_same_v<T, float>) {
    if (w.is_float) return static_cast<float>(w.floats[i]);
    return w.is_unsigned ? static_cast<float>(static_cast<uint64_t>(w.ints[i]))
                         : static_cast<float>(w.ints[i]);
  } else if constexpr (std::is_same_v<T, double>) {
    return w.as_double(i);
  } else {
    return T(round_to_odd_float(w.as_double(i)));
  }
}

std::string print_number(const Wide& w, size_t i, DType from) {
  if (from == DType::kBool) return w.ints[i] != 0 ? "True" : "False";
  if (!w.is_float) {
    return w.is_unsigned ? std::to_string(static_cast<uint64_t>(w.ints[i]))
                         : std::to_string(w.ints[i]);
  }
  const double value = w.floats[i];
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-INF" : "INF";
  // The shortest text that reads back as the same value of the source's type.
  char buffer[64];
  const auto result = from == DType::kF64 ? std::to_chars(buffer, buffer + sizeof buffer, value)
                                          : std::to_chars(buffer, buffer + sizeof buffer,
                                                          static_cast<float>(value));
  return std::string(buffer, result.ptr);
}

}  // namespace

Result<Tensor> convert_elements(const Tensor& x, DType to, bool saturate, RoundMode mode) {
  if (x.dtype() == to) return x.clone();
  MNN_ASSIGN_OR_RETURN(const Wide w, widen(x, to));
  const auto count = static_cast<size_t>(x.elements());
  if (to == DType::kString) {
    std::vector<std::string> texts;
    for (size_t i = 0; i < count; ++i) texts.push_back(print_number(w, i, x.dtype()));
    return Tensor::strings(x.dims(), std::move(texts));
  }
  if (dtype_bits(to) == 0 || dtype_bits(to) > 64 || to == DType::kC64) {
    return unsupported("cannot cast to " + std::string(dtype_name(to)));
  }
  const bool packed = dtype_bits(to) < 8;
  MNN_ASSIGN_OR_RETURN(Tensor y, Tensor::allocate(packed ? DType::kU8 : to, x.dims()));
  const bool plain = dispatch_plain(to, [&]<typename T>() {
    for (size_t i = 0; i < count; ++i) y.data<T>()[i] = narrow<T>(w, i);
  });
  if (plain) return y;
  auto* codes = reinterpret_cast<uint8_t*>(y.raw());
  if (is_float(to)) {
    for (size_t i = 0; i < count; ++i) {
      codes[i] = small_float_code(to, w.as_double(i), saturate, mode);
    }
  } else {
    for (size_t i = 0; i < count; ++i) codes[i] = static_cast<uint8_t>(narrow<int64_t>(w, i));
  }
  if (packed) return pack_elements(y, to);
  return y;
}

}  // namespace mnn
