#include "libruntime/lower/post_op.h"

#include <algorithm>

#include "libruntime/core/post_op.h"
#include "libruntime/lower/element.h"

namespace mnn {
namespace {

Dims dims_of(const Graph& graph, ValueId v) { return known_dims(*graph.value(v).type.shape); }

// The constant number a post-op multiplies by or adds; null when it is none.
const Tensor* number_of(const Graph& graph, const Node& node, const FusedOp& f) {
  if (f.operand() < 0 || (f.op != "Mul" && f.op != "Add")) return nullptr;
  const Tensor* t = graph.constant(node.inputs[static_cast<size_t>(f.operand())]);
  return t && t->dtype() == DType::kF32 && t->elements() == 1 ? t : nullptr;
}

// The positive constants a post-op multiplies the indices of an axis by; null when it does not.
const float* factors_of(const Graph& graph, const Node& node, const FusedOp& f, size_t axis) {
  if (f.operand() < 0 || f.op != "Mul") return nullptr;
  const Tensor* t = graph.constant(node.inputs[static_cast<size_t>(f.operand())]);
  const Dims out = dims_of(graph, node.outputs[0]);
  const size_t behind = out.size() - axis;  // axes from `axis` on
  if (t == nullptr || t->dtype() != DType::kF32 || t->elements() != out[axis] ||
      t->rank() < behind || t->dims()[t->rank() - behind] != out[axis]) {
    return nullptr;
  }
  const float* factors = t->data<float>();
  const bool positive = std::all_of(factors, factors + out[axis], [](float x) { return x > 0; });
  return positive ? factors : nullptr;
}

}  // namespace

std::optional<PostOp> activation(const Graph& graph, const Node& node, size_t i) {
  const Node f = post_op(node, i);
  const OpDef* def = find_op(f.op);
  if (def == nullptr) return std::nullopt;
  const AttributeReader read(f, *def);
  auto number = [&](std::string_view name) { return static_cast<float>(read.attr_float(name)); };
  if (f.op == "Relu") return PostOp{Activation::kRelu, 0, 0};
  if (f.op == "Clip") {
    const std::optional<ClipBounds> bounds = clip_bounds(graph, f);
    if (!bounds) return std::nullopt;
    return PostOp{Activation::kClip, static_cast<float>(bounds->low),
                  static_cast<float>(bounds->high)};
  }
  if (f.op == "LeakyRelu") return PostOp{Activation::kLeakyRelu, number("alpha"), 0};
  if (f.op == "HardSigmoid") {
    return PostOp{Activation::kHardSigmoid, number("alpha"), number("beta")};
  }
  if (f.op == "HardSwish") return PostOp{Activation::kHardSwish, 0, 0};
  if (f.op == "Sigmoid") return PostOp{Activation::kSigmoid, 0, 0};
  if (f.op == "Swish" && number("alpha") == 1.0f) return PostOp{Activation::kSwish, 0, 0};
  if (f.op == "Tanh") return PostOp{Activation::kTanh, 0, 0};
  if (f.op == "Elu") return PostOp{Activation::kElu, number("alpha"), 0};
  if (f.op == "Mish") return PostOp{Activation::kMish, 0, 0};
  if (f.op == "Gelu") {
    const bool tanh_form = read.attr_string("approximate") == "tanh";
    return PostOp{tanh_form ? Activation::kGeluTanh : Activation::kGelu, 0, 0};
  }
  return std::nullopt;
}

size_t fuse_bias(const Graph& graph, const Node& node, size_t axis, const ReadConstant& constant,
                 std::vector<float>& bias) {
  const Dims out = dims_of(graph, node.outputs[0]);
  size_t taken = 0;
  for (const FusedOp& f : node.fused) {
    if (f.op != "Add" || f.operand() < 0) break;
    const Tensor* t = constant(node.inputs[static_cast<size_t>(f.operand())]);
    if (t == nullptr || t->dtype() != DType::kF32 || t->elements() != out[axis]) break;
    const size_t behind = out.size() - axis;  // axes from `axis` on
    if (t->rank() < behind || t->dims()[t->rank() - behind] != out[axis]) break;
    bias.resize(static_cast<size_t>(out[axis]), 0.0f);
    for (size_t i = 0; i < bias.size(); ++i) bias[i] += t->data<float>()[i];
    ++taken;
  }
  return taken;
}

FusedPart fuse(const Graph& graph, const Node& node, size_t from, const EpilogueRules& rules) {
  FusedPart part;
  part.count = from;
  const Dims out = dims_of(graph, node.outputs[0]);
  for (size_t i = from; i < node.fused.size(); ++i) {
    const FusedOp& f = node.fused[i];
    Epilogue& e = part.epilogue;
    if (const auto a = activation(graph, node, i)) {
      if (e.factor != 1 || e.offset != 0) break;
      PostOp& place = e.residual ? e.after : e.before;
      if (place.kind != Activation::kNone || e.after.kind != Activation::kNone) break;
      place = *a;
    } else if (const Tensor* number =
                   rules.factor && !e.residual ? number_of(graph, node, f) : nullptr) {
      if (f.op == "Mul" && e.factor == 1 && e.offset == 0) {
        e.factor = *number->data<float>();
      } else if (f.op == "Add" && e.offset == 0) {
        e.offset = *number->data<float>();
      } else {
        break;
      }
    } else if (e.factor != 1 || e.offset != 0) {
      break;
    } else if (f.op == "Add" && f.operand() >= 0 && !e.residual) {
      const ValueId operand = node.inputs[static_cast<size_t>(f.operand())];
      if (dims_of(graph, operand) != out || graph.value(operand).type.dtype != DType::kF32) break;
      e.residual = true;
      part.residual = operand;
    } else {
      break;
    }
    ++part.count;
  }
  return part;
}

std::optional<std::string> check_post_ops(const Graph& graph, const Node& node,
                                          std::string_view device) {
  for (size_t i = 0; i < node.fused.size(); ++i) {
    if (graph.value(node.outputs[0]).type.dtype != DType::kF32 ||
        !is_element_post_op(graph, node, i)) {
      return "post-op " + node.fused[i].op + " has no " + std::string(device) + " kernel";
    }
  }
  return std::nullopt;
}

ByteOutput::ByteOutput(const Graph& graph, const Node& node, size_t axis)
    : graph_(graph), node_(node), axis_(axis), grid_(grid_of(graph.value(node.outputs[0]))) {
  if (auto grids = channel_grid_of(graph.value(node.outputs[0])); grids && axis == 1) {
    channels_ = true;
    grids_ = *std::move(grids);
  }
}

FusedPart ByteOutput::fuse_from(size_t from) {
  const bool bytes = channels_ || grid_;
  FusedPart part = fuse(graph_, node_, from, {.factor = bytes});
  if (bytes && part.count + 1 == node_.fused.size()) {
    if (const float* factors = factors_of(graph_, node_, node_.fused.back(), axis_)) {
      const auto n = static_cast<size_t>(dims_of(graph_, node_.outputs[0])[axis_]);
      if (grids_.scales.empty()) {
        grids_.scales.assign(n, grid_->scale);
        grids_.zeros.assign(n, grid_->zero);
      }
      for (size_t c = 0; c < n; ++c) grids_.scales[c] /= factors[c];
      ++part.count;
    }
  }
  stored_ = bytes && part.count == node_.fused.size();
  // What the kernel cannot apply before it stores bytes runs on its float result.
  return stored_ || !bytes ? part : fuse(graph_, node_, from);
}

}  // namespace mnn
