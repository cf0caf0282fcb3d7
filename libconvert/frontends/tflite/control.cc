// Sub-graphs and variables: IF, WHILE, CALL_ONCE, VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE.
#include "libconvert/frontends/tflite/importer.h"
#include "libruntime/core/fold.h"

namespace mnn::tflite {

using frontend::GraphDraft;
using frontend::Scope;

void Importer::scan(size_t subgraph, bool live) {
  if (subgraph >= scanned_.size() || scanned_[subgraph]++) return;
  const auto* operators = file_.subgraph(subgraph).operators();
  if (operators == nullptr) return;
  for (const fb::Operator* op : *operators) {
    const fb::OperatorCode& code = *file_.model().operator_codes()->Get(op->opcode_index());
    const int builtin = builtin_code(code);
    const OpRow* row =
        builtin == kCustomCode ? find_custom(operator_name(code)) : find_builtin(builtin);
    if (row == nullptr && !is_structural(builtin)) {
      const std::string name = operator_name(code);
      log_.report(log_.unique_name(name, true), name, not_supported(code), live);
    }
    if (builtin == kIf) {
      const auto& o = file_.options<fb::IfOptions>(*op, 92);
      scan(static_cast<size_t>(o.then_subgraph_index()), live);
      scan(static_cast<size_t>(o.else_subgraph_index()), live);
    } else if (builtin == kWhile) {
      const auto& o = file_.options<fb::WhileOptions>(*op, 93);
      scan(static_cast<size_t>(o.cond_subgraph_index()), live);
      scan(static_cast<size_t>(o.body_subgraph_index()), live);
    }
  }
}

Result<size_t> Importer::subgraph_of(int32_t index, size_t inputs, size_t outputs) const {
  if (index < 0 || static_cast<size_t>(index) >= file_.subgraphs()) {
    return invalid("it names sub-graph " + std::to_string(index) + " of " +
                   std::to_string(file_.subgraphs()));
  }
  const fb::SubGraph& graph = file_.subgraph(static_cast<size_t>(index));
  if (count(graph.inputs()) != inputs || count(graph.outputs()) != outputs) {
    return invalid("sub-graph " + std::to_string(index) + " has " +
                   std::to_string(count(graph.inputs())) + " inputs and " +
                   std::to_string(count(graph.outputs())) + " outputs, expected " +
                   std::to_string(inputs) + " and " + std::to_string(outputs));
  }
  return static_cast<size_t>(index);
}

Result<std::vector<ValueId>> Importer::add_body(size_t index, const std::vector<ValueId>& operands,
                                                Scope& around, GraphDraft& draft) {
  Frame frame(draft, nullptr, index);
  frame.scope.depth = around.depth;
  frame.scope.live = around.node_live;
  const fb::SubGraph& graph = file_.subgraph(index);
  for (size_t i = 0; i < operands.size(); ++i) {
    const int32_t t = graph.inputs()->Get(static_cast<flatbuffers::uoffset_t>(i));
    if (operands[i] == kNoValue) return invalid("operand " + std::to_string(i) + " is missing");
    MNN_RETURN_IF_ERROR(define(frame.scope, tensor_name(frame, t), operands[i]));
  }
  MNN_RETURN_IF_ERROR(add_operators(frame));
  std::vector<ValueId> results;
  for (const int32_t t : list(graph.outputs())) {
    MNN_ASSIGN_OR_RETURN(const ValueId v, value_of(t, frame));
    results.push_back(v);
  }
  return results;
}

std::vector<std::string> Importer::name_operands(const OpNode& node, Frame& frame) {
  std::vector<std::string> names;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    // No tensor's name begins so: they may, but names of a sub-graph are looked up there alone.
    names.push_back("\x1f" + node.name + "/" + std::to_string(i));
    frame.scope.names[names.back()] = node.inputs[i];
  }
  return names;
}

namespace {

bool any_undefined(const Scope& scope, const std::vector<ValueId>& values) {
  return std::ranges::any_of(values, [&](ValueId v) { return is_undefined(scope, v); });
}

}  // namespace

