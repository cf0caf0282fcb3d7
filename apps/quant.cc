// mnn quant: compresses a model and reports the error of each layer.
#include <cerrno>
#include <cstdlib>
#include <iostream>

#include "apps/common/flags.h"
#include "apps/common/image_flags.h"
#include "apps/common/project_flags.h"
#include "apps/flows/file_roles.h"
#include "apps/flows/fill_quant.h"
#include "apps/flows/quant_flow.h"
#include "apps/flows/stats_flow.h"
#include "libruntime/report/json_text.h"
#include "libruntime/thread_pool.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;

struct Options {
  CommonFlags common;
  QuantFlow flow;
  std::vector<std::string> shapes, import_keys;
  std::string gate, project;
  std::optional<std::string> folder;  // of the project whose models are taken
  std::optional<double> min_cosine, min_snr;
  std::string max_size;
  std::string stats_only, samples;  // a file for statistics, the part of the samples
  std::optional<double> max_latency;
  std::optional<double> min_sample_snr, min_eval, min_metric;
  int max_layers = 25;
  ImageFlags images;
};

// What -q prints: the figures at the outputs and what was written.
std::string verdict_text(const QuantOutcome& outcome) {
  std::string text;
  for (const OutputError& o : outcome.report.outputs) {
    const auto [name, m] = o.worst();
    text += "output " + name + ": pooled SNR " + format_number(m.snr_db, 1) + " dB, cosine " +
            format_number(m.cosine, 6) + "\n";
  }
  return text + task_text(outcome.report);
}

std::string written_text(const QuantOutcome& outcome) {
  return "written: " + outcome.path + " (" + format_bytes(outcome.file_bytes) + ")\n";
}

// "300KB", "0.3", "0.3x" or "30%": bytes, or a share of the model as it comes; "1.15xint8": of what
// all in int8 comes to.
Status take_max_size(const std::string& text, QuantFlow& f) {
  const auto wrong = [&] {
    return usage_error("--max-size " + text +
                       ": expected bytes (300000, 300KB), a share of the model (0.3, 30%) or of "
                       "all in int8 (1.15xint8)");
  };
  constexpr std::string_view kOfInt8 = "xint8";
  if (text.ends_with(kOfInt8)) {
    const std::string digits = text.substr(0, text.size() - kOfInt8.size());
    char* stop = nullptr;
    const double v = std::strtod(digits.c_str(), &stop);
    if (digits.empty() || stop != digits.c_str() + digits.size() || !(v > 0) || v > 1e6)
      return wrong();
    f.max_int8_ratio = v;
    f.thresholds.max_size.reset();
    return {};
  }
  const char end = text.back();
  const bool unit = end == '%' || end == 'x';
  if (unit || text.find('.') != std::string::npos) {
    const std::string digits = unit ? text.substr(0, text.size() - 1) : text;
    char* stop = nullptr;
    const double v = std::strtod(digits.c_str(), &stop);
    if (stop != digits.c_str() + digits.size()) {
      if (unit) return wrong();
    } else {
      if (!(v > 0) || v > 1e6) return wrong();
      f.max_size_share = end == '%' ? v / 100 : v;
      f.thresholds.max_size.reset();
      return {};
    }
  }
  std::string bytes = text;
  try {
    if (!CLI::AsSizeValue(true)(bytes).empty()) return wrong();
  } catch (const CLI::Error&) {
    return wrong();
  }
  char* stop = nullptr;
  errno = 0;
  const int64_t v = std::strtoll(bytes.c_str(), &stop, 10);
  if (bytes.empty() || *stop != '\0' || errno != 0 || v < 0) return wrong();
  f.thresholds.max_size = v;
  return {};
}

// Takes what the flags left open from the project.
Status fill_from_project(Options& o, const CLI::App& app) {
  MNN_ASSIGN_OR_RETURN(const Project p, open_project(o.project, o.flow.model));
  o.folder = p.folder;
  QuantFlow& f = o.flow;
  f.model = p.path(p.model);
  MNN_RETURN_IF_ERROR(file_roles().reads("the project's model", f.model));
  if (f.output.empty()) {
    f.output = p.path(p.quantized);
    MNN_RETURN_IF_ERROR(file_roles().writes("the project's quantized", f.output));
  }
  if (f.calibration.empty()) f.calibration = p.path(p.calibration);
  if (f.shapes.empty()) f.shapes = p.shapes;
  if (app.count("--scheme") == 0) f.scheme = p.scheme;
  if (app.count("--method") == 0) f.method = p.method;
  if (f.layers.empty()) f.layers = p.layers;
  if (f.keep_float.empty()) f.keep_float = p.keep_float;
  f.images = p.images;
  f.thresholds = p.thresholds;
  return {};
}

