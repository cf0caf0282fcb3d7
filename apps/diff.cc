// mnn diff: what differs between two models.
#include <iostream>

#include "apps/common/flags.h"
#include "apps/common/project_flags.h"
#include "apps/flows/diff_report.h"
#include "apps/flows/model_io.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;

struct Options {
  CommonFlags common;
  std::string a, b, align, project;
  std::vector<std::string> shapes, import_keys;
  bool same = false;
  size_t max_rows = 100;
};

// Without models: the project's and what mnn quant made of it.
Status fill_from_project(Options& o) {
  MNN_ASSIGN_OR_RETURN(const Project p, open_project(o.project, o.a));
  o.a = p.path(p.model);
  o.b = p.path(p.quantized);
  return {};
}

Status diff(Options& o) {
  if (o.b.empty() && means_project(o.a)) MNN_RETURN_IF_ERROR(fill_from_project(o));
  if (o.b.empty()) return usage_error("expected two models, found " + o.a + " alone");
  LoadOptions load;
  MNN_ASSIGN_OR_RETURN(load.shapes, parse_shapes(o.shapes));
  MNN_ASSIGN_OR_RETURN(load.import_keys, parse_import_keys(o.import_keys));
  NamePairs names;
  if (!o.align.empty()) {
    MNN_ASSIGN_OR_RETURN(names, read_name_pairs(o.align));
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<LoadedModel> loaded, load_each({o.a, o.b}, load));
  const Graph &a = loaded[0].model.graph, &b = loaded[1].model.graph;
  MNN_ASSIGN_OR_RETURN(const NodePairs align, find_nodes(a, b, names));
  const GraphDiff d = diff_graphs(a, b, align);
  if (o.common.json) {
    std::cout << diff_json(d, o.a, o.b);
  } else {
    print_text(is_quiet() ? d.summary() + "\n" : diff_text(d, o.a, o.b, o.max_rows));
  }
  if (o.same && !d.same()) {
    return Status(Code::kThreshold,
                  o.b + ": expected the same as " + o.a + ", found " + d.summary());
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Shows what differs between two models (.mnn or source models) in source names: inputs and "
      "outputs, nodes, attributes, fusion, quantization, constants.",
      "mnn diff");
  Options o;
  o.common.reads(app.add_option("A", o.a, "The model before; without models: the project's two")
                     ->type_name("FILE"));
  o.common.reads(app.add_option("B", o.b, "The model after")->type_name("FILE"));
  app.add_flag("--same", o.same, "Exit 3 when they differ");
  app.add_option("--max-rows", o.max_rows, "Rows of each kind on the terminal")
      ->type_name("N")
      ->check(whole_number(0))
      ->capture_default_str();
  add_project_flag(app, o.common, o.project);
  o.common.reads(app.add_option("--align", o.align,
                                "Nodes that are the same under different names, a JSON object "
                                "{\"node of A\": \"node of B\"}")
                     ->type_name("FILE"));
  add_shape_flag(app, o.shapes);
  add_import_flag(app, o.import_keys);
  add_common_flags(app, o.common, "mnn diff model.onnx model.mnn --same");
  return run_command(app, o.common, argc, argv, [&] { return diff(o); });
}
