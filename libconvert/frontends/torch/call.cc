#include "libconvert/frontends/torch/call.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace mnn::torch {
namespace {

// The type of a number of a kind where no tensor has one.
DType usual_type(TypeKind kind) {
  switch (kind) {
    case TypeKind::kBool: return DType::kBool;
    case TypeKind::kInteger: return DType::kI64;
    case TypeKind::kFloat: return DType::kF32;
  }
  return DType::kUndefined;
}

// The narrower types of one kind give way: PyTorch's lattice.
DType joined(DType a, DType b) {
  if (a == b || b == DType::kUndefined) return a;
  if (a == DType::kUndefined) return b;
  if (kind_of(a) != kind_of(b)) return kind_of(a) > kind_of(b) ? a : b;
  if (kind_of(a) == TypeKind::kFloat) {
    const bool halves = dtype_bits(a) == 16 && dtype_bits(b) == 16;
    return halves ? DType::kF32 : dtype_bits(a) >= dtype_bits(b) ? a : b;
  }
  const bool signed_a = is_signed_integer(a), signed_b = is_signed_integer(b);
  if (signed_a == signed_b) return dtype_bits(a) >= dtype_bits(b) ? a : b;
  const DType with = signed_a ? a : b, without = signed_a ? b : a;
  if (dtype_bits(with) > dtype_bits(without)) return with;
  switch (dtype_bits(without)) {
    case 8: return DType::kI16;
    case 16: return DType::kI32;
    default: return DType::kI64;
  }
}

}  // namespace

TypeKind kind_of(DType dtype) {
  if (dtype == DType::kBool) return TypeKind::kBool;
  return is_float(dtype) ? TypeKind::kFloat : TypeKind::kInteger;
}

bool Call::has_param(std::string_view name) const {
  return std::ranges::find(call.row->schema.params, name, &Param::name) !=
         call.row->schema.params.end();
}

const Arg& Call::arg(std::string_view name) const {
  static const Arg kNone;
  const auto& params = call.row->schema.params;
  const auto p = std::ranges::find(params, name, &Param::name);
  assert(p != params.end());
  return p == params.end() ? kNone : call.values[static_cast<size_t>(p - params.begin())];
}

ValueId Call::tensor_of(const Arg& a, std::string_view name) {
  if (a.is_none()) return kNoValue;
  if (const TensorArg* t = a.get<TensorArg>()) {
    if (t->complex) refuse("argument '" + std::string(name) + "' is complex");
    return t->id;
  }
  if (const IntArg* n = a.get<IntArg>()) return value_of(*n);
  if (const FloatArg* n = a.get<FloatArg>()) return value_of(*n);
  if (const BoolArg* n = a.get<BoolArg>()) {
    return n->known() ? add_constant(Tensor::scalar(n->value)) : n->id;
  }
  fail(invalid("argument '" + std::string(name) + "' is no tensor"));
  return kNoValue;
}

ValueId Call::tensor(std::string_view name) { return tensor_of(arg(name), name); }

std::vector<ValueId> Call::tensors(std::string_view name) {
  std::vector<ValueId> ids;
  if (const ListArg* list = arg(name).get<ListArg>()) {
    for (const Arg& item : *list) ids.push_back(tensor_of(item, name));
  }
  return ids;
}

IntArg Call::int_arg(std::string_view name) {
  const Arg& a = arg(name);
  if (const IntArg* n = a.get<IntArg>()) return n->known() ? *n : int_of(n->id);
  if (const BoolArg* n = a.get<BoolArg>(); n != nullptr && n->known()) return IntArg{n->value};
  if (const FloatArg* n = a.get<FloatArg>(); n != nullptr && n->known()) {
    return IntArg{static_cast<int64_t>(n->value)};
  }
  if (const TensorArg* t = a.get<TensorArg>()) return int_of(cast(t->id, DType::kI64));
  fail(invalid("argument '" + std::string(name) + "' is no whole number"));
  return {};
}

