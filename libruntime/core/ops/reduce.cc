// Reductions over a set of axes, and the index of the extreme element along one.
#include <algorithm>
#include <cmath>
#include <limits>

#include "libruntime/core/builder.h"
#include "libruntime/core/ops/broadcast.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/numeric.h"
#include "libruntime/core/ops/shape_math.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

// Which axes are reduced. `axes` is null without that input: then, as with no entries, all are,
// unless noop_with_empty_axes is set.
Result<std::vector<bool>> reduced_axes(const AttributeReader& c, const std::vector<int64_t>* axes,
                                       size_t rank) {
  if (axes == nullptr || axes->empty()) {
    return std::vector<bool>(rank, c.attr_int("noop_with_empty_axes") == 0);
  }
  std::vector<bool> reduced(rank, false);
  for (const int64_t a : *axes) {
    MNN_ASSIGN_OR_RETURN(const size_t axis, normalize_axis(a, rank));
    reduced[axis] = true;
  }
  return reduced;
}

template <TypeMask allowed>
Status infer_reduce(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, allowed));
  MNN_RETURN_IF_ERROR(expect_optional_input(c, 1, mask_of(DType::kI64)));
  MNN_RETURN_IF_ERROR(expect_rank(c, 1, 1));
  c.out[0].type.dtype = c.in[0].dtype;
  if (!c.rank_known(0)) return {};
  const Shape& x = *c.in[0].shape;
  const bool keep = c.attr_int("keepdims") != 0;
  std::optional<std::vector<int64_t>> axes;
  if (c.has_input(1)) {
    axes = c.ints(1);
    if (!axes) {
      // Axes that only the run tells: at least the rank is known when it is kept.
      if (keep) c.out[0].type.shape = Shape(x.size(), Dim::unknown());
      return {};
    }
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<bool> reduced,
                       reduced_axes(c, axes ? &*axes : nullptr, x.size()));
  Shape y;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!reduced[i]) {
      y.push_back(x[i]);
    } else if (keep) {
      y.push_back(Dim(1));
    }
  }
  c.out[0].type.shape = std::move(y);
  return {};
}

// The same, and the result's elements when a whole small integer vector is reduced.
template <TypeMask allowed, DimFn f, int64_t start>
Status infer_foldable_reduce(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_reduce<allowed>(c));
  const std::optional<ShapeValues> v = shape_operand(c, 0);
  if (!v || !c.out[0].type.shape) return {};
  if (!num_elements(*c.out[0].type.shape).is(1) || (v->empty() && start < 0)) return {};
  Dim all = v->empty() ? Dim(start) : (*v)[0];
  for (size_t i = 1; i < v->size(); ++i) all = f(all, (*v)[i]);
  c.out[0].values = ShapeValues{all};
  return {};
}

// Walks the input of a reduction in rows; element i of a row belongs to output offset + i * step.
struct Reduction {
  std::vector<int64_t> kept;  // the output's dims with the reduced ones as 1
  int64_t per_output = 1;     // elements that one output gathers
};

Result<Reduction> make_reduction(const KernelContext& c) {
  const Tensor& x = *c.in[0];
  std::vector<int64_t> axes;
  if (c.has_input(1)) {
    MNN_ASSIGN_OR_RETURN(axes, c.in[1]->to_ints());
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<bool> reduced, reduced_axes(c, &axes, x.rank()));
  Reduction r;
  for (size_t i = 0; i < x.rank(); ++i) {
    r.kept.push_back(reduced[i] ? 1 : x.dims()[i]);
    // An empty tensor has no elements to count, and the product of its other dims may overflow.
    if (reduced[i] && x.elements() > 0) r.per_output *= x.dims()[i];
  }
  if (x.elements() == 0) r.per_output = 0;
  return r;
}

// sums[o] = fold(sums[o], element) for every element, in row-major order.
template <typename T, typename A, typename F>
void fold_elements(const Tensor& x, const Reduction& r, A* sums, F fold) {
  const std::vector<int64_t>* const operands[] = {&r.kept};
  BroadcastRows rows(x.dims(), operands);
  while (rows.next()) {
    const T* const in = x.data<T>() + rows.begin();
    A* const sum = sums + rows.offset(0);
    const int64_t n = rows.count(), step = rows.step(0);
    for (int64_t i = 0; i < n; ++i) sum[i * step] = fold(sum[i * step], in[i]);
  }
}

