// Shape arithmetic and views: operators that change or read a shape but move no element.
#include <algorithm>

#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// ---- Shape, Size ----

// The half-open range of axes that Shape's `start` and `end` select.
std::pair<size_t, size_t> shape_range(const AttributeReader& c, size_t rank) {
  const auto r = static_cast<int64_t>(rank);
  auto clamp = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + r : v, 0, r); };
  const int64_t start = clamp(c.attr_int("start"));
  const int64_t end = c.has("end") ? clamp(c.attr_int("end")) : r;
  return {static_cast<size_t>(start), static_cast<size_t>(std::max(start, end))};
}

Status infer_shape(OpContext& c) {
  if (!c.rank_known(0)) {
    set_output(c, 0, DType::kI64, unknown_shape(1));
    return {};
  }
  const auto [start, end] = shape_range(c, c.in[0].rank());
  set_output(c, 0, DType::kI64, Shape{Dim(static_cast<int64_t>(end - start))});
  const Shape& shape = *c.in[0].shape;
  c.out[0].values =
      ShapeValues(shape.begin() + static_cast<long>(start), shape.begin() + static_cast<long>(end));
  return {};
}

Status reference_shape(KernelContext& c) {
  const auto [start, end] = shape_range(c, c.in[0]->rank());
  const auto& dims = c.in[0]->dims();
  c.out[0] = Tensor::ints(
      {dims.begin() + static_cast<long>(start), dims.begin() + static_cast<long>(end)});
  return {};
}

Status infer_size(OpContext& c) {
  set_output(c, 0, DType::kI64, Shape{});
  if (c.rank_known(0)) c.out[0].values = ShapeValues{num_elements(*c.in[0].shape)};
  return {};
}

Status reference_size(KernelContext& c) {
  c.out[0] = Tensor::scalar<int64_t>(c.in[0]->elements());
  return {};
}

// ---- Reshape ----

Status bad_reshape(const Shape& from, const Shape& to) {
  return invalid("cannot reshape " + shape_str(from) + " to " + shape_str(to));
}

// Whether `d`, never negative, can only be 0 where `in` has no elements: it divides their number.
bool zero_only_when_empty(const Dim& d, const Shape& in) {
  auto divides = [&](const Dim& whole) { return (floor_div(whole, d) * d).same(whole); };
  Dim count(1);
  for (const Dim& dim : in) {
    if (dim.is_unknown()) continue;
    if (divides(dim)) return true;
    count = count * dim;
  }
  return divides(count);
}

// Whether entry `i` of a Reshape's target says what that dimension will be: it is no -1 in disguise
// and no 0 that copies another one. (Where the zero of an empty tensor goes only the run tells.)
bool is_plain_size(const Dim& d, size_t i, const std::optional<Shape>& in, bool allow_zero) {
  if (d.known()) return true;
  if (!at_least(d, 0)) return false;
  if (allow_zero || at_least(d, 1)) return true;
  return in && (i >= in->size() || zero_only_when_empty(d, *in));
}

// The output shape of Reshape for a target that is known at least in length.
Result<Shape> reshaped_shape(const std::optional<Shape>& in, const ShapeValues& target,
                             bool allow_zero) {
  Shape out;
  std::optional<size_t> open;  // the one dim that follows from the number of elements
  bool solvable = true;
  // Dims copied from the input cancel in the division even when nothing is known about them.
  std::vector<char> copied(in ? in->size() : 0, 0);
  Dim rest(1);
  int64_t product = 1;  // of the dims that are numbers
  bool overflow = false;
  for (size_t i = 0; i < target.size(); ++i) {
    const Dim& d = target[i];
    if (d.is(0) && !allow_zero) {
      if (!in) {
        out.push_back(Dim::unknown());
        solvable = false;
        continue;
      }
      if (i >= in->size()) {
        return invalid("shape " + shape_str(target) + " copies dimension " + std::to_string(i) +
                       ", which " + shape_str(*in) + " does not have");
      }
      copied[i] = 1;
      out.push_back((*in)[i]);
    } else if (d.is(-1)) {
      if (open && target[*open].is(-1)) {
        return invalid("shape " + shape_str(target) + " has more than one -1");
      }
      if (open) solvable = false;
      open = i;
      out.push_back(Dim::unknown());
    } else if (!is_plain_size(d, i, in, allow_zero)) {
      if (open) solvable = false;
      open = open && target[*open].is(-1) ? open : i;
      out.push_back(Dim::unknown());
    } else {
      if (d.known() && d.value() < 0) {
        return invalid("shape " + shape_str(target) + " has the negative dimension " + d.str());
      }
      rest = rest * d;
      overflow |= d.known() && __builtin_mul_overflow(product, d.value(), &product);
      out.push_back(d);
    }
  }
  if (overflow && !rest.is(0)) {
    return limit_exceeded("shape " + shape_str(target) + " has more than 2^63 elements");
  }
  if (!in) return out;
  Dim total(1);
  bool empty = false;  // a dim that is copied may be 0: no element before and none after
  for (size_t i = 0; i < in->size(); ++i) {
    if (!copied[i]) total = total * (*in)[i];
    empty |= copied[i] && (!(*in)[i].known() || (*in)[i].is(0));
  }
  if (open && solvable) {
    if (rest.is(0)) {
      if (target[*open].is(-1)) {
        return invalid("shape " + shape_str(target) + " leaves its -1 open: another dim is 0");
      }
      return out;
    }
    const Dim quotient = floor_div(total, rest);
    if (total.known() && rest.known() && total.value() % rest.value() != 0) {
      return bad_reshape(*in, target);
    }
    out[*open] = quotient;
  } else if (!open && !empty && total.known() && rest.known() && total.value() != rest.value()) {
    return bad_reshape(*in, target);
  }
  return out;
}

