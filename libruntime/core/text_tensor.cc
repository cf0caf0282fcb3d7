// Elements of tensors in the text form.
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "libruntime/core/io/file.h"
#include "libruntime/core/packed.h"
#include "libruntime/core/splitmix.h"
#include "libruntime/core/text_scanner.h"

namespace mnn {
namespace {

// The float types whose elements are written as raw bits: nothing in the core computes with them.
bool is_small_float(DType dtype) { return is_float(dtype) && dtype_bits(dtype) <= 8; }

template <typename T>
void append_number(std::string& out, T value) {
  char buffer[40];
  const auto r = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, r.ptr);
}

void append_bits(std::string& out, uint64_t bits) {
  char buffer[20];
  const auto r = std::to_chars(buffer, buffer + sizeof buffer, bits, 16);
  out += "0x";
  out.append(buffer, r.ptr);
}

// NaNs other than the plain quiet one keep their bits.
template <typename Float, typename Bits>
void append_float(std::string& out, Float value, Bits bits, Bits quiet_nan) {
  if (value == value) {
    append_number(out, value);
  } else if (bits == quiet_nan) {
    out += "nan";
  } else {
    append_bits(out, bits);
  }
}

void append_f32(std::string& out, float v) {
  append_float(out, v, std::bit_cast<uint32_t>(v), uint32_t{0x7fc00000});
}
void append_f64(std::string& out, double v) {
  append_float(out, v, std::bit_cast<uint64_t>(v), uint64_t{0x7ff8} << 48);
}

void append_element(std::string& out, const Tensor& t, int64_t i) {
  switch (t.dtype()) {
    case DType::kString: out += quote_text(t.string_values()[static_cast<size_t>(i)]); return;
    case DType::kBool: out += t.data<uint8_t>()[i] != 0 ? '1' : '0'; return;
    case DType::kF32: append_f32(out, t.data<float>()[i]); return;
    case DType::kF64: append_f64(out, t.data<double>()[i]); return;
    case DType::kF16: {
      const Half h = t.data<Half>()[i];
      append_float(out, static_cast<float>(h), h.bits, uint16_t{0x7e00});
      return;
    }
    case DType::kBF16: {
      const BFloat16 h = t.data<BFloat16>()[i];
      append_float(out, static_cast<float>(h), h.bits, uint16_t{0x7fc0});
      return;
    }
    case DType::kC64:
    case DType::kC128: {
      const bool wide = t.dtype() == DType::kC128;
      for (int64_t part = 0; part < 2; ++part) {
        out += part ? "," : "(";
        if (wide)
          append_f64(out, t.data<double>()[2 * i + part]);
        else
          append_f32(out, t.data<float>()[2 * i + part]);
      }
      out += ')';
      return;
    }
    case DType::kU6:
    case DType::kU5:
    case DType::kU4:
    case DType::kU3:
    case DType::kU2: append_number(out, packed_get(t.raw(), dtype_bits(t.dtype()), i)); return;
    case DType::kI4:
    case DType::kI2: {
      const int bits = dtype_bits(t.dtype());
      const int v = packed_get(t.raw(), bits, i);
      append_number(out, v >= (1 << (bits - 1)) ? v - (1 << bits) : v);
      return;
    }
    case DType::kF4E2M1: append_bits(out, packed_get(t.raw(), 4, i)); return;
    default: break;
  }
  if (is_small_float(t.dtype())) {
    append_bits(out, t.data<uint8_t>()[i]);
    return;
  }
  dispatch_integer(t.dtype(), [&]<typename T>() { append_number(out, t.data<T>()[i]); });
}

// Stores a generated number; integers wrap, as casts do in the reference kernels.
bool store_number(Tensor& t, int64_t i, double value) {
  const auto whole = [&] {
    const double r = std::floor(value);
    return r >= -0x1p63 && r < 0x1p63 ? static_cast<int64_t>(r) : int64_t{0};
  };
  if (t.dtype() == DType::kBool) {
    t.data<uint8_t>()[i] = value != 0;
    return true;
  }
  if (is_integer(t.dtype()) && dtype_bits(t.dtype()) < 8) {
    packed_set(t.raw(), dtype_bits(t.dtype()), i, static_cast<uint8_t>(whole()));
    return true;
  }
  return dispatch_float(t.dtype(),
                        [&]<typename T>() { t.data<T>()[i] = store_from_compute<T>(value); }) ||
         dispatch_integer(t.dtype(),
                          [&]<typename T>() { t.data<T>()[i] = static_cast<T>(whole()); });
}

}  // namespace

void append_elements(std::string& out, const Tensor& tensor) {
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    if (i) out += ' ';
    append_element(out, tensor, i);
  }
}

uint64_t content_hash(const Tensor& tensor) {
  if (tensor.dtype() != DType::kString) {
    const auto bytes = std::span(tensor.raw(), static_cast<size_t>(tensor.bytes()));
    const uint64_t hash = XXH3_64bits(bytes.data(), bytes.size());
    release_pages(bytes);
    return hash;
  }
  std::string joined;
  for (const std::string& s : tensor.string_values()) joined += quote_text(s) + " ";
  return XXH3_64bits(joined.data(), joined.size());
}

