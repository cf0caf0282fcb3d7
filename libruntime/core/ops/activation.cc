// Activation functions. Those built from simpler operators also carry a decomposition.
#include <bit>
#include <cmath>

#include "libruntime/core/builder.h"
#include "libruntime/core/ops/broadcast.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/numeric.h"
#include "libruntime/core/ops/random_generator.h"
#include "libruntime/core/ops/unary.h"

namespace mnn {
namespace {

using Made = Result<std::vector<ValueId>>;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softplus(double x) { return std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }
// min(max(v, 0), 1) that keeps NaN.
double clamp_unit(double v) { return v < 0.0 ? 0.0 : v > 1.0 ? 1.0 : v; }

ValueId like_scalar(Builder& b, const Node& node, double value) {
  return b.scalar(value, b.type(node.inputs[0]).dtype);
}

double node_float(const Node& node, std::string_view name) {
  return AttributeReader(node, *find_op(node.op)).attr_float(name);
}

Status relu_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  const bool done = dispatch_numeric(x.dtype(), [&]<typename T>() {
    for (int64_t i = 0; i < x.elements(); ++i) {
      const compute_t<T> v = load_as_compute(x.data<T>()[i]);
      y->data<T>()[i] = store_from_compute<T>(v < 0 ? compute_t<T>(0) : v);
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Status leaky_relu(KernelContext& c) {
  const double alpha = c.attr_float("alpha");
  return map_floats(c, [=](double x) { return x < 0 ? alpha * x : x; });
}

Status elu(KernelContext& c) {
  const double alpha = c.attr_float("alpha");
  return map_floats(c, [=](double x) { return x < 0 ? alpha * std::expm1(x) : x; });
}

Status selu(KernelContext& c) {
  const double alpha = c.attr_float("alpha"), gamma = c.attr_float("gamma");
  return map_floats(c, [=](double x) { return gamma * (x <= 0 ? alpha * std::expm1(x) : x); });
}

Status celu(KernelContext& c) {
  const double alpha = c.attr_float("alpha");
  return map_floats(c, [=](double x) { return x < 0 ? alpha * std::expm1(x / alpha) : x; });
}

// max(0, x) + min(0, alpha * (exp(x / alpha) - 1))
Made decompose_celu(Builder& b, const Node& node) {
  const ValueId x = node.inputs[0];
  const ValueId alpha = like_scalar(b, node, node_float(node, "alpha"));
  const ValueId zero = like_scalar(b, node, 0.0);
  const ValueId grown =
      b.op("Sub", {b.op("Exp", {b.op("Div", {x, alpha})}), like_scalar(b, node, 1.0)});
  const ValueId low = b.op("Min", {zero, b.op("Mul", {alpha, grown})});
  return std::vector<ValueId>{b.op("Add", {b.op("Max", {zero, x}), low})};
}

Status hard_sigmoid(KernelContext& c) {
  const double alpha = c.attr_float("alpha"), beta = c.attr_float("beta");
  return map_floats(c, [=](double x) { return clamp_unit(alpha * x + beta); });
}

double hard_swish(double x) { return x * clamp_unit(x / 6.0 + 0.5); }

Made decompose_hard_swish(Builder& b, const Node& node) {
  const ValueId x = node.inputs[0];
  const ValueId gate = b.op("HardSigmoid", {x}, {{"alpha", 1.0 / 6.0}, {"beta", 0.5}});
  return std::vector<ValueId>{b.op("Mul", {x, gate})};
}

Status thresholded_relu(KernelContext& c) {
  const double alpha = c.attr_float("alpha");
  return map_floats(c, [=](double x) { return x > alpha ? x : 0.0; });
}

double softsign(double x) { return x / (1.0 + std::fabs(x)); }
double mish(double x) { return x * std::tanh(softplus(x)); }

Made decompose_mish(Builder& b, const Node& node) {
  const ValueId x = node.inputs[0];
  return std::vector<ValueId>{b.op("Mul", {x, b.op("Tanh", {b.op("Softplus", {x})})})};
}

Status swish(KernelContext& c) {
  const double alpha = c.attr_float("alpha");
  return map_floats(c, [=](double x) { return x * sigmoid(alpha * x); });
}

Made decompose_swish(Builder& b, const Node& node) {
  const ValueId x = node.inputs[0];
  const double alpha = node_float(node, "alpha");
  const ValueId scaled = alpha == 1.0 ? x : b.op("Mul", {x, like_scalar(b, node, alpha)});
  return std::vector<ValueId>{b.op("Mul", {x, b.op("Sigmoid", {scaled})})};
}

constexpr double kTanhGeluScale = 0.79788456080286535588;  // sqrt(2 / pi)
constexpr double kTanhGeluCubic = 0.044715;

Status infer_gelu(OpContext& c) {
  const std::string mode = c.attr_string("approximate");
  if (mode != "none" && mode != "tanh") {
    return invalid("approximate: expected none or tanh, found " + mode);
  }
  return infer_same_type<kFloats>(c);
}

Status gelu(KernelContext& c) {
  if (c.attr_string("approximate") == "tanh") {
    return map_floats(c, [](double x) {
      return 0.5 * x * (1.0 + std::tanh(kTanhGeluScale * (x + kTanhGeluCubic * x * x * x)));
    });
  }
  return map_floats(c, [](double x) { return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0))); });
}

Made decompose_gelu(Builder& b, const Node& node) {
  const ValueId x = node.inputs[0];
  ValueId inner = kNoValue;
  if (AttributeReader(node, *find_op("Gelu")).attr_string("approximate") == "tanh") {
    const ValueId cube = b.op("Mul", {x, b.op("Mul", {x, x})});
    const ValueId sum = b.op("Add", {x, b.op("Mul", {cube, like_scalar(b, node, kTanhGeluCubic)})});
    inner = b.op("Tanh", {b.op("Mul", {sum, like_scalar(b, node, kTanhGeluScale)})});
  } else {
    inner = b.op("Erf", {b.op("Mul", {x, like_scalar(b, node, std::sqrt(0.5))})});
  }
  const ValueId half = b.op("Mul", {x, like_scalar(b, node, 0.5)});
  return std::vector<ValueId>{b.op("Mul", {half, b.op("Add", {inner, like_scalar(b, node, 1.0)})})};
}

Status shrink(KernelContext& c) {
  const double bias = c.attr_float("bias"), lambd = c.attr_float("lambd");
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  const bool done = dispatch_numeric(x.dtype(), [&]<typename T>() {
    for (int64_t i = 0; i < x.elements(); ++i) {
      const double v = static_cast<double>(load_as_compute(x.data<T>()[i]));
      const double r = v < -lambd ? v + bias : v > lambd ? v - bias : 0.0;
      if constexpr (std::is_integral_v<T>) {
        y->data<T>()[i] = saturate<T>(r);
      } else {
        y->data<T>()[i] = store_from_compute<T>(r);
      }
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Status infer_prelu(OpContext& c) {
  constexpr TypeMask allowed =
      kFloats | mask_of(DType::kI32, DType::kI64, DType::kU32, DType::kU64);
  MNN_RETURN_IF_ERROR(infer_same_type<allowed>(c));
  MNN_RETURN_IF_ERROR(expect_like(c, 1, 0));
  if (!c.rank_known(0) || !c.rank_known(1)) return {};
  MNN_ASSIGN_OR_RETURN(const Shape both, broadcast_shapes(*c.in[0].shape, *c.in[1].shape));
  for (size_t i = 0; i < both.size(); ++i) {
    const bool fits =
        both.size() == c.in[0].rank() &&
        (!both[i].known() || !(*c.in[0].shape)[i].known() || both[i].same((*c.in[0].shape)[i]));
    if (!fits) {
      return invalid("the slope " + c.in[1].str() + " does not broadcast to " + c.in[0].str());
    }
  }
  return {};
}

Status prelu(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor &x = *c.in[0], &slope = *c.in[1];
  const std::vector<int64_t>* const operands[] = {&slope.dims()};
  const bool done = dispatch_numeric(x.dtype(), [&]<typename T>() {
    BroadcastRows rows(x.dims(), operands);
    while (rows.next()) {
      const T* const in = x.data<T>() + rows.begin();
      const T* const s = slope.data<T>() + rows.offset(0);
      T* const out = y->data<T>() + rows.begin();
      for (int64_t i = 0; i < rows.count(); ++i) {
        const compute_t<T> v = load_as_compute(in[i]);
        const compute_t<T> a = load_as_compute(s[i * rows.step(0)]);
        out[i] = store_from_compute<T>(v < 0 ? wrap_mul(a, v) : v);
      }
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Status infer_clip(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<kNumbers>(c));
  for (size_t i = 1; i < 3; ++i) {
    if (!c.has_input(i)) continue;
    MNN_RETURN_IF_ERROR(expect_like(c, i, 0));
    MNN_RETURN_IF_ERROR(expect_scalar(c, i));
  }
  return {};
}

Status clip(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  const bool done = dispatch_numeric(x.dtype(), [&]<typename T>() {
    for (int64_t i = 0; i < x.elements(); ++i) {
      compute_t<T> v = load_as_compute(x.data<T>()[i]);
      if (c.has_input(1)) {
        const compute_t<T> low = load_as_compute(*c.in[1]->data<T>());
        if (v < low) v = low;
      }
      if (c.has_input(2)) {
        const compute_t<T> high = load_as_compute(*c.in[2]->data<T>());
        if (v > high) v = high;
      }
      y->data<T>()[i] = store_from_compute<T>(v);
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Status infer_identity(OpContext& c) {
  if (!c.has_input(0)) return invalid("input 0: expected any value, found none");
  c.out[0].type = c.in[0];
  c.out[0].values = c.values(0);
  return {};
}

Status identity(KernelContext& c) {
  c.out[0] = *c.in[0];
  return {};
}

// A gate and what it lets through, of one shape.
Status infer_swiglu(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<kFloats>(c));
  MNN_RETURN_IF_ERROR(expect_like(c, 1, 0));
  if (!c.rank_known(1)) return {};
  const Shape& b = *c.in[1].shape;
  if (!c.rank_known(0)) {
    c.out[0].type.shape = b;
    return {};
  }
  MNN_RETURN_IF_ERROR(expect_rank(c, 1, c.in[0].rank()));
  for (size_t i = 0; i < b.size(); ++i) {
    MNN_RETURN_IF_ERROR(
        expect_dim(b[i], (*c.in[0].shape)[i], "input 1, axis " + std::to_string(i)));
  }
  return {};
}

Made decompose_swiglu(Builder& b, const Node& node) {
  const ValueId gate = b.op("Swish", {node.inputs[0]}, {{"alpha", node_float(node, "alpha")}});
  return std::vector<ValueId>{b.op("Mul", {gate, node.inputs[1]})};
}

Status infer_dropout(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<kFloats>(c));
  MNN_RETURN_IF_ERROR(expect_optional_input(c, 1, kFloats));
  MNN_RETURN_IF_ERROR(expect_optional_input(c, 2, mask_of(DType::kBool)));
  if (c.has_output(1)) {
    c.out[1].type = c.in[0];
    c.out[1].type.dtype = DType::kBool;
  }
  return {};
}

// Inference mode: the identity. In training mode each element is dropped with probability `ratio`
// and the others are scaled so that the mean stays; the seed says which, the same in every run.
Status dropout(KernelContext& c) {
  double ratio = 0.0;
  if (c.has_input(2) && c.in[2]->elements() == 1 && *c.in[2]->data<bool>()) {
    ratio = 0.5;
    if (c.has_input(1)) {
      MNN_ASSIGN_OR_RETURN(const std::vector<double> given, c.in[1]->to_doubles());
      if (given.size() == 1) ratio = given[0];
    }
    if (!(ratio >= 0.0 && ratio < 1.0)) {
      return invalid("ratio: expected a number in [0, 1), found " + std::to_string(ratio));
    }
  }
  Tensor* mask = nullptr;
  if (c.has_output(1)) {
    MNN_ASSIGN_OR_RETURN(mask, c.make(1));
  }
  const Tensor& x = *c.in[0];
  if (ratio == 0.0) {
    c.out[0] = x;
    for (int64_t i = 0; mask != nullptr && i < mask->elements(); ++i) mask->data<bool>()[i] = true;
    return {};
  }
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  Generator random(c);
  const double scale = 1.0 / (1.0 - ratio);
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    for (int64_t i = 0; i < x.elements(); ++i) {
      const bool kept = random.uniform() >= ratio;
      y->data<T>()[i] = store_from_compute<T>(kept ? load_as_compute(x.data<T>()[i]) * scale : 0.0);
      if (mask != nullptr) mask->data<bool>()[i] = kept;
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

}  // namespace

std::vector<OpDef> define_activation() {
  constexpr InferFn same = infer_same_type<kFloats>;
  return {
      with_gradient(relu_gradient, {"Relu",
                                    1,
                                    1,
                                    kElementwise | kActivation | kHomogeneous | kNonNegative,
                                    {},
                                    infer_same_type<kFloats | kSignedInts>,
                                    relu_reference}),
      with_gradient(leaky_relu_gradient, {"LeakyRelu",
                                          1,
                                          1,
                                          kElementwise | kActivation | kHomogeneous,
                                          {{"alpha", 0.01}},
                                          same,
                                          leaky_relu}),
      with_gradient(
          prelu_gradient,
          {"PRelu", 2, 2, kElementwise | kActivation | kHomogeneous, {}, infer_prelu, prelu}),
      with_gradient(elu_gradient,
                    {"Elu", 1, 1, kElementwise | kActivation, {{"alpha", 1.0}}, same, elu}),
      with_gradient(selu_gradient,
                    {"Selu",
                     1,
                     1,
                     kElementwise | kActivation,
                     {{"alpha", 1.67326319217681884765625}, {"gamma", 1.05070102214813232421875}},
                     same,
                     selu}),
      with_gradient(
          celu_gradient,
          {"Celu", 1, 1, kElementwise | kActivation, {{"alpha", 1.0}}, same, celu, decompose_celu}),
      with_gradient(sigmoid_gradient, float_unary<sigmoid>("Sigmoid", kActivation | kNonNegative)),
      with_gradient(hard_sigmoid_gradient, {"HardSigmoid",
                                            1,
                                            1,
                                            kElementwise | kActivation | kNonNegative,
                                            {{"alpha", 0.2}, {"beta", 0.5}},
                                            same,
                                            hard_sigmoid}),
      with_gradient(hard_swish_gradient, {"HardSwish",
                                          1,
                                          1,
                                          kElementwise | kActivation,
                                          {},
                                          same,
                                          map_floats_with<hard_swish>,
                                          decompose_hard_swish}),
      with_gradient(softplus_gradient,
                    float_unary<softplus>("Softplus", kActivation | kNonNegative)),
      with_gradient(softsign_gradient, float_unary<softsign>("Softsign", kActivation)),
      with_gradient(
          thresholded_relu_gradient,
          {"ThresholdedRelu", 1, 1, kElementwise, {{"alpha", 1.0}}, same, thresholded_relu}),
      with_gradient(gelu_gradient, {"Gelu",
                                    1,
                                    1,
                                    kElementwise | kActivation,
                                    {{"approximate", "none"}},
                                    infer_gelu,
                                    gelu,
                                    decompose_gelu}),
      with_gradient(mish_gradient, {"Mish",
                                    1,
                                    1,
                                    kElementwise | kActivation,
                                    {},
                                    same,
                                    map_floats_with<mish>,
                                    decompose_mish}),
      with_gradient(swish_gradient, {"Swish",
                                     1,
                                     1,
                                     kElementwise | kActivation,
                                     {{"alpha", 1.0}},
                                     same,
                                     swish,
                                     decompose_swish}),
      {"SwiGLU", 2, 2, {}, {{"alpha", 1.0}}, infer_swiglu, nullptr, decompose_swiglu},
      with_gradient(shrink_gradient, {"Shrink",
                                      1,
                                      1,
                                      kElementwise,
                                      {{"bias", 0.0}, {"lambd", 0.5}},
                                      infer_same_type<kNumbers>,
                                      shrink}),
      with_gradient(clip_gradient,
                    {"Clip", 1, 3, kElementwise | kActivation, {}, infer_clip, clip}),
      with_gradient(identity_gradient, {"Identity",
                                        1,
                                        1,
                                        kElementwise | kMoves | kView | kContainers,
                                        {},
                                        infer_identity,
                                        identity}),
      {.name = "Dropout",
       .min_inputs = 1,
       .max_inputs = 3,
       .attributes = {{"seed", int64_t{0}}},
       .infer = infer_dropout,
       .reference = dropout,
       .max_outputs = 2,
       .gradient = dropout_gradient},
  };
}

}  // namespace mnn
