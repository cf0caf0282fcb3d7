#include "libconvert/frontends/onnx/importer.h"

namespace mnn::onnx {

Result<Opsets> Importer::read_opsets(
    const google::protobuf::RepeatedPtrField<OperatorSetIdProto>& imports) const {
  Opsets opsets;
  for (const OperatorSetIdProto& import : imports) {
    const std::string domain(domain_of(import.domain()));
    const std::string text = domain.empty() ? "ai.onnx" : domain;
    if (import.version() < 1) {
      return invalid("operator set " + text + " has version " + std::to_string(import.version()));
    }
    if (domain.empty() && import.version() > kNewestOpset) {
      return unsupported("operator set " + text + " " + std::to_string(import.version()) +
                         " is newer than " + std::to_string(kNewestOpset) +
                         ", the newest one known");
    }
    if (!opsets.emplace(domain, import.version()).second) {
      return invalid("operator set " + text + " is imported twice");
    }
  }
  return opsets;
}

Status Importer::read_header() {
  if (!model_.has_graph() || model_.graph().output_size() == 0) {
    return invalid(model_.has_graph() ? "the graph has no outputs" : "the model has no graph");
  }
  if (model_.ir_version() < 1) {
    return invalid("IR version " + std::to_string(model_.ir_version()) + " is no version");
  }
  if (model_.ir_version() > kNewestIrVersion) {
    out_.diagnostics.add({Severity::kWarning,
                          Code::kUnsupported,
                          {},
                          {},
                          "IR version " + std::to_string(model_.ir_version()) + " is newer than " +
                              std::to_string(kNewestIrVersion) + ", the newest one known"});
  }
  auto& facts = out_.facts;
  facts["ir_version"] = std::to_string(model_.ir_version());
  facts["producer_name"] = model_.producer_name();
  facts["producer_version"] = model_.producer_version();
  for (const StringStringEntryProto& entry : model_.metadata_props()) {
    facts["metadata." + entry.key()] = entry.value();
  }
  std::string& opset = facts["opset"];
  for (const OperatorSetIdProto& import : model_.opset_import()) {
    const std::string_view domain = domain_of(import.domain());
    opset += (opset.empty() ? "" : ", ") + std::string(domain.empty() ? "ai.onnx" : domain) + " " +
             std::to_string(import.version());
  }
  return {};
}

Status Importer::add_initializers(GraphProto& proto, Scope& scope, const Frame& frame) {
  const Ownership ownership = frame.in_call ? Ownership::kCopy : Ownership::kTake;
  for (TensorProto& t : *proto.mutable_initializer()) {
    if (t.name().empty()) return invalid("an initializer has no name");
    MNN_ASSIGN_OR_RETURN(Tensor data, to_tensor(t, &files_, ownership));
    const ValueId id = scope.draft.graph.add_constant(std::move(data), frame.prefix + t.name());
    MNN_RETURN_IF_ERROR(define(scope, t.name(), id));
  }
  for (SparseTensorProto& t : *proto.mutable_sparse_initializer()) {
    const std::string& name = t.values().name();
    if (name.empty()) return invalid("a sparse initializer has no name");
    MNN_ASSIGN_OR_RETURN(Tensor data, to_dense(t, &files_));
    const ValueId id = scope.draft.graph.add_constant(std::move(data), frame.prefix + name);
    MNN_RETURN_IF_ERROR(define(scope, name, id));
  }
  return {};
}

Status Importer::add_inputs(GraphProto& proto, Scope& scope) {
  // Names that files give to dimensions come first: a made-up one must not take theirs.
  for (const ValueInfoProto& v : proto.input()) {
    for (const auto& dim : v.type().tensor_type().shape().dim()) {
      if (is_named_dim(dim)) symbols_.named(dim.dim_param());
    }
  }
  std::unordered_set<std::string_view> seen;
  for (const ValueInfoProto& v : proto.input()) {
    if (v.name().empty()) return invalid("a graph input has no name");
    if (!seen.insert(v.name()).second) return invalid("input " + v.name() + " is listed twice");
    if (scope.names.contains(v.name())) {
      out_.source_inputs.emplace_back(v.name(), -1);
      continue;
    }
    Result<InputType> type = input_type(v.name(), v.type(), symbols_);
    if (!type.ok()) return type.status().context("input " + v.name());
    if (type->zero_dims) {
      out_.diagnostics.add({Severity::kNote,
                            Code::kOk,
                            {},
                            {},
                            "input " + v.name() +
                                " is declared with dimension 0; it is taken as "
                                "dynamic"});
    }
    out_.source_inputs.emplace_back(v.name(), static_cast<int>(out_.graph.inputs.size()));
    const ValueId id = out_.graph.add_input(v.name(), std::move(type->type));
    MNN_RETURN_IF_ERROR(define(scope, v.name(), id));
  }
  MNN_ASSIGN_OR_RETURN(shapes_given_, bind_input_shapes(out_.graph, options_.shapes, symbols_));
  return {};
}

Status Importer::add_outputs(const GraphProto& proto, Scope& scope) {
  for (const ValueInfoProto& v : proto.output()) {
    Result<ValueId> id = resolve(scope, v.name());
    if (!id.ok() || *id == kNoValue) {
      if (out_.diagnostics.has_errors()) continue;
      return invalid("output '" + v.name() + "' is made by no node, input or initializer");
    }
    MNN_RETURN_IF_ERROR(add_output(scope.draft, v.name(), *id, budget_));
    if (out_.diagnostics.has_errors()) continue;
    const Result<Type> declared = declared_type(v.type());
    if (!declared.ok()) return declared.status().context("output " + v.name());
    MNN_RETURN_IF_ERROR(
        frontend::check_output(out_.graph, *declared, shapes_given_, out_.diagnostics));
  }
  return {};
}

Result<ImportedModel> Importer::run() {
  out_.format = "onnx";
  const Status status = read_model();
  if (status.ok()) return std::move(out_);
  if (options_.failed != nullptr) *options_.failed = std::move(out_);
  return status;
}

Status Importer::read_model() {
  MNN_RETURN_IF_ERROR(read_header());
  Frame frame;
  MNN_ASSIGN_OR_RETURN(frame.opsets, read_opsets(model_.opset_import()));
  // The first files had one set of operators and did not say so.
  if (frame.opsets.empty() && model_.ir_version() < 3) frame.opsets[""] = 1;
  if (frame.opsets.empty()) return invalid("the model imports no operator set");
  for (FunctionProto& f : *model_.mutable_functions()) {
    if (!functions_.emplace(function_key(f.domain(), f.name(), f.overload()), &f).second) {
      return invalid("function " + f.name() + " is defined twice");
    }
  }
  MNN_RETURN_IF_ERROR(check_function_sizes());

  GraphProto& proto = *model_.mutable_graph();
  out_.graph.name = proto.name();
  GraphDraft draft(out_.graph);
  Scope scope(draft, nullptr);
  MNN_RETURN_IF_ERROR(add_initializers(proto, scope, frame));
  MNN_RETURN_IF_ERROR(add_inputs(proto, scope));
  std::vector<std::string_view> outputs;
  for (const ValueInfoProto& v : proto.output()) outputs.push_back(v.name());
  scope.border = {outputs.begin(), outputs.end()};
  declare(proto.value_info(), scope);
  declare(proto.output(), scope);
  MNN_RETURN_IF_ERROR(add_nodes(*proto.mutable_node(), outputs, scope, frame));
  MNN_RETURN_IF_ERROR(add_outputs(proto, scope));
  MNN_RETURN_IF_ERROR(out_.diagnostics.status());
  MNN_RETURN_IF_ERROR(verify(out_.graph));
  return infer_types(out_.graph);
}

}  // namespace mnn::onnx
