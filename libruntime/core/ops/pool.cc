// Pooling over windows and over whole planes.
#include <algorithm>
#include <cmath>

#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/type_checks.h"
#include "libruntime/core/ops/window.h"

namespace mnn {
namespace {

constexpr TypeMask kMaxPoolTypes = kFloats | mask_of(DType::kI8, DType::kU8);

Status check_spatial(const OpContext& c, size_t least, size_t most) {
  if (!c.rank_known(0)) return {};
  const size_t rank = c.in[0].rank();
  if (rank < 2 + least || rank > 2 + most) {
    return unsupported("input 0: expected " + std::to_string(least) + " to " +
                       std::to_string(most) + " spatial dimensions, found " + c.in[0].str());
  }
  return {};
}

// The type of output 0 of a windowed pooling.
Status infer_window(OpContext& c, TypeMask allowed) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, allowed));
  MNN_ASSIGN_OR_RETURN(std::vector<Dim> kernel, read_kernel_shape(c));
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(c, std::move(kernel)));
  c.out[0].type.dtype = c.in[0].dtype;
  MNN_RETURN_IF_ERROR(check_spatial(c, 1, kMaxSpatial));
  if (!c.rank_known(0)) return {};
  const Shape& x = *c.in[0].shape;
  if (x.size() != w.rank() + 2) {
    return invalid("kernel_shape has " + std::to_string(w.rank()) + " numbers, the input is " +
                   c.in[0].str());
  }
  Shape y = {x[0], x[1]};
  for (size_t i = 0; i < w.rank(); ++i) {
    MNN_ASSIGN_OR_RETURN(const Dim d, window_output(w, i, x[i + 2]));
    y.push_back(d);
  }
  c.out[0].type.shape = std::move(y);
  return {};
}

Status infer_max_pool(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_window(c, kMaxPoolTypes));
  if (c.has_output(1)) {
    c.out[1].type = c.out[0].type;
    c.out[1].type.dtype = DType::kI64;
  }
  return {};
}

Status infer_float_pool(OpContext& c) { return infer_window(c, kFloats); }

// The taps of one output position along one dimension: inputs start, start + step, … (count of
// them), and how many taps lie inside the padded input.
struct Taps {
  int64_t start, step, count, padded;
};

std::vector<Taps> taps_along(int64_t in, int64_t out, int64_t kernel, int64_t stride,
                             int64_t dilation, int64_t pad_begin, int64_t pad_end) {
  std::vector<Taps> taps;
  taps.reserve(static_cast<size_t>(out));
  for (int64_t o = 0; o < out; ++o) {
    const int64_t start = o * stride - pad_begin;
    const int64_t first = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
    auto taps_below = [&](int64_t end) {
      return end <= start ? 0 : std::min(kernel, (end - start - 1) / dilation + 1);
    };
    taps.push_back({start + first * dilation, dilation,
                    std::max<int64_t>(0, taps_below(in) - first), taps_below(in + pad_end)});
  }
  return taps;
}

// A pooling set up for plain loops over three dimensions.
struct Pooling {
  Dims3 in, out;
  std::array<std::vector<Taps>, 3> taps;
  int64_t planes = 0;

  int64_t in_volume() const { return in[0] * in[1] * in[2]; }
  int64_t out_volume() const { return out[0] * out[1] * out[2]; }
};

Result<Pooling> make_pooling(const KernelContext& c, const Tensor& y) {
  MNN_ASSIGN_OR_RETURN(std::vector<Dim> kernel, read_kernel_shape(c));
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(c, std::move(kernel)));
  const std::vector<int64_t>& x_dims = c.in[0]->dims();
  Pooling p;
  p.in = as_dims3({x_dims.begin() + 2, x_dims.end()}, 1);
  p.out = as_dims3({y.dims().begin() + 2, y.dims().end()}, 1);
  p.planes = x_dims[0] * x_dims[1];
  const size_t lead = 3 - w.rank();
  for (size_t d = 0; d < lead; ++d) p.taps[d] = {{0, 1, 1, 1}};
  for (size_t i = 0; i < w.rank(); ++i) {
    const int64_t in = x_dims[i + 2], out = y.dims()[i + 2];
    p.taps[lead + i] = taps_along(in, out, w.kernel[i].value(), w.strides[i], w.dilations[i],
                                  window_pad_begin(w, i, in, out), window_pad_end(w, i, in, out));
  }
  return p;
}

