// Sequences and optionals. A sequence's type tells the element type and what all elements have in
// common of a shape.
#include <algorithm>

#include "libruntime/core/ops/movement.h"
#include "libruntime/core/ops/type_checks.h"
#include "libruntime/core/text.h"

namespace mnn {
namespace {

using Kind = Type::Kind;

// No sound model comes near; an axis of an empty tensor may be of any length.
constexpr int64_t kMaxParts = int64_t{1} << 24;

// ---- Inference ----

Status expect_sequence(const OpContext& c, size_t i) {
  if (c.has_input(i) && c.in[i].kind == Kind::kSequence) return {};
  return invalid("input " + std::to_string(i) + ": expected a sequence, found " +
                 (c.has_input(i) ? c.in[i].str() : "none"));
}

Status expect_tensor(const OpContext& c, size_t i) { return expect_input(c, i, ~TypeMask{0}); }

Status expect_position(const OpContext& c, size_t i) {
  if (!c.has_input(i)) return {};
  MNN_RETURN_IF_ERROR(expect_input(c, i, mask_of(DType::kI32, DType::kI64)));
  return expect_scalar(c, i);
}

std::optional<Shape> common_shape(const std::optional<Shape>& a, const std::optional<Shape>& b) {
  if (!a || !b || a->size() != b->size()) return std::nullopt;
  Shape shape = *a;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!shape[d].same((*b)[d])) shape[d] = Dim::unknown();
  }
  return shape;
}

Status infer_sequence_empty(OpContext& c) {
  const int64_t dtype = c.attr_int("dtype");
  if (dtype < 1 || dtype > static_cast<int64_t>(kLastOnnxType)) {
    return invalid("dtype " + std::to_string(dtype) + " is not an element type");
  }
  c.out[0].type = {Kind::kSequence, static_cast<DType>(dtype), std::nullopt};
  return {};
}

Status infer_sequence_construct(OpContext& c) {
  for (size_t i = 0; i < c.in.size(); ++i) {
    MNN_RETURN_IF_ERROR(i == 0 ? expect_tensor(c, i) : expect_like(c, i, 0));
    if (i == 0) {
      c.out[0].type = {Kind::kSequence, c.in[0].dtype, c.in[0].shape};
    } else {
      c.out[0].type.shape = common_shape(c.out[0].type.shape, c.in[i].shape);
    }
  }
  return {};
}

Status infer_sequence_at(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_sequence(c, 0));
  MNN_RETURN_IF_ERROR(expect_position(c, 1));
  set_output(c, 0, c.in[0].dtype, c.in[0].shape);
  return {};
}

Status infer_sequence_insert(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_sequence(c, 0));
  MNN_RETURN_IF_ERROR(expect_like(c, 1, 0));
  MNN_RETURN_IF_ERROR(expect_tensor(c, 1));
  MNN_RETURN_IF_ERROR(expect_position(c, 2));
  c.out[0].type = {Kind::kSequence, c.in[0].dtype, common_shape(c.in[0].shape, c.in[1].shape)};
  return {};
}

Status infer_sequence_erase(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_sequence(c, 0));
  MNN_RETURN_IF_ERROR(expect_position(c, 1));
  c.out[0].type = c.in[0];
  return {};
}

Status infer_sequence_length(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_sequence(c, 0));
  set_output(c, 0, DType::kI64, Shape{});
  return {};
}

Status infer_split_to_sequence(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_tensor(c, 0));
  if (c.has_input(1)) {
    MNN_RETURN_IF_ERROR(expect_input(c, 1, mask_of(DType::kI32, DType::kI64)));
    if (c.rank_known(1) && c.in[1].rank() > 1) {
      return invalid("input 1: expected a scalar or a list, found " + c.in[1].str());
    }
  }
  c.out[0].type = {Kind::kSequence, c.in[0].dtype, std::nullopt};
  if (!c.rank_known(0)) return {};
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", c.in[0].rank()));
  Shape shape = *c.in[0].shape;
  if (c.has_input(1)) {
    shape[axis] = Dim::unknown();
  } else if (c.attr_int("keepdims") != 0) {
    shape[axis] = 1;
  } else {
    shape.erase(shape.begin() + static_cast<ptrdiff_t>(axis));
  }
  c.out[0].type.shape = std::move(shape);
  return {};
}

Status infer_concat_from_sequence(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_sequence(c, 0));
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  if (!c.in[0].shape) return {};
  const bool stacks = c.attr_int("new_axis") != 0;
  Shape shape = *c.in[0].shape;
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", shape.size() + (stacks ? 1 : 0)));
  if (stacks) shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis), Dim());
  shape[axis] = Dim::unknown();
  c.out[0].type.shape = std::move(shape);
  return {};
}

