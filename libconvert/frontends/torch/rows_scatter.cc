// Writes at places along a dim, and into slices.
#include <limits>
#include <numeric>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

ValueId scattered(Call& c, ValueId x, ValueId index, ValueId source, int64_t axis,
                  const std::string& reduction) {
  return c.emit("ScatterElements", {x, index, source}, {{"axis", axis}, {"reduction", reduction}});
}

// The part of the source that the index covers: it may be larger.
ValueId covered(Call& c, ValueId source, ValueId index) {
  const Type &s = c.type_of(source), &i = c.type_of(index);
  if (s.shape && i.shape && same_shape(*s.shape, *i.shape)) return source;
  const size_t rank = c.rank(index);
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  return c.emit("Slice", {source, c.add_ints(std::vector<int64_t>(rank, 0)), c.shape_of(index),
                          c.add_ints(axes)});
}

void scatter(Call& c) {
  const ValueId x = c.tensor("self"), index = c.tensor("index");
  const DType type = c.dtype_of(x);
  const ValueId source = c.has_param("src") ? covered(c, c.tensor("src"), index)
                                            : c.expand(c.as("value", type), c.shape_of(index));
  std::string reduction = "none";
  if (c.op() == "aten::scatter_add") reduction = "add";
  if (c.has_param("reduce")) {
    const std::string how = c.text("reduce");
    reduction = how == "add" || how == "sum"         ? "add"
                : how == "multiply" || how == "prod" ? "mul"
                : how == "amax"                      ? "max"
                : how == "amin"                      ? "min"
                                                     : "";
    if (reduction.empty()) return c.refuse("reduction '" + how + "' is not supported");
  }
  if (c.has_param("include_self") && !c.flag("include_self")) {
    return c.refuse("include_self=False is not supported");
  }
  c.give(scattered(c, x, index, source, c.axis("dim", c.rank(x)), reduction));
}

// Rows along a dim: places [n], source with n along it.
void index_write(Call& c) {
  const ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  const int64_t axis = c.axis("dim", rank);
  const DType type = c.dtype_of(x);
  ValueId index = c.tensor("index");
  if (c.rank(index) == 0) index = c.expand_dims(index, {0});
  std::vector<IntArg> shape = c.sizes(x);
  if (!c.status.ok() || rank == 0) return;
  shape[static_cast<size_t>(axis)] = c.size(index, 0);
  std::vector<int64_t> column(rank, 1);
  column[static_cast<size_t>(axis)] = -1;
  const ValueId whole = c.list_of(shape);
  const ValueId places = c.expand(c.reshape(index, column), whole);
  ValueId source =
      c.has_param("source") ? c.as("source", type) : c.expand(c.as("value", type), whole);
  if (c.has_param("alpha") && c.real("alpha") != 1) {
    source = c.binary("Mul", source, c.number(c.real("alpha"), type));
  }
  c.give(scattered(c, x, places, source, axis, c.op() == "aten::index_add" ? "add" : "none"));
}

void select_scatter(Call& c) {
  const ValueId x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  const IntArg at = c.int_arg("index");
  const ValueId source = c.expand_dims(c.as("src", c.dtype_of(x)), {axis});
  const ValueId index = c.expand(c.value_of(at), c.shape_of(source));
  c.give(scattered(c, x, index, source, axis, "none"));
}

// Places start, start + step … before end along the dim, of which some may be negative.
void slice_scatter(Call& c) {
  const ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  const int64_t axis = c.axis("dim", rank);
  const int64_t step = c.integer("step");
  if (step < 1) return c.fail(invalid("a slice's step must be positive"));
  const IntArg n = c.size(x, static_cast<size_t>(axis));
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  const IntArg start = c.none("start") ? IntArg{0} : c.int_arg("start");
  const IntArg end = c.none("end") ? IntArg{kEnd} : c.int_arg("end");
  const ValueId source = c.as("src", c.dtype_of(x));
  if (!c.status.ok()) return;
  if (start == IntArg{0} && step == 1 && end.known() &&
      (end.value == kEnd || (n.known() && end.value >= n.value))) {
    return c.give(c.expand(source, c.shape_of(x)));
  }
  const ValueId all = c.range(IntArg{0}, n, IntArg{1});
  const ValueId places = c.slice(all, 0, start, end, step);
  std::vector<int64_t> column(rank, 1);
  column[static_cast<size_t>(axis)] = -1;
  std::vector<IntArg> shape = c.sizes(x);
  shape[static_cast<size_t>(axis)] = c.size(places, 0);
  const ValueId whole = c.list_of(shape);
  const ValueId index = c.expand(c.reshape(places, column), whole);
  c.give(scattered(c, x, index, c.expand(source, whole), axis, "none"));
}

