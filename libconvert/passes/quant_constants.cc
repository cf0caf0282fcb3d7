#include "libconvert/passes/quant_constants.h"

#include <algorithm>
#include <numeric>

#include "libconvert/passes/conditions.h"
#include "libruntime/core/packed.h"
#include "libruntime/core/quant.h"

namespace mnn {
namespace {

// Constants of fewer elements are worth more as numbers that other passes can fold.
constexpr int64_t kWorthKeeping = 1024;

// Whether the operator reads weights or a table in their own type.
bool reads_codes(std::string_view op) { return find_op(op)->multiplies() || op == "Gather"; }

// Tensor with axis i from axis perm[i], codes of any width.
Result<Tensor> permuted(const Tensor& t, const std::vector<int64_t>& perm) {
  const int bits = dtype_bits(t.dtype());
  std::vector<int64_t> dims, strides(t.rank(), 1), step(t.rank());
  for (size_t d = t.rank(); d-- > 1;) strides[d - 1] = strides[d] * t.dims()[d];
  for (size_t d = 0; d < t.rank(); ++d) {
    dims.push_back(t.dims()[static_cast<size_t>(perm[d])]);
    step[d] = strides[static_cast<size_t>(perm[d])];
  }
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(t.dtype(), dims));
  const size_t bytes = static_cast<size_t>(bits) / 8;
  std::vector<int64_t> at(t.rank(), 0);
  int64_t from = 0;
  for (int64_t i = 0; i < out.elements(); ++i) {
    if (bits < 8) {
      packed_set(out.raw(), bits, i, packed_get(t.raw(), bits, from));
    } else {
      std::copy_n(t.raw() + from * static_cast<int64_t>(bytes), bytes,
                  out.raw() + i * static_cast<int64_t>(bytes));
    }
    for (size_t d = t.rank(); d-- > 0;) {
      from += step[d];
      if (++at[d] < dims[d]) break;
      from -= step[d] * dims[d];
      at[d] = 0;
    }
  }
  return out;
}

bool is_simple(const QuantParams& p) {
  return !p.rotation && !p.super_scale.defined() && !p.super_offset.defined();
}

// The constant with its axes permuted; nullopt when its encoding does not allow it.
Result<std::optional<Value>> transposed(const Value& from, const std::vector<int64_t>& perm) {
  const QuantParams& q = *from.quant;
  if (!is_simple(q)) return std::optional<Value>();
  Value to = from;
  MNN_ASSIGN_OR_RETURN(to.data, permuted(from.data, perm));
  to.type.shape = to_shape(to.data.dims());
  if (q.axis >= 0) {
    to.quant->axis = static_cast<int>(std::ranges::find(perm, q.axis) - perm.begin());
  }
  if (q.group > 0) {
    for (Tensor* t : {&to.quant->scale, &to.quant->zero_point, &to.quant->offset}) {
      if (!t->defined()) continue;
      MNN_ASSIGN_OR_RETURN(*t, permuted(*t, perm));
    }
  }
  return std::optional<Value>(std::move(to));
}

// The constant under other dims: those of the axis and on either side of it must stay.
std::optional<Value> reshaped(const Value& from, const std::vector<int64_t>& dims) {
  const QuantParams& q = *from.quant;
  if (!is_simple(q) || q.group > 0) return std::nullopt;
  Value to = from;
  to.data = from.data.reshaped(dims);
  to.type.shape = to_shape(dims);
  if (q.axis < 0) return to;
  const auto& before = from.data.dims();
  const auto axis = static_cast<size_t>(q.axis);
  const int64_t outer =
      std::accumulate(before.begin(), before.begin() + q.axis, int64_t{1}, std::multiplies<>());
  int64_t product = 1;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (product == outer && dims[d] == before[axis]) {
      to.quant->axis = static_cast<int>(d);
      return to;
    }
    product *= dims[d];
  }
  return std::nullopt;
}

std::optional<std::vector<int64_t>> static_dims(const Graph& graph, ValueId v) {
  const Type& type = graph.value(v).type;
  return type.is_static() ? std::optional(known_dims(*type.shape)) : std::nullopt;
}

bool is_quantized_constant(const Value& v) { return v.kind == ValueKind::kConstant && v.quant; }

// A node that only looks at a quantized constant in another way, as that constant.
Result<std::optional<Value>> evaluate(const Graph& graph, const Node& node) {
  const Value& from = graph.value(node.inputs[0]);
  if (node.op == "Transpose") {
    std::vector<int64_t> perm = attr_ints(node, "perm");
    if (perm.empty()) {
      perm.resize(from.data.rank());
      std::iota(perm.rbegin(), perm.rend(), 0);
    }
    return transposed(from, perm);
  }
  if (!has_traits(node.op, kView)) return std::optional<Value>();
  const auto dims = static_dims(graph, node.outputs[0]);
  return dims ? reshaped(from, *dims) : std::nullopt;
}

}  // namespace

