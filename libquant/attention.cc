#include "libquant/attention.h"

#include <cmath>

#include "libruntime/core/op.h"
#include "libruntime/core/op_context.h"
#include "libruntime/core/rewrite.h"

namespace mnn {
namespace {

const Type* matrix_type(const Match& m, const Node& node, size_t i) {
  const ValueId id = i < node.inputs.size() ? node.inputs[i] : kNoValue;
  if (id == kNoValue) return nullptr;
  const Type& type = m.graph.value(id).type;
  return type.dtype == DType::kF32 && type.shape && type.rank() == 4 ? &type : nullptr;
}

// The factor of the scores; 0 where the node is no plain attention.
double scale_of(const Match& m) {
  const Node& node = m.root_node();
  const AttributeReader attrs(node, *find_op("Attention"));
  const Type *q = matrix_type(m, node, 0), *k = matrix_type(m, node, 1),
             *v = matrix_type(m, node, 2);
  if (q == nullptr || k == nullptr || v == nullptr) return 0;
  const ValueId mask = node.inputs.size() > 3 ? node.inputs[3] : kNoValue;
  const bool added = mask == kNoValue || m.graph.value(mask).type.dtype == DType::kF32;
  bool alone = added && attrs.attr_int("is_causal") == 0 && attrs.attr_float("softcap") == 0 &&
               attrs.attr_int("left_window_size") < 0 && attrs.attr_int("right_window_size") < 0;
  for (size_t i = 4; i < node.inputs.size(); ++i) alone &= node.inputs[i] == kNoValue;
  for (size_t i = 1; i < node.outputs.size(); ++i) alone &= node.outputs[i] == kNoValue;
  for (const size_t i : {0, 1}) {
    alone &= (*q->shape)[i].same((*k->shape)[i]) && (*q->shape)[i].same((*v->shape)[i]);
  }
  // A mask that is short of keys leaves the others out.
  if (mask != kNoValue) {
    const Type& type = m.graph.value(mask).type;
    alone &= type.shape && type.rank() >= 2 && type.shape->back().same((*k->shape)[2]);
  }
  if (!alone) return 0;
  const double scale = attrs.attr_float("scale");
  if (scale != 0) return scale;
  const Dim& width = (*q->shape)[3];
  return width.known() && width.value() > 0 ? 1 / std::sqrt(static_cast<double>(width.value())) : 0;
}

ValueId build(Builder& b, const Match& m) {
  const double scale = scale_of(m);
  if (scale == 0) return kNoValue;
  const Node node = m.root_node();
  // Keys that were transposed already are transposed once.
  ValueId keys = node.inputs[1];
  std::vector<int64_t> perm = {0, 1, 3, 2};
  const Node* before = m.producer(keys);
  if (before != nullptr && before->op == "Transpose" && !m.graph.value(keys).quant) {
    const AttributeReader attrs(*before, *find_op("Transpose"));
    perm = attrs.attr_ints("perm");
    if (perm.size() != 4) return kNoValue;
    std::swap(perm[2], perm[3]);
    keys = before->inputs[0];
  }
  keys = b.op("Transpose", {keys}, {{"perm", perm}});
  const ValueId q = b.op("Mul", {node.inputs[0], b.scalar(scale, DType::kF32)});
  ValueId scores = b.op("MatMul", {q, keys});
  if (node.inputs.size() > 3 && node.inputs[3] != kNoValue) {
    scores = b.op("Add", {scores, node.inputs[3]});
  }
  const ValueId weights = b.op("Softmax", {scores}, {{"axis", int64_t{-1}}});
  return b.op("MatMul", {weights, node.inputs[2]});
}

}  // namespace

Result<int> spell_out_attention(Graph& graph) {
  const std::vector<Rule> rules = {{"Attention", with_any_inputs("Attention"), build, {}}};
  MNN_ASSIGN_OR_RETURN(const RuleHits hits, apply_rules(graph, rules));
  const auto made = hits.count.find("Attention");
  if (made == hits.count.end() || made->second == 0) return 0;
  MNN_RETURN_IF_ERROR(sort_nodes(graph));
  MNN_RETURN_IF_ERROR(infer_types(graph));
  remove_dead(graph);
  return made->second;
}

}  // namespace mnn
