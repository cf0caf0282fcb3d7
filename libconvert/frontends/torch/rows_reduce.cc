// Reductions, arg-extrema, running sums, norms of vectors.
#include <cmath>
#include <limits>
#include <numeric>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

// The dims to reduce: none given means all.
std::vector<int64_t> reduced_axes(Call& c, ValueId x, std::string_view name = "dim") {
  const size_t rank = c.rank(x);
  std::vector<int64_t> axes;
  if (c.has_param(name) && !c.none(name)) axes = c.axes(name, rank);
  if (axes.empty()) {
    axes.resize(rank);
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (rank == 0) axes.clear();
  return axes;
}

bool keeps(Call& c) { return c.has_param("keepdim") && c.flag("keepdim"); }

ValueId reduced(Call& c, std::string_view op, ValueId x) {
  const std::vector<int64_t> axes = reduced_axes(c, x);
  return axes.empty() ? x : c.reduce(op, x, axes, keeps(c));
}

// Sums and products of integers and bools are i64.
ValueId summand(Call& c) {
  const ValueId x = c.tensor("self");
  const bool real = kind_of(c.dtype_of(x)) == TypeKind::kFloat;
  const DType type = real ? c.dtype_of(x) : DType::kI64;
  return c.cast(x, c.has_param("dtype") ? c.dtype("dtype", type) : type);
}
void sum(Call& c) { c.give(reduced(c, c.form(), summand(c))); }

ValueId real_self(Call& c) {
  const ValueId x = c.tensor("self");
  const bool real = kind_of(c.dtype_of(x)) == TypeKind::kFloat;
  const DType type = real ? c.dtype_of(x) : DType::kF32;
  return c.cast(x, c.has_param("dtype") ? c.dtype("dtype", type) : type);
}
void mean(Call& c) { c.give(reduced(c, "ReduceMean", real_self(c))); }
void log_sum_exp(Call& c) { c.give(reduced(c, "ReduceLogSumExp", real_self(c))); }

// Extrema keep the type; of bools they are any and all.
ValueId extreme(Call& c, ValueId x, bool largest) {
  const bool truth = c.dtype_of(x) == DType::kBool;
  const ValueId y =
      reduced(c, largest ? "ReduceMax" : "ReduceMin", truth ? c.cast(x, DType::kI32) : x);
  return truth ? c.cast(y, DType::kBool) : y;
}
void amax(Call& c) { c.give(extreme(c, c.tensor("self"), true)); }
void amin(Call& c) { c.give(extreme(c, c.tensor("self"), false)); }
void aminmax(Call& c) {
  c.give(extreme(c, c.tensor("self"), false));
  c.give(extreme(c, c.tensor("self"), true));
}
void any(Call& c) { c.give(extreme(c, c.cast(c.tensor("self"), DType::kBool), true)); }
void all(Call& c) { c.give(extreme(c, c.cast(c.tensor("self"), DType::kBool), false)); }

ValueId flat(Call& c, ValueId x) { return c.reshape(x, {-1}); }

// The place of the extreme: along a dim, or in all elements counted in row-major order.
ValueId arg_extreme(Call& c, ValueId x, bool largest) {
  if (c.dtype_of(x) == DType::kBool) x = c.cast(x, DType::kI32);
  const char* op = largest ? "ArgMax" : "ArgMin";
  const size_t rank = c.rank(x);
  const bool whole = c.none("dim");
  if (rank == 0) {
    return c.squeeze(c.emit(op, {c.expand_dims(x, {0})}, {{"keepdims", int64_t{1}}}), {0});
  }
  if (!whole) {
    return c.emit(op, {x}, {{"axis", c.axis("dim", rank)}, {"keepdims", int64_t{keeps(c)}}});
  }
  const ValueId y = c.emit(op, {flat(c, x)}, {{"axis", int64_t{0}}, {"keepdims", int64_t{0}}});
  if (!keeps(c)) return y;
  return c.reshape(y, std::vector<int64_t>(rank, 1));
}
void arg_max(Call& c) { c.give(arg_extreme(c, c.tensor("self"), true)); }
void arg_min(Call& c) { c.give(arg_extreme(c, c.tensor("self"), false)); }

void extreme_and_place(Call& c) {
  const ValueId x = c.tensor("self");
  const bool largest = c.op() == "aten::max";
  c.give(extreme(c, x, largest));
  c.give(arg_extreme(c, x, largest));
}

void running(Call& c) {
  const ValueId x = summand(c);
  const size_t rank = c.rank(x);
  if (rank == 0) return c.give(x);
  c.give(c.binary(c.form(), x, c.add_constant(Tensor::scalar(c.axis("dim", rank)))));
}

// Elements that are reduced to one, as a 0-d value of `type`.
ValueId count_of(Call& c, ValueId x, const std::vector<int64_t>& axes, DType type) {
  int64_t known = 1;
  std::vector<ValueId> open;
  for (const int64_t a : axes) {
    const IntArg n = c.size(x, static_cast<size_t>(a));
    if (n.known()) {
      known *= n.value;
    } else {
      open.push_back(n.id);
    }
  }
  ValueId count = c.number(static_cast<double>(known), type);
  for (const ValueId n : open) count = c.binary("Mul", count, c.cast(n, type));
  return count;
}

// The sum of squares about the mean over (n - correction), and the mean.
std::pair<ValueId, ValueId> variance(Call& c) {
  const ValueId x = real_self(c);
  const DType type = c.dtype_of(x);
  const std::vector<int64_t> axes = reduced_axes(c, x);
  double correction = 1;
  if (c.has_param("unbiased")) correction = c.flag("unbiased") ? 1 : 0;
  if (c.has_param("correction") && !c.none("correction")) correction = c.real("correction");
  const ValueId mean = c.reduce("ReduceMean", x, axes, true);
  const ValueId d = c.binary("Sub", x, mean);
  const ValueId squares = c.binary("Mul", d, d);
  ValueId v = kNoValue;
  if (correction == 0) {
    v = c.reduce("ReduceMean", squares, axes, keeps(c));
  } else {
    const ValueId freedom = c.binary("Sub", count_of(c, x, axes, type), c.number(correction, type));
    const ValueId room = c.binary("Max", freedom, c.number(0, type));
    v = c.binary("Div", c.reduce("ReduceSum", squares, axes, keeps(c)), room);
  }
  return {v, keeps(c) ? mean : c.squeeze(mean, axes)};
}
void var(Call& c) { c.give(variance(c).first); }
void std_dev(Call& c) { c.give(c.unary("Sqrt", variance(c).first)); }
void var_mean(Call& c) {
  const auto [v, mean] = variance(c);
  c.give(v);
  c.give(mean);
}
void std_mean(Call& c) {
  const auto [v, mean] = variance(c);
  c.give(c.unary("Sqrt", v));
  c.give(mean);
}

// (sum |x|^p)^(1/p), the largest or least magnitude for infinite p, how many are not zero for 0.
void vector_norm(Call& c) {
  const TensorArg* z = c.arg("self").get<TensorArg>();
  if (z != nullptr && z->complex) return c.refuse("norms of complex numbers are not supported");
  const ValueId x = real_self(c);
  const std::string_view name = c.has_param("ord") ? "ord" : "p";
  if (c.arg(name).get<std::string>() != nullptr) {
    const std::string kind = c.text(name);
    if (kind != "fro") return c.refuse("norm '" + kind + "' is not supported");
    return c.give(reduced(c, "ReduceL2", x));
  }
  const double p = c.none(name) ? 2 : c.real(name);
  const DType type = c.dtype_of(x);
  const ValueId magnitude = p == 2 || p == 1 ? x : c.unary("Abs", x);
  if (p == 2) return c.give(reduced(c, "ReduceL2", x));
  if (p == 1) return c.give(reduced(c, "ReduceL1", x));
  if (std::isinf(p)) return c.give(reduced(c, p > 0 ? "ReduceMax" : "ReduceMin", magnitude));
  if (p == 0) {
    const ValueId some = c.unary("Not", c.binary("Equal", x, c.number(0, type)));
    return c.give(reduced(c, "ReduceSum", c.cast(some, type)));
  }
  const ValueId total = reduced(c, "ReduceSum", c.binary("Pow", magnitude, c.number(p, type)));
  c.give(c.binary("Pow", total, c.number(1 / p, type)));
}

void top_k(Call& c) {
  const ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  const int64_t axis = c.axis("dim", rank);
  const std::vector<ValueId> y = c.emit_n("TopK", {x, c.list_of({c.int_arg("k")})}, 2,
                                          {{"axis", axis},
                                           {"largest", int64_t{c.flag("largest")}},
                                           {"sorted", int64_t{c.flag("sorted")}}});
  c.give(y[0]);
  c.give(y[1]);
}

// Stable: of equal elements the first comes first.
std::vector<ValueId> sorted(Call& c) {
  ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  if (rank == 0) return {x, c.add_constant(Tensor::scalar(int64_t{0}))};
  const int64_t axis = c.axis("dim", rank);
  const bool truth = c.dtype_of(x) == DType::kBool;
  if (truth) x = c.cast(x, DType::kI32);
  std::vector<ValueId> y =
      c.emit_n("TopK", {x, c.list_of({c.size(x, static_cast<size_t>(axis))})}, 2,
               {{"axis", axis}, {"largest", int64_t{c.flag("descending")}}});
  if (truth) y[0] = c.cast(y[0], DType::kBool);
  return y;
}
void sort(Call& c) {
  for (const ValueId y : sorted(c)) c.give(y);
}
void arg_sort(Call& c) { c.give(sorted(c)[1]); }

// The lower of the two in the middle, and its place.
void median(Call& c) {
  ValueId x = c.tensor("self");
  const bool whole = !c.has_param("dim");
  if (whole) x = flat(c, x);
  const size_t rank = c.rank(x);
  const int64_t axis = whole ? 0 : c.axis("dim", rank);
  const int64_t n = c.known_dim(x, static_cast<size_t>(axis));
  const int64_t k = (n - 1) / 2 + 1;
  const std::vector<ValueId> low =
      c.emit_n("TopK", {x, c.add_ints({k})}, 2, {{"axis", axis}, {"largest", int64_t{0}}});
  for (size_t i = 0; i < (whole ? 1u : 2u); ++i) {
    const ValueId y = c.slice(low[i], axis, IntArg{k - 1}, IntArg{k});
    c.give(keeps(c) ? y : c.squeeze(y, {axis}));
  }
}

void count_nonzero(Call& c) {
  const ValueId truth = c.cast(c.tensor("self"), DType::kBool);
  c.give(reduced(c, "ReduceSum", c.cast(truth, DType::kI64)));
}

}  // namespace

