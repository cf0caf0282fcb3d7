#include "libruntime/compile/bind.h"

namespace mnn {
namespace {

std::string input_name(const Graph& graph, size_t i) {
  const std::string& name = graph.value(graph.inputs[i]).name;
  return name.empty() ? "input " + std::to_string(i) : "input '" + name + "'";
}

std::string dim_name(const Graph& graph, size_t i, size_t d) {
  return input_name(graph, i) + ": dimension " + std::to_string(d);
}

// The symbol when `dim` is one and nothing else.
std::optional<std::string> plain_symbol(const Dim& dim) {
  if (dim.known() || dim.is_unknown()) return std::nullopt;
  std::vector<std::string> symbols;
  dim.collect_symbols(symbols);
  if (symbols.size() != 1 || !dim.same(Dim::symbol(symbols[0]))) return std::nullopt;
  return symbols[0];
}

Status check_counts(const Graph& graph, const std::vector<std::vector<int64_t>>& input_dims) {
  if (input_dims.size() != graph.inputs.size()) {
    return invalid("expected shapes for " + std::to_string(graph.inputs.size()) +
                   " inputs, found " + std::to_string(input_dims.size()));
  }
  for (size_t i = 0; i < input_dims.size(); ++i) {
    const Type& type = graph.value(graph.inputs[i]).type;
    if (type.kind != Type::Kind::kTensor) continue;
    if (!checked_elements(input_dims[i])) {
      return invalid(input_name(graph, i) + ": " + shape_str(to_shape(input_dims[i])) +
                     " is not a shape: a dimension is negative or the size overflows");
    }
    if (type.shape && type.shape->size() != input_dims[i].size()) {
      return invalid(input_name(graph, i) + ": expected " + std::to_string(type.shape->size()) +
                     " dimensions " + shape_str(*type.shape) + ", found " +
                     std::to_string(input_dims[i].size()) + " " +
                     shape_str(to_shape(input_dims[i])));
    }
  }
  return {};
}

template <typename F>
Status for_each_dim(const Graph& graph, const std::vector<std::vector<int64_t>>& input_dims,
                    F&& f) {
  for (size_t i = 0; i < input_dims.size(); ++i) {
    const Type& type = graph.value(graph.inputs[i]).type;
    if (type.kind != Type::Kind::kTensor || !type.shape) continue;
    for (size_t d = 0; d < type.shape->size(); ++d) {
      MNN_RETURN_IF_ERROR(f(i, d, (*type.shape)[d], input_dims[i][d]));
    }
  }
  return {};
}

}  // namespace

void bind_symbols(Graph& graph, const Bindings& bindings) {
  for (Value& value : graph.values) {
    if (!value.type.shape) continue;
    const bool made = value.kind == ValueKind::kTemporary;
    for (Dim& d : *value.type.shape) {
      if (!d.known()) d = made ? Dim::unknown() : d.bind(bindings);
    }
  }
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) bind_symbols(g, bindings);
  }
}

Status bind_inputs(Graph& graph, const std::vector<std::vector<int64_t>>& input_dims) {
  MNN_RETURN_IF_ERROR(check_counts(graph, input_dims));
  Bindings bindings;
  std::map<std::string, size_t, std::less<>> bound_by;
  MNN_RETURN_IF_ERROR(for_each_dim(
      graph, input_dims, [&](size_t i, size_t d, const Dim& declared, int64_t found) -> Status {
        const auto symbol = plain_symbol(declared);
        if (!symbol) return {};
        const auto [it, fresh] = bindings.emplace(*symbol, found);
        if (fresh) bound_by[*symbol] = i;
        if (it->second == found) return {};
        return invalid(dim_name(graph, i, d) + " (" + *symbol + "): expected " +
                       std::to_string(it->second) + " as in " +
                       input_name(graph, bound_by[*symbol]) + ", found " + std::to_string(found));
      }));
  MNN_RETURN_IF_ERROR(for_each_dim(
      graph, input_dims, [&](size_t i, size_t d, const Dim& declared, int64_t found) -> Status {
        const Dim expected = declared.bind(bindings);
        if (!expected.known() || expected.value() == found) return {};
        const std::string formula = declared.known() ? "" : " (" + declared.str() + ")";
        return invalid(dim_name(graph, i, d) + formula + ": expected " + expected.str() +
                       ", found " + std::to_string(found));
      }));
  if (!bindings.empty()) bind_symbols(graph, bindings);
  for (size_t i = 0; i < input_dims.size(); ++i) {
    Type& type = graph.value(graph.inputs[i]).type;
    if (type.kind == Type::Kind::kTensor) type.shape = to_shape(input_dims[i]);
  }
  return {};
}

Result<std::vector<std::vector<int64_t>>> static_input_dims(const Graph& graph) {
  std::vector<std::vector<int64_t>> dims(graph.inputs.size());
  for (size_t i = 0; i < dims.size(); ++i) {
    const Type& type = graph.value(graph.inputs[i]).type;
    if (type.kind != Type::Kind::kTensor) continue;
    if (!type.shape)
      return usage_error(input_name(graph, i) + ": its rank is open, give its shape");
    for (size_t d = 0; d < type.shape->size(); ++d) {
      if (!(*type.shape)[d].known()) {
        return usage_error(dim_name(graph, i, d) + " (" + (*type.shape)[d].str() +
                           ") is open, give its shape");
      }
    }
    dims[i] = known_dims(*type.shape);
  }
  return dims;
}

}  // namespace mnn