Status Importer::add_if(OpNode& node, Frame& frame) {
  if (node.inputs.empty()) return invalid("expected a condition");
  const auto& o = node.options<fb::IfOptions>(92);
  const size_t operands = node.inputs.size() - 1;
  MNN_ASSIGN_OR_RETURN(const size_t then_graph,
                       subgraph_of(o.then_subgraph_index(), operands, node.output_count()));
  MNN_ASSIGN_OR_RETURN(const size_t else_graph,
                       subgraph_of(o.else_subgraph_index(), operands, node.output_count()));
  const std::optional<bool> known = frontend::known_condition(frame.scope.draft, node.in(0));
  const size_t errors = log_.errors();
  if (known) {
    const std::vector<ValueId> values(node.inputs.begin() + 1, node.inputs.end());
    MNN_ASSIGN_OR_RETURN(node.results, add_body(*known ? then_graph : else_graph, values,
                                                frame.scope, frame.scope.draft));
    if (any_undefined(frame.scope, node.results)) node.results.clear();
    return {};
  }
  const std::vector<std::string> names = name_operands(node, frame);
  node.inputs.resize(1);
  node.op = "If";
  MNN_RETURN_IF_ERROR(frontend::add_subgraphs(
      frame.scope, node, 2, limits_.depth, [&](size_t g, Scope& inside) -> Status {
        std::vector<ValueId> values;
        for (size_t i = 0; i < operands; ++i) {
          MNN_ASSIGN_OR_RETURN(const ValueId v, resolve(inside, names[i + 1]));
          values.push_back(v);
        }
        MNN_ASSIGN_OR_RETURN(inside.draft.graph.outputs, add_body(g == 0 ? then_graph : else_graph,
                                                                  values, inside, inside.draft));
        return {};
      }));
  if (log_.errors() > errors) return {};  // said already
  node.wanted.assign(node.output_count(), 1);
  return node.append();
}

Status Importer::add_while(OpNode& node, Frame& frame) {
  const auto& o = node.options<fb::WhileOptions>(93);
  const size_t carried = node.inputs.size();
  MNN_ASSIGN_OR_RETURN(const size_t cond, subgraph_of(o.cond_subgraph_index(), carried, 1));
  MNN_ASSIGN_OR_RETURN(const size_t body, subgraph_of(o.body_subgraph_index(), carried, carried));
  if (node.output_count() != carried) {
    return invalid("expected as many outputs as inputs, found " +
                   std::to_string(node.output_count()) + " and " + std::to_string(carried));
  }
  const size_t errors = log_.errors();
  MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> first,
                       add_body(cond, node.inputs, frame.scope, frame.scope.draft));
  if (log_.errors() > errors || any_undefined(frame.scope, first)) return {};
  const std::vector<ValueId> initial = node.inputs;
  const fb::SubGraph& inner = file_.subgraph(body);
  std::vector<Type> types;
  for (size_t i = 0; i < carried; ++i) {
    // What is carried may change its shape from trip to trip: only what both say holds.
    Type type = node.type_of(initial[i]);
    const fb::Tensor& t = *inner.tensors()->Get(static_cast<flatbuffers::uoffset_t>(
        inner.inputs()->Get(static_cast<flatbuffers::uoffset_t>(i))));
    const Result<Type> declared = declared_type(t);
    if (!declared.ok()) return declared.status();
    if (type.shape && declared->rank() == type.rank()) {
      for (size_t d = 0; d < type.rank(); ++d) {
        const Dim& says = (*declared->shape)[d];
        if (!says.known() || !(*type.shape)[d].same(says)) (*type.shape)[d] = Dim::unknown();
      }
    } else {
      type.shape.reset();
    }
    types.push_back(std::move(type));
  }
  const auto condition = [&](const std::vector<ValueId>& values) -> Result<ValueId> {
    const Type& type = frame.scope.draft.graph.value(values[0]).type;
    if (type.dtype != DType::kBool) return invalid("the condition is no bool");
    return values[0];
  };
  MNN_ASSIGN_OR_RETURN(const ValueId goes_on, condition(first));
  // A condition may be a tensor of one element.
  node.op = "Loop";
  node.inputs = {kNoValue, node.emit("Reshape", {goes_on, node.add_ints({})})};
  node.inputs.insert(node.inputs.end(), initial.begin(), initial.end());
  MNN_RETURN_IF_ERROR(node.status);
  MNN_RETURN_IF_ERROR(frontend::add_subgraphs(
      frame.scope, node, 1, limits_.depth, [&](size_t, Scope& inside) -> Status {
        Graph& graph = inside.draft.graph;
        graph.add_input("trip", tensor_type(DType::kI64, {}));
        graph.add_input("go_on", tensor_type(DType::kBool, {}));
        std::vector<ValueId> values;
        for (size_t i = 0; i < carried; ++i) values.push_back(graph.add_input("", types[i]));
        MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> next,
                             add_body(body, values, inside, inside.draft));
        if (log_.errors() > errors) return {};
        MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> again,
                             add_body(cond, next, inside, inside.draft));
        if (log_.errors() > errors) return {};
        frontend::NodeBuilder b(inside.draft, budget_);
        b.name = node.name;
        graph.outputs = {b.emit("Reshape", {again[0], b.add_ints({})})};
        MNN_RETURN_IF_ERROR(b.status);
        graph.outputs.insert(graph.outputs.end(), next.begin(), next.end());
        return {};
      }));
  if (log_.errors() > errors) return {};
  node.wanted.assign(carried, 1);
  return node.append();
}

