// Errors of single samples, as every command that judges a model on several of them tells.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace mnn {

struct SampleError {
  std::string name;
  size_t index = 0;                  // among the samples it came from
  double snr_db = 0;                 // sample_snr_db() of all outputs
  std::vector<double> slice_snr_db;  // per judged slice
};

struct SampleErrors {
  std::vector<std::string> slice_names;
  std::vector<SampleError> samples;  // in their order
  bool constant = false;             // no output ever changes, so that being exact says nothing

  double mean_snr_db() const;   // "mean SNR": of the samples' own
  double worst_snr_db() const;  // "worst SNR": the least of them
  std::vector<SampleError> worst_first() const;
  // "23.41 dB", "exact", "constant"
  std::string snr(double snr_db) const;
};

// Mean and worst SNR, then `count` samples, worst first, with the figure of each slice where there
// are several. Empty for fewer than two samples.
// In lines of `width` columns (0: any).
std::string samples_text(const SampleErrors& errors, size_t count, size_t width = 0);
// The same as a heading and a table. `picture` makes an image of a sample by its index, as HTML.
std::string samples_html(const SampleErrors& errors, size_t count,
                         const std::function<std::string(size_t)>& picture);
// [{"name", "snr_db", "slices": [{"name", "snr_db"}]}], in the samples' order; null where there is
// no number.
nlohmann::ordered_json samples_json(const SampleErrors& errors);

}  // namespace mnn
