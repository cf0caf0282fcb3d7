// Random operators: the same numbers for the same seed on every machine. Without a seed the node's
// name stands for one, so that a run can be repeated.
#include <cmath>

#include "libruntime/core/ops/convert.h"
#include "libruntime/core/ops/movement.h"
#include "libruntime/core/ops/random_generator.h"

namespace mnn {
namespace {

Result<DType> random_type(const AttributeReader& c, DType otherwise) {
  const int64_t type = c.has("dtype") ? c.attr_int("dtype") : static_cast<int64_t>(otherwise);
  if (type <= 0 || type > static_cast<int64_t>(kLastOnnxType)) {
    return invalid("dtype: " + std::to_string(type) + " is no element type");
  }
  return static_cast<DType>(type);
}

Result<DType> random_float_type(const AttributeReader& c, DType otherwise) {
  MNN_ASSIGN_OR_RETURN(const DType type, random_type(c, otherwise));
  if (!is_float(type) || dtype_bits(type) < 16) {
    return invalid("dtype: expected a float type, found " + std::string(dtype_name(type)));
  }
  return type;
}

Status infer_random(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(const DType type, random_float_type(c, DType::kF32));
  const std::vector<int64_t> dims = c.attr_ints("shape");
  for (const int64_t d : dims) {
    if (d < 0) return invalid("shape has the negative entry " + std::to_string(d));
  }
  set_output(c, 0, type, to_shape(dims));
  return {};
}

Status infer_random_like(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(const DType type, random_float_type(c, c.in[0].dtype));
  set_output(c, 0, type, c.in[0].shape);
  return {};
}

template <typename F>
Status fill(KernelContext& c, F&& next) {
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  dispatch_float(y->dtype(), [&]<typename T>() {
    for (int64_t i = 0; i < y->elements(); ++i) {
      y->data<T>()[i] = store_from_compute<T>(next());
    }
  });
  return {};
}

Status reference_normal(KernelContext& c) {
  Generator g(c);
  const double mean = c.attr_float("mean"), scale = c.attr_float("scale");
  return fill(c, [&] { return mean + scale * g.normal(); });
}

Status reference_uniform(KernelContext& c) {
  Generator g(c);
  const double low = c.attr_float("low"), high = c.attr_float("high");
  return fill(c, [&] { return low + (high - low) * g.uniform(); });
}

// ---- Bernoulli ----

Status infer_bernoulli(OpContext& c) {
  if (!is_float(c.in[0].dtype)) return invalid("expected floats, found " + c.in[0].str());
  MNN_ASSIGN_OR_RETURN(const DType type, random_type(c, c.in[0].dtype));
  set_output(c, 0, type, c.in[0].shape);
  return {};
}

Status reference_bernoulli(KernelContext& c) {
  Generator g(c);
  MNN_ASSIGN_OR_RETURN(const std::vector<double> chances, c.in[0]->to_doubles());
  MNN_ASSIGN_OR_RETURN(Tensor drawn, Tensor::allocate(DType::kBool, c.in[0]->dims()));
  for (size_t i = 0; i < chances.size(); ++i) drawn.data<bool>()[i] = g.uniform() < chances[i];
  MNN_ASSIGN_OR_RETURN(c.out[0], convert_elements(drawn, c.types[0].dtype));
  return {};
}

// ---- Multinomial ----

Status infer_multinomial(OpContext& c) {
  if (!is_float(c.in[0].dtype) || (c.rank_known(0) && c.in[0].rank() != 2)) {
    return invalid("expected floats of rank 2, found " + c.in[0].str());
  }
  MNN_ASSIGN_OR_RETURN(const DType type, random_type(c, DType::kI32));
  if (type != DType::kI32 && type != DType::kI64) {
    return invalid("dtype: expected i32 or i64, found " + std::string(dtype_name(type)));
  }
  const int64_t samples = c.attr_int("sample_size");
  if (samples < 0) return invalid("sample_size is negative: " + std::to_string(samples));
  const Dim batch = c.rank_known(0) ? (*c.in[0].shape)[0] : Dim::unknown();
  set_output(c, 0, type, Shape{batch, Dim(samples)});
  return {};
}

Status reference_multinomial(KernelContext& c) {
  Generator g(c);
  MNN_ASSIGN_OR_RETURN(const std::vector<double> logits, c.in[0]->to_doubles());
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  const auto classes = static_cast<size_t>(c.in[0]->dims()[1]);
  const auto samples = static_cast<size_t>(c.attr_int("sample_size"));
  if (y->elements() == 0) return {};
  if (classes == 0) return invalid("cannot draw from no classes");
  for (size_t b = 0; b < static_cast<size_t>(c.in[0]->dims()[0]); ++b) {
    const double* row = logits.data() + b * classes;
    double most = row[0];
    for (size_t k = 1; k < classes; ++k) most = std::max(most, row[k]);
    std::vector<double> sums(classes);  // of the chances up to each class, not normalized
    double sum = 0;
    for (size_t k = 0; k < classes; ++k) {
      const double chance = std::exp(row[k] - most);
      if (chance > 0) sum += chance;
      sums[k] = sum;
    }
    if (!(sum > 0)) return invalid("a row of logits has no finite number");
    for (size_t s = 0; s < samples; ++s) {
      const double at = g.uniform() * sum;
      size_t k = 0;
      while (k + 1 < classes && sums[k] <= at) ++k;
      const size_t i = b * samples + s;
      if (y->dtype() == DType::kI32)
        y->data<int32_t>()[i] = static_cast<int32_t>(k);
      else
        y->data<int64_t>()[i] = static_cast<int64_t>(k);
    }
  }
  return {};
}

OpDef random_op(std::string name, int inputs, std::vector<AttrDef> attributes, InferFn infer,
                ReferenceFn reference) {
  OpDef def{std::move(name), inputs, inputs, {}, std::move(attributes), infer, reference};
  def.attributes.push_back({"seed", 0.0});
  def.deterministic = false;
  return def;
}

}  // namespace

std::vector<OpDef> define_random() {
  const AttrDef shape{"shape", std::vector<int64_t>{}, true}, dtype{"dtype", int64_t{1}};
  const AttrDef mean{"mean", 0.0}, scale{"scale", 1.0}, low{"low", 0.0}, high{"high", 1.0};
  const AttrDef samples{"sample_size", int64_t{1}};
  return {
      random_op("RandomNormal", 0, {shape, dtype, mean, scale}, infer_random, reference_normal),
      random_op("RandomNormalLike", 1, {dtype, mean, scale}, infer_random_like, reference_normal),
      random_op("RandomUniform", 0, {shape, dtype, low, high}, infer_random, reference_uniform),
      random_op("RandomUniformLike", 1, {dtype, low, high}, infer_random_like, reference_uniform),
      random_op("Bernoulli", 1, {dtype}, infer_bernoulli, reference_bernoulli),
      random_op("Multinomial", 1, {dtype, samples}, infer_multinomial, reference_multinomial),
  };
}

}  // namespace mnn
