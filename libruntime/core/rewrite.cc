// The rewrite driver. Every round indexes the graph once, visits its nodes in order and keeps the
// index true while matches fire, so a round is linear in nodes and a chain collapses in one round.
#include "libruntime/core/rewrite.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "libruntime/core/op.h"

namespace mnn {

Pattern any(std::string name) {
  Pattern p;
  p.name = std::move(name);
  return p;
}

Pattern constant(std::string name) {
  Pattern p;
  p.kind = Pattern::Kind::kConstant;
  p.name = std::move(name);
  return p;
}

Pattern op(std::string op_type, std::vector<Pattern> inputs, std::string name) {
  return one_of({std::move(op_type)}, std::move(inputs), std::move(name));
}

Pattern one_of(std::vector<std::string> op_types, std::vector<Pattern> inputs, std::string name) {
  Pattern p;
  p.kind = Pattern::Kind::kOp;
  p.ops = std::move(op_types);
  p.inputs = std::move(inputs);
  p.name = std::move(name);
  return p;
}

Pattern commutative(Pattern pattern) {
  pattern.commutes = true;
  return pattern;
}

Pattern with_any_inputs(std::string op_type, std::string name) {
  Pattern p = op(std::move(op_type), {}, std::move(name));
  p.any_inputs = true;
  return p;
}

void drop_repeats(std::vector<std::string>& names) {
  std::unordered_set<std::string> seen;
  std::erase_if(names, [&](const std::string& name) { return !seen.insert(name).second; });
}

namespace {

constexpr int kMaxRounds = 10;

// A graph under rewriting, with its index: who makes and who reads each value.
class Site {
 public:
  explicit Site(Graph& graph) : graph_(graph) {
    grow();
    for (size_t n = 0; n < graph.nodes.size(); ++n) index_node(static_cast<NodeId>(n));
    for (const ValueId v : graph.results()) ++output_uses_[index(v)];
    removed_.assign(graph.nodes.size(), 0);
    place_.resize(graph.nodes.size());
    std::iota(place_.begin(), place_.end(), size_t{0});
  }

  Graph& graph() { return graph_; }
  std::span<const NodeId> producers() const { return producer_; }
  std::span<const int> reads() const { return reads_; }
  NodeId producer(ValueId v) const { return producer_[index(v)]; }
  int reads(ValueId v) const { return reads_[index(v)]; }
  bool is_result(ValueId v) const { return output_uses_[index(v)] > 0; }
  bool removed(NodeId n) const { return removed_[index(n)] != 0; }
  size_t place(NodeId n) const { return place_[index(n)]; }

  // Takes in the nodes added since the last call; they stand where `root` stands.
  void adopt(NodeId root) {
    grow();
    for (size_t n = removed_.size(); n < graph_.nodes.size(); ++n) {
      removed_.push_back(0);
      place_.push_back(place_[index(root)]);
      index_node(static_cast<NodeId>(n));
    }
  }

  // `node` makes `value` from now on, in place of its output `old`.
  void take_over(NodeId node, ValueId old, ValueId value) {
    std::vector<ValueId>& outputs = graph_.node(node).outputs;
    std::replace(outputs.begin(), outputs.end(), old, value);
    producer_[index(value)] = node;
    producer_[index(old)] = -1;
  }

  // Every node that reads `from` reads `to` instead. Graph outputs stay.
  void redirect(ValueId from, ValueId to) {
    if (from == to) return;
    std::vector<Reader> readers = std::move(readers_[index(from)]);
    readers_[index(from)].clear();
    for (const Reader& r : readers) {
      if (removed(r.node)) continue;
      ValueId& v = slot(r);
      if (v != from) continue;  // it reads another value by now
      v = to;
      --reads_[index(from)];
      ++reads_[index(to)];
      readers_[index(to)].push_back(r);
    }
  }

  // Removes a node, and with it every node that only it needed.
  void remove(NodeId first) {
    std::vector<NodeId> work = {first};
    while (!work.empty()) {
      const NodeId n = work.back();
      work.pop_back();
      if (removed(n)) continue;
      removed_[index(n)] = 1;
      const Node& node = graph_.node(n);
      for (const ValueId v : node.outputs) {
        if (v != kNoValue && producer(v) == n) producer_[index(v)] = -1;
      }
      for (const auto* list : {&node.inputs, &node.captures}) {
        for (const ValueId v : *list) {
          if (v == kNoValue || --reads_[index(v)] > 0) continue;
          const NodeId p = producer(v);
          if (p >= 0 && is_dead(p)) work.push_back(p);
        }
      }
    }
  }

