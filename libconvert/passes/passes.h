// The passes of the pipeline, one file each. All keep the meaning of a graph and its border; each
// returns how often it changed something.
#pragma once

#include <vector>

#include "libruntime/core/graph.h"
#include "libruntime/core/rewrite.h"

namespace mnn {

// QuantizeLinear/DequantizeLinear pairs, dequantized constants and MatMulNBits as QuantParams of
// values. First in the pipeline: folding would compute the
// floats.
Result<int> fold_qdq(Graph& graph);
// Drops operators that hand on what they get: Identity, Dropout, no-op Reshape, Transpose, Cast, …,
// Add of 0, Mul by 1.
Result<int> remove_identities(Graph& graph);
// Merges constants with equal bytes and nodes with equal operator, attributes and inputs.
Result<int> merge_common(Graph& graph);
// One spelling for what has several: Pow 2, means over the image as GlobalAveragePool, Clip from 0
// as Relu, MatMul + Add of matrices as Gemm.
Result<int> normalize(Graph& graph);
// Constant factors that follow each other as one, and offsets.
Result<int> merge_chains(Graph& graph);
// Moves Transposes through operators that do not mind until they cancel or merge.
Result<int> sink_transposes(Graph& graph);
// Chains of Reshape, Squeeze, Unsqueeze and Flatten as one Reshape; those between two Transposes, a
// Transpose and a Gather, or a matrix operator and its activation or residual step aside.
Result<int> simplify_views(Graph& graph);
// HardSigmoid, HardSwish, Swish, Gelu and Mish from the primitives exporters write.
Result<int> fuse_activations(Graph& graph);
// LSTM, GRU and RNN from Loops over the steps of a sequence.
Result<int> fuse_recurrent(Graph& graph);
// LayerNormalization from primitives.
Result<int> fuse_layer_norm(Graph& graph);
// GroupNormalization from the InstanceNormalization of groups.
Result<int> fuse_group_norm(Graph& graph);
// Attention from two products and a softmax.
Result<int> fuse_attention(Graph& graph);
// Constant factors and offsets per channel (BatchNormalization too) into the weights and bias of
// the Conv, ConvTranspose, Gemm or MatMul before or after them.
Result<int> fold_affine(Graph& graph);
// Zero padding into the convolution or pooling that reads it.
Result<int> fold_pads(Graph& graph);
// Activations, biases and residual adds into Node::fused of Conv, ConvTranspose, Gemm and MatMul.
Result<int> fuse_epilogues(Graph& graph);

// Applies rules and counts all hits together.
Result<int> apply_counted(Graph& graph, const std::vector<Rule>& rules);

}  // namespace mnn
