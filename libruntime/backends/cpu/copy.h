// Moving the elements of one strided array to the places of another.
#pragma once

#include "libruntime/kernels/vector_kernels.h"
#include "libruntime/lower/array.h"

namespace mnn::cpu {

// Made once; run(part, parts) may be called for all parts at once.
class StridedCopy {
 public:
  // Same dims, same type.
  StridedCopy(const Array& from, const Array& to, const VectorKernels& kernels);
  // `from` and `to` point to the first element of each array.
  void run(const std::byte* from, std::byte* to, int part, int parts) const;
  // Whether both are walked in the same order.
  bool plain() const { return kind_ == Kind::kRuns; }

 private:
  enum class Kind { kRuns, kTranspose, kElements };
  void run_item(const std::byte* from, std::byte* to, int64_t begin, int64_t end) const;

  Kind kind_ = Kind::kElements;
  int bytes_ = 4;
  // Loops around the innermost piece, outermost first.
  Dims extents_, from_strides_, to_strides_;
  int64_t outer_ = 1;
  // The piece: `length` elements along the innermost loop of `to`; kTranspose: `length` along the
  // innermost loop of `from` for each of `width` elements that are neighbours in `to`.
  int64_t length_ = 1, width_ = 1;
  int64_t from_step_ = 1, to_step_ = 1;
  int64_t grain_ = 1;  // elements of `length` per work item
  void (*transpose_)(const void*, void*, int64_t, int64_t, int64_t, int64_t, int) = nullptr;
};

}  // namespace mnn::cpu