Result<int> move_quantized_constants(Graph& graph) {
  int changes = 0;
  for (Node& node : graph.nodes) {
    if (node.inputs.empty() || node.inputs[0] == kNoValue || !node.fused.empty() ||
        node.outputs.size() != 1 || !is_quantized_constant(graph.value(node.inputs[0])) ||
        graph.value(node.outputs[0]).quant) {
      continue;
    }
    MNN_ASSIGN_OR_RETURN(std::optional<Value> made, evaluate(graph, node));
    if (!made) continue;
    made->name = graph.value(node.outputs[0]).name;
    graph.value(node.outputs[0]) = *std::move(made);
    node = {};
    ++changes;
  }
  std::erase_if(graph.nodes, [](const Node& node) { return node.op.empty(); });
  const Uses uses = index_uses(graph);
  for (size_t v = 0; v < graph.values.size(); ++v) {
    Value& value = graph.values[v];
    if (!is_quantized_constant(value) || value.type.dtype != DType::kF32) continue;
    const bool worth = value.data.elements() >= kWorthKeeping ||
                       std::ranges::any_of(uses.consumers[v],
                                           [&](NodeId n) { return reads_codes(graph.node(n).op); });
    if (worth) continue;
    MNN_ASSIGN_OR_RETURN(value.data, constant_as_real(value));
    value.quant.reset();
    ++changes;
  }
  return changes;
}

ValueId unpack_matmul_n_bits(Builder& b, const Node& node) {
  Graph& graph = b.graph();
  const ValueId group_index = input_of(node, 4), bias = input_of(node, 5);
  const Tensor* packed = graph.constant(node.inputs[1]);
  const Tensor* scales = graph.constant(node.inputs[2]);
  const ValueId zeros_id = input_of(node, 3);
  const Tensor* zeros = graph.constant(zeros_id);
  if (packed == nullptr || scales == nullptr || group_index != kNoValue ||
      (zeros_id != kNoValue && zeros == nullptr)) {
    return kNoValue;
  }
  const int64_t k = attr_int(node, "K"), n = attr_int(node, "N");
  const auto bits = static_cast<int>(attr_int(node, "bits"));
  const int64_t block = attr_int(node, "block_size");
  const DType storage = bits == 2 ? DType::kU2 : bits == 4 ? DType::kU4 : DType::kU8;
  if (dtype_bits(storage) != bits || block < 1 || k < 1 || n < 1) return kNoValue;
  const int64_t blocks = k / block + (k % block != 0);
  const int64_t blob = block * bits / 8, row_bytes = (blocks * bits + 7) / 8;
  const bool packed_zeros = zeros != nullptr && zeros->dtype() == DType::kU8;
  if (packed->elements() != n * blocks * blob || scales->elements() != n * blocks ||
      (zeros != nullptr && zeros->elements() != (packed_zeros ? n * row_bytes : n * blocks))) {
    return kNoValue;
  }
  const auto codes = Tensor::allocate(storage, {k, n});
  if (!codes.ok()) return kNoValue;
  Tensor stored = *codes;
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t i = 0; i < k; ++i) {
      const std::byte* from = packed->raw() + (row * blocks + i / block) * blob;
      packed_set(stored.raw(), bits, i * n + row, packed_get(from, bits, i % block));
    }
  }
  QuantParams p;
  p.storage = storage;
  p.axis = 0;
  p.group = block;
  const auto by_row = permuted(scales->reshaped({n, blocks}), {1, 0});
  if (!by_row.ok()) return kNoValue;
  p.scale = *by_row;
  if (zeros != nullptr && !packed_zeros) {
    const auto moved = permuted(zeros->reshaped({n, blocks}), {1, 0});
    if (!moved.ok()) return kNoValue;
    p.zero_point = *moved;
  } else {
    const auto made = Tensor::allocate(DType::kU8, {blocks, n});
    if (!made.ok()) return kNoValue;
    p.zero_point = *made;
    for (int64_t row = 0; row < n; ++row) {
      for (int64_t g = 0; g < blocks; ++g) {
        p.zero_point.data<uint8_t>()[g * n + row] =
            zeros == nullptr ? static_cast<uint8_t>(1 << (bits - 1))
                             : packed_get(zeros->raw() + row * row_bytes, bits, g);
      }
    }
  }
  Value weights;
  weights.kind = ValueKind::kConstant;
  weights.type = tensor_type(graph.value(node.inputs[0]).type.dtype, {Dim(k), Dim(n)});
  weights.data = std::move(stored);
  weights.quant = std::move(p);
  if (!check_quant(*weights.quant, weights.type).ok()) return kNoValue;
  ValueId y = b.op("MatMul", {node.inputs[0], graph.add_value(std::move(weights))});
  if (bias != kNoValue) y = b.op("Add", {y, bias});
  return y;
}

}  // namespace mnn
