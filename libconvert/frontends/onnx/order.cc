#include "libconvert/frontends/onnx/order.h"

#include <unordered_set>

namespace mnn::onnx {
namespace {

using Names = std::unordered_set<std::string_view>;

void collect_free(const GraphProto& graph, Names& out);

// Calls `f` for every sub-graph among the node's attributes.
template <typename F>
void for_each_subgraph(const NodeProto& node, F&& f) {
  for (const AttributeProto& a : node.attribute()) {
    if (a.has_g()) f(a.g());
    for (const GraphProto& g : a.graphs()) f(g);
  }
}

void collect_reads(const NodeProto& node, Names& out) {
  for (const std::string& name : node.input()) {
    if (!name.empty()) out.insert(name);
  }
  for_each_subgraph(node, [&](const GraphProto& g) { collect_free(g, out); });
  if (node.op_type() != "Gradient" || node.domain() != kTrainingDomain) return;
  // It speaks of values by their names.
  for (const AttributeProto& a : node.attribute()) {
    if (a.name() == "y") out.insert(a.s());
    for (const std::string& name : a.strings()) out.insert(name);
  }
}

// Names a sub-graph reads and does not make.
void collect_free(const GraphProto& graph, Names& out) {
  Names reads, made;
  for (const NodeProto& node : graph.node()) {
    collect_reads(node, reads);
    made.insert(node.output().begin(), node.output().end());
  }
  for (const ValueInfoProto& v : graph.output()) reads.insert(v.name());
  for (const ValueInfoProto& v : graph.input()) made.insert(v.name());
  for (const TensorProto& t : graph.initializer()) made.insert(t.name());
  for (const SparseTensorProto& t : graph.sparse_initializer()) made.insert(t.values().name());
  for (const std::string_view name : reads) {
    if (!made.contains(name)) out.insert(name);
  }
}

}  // namespace

std::vector<frontend::NodeNames> names_of(const Nodes& nodes) {
  std::vector<frontend::NodeNames> all;
  all.reserve(static_cast<size_t>(nodes.size()));
  for (const NodeProto& node : nodes) {
    Names reads;
    collect_reads(node, reads);
    all.push_back({{reads.begin(), reads.end()}, {node.output().begin(), node.output().end()}});
  }
  return all;
}

std::string_view domain_of(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view() : domain;
}

std::string op_text(const NodeProto& node) {
  const std::string_view domain = domain_of(node.domain());
  return domain.empty() ? node.op_type() : std::string(domain) + "::" + node.op_type();
}

std::string plain_name(const NodeProto& node) {
  if (!node.name().empty()) return node.name();
  for (const std::string& output : node.output()) {
    if (!output.empty()) return node.op_type() + "_" + output;
  }
  return node.op_type();
}

}  // namespace mnn::onnx
