// Operators of com.microsoft that are a few ordinary ones in a row.
#include "libconvert/frontends/onnx/op_map.h"

namespace mnn::onnx {
namespace {

// Moves the channels of an NHWC value to axis 1, or back. Needs the rank.
ValueId move_channels(NodeUpgrade& u, ValueId id, bool to_front) {
  if (id == kNoValue || !u.status.ok()) return kNoValue;
  const Type& type = u.type_of(id);
  if (!type.shape || type.rank() < 3) {
    u.fail(unsupported("channels-last input of unknown rank"));
    return kNoValue;
  }
  const auto rank = static_cast<int64_t>(type.rank());
  std::vector<int64_t> perm = {0};
  if (to_front) perm.push_back(rank - 1);
  for (int64_t i = to_front ? 1 : 2; i < (to_front ? rank - 1 : rank); ++i) perm.push_back(i);
  if (!to_front) perm.push_back(1);
  return u.emit("Transpose", {id}, {{"perm", perm}});
}

// The activation that a fused operator names.
ValueId activate(NodeUpgrade& u, ValueId x, const std::string& name,
                 const std::vector<double>& params) {
  const auto param = [&](size_t i, double otherwise) {
    return i < params.size() ? params[i] : otherwise;
  };
  if (name.empty()) return x;
  if (name == "Relu" || name == "Tanh" || name == "Sigmoid") return u.emit(name, {x});
  if (name == "LeakyRelu") return u.emit(name, {x}, {{"alpha", param(0, 0.01)}});
  if (name == "HardSigmoid") {
    return u.emit(name, {x}, {{"alpha", param(0, 0.2)}, {"beta", param(1, 0.5)}});
  }
  if (name == "Clip" && params.size() == 2) {
    const DType dtype = u.type_of(x).dtype;
    return u.emit(name, {x, u.add_scalar(params[0], dtype), u.add_scalar(params[1], dtype)});
  }
  u.fail(unsupported("fused activation " + name));
  return kNoValue;
}

ValueId add_if_given(NodeUpgrade& u, ValueId x, size_t input) {
  return u.has(input) ? u.emit("Add", {x, u.in(input)}) : x;
}

}  // namespace

// Two halves of x + bias: the first times Gelu of the second.
void contrib_bias_split_gelu(NodeUpgrade& u) {
  const std::vector<ValueId> halves =
      u.emit_n("Split", {add_if_given(u, u.in(0), 1)}, 2,
               {{"axis", int64_t{-1}}, {"num_outputs", int64_t{2}}});
  u.results = {u.emit("Mul", {halves[0], u.emit("Gelu", {halves[1]})})};
}

// inputs: ids, segments, word, position and segment tables, scale, shift, mask, position ids
void contrib_embed_layer_norm(NodeUpgrade& u) {
  const double epsilon = u.take_float("epsilon").value_or(1e-12);
  const int64_t mask_type = u.take_int("mask_index_type").value_or(1);
  if (u.inputs.size() < 7) return u.fail(invalid("expected 7 inputs or more"));
  ValueId positions = kNoValue;
  if (u.has(8)) {
    positions = u.emit("Gather", {u.in(3), u.in(8)});
  } else {
    const ValueId length =
        u.reshape(u.emit("Shape", {u.in(0)}, {{"start", int64_t{1}}, {"end", int64_t{2}}}), {});
    const ValueId steps = u.emit("Range", {u.add_constant(Tensor::scalar(int64_t{0})), length,
                                           u.add_constant(Tensor::scalar(int64_t{1}))});
    positions = u.emit("Gather", {u.in(3), steps});
  }
  ValueId sum = u.emit("Add", {u.emit("Gather", {u.in(2), u.in(0)}), positions});
  if (u.has(1) && u.has(4)) sum = u.emit("Add", {sum, u.emit("Gather", {u.in(4), u.in(1)})});
  std::vector<ValueId> in = {sum, u.in(5)};
  if (u.has(6)) in.push_back(u.in(6));
  const ValueId y = u.emit("LayerNormalization", in, {{"axis", int64_t{-1}}, {"epsilon", epsilon}});
  ValueId mask_index = kNoValue;
  if (u.wants(1)) {
    if (!u.has(7) || mask_type != 1) return u.fail(unsupported("this kind of mask index"));
    mask_index = u.emit("ReduceSum", {u.in(7), u.add_ints({1})}, {{"keepdims", int64_t{0}}});
  }
  u.results = {y, mask_index, sum};
}

void contrib_expand_dims(NodeUpgrade& u) {
  u.op = "Unsqueeze";
  if (u.has(1)) u.inputs[1] = u.cast(u.inputs[1], DType::kI64);
  if (u.has(1)) u.inputs[1] = u.reshape(u.inputs[1], {1});
}

// Conv, plus a residual, then an activation.
void contrib_fused_conv(NodeUpgrade& u) {
  const std::string activation = u.take_string("activation").value_or("");
  const std::vector<double> params =
      u.take_floats("activation_params").value_or(std::vector<double>());
  std::vector<ValueId> in = {u.in(0), u.in(1)};
  if (u.has(2)) in.push_back(u.in(2));
  const ValueId y = add_if_given(u, u.emit("Conv", in, u.attributes), 3);
  u.results = {activate(u, y, activation, params)};
}

void contrib_fused_gemm(NodeUpgrade& u) {
  const std::string activation = u.take_string("activation").value_or("");
  std::vector<double> params;
  for (const char* key : {"activation_alpha", "activation_beta", "activation_gamma"}) {
    if (const std::optional<double> p = u.take_float(key)) params.push_back(*p);
  }
  u.results = {activate(u, u.emit("Gemm", u.inputs, u.attributes), activation, params)};
}

// inputs: x (channels last unless told), scale, shift
void contrib_group_norm(NodeUpgrade& u) {
  const int64_t activation = u.take_int("activation").value_or(0);
  const bool channels_last = u.take_int("channels_last").value_or(1) != 0;
  const int64_t groups = u.take_int("groups").value_or(0);
  const double epsilon = u.take_float("epsilon").value_or(1e-5);
  if (activation < 0 || activation > 1) return u.fail(unsupported("this activation"));
  const ValueId x = channels_last ? move_channels(u, u.in(0), true) : u.in(0);
  const DType dtype = u.dtype(0);
  ValueId y = u.emit("GroupNormalization", {x, u.cast(u.in(1), dtype), u.cast(u.in(2), dtype)},
                     {{"num_groups", groups}, {"epsilon", epsilon}});
  if (activation == 1) y = u.emit("Swish", {y});
  u.results = {channels_last ? move_channels(u, y, false) : y};
}

// NhwcConv, NhwcMaxPool: the operator between two transposes.
void contrib_nhwc(NodeUpgrade& u) {
  if (!u.has(0)) return u.fail(invalid("input 0 is missing"));
  u.inputs[0] = move_channels(u, u.in(0), true);
  if (!u.status.ok()) return;
  if (u.op == "Conv" && u.has(1)) u.inputs[1] = move_channels(u, u.in(1), true);
  u.results = {move_channels(u, u.emit(u.op, u.inputs, u.attributes), false)};
}

void contrib_pad(NodeUpgrade& u) {
  if (u.has(1) && u.rank(1) != std::optional<size_t>(1)) u.inputs[1] = u.reshape(u.in(1), {-1});
}

// SimplifiedLayerNormalization.
void contrib_rms_norm(NodeUpgrade& u) {
  if (u.wants(1)) return u.fail(unsupported("the inverse deviation as an output"));
  u.wanted.resize(1);
}

}  // namespace mnn::onnx
