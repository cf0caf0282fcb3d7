#include "libconvert/frontends/tensorflow/body.h"

#include <algorithm>
#include <charconv>

#include "libconvert/frontends/tensorflow/op_map.h"

namespace mnn::tensorflow {
namespace {

// No operator has more outputs: a number beyond is damage.
constexpr int kMostOutputs = 1 << 16;

// The number behind the last colon.
Result<int> index_of(std::string_view text, std::string_view whole) {
  int index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size() || index < 0 ||
      index >= kMostOutputs) {
    return invalid("input '" + std::string(whole) + "': expected a number behind the colon");
  }
  return index;
}

int64_t attribute_length(const NodeDef& node, const OpDef::ArgDef& arg) {
  const auto find = [&](const std::string& key) -> const AttrValue* {
    const auto it = node.attr().find(key);
    return key.empty() || it == node.attr().end() ? nullptr : &it->second;
  };
  if (const AttrValue* n = find(arg.number_attr())) return n->i();
  if (const AttrValue* list = find(arg.type_list_attr())) return list->list().type_size();
  return 1;
}

// The place of output `index` of the argument `arg` among all outputs of a node.
Result<int> flat_output(const BodyNode& node, std::string_view arg, int index,
                        const Functions& functions) {
  const auto missing = [&] {
    return invalid("node " + std::string(node.name) + " (" + std::string(node.op) +
                   ") has no output '" + std::string(arg) + "'");
  };
  const auto function = functions.find(node.op);
  if (function != functions.end()) {
    int64_t place = index;
    for (const OpDef::ArgDef& output : function->second->signature().output_arg()) {
      if (output.name() == arg) return static_cast<int>(place);
      place += std::clamp<int64_t>(attribute_length(*node.def, output), 0, kMostOutputs);
      if (place > kMostOutputs) break;
    }
    return missing();
  }
  const OpRow* row = find_row(node.op);
  if (row == nullptr || row->outputs.empty()) return index;
  int place = 0;
  for (std::string_view rest = row->outputs; !rest.empty(); ++place) {
    const size_t end = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, end) == arg) return place + index;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return missing();
}

Status add_node(Body& body, BodyNode node) {
  if (!body.by_name.emplace(node.name, static_cast<int>(body.nodes.size())).second) {
    return invalid("two nodes have the name '" + std::string(node.name) + "'");
  }
  body.nodes.push_back(std::move(node));
  return {};
}

Status add_nodes(Body& body, const google::protobuf::RepeatedPtrField<NodeDef>& nodes) {
  for (const NodeDef& def : nodes) {
    BodyNode node;
    node.def = &def;
    node.name = def.name();
    node.op = def.op();
    if (node.name.empty()) return invalid("a node (" + def.op() + ") has no name");
    MNN_RETURN_IF_ERROR(add_node(body, std::move(node)));
  }
  return {};
}

void note_read(Body& body, const Edge& edge) {
  BodyNode& from = body.nodes[static_cast<size_t>(edge.node)];
  from.outputs = std::max(from.outputs, edge.output + 1);
}

// A tensor of a function: "argument" or "node:output:index".
Result<Edge> function_tensor(const Body& body, std::string_view text, const Functions& functions) {
  const size_t first = text.find(':');
  const int node = body.find(text.substr(0, first));
  if (node < 0) return invalid("input '" + std::string(text) + "' is made by no node");
  if (first == std::string_view::npos) return Edge{node, 0};
  const size_t last = text.rfind(':');
  if (last == first) {
    MNN_ASSIGN_OR_RETURN(const int index, index_of(text.substr(first + 1), text));
    return Edge{node, index};
  }
  MNN_ASSIGN_OR_RETURN(const int index, index_of(text.substr(last + 1), text));
  const BodyNode& from = body.nodes[static_cast<size_t>(node)];
  if (from.def == nullptr) return Edge{node, index};
  MNN_ASSIGN_OR_RETURN(const int place, flat_output(from, text.substr(first + 1, last - first - 1),
                                                    index, functions));
  return Edge{node, place};
}

