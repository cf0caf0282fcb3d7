// Variables: constants of what the program says they hold, and states where a run assigns them.
#include <algorithm>

#include "libconvert/frontends/tensorflow/import_state.h"

namespace mnn::tensorflow {
namespace {

Structure structure_of(const BodyNode& node) {
  const OpRow* row = node.def == nullptr ? nullptr : find_row(node.op);
  return row == nullptr ? Structure::kRow : row->structure;
}

// What the roots wait for, by their inputs and by order alone, themselves among it.
std::vector<int> reached_from(const Body& body, std::vector<int> stack) {
  std::vector<char> seen(body.nodes.size());
  std::vector<int> reached;
  while (!stack.empty()) {
    const int node = stack.back();
    stack.pop_back();
    if (seen[static_cast<size_t>(node)] != 0) continue;
    seen[static_cast<size_t>(node)] = 1;
    reached.push_back(node);
    const BodyNode& n = body.nodes[static_cast<size_t>(node)];
    for (const Edge& e : n.inputs) stack.push_back(e.node);
    stack.insert(stack.end(), n.controls.begin(), n.controls.end());
  }
  std::ranges::sort(reached);
  return reached;
}

std::vector<int> roots_of(const Body& body) {
  std::vector<int> roots = body.controls;
  for (const Edge& e : body.results) roots.push_back(e.node);
  return roots;
}

}  // namespace

// The variables that the nodes of a body assign. `handles`: of its arguments, empty for tensors.
Status Importer::find_assigned(const Body& body, const std::vector<int>& roots,
                               const std::vector<std::string>& handles, bool inside) {
  std::string key = body.name + (inside ? "|" : "");
  for (const std::string& h : handles) key += "\n" + h;
  if (!looked_for_.insert(key).second) return {};
  const auto handle_of = [&](Edge e) -> std::string {
    for (size_t i = 0; i < body.nodes.size(); ++i) {
      e = behind_passes(body, e);
      const BodyNode& from = body.nodes[static_cast<size_t>(e.node)];
      if (from.argument >= 0) return handles[static_cast<size_t>(from.argument)];
      const Structure s = structure_of(from);
      if (s == Structure::kHandle || s == Structure::kVariable) return std::string(from.name);
      // Handed into a loop or a branch.
      if (from.inputs.empty() || (s != Structure::kEnter && s != Structure::kSwitch)) return "";
      e = from.inputs[0];
    }
    return "";
  };
  for (const int node : reached_from(body, roots)) {
    const BodyNode& n = body.nodes[static_cast<size_t>(node)];
    if (n.def == nullptr) continue;
    if (structure_of(n) == Structure::kAssign && !n.inputs.empty()) {
      const std::string variable = handle_of(n.inputs[0]);
      if (inside) {
        return unsupported("node " + std::string(n.name) + " (" + std::string(n.op) +
                           "): variable " + variable +
                           " is assigned in a branch or loop, which is not supported");
      }
      assigned_.insert(variable);
      continue;
    }
    const bool called = functions_.contains(n.op) || structure_of(n) == Structure::kCall;
    std::vector<std::string> passed;
    for (const Edge& e : n.inputs) passed.push_back(handle_of(e));
    if (std::ranges::all_of(passed, &std::string::empty)) continue;
    std::vector<std::string> bodies;
    if (functions_.contains(n.op)) bodies.emplace_back(n.op);
    for (const auto& [name, value] : n.def->attr()) {
      if (value.has_func()) bodies.push_back(value.func().name());
      for (const NameAttrList& f : value.list().func()) bodies.push_back(f.name());
    }
    for (const std::string& f : bodies) {
      const auto inner = body_of(f);
      if (!inner.ok()) continue;  // said where it is called
      // The first input of a branch chooses.
      std::vector<std::string> own = passed;
      if (own.size() == (*inner)->arguments + 1) own.erase(own.begin());
      own.resize((*inner)->arguments);
      MNN_RETURN_IF_ERROR(find_assigned(**inner, roots_of(**inner), own, inside || !called));
    }
  }
  return {};
}

// What a body does beside its results.
Status Importer::add_effects(Frame& frame, const std::vector<int>& roots) {
  if (assigned_.empty() || &frame.scope.draft != &draft_) return {};
  for (const int node : reached_from(frame.body, roots)) {
    const BodyNode& n = frame.body.nodes[static_cast<size_t>(node)];
    if (n.def == nullptr) continue;
    const Structure s = structure_of(n);
    if (s == Structure::kAssign || s == Structure::kCall || functions_.contains(n.op)) {
      MNN_RETURN_IF_ERROR(make(frame, node));
    }
  }
  return {};
}

Status Importer::add_updates() {
  for (const auto& [variable, next] : next_) {
    const auto state = contents_.find(variable);
    // What is only assigned, and never read, is of no use.
    if (state == contents_.end() || is_undefined(next)) continue;
    MNN_ASSIGN_OR_RETURN(const ValueId value, local(scope_, next));
    out_.graph.updates.push_back({state->second.value, value});
  }
  return {};
}

Result<Item> Importer::variable_content(const std::string& variable) {
  const auto known = contents_.find(variable);
  if (known != contents_.end()) return known->second;
  const auto content = program_.variables.find(variable);
  if (content == program_.variables.end()) {
    return invalid("variable " + variable +
                   " has no content: the file holds the network without its weights; give the "
                   "SavedModel folder, or freeze the graph");
  }
  ValueId value = kNoValue;
  if (assigned_.contains(variable)) {
    value = out_.graph.add_value({"state_" + variable,
                                  mnn::type_of(content->second),
                                  ValueKind::kState,
                                  content->second,
                                  {}});
  } else {
    value = out_.graph.add_constant(content->second, variable);
  }
  const Item item = tensor(scope_, value);
  contents_.emplace(variable, item);
  return item;
}

Result<Items> Importer::assign(Frame& frame, int node, const Item& handle,
                               const std::string& name) {
  const BodyNode& n = frame.body.nodes[static_cast<size_t>(node)];
  if (handle.kind != Item::Kind::kVariable) {
    return unsupported("it writes to what is no resource variable, which is not supported");
  }
  if (n.inputs.size() < 2) return invalid("it assigns nothing");
  if (next_.contains(handle.variable)) {
    return unsupported("variable " + handle.variable +
                       " is assigned twice in a run, which is not supported");
  }
  MNN_ASSIGN_OR_RETURN(Item value, demand(frame, n.inputs[1]));
  if (is_undefined(value)) return Items{};
  const bool adds = n.op.starts_with("AssignAdd"), subtracts = n.op.starts_with("AssignSub");
  if (adds || subtracts) {
    MNN_ASSIGN_OR_RETURN(const Item old, variable_content(handle.variable));
    frontend::NodeBuilder b(frame.scope.draft, budget_);
    b.name = name;
    MNN_ASSIGN_OR_RETURN(const ValueId a, local(frame.scope, old));
    MNN_ASSIGN_OR_RETURN(const ValueId c, local(frame.scope, value));
    value = tensor(frame.scope, b.emit(adds ? "Add" : "Sub", {a, c}));
    MNN_RETURN_IF_ERROR(b.status);
  }
  next_.emplace(handle.variable, value);
  return Items{value};
}

Result<Items> Importer::build_variable(Frame& frame, int node, const OpRow& row,
                                       const std::string& name) {
  const BodyNode& n = frame.body.nodes[static_cast<size_t>(node)];
  if (row.structure == Structure::kHandle) {
    Item item;
    item.kind = Item::Kind::kVariable;
    item.variable = std::string(n.name);
    return Items{item};
  }
  if (row.structure == Structure::kVariable) {
    MNN_ASSIGN_OR_RETURN(Item item, variable_content(std::string(n.name)));
    return Items{item};
  }
  if (n.inputs.empty()) return invalid("it names no variable");
  MNN_ASSIGN_OR_RETURN(const Item handle, demand(frame, n.inputs[0]));
  if (row.structure == Structure::kAssign) return assign(frame, node, handle, name);
  if (is_undefined(handle) && handle.kind != Item::Kind::kVariable) return Items{};
  if (handle.kind != Item::Kind::kVariable) return invalid("it reads what is no variable");
  // What was assigned before it, by the order the graph asks for.
  bool assigned = false;
  if (assigned_.contains(handle.variable)) {
    for (const int before : reached_from(frame.body, {node})) {
      const BodyNode& other = frame.body.nodes[static_cast<size_t>(before)];
      if (structure_of(other) != Structure::kAssign || other.inputs.empty()) continue;
      MNN_RETURN_IF_ERROR(make(frame, before));
      MNN_ASSIGN_OR_RETURN(const Item written, demand(frame, other.inputs[0]));
      assigned |= written.variable == handle.variable;
    }
  }
  const auto next = next_.find(handle.variable);
  Item content;
  if (assigned && next != next_.end()) {
    content = next->second;
  } else {
    MNN_ASSIGN_OR_RETURN(content, variable_content(handle.variable));
  }
  if (row.structure == Structure::kRead) return Items{content};
  // Rows of it.
  if (n.inputs.size() != 2) return invalid("expected a variable and places");
  MNN_ASSIGN_OR_RETURN(const Item places, demand(frame, n.inputs[1]));
  OpNode gather(frame.scope.draft, budget_, frame.layouts, *n.def);
  gather.name = name;
  MNN_ASSIGN_OR_RETURN(const ValueId table, local(frame.scope, content));
  MNN_ASSIGN_OR_RETURN(const ValueId at, local(frame.scope, places));
  if (frontend::is_undefined(frame.scope, at)) return Items{};
  gather.inputs = {table, at};
  if (n.op == "ResourceGatherNd") {
    gather.results = {gather.emit("GatherND", {table, gather.cast(at, DType::kI64)})};
  } else {
    frontend::gather(gather, gather.attr_int("batch_dims"), gather.attr_int("batch_dims"));
  }
  MNN_RETURN_IF_ERROR(gather.status);
  gather.graph.value(gather.results[0]).name = name;
  return Items{tensor(frame.scope, gather.results[0])};
}

}  // namespace mnn::tensorflow
