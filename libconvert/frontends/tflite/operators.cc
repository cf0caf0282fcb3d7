// Single operators: their operands, their row, and what goes by their results' names.
#include <algorithm>

#include "libconvert/frontends/tflite/importer.h"
#include "libruntime/core/quant.h"

namespace mnn::tflite {

using frontend::Scope;

namespace {

// 0 in the type of the codes stands for a zero point of 0 as well.
Result<Tensor> zero_point_of(const QuantParams& p) {
  return quantize_tensor(Tensor::scalar(0.0f),
                         tensor_quant(p.storage, 1.0f, static_cast<int32_t>(p.zero_point_at(0))));
}

bool is_activation(const QuantParams& p) { return p.axis < 0 && p.is_plain(); }

// Inputs of Quantize- and DequantizeLinear: `v`, scale and zero point; empty after an error.
std::vector<ValueId> on_grid(frontend::NodeBuilder& b, ValueId v, const QuantParams& p) {
  if (!is_activation(p)) {
    b.fail(unsupported("activations with a scale per channel are not supported"));
    return {};
  }
  const Result<Tensor> zero = zero_point_of(p);
  if (!zero.ok()) {
    b.fail(zero.status());
    return {};
  }
  return {v, b.add_constant(Tensor::scalar(p.scale_at(0))), b.add_constant(*zero)};
}

}  // namespace

ValueId dequantized(frontend::NodeBuilder& b, ValueId codes, const QuantParams& p) {
  std::vector<ValueId> in = on_grid(b, codes, p);
  if (in.empty()) return kNoValue;
  const ValueId real = b.emit("DequantizeLinear", std::move(in));
  if (real != kNoValue) annotate(b.graph, real, p);
  return real;
}

ValueId quantized(frontend::NodeBuilder& b, ValueId real, const QuantParams& p) {
  std::vector<ValueId> in = on_grid(b, real, p);
  return in.empty() ? kNoValue : b.emit("QuantizeLinear", std::move(in));
}

void annotate(Graph& graph, ValueId v, const QuantParams& p) {
  Value& value = graph.value(v);
  // Wider codes round too little to be kept: values between layers are f32 then.
  if (!is_activation(p) || (p.storage != DType::kU8 && p.storage != DType::kI8)) return;
  if (value.type.dtype == DType::kF32 && value.kind == ValueKind::kTemporary) value.quant = p;
}

Status not_supported(const fb::OperatorCode& code) {
  const std::string name = operator_name(code);
  if (builtin_code(code) != kCustomCode) {
    return unsupported("operator " + name + " is not supported");
  }
  if (name.starts_with("Flex")) {
    return unsupported("TensorFlow operator " + name.substr(4) +
                       " inside the file (Flex) is not supported; convert the model without "
                       "SELECT_TF_OPS, or give its SavedModel");
  }
  return unsupported("custom operator " + name + " is not supported");
}

std::vector<std::string> Importer::output_names(const fb::Operator& op, const Frame& frame) const {
  std::vector<std::string> names;
  for (const int32_t t : list(op.outputs())) names.push_back(tensor_name(frame, t));
  return names;
}

Result<ValueId> Importer::add_constant(const fb::Tensor& tensor, const std::string& name,
                                       Frame& frame) {
  MNN_ASSIGN_OR_RETURN(const std::optional<QuantParams> q, quantization(tensor));
  MNN_ASSIGN_OR_RETURN(Tensor data, file_.constant(tensor));
  Graph& graph = frame.scope.draft.graph;
  if (!q) {
    const ValueId id = graph.add_constant(std::move(data), name);
    MNN_RETURN_IF_ERROR(define(frame.scope, name, id));
    return id;
  }
  Value value;
  value.name = name;
  value.kind = ValueKind::kConstant;
  value.type = tensor_type(DType::kF32, to_shape(data.dims()));
  value.data = std::move(data);
  value.quant = *q;
  MNN_RETURN_IF_ERROR(check_quant(*q, value.type));
  if (dtype_bits(q->storage) >= 32) {
    // A bias: nothing is smaller as codes.
    MNN_ASSIGN_OR_RETURN(Tensor real, constant_as_real(value));
    value.data = std::move(real);
    value.quant.reset();
  }
  const ValueId id = graph.add_value(std::move(value));
  MNN_RETURN_IF_ERROR(define(frame.scope, name, id));
  return id;
}

// States are not in the file: a small one could claim any amount of memory.
Status Importer::check_state_size(const Type& type) {
  constexpr int64_t kMostBytes = int64_t{1} << 28;
  const std::optional<int64_t> elements = checked_elements(known_dims(*type.shape));
  const std::optional<int64_t> bytes =
      elements ? storage_bytes(type.dtype, *elements) : std::nullopt;
  if (!bytes || *bytes > kMostBytes - state_bytes_) {
    return limit_exceeded("its states have more than 256 MiB");
  }
  state_bytes_ += *bytes;
  return {};
}

Result<ValueId> Importer::add_variable_tensor(const fb::Tensor& tensor, const std::string& name,
                                              Frame& frame) {
  if (!frame.may_keep) return unsupported("tensor " + name + ": a state inside a sub-graph");
  MNN_ASSIGN_OR_RETURN(Type type, declared_type(tensor));
  MNN_ASSIGN_OR_RETURN(const auto q, quantization(tensor));
  if (q) type.dtype = DType::kF32;
  if (!type.is_static()) return unsupported("tensor " + name + ": a state of open shape");
  MNN_RETURN_IF_ERROR(check_state_size(type));
  MNN_ASSIGN_OR_RETURN(Tensor zeros, Tensor::allocate(type.dtype, known_dims(*type.shape)));
  const ValueId id =
      frame.scope.draft.graph.add_value({name, type, ValueKind::kState, std::move(zeros), {}});
  MNN_RETURN_IF_ERROR(define(frame.scope, name, id));
  return id;
}

Result<ValueId> Importer::value_of(int32_t tensor, Frame& frame) {
  if (tensor < 0) return kNoValue;
  const std::string& name = tensor_name(frame, tensor);
  const auto known = frame.scope.names.find(name);
  if (known != frame.scope.names.end()) return known->second;
  const fb::Tensor& t =
      *file_.subgraph(frame.subgraph).tensors()->Get(static_cast<flatbuffers::uoffset_t>(tensor));
  Result<ValueId> made = invalid("tensor '" + name + "' is read before an operator makes it");
  bool empty = count(t.shape()) > 0;
  for (const int32_t d : list(t.shape())) empty = empty && d >= 0;
  empty = empty && std::ranges::find(list(t.shape()), 0) != list(t.shape()).end();
  if (t.is_variable()) {
    made = add_variable_tensor(t, name, frame);
  } else if (!file_.data(t).empty() || (t.buffer() > 0 && empty)) {
    made = add_constant(t, name, frame);
  } else if (const auto handle = frame.handles.find(name); handle != frame.handles.end()) {
    const Variable& variable = variables_[handle->second];
    if (!variable.initial && variable.next == kNoValue) return without_content(variable);
    return unsupported("variables are only read and assigned in the main sub-graph");
  }
  if (!made.ok()) return made.status().context("tensor " + name);
  return made;
}

Status Importer::add_operators(Frame& frame) {
  const fb::SubGraph& graph = file_.subgraph(frame.subgraph);
  if (graph.operators() == nullptr) return {};
  // Which tensors are read, and what the outputs depend on.
  const size_t tensors = graph.tensors()->size();
  std::vector<char> live(tensors), operators(graph.operators()->size());
  for (const int32_t t : list(graph.outputs())) {
    live[static_cast<size_t>(t)] = 1;
    frame.scope.read.insert(tensor_name(frame, t));
  }
  for (size_t n = operators.size(); n-- > 0;) {
    const fb::Operator& op = *graph.operators()->Get(static_cast<flatbuffers::uoffset_t>(n));
    const int code = builtin_code(*file_.model().operator_codes()->Get(op.opcode_index()));
    bool needed = code == kAssignVariable || code == kCallOnce;
    for (const int32_t t : list(op.outputs())) needed = needed || live[static_cast<size_t>(t)];
    operators[n] = needed;
    for (const int32_t t : list(op.inputs())) {
      if (t < 0) continue;
      if (needed) live[static_cast<size_t>(t)] = 1;
      frame.scope.read.insert(tensor_name(frame, t));
    }
  }
  for (size_t n = 0; n < operators.size(); ++n) {
    frame.scope.node_live = frame.scope.live && operators[n];
    MNN_RETURN_IF_ERROR(
        add_operator(*graph.operators()->Get(static_cast<flatbuffers::uoffset_t>(n)), frame));
  }
  return {};
}

// Only a limit stops the import; every other error is reported and the outputs stay undefined.
Status Importer::add_operator(const fb::Operator& op, Frame& frame) {
  if (--budget_ < 0) return limit_exceeded("the model has more operators than the budget allows");
  const std::string name = operator_name(*file_.model().operator_codes()->Get(op.opcode_index()));
  const std::vector<std::string> outputs = output_names(op, frame);
  const std::string node = log_.unique_name(outputs.empty() ? name : outputs[0], true);
  const Status status = build_operator(op, name, node, frame);
  if (status.code() == Code::kLimit) return status.context("node " + node);
  if (!status.ok()) log_.report(node, name, status, frame.scope.node_live);
  // A variable's handle is no value: who wants one says so.
  if (outputs.empty() || !frame.handles.contains(outputs[0])) {
    leave_undefined(frame.scope, outputs, "");
  }
  return {};
}

Status Importer::build_operator(const fb::Operator& op, const std::string& name,
                                const std::string& node_name, Frame& frame) {
  const fb::OperatorCode& code = *file_.model().operator_codes()->Get(op.opcode_index());
  const int builtin = builtin_code(code);
  const OpRow* row = builtin == kCustomCode ? find_custom(name) : find_builtin(builtin);
  if (row == nullptr && !is_structural(builtin)) return not_supported(code);
  OpNode node(frame.scope.draft, budget_, file_, file_.subgraph(frame.subgraph), op, frame.layouts);
  node.op = name;
  node.name = node_name;
  if (builtin == kVarHandle) return var_handle(node, frame);
  // The resource is no value.
  const bool on_variable = builtin == kReadVariable || builtin == kAssignVariable;
  const size_t values_before = frame.scope.draft.graph.values.size();
  const size_t nodes_before = frame.scope.draft.graph.nodes.size();
  for (size_t i = 0; i < count(op.inputs()); ++i) {
    if (on_variable && i == 0) {
      node.inputs.push_back(kNoValue);
      continue;
    }
    MNN_ASSIGN_OR_RETURN(const ValueId v,
                         value_of(op.inputs()->Get(static_cast<flatbuffers::uoffset_t>(i)), frame));
    node.inputs.push_back(v);
  }
  for (const ValueId v : node.inputs) {
    if (!is_undefined(frame.scope, v)) continue;
    if (builtin == kIf) {
      const auto& o = file_.options<fb::IfOptions>(op, 92);
      scan(static_cast<size_t>(o.then_subgraph_index()), frame.scope.node_live);
      scan(static_cast<size_t>(o.else_subgraph_index()), frame.scope.node_live);
    } else if (builtin == kWhile) {
      const auto& o = file_.options<fb::WhileOptions>(op, 93);
      scan(static_cast<size_t>(o.cond_subgraph_index()), frame.scope.node_live);
      scan(static_cast<size_t>(o.body_subgraph_index()), frame.scope.node_live);
    }
    return {};
  }
  if (row == nullptr) {
    MNN_RETURN_IF_ERROR(add_structural(node, builtin, frame));
  } else if (row->convert != nullptr) {
    row->convert(node);
  } else if (node.expect_inputs(static_cast<size_t>(row->inputs),
                                static_cast<size_t>(row->inputs))) {
    node.results = {node.emit(row->target, node.inputs)};
  }
  MNN_RETURN_IF_ERROR(node.status);
  for (std::string& note : node.notes) log_.note(node_name, name, std::move(note));
  MNN_RETURN_IF_ERROR(add_results(node, values_before, nodes_before, frame));
  for (const auto& [input, next] : node.updates) {
    const ValueId state = node.in(input);
    // Where another operator makes the tensor, what is written to it is lost before the next run.
    if (state == kNoValue || node.graph.value(state).kind != ValueKind::kState) continue;
    if (!tensor_updates_.emplace(state, next).second) {
      return unsupported("its state is written by two operators");
    }
  }
  return {};
}

Status Importer::add_results(OpNode& node, size_t values_before, size_t nodes_before,
                             Frame& frame) {
  Graph& graph = frame.scope.draft.graph;
  const std::vector<std::string> outputs = output_names(node.tf, frame);
  for (size_t i = 0; i < std::min(outputs.size(), node.results.size()); ++i) {
    ValueId v = node.results[i];
    if (v == kNoValue) continue;
    const fb::Tensor& tensor = node.output_tensor(i);
    Result<std::optional<QuantParams>> q = quantization(tensor);
    if (!q.ok()) return q.status();
    const bool own = static_cast<size_t>(v) >= values_before && graph.value(v).name.empty() &&
                     graph.value(v).kind == ValueKind::kTemporary;
    const bool bytes =
        *q && (*q)->axis < 0 && ((*q)->storage == DType::kU8 || (*q)->storage == DType::kI8);
    if (!own && bytes && graph.value(v).kind != ValueKind::kConstant &&
        graph.value(v).quant != **q) {
      v = node.emit("Identity", {v});
      MNN_RETURN_IF_ERROR(node.status);
    }
    if (graph.value(v).name.empty()) graph.value(v).name = outputs[i];
    if (*q && static_cast<size_t>(v) >= values_before) {
      annotate(graph, v, **q);
      // What was made with the channels first is the same on the same grid.
      const auto twin = frame.layouts.first.find(v);
      if (twin != frame.layouts.first.end() && static_cast<size_t>(twin->second) >= values_before) {
        annotate(graph, twin->second, **q);
      }
    }
    if (*q && bytes && graph.value(v).type.dtype == (*q)->storage) {
      return invalid("output " + std::to_string(i) + " is not made as real numbers");
    }
    const DType made = graph.value(v).type.dtype, declared = dtype_of(tensor.type());
    const bool complex = declared == DType::kC64;
    if (!*q && !complex && declared != DType::kUndefined && made != declared &&
        graph.value(v).type.defined()) {
      return invalid("output " + std::to_string(i) + " is declared as " +
                     std::string(dtype_name(declared)) + " but computes to " +
                     std::string(dtype_name(made)));
    }
    MNN_RETURN_IF_ERROR(define(frame.scope, outputs[i], v));
  }
  // The node that does the work carries the source's name, not the Transpose behind it.
  for (size_t k = graph.nodes.size(); k-- > nodes_before;) {
    Node& made = graph.nodes[k];
    if (made.op == "Transpose" && k > nodes_before) continue;
    if (made.name.empty() && made.origin == std::vector<std::string>{node.name}) {
      made.name = node.name;
    }
    break;
  }
  return {};
}

}  // namespace mnn::tflite
