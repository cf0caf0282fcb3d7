// Puts a plan's decisions onto a graph as QuantParams.
#pragma once

#include <set>
#include <utility>

#include "libquant/plan.h"
#include "libquant/weights/weights.h"

namespace mnn {

// What was decided for a plan: parameters per group, quantized weights per layer.
struct QuantDecisions {
  std::vector<QuantParams> params;        // per group
  std::vector<QuantizedWeights> weights;  // per layer of the plan
  std::vector<Tensor> bias;               // per layer; undefined: the layer's own
};

// Group and parameters of value `v` of the plan.
size_t group_of(const QuantPlan& plan, ValueId v);
const QuantParams& params_of(const QuantPlan& plan, const QuantDecisions& decisions, ValueId v);
bool is_planned(const QuantPlan& plan, ValueId v);

// Index into the inputs of a MatMul of the operand that is its bias, -1 without one.
int matmul_bias_operand(const Graph& graph, const Node& node);
// Where a layer's bias goes: the third input of Conv and Gemm, the constant operand of a MatMul's
// leading fused Add. Undefined when a MatMul or a layer without weights has none; all zeros when a
// Conv or Gemm has none.
Result<Tensor> bias_of(const Graph& graph, const QuantLayer& layer);
void set_bias(Graph& graph, const QuantLayer& layer, const Tensor& bias);

// A layer's weights in int8; nothing when it has none. The overflow fix goes by the order in which
// its kernel multiplies bytes and does nothing for kernels that multiply none: depthwise and
// transposed ones.
Result<QuantizedWeights> quantize_layer(const Graph& graph, const QuantLayer& layer,
                                        WeightScale scale, bool overflow_fix);

// Gives layer `index` of `graph` its quantized weights, if it has any, and its decided bias.
void apply_layer(Graph& graph, const QuantLayer& layer, const QuantDecisions& decisions,
                 size_t index);

// The graph with every value and weight of the plan quantized. Weights shared with nodes in float
// get a copy of their own.
Graph annotate(const Graph& graph, const QuantPlan& plan, const QuantDecisions& decisions);

// The same; ids stay: what nothing reads any more is still there.
Graph annotate_in_place(const Graph& graph, const QuantPlan& plan, const QuantDecisions& decisions);

// The graph with layer `index` alone quantized: its inputs (for this reader only), its weights, and
// its output where the plan stores that as u8.
Graph annotate_only(const Graph& graph, const QuantPlan& plan, const QuantDecisions& decisions,
                    size_t index);
// The graph with value `v` of the plan alone stored as u8.
Graph annotate_value_only(const Graph& graph, const QuantPlan& plan,
                          const QuantDecisions& decisions, ValueId v);
// The plan that keeps some more layers and values between them in float, with the decisions made
// for `plan`.
std::pair<QuantPlan, QuantDecisions> without(const Graph& graph, const QuantPlan& plan,
                                             const QuantDecisions& decisions,
                                             std::set<NodeId> float_nodes,
                                             std::set<ValueId> float_values = {});
// The graph as `annotate` makes it, but with layer `index` in float.
Graph annotate_without(const Graph& graph, const QuantPlan& plan, const QuantDecisions& decisions,
                       size_t index);

}  // namespace mnn
