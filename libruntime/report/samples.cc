#include "libruntime/report/samples.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "libruntime/core/metrics.h"
#include "libruntime/report/format.h"
#include "libruntime/report/html.h"

namespace mnn {
namespace {

using Json = nlohmann::ordered_json;

Json number(double v) { return std::isfinite(v) ? Json(v) : Json(); }

}  // namespace

double SampleErrors::mean_snr_db() const {
  double sum = 0;
  for (const SampleError& s : samples) sum += s.snr_db;
  return samples.empty() ? 0 : sum / static_cast<double>(samples.size());
}

double SampleErrors::worst_snr_db() const { return samples.empty() ? 0 : worst_first()[0].snr_db; }

std::vector<SampleError> SampleErrors::worst_first() const {
  std::vector<SampleError> worst = samples;
  std::stable_sort(worst.begin(), worst.end(),
                   [](const SampleError& a, const SampleError& b) { return a.snr_db < b.snr_db; });
  return worst;
}

std::string SampleErrors::snr(double snr_db) const {
  if (!(snr_db >= kExactSnrDb)) return format_number(snr_db, 2) + " dB";
  return constant ? "constant" : "exact";
}

std::string samples_text(const SampleErrors& errors, size_t count, size_t width) {
  if (errors.samples.size() < 2) return {};
  const std::vector<SampleError> worst = errors.worst_first();
  const std::vector<std::string>& parts = errors.slice_names;
  std::string out = "samples: mean SNR " + errors.snr(errors.mean_snr_db()) + ", worst SNR " +
                    errors.snr(worst[0].snr_db) + "\n";
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < std::min(count, worst.size()); ++i) {
    std::string each;
    for (size_t k = 0; parts.size() > 1 && k < parts.size(); ++k)
      each += (k == 0 ? "" : ", ") + parts[k] + " " + errors.snr(worst[i].slice_snr_db[k]);
    rows.push_back(
        {"  " + errors.snr(worst[i].snr_db), shorten_middle(worst[i].name, kNameColumns), each});
  }
  out += format_table(rows, {.right = {0}, .head = false, .width = width});
  if (worst.size() > count)
    out += "  and " + std::to_string(worst.size() - count) + " better ones (--worst N)\n";
  return out;
}

std::string samples_html(const SampleErrors& errors, size_t count,
                         const std::function<std::string(size_t)>& picture) {
  if (errors.samples.size() < 2) return {};
  const std::vector<SampleError> worst = errors.worst_first();
  const size_t parts = errors.slice_names.size() > 1 ? errors.slice_names.size() : 0;
  std::string out = "<h2>Samples, worst first</h2><p>Mean SNR " + errors.snr(errors.mean_snr_db()) +
                    ", worst SNR " + errors.snr(worst[0].snr_db) +
                    ".</p><table><tr><th>sample</th><th></th><th>SNR</th>";
  for (size_t k = 0; k < parts; ++k) out += "<th>" + html_escape(errors.slice_names[k]) + "</th>";
  out += "</tr>";
  for (size_t i = 0; i < std::min(count, worst.size()); ++i) {
    out += "<tr><td>" + html_escape(worst[i].name) + "</td><td>" +
           (picture ? picture(worst[i].index) : std::string()) + "</td><td>" +
           errors.snr(worst[i].snr_db) + "</td>";
    for (size_t k = 0; k < parts; ++k)
      out += "<td>" + errors.snr(worst[i].slice_snr_db[k]) + "</td>";
    out += "</tr>\n";
  }
  return out + "</table>";
}

Json samples_json(const SampleErrors& errors) {
  Json out = Json::array();
  for (const SampleError& sample : errors.samples) {
    Json row = {{"name", sample.name}, {"snr_db", number(sample.snr_db)}};
    row["slices"] = Json::array();
    for (size_t k = 0; k < sample.slice_snr_db.size(); ++k) {
      row["slices"].push_back(
          {{"name", errors.slice_names[k]}, {"snr_db", number(sample.slice_snr_db[k])}});
    }
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace mnn
