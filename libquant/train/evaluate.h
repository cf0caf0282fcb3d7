// Judges a model in training on samples that were held back.
#pragma once

#include <memory>

#include "libquant/train/trainer.h"
#include "libruntime/core/op.h"
#include "libruntime/session.h"

namespace mnn {

struct Judgement {
  double loss = 0, score = 0;  // as in EpochReport
  std::vector<int64_t> confusion;
  int64_t classes = 0;
};

class Evaluator {
 public:
  // `model` has its parameters as states (with_parameters); `output` is what is judged.
  static Result<Evaluator> create(Graph model, size_t output, LossKind loss,
                                  std::shared_ptr<Engine> engine);
  // By the parameters' content in `trained`.
  Result<Judgement> judge(const TrainData& data, const Session& trained,
                          std::span<const Parameter> parameters);
  // The first layer, in node order, that makes a number of `input` that is not finite, by the
  // parameters' content in `trained`; empty when none does.
  Result<std::string> first_not_finite(const Tensor& input, const Session& trained,
                                       std::span<const Parameter> parameters);

 private:
  Evaluator(Graph graph, std::unique_ptr<Session> session, LossKind loss);

  Graph graph_;
  std::unique_ptr<Session> session_;
  LossKind loss_;
};

}  // namespace mnn
