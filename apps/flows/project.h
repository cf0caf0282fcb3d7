// mnn.json: what a project remembers, made by `mnn init`, read by the other commands in its folder.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/flows/image.h"
#include "apps/flows/model_io.h"

namespace mnn::flows {

struct Thresholds {
  std::optional<double> min_cosine, min_snr;  // at the worst slice of every network output; dB
  std::optional<double> min_sample_snr;       // of the worst held-back sample; dB
  std::optional<double> min_eval;             // of what --eval prints
  std::optional<double> min_metric;           // of every --metric
  std::optional<int64_t> max_size;            // bytes of the file
  std::optional<double> max_ms;               // median latency, of mnn bench
  std::optional<double> max_latency;          // the same of mnn quant; no key of mnn.json
  std::optional<int64_t> max_memory;          // peak bytes of a process with the model alone
  std::optional<double> max_ratio;            // time over the first model's
  bool sound_data = false;                    // nothing may be wrong with the samples themselves
  bool accuracy() const {
    return min_cosine || min_snr || min_sample_snr || min_eval || min_metric;
  }
};

struct Project {
  std::string folder;  // where mnn.json lies; paths below are relative to it
  std::string source, source_sha256, source_format;
  struct Input {
    std::string name, type;  // "f32[n,3,224,224]"
  };
  std::vector<Input> inputs;  // for the reader of the file; the model is what counts
  std::string model;          // the converted file
  std::string quantized;      // where `mnn quant` writes
  ShapeMap shapes;            // bound into the model
  ShapeMap assumed_shapes;    // of inputs with open dims, for what needs sizes: timing, golden data
  std::string calibration;    // empty: none
  ImageOptions images;
  std::string scheme = "int8", method = "auto";
  std::vector<std::string> layers, keep_float;  // of mnn quant --layer, --keep-float
  Thresholds thresholds;
  std::vector<std::string> fill;  // commands whose first result sets thresholds (fill_thresholds.h)
  std::vector<std::string> targets = {"cpu"};
  std::string golden;  // folder of golden inputs and outputs

  std::string path(const std::string& relative) const;  // resolved against the folder
};

inline constexpr const char* kProjectFile = "mnn.json";
// The folder of the nearest mnn.json at or above `folder`; empty when there is none.
std::string find_project(const std::string& folder);
// The project of `folder`; a usage error when there is none, kInvalidArgument when it is malformed
// (the message names the key, also one that is not known).
Result<Project> read_project(const std::string& folder);
Status write_project(const Project& project);

// The gates of --gate: "normal" (cosine 0.99, SNR 15 dB) and "strict" (0.999, 30 dB), both with
// sound data.
Result<Thresholds> gate_profile(const std::string& name);

}  // namespace mnn::flows
