// Activation functions, softmax, dropout.
#include <cmath>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

void plain(Call& c) { c.give(c.unary(c.form(), c.tensor("self"))); }

void clip(Call& c, ValueId x, double low, double high) {
  const DType type = c.dtype_of(x);
  c.give(c.emit("Clip", {x, c.number(low, type), c.number(high, type)}));
}
void relu6(Call& c) { clip(c, c.tensor("self"), 0, 6); }
void hardtanh(Call& c) { clip(c, c.tensor("self"), c.real("min_val"), c.real("max_val")); }

void hardsigmoid(Call& c) {
  c.give(c.emit("HardSigmoid", {c.tensor("self")}, {{"alpha", 1.0 / 6.0}, {"beta", 0.5}}));
}

void leaky_relu(Call& c) {
  c.give(c.emit("LeakyRelu", {c.tensor("self")}, {{"alpha", c.real("negative_slope")}}));
}

// In evaluation the slope is the middle of its range.
void rrelu(Call& c) {
  if (c.flag("training")) return c.refuse("rrelu draws random slopes while training");
  c.give(c.emit("LeakyRelu", {c.tensor("self")},
                {{"alpha", (c.real("lower") + c.real("upper")) / 2}}));
}

// scale * (x > 0 ? x : alpha * (exp(input_scale * x) - 1))
void elu(Call& c) {
  const ValueId x = c.tensor("self");
  const double alpha = c.real("alpha"), scale = c.real("scale"), inner = c.real("input_scale");
  if (scale == 1 && inner == 1) return c.give(c.emit("Elu", {x}, {{"alpha", alpha}}));
  const DType type = c.dtype_of(x);
  const ValueId below =
      c.emit("Elu", {c.binary("Mul", x, c.number(inner, type))}, {{"alpha", alpha * scale}});
  const ValueId above = c.binary("Mul", x, c.number(scale, type));
  c.give(c.where(c.binary("Greater", x, c.number(0, type)), above, below));
}

void celu(Call& c) { c.give(c.emit("Celu", {c.tensor("self")}, {{"alpha", c.real("alpha")}})); }

// One slope, or one a channel (dim 1).
void prelu(Call& c) {
  const ValueId x = c.tensor("self");
  ValueId slope = c.tensor("weight");
  const size_t rank = c.rank(x);
  if (rank > 2 && !c.dim(slope, 0).is(1)) {
    std::vector<int64_t> shape(rank - 1, 1);
    shape[0] = c.known_dim(slope, 0);
    slope = c.reshape(slope, shape);
  }
  c.give(c.binary("PRelu", x, slope));
}

void gelu(Call& c) {
  c.give(c.emit("Gelu", {c.tensor("self")}, {{"approximate", c.text("approximate")}}));
}

// log(1 + exp(beta * x)) / beta, and x where beta * x is over the threshold.
void softplus(Call& c) {
  const ValueId x = c.tensor("self");
  const DType type = c.dtype_of(x);
  const double beta = c.real("beta"), threshold = c.real("threshold");
  ValueId y = beta == 1 ? x : c.binary("Mul", x, c.number(beta, type));
  const ValueId inner = y;
  y = c.unary("Softplus", y);
  if (beta != 1) y = c.binary("Div", y, c.number(beta, type));
  // From 16 on the two agree to a float's last digit.
  constexpr double kSame = 16;
  if (threshold < kSame) {
    y = c.where(c.binary("Greater", inner, c.number(threshold, type)), x, y);
  }
  c.give(y);
}

void log_sigmoid(Call& c) {
  c.give(c.unary("Neg", c.unary("Softplus", c.unary("Neg", c.tensor("self")))));
}
void log_sigmoid_forward(Call& c) {
  log_sigmoid(c);
  c.give(c.tensor("self"));  // a buffer for training
}

void softsign(Call& c) { c.give(c.unary("Softsign", c.tensor("self"))); }

void tanhshrink(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(c.binary("Sub", x, c.unary("Tanh", x)));
}

void shrink(Call& c) {
  const double lambd = c.real("lambd");
  const bool soft = c.op() == "aten::softshrink";
  c.give(c.emit("Shrink", {c.tensor("self")}, {{"bias", soft ? lambd : 0.0}, {"lambd", lambd}}));
}

void threshold(Call& c) {
  const ValueId x = c.tensor("self");
  const DType type = c.dtype_of(x);
  c.give(c.where(c.binary("Greater", x, c.number(c.real("threshold"), type)), x,
                 c.number(c.real("value"), type)));
}

// The first half times the sigmoid of the second.
void glu(Call& c) {
  const ValueId x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  const std::vector<ValueId> halves =
      c.emit_n("Split", {x}, 2, {{"axis", axis}, {"num_outputs", int64_t{2}}});
  c.give(c.binary("Mul", halves[0], c.unary("Sigmoid", halves[1])));
}

