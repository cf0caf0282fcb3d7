// Local rewrites as data: a pattern, a condition, a builder; and the driver that applies them.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libruntime/core/builder.h"
#include "libruntime/core/graph.h"

namespace mnn {

// A pattern over values. Same name, same value. An operator pattern matches the first output of a
// node whose other outputs nobody reads; with listed inputs the node must have no fused post-ops.
struct Pattern {
  enum class Kind { kAny, kConstant, kOp };
  Kind kind = Kind::kAny;
  std::string name;              // how the match calls this value; may be empty
  std::vector<std::string> ops;  // kOp: any of these
  std::vector<Pattern> inputs;   // kOp: own inputs; absent trailing ones match absent inputs
  bool commutes = false;         // kOp: the first two inputs in either order
  bool any_inputs = false;       // kOp: inputs are not looked at
};
Pattern any(std::string name);
Pattern constant(std::string name);
Pattern op(std::string op_type, std::vector<Pattern> inputs, std::string name = {});
Pattern one_of(std::vector<std::string> op_types, std::vector<Pattern> inputs,
               std::string name = {});
Pattern commutative(Pattern pattern);
Pattern with_any_inputs(std::string op_type, std::string name = {});

struct Match {
  const Graph& graph;
  std::map<std::string, ValueId, std::less<>> values;
  std::map<std::string, NodeId, std::less<>> nodes;  // producers of named op patterns
  NodeId root = -1;
  // Of every value that was there before build() ran: its maker (-1: none), how often it is read.
  std::span<const NodeId> producers;
  std::span<const int> reads;

  ValueId at(std::string_view name) const { return values.find(name)->second; }
  const Node& node(std::string_view name) const { return graph.node(nodes.find(name)->second); }
  const Type& type(std::string_view name) const { return graph.value(at(name)).type; }
  const Tensor* constant(std::string_view name) const { return graph.constant(at(name)); }
  const Node& root_node() const { return graph.node(root); }
  ValueId output() const { return root_node().outputs[0]; }
  // The node that makes `value`, null when none does.
  const Node* producer(ValueId value) const {
    const NodeId p = value == kNoValue ? -1 : producers[static_cast<size_t>(value)];
    return p < 0 ? nullptr : &graph.node(p);
  }
  int reads_of(std::string_view name) const { return reads[static_cast<size_t>(at(name))]; }
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

// Applies `rules` until none fires, in node order, walking sub-graphs; of the rules for one root
// the first that matches wins. Inner values of a match must be read by matched nodes only, not be
// an output and carry no QuantParams. The root's value stays, with its name, type and QuantParams:
// the new maker takes it over. The replacing nodes get the joined origins of the matched ones, the
// last of them the root's name. Nodes stay sorted. Bounded by 10 rounds over the graph.
Result<RuleHits> apply_rules(Graph& graph, const std::vector<Rule>& rules);

// Keeps the first of equal names, in order: joined origins.
void drop_repeats(std::vector<std::string>& names);

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
