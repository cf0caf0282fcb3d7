#include "libconvert/frontends/tflite/op_map.h"

#include <algorithm>

#include "libconvert/frontends/common/rows.h"

namespace mnn::tflite {
namespace {

// By number, without gaps.
// clang-format off
constexpr OpRow kBuiltins[] = {
    {0, "ADD", convert_add},
    {1, "AVERAGE_POOL_2D", convert_average_pool},
    {2, "CONCATENATION", convert_concat},
    {3, "CONV_2D", convert_conv},
    {4, "DEPTHWISE_CONV_2D", convert_depthwise_conv},
    {5, "DEPTH_TO_SPACE", convert_depth_to_space},
    {6, "DEQUANTIZE", convert_dequantize},
    {7, "EMBEDDING_LOOKUP", convert_embedding_lookup},
    {8, "FLOOR", nullptr, "Floor", 1},
    {9, "FULLY_CONNECTED", convert_fully_connected},
    {10, "HASHTABLE_LOOKUP"},
    {11, "L2_NORMALIZATION", convert_l2_normalization},
    {12, "L2_POOL_2D", convert_l2_pool},
    {13, "LOCAL_RESPONSE_NORMALIZATION", convert_lrn},
    {14, "LOGISTIC", nullptr, "Sigmoid", 1},
    {15, "LSH_PROJECTION"},
    {16, "LSTM", convert_lstm},
    {17, "MAX_POOL_2D", convert_max_pool},
    {18, "MUL", convert_add},
    {19, "RELU", nullptr, "Relu", 1},
    {20, "RELU_N1_TO_1", convert_relu_n1_to_1},
    {21, "RELU6", convert_relu_6},
    {22, "RESHAPE", convert_reshape},
    {23, "RESIZE_BILINEAR", convert_resize_bilinear},
    {24, "RNN", convert_rnn},
    {25, "SOFTMAX", convert_softmax},
    {26, "SPACE_TO_DEPTH", convert_space_to_depth},
    {27, "SVDF", convert_svdf},
    {28, "TANH", nullptr, "Tanh", 1},
    {29, "CONCAT_EMBEDDINGS"},
    {30, "SKIP_GRAM"},
    {31, "CALL"},
    {32, "CUSTOM"},
    {33, "EMBEDDING_LOOKUP_SPARSE"},
    {34, "PAD", convert_pad},
    {35, "UNIDIRECTIONAL_SEQUENCE_RNN", convert_rnn},
    {36, "GATHER", convert_gather},
    {37, "BATCH_TO_SPACE_ND", convert_batch_to_space},
    {38, "SPACE_TO_BATCH_ND", convert_space_to_batch},
    {39, "TRANSPOSE", convert_transpose},
    {40, "MEAN", convert_reduce},
    {41, "SUB", convert_add},
    {42, "DIV", convert_add},
    {43, "SQUEEZE", convert_squeeze},
    {44, "UNIDIRECTIONAL_SEQUENCE_LSTM", convert_lstm},
    {45, "STRIDED_SLICE", convert_strided_slice},
    {46, "BIDIRECTIONAL_SEQUENCE_RNN", convert_rnn},
    {47, "EXP", nullptr, "Exp", 1},
    {48, "TOPK_V2", convert_topk},
    {49, "SPLIT", convert_split},
    {50, "LOG_SOFTMAX", convert_log_softmax},
    {51, "DELEGATE"},
    {52, "BIDIRECTIONAL_SEQUENCE_LSTM", convert_lstm},
    {53, "CAST", convert_cast},
    {54, "PRELU", nullptr, "PRelu", 2},
    {55, "MAXIMUM", nullptr, "Max", 2},
    {56, "ARG_MAX", convert_arg},
    {57, "MINIMUM", nullptr, "Min", 2},
    {58, "LESS", nullptr, "Less", 2},
    {59, "NEG", nullptr, "Neg", 1},
    {60, "PADV2", convert_pad},
    {61, "GREATER", nullptr, "Greater", 2},
    {62, "GREATER_EQUAL", nullptr, "GreaterOrEqual", 2},
    {63, "LESS_EQUAL", nullptr, "LessOrEqual", 2},
    {64, "SELECT", convert_select},
    {65, "SLICE", frontend::convert_with<frontend::slice, 3>},
    {66, "SIN", nullptr, "Sin", 1},
    {67, "TRANSPOSE_CONV", convert_transpose_conv},
    {68, "SPARSE_TO_DENSE", convert_sparse_to_dense},
    {69, "TILE", convert_tile},
    {70, "EXPAND_DIMS", convert_expand_dims},
    {71, "EQUAL", nullptr, "Equal", 2},
    {72, "NOT_EQUAL", frontend::convert_with<frontend::not_equal, 2>},
    {73, "LOG", nullptr, "Log", 1},
    {74, "SUM", convert_reduce},
    {75, "SQRT", nullptr, "Sqrt", 1},
    {76, "RSQRT", frontend::convert_with<frontend::rsqrt, 1>},
    {77, "SHAPE", convert_shape},
    {78, "POW", nullptr, "Pow", 2},
    {79, "ARG_MIN", convert_arg},
    {80, "FAKE_QUANT", convert_fake_quant},
    {81, "REDUCE_PROD", convert_reduce},
    {82, "REDUCE_MAX", convert_reduce},
    {83, "PACK", convert_pack},
    {84, "LOGICAL_OR", nullptr, "Or", 2},
    {85, "ONE_HOT", convert_one_hot},
    {86, "LOGICAL_AND", nullptr, "And", 2},
    {87, "LOGICAL_NOT", nullptr, "Not", 1},
    {88, "UNPACK", convert_unpack},
    {89, "REDUCE_MIN", convert_reduce},
    {90, "FLOOR_DIV", frontend::convert_with<frontend::floor_div, 2>},
    {91, "REDUCE_ANY", convert_reduce_bool},
    {92, "SQUARE", frontend::convert_with<frontend::square, 1>},
    {93, "ZEROS_LIKE", convert_zeros_like},
    {94, "FILL", convert_fill},
    {95, "FLOOR_MOD", frontend::convert_with<frontend::floor_mod, 2>},
    {96, "RANGE", convert_range},
    {97, "RESIZE_NEAREST_NEIGHBOR", convert_resize_nearest},
    {98, "LEAKY_RELU", convert_leaky_relu},
    {99, "SQUARED_DIFFERENCE", frontend::convert_with<frontend::squared_difference, 2>},
    {100, "MIRROR_PAD", convert_mirror_pad},
    {101, "ABS", nullptr, "Abs", 1},
    {102, "SPLIT_V", convert_split_v},
    {103, "UNIQUE", convert_unique},
    {104, "CEIL", nullptr, "Ceil", 1},
    {105, "REVERSE_V2", convert_reverse},
    {106, "ADD_N", convert_add_n},
    {107, "GATHER_ND", convert_gather_nd},
    {108, "COS", nullptr, "Cos", 1},
    {109, "WHERE", convert_where},
    {110, "RANK", convert_rank},
    {111, "ELU", nullptr, "Elu", 1},
    {112, "REVERSE_SEQUENCE", convert_reverse_sequence},
    {113, "MATRIX_DIAG", convert_matrix_diag},
    {114, "QUANTIZE", convert_quantize},
    {115, "MATRIX_SET_DIAG", convert_matrix_diag},
    {116, "ROUND", nullptr, "Round", 1},
    {117, "HARD_SWISH", convert_hard_swish},
    {118, "IF"},
    {119, "WHILE"},
    {120, "NON_MAX_SUPPRESSION_V4", convert_nms},
    {121, "NON_MAX_SUPPRESSION_V5", convert_nms},
    {122, "SCATTER_ND", convert_scatter_nd},
    {123, "SELECT_V2", convert_select},
    {124, "DENSIFY", convert_densify},
    {125, "SEGMENT_SUM", convert_segment},
    {126, "BATCH_MATMUL", convert_batch_matmul},
    {127, "PLACEHOLDER_FOR_GREATER_OP_CODES"},
    {128, "CUMSUM", convert_cumsum},
    {129, "CALL_ONCE"},
    {130, "BROADCAST_TO", convert_broadcast_to},
    {131, "RFFT2D", convert_rfft2d},
    {132, "CONV_3D", convert_conv_3d},
    {133, "IMAG", convert_complex_part},
    {134, "REAL", convert_complex_part},
    {135, "COMPLEX_ABS", convert_complex_abs},
    {136, "HASHTABLE"},
    {137, "HASHTABLE_FIND"},
    {138, "HASHTABLE_IMPORT"},
    {139, "HASHTABLE_SIZE"},
    {140, "REDUCE_ALL", convert_reduce_bool},
    {141, "CONV_3D_TRANSPOSE", convert_conv_3d},
    {142, "VAR_HANDLE"},
    {143, "READ_VARIABLE"},
    {144, "ASSIGN_VARIABLE"},
    {145, "BROADCAST_ARGS", convert_broadcast_args},
    {146, "RANDOM_STANDARD_NORMAL"},
    {147, "BUCKETIZE", convert_bucketize},
    {148, "RANDOM_UNIFORM"},
    {149, "MULTINOMIAL"},
    {150, "GELU", convert_gelu},
    {151, "DYNAMIC_UPDATE_SLICE", convert_dynamic_update_slice},
    {152, "RELU_0_TO_1", convert_relu_0_to_1},
    {153, "UNSORTED_SEGMENT_PROD", convert_segment},
    {154, "UNSORTED_SEGMENT_MAX", convert_segment},
    {155, "UNSORTED_SEGMENT_SUM", convert_segment},
    {156, "ATAN2", frontend::convert_with<frontend::atan2, 2>},
    {157, "UNSORTED_SEGMENT_MIN", convert_segment},
    {158, "SIGN", nullptr, "Sign", 1},
    {159, "BITCAST", convert_bitcast},
    {160, "BITWISE_XOR", nullptr, "BitwiseXor", 2},
    {161, "RIGHT_SHIFT", frontend::convert_with<frontend::right_shift, 2>},
    {162, "STABLEHLO_LOGISTIC", nullptr, "Sigmoid", 1},
    {163, "STABLEHLO_ADD", nullptr, "Add", 2},
    {164, "STABLEHLO_DIVIDE", nullptr, "Div", 2},
    {165, "STABLEHLO_MULTIPLY", nullptr, "Mul", 2},
    {166, "STABLEHLO_MAXIMUM", nullptr, "Max", 2},
    {167, "STABLEHLO_RESHAPE"},
    {168, "STABLEHLO_CLAMP"},
    {169, "STABLEHLO_CONCATENATE"},
    {170, "STABLEHLO_BROADCAST_IN_DIM"},
    {171, "STABLEHLO_CONVOLUTION"},
    {172, "STABLEHLO_SLICE"},
    {173, "STABLEHLO_CUSTOM_CALL"},
    {174, "STABLEHLO_REDUCE"},
    {175, "STABLEHLO_ABS", nullptr, "Abs", 1},
    {176, "STABLEHLO_AND"},
    {177, "STABLEHLO_COSINE", nullptr, "Cos", 1},
    {178, "STABLEHLO_EXPONENTIAL", nullptr, "Exp", 1},
    {179, "STABLEHLO_FLOOR", nullptr, "Floor", 1},
    {180, "STABLEHLO_LOG", nullptr, "Log", 1},
    {181, "STABLEHLO_MINIMUM", nullptr, "Min", 2},
    {182, "STABLEHLO_NEGATE", nullptr, "Neg", 1},
    {183, "STABLEHLO_OR"},
    {184, "STABLEHLO_POWER", nullptr, "Pow", 2},
    {185, "STABLEHLO_REMAINDER"},
    {186, "STABLEHLO_RSQRT", frontend::convert_with<frontend::rsqrt, 1>},
    {187, "STABLEHLO_SELECT"},
    {188, "STABLEHLO_SUBTRACT", nullptr, "Sub", 2},
    {189, "STABLEHLO_TANH", nullptr, "Tanh", 1},
    {190, "STABLEHLO_SCATTER"},
    {191, "STABLEHLO_COMPARE"},
    {192, "STABLEHLO_CONVERT"},
    {193, "STABLEHLO_DYNAMIC_SLICE"},
    {194, "STABLEHLO_DYNAMIC_UPDATE_SLICE"},
    {195, "STABLEHLO_PAD"},
    {196, "STABLEHLO_IOTA"},
    {197, "STABLEHLO_DOT_GENERAL"},
    {198, "STABLEHLO_REDUCE_WINDOW"},
    {199, "STABLEHLO_SORT"},
    {200, "STABLEHLO_WHILE"},
    {201, "STABLEHLO_GATHER"},
    {202, "STABLEHLO_TRANSPOSE"},
    {203, "DILATE"},
    {204, "STABLEHLO_RNG_BIT_GENERATOR"},
    {205, "REDUCE_WINDOW"},
    {206, "STABLEHLO_COMPOSITE"},
    {207, "STABLEHLO_SHIFT_LEFT"},
    {208, "STABLEHLO_CBRT", convert_cbrt},
    {209, "STABLEHLO_CASE"},
};
constexpr OpRow kCustoms[] = {
    {kCustomCode, "Convolution2DTransposeBias", convert_transpose_conv_bias},
    {kCustomCode, "MaxPoolingWithArgmax2D", convert_argmax_pool},
    {kCustomCode, "MaxUnpooling2D", convert_max_unpool},
    {kCustomCode, "TFLite_Detection_PostProcess", convert_detection},
};
// clang-format on

constexpr int kStructural[] = {kIf, kWhile, kCallOnce, kVarHandle, kReadVariable, kAssignVariable};

constexpr bool in_order() {
  for (size_t i = 0; i < std::size(kBuiltins); ++i) {
    if (kBuiltins[i].code != static_cast<int>(i)) return false;
  }
  return true;
}
static_assert(in_order());

bool converts(const OpRow& row) { return row.convert != nullptr || !row.target.empty(); }

}  // namespace

std::string_view builtin_name(int code) {
  const auto at = static_cast<size_t>(code);
  return code < 0 || at >= std::size(kBuiltins) ? std::string_view() : kBuiltins[at].name;
}

const OpRow* find_builtin(int code) {
  if (builtin_name(code).empty()) return nullptr;
  const OpRow& row = kBuiltins[static_cast<size_t>(code)];
  return converts(row) ? &row : nullptr;
}

const OpRow* find_custom(std::string_view name) {
  const auto* row = std::ranges::find(kCustoms, name, &OpRow::name);
  return row == std::end(kCustoms) ? nullptr : row;
}

bool is_structural(int code) {
  return std::ranges::find(kStructural, code) != std::end(kStructural);
}

std::vector<std::string> supported_operators() {
  std::vector<std::string> names;
  for (const OpRow& row : kBuiltins) {
    if (converts(row) || is_structural(row.code)) names.emplace_back(row.name);
  }
  std::ranges::sort(names);
  for (const OpRow& row : kCustoms) names.push_back("custom " + std::string(row.name));
  return names;
}

}  // namespace mnn::tflite
