#include "libconvert/frontends/tensorflow/graph_def.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <climits>
#include <new>
#include <sstream>

#include "libconvert/frontends/common/options.h"
#include "libconvert/frontends/common/side_files.h"
#include "libconvert/frontends/tensorflow/body.h"
#include "libconvert/frontends/tensorflow/limits.h"
#include "libconvert/frontends/tensorflow/op_map.h"
#include "libconvert/frontends/tensorflow/tensor_proto.h"
#include "libconvert/frontends/tensorflow/text.h"
#include "libconvert/sniff.h"

namespace mnn {
namespace tensorflow {
namespace {

constexpr const char* kInputsKey = "input_names";
constexpr const char* kOutputsKey = "output_names";
constexpr int kMostDepth = 64;  // of messages in each other

bool is_text_graph(std::span<const std::byte> bytes) { return has_text_block(bytes, {"node"}); }

bool recognizes(std::span<const std::byte> bytes, const frontend::SourceFiles& source) {
  return !source.is_folder() && (is_graph_def(bytes, source.path()) || is_text_graph(bytes));
}

Result<GraphDef> read_graph_def(std::span<const std::byte> bytes) {
  const google::protobuf::LogSilencer silent;
  GraphDef graph;
  if (is_text_graph(bytes)) {
    MNN_RETURN_IF_ERROR(parse_text(bytes, graph));
    return graph;
  }
  if (bytes.size() > INT_MAX) return limit_exceeded("a graph of more than 2 GiB");
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream input(&stream);
  input.SetTotalBytesLimit(INT_MAX);
  input.SetRecursionLimit(kMostDepth);
  if (graph.ParseFromCodedStream(&input) && input.ConsumedEntireMessage()) return graph;
  return invalid("expected a TensorFlow graph, found damaged or foreign bytes");
}

bool is_placeholder(const BodyNode& node) {
  const OpRow* row = find_row(node.op);
  return row != nullptr && row->structure == Structure::kPlaceholder;
}

// "x" of "x:0", "x:1" as it is.
std::string border_name(const std::string& tensor) {
  return tensor.ends_with(":0") ? tensor.substr(0, tensor.size() - 2) : tensor;
}

std::vector<std::string> names_in(const std::string& list) {
  std::vector<std::string> names;
  std::istringstream in(list);
  for (std::string name; std::getline(in, name, ',');) {
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

Result<Type> declared_type(const NodeDef& node) {
  const auto dtype = node.attr().find("dtype"), shape = node.attr().find("shape");
  if (dtype == node.attr().end()) return invalid("it has no type");
  TensorShapeProto open;
  open.set_unknown_rank(true);
  const bool told = shape != node.attr().end() && shape->second.has_shape();
  return type_of(dtype->second.type(), told ? shape->second.shape() : open);
}

// What has a default keeps it unless it is asked for, where the default is a scalar, such as
// whether the network is being trained, or the network itself makes it.
bool keeps_default(const Body& body, const BodyNode& node) {
  if (node.op != "PlaceholderWithDefault" || node.inputs.size() != 1) return false;
  if (body.nodes[static_cast<size_t>(node.inputs[0].node)].op != "Const") return true;
  const Result<Type> type = declared_type(*node.def);
  return type.ok() && type->shape && type->rank() == 0;
}

Status add_feed(const Body& body, const std::string& tensor, std::vector<Feed>& feeds,
                bool is_input) {
  const Result<Edge> edge = find_tensor(body, tensor);
  if (!edge.ok()) return usage_error("the graph has no tensor '" + tensor + "'");
  const BodyNode& node = body.nodes[static_cast<size_t>(edge->node)];
  Feed feed{border_name(tensor), tensor, {}};
  if (is_input) {
    Result<Type> type = Type();
    if (is_placeholder(node)) {
      type = declared_type(*node.def);
    } else {
      // A place in the middle: its type is what the node says it makes.
      TensorShapeProto open;
      open.set_unknown_rank(true);
      for (const char* key : {"dtype", "T", "DstT"}) {
        const auto it = node.def->attr().find(key);
        if (it == node.def->attr().end()) continue;
        type = type_of(it->second.type(), open);
        break;
      }
    }
    if (!type.ok()) return type.status().context("input " + feed.name);
    if (!type->defined()) {
      return unsupported("input " + feed.name + ": the type of the tensor is not told");
    }
    feed.type = std::move(type).value();
  }
  feeds.push_back(std::move(feed));
  return {};
}

// What nobody reads, but for what is there for its effect only. `waits`: waiting for a node counts
// as reading it, also by one that does nothing.
std::vector<std::string> unread(const Body& body, const Functions& functions, bool waits) {
  std::vector<char> read(body.nodes.size());
  for (const BodyNode& node : body.nodes) {
    for (const Edge& e : node.inputs) read[static_cast<size_t>(e.node)] = 1;
    if (!waits && node.op == "NoOp") continue;
    for (const int c : node.controls) read[static_cast<size_t>(c)] = 1;
  }
  std::vector<std::string> tensors;
  for (size_t i = 0; i < body.nodes.size(); ++i) {
    const BodyNode& node = body.nodes[i];
    const OpRow* row = find_row(node.op);
    const Structure s = row == nullptr ? Structure::kRow : row->structure;
    const bool effect =
        s == Structure::kNothing || s == Structure::kConstant || s == Structure::kPlaceholder ||
        s == Structure::kHandle || s == Structure::kVariable || s == Structure::kAssign ||
        s == Structure::kSwitch || node.op.starts_with("Save") || node.op.starts_with("Restore");
    if (read[i] != 0 || effect) continue;
    // What comes beside a result is of no use by itself.
    const bool first = s == Structure::kMerge || node.op.starts_with("FusedBatchNorm");
    const int outputs = first ? 1 : output_count(node, functions);
    for (int k = 0; k < outputs; ++k) {
      tensors.push_back(std::string(node.name) + ":" + std::to_string(k));
    }
  }
  return tensors;
}

Result<Program> program_of(GraphDef&& graph, const ImportOptions& options) {
  Program program;
  program.graph = std::move(graph);
  Functions functions;
  for (const FunctionDef& f : program.graph.library().function()) {
    functions.emplace(f.signature().name(), &f);
  }
  MNN_ASSIGN_OR_RETURN(const Body body, read_graph(program.graph));
  auto& facts = program.facts;
  facts["nodes"] = std::to_string(program.graph.node_size());
  if (!functions.empty()) facts["functions"] = std::to_string(functions.size());
  if (program.graph.versions().producer() > 0) {
    facts["graph_version"] = std::to_string(program.graph.versions().producer());
  }
  const auto inputs = names_in(frontend::text_key(options, kInputsKey, ""));
  for (const std::string& name : inputs) {
    MNN_RETURN_IF_ERROR(add_feed(body, name, program.inputs, true));
  }
  // What nobody reads is neither an input nor an output: rewritten graphs are full of it.
  std::vector<char> read(body.nodes.size());
  for (const BodyNode& node : body.nodes) {
    for (const Edge& e : node.inputs) read[static_cast<size_t>(e.node)] = 1;
  }
  for (size_t i = 0; i < body.nodes.size(); ++i) {
    const BodyNode& node = body.nodes[i];
    if (!inputs.empty() || !is_placeholder(node) || read[i] == 0) continue;
    if (keeps_default(body, node)) continue;
    MNN_RETURN_IF_ERROR(add_feed(body, std::string(node.name) + ":0", program.inputs, true));
  }
  auto outputs = names_in(frontend::text_key(options, kOutputsKey, ""));
  if (outputs.empty()) outputs = unread(body, functions, true);
  if (outputs.empty()) outputs = unread(body, functions, false);
  for (const std::string& name : outputs) {
    MNN_RETURN_IF_ERROR(add_feed(body, name, program.outputs, false));
  }
  if (program.outputs.empty()) {
    return invalid(
        std::string("every node is read by another one: name the outputs with --import ") +
        kOutputsKey + "=NAME,NAME");
  }
  return program;
}

Result<ImportedModel> read_model(std::span<const std::byte> bytes, const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const Limits limits, read_limits(options));
  try {
    MNN_ASSIGN_OR_RETURN(GraphDef graph, read_graph_def(bytes));
    if (graph.node_size() > limits.nodes) {
      return limit_exceeded("it has more than " + std::to_string(limits.nodes) + " nodes");
    }
    MNN_ASSIGN_OR_RETURN(Program program, program_of(std::move(graph), options));
    return import_program(std::move(program), options, limits);
  } catch (const std::bad_alloc&) {
    return limit_exceeded("out of memory");
  }
}

Result<ImportedModel> import(frontend::SourceFiles& source, const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, source.open_main());
  return read_model(file.bytes, options);
}

}  // namespace
}  // namespace tensorflow

Frontend graph_def_frontend() {
  return {"tensorflow",
          "a frozen TensorFlow graph (.pb, .pbtxt)",
          tensorflow::recognizes,
          tensorflow::import,
          tensorflow::supported_operators,
          tensorflow::with_limit_keys(
              {{tensorflow::kInputsKey,
                "The tensors that go in, with commas between; default: the placeholders"},
               {tensorflow::kOutputsKey,
                "The tensors that come out, with commas between; default: those nobody reads"}})};
}

Result<ImportedModel> import_graph_def(std::span<const std::byte> bytes,
                                       const ImportOptions& options) {
  return tensorflow::read_model(bytes, options);
}

}  // namespace mnn
