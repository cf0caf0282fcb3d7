// Elementwise expressions as kernels.
#pragma once

#include "libruntime/backends/gpu/kernel.h"
#include "libruntime/lower/expression.h"

namespace mnn::gpu {

inline constexpr int kMaxSources = 8;  // of an expression on a device
inline constexpr int kMaxDepth = 8;    // loops

// How a word of a source is read, or one of the result written. kWide: two words, low and high.
// kByte: one of the four bytes of a word, as the number of a grid of unsigned bytes.
enum class WordKind : uint8_t { kFloat, kInt, kTruth, kWide, kByte };

struct DeviceExpression {
  // An item makes a word of four bytes, one after the other, and the loops are over words. Sources
  // of other kinds advance by their lane strides from one to the next.
  bool bytes = false;
  std::vector<WordKind> sources;  // at most kMaxSources
  WordKind result = WordKind::kFloat;
  int depth = 1;  // of the loops
  std::vector<Expression::Op> ops;
  int registers = 0;
};

// What the kernels read from their table, in this order: depth extents; per source its offset,
// depth strides and, of bytes, the lane stride; of the result the same; per operator its parameters
// a, b (as bits).
inline int place_words(const DeviceExpression& e) { return e.depth + (e.bytes ? 2 : 1); }
inline int source_at(const DeviceExpression& e, size_t source) {
  return e.depth + static_cast<int>(source) * place_words(e);
}
inline int result_at(const DeviceExpression& e) { return source_at(e, e.sources.size()); }
inline int parameter_at(const DeviceExpression& e, size_t op) {
  return result_at(e) + place_words(e) + static_cast<int>(op) * 2;
}

// A kernel of this expression alone, for languages that are compiled at run time. The name tells
// expressions apart that have other texts. Buffers: the sources, the table, the result; its param
// is the number of elements.
KernelRow print_expression(const DeviceExpression& e);

// What the machines ("mnn_expression", of bytes "mnn_byte_expression", for the others) read behind
// that table: its program, six words an operator. Its buffers: kMaxSources sources, the table, the
// result.
std::vector<int> expression_program(const DeviceExpression& e);
inline int kind_code(const std::vector<WordKind>& kinds) {
  int code = 0;
  for (size_t i = 0; i < kinds.size(); ++i) code |= static_cast<int>(kinds[i]) << (3 * i);
  return code;
}

}  // namespace mnn::gpu
