// Transposes move towards the outputs until they cancel, merge or are needed.
//
// For one permutation: everything that depends on Transpose(x', perm) through operators that can
// work on either layout is a region. Were it computed in the layout of x', a Transpose would be
// needed for what enters it from elsewhere and for what leaves it, and none for what comes from
// such a Transpose or goes to its inverse. A region moves when that needs fewer. Every value is
// looked at a bounded number of times.
#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"
#include "libconvert/passes/permute.h"

namespace mnn {
namespace {

// Different permutations tried in one graph: a bound for hostile ones.
constexpr size_t kMaxPerms = 32;
// Values read more often are not weighed again and again while a region is trimmed.
constexpr size_t kMaxTrimReaders = 256;

class Region {
 public:
  Region(Graph& graph, const Perm& perm)
      : graph_(graph),
        perm_(perm),
        inverse_(inverse(perm)),
        uses_(index_uses(graph)),
        member_(graph.nodes.size()),
        component_(graph.nodes.size()) {}

  int run() {
    grow();
    trim();
    join();
    choose();
    return moved_ > 0 ? rebuild() : 0;
  }

 private:
  static size_t at(int32_t id) { return static_cast<size_t>(id); }

  bool is_seed(NodeId n) const { return n >= 0 && seeds_[at(n)]; }
  bool is_member(NodeId n) const { return n >= 0 && member_[at(n)].has_value(); }
  bool makes_layout(NodeId n) const { return is_member(n) && !member_[at(n)]->ends_layout; }
  bool reads_as_data(NodeId n, ValueId v) const {
    if (!is_member(n)) return false;
    const Node& node = graph_.node(n);
    const auto& data = member_[at(n)]->data;
    if (data.size() == node.inputs.size()) return true;
    // A reader that also wants it as something else needs the old layout as well.
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == v && std::ranges::find(data, i) == data.end()) return false;
    }
    return true;
  }

