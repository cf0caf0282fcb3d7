// 16-bit floats as storage: half the bytes, computed with as f32.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"
#include "libruntime/core/metrics.h"

namespace mnn {

inline bool is_half(DType dtype) { return dtype == DType::kF16 || dtype == DType::kBF16; }

// Between f16, bf16, f32 and f64, rounded to nearest even; infinite beyond the range of `to`.
Result<Tensor> convert_floats(const Tensor& t, DType to);

struct HalfReport {
  int64_t narrowed = 0;  // constants stored as f16 now
  int64_t bytes_saved = 0;
  ErrorSums error;                // of all narrowed ones together
  std::vector<std::string> kept;  // f32 constants that f16 cannot hold, and why
};
// Replaces every f32 constant of at least `min_elements` that f16 holds (finite values stay finite,
// at least 50 dB) by an f16 constant under a Cast to f32, sub-graphs included.
Result<HalfReport> narrow_constants(Graph& graph, int64_t min_elements = 64);

// Makes every Cast of a 16-bit constant to f32 the f32 constant, and so the product of two.
//
// kStored: large ones keep their 16 bits as the storage of an f32 constant (QuantParams), which
// whoever reads it widens; kCopies: all become f32 elements.
enum class WideConstants { kCopies, kStored };
Status widen_constants(Graph& graph, WideConstants form = WideConstants::kCopies);

// Makes a graph compute in f32 what it declares as f16 or bf16, sub-graphs included; a graph
// without such values stays as it is. Inputs, states and outputs keep their types, behind Casts;
// constants, under a Cast or not, become f32. Nothing is rounded between two operators, and nothing
// overflows there. What does round: outputs, a Cast from a wider type that another Cast reads, and
// operators that name a 16-bit type themselves or handle sequences and optionals, which stay.
Status widen(Graph& graph, WideConstants form = WideConstants::kCopies);

// What of a graph is stored in 16 bits: remembered before widen(), and stored so again afterwards.
struct HalfStorage {
  std::vector<DType> types;  // of its constants
  // By source layer with 16-bit results: the constants of at least 64 elements that it reads.
  std::map<std::string, std::vector<Tensor>, std::less<>> layers;
  bool empty() const { return types.empty() && layers.empty(); }
};
HalfStorage half_storage(const Graph& graph);
// Puts f32 constants of at least 64 elements under a Cast from one of the types where that changes
// no element, and those that passes made of a layer's constant by factors along one axis under the
// Cast of that constant and a Mul by the factors. Returns how many.
Result<int> restore_half(Graph& graph, const HalfStorage& storage);

// The border of a widened graph in f32 as well: inputs and outputs that only Casts stand behind. By
// index: the type that one was declared as; kUndefined for those that stay.
struct HalfBorder {
  std::vector<DType> inputs, outputs;
};
HalfBorder widen_border(Graph& graph);
// The declared types again, behind Casts.
void narrow_border(Graph& graph, const HalfBorder& border);

// Whether `node` is a Cast of a 16-bit float constant to f32.
bool is_widening(const Graph& graph, const Node& node);
// Whether it is that, or a Cast between f32 and a 16-bit float at the border of the model.
bool is_storage_cast(const Graph& graph, const Node& node);
// Per node: whether it is that, or the Mul of a Cast constant by its factors.
std::vector<char> storage_nodes(const Graph& graph);

}  // namespace mnn
