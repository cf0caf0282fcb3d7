// The mapping table of ATen: a row per operator and overload with its schema, and what it becomes.
// Both doors call it: the ExportedProgram reader names overloads, the TorchScript reader leaves
// them to the arguments.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libconvert/frontends/common/draft.h"
#include "libconvert/frontends/torch/arg.h"

namespace mnn::torch {

// What a parameter takes.
enum class ParamKind : uint8_t {
  kTensor,
  kInt,         // int, SymInt
  kFloat,       // float
  kBool,        // bool
  kScalar,      // Scalar: int, float or bool
  kString,      // str
  kScalarType,  // ScalarType: a DType, or an int as TorchScript counts them
  kPacked,      // weights that an operator of `quantized::` took apart: a list
  kIgnored,     // Device, Layout, MemoryFormat, Generator: anything
};

struct Param {
  std::string name;
  ParamKind kind = ParamKind::kTensor;
  bool list = false;
  bool optional = false;        // None is taken: "Tensor?", "int[]?"
  bool optional_items = false;  // "Tensor?[]"
  bool keyword_only = false;    // after "*"
  bool written = false;         // "Tensor(a!)": the operator works in place
  bool view = false;            // "Tensor(a)": the result is a view of it
  int64_t list_size = 0;        // "int[2]": one number stands for so many; 0: a list of any length
  std::optional<Arg> fallback;  // the default
};

struct Schema {
  std::string name, overload;  // "aten::add", "Tensor"; "" is "default"
  std::vector<Param> params;
  std::vector<std::string> results;  // their kinds: "Tensor", "Tensor[]", "int"
  std::string text;
};

class Call;
struct AtenRow {
  Schema schema;
  std::string form;  // what it becomes, for the lists: "Conv", "Sigmoid, Mul"
  void (*lower)(Call& call);
};
// All rows, by name and in the order in which overloads are tried.
const std::vector<AtenRow>& aten_rows();

// One call of an operator.
struct AtenCall {
  std::string op;        // with its namespace: "aten::conv2d", "torchvision::nms"
  std::string overload;  // "default", "Tensor"…; empty: the first one the arguments fit
  std::vector<Arg> args;
  std::vector<std::pair<std::string, Arg>> kwargs;
  std::string origin;  // the source's name of the call: its module's path and its own
};

// The row of a call. In-place operators (`add_`) and those with `out=` find the row of the
// functional one: their results are what the written argument becomes. kUnsupported when there is
// no such operator, kInvalidArgument when the arguments fit none of its overloads.
struct Resolved {
  const AtenRow* row = nullptr;
  bool in_place = false;    // the first argument becomes the (only) result
  std::vector<Arg> values;  // one per parameter, defaults filled in
};
Result<Resolved> resolve_call(const AtenCall& call);
// The row of exactly this overload ("default" or empty: the one without a name); null when there is
// none.
const AtenRow* row_named(std::string_view op, std::string_view overload);
// Whether any overload of the operator (its in-place and out variants included) has a row.
bool has_operator(std::string_view op);

// Appends the nodes that stand for the call and returns its results in the order of the schema (a
// list of tensors is one result). `budget` as for append_node.
Result<std::vector<Arg>> lower_call(frontend::GraphDraft& draft, int64_t& budget,
                                    const AtenCall& call);
Result<std::vector<Arg>> lower_resolved(frontend::GraphDraft& draft, int64_t& budget,
                                        const Resolved& resolved, const std::string& origin);

}  // namespace mnn::torch
