#include "libconvert/frontends/common/scope.h"

#include <algorithm>
#include <memory>

namespace mnn::frontend {
namespace {

// Of declared types only the rank is believed, and only where inference knows nothing: files whose
// input shapes were edited keep stale numbers.
void adopt_declared_rank(const Scope& scope, const std::string& name, ValueId id) {
  const auto declared = scope.declared.find(name);
  if (declared == scope.declared.end()) return;
  Type& type = scope.draft.graph.value(id).type;
  if (!type.defined() || type.shape) return;
  if (!declared->second.shape || declared->second.kind != type.kind) return;
  type.shape = Shape(declared->second.rank(), Dim::unknown());
}

int64_t add_saturated(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

class SizeCounter {
 public:
  explicit SizeCounter(const std::map<std::string, CallingBody>& functions)
      : functions_(functions) {}

  Result<int64_t> count(const CallingBody& body, int depth) {
    int64_t total = body.nodes;
    for (const CallingBody::Call& call : body.calls) {
      MNN_ASSIGN_OR_RETURN(const int64_t size, count_call(call, depth));
      total = add_saturated(total, size);
    }
    return total;
  }

 private:
  Result<int64_t> count_call(const CallingBody::Call& call, int depth) {
    const auto function = functions_.find(call.key);
    if (function == functions_.end()) return 0;
    const auto known = sizes_.find(call.key);
    if (known != sizes_.end()) {
      if (known->second >= 0) return known->second;
      return invalid("node " + call.node + ": function " + call.function + " calls itself");
    }
    if (depth >= kMaxCallDepth) {
      return limit_exceeded("functions call each other more than " + std::to_string(kMaxCallDepth) +
                            " deep");
    }
    sizes_[call.key] = -1;
    MNN_ASSIGN_OR_RETURN(const int64_t size, count(function->second, depth + 1));
    sizes_[call.key] = size;
    return size;
  }

  const std::map<std::string, CallingBody>& functions_;
  std::map<std::string, int64_t> sizes_;  // -1 while being counted
};

}  // namespace

ValueId capture(Scope& scope, ValueId outer) {
  GraphDraft& around = scope.outer->draft;
  const Value& v = around.graph.value(outer);
  if (v.kind == ValueKind::kConstant && !v.quant) {
    // The bytes are shared; a constant inside lets inference and folding see it.
    return scope.draft.graph.add_constant(v.data, v.name);
  }
  for (const auto& [from, to] : scope.captured) {
    if (from == outer) return to;
  }
  const ValueId inner = scope.draft.graph.add_value({v.name, v.type, ValueKind::kInput, {}, {}});
  scope.captured.emplace_back(outer, inner);
  const ShapeValues* values = around.types.known(outer);
  if (values != nullptr) scope.draft.types.learn(inner, *values);
  return inner;
}

Result<ValueId> resolve(Scope& scope, const std::string& name) {
  if (name.empty()) return kNoValue;
  const auto known = scope.names.find(name);
  if (known != scope.names.end()) return known->second;
  if (scope.outer == nullptr) {
    return invalid("value '" + name + "' is made by no node, input or initializer");
  }
  MNN_ASSIGN_OR_RETURN(ValueId id, resolve(*scope.outer, name));
  // In a graph that was put in place of a node the outer values are its own.
  if (id != kNoValue && &scope.outer->draft != &scope.draft) id = capture(scope, id);
  scope.names.emplace(name, id);
  return id;
}

Result<std::vector<ValueId>> resolve_all(Scope& scope, const std::vector<std::string>& names) {
  std::vector<ValueId> ids;
  ids.reserve(names.size());
  for (const std::string& name : names) {
    MNN_ASSIGN_OR_RETURN(const ValueId id, resolve(scope, name));
    ids.push_back(id);
  }
  return ids;
}

Status define(Scope& scope, const std::string& name, ValueId id) {
  if (scope.names.emplace(name, id).second) return {};
  return invalid("the name '" + name + "' is given twice");
}

bool is_undefined(const Scope& scope, ValueId id) {
  return id != kNoValue && !scope.draft.graph.value(id).type.defined();
}

std::vector<char> wanted_outputs(const Scope& scope, const std::vector<std::string>& outputs) {
  std::vector<char> wanted;
  bool any_read = false;
  for (const std::string& output : outputs) {
    wanted.push_back(!output.empty() && scope.read.contains(output));
    any_read |= wanted.back() != 0;
  }
  for (size_t i = 0; !any_read && i < outputs.size(); ++i) wanted[i] = !outputs[i].empty();
  return wanted;
}

Status define_results(Scope& scope, const std::vector<std::string>& outputs,
                      const std::vector<ValueId>& results, const std::string& prefix) {
  for (size_t i = 0; i < std::min(outputs.size(), results.size()); ++i) {
    if (outputs[i].empty() || results[i] == kNoValue) continue;
    Value& value = scope.draft.graph.value(results[i]);
    if (value.name.empty()) value.name = prefix + outputs[i];
    adopt_declared_rank(scope, outputs[i], results[i]);
    MNN_RETURN_IF_ERROR(define(scope, outputs[i], results[i]));
  }
  return {};
}

void leave_undefined(Scope& scope, const std::vector<std::string>& outputs,
                     const std::string& prefix) {
  for (const std::string& output : outputs) {
    if (output.empty() || scope.names.contains(output)) continue;
    scope.names.emplace(output, scope.draft.graph.add_temporary(prefix + output));
  }
}

std::optional<bool> known_condition(const GraphDraft& draft, ValueId id) {
  if (id == kNoValue) return std::nullopt;
  const Tensor* constant = draft.graph.constant(id);
  if (constant != nullptr && constant->dtype() == DType::kBool && constant->elements() == 1) {
    return constant->data<bool>()[0];
  }
  const ShapeValues* known = draft.types.known(id);
  if (known == nullptr || known->size() != 1 || !(*known)[0].known()) return std::nullopt;
  return !(*known)[0].is(0);
}

Status put_in_place(Scope& scope, const std::vector<std::string>& outputs,
                    const std::string& prefix,
                    const std::function<Result<std::vector<ValueId>>()>& add) {
  Graph& graph = scope.draft.graph;
  const size_t first_node = graph.nodes.size();
  MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> results, add());
  std::unordered_set<ValueId> made;
  for (size_t n = first_node; n < graph.nodes.size(); ++n) {
    made.insert(graph.nodes[n].outputs.begin(), graph.nodes[n].outputs.end());
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].empty() || results[i] == kNoValue) continue;
    // The caller's name is the one reports and graph outputs know; an input keeps its own.
    if (made.erase(results[i]) > 0) graph.value(results[i]).name = prefix + outputs[i];
    MNN_RETURN_IF_ERROR(define(scope, outputs[i], results[i]));
  }
  return {};
}

