// What LSTM, GRU and RNN share: attributes, shapes and activation functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libruntime/core/op.h"

namespace mnn {

// One gate's activation with its parameters.
struct GateActivation {
  enum class Kind {
    kRelu,
    kTanh,
    kSigmoid,
    kAffine,
    kLeakyRelu,
    kThresholdedRelu,
    kScaledTanh,
    kHardSigmoid,
    kElu,
    kSoftsign,
    kSoftplus
  };
  Kind kind = Kind::kTanh;
  double alpha = 0, beta = 0;

  double operator()(double x) const;
};

// How many quantities of hidden_size rows the weights of an operator hold, and its activations.
struct RecurrentFamily {
  int64_t gates;
  std::vector<std::string> activations;
};
RecurrentFamily recurrent_family(std::string_view op);

// The node's inputs, in order.
enum RecurrentInput : size_t { kX, kW, kR, kB, kLengths, kInitialH, kInitialC, kPeepholes };

struct RecurrentAttributes {
  size_t directions = 1;
  bool first_is_reverse = false;
  bool batch_first = false;                 // layout 1
  double clip = 0;                          // 0: none
  std::vector<GateActivation> activations;  // per direction as many as the operator has
};

// `defaults`: the activations of one direction.
Result<RecurrentAttributes> read_recurrent(const AttributeReader& c,
                                           const std::vector<std::string>& defaults);

}  // namespace mnn
