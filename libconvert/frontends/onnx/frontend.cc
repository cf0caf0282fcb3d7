#include "libconvert/frontends/onnx/frontend.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <climits>
#include <new>

#include "libconvert/frontends/common/options.h"
#include "libconvert/frontends/onnx/importer.h"
#include "libconvert/sniff.h"

namespace mnn {
namespace onnx {
namespace {

// Messages between a graph and its sub-graph: graph, node, attribute.
constexpr int kMessagesPerSubgraph = 3;
constexpr int kMessagesBesides = 24;

// Reads one message from a whole file. A message has at most 2^31-1 bytes.
Status parse_message(google::protobuf::MessageLite& message, std::span<const std::byte> bytes,
                     int recursion_limit, const char* what) {
  if (bytes.size() > INT_MAX) {
    return limit_exceeded(std::string(what) + " files over 2 GiB cannot be read; weights belong " +
                          "into external data");
  }
  const google::protobuf::LogSilencer silent;
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream input(&stream);
  input.SetTotalBytesLimit(INT_MAX);
  input.SetRecursionLimit(recursion_limit);
  if (message.ParseFromCodedStream(&input) && input.ConsumedEntireMessage()) return {};
  return invalid(std::string("expected ") + what + " data, found damaged or foreign bytes");
}

// Whether the bytes start as ModelProto's fields do: known numbers with their wire types, of which
// one of the first is ir_version, opset_import or the graph.
bool begins_as_model(std::span<const std::byte> head) {
  constexpr uint64_t kVarint = 0, kBytes = 2;
  bool telling = false;
  size_t fields = 0;
  while (!head.empty()) {
    const auto key = take_varint(head);
    if (!key) return telling;
    const uint64_t field = *key >> 3, wire = *key & 7;
    const bool number = field == 1 || field == 5;
    const bool known = number || (field >= 2 && field <= 8) || field == 14 || field == 20 ||
                       field == 25 || field == 26;
    if (!known || wire != (number ? kVarint : kBytes)) return false;
    const auto value = take_varint(head);
    if (!value) return telling;
    if (field == 1 && *value - 1 >= 1u << 16) return false;
    // ir_version first, then a second field that fits: chance does not make that.
    telling |= field == 7 || field == 8 || (fields > 0 && wire == kBytes) || field == 1;
    ++fields;
    if (wire == kVarint) continue;
    if (*value > INT_MAX) return false;
    if (*value >= head.size()) return telling;
    head = head.subspan(static_cast<size_t>(*value));
  }
  return telling;
}

constexpr const char* kEnding = ".onnx";
constexpr const char* kUsualName = "model.onnx";
constexpr const char* kUsualFolder = "onnx";  // of a Hugging Face repository

// The .onnx files of a folder, or where it has none those of its folder "onnx".
std::vector<std::string> models_in(const SourceFiles& source) {
  std::vector<std::string> names = source.list(kEnding);
  return names.empty() ? source.list(kEnding, kUsualFolder) : names;
}

bool recognizes(std::span<const std::byte> bytes, const SourceFiles& source) {
  if (source.is_folder()) return !models_in(source).empty();
  constexpr size_t kHead = 64;
  // A SavedModel begins with the same fields, a message where ONNX has a name.
  if (is_plain_text(bytes) || is_saved_model(bytes, source.path())) return false;
  return begins_as_model(bytes.first(std::min(kHead, bytes.size())));
}

constexpr const char* kFileKey = "file";
constexpr const char* kNodesKey = "max_nodes";
constexpr const char* kDepthKey = "max_depth";
constexpr int64_t kDefaultNodes = 1 << 20;
constexpr int64_t kDefaultDepth = 64;

// The model among the files of a folder.
Result<std::string> choose_model(const SourceFiles& source, const ImportOptions& options) {
  const std::string wanted = frontend::text_key(options, kFileKey, "");
  if (!source.is_folder()) {
    if (wanted.empty()) return wanted;
    return usage_error(std::string("key ") + kFileKey +
                       " names a file in a folder; this is a file");
  }
  if (!wanted.empty()) return wanted;
  const std::vector<std::string> names = models_in(source);
  for (const std::string& name : names) {
    if (names.size() == 1 || name == kUsualName ||
        name == std::string(kUsualFolder) + "/" + kUsualName) {
      return name;
    }
  }
  constexpr size_t kShown = 8;
  std::string list;
  for (size_t i = 0; i < std::min(kShown, names.size()); ++i) {
    list += (i > 0 ? ", " : "") + names[i];
  }
  if (names.size() > kShown) list += " and " + std::to_string(names.size() - kShown) + " more";
  return usage_error("the folder holds several models (" + list + "); give one of them, or " +
                     "--import " + kFileKey + "=NAME");
}

Result<ImportedModel> read_model(std::span<const std::byte> bytes, SourceFiles& source,
                                 const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const int64_t nodes,
                       frontend::int_key(options, kNodesKey, kDefaultNodes, 1, int64_t{1} << 30));
  MNN_ASSIGN_OR_RETURN(const int64_t depth,
                       frontend::int_key(options, kDepthKey, kDefaultDepth, 0, kDefaultDepth));
  const Limits limits{nodes, static_cast<int>(depth)};
  try {
    ModelProto model;
    const int recursion = limits.depth * kMessagesPerSubgraph + kMessagesBesides;
    MNN_RETURN_IF_ERROR(parse_message(model, bytes, recursion, "ONNX"));
    return Importer(model, source, options, limits).run();
  } catch (const std::bad_alloc&) {
    return limit_exceeded("out of memory");
  }
}

Result<ImportedModel> import(SourceFiles& source, const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const std::string name, choose_model(source, options));
  MNN_ASSIGN_OR_RETURN(const MappedFile file, source.open_main(name));
  Result<ImportedModel> model = read_model(file.bytes, source, options);
  return model.ok() || name.empty() ? std::move(model) : model.status().context(name);
}

Result<Tensor> parse_tensor(std::span<const std::byte> bytes, const std::string* path,
                            std::string* name) {
  TensorProto proto;
  MNN_RETURN_IF_ERROR(parse_message(proto, bytes, kMessagesBesides, "TensorProto"));
  SourceFiles files(path != nullptr ? *path : std::string());
  if (name != nullptr) *name = proto.name();
  return to_tensor(proto, path != nullptr ? &files : nullptr, Ownership::kTake);
}

// Another message may read as one of this type, with fields this type does not have.
template <typename Proto>
Status parse_value(Proto& proto, std::span<const std::byte> bytes, const char* what) {
  MNN_RETURN_IF_ERROR(parse_message(proto, bytes, kMessagesBesides, what));
  if (proto.unknown_fields().empty()) return {};
  return invalid(std::string("expected ") + what + " data, found another message");
}

Result<Tensor> to_sequence(SequenceProto& proto, DType dtype, SourceFiles& files) {
  const int type = proto.elem_type();
  if (type != SequenceProto::TENSOR && (type != SequenceProto::UNDEFINED)) {
    return unsupported("only sequences of tensors are supported");
  }
  std::vector<Tensor> items;
  for (TensorProto& item : *proto.mutable_tensor_values()) {
    Result<Tensor> tensor = to_tensor(item, &files, Ownership::kTake);
    const std::string where = "element " + std::to_string(items.size());
    if (!tensor.ok()) return tensor.status().context(where);
    if (tensor->dtype() != dtype) {
      return invalid(where + ": expected type " + std::string(dtype_name(dtype)) + ", found " +
                     tensor->type_str());
    }
    items.push_back(std::move(tensor).value());
  }
  return Tensor::sequence(dtype, std::move(items));
}

Result<Tensor> to_optional(OptionalProto& proto, DType dtype, SourceFiles& files) {
  switch (proto.elem_type()) {
    case OptionalProto::UNDEFINED: return Tensor::nothing(dtype);
    case OptionalProto::TENSOR:
      if (!proto.has_tensor_value()) return Tensor::nothing(dtype);
      return to_tensor(*proto.mutable_tensor_value(), &files, Ownership::kTake);
    case OptionalProto::SEQUENCE:
      if (!proto.has_sequence_value()) return Tensor::nothing(dtype);
      return to_sequence(*proto.mutable_sequence_value(), dtype, files);
    default: return unsupported("only optional tensors and sequences of tensors are supported");
  }
}

void from_sequence(const Tensor& value, const std::string& name, SequenceProto& proto) {
  proto.set_name(name);
  proto.set_elem_type(SequenceProto::TENSOR);
  for (const Tensor& item : value.items()) from_tensor(item, "", *proto.add_tensor_values());
}

void from_optional(const Tensor& value, const std::string& name, OptionalProto& proto) {
  proto.set_name(name);
  switch (value.form()) {
    case Tensor::Form::kNothing: proto.set_elem_type(OptionalProto::UNDEFINED); return;
    case Tensor::Form::kSequence:
      proto.set_elem_type(OptionalProto::SEQUENCE);
      return from_sequence(value, "", *proto.mutable_sequence_value());
    case Tensor::Form::kTensor:
      proto.set_elem_type(OptionalProto::TENSOR);
      return from_tensor(value, "", *proto.mutable_tensor_value());
  }
}

Status write_message(const google::protobuf::MessageLite& message, const std::string& path) {
  std::string bytes;
  if (!message.SerializeToString(&bytes)) {
    return limit_exceeded(path + ": a protobuf message cannot hold 2 GiB");
  }
  return write_file(path, bytes);
}

}  // namespace
}  // namespace onnx

