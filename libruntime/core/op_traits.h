// What kind of operator a row of the op table is: facts that hold for every node of it. A row
// states them as a sum, `kElementwise | kActivation` or `kMoves | shape_inputs(1)`; whoever asks
// what an operator does asks them, and keeps no list of names. tests/ops/traits_test.cc holds every
// row to what it claims.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mnn {

struct OpTraits {
  uint32_t kinds = 0;
  uint32_t shapes = 0, indices = 0;  // sets of inputs: bit i is input i

  constexpr bool has(OpTraits t) const { return (kinds & t.kinds) == t.kinds; }
  // Whether input `i` says where or how large and is no data: a shape, axes, pads, a count. It is a
  // parameter of the node that happens to be an input.
  constexpr bool shape_input(size_t i) const { return i < 32 && (shapes >> i & 1) != 0; }
  // Whether input `i` says which elements of the data are meant: indices, a condition, lengths.
  constexpr bool index_input(size_t i) const { return i < 32 && (indices >> i & 1) != 0; }
  constexpr bool data_input(size_t i) const { return !shape_input(i) && !index_input(i); }
};

constexpr OpTraits operator|(OpTraits a, OpTraits b) {
  return {a.kinds | b.kinds, a.shapes | b.shapes, a.indices | b.indices};
}

template <typename... I>
constexpr OpTraits shape_inputs(I... inputs) {
  return {0, ((uint32_t{1} << inputs) | ...), 0};
}
template <typename... I>
constexpr OpTraits index_inputs(I... inputs) {
  return {0, 0, ((uint32_t{1} << inputs) | ...)};
}

// An output element depends on the elements at its place in the inputs, which broadcast.
inline constexpr OpTraits kElementwise{1u << 0};
// A continuous elementwise function of floats with a slope of two at most (with its default
// attributes): rounding what it reads rounds what it makes about as much.
inline constexpr OpTraits kActivation{1u << 1};
// Elementwise in its first input; the others hold one number per channel, axis 1. (Not so of
// BatchNormalization in training mode, whose statistics are those of the input.)
inline constexpr OpTraits kPerChannel{1u << 2};
// Every element it makes of the data's type is an element of a data input; which one, its place
// says. (Pad and Trilu, which also make new elements, are none.)
inline constexpr OpTraits kMoves{1u << 3};
// The first input's elements in their order, under other dims or none other.
inline constexpr OpTraits kView{1u << 4};
// Every element of the first output is the greatest or the least of a group of the first input.
inline constexpr OpTraits kExtreme{1u << 5};
// One element in place of all along some axes, which go or stay as 1.
inline constexpr OpTraits kReduces{1u << 6};
// The outputs depend on the type and shape of the inputs alone.
inline constexpr OpTraits kReadsShape{1u << 7};
// A layer: the product of the first input with weights, the second, plus a bias, the third; linear
// in the first (but for the rounding that activation_bits asks for) and in the weights. Its kernels
// apply post-ops to what they store.
inline constexpr OpTraits kLinear{1u << 8};
// No float it makes is below 0.
inline constexpr OpTraits kNonNegative{1u << 9};
// f(s x) = s f(x) for s > 0, x the first input.
inline constexpr OpTraits kHomogeneous{1u << 10};
// How large the outputs are depends on the data, but they hold a few times as many elements as the
// inputs at most.
inline constexpr OpTraits kDataSized{1u << 11};
// A convolution: the axes of its first input and of its output are batch, channels, then space.
inline constexpr OpTraits kConvolves{1u << 12};
// An input may be a sequence or an optional. Inference refuses them for all other operators, whose
// kernels read tensors.
inline constexpr OpTraits kContainers{1u << 13};

}  // namespace mnn
