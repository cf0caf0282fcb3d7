#include "libconvert/frontends/tflite/op.h"

#include "libruntime/core/quant.h"

namespace mnn::tflite {
const fb::Tensor* OpNode::input_tensor(size_t i) const {
  if (i >= count(tf.inputs())) return nullptr;
  const int32_t at = tf.inputs()->Get(static_cast<flatbuffers::uoffset_t>(i));
  return at < 0 ? nullptr : source.tensors()->Get(static_cast<flatbuffers::uoffset_t>(at));
}

const fb::Tensor& OpNode::output_tensor(size_t i) const {
  const int32_t at = tf.outputs()->Get(static_cast<flatbuffers::uoffset_t>(i));
  return *source.tensors()->Get(static_cast<flatbuffers::uoffset_t>(at));
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

}  // namespace mnn::tflite
