#include "libconvert/exporters/onnx/rows.h"

#include <algorithm>

#include "libconvert/frontends/onnx/op_map.h"

namespace mnn::onnx_export {
namespace {

constexpr int kNever = 1 << 20;

bool batch_first(const Graph&, const Node& node) {
  return AttributeReader(node, *find_op(node.op)).attr_int("layout") != 0;
}

// Shape of a part of the axes came with opset 15.
bool of_a_part(const Graph&, const Node& node) {
  return node.attributes.contains("start") || node.attributes.contains("end");
}

// Sorted by name.
// clang-format off
constexpr ExportRow kRows[] = {
    {"Attention", 23, expand_attention},
    {"CastLike", 15, expand_cast_like},
    {"DFT", 20, nullptr, nullptr, render_dft},
    {"GRU", kNever, expand_recurrent, batch_first},
    {"GridSample", 20, nullptr, nullptr, render_grid_sample},
    {"GroupNormalization", 21, nullptr, nullptr, nullptr},
    {"LSTM", kNever, expand_recurrent, batch_first},
    {"LayerNormalization", 17, expand_layer_norm},
    {"Pad", 18, nullptr, nullptr, render_pad},
    {"QuantizeLinear", 21, nullptr, nullptr, render_quantize},
    {"RNN", kNever, expand_recurrent, batch_first},
    {"ReduceL1", 18, nullptr, nullptr, render_reduce},
    {"ReduceL2", 18, nullptr, nullptr, render_reduce},
    {"ReduceLogSum", 18, nullptr, nullptr, render_reduce},
    {"ReduceLogSumExp", 18, nullptr, nullptr, render_reduce},
    {"ReduceMax", 18, nullptr, nullptr, render_reduce},
    {"ReduceMean", 18, nullptr, nullptr, render_reduce},
    {"ReduceMin", 18, nullptr, nullptr, render_reduce},
    {"ReduceProd", 18, nullptr, nullptr, render_reduce},
    {"ReduceSumSquare", 18, nullptr, nullptr, render_reduce},
    {"Reshape", 14, nullptr, nullptr, render_reshape},
    {"Resize", 18, nullptr, nullptr, render_resize},
    {"RoiAlign", 16, nullptr, nullptr, render_roi_align},
    {"RotaryEmbedding", 23, expand_rotary_embedding},
    {"ScatterElements", 18, nullptr, nullptr, render_scatter},
    {"ScatterND", 18, nullptr, nullptr, render_scatter},
    {"Shape", 15, expand_shape, of_a_part},
    {"Split", 18, nullptr, nullptr, render_split},
};

constexpr NewAttribute kNewAttributes[] = {
    {"AveragePool", "dilations", 19},
    {"BatchNormalization", "training_mode", 14},
    {"Cast", "round_mode", 24},
    {"Cast", "saturate", 19},
    {"CastLike", "round_mode", 24},
    {"CastLike", "saturate", 19},
    {"DequantizeLinear", "block_size", 21},
    {"DequantizeLinear", "output_dtype", 23},
    {"GRU", "layout", kNever},
    {"GroupNormalization", "stash_type", 21},
    {"LSTM", "layout", kNever},
    {"LpPool", "ceil_mode", 18},
    {"LpPool", "dilations", 18},
    {"QuantizeLinear", "block_size", 21},
    {"QuantizeLinear", "output_dtype", 21},
    {"QuantizeLinear", "precision", 23},
    {"QuantizeLinear", "saturate", 19},
    {"RNN", "layout", kNever},
    {"ReduceL1", "noop_with_empty_axes", 18},
    {"ReduceL2", "noop_with_empty_axes", 18},
    {"ReduceLogSum", "noop_with_empty_axes", 18},
    {"ReduceLogSumExp", "noop_with_empty_axes", 18},
    {"ReduceMax", "noop_with_empty_axes", 18},
    {"ReduceMean", "noop_with_empty_axes", 18},
    {"ReduceMin", "noop_with_empty_axes", 18},
    {"ReduceProd", "noop_with_empty_axes", 18},
    {"ReduceSumSquare", "noop_with_empty_axes", 18},
    {"Reshape", "allowzero", 14},
    {"Resize", "antialias", 18},
    {"Resize", "axes", 18},
    {"Resize", "keep_aspect_ratio_policy", 18},
    {"ScatterElements", "reduction", 16},
    {"ScatterND", "reduction", 16},
    {"SpaceToDepth", "mode", 28},
    {"Split", "num_outputs", 18},
};
// clang-format on

// Whether leaving the attribute out means the same: the row's default, and for lists, which have
// none, ones.
bool is_neutral(const Attribute& value, const Attribute& otherwise) {
  if (const auto* list = std::get_if<std::vector<int64_t>>(&value)) {
    return std::ranges::all_of(*list, [](int64_t v) { return v == 1; });
  }
  if (const auto* v = std::get_if<int64_t>(&value)) {
    const auto* d = std::get_if<int64_t>(&otherwise);
    return d != nullptr && *v == *d;
  }
  const auto* v = std::get_if<std::string>(&value);
  const auto* d = std::get_if<std::string>(&otherwise);
  return v != nullptr && d != nullptr && *v == *d;
}

std::string value_text(const Attribute& value) {
  if (const auto* v = std::get_if<int64_t>(&value)) return std::to_string(*v);
  if (const auto* v = std::get_if<std::string>(&value)) return *v;
  std::string text;
  if (const auto* list = std::get_if<std::vector<int64_t>>(&value)) {
    for (const int64_t v : *list) text += (text.empty() ? "" : ",") + std::to_string(v);
  }
  return "[" + text + "]";
}

}  // namespace

std::optional<std::vector<int64_t>> NodeForm::ints(size_t i, std::string_view what) {
  const Tensor* data = has(i) ? graph.constant(node.inputs[i]) : nullptr;
  if (data != nullptr) {
    Result<std::vector<int64_t>> values = data->to_ints();
    if (values.ok()) return std::move(values).value();
  }
  fail(std::string(what) + " are computed, which opset " + std::to_string(opset) +
       " takes as constants only");
  return std::nullopt;
}

std::optional<size_t> NodeForm::rank(size_t i) const {
  const Type& type = graph.value(node.inputs[i]).type;
  return type.shape ? std::optional(type.rank()) : std::nullopt;
}

void NodeForm::drop_input(size_t i) {
  if (i < node.inputs.size()) node.inputs[i] = kNoValue;
  while (!node.inputs.empty() && node.inputs.back() == kNoValue) node.inputs.pop_back();
}

const ExportRow* find_export_row(std::string_view op) {
  const auto row =
      std::lower_bound(std::begin(kRows), std::end(kRows), op,
                       [](const ExportRow& r, std::string_view n) { return r.op < n; });
  return row != std::end(kRows) && row->op == op ? row : nullptr;
}

void drop_new_attributes(NodeForm& form) {
  for (const NewAttribute& a : kNewAttributes) {
    if (a.op != form.node.op || form.opset >= a.since) continue;
    const auto it = form.node.attributes.find(a.name);
    if (it == form.node.attributes.end()) continue;
    const OpDef& def = *find_op(form.node.op);
    const auto known = std::ranges::find(def.attributes, a.name, &AttrDef::name);
    if (!is_neutral(it->second, known->default_value)) {
      return form.fail(std::string(a.name) + " " + value_text(it->second) +
                       " cannot be said in opset " + std::to_string(form.opset) +
                       (a.since < kNever ? ", it came with " + std::to_string(a.since) : ""));
    }
    form.node.attributes.erase(it);
  }
}

int introduced(std::string_view op) {
  const onnx::OpRow* row = onnx::find_row("", op);
  // GroupNormalization of opset 18 had scales per group; another operator under one name.
  if (row == nullptr) return 0;
  return op == "GroupNormalization" ? 21 : onnx::first_version(*row);
}

int introduced(DType dtype) {
  switch (dtype) {
    case DType::kF8E4M3FN:
    case DType::kF8E4M3FNUZ:
    case DType::kF8E5M2:
    case DType::kF8E5M2FNUZ: return 19;
    case DType::kU4:
    case DType::kI4: return 21;
    case DType::kF4E2M1: return 23;
    case DType::kF8E8M0: return 24;
    case DType::kU2:
    case DType::kI2: return 25;
    default: return dtype <= kLastOnnxType ? 1 : 0;
  }
}

}  // namespace mnn::onnx_export
