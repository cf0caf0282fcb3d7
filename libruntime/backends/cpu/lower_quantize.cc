// QuantizeLinear and DequantizeLinear at the border: codes the program passes in or takes out. In
// between quantization is annotation, and there are no such nodes.
#include "libruntime/backends/cpu/rows.h"

namespace mnn::cpu {
namespace {

struct Codes {
  Grid grid;
  bool is_signed = false;
};

// Bytes with one constant scale and zero point.
std::optional<Codes> codes_of(const Graph& graph, const Node& node, DType codes) {
  const NodeView n(graph, node);
  const Tensor* scale = graph.constant(node.inputs[1]);
  if (scale == nullptr || scale->dtype() != DType::kF32 || scale->elements() != 1 ||
      n.attr_int("block_size") != 0 || (codes != DType::kU8 && codes != DType::kI8)) {
    return std::nullopt;
  }
  Codes c;
  c.is_signed = codes == DType::kI8;
  c.grid = {scale->data<float>()[0], c.is_signed ? 128 : 0};
  if (!n.has_input(2)) return c;
  const Tensor* zero = graph.constant(node.inputs[2]);
  if (zero == nullptr || zero->elements() != 1 || zero->dtype() != codes) return std::nullopt;
  c.grid.zero += c.is_signed ? int32_t{zero->data<int8_t>()[0]} : int32_t{zero->data<uint8_t>()[0]};
  return c;
}

std::optional<std::string> supports_quantize(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(0) != DType::kF32 || !codes_of(graph, node, n.out().type.dtype)) {
    return "not f32 to bytes with one constant scale";
  }
  return std::nullopt;
}

std::optional<std::string> supports_dequantize(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.out().type.dtype != DType::kF32 || !codes_of(graph, node, n.in_type(0))) {
    return "not bytes with one constant scale to f32";
  }
  return std::nullopt;
}

Status lower_quantize(Lowering& l, const Node& node) {
  const Codes codes = *codes_of(l.graph(), node, l.dtype(node.outputs[0]));
  MNN_ASSIGN_OR_RETURN(Array a, l.on_grid(node.inputs[0], codes.grid));
  if (codes.is_signed) {
    MNN_ASSIGN_OR_RETURN(a, l.turn_top_bit("quantize", a, DType::kI8, std::nullopt));
  }
  a.grid.reset();
  return l.define_view(node, std::move(a));
}

Status lower_dequantize(Lowering& l, const Node& node) {
  const Codes codes = *codes_of(l.graph(), node, l.dtype(node.inputs[0]));
  Array a = l.stored(node.inputs[0]);
  if (codes.is_signed) {
    MNN_ASSIGN_OR_RETURN(a, l.turn_top_bit("dequantize", a, DType::kU8, codes.grid));
  }
  a.grid = codes.grid;
  return l.define_view(node, std::move(a));
}

constexpr OpRow kQuantizeRows[] = {
    {"QuantizeLinear", supports_quantize, lower_quantize},
    {"DequantizeLinear", supports_dequantize, lower_dequantize},
};

}  // namespace

std::span<const OpRow> quantize_rows() { return kQuantizeRows; }

}  // namespace mnn::cpu