Result<double> TextScanner::number() {
  skip_blanks();
  const size_t begin = pos_;
  const std::string_view w = word();
  double value = 0;
  const auto r = std::from_chars(w.data(), w.data() + w.size(), value);
  if (w.empty() || r.ec != std::errc() || r.ptr != w.data() + w.size()) {
    pos_ = begin;
    return fail("expected a number, found " + found());
  }
  return value;
}

Status TextScanner::generate(Tensor& t, std::string_view generator) {
  const size_t begin = pos_;
  bool fits = true;
  if (generator == "iota") {
    MNN_ASSIGN_OR_RETURN(const double start, number());
    MNN_ASSIGN_OR_RETURN(const double step, number());
    for (int64_t i = 0; i < t.elements() && fits; ++i) {
      fits = store_number(t, i, start + static_cast<double>(i) * step);
    }
  } else {
    MNN_ASSIGN_OR_RETURN(const int64_t seed, integer());
    MNN_ASSIGN_OR_RETURN(const double low, number());
    MNN_ASSIGN_OR_RETURN(const double high, number());
    if (!(low <= high) || !std::isfinite(high - low)) {
      return fail_at(begin, "random needs finite bounds LOW <= HIGH");
    }
    const bool real = is_float(t.dtype());
    SplitMix64 random(static_cast<uint64_t>(seed));
    for (int64_t i = 0; i < t.elements() && fits; ++i) {
      const double u = random.uniform();
      // Integers take both bounds.
      fits = store_number(
          t, i, real ? low + u * (high - low) : low + std::floor(u * (std::floor(high - low) + 1)));
    }
  }
  if (!fits) {
    return fail_at(begin, "no generator for elements of " + std::string(dtype_name(t.dtype())));
  }
  return {};
}

Status TextScanner::element(Tensor& t, int64_t i) {
  const DType dtype = t.dtype();
  const size_t begin = pos_;
  auto misfit = [&] {
    pos_ = begin;
    return fail("expected an element of " + std::string(dtype_name(dtype)) + ", found " + found());
  };
  if (dtype == DType::kString) {
    MNN_ASSIGN_OR_RETURN(t.string_values()[static_cast<size_t>(i)], quoted());
    return {};
  }
  // All of `w` as a T; "0x…" are the raw bits of a float.
  auto read = [&]<typename T>(std::string_view w, T& value) {
    const auto r = std::from_chars(w.data(), w.data() + w.size(), value);
    return !w.empty() && r.ec == std::errc() && r.ptr == w.data() + w.size();
  };
  auto read_bits = [&](std::string_view w, int bits, uint64_t& value) {
    if (w.substr(0, 2) != "0x") return false;
    const auto r = std::from_chars(w.data() + 2, w.data() + w.size(), value, 16);
    return r.ec == std::errc() && r.ptr == w.data() + w.size() && w.size() > 2 &&
           (bits == 64 || value >> bits == 0);
  };
  auto read_f32 = [&](std::string_view w, float& v) {
    uint64_t bits = 0;
    if (read_bits(w, 32, bits))
      v = std::bit_cast<float>(static_cast<uint32_t>(bits));
    else if (!read(w, v))
      return false;
    else if (v != v)
      v = std::numeric_limits<float>::quiet_NaN();
    return true;
  };
  auto read_f64 = [&](std::string_view w, double& v) {
    uint64_t bits = 0;
    if (read_bits(w, 64, bits))
      v = std::bit_cast<double>(bits);
    else if (!read(w, v))
      return false;
    else if (v != v)
      v = std::numeric_limits<double>::quiet_NaN();
    return true;
  };
  if (dtype == DType::kC64 || dtype == DType::kC128) {
    MNN_RETURN_IF_ERROR(expect('('));
    for (int64_t part = 0; part < 2; ++part) {
      if (part) MNN_RETURN_IF_ERROR(expect(','));
      const bool read_ok = dtype == DType::kC64 ? read_f32(word(), t.data<float>()[2 * i + part])
                                                : read_f64(word(), t.data<double>()[2 * i + part]);
      if (!read_ok) return misfit();
    }
    return expect(')');
  }
  const std::string_view w = word();
  const int width = dtype_bits(dtype);
  switch (dtype) {
    case DType::kBool:
      if (w != "0" && w != "1" && w != "true" && w != "false") return misfit();
      t.data<uint8_t>()[i] = w == "1" || w == "true";
      return {};
    case DType::kF32: return read_f32(w, t.data<float>()[i]) ? Status() : misfit();
    case DType::kF64: return read_f64(w, t.data<double>()[i]) ? Status() : misfit();
    case DType::kF16:
    case DType::kBF16: {
      uint64_t bits = 0;
      float v = 0;
      if (!read_bits(w, 16, bits)) {
        if (!read_f32(w, v)) return misfit();
        bits = dtype == DType::kF16 ? float_to_half_bits(v) : float_to_bfloat16_bits(v);
      }
      t.data<uint16_t>()[i] = static_cast<uint16_t>(bits);
      return {};
    }
    default: break;
  }
  if (is_small_float(dtype)) {
    uint64_t bits = 0;
    if (!read_bits(w, width, bits)) return misfit();
    if (width == 8)
      t.data<uint8_t>()[i] = static_cast<uint8_t>(bits);
    else
      packed_set(t.raw(), width, i, static_cast<uint8_t>(bits));
    return {};
  }
  if (width < 8) {
    int v = 0;
    const int low = is_signed_integer(dtype) ? -(1 << (width - 1)) : 0;
    if (!read(w, v) || v < low || v >= low + (1 << width)) return misfit();
    packed_set(t.raw(), width, i, static_cast<uint8_t>(v));
    return {};
  }
  bool fits = false;
  dispatch_integer(dtype, [&]<typename T>() { fits = read(w, t.data<T>()[i]); });
  return fits ? Status() : misfit();
}

