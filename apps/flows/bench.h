// The workflow of `mnn bench`: models opened, timed in turn, held against a baseline, told about.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/flows/model_io.h"
#include "apps/flows/timing.h"
#include "libruntime/session.h"

namespace mnn::flows {

struct BenchSettings {
  ShapeMap shapes;
  int threads = 1;  // 0: all this process may use
  std::string isa, backend;
  BenchPlan plan;
};

struct BenchModel {
  std::string path;
  std::unique_ptr<Session> session;
  double load_ms = 0;      // from opening the file to a prepared session
  int64_t peak_bytes = 0;  // of the process with this model alone, as far as can be told
  Timed timed;
};

// Opens every model with inputs of seed 1 (an unbound first dim is 1, any other unbound one a usage
// error), warms up and times them in turn.
Result<std::vector<BenchModel>> measure(const std::vector<std::string>& paths,
                                        const BenchSettings& settings);
// Runs each once more with its steps timed; fills what profile() of its session tells.
Status profile(const std::vector<BenchModel>& models);

// An earlier --json result and what it says of the model measured now.
struct Baseline {
  double before_ms = 0, limit_ms = 0;
  Interval now;
  bool regressed = false;               // the whole interval lies beyond the limit
  std::vector<std::string> mismatches;  // "threads: 1 then, 2 now"
  std::string line() const;
};
// "5%" or "5": how much slower is allowed.
Result<double> parse_percent(const std::string& text);
Result<Baseline> hold_against(const std::string& baseline_file, double max_regression_percent,
                              const BenchModel& model, const BenchSettings& settings);

// An object for one model, an array for several; the first key is median_ms. `layers`: with the
// rows of profile().
std::string bench_json(const std::vector<BenchModel>& models, const BenchSettings& settings,
                       bool layers, const Baseline* baseline);
std::string bench_table(const std::vector<BenchModel>& models);
// The slowest steps of one model.
std::string layer_table(const BenchModel& model, size_t max_rows);
// A Chrome trace of the profiled runs with the rows of every layer.
std::string trace_json(const std::vector<BenchModel>& models);

}  // namespace mnn::flows
