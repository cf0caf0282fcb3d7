#include "apps/flows/bench.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "apps/flows/check.h"
#include "apps/flows/run_facts.h"
#include "apps/flows/tensors.h"
#include "libruntime/compile/backend.h"
#include "libruntime/core/io/file.h"
#include "libruntime/core/metrics.h"
#include "libruntime/kernels/isa.h"
#include "libruntime/kernels/kernel_table.h"
#include "libruntime/report/format.h"
#include "libruntime/report/json_text.h"
#include "libruntime/thread_pool.h"

namespace mnn::flows {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

// A figure of /proc/self/status such as VmRSS, in bytes; 0 when there is none.
int64_t process_bytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":")) return std::atoll(line.c_str() + key.size() + 1) * 1024;
  }
  return 0;
}

// The peak since the last call of start(): all of the process when the system cannot tell.
class PeakMemory {
 public:
  void start() {
    std::ofstream("/proc/self/clear_refs") << "5";
    before_ = process_bytes("VmRSS");
    if (first_ == 0) first_ = before_;
  }
  int64_t read() const {
    const int64_t peak = process_bytes("VmHWM");
    if (peak > 0) return first_ + std::max<int64_t>(0, peak - before_);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<int64_t>(usage.ru_maxrss) * 1024;
  }

 private:
  int64_t first_ = 0, before_ = 0;
};

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// What `work` counts from here on goes into a BenchStart.
BenchStart start_since(const DeviceWork& before, const DeviceWork& now) {
  BenchStart s;
  s.compile_ms = static_cast<double>(now.kernel_ns - before.kernel_ns) / 1e6;
  s.upload_ms = static_cast<double>(now.upload_ns - before.upload_ns) / 1e6;
  s.kernels_compiled = now.kernels_compiled - before.kernels_compiled;
  s.kernels_cached = now.kernels_cached - before.kernels_cached;
  return s;
}

// A folder that is the cache of kernels while this lives.
class EmptyCache {
 public:
  EmptyCache() {
    const char* given = std::getenv("MNN_CACHE_DIR");
    if (given != nullptr) before_ = given;
    std::string pattern = (std::filesystem::temp_directory_path() / "mnn_cache_XXXXXX").string();
    if (mkdtemp(pattern.data()) != nullptr) folder_ = pattern;
    setenv("MNN_CACHE_DIR", folder_.c_str(), 1);
  }
  ~EmptyCache() {
    if (before_) {
      setenv("MNN_CACHE_DIR", before_->c_str(), 1);
    } else {
      unsetenv("MNN_CACHE_DIR");
    }
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }
  EmptyCache(const EmptyCache&) = delete;
  EmptyCache& operator=(const EmptyCache&) = delete;

 private:
  std::optional<std::string> before_;
  std::string folder_;
};

// The start of a session with everything opened anew.
Result<BenchStart> start_anew(const Graph& graph, const std::vector<Tensor>& inputs,
                              const std::string& name, const BenchSettings& settings) {
  MNN_ASSIGN_OR_RETURN(const auto engine, open_engine(settings.threads, settings.isa));
  MNN_ASSIGN_OR_RETURN(const Backend* const backend, engine->backend(name));
  MNN_RETURN_IF_ERROR(backend->device().status());
  std::vector<std::vector<int64_t>> dims;
  for (const Tensor& t : inputs) dims.push_back(t.dims());
  const Clock::time_point start = Clock::now();
  MNN_ASSIGN_OR_RETURN(const auto session, open_session(graph, engine, {name}));
  MNN_RETURN_IF_ERROR(session->prepare(dims));
  BenchStart s = start_since({}, backend->work());
  s.prepare_ms = ms_since(start);
  const Clock::time_point first = Clock::now();
  MNN_RETURN_IF_ERROR(session->run(inputs).status());
  s.first_run_ms = ms_since(first);
  return s;
}