  // All that depends on a Transpose by perm_ and can be permuted.
  void grow() {
    seeds_.assign(graph_.nodes.size(), 0);
    std::vector<char> reached(graph_.values.size(), 0);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (perm_of(graph_, node) == perm_) {
        seeds_[n] = 1;
        reached[at(node.outputs[0])] = 1;
        continue;
      }
      if (std::ranges::none_of(node.inputs,
                               [&](ValueId v) { return v != kNoValue && reached[at(v)]; })) {
        continue;
      }
      std::optional<Permutable> p = as_permutable(graph_, node, perm_);
      if (!p ||
          std::ranges::none_of(p->data, [&](size_t i) { return reached[at(node.inputs[i])]; })) {
        continue;
      }
      const bool goes_on = !p->ends_layout;
      member_[n] = std::move(p);
      for (const ValueId v : node.outputs) {
        if (v != kNoValue && goes_on) reached[at(v)] = 1;
      }
    }
  }

  // Transposes that value `v` costs (positive) or saves (negative) with the present members.
  int cost(ValueId v) const {
    const std::vector<NodeId>& readers = uses_.consumers[at(v)];
    const NodeId maker = uses_.producer[at(v)];
    if (makes_layout(maker)) {
      bool needed = uses_.output_uses[at(v)] > 0;
      int saved = 0;
      for (const NodeId r : readers) {
        if (reads_as_data(r, v)) continue;
        const std::optional<Perm> perm = perm_of(graph_, graph_.node(r));
        if (!perm) needed = true;
        if (perm == inverse_) ++saved;
      }
      return (needed ? 1 : 0) - saved;
    }
    size_t inside = 0;
    for (const NodeId r : readers) inside += reads_as_data(r, v);
    if (inside == 0) return 0;
    if (is_seed(maker)) {
      return inside == readers.size() && uses_.output_uses[at(v)] == 0 ? -1 : 0;
    }
    if (graph_.constant(v) || graph_.value(v).type.rank() == 0) return 0;
    const bool merges = maker >= 0 && graph_.node(maker).op == "Transpose" &&
                        readers.size() == inside && uses_.output_uses[at(v)] == 0;
    return merges ? 0 : 1;
  }

  std::vector<ValueId> values_of(NodeId n) const {
    const Node& node = graph_.node(n);
    std::vector<ValueId> values;
    for (const size_t i : member_[at(n)]->data) values.push_back(node.inputs[i]);
    for (const ValueId v : node.outputs) {
      if (v != kNoValue) values.push_back(v);
    }
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    return values;
  }

  // From the end: nodes that make the region dearer leave it.
  void trim() {
    for (size_t n = graph_.nodes.size(); n-- > 0;) {
      const auto id = static_cast<NodeId>(n);
      if (!is_member(id)) continue;
      const std::vector<ValueId> values = values_of(id);
      const auto is_light = [&](ValueId v) {
        return uses_.consumers[at(v)].size() <= kMaxTrimReaders;
      };
      bool has_reader_inside = false;
      for (const ValueId v : graph_.nodes[n].outputs) {
        if (v == kNoValue || !is_light(v)) continue;
        for (const NodeId r : uses_.consumers[at(v)]) has_reader_inside |= reads_as_data(r, v);
      }
      if (has_reader_inside || values.size() > kMaxTrimReaders ||
          !std::ranges::all_of(values, is_light)) {
        continue;
      }
      int with = 0, without = 0;
      for (const ValueId v : values) with += cost(v);
      std::optional<Permutable> kept = std::exchange(member_[n], std::nullopt);
      for (const ValueId v : values) without += cost(v);
      if (without >= with) member_[n] = std::move(kept);
    }
  }

  size_t root(size_t n) {
    while (component_[n] != n) n = component_[n] = component_[component_[n]];
    return n;
  }

  // Members that share a value move together.
  void join() {
    std::iota(component_.begin(), component_.end(), size_t{0});
    std::vector<NodeId> first(graph_.values.size(), -1);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const auto id = static_cast<NodeId>(n);
      if (!is_member(id)) continue;
      for (const ValueId v : values_of(id)) {
        if (graph_.constant(v)) continue;
        if (first[at(v)] < 0) {
          first[at(v)] = id;
        } else {
          component_[root(n)] = root(at(first[at(v)]));
        }
      }
    }
  }

  // Keeps the components that need fewer Transposes afterwards, or as many but let the convolution
  // before them take over what follows it.
  void choose() {
    std::map<size_t, int> sum;
    std::map<size_t, bool> follows_conv;
    std::vector<char> seen(graph_.values.size(), 0);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const auto id = static_cast<NodeId>(n);
      if (!is_member(id)) continue;
      for (const ValueId v : values_of(id)) {
        if (seen[at(v)]) continue;
        seen[at(v)] = 1;
        sum[root(n)] += cost(v);
        const NodeId maker = uses_.producer[at(v)];
        if (!is_seed(maker)) continue;
        const NodeId before = uses_.producer[at(graph_.node(maker).inputs[0])];
        if (before < 0) continue;
        follows_conv[root(n)] |= has_traits(graph_.node(before).op, kConvolves);
      }
    }
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (!member_[n]) continue;
      const size_t c = root(n);
      if (sum[c] < 0 || (sum[c] == 0 && follows_conv[c])) {
        ++moved_;
      } else {
        drop_.push_back(n);
      }
    }
    for (const size_t n : drop_) member_[n].reset();
  }

  Node transpose(ValueId from, ValueId to, const Perm& perm, const Node& beside) const {
    Node node;
    node.op = "Transpose";
    node.inputs = {from};
    node.outputs = {to};
    node.attributes["perm"] = perm;
    node.origin = beside.origin;
    return node;
  }

  // `v` as the new layout has it; a Transpose goes to `nodes` when there is none yet.
  ValueId in_new_layout(ValueId v, const Node& reader, std::vector<Node>& nodes) {
    if (graph_.value(v).type.rank() == 0) return v;
    const auto [it, inserted] = new_.emplace(v, kNoValue);
    if (!inserted) return it->second;
    if (const Tensor* t = graph_.constant(v)) {
      if (const std::optional<Tensor> permuted = permuted_constant(*t, perm_)) {
        return it->second = graph_.add_constant(*permuted);
      }
    }
    const NodeId maker = v_producer(v);
    if (is_seed(maker) && adds_no_rounding(graph_, seed_source_[at(maker)], v)) {
      return it->second = seed_source_[at(maker)];
    }
    const ValueId made = graph_.add_temporary();
    nodes.push_back(transpose(v, made, inverse_, reader));
    return new_[v] = made;
  }

  NodeId v_producer(ValueId v) const {
    return at(v) < uses_.producer.size() ? uses_.producer[at(v)] : -1;
  }

  int rebuild() {
    seed_source_.assign(graph_.nodes.size(), kNoValue);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (seeds_[n]) seed_source_[n] = graph_.nodes[n].inputs[0];
    }
    std::vector<Node> old = std::move(graph_.nodes), nodes;
    for (size_t n = 0; n < old.size(); ++n) {
      if (!member_[n]) {
        nodes.push_back(std::move(old[n]));
        continue;
      }
      Node node = std::move(old[n]);
      for (const size_t i : member_[n]->data) {
        node.inputs[i] = in_new_layout(node.inputs[i], node, nodes);
      }
      permute_parameters(graph_, node, perm_);
      std::vector<Node> after;
      for (ValueId& v : node.outputs) {
        if (v == kNoValue || member_[n]->ends_layout) continue;
        const ValueId made = graph_.add_temporary();
        graph_.value(made).quant = graph_.value(v).quant;
        if (auto& quant = graph_.value(made).quant; quant && quant->axis >= 0) {
          quant->axis = static_cast<int>(perm_[static_cast<size_t>(quant->axis)]);
        }
        after.push_back(transpose(made, v, perm_, node));
        new_[v] = made;
        v = made;
      }
      nodes.push_back(std::move(node));
      for (Node& t : after) nodes.push_back(std::move(t));
    }
    graph_.nodes = std::move(nodes);
    return moved_;
  }

  Graph& graph_;
  const Perm perm_, inverse_;
  Uses uses_;
  std::vector<char> seeds_;
  std::vector<std::optional<Permutable>> member_;
  std::vector<size_t> component_, drop_;
  std::map<ValueId, ValueId> new_;  // a value of the old layout -> the same in the new one
  std::vector<ValueId> seed_source_;
  int moved_ = 0;
};

