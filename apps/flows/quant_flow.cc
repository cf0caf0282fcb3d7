#include "apps/flows/quant_flow.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/flows/check.h"
#include "apps/flows/file_roles.h"
#include "apps/flows/model_io.h"
#include "apps/flows/quant_junit.h"
#include "apps/flows/recipe.h"
#include "apps/flows/run_facts.h"
#include "apps/flows/samples.h"
#include "apps/flows/stats_flow.h"
#include "apps/flows/thumbnail.h"
#include "libquant/report/evaluations_file.h"
#include "libquant/weight_only.h"
#include "libruntime/core/io/file.h"
#include "libruntime/report/format.h"
#include "libruntime/report/html.h"
#include "libruntime/report/json_text.h"

namespace mnn::flows {
namespace {

// As long as what tells of a mix gets.
constexpr size_t kMethodBytes = 96;

Result<CalibrationMethod> parse_method(const std::string& name) {
  if (name == "auto") return CalibrationMethod::kAuto;
  if (name == "minmax") return CalibrationMethod::kMinMax;
  if (name == "percentile") return CalibrationMethod::kPercentile;
  if (name == "kl") return CalibrationMethod::kKl;
  if (name == "mse") return CalibrationMethod::kMse;
  return usage_error("--method " + name + ": expected auto, minmax, percentile, kl or mse");
}

// What of a model is quantized before it comes here; empty when nothing is.
std::string quantized_already(const Graph& graph) {
  constexpr std::array<std::string_view, 5> kOps = {"QuantizeLinear", "DequantizeLinear",
                                                    "DynamicQuantizeLinear", "MatMulInteger",
                                                    "ConvInteger"};
  size_t values = 0, nodes = 0;
  for (const Value& v : graph.values) values += v.quant ? 1 : 0;
  for (const Node& n : graph.nodes) {
    nodes += std::find(kOps.begin(), kOps.end(), n.op) != kOps.end() ? 1 : 0;
  }
  if (values + nodes == 0) return {};
  return "the model is quantized already (" + std::to_string(values) + " values, " +
         std::to_string(nodes) + " operators); quantize the float model it was made from";
}

Result<std::string> read_text(const std::string& path) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  return std::string(reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size());
}

// What the user's program says of `test`, judged on the samples of `report`.
Result<double> evaluate(const QuantFlow& flow, const Graph& reference, const Graph& test,
                        const SampleSource& source, const QuantReport& report) {
  MNN_ASSIGN_OR_RETURN(const auto ref_session, open_session(reference, flow.threads));
  MNN_ASSIGN_OR_RETURN(const auto test_session, open_session(test, flow.threads));
  MNN_ASSIGN_OR_RETURN(Evaluation evaluation, Evaluation::create());
  for (const SampleError& sample : report.samples.samples) {
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, source.load(sample.index));
    ref_session->reset_states();
    test_session->reset_states();
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> want, ref_session->run(inputs));
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> have, test_session->run(inputs));
    MNN_RETURN_IF_ERROR(evaluation.add(reference, sample.name, want, have));
  }
  return evaluation.run(flow.eval);
}

// What samples that nobody has seen may be worse by, in dB: one standard error of the held-back
// samples' SNR at the slice that is worst on average. At most 3.
double unseen_margin_db(const SampleErrors& errors) {
  constexpr double kMost = 3;
  const auto n = static_cast<double>(errors.samples.size());
  if (n < 2) return 0;
  double worst = kExactSnrDb, margin = 0;
  for (size_t slice = 0; slice < errors.slice_names.size(); ++slice) {
    double sum = 0, squares = 0;
    for (const SampleError& s : errors.samples) {
      if (slice >= s.slice_snr_db.size()) return 0;
      sum += s.slice_snr_db[slice];
      squares += s.slice_snr_db[slice] * s.slice_snr_db[slice];
    }
    const double mean = sum / n;
    if (mean >= worst) continue;
    worst = mean;
    margin = std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1));
  }
  return std::min(margin, kMost);
}