Result<BenchModel> open_model(const std::string& path, const std::string& backend,
                              const BenchSettings& settings, std::shared_ptr<Engine> engine,
                              PeakMemory& memory) {
  BenchModel m;
  m.path = m.label = path;
  m.backend = backend;
  if (settings.backends.size() > 1) m.label += " (" + backend + ")";
  MNN_ASSIGN_OR_RETURN(const Backend* const opened, engine->backend(backend));
  MNN_ASSIGN_OR_RETURN(const DeviceInfo* const device, opened->device());
  m.device = device->text;
  const DeviceWork before = opened->work();
  memory.start();
  const Clock::time_point start = Clock::now();
  LoadOptions load;
  load.shapes = settings.shapes;
  load.import_keys = settings.import_keys;
  MNN_ASSIGN_OR_RETURN(const LoadedModel loaded, load_any(path, load));
  const auto in_path = [&](const Status& s) { return s.context(path); };
  const auto dims = concrete_input_dims(loaded.model.graph);
  if (!dims.ok()) return in_path(dims.status());
  BackendChoice choice({backend});
  choice.fallback = settings.fallback;
  const Clock::time_point prepare = Clock::now();
  auto session = open_session(loaded.model.graph, std::move(engine), choice);
  if (!session.ok()) return in_path(session.status());
  m.session = std::move(session).value();
  const Status prepared = m.session->prepare(*dims);
  if (!prepared.ok()) return in_path(prepared);
  m.load_ms = ms_since(start);
  if (!device->host_memory) {
    m.start = start_since(before, opened->work());
    m.start->prepare_ms = ms_since(prepare);
  }
  auto inputs = random_inputs(loaded.model.graph, *dims, 1);
  if (!inputs.ok()) return in_path(inputs.status());
  for (size_t i = 0; i < inputs->size(); ++i) {
    std::copy_n((*inputs)[i].raw(), (*inputs)[i].bytes(), m.session->input(i).raw());
  }
  const Clock::time_point first = Clock::now();
  const Status ran = m.session->run();
  if (!ran.ok()) return in_path(ran);
  m.first_run_ms = ms_since(first);
  m.peak_bytes = memory.read();
  if (!m.start) return m;
  m.start->first_run_ms = m.first_run_ms;
  if (!settings.cold) return m;
  const EmptyCache cache;
  MNN_ASSIGN_OR_RETURN(m.cold, start_anew(loaded.model.graph, *inputs, backend, settings));
  MNN_ASSIGN_OR_RETURN(m.warm, start_anew(loaded.model.graph, *inputs, backend, settings));
  return m;
}

// One run step by step.
Result<BenchParts> measure_parts(BenchModel& m) {
  m.session->set_profiling(true);
  const Status ran = m.session->run();
  m.session->set_profiling(false);
  MNN_RETURN_IF_ERROR(ran);
  BenchParts parts;
  for (const StepProfile& p : m.session->profile()) {
    const double ms = p.calls > 0 ? static_cast<double>(p.total_ns) / 1e6 : 0;
    if (p.info.op == "Transfer") {
      (p.info.kernel == "upload" ? parts.up_ms : parts.down_ms) += ms;
    } else if (p.info.backend == m.backend) {
      parts.device_ms += ms;
    }
  }
  return parts;
}

double step_ms(const StepProfile& p) {
  return p.calls ? static_cast<double>(p.total_ns) / static_cast<double>(p.calls) / 1e6 : 0;
}

// 10^9 additions and multiplications a second; 0 where there are none.
double giga_ops(const StepProfile& p) {
  const double ms = step_ms(p);
  return ms > 0 ? 2e-6 * static_cast<double>(p.info.macs) / ms : 0;
}