  // Gives `made` the names of all `nodes`, in node order; what repeats goes when the round ends.
  // The nodes are on their way out, so their lists are taken, not copied: long chains stay linear.
  void join_origins(std::vector<NodeId> nodes, std::span<const NodeId> made) {
    std::sort(nodes.begin(), nodes.end(),
              [&](NodeId a, NodeId b) { return std::pair(place(a), a) < std::pair(place(b), b); });
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    if (made.empty()) return;
    std::vector<std::string> joined = std::move(graph_.node(nodes[0]).origin);
    for (size_t i = 1; i < nodes.size(); ++i) {
      std::vector<std::string>& more = graph_.node(nodes[i]).origin;
      joined.insert(joined.end(), std::move_iterator(more.begin()), std::move_iterator(more.end()));
    }
    for (const NodeId n : made.first(made.size() - 1)) graph_.node(n).origin = joined;
    graph_.node(made.back()).origin = std::move(joined);
    joined_.insert(joined_.end(), made.begin(), made.end());
  }

  // Drops removed nodes and puts the added ones in their places.
  void compact() {
    for (const NodeId n : joined_) drop_repeats(graph_.node(n).origin);
    std::vector<size_t> order;
    order.reserve(graph_.nodes.size());
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (!removed_[n]) order.push_back(n);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return place_[a] < place_[b]; });
    std::vector<Node> nodes;
    nodes.reserve(order.size());
    for (const size_t n : order) nodes.push_back(std::move(graph_.nodes[n]));
    graph_.nodes = std::move(nodes);
  }

 private:
  // One read: the inputs of a node count from 0, then its captures.
  struct Reader {
    NodeId node;
    size_t slot;
  };

  static size_t index(int32_t id) { return static_cast<size_t>(id); }

  ValueId& slot(const Reader& r) {
    Node& node = graph_.node(r.node);
    const size_t inputs = node.inputs.size();
    return r.slot < inputs ? node.inputs[r.slot] : node.captures[r.slot - inputs];
  }

  void grow() {
    producer_.resize(graph_.values.size(), -1);
    readers_.resize(graph_.values.size());
    reads_.resize(graph_.values.size(), 0);
    output_uses_.resize(graph_.values.size(), 0);
  }

  void index_node(NodeId n) {
    const Node& node = graph_.node(n);
    for (const ValueId v : node.outputs) {
      if (v != kNoValue) producer_[index(v)] = n;
    }
    size_t at = 0;
    for (const auto* list : {&node.inputs, &node.captures}) {
      for (const ValueId v : *list) {
        if (v != kNoValue) {
          readers_[index(v)].push_back({n, at});
          ++reads_[index(v)];
        }
        ++at;
      }
    }
  }

  bool is_dead(NodeId n) const {
    for (const ValueId v : graph_.node(n).outputs) {
      if (v != kNoValue && (reads(v) > 0 || is_result(v))) return false;
    }
    return true;
  }

  Graph& graph_;
  std::vector<NodeId> producer_;
  std::vector<std::vector<Reader>> readers_;  // may hold reads that are gone or of others by now
  std::vector<int> reads_, output_uses_;
  std::vector<char> removed_;
  std::vector<size_t> place_;
  std::vector<NodeId> joined_;  // nodes whose origin was joined from others'
};

// Finds a match of one rule at one node: goals are solved in order, the two orders of a commutative
// operator and the rule's `when` are choice points.
class Matcher {
 public:
  Matcher(Site& site, const Rule& rule, NodeId root)
      : site_(site), rule_(rule), match_{site.graph(),     {},          {}, root,
                                         site.producers(), site.reads()} {}

  bool run() {
    const Node& root = match_.root_node();
    if (root.outputs.empty() || root.outputs[0] == kNoValue) return false;
    goals_.push_back({&rule_.pattern, root.outputs[0]});
    return solve();
  }
  const Match& match() const { return match_; }
  const std::vector<NodeId>& matched() const { return matched_; }

 private:
  struct Goal {
    const Pattern* pattern;
    ValueId value;
  };

  // On failure everything is as it was before the call.
  bool solve() {
    if (goals_.empty()) return inner_values_are_private() && (!rule_.when || rule_.when(match_));
    const Goal goal = goals_.back();
    goals_.pop_back();
    const bool found = goal.value != kNoValue && bind(*goal.pattern, goal.value);
    if (!found) goals_.push_back(goal);
    return found;
  }

