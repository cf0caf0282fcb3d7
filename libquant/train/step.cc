#include "libquant/train/step.h"

#include <algorithm>
#include <set>

#include "libruntime/core/differentiate.h"
#include "libruntime/core/fold.h"

namespace mnn {
namespace {

// The layers that read each constant, by value: the first in node order.
std::string first_reader(const Graph& graph, ValueId v) {
  for (const Node& node : graph.nodes) {
    if (std::ranges::count(node.inputs, v) > 0) {
      return node.origin.empty() ? display_name(graph, node) : node.origin.front();
    }
  }
  return {};
}

ValueId add_target(Graph& graph, ValueId output, LossKind kind) {
  const Type& type = graph.value(output).type;
  Shape shape = *type.shape;
  if (kind == LossKind::kMeanSquare)
    return graph.add_input("target", tensor_type(type.dtype, shape));
  shape.erase(shape.begin() + 1);
  return graph.add_input("target", tensor_type(DType::kI64, shape));
}

// Of each label's class the logarithm of its probability, in operators of floats, which have
// kernels: labels were checked when they were read.
Result<ValueId> add_loss(Builder& b, ValueId output, ValueId target, LossKind kind) {
  if (kind == LossKind::kMeanSquare) {
    const ValueId apart = b.op("Sub", {output, target});
    return b.op("ReduceMean", {b.op("Mul", {apart, apart})}, {{"keepdims", int64_t{0}}});
  }
  const std::vector<int64_t> dims = known_dims(*b.type(output).shape);
  std::vector<int64_t> column(dims.size() - 1, 1);
  column[0] = dims[1];
  MNN_ASSIGN_OR_RETURN(Tensor classes, Tensor::allocate(DType::kF32, column));
  for (int64_t i = 0; i < dims[1]; ++i) classes.data<float>()[i] = static_cast<float>(i);
  const ValueId label =
      b.op("Unsqueeze",
           {b.op("Cast", {target}, {{"to", static_cast<int64_t>(DType::kF32)}}), b.ints({1})});
  const ValueId hit = b.op("Equal", {label, b.constant(std::move(classes))});
  const ValueId log = b.op("LogSoftmax", {output}, {{"axis", int64_t{1}}});
  const ValueId sum =
      b.op("ReduceSum", {b.op("Where", {hit, log, b.scalar(0.0f)})}, {{"keepdims", int64_t{0}}});
  int64_t count = 1;
  for (size_t i = 0; i < dims.size(); ++i) count *= i == 1 ? 1 : dims[i];
  return b.op("Mul", {sum, b.scalar(static_cast<float>(-1.0 / static_cast<double>(count)))});
}

}  // namespace

std::vector<ValueId> trainable(const Graph& graph) {
  std::vector<ValueId> ids;
  std::set<ValueId> seen;
  for (const Node& node : graph.nodes) {
    const OpDef* def = find_op(node.op);
    if (def == nullptr || (def->gradient == nullptr && def->decompose == nullptr)) continue;
    const bool layer = def->multiplies() || def->is(kPerChannel) ||
                       node.op.ends_with("Normalization") || node.op == "PRelu" ||
                       node.op == "Gather";
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      if (v == kNoValue || seen.contains(v)) continue;
      const bool own = i < node.own_inputs();
      // Post-ops and Adds of constants are biases.
      const bool bias = node.op == "Add" || !own;
      if (own && !layer && !bias) continue;
      // A frozen norm's statistics are no weights.
      if (node.op == "BatchNormalization" && own && i > 2) continue;
      if (node.op == "Gather" && i != 0) continue;
      if (own && !def->traits.data_input(i)) continue;
      const Value& value = graph.value(v);
      if (value.kind != ValueKind::kConstant || value.quant || value.type.dtype != DType::kF32 ||
          value.data.elements() < 2) {
        continue;
      }
      seen.insert(v);
      ids.push_back(v);
    }
  }
  return ids;
}