// Calls visit(index) with the position in its plane of every input under one output.
template <typename F>
void for_each_tap(const Pooling& p, const Taps& d, const Taps& h, const Taps& w, F visit) {
  for (int64_t i = 0; i < d.count; ++i) {
    for (int64_t j = 0; j < h.count; ++j) {
      const int64_t line =
          ((d.start + i * d.step) * p.in[1] + h.start + j * h.step) * p.in[2] + w.start;
      for (int64_t k = 0; k < w.count; ++k) visit(line + k * w.step);
    }
  }
}

// Calls f(d, h, w) with the taps of every output position, row-major.
template <typename F>
void for_each_output(const Pooling& p, F f) {
  for (const Taps& d : p.taps[0]) {
    for (const Taps& h : p.taps[1]) {
      for (const Taps& w : p.taps[2]) f(d, h, w);
    }
  }
}

template <typename T>
T lowest_value() {
  if constexpr (std::is_integral_v<T>) {
    return std::numeric_limits<T>::lowest();
  } else {
    return T(-std::numeric_limits<float>::infinity());
  }
}

Status max_pool_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  int64_t* indices = nullptr;
  if (c.has_output(1)) {
    MNN_ASSIGN_OR_RETURN(Tensor* const t, c.make(1));
    indices = t->data<int64_t>();
  }
  if (y->elements() == 0) return {};
  MNN_ASSIGN_OR_RETURN(const Pooling p, make_pooling(c, *y));
  const bool column_major = c.attr_int("storage_order") != 0;
  // Positions inside a plane count the first spatial dimension fastest when column major.
  auto stored_index = [&](int64_t plane, int64_t i) {
    if (column_major) {
      const int64_t w = i % p.in[2], h = i / p.in[2] % p.in[1], d = i / p.in[2] / p.in[1];
      i = d + p.in[0] * (h + p.in[1] * w);
    }
    return plane * p.in_volume() + i;
  };
  const bool done = dispatch_numeric(x.dtype(), [&]<typename T>() {
    T* out = y->data<T>();
    for (int64_t plane = 0; plane < p.planes; ++plane) {
      const T* const in = x.data<T>() + plane * p.in_volume();
      for_each_output(p, [&](const Taps& d, const Taps& h, const Taps& w) {
        int64_t best = -1;
        compute_t<T> value{};
        for_each_tap(p, d, h, w, [&](int64_t i) {
          const compute_t<T> v = load_as_compute(in[i]);
          if (best < 0 || v > value || (v != v && value == value)) {
            best = i;
            value = v;
          }
        });
        *out++ = best < 0 ? lowest_value<T>() : in[best];
        if (indices) *indices++ = best < 0 ? -1 : stored_index(plane, best);
      });
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

// ---- MaxPoolGradient: what MaxPool gave of x goes, as dy, where it was taken ----

Status infer_max_pool_gradient(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kFloats));
  MNN_RETURN_IF_ERROR(expect_like(c, 1, 0));
  MNN_RETURN_IF_ERROR(infer_window(c, kFloats));
  if (c.rank_known(1) && c.out[0].type.shape) {
    MNN_RETURN_IF_ERROR(expect_rank(c, 1, c.out[0].type.rank()));
    for (size_t i = 0; i < c.in[1].rank(); ++i) {
      MNN_RETURN_IF_ERROR(expect_dim((*c.in[1].shape)[i], (*c.out[0].type.shape)[i],
                                     "dimension " + std::to_string(i) + " of input 1"));
    }
  }
  c.out[0].type = c.in[0];
  return {};
}

Status max_pool_gradient_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const dx, c.make(0));
  const Tensor &x = *c.in[0], &dy = *c.in[1];
  if (dy.elements() == 0) return {};
  MNN_ASSIGN_OR_RETURN(const Pooling p, make_pooling(c, dy));
  std::vector<double> sums(static_cast<size_t>(p.in_volume()));
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    const T* g = dy.data<T>();
    for (int64_t plane = 0; plane < p.planes; ++plane) {
      const T* const in = x.data<T>() + plane * p.in_volume();
      std::fill(sums.begin(), sums.end(), 0.0);
      for_each_output(p, [&](const Taps& d, const Taps& h, const Taps& w) {
        int64_t best = -1;
        double value = 0;
        for_each_tap(p, d, h, w, [&](int64_t i) {
          const double v = load_as_compute(in[i]);
          if (best < 0 || v > value || (v != v && value == value)) {
            best = i;
            value = v;
          }
        });
        const double part = load_as_compute(*g++);
        if (best >= 0) sums[static_cast<size_t>(best)] += part;
      });
      T* const out = dx->data<T>() + plane * p.in_volume();
      for (size_t i = 0; i < sums.size(); ++i) out[i] = store_from_compute<T>(sums[i]);
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Result<std::vector<ValueId>> decompose_max_pool_gradient(Builder& b, const Node& node) {
  const ValueId x = node.inputs[0];
  const std::vector<ValueId> pooled = b.op_n("MaxPool", {x}, 2, node.attributes);
  // A window without elements has index -1 and gives nothing.
  const ValueId none = b.op("Less", {pooled[1], b.scalar(0.0, DType::kI64)});
  const ValueId part = b.op("Where", {none, scalar_like(b, x, 0.0), node.inputs[1]});
  const ValueId line = b.ints({-1});
  const ValueId zeros = b.op("Reshape", {zeros_like(b, x), line});
  const ValueId sums = b.op(
      "ScatterElements", {zeros, b.op("Reshape", {pooled[1], line}), b.op("Reshape", {part, line})},
      {{"reduction", std::string("add")}});
  return std::vector<ValueId>{reshape_like(b, sums, x)};
}

Status average_pool_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  if (y->elements() == 0) return {};
  MNN_ASSIGN_OR_RETURN(const Pooling p, make_pooling(c, *y));
  const bool include_pad = c.attr_int("count_include_pad") != 0;
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    T* out = y->data<T>();
    for (int64_t plane = 0; plane < p.planes; ++plane) {
      const T* const in = x.data<T>() + plane * p.in_volume();
      for_each_output(p, [&](const Taps& d, const Taps& h, const Taps& w) {
        double sum = 0;
        for_each_tap(p, d, h, w, [&](int64_t i) { sum += load_as_compute(in[i]); });
        const int64_t n =
            include_pad ? d.padded * h.padded * w.padded : d.count * h.count * w.count;
        *out++ = store_from_compute<T>(n == 0 ? 0.0 : sum / static_cast<double>(n));
      });
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Status check_norm_order(const AttributeReader& c) {
  if (c.attr_int("p") >= 1) return {};
  return invalid("p: expected at least 1, found " + std::to_string(c.attr_int("p")));
}

Status infer_lp_pool(OpContext& c) {
  MNN_RETURN_IF_ERROR(check_norm_order(c));
  return infer_float_pool(c);
}

Status lp_pool_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  if (y->elements() == 0) return {};
  MNN_ASSIGN_OR_RETURN(const Pooling p, make_pooling(c, *y));
  const double order = static_cast<double>(c.attr_int("p"));
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    T* out = y->data<T>();
    for (int64_t plane = 0; plane < p.planes; ++plane) {
      const T* const in = x.data<T>() + plane * p.in_volume();
      for_each_output(p, [&](const Taps& d, const Taps& h, const Taps& w) {
        double sum = 0;
        for_each_tap(p, d, h, w,
                     [&](int64_t i) { sum += std::pow(std::fabs(load_as_compute(in[i])), order); });
        *out++ = store_from_compute<T>(std::pow(sum, 1.0 / order));
      });
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Status infer_global(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<kFloats>(c));
  if (!c.rank_known(0)) return {};
  if (c.in[0].rank() < 2) {
    return invalid("input 0: expected rank 2 or more, found " + c.in[0].str());
  }
  Shape& y = *c.out[0].type.shape;
  std::fill(y.begin() + 2, y.end(), Dim(1));
  return {};
}

Status infer_global_lp(OpContext& c) {
  MNN_RETURN_IF_ERROR(check_norm_order(c));
  return infer_global(c);
}

// Output 0 = finish(fold(…fold(start, element)…), elements of the plane) for every plane.
template <typename Fold, typename Finish>
Status pool_planes(KernelContext& c, double start, Fold fold, Finish finish) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  const int64_t planes = y->elements(), size = planes == 0 ? 0 : x.elements() / planes;
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    for (int64_t plane = 0; plane < planes; ++plane) {
      const T* const in = x.data<T>() + plane * size;
      double value = start;
      for (int64_t i = 0; i < size; ++i) value = fold(value, load_as_compute(in[i]));
      y->data<T>()[plane] = store_from_compute<T>(finish(value, static_cast<double>(size)));
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

Status global_average(KernelContext& c) {
  return pool_planes(
      c, 0.0, [](double sum, double v) { return sum + v; },
      [](double sum, double n) { return sum / n; });
}

Status global_max(KernelContext& c) {
  return pool_planes(
      c, -std::numeric_limits<double>::infinity(),
      [](double best, double v) { return v > best || v != v ? v : best; },
      [](double best, double) { return best; });
}

Status global_lp(KernelContext& c) {
  const double order = static_cast<double>(c.attr_int("p"));
  return pool_planes(
      c, 0.0, [=](double sum, double v) { return sum + std::pow(std::fabs(v), order); },
      [=](double sum, double) { return std::pow(sum, 1.0 / order); });
}

// A reduction over all spatial dimensions.
template <const char* const& name>
Result<std::vector<ValueId>> reduce_planes(Builder& b, const Node& node) {
  const Type& type = b.type(node.inputs[0]);
  if (!type.shape) return unsupported("a global pooling of unknown rank cannot be decomposed");
  std::vector<int64_t> axes;
  for (size_t i = 2; i < type.rank(); ++i) axes.push_back(static_cast<int64_t>(i));
  return std::vector<ValueId>{
      b.op(name, {node.inputs[0], b.ints(axes)}, {{"noop_with_empty_axes", int64_t{1}}})};
}
const char* const kReduceMean = "ReduceMean";
const char* const kReduceMax = "ReduceMax";

Status infer_max_unpool(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kFloats));
  MNN_RETURN_IF_ERROR(expect_input(c, 1, mask_of(DType::kI64)));
  MNN_RETURN_IF_ERROR(expect_optional_input(c, 2, mask_of(DType::kI64)));
  MNN_ASSIGN_OR_RETURN(std::vector<Dim> kernel, read_kernel_shape(c));
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(c, std::move(kernel)));
  c.out[0].type.dtype = c.in[0].dtype;
  if (!c.rank_known(0)) return {};
  MNN_RETURN_IF_ERROR(expect_rank(c, 0, w.rank() + 2));
  MNN_RETURN_IF_ERROR(expect_rank(c, 1, w.rank() + 2));
  const Shape& x = *c.in[0].shape;
  for (size_t i = 0; c.rank_known(1) && i < x.size(); ++i) {
    MNN_RETURN_IF_ERROR(expect_dim((*c.in[1].shape)[i], x[i], "shape of the indices"));
  }
  if (c.has_input(2)) {
    const std::optional<ShapeValues> given = c.values(2);
    if (given && given->size() != x.size()) {
      return invalid("output_shape: expected " + std::to_string(x.size()) + " numbers, found " +
                     std::to_string(given->size()));
    }
    c.out[0].type.shape = given ? Shape(*given) : Shape(x.size(), Dim::unknown());
    return {};
  }
  Shape y = {x[0], x[1]};
  for (size_t i = 0; i < w.rank(); ++i) {
    y.push_back((x[i + 2] - Dim(1)) * Dim(w.strides[i]) + w.kernel[i] -
                Dim(w.pads_begin[i] + w.pads_end[i]));
  }
  c.out[0].type.shape = std::move(y);
  return {};
}

