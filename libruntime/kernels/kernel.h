// What every matrix kernel (convolution, GEMM) has in common: made once for fixed shapes with its
// weights packed, then run any number of times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "libruntime/core/status.h"
#include "libruntime/kernels/post_op.h"
#include "libruntime/kernels/weights.h"

namespace mnn {

struct KernelOptions {
  std::string isa;                  // "": the best of this CPU, or what MNN_CPU_ISA names
  int threads = 1;                  // most parts a kernel may ask for
  bool winograd = true;             // false: direct convolution only
  WeightsCache* weights = nullptr;  // where packed weights are shared; null: nowhere
};

struct KernelArgs {
  const void* x = nullptr;         // the input, NHWC or [batch, M, K]
  const void* b = nullptr;         // a matrix B or weights that come with each run
  const void* residual = nullptr;  // when the epilogue has one
  void* y = nullptr;
  std::byte* scratch = nullptr;    // scratch_bytes(), 64-byte aligned, contents do not matter
  const void* bias = nullptr;      // convolutions with run-time weights only; null: none
  int32_t x_zero = 0, b_zero = 0;  // zero points of products of integers
};

// Immutable after it was made, and may be run from several threads at once, each with memory of its
// own. For each phase in order, run(phase, part) is called once for every
// part; the parts of a phase may run at once, a phase starts when all parts of the one before are
// done. The result does not depend on the number of parts. Pointers need no alignment beyond the
// element's, but 64 bytes are faster. Output must not overlap input; it may be the residual itself.
class MatrixKernel {
 public:
  virtual ~MatrixKernel() = default;
  virtual const char* name() const = 0;  // "conv_f32_winograd4_avx2"
  // What was packed for it; other kernels may hold the same blocks.
  std::span<const PackedPtr> packed() const { return packed_; }
  int64_t packed_bytes() const {
    int64_t sum = 0;
    for (const PackedPtr& block : packed_) sum += block->bytes();
    return sum;
  }
  virtual int64_t scratch_bytes() const = 0;  // for all parts together
  virtual int phases() const { return 1; }
  virtual int parts() const = 0;  // <= KernelOptions::threads
  virtual void run(int phase, int part, const KernelArgs& args) const = 0;

 protected:
  // `count` elements that pack(T*) makes of the weights `id` and nothing else: a block of the
  // cache, or one of its own where there is no cache or no id.
  template <typename T, typename F>
  Result<const T*> keep(WeightsCache* cache, const WeightId& id, std::string_view layout,
                        int64_t count, F&& pack) {
    const auto bytes = count * static_cast<int64_t>(sizeof(T));
    const auto fill = [&](std::byte* block) -> Status { return pack(reinterpret_cast<T*>(block)); };
    if (cache == nullptr || !id.known()) {
      auto own = std::make_shared<PackedBlock>(bytes);
      MNN_RETURN_IF_ERROR(fill(own->data()));
      packed_.push_back(std::move(own));
    } else {
      MNN_ASSIGN_OR_RETURN(PackedPtr block, cache->find(id, layout, bytes, fill));
      packed_.push_back(std::move(block));
    }
    return reinterpret_cast<const T*>(packed_.back()->data());
  }
  // The same for what is small and comes from many places (bias, scales): known by its content.
  template <typename T>
  Result<const T*> keep(WeightsCache* cache, const AlignedBuffer<T>& made) {
    const WeightId id = cache ? cache->identify(made.data(), made.bytes()) : WeightId();
    return keep<T>(cache, id, "copy", made.size(), [&](T* to) -> Status {
      __builtin_memcpy(to, made.data(), static_cast<size_t>(made.bytes()));
      return {};
    });
  }
  void keep_all(std::span<const PackedPtr> blocks) {
    packed_.insert(packed_.end(), blocks.begin(), blocks.end());
  }

 private:
  std::vector<PackedPtr> packed_;
};

using MatrixKernelPtr = std::unique_ptr<MatrixKernel>;

}  // namespace mnn