Json layer_rows(const Session& session) {
  Json rows = Json::array();
  for (const StepProfile& p : session.profile()) {
    rows.push_back({{"name", p.info.name},
                    {"op", p.info.op},
                    {"kernel", p.info.kernel},
                    {"backend", p.info.backend},
                    {"origin", p.info.origin},
                    {"shape", p.info.out_dims},
                    {"dtype", p.info.out_dtype},
                    {"ms", step_ms(p)},
                    {"macs", p.info.macs},
                    {"bytes", p.info.bytes},
                    {"gflops", giga_ops(p)},
                    {"form", form_name(p.info.form)},
                    {"int8", is_int8(p.info.form)}});
  }
  return rows;
}

// The largest max|y-r| / max|r| of the outputs of two sessions that have run.
double difference_of(const Session& reference, const Session& test) {
  double most = 0;
  for (size_t i = 0; i < reference.graph().outputs.size(); ++i) {
    ErrorSums sums;
    if (sums.add_or_miss(reference.output(i), test.output(i)).ok()) {
      most = std::max(most, metrics_of(sums).max_rel);
    }
  }
  return most;
}

// Who computes: the share of the MACs of each backend, of the steps where there are none.
std::map<std::string, double> backend_shares(const Session& session) {
  std::map<std::string, std::pair<double, double>> all;
  double macs = 0, steps = 0;
  for (const StepInfo& s : session.steps()) {
    if (s.op == "Transfer") continue;
    all[s.backend].first += static_cast<double>(s.macs);
    all[s.backend].second += 1;
    macs += static_cast<double>(s.macs);
    steps += 1;
  }
  std::map<std::string, double> out;
  for (const auto& [name, of] : all) out[name] = macs > 0 ? of.first / macs : of.second / steps;
  return out;
}

Json start_json(const BenchStart& s) {
  return {{"prepare_ms", s.prepare_ms},
          {"compile_ms", s.compile_ms},
          {"upload_ms", s.upload_ms},
          {"first_run_ms", s.first_run_ms},
          {"kernels_compiled", s.kernels_compiled},
          {"kernels_cached", s.kernels_cached}};
}

Json model_json(const BenchModel& m, const BenchSettings& settings) {
  const MemoryInfo memory = m.session->memory();
  const Interval interval = median_interval(m.timed.round_ms);
  Json out;
  out["median_ms"] = median(m.timed.ms);
  out["median_ms_low"] = interval.low;
  out["median_ms_high"] = interval.high;
  out["p90_ms"] = percentile(m.timed.ms, 90);
  out["p99_ms"] = percentile(m.timed.ms, 99);
  out["min_ms"] = percentile(m.timed.ms, 0);
  out["runs_per_second"] = runs_per_second(m.timed);
  out["iterations"] = m.timed.ms.size();
  out["wall_ms"] = m.timed.wall_ms;
  out["load_ms"] = m.load_ms;
  out["peak_bytes"] = m.peak_bytes;
  out["arena_bytes"] = memory.arena_bytes;
  out["weight_bytes"] = memory.weight_bytes;
  out["packed_bytes"] = memory.packed_bytes;
  out["int8_mac_share"] = m.session->int8_mac_share();
  out["threads"] = used_threads(settings);
  out["isa"] = used_isa(settings);
  out["backend"] = m.backend;
  out["device"] = m.device;
  out["backend_shares"] = backend_shares(*m.session);
  out["first_run_ms"] = m.first_run_ms;
  if (memory.device_bytes > 0) out["device_bytes"] = memory.device_bytes;
  if (m.start) {
    out.update(start_json(*m.start));
    out["cache"] = m.start->kernels_compiled == 0 ? "warm"
                   : m.start->kernels_cached == 0 ? "cold"
                                                  : "partly warm";
    out["wait_ms"] = m.wait_ms;
  }
  if (m.parts) {
    out["transfer_up_ms"] = m.parts->up_ms;
    out["transfer_down_ms"] = m.parts->down_ms;
    out["device_ms"] = m.parts->device_ms;
  }
  if (m.cold) out["cold_start"] = start_json(*m.cold);
  if (m.warm) out["warm_start"] = start_json(*m.warm);
  if (settings.backends.size() > 1) out["max_rel_to_first"] = m.difference;
  out["model"] = m.path;
  add_run_facts(out);
  return out;
}

}  // namespace

