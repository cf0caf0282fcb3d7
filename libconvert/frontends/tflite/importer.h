// One TensorFlow Lite file on its way to a Graph. Private to the front end.
#pragma once

#include "libconvert/convert.h"
#include "libconvert/frontends/common/border.h"
#include "libconvert/frontends/tflite/op_map.h"

namespace mnn::tflite {

struct Limits {
  int64_t nodes;  // after unfolding sub-graphs
  int depth;      // of sub-graphs in each other
};

// Of a variable that is read and that the file gives nothing to hold.
Status without_content(const Variable& variable);

class Importer {
 public:
  Importer(const ModelFile& file, const ImportOptions& options, Limits limits)
      : file_(file),
        options_(options),
        limits_(limits),
        budget_(limits.nodes),
        log_(out_.diagnostics) {}
  Result<ImportedModel> run();

 private:
  // One sub-graph of the file where it is being added: names of its tensors, by which values it
  // has.
  struct Frame {
    Frame(frontend::GraphDraft& draft, frontend::Scope* outer, size_t index)
        : scope(draft, outer), subgraph(index) {}
    frontend::Scope scope;
    size_t subgraph;
    Layouts layouts;
    std::map<std::string, std::string> handles;  // tensors that stand for a variable -> its name
    bool may_keep = false;                       // states may be made here
  };

  // importer.cc: the model and its border
  Status read_model();
  Result<const fb::SignatureDef*> choose_signature() const;
  Status check_sizes(size_t main) const;
  Result<Type> declared_type(const fb::Tensor& tensor) const;
  Status add_inputs(Frame& frame, const fb::SignatureDef* signature);
  Status add_outputs(Frame& frame, const fb::SignatureDef* signature);
  Status add_updates();
  void read_facts();

  // operators.cc: single operators
  Status add_operators(Frame& frame);
  Status add_operator(const fb::Operator& op, Frame& frame);
  Status build_operator(const fb::Operator& op, const std::string& name, const std::string& node,
                        Frame& frame);
  Status add_results(OpNode& node, size_t values_before, size_t nodes_before, Frame& frame);
  // The value of a tensor: made already, a constant, or a state.
  Result<ValueId> value_of(int32_t tensor, Frame& frame);
  Result<ValueId> add_constant(const fb::Tensor& tensor, const std::string& name, Frame& frame);
  Result<ValueId> add_variable_tensor(const fb::Tensor& tensor, const std::string& name,
                                      Frame& frame);
  Status check_state_size(const Type& type);
  const std::string& tensor_name(const Frame& frame, int32_t tensor) const {
    return file_.names(frame.subgraph)[static_cast<size_t>(tensor)];
  }
  std::vector<std::string> output_names(const fb::Operator& op, const Frame& frame) const;

  // control.cc: sub-graphs and variables
  Status add_structural(OpNode& node, int code, Frame& frame);
  Status add_if(OpNode& node, Frame& frame);
  Status add_while(OpNode& node, Frame& frame);
  // The operators of sub-graph `index` on `operands`, in the graph of `draft`.
  Result<std::vector<ValueId>> add_body(size_t index, const std::vector<ValueId>& operands,
                                        frontend::Scope& around, frontend::GraphDraft& draft);
  Result<size_t> subgraph_of(int32_t index, size_t inputs, size_t outputs) const;
  // Names for operands, by which scopes inside reach them.
  std::vector<std::string> name_operands(const OpNode& node, Frame& frame);
  Status call_once(OpNode& node);
  Status var_handle(OpNode& node, Frame& frame);
  Status read_variable(OpNode& node, Frame& frame);
  Status assign_variable(OpNode& node, Frame& frame);
  Result<Variable*> variable_of(const OpNode& node, Frame& frame);
  // Names the unsupported operators of sub-graphs that cannot be read.
  void scan(size_t subgraph, bool live);

  const ModelFile& file_;
  const ImportOptions& options_;
  Limits limits_;
  int64_t budget_;
  ImportedModel out_;
  frontend::NodeLog log_;
  frontend::DimSymbols symbols_;
  Variables variables_;
  std::map<ValueId, ValueId> tensor_updates_;  // state -> what it becomes
  std::vector<char> scanned_;
  bool initializing_ = false;  // within what CALL_ONCE runs
  bool shapes_given_ = false;
  int64_t state_bytes_ = 0;  // of states that start with zeros
};

// What to say of an operator that has no row.
Status not_supported(const fb::OperatorCode& code);
}  // namespace mnn::tflite
