// The settings of the front end (Frontend::keys).
#pragma once

namespace mnn::tflite {

inline constexpr const char* kSignatureKey = "signature";
inline constexpr const char* kNodesKey = "max_nodes";
inline constexpr const char* kDepthKey = "max_depth";

}  // namespace mnn::tflite
