// Memory for kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace mnn {

struct Untouched {};

// Zeroed memory on a 64-byte boundary, with 64 bytes to spare behind the end.
template <typename T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(int64_t count) : AlignedBuffer(count, Untouched()) {
    __builtin_memset(data_.get(), 0, static_cast<size_t>(count) * sizeof(T) + 64);
  }
  // Reserved without being written: large ones take no memory until somebody does.
  AlignedBuffer(int64_t count, Untouched) : count_(count) {
    data_.reset(static_cast<T*>(
        ::operator new (static_cast<size_t>(count) * sizeof(T) + 64, std::align_val_t{64})));
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](int64_t i) { return data_.get()[i]; }
  int64_t size() const { return count_; }
  int64_t bytes() const { return count_ * static_cast<int64_t>(sizeof(T)); }

 private:
  struct Free {
    void operator()(T* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  std::unique_ptr<T, Free> data_;
  int64_t count_ = 0;
};

}  // namespace mnn
