// One ModelProto on its way to a Graph. Private to the front end.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libconvert/convert.h"
#include "libconvert/frontends/common/border.h"
#include "libconvert/frontends/common/scope.h"
#include "libconvert/frontends/onnx/op_map.h"
#include "libconvert/frontends/onnx/order.h"
#include "libconvert/frontends/onnx/tensor_proto.h"
#include "libconvert/frontends/onnx/types.h"
#include "libconvert/frontends/onnx/upgrade.h"

namespace mnn::onnx {

using Opsets = std::map<std::string, int64_t, std::less<>>;  // by domain, "" is ai.onnx

// What holds for all nodes of the main graph with its sub-graphs, or of one function call.
struct Frame {
  Opsets opsets;
  std::map<std::string, AttributeProto*, std::less<>> bindings;  // attributes of the call
  std::string prefix;    // of the names of nodes and values: "call/"
  bool in_call = false;  // a function: its protos may be read again, for another call
  int depth = 0;         // calls around this one
};

using frontend::Scope;
using Values = google::protobuf::RepeatedPtrField<ValueInfoProto>;

struct Limits {
  int64_t nodes;  // after unfolding functions
  int depth;      // of sub-graphs in each other
};

inline std::vector<std::string> texts(const google::protobuf::RepeatedPtrField<std::string>& list) {
  return {list.begin(), list.end()};
}

class Importer {
 public:
  Importer(ModelProto& model, SourceFiles& files, const ImportOptions& options, Limits limits)
      : model_(model),
        files_(files),
        options_(options),
        limits_(limits),
        budget_(limits.nodes),
        log_(out_.diagnostics) {}
  Result<ImportedModel> run();

 private:
  // importer.cc: the model and its main graph
  Status read_model();
  Status read_header();
  Result<Opsets> read_opsets(
      const google::protobuf::RepeatedPtrField<OperatorSetIdProto>& imports) const;
  Status add_initializers(GraphProto& proto, Scope& scope, const Frame& frame);
  Status add_inputs(GraphProto& proto, Scope& scope);
  Status add_outputs(const GraphProto& proto, Scope& scope);

  // nodes.cc: single nodes
  Status add_nodes(Nodes& nodes, const std::vector<std::string_view>& outputs, Scope& scope,
                   const Frame& frame);
  // Only a limit stops the import; every other error is reported and the outputs stay undefined.
  Status add_node(NodeProto& proto, Scope& scope, const Frame& frame);
  Status build_node(NodeProto& proto, const std::string& name, Scope& scope, const Frame& frame);
  Status add_constant(NodeProto& proto, Scope& scope, const Frame& frame);
  Status add_operator(NodeProto& proto, const OpRow& row, const std::string& name, Scope& scope,
                      const Frame& frame);
  // gradient.cc: in the place of the node its derivatives
  Status add_gradient(NodeProto& proto, const std::string& name, Scope& scope, const Frame& frame);
  Result<Attribute> read_attribute(AttributeProto& proto, const Frame& frame);
  // The attribute a node has in this call: its own, or the one of the call it refers to; null when
  // the call has none.
  Result<AttributeProto*> bound_attribute(AttributeProto& proto, const Frame& frame);
  // Keeps what the source declares of ranks; what it says of kinds the IR lacks is passed over.
  static void declare(const Values& values, Scope& scope);
  std::string unique_name(const NodeProto& proto, const Frame& frame);

  // subgraphs.cc
  Status add_subgraphs(NodeProto& proto, NodeUpgrade& u, Scope& scope, const Frame& frame);
  // Puts the branch that is taken in place of an If whose condition is known.
  Status inline_branch(NodeProto& proto, NodeUpgrade& u, Scope& scope, const Frame& frame);
  // Names the unsupported operators of sub-graphs that cannot be read.
  void scan_subgraphs(const NodeProto& proto, const Scope& scope, const Frame& frame);
  Status read_subgraph(GraphProto& proto, const std::vector<Type>& inputs, Scope& child,
                       const Frame& frame);
  // Adds the nodes of a sub-graph and returns the values of its outputs.
  Result<std::vector<ValueId>> add_body(GraphProto& proto, Scope& scope, const Frame& frame);

  // functions.cc
  FunctionProto* find_function(const NodeProto& call);
  void count_calls(const Nodes& nodes, frontend::CallingBody& body) const;
  Status check_function_sizes();
  Status add_call(NodeProto& call, FunctionProto& function, const std::string& name, Scope& scope,
                  const Frame& frame);

  ModelProto& model_;
  SourceFiles& files_;
  const ImportOptions& options_;
  Limits limits_;
  int64_t budget_;
  int gradients_ = 0;  // Gradient nodes so far
  ImportedModel out_;
  frontend::NodeLog log_;
  DimSymbols symbols_;
  std::map<std::string, FunctionProto*> functions_;  // by key
  bool shapes_given_ = false;                        // the caller changed a declared dimension
};

// domain, name and overload as one text.
std::string function_key(std::string_view domain, std::string_view name, std::string_view overload);

}  // namespace mnn::onnx
