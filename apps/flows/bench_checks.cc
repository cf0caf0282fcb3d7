// What `mnn bench` holds its figures against: limits and earlier results.
#include <nlohmann/json.hpp>

#include "apps/flows/bench.h"
#include "apps/flows/junit.h"
#include "libruntime/core/io/file.h"
#include "libruntime/report/format.h"

namespace mnn::flows {
namespace {

using nlohmann::json;

std::string text_of(const json& row, const char* key) {
  const auto it = row.find(key);
  return it != row.end() && it->is_string() ? it->get<std::string>() : "";
}

// The entry of `path` among those of an earlier result; null when there is none.
const json* find_entry(const json& all, const std::string& path, bool any_name) {
  if (all.is_object()) {
    return any_name || file_name(text_of(all, "model")) == file_name(path) ? &all : nullptr;
  }
  for (const bool whole : {true, false}) {
    for (const json& row : all) {
      const std::string name = text_of(row, "model");
      if (whole ? name == path : file_name(name) == file_name(path)) return &row;
    }
  }
  return nullptr;
}

Baseline compare_with(const json& old, double max_regression_percent, const BenchModel& model,
                      const BenchSettings& settings) {
  Baseline b;
  b.before_ms = old["median_ms"].get<double>();
  const auto high = old.find("median_ms_high");
  b.limit_ms = (high != old.end() && high->is_number() ? high->get<double>() : b.before_ms) *
               (1 + max_regression_percent / 100);
  b.now = median_interval(model.timed.round_ms);
  b.regressed = b.now.low > b.limit_ms;
  const json now = {
      {"threads", used_threads(settings)}, {"isa", used_isa(settings)}, {"backend", model.backend}};
  for (const char* key : {"threads", "isa", "backend"}) {
    const std::string then = old.contains(key) ? old[key].dump() : "unknown";
    if (then != now[key].dump()) {
      b.mismatches.push_back(std::string(key) + ": " + then + " then, " + now[key].dump() + " now");
    }
  }
  const std::string then = text_of(old, "model");
  if (file_name(then) != file_name(model.path)) {
    b.mismatches.push_back("model: " + (then.empty() ? "unknown" : then) + " then, " + model.path +
                           " now");
  }
  return b;
}

std::string interval_text(const Interval& i, const char* unit) {
  return format_number(i.middle, 3) + unit + " [" + format_number(i.low, 3) + ", " +
         format_number(i.high, 3) + "]";
}

}  // namespace

std::string Baseline::line() const {
  return "baseline " + format_number(before_ms, 3) + " ms, now " + format_number(now.middle, 3) +
         " ms [" + format_number(now.low, 3) + ", " + format_number(now.high, 3) + "], limit " +
         format_number(limit_ms, 3) + " ms";
}

Result<double> parse_percent(const std::string& text) {
  std::string number = text;
  if (!number.empty() && number.back() == '%') number.pop_back();
  char* end = nullptr;
  const double percent = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0' || !(percent >= 0)) {
    return usage_error("--max-regression " + text + ": expected a percentage such as 5%");
  }
  return percent;
}

Result<std::vector<std::optional<Baseline>>> hold_against(const std::string& baseline_file,
                                                          double max_regression_percent,
                                                          const std::vector<BenchModel>& models,
                                                          const BenchSettings& settings) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(baseline_file));
  const auto* text = reinterpret_cast<const char*>(file.bytes.data());
  const json old = json::parse(text, text + file.bytes.size(), nullptr, false);
  const auto is_result = [](const json& row) {
    return row.is_object() && row.contains("median_ms") && row["median_ms"].is_number();
  };
  bool good = is_result(old) || (old.is_array() && !old.empty());
  if (old.is_array()) {
    for (const json& row : old) good = good && is_result(row);
  }
  if (!good) return invalid(baseline_file + ": expected the --json output of mnn bench");
  std::vector<std::optional<Baseline>> out;
  for (const BenchModel& m : models) {
    const json* entry = find_entry(old, m.path, models.size() == 1);
    out.emplace_back();
    if (entry) out.back() = compare_with(*entry, max_regression_percent, m, settings);
  }
  return out;
}

std::vector<BenchCheck> check_bench(const std::vector<BenchModel>& models,
                                    const Thresholds& thresholds,
                                    const std::vector<std::optional<Baseline>>& baselines) {
  std::vector<BenchCheck> checks;
  const BenchModel& last = models.back();
  const double seconds = median(last.timed.ms) / 1e3;
  if (thresholds.max_ms) {
    const Interval now = median_interval(last.timed.round_ms);
    const std::string figures =
        interval_text(now, " ms") + ", limit " + format_significant(*thresholds.max_ms, 6) + " ms";
    checks.push_back(
        {"max-ms", figures, now.low > *thresholds.max_ms ? "slower than allowed" : "", seconds});
  }
  if (thresholds.max_memory) {
    const std::string figures =
        "peak " + format_bytes(last.peak_bytes) + ", limit " + format_bytes(*thresholds.max_memory);
    checks.push_back({"max-memory", figures,
                      last.peak_bytes > *thresholds.max_memory ? "more memory than allowed" : "",
                      seconds});
  }
  if (thresholds.max_ratio && models.size() > 1) {
    const Interval r = ratio_interval(last.timed, models[0].timed);
    const std::string figures = interval_text(r, "") + " of " + models[0].path + ", limit " +
                                format_significant(*thresholds.max_ratio, 6);
    checks.push_back({"max-ratio", figures,
                      r.low > *thresholds.max_ratio ? "slower than allowed" : "", seconds});
  }
  for (size_t i = 0; i < baselines.size(); ++i) {
    if (!baselines[i]) continue;
    checks.push_back({"baseline of " + models[i].path, baselines[i]->line(),
                      baselines[i]->regressed ? "slower than allowed" : "",
                      median(models[i].timed.ms) / 1e3});
  }
  return checks;
}

Status checks_status(const std::vector<BenchCheck>& checks) {
  std::string missed;
  for (const BenchCheck& c : checks) {
    if (!c.missed.empty()) {
      missed += (missed.empty() ? "" : "\n") + c.name + ": " + c.missed + ": " + c.figures;
    }
  }
  return missed.empty() ? Status() : Status(Code::kThreshold, missed);
}

std::string bench_junit(const std::vector<BenchModel>& models,
                        const std::vector<BenchCheck>& checks) {
  std::vector<JUnitCase> cases;
  for (const BenchModel& m : models) {
    cases.push_back({"models",
                     m.path,
                     {},
                     {},
                     interval_text(median_interval(m.timed.round_ms), " ms") + ", peak " +
                         format_bytes(m.peak_bytes),
                     median(m.timed.ms) / 1e3});
  }
  for (const BenchCheck& c : checks) {
    cases.push_back({"thresholds",
                     c.name,
                     c.missed.empty() ? "" : c.missed + " (" + c.figures + ")",
                     {},
                     c.figures,
                     c.seconds});
  }
  return junit_xml("mnn bench " + file_name(models.back().path), cases);
}

}  // namespace mnn::flows