Result<BenchRows> measure(const std::vector<std::string>& paths, const BenchSettings& settings) {
  BenchRows rows;
  std::vector<BenchModel>& models = rows.models;
  Status refused;
  MNN_ASSIGN_OR_RETURN(const auto engine, open_engine(settings.threads, settings.isa));
  MNN_ASSIGN_OR_RETURN(const auto keys, share_import_keys(paths, settings.import_keys));
  PeakMemory memory;
  for (size_t i = 0; i < paths.size(); ++i) {
    BenchSettings own = settings;
    own.import_keys = keys[i];
    const size_t first = models.size();
    for (const std::string& backend : settings.backends) {
      Result<BenchModel> m = open_model(paths[i], backend, own, engine, memory);
      if (!m.ok()) {
        const bool others = settings.backends.size() > 1;
        if (!others || m.status().code() == Code::kUsage) {
          return m.status();
        }
        if (refused.ok()) refused = m.status();
        rows.refused.push_back(
            {paths[i], backend, paths[i] + " (" + backend + ")", m.status().message()});
        continue;
      }
      if (first < models.size()) m->difference = difference_of(*models[first].session, *m->session);
      models.push_back(std::move(m).value());
    }
  }
  if (models.empty()) return refused;
  std::vector<Session*> sessions;
  for (BenchModel& m : models) sessions.push_back(m.session.get());
  MNN_ASSIGN_OR_RETURN(std::vector<Timed> timed, time_sessions(sessions, settings.plan));
  for (size_t i = 0; i < models.size(); ++i) {
    BenchModel& m = models[i];
    m.timed = std::move(timed[i]);
    if (!m.start) continue;
    const int64_t before = m.session->waited_ns();
    constexpr int kRuns = 3;
    for (int k = 0; k < kRuns; ++k) MNN_RETURN_IF_ERROR(m.session->run());
    m.wait_ms = static_cast<double>(m.session->waited_ns() - before) / kRuns / 1e6;
    MNN_ASSIGN_OR_RETURN(m.parts, measure_parts(m));
  }
  return rows;
}

int used_threads(const BenchSettings& settings) {
  return settings.threads == 0 ? usable_cpus() : settings.threads;
}
std::string used_isa(const BenchSettings& settings) {
  const Result<const KernelTable*> table =
      find_kernels(settings.isa);  // MNN_CPU_ISA may have chosen
  return table.ok() ? std::string((*table)->isa) : settings.isa;
}

Status profile(const std::vector<BenchModel>& models) {
  constexpr int kRuns = 10;
  for (const BenchModel& m : models) {
    m.session->set_profiling(true);
    for (int i = 0; i < kRuns; ++i) MNN_RETURN_IF_ERROR(m.session->run());
    m.session->set_profiling(false);
  }
  return {};
}

std::string bench_json(const BenchRows& rows, const BenchSettings& settings, bool layers,
                       const std::vector<std::optional<Baseline>>& baselines,
                       const std::vector<BenchCheck>& checks) {
  const std::vector<BenchModel>& models = rows.models;
  Json all = Json::array();
  for (const BenchModel& m : models) {
    Json row = model_json(m, settings);
    if (&m != &models[0]) {
      const Interval r = ratio_interval(m.timed, models[0].timed);
      row["ratio_to_first"] = {{"ratio", r.middle}, {"low", r.low}, {"high", r.high}};
    }
    const size_t at = static_cast<size_t>(&m - models.data());
    if (at < baselines.size() && baselines[at]) {
      const Baseline* baseline = &*baselines[at];
      row["baseline"] = {{"before_ms", baseline->before_ms},
                         {"limit_ms", baseline->limit_ms},
                         {"regressed", baseline->regressed},
                         {"mismatches", baseline->mismatches}};
    }
    if (&m == &models.back()) {
      for (const BenchCheck& c : checks) {
        row["checks"].push_back(
            {{"name", c.name}, {"figures", c.figures}, {"passed", c.missed.empty()}});
      }
    }
    if (layers) row["layers"] = layer_rows(*m.session);
    all.push_back(row);
  }
  for (const BenchRefusal& r : rows.refused) {
    all.push_back({{"model", r.path}, {"backend", r.backend}, {"refused", r.why}});
  }
  return json_text(all.size() == 1 ? all[0] : all);
}

