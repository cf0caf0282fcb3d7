// Views: the same elements in another shape or order.
#include <algorithm>
#include <limits>
#include <numeric>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

std::vector<int64_t> identity(size_t rank) {
  std::vector<int64_t> perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  return perm;
}

// What has memory of its own in PyTorch need not have it here.
void same(Call& c) {
  const Arg& a = c.arg("self");
  c.give(a);
}

void view(Call& c) {
  const std::string_view name = c.has_param("shape") ? "shape" : "size";
  const TensorArg* z = c.arg("self").get<TensorArg>();
  std::vector<IntArg> shape = c.int_args(name);
  if (z != nullptr && z->complex) {
    shape.push_back(IntArg{2});
    return c.give(c.view(z->id, shape), true);
  }
  c.give(c.view(c.tensor("self"), shape));
}
void view_as(Call& c) { c.give(c.view(c.tensor("self"), c.sizes(c.tensor("other")))); }
void view_dtype(Call& c) {
  const ValueId x = c.tensor("self");
  const DType to = c.dtype("dtype", c.dtype_of(x));
  if (to == c.dtype_of(x)) return c.give(x);
  c.give(c.emit("BitCast", {x}, {{"to", static_cast<int64_t>(to)}}));
}

// The product of sizes, with what is known multiplied out.
IntArg product(Call& c, const std::vector<IntArg>& sizes) {
  int64_t known = 1;
  ValueId open = kNoValue;
  for (const IntArg& n : sizes) {
    if (n.known()) {
      known *= n.value;
    } else {
      open = open == kNoValue ? n.id : c.binary("Mul", open, n.id);
    }
  }
  if (open == kNoValue) return IntArg{known};
  if (known == 1) return IntArg{0, open};
  return c.int_of(c.binary("Mul", open, c.add_constant(Tensor::scalar(known))));
}

void flatten(Call& c) {
  const ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  if (rank == 0) return c.give(c.reshape(x, {1}));
  const int64_t first = c.axis("start_dim", rank), last = c.axis("end_dim", rank);
  if (!c.status.ok()) return;
  if (first > last) return c.fail(invalid("start_dim comes after end_dim"));
  if (first == last) return c.give(x);
  const std::vector<IntArg> sizes = c.sizes(x);
  const auto at = [&](int64_t i) { return sizes.begin() + i; };
  std::vector<IntArg> shape(at(0), at(first));
  shape.push_back(product(c, {at(first), at(last + 1)}));
  shape.insert(shape.end(), at(last + 1), sizes.end());
  c.give(c.view(x, shape));
}

void unflatten(Call& c) {
  const ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  const int64_t axis = c.axis("dim", rank);
  std::vector<IntArg> shape = c.sizes(x);
  const std::vector<IntArg> parts = c.int_args("sizes");
  if (!c.status.ok() || shape.empty()) return;
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, parts.begin(), parts.end());
  c.give(c.view(x, shape));
}

void ravel(Call& c) { c.give(c.reshape(c.tensor("self"), {-1})); }

// -1 keeps a dim.
void expand(Call& c) {
  const ValueId x = c.tensor("self");
  std::vector<IntArg> shape = c.int_args("size");
  for (IntArg& n : shape) {
    if (n.known() && n.value == -1) n = IntArg{1};
  }
  c.give(c.expand(x, c.list_of(shape)));
}
void expand_as(Call& c) { c.give(c.expand(c.tensor("self"), c.shape_of(c.tensor("other")))); }

// The common shape of what broadcasts, as values of shape [rank].
void broadcast_tensors(Call& c) {
  const std::vector<ValueId> list = c.tensors("tensors");
  std::vector<ValueId> results;
  for (const ValueId x : list) {
    ValueId y = x;
    for (const ValueId other : list) {
      if (other != x) y = c.expand(y, c.shape_of(other));
    }
    results.push_back(y);
  }
  c.give_list(results);
}

void permute(Call& c) {
  const TensorArg* z = c.arg("self").get<TensorArg>();
  const bool complex = z != nullptr && z->complex;
  const ValueId x = complex ? z->id : c.tensor("self");
  const size_t rank = c.rank(x) - (complex ? 1 : 0);
  std::vector<int64_t> perm = c.ints("dims");
  for (int64_t& p : perm) p = c.normalized(p, rank);
  if (complex) perm.push_back(static_cast<int64_t>(rank));
  c.give(c.transpose(x, perm), complex);
}

