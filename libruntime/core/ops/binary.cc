// Arithmetic of two or more operands with NumPy broadcasting.
#include <cmath>

#include "libruntime/core/builder.h"
#include "libruntime/core/ops/broadcast.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/numeric.h"
#include "libruntime/core/ops/shape_math.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

// All inputs of one type, the output their broadcast.
template <TypeMask allowed>
Status infer_broadcast(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, allowed));
  for (size_t i = 1; i < c.in.size(); ++i) MNN_RETURN_IF_ERROR(expect_like(c, i, 0));
  c.out[0].type.dtype = c.in[0].dtype;
  MNN_ASSIGN_OR_RETURN(c.out[0].type.shape, broadcast_inputs(c));
  return {};
}

template <TypeMask allowed, DimFn f>
Status infer_arithmetic(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_broadcast<allowed>(c));
  combine_inputs(c, f);
  return {};
}

// y = f(a, b) element by element; f sees compute types. `y` has the broadcast shape.
template <typename T, typename F>
void zip(const Tensor& a, const Tensor& b, Tensor& y, F f) {
  const std::vector<int64_t>* const operands[] = {&a.dims(), &b.dims()};
  BroadcastRows rows(y.dims(), operands);
  while (rows.next()) {
    const T* const p = a.data<T>() + rows.offset(0);
    const T* const q = b.data<T>() + rows.offset(1);
    T* const out = y.data<T>() + rows.begin();
    const int64_t n = rows.count(), step_p = rows.step(0), step_q = rows.step(1);
    for (int64_t i = 0; i < n; ++i) {
      out[i] =
          store_from_compute<T>(f(load_as_compute(p[i * step_p]), load_as_compute(q[i * step_q])));
    }
  }
}

template <typename Op>
Status zip_numbers(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const DType dtype = c.in[0]->dtype();
  const bool done =
      dispatch_numeric(dtype, [&]<typename T>() { zip<T>(*c.in[0], *c.in[1], *y, Op()); });
  return done ? Status() : no_kernel_for(c, dtype);
}

struct AddOp {
  template <typename T>
  T operator()(T a, T b) const {
    return wrap_add(a, b);
  }
};
struct SubOp {
  template <typename T>
  T operator()(T a, T b) const {
    return wrap_sub(a, b);
  }
};
struct MulOp {
  template <typename T>
  T operator()(T a, T b) const {
    return wrap_mul(a, b);
  }
};
// NaN in either operand wins.
struct MaxOp {
  template <typename T>
  T operator()(T a, T b) const {
    return a != a || a > b ? a : b;
  }
};
struct MinOp {
  template <typename T>
  T operator()(T a, T b) const {
    return a != a || a < b ? a : b;
  }
};

Status refuse_zero_divisor(const KernelContext& c) {
  const Tensor& b = *c.in[1];
  if (!is_integer(b.dtype()) || c.in[0]->elements() == 0) return {};
  bool zero = false;
  dispatch_integer(b.dtype(), [&]<typename T>() {
    for (const T v : b.span<T>()) zero = zero || v == 0;
  });
  return zero ? Status(Code::kInvalidArgument, "integer division by zero") : Status();
}

struct DivOp {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) return truncated_div(a, b);
    return static_cast<T>(a / b);
  }
};

Status div_reference(KernelContext& c) {
  MNN_RETURN_IF_ERROR(refuse_zero_divisor(c));
  return zip_numbers<DivOp>(c);
}

// The remainder with the sign of the divisor, also of a zero.
struct FloorModOp {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      const T r = truncated_mod(a, b);
      return r != 0 && (r < 0) != (b < 0) ? static_cast<T>(r + b) : r;
    } else {
      const T r = std::fmod(a, b);
      if (r == 0) return std::copysign(r, b);
      return (r < 0) != (b < 0) ? r + b : r;
    }
  }
};
struct TruncatedModOp {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      return truncated_mod(a, b);
    } else {
      return std::fmod(a, b);
    }
  }
};

