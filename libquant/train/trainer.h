// Training of a model on samples: epochs of steps, judged on samples held back after each.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "libquant/train/step.h"
#include "libruntime/core/tensor.h"

namespace mnn {

struct TrainData {
  int64_t count = 0;
  // Writes sample `index` as one entry of the model's input and of the target (see Step), each
  // without its first axis. `seed` is for what is random in it; the same numbers, the same bytes.
  // May be called from one thread at a time.
  std::function<Status(int64_t index, uint64_t seed, std::byte* input, std::byte* target)> read;
};

struct TrainOptions {
  StepOptions step;
  double learning_rate = 1e-3;
  double warmup = 0.05;  // the part of all steps in which the rate rises
  int64_t epochs = 10;
  uint64_t seed = 1;
  int64_t patience = 0;          // epochs without a better score after which it stops; 0: never
  std::string checkpoint;        // a path; empty: none
  int64_t checkpoint_steps = 0;  // between two checkpoints; 0: one an epoch
  bool resume = false;           // goes on from the checkpoint, where there is one
  int threads = 1;
};

struct EpochReport {
  int64_t epoch = 0;      // counted from 1
  double loss = 0;        // the mean over the steps of the epoch
  double held_loss = 0;   // of the samples held back
  double held_score = 0;  // share of them that is right; of kMeanSquare minus the loss
  bool best = false;      // so far
};

struct TrainEvents {
  // After each step: of `steps` in all, with that step's loss. May be empty.
  std::function<void(int64_t step, int64_t steps, double loss)> step;
  std::function<void(const EpochReport&)> epoch;
  std::function<void(const std::string&)> note;
  // The checkpoint was read, and will be replaced.
  std::function<void()> resumed;
};

struct TrainResult {
  std::vector<Tensor> weights;  // of the best epoch, in the order of the ids
  std::vector<EpochReport> epochs;
  int64_t best_epoch = 0;
  double best_score = 0, best_loss = 0;
  double first_score = 0;  // before the first step
  // Of the best epoch: [label, answer] -> samples, row by row; empty for kMeanSquare.
  std::vector<int64_t> confusion;
  int64_t classes = 0;
  bool stopped_early = false;
};

// Trains the constants `ids` of `model`, whose one input and output `output` have a static batch.
// A batch that is not filled at the end of an epoch is left out; epochs are shuffled by the seed.
// Deterministic for any number of threads. kInternal when the loss or a gradient is not finite, or
// the loss grows far beyond where it began: the message names the step, the layer and a way out.
Result<TrainResult> train(const Graph& model, size_t output, std::span<const ValueId> ids,
                          const TrainData& samples, const TrainData& held_back,
                          const TrainOptions& options, const TrainEvents& events);

}  // namespace mnn