std::vector<IntArg> Call::int_args(std::string_view name) {
  std::vector<IntArg> numbers;
  const Arg& a = arg(name);
  const ListArg* list = a.get<ListArg>();
  if (list == nullptr) {
    if (!a.is_none()) numbers.push_back(int_arg(name));
    return numbers;
  }
  for (const Arg& item : *list) {
    if (const IntArg* n = item.get<IntArg>()) {
      numbers.push_back(n->known() ? *n : int_of(n->id));
    } else if (const TensorArg* t = item.get<TensorArg>()) {
      numbers.push_back(int_of(cast(t->id, DType::kI64)));
    } else {
      fail(invalid("argument '" + std::string(name) + "' is no list of whole numbers"));
    }
  }
  return numbers;
}

int64_t Call::integer(std::string_view name) {
  const IntArg n = int_arg(name);
  if (!n.known()) refuse("argument '" + std::string(name) + "' is known at run time only");
  return n.value;
}

std::vector<int64_t> Call::ints(std::string_view name) {
  std::vector<int64_t> values;
  for (const IntArg& n : int_args(name)) {
    if (!n.known()) refuse("argument '" + std::string(name) + "' is known at run time only");
    values.push_back(n.value);
  }
  return values;
}

double Call::real(std::string_view name) {
  const Arg& a = arg(name);
  if (const FloatArg* n = a.get<FloatArg>(); n != nullptr && n->known()) return n->value;
  if (const BoolArg* n = a.get<BoolArg>(); n != nullptr && n->known()) return n->value ? 1 : 0;
  if (const IntArg* n = a.get<IntArg>()) {
    const IntArg known = n->known() ? *n : int_of(n->id);
    if (known.known()) return static_cast<double>(known.value);
  }
  if (const TensorArg* t = a.get<TensorArg>()) {
    const Tensor* constant = graph.constant(t->id);
    if (constant != nullptr && constant->elements() == 1) {
      Result<std::vector<double>> values = constant->to_doubles();
      if (values.ok()) return (*values)[0];
    }
  }
  refuse("argument '" + std::string(name) + "' is known at run time only");
  return 0;
}

bool Call::flag(std::string_view name) {
  const Arg& a = arg(name);
  if (a.is_none()) return false;
  return real(name) != 0;
}

std::string Call::text(std::string_view name) {
  const std::string* s = arg(name).get<std::string>();
  return s == nullptr ? std::string() : *s;
}

DType Call::dtype(std::string_view name, DType fallback) {
  const DType* d = arg(name).get<DType>();
  if (d == nullptr) return fallback;
  if (*d == DType::kUndefined || *d == DType::kC64 || *d == DType::kC128) {
    refuse("argument '" + std::string(name) + "': the element type is not supported");
    return DType::kF32;
  }
  return *d;
}

size_t Call::rank(ValueId id) {
  const Type& type = type_of(id);
  if (!type.shape) {
    refuse("it needs a tensor whose rank is known; give the inputs' shapes with --shape");
    return 0;
  }
  return type.rank();
}

Dim Call::dim(ValueId id, size_t axis) const {
  const Type& type = type_of(id);
  return type.shape && axis < type.rank() ? (*type.shape)[axis] : Dim::unknown();
}

int64_t Call::known_dim(ValueId id, size_t axis) {
  const Dim d = dim(id, axis);
  if (d.known()) return d.value();
  refuse("dim " + std::to_string(axis) + " must be known; give the inputs' shapes with --shape");
  return 1;
}

int64_t Call::normalized(int64_t axis, size_t rank) {
  if (rank == 0 && (axis == 0 || axis == -1)) return 0;
  Result<size_t> place = normalize_axis(axis, rank);
  if (!place.ok()) {
    fail(place.status());
    return 0;
  }
  return static_cast<int64_t>(*place);
}

int64_t Call::axis(std::string_view name, size_t rank) { return normalized(integer(name), rank); }

