// Every ONNX operator the front end knows: one row each.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "libconvert/frontends/onnx/upgrade.h"

namespace mnn::onnx {

inline constexpr int64_t kNewestOpset = 28;
inline constexpr int64_t kNewestIrVersion = 13;

struct OpRow {
  std::string_view name;
  std::string_view since;        // the versions that changed it: "1 6 13"
  UpgradeFn upgrade = nullptr;   // null: the meaning is the newest already
  std::string_view target = {};  // the IR's operator when it is called otherwise
};

// The row of an operator of a domain ("" is ai.onnx), null when there is none.
const OpRow* find_row(std::string_view domain, std::string_view name);
int first_version(const OpRow& row);
// Whether the IR has what the row needs.
bool is_supported(const OpRow& row);
// What to say of an operator with an unsupported row, or none.
Status not_supported(const OpRow* row);
// "ai.onnx::Conv 1-22", by domain and name, supported ones only.
std::vector<std::string> supported_operators();

// The rows' functions, by theme: upgrade_legacy.cc, upgrade_shape.cc, upgrade_nn.cc, contrib_*.cc.
#define MNN_UPGRADE(function) void function(NodeUpgrade& u);
#include "libconvert/frontends/onnx/upgrade_list.inc"
#undef MNN_UPGRADE

}  // namespace mnn::onnx
