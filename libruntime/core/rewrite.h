// Local rewrites as data: a pattern, a condition, a builder; and the driver that applies them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "libruntime/core/builder.h"
#include "libruntime/core/graph.h"

namespace mnn {

// A pattern over values. Same name, same value.
struct Pattern {
  enum class Kind { kAny, kConstant, kOp };
  Kind kind = Kind::kAny;
  std::string name;                // how the match calls this value; may be empty
  std::vector<std::string> ops;    // kOp: any of these
  std::vector<Pattern> inputs;     // kOp: own inputs; absent trailing ones match absent inputs
  bool commutes = false;           // kOp: the first two inputs in either order
  bool any_inputs = false;         // kOp: inputs are not looked at
};
Pattern any(std::string name);
Pattern constant(std::string name);
Pattern op(std::string op_type, std::vector<Pattern> inputs, std::string name = {});
Pattern one_of(std::vector<std::string> op_types, std::vector<Pattern> inputs, std::string name = {});
Pattern commutative(Pattern pattern);
Pattern with_any_inputs(std::string op_type, std::string name = {});

struct Match {
  const Graph& graph;
  std::map<std::string, ValueId, std::less<>> values;
  std::map<std::string, NodeId, std::less<>> nodes;  // producers of named op patterns
  NodeId root = -1;

  ValueId at(std::string_view name) const { return values.find(name)->second; }
  const Node& node(std::string_view name) const { return graph.node(nodes.find(name)->second); }
  const Type& type(std::string_view name) const { return graph.value(at(name)).type; }
  const Tensor* constant(std::string_view name) const { return graph.constant(at(name)); }
};

struct Rule {
  std::string name;
  Pattern pattern;
  // Returns the value that replaces the root's (first) output, or kNoValue to leave things as they
  // are. It may add nodes and change attributes of nodes it adds; the driver removes the match.
  std::function<ValueId(Builder&, const Match&)> build;
  std::function<bool(const Match&)> when;  // may be empty
};

struct RuleHits {
  std::map<std::string, int> count;  // per rule
};

// Applies `rules` until none fires, in node order, walking sub-graphs. Inner values of a match must
// have one consumer and not be an output. The replacing nodes get the joined origins of the matched
// ones. Bounded by 10 rounds over the graph.
Result<RuleHits> apply_rules(Graph& graph, const std::vector<Rule>& rules);

// A pass: one list, top to bottom, in libconvert/passes/pipeline.cc and libruntime/compile.
struct Pass {
  std::string name;
  std::function<Result<int>(Graph&)> run;  // returns how often it changed something
};
struct PassOptions {
  // Called after each pass that changed something (--dump-passes).
  std::function<void(std::string_view pass, int changes, const Graph&)> after;
};
// Runs the passes in order; after each that changed something sorts, infers types, verifies. An
// error names the pass.
Status run_passes(Graph& graph, const std::vector<Pass>& passes, const PassOptions& options = {});

}  // namespace mnn
