#include "libconvert/frontends/tensorflow/flow.h"

#include <algorithm>
#include <set>

#include "libconvert/frontends/tensorflow/op_map.h"

namespace mnn::tensorflow {
namespace {

// Branches inside each other.
constexpr size_t kMostWays = 64;

bool is_enter(std::string_view op) { return op == "Enter" || op == "RefEnter"; }
bool is_exit(std::string_view op) { return op == "Exit" || op == "RefExit"; }
bool is_next(std::string_view op) { return op == "NextIteration" || op == "RefNextIteration"; }
bool is_merge(std::string_view op) { return op == "Merge" || op == "RefMerge"; }
bool is_switch(std::string_view op) {
  return op == "Switch" || op == "RefSwitch" || op == "_SwitchN";
}

class Reader {
 public:
  explicit Reader(const Body& body) : body_(body), size_(body.nodes.size()) {}

  Result<Flow> run() {
    flow_.ways.assign(size_, -1);
    flow_.depth.assign(size_, 0);
    flow_.loop_of.assign(size_, -1);
    MNN_RETURN_IF_ERROR(find_loops());
    for (size_t n = 0; n < size_; ++n) MNN_RETURN_IF_ERROR(visit(static_cast<int>(n)));
    return std::move(flow_);
  }

 private:
  const BodyNode& at(int n) const { return body_.nodes[static_cast<size_t>(n)]; }
  Status wrong(int n, const std::string& what) const {
    return invalid(what).context("node " + std::string(at(n).name) + " (" + std::string(at(n).op) +
                                 ")");
  }

  // The loop an Enter belongs to, by its frame's name.
  Result<int> loop_named(int enter) {
    const auto name = at(enter).def->attr().find("frame_name");
    if (name == at(enter).def->attr().end() || at(enter).inputs.size() != 1) {
      return wrong(enter, "expected one input and the name of a frame");
    }
    const auto [it, fresh] =
        by_name_.emplace(name->second.s(), static_cast<int>(flow_.loops.size()));
    if (fresh) {
      flow_.names.push_back(it->first);
      flow_.loops.emplace_back();
    }
    return it->second;
  }

  Status find_loops() {
    for (size_t i = 0; i < size_; ++i) {
      const int n = static_cast<int>(i);
      if (is_enter(at(n).op)) {
        MNN_ASSIGN_OR_RETURN(const int loop, loop_named(n));
        entered_.emplace(n, loop);
      }
    }
    // A Merge of what enters and what comes round carries a value.
    for (size_t i = 0; i < size_; ++i) {
      const int n = static_cast<int>(i);
      if (!is_merge(at(n).op) || at(n).inputs.size() != 2) continue;
      const int first = at(n).inputs[0].node, second = at(n).inputs[1].node;
      const bool turned = entered_.contains(second);
      const int enter = turned ? second : first, next = turned ? first : second;
      if (!entered_.contains(enter) || !is_next(at(next).op)) continue;
      if (at(next).inputs.size() != 1) return wrong(next, "expected one input");
      const int loop = entered_[enter];
      WhileFrame& w = flow_.loops[static_cast<size_t>(loop)];
      w.merges.push_back(n);
      w.nexts.push_back(next);
      w.initial.push_back(at(enter).inputs[0]);
      w.exits.push_back(-1);
      carrying_.insert(enter);
      flow_.loop_of[i] = loop;
    }
    for (const auto& [enter, loop] : entered_) {
      if (!carrying_.contains(enter)) {
        flow_.loops[static_cast<size_t>(loop)].constants.push_back(at(enter).inputs[0]);
      }
    }
    // Behind each Merge a Switch that goes on or leaves.
    std::map<int, int> switched;  // Switch -> Merge
    for (size_t i = 0; i < size_; ++i) {
      const int n = static_cast<int>(i);
      if (!is_switch(at(n).op) || at(n).inputs.size() != 2) continue;
      const int condition = at(n).inputs[1].node, merge = at(n).inputs[0].node;
      const int loop = flow_.loop_of[static_cast<size_t>(merge)];
      if (at(condition).op != "LoopCond") continue;
      if (!is_merge(at(merge).op) || loop < 0) return wrong(n, "it switches what no loop carries");
      WhileFrame& w = flow_.loops[static_cast<size_t>(loop)];
      if (w.condition >= 0 && w.condition != condition) {
        return wrong(n, "its loop has two conditions");
      }
      w.condition = condition;
      flow_.loop_of[static_cast<size_t>(condition)] = loop;
      switched.emplace(n, merge);
      loop_switches_.insert(n);
    }
    for (size_t i = 0; i < size_; ++i) {
      const int n = static_cast<int>(i);
      if (!is_exit(at(n).op)) continue;
      const auto from =
          at(n).inputs.size() == 1 ? switched.find(at(n).inputs[0].node) : switched.end();
      if (from == switched.end()) return wrong(n, "it leaves no loop");
      const int loop = flow_.loop_of[static_cast<size_t>(from->second)];
      WhileFrame& w = flow_.loops[static_cast<size_t>(loop)];
      const auto place = std::ranges::find(w.merges, from->second) - w.merges.begin();
      w.exits[static_cast<size_t>(place)] = n;
      flow_.loop_of[i] = loop;
    }
    return {};
  }

