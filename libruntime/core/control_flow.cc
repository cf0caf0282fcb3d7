#include "libruntime/core/control_flow.h"

namespace mnn {
namespace {

Result<std::vector<Tensor>> run_if(const Node& node, std::span<const Tensor* const> inputs,
                                   std::span<const Tensor> captures, const RunSubgraph& run) {
  const Tensor& condition = *inputs[0];
  if (condition.dtype() != DType::kBool || condition.elements() != 1) {
    return invalid("the condition must be one bool, found " + condition.type_str());
  }
  return run(node.subgraphs[condition.data<bool>()[0] ? 0 : 1], captures);
}

}  // namespace

Result<std::vector<Tensor>> run_control_flow(const Node& node, std::span<const Tensor* const> inputs,
                                             std::span<const Tensor> captures,
                                             const RunSubgraph& run) {
  if (node.op == "If") return run_if(node, inputs, captures, run);
  return unsupported("operator " + node.op + " cannot be run");
}

}  // namespace mnn