Frontend onnx_frontend() {
  return {"onnx",
          "a .onnx file, or a folder that holds one",
          onnx::recognizes,
          onnx::import,
          onnx::supported_operators,
          {{onnx::kFileKey, "The model of a folder that holds several .onnx files"},
           {onnx::kNodesKey, "Most nodes once functions are unfolded; default 1048576"},
           {onnx::kDepthKey, "Most sub-graphs in each other, at most 64; default 64"}}};
}

Result<ImportedModel> import_onnx(std::span<const std::byte> bytes, const std::string& path,
                                  const ImportOptions& options) {
  frontend::SourceFiles source(path);
  return onnx::read_model(bytes, source, options);
}

Result<Tensor> parse_tensor_pb(std::span<const std::byte> bytes, std::string* name) {
  return onnx::parse_tensor(bytes, nullptr, name);
}

Result<Tensor> read_tensor_pb(const std::string& path, std::string* name) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  Result<Tensor> tensor = onnx::parse_tensor(file.bytes, &path, name);
  if (!tensor.ok()) return tensor.status().context(path);
  return tensor;
}

Status write_tensor_pb(const std::string& path, const Tensor& tensor, const std::string& name) {
  onnx::TensorProto proto;
  onnx::from_tensor(tensor, name, proto);
  return onnx::write_message(proto, path);
}

