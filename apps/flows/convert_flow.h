// The workflow of `mnn convert`: a source model in; a .mnn, checks and reports out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/flows/check.h"
#include "apps/flows/events.h"
#include "apps/flows/model_io.h"
#include "apps/flows/placement.h"
#include "libruntime/core/half.h"

namespace mnn::flows {

struct ConvertFlow {
  std::string model, output;
  ShapeMap shapes;
  std::map<std::string, std::string> import_keys;           // of the front end
  std::vector<std::pair<std::string, std::string>> states;  // input -> the output it becomes
  std::string target = "cpu";
  std::string expect;                // folder with inputs and outputs to check against; empty: none
  std::string dump_passes;           // folder for the graph after each pass; empty: none
  std::string netron;                // file for the graph as ONNX JSON; empty: none
  std::vector<std::string> reports;  // .json, .html, .md
  bool fuse = true, fp16 = false;
  int threads = 1;
};

struct HalfOutcome {
  HalfReport report;
  // At the outputs, on random inputs of seed 1; absent where shapes are open.
  std::vector<std::pair<std::string, ErrorMetrics>> outputs;
};

struct ConvertOutcome {
  Placement placement;
  LoadedModel loaded;
  std::string path;   // what was written: the output, or OUT.rejected
  std::string stale;  // an output of an earlier run that stays beside OUT.rejected
  int64_t bytes = 0;
  std::vector<OutputCheck> checks;
  std::optional<HalfOutcome> half;
  Status verdict;  // kThreshold when --expect missed
};
Result<ConvertOutcome> run_convert_flow(const ConvertFlow& flow, const Events& events);

// "52 constants as f16, 2.4 MB less, error SNR 73.1 dB; …"
std::string half_text(const HalfOutcome& half);

}  // namespace mnn::flows
