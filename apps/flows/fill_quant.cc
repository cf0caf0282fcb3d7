#include "apps/flows/fill_quant.h"

#include <algorithm>
#include <cmath>

#include "apps/flows/fill_thresholds.h"
#include "apps/flows/quant_verdict.h"

namespace mnn::flows {
namespace {

// What a later run may be worse by: accuracy swings with the samples.
constexpr double kSnrMargin = 1.5, kSampleMargin = 3;  // dB
constexpr double kCosineMargin = 1.5;                  // times what is missing to 1
constexpr double kSizeMargin = 1.05;

// Down to `digits` behind the point.
double floor_to(double value, int digits) {
  const double unit = std::pow(10.0, digits);
  return std::floor(value * unit) / unit;
}

}  // namespace

Result<std::string> fill_from_quant(const std::string& folder, const QuantReport& report,
                                    int64_t file_bytes) {
  MNN_ASSIGN_OR_RETURN(ThresholdFiller filler, ThresholdFiller::open(folder, kFillQuant));
  if (!filler.waits()) return std::string();
  MNN_ASSIGN_OR_RETURN(const Thresholds normal, gate_profile("normal"));
  double cosine = 1, snr = kExactSnrDb;
  for (const OutputError& o : report.outputs) {
    const auto [name, m] = o.worst();
    const std::string why = missed_by(m, normal);
    if (!why.empty()) {
      return filler.wait("output " + name + ": " + why + ", which --gate normal asks for");
    }
    cosine = std::min(cosine, m.cosine);
    snr = std::min(snr, m.snr_db);
  }
  if (report.outputs.empty()) return filler.wait("nothing was compared");
  Thresholds& t = filler.thresholds();
  filler.set("min_cosine", t.min_cosine,
             floor_to(std::max(*normal.min_cosine, 1 - kCosineMargin * (1 - cosine)), 6),
             format_number(cosine, 6));
  if (snr < kExactSnrDb) {
    filler.set("min_snr", t.min_snr, floor_to(std::max(*normal.min_snr, snr - kSnrMargin), 1),
               format_number(snr, 2) + " dB");
  }
  if (!report.samples.samples.empty()) {
    const double worst = report.samples.worst_first()[0].snr_db;
    if (worst < kExactSnrDb) {
      filler.set("min_sample_snr", t.min_sample_snr, floor_to(worst - kSampleMargin, 1),
                 format_number(worst, 2) + " dB");
    }
  }
  filler.set("max_size", t.max_size, round_size(kSizeMargin * static_cast<double>(file_bytes)),
             format_bytes(file_bytes));
  return filler.write();
}

}  // namespace mnn::flows