Result<Tensor> read_value_pb(const std::string& path, const Type& type) {
  if (type.kind == Type::Kind::kTensor) return read_tensor_pb(path);
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  onnx::SourceFiles files(path);
  const auto read = [&]() -> Result<Tensor> {
    if (type.kind == Type::Kind::kSequence) {
      onnx::SequenceProto proto;
      MNN_RETURN_IF_ERROR(onnx::parse_value(proto, file.bytes, "SequenceProto"));
      return onnx::to_sequence(proto, type.dtype, files);
    }
    onnx::OptionalProto proto;
    MNN_RETURN_IF_ERROR(onnx::parse_value(proto, file.bytes, "OptionalProto"));
    return onnx::to_optional(proto, type.dtype, files);
  };
  Result<Tensor> value = read();
  if (!value.ok()) return value.status().context(path);
  return value;
}

Status write_value_pb(const std::string& path, const Tensor& value, Type::Kind kind,
                      const std::string& name) {
  if (kind == Type::Kind::kOptionalTensor || kind == Type::Kind::kOptionalSequence ||
      value.form() == Tensor::Form::kNothing) {
    onnx::OptionalProto proto;
    onnx::from_optional(value, name, proto);
    return onnx::write_message(proto, path);
  }
  if (value.is_tensor()) return write_tensor_pb(path, value, name);
  onnx::SequenceProto proto;
  onnx::from_sequence(value, name, proto);
  return onnx::write_message(proto, path);
}

}  // namespace mnn
