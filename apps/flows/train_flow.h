// The workflow of `mnn train`: a model and labelled samples in, a model for their classes out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "apps/flows/events.h"
#include "apps/flows/labelled.h"
#include "libquant/train/trainer.h"
#include "libruntime/core/bind_shapes.h"

namespace mnn::flows {

struct TrainFlow {
  std::string model, data, output;
  std::string validation;            // held-back samples of their own; empty: split off
  double split = 0.2;                // the share that is split off
  std::vector<std::string> classes;  // in order; empty: as the data has them
  bool keep_head = false;
  int64_t unfreeze = 0;  // layers before the head that are trained; negative: all
  // Above 0: adapters of this rank are trained in the place of the matrices before the head, and
  // written beside the output too.
  int64_t lora_rank = 0;
  int64_t batch = 32, patience = 0;
  int64_t epochs = 0;        // 0: 60 of a head alone, else 10
  double learning_rate = 0;  // 0: 0.01 of a head alone, else 0.001
  OptimizerOptions optimizer;
  double clip = 0;
  Augmentation augmentation;
  uint64_t seed = 1;
  std::string checkpoint;
  int64_t checkpoint_steps = 100;
  bool resume = false;
  ImageOptions images;
  ShapeMap shapes;
  std::map<std::string, std::string> import_keys;
  std::string export_onnx;
  int threads = 1;
};

struct TrainOutcome {
  TrainResult result;
  std::vector<std::string> classes;
  int64_t samples = 0, held_back = 0;
  std::vector<std::string> skipped;
  std::string head;                     // the layer that was replaced; empty: none was
  int64_t trained = 0, parameters = 0;  // numbers
  bool on_features = false;             // the trunk was computed once
  double learning_rate = 0, seconds = 0;
  int64_t bytes = 0;
  std::string labels_path, adapters_path;
  int64_t adapters = 0;  // layers that have one
};
Result<TrainOutcome> run_train_flow(const TrainFlow& flow, const Events& events);

std::string train_text(const TrainOutcome& outcome);
std::string train_json(const TrainFlow& flow, const TrainOutcome& outcome);  // an object

}  // namespace mnn::flows
