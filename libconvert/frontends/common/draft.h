// A graph being built from a source model: nodes are checked, inferred and appended one after the
// other, and what is wrong with single ones is collected. Nothing here knows a source format.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libruntime/core/diagnostic.h"
#include "libruntime/core/graph.h"
#include "libruntime/core/op.h"

namespace mnn::frontend {

// A graph being built, node after node in order.
struct GraphDraft {
  explicit GraphDraft(Graph& g) : graph(g), types(g) {}
  Graph& graph;
  TypeInference types;
  bool may_not_run = false;  // inside a branch of an If
};

// Checks the node against its operator's row (inputs, outputs, attributes and their types), infers
// the types of its outputs and appends it. `budget` is the number of nodes that may still be added.
// Shapes that do not fit are no error in a branch, which they may make impossible: the outputs are
// of unknown shape, and the inference of the whole graph judges.
Status append_node(GraphDraft& draft, Node node, int64_t& budget);

// Appends the nodes one source node becomes; all carry its name as their origin. The first error
// sticks, and nothing is appended after it.
class NodeBuilder {
 public:
  NodeBuilder(GraphDraft& d, int64_t& node_budget)
      : draft(d), graph(d.graph), budget(node_budget) {}

  GraphDraft& draft;
  Graph& graph;
  int64_t& budget;
  std::string name;  // of the source node
  Status status;

  void fail(Status why) {
    if (status.ok()) status = std::move(why);
  }
  // Undefined for an absent value.
  const Type& type_of(ValueId id) const {
    static const Type kNone;
    return id == kNoValue ? kNone : graph.value(id).type;
  }

  // A 1-D i64 constant.
  ValueId add_ints(const std::vector<int64_t>& values);
  // A scalar of a float or integer type.
  ValueId add_scalar(double value, DType dtype);
  ValueId add_constant(Tensor tensor) { return graph.add_constant(std::move(tensor)); }

  using Attributes = std::map<std::string, Attribute, std::less<>>;
  // Appends a node; kNoValue after an error.
  ValueId emit(std::string_view type, std::vector<ValueId> in, Attributes attrs = {});
  std::vector<ValueId> emit_n(std::string_view type, std::vector<ValueId> in, size_t outputs,
                              Attributes attrs = {});
  // The shape of a value as a 1-D i64 tensor: a constant when it is known.
  ValueId shape_of(ValueId id);
  // Constants are reshaped in place of a node.
  ValueId unsqueeze(ValueId id, const std::vector<int64_t>& axes);
  ValueId reshape(ValueId id, const std::vector<int64_t>& dims);
  ValueId cast(ValueId id, DType to);
};

// What a front end has to say of single nodes, under the names it gives them.
class NodeLog {
 public:
  explicit NodeLog(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}
  // A name that was made up gets a number where another node has it; one of the source's stays.
  std::string unique_name(const std::string& name, bool made_up);
  // An error of a live node (one that an output of the model depends on) fails the import in the
  // end; one of a dead node is a warning. `op` is the source's operator.
  void report(const std::string& name, const std::string& op, const Status& why, bool live);
  void note(const std::string& name, const std::string& op, std::string message);
  size_t errors() const { return errors_; }  // reported so far

 private:
  Diagnostics& diagnostics_;
  std::set<std::string> used_names_;
  std::map<std::string, int> numbers_;  // of made-up names: the next to try
  size_t errors_ = 0;
};

}  // namespace mnn::frontend