Result<Tensor> TextScanner::elements(DType dtype, const std::vector<int64_t>& dims) {
  const auto count = checked_elements(dims);
  // A string takes about this much in memory.
  const auto bytes =
      count ? storage_bytes(dtype == DType::kString ? DType::kC128 : dtype, *count) : count;
  if (!bytes || *bytes > constant_budget_) {
    return limit_exceeded(
        fail("the constants of one text may take " + std::to_string(constant_budget_) + " bytes")
            .message());
  }
  if (dtype == DType::kUndefined) return fail("a constant needs an element type");
  constant_budget_ -= *bytes;
  for (const std::string_view generator : {"iota", "random"}) {
    if (!eat_word(generator)) continue;
    MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(dtype, dims));
    MNN_RETURN_IF_ERROR(generate(t, generator));
    return t;
  }
  if (eat_word("hash")) {
    skip_blanks();
    const size_t begin = pos_;
    const std::string_view digits = word();
    uint64_t hash = 0;
    const auto r = std::from_chars(digits.data(), digits.data() + digits.size(), hash, 16);
    if (digits.size() != 16 || r.ptr != digits.data() + 16) {
      return fail_at(begin, "expected 16 hex digits after hash");
    }
    return Tensor::allocate(dtype, dims);
  }
  // An element takes a character and a blank: no memory for what the text cannot hold.
  if (static_cast<uint64_t>(*count) > text_.size() - pos_ + 1) {
    return fail("expected " + std::to_string(*count) + " elements, found fewer");
  }
  MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(dtype, dims));
  for (int64_t i = 0; i < *count; ++i) {
    skip_lines();
    if (at_end() || peek() == '}' || peek() == ',') {
      return fail("expected " + std::to_string(*count) + " elements, found " + std::to_string(i));
    }
    MNN_RETURN_IF_ERROR(element(t, i));
  }
  return t;
}

Result<Tensor> TextScanner::list(DType dtype) {
  MNN_RETURN_IF_ERROR(expect('['));
  const std::string_view rest = text_.substr(pos_, text_.find_first_of("]\n", pos_) - pos_);
  const bool empty = rest.find_first_not_of(" \t") == rest.npos;
  const auto count = empty ? 0 : 1 + std::count(rest.begin(), rest.end(), ',');
  MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(dtype, {count}));
  for (int64_t i = 0; i < count; ++i) {
    if (i) MNN_RETURN_IF_ERROR(expect(','));
    skip_blanks();
    MNN_RETURN_IF_ERROR(element(t, i));
  }
  MNN_RETURN_IF_ERROR(expect(']'));
  return t;
}

Result<Type> parse_type(std::string_view text) {
  TextScanner s(text, 0);
  MNN_ASSIGN_OR_RETURN(Type type, s.type());
  s.skip_lines();
  if (!s.at_end()) return s.fail("expected one type, found more: " + s.found());
  return type;
}

Result<Tensor> parse_tensor(std::string_view text, int64_t max_bytes) {
  TextScanner s(text, max_bytes);
  s.skip_lines();
  MNN_ASSIGN_OR_RETURN(const Type type, s.type());
  if (!type.is_static()) return s.fail("a tensor needs a static type, found " + type.str());
  MNN_RETURN_IF_ERROR(s.expect('='));
  MNN_ASSIGN_OR_RETURN(Tensor tensor, s.elements(type.dtype, known_dims(*type.shape)));
  s.skip_lines();
  if (!s.at_end()) {
    return s.fail("expected " + std::to_string(tensor.elements()) +
                  " elements, found more: " + s.found());
  }
  return tensor;
}

std::string print_tensor(const Tensor& tensor) {
  std::string out = tensor.type_str() + " =";
  if (tensor.elements() > 0) out += ' ';
  append_elements(out, tensor);
  return out;
}

}  // namespace mnn
