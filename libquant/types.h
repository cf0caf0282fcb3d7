// What quantization is given and what it tells: options, samples, the report.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libruntime/core/metrics.h"
#include "libruntime/core/tensor.h"
#include "libruntime/report/samples.h"

namespace mnn {

class Engine;
class Evaluations;
struct CalibrationStats;
struct Graph;
struct QuantReport;

enum class CalibrationMethod { kAuto, kMinMax, kPercentile, kKl, kMse };
enum class WeightScale { kAbsMax, kMse };
// Whether weight scales leave the int16 sums of x86 sets without VNNI room; see weights.h. kAuto:
// where the output SNR hardly suffers.
enum class OverflowFix { kAuto, kOn, kOff };

// Calibration data: any number of samples, read one at a time and more than once, in the same
// order.
struct SampleSource {
  size_t count = 0;
  // One tensor per graph input, in the graph's order and types.
  std::function<Result<std::vector<Tensor>>(size_t index)> load;
  std::vector<std::string> names;  // of the samples, for messages
};

// How a quantized network stands to what was asked for.
struct GoalVerdict {
  bool reached = false;
  bool with_margin = false;  // with what samples nobody has seen may be worse by, too
  double margin_db = 0;      // which is this much
};

// The scheme of the layers whose names fit.
struct LayerRule {
  std::string pattern;  // * for any text
  std::string scheme;   // as check_layer_scheme() takes it
};

struct QuantOptions {
  std::string scheme = "int8";    // or weight-only: w8, w6, w4, w3, w2; or mixed
  std::vector<LayerRule> layers;  // of several that fit the last one counts
  // Limits of the scheme mixed: bytes that file_bytes() says (without it: of the constants), and
  // milliseconds of the median run on the first held-back sample. Of others the time is measured.
  std::optional<double> max_bytes, max_ms;
  // A limit like max_bytes, as a multiple of what all layers that can be int8 in int8 come to.
  std::optional<double> max_int8_ratio;
  std::function<Result<int64_t>(const Graph& quantized)> file_bytes;
  std::shared_ptr<Evaluations> evaluations;  // of an earlier run that was ended; null: none
  // Of weight-only schemes. Weights that share a scale, 0: one scale per channel; default: per
  // channel for w8, else 32.
  std::optional<int64_t> group_size;
  std::optional<bool> symmetric;  // without zero points; default: w8 alone
  bool int8_activations = false;  // rows that meet codes in MatMul and Gemm, as they come
  // Scales from the range alone; searched; and GPTQ on what the calibration samples show.
  enum class Level { kFast, kDefault, kBest };
  Level level = Level::kDefault;
  int64_t low_rank = 0;  // of the products that make up for the codes of MatMul and Gemm; 0: none
  std::vector<std::string> keep_float;  // names of layers, * for any text
  CalibrationMethod method = CalibrationMethod::kAuto;
  WeightScale weight_scale = WeightScale::kAbsMax;
  OverflowFix overflow_fix = OverflowFix::kAuto;
  int threads = 1;
  std::string isa;
  // What the many sessions of a search share; null: an engine of its own, of those threads and isa.
  std::shared_ptr<Engine> engine;
  bool layer_report = true;
  // What more the report says of each layer: remedies for all that cost much, not only the worst;
  // how its numbers lie; its time on this machine, which no two runs agree in.
  bool try_fixes = false, distributions = false, layer_times = false;
  // Slices to judge their outputs by, "output0[:,4:]", in the place of those that are found.
  std::vector<std::string> output_slices;
  // Figures of the task to measure at the outputs beside SNR and cosine (core/task_metrics.h).
  std::vector<std::string> metrics;
  // Where given and not reached by the result, the layers that cost most go to float until it is.
  std::function<Result<GoalVerdict>(const Graph& quantized, const QuantReport& report)> reached;
  // The text of a scheme file: its decisions are taken and nothing is searched; samples are only
  // needed to measure the result.
  std::string import_scheme;
  // In the place of passes over the calibration samples, which are then looked at in part alone:
  // those of all of them.
  std::shared_ptr<const CalibrationStats> stats;
  // JSON about the calibration data for the scheme file that comes out.
  std::string calibration_json = "{}";
  // Phase name, done, total.
  std::function<void(const std::string&, int64_t, int64_t)> progress;
};

// The phases that progress tells of, in order, with their weights in the time. Others are parts of
// the one before.
std::vector<std::pair<std::string, double>> quantize_stages(const QuantOptions& options);

// How numbers lie: counts over equal bins of [low, high], and what the grid they are rounded to
// reaches.
struct Distribution {
  double low = 0, high = 0;
  std::vector<int64_t> bins;
  std::optional<std::pair<double, double>> grid;
};

// One source layer. Isolated: at the layer's own output, fp32 inputs. Accumulated: the same place
// with the whole prefix quantized. Contribution: at the network's outputs, only this layer
// quantized.
struct LayerError {
  int node = -1;  // of the quantized graph
  std::string name;
  std::vector<std::string> origin;
  std::string op, scheme;  // "int8", "w4", "f16"; "float" where other layers differ
  std::vector<int64_t> shape;
  int64_t macs = 0;
  int64_t weight_bytes_before = 0, weight_bytes_after = 0;
  bool int8 = false;  // quantized in this model
  ErrorMetrics isolated, accumulated, contribution;
  double weight_snr_db = 0;             // of the weights alone; kExactSnrDb without weights
  int weight_bits = 0;                  // as stored; 0 without weights
  int64_t levels = 0, levels_used = 0;  // codes there are, those that occur; 0 of floats
  // Sensitivity: of the noise at the outputs of all layers, each alone, that of this one.
  double noise_share = 0;
  std::optional<double> time_ms;                     // of a run, mean
  std::optional<Distribution> weights, activations;  // of the float network
  double clipped_share = 0;                          // of the output's elements outside the range
  bool amplified = false;  // isolated SNR >= 30 dB and contribution SNR < 20 dB
  std::string suggestion;  // empty: nothing to do
};

// Layers of one operator that stay float for one reason; those of sub-graphs too.
struct FloatIsland {
  std::string op, why;
  double mac_share = 0;   // of all MACs
  int64_t constants = 0;  // bytes of the float constants they read
  std::vector<std::string> layers;
};

// A constant that no quantization makes smaller.
struct FloatConstant {
  std::string name;       // its own, else ""
  std::string layer, op;  // the first that reads it
  int64_t bytes = 0;
  int64_t fp16_saves = 0;  // what storing it as f16 would take off
  int64_t w8_saves = 0;    // what scheme w8 would; 0: it is no weight
};

// A recipe that was tried: the mean and the worst of the held-back samples' own SNRs
// (sample_snr_db()). The recipe with the most of three parts mean and one part worst is chosen.
struct TriedRecipe {
  std::string name;
  double mean_sample_snr_db = 0, worst_sample_snr_db = 0;
  bool chosen = false;
};

// A part of an output that is judged by itself.
struct SliceError {
  std::string name;  // "output0[:,4:22]"
  ErrorMetrics metrics;
};

// A network output over all held-back samples: as a whole, and the slices it is judged by (none:
// the whole is what is judged).
struct OutputError {
  std::string name;
  ErrorMetrics whole;
  std::vector<SliceError> slices;
  // The one with the least SNR, failed ones first; the whole where there are none.
  SliceError worst() const;
};

// A figure of the task, such as the share of equal classes.
struct MetricValue {
  std::string name;  // as it was asked for
  double value = 0;
};

// What the remedies found for single layers gain together.
struct Fixes {
  bool tried = false;
  size_t layers = 0, helped = 0;  // that remedies were tried for, that one helps
  double together_db = 0;         // at the outputs
};

// What it took to reach the goal.
struct Promotions {
  bool tried = false, reached = false;
  std::vector<std::string> layers;  // now in float, the one that cost most first
  double mac_share = 0;             // of all MACs, in float for that
  double time = 1;                  // estimated, relative to the model without promotions
  double margin_db = 0;             // that the goal was raised by, for samples nobody has seen
};

// One of the mixes that were measured.
struct MixPoint {
  std::string schemes;  // "41 int8, 3 w8"
  double bytes = 0, time = 0, mean_sample_snr_db = 0, worst_sample_snr_db = 0;
  bool reached = false, chosen = false;
};
// A part of the network that the choice of schemes was about.
struct MixCulprit {
  std::string name, cheapest, chosen;    // schemes
  double snr_db = 0;                     // at the outputs, with it alone as `cheapest`
  double more_bytes = 0, more_time = 0;  // of the chosen scheme
};
// How the scheme mixed was decided.
struct MixReport {
  bool tried = false;
  bool fits = true, reached = true;  // the limits, the goal
  bool timed = false;  // `time` is in ms as measured; else estimated, relative to the first mix
  double margin_db = 0;
  std::optional<double> most_bytes;  // the limit on the size
  std::vector<MixPoint> front;       // what no other mix beats, smallest first
  std::vector<MixCulprit> culprits;  // worst first
  std::vector<std::string> undone;   // promotions that did not help
  size_t parts = 0, trials = 0;
  // From the next worse point of the front to the chosen one, for each dB; absent without one.
  std::optional<double> last_db_bytes, last_db_time;
};

struct QuantReport {
  std::string scheme, method;  // the method used (what auto chose)
  std::vector<TriedRecipe> candidates;
  size_t calibration_samples = 0, holdout_samples = 0;
  std::string holdout_note;
  std::vector<OutputError> outputs;
  SampleErrors samples;  // the held-back ones
  // Of a trial: what the pooled SNR gained over the network the search began with, beyond what the
  // samples gained one by one in the mean, dB. Pooled errors are those of one or two samples, and
  // which mix happens to spare those says nothing about others.
  double luck_db = 0;
  std::vector<MetricValue> metrics;
  std::optional<double> eval;  // what a program of the user's said
  Promotions promotions;
  Fixes fixes;
  MixReport mix;
  std::optional<double> latency_ms;  // where a limit was given
  double argmax_agreement = -1;      // of the first output, where its last axis is classes; else -1
  std::vector<LayerError> layers;    // worst contribution first
  double macs = 0;                   // of one run
  double int8_mac_share = 0;
  std::vector<FloatIsland> islands;
  int64_t bytes_before = 0, bytes_after = 0;   // of the constants
  std::vector<FloatConstant> float_constants;  // largest first
  // Why the samples cannot vouch for the result; also among the warnings.
  std::vector<std::string> data_faults;
  std::vector<std::string> warnings;
};

}  // namespace mnn