Result<Graph> with_parameters(const Graph& model, std::span<const ValueId> ids,
                              std::vector<Parameter>& parameters) {
  Graph graph = model;
  parameters.clear();
  std::set<std::string> names;
  for (const Value& v : graph.values) {
    if (v.kind == ValueKind::kState) names.insert(v.name);
  }
  for (const ValueId v : ids) {
    Value& value = graph.value(v);
    if (value.kind != ValueKind::kConstant || value.quant || value.type.dtype != DType::kF32) {
      return unsupported("constant '" + value.name + "' of type " + value.type.str() +
                         " cannot be trained: expected f32 weights that are not quantized");
    }
    Parameter p;
    p.layer = first_reader(graph, v);
    p.name = value.name.empty() ? p.layer + "/weight" : value.name;
    std::string unique = p.name;
    for (int i = 2; !names.insert(unique).second; ++i) unique = p.name + "#" + std::to_string(i);
    p.name = unique;
    value.name = unique;
    value.kind = ValueKind::kState;
    parameters.push_back(std::move(p));
  }
  return graph;
}

Result<Step> make_step(const Graph& model, size_t output, std::span<const ValueId> ids,
                       const StepOptions& options) {
  if (ids.empty()) return usage_error("nothing is to be trained");
  Step step;
  MNN_ASSIGN_OR_RETURN(step.graph, with_parameters(model, ids, step.parameters));
  Graph& graph = step.graph;
  MNN_RETURN_IF_ERROR(infer_types(graph));
  const ValueId y = graph.outputs[output];
  const Type& type = graph.value(y).type;
  if (!type.is_static() || type.dtype != DType::kF32) {
    return unsupported("output '" + graph.value(y).name + "' of type " + type.str() +
                       ": expected f32 of a static shape");
  }
  // Classes are compared as floats.
  if (options.loss == LossKind::kCrossEntropy &&
      (type.rank() < 2 || (*type.shape)[1].value() > (int64_t{1} << 24))) {
    return unsupported("output '" + graph.value(y).name + "' of type " + type.str() +
                       ": expected scores [samples, classes]");
  }
  const ValueId target = add_target(graph, y, options.loss);
  const Type scalar = tensor_type(DType::kF32, {});
  const RateValues rates{graph.add_input("learning_rate", scalar),
                         graph.add_input("first_correction", scalar),
                         graph.add_input("second_correction", scalar)};
  Builder b(graph, {"loss"});
  MNN_ASSIGN_OR_RETURN(const ValueId loss, add_loss(b, y, target, options.loss));
  MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> gradients, differentiate(graph, loss, ids));
  const ValueId zero = b.scalar(0.0f);
  std::vector<ValueId> norms;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (gradients[i] == kNoValue) {
      return invalid("the loss does not depend on the weights '" + step.parameters[i].name +
                     "' of layer " + step.parameters[i].layer);
    }
    const ValueId norm = b.op("ReduceSumSquare", {gradients[i]}, {{"keepdims", int64_t{0}}});
    norms.push_back(b.op("Reshape", {norm, b.ints({1})}));
  }
  const ValueId all = norms.size() == 1 ? norms[0] : b.op("Concat", norms, {{"axis", int64_t{0}}});
  const ValueId total = b.op("ReduceSum", {all}, {{"keepdims", int64_t{0}}});
  // NaN and infinity are not below the greatest float.
  const ValueId finite = b.op("Less", {b.op("Add", {b.op("Abs", {loss}), total}), b.scalar(3e38f)});
  ValueId factor = kNoValue;
  if (options.clip_norm > 0) {
    const auto most = static_cast<float>(options.clip_norm);
    const ValueId norm = b.op("Add", {b.op("Sqrt", {total}), b.scalar(1e-6f)});
    factor = b.op("Min", {b.op("Div", {b.scalar(most), norm}), b.scalar(1.0f)});
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    Builder update(graph, {step.parameters[i].layer});
    ValueId g = gradients[i];
    if (factor != kNoValue) g = update.op("Mul", {g, factor});
    g = update.op("Where", {finite, g, zero});
    MNN_ASSIGN_OR_RETURN(const std::vector<std::string> moments,
                         add_update(update, ids[i], g, options.optimizer, rates));
    step.moments.insert(step.moments.end(), moments.begin(), moments.end());
  }
  graph.outputs = {loss, all};
  MNN_RETURN_IF_ERROR(sort_nodes(graph));
  remove_dead(graph);
  MNN_RETURN_IF_ERROR(infer_types(graph));
  MNN_RETURN_IF_ERROR(verify(graph));
  return step;
}

}  // namespace mnn
