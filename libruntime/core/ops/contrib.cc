// Fused operators that other runtimes write into ONNX files (com.microsoft): decomposed, except for
// the packed weights of MatMulNBits.
#include <algorithm>
#include <cmath>

#include "libruntime/core/builder.h"
#include "libruntime/core/ops/broadcast.h"
#include "libruntime/core/ops/macs.h"
#include "libruntime/core/ops/movement.h"
#include "libruntime/core/packed.h"

namespace mnn {
namespace {

Status expect_float_input(const OpContext& c, size_t i) {
  if (c.has_input(i) && is_float(c.in[i].dtype)) return {};
  return invalid("input " + std::to_string(i) + ": expected floats, found " +
                 (c.has_input(i) ? c.in[i].str() : "nothing"));
}

Status infer_like_first(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_float_input(c, 0));
  set_output(c, 0, c.in[0].dtype, c.in[0].shape);
  return {};
}

// A node's attribute, read outside of inference and kernels.
AttributeReader attributes_of(const Node& node) { return {node, *find_op(node.op)}; }

// A bias of one row, added to the last axis; x itself without one.
ValueId add_if_given(Builder& b, ValueId x, const Node& node, size_t i) {
  const bool given = i < node.own_inputs() && node.inputs[i] != kNoValue;
  return given ? b.op("Add", {x, node.inputs[i]}) : x;
}

using Values = std::vector<ValueId>;

// ---- BiasGelu, FastGelu, QuickGelu ----

Result<Values> decompose_bias_gelu(Builder& b, const Node& node) {
  return Values{b.op("Gelu", {add_if_given(b, node.inputs[0], node, 1)})};
}

Result<Values> decompose_fast_gelu(Builder& b, const Node& node) {
  return Values{b.op("Gelu", {add_if_given(b, node.inputs[0], node, 1)},
                     {{"approximate", std::string("tanh")}})};
}

Result<Values> decompose_quick_gelu(Builder& b, const Node& node) {
  return Values{
      b.op("Swish", {node.inputs[0]}, {{"alpha", attributes_of(node).attr_float("alpha")}})};
}

// ---- SkipLayerNormalization, SkipSimplifiedLayerNormalization ----

Status infer_skip_normalization(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_like_first(c));
  for (size_t i = 1; i < 3; ++i) {
    if (c.in[i].dtype != c.in[0].dtype) {
      return invalid("expected inputs of one type, found " + c.in[0].str() + " and " +
                     c.in[i].str());
    }
  }
  // Mean and inverse deviation have the input's shape with 1 for the normalized axis.
  std::optional<Shape> statistics = c.in[0].shape;
  if (statistics && !statistics->empty()) statistics->back() = 1;
  set_output(c, 1, DType::kF32, statistics);
  set_output(c, 2, DType::kF32, std::move(statistics));
  set_output(c, 3, c.in[0].dtype, c.in[0].shape);
  return {};
}

bool wants(const Node& node, size_t i) {
  return i < node.outputs.size() && node.outputs[i] != kNoValue;
}

Result<Values> decompose_skip_layer_normalization(Builder& b, const Node& node) {
  // inputs: x, skip, scale, shift, bias
  ValueId sum = b.op("Add", {node.inputs[0], node.inputs[1]});
  sum = add_if_given(b, sum, node, 4);
  Values in = {sum, node.inputs[2]};
  if (node.own_inputs() > 3 && node.inputs[3] != kNoValue) in.push_back(node.inputs[3]);
  const bool statistics = wants(node, 1) || wants(node, 2);
  Values out =
      b.op_n("LayerNormalization", in, statistics ? 3 : 1,
             {{"axis", int64_t{-1}}, {"epsilon", attributes_of(node).attr_float("epsilon")}});
  out.resize(3, kNoValue);
  out.push_back(sum);
  return out;
}

