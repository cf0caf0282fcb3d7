// What a step of training makes of a parameter and its gradient, and how large the step is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libruntime/core/builder.h"

namespace mnn {

struct OptimizerOptions {
  // SGD with momentum; Adam (Kingma, Ba 2015); AdamW, whose decay does not pass through the moments
  // (Loshchilov, Hutter 2019).
  enum class Kind : uint8_t { kSgd, kAdam, kAdamW };
  Kind kind = Kind::kAdamW;
  double momentum = 0.9;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;  // of parameters with more than one axis
};

// The scalars a step is given: the learning rate of this step, and of Adam the corrections of the
// two moments, which start at zero.
struct StepRates {
  float learning_rate = 0, first = 1, second = 1;
};
// Of step `step`, counted from 0.
StepRates step_rates(const OptimizerOptions& options, double learning_rate, int64_t step);
// Where those are values of a graph.
struct RateValues {
  ValueId learning_rate, first, second;
};

// Appends what becomes of the f32 state `parameter` by its gradient: moments become states of its
// name behind `/momentum`, `/first` or `/second`, and all of them are updated by a run. Returns the
// names of the moments.
Result<std::vector<std::string>> add_update(Builder& b, ValueId parameter, ValueId gradient,
                                            const OptimizerOptions& options,
                                            const RateValues& rates);

// The learning rate rises linearly over the first `warmup` steps, then falls along half a cosine to
// `last` times itself at step `steps`.
struct Schedule {
  double learning_rate = 1e-3;
  int64_t warmup = 0, steps = 1;
  double last = 0;

  double at(int64_t step) const;
};

}  // namespace mnn
