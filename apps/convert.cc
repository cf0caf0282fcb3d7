// mnn convert: a model of another framework in, a fused .mnn out.
#include <iostream>

#include "apps/common/flags.h"
#include "apps/flows/conversion_report.h"
#include "apps/flows/convert_flow.h"
#include "libruntime/report/json_text.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;
using Json = nlohmann::ordered_json;

struct Options {
  CommonFlags common;
  ConvertFlow flow;
  std::vector<std::string> shapes, states, import_keys;
  bool no_fuse = false;
};

Json half_json(const HalfOutcome& half) {
  const ErrorMetrics m = metrics_of(half.report.error);
  Json out = {{"constants", half.report.narrowed},
              {"bytes_saved", half.report.bytes_saved},
              {"snr_db", m.snr_db},
              {"max_abs", m.max_abs},
              {"kept", half.report.kept},
              {"outputs", Json::array()}};
  for (const auto& [name, o] : half.outputs) {
    out["outputs"].push_back({{"name", name},
                              {"cosine", o.cosine},
                              {"snr_db", o.snr_db},
                              {"max_abs", o.max_abs},
                              {"max_rel", o.max_rel}});
  }
  return out;
}

void print_outcome(const ConvertOutcome& done) {
  const LoadedModel& loaded = done.loaded;
  Json out;
  out["output"] = done.path;
  if (!done.stale.empty()) out["stale"] = done.stale;
  out["format"] = loaded.format;
  out["facts"] = loaded.facts;
  out["source_sha256"] = loaded.source_sha256;
  out["bytes"] = done.bytes;
  out["parameters"] = count_parameters(loaded.model.graph);
  if (loaded.format != "mnn") {
    out["plan_steps"] = {{"imported", loaded.counts.imported},
                         {"unfused", loaded.counts.unfused},
                         {"fused", loaded.counts.fused}};
    for (const auto& [pass, n] : loaded.counts.changes)
      out["passes"].push_back({{"pass", pass}, {"changes", n}});
  }
  out["reference"] = reference_json(done.placement);
  out["notes"] = loaded.notes;
  if (done.half) out["fp16"] = half_json(*done.half);
  if (!done.checks.empty()) out["checks"] = checks_json(done.checks);
  print_json(std::move(out));
}

Status convert(Options& o) {
  MNN_ASSIGN_OR_RETURN(o.flow.shapes, parse_shapes(o.shapes));
  MNN_ASSIGN_OR_RETURN(o.flow.import_keys, parse_import_keys(o.import_keys));
  for (const std::string& pair : o.states) {
    const size_t at = pair.rfind('=');
    if (at == std::string::npos || at == 0 || at + 1 == pair.size()) {
      return usage_error("--state " + pair + ": expected INPUT=OUTPUT");
    }
    o.flow.states.emplace_back(pair.substr(0, at), pair.substr(at + 1));
  }
  o.flow.fuse = !o.no_fuse;
  o.flow.threads = o.common.threads;
  ConvertOutcome done;
  {
    Progress progress;
    MNN_ASSIGN_OR_RETURN(done, run_convert_flow(o.flow, progress.events()));
  }
  if (done.loaded.format == "mnn" && o.shapes.empty()) {
    log_info(o.flow.model + " is a .mnn already: written anew with the current version");
  }
  for (const std::string& note : done.loaded.notes) log_detail("note: " + note);
  for (const std::string& warning : done.loaded.warnings) log_warning(warning);
  if (!done.stale.empty()) log_warning(done.stale + " is of an earlier run and stays as it was");
  const std::string warning = reference_warning(done.placement);
  if (!warning.empty()) log_warning(warning);
  if (o.common.json) {
    print_outcome(done);
  } else {
    const std::string text =
        conversion_summary(done.loaded, done.placement, done.path, done.bytes, terminal_width());
    std::cout << (is_quiet() ? text.substr(0, text.find('\n') + 1) : text);
    if (done.half && !is_quiet()) print_text("  fp16        " + half_text(*done.half) + "\n");
    if (!done.checks.empty()) std::cout << checks_table(done.checks, terminal_width());
  }
  return done.verdict.context(done.path);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Converts a model of another framework (or an older .mnn) into a .mnn file.",
               "mnn convert");
  Options o;
  ConvertFlow& f = o.flow;
  CommonFlags& c = o.common;
  c.reads(app.add_option("MODEL", f.model,
                         "The source model, a file or folder; its format is recognized by content")
              ->required()
              ->type_name("FILE"));
  c.writes(app.add_option("-o,--output", f.output, "The .mnn file to write")
               ->required()
               ->type_name("FILE"));
  add_shape_flag(app, o.shapes);
  add_import_flag(app, o.import_keys);
  app.add_option("--state", o.states,
                 "Keep an input in the model as a state: it starts with zeros and becomes OUTPUT "
                 "after each run. Repeatable")
      ->type_name("INPUT=OUTPUT");
  app.add_option("--target", f.target, "What the model is for")
      ->type_name("TARGET")
      ->capture_default_str();
  app.add_flag("--no-fuse", o.no_fuse, "Fold and clean up only: no fusion");
  app.add_flag("--fp16", f.fp16,
               "Store constants as f16 where their values fit, and say what error that makes; "
               "computed as f32");
  c.reads(app.add_option("--expect", f.expect,
                         "Check the result against inputs and outputs in this folder")
              ->type_name("DIR"));
  add_report_flag(app, c, f.reports,
                  "Write the compatibility report: .json, .html or .md. Repeatable");
  c.writes(app.add_option("--netron", f.netron, "Write the graph as ONNX JSON, which Netron opens")
               ->type_name("FILE"));
  c.writes(app.add_option("--dump-passes", f.dump_passes, "Write the graph after each pass as text")
               ->type_name("DIR"));
  add_common_flags(app, c, "mnn convert model.onnx -o model.mnn --report report.html");
  return run_command(app, c, argc, argv, [&] { return convert(o); });
}
