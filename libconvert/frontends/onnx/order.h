// The order of the nodes of one GraphProto or FunctionProto, by the names they read and make.
#pragma once

#include <set>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "libruntime/core/status.h"
#include "onnx_model.pb.h"

namespace mnn::onnx {

using Nodes = google::protobuf::RepeatedPtrField<NodeProto>;

struct NodeOrder {
  std::vector<int> sequence;                  // each node after the makers of what it reads
  std::vector<char> live;                     // per node: an output depends on it
  std::unordered_set<std::string_view> read;  // names that a node, a sub-graph or an output reads
};

// Stable: sorted nodes stay as they are. An error names the nodes of a cycle. Linear time.
Result<NodeOrder> order_nodes(const Nodes& nodes, const std::vector<std::string_view>& outputs);

// "domain::Op", or "Op" for the default domain.
std::string op_text(const NodeProto& node);
// The domain with "ai.onnx" written as "".
std::string_view domain_of(std::string_view domain);
// The node's own name, else one after its first output.
std::string plain_name(const NodeProto& node);

}  // namespace mnn::onnx
