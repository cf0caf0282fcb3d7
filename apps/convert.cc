// mnn convert: a model of another framework in, a fused .mnn out.
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/common/check.h"
#include "apps/common/conversion_report.h"
#include "apps/common/flags.h"
#include "apps/common/model_io.h"
#include "apps/common/tensors.h"
#include "libruntime/core/io/file.h"
#include "libruntime/core/text.h"

namespace {

using namespace mnn;
using namespace mnn::cli;

struct Options {
  CommonFlags common;
  std::string model, output, dump_passes, expect;
  std::vector<std::string> shapes, reports;
  bool no_fuse = false;
};

Status convert(const Options& o) {
  LoadOptions load;
  MNN_ASSIGN_OR_RETURN(load.shapes, parse_shapes(o.shapes));
  load.fuse = !o.no_fuse;
  Status dump;
  if (!o.dump_passes.empty()) {
    MNN_RETURN_IF_ERROR(make_folder(o.dump_passes));
    load.passes.after = [&, count = 0](std::string_view pass, int, const Graph& g) mutable {
      std::string number = std::to_string(count++);
      number.insert(0, 2 - std::min<size_t>(2, number.size()), '0');
      const Status s = write_file(o.dump_passes + "/" + number + "_" + std::string(pass) + ".txt",
                                  print_graph(g));
      if (dump.ok()) dump = s;
    };
  }
  for (const std::string& r : o.reports) MNN_RETURN_IF_ERROR(check_report_name(r));
  Progress progress;
  progress.update("reading " + o.model, 0, 3);
  MNN_ASSIGN_OR_RETURN(LoadedModel loaded, load_any(o.model, load));
  MNN_RETURN_IF_ERROR(dump);
  if (loaded.format == "mnn" && o.shapes.empty()) {
    log_info(o.model + " is a .mnn already: written anew with the current version");
  }
  for (const std::string& note : loaded.notes) log_detail("note: " + note);

  std::vector<OutputCheck> checks;
  Status judged;
  if (!o.expect.empty()) {
    progress.update("checking", 1, 3);
    const Graph& graph = loaded.model.graph;
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs,
                         read_inputs(o.expect, graph, loaded.source_inputs));
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> expected, read_expected(o.expect, graph));
    MNN_ASSIGN_OR_RETURN(auto session, open_session(graph, o.common.threads));
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> found, session->run(inputs));
    checks = check_relative(graph, expected, found, kConversionTolerance);
    judged = checks_status(checks);
  }

  std::map<std::string, std::string> options;
  for (const auto& [name, dims] : load.shapes) {
    std::string text;
    for (const int64_t d : dims)
      text += (text.empty() ? "" : ",") + (d < 0 ? "?" : std::to_string(d));
    options["shape." + name] = text;
  }
  if (o.no_fuse) options["fuse"] = "false";
  loaded.model.metadata_json = make_metadata(loaded, options);
  progress.update("writing", 2, 3);
  const std::string path = judged.ok() ? o.output : rejected_path(o.output);
  MNN_RETURN_IF_ERROR(write_model(loaded.model, path));
  std::error_code ec;
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(path, ec));
  for (const std::string& r : o.reports)
    MNN_RETURN_IF_ERROR(write_conversion_report(r, loaded, bytes));

  if (o.common.json) {
    nlohmann::ordered_json out;
    out["output"] = path;
    out["format"] = loaded.format;
    out["facts"] = loaded.facts;
    out["source_sha256"] = loaded.source_sha256;
    out["bytes"] = bytes;
    out["parameters"] = count_parameters(loaded.model.graph);
    if (loaded.format != "mnn") {
      out["plan_steps"] = {{"imported", loaded.counts.imported},
                           {"unfused", loaded.counts.unfused},
                           {"fused", loaded.counts.fused}};
      for (const auto& [pass, n] : loaded.counts.changes)
        out["passes"].push_back({{"pass", pass}, {"changes", n}});
    }
    out["notes"] = loaded.notes;
    for (const OutputCheck& c : checks) {
      out["checks"].push_back({{"output", c.name},
                               {"passed", c.passed},
                               {"max_rel", c.metrics.max_rel},
                               {"cosine", c.metrics.cosine},
                               {"snr_db", c.metrics.snr_db}});
    }
    std::cout << out.dump(2) << "\n";
  } else {
    std::cout << conversion_summary(loaded, path, bytes);
    if (!checks.empty()) std::cout << checks_table(checks);
  }
  return judged.ok() ? judged : judged.context(path);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Converts a model of another framework (or an older .mnn) into a .mnn file.",
               "mnn convert");
  Options o;
  app.add_option("MODEL", o.model, "The source model; its format is recognized by content")
      ->required();
  app.add_option("-o,--output", o.output, "The .mnn file to write")->required()->type_name("FILE");
  add_shape_flag(app, o.shapes);
  app.add_flag("--no-fuse", o.no_fuse, "Fold and clean up only: no fusion");
  app.add_option("--expect", o.expect, "Check the result against inputs and outputs in this folder")
      ->type_name("DIR");
  add_report_flag(app, o.reports,
                  "Write the compatibility report: .json, .html or .md. Repeatable");
  app.add_option("--dump-passes", o.dump_passes, "Write the graph after each pass as text")
      ->type_name("DIR");
  add_common_flags(app, o.common, "mnn convert model.onnx -o model.mnn --shape x=1,3,224,224");
  return run_command(app, o.common, argc, argv, [&] { return convert(o); });
}
