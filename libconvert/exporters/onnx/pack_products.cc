// Products with quantized weights as MatMulNBits of com.microsoft: codes by output and block, low
// bits first, unsigned, with the middle of the range as the zero point where there is none.
#include <algorithm>
#include <bit>
#include <cmath>

#include "libconvert/exporters/onnx/unfold.h"
#include "libruntime/core/op.h"
#include "libruntime/core/packed.h"
#include "libruntime/core/quant.h"

namespace mnn::onnx_export {
namespace {

constexpr int64_t kLeastBlock = 16;

// How the weights of a product lie.
struct Weights {
  size_t inner = 0;  // the axis that is summed over
  int64_t k = 0, n = 0, block = 0, blocks = 0;
  int bits = 0, from_bits = 0;
  bool is_signed = false;

  // The entry of the scale of block g of output o.
  int64_t entry(const QuantParams& p, int64_t o, int64_t g) const {
    if (p.axis < 0) return 0;
    if (p.group == 0) return o;
    return inner == 0 ? g * n + o : o * blocks + g;
  }
  int64_t element(int64_t o, int64_t i) const { return inner == 0 ? i * n + o : o * k + i; }
};

// nullopt when the node is no product that MatMulNBits can say.
std::optional<Weights> weights_of(const Graph& graph, const Node& node) {
  const bool gemm = node.op == "Gemm";
  if ((!gemm && node.op != "MatMul") || node.inputs.size() < 2) return std::nullopt;
  const Value &x = graph.value(node.inputs[0]), &w = graph.value(node.inputs[1]);
  if (w.kind != ValueKind::kConstant || !w.quant || x.quant || w.data.rank() != 2 ||
      w.type.dtype != DType::kF32) {
    return std::nullopt;
  }
  const QuantParams& p = *w.quant;
  const StorageType* row = find_storage(p.storage);
  if (!row->integer || row->bits > 8 || p.codebook.defined() || p.rotation || p.offset.defined()) {
    return std::nullopt;
  }
  Weights out;
  if (gemm) {
    const AttributeReader a(node, *find_op(node.op));
    if (a.attr_int("transA") != 0 || a.attr_float("alpha") != 1 || a.attr_float("beta") != 1) {
      return std::nullopt;
    }
    out.inner = a.attr_int("transB") != 0 ? 1 : 0;
  }
  out.k = w.data.dims()[out.inner];
  out.n = w.data.dims()[1 - out.inner];
  if (out.k < 1 || out.n < 1) return std::nullopt;
  if (p.group > 0) {
    if (p.axis != static_cast<int>(out.inner)) return std::nullopt;
    out.block = p.group;
  } else {
    if (p.axis == static_cast<int>(out.inner)) return std::nullopt;
    out.block =
        static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max(out.k, kLeastBlock))));
  }
  if (out.block < kLeastBlock || !std::has_single_bit(static_cast<uint64_t>(out.block))) {
    return std::nullopt;
  }
  out.blocks = (out.k + out.block - 1) / out.block;
  out.from_bits = row->bits;
  out.bits = row->bits <= 4 ? 4 : 8;
  out.is_signed = row->low < 0;
  return out;
}

// The zero points as unsigned codes, one a block; nullopt when one is none.
std::optional<std::vector<uint8_t>> zero_codes(const QuantParams& p, const Weights& w) {
  const int shift = w.is_signed ? 1 << (w.bits - 1) : 0, most = (1 << w.bits) - 1;
  std::vector<uint8_t> zeros;
  for (int64_t o = 0; o < w.n; ++o) {
    for (int64_t g = 0; g < w.blocks; ++g) {
      const float z = p.zero_point_at(w.entry(p, o, g)) + static_cast<float>(shift);
      if (z != std::nearbyint(z) || z < 0 || z > static_cast<float>(most)) return std::nullopt;
      zeros.push_back(static_cast<uint8_t>(z));
    }
  }
  return zeros;
}