  bool bind(const Pattern& p, ValueId value) {
    if (p.kind == Pattern::Kind::kConstant && !site_.graph().constant(value)) return false;
    bool fresh = false;
    if (!p.name.empty()) {
      const auto [it, inserted] = match_.values.emplace(p.name, value);
      if (it->second != value) return false;
      fresh = inserted;
    }
    const bool found = p.kind == Pattern::Kind::kOp ? match_node(p, value) : solve();
    if (!found && fresh) match_.values.erase(p.name);
    return found;
  }

  bool match_node(const Pattern& p, ValueId value) {
    const NodeId n = site_.producer(value);
    if (n < 0) return false;
    const Node& node = site_.graph().node(n);
    if (std::find(p.ops.begin(), p.ops.end(), node.op) == p.ops.end()) return false;
    if (node.outputs[0] != value || !node.subgraphs.empty()) return false;
    for (size_t i = 1; i < node.outputs.size(); ++i) {
      const ValueId other = node.outputs[i];
      if (other != kNoValue && (site_.reads(other) > 0 || site_.is_result(other))) return false;
    }
    matched_.push_back(n);
    const bool fresh = !p.name.empty() && match_.nodes.emplace(p.name, n).second;
    const bool found = p.any_inputs ? solve() : match_inputs(p, node);
    if (!found) {
      if (fresh) match_.nodes.erase(p.name);
      matched_.pop_back();
    }
    return found;
  }

  bool match_inputs(const Pattern& p, const Node& node) {
    size_t count = node.inputs.size();
    while (count > p.inputs.size() && node.inputs[count - 1] == kNoValue) --count;
    if (!node.fused.empty() || count != p.inputs.size()) return false;
    const size_t base = goals_.size();
    for (const bool swapped : {false, true}) {
      if (swapped && (!p.commutes || count < 2)) break;
      for (size_t i = count; i-- > 0;) {
        const size_t from = swapped && i < 2 ? 1 - i : i;
        goals_.push_back({&p.inputs[i], node.inputs[from]});
      }
      if (solve()) return true;
      goals_.resize(base);
    }
    return false;
  }

  bool inner_values_are_private() const {
    if (matched_.size() < 2) return true;
    std::vector<NodeId> readers = matched_;  // a node may have been reached on two paths
    std::sort(readers.begin(), readers.end());
    readers.erase(std::unique(readers.begin(), readers.end()), readers.end());
    for (const NodeId n : readers) {
      if (n == match_.root) continue;
      const ValueId v = site_.graph().node(n).outputs[0];
      if (site_.is_result(v) || site_.graph().value(v).quant) return false;
      long inside = 0;
      for (const NodeId r : readers) {
        const std::vector<ValueId>& in = site_.graph().node(r).inputs;
        inside += std::count(in.begin(), in.end(), v);
      }
      if (inside != site_.reads(v)) return false;
    }
    return true;
  }

  Site& site_;
  const Rule& rule_;
  Match match_;
  std::vector<Goal> goals_;
  std::vector<NodeId> matched_;
};

// What `known` tells and `type` does not.
void refine(Type& type, const Type& known) {
  if (!type.defined()) {
    type = known;
    return;
  }
  if (!known.shape || known.dtype != type.dtype || known.kind != type.kind) return;
  if (!type.shape) {
    type.shape = known.shape;
    return;
  }
  if (type.shape->size() != known.shape->size()) return;
  for (size_t i = 0; i < type.shape->size(); ++i) {
    if (!(*type.shape)[i].known() && (*known.shape)[i].known())
      (*type.shape)[i] = (*known.shape)[i];
  }
}

// Makes everybody who wants `out` (the root's value) get `x`, a value that was there before or a
// constant. The border keeps its names: where one value would have to be two, an Identity stays.
// Returns false when that is all the root was.
bool substitute(Site& site, NodeId root, ValueId out, ValueId x) {
  Graph& graph = site.graph();
  const bool to_quantize = graph.value(out).quant && graph.value(out).quant != graph.value(x).quant;
  if (!site.is_result(out) && !to_quantize) {
    if (graph.value(x).kind == ValueKind::kTemporary) {
      refine(graph.value(x).type, graph.value(out).type);
    }
    site.redirect(out, x);
    return true;
  }
  const bool movable = graph.value(x).kind == ValueKind::kTemporary && site.producer(x) >= 0 &&
                       !site.is_result(x) && !graph.value(x).quant;
  if (movable && (!to_quantize || site.reads(x) == 1)) {
    refine(graph.value(out).type, graph.value(x).type);
    site.take_over(site.producer(x), x, out);
    site.redirect(x, out);
    return true;
  }
  if (graph.node(root).op == "Identity") return false;
  Node identity;
  identity.op = "Identity";
  identity.name = graph.node(root).name;
  identity.inputs = {x};
  identity.outputs = {out};
  graph.add_node(std::move(identity));
  site.adopt(root);
  return true;
}

