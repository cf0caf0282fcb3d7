#include "libruntime/core/bind_shapes.h"

#include <string_view>

namespace mnn {
namespace {

std::string input_name(const Graph& graph, size_t i) {
  const std::string& name = graph.value(graph.inputs[i]).name;
  return name.empty() ? "input " + std::to_string(i) : "input '" + name + "'";
}

std::string dim_name(const Graph& graph, size_t i, size_t d) {
  return input_name(graph, i) + ": dimension " + std::to_string(d);
}

// One shape per input; null: none is given.
using Given = std::vector<const std::vector<int64_t>*>;

// Where dims may be kept, -1 stands for one.
Status check_shape(const Graph& graph, size_t i, const std::vector<int64_t>& dims, bool may_keep) {
  const Type& type = graph.value(graph.inputs[i]).type;
  std::vector<int64_t> numbers = dims;
  Shape found = to_shape(dims);
  for (size_t d = 0; may_keep && d < dims.size(); ++d) {
    if (dims[d] != -1) continue;
    numbers[d] = 1;
    found[d] = Dim::unknown();
  }
  if (!checked_elements(numbers)) {
    return invalid(input_name(graph, i) + ": " + shape_str(found) +
                   " is not a shape: a dimension is negative or the size overflows");
  }
  if (!type.shape || type.rank() == dims.size()) return {};
  return invalid(input_name(graph, i) + ": expected " + std::to_string(type.rank()) +
                 " dimensions " + shape_str(*type.shape) + ", found " +
                 std::to_string(dims.size()) + " " + shape_str(found));
}

// Calls f(input, axis, declared, given) for every dim that is declared and given.
template <typename F>
Status for_each_dim(const Graph& graph, const Given& given, F&& f) {
  for (size_t i = 0; i < given.size(); ++i) {
    const Type& type = graph.value(graph.inputs[i]).type;
    if (given[i] == nullptr || !type.shape) continue;
    for (size_t d = 0; d < type.rank(); ++d) {
      if ((*given[i])[d] < 0) continue;
      MNN_RETURN_IF_ERROR(f(i, d, (*type.shape)[d], (*given[i])[d]));
    }
  }
  return {};
}

// True when a declared number gave way.
Result<bool> bind(Graph& graph, const Given& given, DeclaredDims rule) {
  Bindings bindings;
  std::map<std::string, size_t, std::less<>> bound_by;
  MNN_RETURN_IF_ERROR(for_each_dim(
      graph, given, [&](size_t i, size_t d, const Dim& declared, int64_t found) -> Status {
        const auto symbol = plain_symbol(declared);
        if (!symbol) return {};
        const auto [it, fresh] = bindings.emplace(*symbol, found);
        if (fresh) bound_by[*symbol] = i;
        if (it->second == found) return {};
        return invalid(dim_name(graph, i, d) + " (" + *symbol + "): expected " +
                       std::to_string(it->second) + " as in " +
                       input_name(graph, bound_by[*symbol]) + ", found " + std::to_string(found));
      }));
  bool gave_way = false;
  MNN_RETURN_IF_ERROR(for_each_dim(
      graph, given, [&](size_t i, size_t d, const Dim& declared, int64_t found) -> Status {
        const Dim expected = declared.bind(bindings);
        if (!expected.known() || expected.value() == found) return {};
        if (declared.known() && rule == DeclaredDims::kYield) {
          gave_way = true;
          return {};
        }
        const std::string formula = declared.known() ? "" : " (" + declared.str() + ")";
        return invalid(dim_name(graph, i, d) + formula + ": expected " + expected.str() +
                       ", found " + std::to_string(found));
      }));
  if (!bindings.empty()) bind_symbols(graph, bindings);
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i] == nullptr) continue;
    Type& type = graph.value(graph.inputs[i]).type;
    if (!type.shape) type.shape = Shape(given[i]->size(), Dim::unknown());
    for (size_t d = 0; d < given[i]->size(); ++d) {
      if ((*given[i])[d] >= 0) (*type.shape)[d] = Dim((*given[i])[d]);
    }
  }
  return gave_way;
}

}  // namespace

std::optional<std::string> plain_symbol(const Dim& dim) {
  if (dim.known() || dim.is_unknown()) return std::nullopt;
  std::vector<std::string> symbols;
  dim.collect_symbols(symbols);
  if (symbols.size() != 1 || !dim.same(Dim::symbol(symbols[0]))) return std::nullopt;
  return symbols[0];
}

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
  if (input_dims.size() != graph.inputs.size()) {
    return invalid("expected shapes for " + std::to_string(graph.inputs.size()) +
                   " inputs, found " + std::to_string(input_dims.size()));
  }
  Given given(input_dims.size(), nullptr);
  for (size_t i = 0; i < input_dims.size(); ++i) {
    if (graph.value(graph.inputs[i]).type.kind != Type::Kind::kTensor) continue;
    MNN_RETURN_IF_ERROR(check_shape(graph, i, input_dims[i], false));
    given[i] = &input_dims[i];
  }
  return bind(graph, given, DeclaredDims::kHold).status();
}

Result<bool> bind_named_inputs(Graph& graph, const ShapeMap& shapes, DeclaredDims declared) {
  const auto usage = [](const Status& status) { return usage_error(status.message()); };
  std::map<std::string_view, size_t> places;
  std::string names;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const std::string& name = graph.value(graph.inputs[i]).name;
    places.emplace(name, i);
    names += (names.empty() ? "" : ", ") + name;
  }
  Given given(graph.inputs.size(), nullptr);
  for (const auto& [name, dims] : shapes) {
    const auto place = places.find(name);
    if (place == places.end()) {
      return usage_error("a shape is given for " + name + "; the model's inputs are " + names);
    }
    const Status sound = check_shape(graph, place->second, dims, true);
    if (!sound.ok()) return usage(sound);
    given[place->second] = &dims;
  }
  const Result<bool> bound = bind(graph, given, declared);
  return bound.ok() ? bound : usage(bound.status());
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
