// mnn diff: what differs between two models.
#include <iostream>

#include "apps/common/flags.h"
#include "apps/flows/diff_report.h"
#include "apps/flows/model_io.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;

struct Options {
  CommonFlags common;
  std::string a, b;
  std::vector<std::string> shapes;
  bool same = false;
  size_t max_rows = 100;
};

Status diff(const Options& o) {
  LoadOptions load;
  MNN_ASSIGN_OR_RETURN(load.shapes, parse_shapes(o.shapes));
  MNN_ASSIGN_OR_RETURN(const LoadedModel a, load_any(o.a, load));
  MNN_ASSIGN_OR_RETURN(const LoadedModel b, load_any(o.b, load));
  const GraphDiff d = diff_graphs(a.model.graph, b.model.graph);
  std::cout << (o.common.json ? diff_json(d, o.a, o.b)
                : is_quiet()  ? d.summary() + "\n"
                              : diff_text(d, o.a, o.b, o.max_rows));
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
  o.common.reads(app.add_option("A", o.a, "The model before")->required()->type_name("FILE"));
  o.common.reads(app.add_option("B", o.b, "The model after")->required()->type_name("FILE"));
  app.add_flag("--same", o.same, "Exit 3 when they differ");
  app.add_option("--max-rows", o.max_rows, "Rows of each kind on the terminal")
      ->type_name("N")
      ->check(whole_number(0))
      ->capture_default_str();
  add_shape_flag(app, o.shapes);
  add_common_flags(app, o.common, "mnn diff model.onnx model.mnn --same");
  return run_command(app, o.common, argc, argv, [&] { return diff(o); });
}