template <typename T>
T store_result(double v) {
  if constexpr (std::is_integral_v<T>) {
    return saturate<T>(v);
  } else {
    return store_from_compute<T>(v);
  }
}

// A reduction whose running value has the compute type: start, fold, finish per element type.
template <typename Op>
Status reduce_with(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  MNN_ASSIGN_OR_RETURN(const Reduction r, make_reduction(c));
  const Tensor& x = *c.in[0];
  Status status;
  const bool done = dispatch_numeric(x.dtype(), [&]<typename T>() {
    using A = typename Op::template Sum<T>;
    Result<Tensor> sums = Tensor::allocate(dtype_of<A>(), y->dims());
    if (!sums.ok()) {
      status = sums.status();
      return;
    }
    A* const s = sums->template data<A>();
    std::fill(s, s + y->elements(), Op::template start<T>());
    fold_elements<T>(x, r, s,
                     [](A a, T v) { return Op::fold(a, static_cast<A>(load_as_compute(v))); });
    for (int64_t i = 0; i < y->elements(); ++i) {
      y->data<T>()[i] = Op::template finish<T>(s[i], r.per_output);
    }
  });
  return done ? status : no_kernel_for(c, x.dtype());
}

// Sums in the compute type and stores them as they are: the base of the operators below.
struct PlainSum {
  template <typename T>
  using Sum = compute_t<T>;
  template <typename T>
  static compute_t<T> start() {
    return 0;
  }
  template <typename T>
  static T finish(compute_t<T> sum, int64_t) {
    return store_from_compute<T>(sum);
  }
};
struct SumOp : PlainSum {
  template <typename A>
  static A fold(A a, A v) {
    return wrap_add(a, v);
  }
};
struct ProdOp : PlainSum {
  template <typename T>
  static compute_t<T> start() {
    return 1;
  }
  template <typename A>
  static A fold(A a, A v) {
    return wrap_mul(a, v);
  }
};
struct L1Op : PlainSum {
  template <typename A>
  static A fold(A a, A v) {
    return wrap_add(a, v < 0 ? wrap_sub(A(0), v) : v);
  }
};
struct SumSquareOp : PlainSum {
  template <typename A>
  static A fold(A a, A v) {
    return wrap_add(a, wrap_mul(v, v));
  }
};
struct MeanOp : SumOp {
  template <typename T>
  static T finish(compute_t<T> sum, int64_t n) {
    if constexpr (std::is_integral_v<T>) {
      return n == 0 ? T(0) : saturate<T>(static_cast<double>(sum) / static_cast<double>(n));
    } else {
      return store_from_compute<T>(sum / static_cast<double>(n));
    }
  }
};
struct MaxOp : PlainSum {
  template <typename T>
  static compute_t<T> start() {
    if constexpr (std::is_integral_v<T>) return std::numeric_limits<T>::lowest();
    return static_cast<compute_t<T>>(-std::numeric_limits<double>::infinity());
  }
  template <typename A>
  static A fold(A a, A v) {
    return v > a || v != v ? v : a;
  }
};
struct MinOp : PlainSum {
  template <typename T>
  static compute_t<T> start() {
    if constexpr (std::is_integral_v<T>) return std::numeric_limits<T>::max();
    return static_cast<compute_t<T>>(std::numeric_limits<double>::infinity());
  }
  template <typename A>
  static A fold(A a, A v) {
    return v < a || v != v ? v : a;
  }
};
// Those that end in a real function gather in double for every type.
struct RealSum {
  template <typename T>
  using Sum = double;
  template <typename T>
  static double start() {
    return 0;
  }
};
struct L2Op : RealSum {
  static double fold(double a, double v) { return a + v * v; }
  template <typename T>
  static T finish(double sum, int64_t) {
    return store_result<T>(std::sqrt(sum));
  }
};
struct LogSumOp : RealSum {
  static double fold(double a, double v) { return a + v; }
  template <typename T>
  static T finish(double sum, int64_t) {
    return store_result<T>(std::log(sum));
  }
};

