// What quantized values may be stored as: one row per type, which everything that stores, reads or
// reports codes asks.
#pragma once

#include <span>

#include "libruntime/core/dtype.h"

namespace mnn {

struct StorageType {
  DType dtype;
  int bits;          // of one code, packed low bits first
  bool integer;      // else codes are the values of a small float type
  double low, high;  // the least and the greatest code
  // `count` codes from index `begin` on, as numbers.
  void (*unpack)(const std::byte* data, int64_t begin, int64_t count, double* codes);
  // The reverse. Codes of integer types are whole and in range; floats are rounded to nearest even.
  void (*pack)(const double* codes, int64_t begin, int64_t count, std::byte* data);
};

// Every row, widest range first.
std::span<const StorageType> storage_types();
// Null when values cannot be stored as `dtype`.
const StorageType* find_storage(DType dtype);

}  // namespace mnn
