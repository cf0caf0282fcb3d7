// mnn export: a model of any kind in, a model that other runtimes read out.
#include <iostream>

#include "apps/common/flags.h"
#include "apps/flows/export_flow.h"
#include "libruntime/report/format.h"
#include "libruntime/report/json_text.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;
using Json = nlohmann::ordered_json;

struct Options {
  CommonFlags common;
  ExportFlow flow;
  std::vector<std::string> shapes, import_keys;
  bool no_fuse = false;
};

Json outcome_json(const ExportOutcome& done, int opset) {
  Json out = {
      {"output", done.path}, {"format", done.format}, {"opset", opset}, {"bytes", done.bytes}};
  if (!done.external_path.empty()) out["external_data"] = done.external_path;
  out["operators"] = done.model.operators;
  out["quantized"] = {{"constants", done.model.quantized_constants},
                      {"values", done.model.quantized_values},
                      {"as_floats", done.model.dequantized_constants}};
  out["states"] = Json::array();
  for (const ExportedState& s : done.model.states) {
    out["states"].push_back(
        {{"input", s.input}, {"output", s.output}, {"starts_with_zeros", s.zeros}});
  }
  return out;
}

std::string summary(const ExportOutcome& done, int opset, const std::string& model) {
  int64_t nodes = 0;
  for (const auto& [op, count] : done.model.operators) nodes += count;
  std::string text = model + " -> " + done.path + ": ONNX opset " + std::to_string(opset) + ", " +
                     std::to_string(nodes) + " nodes, " + format_bytes(done.bytes) + "\n";
  if (!done.external_path.empty()) text += "  constants in " + done.external_path + "\n";
  if (done.model.quantized_constants + done.model.quantized_values > 0) {
    text += "  quantized: " + std::to_string(done.model.quantized_constants) + " constants, " +
            std::to_string(done.model.quantized_values) + " values between layers\n";
  }
  return text;
}

Status run(Options& o) {
  MNN_ASSIGN_OR_RETURN(o.flow.shapes, parse_shapes(o.shapes));
  MNN_ASSIGN_OR_RETURN(o.flow.import_keys, parse_import_keys(o.import_keys));
  o.flow.fuse = !o.no_fuse;
  ExportOutcome done;
  {
    Progress progress;
    MNN_ASSIGN_OR_RETURN(done, run_export_flow(o.flow, progress.events()));
  }
  for (const std::string& note : done.notes) log_warning(note);
  if (o.common.json) {
    print_json(outcome_json(done, o.flow.opset));
    return {};
  }
  const std::string text = summary(done, o.flow.opset, o.flow.model);
  std::cout << (is_quiet() ? text.substr(0, text.find('\n') + 1) : text);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Writes a model (.mnn or a source model) as ONNX, with standard operators of the chosen "
      "opset; quantization becomes QuantizeLinear and DequantizeLinear.",
      "mnn export");
  Options o;
  ExportFlow& f = o.flow;
  CommonFlags& c = o.common;
  c.reads(app.add_option("MODEL", f.model, "The model: a .mnn or a source model")
              ->required()
              ->type_name("FILE"));
  c.writes(
      app.add_option("-o,--output", f.output, "The file to write")->required()->type_name("FILE"));
  app.add_option("--to", f.to, "The format to write: onnx; default: what the output's name says")
      ->type_name("FORMAT");
  app.add_option("--opset", f.opset,
                 "The operator set of ONNX to write for; weights of 4 bits and scales of groups "
                 "need 21")
      ->type_name("N")
      ->check(whole_number(kOldestExportOpset, kNewestExportOpset))
      ->capture_default_str();
  app.add_flag("--contrib", f.contrib,
               "Use operators of com.microsoft where ONNX has no word: MatMulNBits for products "
               "with weights of 4 or 8 bits, 16-bit activations below opset 21");
  app.add_flag("--dequantize", f.dequantize,
               "Write constants as floats whose encoding the opset cannot say");
  app.add_flag("--external-data", f.external_data,
               "Write constants of 1 KiB and more beside the model as OUT.data; a model beyond "
               "1.9 GB does so by itself");
  app.add_flag("--no-fuse", o.no_fuse, "Of a source model: fold and clean up only");
  add_shape_flag(app, o.shapes);
  add_import_flag(app, o.import_keys);
  add_common_flags(app, c, "mnn export model.mnn -o model.exported.onnx --opset 17");
  return run_command(app, c, argc, argv, [&] { return run(o); });
}