std::vector<RowText> reduce_rows() {
  return {
      {"sum(Tensor self, *, ScalarType? dtype=None) -> Tensor", "ReduceSum", sum},
      {"sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) "
       "-> Tensor",
       "ReduceSum", sum},
      {"prod(Tensor self, *, ScalarType? dtype=None) -> Tensor", "ReduceProd", sum},
      {"prod.dim_int(Tensor self, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> "
       "Tensor",
       "ReduceProd", sum},
      {"mean(Tensor self, *, ScalarType? dtype=None) -> Tensor", "ReduceMean", mean},
      {"mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> "
       "Tensor",
       "ReduceMean", mean},
      {"logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", "ReduceLogSumExp",
       log_sum_exp},
      {"amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", "ReduceMax", amax},
      {"amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", "ReduceMin", amin},
      {"max(Tensor self) -> Tensor", "ReduceMax", amax},
      {"min(Tensor self) -> Tensor", "ReduceMin", amin},
      {"aminmax(Tensor self, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)",
       "ReduceMin, ReduceMax", aminmax},
      {"max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
       "ReduceMax, ArgMax", extreme_and_place},
      {"min.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
       "ReduceMin, ArgMin", extreme_and_place},
      {"any(Tensor self) -> Tensor", "ReduceMax", any},
      {"any.dim(Tensor self, int dim, bool keepdim=False) -> Tensor", "ReduceMax", any},
      {"any.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", "ReduceMax", any},
      {"all(Tensor self) -> Tensor", "ReduceMin", all},
      {"all.dim(Tensor self, int dim, bool keepdim=False) -> Tensor", "ReduceMin", all},
      {"all.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", "ReduceMin", all},
      {"argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", "ArgMax", arg_max},
      {"argmin(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", "ArgMin", arg_min},
      {"cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", "CumSum", running},
      {"cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", "CumProd", running},
      {"var(Tensor self, bool unbiased=True) -> Tensor", "ReduceMean, Sub, Mul, Div", var},
      {"var.dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) -> Tensor",
       "ReduceMean, Sub, Mul, Div", var},
      {"var.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool "
       "keepdim=False) -> Tensor",
       "ReduceMean, Sub, Mul, Div", var},
      {"std(Tensor self, bool unbiased=True) -> Tensor", "ReduceMean, Sub, Mul, Div, Sqrt",
       std_dev},
      {"std.dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) -> Tensor",
       "ReduceMean, Sub, Mul, Div, Sqrt", std_dev},
      {"std.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool "
       "keepdim=False) -> Tensor",
       "ReduceMean, Sub, Mul, Div, Sqrt", std_dev},
      {"var_mean(Tensor self, bool unbiased=True) -> (Tensor, Tensor)", "ReduceMean, Sub, Mul, Div",
       var_mean},
      {"var_mean.dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) -> "
       "(Tensor, Tensor)",
       "ReduceMean, Sub, Mul, Div", var_mean},
      {"var_mean.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool "
       "keepdim=False) -> (Tensor, Tensor)",
       "ReduceMean, Sub, Mul, Div", var_mean},
      {"std_mean.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool "
       "keepdim=False) -> (Tensor, Tensor)",
       "ReduceMean, Sub, Mul, Div, Sqrt", std_mean},
      {"linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, "
       "ScalarType? dtype=None) -> Tensor",
       "ReduceL2", vector_norm},
      {"norm.Scalar(Tensor self, Scalar p=2) -> Tensor", "ReduceL2", vector_norm},
      {"norm.ScalarOpt_dim(Tensor self, Scalar? p, int[1] dim, bool keepdim=False) -> Tensor",
       "ReduceL2", vector_norm},
      {"norm.ScalarOpt_dtype(Tensor self, Scalar? p, *, ScalarType dtype) -> Tensor", "ReduceL2",
       vector_norm},
      {"norm.ScalarOpt_dim_dtype(Tensor self, Scalar? p, int[1] dim, bool keepdim, *, ScalarType "
       "dtype) -> Tensor",
       "ReduceL2", vector_norm},
      {"frobenius_norm.dim(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", "ReduceL2",
       [](Call& c) { c.give(reduced(c, "ReduceL2", c.tensor("self"))); }},
      {"topk(Tensor self, int k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor "
       "values, Tensor indices)",
       "TopK", top_k},
      {"sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)",
       "TopK", sort},
      {"sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) -> (Tensor "
       "values, Tensor indices)",
       "TopK", sort},
      {"argsort(Tensor self, int dim=-1, bool descending=False) -> Tensor", "TopK", arg_sort},
      {"argsort.stable(Tensor self, *, bool stable, int dim=-1, bool descending=False) -> Tensor",
       "TopK", arg_sort},
      {"median(Tensor self) -> Tensor", "TopK, Slice", median},
      {"median.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
       "TopK, Slice", median},
      {"count_nonzero(Tensor self, int? dim=None) -> Tensor", "Cast, ReduceSum", count_nonzero},
      {"count_nonzero.dim_IntList(Tensor self, int[] dim) -> Tensor", "Cast, ReduceSum",
       count_nonzero},
  };
}

}  // namespace mnn::torch
