// What the data-movement operators share: typed access by element width, strided walks, and small
// pieces of inference.
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "libruntime/core/op.h"

namespace mnn {

// An element of 128 bits (c128) that is only moved.
struct Bits128 {
  uint64_t low, high;
};

// Calls f.template operator()<T>() with the type that moves elements of `dtype`: an unsigned
// integer of its width, Bits128 or std::string. Packed 2- and 4-bit types are refused (see
// with_whole_bytes).
template <typename F>
Status dispatch_move(DType dtype, F&& f) {
  if (dtype == DType::kString) {
    f.template operator()<std::string>();
    return {};
  }
  switch (dtype_bits(dtype)) {
    case 8: f.template operator()<uint8_t>(); return {};
    case 16: f.template operator()<uint16_t>(); return {};
    case 32: f.template operator()<uint32_t>(); return {};
    case 64: f.template operator()<uint64_t>(); return {};
    case 128: f.template operator()<Bits128>(); return {};
    default: return unsupported("element type " + std::string(dtype_name(dtype)));
  }
}
template <typename T>
const T* elements(const Tensor& t) {
  if constexpr (std::is_same_v<T, std::string>) {
    return t.string_values().data();
  } else {
    return t.data<T>();
  }
}
template <typename T>
T* elements(Tensor& t) {
  if constexpr (std::is_same_v<T, std::string>) {
    return t.string_values().data();
  } else {
    return t.data<T>();
  }
}

// Packed elements (2 or 4 bits) as one byte each, bits kept; and back.
Result<Tensor> unpack_elements(const Tensor& packed);
Result<Tensor> pack_elements(const Tensor& bytes, DType dtype);
// Runs `kernel` with packed inputs unpacked to bytes and packs its outputs again.
Status run_with_whole_bytes(KernelContext& c, ReferenceFn kernel);
template <ReferenceFn kKernel>
Status with_whole_bytes(KernelContext& c) {
  return run_with_whole_bytes(c, kKernel);
}

std::vector<int64_t> row_major_strides(const std::vector<int64_t>& dims);
int64_t product(const std::vector<int64_t>& dims, size_t begin, size_t end);

// Calls f(i, offset) for i = 0, 1, … over all indices of `dims` in row-major order, where offset is
// the dot product of index and `strides`, plus `start`.
template <typename F>
void walk(const std::vector<int64_t>& dims, const std::vector<int64_t>& strides, int64_t start,
          F&& f) {
  const int64_t count = checked_elements(dims).value_or(0);
  if (count == 0) return;
  std::vector<int64_t> index(dims.size(), 0);
  int64_t offset = start;
  for (int64_t i = 0; i < count; ++i) {
    f(i, offset);
    for (size_t d = dims.size(); d-- > 0;) {
      offset += strides[d];
      if (++index[d] < dims[d]) break;
      offset -= strides[d] * dims[d];
      index[d] = 0;
    }
  }
}

// Copies where each axis moves on its own: y at index (i, j, …) is x at offsets[0][i] +
// offsets[1][j] + …; a negative offset on any axis gives `fill`.
template <typename T>
void copy_by_offsets(const T* x, const std::vector<std::vector<int64_t>>& offsets, const T& fill,
                     const std::vector<int64_t>& dims, T* y) {
  const int64_t count = checked_elements(dims).value_or(0);
  std::vector<size_t> index(dims.size(), 0);
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = 0;
    for (size_t d = 0; d < index.size() && at >= 0; ++d) {
      const int64_t offset = offsets[d][index[d]];
      at = offset < 0 ? -1 : at + offset;
    }
    y[i] = at < 0 ? fill : x[at];
    for (size_t d = index.size(); d-- > 0;) {
      if (++index[d] < static_cast<size_t>(dims[d])) break;
      index[d] = 0;
    }
  }
}

// `index` made non-negative, or an error that names it and the range.
Result<int64_t> checked_index(int64_t index, int64_t dim);
// Where each index tuple (the last axis of `indices`) points to in a tensor of `dims`: after
// `batch` leading axes that data and indices share.
Result<std::vector<int64_t>> index_tuple_offsets(const std::vector<int64_t>& dims,
                                                 const Tensor& indices, size_t batch);
// The elements input `i` would have: from values(), else all unknown when it is a small integer
// tensor of known shape, else nullopt.
std::optional<ShapeValues> values_or_unknown(const OpContext& c, size_t i);
// values(i) when their number is that of the known shape: safe to index by it.
std::optional<ShapeValues> shaped_values(const OpContext& c, size_t i);
// Fails unless input `i` is present and of an integer type (bool is none).
Status expect_integers(const OpContext& c, size_t i, std::string_view what);
// The `i`-th input as int64 numbers; an error names `what`.
Result<std::vector<int64_t>> read_ints(const KernelContext& c, size_t i, std::string_view what);
// The number of elements of 1-D input `i` when it is known.
std::optional<int64_t> known_length(const OpContext& c, size_t i);
// Axes made non-negative; refuses doubles.
Result<std::vector<size_t>> normalize_axes(const std::vector<int64_t>& axes, size_t rank);
Shape unknown_shape(size_t rank);
// An output of input 0's element type with `shape` (nullopt: unknown rank).
void set_output(OpContext& c, size_t i, DType dtype, std::optional<Shape> shape);
// Makes float output i of `values`; nothing when nobody wants it.
Status store_doubles(KernelContext& c, size_t i, const std::vector<double>& values);

}  // namespace mnn
