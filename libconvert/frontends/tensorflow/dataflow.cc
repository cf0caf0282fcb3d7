// Control flow of TensorFlow 1: Switch and Merge become If, Enter to Exit a Loop.
#include <algorithm>

#include "libconvert/frontends/tensorflow/import_state.h"

namespace mnn::tensorflow {

using frontend::Layouts;
using frontend::Scope;

Result<const Flow*> Importer::flow_of(const Body& body) {
  const auto known = flows_.find(&body);
  if (known != flows_.end()) return &known->second;
  MNN_ASSIGN_OR_RETURN(Flow flow, read_flow(body));
  return &flows_.emplace(&body, std::move(flow)).first->second;
}

Result<Items> Importer::add_merge(Frame& frame, int node, const std::string& name) {
  MNN_ASSIGN_OR_RETURN(const Flow* flow, flow_of(frame.body));
  const auto join = flow->joins.find(node);
  if (join == flow->joins.end()) return invalid("it carries a value of a loop, but not into it");
  const Edge condition = join->second.condition;
  MNN_ASSIGN_OR_RETURN(const Item chooser, demand(frame, condition));
  if (is_undefined(chooser)) {
    scan(frame.body, frame.body.nodes[static_cast<size_t>(node)].inputs);
    return Items{};
  }
  // All that the same branches hand out at once: what one of them gives another reads later.
  std::vector<int> merges;
  const size_t at = static_cast<size_t>(node);
  for (const auto& [other, j] : flow->joins) {
    const auto o = static_cast<size_t>(other);
    const bool same = j.condition == condition && flow->ways[o] == flow->ways[at] &&
                      flow->depth[o] == flow->depth[at] &&
                      j.input_of.size() == join->second.input_of.size();
    if (same && (other == node || !frame.made.contains(other))) merges.push_back(other);
  }
  std::vector<Make> ways;
  for (size_t branch = 0; branch < join->second.input_of.size(); ++branch) {
    ways.push_back([&, branch](Scope& scope, Layouts& layouts) -> Result<Items> {
      const Nested nested(nesting_);
      MNN_RETURN_IF_ERROR(check_nesting());
      Frame inside(frame.body, scope, layouts);
      inside.parent = &frame;
      inside.condition = condition;
      inside.branch = static_cast<int>(branch);
      inside.loop = frame.loop;
      Items items;
      for (const int m : merges) {
        const int input = flow->joins.at(m).input_of[branch];
        const Edge e = frame.body.nodes[static_cast<size_t>(m)].inputs[static_cast<size_t>(input)];
        MNN_ASSIGN_OR_RETURN(Item item, demand(inside, e));
        items.push_back(std::move(item));
      }
      return items;
    });
  }
  MNN_ASSIGN_OR_RETURN(const ValueId index, local(frame.scope, chooser));
  MNN_ASSIGN_OR_RETURN(const Items results,
                       branches(frame.scope, frame.layouts, index, ways, merges.size(), name));
  Items own;
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto outputs =
        static_cast<size_t>(frame.body.nodes[static_cast<size_t>(merges[i])].outputs);
    Items items = {i < results.size() ? results[i] : undefined(frame.scope, "")};
    // The second output says which branch it was.
    if (outputs > 1) {
      frontend::NodeBuilder b(frame.scope.draft, budget_);
      b.name = name;
      items.push_back(tensor(frame.scope, b.cast(index, DType::kI32)));
      MNN_RETURN_IF_ERROR(b.status);
    }
    if (merges[i] == node) {
      own = items;
    } else {
      frame.made[merges[i]] = std::move(items);
    }
  }
  return own;
}

Result<Items> Importer::enter(Frame& frame, int node) {
  const BodyNode& n = frame.body.nodes[static_cast<size_t>(node)];
  const auto name = n.def->attr().find("frame_name");
  if (name == n.def->attr().end() || n.inputs.size() != 1) {
    return invalid("expected one input and the name of a frame");
  }
  // What goes in was made outside of the loop.
  for (Frame* f = &frame; f != nullptr; f = f->parent) {
    if (f->condition || f->loop != name->second.s() || f->parent == nullptr) continue;
    MNN_ASSIGN_OR_RETURN(Item item, demand(*f->parent, n.inputs[0]));
    return Items{std::move(item)};
  }
  return invalid("it enters a loop that is not around it");
}

Result<Items> Importer::add_exit(Frame& frame, int node, const std::string& name) {
  MNN_ASSIGN_OR_RETURN(const Flow* flow, flow_of(frame.body));
  const int loop = flow->loop_of[static_cast<size_t>(node)];
  if (loop < 0) return invalid("it leaves no loop");
  const WhileFrame& w = flow->loops[static_cast<size_t>(loop)];
  if (w.condition < 0) return invalid("its loop has no condition");
  const BodyNode& condition = frame.body.nodes[static_cast<size_t>(w.condition)];
  if (condition.inputs.size() != 1) return invalid("the condition of its loop has no input");
  Items carried;
  bool undefined_input = false;
  for (const Edge& e : w.initial) {
    MNN_ASSIGN_OR_RETURN(Item item, demand(frame, e));
    undefined_input |= item.kind != Item::Kind::kVariable && is_undefined(item);
    carried.push_back(std::move(item));
  }
  std::vector<Edge> round;
  for (const int next : w.nexts) {
    round.push_back(frame.body.nodes[static_cast<size_t>(next)].inputs[0]);
  }
  if (undefined_input) {
    round.push_back(condition.inputs[0]);
    scan(frame.body, round);
    return Items{};
  }
  const auto inside_frame = [&](Scope& scope, Layouts& layouts, const Items& items) {
    auto inside = std::make_unique<Frame>(frame.body, scope, layouts);
    inside->parent = &frame;
    inside->loop = flow->names[static_cast<size_t>(loop)];
    for (size_t i = 0; i < items.size(); ++i) inside->fed[{w.merges[i], 0}] = items[i];
    return inside;
  };
  LoopSpec spec;
  spec.name = name;
  for (size_t i = 0; i < carried.size(); ++i) {
    // Back to the Switch behind its own Merge.
    Edge e = behind_passes(frame.body, round[i]);
    const BodyNode& from = frame.body.nodes[static_cast<size_t>(e.node)];
    const bool same = from.op == "Switch" && from.inputs.size() == 2 &&
                      from.inputs[0] == Edge{w.merges[i], 0} && from.inputs[1].node == w.condition;
    spec.invariant.push_back(same);
  }
  spec.goes_on = [&](Scope& scope, Layouts& layouts, const Items& items) {
    const auto inside = inside_frame(scope, layouts, items);
    return demand(*inside, condition.inputs[0]);
  };
  spec.body = [&](Scope& scope, Layouts& layouts, const Items& items) -> Result<Items> {
    const auto inside = inside_frame(scope, layouts, items);
    Items next;
    for (const Edge& e : round) {
      MNN_ASSIGN_OR_RETURN(Item item, demand(*inside, e));
      next.push_back(std::move(item));
    }
    return next;
  };
  MNN_ASSIGN_OR_RETURN(const Items results,
                       add_loop(frame.scope, frame.layouts, std::move(carried), spec));
  Items own;
  for (size_t i = 0; i < w.exits.size(); ++i) {
    if (w.exits[i] < 0) continue;
    Items items = {i < results.size() ? results[i] : undefined(frame.scope, "")};
    if (w.exits[i] == node) {
      own = std::move(items);
    } else {
      frame.made[w.exits[i]] = std::move(items);
    }
  }
  return own;
}

}  // namespace mnn::tensorflow
