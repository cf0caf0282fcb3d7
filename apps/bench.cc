// mnn bench: latency, throughput, memory and load time of one model, or of several in turn.
#include "apps/flows/bench.h"

#include <filesystem>
#include <iostream>

#include "apps/common/backend_flags.h"
#include "apps/common/flags.h"
#include "apps/common/project_flags.h"
#include "apps/flows/fill_thresholds.h"
#include "libruntime/compile/registry.h"
#include "libruntime/core/io/file.h"
#include "libruntime/kernels/isa.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;

struct Options {
  CommonFlags common;
  std::vector<std::string> models, shapes, import_keys;
  BenchSettings settings;
  std::string project, profile, baseline, max_regression = "5%";
  std::vector<std::string> reports;
  Thresholds limits;
  std::optional<std::string> folder;  // of the project whose models are taken
};

// The project's model, and its quantized one where there is one; sizes for dims that are open.
Status fill_from_project(Options& o) {
  std::string folder = o.models.empty() ? "" : o.models[0];
  o.models.clear();
  MNN_ASSIGN_OR_RETURN(const Project project, open_project(o.project, folder));
  o.folder = project.folder;
  const Thresholds given = o.limits;
  o.limits = project.thresholds;
  if (given.max_ms) o.limits.max_ms = given.max_ms;
  if (given.max_memory) o.limits.max_memory = given.max_memory;
  if (given.max_ratio) o.limits.max_ratio = given.max_ratio;
  o.models.push_back(project.path(project.model));
  std::error_code ec;
  const std::string quantized = project.path(project.quantized);
  if (std::filesystem::exists(quantized, ec)) {
    o.models.push_back(quantized);
    const std::string rejected = rejected_path(quantized);
    if (std::filesystem::exists(rejected, ec) &&
        std::filesystem::last_write_time(rejected, ec) >
            std::filesystem::last_write_time(quantized, ec)) {
      log_warning(quantized + " is of an earlier run than " + rejected);
    }
  }
  if (o.settings.shapes.empty()) {
    o.settings.shapes = project.assumed_shapes;
    for (const auto& [name, dims] : project.shapes) o.settings.shapes.emplace(name, dims);
  }
  return {};
}