// Transpose of a Transpose, and a Transpose that only moves dims of 1.
std::vector<Rule> merge_rules() {
  auto outer = [](const Match& m) { return perm_of(m.graph, m.root_node()); };
  auto inner = [](const Match& m) -> std::optional<Perm> {
    const Node* first = m.producer(m.at("y"));
    const bool same_grid = first && adds_no_rounding(m.graph, first->inputs[0], m.at("y"));
    if (!same_grid) return std::nullopt;
    return perm_of(m.graph, *first);
  };
  return {
      {"MergeTransposes", op("Transpose", {any("y")}),
       [outer, inner](Builder& b, const Match& m) {
         const Perm p = *inner(m), q = *outer(m);
         Perm both;
         for (const int64_t i : q) both.push_back(p[static_cast<size_t>(i)]);
         const ValueId x = m.producer(m.at("y"))->inputs[0];
         return is_identity(both) ? x : b.op("Transpose", {x}, {{"perm", both}});
       },
       [outer, inner](const Match& m) { return inner(m) && outer(m); }},
      {"DropTranspose", op("Transpose", {any("x")}),
       [](Builder&, const Match& m) { return m.at("x"); },
       [outer](const Match& m) {
         const auto perm = outer(m);
         return perm && is_identity(*perm);
       }},
  };
}

}  // namespace

Result<int> sink_transposes(Graph& graph) {
  int changes = 0;
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) {
      MNN_ASSIGN_OR_RETURN(const int inner, sink_transposes(g));
      changes += inner;
    }
  }
  static const std::vector<Rule> rules = merge_rules();
  std::vector<Perm> tried;
  while (tried.size() < kMaxPerms) {
    const auto next = std::ranges::find_if(graph.nodes, [&](const Node& node) {
      const std::optional<Perm> perm = perm_of(graph, node);
      return perm && !is_identity(*perm) && std::ranges::find(tried, *perm) == tried.end();
    });
    if (next == graph.nodes.end()) break;
    tried.push_back(*perm_of(graph, *next));
    const int moved = Region(graph, tried.back()).run();
    if (moved == 0) continue;
    changes += moved;
    remove_dead(graph);
    if (!infer_types(graph).ok())
      return changes;  // of a branch that is never taken, or run_passes tells
    MNN_ASSIGN_OR_RETURN(const int merged, apply_counted(graph, rules));
    changes += merged;
    remove_dead(graph);
  }
  MNN_ASSIGN_OR_RETURN(const int merged, apply_counted(graph, rules));
  return changes + merged;
}

}  // namespace mnn
