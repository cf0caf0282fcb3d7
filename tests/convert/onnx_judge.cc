#include "tests/convert/onnx_judge.h"

#include <google/protobuf/util/json_util.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include <algorithm>
#include <exception>
#include <map>

namespace mnn::testing {
namespace {

constexpr int64_t kNewestOpset = 17;
constexpr int64_t kNewestIrVersion = 8;
// Malformed, but libonnx does not look.
constexpr const char* kUnseen[] = {"bytes of raw_data", "is imported twice",
                                   "group: expected at least 1"};

bool is_known(const ::onnx::ModelProto& model) {
  // A model without outputs is sound for libonnx; there is nothing to run in it.
  if (model.ir_version() > kNewestIrVersion || model.graph().output_size() == 0) return false;
  for (const auto& set : model.opset_import()) {
    const bool standard = set.domain().empty() || set.domain() == "ai.onnx";
    if (!standard || set.version() > kNewestOpset || set.version() < 1) return false;
  }
  return model.opset_import_size() > 0;
}

// Fills in the types that libonnx infers; why not when it finds a contradiction.
std::string infer(::onnx::ModelProto& model) {
  try {
    const ::onnx::ShapeInferenceOptions strict(true, 1, false);
    ::onnx::shape_inference::InferShapes(model, ::onnx::OpSchemaRegistry::Instance(), strict);
  } catch (const std::exception& e) {
    return e.what();
  }
  return {};
}

// Why the checker refuses it. It wants a shape at every output: ask it after inference.
std::string check(const ::onnx::ModelProto& model) {
  try {
    ::onnx::checker::check_model(model);
  } catch (const std::exception& e) {
    return e.what();
  }
  return {};
}

std::string compare(const Value& ours, const ::onnx::TypeProto& type, int& compared) {
  if (!type.has_tensor_type() || !ours.type.defined()) return {};
  const auto& theirs = type.tensor_type();
  if (theirs.elem_type() == 0) return {};
  ++compared;
  const std::string where = ours.name + " is " + ours.type.str() + ", libonnx says ";
  if (ours.type.kind != Type::Kind::kTensor) return where + "a tensor";
  if (static_cast<int>(ours.type.dtype) != theirs.elem_type()) {
    return where + std::string(dtype_name(static_cast<DType>(theirs.elem_type())));
  }
  if (!theirs.has_shape() || !ours.type.shape) return {};
  if (static_cast<int>(ours.type.rank()) != theirs.shape().dim_size()) {
    return where + "rank " + std::to_string(theirs.shape().dim_size());
  }
  for (int i = 0; i < theirs.shape().dim_size(); ++i) {
    const Dim& dim = (*ours.type.shape)[static_cast<size_t>(i)];
    const auto& other = theirs.shape().dim(i);
    // A 0 stands for "unknown" in files of some exporters.
    if (!dim.known() || !other.has_dim_value() || other.dim_value() == 0) continue;
    if (dim.value() == other.dim_value()) continue;
    return where + std::to_string(other.dim_value()) + " for dim " + std::to_string(i);
  }
  return {};
}

// The values that have one name in both.
void compare_all(const Graph& ours, const ::onnx::ModelProto& model, Judgement& judgement) {
  std::map<std::string, const ::onnx::TypeProto*> theirs;
  for (const auto& v : model.graph().value_info()) theirs[v.name()] = &v.type();
  for (const auto& v : model.graph().output()) theirs[v.name()] = &v.type();
  for (const Value& value : ours.values) {
    const auto it = theirs.find(value.name);
    if (it == theirs.end()) continue;
    judgement.difference = compare(value, *it->second, judgement.compared);
    if (!judgement.difference.empty()) break;
  }
}

}  // namespace

Judgement judge_import(const std::string& bytes, const Result<ImportedModel>& imported) {
  ::onnx::ModelProto model;
  if (!model.ParseFromString(bytes) || !is_known(model)) return {};
  if (!infer(model).empty()) return {};
  if (!imported.ok()) {
    const bool malformed = imported.status().code() == Code::kInvalidArgument;
    const std::string& why = imported.status().message();
    const bool unseen = std::ranges::any_of(
        kUnseen, [&](const char* part) { return why.find(part) != std::string::npos; });
    if (!malformed || unseen || !check(model).empty()) return {};
    return {"libonnx accepts it: " + why};
  }
  Judgement judgement;
  compare_all(imported->graph, model, judgement);
  return judgement;
}

GraphJudgement judge_graph(const Graph& graph, const std::string& json) {
  GraphJudgement judgement;
  ::onnx::ModelProto model;
  const auto read = google::protobuf::util::JsonStringToMessage(json, &model);
  if (!read.ok()) {
    judgement.difference = "no ONNX JSON: " + std::string(read.message());
    return judgement;
  }
  model.set_ir_version(kNewestIrVersion);
  model.clear_opset_import();
  model.add_opset_import()->set_version(kNewestOpset);
  // What it infers is to be its own.
  model.mutable_graph()->clear_value_info();
  for (auto& output : *model.mutable_graph()->mutable_output()) output.clear_type();
  judgement.refused = infer(model);
  if (!judgement.refused.empty()) return judgement;
  compare_all(graph, model, judgement);
  // Where libonnx infers no shape of an output the checker has nothing to say.
  for (const auto& output : model.graph().output()) {
    if (!output.type().has_tensor_type() || !output.type().tensor_type().has_shape()) {
      return judgement;
    }
  }
  judgement.refused = check(model);
  return judgement;
}

}  // namespace mnn::testing