Result<Values> decompose_skip_rms_normalization(Builder& b, const Node& node) {
  // inputs: x, skip, scale, bias
  if (wants(node, 1) || wants(node, 2)) return unsupported("mean and deviation as outputs");
  ValueId sum = b.op("Add", {node.inputs[0], node.inputs[1]});
  sum = add_if_given(b, sum, node, 3);
  const ValueId y =
      b.op("RMSNormalization", {sum, node.inputs[2]},
           {{"axis", int64_t{-1}}, {"epsilon", attributes_of(node).attr_float("epsilon")}});
  return Values{y, kNoValue, kNoValue, sum};
}

// ---- FusedMatMul ----

// Axis permutations that FusedMatMul's attributes mean. The batch flags move axis 0 behind the
// other batch axes: (batch…, row, column) is stored as (row, batch…, column).
std::vector<int64_t> stored_order(size_t rank, bool transposed, bool batch_first) {
  std::vector<int64_t> perm(rank);
  for (size_t i = 0; i < rank; ++i) perm[i] = static_cast<int64_t>(i);
  if (batch_first && rank > 2) {
    std::rotate(perm.begin(), perm.begin() + 1, perm.end() - 1);
  }
  if (transposed && rank > 1) std::swap(perm[rank - 2], perm[rank - 1]);
  return perm;
}

struct Operand {
  bool transposed, batch_first;
};
Operand operand(const AttributeReader& a, const char* side) {
  return {a.attr_int(std::string("trans") + side) != 0,
          a.attr_int(std::string("transBatch") + side) != 0};
}

Status infer_fused_matmul(OpContext& c) {
  for (size_t i = 0; i < 2; ++i) MNN_RETURN_IF_ERROR(expect_float_input(c, i));
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  if (!c.rank_known(0) || !c.rank_known(1)) return {};
  auto permuted = [&](size_t i, const char* side) {
    const Operand o = operand(c, side);
    const Shape& shape = *c.in[i].shape;
    Shape out;
    for (const int64_t p : stored_order(shape.size(), o.transposed, o.batch_first)) {
      out.push_back(shape[static_cast<size_t>(p)]);
    }
    return out;
  };
  const Shape x = permuted(0, "A"), y = permuted(1, "B");
  if (x.empty() || y.empty()) return invalid("expected operands of rank 1 or more");
  const Dim &k = x.back(), &l = y.size() > 1 ? y[y.size() - 2] : y[0];
  if (k.known() && l.known() && k.value() != l.value()) {
    return invalid("cannot multiply " + shape_str(x) + " by " + shape_str(y));
  }
  Shape out;
  const size_t xb = x.size() > 1 ? x.size() - 2 : 0, yb = y.size() > 1 ? y.size() - 2 : 0;
  const size_t batch = std::max(xb, yb);
  for (size_t i = 0; i < batch; ++i) {
    const Dim a = i + xb < batch ? Dim(1) : x[i + xb - batch];
    const Dim b = i + yb < batch ? Dim(1) : y[i + yb - batch];
    MNN_ASSIGN_OR_RETURN(const Dim d, broadcast_dim(a, b));
    out.push_back(d);
  }
  if (x.size() > 1) out.push_back(x[x.size() - 2]);
  if (y.size() > 1) out.push_back(y.back());
  c.out[0].type.shape = std::move(out);
  return {};
}

Result<Values> decompose_fused_matmul(Builder& b, const Node& node) {
  const AttributeReader a = attributes_of(node);
  Values in;
  for (size_t i = 0; i < 2; ++i) {
    const Operand o = operand(a, i == 0 ? "A" : "B");
    ValueId v = node.inputs[i];
    if (o.transposed || o.batch_first) {
      if (!b.type(v).shape) return unsupported("a transposed operand of unknown rank");
      const auto perm = stored_order(b.type(v).rank(), o.transposed, o.batch_first);
      v = b.op("Transpose", {v}, {{"perm", perm}});
    }
    in.push_back(v);
  }
  const DType dtype = b.type(node.inputs[0]).dtype;
  ValueId y = b.op("MatMul", in);
  const double alpha = a.attr_float("alpha");
  if (alpha != 1.0) y = b.op("Mul", {y, b.scalar(alpha, dtype)});
  return Values{y};
}

// ---- MatMulNBits ----

enum : size_t { kA, kB, kScales, kZeroPoints, kGroupIndex, kBias };

