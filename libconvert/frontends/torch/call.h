// What a row of the ATen table sees: the arguments by name, the graph to add to, the results.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libconvert/frontends/torch/aten.h"

namespace mnn::torch {

// How PyTorch ranks element types: a type of a higher kind wins over any of a lower one.
enum class TypeKind : uint8_t { kBool, kInteger, kFloat };
TypeKind kind_of(DType dtype);

class Call : public frontend::NodeBuilder {
 public:
  Call(frontend::GraphDraft& d, int64_t& node_budget, const Resolved& resolved)
      : NodeBuilder(d, node_budget), call(resolved) {}

  const Resolved& call;
  std::vector<Arg> results;

  const std::string& op() const { return call.row->schema.name; }
  const std::string& form() const { return call.row->form; }
  bool overload_is(std::string_view name) const { return call.row->schema.overload == name; }

  // The argument of a parameter the row's schema has.
  const Arg& arg(std::string_view name) const;
  bool has_param(std::string_view name) const;
  bool none(std::string_view name) const { return arg(name).is_none(); }
  // A tensor; a number becomes a 0-d value of its usual type. kNoValue for None. A complex one is
  // an error: rows that take those ask for arg().
  ValueId tensor(std::string_view name);
  std::vector<ValueId> tensors(std::string_view name);  // kNoValue for None
  // Numbers that must be known now; an error otherwise.
  int64_t integer(std::string_view name);
  double real(std::string_view name);
  bool flag(std::string_view name);
  std::vector<int64_t> ints(std::string_view name);
  // Numbers that may be known at run time only; 0-d integer tensors count as such.
  IntArg int_arg(std::string_view name);
  std::vector<IntArg> int_args(std::string_view name);
  std::string text(std::string_view name);
  DType dtype(std::string_view name, DType fallback);

  // The rank of a value; an error when it is not known.
  size_t rank(ValueId id);
  DType dtype_of(ValueId id) const { return type_of(id).dtype; }
  // The dim, unknown where the rank is not known.
  Dim dim(ValueId id, size_t axis) const;
  // A dim that must be a number.
  int64_t known_dim(ValueId id, size_t axis);
  // The parameter's number as an axis of something of this rank; a 0-d tensor has axis 0.
  int64_t axis(std::string_view name, size_t rank);
  std::vector<int64_t> axes(std::string_view name, size_t rank);  // sorted, none twice
  int64_t normalized(int64_t axis, size_t rank);

  // The dim as a number: known, or what the graph computes.
  IntArg size(ValueId id, size_t axis);
  // What inference knows of a 0-d integer value.
  IntArg int_of(ValueId id);
  // The other way: a 0-d value of the number.
  ValueId value_of(const IntArg& n);
  ValueId value_of(const FloatArg& n);
  // A 1-D i64 value of the numbers; constant when all are known.
  ValueId list_of(const std::vector<IntArg>& numbers);
  // The shape of `id` as numbers.
  std::vector<IntArg> sizes(ValueId id);

  // To the type that PyTorch computes in, given tensors and numbers: an argument's value of that
  // type. Numbers and 0-d tensors give way to tensors of their kind.
  DType promoted(const std::vector<std::string_view>& names) const;
  ValueId as(std::string_view name, DType dtype);  // the tensor or number, cast
  ValueId number(double value, DType dtype) { return add_scalar(value, dtype); }

  // Common nodes. Axes are non-negative.
  ValueId unary(std::string_view op, ValueId x) { return emit(op, {x}); }
  ValueId binary(std::string_view op, ValueId a, ValueId b) { return emit(op, {a, b}); }
  ValueId transpose(ValueId x, const std::vector<int64_t>& perm);
  ValueId swap_axes(ValueId x, int64_t a, int64_t b);
  ValueId squeeze(ValueId x, const std::vector<int64_t>& axes);
  ValueId expand_dims(ValueId x, const std::vector<int64_t>& axes);
  ValueId concat(const std::vector<ValueId>& parts, int64_t axis);
  ValueId reduce(std::string_view op, ValueId x, const std::vector<int64_t>& axes, bool keepdims);
  ValueId slice(ValueId x, int64_t axis, const IntArg& start, const IntArg& end, int64_t step = 1);
  ValueId select(ValueId x, int64_t axis, const IntArg& index);
  ValueId gather(ValueId x, ValueId indices, int64_t axis);
  ValueId view(ValueId x, const std::vector<IntArg>& shape);
  ValueId expand(ValueId x, ValueId shape) { return emit("Expand", {x, shape}); }
  ValueId filled(const std::vector<IntArg>& shape, ValueId scalar);
  ValueId range(const IntArg& start, const IntArg& end, const IntArg& step);
  ValueId where(ValueId cond, ValueId a, ValueId b) { return emit("Where", {cond, a, b}); }

  void give(ValueId id, bool complex = false) { results.push_back(Arg::tensor(id, complex)); }
  void give(Arg result) { results.push_back(std::move(result)); }
  // A list of tensors as one result.
  void give_list(const std::vector<ValueId>& ids);
  // kUnsupported, with the operator's name.
  void refuse(const std::string& what) { fail(unsupported(what)); }

 private:
  ValueId tensor_of(const Arg& arg, std::string_view name);
};

// The families of rows.
using Rows = std::vector<AtenRow>;
// A row as it is written: its schema is parsed when the table is built.
struct RowText {
  const char* schema;
  const char* form;
  void (*lower)(Call&);
};
std::vector<RowText> pointwise_rows();
std::vector<RowText> activation_rows();
std::vector<RowText> compare_rows();
std::vector<RowText> reduce_rows();
std::vector<RowText> view_rows();
std::vector<RowText> join_rows();
std::vector<RowText> create_rows();
std::vector<RowText> index_rows();
std::vector<RowText> scatter_rows();
std::vector<RowText> matmul_rows();
std::vector<RowText> transformer_rows();
std::vector<RowText> conv_rows();
std::vector<RowText> pool_rows();
std::vector<RowText> norm_rows();
std::vector<RowText> resize_rows();
std::vector<RowText> recurrent_rows();
std::vector<RowText> embedding_rows();
std::vector<RowText> complex_rows();
std::vector<RowText> scalar_rows();
std::vector<RowText> quantized_rows();
std::vector<RowText> packed_rows();
std::vector<RowText> order_rows();
std::vector<RowText> backward_rows();
std::vector<RowText> misc_rows();

// Results of an operator on quantized tensors lie on a grid too: where its row did not say which,
// on that of its first quantized argument.
void keep_grid(Call& c);

}  // namespace mnn::torch