void one_hot(Call& c) {
  const ValueId x = c.tensor("self");
  const int64_t classes = c.integer("num_classes");
  if (classes < 1) return c.refuse("the number of classes must be given");
  c.give(c.emit("OneHot", {x, c.add_constant(Tensor::scalar(classes)), c.add_ints({0, 1})},
                {{"axis", int64_t{-1}}}));
}

// How many boundaries are below (or not above) a value.
void bucketize(Call& c) {
  const bool search = c.op() == "aten::searchsorted";
  const ValueId values = c.tensor("self");
  const ValueId bounds = c.tensor(search ? "sorted_sequence" : "boundaries");
  const bool right = c.flag("right");
  const DType type = c.dtype_of(values);
  const ValueId v = c.emit("Unsqueeze", {values, c.add_ints({-1})});
  ValueId b = c.cast(bounds, type);
  if (search && c.rank(bounds) > 1)
    b = c.expand_dims(b, {static_cast<int64_t>(c.rank(bounds)) - 1});
  const ValueId below = c.binary(right ? "LessOrEqual" : "Less", b, v);
  const DType out = c.flag("out_int32") ? DType::kI32 : DType::kI64;
  c.give(c.emit("ReduceSum", {c.cast(below, out), c.add_ints({-1})}, {{"keepdims", int64_t{0}}}));
}

}  // namespace

std::vector<RowText> scatter_rows() {
  return {
      {"scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", "ScatterElements",
       scatter},
      {"scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor",
       "ScatterElements", scatter},
      {"scatter.reduce(Tensor self, int dim, Tensor index, Tensor src, *, str reduce) -> Tensor",
       "ScatterElements", scatter},
      {"scatter.value_reduce(Tensor self, int dim, Tensor index, Scalar value, *, str reduce) -> "
       "Tensor",
       "ScatterElements", scatter},
      {"scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", "ScatterElements",
       scatter},
      {"scatter_reduce.two(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, bool "
       "include_self=True) -> Tensor",
       "ScatterElements", scatter},
      {"index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor",
       "ScatterElements", index_write},
      {"index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor", "ScatterElements",
       index_write},
      {"index_fill.int_Scalar(Tensor self, int dim, Tensor index, Scalar value) -> Tensor",
       "ScatterElements", index_write},
      {"index_fill.int_Tensor(Tensor self, int dim, Tensor index, Tensor value) -> Tensor",
       "ScatterElements", index_write},
      {"select_scatter(Tensor self, Tensor src, int dim, int index) -> Tensor", "ScatterElements",
       select_scatter},
      {"slice_scatter(Tensor self, Tensor src, int dim=0, int? start=None, int? end=None, int "
       "step=1) -> Tensor",
       "ScatterElements", slice_scatter},
      {"one_hot(Tensor self, int num_classes=-1) -> Tensor", "OneHot", one_hot},
      {"bucketize.Tensor(Tensor self, Tensor boundaries, *, bool out_int32=False, bool "
       "right=False) -> Tensor",
       "Less, ReduceSum", bucketize},
      {"searchsorted.Tensor(Tensor sorted_sequence, Tensor self, *, bool out_int32=False, bool "
       "right=False, str? side=None, Tensor? sorter=None) -> Tensor",
       "Less, ReduceSum", bucketize},
  };
}

}  // namespace mnn::torch
