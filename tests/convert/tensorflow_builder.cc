#include "tests/convert/tensorflow_builder.h"

#include <map>
#include <sstream>

#include "libconvert/frontends/tensorflow/graph_def.h"

namespace mnn::testing {
namespace {

using tensorflow::AttrValue;
using tensorflow::GraphDef;
using tensorflow::NodeDef;

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) {
    while (part.starts_with(' ')) part.erase(0, 1);
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

const std::map<std::string, int> kTypes = {
    {"f32", 1},  {"f64", 2},       {"i32", 3},      {"u8", 4},    {"i16", 5},
    {"i8", 6},   {"c64", 8},       {"i64", 9},      {"bool", 10}, {"u16", 17},
    {"f16", 19}, {"resource", 20}, {"variant", 21}, {"u32", 22}};

void set_shape(tensorflow::TensorShapeProto& shape, const std::string& text) {
  if (text == "*") shape.set_unknown_rank(true);
  for (const std::string& d : parts_of(text == "*" ? "" : text)) {
    shape.add_dim()->set_size(d == "?" ? -1 : std::stoll(d));
  }
}

void set_attribute(AttrValue& attr, const std::string& kind, const std::string& value) {
  if (kind == "i") attr.set_i(std::stoll(value));
  if (kind == "b") attr.set_b(value == "true");
  if (kind == "f") attr.set_f(std::stof(value));
  if (kind == "s") attr.set_s(value);
  if (kind == "type") attr.set_type(kTypes.at(value));
  if (kind == "shape") set_shape(*attr.mutable_shape(), value);
  if (kind == "func") attr.mutable_func()->set_name(value);
  for (const std::string& v : parts_of(value)) {
    if (kind == "ints") attr.mutable_list()->add_i(std::stoll(v));
    if (kind == "floats") attr.mutable_list()->add_f(std::stof(v));
    if (kind == "types") attr.mutable_list()->add_type(kTypes.at(v));
    if (kind == "funcs") attr.mutable_list()->add_func()->set_name(v);
  }
}

}  // namespace

int tensorflow_type(DType dtype) { return kTypes.at(std::string(dtype_name(dtype))); }

void add_node(GraphDef& graph, const std::string& text) {
  NodeDef& node = *graph.add_node();
  const size_t space = text.find(' '), open = text.find('('), close = text.find(')');
  node.set_name(text.substr(0, space));
  node.set_op(text.substr(space + 1, open - space - 1));
  for (const std::string& input : parts_of(text.substr(open + 1, close - open - 1))) {
    node.add_input(input);
  }
  std::istringstream in(text.substr(close + 1));
  for (std::string attribute; in >> attribute;) {
    const size_t equals = attribute.find('='), colon = attribute.find(':', equals);
    set_attribute((*node.mutable_attr())[attribute.substr(0, equals)],
                  attribute.substr(equals + 1, colon - equals - 1), attribute.substr(colon + 1));
  }
}

void add_placeholder(GraphDef& graph, const std::string& name, DType dtype,
                     const std::vector<int64_t>& dims) {
  NodeDef& node = *graph.add_node();
  node.set_name(name);
  node.set_op("Placeholder");
  (*node.mutable_attr())["dtype"].set_type(tensorflow_type(dtype));
  auto& shape = *(*node.mutable_attr())["shape"].mutable_shape();
  for (const int64_t d : dims) shape.add_dim()->set_size(d);
}

void add_constant(GraphDef& graph, const std::string& name, DType dtype,
                  const std::vector<int64_t>& dims, const std::string& bytes) {
  NodeDef& node = *graph.add_node();
  node.set_name(name);
  node.set_op("Const");
  (*node.mutable_attr())["dtype"].set_type(tensorflow_type(dtype));
  auto& tensor = *(*node.mutable_attr())["value"].mutable_tensor();
  tensor.set_dtype(tensorflow_type(dtype));
  for (const int64_t d : dims) tensor.mutable_tensor_shape()->add_dim()->set_size(d);
  tensor.set_tensor_content(bytes);
}

Result<ImportedModel> import_graph(const GraphDef& graph, const ImportOptions& options) {
  return import_text(graph.SerializeAsString(), options);
}

Result<ImportedModel> import_text(const std::string& text, const ImportOptions& options) {
  return import_graph_def({reinterpret_cast<const std::byte*>(text.data()), text.size()}, options);
}

}  // namespace mnn::testing