Result<Type> optional_of(Type type) {
  if (type.kind != Kind::kTensor && type.kind != Kind::kSequence) {
    return invalid("expected a tensor or a sequence, found " + type.str());
  }
  type.kind = type.kind == Kind::kTensor ? Kind::kOptionalTensor : Kind::kOptionalSequence;
  return type;
}

Status infer_optional(OpContext& c) {
  Type element = c.has_input(0) ? c.in[0] : Type{};
  if (!c.has_input(0)) {
    if (!c.has("type")) return invalid("expected an input or the attribute type, found none");
    MNN_ASSIGN_OR_RETURN(element, parse_type(c.attr_string("type")));
  }
  MNN_ASSIGN_OR_RETURN(c.out[0].type, optional_of(std::move(element)));
  return {};
}

Status infer_get_element(OpContext& c) {
  if (!c.has_input(0)) return invalid("input 0: expected any value, found none");
  Type& type = c.out[0].type = c.in[0];
  if (type.kind == Kind::kOptionalTensor) type.kind = Kind::kTensor;
  if (type.kind == Kind::kOptionalSequence) type.kind = Kind::kSequence;
  return {};
}

Status infer_has_element(OpContext& c) {
  set_output(c, 0, DType::kBool, Shape{});
  return {};
}

// ---- Kernels ----

// The place that input i gives among `places`, made non-negative by `count`; `otherwise` without
// the input.
Result<size_t> position(const KernelContext& c, size_t i, size_t count, size_t places,
                        size_t otherwise) {
  if (!c.has_input(i)) return otherwise;
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> given, read_ints(c, i, "position"));
  const auto n = static_cast<int64_t>(count), end = static_cast<int64_t>(places);
  if (given[0] < -n || given[0] >= end) {
    return invalid("position " + std::to_string(given[0]) + " is not in [" + std::to_string(-n) +
                   ", " + std::to_string(end) + ")");
  }
  return static_cast<size_t>(given[0] < 0 ? given[0] + n : given[0]);
}

Status sequence_empty(KernelContext& c) {
  c.out[0] = Tensor::sequence(static_cast<DType>(c.attr_int("dtype")), {});
  return {};
}

Status sequence_construct(KernelContext& c) {
  std::vector<Tensor> items;
  for (const Tensor* t : c.in) items.push_back(*t);
  c.out[0] = Tensor::sequence(c.in[0]->dtype(), std::move(items));
  return {};
}

Status sequence_at(KernelContext& c) {
  const std::vector<Tensor>& items = c.in[0]->items();
  MNN_ASSIGN_OR_RETURN(const size_t at, position(c, 1, items.size(), items.size(), 0));
  c.out[0] = items[at];
  return {};
}

Status sequence_insert(KernelContext& c) {
  std::vector<Tensor> items = c.in[0]->items();
  // An element may also go behind the last.
  MNN_ASSIGN_OR_RETURN(const size_t at,
                       position(c, 2, items.size(), items.size() + 1, items.size()));
  items.insert(items.begin() + static_cast<ptrdiff_t>(at), *c.in[1]);
  c.out[0] = Tensor::sequence(c.in[0]->dtype(), std::move(items));
  return {};
}

Status sequence_erase(KernelContext& c) {
  std::vector<Tensor> items = c.in[0]->items();
  if (items.empty()) return invalid("the sequence is empty");
  MNN_ASSIGN_OR_RETURN(const size_t at,
                       position(c, 1, items.size(), items.size(), items.size() - 1));
  items.erase(items.begin() + static_cast<ptrdiff_t>(at));
  c.out[0] = Tensor::sequence(c.in[0]->dtype(), std::move(items));
  return {};
}

Status sequence_length(KernelContext& c) {
  c.out[0] = Tensor::scalar(static_cast<int64_t>(c.in[0]->items().size()));
  return {};
}

// The lengths of the parts of an axis: as listed, or all as the one number says but the last.
Result<std::vector<int64_t>> part_lengths(const KernelContext& c, int64_t length) {
  int64_t part = 1;
  if (c.has_input(1)) {
    MNN_ASSIGN_OR_RETURN(std::vector<int64_t> given, read_ints(c, 1, "split"));
    if (c.in[1]->rank() == 1) return given;
    part = given[0];
  }
  if (part < 1) return invalid("split: expected a positive number, found " + std::to_string(part));
  if (length / part > kMaxParts) return limit_exceeded("more than 2^24 parts");
  std::vector<int64_t> parts(static_cast<size_t>(length / part), part);
  if (length % part != 0) parts.push_back(length % part);
  return parts;
}

