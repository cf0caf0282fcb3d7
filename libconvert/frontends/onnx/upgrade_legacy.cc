// Operator sets 1 to 6: before NumPy broadcasting.
#include <array>
#include <cmath>

#include "libconvert/frontends/onnx/op_map.h"

namespace mnn::onnx {
namespace {

// Names of Cast's target before it was a number.
std::optional<DType> dtype_by_name(std::string_view name) {
  constexpr std::array<std::string_view, 17> kNames = {
      "UNDEFINED", "FLOAT",  "UINT8",     "INT8",       "UINT16",  "INT16",
      "INT32",     "INT64",  "STRING",    "BOOL",       "FLOAT16", "DOUBLE",
      "UINT32",    "UINT64", "COMPLEX64", "COMPLEX128", "BFLOAT16"};
  for (size_t i = 1; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

// The power of a norm was a float once.
void integer_power(NodeUpgrade& u) {
  if (u.version >= 2 || !u.has_attr("p")) return;
  const std::optional<double> p = u.take_float("p");
  if (!p) return;
  if (*p != std::floor(*p) || std::fabs(*p) > 1000) {
    return u.fail(unsupported("a norm with the power " + std::to_string(*p)));
  }
  u.attributes["p"] = static_cast<int64_t>(*p);
}

}  // namespace

void upgrade_consumed(NodeUpgrade& u) {
  if (u.version < 6) u.drop_attr("consumed_inputs");
}

// broadcast=1, axis=k laid the second operand along the axes k, k+1… of the first.
void upgrade_binary(NodeUpgrade& u) {
  upgrade_consumed(u);
  if (u.version >= 7) return;
  const bool broadcast = u.take_int("broadcast").value_or(0) != 0;
  const std::optional<int64_t> axis = u.take_int("axis");
  if (!broadcast || !axis || !u.has(1)) return;
  const std::optional<size_t> a = u.rank(0), b = u.rank(1);
  if (!a || !b) {
    return u.fail(unsupported("broadcasting along an axis needs operands of known rank"));
  }
  const auto rank_a = static_cast<int64_t>(*a), rank_b = static_cast<int64_t>(*b);
  const int64_t start = *axis < 0 ? *axis + rank_a : *axis;
  if (start < 0 || start + rank_b > rank_a) {
    return u.fail(invalid("axis " + std::to_string(*axis) + " does not place an operand of rank " +
                          std::to_string(rank_b) + " in one of rank " + std::to_string(rank_a)));
  }
  std::vector<int64_t> axes;
  for (int64_t i = rank_b; i < rank_a - start; ++i) axes.push_back(i);
  if (!axes.empty()) u.inputs[1] = u.unsqueeze(u.inputs[1], axes);
}

void upgrade_cast(NodeUpgrade& u) {
  if (u.version >= 6) return;
  const std::optional<std::string> name = u.take_string("to");
  if (!name) return;
  const std::optional<DType> dtype = dtype_by_name(*name);
  if (!dtype) return u.fail(invalid("type " + *name + " is not known"));
  u.attributes["to"] = static_cast<int64_t>(*dtype);
}

void upgrade_concat(NodeUpgrade& u) {
  if (u.version < 4) u.default_attr("axis", int64_t{1});
}

// An experimental operator of the first files.
void upgrade_constant_fill(NodeUpgrade& u) {
  const double value = u.take_float("value").value_or(0.0);
  const int64_t dtype = u.take_int("dtype").value_or(1);
  const bool as_shape = u.take_int("input_as_shape").value_or(0) != 0;
  const std::optional<std::vector<int64_t>> shape = u.take_ints("shape");
  const std::optional<std::vector<int64_t>> extra = u.take_ints("extra_shape");
  if (dtype < 1 || dtype > 16) return u.fail(invalid("dtype " + std::to_string(dtype)));
  const ValueId scalar = u.add_scalar(value, static_cast<DType>(dtype));
  if (!u.status.ok()) return;
  ValueId dims = kNoValue;
  if (shape) {
    dims = u.add_ints(*shape);
  } else if (u.has(0)) {
    dims = as_shape ? u.cast(u.in(0), DType::kI64) : u.shape_of(u.in(0));
    if (extra) dims = u.emit("Concat", {dims, u.add_ints(*extra)}, {{"axis", int64_t{0}}});
  } else {
    return u.fail(invalid("expected a shape or an input"));
  }
  u.op = "ConstantOfShape";
  u.attributes["value"] = u.graph.constant(scalar)->reshaped({1});
  u.inputs = {dims};
}

void upgrade_gemm(NodeUpgrade& u) {
  if (u.version < 7) u.drop_attr("broadcast");
}

void upgrade_global_lp_pool(NodeUpgrade& u) { integer_power(u); }

void upgrade_lp_pool(NodeUpgrade& u) { integer_power(u); }

// The slope was one number or one per channel.
void upgrade_prelu(NodeUpgrade& u) {
  upgrade_consumed(u);
  if (u.version >= 7) return;
  const std::optional<size_t> x = u.rank(0), slope = u.rank(1);
  if (!x || !slope || *slope != 1 || *x < 3 || u.dim(1, 0).is(1)) return;
  std::vector<int64_t> axes;
  for (size_t i = 1; i + 1 < *x; ++i) axes.push_back(static_cast<int64_t>(i));
  u.inputs[1] = u.unsqueeze(u.inputs[1], axes);
}

void upgrade_recurrent(NodeUpgrade& u) {
  if (u.version < 7) u.drop_attr("output_sequence");
  std::string* direction = u.find_attr<std::string>("direction");
  if (u.version < 3 && direction != nullptr && *direction == "foward") *direction = "forward";
}

void upgrade_selu(NodeUpgrade& u) {
  upgrade_consumed(u);
  if (u.version >= 6) return;
  u.default_attr("alpha", 1.6732);
  u.default_attr("gamma", 1.0507);
}

// Version 1: tiles and axis are inputs.
void upgrade_tile(NodeUpgrade& u) {
  if (u.version >= 6) return;
  const auto tiles = u.ints(1), axis = u.ints(2);
  const std::optional<size_t> rank = u.rank(0);
  if (!tiles || !axis || !rank || tiles->size() != 1 || axis->size() != 1) {
    return u.fail(unsupported("Tile 1 needs constant tiles and axis, and an input of known rank"));
  }
  const Result<size_t> at = normalize_axis((*axis)[0], *rank);
  if (!at.ok()) return u.fail(at.status());
  std::vector<int64_t> repeats(*rank, 1);
  repeats[*at] = (*tiles)[0];
  u.inputs = {u.inputs[0], u.add_ints(repeats)};
}

}  // namespace mnn::onnx
