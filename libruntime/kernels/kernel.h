// What every matrix kernel (convolution, GEMM) has in common: made once for fixed shapes with its
// weights packed, then run any number of times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "libruntime/core/status.h"
#include "libruntime/kernels/post_op.h"

namespace mnn {

struct KernelOptions {
  std::string isa;       // "": the best of this CPU, or what MNN_CPU_ISA names
  int threads = 1;       // most parts a kernel may ask for
  bool winograd = true;  // false: direct convolution only
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

// Immutable after it was made. For each phase in order, run(phase, part) is called once for every
// part; the parts of a phase may run at once, a phase starts when all parts of the one before are
// done. The result does not depend on the number of parts. Pointers need no alignment beyond the
// element's, but 64 bytes are faster. Output must not overlap input; it may be the residual itself.
class MatrixKernel {
 public:
  virtual ~MatrixKernel() = default;
  virtual const char* name() const = 0;  // "conv_f32_winograd4_avx2"
  virtual int64_t packed_bytes() const = 0;
  virtual int64_t scratch_bytes() const = 0;  // for all parts together
  virtual int phases() const { return 1; }
  virtual int parts() const = 0;  // <= KernelOptions::threads
  virtual void run(int phase, int part, const KernelArgs& args) const = 0;
};

using MatrixKernelPtr = std::unique_ptr<MatrixKernel>;

}  // namespace mnn