Status infer_reshape(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "shape"));
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  c.out[0].values = c.values(0);
  if (const auto target = c.values(1)) {
    MNN_ASSIGN_OR_RETURN(c.out[0].type.shape,
                         reshaped_shape(c.in[0].shape, *target, c.attr_int("allowzero") != 0));
  } else if (const auto rank = known_length(c, 1)) {
    if (*rank > kMaxShapeValues) return invalid("shape has " + std::to_string(*rank) + " elements");
    c.out[0].type.shape = unknown_shape(static_cast<size_t>(*rank));
  }
  return {};
}

// Copies the bytes of input 0 under the inferred dims.
Status reference_copy(KernelContext& c) {
  if (!c.types[0].is_static()) return internal_error("the output shape is open");
  std::vector<int64_t> dims = known_dims(*c.types[0].shape);
  if (checked_elements(dims).value_or(-1) != c.in[0]->elements()) {
    return bad_reshape(to_shape(c.in[0]->dims()), *c.types[0].shape);
  }
  MNN_ASSIGN_OR_RETURN(const Tensor copy, c.in[0]->clone());
  c.out[0] = copy.reshaped(std::move(dims));
  return {};
}

// ---- Flatten, Squeeze, Unsqueeze ----

Status infer_flatten(OpContext& c) {
  set_output(c, 0, c.in[0].dtype, unknown_shape(2));
  c.out[0].values = c.values(0);
  if (!c.rank_known(0)) return {};
  const Shape& shape = *c.in[0].shape;
  const auto rank = static_cast<int64_t>(shape.size());
  int64_t axis = c.attr_int("axis");
  if (axis < -rank || axis > rank) {
    return invalid("axis " + std::to_string(axis) + " is not in [" + std::to_string(-rank) + ", " +
                   std::to_string(rank) + "]");
  }
  if (axis < 0) axis += rank;
  const auto split = shape.begin() + axis;
  c.out[0].type.shape =
      Shape{num_elements(Shape(shape.begin(), split)), num_elements(Shape(split, shape.end()))};
  return {};
}

Status infer_squeeze(OpContext& c) {
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  c.out[0].values = c.values(0);
  if (!c.rank_known(0)) return {};
  const Shape& shape = *c.in[0].shape;
  std::vector<char> removed(shape.size(), 0);
  if (c.has_input(1)) {
    MNN_RETURN_IF_ERROR(expect_integers(c, 1, "axes"));
    const auto axes = c.ints(1);
    if (!axes) {
      const auto count = known_length(c, 1);
      if (count && *count <= static_cast<int64_t>(shape.size())) {
        c.out[0].type.shape = unknown_shape(shape.size() - static_cast<size_t>(*count));
      }
      return {};
    }
    MNN_ASSIGN_OR_RETURN(const std::vector<size_t> list, normalize_axes(*axes, shape.size()));
    for (const size_t a : list) {
      if (shape[a].known() && !shape[a].is(1)) {
        return invalid("axis " + std::to_string(a) + " of " + c.in[0].str() +
                       " cannot be squeezed: expected dimension 1, found " + shape[a].str());
      }
      removed[a] = 1;
    }
  } else {
    // A symbolic dim may turn out to be 1: then not even the rank is known.
    if (!all_known(shape)) return {};
    for (size_t i = 0; i < shape.size(); ++i) removed[i] = shape[i].is(1);
  }
  Shape out;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!removed[i]) out.push_back(shape[i]);
  }
  c.out[0].type.shape = std::move(out);
  return {};
}

