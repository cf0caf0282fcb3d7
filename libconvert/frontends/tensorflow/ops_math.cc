// Arithmetic, activations, reductions and changes of type.
#include <algorithm>
#include <cmath>

#include "libconvert/frontends/tensorflow/op_map.h"

namespace mnn::tensorflow {

void convert_add_n(OpNode& n) {
  if (n.inputs.empty()) return n.fail(invalid("expected inputs, found none"));
  ValueId sum = n.in(0);
  if (is_float(n.dtype(0))) {
    sum = n.emit("Sum", n.inputs);
  } else {
    for (size_t i = 1; i < n.inputs.size(); ++i) sum = n.emit("Add", {sum, n.in(i)});
  }
  n.results = {sum};
}

void convert_expm1(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  n.results = {n.emit("Sub", {n.emit("Exp", {n.in(0)}), n.add_scalar(1, n.dtype(0))})};
}

void convert_log1p(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  n.results = {n.emit("Log", {n.emit("Add", {n.in(0), n.add_scalar(1, n.dtype(0))})})};
}

namespace {

const Node* maker_of(const OpNode& n, ValueId v) {
  // What it is made of was added just before.
  constexpr size_t kLooked = 16;
  const auto& nodes = n.graph.nodes;
  for (size_t k = nodes.size(); k-- > 0 && nodes.size() - k <= kLooked;) {
    if (nodes[k].outputs.size() == 1 && nodes[k].outputs[0] == v) return &nodes[k];
  }
  return nullptr;
}

}  // namespace

// 1 - erf(x). Of the negative of something it is 1 + erf of that, as GELU has it.
void convert_erfc(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId one = n.add_scalar(1, n.dtype(0));
  const Node* product = maker_of(n, n.in(0));
  if (product != nullptr && product->op == "Mul" && product->inputs.size() == 2) {
    const std::vector<ValueId> factors = product->inputs;
    for (const size_t side : {size_t{0}, size_t{1}}) {
      const Node* negative = maker_of(n, factors[side]);
      if (negative == nullptr || negative->op != "Neg") continue;
      const ValueId x = negative->inputs[0];
      const ValueId u = n.emit("Mul", {x, factors[1 - side]});
      n.results = {n.emit("Add", {n.emit("Erf", {u}), one})};
      return;
    }
  }
  n.results = {n.emit("Sub", {one, n.emit("Erf", {n.in(0)})})};
}

// The remainder has the sign of what is divided.
void convert_truncate_mod(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  n.results = {n.emit("Mod", {n.in(0), n.in(1)}, {{"fmod", int64_t{1}}})};
}

// Products and quotients that are 0 where one operand is, whatever the other one is.
void convert_no_nan(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const ValueId x = n.in(0), y = n.in(1), zero = n.add_scalar(0, n.dtype(0));
  const bool second = n.op.ends_with("NoNan");
  ValueId value = kNoValue;
  if (n.op == "DivNoNan" || n.op == "Xdivy") {
    value = n.emit("Div", {x, y});
  } else if (n.op == "MulNoNan") {
    value = n.emit("Mul", {x, y});
  } else {
    const ValueId in = n.op == "Xlogy" ? y : n.emit("Add", {y, n.add_scalar(1, n.dtype(0))});
    value = n.emit("Mul", {x, n.emit("Log", {in})});
  }
  n.results = {n.emit("Where", {n.emit("Equal", {second ? y : x, zero}), zero, value})};
}

void convert_approximate_equal(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const ValueId apart = n.emit("Abs", {n.emit("Sub", {n.in(0), n.in(1)})});
  const ValueId most = n.add_scalar(n.attr_float("tolerance", 1e-5), n.dtype(0));
  n.results = {n.emit("Less", {apart, most})};
}

void convert_left_shift(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const DType dtype = n.dtype(0);
  if (!is_signed_integer(dtype)) {
    n.results = {n.emit("BitShift", {n.in(0), n.in(1)}, {{"direction", std::string("LEFT")}})};
    return;
  }
  const ValueId power =
      n.emit("Pow", {n.add_constant(Tensor::scalar(2.0)), n.cast(n.in(1), DType::kF64)});
  n.results = {n.emit("Mul", {n.in(0), n.cast(power, dtype)})};
}

void convert_relu6(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  n.results = {n.emit("Clip", {n.in(0), n.add_scalar(0, n.dtype(0)), n.add_scalar(6, n.dtype(0))})};
}

void convert_leaky_relu(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  n.results = {n.emit("LeakyRelu", {n.in(0)}, {{"alpha", n.attr_float("alpha", 0.2)}})};
}

void convert_softmax(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {n.emit(n.op, {n.in(0)}, {{"axis", int64_t{-1}}})};
}

// IsInf, IsFinite
void convert_is_inf(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId infinite = n.emit("IsInf", {n.in(0)});
  if (n.op == "IsInf") {
    n.results = {infinite};
    return;
  }
  n.results = {n.emit("Not", {n.emit("Or", {infinite, n.emit("IsNaN", {n.in(0)})})})};
}

// Half the sum of the squares.
void convert_l2_loss(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId sum = n.emit("ReduceSumSquare", {n.in(0)}, {{"keepdims", int64_t{0}}});
  n.results = {n.emit("Mul", {sum, n.add_scalar(0.5, n.dtype(0))})};
}

// x, least, most
void convert_clip(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  if (n.rank(1) == 0u && n.rank(2) == 0u) {
    n.results = {n.emit("Clip", n.inputs)};
    return;
  }
  n.results = {n.emit("Min", {n.emit("Max", {n.in(0), n.in(1)}), n.in(2)})};
}

void convert_bucketize(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {bucketize(n, n.attr_floats("boundaries"))};
}

void convert_cast(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId y = n.cast(n.in(0), n.attr_type("DstT", DType::kF32));
  n.results = {y == n.in(0) ? n.emit("Identity", {y}) : y};
}

void convert_bitcast(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  n.results = {n.emit("BitCast", {n.in(0)},
                      {{"to", static_cast<int64_t>(n.attr_type("type", DType::kF32))}})};
}

// ---- Reductions ----

void convert_reduce(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  constexpr std::pair<std::string_view, const char*> kOps[] = {
      {"Mean", "ReduceMean"}, {"Sum", "ReduceSum"}, {"Prod", "ReduceProd"},
      {"Max", "ReduceMax"},   {"Min", "ReduceMin"}, {"EuclideanNorm", "ReduceL2"}};
  for (const auto& [name, op] : kOps) {
    if (n.op == name) n.results = {reduced(n, op, n.attr_bool("keep_dims"))};
  }
}

void convert_reduce_bool(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  n.results = {
      reduced_bool(n, n.op == "Any" ? "ReduceMax" : "ReduceMin", n.attr_bool("keep_dims"))};
}

void convert_arg(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const int64_t axis = n.need_int(1, "the axis");
  if (!n.status.ok()) return;
  const ValueId x = n.dtype(0) == DType::kBool ? n.cast(n.in(0), DType::kI32) : n.in(0);
  const ValueId at = n.emit(n.op, {x}, {{"axis", axis}, {"keepdims", int64_t{0}}});
  n.results = {n.cast(at, n.attr_type("output_type", DType::kI64))};
}

namespace {

void cumulate(OpNode& n, const char* op) {
  if (!n.expect_inputs(2, 2)) return;
  n.results = {n.emit(op, {n.in(0), n.scalar_operand(1)},
                      {{"exclusive", int64_t{n.attr_bool("exclusive")}},
                       {"reverse", int64_t{n.attr_bool("reverse")}}})};
}

}  // namespace

void convert_cumsum(OpNode& n) { cumulate(n, "CumSum"); }
void convert_cumprod(OpNode& n) { cumulate(n, "CumProd"); }

// ---- Simulated quantization ----

// x, and the ends of its range but for …Args: on the grid that training nudges it to.
void convert_fake_quant(OpNode& n) {
  const bool args = n.op == "FakeQuantWithMinMaxArgs";
  if (!n.expect_inputs(args ? 1 : 3, args ? 1 : 3)) return;
  std::vector<double> low = {n.attr_float("min", -6)}, high = {n.attr_float("max", 6)};
  if (!args) {
    const Tensor *a = n.constant(1), *b = n.constant(2);
    if (a == nullptr || b == nullptr) return n.fail(unsupported("its range must be constant"));
    const auto lows = a->to_doubles(), highs = b->to_doubles();
    if (!lows.ok() || !highs.ok() || lows->size() != highs->size() || lows->empty()) {
      return n.fail(invalid("the ends of its range do not fit"));
    }
    low = *lows;
    high = *highs;
  }
  n.results = {fake_quant(n, low, high, n.attr_int("num_bits", 8), n.attr_bool("narrow_range"),
                          n.op.ends_with("PerChannel"))};
}

// x, and the ends of its range: a grid around 0 without a zero point.
void convert_quantize_and_dequantize(OpNode& n) {
  if (!n.expect_inputs(3, 4)) return;
  const Tensor *a = n.constant(1), *b = n.constant(2);
  if (!n.attr_bool("range_given") || n.attr_int("axis", -1) != -1 || a == nullptr || b == nullptr ||
      a->elements() != 1 || b->elements() != 1) {
    return n.fail(unsupported("its range must be one of constants"));
  }
  const ValueId bits_in = n.in(3);
  const int64_t bits = bits_in == kNoValue ? n.attr_int("num_bits", 8) : n.need_int(3, "num_bits");
  if (!n.status.ok()) return;
  if (bits < 2 || bits > 24) return n.fail(invalid("num_bits is not in [2, 24]"));
  const bool is_signed = n.attr_bool("signed_input", true);
  const double least =
      is_signed ? -std::ldexp(1, static_cast<int>(bits) - 1) + (n.attr_bool("narrow_range") ? 1 : 0)
                : 0;
  const double most = std::ldexp(1, static_cast<int>(bits) - (is_signed ? 1 : 0)) - 1;
  const auto lows = a->to_doubles(), highs = b->to_doubles();
  if (!lows.ok() || !highs.ok()) return n.fail(invalid("the ends of its range are no numbers"));
  const double low = (*lows)[0], high = (*highs)[0];
  const double from_low = least * low > 0 ? least / low : INFINITY;
  const double from_high = most * high > 0 ? most / high : INFINITY;
  const double scale = std::min(from_low, from_high);
  if (!std::isfinite(scale)) return n.fail(invalid("its range is empty"));
  const auto number = [&](double v) { return n.add_scalar(v, n.dtype(0)); };
  const ValueId x = n.emit("Clip", {n.in(0), number(least / scale), number(most / scale)});
  const ValueId codes = n.emit("Round", {n.emit("Mul", {x, number(scale)})});
  n.results = {n.emit("Mul", {codes, number(1 / scale)})};
}

}  // namespace mnn::tensorflow
