// The workflow of `mnn bench`: models opened, timed in turn, held against a baseline, told about.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/flows/model_io.h"
#include "apps/flows/project.h"
#include "apps/flows/timing.h"
#include "libruntime/session.h"

namespace mnn::flows {

struct BenchSettings {
  ShapeMap shapes;
  std::map<std::string, std::string> import_keys;  // each for the models whose front end has it
  int threads = 1;                                 // 0: all this process may use
  std::string isa;
  std::vector<std::string> backends = {"cpu"};  // a row for each
  bool fallback = true;
  bool cold = false;  // devices are also started with an empty cache of kernels, and once more
  BenchPlan plan;
};

int used_threads(const BenchSettings& settings);
std::string used_isa(const BenchSettings& settings);

// A session's way to its first outputs on a device.
struct BenchStart {
  double prepare_ms = 0;                 // planning, kernels and constants
  double compile_ms = 0, upload_ms = 0;  // of it: kernels made or read from the cache; constants
  int64_t kernels_compiled = 0, kernels_cached = 0;
  double first_run_ms = 0;
};

// Of one run that is timed step by step, on a device.
struct BenchParts {
  double up_ms = 0, down_ms = 0;  // copies
  double device_ms = 0;           // kernels, by the device's clock
};

struct BenchModel {
  std::string path, backend, device;
  std::string label;  // the path, and the backend where there are several
  std::unique_ptr<Session> session;
  double load_ms = 0;  // from opening the file to a prepared session
  // Of backends on devices.
  std::optional<BenchStart> start, cold, warm;  // this one; with an empty cache, and once more
  std::optional<BenchParts> parts;
  double wait_ms = 0;  // of a run, until the device is done
  double first_run_ms = 0;
  // Of its outputs to those of the first row of this model: the largest max|y-r| / max|r|.
  double difference = 0;
  int64_t peak_bytes = 0;  // of the process with this model alone, as far as can be told
  Timed timed;
};

// A row that is not there: a backend cannot run a model.
struct BenchRefusal {
  std::string path, backend, label, why;
};

struct BenchRows {
  std::vector<BenchModel> models;  // at least one
  std::vector<BenchRefusal> refused;
};

// Opens every model on every backend with inputs of seed 1 (an unbound first dim is 1, any other
// unbound one a usage error), warms up and times them in turn. Among several backends one that
// cannot run a model is left out; an error where none of all can run any.
Result<BenchRows> measure(const std::vector<std::string>& paths, const BenchSettings& settings);
// Runs each once more with its steps timed; fills what profile() of its session tells.
Status profile(const std::vector<BenchModel>& models);

// What an earlier --json result says of one model measured now.
struct Baseline {
  double before_ms = 0, limit_ms = 0;
  Interval now;
  bool regressed = false;               // the whole interval lies beyond the limit
  std::vector<std::string> mismatches;  // "threads: 1 then, 2 now"
  std::string line() const;
};
// "5%" or "5": how much slower is allowed.
Result<double> parse_percent(const std::string& text);
// One per model, nullopt where the file has none of it: by its path, else by its file name. A file
// of one model is held against a single model of any name.
Result<std::vector<std::optional<Baseline>>> hold_against(const std::string& baseline_file,
                                                          double max_regression_percent,
                                                          const std::vector<BenchModel>& models,
                                                          const BenchSettings& settings);

// A limit and what was measured.
struct BenchCheck {
  std::string name;     // "max-ms", "baseline of q.mnn"
  std::string figures;  // "1.234 ms [1.2, 1.3], limit 2 ms"
  std::string missed;   // why it is missed; empty: it is not
  double seconds = 0;   // median of the model it is about
};
// The limits on the last model (max_ms and max_ratio are missed when the whole 95 % interval lies
// beyond them), then the baselines.
std::vector<BenchCheck> check_bench(const std::vector<BenchModel>& models,
                                    const Thresholds& thresholds,
                                    const std::vector<std::optional<Baseline>>& baselines);
// kThreshold naming what was missed, or OK.
Status checks_status(const std::vector<BenchCheck>& checks);
std::string bench_junit(const std::vector<BenchModel>& models,
                        const std::vector<BenchCheck>& checks);

// An object for one model, an array for several; the first key is median_ms. `layers`: with the
// rows of profile(). `checks` go to the last model.
// A refused row has "model", "backend" and "refused", the reason; they come last.
std::string bench_json(const BenchRows& rows, const BenchSettings& settings, bool layers,
                       const std::vector<std::optional<Baseline>>& baselines,
                       const std::vector<BenchCheck>& checks);
// In lines of at most `width` columns (0: any).
std::string bench_table(const std::vector<BenchModel>& models, size_t width);
// A line per refused row; "" when there are none.
std::string refused_text(const std::vector<BenchRefusal>& refused);
// A line per model: "m.mnn: 1.234 ms [1.200, 1.300], 0.52 times m.mnn".
std::string bench_verdict(const std::vector<BenchModel>& models);
// "2 threads, avx2, backend cpu", and the devices
std::string measured_with(const std::vector<BenchModel>& models, const BenchSettings& settings);
// The slowest steps of one model.
std::string layer_table(const BenchModel& model, size_t max_rows, size_t width);
// A Chrome trace of the profiled runs with the rows of every layer.
std::string trace_json(const std::vector<BenchModel>& models);

}  // namespace mnn::flows