  // What a node waits for, without the way back of loops.
  std::vector<int> before(int n) const {
    std::vector<int> nodes;
    const bool loop_merge = is_merge(at(n).op) && flow_.loop_of[static_cast<size_t>(n)] >= 0;
    for (const Edge& e : at(n).inputs) {
      if (loop_merge && is_next(at(e.node).op)) continue;
      nodes.push_back(e.node);
    }
    nodes.insert(nodes.end(), at(n).controls.begin(), at(n).controls.end());
    return nodes;
  }

  Status visit(int root) {
    std::vector<int> stack = {root};
    while (!stack.empty()) {
      const int n = stack.back();
      if (flow_.ways[static_cast<size_t>(n)] >= 0) {
        stack.pop_back();
        continue;
      }
      if (open_.insert(n).second) {
        for (const int b : before(n)) {
          if (flow_.ways[static_cast<size_t>(b)] >= 0) continue;
          if (open_.contains(b)) {
            return invalid("nodes " + std::string(at(b).name) + " and " + std::string(at(n).name) +
                           " depend on each other");
          }
          stack.push_back(b);
        }
        continue;
      }
      stack.pop_back();
      MNN_RETURN_IF_ERROR(set_ways(n));
    }
    return {};
  }

  int intern(Ways ways) {
    const auto [it, fresh] = known_.emplace(std::move(ways), static_cast<int>(flow_.sets.size()));
    if (fresh) flow_.sets.push_back(it->first);
    return it->second;
  }

  Status set_ways(int n) {
    const BodyNode& node = at(n);
    int& depth = flow_.depth[static_cast<size_t>(n)];
    for (const int b : before(n)) depth = std::max(depth, flow_.depth[static_cast<size_t>(b)]);
    if (is_merge(node.op) && flow_.loop_of[static_cast<size_t>(n)] < 0) return join(n);
    Ways all;
    for (const int b : before(n)) {
      const Ways& ways = flow_.ways_of(b);
      if (all == ways) continue;
      Ways both;
      std::ranges::set_union(all, ways, std::back_inserter(both));
      all = std::move(both);
    }
    // What a Switch sends this way runs only where it does. Outputs of one node go two ways: the
    // node behind is the one that stands in a branch.
    for (const Edge& e : node.inputs) add_way(all, e.node, e.output);
    if (all.size() > kMostWays) {
      return limit_exceeded("branches are nested more than " + std::to_string(kMostWays) + " deep");
    }
    flow_.ways[static_cast<size_t>(n)] = intern(std::move(all));
    return {};
  }

  void add_way(Ways& ways, int from, int output) const {
    if (!is_switch(at(from).op) || loop_switches_.contains(from) || at(from).inputs.size() != 2) {
      return;
    }
    const Way way{behind_passes(body_, at(from).inputs[1]), output};
    const auto place = std::ranges::lower_bound(ways, way);
    if (place == ways.end() || *place != way) ways.insert(place, way);
  }

  // The ways of an input of a Merge.
  Ways ways_to(const Edge& e) const {
    Ways ways = flow_.ways_of(e.node);
    add_way(ways, e.node, e.output);
    return ways;
  }

