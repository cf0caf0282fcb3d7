// Scan before it lost its batch axis.
#include "libconvert/frontends/onnx/op_map.h"

namespace mnn::onnx {

// Version 8 ran one scan per entry of axis 0 of every input: a scan over that axis whose body is
// the scan of today.
void upgrade_scan(NodeUpgrade& u) {
  if (u.version >= 9) return;
  if (u.has(0)) return u.fail(unsupported("Scan 8 with sequence_lens"));
  if (u.inputs.empty() || u.subgraphs.size() != 1) return u.fail(invalid("expected one body"));
  u.inputs.erase(u.inputs.begin());

  Graph outer;
  outer.name = u.subgraphs[0].name;
  for (const ValueId v : u.inputs) {
    if (v == kNoValue) return u.fail(invalid("an input is missing"));
    Type type = u.type_of(v);
    if (!type.shape || type.shape->empty()) {
      return u.fail(unsupported("Scan 8 needs inputs of known rank with a batch axis"));
    }
    type.shape->erase(type.shape->begin());
    outer.add_input({}, std::move(type));
  }
  for (const ValueId v : u.captures) {
    Value value = u.graph.value(v);
    value.kind = ValueKind::kInput;
    outer.captures.push_back(outer.add_value(std::move(value)));
  }
  Node inner;
  inner.op = "Scan";
  inner.name = u.name;
  inner.origin = {u.name};
  inner.inputs = outer.inputs;
  inner.captures = outer.captures;
  inner.subgraphs = std::move(u.subgraphs);
  inner.attributes = u.attributes;
  const auto directions = inner.attributes.find("directions");
  if (directions != inner.attributes.end()) {
    inner.attributes["scan_input_directions"] = directions->second;
    inner.attributes.erase("directions");
  }
  for (size_t i = 0; i < u.wanted.size(); ++i) inner.outputs.push_back(outer.add_temporary());
  outer.outputs = inner.outputs;
  GraphDraft draft(outer);
  const Status added = append_node(draft, std::move(inner), u.budget);
  if (!added.ok()) return u.fail(added);
  u.subgraphs.clear();
  u.subgraphs.push_back(std::move(outer));
  u.attributes.clear();
  u.attributes["num_scan_inputs"] = static_cast<int64_t>(u.inputs.size());
}

}  // namespace mnn::onnx
