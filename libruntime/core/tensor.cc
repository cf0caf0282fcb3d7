#include "libruntime/core/tensor.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "libruntime/core/dim.h"

namespace mnn {
namespace {

constexpr size_t kAlignment = 64;

}  // namespace

std::optional<int64_t> storage_bytes(DType dtype, int64_t elements) {
  int64_t bits = 0;
  if (__builtin_mul_overflow(elements, static_cast<int64_t>(dtype_bits(dtype)), &bits)) {
    return std::nullopt;
  }
  return bits / 8 + (bits % 8 != 0);
}

Result<Tensor> Tensor::allocate(DType dtype, std::vector<int64_t> dims) {
  const auto elements = checked_elements(dims);
  if (!elements) {
    for (const int64_t d : dims) {
      if (d < 0) return invalid("dimension " + std::to_string(d) + " is negative");
    }
    return limit_exceeded("tensor " + shape_str(to_shape(dims)) + " has more than 2^63 elements");
  }
  if (dtype == DType::kString) {
    if (*elements > (int64_t{1} << 28)) return limit_exceeded("too many strings");
    return strings(std::move(dims), std::vector<std::string>(static_cast<size_t>(*elements)));
  }
  const auto bytes = storage_bytes(dtype, *elements);
  if (dtype_bits(dtype) == 0) return invalid("a tensor needs an element type");
  if (!bytes || *bytes > (int64_t{1} << 46)) {
    return limit_exceeded("tensor " + shape_str(to_shape(dims)) + " is too large for memory");
  }
  Tensor t;
  t.dtype_ = dtype;
  t.dims_ = std::move(dims);
  t.elements_ = *elements;
  const size_t size = (static_cast<size_t>(*bytes) + kAlignment) / kAlignment * kAlignment;
  void* p = std::aligned_alloc(kAlignment, size);
  if (p == nullptr) {
    return limit_exceeded("out of memory: " + std::to_string(size) + " bytes for tensor " +
                          t.type_str());
  }
  std::memset(p, 0, size);
  t.data_ = static_cast<std::byte*>(p);
  t.owner_ = std::shared_ptr<const void>(p, [](void* q) { std::free(q); });
  return t;
}

Tensor Tensor::wrap(DType dtype, std::vector<int64_t> dims, std::byte* data,
                    std::shared_ptr<const void> owner) {
  Tensor t;
  t.dtype_ = dtype;
  t.elements_ = checked_elements(dims).value_or(0);
  t.dims_ = std::move(dims);
  t.data_ = data;
  t.owner_ = std::move(owner);
  return t;
}

Tensor Tensor::strings(std::vector<int64_t> dims, std::vector<std::string> values) {
  Tensor t;
  t.dtype_ = DType::kString;
  t.elements_ = checked_elements(dims).value_or(0);
  assert(t.elements_ == static_cast<int64_t>(values.size()));
  t.dims_ = std::move(dims);
  t.strings_ = std::make_shared<std::vector<std::string>>(std::move(values));
  return t;
}

Tensor Tensor::sequence(DType dtype, std::vector<Tensor> items) {
  Tensor t;
  t.dtype_ = dtype;
  t.form_ = Form::kSequence;
  t.items_ = std::make_shared<const std::vector<Tensor>>(std::move(items));
  return t;
}

Tensor Tensor::nothing(DType dtype) {
  Tensor t;
  t.dtype_ = dtype;
  t.form_ = Form::kNothing;
  return t;
}

Tensor Tensor::ints(const std::vector<int64_t>& values) {
  return of<int64_t>({static_cast<int64_t>(values.size())}, std::span<const int64_t>(values));
}

int64_t Tensor::bytes() const { return storage_bytes(dtype_, elements_).value_or(0); }

Tensor Tensor::reshaped(std::vector<int64_t> dims) const {
  assert(checked_elements(dims).value_or(-1) == elements_);
  Tensor t = *this;
  t.dims_ = std::move(dims);
  return t;
}

Tensor Tensor::retyped(DType dtype) const {
  assert(dtype_bits(dtype) == dtype_bits(dtype_));
  Tensor t = *this;
  t.dtype_ = dtype;
  return t;
}

Result<Tensor> Tensor::clone() const {
  if (form_ == Form::kNothing) return *this;
  if (form_ == Form::kSequence) {
    std::vector<Tensor> copies;
    copies.reserve(items_->size());
    for (const Tensor& item : *items_) {
      MNN_ASSIGN_OR_RETURN(Tensor copy, item.clone());
      copies.push_back(std::move(copy));
    }
    return sequence(dtype_, std::move(copies));
  }
  if (dtype_ == DType::kString) return strings(dims_, *strings_);
  MNN_ASSIGN_OR_RETURN(Tensor t, allocate(dtype_, dims_));
  if (bytes() > 0) std::memcpy(t.data_, data_, static_cast<size_t>(bytes()));
  return t;
}

Result<std::vector<int64_t>> Tensor::to_ints() const {
  if (!is_tensor()) return invalid("expected integers, found " + type_str());
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(elements_));
  auto copy = [&]<typename T>() {
    for (int64_t i = 0; i < elements_; ++i) out.push_back(static_cast<int64_t>(data<T>()[i]));
  };
  if (dtype_ == DType::kBool) {
    copy.operator()<bool>();
  } else if (!dispatch_integer(dtype_, copy)) {
    return invalid("expected integers, found " + type_str());
  }
  return out;
}

Result<std::vector<double>> Tensor::to_doubles() const {
  if (!is_tensor()) return invalid("expected numbers, found " + type_str());
  std::vector<double> out;
  out.reserve(static_cast<size_t>(elements_));
  const bool done = dispatch_plain(dtype_, [&]<typename T>() {
    for (int64_t i = 0; i < elements_; ++i) {
      out.push_back(static_cast<double>(load_as_compute(data<T>()[i])));
    }
  });
  if (!done) return invalid("expected numbers, found " + type_str());
  return out;
}

std::string Tensor::type_str() const {
  const std::string name(dtype_name(dtype_));
  switch (form_) {
    case Form::kSequence: return "seq(" + name + "[*])";
    case Form::kNothing: return "optional(" + name + "[*])";
    case Form::kTensor: break;
  }
  return name + shape_str(to_shape(dims_));
}

bool identical(const Tensor& a, const Tensor& b) {
  if (a.form() != b.form() || a.dtype() != b.dtype() || a.dims() != b.dims()) return false;
  if (a.form() == Tensor::Form::kNothing) return true;
  if (a.form() == Tensor::Form::kSequence) {
    return std::equal(a.items().begin(), a.items().end(), b.items().begin(), b.items().end(),
                      identical);
  }
  if (a.dtype() == DType::kString) return a.string_values() == b.string_values();
  return a.bytes() == 0 || a.raw() == b.raw() ||
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

}  // namespace mnn
