#include "libconvert/frontends/tflite/op.h"

#include <numeric>

#include "libruntime/core/quant.h"

namespace mnn::tflite {
namespace {

std::vector<int64_t> to_first(size_t rank) {
  std::vector<int64_t> perm = {0, static_cast<int64_t>(rank) - 1};
  for (size_t i = 1; i + 1 < rank; ++i) perm.push_back(static_cast<int64_t>(i));
  return perm;
}
std::vector<int64_t> to_last(size_t rank) {
  std::vector<int64_t> perm = {0};
  for (size_t i = 2; i < rank; ++i) perm.push_back(static_cast<int64_t>(i));
  perm.push_back(1);
  return perm;
}

}  // namespace

const fb::Tensor* OpNode::input_tensor(size_t i) const {
  if (i >= count(tf.inputs())) return nullptr;
  const int32_t at = tf.inputs()->Get(static_cast<flatbuffers::uoffset_t>(i));
  return at < 0 ? nullptr : source.tensors()->Get(static_cast<flatbuffers::uoffset_t>(at));
}

const fb::Tensor& OpNode::output_tensor(size_t i) const {
  const int32_t at = tf.outputs()->Get(static_cast<flatbuffers::uoffset_t>(i));
  return *source.tensors()->Get(static_cast<flatbuffers::uoffset_t>(at));
}

bool OpNode::expect_inputs(size_t least, size_t most) {
  if (!status.ok()) return false;
  size_t found = inputs.size();
  while (found > 0 && inputs[found - 1] == kNoValue) --found;
  if (found > most || found < least) {
    fail(invalid("expected " + std::to_string(least) +
                 (least == most ? "" : " to " + std::to_string(most)) + " inputs, found " +
                 std::to_string(found)));
    return false;
  }
  for (size_t i = 0; i < least; ++i) {
    if (!has(i)) {
      fail(invalid("input " + std::to_string(i) + " is missing"));
      return false;
    }
  }
  return true;
}

ValueId OpNode::move(std::string_view type, ValueId x, std::vector<ValueId> rest,
                     Attributes attrs) {
  rest.insert(rest.begin(), x);
  const ValueId y = emit(type, std::move(rest), std::move(attrs));
  const QuantParams* q = quant(x);
  if (y != kNoValue && q != nullptr && q->axis < 0 && graph.value(x).kind != ValueKind::kConstant) {
    const QuantParams copy = *q;
    graph.value(y).quant = copy;
  }
  return y;
}

ValueId OpNode::transpose(ValueId x, const std::vector<int64_t>& perm) {
  return move("Transpose", x, {}, {{"perm", perm}});
}

ValueId OpNode::channels_first(ValueId x) {
  if (x == kNoValue || !status.ok()) return kNoValue;
  const auto known = layouts.first.find(x);
  if (known != layouts.first.end()) return known->second;
  const Type& type = type_of(x);
  if (!type.shape || type.rank() < 3) {
    fail(invalid("expected an image with channels, found " + type.str()));
    return kNoValue;
  }
  const ValueId y = transpose(x, to_first(type.rank()));
  if (y != kNoValue) {
    layouts.first.emplace(x, y);
    layouts.last.emplace(y, x);
  }
  return y;
}

ValueId OpNode::channels_last(ValueId y) {
  if (y == kNoValue || !status.ok()) return kNoValue;
  const auto known = layouts.last.find(y);
  if (known != layouts.last.end()) return known->second;
  const Type& type = type_of(y);
  if (!type.shape || type.rank() < 3) {
    fail(invalid("expected an image with channels, found " + type.str()));
    return kNoValue;
  }
  const ValueId x = transpose(y, to_last(type.rank()));
  if (x != kNoValue) {
    layouts.first.emplace(x, y);
    layouts.last.emplace(y, x);
  }
  return x;
}

ValueId OpNode::codes(ValueId x, const fb::Tensor& as) {
  if (x == kNoValue || !status.ok()) return x;
  if (graph.value(x).kind == ValueKind::kConstant && quant(x) != nullptr) {
    return add_constant(graph.value(x).data);
  }
  const auto q = quantization(as);
  if (!q.ok()) {
    fail(q.status());
    return kNoValue;
  }
  return *q && type_of(x).dtype == DType::kF32 ? quantized(*this, x, **q) : x;
}

ValueId OpNode::real(ValueId v) {
  if (v == kNoValue || !status.ok()) return v;
  const Value& value = graph.value(v);
  if (value.kind == ValueKind::kConstant && value.quant) {
    Result<Tensor> t = constant_as_real(value);
    if (!t.ok()) {
      fail(t.status());
      return kNoValue;
    }
    return add_constant(std::move(t).value());
  }
  return v;
}

ValueId OpNode::activate(ValueId x, int activation) {
  switch (activation) {
    case 0: return x;
    case 1: return emit("Relu", {x});
    case 2: return emit("Clip", {x, scalar_f32(-1), scalar_f32(1)});
    case 3: return emit("Clip", {x, scalar_f32(0), scalar_f32(6)});
    case 4: return emit("Tanh", {x});
    case 5: return emit("Sign", {x});
    default: break;
  }
  fail(unsupported("activation " + std::to_string(activation) + " is not known"));
  return kNoValue;
}

ValueId OpNode::shape_operand(size_t i) {
  if (!has(i)) {
    fail(invalid("input " + std::to_string(i) + " is missing"));
    return kNoValue;
  }
  if (const auto values = ints(i)) return add_ints(*values);
  const ValueId v = cast(in(i), DType::kI64);
  const auto r = rank(i);
  if (r && *r == 1) return v;
  return emit("Reshape", {v, add_ints({-1})});
}

std::vector<int64_t> OpNode::need_ints(size_t i, const char* what) {
  if (!status.ok()) return {};
  auto values = ints(i);
  if (values) return *values;
  fail(unsupported(std::string(what) + " must be constant"));
  return {};
}

std::optional<std::vector<int64_t>> OpNode::known_dims_of(ValueId v) const {
  const Type& type = type_of(v);
  if (!type.is_static()) return std::nullopt;
  return known_dims(*type.shape);
}

}  // namespace mnn::tflite