// bool is ordered as 0 and 1: the same bytes as u8.
template <typename Op>
Status reduce_extreme(KernelContext& c) {
  if (c.in[0]->dtype() != DType::kBool) return reduce_with<Op>(c);
  const Tensor bytes = c.in[0]->retyped(DType::kU8);
  c.in[0] = &bytes;
  c.types[0].dtype = DType::kU8;
  MNN_RETURN_IF_ERROR(reduce_with<Op>(c));
  // The starting value of an empty maximum or minimum is 0 or 255.
  Tensor& y = c.out[0];
  for (int64_t i = 0; i < y.elements(); ++i) y.data<uint8_t>()[i] = y.data<uint8_t>()[i] != 0;
  y = y.retyped(DType::kBool);
  return {};
}

// log(sum(exp(x - max))) + max, so that no exponential overflows.
Status log_sum_exp(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  MNN_ASSIGN_OR_RETURN(const Reduction r, make_reduction(c));
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(Tensor highest, Tensor::allocate(DType::kF64, r.kept));
  MNN_ASSIGN_OR_RETURN(Tensor sums, Tensor::allocate(DType::kF64, r.kept));
  double *const high = highest.data<double>(), *const sum = sums.data<double>();
  std::fill(high, high + y->elements(), -std::numeric_limits<double>::infinity());
  const bool done = dispatch_numeric(x.dtype(), [&]<typename T>() {
    fold_elements<T>(x, r, high, [](double a, T v) {
      return MaxOp::fold(a, static_cast<double>(load_as_compute(v)));
    });
    const std::vector<int64_t>* const operands[] = {&r.kept};
    BroadcastRows rows(x.dims(), operands);
    while (rows.next()) {
      for (int64_t i = 0; i < rows.count(); ++i) {
        const int64_t o = rows.offset(0) + i * rows.step(0);
        const double v = static_cast<double>(load_as_compute(x.data<T>()[rows.begin() + i]));
        // Infinite extremes are the result themselves.
        sum[o] += std::isinf(high[o]) ? 1.0 : std::exp(v - high[o]);
      }
    }
    for (int64_t i = 0; i < y->elements(); ++i) {
      y->data<T>()[i] = store_result<T>(std::isinf(high[i]) ? high[i] : std::log(sum[i]) + high[i]);
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

// The same reduction of simpler elements: keeps axes and attributes.
ValueId reduce_again(Builder& b, const Node& node, std::string_view name, ValueId x) {
  std::vector<ValueId> inputs = {x};
  if (node.own_inputs() > 1) inputs.push_back(node.inputs[1]);
  return b.op(name, std::move(inputs), node.attributes);
}

Result<std::vector<ValueId>> decompose_l1(Builder& b, const Node& node) {
  return std::vector<ValueId>{reduce_again(b, node, "ReduceSum", b.op("Abs", {node.inputs[0]}))};
}
ValueId sum_of_squares(Builder& b, const Node& node) {
  const ValueId x = node.inputs[0];
  return reduce_again(b, node, "ReduceSum", b.op("Mul", {x, x}));
}
Result<std::vector<ValueId>> decompose_sum_square(Builder& b, const Node& node) {
  return std::vector<ValueId>{sum_of_squares(b, node)};
}
Status refuse_integers(const Builder& b, const Node& node) {
  const DType dtype = b.type(node.inputs[0]).dtype;
  if (is_float(dtype)) return {};
  return unsupported(node.op + " of " + std::string(dtype_name(dtype)) + " cannot be decomposed");
}
Result<std::vector<ValueId>> decompose_l2(Builder& b, const Node& node) {
  MNN_RETURN_IF_ERROR(refuse_integers(b, node));
  return std::vector<ValueId>{b.op("Sqrt", {sum_of_squares(b, node)})};
}
Result<std::vector<ValueId>> decompose_log_sum(Builder& b, const Node& node) {
  MNN_RETURN_IF_ERROR(refuse_integers(b, node));
  return std::vector<ValueId>{b.op("Log", {reduce_again(b, node, "ReduceSum", node.inputs[0])})};
}

Status infer_arg_extreme(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kNumbers));
  c.out[0].type.dtype = DType::kI64;
  if (!c.rank_known(0)) return {};
  Shape y = *c.in[0].shape;
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", y.size()));
  if (y[axis].is(0)) return invalid("axis " + std::to_string(axis) + " has no elements");
  if (c.attr_int("keepdims") != 0) {
    y[axis] = Dim(1);
  } else {
    y.erase(y.begin() + static_cast<int64_t>(axis));
  }
  c.out[0].type.shape = std::move(y);
  return {};
}

template <typename Better>
Status arg_extreme(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  if (y->elements() == 0) return {};
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", x.rank()));
  const bool last = c.attr_int("select_last_index") != 0;
  const int64_t n = x.dims()[axis];
  int64_t inner = 1;
  for (size_t i = axis + 1; i < x.rank(); ++i) inner *= x.dims()[i];
  const bool done = dispatch_numeric(x.dtype(), [&]<typename T>() {
    for (int64_t o = 0; o < y->elements(); ++o) {
      const T* const in = x.data<T>() + o / inner * n * inner + o % inner;
      int64_t best = 0;
      compute_t<T> value = load_as_compute(in[0]);
      for (int64_t i = 1; i < n && value == value; ++i) {
        const compute_t<T> v = load_as_compute(in[i * inner]);
        if (v != v || Better()(v, value) || (last && v == value)) {
          best = i;
          value = v;
        }
      }
      y->data<int64_t>()[o] = best;
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

}  // namespace

std::vector<OpDef> define_reduce() {
  constexpr TypeMask sums = kFloats | kInts;
  constexpr TypeMask extremes = kPlain;
  const std::vector<AttrDef> attributes = {{"keepdims", int64_t{1}},
                                           {"noop_with_empty_axes", int64_t{0}}};
  const std::vector<AttrDef> arg_attributes = {
      {"axis", int64_t{0}}, {"keepdims", int64_t{1}}, {"select_last_index", int64_t{0}}};
  constexpr InferFn infer_sum = infer_foldable_reduce<sums, dim_add, 0>;
  constexpr InferFn infer_prod = infer_foldable_reduce<sums, dim_mul, 1>;
  constexpr InferFn infer_max = infer_foldable_reduce<extremes, dim_max, -1>;
  constexpr InferFn infer_min = infer_foldable_reduce<extremes, dim_min, -1>;
  constexpr InferFn infer_any = infer_reduce<sums>;
  return {
      with_gradient(reduce_sum_gradient, {"ReduceSum", 1, 2, kReduces | shape_inputs(1), attributes,
                                          infer_sum, reduce_with<SumOp>}),
      with_gradient(reduce_prod_gradient, {"ReduceProd", 1, 2, kReduces | shape_inputs(1),
                                           attributes, infer_prod, reduce_with<ProdOp>}),
      with_gradient(reduce_extreme_gradient,
                    {"ReduceMax", 1, 2, kReduces | kExtreme | shape_inputs(1), attributes,
                     infer_max, reduce_extreme<MaxOp>}),
      with_gradient(reduce_extreme_gradient,
                    {"ReduceMin", 1, 2, kReduces | kExtreme | shape_inputs(1), attributes,
                     infer_min, reduce_extreme<MinOp>}),
      with_gradient(reduce_mean_gradient, {"ReduceMean", 1, 2, kReduces | shape_inputs(1),
                                           attributes, infer_any, reduce_with<MeanOp>}),
      with_gradient(reduce_l1_gradient,
                    {"ReduceL1", 1, 2, kReduces | kNonNegative | shape_inputs(1), attributes,
                     infer_any, reduce_with<L1Op>, decompose_l1}),
      with_gradient(reduce_l2_gradient,
                    {"ReduceL2", 1, 2, kReduces | kNonNegative | shape_inputs(1), attributes,
                     infer_any, reduce_with<L2Op>, decompose_l2}),
      with_gradient(reduce_sum_square_gradient,
                    {"ReduceSumSquare", 1, 2, kReduces | kNonNegative | shape_inputs(1), attributes,
                     infer_any, reduce_with<SumSquareOp>, decompose_sum_square}),
      with_gradient(reduce_log_sum_gradient,
                    {"ReduceLogSum", 1, 2, kReduces | shape_inputs(1), attributes, infer_any,
                     reduce_with<LogSumOp>, decompose_log_sum}),
      with_gradient(reduce_log_sum_exp_gradient,
                    {"ReduceLogSumExp", 1, 2, kReduces | shape_inputs(1), attributes, infer_any,
                     log_sum_exp}),
      {"ArgMax", 1, 1, kReduces, arg_attributes, infer_arg_extreme, arg_extreme<std::greater<>>},
      {"ArgMin", 1, 1, kReduces, arg_attributes, infer_arg_extreme, arg_extreme<std::less<>>},
  };
}

}  // namespace mnn
