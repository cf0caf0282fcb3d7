// The workflow of `mnn reproduce`: makes a quantized file again from the recipe in its metadata and
// compares the bytes.
#pragma once

#include <string>
#include <vector>

#include "apps/flows/quant_flow.h"

namespace mnn::flows {

struct ReproduceFlow {
  std::string file;                         // the quantized .mnn
  std::string model, calibration, holdout;  // what it was made from
  std::string import_scheme;                // where its decisions were given
  std::vector<std::string> stats;
  std::string output;  // the file made again; empty: it is not kept
  EvalCommand eval;    // of a recipe with one: files name no programs
  int threads = 1;
};

struct ReproduceOutcome {
  bool same = false;
  int64_t bytes = 0, made_bytes = 0;
  std::string made_by;                   // the version that made the file
  std::string path;                      // where the file made again is, "" where it was not kept
  std::vector<std::string> differences;  // in words, the first few
  std::vector<std::string> notes;
  Status verdict;  // kThreshold when the bytes differ
};
// kUsage where the file says that it was made from another model or other samples, kUnsupported
// where it does not say how it was made.
Result<ReproduceOutcome> run_reproduce_flow(const ReproduceFlow& flow, const Events& events);

}  // namespace mnn::flows
