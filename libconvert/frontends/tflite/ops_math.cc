// Arithmetic, activations, reductions and what changes between numbers and codes.
#include "libconvert/frontends/common/rows.h"
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

}  // namespace

void convert_relu_6(OpNode& n) { clamp(n, 0, 6); }
void convert_relu_n1_to_1(OpNode& n) { clamp(n, -1, 1); }
void convert_relu_0_to_1(OpNode& n) { clamp(n, 0, 1); }

void convert_cbrt(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId root = n.emit("Pow", {n.emit("Abs", {n.in(0)}), n.scalar_f32(1.0 / 3)});
  n.results = {n.emit("Mul", {n.emit("Sign", {n.in(0)}), root})};
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

void convert_reduce(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  constexpr std::pair<std::string_view, const char*> kOps[] = {{"MEAN", "ReduceMean"},
                                                               {"SUM", "ReduceSum"},
                                                               {"REDUCE_PROD", "ReduceProd"},
                                                               {"REDUCE_MAX", "ReduceMax"},
                                                               {"REDUCE_MIN", "ReduceMin"}};
  for (const auto& [name, op] : kOps) {
    if (n.op == name) n.results = {reduced(n, op, n.options<fb::ReducerOptions>(27).keep_dims())};
  }
}

void convert_reduce_bool(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const char* op = n.op == "REDUCE_ANY" ? "ReduceMax" : "ReduceMin";
  n.results = {reduced_bool(n, op, n.options<fb::ReducerOptions>(27).keep_dims())};
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

void convert_fake_quant(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const auto& o = n.options<fb::FakeQuantOptions>(58);
  n.results = {fake_quant(n, {o.min()}, {o.max()}, o.num_bits(), o.narrow_range(), false)};
}

void convert_bucketize(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  n.results = {bucketize(n, list(n.options<fb::BucketizeOptions>(115).boundaries()))};
}

// ---- Complex numbers: a last axis of two, real and imaginary ----

void convert_rfft2d(OpNode& n) {
  if (n.expect_inputs(2, 2)) rfft(n, 2);
}

void convert_complex_abs(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {complex_abs(n, n.in(0))};
}

// REAL, IMAG
void convert_complex_part(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {complex_part(n, n.in(0), n.op == "IMAG")};
}

}  // namespace mnn::tflite
