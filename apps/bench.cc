// mnn bench: latency, throughput, memory and load time of one model, or of several in turn.
#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/common/check.h"
#include "apps/common/flags.h"
#include "apps/common/model_io.h"
#include "apps/common/project.h"
#include "apps/common/tensors.h"
#include "apps/common/timing.h"
#include "libruntime/core/io/file.h"
#include "libruntime/thread_pool.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using Json = nlohmann::ordered_json;

struct Options {
  CommonFlags common;
  std::vector<std::string> models, shapes;
  std::string backend, isa, profile, baseline, max_regression;
  int iterations = 0;
};

struct Measured {
  std::string path;
  std::unique_ptr<Session> session;
  double load_ms = 0;
  Timed timed;
};

Result<Measured> open(const std::string& path, const Options& o, const ShapeMap& shapes) {
  Measured m;
  m.path = path;
  const auto start = std::chrono::steady_clock::now();
  LoadOptions load;
  load.shapes = shapes;
  MNN_ASSIGN_OR_RETURN(const LoadedModel loaded, load_any(path, load));
  const auto in_path = [&](const Status& s) { return s.context(path); };
  const auto dims = concrete_input_dims(loaded.model.graph);
  if (!dims.ok()) return in_path(dims.status());
  auto session = open_session(loaded.model.graph, o.common.threads, o.isa, o.backend);
  if (!session.ok()) return in_path(session.status());
  m.session = std::move(session).value();
  const Status prepared = m.session->prepare(*dims);
  if (!prepared.ok()) return in_path(prepared);
  m.load_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  auto inputs = random_inputs(loaded.model.graph, *dims, 1);
  if (!inputs.ok()) return in_path(inputs.status());
  for (size_t i = 0; i < inputs->size(); ++i) {
    std::copy_n((*inputs)[i].raw(), (*inputs)[i].bytes(), m.session->input(i).raw());
  }
  return m;
}

int64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

Json layer_rows(const Session& session) {
  Json rows = Json::array();
  for (const StepProfile& p : session.profile()) {
    const double ms =
        p.calls ? static_cast<double>(p.total_ns) / static_cast<double>(p.calls) / 1e6 : 0;
    rows.push_back({{"op", p.info.op},
                    {"kernel", p.info.kernel},
                    {"backend", p.info.backend},
                    {"origin", p.info.origin},
                    {"shape", p.info.out_dims},
                    {"dtype", p.info.out_dtype},
                    {"ms", ms},
                    {"macs", p.info.macs},
                    {"bytes", p.info.bytes},
                    {"gflops", ms > 0 ? 2e-6 * static_cast<double>(p.info.macs) / ms : 0.0},
                    {"int8", p.info.int8}});
  }
  return rows;
}

// One run after another of the profiled session as a Chrome trace, plus the rows per layer.
Status write_profile(const std::string& path, Session& session) {
  session.set_profiling(true);
  constexpr int kRuns = 10;
  for (int i = 0; i < kRuns; ++i) MNN_RETURN_IF_ERROR(session.run());
  session.set_profiling(false);
  Json trace;
  trace["traceEvents"] = Json::array();
  double at = 0;
  for (const StepProfile& p : session.profile()) {
    const double us =
        p.calls ? static_cast<double>(p.total_ns) / static_cast<double>(p.calls) / 1e3 : 0;
    trace["traceEvents"].push_back(
        {{"name", p.info.origin.empty() ? p.info.op : p.info.origin.front()},
         {"cat", p.info.op},
         {"ph", "X"},
         {"ts", at},
         {"dur", us},
         {"pid", 1},
         {"tid", p.info.backend},
         {"args", {{"kernel", p.info.kernel}}}});
    at += us;
  }
  trace["layers"] = layer_rows(session);
  return write_file(path, trace.dump(1) + "\n");
}

