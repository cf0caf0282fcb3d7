// Quantized operators of com.microsoft: the float operator between DequantizeLinear and
// QuantizeLinear, or integer products with a scale.
#include "libconvert/frontends/onnx/op_map.h"

namespace mnn::onnx {
namespace {

std::vector<ValueId> with_zero(ValueId x, ValueId scale, ValueId zero) {
  std::vector<ValueId> in = {x, scale};
  if (zero != kNoValue) in.push_back(zero);
  return in;
}

// Input `x` with its scale and zero point behind it.
ValueId dequantize(NodeUpgrade& u, size_t x, size_t scale, size_t zero) {
  return u.emit("DequantizeLinear", with_zero(u.in(x), u.in(scale), u.in(zero)));
}

ValueId quantize(NodeUpgrade& u, ValueId y, size_t scale, size_t zero, DType otherwise) {
  NodeUpgrade::Attributes attrs;
  if (!u.has(zero)) attrs["output_dtype"] = static_cast<int64_t>(otherwise);
  return u.emit("QuantizeLinear", with_zero(y, u.in(scale), u.in(zero)), std::move(attrs));
}

// (product - zeros) * scales + bias, from MatMulInteger.
ValueId scaled_product(NodeUpgrade& u, const std::vector<ValueId>& product, ValueId scale,
                       ValueId bias) {
  ValueId y = u.emit("Mul", {u.cast(u.emit("MatMulInteger", product), DType::kF32), scale});
  if (bias != kNoValue) y = u.emit("Add", {y, bias});
  return y;
}

}  // namespace

// QLinearAdd, QLinearMul: a, scale, zero, b, scale, zero, scale and zero of the result
void contrib_qlinear_binary(NodeUpgrade& u) {
  const ValueId a = dequantize(u, 0, 1, 2), b = dequantize(u, 3, 4, 5);
  u.results = {quantize(u, u.emit(u.op, {a, b}), 6, 7, u.dtype(0))};
}

// One tensor: x, scale, zero, scale and zero of the result
void contrib_qlinear_unary(NodeUpgrade& u) {
  u.drop_attr("opset");
  const bool channels_last = u.take_int("channels_last").value_or(0) != 0;
  std::vector<ValueId> in = {dequantize(u, 0, 1, 2)};
  if (!u.status.ok()) return;
  if (const std::optional<std::vector<int64_t>> axes = u.take_ints("axes")) {
    in.push_back(u.add_ints(*axes));
  }
  const std::optional<size_t> rank = u.rank(0);
  std::vector<int64_t> to_front, to_back;
  if (channels_last) {
    if (!rank || *rank < 3) return u.fail(unsupported("channels-last input of unknown rank"));
    const auto r = static_cast<int64_t>(*rank);
    to_front = {0, r - 1};
    to_back = {0};
    for (int64_t i = 1; i + 1 < r; ++i) to_front.push_back(i);
    for (int64_t i = 2; i < r; ++i) to_back.push_back(i);
    to_back.push_back(1);
    in[0] = u.emit("Transpose", {in[0]}, {{"perm", to_front}});
  }
  ValueId y = u.emit(u.op, in, u.attributes);
  if (channels_last) y = u.emit("Transpose", {y}, {{"perm", to_back}});
  u.results = {quantize(u, y, 3, 4, u.dtype(0))};
}

// scale and zero of the result, then x, scale, zero of each part
void contrib_qlinear_concat(NodeUpgrade& u) {
  if (u.inputs.size() < 5 || (u.inputs.size() - 2) % 3 != 0) {
    return u.fail(invalid("expected three inputs for each part"));
  }
  std::vector<ValueId> parts;
  for (size_t i = 2; i < u.inputs.size(); i += 3) parts.push_back(dequantize(u, i, i + 1, i + 2));
  u.results = {quantize(u, u.emit("Concat", parts, u.attributes), 0, 1, u.dtype(2))};
}

// condition, x, scale, zero, y, scale, zero, scale and zero of the result
void contrib_qlinear_where(NodeUpgrade& u) {
  const ValueId x = dequantize(u, 1, 2, 3), y = dequantize(u, 4, 5, 6);
  u.results = {quantize(u, u.emit("Where", {u.in(0), x, y}), 7, 8, u.dtype(1))};
}

// a, scale, zero, b, scale, zero, c (i32 in units of both scales), scale and zero of the result
void contrib_qgemm(NodeUpgrade& u) {
  const bool transposed_b = u.find_attr<int64_t>("transB") && *u.find_attr<int64_t>("transB") != 0;
  const double alpha = u.take_float("alpha").value_or(1.0);
  const ValueId a = dequantize(u, 0, 1, 2);
  // One scale per column of the product.
  NodeUpgrade::Attributes axis = {{"axis", int64_t{transposed_b ? 0 : 1}}};
  const ValueId b = u.emit("DequantizeLinear", with_zero(u.in(3), u.in(4), u.in(5)), axis);
  std::vector<ValueId> in = {a, b};
  if (u.has(6)) {
    ValueId scale = u.emit("Mul", {u.in(1), u.in(4)});
    if (alpha != 1.0) scale = u.emit("Mul", {scale, u.add_scalar(alpha, DType::kF32)});
    in.push_back(u.emit("Mul", {u.cast(u.in(6), DType::kF32), scale}));
  }
  NodeUpgrade::Attributes attrs = u.attributes;
  attrs["alpha"] = alpha;
  const ValueId y = u.emit("Gemm", in, std::move(attrs));
  u.results = {u.has(7) ? quantize(u, y, 7, 8, u.dtype(0)) : y};
}

// a, b, scale of b, zero of b, bias
void contrib_dynamic_quantize_matmul(NodeUpgrade& u) {
  const std::vector<ValueId> a = u.emit_n("DynamicQuantizeLinear", {u.in(0)}, 3);
  const ValueId scale = u.emit("Mul", {a[1], u.in(2)});
  u.results = {scaled_product(u, {a[0], u.in(1), a[2], u.in(3)}, scale, u.in(4))};
}

// a, b, their scales, their zeros, bias
void contrib_matmul_integer_to_float(NodeUpgrade& u) {
  const ValueId scale = u.emit("Mul", {u.in(2), u.in(3)});
  u.results = {scaled_product(u, {u.in(0), u.in(1), u.in(4), u.in(5)}, scale, u.in(6))};
}

// LSTM whose weights are integers, stored (direction, input, gate); scales per direction, or per
// direction and gate, are inputs 8 to 11.
void contrib_dynamic_quantize_lstm(NodeUpgrade& u) {
  const auto weights = [&](size_t at, size_t scale_at) {
    const ValueId q = u.cast(u.in(at), DType::kF32);
    const auto spread = [&](ValueId v) {
      const Type& type = u.type_of(v);
      if (type.shape && type.rank() == 1) return u.unsqueeze(v, {1, 2});
      return u.unsqueeze(v, {1});
    };
    ValueId shifted = q;
    if (u.has(scale_at + 1)) {
      const ValueId zero = u.cast(u.in(scale_at + 1), DType::kF32);
      shifted = u.emit("Sub", {q, spread(zero)});
    }
    const ValueId real = u.emit("Mul", {shifted, spread(u.in(scale_at))});
    return u.emit("Transpose", {real}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
  };
  if (!u.has(1) || !u.has(2) || !u.has(8) || !u.has(10)) {
    return u.fail(invalid("weights or their scales are missing"));
  }
  const ValueId w = weights(1, 8), r = weights(2, 10);
  u.inputs = {u.in(0), w, r, u.in(3), u.in(4), u.in(5), u.in(6), u.in(7)};
}

}  // namespace mnn::onnx
