// Low-rank adapters (LoRA, Hu et al. 2021): in the place of a matrix W its sum with a product A B
// of low rank, of which A and B alone are trained.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

struct Adapter {
  std::string layer;
  ValueId weight = kNoValue;           // W, constant, [rows, columns] as the layer has it
  ValueId a = kNoValue, b = kNoValue;  // [rows, rank] random, [rank, columns] zeros
};

// Gives one to every MatMul and Gemm that reads a constant f32 matrix with more rows and columns
// than `rank`, but for the matrices of `except`. The graph computes what it did.
Result<std::vector<Adapter>> add_adapters(Graph& graph, int64_t rank, uint64_t seed,
                                          const std::vector<ValueId>& except);

// W becomes W + A B, and the layers read it again: the graph is as large as before.
Status merge_adapters(Graph& graph, const std::vector<Adapter>& adapters);

// The adapters alone, named LAYER/lora_a and LAYER/lora_b, as a .mnn file of constants.
Status write_adapters(const Graph& graph, const std::vector<Adapter>& adapters,
                      const std::string& path);

}  // namespace mnn