Result<Variable*> Importer::variable_of(const OpNode& node, Frame& frame) {
  if (count(node.tf.inputs()) == 0 || node.tf.inputs()->Get(0) < 0) {
    return invalid("it names no variable");
  }
  const auto handle = frame.handles.find(tensor_name(frame, node.tf.inputs()->Get(0)));
  if (handle == frame.handles.end()) {
    return unsupported("variables that are handed to sub-graphs are not supported");
  }
  return &variables_[handle->second];
}

Status Importer::var_handle(OpNode& node, Frame& frame) {
  if (node.output_count() != 1) return invalid("expected one output");
  const auto& o = node.options<fb::VarHandleOptions>(111);
  const std::string name = text(o.container()) + "/" + text(o.shared_name());
  variables_[name].name = text(o.shared_name());
  frame.handles[output_names(node.tf, frame)[0]] = name;
  return {};
}

Status Importer::read_variable(OpNode& node, Frame& frame) {
  if (node.output_count() != 1) return invalid("expected one output");
  MNN_ASSIGN_OR_RETURN(Variable* const v, variable_of(node, frame));
  const fb::Tensor& tensor = node.output_tensor(0);
  if (v->next == kNoValue && v->state == kNoValue) {
    if (!frame.may_keep) return unsupported("it is read inside a sub-graph");
    MNN_ASSIGN_OR_RETURN(Type type, declared_type(tensor));
    if (v->initial) {
      if (v->initial->dtype() != type.dtype) return invalid("it is read as another type");
      type = type_of(*v->initial);
    }
    if (!type.is_static()) return unsupported("a variable of open shape is not supported");
    Tensor content;
    if (v->initial) {
      content = *v->initial;
    } else {
      MNN_RETURN_IF_ERROR(check_state_size(type));
      MNN_ASSIGN_OR_RETURN(content, Tensor::allocate(type.dtype, known_dims(*type.shape)));
    }
    v->state = node.graph.add_value(
        {"state_" + v->name, std::move(type), ValueKind::kState, std::move(content), {}});
  }
  const ValueId codes = v->next != kNoValue ? v->next : v->state;
  MNN_ASSIGN_OR_RETURN(const auto q, quantization(tensor));
  node.results = {q ? dequantized(node, codes, *q) : codes};
  return node.status;
}

Status Importer::assign_variable(OpNode& node, Frame& frame) {
  MNN_ASSIGN_OR_RETURN(Variable* const v, variable_of(node, frame));
  if (!node.expect_inputs(0, 2) || !node.has(1)) {
    return node.status.ok() ? invalid("it assigns nothing") : node.status;
  }
  if (!frame.may_keep) return unsupported("it is assigned inside a sub-graph");
  v->next = node.codes(node.in(1), *node.input_tensor(1));
  return node.status;
}

// Runs before the first run: what it assigns is where the variables start.
Status Importer::call_once(OpNode& node) {
  if (initializing_) return unsupported("an initialization inside another is not supported");
  MNN_ASSIGN_OR_RETURN(const size_t index,
                       subgraph_of(node.options<fb::CallOnceOptions>(103).init_subgraph_index(), 0,
                                   count(node.tf.outputs())));
  Variables outside = std::move(variables_);
  variables_.clear();
  initializing_ = true;
  Graph graph;
  GraphDraft draft(graph);
  Frame frame(draft, nullptr, index);
  frame.may_keep = true;
  const size_t errors = log_.errors();
  Status status = add_operators(frame);
  initializing_ = false;
  std::swap(outside, variables_);
  MNN_RETURN_IF_ERROR(status);
  if (log_.errors() > errors) return {};
  std::vector<std::string> names;
  for (const auto& [name, v] : outside) {
    if (v.next == kNoValue) continue;
    names.push_back(name);
    graph.outputs.push_back(v.next);
  }
  MNN_RETURN_IF_ERROR(sort_nodes(graph));
  MNN_RETURN_IF_ERROR(fold_constants(graph).status());
  for (size_t i = 0; i < names.size(); ++i) {
    const Tensor* t = graph.constant(graph.outputs[i]);
    if (t == nullptr) return unsupported("a variable starts as what no constants tell");
    variables_[names[i]].initial = *t;
    variables_[names[i]].name = outside[names[i]].name;
  }
  return {};
}

Status Importer::add_structural(OpNode& node, int code, Frame& frame) {
  switch (code) {
    case kIf: return add_if(node, frame);
    case kWhile: return add_while(node, frame);
    case kCallOnce: return call_once(node);
    case kReadVariable: return read_variable(node, frame);
    case kAssignVariable: return assign_variable(node, frame);
    default: return internal_error("no structural operator");
  }
}

}  // namespace mnn::tflite
