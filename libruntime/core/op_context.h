// What the functions of an operator's row see: inference, reference kernel, counting.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

struct OpDef;

// Reads a node's attributes; an absent one has the default of the op's row.
class AttributeReader {
 public:
  AttributeReader(const Node& n, const OpDef& d) : node(n), def(d) {}
  const Node& node;
  const OpDef& def;

  bool has(std::string_view name) const;  // set on the node itself
  // The attribute, or the row's default, or the type's zero. A wrong type was refused by verify.
  int64_t attr_int(std::string_view name) const;
  double attr_float(std::string_view name) const;
  std::string attr_string(std::string_view name) const;
  std::vector<int64_t> attr_ints(std::string_view name) const;
  std::vector<double> attr_floats(std::string_view name) const;
  std::vector<std::string> attr_strings(std::string_view name) const;
  const Tensor* attr_tensor(std::string_view name) const;
  // An axis in [-rank, rank), made non-negative.
  Result<size_t> attr_axis(std::string_view name, size_t rank) const;

 private:
  const Attribute* find(std::string_view name) const;
};
// `axis` in [-rank, rank) made non-negative, or an error that says so.
Result<size_t> normalize_axis(int64_t axis, size_t rank);

// The elements of a small integer tensor as far as they are known (shape arithmetic).
using ShapeValues = std::vector<Dim>;
inline constexpr int64_t kMaxShapeValues = 1024;

// What inference of one node sees and fills in. `in` has one entry per own input; an absent input
// has an undefined type. `out` has one entry per output, undefined at the start.
class OpContext : public AttributeReader {
 public:
  using AttributeReader::AttributeReader;
  struct Output {
    Type type;
    std::optional<ShapeValues> values;
  };
  std::vector<Type> in;
  std::vector<const Tensor*> constants;                         // per input; null unless constant
  std::vector<const std::optional<ShapeValues>*> known_values;  // per input; null: none
  std::vector<Output> out;

  bool has_input(size_t i) const { return i < in.size() && in[i].defined(); }
  bool has_output(size_t i) const { return i < node.outputs.size() && node.outputs[i] != kNoValue; }
  // The input's elements: from a constant of any integer type or from shape arithmetic. 0-d counts
  // as one element. nullopt when not known or too many.
  std::optional<ShapeValues> values(size_t i) const;
  // The input's elements when all are known numbers.
  std::optional<std::vector<int64_t>> ints(size_t i) const;
  bool rank_known(size_t i) const { return has_input(i) && in[i].shape.has_value(); }
};

// What a reference kernel sees. Shapes are all concrete. `in` holds null for absent inputs.
class KernelContext : public AttributeReader {
 public:
  using AttributeReader::AttributeReader;
  std::vector<const Tensor*> in;
  std::vector<Type> types;  // inferred output types with the inputs' values known
  std::vector<Tensor> out;  // what the kernel makes

  bool has_input(size_t i) const { return i < in.size() && in[i] != nullptr; }
  bool has_output(size_t i) const { return i < node.outputs.size() && node.outputs[i] != kNoValue; }
  // Allocates output i with its inferred type. Fails when inference left it open.
  Result<Tensor*> make(size_t i);
  // Allocates output i with dims that depend on the data.
  Result<Tensor*> make(size_t i, DType dtype, std::vector<int64_t> dims);
};

// What counting sees: the dims of the node's own inputs and its outputs.
class MacsContext : public AttributeReader {
 public:
  using AttributeReader::AttributeReader;
  using Dims = std::vector<int64_t>;
  std::vector<std::optional<Dims>> in_dims, out_dims;

  // Null where there is no such tensor or its shape is not static.
  const Dims* in(size_t i) const { return at(in_dims, i); }
  const Dims* out(size_t i) const { return at(out_dims, i); }

 private:
  static const Dims* at(const std::vector<std::optional<Dims>>& list, size_t i) {
    return i < list.size() && list[i] ? &*list[i] : nullptr;
  }
};

}  // namespace mnn
