#include "libruntime/lower/recurrent.h"

namespace mnn {
namespace {

int64_t gates_of(std::string_view op) { return op == "LSTM" ? 4 : op == "GRU" ? 3 : 1; }

}  // namespace

Result<RecurrentAttributes> recurrent_attributes(const NodeView& n) {
  const int64_t gates = gates_of(n.node.op);
  if (gates == 4) return read_recurrent(n, {"Sigmoid", "Tanh", "Tanh"});
  if (gates == 3) return read_recurrent(n, {"Sigmoid", "Tanh"});
  return read_recurrent(n, {"Tanh"});
}

std::optional<UnaryOp> gate_op(const GateActivation& a) {
  switch (a.kind) {
    case GateActivation::Kind::kRelu: return UnaryOp::kRelu;
    case GateActivation::Kind::kTanh: return UnaryOp::kTanh;
    case GateActivation::Kind::kSigmoid: return UnaryOp::kSigmoid;
    case GateActivation::Kind::kAffine: return UnaryOp::kAffine;
    case GateActivation::Kind::kLeakyRelu: return UnaryOp::kLeakyRelu;
    case GateActivation::Kind::kThresholdedRelu: return UnaryOp::kThresholdedRelu;
    case GateActivation::Kind::kScaledTanh: return std::nullopt;
    case GateActivation::Kind::kHardSigmoid: return UnaryOp::kHardSigmoid;
    case GateActivation::Kind::kElu: return UnaryOp::kElu;
    case GateActivation::Kind::kSoftsign: return UnaryOp::kSoftsign;
    case GateActivation::Kind::kSoftplus: return UnaryOp::kSoftplus;
  }
  return std::nullopt;
}

RecurrentGeometry recurrent_geometry(const NodeView& n, const RecurrentAttributes& a) {
  const Dims x = n.in_dims(recurrent::kX), r = n.in_dims(recurrent::kR);
  RecurrentGeometry g;
  g.gates = gates_of(n.node.op);
  g.batch_first = a.batch_first;
  g.steps = x[a.batch_first ? 1 : 0];
  g.batch = x[a.batch_first ? 0 : 1];
  g.directions = static_cast<int64_t>(a.directions);
  g.hidden = r[2];
  g.features = x[2];
  g.first_is_reverse = a.first_is_reverse;
  g.reset_after = g.gates == 3 && n.attr_int("linear_before_reset") != 0;
  return g;
}

}  // namespace mnn