void softmax(Call& c) {
  ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  const int64_t axis = c.axis("dim", rank);
  DType type = kind_of(c.dtype_of(x)) == TypeKind::kFloat ? c.dtype_of(x) : DType::kF32;
  if (c.has_param("dtype")) type = c.dtype("dtype", type);
  x = c.cast(x, type);
  if (rank > 0) return c.give(c.emit(c.form(), {x}, {{"axis", axis}}));
  c.give(c.squeeze(c.emit(c.form(), {c.expand_dims(x, {0})}, {{"axis", int64_t{0}}}), {0}));
}
// What is all -inf gives zeros.
void safe_softmax(Call& c) {
  softmax(c);
  const TensorArg y = c.results.empty() ? TensorArg{} : *c.results[0].get<TensorArg>();
  if (!c.status.ok()) return;
  c.results.clear();
  c.give(c.where(c.unary("IsNaN", y.id), c.number(0, c.dtype_of(y.id)), y.id));
}

// Evaluation: nothing is dropped.
void dropout(Call& c) {
  const bool native = c.has_param("train") && c.op() == "aten::native_dropout";
  if (c.flag("train") && c.real("p") != 0) {
    return c.refuse(
        "the model was exported for training (dropout is active); call eval() before "
        "the export");
  }
  const ValueId x = c.tensor("input");
  c.give(x);
  if (native) c.give(c.filled(c.sizes(x), c.add_constant(Tensor::scalar(true))));
}

}  // namespace

std::vector<RowText> activation_rows() {
  return {
      {"relu(Tensor self) -> Tensor", "Relu", plain},
      {"relu6(Tensor self) -> Tensor", "Clip", relu6},
      {"hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor", "Clip", hardtanh},
      {"hardsigmoid(Tensor self) -> Tensor", "HardSigmoid", hardsigmoid},
      {"hardswish(Tensor self) -> Tensor", "HardSwish", plain},
      {"silu(Tensor self) -> Tensor", "Swish", plain},
      {"mish(Tensor self) -> Tensor", "Mish", plain},
      {"selu(Tensor self) -> Tensor", "Selu", plain},
      {"elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor", "Elu",
       elu},
      {"celu(Tensor self, Scalar alpha=1.0) -> Tensor", "Celu", celu},
      {"leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor", "LeakyRelu", leaky_relu},
      {"rrelu(Tensor self, Scalar lower=0.125, Scalar upper=0.3333333333333333, bool "
       "training=False, Generator? generator=None) -> Tensor",
       "LeakyRelu", rrelu},
      {"prelu(Tensor self, Tensor weight) -> Tensor", "PRelu", prelu},
      {"_prelu_kernel(Tensor self, Tensor weight) -> Tensor", "PRelu",
       [](Call& c) { c.give(c.binary("PRelu", c.tensor("self"), c.tensor("weight"))); }},
      {"gelu(Tensor self, *, str approximate=\"none\") -> Tensor", "Gelu", gelu},
      {"softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor", "Softplus", softplus},
      {"log_sigmoid(Tensor self) -> Tensor", "Neg, Softplus", log_sigmoid},
      {"log_sigmoid_forward(Tensor self) -> (Tensor output, Tensor buffer)", "Neg, Softplus",
       log_sigmoid_forward},
      {"softsign(Tensor self) -> Tensor", "Softsign", softsign},
      {"tanhshrink(Tensor self) -> Tensor", "Tanh, Sub", tanhshrink},
      {"softshrink(Tensor self, Scalar lambd=0.5) -> Tensor", "Shrink", shrink},
      {"hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor", "Shrink", shrink},
      {"threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor", "Greater, Where",
       threshold},
      {"glu(Tensor self, int dim=-1) -> Tensor", "Split, Sigmoid, Mul", glu},
      {"softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", "Softmax", softmax},
      {"_softmax(Tensor self, int dim, bool half_to_float) -> Tensor", "Softmax", softmax},
      {"_safe_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", "Softmax",
       safe_softmax},
      {"log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", "LogSoftmax",
       softmax},
      {"_log_softmax(Tensor self, int dim, bool half_to_float) -> Tensor", "LogSoftmax", softmax},
      {"dropout(Tensor input, float p, bool train) -> Tensor", "none", dropout},
      {"feature_dropout(Tensor input, float p, bool train) -> Tensor", "none", dropout},
      {"alpha_dropout(Tensor input, float p, bool train) -> Tensor", "none", dropout},
      {"feature_alpha_dropout(Tensor input, float p, bool train) -> Tensor", "none", dropout},
      {"native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)", "none", dropout},
  };
}

}  // namespace mnn::torch
