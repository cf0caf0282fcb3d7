#include "libruntime/lower/grid.h"

#include "libruntime/core/storage.h"

namespace mnn {

std::optional<Grid> grid_of(const Value& value) {
  if (!value.quant || value.quant->axis >= 0 || !value.quant->is_plain() ||
      value.kind == ValueKind::kConstant) {
    return std::nullopt;
  }
  // Signed bytes are the same grid with all numbers raised by 128.
  const float scale = value.quant->scale_at(0);
  const auto zero = static_cast<int32_t>(value.quant->zero_point_at(0));
  if (value.quant->storage == DType::kU8) return Grid{scale, zero};
  if (value.quant->storage == DType::kI8) return Grid{scale, zero + 128};
  return std::nullopt;
}

std::optional<ChannelGrid> channel_grid_of(const Value& value) {
  if (!value.quant || value.quant->axis != 1 || value.kind == ValueKind::kConstant ||
      value.type.dtype != DType::kF32 || !value.type.is_static()) {
    return std::nullopt;
  }
  const QuantParams& q = *value.quant;
  const std::vector<int64_t> dims = known_dims(*value.type.shape);
  if (dims.size() < 3 || !q.is_plain() || q.entries() != dims[1] ||
      (q.storage != DType::kU8 && q.storage != DType::kI8)) {
    return std::nullopt;
  }
  const int32_t raised = q.storage == DType::kI8 ? 128 : 0;
  ChannelGrid grid;
  for (int64_t c = 0; c < q.entries(); ++c) {
    grid.scales.push_back(q.scale_at(c));
    grid.zeros.push_back(static_cast<int32_t>(q.zero_point_at(c)) + raised);
  }
  return grid;
}

std::optional<ByteWeights> byte_weights(const Value& weights, int axis) {
  if (weights.kind != ValueKind::kConstant || !weights.quant) return std::nullopt;
  const QuantParams& q = *weights.quant;
  const StorageType* row = find_storage(q.storage);
  if (!q.is_plain() || row == nullptr || row->bits > 8 || (q.axis >= 0 && q.axis != axis)) {
    return std::nullopt;
  }
  const auto& dims = weights.data.dims();
  const int64_t outputs = dims[static_cast<size_t>(axis)];
  ByteWeights w;
  bool shifted = false;
  for (int64_t o = 0; o < outputs; ++o) {
    w.scales.push_back(q.scale_at(q.axis >= 0 ? o : 0));
    shifted = shifted || q.zero_point_at(q.axis >= 0 ? o : 0) != 0.0f;
  }
  w.values = weights.data;
  if (q.storage == DType::kI8 && !shifted) return w;
  // Narrower codes widen; what lies around a zero point goes around 0 where a signed byte holds it.
  Result<Tensor> moved = Tensor::allocate(DType::kI8, dims);
  if (!moved.ok()) return std::nullopt;
  int64_t inner = 1;
  for (size_t d = static_cast<size_t>(axis) + 1; d < dims.size(); ++d) inner *= dims[d];
  std::vector<double> codes(static_cast<size_t>(inner));
  for (int64_t run = 0; run * inner < weights.data.elements(); ++run) {
    row->unpack(weights.data.raw(), run * inner, inner, codes.data());
    const auto zero = static_cast<double>(q.zero_point_at(q.axis >= 0 ? run % outputs : 0));
    for (int64_t i = 0; i < inner; ++i) {
      const double code = codes[static_cast<size_t>(i)] - zero;
      if (code < -128 || code > 127) return std::nullopt;
      moved->data<int8_t>()[run * inner + i] = static_cast<int8_t>(code);
    }
  }
  w.values = *moved;
  return w;
}

}  // namespace mnn
