#include "libconvert/frontends/common/border.h"

#include <cctype>

namespace mnn::frontend {
namespace {

constexpr size_t kMaxSymbol = 64;

}  // namespace

Status check_rank(size_t rank) {
  if (rank <= kMaxRank) return {};
  return limit_exceeded("rank " + std::to_string(rank) + " is over the limit of " +
                        std::to_string(kMaxRank));
}

std::string DimSymbols::unused(const std::string& text) {
  std::string base;
  for (const char c : text.substr(0, kMaxSymbol)) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.';
    base += plain ? c : '_';
  }
  if (base.empty() || (!std::isalpha(static_cast<unsigned char>(base[0])) && base[0] != '_')) {
    base = "_" + base;
  }
  std::string name = base;
  for (int n = 2; !used_.insert(name).second; ++n) name = base + "_" + std::to_string(n);
  return name;
}

Dim DimSymbols::named(const std::string& text) {
  const auto known = by_text_.find(text);
  if (known != by_text_.end()) return Dim::symbol(known->second);
  return Dim::symbol(by_text_.emplace(text, unused(text)).first->second);
}

Dim DimSymbols::fresh(const std::string& input, size_t axis) {
  return Dim::symbol(unused(input.substr(0, kMaxSymbol - 3) + "." + std::to_string(axis)));
}

Result<bool> bind_input_shapes(Graph& graph, const ShapeMap& shapes, DimSymbols& symbols) {
  for (const ValueId id : graph.inputs) {
    Value& input = graph.value(id);
    const auto given = shapes.find(input.name);
    if (given == shapes.end() || input.type.shape) continue;
    const Status sound = check_rank(given->second.size());
    if (!sound.ok()) {
      return usage_error("the shape given for " + input.name + ": " + sound.message());
    }
    input.type.shape.emplace();
    for (size_t i = 0; i < given->second.size(); ++i) {
      input.type.shape->push_back(symbols.fresh(input.name, i));
    }
  }
  return bind_named_inputs(graph, shapes, DeclaredDims::kYield);
}

Status add_output(GraphDraft& draft, const std::string& name, ValueId id, int64_t& budget) {
  Graph& graph = draft.graph;
  if (graph.value(id).name != name) {
    Node node;
    node.op = "Identity";
    node.name = "Identity_" + name;
    node.origin = {node.name};
    node.inputs = {id};
    id = graph.add_temporary(name);
    node.outputs = {id};
    MNN_RETURN_IF_ERROR(append_node(draft, std::move(node), budget));
  }
  graph.outputs.push_back(id);
  return {};
}

Status check_output(const Graph& graph, const Type& declared, bool stale,
                    Diagnostics& diagnostics) {
  const Value& output = graph.value(graph.outputs.back());
  const Type& type = output.type;
  if (!declared.defined() || !type.defined()) return {};
  const std::string what = "output " + output.name + " is declared as " + declared.str() +
                           " but computes to " + type.str();
  if (declared.dtype != type.dtype || declared.kind != type.kind) return invalid(what);
  if (!declared.shape || !type.shape) return {};
  bool fits = declared.rank() == type.rank();
  for (size_t i = 0; fits && !stale && i < type.rank(); ++i) {
    const Dim &a = (*declared.shape)[i], &b = (*type.shape)[i];
    fits = !a.known() || !b.known() || a.value() == b.value();
  }
  if (!fits) diagnostics.add({Severity::kWarning, Code::kInvalidArgument, {}, {}, what});
  return {};
}

}  // namespace mnn::frontend