void transpose(Call& c) {
  const TensorArg* z = c.arg("self").get<TensorArg>();
  const bool complex = z != nullptr && z->complex;
  const ValueId x = complex ? z->id : c.tensor("self");
  const size_t rank = c.rank(x) - (complex ? 1 : 0);
  c.give(c.swap_axes(x, c.axis("dim0", rank), c.axis("dim1", rank)), complex);
}

void transpose_2d(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(c.rank(x) < 2 ? x : c.transpose(x, {1, 0}));
}
void reverse_dims(Call& c) {
  const ValueId x = c.tensor("self");
  std::vector<int64_t> perm = identity(c.rank(x));
  std::ranges::reverse(perm);
  c.give(c.transpose(x, perm));
}
void matrix_transpose(Call& c) {
  const ValueId x = c.tensor("self");
  const auto rank = static_cast<int64_t>(c.rank(x));
  if (rank < 2) return c.fail(invalid("expected two dims or more"));
  c.give(c.swap_axes(x, rank - 2, rank - 1));
}

void movedim(Call& c) {
  const ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  std::vector<int64_t> from = c.ints("source"), to = c.ints("destination");
  if (from.size() != to.size() || from.size() > rank) {
    return c.fail(invalid("source and destination do not match"));
  }
  std::vector<int64_t> perm(rank, -1), left = identity(rank);
  for (size_t i = 0; i < from.size(); ++i) {
    from[i] = c.normalized(from[i], rank);
    perm[static_cast<size_t>(c.normalized(to[i], rank))] = from[i];
    std::erase(left, from[i]);
  }
  size_t next = 0;
  for (int64_t& p : perm) {
    if (p >= 0) continue;
    if (next == left.size()) return c.fail(invalid("source or destination names a dim twice"));
    p = left[next++];
  }
  c.give(c.transpose(x, perm));
}

// Only dims of size 1 go.
void squeeze(Call& c) {
  const ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  std::vector<int64_t> axes = c.has_param("dim") ? c.axes("dim", rank) : identity(rank);
  if (rank == 0) axes.clear();
  std::erase_if(axes, [&](int64_t a) { return !c.dim(x, static_cast<size_t>(a)).is(1); });
  c.give(c.squeeze(x, axes));
}

void unsqueeze(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(c.expand_dims(x, {c.axis("dim", c.rank(x) + 1)}));
}

void select(Call& c) {
  const ValueId x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  c.give(c.select(x, axis, c.int_arg("index")));
}

void slice(Call& c) {
  const TensorArg* z = c.arg("self").get<TensorArg>();
  const bool complex = z != nullptr && z->complex;
  const ValueId x = complex ? z->id : c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x) - (complex ? 1 : 0));
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  const IntArg start = c.none("start") ? IntArg{0} : c.int_arg("start");
  const IntArg end = c.none("end") ? IntArg{kEnd} : c.int_arg("end");
  const int64_t step = c.integer("step");
  if (step < 1) return c.fail(invalid("a slice's step must be positive"));
  const Dim d = c.dim(x, static_cast<size_t>(axis));
  const bool to_end = end.known() && (end.value == kEnd || (d.known() && end.value >= d.value()));
  if (start == IntArg{0} && to_end && step == 1) return c.give(x, complex);
  c.give(c.slice(x, axis, start, end, step), complex);
}

void narrow(Call& c) {
  const ValueId x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  const IntArg start = c.int_arg("start"), length = c.int_arg("length");
  const IntArg end = start.known() && length.known()
                         ? IntArg{start.value + length.value}
                         : c.int_of(c.binary("Add", c.value_of(start), c.value_of(length)));
  c.give(c.slice(x, axis, start, end));
}

// Pieces of the given sizes, one after the other.
void split_sizes(Call& c, ValueId x, int64_t axis, const std::vector<IntArg>& sizes) {
  if (sizes.size() == 1) return c.give_list({x});
  if (sizes.empty()) return c.fail(invalid("no sizes to split into"));
  c.give_list(c.emit_n("Split", {x, c.list_of(sizes)}, sizes.size(), {{"axis", axis}}));
}

void split_with_sizes(Call& c) {
  const ValueId x = c.tensor("self");
  const std::string_view name = c.has_param("split_sizes") ? "split_sizes" : "split_size";
  split_sizes(c, x, c.axis("dim", c.rank(x)), c.int_args(name));
}

// More pieces than this are no model's.
constexpr int64_t kMostPieces = 1 << 16;

