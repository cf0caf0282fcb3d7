// Normalizations by a neighbourhood of channels, by a norm along an axis, and by mean and variance.
#include <algorithm>
#include <cmath>

#include "libruntime/core/builder.h"
#include "libruntime/core/ops/axis.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

Status infer_lrn(OpContext& c) {
  if (c.attr_int("size") < 1) {
    return invalid("size: expected at least 1, found " + std::to_string(c.attr_int("size")));
  }
  MNN_RETURN_IF_ERROR(infer_same_type<kFloats>(c));
  if (c.rank_known(0) && c.in[0].rank() < 2) {
    return invalid("input 0: expected rank 2 or more, found " + c.in[0].str());
  }
  return {};
}

// y = x / (bias + alpha / size * sum of squares of `size` neighbouring channels) ^ beta
Status lrn(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  if (x.elements() == 0) return {};
  const double alpha = c.attr_float("alpha"), beta = c.attr_float("beta");
  const double bias = c.attr_float("bias");
  const int64_t size = c.attr_int("size");
  const AxisLines lines(x.dims(), 1);
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    lines.for_each([&](int64_t at) {
      const T* const in = x.data<T>() + at;
      for (int64_t i = 0; i < lines.size; ++i) {
        const int64_t first = std::max<int64_t>(0, i - (size - 1) / 2);
        const int64_t last = std::min(lines.size - 1, i + std::min(size / 2, lines.size));
        double squares = 0;
        for (int64_t k = first; k <= last; ++k) {
          const double v = load_as_compute(in[k * lines.inner]);
          squares += v * v;
        }
        const double base = bias + alpha / static_cast<double>(size) * squares;
        y->data<T>()[at + i * lines.inner] =
            store_from_compute<T>(load_as_compute(in[i * lines.inner]) / std::pow(base, beta));
      }
    });
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Status infer_lp_norm(OpContext& c) {
  if (c.attr_int("p") != 1 && c.attr_int("p") != 2) {
    return invalid("p: expected 1 or 2, found " + std::to_string(c.attr_int("p")));
  }
  MNN_RETURN_IF_ERROR(infer_same_type<kFloats>(c));
  if (!c.rank_known(0)) return {};
  return c.attr_axis("axis", c.in[0].rank()).status();
}

// Each line divided by its norm; a line of zeros stays zero.
Status lp_norm(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", x.rank()));
  if (x.elements() == 0) return {};
  const bool squared = c.attr_int("p") == 2;
  const AxisLines lines(x.dims(), axis);
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    lines.for_each([&](int64_t at) {
      double norm = 0;
      for (int64_t i = 0; i < lines.size; ++i) {
        const double v = load_as_compute(x.data<T>()[at + i * lines.inner]);
        norm += squared ? v * v : std::fabs(v);
      }
      if (squared) norm = std::sqrt(norm);
      for (int64_t i = 0; i < lines.size; ++i) {
        const int64_t k = at + i * lines.inner;
        const double v = load_as_compute(x.data<T>()[k]);
        y->data<T>()[k] = store_from_compute<T>(norm == 0 ? 0.0 : v / norm);
      }
    });
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Status infer_mean_variance(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<kFloats>(c));
  if (!c.rank_known(0)) return {};
  for (const int64_t a : c.attr_ints("axes")) {
    MNN_RETURN_IF_ERROR(normalize_axis(a, c.in[0].rank()).status());
  }
  return {};
}

// (x - mean) / (deviation + 1e-9)
Result<std::vector<ValueId>> decompose_mean_variance(Builder& b, const Node& node) {
  const AttributeReader c(node, *find_op("MeanVarianceNormalization"));
  const ValueId x = node.inputs[0], axes = b.ints(c.attr_ints("axes"));
  const ValueId centred = b.op("Sub", {x, b.op("ReduceMean", {x, axes})});
  const ValueId variance = b.op("ReduceMean", {b.op("Mul", {centred, centred}), axes});
  const ValueId tiny = b.scalar(1e-9, b.type(x).dtype);
  const ValueId deviation = b.op("Add", {b.op("Sqrt", {variance}), tiny});
  return std::vector<ValueId>{b.op("Div", {centred, deviation})};
}

}  // namespace

std::vector<OpDef> define_local_norm() {
  return {
      with_gradient(lrn_gradient,
                    {"LRN",
                     1,
                     1,
                     {},
                     {{"alpha", 0.0001}, {"beta", 0.75}, {"bias", 1.0}, {"size", int64_t{0}, true}},
                     infer_lrn,
                     lrn}),
      with_gradient(lp_norm_gradient, {"LpNormalization",
                                       1,
                                       1,
                                       {},
                                       {{"axis", int64_t{-1}}, {"p", int64_t{2}}},
                                       infer_lp_norm,
                                       lp_norm}),
      {"MeanVarianceNormalization",
       1,
       1,
       {},
       {{"axes", std::vector<int64_t>{0, 2, 3}}},
       infer_mean_variance,
       nullptr,
       decompose_mean_variance},
  };
}

}  // namespace mnn
