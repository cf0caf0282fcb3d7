// One ModelProto on its way to a Graph. Private to the front end.
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "libconvert/convert.h"
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

// The names of one graph, sub-graph or function call. A call adds its nodes to the caller's graph.
struct Scope {
  Scope(GraphDraft& d, Scope* enclosing) : draft(d), outer(enclosing) {}
  GraphDraft& draft;
  Scope* outer;           // of a sub-graph: where it stands
  int depth = 0;          // sub-graphs around this one
  bool live = true;       // an output of the model depends on it
  bool node_live = true;  // the same of the node being added
  std::unordered_map<std::string, ValueId> names;
  std::unordered_map<std::string_view, const TypeProto*> declared;
  std::unordered_set<std::string_view> read;
  std::vector<std::pair<ValueId, ValueId>>
      captured;                                 // outer value, the one that stands for it here
  std::unordered_set<std::string_view> border;  // outputs of the main graph
};

class Importer {
 public:
  Importer(ModelProto& model, const std::string& path, const ImportOptions& options)
      : model_(model), options_(options), folder_(path), budget_(options.node_budget) {}
  Result<ImportedModel> run();

 private:
  // importer.cc: the model and its main graph
  Status read_model();
  Status read_header();
  Result<Opsets> read_opsets(
      const google::protobuf::RepeatedPtrField<OperatorSetIdProto>& imports) const;
  Status add_initializers(GraphProto& proto, Scope& scope, const Frame& frame);
  Status add_inputs(GraphProto& proto, Scope& scope);
  Status bind_input_shapes();
  Status add_outputs(const GraphProto& proto, Scope& scope);
  Status check_output_type(const ValueInfoProto& proto, ValueId id);

  // nodes.cc: single nodes
  Status add_nodes(Nodes& nodes, const std::vector<std::string_view>& outputs, Scope& scope,
                   const Frame& frame);
  // Only a limit stops the import; every other error is reported and the outputs stay undefined.
  Status add_node(NodeProto& proto, Scope& scope, const Frame& frame);
  Status build_node(NodeProto& proto, const std::string& name, Scope& scope, const Frame& frame);
  Status add_constant(NodeProto& proto, Scope& scope, const Frame& frame);
  Status add_operator(NodeProto& proto, const OpRow& row, const std::string& name, Scope& scope,
                      const Frame& frame);
  // An error of a live node fails the import in the end; one of a dead node is a warning.
  void report(const NodeProto& proto, const std::string& name, const Status& why, bool live);
  Result<Attribute> read_attribute(AttributeProto& proto, const Frame& frame);
  // The attribute a node has in this call: its own, or the one of the call it refers to; null when
  // the call has none.
  Result<AttributeProto*> bound_attribute(AttributeProto& proto, const Frame& frame);
  Result<std::vector<ValueId>> resolve_inputs(const NodeProto& proto, Scope& scope);
  Result<ValueId> resolve(Scope& scope, const std::string& name);
  Status define(Scope& scope, const std::string& name, ValueId id);
  void adopt_declared_rank(const Scope& scope, const std::string& name, ValueId id);
  std::string unique_name(const NodeProto& proto, const Frame& frame);
  bool is_undefined(const Scope& scope, ValueId id) const;

  // subgraphs.cc
  Status add_subgraphs(NodeProto& proto, NodeUpgrade& u, Scope& scope, const Frame& frame);
  // Puts the branch that is taken in place of an If whose condition is known.
  Status inline_branch(NodeProto& proto, NodeUpgrade& u, Scope& scope, const Frame& frame);
  // The outputs of nodes that were put in place of one go by the names of its outputs.
  Status bind_outputs(const NodeProto& proto, const std::vector<ValueId>& results,
                      size_t first_node, Scope& scope, const Frame& frame);
  // Names the unsupported operators of sub-graphs that cannot be read.
  void scan_subgraphs(const NodeProto& proto, const Scope& scope, const Frame& frame);
  Result<Graph> read_subgraph(GraphProto& proto, const std::vector<Type>& inputs, Scope& child,
                              const Frame& frame);

  // functions.cc
  FunctionProto* find_function(const NodeProto& call);
  Status check_function_sizes();
  Status add_call(NodeProto& call, FunctionProto& function, const std::string& name, Scope& scope,
                  const Frame& frame);

  ModelProto& model_;
  const ImportOptions& options_;
  DataFolder folder_;
  int64_t budget_;
  ImportedModel out_;
  DimSymbols symbols_;
  std::map<std::string, FunctionProto*> functions_;  // by key
  std::set<std::string> used_names_;                 // of nodes
  size_t errors_ = 0;                                // reported so far
  bool shapes_given_ = false;                        // the caller changed a declared dimension
};

// domain, name and overload as one text.
std::string function_key(std::string_view domain, std::string_view name, std::string_view overload);

}  // namespace mnn::onnx
