// Arithmetic, activations, reductions and what changes between numbers and codes.
#include <numbers>
#include <numeric>

#include "libconvert/frontends/tflite/op_map.h"
#include "libruntime/core/quant.h"

namespace mnn::tflite {

using Ints = std::vector<int64_t>;

// ADD, SUB, MUL, DIV with an activation behind them.
void convert_add(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  struct Kind {
    std::string_view name;
    const char* op;
    uint8_t options;
  };
  constexpr Kind kKinds[] = {
      {"ADD", "Add", 11}, {"MUL", "Mul", 21}, {"SUB", "Sub", 28}, {"DIV", "Div", 29}};
  const Kind& kind = *std::ranges::find(kKinds, n.op, &Kind::name);
  const int activation = n.options<fb::ActivationOptions>(kind.options).activation();
  n.results = {n.activate(n.emit(kind.op, {n.in(0), n.in(1)}), activation)};
}

void convert_add_n(OpNode& n) {
  if (n.inputs.empty()) return n.fail(invalid("expected inputs, found none"));
  n.results = {n.emit("Sum", n.inputs)};
}

namespace {

void clamp(OpNode& n, double low, double high) {
  if (!n.expect_inputs(1, 1)) return;
  n.results = {n.emit("Clip", {n.in(0), n.scalar_f32(low), n.scalar_f32(high)})};
}

// x - floor(x / y) * y
ValueId quotient_floor(OpNode& n) {
  if (is_float(n.dtype(0))) return n.emit("Floor", {n.emit("Div", {n.in(0), n.in(1)})});
  // Division truncates: what has a remainder of another sign than the divisor is one too high.
  const ValueId rest = n.emit("Mod", {n.in(0), n.in(1)});
  return n.emit("Div", {n.emit("Sub", {n.in(0), rest}), n.in(1)});
}

}  // namespace

void convert_relu_6(OpNode& n) { clamp(n, 0, 6); }
void convert_relu_n1_to_1(OpNode& n) { clamp(n, -1, 1); }
void convert_relu_0_to_1(OpNode& n) { clamp(n, 0, 1); }

void convert_floor_div(OpNode& n) {
  if (n.expect_inputs(2, 2)) n.results = {quotient_floor(n)};
}

void convert_floor_mod(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  if (!is_float(n.dtype(0))) {
    n.results = {n.emit("Mod", {n.in(0), n.in(1)})};
    return;
  }
  n.results = {n.emit("Sub", {n.in(0), n.emit("Mul", {quotient_floor(n), n.in(1)})})};
}

void convert_not_equal(OpNode& n) {
  if (n.expect_inputs(2, 2)) n.results = {n.emit("Not", {n.emit("Equal", {n.in(0), n.in(1)})})};
}

void convert_rsqrt(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {n.emit("Reciprocal", {n.emit("Sqrt", {n.in(0)})})};
}

void convert_square(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {n.emit("Mul", {n.in(0), n.in(0)})};
}

void convert_squared_difference(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const ValueId d = n.emit("Sub", {n.in(0), n.in(1)});
  n.results = {n.emit("Mul", {d, d})};
}

void convert_cbrt(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId root = n.emit("Pow", {n.emit("Abs", {n.in(0)}), n.scalar_f32(1.0 / 3)});
  n.results = {n.emit("Mul", {n.emit("Sign", {n.in(0)}), root})};
}

// The angle of (x, y) from atan(y / x), by quadrant.
void convert_atan2(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const ValueId y = n.in(0), x = n.in(1), zero = n.scalar_f32(0);
  constexpr double kPi = std::numbers::pi;
  const ValueId angle = n.emit("Atan", {n.emit("Div", {y, x})});
  const ValueId below = n.emit("Less", {y, zero});
  const ValueId turn = n.emit("Where", {below, n.scalar_f32(-kPi), n.scalar_f32(kPi)});
  const ValueId left = n.emit("Less", {x, zero});
  const ValueId half = n.emit("Where", {below, n.scalar_f32(-kPi / 2), n.scalar_f32(kPi / 2)});
  const ValueId on_axis = n.emit("Where", {n.emit("Equal", {y, zero}), zero, half});
  n.results = {n.emit("Where", {n.emit("Equal", {x, zero}), on_axis,
                                n.emit("Where", {left, n.emit("Add", {angle, turn}), angle})})};
}

void convert_leaky_relu(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const double alpha = n.options<fb::LeakyReluOptions>(75).alpha();
  n.results = {n.emit("LeakyRelu", {n.in(0)}, {{"alpha", alpha}})};
}

void convert_hard_swish(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {n.emit("HardSwish", {n.in(0)})};
}

void convert_gelu(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const bool approximate = n.options<fb::GeluOptions>(116).approximate();
  n.results = {
      n.emit("Gelu", {n.in(0)}, {{"approximate", std::string(approximate ? "tanh" : "none")}})};
}

void convert_softmax(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const double beta = n.options<fb::SoftmaxOptions>(9).beta();
  ValueId x = n.in(0);
  if (beta != 1 && beta != 0) x = n.emit("Mul", {x, n.scalar_f32(beta)});
  n.results = {n.emit("Softmax", {x}, {{"axis", int64_t{-1}}})};
}

void convert_log_softmax(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  n.results = {n.emit("LogSoftmax", {n.in(0)}, {{"axis", int64_t{-1}}})};
}

void convert_l2_normalization(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId length = n.emit("ReduceL2", {n.in(0), n.add_ints({-1})});
  const int activation = n.options<fb::ActivationOptions>(12).activation();
  const ValueId safe = n.emit("Max", {length, n.scalar_f32(1e-6)});
  n.results = {n.activate(n.emit("Div", {n.in(0), safe}), activation)};
}

// ---- Reductions ----

namespace {

ValueId reduced(OpNode& n, const char* op, ValueId x) {
  const bool keep = n.options<fb::ReducerOptions>(27).keep_dims();
  OpNode::Attributes attrs = {{"keepdims", int64_t{keep}}};
  // No axes: nothing is reduced.
  const auto axes = n.ints(1);
  if (axes && axes->empty()) return n.emit("Identity", {x});
  return n.emit(op, {x, n.shape_operand(1)}, attrs);
}

}  // namespace

void convert_reduce(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  constexpr std::pair<std::string_view, const char*> kOps[] = {{"MEAN", "ReduceMean"},
                                                               {"SUM", "ReduceSum"},
                                                               {"REDUCE_PROD", "ReduceProd"},
                                                               {"REDUCE_MAX", "ReduceMax"},
                                                               {"REDUCE_MIN", "ReduceMin"}};
  for (const auto& [name, op] : kOps) {
    if (n.op == name) n.results = {reduced(n, op, n.in(0))};
  }
}

void convert_reduce_bool(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const char* op = n.op == "REDUCE_ANY" ? "ReduceMax" : "ReduceMin";
  n.results = {n.cast(reduced(n, op, n.cast(n.in(0), DType::kI32)), DType::kBool)};
}

// ARG_MAX, ARG_MIN
void convert_arg(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const Ints axis = n.need_ints(1, "the axis");
  if (n.status.ok() && axis.size() != 1) return n.fail(invalid("expected one axis"));
  if (!n.status.ok()) return;
  const ValueId at = n.emit(n.op == "ARG_MAX" ? "ArgMax" : "ArgMin", {n.in(0)},
                            {{"axis", axis[0]}, {"keepdims", int64_t{0}}});
  n.results = {n.cast(at, n.output_dtype(0))};
}

void convert_cumsum(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const auto& o = n.options<fb::CumsumOptions>(102);
  n.results = {n.emit("CumSum", {n.in(0), n.in(1)},
                      {{"exclusive", int64_t{o.exclusive()}}, {"reverse", int64_t{o.reverse()}}})};
}

void convert_topk(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const auto made = n.emit_n("TopK", {n.in(0), n.shape_operand(1)}, 2);
  n.results = {made[0], n.cast(made[1], n.output_count() > 1 ? n.output_dtype(1) : DType::kI32)};
}

// ---- Types and codes ----

void convert_cast(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  // Of quantized tensors the codes count.
  const ValueId x = n.input_tensor(0) != nullptr ? n.codes(n.in(0), *n.input_tensor(0)) : n.in(0);
  const ValueId y = n.cast(x, n.output_dtype(0));
  n.results = {y == n.in(0) ? n.emit("Identity", {y}) : y};
}

void convert_bitcast(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId x = n.input_tensor(0) != nullptr ? n.codes(n.in(0), *n.input_tensor(0)) : n.in(0);
  n.results = {n.emit("BitCast", {x}, {{"to", static_cast<int64_t>(n.output_dtype(0))}})};
}

// From half precision, or from codes: their values are real numbers already.
void convert_dequantize(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId x = n.in(0);
  if (n.type_of(x).dtype != DType::kF32) {
    n.results = {n.cast(x, DType::kF32)};
    return;
  }
  const QuantParams* q = n.quant(x);
  if (n.graph.value(x).kind == ValueKind::kConstant && q != nullptr) {
    // A constant keeps its codes.
    Value copy = n.graph.value(x);
    copy.name.clear();
    n.results = {n.graph.add_value(std::move(copy))};
    return;
  }
  n.results = {x};
}

// The importer puts the result on its grid.
void convert_quantize(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {n.emit("Identity", {n.in(0)})};
}

void convert_densify(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {n.in(0)};
}

// What training left behind: the range is learnt, the rounding is not part of the network.
void convert_fake_quant(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  n.notes.push_back("a simulation of quantization is left out");
  n.results = {n.emit("Identity", {n.in(0)})};
}

void convert_right_shift(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const DType dtype = n.dtype(0);
  if (dtype == DType::kU8 || dtype == DType::kU16 || dtype == DType::kU32) {
    n.results = {n.emit("BitShift", {n.in(0), n.in(1)}, {{"direction", std::string("RIGHT")}})};
    return;
  }
  // Of signed numbers: division by a power of two that rounds down.
  const ValueId two = n.scalar_f32(2);
  const ValueId power = n.emit("Pow", {n.cast(two, DType::kF64), n.cast(n.in(1), DType::kF64)});
  const ValueId shifted = n.emit("Floor", {n.emit("Div", {n.cast(n.in(0), DType::kF64), power})});
  n.results = {n.cast(shifted, dtype)};
}

// The bucket each element falls into: how many boundaries are not above it.
void convert_bucketize(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const auto bounds = list(n.options<fb::BucketizeOptions>(115).boundaries());
  const Tensor t = Tensor::of<float>({static_cast<int64_t>(bounds.size())}, bounds);
  const ValueId x =
      n.unsqueeze(n.cast(n.in(0), DType::kF32), {static_cast<int64_t>(n.need_rank(0))});
  const ValueId above = n.emit("GreaterOrEqual", {x, n.add_constant(t)});
  n.results = {n.emit("ReduceSum", {n.cast(above, DType::kI32), n.add_ints({-1})},
                      {{"keepdims", int64_t{0}}})};
}

// ---- Complex numbers: a last axis of two, real and imaginary ----

void convert_rfft2d(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const Ints length = n.need_ints(1, "the lengths");
  const size_t rank = n.need_rank(0);
  if (n.status.ok() && (length.size() != 2 || rank < 2)) {
    return n.fail(invalid("expected two lengths and an input with two axes"));
  }
  if (!n.status.ok()) return;
  // Rows are cut off or filled up to their lengths.
  ValueId x = n.in(0);
  const auto r = static_cast<int64_t>(rank);
  for (const int64_t axis : {r - 2, r - 1}) {
    const int64_t want = length[static_cast<size_t>(axis - (r - 2))];
    const Dim have = n.dim(0, static_cast<size_t>(axis));
    if (have.is(want)) continue;
    if (!have.known()) return n.fail(unsupported("an open dim beside a length is not supported"));
    if (have.value() > want) {
      x = n.emit("Slice", {x, n.add_ints({0}), n.add_ints({want}), n.add_ints({axis})});
    } else {
      x = n.emit("Pad", {x, n.add_ints({0, want - have.value()}), kNoValue, n.add_ints({axis})});
    }
  }
  x = n.unsqueeze(x, {r});
  x = n.emit("DFT", {x, kNoValue, n.add_constant(Tensor::scalar<int64_t>(r - 1))},
             {{"onesided", int64_t{1}}});
  if (length[0] != 1) {
    x = n.emit("DFT", {x, kNoValue, n.add_constant(Tensor::scalar<int64_t>(r - 2))});
  }
  n.results = {x};
}

void convert_complex_abs(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  n.results = {n.emit("ReduceL2", {n.in(0), n.add_ints({-1})}, {{"keepdims", int64_t{0}}})};
}

// REAL, IMAG
void convert_complex_part(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId at = n.add_constant(Tensor::scalar<int64_t>(n.op == "IMAG" ? 1 : 0));
  n.results = {n.emit("Gather", {n.in(0), at}, {{"axis", int64_t{-1}}})};
}

}  // namespace mnn::tflite