std::string bench_table(const std::vector<BenchModel>& models, size_t width) {
  std::vector<std::vector<std::string>> rows = {
      {"model", "median ms", "p90", "p99", "runs/s", "load ms", "peak", "arena", "weights",
       "packed", "int8 MACs", models.size() > 1 ? "time ratio [95 %]" : ""}};
  for (const BenchModel& m : models) {
    const MemoryInfo memory = m.session->memory();
    std::string ratio = models.size() > 1 ? "1" : "";
    if (&m != &models[0]) {
      const Interval r = ratio_interval(m.timed, models[0].timed);
      ratio = format_number(r.middle, 3) + " [" + format_number(r.low, 3) + ", " +
              format_number(r.high, 3) + "]";
    }
    rows.push_back({m.label, format_number(median(m.timed.ms), 3),
                    format_number(percentile(m.timed.ms, 90), 3),
                    format_number(percentile(m.timed.ms, 99), 3),
                    format_number(runs_per_second(m.timed), 1), format_number(m.load_ms, 1),
                    format_bytes(m.peak_bytes), format_bytes(memory.arena_bytes),
                    format_bytes(memory.weight_bytes), format_bytes(memory.packed_bytes),
                    format_percent(m.session->int8_mac_share(), 1) + " %", ratio});
  }
  return format_table(rows,
                      {.right = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, .head = true, .width = width});
}

std::string refused_text(const std::vector<BenchRefusal>& refused) {
  std::string out;
  for (const BenchRefusal& r : refused) out += r.label + ": not run: " + r.why + "\n";
  return out;
}

std::string bench_verdict(const std::vector<BenchModel>& models) {
  const auto text = [](const Interval& i, int decimals) {
    return format_number(i.middle, decimals) + " [" + format_number(i.low, decimals) + ", " +
           format_number(i.high, decimals) + "]";
  };
  std::string out;
  for (const BenchModel& m : models) {
    out += m.label + ": " + text(median_interval(m.timed.round_ms), 3) + " ms";
    if (&m != &models[0])
      out += ", " + text(ratio_interval(m.timed, models[0].timed), 3) + " of " + models[0].label;
    out += "\n";
  }
  return out;
}

namespace {

// ", backend cpu"; of others with their devices, and with what of the MACs they compute.
std::string backend_text(const std::vector<BenchModel>& models, const BenchSettings& settings) {
  if (settings.backends == std::vector<std::string>{"cpu"}) return ", backend cpu";
  std::string out;
  for (const BenchModel& m : models) {
    out += "\n" + m.label + ": backend " + m.backend + " on " + m.device + ", ";
    for (const auto& [name, share] : backend_shares(*m.session)) {
      out += name + " " + format_percent(share, 1) + " % ";
    }
    out += "of the MACs";
    if (settings.backends.size() > 1) {
      out += ", outputs within " + format_number(m.difference, 9) + " of the first";
    }
    const auto start_text = [](const BenchStart& s) {
      return "prepared in " + format_number(s.prepare_ms, 1) + " ms, of it kernels " +
             format_number(s.compile_ms, 1) + " (" + std::to_string(s.kernels_compiled) +
             " compiled, " + std::to_string(s.kernels_cached) + " from the cache), constants " +
             format_number(s.upload_ms, 1) + "; first run " + format_number(s.first_run_ms, 1) +
             " ms";
    };
    if (m.start) out += "\n  " + start_text(*m.start);
    if (m.cold) out += "\n  cold: " + start_text(*m.cold);
    if (m.warm) out += "\n  warm: " + start_text(*m.warm);
    if (m.parts) {
      out += "\n  a run: copies to the device " + format_number(m.parts->up_ms, 3) +
             " ms, kernels " + format_number(m.parts->device_ms, 3) + ", copies back " +
             format_number(m.parts->down_ms, 3) + "; waiting " + format_number(m.wait_ms, 3);
    }
  }
  return out;
}

}  // namespace

