// MatMul and Gemm, decoded from their nodes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libruntime/lower/node_view.h"

namespace mnn {

// One matrix product; batches come from leading axes of a and b.
struct Product {
  ValueId a = kNoValue, b = kNoValue;
  bool a_transposed = false, b_transposed = false;
  float alpha = 1;
  std::vector<float> bias;  // per column; empty: none
  // The node with what is left of C as its first post-op, and its post-ops that are in the bias.
  Node node;
  size_t fused_from = 0;
  const float* bias_data() const { return bias.empty() ? nullptr : bias.data(); }
};

// Why a product in f32 cannot be decoded so; nullopt when it can. Shapes are static.
std::optional<std::string> why_no_product(const NodeView& n);
Result<Product> decode_product(const NodeView& n, const ReadConstant& constant);

}  // namespace mnn
