// A dense row-major tensor. Its bytes are shared: copying a Tensor copies the handle. The bytes may
// belong to a memory-mapped file, which the handle then keeps alive. Where values of a graph are
// more than tensors, a handle holds a sequence or an empty optional just as well.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "libruntime/core/dtype.h"
#include "libruntime/core/status.h"

namespace mnn {

class Tensor {
 public:
  Tensor() = default;
  // Zero-filled, 64-byte aligned. Fails with kLimit when the size overflows or memory runs out,
  // with kInvalidArgument when a dim is negative.
  static Result<Tensor> allocate(DType dtype, std::vector<int64_t> dims);
  // Wraps bytes that `owner` keeps alive (null: the caller does). The bytes are not copied.
  static Tensor wrap(DType dtype, std::vector<int64_t> dims, std::byte* data,
                     std::shared_ptr<const void> owner = nullptr);
  static Tensor strings(std::vector<int64_t> dims, std::vector<std::string> values);
  // A sequence of tensors of type `dtype`. It has no dims, elements or bytes of its own.
  static Tensor sequence(DType dtype, std::vector<Tensor> items);
  // An optional without an element. One with an element is the element itself.
  static Tensor nothing(DType dtype);
  // Few elements: throws bad_alloc, as a vector of them does, where there is no memory.
  template <typename T>
  static Tensor of(std::vector<int64_t> dims, std::span<const T> values);
  template <typename T>
  static Tensor scalar(T value) {
    return of<T>({}, std::span<const T>(&value, 1));
  }
  static Tensor ints(const std::vector<int64_t>& values);  // 1-D i64

  enum class Form : uint8_t { kTensor, kSequence, kNothing };
  Form form() const { return form_; }
  bool is_tensor() const { return form_ == Form::kTensor; }
  const std::vector<Tensor>& items() const { return *items_; }  // of a sequence

  DType dtype() const { return dtype_; }  // of a sequence or an optional: that of the elements
  const std::vector<int64_t>& dims() const { return dims_; }
  size_t rank() const { return dims_.size(); }
  int64_t elements() const { return elements_; }
  int64_t bytes() const;  // of the elements as stored; 0 for strings
  bool defined() const { return dtype_ != DType::kUndefined; }

  const std::byte* raw() const { return data_; }
  std::byte* raw() { return data_; }
  template <typename T>
  const T* data() const {
    return reinterpret_cast<const T*>(data_);
  }
  template <typename T>
  T* data() {
    return reinterpret_cast<T*>(data_);
  }
  template <typename T>
  std::span<const T> span() const {
    return {data<T>(), static_cast<size_t>(elements_)};
  }
  const std::vector<std::string>& string_values() const { return *strings_; }
  std::vector<std::string>& string_values() { return *strings_; }

  // The same bytes under other dims with as many elements.
  Tensor reshaped(std::vector<int64_t> dims) const;
  // The same bytes as another type of equal width (no conversion).
  Tensor retyped(DType dtype) const;
  // A copy of its own.
  Result<Tensor> clone() const;
  // The elements as int64; fails unless the type is an integer or bool.
  Result<std::vector<int64_t>> to_ints() const;
  // The elements as double; fails for strings and complex numbers.
  Result<std::vector<double>> to_doubles() const;
  // "f32[2,3]", "seq(f32[*])", "optional(f32[*])" of an empty one
  std::string type_str() const;

 private:
  DType dtype_ = DType::kUndefined;
  std::vector<int64_t> dims_;
  int64_t elements_ = 0;
  std::byte* data_ = nullptr;
  std::shared_ptr<const void> owner_;
  std::shared_ptr<std::vector<std::string>> strings_;
  Form form_ = Form::kTensor;
  std::shared_ptr<const std::vector<Tensor>> items_;
};

// Bytes that `elements` of `dtype` take, sub-byte types packed; nullopt on overflow.
std::optional<int64_t> storage_bytes(DType dtype, int64_t elements);

// Same type, dims and bytes (NaNs with equal bits are equal); sequences item by item.
bool identical(const Tensor& a, const Tensor& b);

template <typename T>
Tensor Tensor::of(std::vector<int64_t> dims, std::span<const T> values) {
  Result<Tensor> t = allocate(dtype_of<T>(), std::move(dims));
  if (!t.ok()) throw std::bad_alloc();
  assert(t->elements() == static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), t->template data<T>());
  return std::move(t).value();
}

}  // namespace mnn
