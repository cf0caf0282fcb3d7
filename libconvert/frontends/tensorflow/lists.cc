// Lists and arrays of tensors: a tensor with one more axis in front.
#include "libconvert/frontends/tensorflow/import_state.h"

namespace mnn::tensorflow {

using frontend::Scope;

namespace {

// What a list's type says once an element of type `type` is in it: dims that differ stay open.
Shape joined(const Shape& a, const Shape& b) {
  Shape out = a;
  for (size_t d = 0; d < a.size(); ++d) {
    if (!a[d].same(b[d])) out[d] = a[d].is_unknown() ? b[d] : Dim::unknown();
  }
  return out;
}

bool is_static(const Shape& shape) {
  for (const Dim& d : shape) {
    if (!d.known()) return false;
  }
  return true;
}

}  // namespace

Status Importer::learn_element(Item& list, const Type& type) {
  if (!type.shape) return {};
  ListFacts& facts = *list.list;
  if (facts.dtype == DType::kUndefined) facts.dtype = type.dtype;
  if (!facts.element) {
    facts.element = *type.shape;
    return {};
  }
  if (facts.element->size() != type.rank()) {
    return unsupported("elements of different rank in one list are not supported");
  }
  facts.element = joined(*facts.element, *type.shape);
  return {};
}

Status Importer::materialize(Item& list, const std::string& name) {
  if (list.value != kNoValue) return {};
  const ListFacts& facts = *list.list;
  if (!facts.element) return unsupported("the rank of the elements of a list is not known");
  frontend::NodeBuilder b(*list.home, budget_);
  b.name = name;
  // Where sizes are open the list starts without room; it gets it with the first element.
  std::vector<int64_t> dims;
  const bool full = is_static(*facts.element);
  for (const Dim& d : *facts.element) dims.push_back(full ? d.value() : 0);
  Result<Tensor> zero = Tensor::allocate(facts.dtype, {});
  if (!zero.ok()) return zero.status();
  ValueId shape = list.size;
  if (!dims.empty())
    shape = b.emit("Concat", {list.size, b.add_ints(dims)}, {{"axis", int64_t{0}}});
  list.value = b.emit("Expand", {b.add_constant(*zero), shape});
  MNN_RETURN_IF_ERROR(b.status);
  Type& type = list.home->graph.value(list.value).type;
  if (!full && type.shape) {
    // What is carried on may have any size.
    for (size_t d = 1; d < type.rank(); ++d) (*type.shape)[d] = Dim::unknown();
  }
  return {};
}

namespace {

// A list with room for elements like `item`, which it may not have yet, and with at least `least`
// [1] of them unless that is absent.
ValueId with_room(frontend::NodeBuilder& b, ValueId list, ValueId item, const ListFacts& facts,
                  ValueId least) {
  if (is_static(*facts.element) && least == kNoValue) return list;
  ValueId length = b.emit("Shape", {list}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
  if (least != kNoValue) length = b.emit("Max", {length, least});
  ValueId full = length;
  if (!facts.element->empty()) {
    full = b.emit("Concat", {length, b.emit("Shape", {item})}, {{"axis", int64_t{0}}});
  }
  const ValueId need = b.emit("ReduceProd", {full, b.add_ints({0})});
  const ValueId have = b.emit("Reshape", {b.emit("Size", {list}), b.add_ints({1})});
  const Tensor zero = *Tensor::allocate(facts.dtype, {});
  const ValueId missing = b.emit("Expand", {b.add_constant(zero), b.emit("Sub", {need, have})});
  const ValueId flat = b.emit("Reshape", {list, b.add_ints({-1})});
  return b.emit("Reshape", {b.emit("Concat", {flat, missing}, {{"axis", int64_t{0}}}), full},
                {{"allowzero", int64_t{1}}});
}

}  // namespace

Result<Items> Importer::build_list(Frame& frame, int at_node, const std::string& name) {
  const BodyNode& n = frame.body.nodes[static_cast<size_t>(at_node)];
  Scope& scope = frame.scope;
  Items in;
  for (const Edge& e : n.inputs) {
    MNN_ASSIGN_OR_RETURN(Item item, demand(frame, e));
    if (is_undefined(item)) return Items{};
    in.push_back(std::move(item));
  }
  OpNode b(scope.draft, budget_, frame.layouts, *n.def);
  b.name = name;
  const auto count = [&](size_t least) {
    return in.size() < least ? invalid("expected " + std::to_string(least) + " inputs, found " +
                                       std::to_string(in.size()))
                             : Status();
  };
  const auto operand = [&](size_t i) -> Result<ValueId> { return local(scope, in[i]); };
  // A scalar i64 of input i as 1-D.
  const auto one = [&](size_t i) -> Result<ValueId> {
    MNN_ASSIGN_OR_RETURN(const ValueId v, operand(i));
    b.set_input(i, v);
    return b.shape_operand(i);
  };
  const auto list_in = [&](size_t i) -> Result<Item> {
    if (in[i].kind != Item::Kind::kList)
      return invalid("input " + std::to_string(i) + " is no list");
    return in[i];
  };
  const auto as_list = [&](ValueId value, const std::shared_ptr<ListFacts>& facts) {
    Item item{Item::Kind::kList, value, &scope.draft, {}, facts, kNoValue};
    return item;
  };
  const auto element_of = [](const Type& stacked) -> std::optional<Shape> {
    if (!stacked.shape || stacked.rank() == 0) return std::nullopt;
    return Shape(stacked.shape->begin() + 1, stacked.shape->end());
  };
  const auto stacked_list = [&](ValueId v) {
    auto facts = std::make_shared<ListFacts>();
    facts->dtype = b.type_of(v).dtype;
    facts->element = element_of(b.type_of(v));
    return as_list(v, facts);
  };
  const auto tensors = [&](std::vector<ValueId> values) -> Result<Items> {
    MNN_RETURN_IF_ERROR(b.status);
    Items items;
    for (const ValueId v : values) {
      if (b.graph.value(v).name.empty()) b.graph.value(v).name = name;
      items.push_back(tensor(scope, v));
    }
    return items;
  };
  // A list that has a value, in this graph.
  const auto valued = [&](Item& list) -> Result<ValueId> {
    MNN_RETURN_IF_ERROR(materialize(list, name));
    return local(scope, list);
  };
  const std::string& op = n.def->op();
  const bool v1 = op.starts_with("TensorArray");

  if (op == "TensorListReserve" || op == "EmptyTensorList" || op == "TensorArrayV3") {
    const bool array = v1;
    MNN_RETURN_IF_ERROR(count(array ? 1 : 2));
    Item list;
    list.kind = Item::Kind::kList;
    list.home = &scope.draft;
    list.list = std::make_shared<ListFacts>();
    list.list->dtype = b.attr_type(array ? "dtype" : "element_dtype", DType::kF32);
    if (op == "EmptyTensorList") {
      list.size = b.add_ints({0});
    } else {
      MNN_ASSIGN_OR_RETURN(list.size, one(array ? 0 : 1));
    }
    if (array) {
      list.list->grows = b.attr_bool("dynamic_size");
      const auto shape = n.def->attr().find("element_shape");
      if (shape != n.def->attr().end() && shape->second.has_shape() &&
          !shape->second.shape().unknown_rank()) {
        Shape element;
        MNN_RETURN_IF_ERROR(
            frontend::check_rank(static_cast<size_t>(shape->second.shape().dim_size())));
        for (const auto& d : shape->second.shape().dim()) {
          element.push_back(d.size() < 0 ? Dim::unknown() : Dim(d.size()));
        }
        list.list->element = std::move(element);
      }
    } else {
      MNN_ASSIGN_OR_RETURN(const ValueId v, operand(0));
      b.set_input(0, v);
      // A scalar -1: anything.
      if (const auto dims = b.known_ints(0); dims && b.rank(0) == 1u) {
        Shape element;
        MNN_RETURN_IF_ERROR(frontend::check_rank(dims->size()));
        for (const int64_t d : *dims) element.push_back(d < 0 ? Dim::unknown() : Dim(d));
        list.list->element = std::move(element);
      }
    }
    MNN_RETURN_IF_ERROR(b.status);
    return array ? Items{list, list} : Items{list};
  }
  if (op == "TensorListFromTensor") {
    MNN_RETURN_IF_ERROR(count(1));
    MNN_ASSIGN_OR_RETURN(const ValueId v, operand(0));
    return Items{stacked_list(v)};
  }
  // The list: of arrays the flow, which is their last input, but for reading their size.
  if (in.empty()) return invalid("expected a list, found no inputs");
  if (op == "TensorListScatterV2" || op == "TensorListScatter") {
    MNN_RETURN_IF_ERROR(count(2));
    MNN_ASSIGN_OR_RETURN(const ValueId v, operand(0));
    MNN_ASSIGN_OR_RETURN(const ValueId at, one(1));
    ValueId size = b.emit("Add", {b.emit("ReduceMax", {at, b.add_ints({0})}), b.add_ints({1})});
    if (in.size() > 3) {
      MNN_ASSIGN_OR_RETURN(const ValueId given, one(3));
      size = b.emit("Max", {size, given});
    }
    const ValueId rest = b.emit("Shape", {v}, {{"start", int64_t{1}}});
    const ValueId shape = b.emit("Concat", {size, rest}, {{"axis", int64_t{0}}});
    const ValueId room = b.emit("Expand", {b.zero_of(b.type_of(v).dtype), shape});
    const ValueId out = b.emit("ScatterND", {room, b.unsqueeze(at, {1}), v});
    MNN_RETURN_IF_ERROR(b.status);
    return Items{stacked_list(out)};
  }
  MNN_ASSIGN_OR_RETURN(Item list, list_in(v1 ? in.size() - 1 : 0));
  if (op == "TensorListSetItem" || op == "TensorArrayWriteV3") {
    MNN_RETURN_IF_ERROR(count(3));
    MNN_ASSIGN_OR_RETURN(const ValueId at, one(1));
    MNN_ASSIGN_OR_RETURN(const ValueId item, operand(2));
    MNN_RETURN_IF_ERROR(learn_element(list, b.type_of(item)));
    MNN_ASSIGN_OR_RETURN(const ValueId whole, valued(list));
    const bool grows = list.list->grows || b.attr_bool("resize_if_index_out_of_bounds");
    const ValueId least = grows ? b.emit("Add", {at, b.add_ints({1})}) : kNoValue;
    const ValueId room = with_room(b, whole, item, *list.list, least);
    const ValueId out = b.emit(
        "ScatterND", {room, b.emit("Reshape", {at, b.add_ints({1, 1})}), b.unsqueeze(item, {0})});
    MNN_RETURN_IF_ERROR(b.status);
    return Items{as_list(out, list.list)};
  }
  if (op == "TensorListPushBack") {
    MNN_RETURN_IF_ERROR(count(2));
    MNN_ASSIGN_OR_RETURN(const ValueId item, operand(1));
    MNN_RETURN_IF_ERROR(learn_element(list, b.type_of(item)));
    MNN_ASSIGN_OR_RETURN(const ValueId whole, valued(list));
    const ValueId room = with_room(b, whole, item, *list.list, kNoValue);
    const ValueId out = b.emit("Concat", {room, b.unsqueeze(item, {0})}, {{"axis", int64_t{0}}});
    MNN_RETURN_IF_ERROR(b.status);
    return Items{as_list(out, list.list)};
  }
  if (op == "TensorArrayScatterV3") {
    MNN_RETURN_IF_ERROR(count(4));
    MNN_ASSIGN_OR_RETURN(const ValueId at, one(1));
    MNN_ASSIGN_OR_RETURN(const ValueId v, operand(2));
    const auto element = element_of(b.type_of(v));
    if (!element) return unsupported("the rank of its values is not known");
    MNN_RETURN_IF_ERROR(learn_element(list, tensor_type(b.type_of(v).dtype, *element)));
    // Usually all of them, in order.
    if (list.value == kNoValue) {
      const ValueId rest = b.emit("Shape", {v}, {{"start", int64_t{1}}});
      MNN_ASSIGN_OR_RETURN(const ValueId size, local(scope, tensor(scope, list.size)));
      const ValueId shape = b.emit("Concat", {size, rest}, {{"axis", int64_t{0}}});
      list.value = b.emit("Expand", {b.zero_of(list.list->dtype), shape});
      list.home = &scope.draft;
    }
    MNN_ASSIGN_OR_RETURN(const ValueId whole, valued(list));
    const ValueId out = b.emit("ScatterND", {whole, b.unsqueeze(at, {1}), v});
    MNN_RETURN_IF_ERROR(b.status);
    return Items{as_list(out, list.list)};
  }
  if (op == "TensorListLength" || op == "TensorArraySizeV3") {
    ValueId size = list.size;
    if (list.value != kNoValue) {
      MNN_ASSIGN_OR_RETURN(const ValueId whole, valued(list));
      size = b.emit("Shape", {whole}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
    } else {
      MNN_ASSIGN_OR_RETURN(
          size, local(scope, {Item::Kind::kTensor, list.size, list.home, {}, nullptr, kNoValue}));
    }
    return tensors({b.cast(b.emit("Reshape", {size, b.add_ints({})}), DType::kI32)});
  }
  if (op == "TensorListElementShape") {
    MNN_ASSIGN_OR_RETURN(const ValueId whole, valued(list));
    const ValueId shape = b.emit("Shape", {whole}, {{"start", int64_t{1}}});
    return tensors({b.cast(shape, b.attr_type("shape_type", DType::kI32))});
  }
  // What is left reads elements.
  if (list.value == kNoValue && (op == "TensorListStack" || op == "TensorListGetItem") &&
      !list.list->element && in.size() > 1) {
    const size_t shape_input = op == "TensorListStack" ? 1 : 2;
    if (shape_input < in.size()) {
      MNN_ASSIGN_OR_RETURN(const ValueId v, operand(shape_input));
      b.set_input(shape_input, v);
      if (const auto dims = b.known_ints(shape_input); dims && b.rank(shape_input) == 1u) {
        Shape element;
        for (const int64_t d : *dims) element.push_back(d < 0 ? Dim::unknown() : Dim(d));
        list.list->element = std::move(element);
      }
    }
  }
  MNN_ASSIGN_OR_RETURN(const ValueId whole, valued(list));
  if (op == "TensorListStack") return tensors({b.emit("Identity", {whole})});
  if (op == "TensorListGetItem" || op == "TensorArrayReadV3" || op == "TensorListGather" ||
      op == "TensorArrayGatherV3") {
    MNN_RETURN_IF_ERROR(count(2));
    MNN_ASSIGN_OR_RETURN(const ValueId at, operand(1));
    return tensors({b.emit("Gather", {whole, at})});
  }
  if (op == "TensorListPopBack") {
    const ValueId last = b.emit("Gather", {whole, b.scalar_i64(-1)});
    const ValueId rest =
        b.emit("Slice", {whole, b.add_ints({0}), b.add_ints({-1}), b.add_ints({0})});
    MNN_RETURN_IF_ERROR(b.status);
    return Items{as_list(rest, list.list), tensor(scope, last)};
  }
  if (op == "TensorListConcatV2" || op == "TensorListConcat" || op == "TensorArrayConcatV3") {
    const ValueId rest = b.emit("Shape", {whole}, {{"start", int64_t{2}}});
    const ValueId shape = b.emit("Concat", {b.add_ints({-1}), rest}, {{"axis", int64_t{0}}});
    const ValueId all = b.emit("Reshape", {whole, shape});
    const ValueId size = b.emit("Shape", {whole}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
    const ValueId each = b.emit("Shape", {whole}, {{"start", int64_t{1}}, {"end", int64_t{2}}});
    return tensors({all, b.emit("Expand", {each, size})});
  }
  return not_supported(op);
}

}  // namespace mnn::tensorflow
