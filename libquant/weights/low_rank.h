// Products of two thin matrices in the place of a matrix: what is nearest to it at the outputs of
// the layer, for the inputs that the layer meets.
#pragma once

#include <span>
#include <vector>

#include "libquant/weights/gptq.h"
#include "libruntime/core/graph.h"

namespace mnn {

// M [inputs, outputs] is about A B; both row after row.
struct LowRank {
  int64_t rank = 0;
  std::vector<double> a, b;  // [inputs, rank], [rank, outputs]
};

// The product of rank `rank` (at most that of M) with the least tr((M - AB)^T G (M - AB)), G the
// damped Gram matrix: with G = L L^T that of the truncated singular value decomposition of L^T M,
// which is found by subspace iteration (SVD-LLM, arXiv:2403.07378; Halko, Martinsson and Tropp,
// arXiv:0909.4061, algorithm 4.4). `gram` null: G is the identity. A and B share the singular
// values. The same numbers for any number of threads. kInvalidArgument where the inputs are not
// finite.
Result<LowRank> low_rank_of(std::span<const double> m, int64_t inputs, int64_t outputs,
                            const Gram* gram, int64_t rank, ThreadPool& pool);

// What `codes` leave of the weights, as such a product: for weights that are a matrix of
// `format.axis` and `format.channel_axis`.
Result<LowRank> low_rank_of_error(const Tensor& weights, const GroupFormat& format,
                                  const GroupCodes& codes, const Gram* gram, int64_t rank,
                                  ThreadPool& pool);
// The weights without it.
Result<Tensor> without_low_rank(const Tensor& weights, const GroupFormat& format,
                                const LowRank& terms);

// Adds the product to what the MatMul or Gemm `node` computes, in front of its post-ops: two thin
// products in f16. The graph is to be sorted afterwards.
Status add_low_rank(Graph& graph, NodeId node, const LowRank& terms);

}  // namespace mnn
