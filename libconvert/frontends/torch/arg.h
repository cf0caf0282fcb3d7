// The arguments and results of ATen operators, as both doors (ExportedProgram, TorchScript) hold
// them while they build a graph.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn::torch {

struct Arg;

struct None {
  bool operator==(const None&) const = default;
};
// How a quantized tensor is stored: values of the graph, both constants of one element or one an
// index along `axis`. kNoValue: it is not quantized.
struct Grid {
  ValueId scale = kNoValue, zero_point = kNoValue;
  int64_t axis = -1;
  bool operator==(const Grid&) const = default;
};
// A tensor of the graph. A complex one is a real tensor with a last dim of 2 (real, imaginary); a
// quantized one is of f32, the numbers its codes stand for, and comes from DequantizeLinear.
struct TensorArg {
  ValueId id = kNoValue;
  bool complex = false;
  Grid grid = {};
  bool quantized() const { return grid.scale != kNoValue; }
  bool operator==(const TensorArg&) const = default;
};
// A constant of complex numbers as a TensorArg has it: real and imaginary part in a last dim, in
// the memory of `tensor`.
Tensor real_pairs(const Tensor& tensor);

// A number that is known (`id` is kNoValue), or a 0-d value of the graph that holds it: i64 for an
// int, f32 for a float, bool for a bool.
template <typename T>
struct Number {
  T value = {};
  ValueId id = kNoValue;
  bool known() const { return id == kNoValue; }
  bool operator==(const Number&) const = default;
};
using IntArg = Number<int64_t>;
using FloatArg = Number<double>;
using BoolArg = Number<bool>;
// Lists and tuples.
using ListArg = std::vector<Arg>;

// One argument or result. Devices, layouts, memory formats and generators are None.
struct Arg {
  std::variant<None, TensorArg, IntArg, FloatArg, BoolArg, std::string, DType, ListArg> data;

  Arg();
  // Not inline: GCC 12 takes the unused alternatives of a moved variant for uninitialized.
  Arg(const Arg& other);
  Arg(Arg&& other) noexcept;
  Arg& operator=(const Arg& other);
  Arg& operator=(Arg&& other) noexcept;
  ~Arg();
  Arg(None) {}                                      // NOLINT: implicit on purpose, as all below
  Arg(TensorArg t) : data(t) {}                     // NOLINT
  Arg(IntArg n) : data(n) {}                        // NOLINT
  Arg(FloatArg n) : data(n) {}                      // NOLINT
  Arg(BoolArg n) : data(n) {}                       // NOLINT
  Arg(std::string text) : data(std::move(text)) {}  // NOLINT
  Arg(DType dtype) : data(dtype) {}                 // NOLINT
  Arg(ListArg list) : data(std::move(list)) {}      // NOLINT
  static Arg tensor(ValueId id, bool complex = false) { return TensorArg{id, complex, {}}; }
  static Arg of_int(int64_t value) { return IntArg{value}; }
  static Arg of_float(double value) { return FloatArg{value}; }
  static Arg of_bool(bool value) { return BoolArg{value}; }

  bool is_none() const { return std::holds_alternative<None>(data); }
  template <typename T>
  const T* get() const {
    return std::get_if<T>(&data);
  }
  bool operator==(const Arg&) const = default;
};

// The element type of a c10::ScalarType number, as TorchScript code and operators' `dtype`
// arguments count them (uint8 0 … float 6 … bool 11); kUndefined for those we do not have.
DType dtype_of_scalar_type(int64_t number);

}  // namespace mnn::torch