// The indices count positions of the tensor that was pooled: of the size that the window attributes
// give, even when output_shape asks for a larger one.
Status max_unpool_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor &x = *c.in[0], &indices = *c.in[1];
  MNN_ASSIGN_OR_RETURN(std::vector<Dim> kernel, read_kernel_shape(c));
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(c, std::move(kernel)));
  std::vector<int64_t> source(x.dims().begin(), x.dims().begin() + 2);
  for (size_t i = 0; i < w.rank(); ++i) {
    source.push_back((x.dims()[i + 2] - 1) * w.strides[i] + w.kernel[i].value() - w.pads_begin[i] -
                     w.pads_end[i]);
  }
  const std::optional<int64_t> size = checked_elements(source);
  if (!size) return invalid("the pooled tensor would have shape " + shape_str(to_shape(source)));
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] > y->dims()[i]) {
      return invalid("output_shape: expected at least " + shape_str(to_shape(source)) + ", found " +
                     shape_str(to_shape(y->dims())));
    }
  }
  for (int64_t k = 0; k < x.elements(); ++k) {
    int64_t rest = indices.data<int64_t>()[k];
    if (rest < 0 || rest >= *size) {
      return invalid("index " + std::to_string(rest) + " is not in [0, " + std::to_string(*size) +
                     ")");
    }
    int64_t target = 0, stride = 1;
    for (size_t i = source.size(); i-- > 0;) {
      target += rest % source[i] * stride;
      rest /= source[i];
      stride *= y->dims()[i];
    }
    dispatch_float(x.dtype(), [&]<typename T>() { y->data<T>()[target] = x.data<T>()[k]; });
  }
  return {};
}

}  // namespace