Status bench(Options& o) {
  MNN_ASSIGN_OR_RETURN(o.settings.shapes, parse_shapes(o.shapes));
  MNN_ASSIGN_OR_RETURN(o.settings.import_keys, parse_import_keys(o.import_keys));
  MNN_ASSIGN_OR_RETURN(const double percent, parse_percent(o.max_regression));
  for (const std::string& r : o.reports) {
    if (r.ends_with(".json") || r.ends_with(".xml")) continue;
    return usage_error("--report " + r + ": expected a name ending in .json or .xml");
  }
  if (o.models.size() < 2 && means_project(o.models.empty() ? "" : o.models[0])) {
    MNN_RETURN_IF_ERROR(fill_from_project(o));
  }
  if (o.limits.max_ratio && o.models.size() < 2) {
    log_warning("max-ratio is of the first model's time: there is one model only");
  }
  o.settings.threads = o.common.threads;
  BenchRows rows;
  {
    Progress progress;
    o.settings.plan.progress = [&](double share) {
      progress.update("measuring", static_cast<int64_t>(100 * share), 100);
    };
    MNN_ASSIGN_OR_RETURN(rows, measure(o.models, o.settings));
  }
  const std::vector<BenchModel>& models = rows.models;
  std::vector<std::optional<Baseline>> baselines;
  if (!o.baseline.empty()) {
    MNN_ASSIGN_OR_RETURN(baselines, hold_against(o.baseline, percent, models, o.settings));
    for (size_t i = 0; i < models.size(); ++i) {
      if (!baselines[i]) log_warning(o.baseline + ": has nothing of " + models[i].path);
      if (!baselines[i]) continue;
      for (const std::string& m : baselines[i]->mismatches) {
        log_warning(o.baseline + ": measured otherwise: " + m);
      }
    }
  }
  const std::vector<BenchCheck> checks = check_bench(models, o.limits, baselines);
  if (!o.profile.empty()) {
    MNN_RETURN_IF_ERROR(profile(models));
    MNN_RETURN_IF_ERROR(write_file(o.profile, trace_json(models)));
  }
  const std::string json = bench_json(rows, o.settings, !o.profile.empty(), baselines, checks);
  for (const std::string& r : o.reports) {
    MNN_RETURN_IF_ERROR(write_file(r, r.ends_with(".json") ? json : bench_junit(models, checks)));
  }
  if (o.common.json) {
    std::cout << json;
  } else {
    if (is_quiet()) {
      print_text(bench_verdict(models));
    } else {
      std::cout << bench_table(models, terminal_width());
      print_text(measured_with(models, o.settings) + "\n");
    }
    print_text(refused_text(rows.refused));
    for (const BenchCheck& c : checks)
      print_text(c.name + (c.missed.empty() ? " reached: " : " MISSED: ") + c.figures + "\n");
    constexpr size_t kRows = 25;
    for (const BenchModel& m : models) {
      if (o.profile.empty() || is_quiet()) break;
      std::cout << "\n" << m.path << "\n" << layer_table(m, kRows, terminal_width());
    }
    if (!o.profile.empty() && !is_quiet()) std::cout << "All layers: " << o.profile << "\n";
  }
  const Status verdict = checks_status(checks);
  if (!verdict.ok() || !o.folder) return verdict;
  MNN_ASSIGN_OR_RETURN(const std::string filled, fill_from_bench(*o.folder, models));
  if (!filled.empty()) log_info(filled);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Measures latency (median, p90, p99), throughput, memory and load time. Several models are "
      "run in turn and compared. In a project folder no model is needed.",
      "mnn bench");
  Options o;
  CommonFlags& c = o.common;
  c.threads = 0;
  c.reads(app.add_option("MODEL", o.models,
                         "One model or more, or a project's folder; default: the nearest "
                         "project's models")
              ->type_name("FILE"));
  add_shape_flag(app, o.shapes);
  add_import_flag(app, o.import_keys);
  app.add_option("--iterations", o.settings.plan.iterations,
                 "Exactly this many timed runs (default: about one second)")
      ->type_name("N")
      ->check(whole_number(1, 1000000000));
  app.add_option("--backend", o.settings.backends, "A row for each of these backends")
      ->delimiter(',')
      ->type_name("NAME,…")
      ->check(CLI::IsMember(backend_names()));
  add_fallback_flag(app, o.settings.fallback);
  app.add_flag("--cold", o.settings.cold,
               "Also start backends on devices with an empty cache of kernels, and once more");
  app.add_option("--isa", o.settings.isa, "Force an instruction set")
      ->check(CLI::IsMember(available_isas()));
  c.writes(
      app.add_option("--profile", o.profile, "Time each layer; write a Chrome trace with the rows")
          ->type_name("FILE"));
  auto* baseline =
      c.reads(app.add_option("--baseline", o.baseline, "An earlier --json result to compare with")
                  ->type_name("FILE"));
  app.add_option("--max-regression", o.max_regression,
                 "Exit 3 when slower than the baseline by more, the whole 95 % interval")
      ->type_name("PERCENT")
      ->needs(baseline)
      ->capture_default_str();
  app.add_option("--max-ms", o.limits.max_ms,
                 "Exit 3 when the last model's latency lies above, the whole 95 % interval")
      ->type_name("MS")
      ->check(real_number(0, 1e9));
  app.add_option("--max-memory", o.limits.max_memory, "Exit 3 when its peak memory is larger")
      ->type_name("BYTES")
      ->check(whole_number(0))
      ->transform(CLI::AsSizeValue(true));
  app.add_option("--max-ratio", o.limits.max_ratio,
                 "Exit 3 when its time over the first model's lies above, the whole interval")
      ->type_name("R")
      ->check(real_number(0, 1e9));
  add_report_flag(app, c, o.reports, "Write the result: .json or .xml (JUnit). Repeatable");
  add_project_flag(app, c, o.project);
  add_common_flags(app, c, "mnn bench model.mnn model.int8.mnn --threads 2");
  return run_command(app, c, argc, argv, [&] { return bench(o); });
}