std::vector<int64_t> Call::axes(std::string_view name, size_t rank) {
  std::vector<int64_t> list = ints(name);
  for (int64_t& a : list) a = normalized(a, rank);
  std::ranges::sort(list);
  if (std::ranges::adjacent_find(list) != list.end()) {
    fail(invalid("argument '" + std::string(name) + "' names a dim twice"));
  }
  return list;
}

IntArg Call::int_of(ValueId id) {
  if (id == kNoValue) return {};
  if (const Tensor* constant = graph.constant(id)) {
    Result<std::vector<int64_t>> values = constant->to_ints();
    if (values.ok() && values->size() == 1) return IntArg{(*values)[0]};
  }
  const ShapeValues* known = draft.types.known(id);
  if (known != nullptr && known->size() == 1 && (*known)[0].known()) {
    return IntArg{(*known)[0].value()};
  }
  return IntArg{0, id};
}

IntArg Call::size(ValueId id, size_t axis) {
  const Dim d = dim(id, axis);
  if (d.known()) return IntArg{d.value()};
  const ValueId shape = emit("Shape", {id});
  return int_of(gather(shape, add_constant(Tensor::scalar(static_cast<int64_t>(axis))), 0));
}

std::vector<IntArg> Call::sizes(ValueId id) {
  std::vector<IntArg> numbers;
  const size_t n = rank(id);
  for (size_t i = 0; i < n; ++i) numbers.push_back(size(id, i));
  return numbers;
}

ValueId Call::value_of(const IntArg& n) {
  return n.known() ? add_constant(Tensor::scalar(n.value)) : n.id;
}

ValueId Call::value_of(const FloatArg& n) {
  return n.known() ? add_constant(Tensor::scalar(static_cast<float>(n.value))) : n.id;
}

ValueId Call::list_of(const std::vector<IntArg>& numbers) {
  std::vector<ValueId> parts;
  std::vector<int64_t> run;
  const auto end_run = [&] {
    if (!run.empty()) parts.push_back(add_ints(run));
    run.clear();
  };
  for (const IntArg& n : numbers) {
    if (n.known()) {
      run.push_back(n.value);
      continue;
    }
    end_run();
    parts.push_back(emit("Unsqueeze", {n.id, add_ints({0})}));
  }
  if (parts.empty()) return add_ints(run);
  end_run();
  return concat(parts, 0);
}

DType Call::promoted(const std::vector<std::string_view>& names) const {
  DType of_tensors = DType::kUndefined, of_scalars = DType::kUndefined,
        of_numbers = DType::kUndefined;
  for (const std::string_view name : names) {
    const Arg& a = arg(name);
    if (const TensorArg* t = a.get<TensorArg>()) {
      const Type& type = type_of(t->id);
      const size_t inner = t->complex ? 1 : 0;
      DType& into = type.shape && type.rank() == inner ? of_scalars : of_tensors;
      into = joined(into, type.dtype);
    } else if (a.get<IntArg>() != nullptr) {
      of_numbers = joined(of_numbers, DType::kI64);
    } else if (a.get<FloatArg>() != nullptr) {
      of_numbers = joined(of_numbers, DType::kF32);
    } else if (a.get<BoolArg>() != nullptr) {
      of_numbers = joined(of_numbers, DType::kBool);
    }
  }
  DType result = of_tensors;
  for (const DType weaker : {of_scalars, of_numbers}) {
    if (weaker == DType::kUndefined) continue;
    if (result == DType::kUndefined) {
      result = weaker;
    } else if (kind_of(weaker) > kind_of(result)) {
      result = weaker == of_numbers ? usual_type(kind_of(weaker)) : weaker;
    }
  }
  return result;
}

