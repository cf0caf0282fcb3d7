// mnn init: starts a project from a model.
#include <algorithm>
#include <filesystem>
#include <iostream>

#include "apps/common/check.h"
#include "apps/common/conversion_report.h"
#include "apps/common/flags.h"
#include "apps/common/json_text.h"
#include "apps/common/project.h"
#include "apps/common/tensors.h"
#include "apps/common/text.h"
#include "libruntime/core/io/file.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
namespace fs = std::filesystem;

struct Options {
  CommonFlags common;
  std::string model, dir, target = "cpu", calibration;
  std::vector<std::string> shapes;
  ImageOptions images;
  bool force = false;
};

// One word of a shell's command line.
std::string shell_word(const std::string& word) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("._-/").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  return "'" + replace_all(word, "'", "'\\''") + "'";
}

// A job for a pipeline; what cannot work yet (no golden data, no calibration) is left out.
std::string ci_snippet(const Project& p) {
  std::vector<std::string> script = {"mnn inspect --verify " + shell_word(p.model)};
  if (!p.golden.empty()) {
    script.push_back("mnn run --inputs golden --expect golden " + shell_word(p.model));
  }
  if (!p.calibration.empty()) {
    script.emplace_back("mnn quant --report quant.json --report quant.html --report quant.xml");
  }
  script.emplace_back("mnn bench --json > bench.json");
  std::string text =
      "# Checks the model on every push: paste into your pipeline's configuration; runs in this "
      "folder.\n"
      "# Exit codes: 0 good, 3 a threshold of mnn.json was missed, anything else is an error.\n"
      "model-check:\n"
      "  script:\n";
  for (const std::string& line : script) text += "    - '" + replace_all(line, "'", "''") + "'\n";
  text += "  artifacts:\n    paths: [bench.json";
  if (p.calibration.empty()) return text + "]\n";
  return text + ", quant.json, quant.html]\n    reports:\n      junit: quant.xml\n";
}

// Random inputs of seed 1 and what the model makes of them. Returns a note when shapes are open.
Result<std::string> write_golden(Model& model, const std::string& dir, int threads) {
  const auto dims = concrete_input_dims(model.graph);
  if (!dims.ok()) return "no golden data: " + dims.status().message();
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, random_inputs(model.graph, *dims, 1));
  MNN_ASSIGN_OR_RETURN(auto session, open_session(model.graph, threads));
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> outputs, session->run(inputs));
  MNN_RETURN_IF_ERROR(make_folder(dir));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string& name = model.graph.value(model.graph.inputs[i]).name;
    MNN_RETURN_IF_ERROR(
        write_tensor(dir + "/" + percent_encode(name), inputs[i], name, false).status());
  }
  MNN_RETURN_IF_ERROR(write_outputs(dir, model.graph, outputs, false).status());
  return std::string();
}