Gradients max_pool_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  MNN_RETURN_IF_ERROR(only_first(dy).status());
  Builder::Attributes attributes = n.attributes;
  attributes.erase("storage_order");
  return std::vector<ValueId>{b.op("MaxPoolGradient", {n.inputs[0], dy[0]}, std::move(attributes))};
}

std::vector<OpDef> define_pool() {
  using Ints = std::vector<int64_t>;
  const AttrDef auto_pad{"auto_pad", "NOTSET"}, ceil_mode{"ceil_mode", int64_t{0}},
      dilations{"dilations", Ints()}, kernel{"kernel_shape", Ints(), true}, pads{"pads", Ints()},
      strides{"strides", Ints()}, order{"p", int64_t{2}};
  return {
      {.name = "MaxPool",
       .min_inputs = 1,
       .max_inputs = 1,
       .traits = kExtreme,
       .attributes =
           {auto_pad, ceil_mode, dilations, kernel, pads, strides, {"storage_order", int64_t{0}}},
       .infer = infer_max_pool,
       .reference = max_pool_reference,
       .max_outputs = 2,
       .gradient = max_pool_gradient},
      {.name = "MaxPoolGradient",
       .min_inputs = 2,
       .max_inputs = 2,
       .attributes = {auto_pad, ceil_mode, dilations, kernel, pads, strides},
       .infer = infer_max_pool_gradient,
       .reference = max_pool_gradient_reference,
       .decompose = decompose_max_pool_gradient},
      with_gradient(average_pool_gradient, {"AveragePool",
                                            1,
                                            1,
                                            {},
                                            {auto_pad,
                                             ceil_mode,
                                             dilations,
                                             kernel,
                                             pads,
                                             strides,
                                             {"count_include_pad", int64_t{0}}},
                                            infer_float_pool,
                                            average_pool_reference}),
      {"LpPool",
       1,
       1,
       kNonNegative,
       {auto_pad, ceil_mode, dilations, kernel, pads, strides, order},
       infer_lp_pool,
       lp_pool_reference},
      with_gradient(global_average_gradient, {"GlobalAveragePool",
                                              1,
                                              1,
                                              kReduces,
                                              {},
                                              infer_global,
                                              global_average,
                                              reduce_planes<kReduceMean>}),
      with_gradient(global_max_gradient, {"GlobalMaxPool",
                                          1,
                                          1,
                                          kExtreme | kReduces,
                                          {},
                                          infer_global,
                                          global_max,
                                          reduce_planes<kReduceMax>}),
      with_gradient(
          global_lp_gradient,
          {"GlobalLpPool", 1, 1, kReduces | kNonNegative, {order}, infer_global_lp, global_lp}),
      {"MaxUnpool",
       2,
       3,
       index_inputs(1) | shape_inputs(2),
       {kernel, pads, strides},
       infer_max_unpool,
       max_unpool_reference},
  };
}

}  // namespace mnn