Status infer_mod(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_broadcast<kNumbers>(c));
  combine_inputs(c, c.attr_int("fmod") == 0 ? dim_floor_mod : dim_truncated_mod);
  return {};
}

Status mod_reference(KernelContext& c) {
  MNN_RETURN_IF_ERROR(refuse_zero_divisor(c));
  return c.attr_int("fmod") != 0 ? zip_numbers<TruncatedModOp>(c) : zip_numbers<FloorModOp>(c);
}

Status infer_pow(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kNumbers));
  MNN_RETURN_IF_ERROR(expect_input(c, 1, kNumbers));
  c.out[0].type.dtype = c.in[0].dtype;
  MNN_ASSIGN_OR_RETURN(c.out[0].type.shape, broadcast_inputs(c));
  return {};
}

// base^exponent by squaring, wrapping around; exponent >= 0.
template <typename T>
T integer_power(T base, uint64_t exponent) {
  T result = 1;
  for (; exponent != 0; exponent >>= 1) {
    if (exponent & 1u) result = wrap_mul(result, base);
    base = wrap_mul(base, base);
  }
  return result;
}

template <typename T>
Result<T> integer_to_integer(T base, int64_t exponent) {
  if (exponent >= 0) return integer_power(base, static_cast<uint64_t>(exponent));
  if (base == 0) return invalid("0 to a negative power in integers");
  if (base == 1) return base;
  if constexpr (std::is_signed_v<T>) {
    if (base == T(-1)) return exponent % 2 == 0 ? T(1) : T(-1);
  }
  return T(0);
}

// E is int64_t or double: the exponents, converted.
template <typename T, typename E>
Status pow_typed(const Tensor& base, const std::vector<E>& exponents,
                 const std::vector<int64_t>& exponent_dims, Tensor& y) {
  const std::vector<int64_t>* const operands[] = {&base.dims(), &exponent_dims};
  BroadcastRows rows(y.dims(), operands);
  while (rows.next()) {
    const T* const p = base.data<T>() + rows.offset(0);
    const E* const q = exponents.data() + rows.offset(1);
    T* const out = y.data<T>() + rows.begin();
    for (int64_t i = 0; i < rows.count(); ++i) {
      const auto a = load_as_compute(p[i * rows.step(0)]);
      const E e = q[i * rows.step(1)];
      if constexpr (!std::is_integral_v<T>) {
        out[i] = store_from_compute<T>(std::pow(a, static_cast<double>(e)));
      } else if constexpr (std::is_integral_v<E>) {
        MNN_ASSIGN_OR_RETURN(out[i], integer_to_integer(a, e));
      } else {
        out[i] = saturate<T>(std::pow(static_cast<double>(a), e));
      }
    }
  }
  return {};
}

Status pow_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor &base = *c.in[0], &exponent = *c.in[1];
  Status status;
  if (is_integer(base.dtype()) && is_integer(exponent.dtype())) {
    MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> e, exponent.to_ints());
    dispatch_integer(base.dtype(),
                     [&]<typename T>() { status = pow_typed<T>(base, e, exponent.dims(), *y); });
    return status;
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<double> e, exponent.to_doubles());
  const bool done = dispatch_numeric(
      base.dtype(), [&]<typename T>() { status = pow_typed<T>(base, e, exponent.dims(), *y); });
  return done ? status : no_kernel_for(c, base.dtype());
}

// Folds all inputs with Op from the first on, rounding after each as a chain of binary operators.
template <typename Op>
Status fold_numbers(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const DType dtype = c.in[0]->dtype();
  const bool done = dispatch_numeric(dtype, [&]<typename T>() {
    const std::vector<int64_t>* const first[] = {&c.in[0]->dims()};
    BroadcastRows rows(y->dims(), first);
    while (rows.next()) {
      const T* const p = c.in[0]->data<T>() + rows.offset(0);
      T* const out = y->data<T>() + rows.begin();
      for (int64_t i = 0; i < rows.count(); ++i) out[i] = p[i * rows.step(0)];
    }
    for (size_t k = 1; k < c.in.size(); ++k) zip<T>(*y, *c.in[k], *y, Op());
  });
  return done ? Status() : no_kernel_for(c, dtype);
}