Json result_json(const Measured& m, const Options& o, bool layers) {
  const MemoryInfo memory = m.session->memory();
  const Interval interval = median_interval(m.timed.round_ms);
  Json out;
  out["median_ms"] = median(m.timed.ms);
  out["median_ms_low"] = interval.low;
  out["median_ms_high"] = interval.high;
  out["p90_ms"] = percentile(m.timed.ms, 90);
  out["p99_ms"] = percentile(m.timed.ms, 99);
  out["min_ms"] = percentile(m.timed.ms, 0);
  out["runs_per_second"] = 1e3 / median(m.timed.ms);
  out["iterations"] = m.timed.ms.size();
  out["load_ms"] = m.load_ms;
  out["peak_bytes"] = peak_bytes();
  out["arena_bytes"] = memory.arena_bytes;
  out["weight_bytes"] = memory.weight_bytes;
  out["packed_bytes"] = memory.packed_bytes;
  out["int8_mac_share"] = m.session->int8_mac_share();
  out["threads"] = o.common.threads == 0 ? usable_cpus() : o.common.threads;
  out["isa"] = o.isa.empty() ? available_isas().back() : o.isa;
  out["model"] = m.path;
  if (layers) out["layers"] = layer_rows(*m.session);
  return out;
}

// Fails only when the whole interval lies beyond the limit.
Status judge_baseline(const Options& o, const Measured& m, std::string& line) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(o.baseline));
  const auto* text = reinterpret_cast<const char*>(file.bytes.data());
  const auto old = nlohmann::json::parse(text, text + file.bytes.size(), nullptr, false);
  if (!old.is_object() || !old.contains("median_ms") || !old["median_ms"].is_number()) {
    return invalid(o.baseline + ": expected the --json output of mnn bench for one model");
  }
  const double before = old["median_ms"].get<double>();
  const double before_high = old.value("median_ms_high", before);
  std::string number = o.max_regression;
  if (!number.empty() && number.back() == '%') number.pop_back();
  char* end = nullptr;
  const double percent = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0' || !(percent >= 0)) {
    return usage_error("--max-regression " + o.max_regression +
                       ": expected a percentage such as 5%");
  }
  const Interval now = median_interval(m.timed.round_ms);
  const double limit = before_high * (1 + percent / 100);
  line = "baseline " + format_number(before, 3) + " ms, now " + format_number(now.middle, 3) +
         " ms [" + format_number(now.low, 3) + ", " + format_number(now.high, 3) + "], limit " +
         format_number(limit, 3) + " ms";
  if (now.low > limit) return Status(Code::kThreshold, m.path + ": slower than allowed: " + line);
  return {};
}