// What the evaluations of a run depend on: the model, the samples, everything that was asked for.
Result<std::map<std::string, std::string>> identity_of(const QuantFlow& flow,
                                                       const Thresholds& thresholds,
                                                       const Model& model, const Graph& graph,
                                                       const Samples& samples,
                                                       const Samples& held) {
  std::map<std::string, std::string> identity;
  const std::vector<std::byte> bytes = serialize_model(model);
  identity["model"] = sha256_hex(bytes);
  MNN_ASSIGN_OR_RETURN(const std::string calibration, describe_data(samples, graph));
  MNN_ASSIGN_OR_RETURN(const std::string holdout, describe_data(held, graph));
  const std::string data = calibration + holdout;
  identity["samples"] = sha256_hex(std::as_bytes(std::span(data)));
  const auto number = [](const auto& v) { return v ? nlohmann::json(*v) : nlohmann::json(); };
  const nlohmann::json settings = {flow.scheme,
                                   flow.method,
                                   flow.weight_scale,
                                   flow.overflow_fix,
                                   flow.level,
                                   number(flow.group_size),
                                   number(flow.symmetric),
                                   flow.layers,
                                   flow.keep_float,
                                   flow.output_slices,
                                   flow.metrics,
                                   flow.eval.command,
                                   flow.promote,
                                   number(thresholds.min_cosine),
                                   number(thresholds.min_snr),
                                   number(thresholds.min_sample_snr),
                                   number(thresholds.min_eval),
                                   number(thresholds.min_metric),
                                   number(thresholds.max_size),
                                   number(flow.max_int8_ratio),
                                   number(thresholds.max_latency)};
  const std::string text = settings.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  identity["settings"] = sha256_hex(std::as_bytes(std::span(text)));
  identity["tool"] = run_facts().tool;
  return identity;
}

// What a page begins with.
std::string facts_html(const QuantOutcome& outcome) {
  std::vector<std::vector<std::string>> rows = {
      {"verdict", outcome.verdict.ok() ? "passed" : "failed"},
      {"file", format_bytes(outcome.file_bytes)},
      {"made by", run_facts().tool}};
  if (!run_facts().command.empty()) rows.push_back({"command", run_facts().command});
  for (const Judgement& j : outcome.judgements) {
    if (j.limit.empty() && j.failure.empty()) continue;
    rows.push_back({j.name + (j.limit.empty() ? "" : " " + j.limit),
                    j.failure.empty() ? "reached: " + j.figures : "missed: " + j.failure});
  }
  return html_table({}, rows);
}

}  // namespace

Result<std::string> describe_data(const Samples& samples, const Graph& graph) {
  std::string digests;
  nlohmann::json dims = nlohmann::json::object();
  for (size_t i = 0; i < samples.names.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, samples.load(i));
    for (size_t k = 0; k < inputs.size(); ++k) {
      digests += sha256_hex({inputs[k].raw(), static_cast<size_t>(inputs[k].bytes())});
      if (i == 0) dims[graph.value(graph.inputs[k]).name] = inputs[k].dims();
    }
  }
  const nlohmann::json data = {{"sha256", sha256_hex(std::as_bytes(std::span(digests)))},
                               {"dims", dims}};
  return data.dump();
}

std::string outcome_json(const QuantOutcome& outcome) {
  auto out = nlohmann::ordered_json::parse(report_json(outcome.report));
  out["bytes"] = outcome.file_bytes;
  out.update(verdict_json(outcome.judgements));
  add_run_facts(out);
  return json_text(out);
}

Status check_quant_report_name(const std::string& path) {
  for (const char* end : {".json", ".html", ".xml", ".csv"}) {
    if (path.ends_with(end)) return {};
  }
  return usage_error("--report " + path + ": expected a name ending in .json, .html, .xml or .csv");
}

