// What a row of the operator map sees of one ONNX node.
#pragma once

#include "libconvert/frontends/common/source_node.h"

namespace mnn::onnx {

using frontend::GraphDraft;
// A row rewrites it to the newest meaning.
using NodeUpgrade = frontend::SourceNode;
using UpgradeFn = void (*)(NodeUpgrade&);

}  // namespace mnn::onnx
