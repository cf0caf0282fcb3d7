#include "libconvert/frontends/tflite/importer.h"

#include "libconvert/frontends/common/options.h"
#include "libconvert/frontends/tflite/keys.h"

namespace mnn::tflite {

using frontend::Scope;

Result<ImportedModel> Importer::run() {
  out_.format = "tflite";
  const Status status = read_model();
  if (status.ok()) return std::move(out_);
  if (options_.failed != nullptr) *options_.failed = std::move(out_);
  return status;
}

void Importer::read_facts() {
  auto& facts = out_.facts;
  facts["schema_version"] = std::to_string(file_.model().version());
  facts["description"] = text(file_.model().description());
  facts["subgraphs"] = std::to_string(file_.subgraphs());
  if (file_.model().signature_defs() == nullptr) return;
  std::string& names = facts["signatures"];
  for (const fb::SignatureDef* s : *file_.model().signature_defs()) {
    names += (names.empty() ? "" : ", ") + text(s->signature_key());
  }
}

Result<const fb::SignatureDef*> Importer::choose_signature() const {
  const std::string key = frontend::text_key(options_, kSignatureKey, "");
  if (key.empty()) return static_cast<const fb::SignatureDef*>(nullptr);
  std::string names;
  if (file_.model().signature_defs() != nullptr) {
    for (const fb::SignatureDef* s : *file_.model().signature_defs()) {
      if (text(s->signature_key()) == key) return s;
      names += (names.empty() ? "" : ", ") + text(s->signature_key());
    }
  }
  return usage_error("the model has no signature '" + key + "', " +
                     (names.empty() ? "it has none" : "it has " + names));
}

// What calls of sub-graphs unfold to, before any is unfolded.
Status Importer::check_sizes(size_t main) const {
  std::map<std::string, frontend::CallingBody> bodies;
  const auto body_of = [&](size_t index) {
    frontend::CallingBody body;
    const auto* operators = file_.subgraph(index).operators();
    if (operators == nullptr) return body;
    body.nodes = operators->size();
    const auto call = [&](int32_t to) {
      body.calls.push_back(
          {"in sub-graph " + std::to_string(index), std::to_string(to), std::to_string(to)});
    };
    for (const fb::Operator* op : *operators) {
      const fb::OperatorCode& code = *file_.model().operator_codes()->Get(op->opcode_index());
      switch (builtin_code(code)) {
        case kIf:
          call(file_.options<fb::IfOptions>(*op, 92).then_subgraph_index());
          call(file_.options<fb::IfOptions>(*op, 92).else_subgraph_index());
          break;
        case kWhile:
          // The condition stands before the loop and in it.
          call(file_.options<fb::WhileOptions>(*op, 93).cond_subgraph_index());
          call(file_.options<fb::WhileOptions>(*op, 93).cond_subgraph_index());
          call(file_.options<fb::WhileOptions>(*op, 93).body_subgraph_index());
          break;
        case kCallOnce:
          call(file_.options<fb::CallOnceOptions>(*op, 103).init_subgraph_index());
          break;
        default: break;
      }
    }
    return body;
  };
  for (size_t i = 0; i < file_.subgraphs(); ++i) bodies.emplace(std::to_string(i), body_of(i));
  frontend::CallingBody root;
  root.calls.push_back({"the model", std::to_string(main), std::to_string(main)});
  MNN_ASSIGN_OR_RETURN(const int64_t nodes, frontend::unfolded_size(root, bodies));
  if (nodes <= limits_.nodes) return {};
  return limit_exceeded("its sub-graphs unfold to more than " + std::to_string(limits_.nodes) +
                        " operators");
}

Result<Type> Importer::declared_type(const fb::Tensor& tensor) const {
  const DType dtype = dtype_of(tensor.type());
  if (dtype == DType::kUndefined || dtype == DType::kC64 || dtype == DType::kC128) {
    return unsupported("tensors of type " + std::to_string(tensor.type()) +
                       " are not supported here");
  }
  Shape shape;
  const auto dims = list(tensor.shape()), signature = list(tensor.shape_signature());
  for (size_t i = 0; i < dims.size(); ++i) {
    const bool open = dims[i] < 0 || (signature.size() == dims.size() && signature[i] < 0);
    shape.push_back(open ? Dim::unknown() : Dim(dims[i]));
  }
  return tensor_type(dtype, std::move(shape));
}

namespace {

// The name an input or output goes by: the signature's where one was asked for.
std::string border_name(const flatbuffers::Vector<flatbuffers::Offset<fb::TensorMap>>* maps,
                        int32_t tensor, const std::string& otherwise) {
  if (maps != nullptr) {
    for (const fb::TensorMap* m : *maps) {
      if (m->tensor_index() == static_cast<uint32_t>(tensor)) return text(m->name());
    }
  }
  return otherwise;
}

}  // namespace

Status Importer::add_inputs(Frame& frame, const fb::SignatureDef* signature) {
  const fb::SubGraph& graph = file_.subgraph(frame.subgraph);
  std::vector<std::pair<ValueId, int32_t>> added;
  for (const int32_t i : list(graph.inputs())) {
    const fb::Tensor& tensor = *graph.tensors()->Get(static_cast<flatbuffers::uoffset_t>(i));
    const std::string name =
        border_name(signature != nullptr ? signature->inputs() : nullptr, i, tensor_name(frame, i));
    Result<Type> type = declared_type(tensor);
    if (!type.ok()) return type.status().context("input " + name);
    for (size_t d = 0; d < type->rank(); ++d) {
      if ((*type->shape)[d].is_unknown()) (*type->shape)[d] = symbols_.fresh(name, d);
    }
    const auto position = static_cast<int>(out_.graph.inputs.size());
    out_.source_inputs.emplace_back(name, position);
    added.emplace_back(out_.graph.add_input(name, std::move(type).value()), i);
  }
  MNN_ASSIGN_OR_RETURN(shapes_given_, bind_input_shapes(out_.graph, options_.shapes, symbols_));
  for (auto [id, i] : added) {
    const fb::Tensor& tensor = *graph.tensors()->Get(static_cast<flatbuffers::uoffset_t>(i));
    const auto q = quantization(tensor);
    if (!q.ok()) return q.status().context("input " + tensor_name(frame, i));
    if (*q) {
      frontend::NodeBuilder b(frame.scope.draft, budget_);
      b.name = log_.unique_name("Dequantize_" + out_.graph.value(id).name, true);
      id = dequantized(b, id, **q);
      MNN_RETURN_IF_ERROR(b.status.context("input " + tensor_name(frame, i)));
    }
    MNN_RETURN_IF_ERROR(define(frame.scope, tensor_name(frame, i), id));
  }
  return {};
}

Status Importer::add_outputs(Frame& frame, const fb::SignatureDef* signature) {
  const fb::SubGraph& graph = file_.subgraph(frame.subgraph);
  for (const int32_t i : list(graph.outputs())) {
    const fb::Tensor& tensor = *graph.tensors()->Get(static_cast<flatbuffers::uoffset_t>(i));
    const std::string name = border_name(signature != nullptr ? signature->outputs() : nullptr, i,
                                         tensor_name(frame, i));
    Result<ValueId> id = value_of(i, frame);
    if (!id.ok()) {
      if (out_.diagnostics.has_errors()) continue;
      return id.status().context("output " + name);
    }
    if (is_undefined(frame.scope, *id)) {
      if (out_.diagnostics.has_errors()) continue;
      return invalid("output " + name + " is made by no operator");
    }
    const Result<Type> declared = declared_type(tensor);
    if (!declared.ok()) return declared.status().context("output " + name);
    MNN_ASSIGN_OR_RETURN(const auto q, quantization(tensor));
    if (q && out_.graph.value(*id).type.dtype == DType::kF32) {
      frontend::SourceNode b(frame.scope.draft, budget_);
      b.name = log_.unique_name("Quantize_" + name, true);
      const ValueId codes = quantized(b, *id, *q);
      MNN_RETURN_IF_ERROR(b.status.context("output " + name));
      // The codes are what the source calls so.
      Value& inner = out_.graph.value(*id);
      if (inner.kind == ValueKind::kTemporary && inner.name == name) inner.name.clear();
      out_.graph.value(codes).name = name;
      *id = codes;
    }
    MNN_RETURN_IF_ERROR(add_output(frame.scope.draft, name, *id, budget_));
    if (out_.diagnostics.has_errors()) continue;
    Type open = *declared;
    // Shapes are those of the last run before the file was written.
    open.shape.reset();
    MNN_RETURN_IF_ERROR(frontend::check_output(out_.graph, open, shapes_given_, out_.diagnostics));
  }
  return {};
}

Status without_content(const Variable& variable) {
  return invalid("variable " + variable.name +
                 " is read, but the file neither initializes nor assigns it: it was exported "
                 "without its weights; export it again with them");
}

Status Importer::add_updates() {
  for (const auto& [name, v] : variables_) {
    if (v.state != kNoValue && v.next == kNoValue && !v.initial) {
      return without_content(v);
    }
    if (v.state != kNoValue && v.next != kNoValue) out_.graph.updates.push_back({v.state, v.next});
  }
  for (const auto& [state, next] : tensor_updates_) out_.graph.updates.push_back({state, next});
  return {};
}

Status Importer::read_model() {
  read_facts();
  MNN_ASSIGN_OR_RETURN(const fb::SignatureDef* signature, choose_signature());
  const size_t main = signature != nullptr ? signature->subgraph_index() : 0;
  MNN_RETURN_IF_ERROR(check_sizes(main));
  scanned_.assign(file_.subgraphs(), 0);
  out_.graph.name = text(file_.subgraph(main).name());
  if (count(file_.subgraph(main).outputs()) == 0) return invalid("the sub-graph has no outputs");
  frontend::GraphDraft draft(out_.graph);
  Frame frame(draft, nullptr, main);
  frame.may_keep = true;
  MNN_RETURN_IF_ERROR(add_inputs(frame, signature));
  MNN_RETURN_IF_ERROR(add_operators(frame));
  MNN_RETURN_IF_ERROR(add_outputs(frame, signature));
  MNN_RETURN_IF_ERROR(out_.diagnostics.status());
  MNN_RETURN_IF_ERROR(add_updates());
  MNN_RETURN_IF_ERROR(sort_nodes(out_.graph));
  MNN_RETURN_IF_ERROR(verify(out_.graph));
  return infer_types(out_.graph);
}

}  // namespace mnn::tflite