Result<LayerRule> parse_layer_rule(const std::string& text) {
  const size_t at = text.rfind('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size())
    return usage_error("--layer " + text + ": expected PATTERN=scheme");
  return LayerRule{text.substr(0, at), text.substr(at + 1)};
}

// What belongs to one kind of scheme says nothing about the other.
Status check_scheme_flags(const QuantFlow& flow) {
  MNN_ASSIGN_OR_RETURN(const int bits, weight_only_bits(flow.scheme));
  if (!flow.stats.empty()) MNN_RETURN_IF_ERROR(check_stats_flags(flow));
  const auto refuse = [&](bool given, const std::string& flag, const char* of) -> Status {
    if (!given) return {};
    return usage_error(flag + " is of " + of + ", not of --scheme " + flow.scheme);
  };
  if (flow.scheme != "mixed")
    MNN_RETURN_IF_ERROR(refuse(flow.max_int8_ratio.has_value(), "a --max-size in int8", "mixed"));
  const bool mixed = flow.scheme == "mixed" || !flow.layers.empty();
  if (mixed || bits == 0)
    MNN_RETURN_IF_ERROR(refuse(flow.low_rank != 0, "--low-rank", "weight-only schemes (w8 to w2)"));
  if (mixed || bits > 0) MNN_RETURN_IF_ERROR(refuse(flow.try_fixes, "--try-fixes", "int8 alone"));
  if (mixed) {
    constexpr const char* kOf = "int8 alone";
    MNN_RETURN_IF_ERROR(refuse(flow.promote, "--try", "int8 and weight-only schemes"));
    MNN_RETURN_IF_ERROR(refuse(!flow.import_scheme.empty(), "--import-scheme", kOf));
    return refuse(!flow.export_scheme.empty(), "--export-scheme", kOf);
  }
  if (bits == 0) {
    constexpr const char* kOf = "weight-only schemes (w8 to w2) and mixed";
    MNN_RETURN_IF_ERROR(refuse(flow.group_size.has_value(), "--group-size", kOf));
    MNN_RETURN_IF_ERROR(refuse(flow.symmetric.has_value(), "--zero-points", kOf));
    MNN_RETURN_IF_ERROR(refuse(flow.int8_activations, "--activations", kOf));
    return refuse(flow.level != "default", "--level", kOf);
  }
  constexpr const char* kOf = "int8 and mixed";
  MNN_RETURN_IF_ERROR(refuse(flow.method != "auto", "--method", kOf));
  MNN_RETURN_IF_ERROR(refuse(flow.weight_scale != "absmax", "--weight-scale", kOf));
  MNN_RETURN_IF_ERROR(refuse(flow.overflow_fix != "auto", "--overflow-fix", kOf));
  MNN_RETURN_IF_ERROR(refuse(!flow.resume.empty(), "--resume", kOf));
  MNN_RETURN_IF_ERROR(refuse(!flow.import_scheme.empty(), "--import-scheme", "int8"));
  return refuse(!flow.export_scheme.empty(), "--export-scheme", "int8");
}

Result<QuantOutcome> run_quant_flow(const QuantFlow& flow, const Events& events) {
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& r : flow.reports) MNN_RETURN_IF_ERROR(check_quant_report_name(r));
  QuantOptions options;
  options.scheme = flow.scheme;
  options.group_size = flow.group_size;
  options.symmetric = flow.symmetric;
  options.int8_activations = flow.int8_activations;
  options.level = flow.level == "fast"   ? QuantOptions::Level::kFast
                  : flow.level == "best" ? QuantOptions::Level::kBest
                                         : QuantOptions::Level::kDefault;
  options.low_rank = flow.low_rank;
  options.keep_float = flow.keep_float;
  for (const std::string& text : flow.layers) {
    MNN_ASSIGN_OR_RETURN(LayerRule rule, parse_layer_rule(text));
    options.layers.push_back(std::move(rule));
  }
  MNN_RETURN_IF_ERROR(check_scheme_flags(flow));
  MNN_ASSIGN_OR_RETURN(options.method, parse_method(flow.method));
  if (flow.weight_scale == "mse") options.weight_scale = WeightScale::kMse;
  if (flow.overflow_fix == "on") options.overflow_fix = OverflowFix::kOn;
  if (flow.overflow_fix == "off") options.overflow_fix = OverflowFix::kOff;
  options.threads = flow.threads;
  options.output_slices = flow.output_slices;
  options.metrics = flow.metrics;
  options.try_fixes = flow.try_fixes;
  options.layer_times = flow.layer_times;
  options.distributions =
      std::ranges::any_of(flow.reports, [](const auto& r) { return r.ends_with(".html"); });
  if (flow.thresholds.min_eval && flow.eval.command.empty())
    return usage_error("a threshold for --eval needs --eval");
  if (flow.thresholds.min_metric && flow.metrics.empty())
    return usage_error("a threshold for --metric needs --metric");
  if (flow.promote && !flow.thresholds.accuracy())
    return usage_error("--try needs a goal: --gate or a threshold");
  options.progress = events.progress;
  LoadOptions load;
  load.shapes = flow.shapes;
  load.import_keys = flow.import_keys;
  MNN_ASSIGN_OR_RETURN(LoadedModel loaded, load_any(flow.model, load));
  const Graph& graph = loaded.model.graph;
  auto open_source = [&](const std::string& path, SampleSource& source,
                         Samples& samples) -> Status {
    MNN_ASSIGN_OR_RETURN(samples, open_samples(path, graph, loaded.source_inputs, flow.images));
    tell_skipped(path, samples, events);
    source.count = samples.names.size();
    source.load = samples.load;
    source.names = samples.names;
    return {};
  };
  SampleSource calibration, holdout;
  Samples samples, held;
  if (!flow.calibration.empty())
    MNN_RETURN_IF_ERROR(open_source(flow.calibration, calibration, samples));
  if (!flow.holdout.empty()) MNN_RETURN_IF_ERROR(open_source(flow.holdout, holdout, held));
  if (!flow.import_scheme.empty()) {
    MNN_ASSIGN_OR_RETURN(options.import_scheme, read_text(flow.import_scheme));
    const Result<std::string> data = scheme_calibration(options.import_scheme);
    if (!data.ok()) return data.status().context(flow.import_scheme);
    options.calibration_json = *data;
    if (calibration.count + holdout.count == 0 && flow.thresholds.accuracy()) {
      return usage_error("accuracy thresholds need samples: --calibration or --holdout");
    }
  } else if (calibration.count + holdout.count == 0) {
    if (flow.thresholds.accuracy())
      return usage_error("accuracy thresholds need samples: --calibration or --holdout");
  }
  if (flow.import_scheme.empty()) {
    auto data = nlohmann::json::object();
    if (calibration.count + holdout.count > 0) {
      MNN_ASSIGN_OR_RETURN(const std::string described, describe_data(samples, graph));
      data = nlohmann::json::parse(described);
    }
    data["recipe"] = recipe_json(flow);
    if (holdout.count > 0) {
      MNN_ASSIGN_OR_RETURN(const std::string described, describe_data(held, graph));
      data["recipe"]["holdout_sha256"] = nlohmann::json::parse(described)["sha256"];
    }
    options.calibration_json = data.dump();
  }
  if (!flow.stats.empty()) {
    if (held.names.empty() || samples.names.empty())
      return usage_error("--stats needs --calibration, all samples they are of, and --holdout");
    MNN_ASSIGN_OR_RETURN(CalibrationStats stats,
                         read_all_stats(flow.stats, loaded, flow.keep_float));
    options.stats = std::make_shared<const CalibrationStats>(std::move(stats));
  }

  Thresholds thresholds = flow.thresholds;
  const auto metadata_of = [&](const std::string& scheme, const std::string& method) {
    auto meta =
        nlohmann::json::parse(make_metadata(loaded, {{"scheme", scheme}, {"method", method}}));
    const auto data = nlohmann::json::parse(options.calibration_json);
    if (data.contains("sha256")) meta["calibration_sha256"] = data["sha256"];
    if (data.contains("dims")) meta["calibrated_dims"] = data["dims"];
    if (data.contains("recipe")) meta["recipe"] = data["recipe"];
    return meta.dump();
  };
  const auto file_bytes_of = [&](const Graph& of, const std::string& metadata) {
    Model model = loaded.model;
    model.graph = of;
    model.metadata_json = metadata;
    return static_cast<int64_t>(serialize_model(model).size());
  };
  if (flow.max_size_share) {
    thresholds.max_size =
        static_cast<int64_t>(*flow.max_size_share *
                             static_cast<double>(file_bytes_of(graph, loaded.model.metadata_json)));
  }
  options.max_ms = thresholds.max_latency;
  options.max_int8_ratio = flow.max_int8_ratio;
  if (flow.scheme == "mixed") {
    if (thresholds.max_size) options.max_bytes = static_cast<double>(*thresholds.max_size);
    const std::string metadata = metadata_of(flow.scheme, std::string(kMethodBytes, ' '));
    options.file_bytes = [&, metadata](const Graph& quantized) -> Result<int64_t> {
      return file_bytes_of(quantized, metadata);
    };
  }
  // The goal of --try and of mixed holds for the held-back samples; others may be worse.
  const SampleSource& judged_source = holdout.count > 0 ? holdout : calibration;
  if (flow.promote || (flow.scheme == "mixed" && thresholds.accuracy())) {
    options.reached = [&](const Graph& quantized, const QuantReport& trial) -> Result<GoalVerdict> {
      QuantReport report = trial;
      if (!flow.eval.command.empty()) {
        MNN_ASSIGN_OR_RETURN(report.eval, evaluate(flow, graph, quantized, judged_source, report));
      }
      Thresholds goal = thresholds;
      goal.max_size.reset();
      goal.max_latency.reset();
      goal.sound_data = false;
      const auto holds = [&] { return verdict_of(judge_quant(goal, report, 0), goal).ok(); };
      GoalVerdict verdict{holds(), false, unseen_margin_db(report.samples)};
      if (goal.min_snr) *goal.min_snr += verdict.margin_db + report.luck_db;
      if (goal.min_sample_snr) *goal.min_sample_snr += verdict.margin_db;
      verdict.with_margin = holds();
      return verdict;
    };
  }
  const std::string already = quantized_already(graph);
  if (!already.empty() && !flow.requantize) {
    return usage_error(flow.model + ": " + already +
                       ", or let --requantize quantize what is not: what is stays so, and errors "
                       "are measured against this model");
  }
  if (!flow.resume.empty()) {
    MNN_ASSIGN_OR_RETURN(const auto identity,
                         identity_of(flow, thresholds, loaded.model, graph, samples, held));
    std::error_code ec;
    if (!std::filesystem::exists(flow.resume, ec))
      MNN_RETURN_IF_ERROR(file_roles().writes("--resume", flow.resume));
    MNN_ASSIGN_OR_RETURN(options.evaluations, open_evaluations(flow.resume, identity));
    file_roles().updates(flow.resume);
  }
  if (events.stages) events.stages(quantize_stages(options));
  Result<QuantResult> result = quantize(graph, calibration, holdout, options);
  if (!result.ok()) {
    // Nothing is left to do, and this is why.
    if (!already.empty() && result.status().code() == Code::kUnsupported) {
      return unsupported(flow.model + ": " + already);
    }
    // A wrong scheme file is found once the model is known.
    const bool scheme =
        !flow.import_scheme.empty() && result.status().code() == Code::kInvalidArgument;
    return result.status().context(scheme ? flow.import_scheme : flow.model);
  }
  QuantOutcome outcome;
  outcome.report = std::move(result->report);
  if (!already.empty()) {
    outcome.report.warnings.insert(outcome.report.warnings.begin(),
                                   already +
                                       "; what is stays so, and errors are measured against "
                                       "this model");
  }
  if (!flow.export_scheme.empty())
    MNN_RETURN_IF_ERROR(write_file(flow.export_scheme, result->scheme_json));

  if (!flow.eval.command.empty() && judged_source.count > 0) {
    MNN_ASSIGN_OR_RETURN(outcome.report.eval,
                         evaluate(flow, graph, result->graph, judged_source, outcome.report));
  }
  LoadedModel out = loaded;
  out.model.graph = std::move(result->graph);
  out.model.metadata_json = metadata_of(outcome.report.scheme, outcome.report.method);
  outcome.file = serialize_model(out.model);
  outcome.file_bytes = static_cast<int64_t>(outcome.file.size());
  if (outcome.report.mix.most_bytes)
    thresholds.max_size = static_cast<int64_t>(*outcome.report.mix.most_bytes);
  outcome.judgements = judge_quant(thresholds, outcome.report, outcome.file_bytes);
  outcome.verdict = verdict_of(outcome.judgements, thresholds);
  if (!flow.output.empty()) {
    outcome.path = outcome.verdict.ok() ? flow.output : rejected_path(flow.output);
    MNN_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(outcome.path));
    MNN_RETURN_IF_ERROR(file.append(outcome.file));
    MNN_RETURN_IF_ERROR(file.commit());
    outcome.stale = settle_earlier(flow.output, outcome.verdict);
  }
  for (const std::string& r : flow.reports) {
    const std::string name = file_name(flow.model);
    std::string text;
    if (r.ends_with(".json")) {
      text = outcome_json(outcome);
    } else if (r.ends_with(".csv")) {
      text = report_csv(outcome.report);
    } else if (r.ends_with(".xml")) {
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      text = quant_junit(name, outcome.report, thresholds, outcome.judgements, took.count());
    } else {
      const Samples& judged = flow.holdout.empty() ? samples : held;
      text = report_html(
          outcome.report, name, flow.worst_samples,
          [&](size_t i) { return thumbnail_html(judged.names[i]); }, facts_html(outcome));
    }
    MNN_RETURN_IF_ERROR(write_file(r, text));
  }
  return outcome;
}

}  // namespace mnn::flows
