// One trip of a Loop read as a step of an LSTM, a GRU or an RNN.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libconvert/passes/loop_body.h"

namespace mnn {

struct RecurrentCell {
  std::string op;                        // LSTM, GRU or RNN
  size_t hidden = 0;                     // which carried value is the state
  std::optional<size_t> cell;            // of an LSTM: the cell's
  ValueId sequence = kNoValue;           // around the loop: [steps, batch, features]
  Tensor weights, recurrent;             // W[1,gates*hidden,features], R[1,gates*hidden,hidden]
  Tensor bias;                           // B[1,2*gates*hidden]; undefined: none
  bool linear_before_reset = false;      // of a GRU
  std::vector<std::string> activations;  // as the operator has them
  std::vector<double> alphas, betas;     // of those that have parameters
};

// The step that the body computes, in weights that are constants of f32.
std::optional<RecurrentCell> find_cell(const LoopBody& loop);

}  // namespace mnn