ValueId Call::as(std::string_view name, DType to) {
  const Arg& a = arg(name);
  const IntArg* i = a.get<IntArg>();
  const FloatArg* f = a.get<FloatArg>();
  const BoolArg* b = a.get<BoolArg>();
  const bool plain = is_float(to) || is_integer(to);
  if (plain && i != nullptr && i->known()) return number(static_cast<double>(i->value), to);
  if (plain && f != nullptr && f->known()) return number(f->value, to);
  if (plain && b != nullptr && b->known()) return number(b->value ? 1 : 0, to);
  return cast(tensor(name), to);
}

ValueId Call::transpose(ValueId x, const std::vector<int64_t>& perm) {
  if (std::ranges::is_sorted(perm)) return x;
  return emit("Transpose", {x}, {{"perm", perm}});
}

ValueId Call::swap_axes(ValueId x, int64_t a, int64_t b) {
  if (a == b) return x;
  std::vector<int64_t> perm(rank(x));
  for (size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<int64_t>(i);
  if (!status.ok()) return x;
  std::swap(perm[static_cast<size_t>(a)], perm[static_cast<size_t>(b)]);
  return transpose(x, perm);
}

ValueId Call::squeeze(ValueId x, const std::vector<int64_t>& axes) {
  return axes.empty() ? x : emit("Squeeze", {x, add_ints(axes)});
}

ValueId Call::expand_dims(ValueId x, const std::vector<int64_t>& axes) {
  return axes.empty() ? x : unsqueeze(x, axes);
}

ValueId Call::concat(const std::vector<ValueId>& parts, int64_t axis) {
  if (parts.size() == 1) return parts[0];
  return emit("Concat", parts, {{"axis", axis}});
}

ValueId Call::reduce(std::string_view op, ValueId x, const std::vector<int64_t>& axes,
                     bool keepdims) {
  return emit(op, {x, add_ints(axes)}, {{"keepdims", int64_t{keepdims}}});
}

ValueId Call::slice(ValueId x, int64_t axis, const IntArg& start, const IntArg& end, int64_t step) {
  return emit("Slice", {x, list_of({start}), list_of({end}), add_ints({axis}), add_ints({step})});
}

ValueId Call::gather(ValueId x, ValueId indices, int64_t axis) {
  return emit("Gather", {x, indices}, {{"axis", axis}});
}

ValueId Call::select(ValueId x, int64_t axis, const IntArg& index) {
  return gather(x, value_of(index), axis);
}

ValueId Call::view(ValueId x, const std::vector<IntArg>& shape) {
  // Numbers that are known at run time only: at most one is left for the node to tell; others are
  // those of the input at the same place.
  std::vector<int64_t> dims;
  size_t open = 0, kept = 0;
  bool zero = false;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i].known()) {
      dims.push_back(shape[i].value);
      open += shape[i].value == -1;
      zero |= shape[i].value == 0;
      continue;
    }
    const ShapeValues* value = draft.types.known(shape[i].id);
    if (value != nullptr && value->size() == 1 && (*value)[0].same(dim(x, i))) {
      dims.push_back(0);
      ++kept;
      continue;
    }
    dims.push_back(-1);
    ++open;
  }
  if (open <= 1 && !zero) {
    const Tensor* constant = graph.constant(x);
    if (constant != nullptr && kept == 0 && open == 0) return reshape(x, dims);
    return emit("Reshape", {x, add_ints(dims)});
  }
  return emit("Reshape", {x, list_of(shape)}, {{"allowzero", int64_t{1}}});
}

ValueId Call::filled(const std::vector<IntArg>& shape, ValueId scalar) {
  if (shape.empty()) return scalar;
  return expand(scalar, list_of(shape));
}

ValueId Call::range(const IntArg& start, const IntArg& end, const IntArg& step) {
  return emit("Range", {value_of(start), value_of(end), value_of(step)});
}

void Call::give_list(const std::vector<ValueId>& ids) {
  ListArg list;
  for (const ValueId id : ids) list.push_back(Arg::tensor(id));
  give(Arg(std::move(list)));
}

}  // namespace mnn::torch
