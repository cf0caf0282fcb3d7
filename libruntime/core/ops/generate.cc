// ConstantOfShape, Range: tensors made from a few numbers.
#include <algorithm>
#include <cmath>

#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// ---- ConstantOfShape ----

Result<Tensor> fill_value(const AttributeReader& c) {
  const Tensor* value = c.attr_tensor("value");
  if (value == nullptr) return Tensor::scalar(0.0f);
  if (value->elements() != 1) {
    return invalid("value: expected one element, found " + value->type_str());
  }
  return *value;
}

Status infer_constant_of_shape(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 0, "shape"));
  MNN_ASSIGN_OR_RETURN(const Tensor value, fill_value(c));
  set_output(c, 0, value.dtype(), std::nullopt);
  const auto target = values_or_unknown(c, 0);
  if (!target) return {};
  for (const Dim& d : *target) {
    if (d.known() && d.value() < 0) {
      return invalid("shape " + shape_str(*target) + " has a negative dimension");
    }
  }
  const Dim count = num_elements(*target);
  if (const auto v = value.to_ints(); v.ok() && count.known() && count.value() <= kMaxShapeValues) {
    c.out[0].values = ShapeValues(static_cast<size_t>(count.value()), Dim((*v)[0]));
  }
  c.out[0].type.shape = *target;
  return {};
}

Status reference_constant_of_shape(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor value, fill_value(c));
  const int bits = dtype_bits(value.dtype());
  const bool packed = bits == 2 || bits == 4;
  if (packed) {
    MNN_ASSIGN_OR_RETURN(value, unpack_elements(value));
  }
  MNN_ASSIGN_OR_RETURN(const auto dims, read_ints(c, 0, "shape"));
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0, value.dtype(), dims));
  MNN_RETURN_IF_ERROR(dispatch_move(value.dtype(), [&]<typename T>() {
    std::fill_n(elements<T>(*y), y->elements(), elements<T>(value)[0]);
  }));
  if (packed) {
    MNN_ASSIGN_OR_RETURN(*y, pack_elements(*y, c.types[0].dtype));
  }
  return {};
}

// ---- Range ----

// How many steps of `delta` fit between start and limit; fails when that is not a number.
Result<int64_t> range_count(const Tensor& start, const Tensor& limit, const Tensor& delta) {
  if (is_integer(start.dtype())) {
    MNN_ASSIGN_OR_RETURN(const auto s, start.to_ints());
    MNN_ASSIGN_OR_RETURN(const auto l, limit.to_ints());
    MNN_ASSIGN_OR_RETURN(const auto d, delta.to_ints());
    if (d[0] == 0) return invalid("delta is 0");
    const Dim count = ceil_div(Dim(l[0]) - Dim(s[0]), Dim(d[0]));
    if (!count.known()) return limit_exceeded("the range has more than 2^63 elements");
    return std::max<int64_t>(count.value(), 0);
  }
  MNN_ASSIGN_OR_RETURN(const auto s, start.to_doubles());
  MNN_ASSIGN_OR_RETURN(const auto l, limit.to_doubles());
  MNN_ASSIGN_OR_RETURN(const auto d, delta.to_doubles());
  if (d[0] == 0) return invalid("delta is 0");
  const double count = std::ceil((l[0] - s[0]) / d[0]);
  if (std::isnan(count)) return invalid("start, limit and delta are no finite numbers");
  if (count > 0x1p62) return limit_exceeded("the range has more than 2^62 elements");
  return static_cast<int64_t>(std::max(count, 0.0));
}

Status infer_range(OpContext& c) {
  constexpr std::string_view kNames[] = {"start", "limit", "delta"};
  for (size_t i = 0; i < 3; ++i) {
    if (c.in[i].dtype != c.in[0].dtype) {
      return invalid(std::string(kNames[i]) + ": expected " +
                     std::string(dtype_name(c.in[0].dtype)) + ", found " + c.in[i].str());
    }
    if (c.in[i].is_static() && !num_elements(*c.in[i].shape).is(1)) {
      return invalid(std::string(kNames[i]) + ": expected one number, found " + c.in[i].str());
    }
  }
  set_output(c, 0, c.in[0].dtype, unknown_shape(1));
  if (c.constants[0] && c.constants[1] && c.constants[2]) {
    MNN_ASSIGN_OR_RETURN(const int64_t n,
                         range_count(*c.constants[0], *c.constants[1], *c.constants[2]));
    c.out[0].type.shape = Shape{Dim(n)};
  }
  if (!is_integer(c.in[0].dtype)) return {};
  const auto start = c.values(0), limit = c.values(1), delta = c.values(2);
  if (!start || !limit || !delta || start->size() != 1 || limit->size() != 1 ||
      delta->size() != 1 || !(*delta)[0].known()) {
    return {};
  }
  const Dim &first = (*start)[0], &step = (*delta)[0];
  if (step.is(0)) return invalid("delta is 0");
  const Dim way = (*limit)[0] - first;
  const Dim count =
      step.value() > 0 ? ceil_div(larger_of(way, 0), step) : ceil_div(larger_of(-way, 0), -step);
  c.out[0].type.shape = Shape{count};
  if (!count.known() || count.value() > kMaxShapeValues) return {};
  ShapeValues values;
  for (int64_t i = 0; i < count.value(); ++i) values.push_back(first + step * Dim(i));
  c.out[0].values = std::move(values);
  return {};
}

Status reference_range(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(const int64_t count, range_count(*c.in[0], *c.in[1], *c.in[2]));
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0, c.in[0]->dtype(), {count}));
  const bool done = dispatch_numeric(y->dtype(), [&]<typename T>() {
    if constexpr (std::is_integral_v<T>) {
      // The steps of a narrow type may leave it on their way.
      const auto first = static_cast<int64_t>(c.in[0]->data<T>()[0]);
      const auto step = static_cast<int64_t>(c.in[2]->data<T>()[0]);
      for (int64_t i = 0; i < count; ++i) y->data<T>()[i] = static_cast<T>(first + i * step);
      return;
    }
    const auto start = load_as_compute(c.in[0]->data<T>()[0]);
    const auto delta = load_as_compute(c.in[2]->data<T>()[0]);
    for (int64_t i = 0; i < count; ++i) {
      using C = compute_t<T>;
      y->data<T>()[i] =
          store_from_compute<T>(static_cast<C>(start + static_cast<C>(static_cast<C>(i) * delta)));
    }
  });
  if (!done) return unsupported("element type " + std::string(dtype_name(y->dtype())));
  return {};
}

}  // namespace

std::vector<OpDef> define_generate() {
  return {
      {"ConstantOfShape",
       1,
       1,
       shape_inputs(0),
       {{"value", Tensor()}},
       infer_constant_of_shape,
       reference_constant_of_shape},
      {"Range", 3, 3, shape_inputs(0, 1, 2), {}, infer_range, reference_range},
  };
}

}  // namespace mnn