void split_equal(Call& c, ValueId x, int64_t axis, int64_t size) {
  const int64_t n = c.known_dim(x, static_cast<size_t>(axis));
  if (size <= 0 || n / size > kMostPieces) return c.fail(invalid("bad size of the pieces"));
  std::vector<IntArg> sizes;
  for (int64_t at = 0; at < n; at += size) sizes.push_back(IntArg{std::min(size, n - at)});
  split_sizes(c, x, axis, sizes);
}

void split(Call& c) {
  const ValueId x = c.tensor("self");
  split_equal(c, x, c.axis("dim", c.rank(x)), c.integer("split_size"));
}

void chunk(Call& c) {
  const ValueId x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x)), chunks = c.integer("chunks");
  if (chunks < 1) return c.fail(invalid("expected one chunk or more"));
  const int64_t n = c.known_dim(x, static_cast<size_t>(axis));
  split_equal(c, x, axis, std::max<int64_t>(1, (n + chunks - 1) / chunks));
}

void tensor_split(Call& c) {
  const ValueId x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  const int64_t n = c.known_dim(x, static_cast<size_t>(axis));
  std::vector<IntArg> sizes;
  if (c.has_param("sections")) {
    const int64_t parts = c.integer("sections");
    if (parts < 1 || parts > kMostPieces) return c.fail(invalid("bad number of sections"));
    for (int64_t i = 0; i < parts; ++i) sizes.push_back(IntArg{n / parts + (i < n % parts)});
  } else {
    int64_t at = 0;
    for (int64_t end : c.ints("indices")) {
      end = std::clamp<int64_t>(end < 0 ? end + n : end, at, n);
      sizes.push_back(IntArg{end - at});
      at = end;
    }
    sizes.push_back(IntArg{n - at});
  }
  split_sizes(c, x, axis, sizes);
}

void unbind(Call& c) {
  const ValueId x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x));
  const int64_t n = c.known_dim(x, static_cast<size_t>(axis));
  if (n > kMostPieces) return c.refuse("more than 65536 pieces");
  if (n == 1) return c.give_list({c.squeeze(x, {axis})});
  std::vector<ValueId> parts =
      n == 0 ? std::vector<ValueId>()
             : c.emit_n("Split", {x}, static_cast<size_t>(n), {{"axis", axis}, {"num_outputs", n}});
  for (ValueId& p : parts) p = c.squeeze(p, {axis});
  c.give_list(parts);
}

// dim1 and dim2 become one last dim that walks both.
void diagonal(Call& c) {
  const ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  const int64_t a = c.axis("dim1", rank), b = c.axis("dim2", rank), offset = c.integer("offset");
  if (rank < 2 || a == b) return c.fail(invalid("expected two different dims"));
  const int64_t rows = c.known_dim(x, static_cast<size_t>(a)),
                columns = c.known_dim(x, static_cast<size_t>(b));
  const int64_t row = std::max<int64_t>(0, -offset), column = std::max<int64_t>(0, offset);
  const int64_t n = std::max<int64_t>(0, std::min(rows - row, columns - column));
  std::vector<int64_t> perm = identity(rank);
  std::erase_if(perm, [&](int64_t p) { return p == a || p == b; });
  perm.push_back(a);
  perm.push_back(b);
  std::vector<int64_t> places;
  if (!c.status.ok()) return;
  if (n > std::numeric_limits<int32_t>::max()) return c.refuse("too long a diagonal");
  for (int64_t i = 0; i < n; ++i) places.push_back((row + i) * columns + column + i);
  std::vector<IntArg> shape;
  const ValueId y = c.transpose(x, perm);
  for (size_t i = 0; i + 2 < rank; ++i) shape.push_back(c.size(y, i));
  shape.push_back(IntArg{rows * columns});
  c.give(c.gather(c.view(y, shape), c.add_ints(places), static_cast<int64_t>(rank) - 2));
}

// Sliding windows along a dim, their elements in a new last dim.
void unfold(Call& c) {
  const ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  const int64_t axis = c.axis("dimension", rank);
  const int64_t n = c.known_dim(x, static_cast<size_t>(axis)), size = c.integer("size"),
                step = c.integer("step");
  if (size < 0 || size > n || step < 1) return c.fail(invalid("bad size or step"));
  const int64_t windows = (n - size) / step + 1;
  constexpr int64_t kMost = int64_t{1} << 26;
  if (size > 0 && windows > kMost / size) return c.refuse("too many windows");
  std::vector<int64_t> places;
  for (int64_t w = 0; w < windows; ++w) {
    for (int64_t i = 0; i < size; ++i) places.push_back(w * step + i);
  }
  const ValueId table = c.add_constant(Tensor::ints(places).reshaped({windows, size}));
  const ValueId y = c.gather(x, table, axis);
  std::vector<int64_t> perm = identity(rank + 1);
  std::erase(perm, axis + 1);
  perm.push_back(axis + 1);
  c.give(c.transpose(y, perm));
}