Status init(const Options& o) {
  MNN_RETURN_IF_ERROR(check_target(o.target));
  LoadOptions load;
  MNN_ASSIGN_OR_RETURN(load.shapes, parse_shapes(o.shapes));
  Progress progress;
  progress.update("converting", 0, 3);
  MNN_ASSIGN_OR_RETURN(LoadedModel loaded, load_any(o.model, load));
  const fs::path source(o.model);  // a folder may end in '/'
  const std::string stem = (source.has_filename() ? source : source.parent_path()).stem().string();
  Project p;
  p.folder = o.dir.empty() ? stem : o.dir;
  std::error_code ec;
  if (fs::exists(p.path(kProjectFile), ec) && !o.force) {
    return usage_error(p.path(kProjectFile) +
                       " is there already: choose another --dir, or --force");
  }
  if (!o.calibration.empty() && !fs::exists(o.calibration, ec)) {
    return not_accessible(o.calibration + ": no such calibration folder or file");
  }
  MNN_RETURN_IF_ERROR(make_folder(p.folder));
  auto relative = [&](const std::string& path) {
    const std::string r = fs::proximate(fs::absolute(path), fs::absolute(p.folder), ec).string();
    return ec ? path : r;
  };
  p.source = relative(o.model);
  p.source_sha256 = loaded.source_sha256;
  p.source_format = loaded.source_format;
  for (const ValueId v : loaded.model.graph.inputs) {
    const Value& value = loaded.model.graph.value(v);
    p.inputs.push_back({value.name, value.type.str()});
  }
  p.model = stem + ".mnn";
  p.quantized = stem + ".int8.mnn";
  p.shapes = load.shapes;
  p.calibration = o.calibration.empty() ? "" : relative(o.calibration);
  p.images = o.images;
  p.targets = {o.target};
  p.golden = "golden";
  loaded.model.metadata_json = make_metadata(loaded, shape_options(load.shapes));
  MNN_RETURN_IF_ERROR(write_model(loaded.model, p.path(p.model)));
  progress.update("golden data", 1, 3);
  MNN_ASSIGN_OR_RETURN(const std::string note,
                       write_golden(loaded.model, p.path(p.golden), o.common.threads));
  if (!note.empty()) p.golden.clear();
  MNN_RETURN_IF_ERROR(write_file(p.path("mnn-ci.yml"), ci_snippet(p)));
  const auto bytes = static_cast<int64_t>(fs::file_size(p.path(p.model), ec));
  const Placement placement = place(loaded.model.graph);
  const std::string warning = reference_warning(placement);
  if (!warning.empty()) log_warning(warning);
  MNN_RETURN_IF_ERROR(write_conversion_report(p.path("conversion.md"), loaded, placement, bytes));
  MNN_RETURN_IF_ERROR(write_project(p));
  if (o.common.json) {
    nlohmann::ordered_json out;
    out["project"] = p.path(kProjectFile);
    out["model"] = p.path(p.model);
    out["format"] = loaded.format;
    out["source_sha256"] = p.source_sha256;
    out["bytes"] = bytes;
    out["plan_steps"] = {{"imported", loaded.counts.imported},
                         {"unfused", loaded.counts.unfused},
                         {"fused", loaded.counts.fused}};
    out["golden"] =
        p.golden.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(p.path(p.golden));
    if (!note.empty()) out["note"] = note;
    std::cout << json_text(out);
    return {};
  }
  std::cout << conversion_summary(loaded, placement, p.path(p.model), bytes) << "\n"
            << operator_summary(loaded, placement) << "\nproject " << p.path(kProjectFile)
            << "; report " << p.path("conversion.md") << "; CI snippet " << p.path("mnn-ci.yml")
            << "\n";
  if (!note.empty()) std::cout << note << "\n";
  std::cout << "next:\n  cd " << p.folder << "\n"
            << (p.calibration.empty() ? "  mnn quant --calibration SAMPLES --report report.html\n"
                                      : "  mnn quant --report report.html\n")
            << "  mnn bench\n";
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Starts a project: converts the model, writes mnn.json, golden inputs and outputs, a "
      "compatibility "
      "report and a CI snippet, and says what to do next.",
      "mnn init");
  Options o;
  app.add_option("MODEL", o.model, "The source model; its format is recognized by content")
      ->required();
  app.add_option("--dir", o.dir, "Folder of the project; default: the model's name")
      ->type_name("DIR");
  app.add_option("--target", o.target, "What the model is for")->capture_default_str();
  app.add_option("--calibration", o.calibration, "Samples for mnn quant")->type_name("DIR|FILE");
  app.add_flag("--force", o.force, "Replace an existing mnn.json");
  add_image_flags(app, o.images);
  add_shape_flag(app, o.shapes);
  add_common_flags(app, o.common, "mnn init model.onnx --dir project --calibration samples/");
  return run_command(app, o.common, argc, argv, [&] { return init(o); });
}