Status collect(const Options& o) {
  QuantFlow f = o.flow;
  f.threads = o.common.threads;
  StatsOutcome done;
  {
    Progress progress;
    MNN_ASSIGN_OR_RETURN(done, run_stats_flow(f, o.stats_only, o.samples, progress.events()));
  }
  if (o.common.json) {
    print_json({{"output", done.path},
                {"samples", done.samples},
                {"total", done.total},
                {"counted", done.counted}});
    return {};
  }
  print_text((done.counted ? "counts" : "ranges") + std::string(" of ") +
             std::to_string(done.samples) + " samples: " + done.path + "\n");
  return {};
}

Status quant(Options& o, const CLI::App& app) {
  QuantFlow& f = o.flow;
  MNN_ASSIGN_OR_RETURN(f.shapes, parse_shapes(o.shapes));
  MNN_ASSIGN_OR_RETURN(f.import_keys, parse_import_keys(o.import_keys));
  if (means_project(f.model)) MNN_RETURN_IF_ERROR(fill_from_project(o, app));
  MNN_ASSIGN_OR_RETURN(f.images, o.images.over(f.images));
  if (!o.stats_only.empty()) return collect(o);
  if (!o.samples.empty()) return usage_error("--samples is of --stats-only");
  if (f.output.empty()) return usage_error("expected -o FILE");
  if (f.calibration.empty() && f.import_scheme.empty() &&
      (f.scheme == "int8" || f.scheme == "mixed")) {
    return usage_error("expected --calibration DIR with samples such as the model will meet");
  }
  if (!o.gate.empty()) {
    MNN_ASSIGN_OR_RETURN(f.thresholds, gate_profile(o.gate));
  }
  if (o.min_cosine) f.thresholds.min_cosine = o.min_cosine;
  if (o.min_snr) f.thresholds.min_snr = o.min_snr;
  if (o.min_sample_snr) f.thresholds.min_sample_snr = o.min_sample_snr;
  if (o.min_eval) f.thresholds.min_eval = o.min_eval;
  if (o.min_metric) f.thresholds.min_metric = o.min_metric;
  if (o.max_latency) f.thresholds.max_latency = o.max_latency;
  if (!o.max_size.empty()) MNN_RETURN_IF_ERROR(take_max_size(o.max_size, f));
  f.threads = o.common.threads;
  log_detail("threads: " + std::to_string(f.threads == 0 ? usable_cpus() : f.threads));
  QuantOutcome outcome;
  {
    Progress progress;
    MNN_ASSIGN_OR_RETURN(outcome, run_quant_flow(f, progress.events()));
  }
  for (const std::string& w : outcome.report.warnings) log_warning(w);
  if (!outcome.stale.empty()) {
    log_warning(outcome.stale + " is of an earlier run and stays as it was");
  }
  if (o.common.json) {
    auto out = nlohmann::ordered_json::parse(outcome_json(outcome));
    out["output"] = outcome.path;
    out["threads"] = f.threads == 0 ? usable_cpus() : f.threads;
    if (!outcome.stale.empty()) out["stale"] = outcome.stale;
    std::cout << json_text(out);
  } else if (is_quiet()) {
    print_text(verdict_text(outcome) + written_text(outcome));
  } else {
    std::cout << report_text(outcome.report, static_cast<size_t>(o.max_layers), f.worst_samples,
                             color_on_stdout(), terminal_width());
    print_text(written_text(outcome));
  }
  if (!outcome.verdict.ok()) return outcome.verdict.context(outcome.path);
  if (!o.folder) return {};
  MNN_ASSIGN_OR_RETURN(const std::string filled,
                       fill_from_quant(*o.folder, outcome.report, outcome.file_bytes));
  if (!filled.empty()) log_info(filled);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Quantizes a model (.mnn or a source model) on calibration data and reports the error of "
      "each "
      "layer, worst first. In a project folder no argument is needed.",
      "mnn quant");
  Options o;
  QuantFlow& f = o.flow;
  CommonFlags& c = o.common;
  c.threads = 0;
  c.reads(app.add_option("MODEL", f.model,
                         "The model, or a project's folder; default: the nearest project")
              ->type_name("FILE"));
  c.writes(
      app.add_option("-o,--output", f.output, "The quantized .mnn to write")->type_name("FILE"));
  app.add_option(
         "--scheme", f.scheme,
         "int8: u8 activations, s8 weights per channel; w8 to w2: weights alone, in so many "
         "bits, which needs no samples but is better with; mixed: the cheapest of them by layer "
         "that "
         "reaches the thresholds, or the best within --max-size and --max-latency")
      ->check(CLI::IsMember({"int8", "w8", "w6", "w4", "w3", "w2", "mixed"}))
      ->capture_default_str();
  app.add_option("--group-size", f.group_size,
                 "w8 to w2: weights that share a scale, 16 to 256; 0: one scale per channel; "
                 "default: 0 for w8, else 32")
      ->type_name("N")
      ->check(whole_number(0, 256));
  app.add_option_function<std::string>(
         "--zero-points", [&f](const std::string& v) { f.symmetric = v == "off"; },
         "w8 to w2: a zero point per scale, or none; default: off for w8 alone")
      ->check(CLI::IsMember({"on", "off"}));
  app.add_option_function<std::string>(
         "--activations", [&f](const std::string& v) { f.int8_activations = v == "int8"; },
         "w8 to w2: what MatMul and Gemm multiply their codes by: the floats, or rows quantized to "
         "int8 as they come, which is faster; default: float")
      ->check(CLI::IsMember({"float", "int8"}));
  app.add_option(
         "--level", f.level,
         "w8 to w2: fast takes scales from the range of the weights, default searches them, best "
         "also makes up for each rounding (GPTQ)")
      ->check(CLI::IsMember({"fast", "default", "best"}))
      ->capture_default_str();
  app.add_option("--low-rank", f.low_rank,
                 "w8 to w2: add to MatMul and Gemm a product of two matrices of this rank, 4 to "
                 "64, that makes up for their codes; 0: none")
      ->type_name("R")
      ->check(whole_number(0, 64))
      ->capture_default_str();
  app.add_option("--keep-float", f.keep_float,
                 "Layers that stay as they are; * stands for any text. Repeatable")
      ->type_name("PATTERN")
      ->allow_extra_args(false);
  app.add_option("--layer", f.layers,
                 "The scheme of some layers: int8, w8, w6, w4, w3, w2, f16 or float; * stands for "
                 "any text, the last that fits counts. Repeatable")
      ->type_name("PATTERN=SCHEME")
      ->allow_extra_args(false);
  c.reads(app.add_option("--calibration", f.calibration,
                         "Samples in name order: .npy, images, folders of images, sub-folders with "
                         "input_<i>.npy, or an .npz")
              ->type_name("DIR|FILE"));
  app.add_flag("--requantize", f.requantize,
               "Of a model that is quantized already quantize what is not; the rest stays");
  c.reads(app.add_option("--holdout", f.holdout,
                         "Held-back samples; default: every fourth calibration sample")
              ->type_name("DIR|FILE"));
  app.add_option("--method", f.method, "How activation ranges are chosen")
      ->check(CLI::IsMember({"auto", "minmax", "percentile", "kl", "mse"}))
      ->capture_default_str();
  app.add_option("--weight-scale", f.weight_scale, "How weight scales are chosen")
      ->check(CLI::IsMember({"absmax", "mse"}))
      ->capture_default_str();
  app.add_option(
         "--overflow-fix", f.overflow_fix,
         "Weight scales that let x86 CPUs without VNNI add byte products by pairs, which is "
         "faster; auto: when it costs no more than 1 dB or leaves 40")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->capture_default_str();
  app.add_option("--gate", o.gate,
                 "Thresholds: normal (cosine 0.99, 15 dB) or strict (0.999, 30 dB), both with "
                 "samples that say something")
      ->check(CLI::IsMember({"normal", "strict"}));
  app.add_option("--min-cosine", o.min_cosine,
                 "Exit 3 when the cosine of an output's worst slice is lower")
      ->type_name("C")
      ->check(real_number(-1, 1));
  app.add_option("--min-snr", o.min_snr, "Exit 3 when the SNR of an output's worst slice is lower")
      ->type_name("DB")
      ->check(real_number(-1000, 1000));
  app.add_option("--min-sample-snr", o.min_sample_snr,
                 "Exit 3 when the SNR of the worst held-back sample is lower")
      ->type_name("DB")
      ->check(real_number(-1000, 1000));
  app.add_option("--metric", f.metrics,
                 "A figure of the task on held-back samples: argmax, top5, ctc, detections:SPEC "
                 "(see the manual). Repeatable")
      ->type_name("NAME[:SPEC]")
      ->allow_extra_args(false);
  app.add_option("--min-metric", o.min_metric, "Exit 3 when a --metric is lower")
      ->type_name("X")
      ->check(real_number(0, 1));
  add_eval_flags(app, f.eval, o.min_eval);
  app.add_flag("--try", f.promote,
               "Keep the layers that cost most in float until the thresholds are reached");
  app.add_option("--output-slice", f.output_slices,
                 "Judge this part of an output by itself, such as output0[:,4:]; default: found. "
                 "Repeatable")
      ->type_name("NAME[RANGES]")
      ->allow_extra_args(false);
  app.add_option(
         "--max-size", o.max_size,
         "Exit 3 when the file is larger: bytes (300KB), or a share of the model (0.3, 30%), or of "
         "what all in int8 comes to (1.15xint8; --scheme mixed)")
      ->type_name("BYTES|RATIO");
  app.add_option("--max-latency", o.max_latency,
                 "Exit 3 when the median run on the first held-back sample takes longer, on this "
                 "machine with --threads")
      ->type_name("MS")
      ->check(real_number(0, 1e9));
  app.add_option(
         "--resume", f.resume,
         "int8 and mixed: a file that keeps what was measured, so that a run that was ended "
         "goes on; made where there is none")
      ->type_name("RESULTS");
  app.add_flag(
      "--try-fixes", f.try_fixes,
      "int8: measure a remedy for every layer that costs much, not only for the worst, and "
      "what all of them gain together");
  app.add_flag("--layer-times", f.layer_times,
               "Measure how long each layer takes on the first held-back sample");
  c.writes(app.add_option("--stats-only", o.stats_only,
                          "Write what is seen of the samples to a file and quantize nothing: "
                          "ranges, or with --stats, the ranges of all, the counts inside them")
               ->type_name("FILE"));
  c.reads(app.add_option("--stats", f.stats,
                         "Files of --stats-only, which together are of all calibration samples: "
                         "these are then not run. Without --calibration they become one file")
              ->type_name("FILE…"));
  app.add_option("--samples", o.samples,
                 "With --stats-only: a part of the samples, in name order from 0, the last not "
                 "included")
      ->type_name("FIRST:LAST");
  add_report_flag(app, c, f.reports,
                  "Write the report: .json, .html, .xml (JUnit) or .csv (the layers). Repeatable");
  c.writes(
      app.add_option("--export-scheme", f.export_scheme,
                     "Write every decision to a JSON file that can be read, edited and imported")
          ->type_name("FILE"));
  c.reads(app.add_option("--import-scheme", f.import_scheme,
                         "Take the decisions of such a file instead of searching; needs no "
                         "calibration data")
              ->type_name("FILE"));
  app.add_option("--max-layers", o.max_layers, "Rows of the table on the terminal")
      ->type_name("N")
      ->check(whole_number(0, INT_MAX))
      ->capture_default_str();
  app.add_option("--worst", f.worst_samples, "Held-back samples to list, worst first")
      ->type_name("N")
      ->check(whole_number(0))
      ->capture_default_str();
  add_image_flags(app, o.images);
  add_project_flag(app, c, o.project);
  add_shape_flag(app, o.shapes);
  add_import_flag(app, o.import_keys);
  add_common_flags(
      app, c, "mnn quant model.onnx -o model.int8.mnn --calibration samples/ --report report.html");
  return run_command(app, c, argc, argv, [&] { return quant(o, app); });
}