Result<Tensor> packed_codes(const Tensor& codes, const Weights& w) {
  const int64_t blob = w.block * w.bits / 8;
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(DType::kU8, {w.n, w.blocks, blob}));
  const int shift = w.is_signed ? 1 << (w.bits - 1) : 0, half = 1 << (w.from_bits - 1);
  for (int64_t o = 0; o < w.n; ++o) {
    std::byte* row = out.raw() + o * w.blocks * blob;
    for (int64_t i = 0; i < w.k; ++i) {
      int code = packed_get(codes.raw(), w.from_bits, w.element(o, i));
      if (w.is_signed && code >= half) code -= 2 * half;
      packed_set(row, w.bits, i, static_cast<uint8_t>(code + shift));
    }
  }
  return out;
}

Status pack(Graph& graph, size_t n, const Weights& w) {
  const Value weights = graph.value(graph.nodes[n].inputs[1]);
  const QuantParams& p = *weights.quant;
  const auto zeros = zero_codes(p, w);
  if (!zeros) return {};
  MNN_ASSIGN_OR_RETURN(Tensor codes, packed_codes(weights.data, w));
  MNN_ASSIGN_OR_RETURN(Tensor scale, Tensor::allocate(DType::kF32, {w.n * w.blocks}));
  for (int64_t o = 0; o < w.n; ++o) {
    for (int64_t g = 0; g < w.blocks; ++g) {
      scale.data<float>()[o * w.blocks + g] = p.scale_at(w.entry(p, o, g));
    }
  }
  const std::string stem = weights.name.empty() ? std::string() : weights.name + "_";
  const auto named = [&](const char* what) { return stem.empty() ? stem : stem + what; };
  Node made = graph.nodes[n];
  made.op = "MatMulNBits";
  made.attributes = {{"K", w.k}, {"N", w.n}, {"bits", int64_t{w.bits}}, {"block_size", w.block}};
  // 4: as bytes, by block where it is the runtime's own choice how.
  const Node& product = graph.nodes[n];
  if (AttributeReader(product, *find_op(product.op)).attr_int("activation_bits") == 8)
    made.attributes["accuracy_level"] = int64_t{4};
  made.inputs = {graph.nodes[n].inputs[0], graph.add_constant(std::move(codes), named("packed")),
                 graph.add_constant(std::move(scale), named("scale"))};
  const auto middle = static_cast<uint8_t>(1 << (w.bits - 1));
  if (std::ranges::any_of(*zeros, [&](uint8_t z) { return z != middle; })) {
    // Each output's in whole bytes.
    const int64_t row_bytes = (w.blocks * w.bits + 7) / 8;
    MNN_ASSIGN_OR_RETURN(Tensor packed, Tensor::allocate(DType::kU8, {w.n * row_bytes}));
    for (int64_t o = 0; o < w.n; ++o) {
      for (int64_t g = 0; g < w.blocks; ++g) {
        packed_set(packed.raw() + o * row_bytes, w.bits, g,
                   (*zeros)[static_cast<size_t>(o * w.blocks + g)]);
      }
    }
    made.inputs.push_back(graph.add_constant(std::move(packed), named("zero_point")));
  }
  const std::vector<ValueId> inputs = graph.nodes[n].inputs;
  if (inputs.size() > 2 && inputs[2] != kNoValue) {
    // The bias stays an Add: other runtimes have it as an input, or not, from version to version.
    const Type type = graph.value(made.outputs[0]).type;
    const ValueId sum = graph.add_temporary({}, type);
    Node add;
    add.op = "Add";
    add.name = made.name.empty() ? made.name : made.name + "/Add";
    add.inputs = {sum, inputs[2]};
    add.outputs = made.outputs;
    made.outputs = {sum};
    graph.add_node(std::move(add));
  }
  graph.nodes[n] = std::move(made);
  return {};
}

}  // namespace

Status pack_products(Graph& graph) {
  const size_t count = graph.nodes.size();
  for (size_t n = 0; n < count; ++n) {
    for (Graph& inner : graph.nodes[n].subgraphs) MNN_RETURN_IF_ERROR(pack_products(inner));
    if (const auto w = weights_of(graph, graph.nodes[n])) {
      MNN_RETURN_IF_ERROR(pack(graph, n, *w));
    }
  }
  return sort_nodes(graph);
}

}  // namespace mnn::onnx_export
