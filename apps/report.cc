// mnn report: time, error and size of each layer in one table.
#include <filesystem>
#include <iostream>

#include "apps/common/flags.h"
#include "apps/common/project_flags.h"
#include "apps/flows/layer_summary.h"
#include "libruntime/core/io/file.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;

struct Options {
  CommonFlags common;
  std::string folder, project;
  SummaryFiles files;
  std::vector<std::string> reports;
  size_t max_layers = 25;
};

// What a project's folder has: the quantized model, and the reports that its CI jobs write.
Status fill_from_project(Options& o) {
  MNN_ASSIGN_OR_RETURN(const Project p, open_project(o.project, o.folder));
  std::error_code ec;
  const auto take = [&](std::string& file, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      if (!file.empty() || !std::filesystem::exists(p.path(name), ec)) continue;
      file = p.path(name);
    }
  };
  take(o.files.model, {p.quantized});
  take(o.files.quant, {"quant.json"});
  take(o.files.bench, {"profile.json"});
  if (!o.files.quant.empty() || !o.files.bench.empty()) return {};
  return usage_error(
      "the project has no reports yet: mnn quant --report quant.json; mnn bench --profile "
      "profile.json");
}

Status report(Options& o) {
  for (const std::string& r : o.reports) {
    if (r.ends_with(".json") || r.ends_with(".html")) continue;
    return usage_error("--report " + r + ": expected a name ending in .json or .html");
  }
  const bool given = !o.files.model.empty() || !o.files.quant.empty() || !o.files.bench.empty();
  if (!given || !o.folder.empty() || !o.project.empty()) MNN_RETURN_IF_ERROR(fill_from_project(o));
  MNN_ASSIGN_OR_RETURN(const LayerSummary summary, summarize_layers(o.files));
  for (const std::string& r : o.reports) {
    MNN_RETURN_IF_ERROR(
        write_file(r, r.ends_with(".json") ? summary_json(summary) : summary_html(summary)));
  }
  if (o.common.json) {
    std::cout << summary_json(summary);
  } else if (is_quiet()) {
    print_text(summary_verdict(summary) + "\n");
  } else {
    std::cout << summary_text(summary, o.max_layers, terminal_width());
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Joins what mnn quant and mnn bench --profile say of each layer: time, error, size, MACs, "
      "the form it is computed in, and what to do about it. In a project folder no argument is "
      "needed.",
      "mnn report");
  Options o;
  CommonFlags& c = o.common;
  c.reads(app.add_option("PROJECT", o.folder,
                         "A project's folder with quant.json and profile.json; default: the "
                         "nearest project")
              ->type_name("DIR"));
  c.reads(app.add_option("--model", o.files.model, "The model whose constants are counted")
              ->type_name("FILE"));
  c.reads(
      app.add_option("--quant", o.files.quant, "The .json report of mnn quant")->type_name("FILE"));
  c.reads(app.add_option("--bench", o.files.bench, "The profile that mnn bench --profile wrote")
              ->type_name("FILE"));
  add_report_flag(app, c, o.reports, "Write the table: .json or .html (sortable). Repeatable");
  app.add_option("--max-layers", o.max_layers, "Rows of the table on the terminal")
      ->type_name("N")
      ->check(whole_number(0))
      ->capture_default_str();
  add_project_flag(app, c, o.project);
  add_common_flags(app, c, "mnn report --quant quant.json --bench profile.json");
  return run_command(app, c, argc, argv, [&] { return report(o); });
}
