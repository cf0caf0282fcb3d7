// If, Loop, Scan: rows and inference. core/control_flow.cc runs them.
#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// The type of a sub-graph's `i`-th output.
const Type& branch_type(const Graph& g, size_t i) { return g.value(g.outputs[i]).type; }

// ---- If ----

Status infer_if(OpContext& c) {
  if (c.in[0].defined() && c.in[0].dtype != DType::kBool) {
    return invalid("the condition must be bool, found " + c.in[0].str());
  }
  for (const Graph& g : c.node.subgraphs) {
    if (g.outputs.size() != c.out.size()) {
      return invalid("expected branches with " + std::to_string(c.out.size()) + " outputs, found " +
                     std::to_string(g.outputs.size()));
    }
    if (!g.inputs.empty()) return invalid("a branch has inputs, expected none");
  }
  for (size_t i = 0; i < c.out.size(); ++i) {
    const Type& a = branch_type(c.node.subgraphs[0], i);
    const Type& b = branch_type(c.node.subgraphs[1], i);
    if (a.defined() && b.defined() && (a.dtype != b.dtype || a.kind != b.kind)) {
      return invalid("the branches disagree on output " + std::to_string(i) + ": " + a.str() +
                     " and " + b.str());
    }
    Type merged = a.defined() ? a : b;
    if (!a.defined() || !b.defined() || !a.shape || !b.shape ||
        a.shape->size() != b.shape->size()) {
      merged.shape.reset();
    } else {
      for (size_t d = 0; d < a.shape->size(); ++d) {
        if (!(*a.shape)[d].same((*b.shape)[d])) (*merged.shape)[d] = Dim::unknown();
      }
    }
    c.out[i].type = std::move(merged);
  }
  return {};
}

}  // namespace

std::vector<OpDef> define_control() {
  return {
      {"If", 1, 1, {}, infer_if, nullptr, nullptr, 1, kVariadic, 2},
  };
}

}  // namespace mnn
