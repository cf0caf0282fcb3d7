#include "libquant/search/mix_told.h"

#include <algorithm>

namespace mnn {
namespace {

constexpr size_t kCulprits = 10;

}  // namespace

std::string counts_of(const std::vector<MixPart>& parts, const std::vector<ToldPart>& told,
                      const Mix& mix) {
  std::vector<std::pair<std::string, size_t>> counts;
  for (const char* s : {"int8", "w8", "w6", "w4", "w3", "w2", "f16", "float"}) {
    size_t n = 0;
    for (size_t p = 0; p < mix.size(); ++p)
      n += told[p].layer && parts[p].options[static_cast<size_t>(mix[p])].scheme == s ? 1 : 0;
    if (n > 0) counts.emplace_back(s, n);
  }
  std::string text;
  for (const auto& [s, n] : counts)
    text += (text.empty() ? "" : ", ") + std::to_string(n) + " " + s;
  return text;
}

void tell_mix(const std::vector<MixPart>& parts, const std::vector<ToldPart>& told_parts,
              const MixSearch& search, const MixResult& found, const MixTrial& start,
              QuantReport& report) {
  MixReport& told = report.mix;
  told.tried = true;
  told.fits = found.fits;
  told.reached = !search.goal || found.trial.goal.reached;
  told.most_bytes = search.most_bytes;
  told.margin_db = found.trial.goal.with_margin ? found.trial.goal.margin_db : 0;
  told.timed = search.most_time.has_value();
  told.undone = found.undone;
  told.parts = parts.size();
  told.trials = found.trials.size();
  if (told.timed) report.latency_ms = found.trial.time;
  const double unit = told.timed ? 1 : 1 / std::max(start.time, 1e-9);
  auto front = pareto_front(found.trials);
  if (std::ranges::none_of(front, [&](const auto& f) { return f.first == found.mix; }))
    front.emplace_back(found.mix, found.trial);
  std::ranges::stable_sort(
      front, [](const auto& a, const auto& b) { return a.second.bytes < b.second.bytes; });
  const MixTrial* before = nullptr;  // the best of those below
  for (const auto& [mix, t] : front) {
    told.front.push_back({counts_of(parts, told_parts, mix), t.bytes, t.time * unit, t.mean_snr_db,
                          t.worst_snr_db, t.goal.reached, mix == found.mix});
    if (t.score < found.trial.score && (before == nullptr || t.score > before->score)) before = &t;
  }
  if (before != nullptr) {
    const double db = found.trial.score - before->score;
    told.last_db_bytes = (found.trial.bytes - before->bytes) / db;
    told.last_db_time = (found.trial.time - before->time) * unit / db;
  }
  std::vector<std::pair<double, size_t>> worst;
  for (size_t p = 0; p < parts.size(); ++p)
    if (parts[p].options.size() > 1) worst.emplace_back(-parts[p].options[0].noise, p);
  std::ranges::stable_sort(worst);
  for (size_t i = 0; i < std::min(kCulprits, worst.size()); ++i) {
    const size_t p = worst[i].second;
    const MixOption& first = parts[p].options[0];
    const MixOption& now = parts[p].options[static_cast<size_t>(found.mix[p])];
    told.culprits.push_back({parts[p].name, first.scheme, now.scheme, told_parts[p].snr_db,
                             now.bytes - first.bytes, (now.time - first.time) * unit});
  }
  if (!told.fits) {
    report.warnings.push_back("no mix of schemes fits the limits; the nearest one is told");
  } else if (!told.reached) {
    report.warnings.push_back("no mix of schemes reaches the goal; the best one is told");
  }
}

}  // namespace mnn