// Elements by strides: a gather from the flat tensor.
void as_strided(Call& c) {
  const ValueId x = c.tensor("self");
  const std::vector<int64_t> size = c.ints("size"), stride = c.ints("stride");
  const int64_t offset = c.none("storage_offset") ? 0 : c.integer("storage_offset");
  if (!c.status.ok()) return;
  const std::optional<int64_t> count = checked_elements(size);
  if (size.size() != stride.size() || !count) return c.fail(invalid("bad size or stride"));
  const Type& type = c.type_of(x);
  if (!type.is_static()) return c.refuse("it needs a static shape; give it with --shape");
  const int64_t have = num_elements(*type.shape).value();
  constexpr int64_t kMost = int64_t{1} << 26;
  if (*count > kMost) return c.refuse("too many elements");
  std::vector<int64_t> places(static_cast<size_t>(*count), offset);
  int64_t block = *count;
  for (size_t d = 0; d < size.size() && *count > 0; ++d) {
    block /= size[d];
    for (int64_t i = 0; i < *count; ++i) {
      places[static_cast<size_t>(i)] += i / block % size[d] * stride[d];
    }
  }
  bool in_order = have == *count;
  for (size_t i = 0; i < places.size(); ++i) {
    if (places[i] < 0 || places[i] >= have) return c.fail(invalid("it reads past the tensor"));
    in_order &= places[i] == static_cast<int64_t>(i);
  }
  if (in_order) return c.give(c.reshape(x, size));
  const ValueId table = c.add_constant(Tensor::ints(places).reshaped(size));
  c.give(c.gather(c.reshape(x, {-1}), table, 0));
}

}  // namespace

