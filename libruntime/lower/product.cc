#include "libruntime/lower/product.h"

#include "libruntime/lower/array.h"
#include "libruntime/lower/post_op.h"

namespace mnn {
namespace {

// C is one constant number per column, or one for all.
bool is_bias(const NodeView& n) {
  const Dims c = n.in_dims(2);
  const int64_t columns = n.out_dims()[1];
  return n.is_constant(2) && (product(c) == 1 || (product(c) == columns && c.back() == columns));
}

}  // namespace

std::optional<std::string> why_no_product(const NodeView& n) {
  for (size_t i = 0; i < n.node.own_inputs(); ++i) {
    if (n.has_input(i) && n.in_type(i) != DType::kF32) return "input is not f32";
  }
  if (n.node.op == "Gemm" && n.has_input(2) && n.attr_float("beta") != 1.0 && !is_bias(n)) {
    return "a C that is no bias, with beta other than 1";
  }
  return std::nullopt;
}

Result<Product> decode_product(const NodeView& n, const ReadConstant& constant) {
  Product p;
  p.node = n.node;
  p.a = n.node.inputs[0];
  p.b = n.node.inputs[1];
  if (n.node.op == "MatMul") {
    const size_t rank = n.out().type.rank();
    // A column of B, unless B is a vector.
    if (n.in(1).type.rank() >= 2 && rank > 0) {
      p.fused_from = fuse_bias(n.graph, p.node, rank - 1, constant, p.bias);
    }
    return p;
  }
  p.a_transposed = n.attr_int("transA") != 0;
  p.b_transposed = n.attr_int("transB") != 0;
  p.alpha = static_cast<float>(n.attr_float("alpha"));
  if (n.has_input(2) && is_bias(n)) {
    const Tensor* c = constant(n.node.inputs[2]);
    if (c == nullptr) return internal_error("the bias cannot be read");
    const auto beta = static_cast<float>(n.attr_float("beta"));
    for (int64_t i = 0; i < n.out_dims()[1]; ++i) {
      p.bias.push_back(beta * c->data<float>()[c->elements() == 1 ? 0 : i]);
    }
  } else if (n.has_input(2)) {
    // Another C is added behind the product.
    FusedOp add;
    add.op = "Add";
    add.operands = {2};
    p.node.fused.insert(p.node.fused.begin(), add);
  }
  p.fused_from = fuse_bias(n.graph, p.node, 1, constant, p.bias);
  return p;
}

}  // namespace mnn
