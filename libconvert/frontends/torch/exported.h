// The graph of an ExportedProgram on its way into ours.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "libconvert/convert.h"
#include "libconvert/frontends/common/border.h"
#include "libconvert/frontends/common/draft.h"
#include "libconvert/frontends/torch/aten.h"
#include "libconvert/frontends/torch/program.h"
#include "libconvert/frontends/torch/tensors.h"

namespace mnn::torch {

// What a name stands for: a tensor that may share memory, or another argument.
struct Binding {
  Arg arg;
  TensorId tensor = -1;    // of a single tensor
  bool undefined = false;  // the node that makes it failed: who reads it is passed over
};

// The names of one graph.
struct Environment {
  explicit Environment(frontend::GraphDraft& d, int64_t& budget) : draft(d), tensors(d, budget) {}
  frontend::GraphDraft& draft;
  Tensors tensors;
  std::map<std::string, Binding, std::less<>> names;
  int depth = 0;            // graphs around this one
  std::string module_path;  // of the node whose graph this is
};

class ExportedImporter {
 public:
  ExportedImporter(Program& program, const ImportOptions& options, int64_t budget)
      : program_(program), options_(options), budget_(budget), log_(out_.diagnostics) {}

  Result<ImportedModel> run();

 private:
  // One call of a node, as its JSON says it.
  struct NodeText {
    const Json* json = nullptr;
    std::string target;  // "torch.ops.aten.conv2d.default"
    std::string origin;  // module path and name
    std::string where;   // the source line
  };

  Status read_facts();
  Result<Type> type_of_value(const Json& graph, const std::string& name);
  Dim dim_of(const Json* size);
  Status add_inputs(const Json& graph, Environment& env);
  Status add_input(const Json& graph, const std::string& kind, const Json& spec, Environment& env);
  Status add_stored(const std::string& name, const std::string& qualified, bool buffer,
                    Environment& env);
  Status add_user_input(const Json& graph, const Json& arg, Environment& env);
  Status add_outputs(Environment& env);
  Status add_update(const std::string& value, const std::string& buffer, Environment& env);
  std::set<std::string> written_names(const Json& graph) const;

  // exported_nodes.cc
  Status add_nodes(const Json& graph, Environment& env);
  Status add_node(const NodeText& node, Environment& env);
  Status add_aten(const NodeText& node, Environment& env);
  Status add_higher_order(const NodeText& node, const std::string& op, Environment& env);
  Result<AtenCall> read_call(const NodeText& node, Environment& env, TensorId& first);
  Result<Arg> read_argument(const Tagged& arg, Environment& env);
  Result<Arg> read_name(const std::string& name, Environment& env);
  Status bind_results(const NodeText& node, const std::vector<Arg>& results, Environment& env,
                      const AtenCall* call, const AtenRow* row, TensorId base);
  void leave_undefined(const NodeText& node, Environment& env);
  NodeText text_of_node(const Json& node, const Environment& env);

  // exported_control.cc
  struct Inside;
  // A node with graphs: its arguments before and after them.
  struct HigherOrder {
    std::string origin;
    std::vector<const Json*> graphs;
    std::vector<Arg> before, after;
  };
  Result<std::vector<Arg>> inline_graph(const Json& graph, const std::vector<Arg>& args,
                                        frontend::GraphDraft& draft, const Environment& around);
  Result<std::vector<Arg>> append_control(Node node, std::vector<Inside>& inside,
                                          const std::vector<Arg>& like, Environment& env);
  Result<std::vector<Arg>> add_cond(const HigherOrder& h, Environment& env);
  Result<std::vector<Arg>> add_while(const HigherOrder& h, Environment& env);
  Result<std::vector<Arg>> add_scan(const HigherOrder& h, bool map, Environment& env);

  Program& program_;
  const ImportOptions& options_;
  int64_t budget_;
  ImportedModel out_;
  frontend::NodeLog log_;
  frontend::DimSymbols symbols_;
  std::map<std::string, ValueId> states_;            // buffers that change, by qualified name
  std::map<std::string, std::string> buffer_names_;  // qualified name -> name in the graph
  std::map<const std::byte*, std::vector<ValueId>> shared_;  // constants by their bytes
  bool reads_undefined_ = false;                             // the node being read
};

// The op of a target: "aten::conv2d" and "default"; a Python operator's name as ours.
std::pair<std::string, std::string> split_target(const std::string& target);

// A size as SymPy's srepr writes it ("Mul(Integer(2), Symbol('s17'…))"); unknown when it is more
// than a sum or product.
Dim parse_srepr(std::string_view text);

}  // namespace mnn::torch