std::vector<RowText> view_rows() {
  return {
      {"alias(Tensor(a) self) -> Tensor(a)", "none", same},
      {"clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor", "none", same},
      {"contiguous(Tensor self, *, MemoryFormat memory_format=0) -> Tensor", "none", same},
      {"detach(Tensor(a) self) -> Tensor(a)", "none", same},
      {"detach_copy(Tensor self) -> Tensor", "none", same},
      {"lift_fresh(Tensor self) -> Tensor", "none", same},
      {"lift_fresh_copy(Tensor self) -> Tensor", "none", same},
      {"lift(Tensor self) -> Tensor", "none", same},
      {"cpu(Tensor self) -> Tensor", "none", same},
      {"requires_grad_(Tensor self, bool requires_grad=True) -> Tensor", "none", same},
      {"resolve_conj(Tensor(a) self) -> Tensor(a)", "none", same},
      {"resolve_neg(Tensor(a) self) -> Tensor(a)", "none", same},
      {"view(Tensor(a) self, int[] size) -> Tensor(a)", "Reshape", view},
      {"view.dtype(Tensor(a) self, ScalarType dtype) -> Tensor(a)", "BitCast", view_dtype},
      {"view_copy(Tensor self, int[] size) -> Tensor", "Reshape", view},
      {"_unsafe_view(Tensor self, int[] size) -> Tensor", "Reshape", view},
      {"reshape(Tensor(a) self, int[] shape) -> Tensor(a)", "Reshape", view},
      {"_reshape_copy(Tensor self, int[] size) -> Tensor", "Reshape", view},
      {"view_as(Tensor(a) self, Tensor other) -> Tensor(a)", "Reshape", view_as},
      {"reshape_as(Tensor(a) self, Tensor other) -> Tensor(a)", "Reshape", view_as},
      {"flatten.using_ints(Tensor(a) self, int start_dim=0, int end_dim=-1) -> Tensor(a)",
       "Reshape", flatten},
      {"unflatten.int(Tensor(a) self, int dim, int[] sizes) -> Tensor(a)", "Reshape", unflatten},
      {"ravel(Tensor(a) self) -> Tensor(a)", "Reshape", ravel},
      {"expand(Tensor(a) self, int[] size, *, bool implicit=False) -> Tensor(a)", "Expand", expand},
      {"expand_copy(Tensor self, int[] size, *, bool implicit=False) -> Tensor", "Expand", expand},
      {"broadcast_to(Tensor(a) self, int[] size) -> Tensor(a)", "Expand", expand},
      {"expand_as(Tensor(a) self, Tensor other) -> Tensor(a)", "Expand", expand_as},
      {"broadcast_tensors(Tensor[] tensors) -> Tensor[]", "Expand", broadcast_tensors},
      {"permute(Tensor(a) self, int[] dims) -> Tensor(a)", "Transpose", permute},
      {"permute_copy(Tensor self, int[] dims) -> Tensor", "Transpose", permute},
      {"transpose.int(Tensor(a) self, int dim0, int dim1) -> Tensor(a)", "Transpose", transpose},
      {"t(Tensor(a) self) -> Tensor(a)", "Transpose", transpose_2d},
      {"numpy_T(Tensor(a) self) -> Tensor(a)", "Transpose", reverse_dims},
      {"mT(Tensor(a) self) -> Tensor(a)", "Transpose", matrix_transpose},
      {"adjoint(Tensor(a) self) -> Tensor(a)", "Transpose", matrix_transpose},
      {"movedim.intlist(Tensor(a) self, int[] source, int[] destination) -> Tensor(a)", "Transpose",
       movedim},
      {"movedim.int(Tensor(a) self, int source, int destination) -> Tensor(a)", "Transpose",
       movedim},
      {"moveaxis.intlist(Tensor(a) self, int[] source, int[] destination) -> Tensor(a)",
       "Transpose", movedim},
      {"moveaxis.int(Tensor(a) self, int source, int destination) -> Tensor(a)", "Transpose",
       movedim},
      {"squeeze(Tensor(a) self) -> Tensor(a)", "Squeeze", squeeze},
      {"squeeze.dim(Tensor(a) self, int dim) -> Tensor(a)", "Squeeze", squeeze},
      {"squeeze.dims(Tensor(a) self, int[] dim) -> Tensor(a)", "Squeeze", squeeze},
      {"unsqueeze(Tensor(a) self, int dim) -> Tensor(a)", "Unsqueeze", unsqueeze},
      {"select.int(Tensor(a) self, int dim, int index) -> Tensor(a)", "Gather", select},
      {"select_copy.int(Tensor self, int dim, int index) -> Tensor", "Gather", select},
      {"slice.Tensor(Tensor(a) self, int dim=0, int? start=None, int? end=None, int step=1) -> "
       "Tensor(a)",
       "Slice", slice},
      {"slice_copy.Tensor(Tensor self, int dim=0, int? start=None, int? end=None, int step=1) -> "
       "Tensor",
       "Slice", slice},
      {"narrow(Tensor(a) self, int dim, int start, int length) -> Tensor(a)", "Slice", narrow},
      {"split.Tensor(Tensor(a) self, int split_size, int dim=0) -> Tensor(a)[]", "Split", split},
      {"split.sizes(Tensor(a) self, int[] split_size, int dim=0) -> Tensor(a)[]", "Split",
       split_with_sizes},
      {"split_with_sizes(Tensor(a) self, int[] split_sizes, int dim=0) -> Tensor(a)[]", "Split",
       split_with_sizes},
      {"split_with_sizes_copy(Tensor self, int[] split_sizes, int dim=0) -> Tensor[]", "Split",
       split_with_sizes},
      {"unsafe_split.Tensor(Tensor self, int split_size, int dim=0) -> Tensor[]", "Split", split},
      {"chunk(Tensor(a) self, int chunks, int dim=0) -> Tensor(a)[]", "Split", chunk},
      {"unsafe_chunk(Tensor self, int chunks, int dim=0) -> Tensor[]", "Split", chunk},
      {"tensor_split.sections(Tensor(a) self, int sections, int dim=0) -> Tensor(a)[]", "Split",
       tensor_split},
      {"tensor_split.indices(Tensor(a) self, int[] indices, int dim=0) -> Tensor(a)[]", "Split",
       tensor_split},
      {"unbind.int(Tensor(a) self, int dim=0) -> Tensor(a)[]", "Split, Squeeze", unbind},
      {"diagonal(Tensor(a) self, int offset=0, int dim1=0, int dim2=1) -> Tensor(a)",
       "Transpose, Reshape, Gather", diagonal},
      {"unfold(Tensor(a) self, int dimension, int size, int step) -> Tensor(a)",
       "Gather, Transpose", unfold},
      {"as_strided(Tensor(a) self, int[] size, int[] stride, int? storage_offset=None) -> "
       "Tensor(a)",
       "Reshape, Gather", as_strided},
  };
}

}  // namespace mnn::torch
