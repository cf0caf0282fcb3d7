#include "libquant/train/head.h"

#include <algorithm>
#include <cmath>

#include "libquant/train/random_matrix.h"
#include "libquant/train/step.h"
#include "libruntime/core/builder.h"
#include "libruntime/core/expand.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

NodeId maker_of(const Graph& graph, ValueId v) {
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (std::ranges::count(graph.nodes[n].outputs, v) > 0) return static_cast<NodeId>(n);
  }
  return -1;
}

// Operators behind the last layer that leave each class to itself.
bool keeps_classes(const std::string& op) {
  constexpr std::string_view kOps[] = {
      "Softmax", "LogSoftmax", "Sigmoid",           "Identity",   "Flatten", "Reshape",  "Squeeze",
      "Dropout", "Cast",       "GlobalAveragePool", "ReduceMean", "Add",     "Transpose"};
  return std::ranges::count(kOps, op) > 0;
}

}  // namespace

Result<Headed> replace_head(const Graph& model, size_t output, int64_t classes, uint64_t seed) {
  Headed h;
  h.graph = model;
  Graph& graph = h.graph;
  MNN_RETURN_IF_ERROR(infer_types(graph));
  const ValueId old = graph.outputs[output];
  const std::string name = graph.value(old).name;
  ValueId at = old;
  const Node* head = nullptr;
  for (;;) {
    const NodeId n = maker_of(graph, at);
    if (n < 0) break;
    const Node& node = graph.node(n);
    const OpDef* def = find_op(node.op);
    if (def != nullptr && def->is(kLinear) && node.op != "ConvTranspose") {
      head = &node;
      break;
    }
    if (!keeps_classes(node.op)) {
      return unsupported("output '" + name + "': expected a layer with weights before it, found " +
                         display_name(graph, node) + " (" + node.op +
                         "); train the model as it "
                         "is with --keep-head");
    }
    h.softmax = h.softmax || node.op == "Softmax";
    // Of a sum the operand that is no constant.
    const bool second = graph.constant(node.inputs[0]) != nullptr && node.own_inputs() > 1;
    at = node.inputs[second ? 1 : 0];
  }
  if (head == nullptr) {
    return unsupported("output '" + name + "': no layer with weights makes it");
  }
  h.layer = head->origin.empty() ? display_name(graph, *head) : head->origin.front();
  const ValueId x = head->inputs[0];
  const Type type = graph.value(x).type;
  const bool image = head->op == "Conv";
  if (type.dtype != DType::kF32 || !type.shape || type.rank() < 2 || (!image && type.rank() > 2)) {
    return unsupported("layer " + h.layer + " reads " + type.str() +
                       ": expected features [samples, width] or images");
  }
  const Dim width = (*type.shape)[1];
  if (!width.known()) {
    return unsupported("layer " + h.layer + " reads " + type.str() + ": its width is open");
  }
  Builder b(graph, {"head"});
  h.features = x;
  if (image) h.features = b.op("Flatten", {b.op("GlobalAveragePool", {x})});
  // As PyTorch starts a Linear.
  const double most = 1.0 / std::sqrt(static_cast<double>(width.value()));
  MNN_ASSIGN_OR_RETURN(Tensor start, random_matrix(classes, width.value(), most, seed));
  MNN_ASSIGN_OR_RETURN(Tensor zeros, Tensor::allocate(DType::kF32, {classes}));
  h.weight = graph.add_constant(std::move(start), "head.weight");
  h.bias = graph.add_constant(std::move(zeros), "head.bias");
  const ValueId scores = b.op("Gemm", {h.features, h.weight, h.bias}, {{"transB", int64_t{1}}});
  graph.nodes.back().name = "head";
  graph.outputs = {scores};
  // The name is the new output's.
  graph.value(old).name.clear();
  graph.value(scores).name = name;
  MNN_RETURN_IF_ERROR(sort_nodes(graph));
  remove_dead(graph);
  MNN_RETURN_IF_ERROR(infer_types(graph));
  const Node& made = graph.node(maker_of(graph, graph.outputs[0]));
  h.features = made.inputs[0];
  h.weight = made.inputs[1];
  h.bias = made.inputs[2];
  return h;
}

Result<Graph> with_batch(const Graph& given, int64_t batch) {
  Graph graph = given;
  if (graph.inputs.size() != 1) {
    return unsupported("expected a model with one input, found " +
                       std::to_string(graph.inputs.size()));
  }
  Value& input = graph.value(graph.inputs[0]);
  if (!input.type.shape || input.type.rank() == 0) {
    return unsupported("input '" + input.name + "' of type " + input.type.str() +
                       " has no axis of samples");
  }
  const Dim old = (*input.type.shape)[0];
  (*input.type.shape)[0] = Dim(batch);
  for (size_t i = 1; i < input.type.rank(); ++i) {
    if (!(*input.type.shape)[i].known()) {
      return usage_error("input '" + input.name + "' of type " + input.type.str() +
                         " has open dims; bind them with --shape");
    }
  }
  for (Value& v : graph.values) {
    if (v.kind == ValueKind::kTemporary && v.type.kind == Type::Kind::kTensor) v.type.shape.reset();
  }
  // Shapes that were written down for the old batch.
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (graph.nodes[n].op != "Reshape" || !old.known()) continue;
    const Tensor* shape = graph.constant(graph.nodes[n].inputs[1]);
    if (shape == nullptr || shape->dtype() != DType::kI64 || shape->elements() < 2) continue;
    std::vector<int64_t> dims(shape->data<int64_t>(), shape->data<int64_t>() + shape->elements());
    if (dims[0] != old.value() || std::ranges::count(dims, 0) > 0) continue;
    dims[0] = batch;
    const ValueId own = graph.add_constant(Tensor::ints(dims));
    graph.nodes[n].inputs[1] = own;
  }
  const std::string what = "the model does not run with a batch of " + std::to_string(batch);
  if (const Status typed = infer_types(graph); !typed.ok()) {
    return unsupported(what + ": " + typed.message() +
                       "; convert it with an open batch, or give "
                       "--batch " +
                       (old.known() ? old.str() : "1"));
  }
  for (const ValueId v : graph.outputs) {
    const Type& type = graph.value(v).type;
    if (!type.is_static() || type.rank() == 0 || !(*type.shape)[0].is(batch)) {
      return unsupported(what + ": output '" + graph.value(v).name + "' has type " + type.str());
    }
  }
  return graph;
}

std::vector<ValueId> last_layers(const Graph& graph, int64_t layers) {
  // The node from which on all is trained: the layers are counted in node order from the end.
  size_t from = graph.nodes.size();
  for (size_t n = graph.nodes.size(); n-- > 0 && layers > 0;) {
    if (!has_traits(graph.nodes[n].op, kLinear)) continue;
    from = n;
    --layers;
  }
  const std::vector<ValueId> all = trainable(graph);
  std::vector<ValueId> chosen;
  for (const ValueId v : all) {
    for (size_t n = from; n < graph.nodes.size(); ++n) {
      if (std::ranges::count(graph.nodes[n].inputs, v) == 0) continue;
      chosen.push_back(v);
      break;
    }
  }
  return chosen;
}

void put_weights(Graph& graph, std::span<const ValueId> ids, std::span<const Tensor> weights) {
  for (size_t i = 0; i < ids.size(); ++i) graph.value(ids[i]).data = weights[i];
}

}  // namespace mnn
