// Which of a node's post-ops the kernels of a product apply while they store. core/post_op.h reads
// a post-op as a node.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libruntime/lower/epilogue.h"
#include "libruntime/lower/grid.h"
#include "libruntime/lower/node_view.h"

namespace mnn {

// Post-op `i` as an activation of a kernel; nullopt when kernels do not have it.
std::optional<PostOp> activation(const Graph& graph, const Node& node, size_t i);

// What a family of kernels can apply, besides activations before and behind a residual.
struct EpilogueRules {
  // In the place of a residual: a constant factor and offset at the end, as kernels that store
  // bytes have them.
  bool factor = false;
};

// How far a node's post-ops go into a kernel's epilogue.
struct FusedPart {
  Epilogue epilogue;
  ValueId residual = kNoValue;
  size_t count = 0;  // post-ops taken, those before `from` included
};
FusedPart fuse(const Graph& graph, const Node& node, size_t from, const EpilogueRules& rules = {});

// Takes leading post-ops that add a constant number per index of the result's axis `axis` into
// `bias` (empty: none so far). Returns how many.
size_t fuse_bias(const Graph& graph, const Node& node, size_t axis, const ReadConstant& constant,
                 std::vector<float>& bias);

// Why the node's post-ops cannot run, by a kernel or as an expression; nullopt when they can.
// `device`: "CPU", for the text.
std::optional<std::string> check_post_ops(const Graph& graph, const Node& node,
                                          std::string_view device);

// How an int8 kernel stores the output of a node: as bytes when the value has a grid and the
// kernel can apply all post-ops in front of it, else as floats. A constant factor per index of the
// result's axis `axis` that comes last goes into the grid. Graph and node must outlive it.
class ByteOutput {
 public:
  ByteOutput(const Graph& graph, const Node& node, size_t axis);
  // The post-ops of the kernel; those before `from` are done.
  FusedPart fuse_from(size_t from);
  bool stored() const { return stored_; }
  // Bytes on a grid per channel of the value.
  bool channels() const { return stored_ && channels_; }
  // The grid of the value; nullopt when it has none or one per channel.
  const std::optional<Grid>& grid() const { return grid_; }
  // Of stored bytes: what each index of the axis is rounded to, factors taken in; empty: grid().
  const ChannelGrid& grids() const { return grids_; }

 private:
  const Graph& graph_;
  const Node& node_;
  const size_t axis_;
  bool channels_ = false, stored_ = false;
  std::optional<Grid> grid_;
  ChannelGrid grids_;
};

}  // namespace mnn