Status mean_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  MNN_ASSIGN_OR_RETURN(Tensor sum, Tensor::allocate(DType::kF64, y->dims()));
  const bool done = dispatch_float(y->dtype(), [&]<typename T>() {
    for (const Tensor* const x : c.in) {
      const std::vector<int64_t>* const operands[] = {&x->dims()};
      BroadcastRows rows(y->dims(), operands);
      while (rows.next()) {
        double* const s = sum.data<double>() + rows.begin();
        const T* const p = x->data<T>() + rows.offset(0);
        for (int64_t i = 0; i < rows.count(); ++i) s[i] += load_as_compute(p[i * rows.step(0)]);
      }
    }
    const double n = static_cast<double>(c.in.size());
    for (int64_t i = 0; i < y->elements(); ++i) {
      y->data<T>()[i] = store_from_compute<T>(sum.data<double>()[i] / n);
    }
  });
  return done ? Status() : no_kernel_for(c, y->dtype());
}

// A chain of the binary operator `name` over all inputs.
ValueId chain(Builder& b, const Node& node, std::string_view name) {
  ValueId sum = node.inputs[0];
  const size_t n = node.own_inputs();
  for (size_t i = 1; i < n; ++i) sum = b.op(name, {sum, node.inputs[i]});
  return n == 1 ? b.op("Identity", {sum}) : sum;
}

Result<std::vector<ValueId>> decompose_sum(Builder& b, const Node& node) {
  return std::vector<ValueId>{chain(b, node, "Add")};
}

Result<std::vector<ValueId>> decompose_mean(Builder& b, const Node& node) {
  const ValueId n = b.scalar(static_cast<double>(node.own_inputs()), b.type(node.inputs[0]).dtype);
  return std::vector<ValueId>{b.op("Div", {chain(b, node, "Add"), n})};
}

}  // namespace

std::vector<OpDef> define_binary() {
  return {
      with_gradient(
          add_gradient,
          {"Add", 2, 2, kElementwise, {}, infer_arithmetic<kNumbers, dim_add>, zip_numbers<AddOp>}),
      with_gradient(
          sub_gradient,
          {"Sub", 2, 2, kElementwise, {}, infer_arithmetic<kNumbers, dim_sub>, zip_numbers<SubOp>}),
      with_gradient(
          mul_gradient,
          {"Mul", 2, 2, kElementwise, {}, infer_arithmetic<kNumbers, dim_mul>, zip_numbers<MulOp>}),
      with_gradient(
          div_gradient,
          {"Div", 2, 2, kElementwise, {}, infer_arithmetic<kNumbers, dim_div>, div_reference}),
      with_gradient(mod_gradient,
                    {"Mod", 2, 2, kElementwise, {{"fmod", int64_t{0}}}, infer_mod, mod_reference}),
      with_gradient(pow_gradient, {"Pow", 2, 2, kElementwise, {}, infer_pow, pow_reference}),
      with_gradient(extreme_gradient, {"Max",
                                       1,
                                       kVariadic,
                                       kElementwise,
                                       {},
                                       infer_arithmetic<kNumbers, dim_max>,
                                       fold_numbers<MaxOp>}),
      with_gradient(extreme_gradient, {"Min",
                                       1,
                                       kVariadic,
                                       kElementwise,
                                       {},
                                       infer_arithmetic<kNumbers, dim_min>,
                                       fold_numbers<MinOp>}),
      with_gradient(sum_gradient, {"Sum",
                                   1,
                                   kVariadic,
                                   kElementwise,
                                   {},
                                   infer_arithmetic<kNumbers, dim_add>,
                                   fold_numbers<AddOp>,
                                   decompose_sum}),
      with_gradient(mean_gradient, {"Mean",
                                    1,
                                    kVariadic,
                                    kElementwise,
                                    {},
                                    infer_broadcast<kFloats>,
                                    mean_reference,
                                    decompose_mean}),
  };
}

}  // namespace mnn