struct PackedWeights {
  int64_t inner = 0, outer = 0, bits = 0, block = 0;
  int64_t blocks = 0;      // along `inner`
  int64_t blob_bytes = 0;  // of one block
};

Result<PackedWeights> packed_weights(const AttributeReader& c) {
  PackedWeights w{c.attr_int("K"), c.attr_int("N"), c.attr_int("bits"), c.attr_int("block_size")};
  constexpr int64_t kMost = int64_t{1} << 30;
  if (w.inner < 1 || w.outer < 1 || w.inner > kMost || w.outer > kMost) {
    return invalid("K and N: expected positive numbers, found " + std::to_string(w.inner) +
                   " and " + std::to_string(w.outer));
  }
  if (w.bits != 2 && w.bits != 4 && w.bits != 8) {
    return unsupported("bits: expected 2, 4 or 8, found " + std::to_string(w.bits));
  }
  if (w.block < 16 || w.block > kMost || (w.block & (w.block - 1)) != 0) {
    return invalid("block_size: expected a power of two from 16, found " + std::to_string(w.block));
  }
  w.blocks = (w.inner + w.block - 1) / w.block;
  w.blob_bytes = w.block * w.bits / 8;
  return w;
}

Status infer_matmul_n_bits(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(const PackedWeights w, packed_weights(c));
  MNN_RETURN_IF_ERROR(expect_float_input(c, kA));
  MNN_RETURN_IF_ERROR(expect_float_input(c, kScales));
  if (c.in[kB].dtype != DType::kU8) return invalid("B: expected u8, found " + c.in[kB].str());
  if (c.has_input(kGroupIndex)) return unsupported("the input g_idx");
  set_output(c, 0, c.in[kA].dtype, std::nullopt);
  if (!c.rank_known(kA)) return {};
  Shape out = *c.in[kA].shape;
  if (out.empty() || (out.back().known() && !out.back().is(w.inner))) {
    return invalid("A: expected " + std::to_string(w.inner) + " columns, found " + c.in[kA].str());
  }
  out.back() = w.outer;
  c.out[0].type.shape = std::move(out);
  return {};
}

// The weights as [N, K] in double.
Result<std::vector<double>> dequantized(const KernelContext& c, const PackedWeights& w) {
  const Tensor &packed = *c.in[kB], &scales = *c.in[kScales];
  const int64_t rows = w.outer * w.blocks;
  const auto bits = static_cast<int>(w.bits);
  if (packed.elements() != rows * w.blob_bytes) {
    return invalid("B: expected " + std::to_string(rows * w.blob_bytes) + " bytes, found " +
                   packed.type_str());
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<double> scale, scales.to_doubles());
  if (static_cast<int64_t>(scale.size()) != rows) {
    return invalid("scales: expected " + std::to_string(rows) + " entries, found " +
                   scales.type_str());
  }
  // Zero points: packed like B, each output's row in whole bytes; or one float per block.
  std::vector<double> zero(static_cast<size_t>(rows), static_cast<double>(1 << (w.bits - 1)));
  if (c.has_input(kZeroPoints)) {
    const Tensor& z = *c.in[kZeroPoints];
    const int64_t row_bytes = (w.blocks * w.bits + 7) / 8;
    const bool is_packed = z.dtype() == DType::kU8;
    if (z.elements() != (is_packed ? w.outer * row_bytes : rows)) {
      return invalid("zero_points " + z.type_str() + " do not fit " + std::to_string(rows) +
                     " blocks");
    }
    if (is_packed) {
      for (int64_t r = 0; r < rows; ++r) {
        const std::byte* row = z.raw() + r / w.blocks * row_bytes;
        zero[static_cast<size_t>(r)] = static_cast<double>(packed_get(row, bits, r % w.blocks));
      }
    } else {
      MNN_ASSIGN_OR_RETURN(zero, z.to_doubles());
    }
  }
  std::vector<double> real(static_cast<size_t>(w.outer * w.inner));
  for (int64_t n = 0; n < w.outer; ++n) {
    for (int64_t k = 0; k < w.inner; ++k) {
      const int64_t row = n * w.blocks + k / w.block;
      const std::byte* blob = packed.raw() + row * w.blob_bytes;
      const auto q = static_cast<double>(packed_get(blob, bits, k % w.block));
      const auto at = static_cast<size_t>(row);
      real[static_cast<size_t>(n * w.inner + k)] = (q - zero[at]) * scale[at];
    }
  }
  return real;
}

