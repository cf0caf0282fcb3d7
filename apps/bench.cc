// mnn bench: latency, throughput, memory and load time of one model, or of several in turn.
#include "apps/flows/bench.h"

#include <filesystem>
#include <iostream>

#include "apps/common/flags.h"
#include "apps/flows/project.h"
#include "libruntime/core/io/file.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;

struct Options {
  CommonFlags common;
  std::vector<std::string> models, shapes;
  BenchSettings settings;
  std::string profile, baseline, max_regression = "5%";
};

// The project's model, and its quantized one where there is one; sizes for dims that are open.
Status fill_from_project(Options& o) {
  MNN_ASSIGN_OR_RETURN(const Project project, read_project("."));
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
  MNN_ASSIGN_OR_RETURN(const double percent, parse_percent(o.max_regression));
  if (o.models.empty()) MNN_RETURN_IF_ERROR(fill_from_project(o));
  if (o.models.size() > 1 && !o.baseline.empty()) return usage_error("--baseline takes one model");
  o.settings.threads = o.common.threads;
  std::vector<BenchModel> models;
  {
    Progress progress;
    o.settings.plan.progress = [&](double share) {
      progress.update("measuring", static_cast<int64_t>(100 * share), 100);
    };
    MNN_ASSIGN_OR_RETURN(models, measure(o.models, o.settings));
  }
  std::optional<Baseline> baseline;
  if (!o.baseline.empty()) {
    MNN_ASSIGN_OR_RETURN(baseline, hold_against(o.baseline, percent, models[0], o.settings));
    for (const std::string& m : baseline->mismatches) {
      log_warning(o.baseline + ": measured otherwise: " + m);
    }
  }
  if (!o.profile.empty()) {
    MNN_RETURN_IF_ERROR(profile(models));
    MNN_RETURN_IF_ERROR(write_file(o.profile, trace_json(models)));
  }
  if (o.common.json) {
    std::cout << bench_json(models, o.settings, !o.profile.empty(),
                            baseline ? &*baseline : nullptr);
  } else {
    std::cout << bench_table(models);
    if (baseline) std::cout << baseline->line() << "\n";
    constexpr size_t kRows = 25;
    for (const BenchModel& m : models) {
      if (o.profile.empty() || is_quiet()) break;
      std::cout << "\n" << m.path << "\n" << layer_table(m, kRows);
    }
    if (!o.profile.empty()) std::cout << "All layers: " << o.profile << "\n";
  }
  if (baseline && baseline->regressed) {
    return Status(Code::kThreshold, o.models[0] + ": slower than allowed: " + baseline->line());
  }
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
  c.reads(app.add_option("MODEL", o.models, "One model or more")->type_name("FILE"));
  add_shape_flag(app, o.shapes);
  app.add_option("--iterations", o.settings.plan.iterations,
                 "Exactly this many timed runs (default: about one second)")
      ->type_name("N")
      ->check(whole_number(1, 1000000000));
  app.add_option("--backend", o.settings.backend, "Backend to prefer")
      ->check(CLI::IsMember(backend_names()));
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
  add_common_flags(app, c, "mnn bench model.mnn model.int8.mnn --threads 2");
  return run_command(app, c, argc, argv, [&] { return bench(o); });
}