template <typename Find>
Status resolve_inputs(Body& body, const Find& find) {
  for (size_t n = 0; n < body.nodes.size(); ++n) {
    if (body.nodes[n].def == nullptr) continue;
    for (const std::string& input : body.nodes[n].def->input()) {
      const std::string where = "node " + std::string(body.nodes[n].name);
      if (input.starts_with('^')) {
        const int from = body.find(std::string_view(input).substr(1));
        if (from < 0) return invalid("input '" + input + "' is made by no node").context(where);
        body.nodes[n].controls.push_back(from);
        continue;
      }
      Result<Edge> edge = find(input);
      if (!edge.ok()) return edge.status().context(where);
      note_read(body, *edge);
      body.nodes[n].inputs.push_back(*edge);
    }
  }
  for (BodyNode& node : body.nodes) node.outputs = std::max(node.outputs, 1);
  return {};
}

}  // namespace

int Body::find(std::string_view node) const {
  const auto it = by_name.find(node);
  return it == by_name.end() ? -1 : it->second;
}

Result<Edge> find_tensor(const Body& body, std::string_view text) {
  std::string_view name = text;
  if (name.starts_with('^')) name.remove_prefix(1);
  int index = 0;
  if (const size_t colon = name.rfind(':'); colon != std::string_view::npos) {
    MNN_ASSIGN_OR_RETURN(index, index_of(name.substr(colon + 1), text));
    name = name.substr(0, colon);
  }
  const int node = body.find(name);
  if (node < 0) return invalid("input '" + std::string(text) + "' is made by no node");
  return Edge{node, index};
}

Result<Body> read_graph(const GraphDef& graph) {
  Body body;
  MNN_RETURN_IF_ERROR(add_nodes(body, graph.node()));
  MNN_RETURN_IF_ERROR(
      resolve_inputs(body, [&](const std::string& input) { return find_tensor(body, input); }));
  return body;
}

Result<Body> read_function(const FunctionDef& function, const Functions& functions) {
  Body body;
  body.name = function.signature().name();
  for (const OpDef::ArgDef& arg : function.signature().input_arg()) {
    BodyNode node;
    node.name = arg.name();
    node.op = "_Arg";
    node.argument = static_cast<int>(body.arguments++);
    MNN_RETURN_IF_ERROR(add_node(body, std::move(node)));
  }
  MNN_RETURN_IF_ERROR(add_nodes(body, function.node_def()));
  MNN_RETURN_IF_ERROR(resolve_inputs(
      body, [&](const std::string& input) { return function_tensor(body, input, functions); }));
  for (const OpDef::ArgDef& output : function.signature().output_arg()) {
    const auto from = function.ret().find(output.name());
    if (from == function.ret().end()) {
      return invalid("its result '" + output.name() + "' is made by nothing");
    }
    Result<Edge> edge = function_tensor(body, from->second, functions);
    if (!edge.ok()) return edge.status().context("result " + output.name());
    note_read(body, *edge);
    body.results.push_back(*edge);
  }
  for (const auto& [name, node] : function.control_ret()) {
    const int from = body.find(node);
    if (from < 0) return invalid("its control result '" + node + "' is no node");
    body.controls.push_back(from);
  }
  std::ranges::sort(body.controls);
  return body;
}

int output_count(const BodyNode& node, const Functions& functions) {
  if (node.def == nullptr) return 1;
  const auto function = functions.find(node.op);
  if (function != functions.end()) return function->second->signature().output_arg_size();
  const OpRow* row = find_row(node.op);
  if (row == nullptr) return 1;
  if (row->outputs.empty()) {
    // The length of the one list there is.
    for (const char* key : {"num_split", "num", "Tout"}) {
      const auto it = node.def->attr().find(key);
      if (it == node.def->attr().end() || !row->list) continue;
      const AttrValue& value = it->second;
      const int64_t length = value.has_list() ? value.list().type_size() : value.i();
      return static_cast<int>(std::clamp<int64_t>(length, 1, kMostOutputs));
    }
    return 1;
  }
  return static_cast<int>(std::ranges::count(row->outputs, ' ')) + 1;
}

}  // namespace mnn::tensorflow