Status bench(Options o) {
  MNN_ASSIGN_OR_RETURN(ShapeMap shapes, parse_shapes(o.shapes));
  if (o.models.empty()) {
    MNN_ASSIGN_OR_RETURN(const Project project, read_project("."));
    o.models.push_back(project.path(project.model));
    std::error_code ec;
    if (std::filesystem::exists(project.path(project.quantized), ec)) {
      o.models.push_back(project.path(project.quantized));
    }
    if (shapes.empty()) shapes = project.shapes;
  }
  if (o.models.size() > 1 && !o.baseline.empty()) return usage_error("--baseline takes one model");
  std::vector<Measured> all;
  for (const std::string& path : o.models) {
    MNN_ASSIGN_OR_RETURN(Measured m, open(path, o, shapes));
    all.push_back(std::move(m));
  }
  BenchPlan plan;
  plan.iterations = o.iterations;
  std::vector<Session*> sessions;
  for (Measured& m : all) sessions.push_back(m.session.get());
  MNN_ASSIGN_OR_RETURN(std::vector<Timed> timed, time_sessions(sessions, plan));
  for (size_t i = 0; i < all.size(); ++i) all[i].timed = std::move(timed[i]);
  if (!o.profile.empty()) MNN_RETURN_IF_ERROR(write_profile(o.profile, *all[0].session));
  std::string baseline_line;
  Status judged;
  if (!o.baseline.empty()) judged = judge_baseline(o, all[0], baseline_line);
  if (!judged.ok() && judged.code() != Code::kThreshold) return judged;

  if (o.common.json) {
    Json out = result_json(all[0], o, !o.profile.empty());
    if (all.size() > 1) {
      out = Json::array({out});
      for (size_t i = 1; i < all.size(); ++i) {
        Json row = result_json(all[i], o, false);
        const Interval r = ratio_interval(all[i].timed, all[0].timed);
        row["ratio_to_first"] = {{"ratio", r.middle}, {"low", r.low}, {"high", r.high}};
        out.push_back(row);
      }
    }
    std::cout << out.dump(2) << "\n";
    return judged;
  }
  std::vector<std::vector<std::string>> rows = {
      {"model", "median ms", "p90", "p99", "runs/s", "load ms", "arena", "weights", "packed",
       "int8 MACs", all.size() > 1 ? "time ratio [95 %]" : ""}};
  for (size_t i = 0; i < all.size(); ++i) {
    const Measured& m = all[i];
    const MemoryInfo memory = m.session->memory();
    std::string ratio = i == 0 ? (all.size() > 1 ? "1" : "") : "";
    if (i > 0) {
      const Interval r = ratio_interval(m.timed, all[0].timed);
      ratio = format_number(r.middle, 3) + " [" + format_number(r.low, 3) + ", " +
              format_number(r.high, 3) + "]";
    }
    rows.push_back(
        {m.path, format_number(median(m.timed.ms), 3), format_number(percentile(m.timed.ms, 90), 3),
         format_number(percentile(m.timed.ms, 99), 3), format_number(1e3 / median(m.timed.ms), 1),
         format_number(m.load_ms, 1), format_bytes(memory.arena_bytes),
         format_bytes(memory.weight_bytes), format_bytes(memory.packed_bytes),
         format_number(100 * m.session->int8_mac_share(), 1) + " %", ratio});
  }
  std::cout << format_table(rows, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  if (!baseline_line.empty()) std::cout << baseline_line << "\n";
  if (!o.profile.empty()) {
    std::vector<std::vector<std::string>> layers = {
        {"ms", "GFLOP/s", "kernel", "op", "output", "layer"}};
    std::vector<StepProfile> profile = all[0].session->profile();
    std::stable_sort(
        profile.begin(), profile.end(),
        [](const StepProfile& a, const StepProfile& b) { return a.total_ns > b.total_ns; });
    for (size_t i = 0; i < std::min<size_t>(profile.size(), 25); ++i) {
      const StepProfile& p = profile[i];
      const double ms =
          p.calls ? static_cast<double>(p.total_ns) / static_cast<double>(p.calls) / 1e6 : 0;
      layers.push_back(
          {format_number(ms, 3),
           p.info.macs && ms > 0 ? format_number(2e-6 * static_cast<double>(p.info.macs) / ms, 1)
                                 : "",
           p.info.kernel, p.info.op, p.info.out_dtype + shape_str(to_shape(p.info.out_dims)),
           p.info.origin.empty() ? "" : p.info.origin.front()});
    }
    std::cout << "\n" << format_table(layers, {0, 1}) << "All layers: " << o.profile << "\n";
  }
  return judged;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Measures latency (median, p90, p99), throughput, memory and load time. Several models are "
      "run in "
      "turn and compared. In a project folder no model is needed.",
      "mnn bench");
  Options o;
  app.add_option("MODEL", o.models, "One model or more");
  add_shape_flag(app, o.shapes);
  app.add_option("--iterations", o.iterations,
                 "Exactly this many timed runs (default: about one second)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  app.add_option("--backend", o.backend, "Backend to prefer")
      ->check(CLI::IsMember(backend_names()));
  app.add_option("--isa", o.isa, "Force an instruction set")
      ->check(CLI::IsMember(available_isas()));
  app.add_option("--profile", o.profile, "Time each layer; write a Chrome trace with the rows")
      ->type_name("FILE");
  auto* baseline =
      app.add_option("--baseline", o.baseline, "An earlier --json result to compare with")
          ->type_name("FILE");
  o.max_regression = "5%";
  app.add_option("--max-regression", o.max_regression,
                 "Exit 3 when slower than the baseline by more")
      ->type_name("PERCENT")
      ->needs(baseline)
      ->capture_default_str();
  add_common_flags(app, o.common, "mnn bench model.mnn model.int8.mnn --threads 2");
  return run_command(app, o.common, argc, argv, [&] { return bench(o); });
}
