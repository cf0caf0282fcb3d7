// What quantization is given and what it tells: options, samples, the report.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libruntime/core/metrics.h"
#include "libruntime/core/tensor.h"

namespace mnn {

class Engine;

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

struct QuantOptions {
  std::string scheme = "int8";
  CalibrationMethod method = CalibrationMethod::kAuto;
  WeightScale weight_scale = WeightScale::kAbsMax;
  OverflowFix overflow_fix = OverflowFix::kAuto;
  int threads = 1;
  std::string isa;
  // What the many sessions of a search share; null: an engine of its own, of those threads and isa.
  std::shared_ptr<Engine> engine;
  bool layer_report = true;
  // The text of a scheme file: its decisions are taken and nothing is searched; samples are only
  // needed to measure the result.
  std::string import_scheme;
  // JSON about the calibration data for the scheme file that comes out.
  std::string calibration_json = "{}";
  // Phase name, done, total.
  std::function<void(const std::string&, int64_t, int64_t)> progress;
};

// One source layer. Isolated: at the layer's own output, fp32 inputs. Accumulated: the same place
// with the whole prefix quantized. Contribution: at the network's outputs, only this layer
// quantized.
struct LayerError {
  std::string name;
  std::vector<std::string> origin;
  std::string op;
  std::vector<int64_t> shape;
  int64_t macs = 0;
  int64_t weight_bytes_before = 0, weight_bytes_after = 0;
  bool int8 = false;  // quantized in this model
  ErrorMetrics isolated, accumulated, contribution;
  double weight_snr_db = 0;  // of the weights alone; kExactSnrDb without weights
  double clipped_share = 0;  // of the output's elements outside the range
  bool amplified = false;    // isolated SNR >= 30 dB and contribution SNR < 20 dB
  std::string suggestion;    // empty: nothing to do
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
};

// A recipe that was tried. Its figure is the mean over the held-back samples of each one's own SNR
// at the outputs: not the SNR over all samples that outputs and layers have.
struct TriedRecipe {
  std::string name;
  double mean_sample_snr_db = 0;
  bool chosen = false;
};

// One held-back sample.
struct SampleError {
  std::string name;
  double snr_db = 0;  // at the outputs
};

struct QuantReport {
  std::string scheme, method;  // the method used (what auto chose)
  std::vector<TriedRecipe> candidates;
  size_t calibration_samples = 0, holdout_samples = 0;
  std::string holdout_note;
  std::vector<std::pair<std::string, ErrorMetrics>>
      outputs;                       // per network output, over all held-back samples
  std::vector<SampleError> samples;  // the held-back ones, in their order
  double mean_sample_snr_db = 0;     // of their figures
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
