// Values on grids where kernels compute from their bytes. The rest reads and makes floats on the
// grids.
#pragma once

#include "libruntime/backends/gpu/epilogue.h"
#include "libruntime/backends/gpu/lowering.h"
#include "libruntime/lower/geometry.h"
#include "libruntime/lower/product.h"

namespace mnn::gpu {

// The parameters of kernels over windows, in their order.
void add_window(const ConvGeometry& g, Launch& launch);
void add_pool(const PoolGeometry& g, int64_t planes, Launch& launch);

// Of nodes for which multiplies_bytes() holds; post-ops before `from` are in the bias.
Status lower_byte_conv(Lowering& l, const Node& node, const ConvGeometry& g,
                       const std::vector<float>& bias, size_t from);
Status lower_byte_product(Lowering& l, const Product& p);

bool pools_bytes(const Lowering& l, const Node& node);
Status lower_byte_pool(Lowering& l, const Node& node, const PoolGeometry& g);
// A mean over the axes `gone` of bytes, into bytes.
bool averages_bytes(const Lowering& l, const Node& node, const std::vector<bool>& gone);
Status lower_byte_mean(Lowering& l, const Node& node);
// False: not done, as the bytes do not lie so.
bool lower_byte_reshape(Lowering& l, const Node& node);
Result<bool> lower_byte_concat(Lowering& l, const Node& node, size_t axis);

}  // namespace mnn::gpu