Status reference_matmul_n_bits(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(const PackedWeights w, packed_weights(c));
  MNN_ASSIGN_OR_RETURN(const std::vector<double> x, c.in[kA]->to_doubles());
  MNN_ASSIGN_OR_RETURN(const std::vector<double> weights, dequantized(c, w));
  std::vector<double> bias(static_cast<size_t>(w.outer), 0.0);
  if (c.has_input(kBias)) {
    MNN_ASSIGN_OR_RETURN(bias, c.in[kBias]->to_doubles());
    if (static_cast<int64_t>(bias.size()) != w.outer) {
      return invalid("bias: expected " + std::to_string(w.outer) + " entries, found " +
                     c.in[kBias]->type_str());
    }
  }
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  const auto inner = static_cast<size_t>(w.inner), outer = static_cast<size_t>(w.outer);
  dispatch_float(y->dtype(), [&]<typename T>() {
    for (size_t m = 0; m * inner < x.size(); ++m) {
      for (size_t n = 0; n < outer; ++n) {
        double sum = 0;
        for (size_t k = 0; k < inner; ++k) sum += x[m * inner + k] * weights[n * inner + k];
        y->data<T>()[m * outer + n] = store_from_compute<T>(sum + bias[n]);
      }
    }
  });
  return {};
}

int64_t macs_of_fused_matmul(const MacsContext& c) {
  const auto *a = c.in(0), *y = c.out(0);
  if (a == nullptr || y == nullptr || a->empty()) return 0;
  const Operand o = operand(c, "A");
  const auto inner = stored_order(a->size(), o.transposed, o.batch_first).back();
  return saturating_product(saturating_product(*y), (*a)[static_cast<size_t>(inner)]);
}

}  // namespace

std::vector<OpDef> define_contrib() {
  const AttrDef epsilon{"epsilon", 1e-12}, alpha{"alpha", 1.0}, quick{"alpha", 1.702};
  const std::vector<AttrDef> matmul = {alpha,
                                       {"transA", int64_t{0}},
                                       {"transB", int64_t{0}},
                                       {"transBatchA", int64_t{0}},
                                       {"transBatchB", int64_t{0}}};
  const std::vector<AttrDef> packed = {{"K", int64_t{0}, true},
                                       {"N", int64_t{0}, true},
                                       {"accuracy_level", int64_t{0}},
                                       {"bits", int64_t{4}},
                                       {"block_size", int64_t{0}, true}};
  return {
      {"BiasGelu", 2, 2, kElementwise, {}, infer_like_first, nullptr, decompose_bias_gelu},
      {"FastGelu", 1, 2, kElementwise, {}, infer_like_first, nullptr, decompose_fast_gelu},
      {"QuickGelu",
       1,
       1,
       kElementwise | kActivation,
       {quick},
       infer_like_first,
       nullptr,
       decompose_quick_gelu},
      {"SkipLayerNormalization",
       3,
       5,
       {},
       {epsilon},
       infer_skip_normalization,
       nullptr,
       decompose_skip_layer_normalization,
       1,
       4},
      {"SkipSimplifiedLayerNormalization",
       3,
       4,
       {},
       {epsilon},
       infer_skip_normalization,
       nullptr,
       decompose_skip_rms_normalization,
       1,
       4},
      {.name = "FusedMatMul",
       .min_inputs = 2,
       .max_inputs = 2,
       .attributes = matmul,
       .infer = infer_fused_matmul,
       .decompose = decompose_fused_matmul,
       .macs = macs_of_fused_matmul},
      {.name = "MatMulNBits",
       .min_inputs = 3,
       .max_inputs = 6,
       .attributes = packed,
       .infer = infer_matmul_n_bits,
       .reference = reference_matmul_n_bits,
       .macs = macs_of_matmul},
  };
}

}  // namespace mnn
