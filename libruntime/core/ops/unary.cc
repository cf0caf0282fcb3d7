// Elementwise mathematics of one operand.
#include "libruntime/core/ops/unary.h"

#include <bit>
#include <cmath>

#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/numeric.h"
#include "libruntime/core/ops/shape_math.h"

namespace mnn {

Status map_floats(KernelContext& c, const std::function<double(double)>& f) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    const T* const in = x.data<T>();
    T* const out = y->data<T>();
    for (int64_t i = 0; i < x.elements(); ++i) {
      out[i] = store_from_compute<T>(f(load_as_compute(in[i])));
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

namespace {

// Output 0 = f(element) over any number type; f is a template over the compute type.
template <typename F>
Status map_numbers(KernelContext& c, F f) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  const bool done = dispatch_numeric(x.dtype(), [&]<typename T>() {
    const T* const in = x.data<T>();
    T* const out = y->data<T>();
    for (int64_t i = 0; i < x.elements(); ++i) {
      out[i] = store_from_compute<T>(f(load_as_compute(in[i])));
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

void map_values(OpContext& c, Dim (*f)(const Dim&)) {
  std::optional<ShapeValues> v = shape_operand(c, 0);
  if (!v) return;
  for (Dim& d : *v) d = f(d);
  c.out[0].values = std::move(v);
}

Status infer_abs(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<kNumbers>(c));
  map_values(c, [](const Dim& d) { return larger_of(d, -d); });
  return {};
}

Status infer_neg(OpContext& c) {
  MNN_RETURN_IF_ERROR((infer_same_type<kFloats | kSignedInts>(c)));
  map_values(c, [](const Dim& d) { return -d; });
  return {};
}

Status infer_not(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<mask_of(DType::kBool)>(c));
  map_values(c, [](const Dim& d) { return d.known() ? Dim(d.is(0) ? 1 : 0) : Dim::unknown(); });
  return {};
}

Status infer_float_test(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kFloats));
  c.out[0].type = c.in[0];
  c.out[0].type.dtype = DType::kBool;
  return {};
}

Status abs_reference(KernelContext& c) {
  return map_numbers(c, [](auto v) {
    if constexpr (std::is_floating_point_v<decltype(v)>) {
      return std::fabs(v);
    } else {
      return v < 0 ? wrap_sub(decltype(v)(0), v) : v;
    }
  });
}

Status neg_reference(KernelContext& c) {
  return map_numbers(c, [](auto v) {
    if constexpr (std::is_floating_point_v<decltype(v)>) {
      return -v;
    } else {
      return wrap_sub(decltype(v)(0), v);
    }
  });
}

Status sign_reference(KernelContext& c) {
  return map_numbers(c, [](auto v) {
    if (v != v) return v;
    return static_cast<decltype(v)>((v > 0) - (v < 0));
  });
}

Status not_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  for (int64_t i = 0; i < x.elements(); ++i) y->data<bool>()[i] = !x.data<bool>()[i];
  return {};
}

Status bitwise_not_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  const bool done = dispatch_integer(x.dtype(), [&]<typename T>() {
    for (int64_t i = 0; i < x.elements(); ++i) {
      y->data<T>()[i] = static_cast<T>(~static_cast<uint64_t>(x.data<T>()[i]));
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Status float_test(KernelContext& c, const std::function<bool(double)>& test) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    for (int64_t i = 0; i < x.elements(); ++i) {
      y->data<bool>()[i] = test(load_as_compute(x.data<T>()[i]));
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Status is_nan_reference(KernelContext& c) {
  return float_test(c, [](double v) { return std::isnan(v); });
}

Status is_inf_reference(KernelContext& c) {
  const bool positive = c.attr_int("detect_positive") != 0;
  const bool negative = c.attr_int("detect_negative") != 0;
  return float_test(c, [=](double v) { return std::isinf(v) && (v > 0 ? positive : negative); });
}

// Ties go to the even neighbour, whatever the rounding mode of the thread.
double round_half_even(double v) {
  const double r = std::round(v);
  if (std::fabs(v - std::trunc(v)) != 0.5) return r;
  return std::copysign(2.0 * std::round(v / 2.0), v);
}

double reciprocal(double v) { return 1.0 / v; }

}  // namespace

std::vector<OpDef> define_unary() {
  return {
      with_gradient(
          abs_gradient,
          {"Abs", 1, 1, kElementwise | kHomogeneous | kNonNegative, {}, infer_abs, abs_reference}),
      with_gradient(neg_gradient,
                    {"Neg", 1, 1, kElementwise | kHomogeneous, {}, infer_neg, neg_reference}),
      with_gradient(zero_gradient,
                    {"Sign", 1, 1, kElementwise, {}, infer_same_type<kNumbers>, sign_reference}),
      {"Not", 1, 1, kElementwise, {}, infer_not, not_reference},
      {"BitwiseNot", 1, 1, kElementwise, {}, infer_same_type<kInts>, bitwise_not_reference},
      {"IsNaN", 1, 1, kElementwise, {}, infer_float_test, is_nan_reference},
      {"IsInf",
       1,
       1,
       kElementwise,
       {{"detect_negative", int64_t{1}}, {"detect_positive", int64_t{1}}},
       infer_float_test,
       is_inf_reference},
      with_gradient(reciprocal_gradient, float_unary<reciprocal>("Reciprocal")),
      with_gradient(sqrt_gradient, float_unary<std::sqrt>("Sqrt", kNonNegative)),
      with_gradient(exp_gradient, float_unary<std::exp>("Exp", kNonNegative)),
      with_gradient(log_gradient, float_unary<std::log>("Log")),
      with_gradient(sin_gradient, float_unary<std::sin>("Sin")),
      with_gradient(cos_gradient, float_unary<std::cos>("Cos")),
      with_gradient(tan_gradient, float_unary<std::tan>("Tan")),
      with_gradient(asin_gradient, float_unary<std::asin>("Asin")),
      with_gradient(acos_gradient, float_unary<std::acos>("Acos", kNonNegative)),
      with_gradient(atan_gradient, float_unary<std::atan>("Atan")),
      with_gradient(sinh_gradient, float_unary<std::sinh>("Sinh")),
      with_gradient(cosh_gradient, float_unary<std::cosh>("Cosh")),
      with_gradient(tanh_gradient, float_unary<std::tanh>("Tanh", kActivation)),
      with_gradient(asinh_gradient, float_unary<std::asinh>("Asinh")),
      with_gradient(acosh_gradient, float_unary<std::acosh>("Acosh", kNonNegative)),
      with_gradient(atanh_gradient, float_unary<std::atanh>("Atanh")),
      with_gradient(zero_gradient, float_unary<std::ceil>("Ceil")),
      with_gradient(zero_gradient, float_unary<std::floor>("Floor")),
      with_gradient(zero_gradient, float_unary<round_half_even>("Round")),
      with_gradient(erf_gradient, float_unary<std::erf>("Erf")),
  };
}

}  // namespace mnn
