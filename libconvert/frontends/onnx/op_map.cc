#include "libconvert/frontends/onnx/op_map.h"

#include <algorithm>
#include <charconv>

#include "libconvert/frontends/onnx/order.h"

namespace mnn::onnx {
namespace {

// Sorted by name within each domain. The versions are facts of the standard.
// clang-format off
constexpr OpRow kAiOnnx[] = {
    {"Abs", "1 6 13", upgrade_consumed},
    {"Acos", "7 22"},
    {"Acosh", "9 22"},
    {"Add", "1 6 7 13 14", upgrade_binary},
    {"AffineGrid", "20"},
    {"And", "1 7", upgrade_binary},
    {"ArgMax", "1 11 12 13"},
    {"ArgMin", "1 11 12 13"},
    {"Asin", "7 22"},
    {"Asinh", "9 22"},
    {"Atan", "7 22"},
    {"Atanh", "9 22"},
    {"Attention", "23 24 25"},
    {"AveragePool", "1 7 10 11 19 22"},
    {"BatchNormalization", "1 6 7 9 14 15", upgrade_batch_norm},
    {"Bernoulli", "15 22"},
    {"BitCast", "26"},
    {"BitShift", "11 28"},
    {"BitwiseAnd", "18"},
    {"BitwiseNot", "18"},
    {"BitwiseOr", "18"},
    {"BitwiseXor", "18"},
    {"BlackmanWindow", "17"},
    {"Cast", "1 6 9 13 19 21 23 24 25 28", upgrade_cast},
    {"CastLike", "15 19 21 23 24 25"},
    {"CausalConvWithState", "27"},
    {"Ceil", "1 6 13", upgrade_consumed},
    {"Celu", "12 28"},
    {"CenterCropPad", "18"},
    {"Clip", "1 6 11 12 13", upgrade_clip},
    {"Col2Im", "18"},
    {"Compress", "9 11 28"},
    {"Concat", "1 4 11 13", upgrade_concat},
    {"ConcatFromSequence", "11"},
    {"Constant", "1 9 11 12 13 19 21 23 24 25"},
    {"ConstantFill", "1", upgrade_constant_fill, "ConstantOfShape"},
    {"ConstantOfShape", "9 20 21 23 24 25"},
    {"Conv", "1 11 22"},
    {"ConvInteger", "10"},
    {"ConvTranspose", "1 11 22"},
    {"Cos", "7 22"},
    {"Cosh", "9 22"},
    {"CumProd", "26"},
    {"CumSum", "11 14"},
    {"DFT", "17 20", upgrade_dft},
    {"DeformConv", "19 22"},
    {"DepthToSpace", "1 11 13 28"},
    {"DequantizeLinear", "10 13 19 21 23 24 25 28"},
    {"Det", "11 22"},
    {"Div", "1 6 7 13 14", upgrade_binary},
    {"Dropout", "1 6 7 10 12 13 22", upgrade_dropout},
    {"DynamicQuantizeLinear", "11"},
    {"DynamicSlice", "1", nullptr, "Slice"},
    {"Einsum", "12 28"},
    {"Elu", "1 6 22", upgrade_consumed},
    {"Equal", "1 7 11 13 19", upgrade_binary},
    {"Erf", "9 13"},
    {"Exp", "1 6 13", upgrade_consumed},
    {"Expand", "8 13"},
    {"EyeLike", "9 22"},
    {"Flatten", "1 9 11 13 21 23 24 25"},
    {"Floor", "1 6 13", upgrade_consumed},
    {"GRU", "1 3 7 14 22", upgrade_recurrent},
    {"Gather", "1 11 13"},
    {"GatherElements", "11 13"},
    {"GatherND", "11 12 13"},
    {"Gelu", "20"},
    {"Gemm", "1 6 7 9 11 13", upgrade_gemm},
    {"GlobalAveragePool", "1 22"},
    {"GlobalLpPool", "1 2 22", upgrade_global_lp_pool},
    {"GlobalMaxPool", "1 22"},
    {"Greater", "1 7 9 13", upgrade_binary},
    {"GreaterOrEqual", "12 16"},
    {"GridSample", "16 20 22", upgrade_grid_sample},
    {"GroupNormalization", "18 21", upgrade_group_norm},
    {"HammingWindow", "17"},
    {"HannWindow", "17"},
    {"HardSigmoid", "1 6 22", upgrade_consumed},
    {"HardSwish", "14 22"},
    {"Hardmax", "1 11 13", upgrade_softmax},
    {"Identity", "1 13 14 16 19 21 23 24 25"},
    {"If", "1 11 13 16 19 21 23 24 25"},
    {"ImageDecoder", "20"},
    {"InstanceNormalization", "1 6 22", upgrade_consumed},
    {"IsInf", "10 20"},
    {"IsNaN", "9 13 20"},
    {"LRN", "1 13"},
    {"LSTM", "1 7 14 22", upgrade_recurrent},
    {"LayerNormalization", "17"},
    {"LeakyRelu", "1 6 16", upgrade_consumed},
    {"Less", "1 7 9 13", upgrade_binary},
    {"LessOrEqual", "12 16"},
    {"LinearAttention", "27"},
    {"Log", "1 6 13", upgrade_consumed},
    {"LogSoftmax", "1 11 13", upgrade_softmax},
    {"Loop", "1 11 13 16 19 21 23 24 25"},
    {"LpNormalization", "1 22"},
    {"LpPool", "1 2 11 18 22", upgrade_lp_pool},
    {"MatMul", "1 9 13"},
    {"MatMulInteger", "10"},
    {"Max", "1 6 8 12 13", upgrade_consumed},
    {"MaxPool", "1 8 10 11 12 22"},
    {"MaxRoiPool", "1 22"},
    {"MaxUnpool", "9 11 22"},
    {"Mean", "1 6 8 13", upgrade_consumed},
    {"MeanVarianceNormalization", "9 13"},
    {"MelWeightMatrix", "17"},
    {"Min", "1 6 8 12 13", upgrade_consumed},
    {"Mish", "18 22"},
    {"Mod", "10 13 28"},
    {"Mul", "1 6 7 13 14", upgrade_binary},
    {"Multinomial", "7 22"},
    {"Neg", "1 6 13", upgrade_consumed},
    {"NegativeLogLikelihoodLoss", "12 13 22"},
    {"NonMaxSuppression", "10 11"},
    {"NonZero", "9 13"},
    {"Not", "1"},
    {"OneHot", "9 11 28"},
    {"Optional", "15 28"},
    {"OptionalGetElement", "15 18 28"},
    {"OptionalHasElement", "15 18 28"},
    {"Or", "1 7", upgrade_binary},
    {"PRelu", "1 6 7 9 16", upgrade_prelu},
    {"Pad", "1 2 11 13 18 19 21 23 24 25", upgrade_pad},
    {"Pow", "1 7 12 13 15", upgrade_binary},
    {"QLinearConv", "10"},
    {"QLinearMatMul", "10 21"},
    {"QuantizeLinear", "10 13 19 21 23 24 25 28"},
    {"RMSNormalization", "23"},
    {"RNN", "1 7 14 22", upgrade_recurrent},
    {"RandomNormal", "1 22"},
    {"RandomNormalLike", "1 22"},
    {"RandomUniform", "1 22"},
    {"RandomUniformLike", "1 22"},
    {"Range", "11 27"},
    {"Reciprocal", "1 6 13", upgrade_consumed},
    {"ReduceL1", "1 11 13 18", upgrade_reduce},
    {"ReduceL2", "1 11 13 18", upgrade_reduce},
    {"ReduceLogSum", "1 11 13 18 28", upgrade_reduce},
    {"ReduceLogSumExp", "1 11 13 18 28", upgrade_reduce},
    {"ReduceMax", "1 11 12 13 18 20", upgrade_reduce},
    {"ReduceMean", "1 11 13 18", upgrade_reduce},
    {"ReduceMin", "1 11 12 13 18 20", upgrade_reduce},
    {"ReduceProd", "1 11 13 18", upgrade_reduce},
    {"ReduceSum", "1 11 13", upgrade_reduce_sum},
    {"ReduceSumSquare", "1 11 13 18", upgrade_reduce},
    {"RegexFullMatch", "20"},
    {"Relu", "1 6 13 14", upgrade_consumed},
    {"Reshape", "1 5 13 14 19 21 23 24 25", upgrade_reshape},
    {"Resize", "10 11 13 18 19", upgrade_resize},
    {"ReverseSequence", "10 28"},
    {"RoiAlign", "10 16 22", upgrade_roi_align},
    {"RotaryEmbedding", "23"},
    {"Round", "11 22"},
    {"STFT", "17"},
    {"Scan", "8 9 11 16 19 21 23 24 25", upgrade_scan},
    {"Scatter", "9 11", nullptr, "ScatterElements"},
    {"ScatterElements", "11 13 16 18"},
    {"ScatterND", "11 13 16 18"},
    {"Selu", "1 6 22", upgrade_selu},
    {"SequenceAt", "11"},
    {"SequenceConstruct", "11"},
    {"SequenceEmpty", "11"},
    {"SequenceErase", "11"},
    {"SequenceInsert", "11"},
    {"SequenceLength", "11"},
    {"SequenceMap", "17"},
    {"Shape", "1 13 15 19 21 23 24 25"},
    {"Shrink", "9"},
    {"Sigmoid", "1 6 13", upgrade_consumed},
    {"Sign", "9 13"},
    {"SimplifiedLayerNormalization", "1", contrib_rms_norm, "RMSNormalization"},
    {"Sin", "7 22"},
    {"Sinh", "9 22"},
    {"Size", "1 13 19 21 23 24 25"},
    {"Slice", "1 10 11 13", upgrade_slice},
    {"Softmax", "1 11 13", upgrade_softmax},
    {"SoftmaxCrossEntropyLoss", "12 13"},
    {"Softplus", "1 22"},
    {"Softsign", "1 22"},
    {"SpaceToDepth", "1 13 28"},
    {"Split", "1 2 11 13 18", upgrade_split},
    {"SplitToSequence", "11 24"},
    {"Sqrt", "1 6 13", upgrade_consumed},
    {"Squeeze", "1 11 13 21 23 24 25", upgrade_axes},
    {"StringConcat", "20"},
    {"StringNormalizer", "10"},
    {"StringSplit", "20"},
    {"Sub", "1 6 7 13 14", upgrade_binary},
    {"Sum", "1 6 8 13", upgrade_consumed},
    {"SwiGLU", "28"},
    {"Swish", "24"},
    {"Tan", "7 22"},
    {"Tanh", "1 6 13", upgrade_consumed},
    {"TensorScatter", "24"},
    {"TfIdfVectorizer", "9"},
    {"ThresholdedRelu", "10 22"},
    {"Tile", "1 6 13", upgrade_tile},
    {"TopK", "1 10 11 24", upgrade_topk},
    {"Transpose", "1 13 21 23 24 25"},
    {"Trilu", "14"},
    {"Unique", "11 28"},
    {"Unsqueeze", "1 11 13 21 23 24 25", upgrade_axes},
    {"Upsample", "1 7 9 10", upgrade_upsample, "Resize"},
    {"Where", "9 16"},
    {"Xor", "1 7", upgrade_binary},
};

constexpr OpRow kMicrosoft[] = {
    {"Attention", "1", contrib_attention, "Attention"},
    {"BiasGelu", "1"},
    {"BiasSplitGelu", "1", contrib_bias_split_gelu, "Gelu"},
    {"DequantizeLinear", "1"},
    {"DynamicQuantizeLSTM", "1", contrib_dynamic_quantize_lstm, "LSTM"},
    {"DynamicQuantizeMatMul", "1", contrib_dynamic_quantize_matmul, "MatMulInteger"},
    {"EmbedLayerNormalization", "1", contrib_embed_layer_norm, "LayerNormalization"},
    {"ExpandDims", "1", contrib_expand_dims, "Unsqueeze"},
    {"FastGelu", "1"},
    {"FusedConv", "1", contrib_fused_conv, "Conv"},
    {"FusedGemm", "1", contrib_fused_gemm, "Gemm"},
    {"FusedMatMul", "1"},
    {"Gelu", "1"},
    {"GridSample", "1", upgrade_grid_sample},
    {"GroupNorm", "1", contrib_group_norm, "GroupNormalization"},
    {"GroupQueryAttention", "1", contrib_group_query_attention, "Attention"},
    {"MatMulIntegerToFloat", "1", contrib_matmul_integer_to_float, "MatMulInteger"},
    {"MatMulNBits", "1"},
    {"MultiHeadAttention", "1", contrib_multi_head_attention, "Attention"},
    {"NhwcConv", "1", contrib_nhwc, "Conv"},
    {"NhwcMaxPool", "1", contrib_nhwc, "MaxPool"},
    {"Pad", "1", contrib_pad},
    {"QGemm", "1", contrib_qgemm, "Gemm"},
    {"QLinearAdd", "1", contrib_qlinear_binary, "Add"},
    {"QLinearAveragePool", "1", contrib_qlinear_unary, "AveragePool"},
    {"QLinearConcat", "1", contrib_qlinear_concat, "Concat"},
    {"QLinearGlobalAveragePool", "1", contrib_qlinear_unary, "GlobalAveragePool"},
    {"QLinearLeakyRelu", "1", contrib_qlinear_unary, "LeakyRelu"},
    {"QLinearMul", "1", contrib_qlinear_binary, "Mul"},
    {"QLinearReduceMean", "1", contrib_qlinear_unary, "ReduceMean"},
    {"QLinearSigmoid", "1", contrib_qlinear_unary, "Sigmoid"},
    {"QLinearSoftmax", "1", contrib_qlinear_unary, "Softmax"},
    {"QLinearWhere", "1", contrib_qlinear_where, "Where"},
    {"QuantizeLinear", "1"},
    {"QuickGelu", "1"},
    {"Range", "1"},
    {"RotaryEmbedding", "1", contrib_rotary_embedding},
    {"SkipLayerNormalization", "1"},
    {"SkipSimplifiedLayerNormalization", "1"},
    {"Trilu", "1"},
};

constexpr OpRow kTraining[] = {
    {"Adagrad", "1"},
    {"Adam", "1"},
    {"Gradient", "1", nullptr, "Identity"},  // gradient.cc
    {"Momentum", "1"},
};
// clang-format on

struct Domain {
  std::string_view name;
  std::string_view text;
  std::span<const OpRow> rows;
};

constexpr Domain kDomains[] = {{"", "ai.onnx", kAiOnnx},
                               {kTrainingDomain, kTrainingDomain, kTraining},
                               {"com.microsoft", "com.microsoft", kMicrosoft}};

int last_version(const OpRow& row) {
  const size_t space = row.since.rfind(' ');
  const std::string_view text =
      space == std::string_view::npos ? row.since : row.since.substr(space + 1);
  int version = 0;
  std::from_chars(text.data(), text.data() + text.size(), version);
  return version;
}

}  // namespace

const OpRow* find_row(std::string_view domain, std::string_view name) {
  for (const Domain& d : kDomains) {
    if (d.name != domain) continue;
    const auto row =
        std::lower_bound(d.rows.begin(), d.rows.end(), name,
                         [](const OpRow& r, std::string_view n) { return r.name < n; });
    return row != d.rows.end() && row->name == name ? &*row : nullptr;
  }
  return nullptr;
}

int first_version(const OpRow& row) {
  int version = 0;
  std::from_chars(row.since.data(), row.since.data() + row.since.size(), version);
  return version;
}

bool is_supported(const OpRow& row) {
  return row.name == "Constant" || find_op(row.target.empty() ? row.name : row.target) != nullptr;
}

Status not_supported(const OpRow* row) {
  return unsupported(row != nullptr ? "the operator is not supported"
                                    : "the operator is not known");
}

std::vector<std::string> supported_operators() {
  std::vector<std::string> out;
  for (const Domain& d : kDomains) {
    for (const OpRow& row : d.rows) {
      if (!is_supported(row)) continue;
      const int first = first_version(row), last = last_version(row);
      out.push_back(std::string(d.text) + "::" + std::string(row.name) + " " +
                    std::to_string(first) +
                    (last == first ? std::string() : "-" + std::to_string(last)));
    }
  }
  return out;
}

}  // namespace mnn::onnx
