// One step of training as one graph: forward, backward and update, compiled and planned as a whole.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "libquant/train/optimizer.h"

namespace mnn {

enum class LossKind : uint8_t {
  kCrossEntropy,  // of scores [n, classes, …] and labels [n, …], the mean
  kMeanSquare,    // of the output and targets of its shape, the mean
};

struct Parameter {
  std::string name;   // of its state
  std::string layer;  // the first source layer that reads it
};

struct StepOptions {
  LossKind loss = LossKind::kCrossEntropy;
  OptimizerOptions optimizer;
  double clip_norm = 0;  // most the norm of all gradients together may be; 0: any
};

// Inputs: those of the model, then the target (i64 labels, or floats), then the three scalars of
// StepRates. Outputs: the loss; the squared norm of each parameter's gradient, f32[parameters].
// When the loss or a norm is not finite no parameter changes, but for what momentum carries on.
struct Step {
  Graph graph;
  std::vector<Parameter> parameters;
  std::vector<std::string> moments;  // names of the optimizer's states
};

// Constants `ids` of the model become states that are trained. The model's shapes are static, its
// output `output` is what the loss reads. Unsupported where an operator has no derivative.
Result<Step> make_step(const Graph& model, size_t output, std::span<const ValueId> ids,
                       const StepOptions& options);

// The model with those constants as states, under the names that make_step gives them.
Result<Graph> with_parameters(const Graph& model, std::span<const ValueId> ids,
                              std::vector<Parameter>& parameters);

// Float weights that training may change, in the order of the layers that read them: constants of
// more than one element, f32 and not quantized, that a layer, a normalization or an Add reads as
// data.
std::vector<ValueId> trainable(const Graph& graph);

}  // namespace mnn
