// mnn reproduce: makes a quantized file again from its recipe and compares the bytes.
#include "apps/flows/reproduce.h"

#include <iostream>

#include "apps/common/flags.h"
#include "apps/common/project_flags.h"
#include "libruntime/report/json_text.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;

struct Options {
  CommonFlags common;
  ReproduceFlow flow;
  std::string project;
  std::optional<double> min_eval;
};

// What flags left open, in a project's folder.
Status fill_from_project(Options& o) {
  ReproduceFlow& f = o.flow;
  std::string folder;
  MNN_ASSIGN_OR_RETURN(const Project p, open_project(o.project, folder));
  if (f.file.empty()) f.file = p.path(p.quantized);
  if (f.model.empty()) f.model = p.path(p.model);
  if (f.calibration.empty() && !p.calibration.empty()) f.calibration = p.path(p.calibration);
  return {};
}

Status reproduce(Options& o) {
  ReproduceFlow& f = o.flow;
  if (f.file.empty() || f.model.empty()) {
    const Status filled = fill_from_project(o);
    if (!filled.ok()) {
      return f.file.empty()
                 ? filled
                 : usage_error("expected --model FILE, what " + f.file + " was made from");
    }
  }
  f.threads = o.common.threads;
  ReproduceOutcome done;
  {
    Progress progress;
    MNN_ASSIGN_OR_RETURN(done, run_reproduce_flow(f, progress.events()));
  }
  for (const std::string& note : done.notes) log_warning(note);
  if (o.common.json) {
    print_json({{"file", f.file},
                {"same", done.same},
                {"bytes", done.bytes},
                {"made_bytes", done.made_bytes},
                {"made_by", done.made_by},
                {"output",
                 done.path.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(done.path)},
                {"differences", done.differences},
                {"notes", done.notes}});
  } else if (done.same) {
    print_text(f.file + ": made again, the same " + std::to_string(done.bytes) + " bytes\n");
  }
  return done.verdict;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Makes a quantized .mnn again from the recipe in its metadata, the model and the samples it "
      "was made from, and compares the bytes. Exit 3 when they differ.",
      "mnn reproduce");
  Options o;
  ReproduceFlow& f = o.flow;
  CommonFlags& c = o.common;
  c.threads = 0;
  c.reads(app.add_option("FILE", f.file, "The quantized .mnn; default: the project's")
              ->type_name("FILE"));
  c.reads(app.add_option("--model", f.model, "What it was made from; default: the project's model")
              ->type_name("FILE"));
  c.reads(app.add_option("--calibration", f.calibration, "The samples of mnn quant --calibration")
              ->type_name("DIR|FILE"));
  c.reads(app.add_option("--holdout", f.holdout, "Those of --holdout, where there were any")
              ->type_name("DIR|FILE"));
  c.reads(app.add_option("--import-scheme", f.import_scheme,
                         "The scheme file, of a model whose decisions were imported")
              ->type_name("FILE"));
  c.reads(app.add_option("--stats", f.stats,
                         "Files of mnn quant --stats-only, in the place of passes over the samples")
              ->type_name("FILE…"));
  c.writes(app.add_option("-o,--output", f.output,
                          "Keep the file made again; OUT.rejected when it differs")
               ->type_name("FILE"));
  add_eval_flags(app, f.eval, o.min_eval);
  add_project_flag(app, c, o.project);
  add_common_flags(app, c,
                   "mnn reproduce model.int8.mnn --model model.onnx --calibration samples/");
  return run_command(app, c, argc, argv, [&] { return reproduce(o); });
}
