// Softmax and its relatives, and running sums and products: operators along one axis.
#include <cmath>
#include <limits>

#include "libruntime/core/ops/axis.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/numeric.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

Status infer_along_axis(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<kFloats>(c));
  if (!c.rank_known(0)) return {};
  return c.attr_axis("axis", c.in[0].rank()).status();
}

// Calls line(in, out, n, step) for every line along the axis.
template <typename F>
Status map_lines(KernelContext& c, F line) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", x.rank()));
  if (x.elements() == 0) return {};
  const AxisLines lines(x.dims(), axis);
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    lines.for_each(
        [&](int64_t at) { line(x.data<T>() + at, y->data<T>() + at, lines.size, lines.inner); });
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

template <typename T>
double line_max(const T* in, int64_t n, int64_t step) {
  double high = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < n; ++i) high = std::fmax(high, load_as_compute(in[i * step]));
  return high;
}

template <typename T>
double line_sum_exp(const T* in, int64_t n, int64_t step, double high) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(load_as_compute(in[i * step]) - high);
  return sum;
}

Status softmax(KernelContext& c) {
  return map_lines(c, []<typename T>(const T* in, T* out, int64_t n, int64_t step) {
    const double high = line_max(in, n, step), sum = line_sum_exp(in, n, step, high);
    for (int64_t i = 0; i < n; ++i) {
      out[i * step] = store_from_compute<T>(std::exp(load_as_compute(in[i * step]) - high) / sum);
    }
  });
}

Status log_softmax(KernelContext& c) {
  return map_lines(c, []<typename T>(const T* in, T* out, int64_t n, int64_t step) {
    const double high = line_max(in, n, step);
    const double log_sum = std::log(line_sum_exp(in, n, step, high));
    for (int64_t i = 0; i < n; ++i) {
      out[i * step] = store_from_compute<T>(load_as_compute(in[i * step]) - high - log_sum);
    }
  });
}

// 1 at the first largest element of each line, 0 elsewhere.
Status hardmax(KernelContext& c) {
  return map_lines(c, []<typename T>(const T* in, T* out, int64_t n, int64_t step) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; ++i) {
      if (load_as_compute(in[i * step]) > load_as_compute(in[best * step])) best = i;
    }
    for (int64_t i = 0; i < n; ++i) out[i * step] = store_from_compute<T>(i == best ? 1.0 : 0.0);
  });
}

Status infer_running(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<kNumbers>(c));
  MNN_RETURN_IF_ERROR(expect_input(c, 1, mask_of(DType::kI32, DType::kI64)));
  MNN_RETURN_IF_ERROR(expect_scalar(c, 1));
  const std::optional<std::vector<int64_t>> axis = c.ints(1);
  if (!axis || !c.rank_known(0)) return {};
  return normalize_axis((*axis)[0], c.in[0].rank()).status();
}

// out[i] = start op in[0] op … op in[i], without in[i] when exclusive, from the end when reversed.
template <typename Op>
Status running(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> given, c.in[1]->to_ints());
  MNN_ASSIGN_OR_RETURN(const size_t axis, normalize_axis(given[0], x.rank()));
  if (x.elements() == 0) return {};
  const bool exclusive = c.attr_int("exclusive") != 0, reverse = c.attr_int("reverse") != 0;
  const AxisLines lines(x.dims(), axis);
  const bool done = dispatch_numeric(x.dtype(), [&]<typename T>() {
    lines.for_each([&](int64_t at) {
      compute_t<T> sum = Op::kStart;
      for (int64_t i = 0; i < lines.size; ++i) {
        const int64_t k = at + (reverse ? lines.size - 1 - i : i) * lines.inner;
        const compute_t<T> next = Op::combine(sum, load_as_compute(x.data<T>()[k]));
        y->data<T>()[k] = store_from_compute<T>(exclusive ? sum : next);
        sum = next;
      }
    });
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

struct RunningSum {
  static constexpr int kStart = 0;
  template <typename A>
  static A combine(A a, A b) {
    return wrap_add(a, b);
  }
};
struct RunningProduct {
  static constexpr int kStart = 1;
  template <typename A>
  static A combine(A a, A b) {
    return wrap_mul(a, b);
  }
};

}  // namespace

std::vector<OpDef> define_softmax() {
  const std::vector<AttrDef> axis = {{"axis", int64_t{-1}}};
  const std::vector<AttrDef> directions = {{"exclusive", int64_t{0}}, {"reverse", int64_t{0}}};
  return {
      with_gradient(softmax_gradient,
                    {"Softmax", 1, 1, kNonNegative, axis, infer_along_axis, softmax}),
      with_gradient(log_softmax_gradient,
                    {"LogSoftmax", 1, 1, {}, axis, infer_along_axis, log_softmax}),
      with_gradient(zero_gradient,
                    {"Hardmax", 1, 1, kNonNegative, axis, infer_along_axis, hardmax}),
      with_gradient(cum_sum_gradient, {"CumSum", 2, 2, shape_inputs(1), directions, infer_running,
                                       running<RunningSum>}),
      {"CumProd", 2, 2, shape_inputs(1), directions, infer_running, running<RunningProduct>},
  };
}

}  // namespace mnn
