// The names that nodes of an ONNX graph or function read and make, and what nodes are called.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libconvert/frontends/common/order.h"
#include "onnx_model.pb.h"

namespace mnn::onnx {

inline constexpr std::string_view kTrainingDomain = "ai.onnx.preview.training";

using Nodes = google::protobuf::RepeatedPtrField<NodeProto>;

std::vector<frontend::NodeNames> names_of(const Nodes& nodes);

// "domain::Op", or "Op" for the default domain.
std::string op_text(const NodeProto& node);
// The domain with "ai.onnx" written as "".
std::string_view domain_of(std::string_view domain);
// The node's own name, else one after its first output.
std::string plain_name(const NodeProto& node);

}  // namespace mnn::onnx