std::string measured_with(const std::vector<BenchModel>& models, const BenchSettings& settings) {
  const int threads = used_threads(settings);
  return std::to_string(threads) + (threads == 1 ? " thread" : " threads") +
         (settings.threads == 0 ? " (all this process may use)" : "") + ", " + used_isa(settings) +
         backend_text(models, settings);
}

std::string layer_table(const BenchModel& model, size_t max_rows, size_t width) {
  std::vector<std::vector<std::string>> rows = {
      {"layer", "ms", "share", "op", "form", "GFLOP/s", "bytes", "output", "kernel", "backend"}};
  std::vector<StepProfile> steps = model.session->profile();
  double total = 0;
  for (const StepProfile& p : steps) total += step_ms(p);
  std::stable_sort(steps.begin(), steps.end(), [](const StepProfile& a, const StepProfile& b) {
    return a.total_ns > b.total_ns;
  });
  for (size_t i = 0; i < std::min(steps.size(), max_rows); ++i) {
    const StepProfile& p = steps[i];
    rows.push_back({p.info.name, format_number(step_ms(p), 3),
                    total > 0 ? format_number(100 * step_ms(p) / total, 1) + " %" : "", p.info.op,
                    p.info.macs ? std::string(form_name(p.info.form)) : "",
                    p.info.macs ? format_number(giga_ops(p), 1) : "", format_bytes(p.info.bytes),
                    p.info.out_dtype + shape_str(to_shape(p.info.out_dims)), p.info.kernel,
                    p.info.backend});
  }
  return format_table(rows, {.right = {1, 2, 5, 6}, .head = true, .width = width});
}

std::string trace_json(const std::vector<BenchModel>& models) {
  Json events = Json::array();
  Json out_models = Json::array();
  for (size_t i = 0; i < models.size(); ++i) {
    const BenchModel& m = models[i];
    const size_t pid = i + 1;
    events.push_back({{"name", "process_name"},
                      {"ph", "M"},
                      {"pid", pid},
                      {"tid", 0},
                      {"args", {{"name", m.path}}}});
    std::vector<std::string> backends;
    double at = 0;
    for (const StepProfile& p : m.session->profile()) {
      const double us = step_ms(p) * 1e3;
      auto backend = std::find(backends.begin(), backends.end(), p.info.backend);
      if (backend == backends.end()) {
        backend = backends.insert(backends.end(), p.info.backend);
        events.push_back({{"name", "thread_name"},
                          {"ph", "M"},
                          {"pid", pid},
                          {"tid", backends.size()},
                          {"args", {{"name", p.info.backend}}}});
      }
      events.push_back({{"name", p.info.name.empty() ? p.info.op : p.info.name},
                        {"cat", p.info.op},
                        {"ph", "X"},
                        {"ts", at},
                        {"dur", us},
                        {"pid", pid},
                        {"tid", backend - backends.begin() + 1},
                        {"args", {{"kernel", p.info.kernel}, {"gflops", giga_ops(p)}}}});
      at += us;
    }
    out_models.push_back({{"model", m.path}, {"layers", layer_rows(*m.session)}});
  }
  Json out = {{"traceEvents", events}, {"displayTimeUnit", "ms"}};
  if (models.size() == 1) {
    out["layers"] = out_models[0]["layers"];
  } else {
    out["models"] = out_models;
  }
  return out.dump(1) + "\n";
}

}  // namespace mnn::flows