Status split_to_sequence(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", x.rank()));
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> parts, part_lengths(c, x.dims()[axis]));
  std::vector<Tensor> items;
  if (!parts.empty()) {
    Node split;
    split.op = "Split";
    split.inputs = {0, 1};
    split.attributes["axis"] = static_cast<int64_t>(axis);
    for (size_t i = 0; i < parts.size(); ++i) split.outputs.push_back(static_cast<ValueId>(i + 2));
    const Tensor lengths = Tensor::ints(parts);
    const Tensor* inputs[] = {&x, &lengths};
    MNN_ASSIGN_OR_RETURN(items, run_node(split, inputs));
  }
  if (!c.has_input(1) && c.attr_int("keepdims") == 0) {
    std::vector<int64_t> dims = x.dims();
    dims.erase(dims.begin() + static_cast<ptrdiff_t>(axis));
    for (Tensor& item : items) item = item.reshaped(dims);
  }
  c.out[0] = Tensor::sequence(x.dtype(), std::move(items));
  return {};
}

Status concat_from_sequence(KernelContext& c) {
  std::vector<Tensor> items = c.in[0]->items();
  if (items.empty()) return invalid("the sequence is empty");
  const bool stacks = c.attr_int("new_axis") != 0;
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", items[0].rank() + (stacks ? 1 : 0)));
  Node concat;
  concat.op = "Concat";
  concat.attributes["axis"] = static_cast<int64_t>(axis);
  std::vector<const Tensor*> inputs;
  const std::vector<int64_t> first = items[0].dims();
  for (Tensor& item : items) {
    if (stacks) {
      std::vector<int64_t> dims = item.dims();
      if (dims != first) {
        return invalid("cannot stack tensors of dims " + shape_str(to_shape(first)) + " and " +
                       shape_str(to_shape(dims)));
      }
      dims.insert(dims.begin() + static_cast<ptrdiff_t>(axis), 1);
      item = item.reshaped(std::move(dims));
    }
    concat.inputs.push_back(static_cast<ValueId>(inputs.size()));
    inputs.push_back(&item);
  }
  concat.outputs = {static_cast<ValueId>(inputs.size())};
  MNN_ASSIGN_OR_RETURN(std::vector<Tensor> made, run_node(concat, inputs));
  c.out[0] = std::move(made[0]);
  return {};
}

Status optional(KernelContext& c) {
  c.out[0] = c.has_input(0) ? *c.in[0] : Tensor::nothing(c.types[0].dtype);
  return {};
}

Status get_element(KernelContext& c) {
  if (c.in[0]->form() == Tensor::Form::kNothing) return invalid("the optional is empty");
  c.out[0] = *c.in[0];
  return {};
}

Status has_element(KernelContext& c) {
  c.out[0] = Tensor::scalar(c.has_input(0) && c.in[0]->form() != Tensor::Form::kNothing);
  return {};
}

}  // namespace

std::vector<OpDef> define_sequence() {
  const std::vector<AttrDef> split = {{"axis", int64_t{0}}, {"keepdims", int64_t{1}}};
  const std::vector<AttrDef> concat = {{"axis", int64_t{0}, true}, {"new_axis", int64_t{0}}};
  const AttrDef dtype{"dtype", int64_t{1}}, type{"type", std::string()};
  return {
      {"SequenceEmpty", 0, 0, {}, {dtype}, infer_sequence_empty, sequence_empty},
      {"SequenceConstruct", 1, kVariadic, {}, {}, infer_sequence_construct, sequence_construct},
      {"SequenceAt", 2, 2, kContainers, {}, infer_sequence_at, sequence_at},
      {"SequenceInsert", 2, 3, kContainers, {}, infer_sequence_insert, sequence_insert},
      {"SequenceErase", 1, 2, kContainers, {}, infer_sequence_erase, sequence_erase},
      {"SequenceLength", 1, 1, kContainers, {}, infer_sequence_length, sequence_length},
      {"SplitToSequence", 1, 2, shape_inputs(1), split, infer_split_to_sequence, split_to_sequence},
      {"ConcatFromSequence", 1, 1, kContainers, concat, infer_concat_from_sequence,
       concat_from_sequence},
      {"Optional", 0, 1, kContainers, {type}, infer_optional, optional},
      {"OptionalGetElement", 1, 1, kContainers, {}, infer_get_element, get_element},
      {"OptionalHasElement", 0, 1, kContainers, {}, infer_has_element, has_element},
  };
}

}  // namespace mnn
