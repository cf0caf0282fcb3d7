// LSTM, GRU and RNN, decoded from their nodes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "libruntime/core/ops/recurrent.h"
#include "libruntime/lower/element_op.h"
#include "libruntime/lower/node_view.h"

namespace mnn {

namespace recurrent {
enum Input : size_t { kX, kW, kR, kB, kLengths, kInitialH, kInitialC, kPeepholes };
}  // namespace recurrent

// The attributes, activations with the operator's defaults. An error says what is wrong.
Result<RecurrentAttributes> recurrent_attributes(const NodeView& n);

// The activation of a gate as an elementwise operator of its alpha and beta; nullopt when there is
// none.
std::optional<UnaryOp> gate_op(const GateActivation& a);

struct RecurrentGeometry {
  int64_t gates = 1, steps = 1, batch = 1, directions = 1, hidden = 1, features = 1;
  bool batch_first = false, first_is_reverse = false;
  bool reset_after = false;                        // GRU: linear_before_reset
  int64_t rows() const { return gates * hidden; }  // of W and R, per direction
  // The row of X at time t.
  int64_t row_of(int64_t t, int64_t b) const { return batch_first ? b * steps + t : t * batch + b; }
  // The line of a state in an input or output of the node.
  int64_t line_of(int64_t d, int64_t b) const {
    return batch_first ? b * directions + d : d * batch + b;
  }
};
// Of a node with static shapes.
RecurrentGeometry recurrent_geometry(const NodeView& n, const RecurrentAttributes& a);

}  // namespace mnn