// Types for the rules that follow in this round. What cannot be inferred, run_passes will judge: it
// may stand in a branch that is never taken.
void infer_added(Graph& graph, size_t first) {
  for (size_t n = first; n < graph.nodes.size(); ++n) {
    const auto inferred = infer_node(graph, graph.nodes[n]);
    if (!inferred.ok()) continue;
    for (size_t i = 0; i < graph.nodes[n].outputs.size(); ++i) {
      const ValueId v = graph.nodes[n].outputs[i];
      if (v != kNoValue) refine(graph.value(v).type, (*inferred)[i].type);
    }
  }
}

// Applies one match. Returns false when the builder declined.
bool fire(Site& site, const Rule& rule, const Match& match, const std::vector<NodeId>& matched) {
  Graph& graph = site.graph();
  const size_t nodes_before = graph.nodes.size(), values_before = graph.values.size();
  const NodeId root = match.root;
  const ValueId out = match.output();
  Builder builder(graph);
  const ValueId result = rule.build(builder, match);
  if (result == kNoValue || result == out) {
    graph.nodes.resize(nodes_before);
    graph.values.resize(values_before);
    return false;
  }
  site.adopt(root);
  const NodeId maker = site.producer(result);
  if (maker >= 0 && static_cast<size_t>(maker) >= nodes_before) {
    if (graph.node(maker).name.empty()) graph.node(maker).name = graph.node(root).name;
    site.take_over(maker, result, out);
    site.redirect(result, out);
  } else if (!substitute(site, root, out, result)) {
    for (size_t n = nodes_before; n < graph.nodes.size(); ++n) site.remove(static_cast<NodeId>(n));
    return false;
  }
  std::vector<NodeId> made(graph.nodes.size() - nodes_before);
  std::iota(made.begin(), made.end(), static_cast<NodeId>(nodes_before));
  site.join_origins(matched, made);
  site.remove(root);  // and with it the inner nodes, which nobody else reads
  infer_added(graph, nodes_before);
  return true;
}

using RulesByRoot = std::unordered_map<std::string_view, std::vector<const Rule*>>;

int apply_round(Graph& graph, const RulesByRoot& rules, RuleHits& hits) {
  Site site(graph);
  const size_t count = graph.nodes.size();
  int fired = 0;
  for (size_t n = 0; n < count; ++n) {
    const auto root = static_cast<NodeId>(n);
    if (site.removed(root)) continue;
    const auto candidates = rules.find(graph.node(root).op);
    if (candidates == rules.end()) continue;
    for (const Rule* rule : candidates->second) {
      Matcher matcher(site, *rule, root);
      if (!matcher.run()) continue;
      if (!fire(site, *rule, matcher.match(), matcher.matched())) continue;
      ++hits.count[rule->name];
      ++fired;
      break;
    }
  }
  site.compact();
  return fired;
}

void apply_to(Graph& graph, const RulesByRoot& rules, RuleHits& hits) {
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) apply_to(g, rules, hits);
  }
  for (int round = 0; round < kMaxRounds; ++round) {
    if (apply_round(graph, rules, hits) == 0) break;
  }
}

}  // namespace

Result<RuleHits> apply_rules(Graph& graph, const std::vector<Rule>& rules) {
  RulesByRoot by_root;
  for (const Rule& rule : rules) {
    for (const std::string& root_op : rule.pattern.ops) by_root[root_op].push_back(&rule);
  }
  RuleHits hits;
  apply_to(graph, by_root, hits);
  return hits;
}

Status run_passes(Graph& graph, const std::vector<Pass>& passes, const PassOptions& options) {
  for (const Pass& pass : passes) {
    const std::string where = "pass " + pass.name;
    const Result<int> changes = pass.run(graph);
    if (!changes.ok()) return changes.status().context(where);
    if (*changes == 0) continue;
    for (const auto check :
         {+[](Graph& g) { return sort_nodes(g); }, +[](Graph& g) { return infer_types(g); },
          +[](Graph& g) { return verify(g); }}) {
      const Status status = check(graph);
      if (!status.ok()) return status.context(where);
    }
    if (options.after) options.after(pass.name, *changes, graph);
  }
  return {};
}

}  // namespace mnn