Status add_subgraphs(Scope& scope, SourceNode& node, size_t count, int max_depth,
                     const std::function<Status(size_t, Scope&)>& read) {
  if (scope.depth + 1 > max_depth) {
    return limit_exceeded("sub-graphs are nested more than " + std::to_string(max_depth) + " deep");
  }
  std::vector<std::unique_ptr<Subgraph>> subgraphs;
  for (size_t g = 0; g < count; ++g) {
    subgraphs.push_back(std::make_unique<Subgraph>(scope));
    subgraphs.back()->draft.may_not_run = scope.draft.may_not_run || node.op == "If";
    MNN_RETURN_IF_ERROR(read(g, subgraphs.back()->scope));
  }
  std::vector<Subgraph*> parts;
  for (const auto& subgraph : subgraphs) parts.push_back(subgraph.get());
  attach_subgraphs(node, parts);
  return {};
}

void attach_subgraphs(SourceNode& node, std::span<Subgraph* const> subgraphs) {
  for (Subgraph* subgraph : subgraphs) {
    for (const auto& [outer, inner] : subgraph->scope.captured) {
      if (std::ranges::find(node.captures, outer) == node.captures.end()) {
        node.captures.push_back(outer);
      }
    }
  }
  for (Subgraph* subgraph : subgraphs) {
    const auto& captured = subgraph->scope.captured;
    const std::map<ValueId, ValueId> inside(captured.begin(), captured.end());
    Graph& graph = subgraph->graph;
    for (const ValueId outer : node.captures) {
      const auto inner = inside.find(outer);
      const Value& v = node.graph.value(outer);
      graph.captures.push_back(inner != inside.end()
                                   ? inner->second
                                   : graph.add_value({v.name, v.type, ValueKind::kInput, {}, {}}));
    }
    node.subgraphs.push_back(std::move(graph));
  }
}

Result<int64_t> unfolded_size(const CallingBody& main,
                              const std::map<std::string, CallingBody>& functions) {
  return SizeCounter(functions).count(main, 0);
}

}  // namespace mnn::frontend
