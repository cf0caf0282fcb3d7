#include "libruntime/core/post_op.h"

#include <cmath>
#include <limits>

namespace mnn {
namespace {

// An input that is absent leaves `bound` as it is; false when it is no number known now.
bool read_bound(const Graph& graph, const Node& clip, size_t i, double& bound) {
  if (i >= clip.inputs.size() || clip.inputs[i] == kNoValue) return true;
  const Value& value = graph.value(clip.inputs[i]);
  if (value.kind != ValueKind::kConstant || value.quant || value.data.elements() != 1) return false;
  const Result<std::vector<double>> number = value.data.to_doubles();
  if (!number.ok() || std::isnan(number->front())) return false;
  bound = number->front();
  return true;
}

}  // namespace

Node post_op(const Node& node, size_t i, ValueId x, ValueId y) {
  const FusedOp& f = node.fused[i];
  Node post;
  post.op = f.op;
  post.attributes = f.attributes;
  post.inputs = {x};
  for (const int operand : f.operands) {
    post.inputs.push_back(operand < 0 ? kNoValue : node.inputs[static_cast<size_t>(operand)]);
  }
  post.outputs = {y};
  return post;
}

std::optional<ClipBounds> clip_bounds(const Graph& graph, const Node& clip) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  ClipBounds bounds{-kInfinity, kInfinity};
  if (!read_bound(graph, clip, 1, bounds.low) || !read_bound(graph, clip, 2, bounds.high)) {
    return std::nullopt;
  }
  return bounds;
}

}  // namespace mnn