  Status join(int n) {
    const BodyNode& node = at(n);
    if (node.inputs.size() < 2) return wrong(n, "expected two inputs or more");
    std::vector<Ways> ways;
    for (const Edge& e : node.inputs) ways.push_back(ways_to(e));
    // What chooses between them: a condition on which the inputs stand in different branches.
    std::optional<Edge> choice;
    for (const Way& w : ways[0]) {
      for (const Way& other : ways[1]) {
        if (other.condition == w.condition && other.branch != w.branch) choice = w.condition;
      }
    }
    // A branch may have nothing in it that a Switch sends: then it is what the other is not.
    for (size_t i = 0; !choice && i < 2; ++i) {
      Ways more;
      std::ranges::set_difference(ways[i], ways[1 - i], std::back_inserter(more));
      if (more.size() == 1) choice = more[0].condition;
    }
    if (!choice) return wrong(n, "no Switch parts what it joins");
    Flow::Join j{*choice, {}};
    std::vector<char> placed(node.inputs.size());
    for (size_t i = 0; i < ways.size(); ++i) {
      for (const Way& w : ways[i]) {
        if (w.condition != *choice) continue;
        const auto branch = static_cast<size_t>(w.branch);
        if (branch >= ways.size()) return wrong(n, "it joins too few branches");
        if (j.input_of.size() <= branch) j.input_of.resize(branch + 1, -1);
        if (j.input_of[branch] >= 0) return wrong(n, "it joins one branch twice");
        j.input_of[branch] = static_cast<int>(i);
        placed[i] = 1;
      }
    }
    j.input_of.resize(ways.size(), -1);
    for (size_t i = 0; i < placed.size(); ++i) {
      if (placed[i] != 0) continue;
      const auto free = std::ranges::find(j.input_of, -1);
      *free = static_cast<int>(i);
    }
    Ways common = ways[0];
    for (const Ways& w : ways) {
      Ways both;
      std::ranges::set_intersection(common, w, std::back_inserter(both));
      common = std::move(both);
    }
    std::erase_if(common, [&](const Way& w) { return w.condition == *choice; });
    flow_.ways[static_cast<size_t>(n)] = intern(std::move(common));
    ++flow_.depth[static_cast<size_t>(n)];
    flow_.joins.emplace(n, std::move(j));
    return {};
  }

  const Body& body_;
  const size_t size_;
  Flow flow_;
  std::map<std::string_view, int> by_name_;
  std::map<int, int> entered_;  // Enter -> loop
  std::set<int> carrying_, loop_switches_, open_;
  std::map<Ways, int> known_;
};

}  // namespace

Result<Flow> read_flow(const Body& body) { return Reader(body).run(); }

Edge behind_passes(const Body& body, Edge edge) {
  // As often as there are nodes: a cycle of them ends somewhere.
  for (size_t i = 0; i < body.nodes.size(); ++i) {
    const BodyNode& n = body.nodes[static_cast<size_t>(edge.node)];
    if (n.def == nullptr) break;
    const OpRow* row = find_row(n.op);
    if (row == nullptr || row->structure != Structure::kPass || edge.output < 0 ||
        static_cast<size_t>(edge.output) >= n.inputs.size()) {
      break;
    }
    edge = n.inputs[static_cast<size_t>(edge.output)];
  }
  return edge;
}

bool Flow::stands_in(int node, const Edge& condition) const {
  return std::ranges::any_of(ways_of(node), [&](const Way& w) { return w.condition == condition; });
}

std::vector<Edge> Flow::outside(const Body& body, int merge, const Edge& condition) const {
  std::vector<Edge> found = {condition};
  std::set<int> seen;
  std::vector<Edge> stack = body.nodes[static_cast<size_t>(merge)].inputs;
  while (!stack.empty()) {
    const Edge e = stack.back();
    stack.pop_back();
    const BodyNode& n = body.nodes[static_cast<size_t>(e.node)];
    const bool parts =
        is_switch(n.op) && n.inputs.size() == 2 && behind_passes(body, n.inputs[1]) == condition;
    if (parts) {
      found.push_back(n.inputs[0]);
    } else if (!stands_in(e.node, condition)) {
      found.push_back(e);
    } else if (seen.insert(e.node).second) {
      for (const Edge& in : n.inputs) stack.push_back(in);
    }
  }
  return found;
}

}  // namespace mnn::tensorflow
