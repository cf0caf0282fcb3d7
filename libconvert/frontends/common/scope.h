// The names of a source graph and the values they stand for: sub-graphs that read the graph around
// them, graphs that are put in the place of a node, and what calls may unfold to.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "libconvert/frontends/common/source_node.h"

namespace mnn::frontend {

// The names of one graph, sub-graph or function call. A call adds its nodes to the caller's graph.
// Texts that are kept as views outlive it.
struct Scope {
  Scope(GraphDraft& d, Scope* enclosing) : draft(d), outer(enclosing) {}
  GraphDraft& draft;
  Scope* outer;           // of a sub-graph: where it stands; of a function null
  int depth = 0;          // sub-graphs around this one
  bool live = true;       // an output of the model depends on it
  bool node_live = true;  // the same of the node being added
  std::unordered_map<std::string, ValueId> names;
  std::unordered_map<std::string_view, Type> declared;  // what the source says of a value
  std::unordered_set<std::string_view> read;            // NodeOrder::read
  std::vector<std::pair<ValueId, ValueId>>
      captured;                                 // outer value, the one that stands for it here
  std::unordered_set<std::string_view> border;  // outputs of the main graph
};

// A sub-graph while it is read.
struct Subgraph {
  explicit Subgraph(Scope& outer) : draft(graph), scope(draft, &outer) {
    scope.depth = outer.depth + 1;
    scope.live = outer.node_live;
  }
  Graph graph;
  GraphDraft draft;
  Scope scope;
};

// What stands inside `scope` for a value of the graph around it. Constants are copied in (their
// bytes are shared).
ValueId capture(Scope& scope, ValueId outer);
// The value of a name, here or in the scopes around; what lies outside is captured, constants are
// copied in (their bytes are shared). kNoValue for an empty name.
Result<ValueId> resolve(Scope& scope, const std::string& name);
Result<std::vector<ValueId>> resolve_all(Scope& scope, const std::vector<std::string>& names);
// An error when the name is given already.
Status define(Scope& scope, const std::string& name, ValueId id);
// Whether the node that makes the value failed: who reads it is passed over in silence.
bool is_undefined(const Scope& scope, ValueId id);

// Per output of a node: somebody reads it. Where nobody reads any, all that have a name.
std::vector<char> wanted_outputs(const Scope& scope, const std::vector<std::string>& outputs);
// Names the results of a node, values without a name after it (`prefix`: of the call around).
// Where inference does not tell a rank the declared one is taken.
Status define_results(Scope& scope, const std::vector<std::string>& outputs,
                      const std::vector<ValueId>& results, const std::string& prefix);
// Outputs that a failed node did not make become values without a type.
void leave_undefined(Scope& scope, const std::vector<std::string>& outputs,
                     const std::string& prefix);

// Whether a bool that decides between branches is known before a run, and which it is.
std::optional<bool> known_condition(const GraphDraft& draft, ValueId id);
// Puts what `add` appends in the place of a node of `scope`: a branch whose condition is known, a
// function. The values that `add` returns go by the names of the node's outputs; kNoValue: not
// wanted.
Status put_in_place(Scope& scope, const std::vector<std::string>& outputs,
                    const std::string& prefix,
                    const std::function<Result<std::vector<ValueId>>()>& add);

// Reads the `count` sub-graphs of a node into node.subgraphs: `read` fills a scope of its own
// inside `scope`. All get one list of outer values, in the order they were met: node.captures, with
// which each sub-graph's captures line up. kLimit when they nest deeper than `max_depth`.
Status add_subgraphs(Scope& scope, SourceNode& node, size_t count, int max_depth,
                     const std::function<Status(size_t index, Scope& inside)>& read);

// The same of sub-graphs that were read side by side: they move into the node.
void attach_subgraphs(SourceNode& node, std::span<Subgraph* const> subgraphs);

// How deep functions may call each other.
inline constexpr int kMaxCallDepth = 100;
// The main graph or a function before its calls are unfolded, sub-graphs included.
struct CallingBody {
  struct Call {
    std::string node, function;  // what the node and the function are called
    std::string key;             // of the function
  };
  int64_t nodes = 0;
  std::vector<Call> calls;
};
// Nodes after unfolding (saturated), counted without unfolding. An error when functions call
// themselves or nest too deep.
Result<int64_t> unfolded_size(const CallingBody& main,
                              const std::map<std::string, CallingBody>& functions);

}  // namespace mnn::frontend