Status infer_unsqueeze(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "axes"));
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  c.out[0].values = c.values(0);
  if (!c.rank_known(0)) return {};
  const Shape& shape = *c.in[0].shape;
  const auto axes = c.ints(1);
  if (!axes) {
    const auto count = known_length(c, 1);
    if (count && *count <= kMaxShapeValues) {
      c.out[0].type.shape = unknown_shape(shape.size() + static_cast<size_t>(*count));
    }
    return {};
  }
  const size_t rank = shape.size() + axes->size();
  MNN_ASSIGN_OR_RETURN(const std::vector<size_t> list, normalize_axes(*axes, rank));
  Shape out(rank);
  std::vector<char> added(rank, 0);
  for (const size_t a : list) added[a] = 1;
  for (size_t i = 0, next = 0; i < rank; ++i) out[i] = added[i] ? Dim(1) : shape[next++];
  c.out[0].type.shape = std::move(out);
  return {};
}

// ---- Constant ----

// The one value attribute as a tensor.
Result<Tensor> constant_value(const AttributeReader& c) {
  if (const Tensor* t = c.attr_tensor("value")) return *t;
  if (c.has("value_int")) return Tensor::scalar<int64_t>(c.attr_int("value_int"));
  if (c.has("value_ints")) return Tensor::ints(c.attr_ints("value_ints"));
  if (c.has("value_float")) return Tensor::scalar(static_cast<float>(c.attr_float("value_float")));
  if (c.has("value_floats")) {
    const std::vector<double> wide = c.attr_floats("value_floats");
    const std::vector<float> values(wide.begin(), wide.end());
    return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
  }
  if (c.has("value_string")) return Tensor::strings({}, {c.attr_string("value_string")});
  if (c.has("value_strings")) {
    const auto it = c.node.attributes.find("value_strings");
    const auto& values = std::get<std::vector<std::string>>(it->second);
    return Tensor::strings({static_cast<int64_t>(values.size())}, values);
  }
  return invalid("expected one value attribute, found none");
}

Status infer_constant(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(const Tensor t, constant_value(c));
  set_output(c, 0, t.dtype(), to_shape(t.dims()));
  if (t.elements() > kMaxShapeValues) return {};
  const auto ints = t.to_ints();
  if (ints.ok()) c.out[0].values = ShapeValues(ints->begin(), ints->end());
  return {};
}

Status reference_constant(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(c.out[0], constant_value(c));
  return {};
}

}  // namespace

std::vector<OpDef> define_shape() {
  const AttrDef start{"start", int64_t{0}}, end{"end", int64_t{0}};
  const std::vector<AttrDef> value = {
      {"value", Tensor()},
      {"value_int", int64_t{0}},
      {"value_ints", std::vector<int64_t>{}},
      {"value_float", 0.0},
      {"value_floats", std::vector<double>{}},
      {"value_string", std::string()},
      {"value_strings", std::vector<std::string>{}},
  };
  return {
      {"Shape", 1, 1, kReadsShape, {start, end}, infer_shape, reference_shape},
      {"Size", 1, 1, kReadsShape, {}, infer_size, reference_size},
      with_gradient(view_gradient, {"Reshape",
                                    2,
                                    2,
                                    kMoves | kView | shape_inputs(1),
                                    {{"allowzero", int64_t{0}}},
                                    infer_reshape,
                                    reference_copy}),
      with_gradient(
          view_gradient,
          {"Flatten", 1, 1, kMoves | kView, {{"axis", int64_t{1}}}, infer_flatten, reference_copy}),
      with_gradient(
          view_gradient,
          {"Squeeze", 1, 2, kMoves | kView | shape_inputs(1), {}, infer_squeeze, reference_copy}),
      with_gradient(view_gradient, {"Unsqueeze",
                                    2,
                                    2,
                                    kMoves | kView | shape_inputs(1),
                                    {},
                                    infer_unsqueeze,
                                    reference_copy}),
      {"Constant", 0, 0, {}, value, infer_constant, reference_constant},
  };
}

}  // namespace mnn
