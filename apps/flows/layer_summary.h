// What `mnn quant`, `mnn bench --profile` and the model say of each layer, in one table: which
// layers are slow, which are sensitive, where the bytes are.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libruntime/core/status.h"

namespace mnn::flows {

struct SummaryFiles {
  std::string model;  // empty: none
  std::string quant;  // .json of `mnn quant --report`, or its --json
  std::string bench;  // of `mnn bench --profile`, or its --json with --profile
};

// Figures that none of the files tells are absent.
struct SummaryRow {
  std::string name, op;
  std::vector<std::string> origin;
  std::optional<double> ms;               // of all its steps
  std::optional<double> contribution_db;  // SNR at the network's outputs, only it quantized
  int64_t bytes = 0;                      // of the constants it is the first to read
  std::optional<int64_t> macs;
  std::string form;  // what its products are computed in: "f32", "u8xs8"
  std::string suggestion;
};

struct LayerSummary {
  SummaryFiles files;
  std::string timed;             // the model of the times
  std::vector<SummaryRow> rows;  // the slowest first, then the most sensitive
  double ms = 0;                 // sums
  int64_t bytes = 0;
  double macs = 0;

  double time_share(const SummaryRow& row) const;
  double byte_share(const SummaryRow& row) const;
  double mac_share(const SummaryRow& row) const;
};
// From 5 % of the time on a layer is slow, with a contribution below 30 dB it is sensitive.
inline constexpr double kSlowShare = 0.05, kSensitiveDb = 30;
bool is_slow(const LayerSummary& summary, const SummaryRow& row);
bool is_sensitive(const SummaryRow& row);

// kInvalidArgument for a file that is none of these. Of a bench file of several models the one
// called like `model` counts, else the last.
Result<LayerSummary> summarize_layers(const SummaryFiles& files);

// "slow and sensitive: a, b", or that there is none.
std::string summary_verdict(const LayerSummary& summary);
// In lines of at most `width` columns (0: any).
std::string summary_text(const LayerSummary& summary, size_t max_rows, size_t width);
std::string summary_json(const LayerSummary& summary);
std::string summary_html(const LayerSummary& summary);

}  // namespace mnn::flows
