// mnn init: starts a project from a model.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>

#include "apps/common/flags.h"
#include "apps/common/image_flags.h"
#include "apps/common/text.h"
#include "apps/flows/assume_shapes.h"
#include "apps/flows/check.h"
#include "apps/flows/conversion_report.h"
#include "apps/flows/file_roles.h"
#include "apps/flows/fill_thresholds.h"
#include "apps/flows/project.h"
#include "apps/flows/tensors.h"
#include "libruntime/core/io/file.h"
#include "libruntime/report/json_text.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;
namespace fs = std::filesystem;

struct Options {
  CommonFlags common;
  std::string model, dir, target = "cpu", calibration;
  std::vector<std::string> shapes, import_keys;
  ImageFlags images;
  bool force = false;
};

// The commands of a pipeline's job and the files they leave; what cannot work (no golden data, no
// calibration) is left out.
struct CiJob {
  std::vector<std::string> commands, files, junit;
};

// `flag FILE` where that file was committed, else `otherwise`.
std::string if_there(const std::string& file, const std::string& flag,
                     const std::string& otherwise) {
  const std::string none = otherwise.empty() ? "" : " || echo " + otherwise;
  return "$(test -f " + file + " && echo " + flag + " " + file + none + ")";
}

CiJob ci_job(const Project& p, bool can_run) {
  CiJob job;
  job.commands = {"mnn inspect --verify " + shell_word(p.model)};
  if (!p.golden.empty()) {
    job.commands.push_back("mnn run --inputs golden --expect golden " + shell_word(p.model));
  }
  if (!p.calibration.empty()) {
    job.commands.push_back(
        "mnn quant --report quant.json --report quant.html --report quant.xml " +
        if_there("scheme.json", "--import-scheme", "--export-scheme scheme.json"));
    job.files.insert(job.files.end(), {"quant.json", "quant.html", "scheme.json"});
    job.junit.emplace_back("quant.xml");
  }
  if (can_run) {
    job.commands.push_back("mnn bench --report bench.json --report bench.xml " +
                           if_there("baseline.json", "--baseline", ""));
    job.files.emplace_back("bench.json");
    job.junit.emplace_back("bench.xml");
  }
  return job;
}

constexpr const char* kCiHead =
    "# Checks the model on every push. Exit codes: 0 good, 3 a threshold of mnn.json was missed,\n"
    "# anything else is an error. Commit scheme.json (every decision of the first quantization) "
    "to\n"
    "# skip the search, and a bench.json as baseline.json to catch slowdowns.\n";

// For .gitlab-ci.yml; the job runs in the project's folder.
std::string gitlab_snippet(const CiJob& job) {
  std::string text = std::string(kCiHead) + "model-check:\n  script:\n";
  for (const std::string& c : job.commands) text += "    - '" + replace_all(c, "'", "''") + "'\n";
  if (job.files.empty()) return text;
  text += "  artifacts:\n    when: always\n    paths: [" + join(job.files, ", ") + "]\n";
  return job.junit.empty() ? text
                           : text + "    reports:\n      junit: [" + join(job.junit, ", ") + "]\n";
}

// For .github/workflows/.
std::string github_snippet(const CiJob& job) {
  std::string text = std::string(kCiHead) +
                     "name: model-check\non: [push]\njobs:\n  model-check:\n"
                     "    runs-on: ubuntu-latest\n"
                     "    container: debian:12\n"
                     "    steps:\n"
                     "      - uses: actions/checkout@v4\n"
                     "      # Put mnn on the PATH here, e.g. from a release's tarball.\n";
  for (const std::string& c : job.commands) {
    text += "      - run: '" + replace_all(c, "'", "''") + "'\n";
  }
  if (job.files.empty()) return text;
  text +=
      "      - uses: actions/upload-artifact@v4\n        if: always()\n        with:\n"
      "          name: model-check\n          path: |\n";
  for (const auto* list : {&job.files, &job.junit}) {
    for (const std::string& file : *list) text += "            " + file + "\n";
  }
  return text;
}

// Random inputs of seed 1 and what the model makes of them.
struct Golden {
  std::vector<Tensor> inputs, outputs;
  std::string note;  // why there are none
};
Golden make_golden(const Graph& graph, const ShapeMap& assumed, int threads) {
  Golden golden;
  const auto make = [&]() -> Status {
    Graph bound = graph;
    MNN_RETURN_IF_ERROR(bind_shapes(bound, assumed));
    MNN_ASSIGN_OR_RETURN(const auto dims, concrete_input_dims(bound));
    MNN_ASSIGN_OR_RETURN(golden.inputs, random_inputs(bound, dims, 1));
    MNN_ASSIGN_OR_RETURN(auto session, open_session(bound, threads));
    MNN_ASSIGN_OR_RETURN(golden.outputs, session->run(golden.inputs));
    return {};
  };
  const Status made = make();
  if (!made.ok()) golden.note = "no golden data and nothing to time: " + made.message();
  return golden;
}

Status write_golden(const Golden& golden, const Graph& graph, const std::string& dir) {
  MNN_RETURN_IF_ERROR(make_folder(dir));
  for (size_t i = 0; i < golden.inputs.size(); ++i) {
    const std::string& name = graph.value(graph.inputs[i]).name;
    // A file name has a longest length; input_<i> is read as well.
    const std::string stem = percent_encode(name);
    constexpr size_t kLongestStem = 200;
    MNN_RETURN_IF_ERROR(
        write_tensor(dir + "/" + (stem.size() > kLongestStem ? "input_" + std::to_string(i) : stem),
                     golden.inputs[i], name, false)
            .status());
  }
  return write_outputs(dir, graph, golden.outputs, false).status();
}

// Whether the model takes the calibration data: found now, not by mnn quant.
Status try_sample(const Graph& graph, const Samples& samples, int threads) {
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, samples.load(0));
  MNN_ASSIGN_OR_RETURN(auto session, open_session(graph, threads));
  return session->run(inputs).status().context(samples.names[0]);
}

std::string shape_text(const ShapeMap& shapes) {
  std::string text;
  for (const auto& [key, dims] : shape_options(shapes)) {
    text += " --" + key.substr(0, key.find('.')) + " " +
            shell_word(key.substr(key.find('.') + 1) + "=" + dims);
  }
  return text;
}

constexpr const char* kCiFile = "mnn-ci.yml";
constexpr const char* kGithubFile = "mnn-ci.github.yml";
constexpr const char* kReportFile = "conversion.md";

Status init(const Options& o) {
  MNN_RETURN_IF_ERROR(check_target(o.target));
  LoadOptions load;
  MNN_ASSIGN_OR_RETURN(load.shapes, parse_shapes(o.shapes));
  MNN_ASSIGN_OR_RETURN(load.import_keys, parse_import_keys(o.import_keys));
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
  const Graph& graph = loaded.model.graph;
  MNN_ASSIGN_OR_RETURN(ImageOptions images, o.images.over({}));
  if (!o.images.layout) images.layout = guess_layout(graph);
  AssumedShapes assumed;
  {
    std::optional<Samples> samples;
    const auto open = [&]() -> Status {
      MNN_ASSIGN_OR_RETURN(samples,
                           open_samples(o.calibration, graph, loaded.source_inputs, images));
      return {};
    };
    if (!o.calibration.empty()) MNN_RETURN_IF_ERROR(open());
    const auto sizes =
        assume_shapes(graph, samples ? &*samples : nullptr, images, o.common.threads);
    if (!sizes.ok()) return sizes.status().context(o.model);
    assumed = *sizes;
    if (images.height == 0) {
      images.height = assumed.height;
      images.width = assumed.width;
    }
    if (samples) {
      MNN_RETURN_IF_ERROR(open());
      tell_skipped(o.calibration, *samples, progress.events());
      MNN_RETURN_IF_ERROR(try_sample(graph, *samples, o.common.threads));
    }
  }
  auto relative = [&](const std::string& path) {
    const std::string r = fs::proximate(fs::absolute(path), fs::absolute(p.folder), ec).string();
    return ec ? path : r;
  };
  p.source = relative(o.model);
  p.source_sha256 = loaded.source_sha256;
  p.source_format = loaded.source_format;
  for (const ValueId v : graph.inputs) {
    const Value& value = graph.value(v);
    p.inputs.push_back({value.name, value.type.str()});
  }
  p.model = stem + ".mnn";
  p.quantized = stem + ".int8.mnn";
  p.shapes = load.shapes;
  p.assumed_shapes = assumed.shapes;
  p.calibration = o.calibration.empty() ? "" : relative(o.calibration);
  p.images = images;
  p.targets = {o.target};
  p.golden = "golden";
  p.fill = {kFillQuant, kFillBench};
  for (const std::string& file : {p.model, std::string(kCiFile), std::string(kGithubFile),
                                  std::string(kReportFile), std::string(kProjectFile)}) {
    MNN_RETURN_IF_ERROR(file_roles().writes("the project's", p.path(file)));
  }
  progress.update("golden data", 1, 3);
  const Golden golden = make_golden(graph, assumed.shapes, o.common.threads);
  const bool can_run = golden.note.empty();
  if (!can_run) p.golden.clear();
  MNN_RETURN_IF_ERROR(make_folder(p.folder));
  std::map<std::string, std::string> kept = shape_options(load.shapes);
  kept.merge(import_options(load.import_keys));
  loaded.model.metadata_json = make_metadata(loaded, kept);
  MNN_RETURN_IF_ERROR(write_model(loaded.model, p.path(p.model)));
  if (can_run) MNN_RETURN_IF_ERROR(write_golden(golden, graph, p.path(p.golden)));
  const CiJob job = ci_job(p, can_run);
  MNN_RETURN_IF_ERROR(write_file(p.path(kCiFile), gitlab_snippet(job)));
  MNN_RETURN_IF_ERROR(write_file(p.path(kGithubFile), github_snippet(job)));
  const auto bytes = static_cast<int64_t>(fs::file_size(p.path(p.model), ec));
  const Placement placement = place(loaded.model.graph);
  const std::string warning = reference_warning(placement);
  if (!warning.empty()) log_warning(warning);
  MNN_RETURN_IF_ERROR(write_conversion_report(p.path(kReportFile), loaded, placement, bytes));
  MNN_RETURN_IF_ERROR(write_project(p));
  const std::string& note = golden.note;
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
    out["assumed_shapes"] = nlohmann::ordered_json::object();
    for (const auto& [name, dims] : assumed.shapes) out["assumed_shapes"][name] = dims;
    if (!assumed.why.empty()) out["assumed_from"] = assumed.why;
    if (!note.empty()) out["note"] = note;
    print_json(std::move(out));
    return {};
  }
  if (!is_quiet()) {
    std::cout << conversion_summary(loaded, placement, p.path(p.model), bytes, terminal_width())
              << "\n"
              << operator_summary(loaded, placement, terminal_width()) << "\n";
  }
  std::cout << "project " << p.path(kProjectFile) << "; report " << p.path(kReportFile)
            << "; CI jobs " << p.path(kCiFile) << " (GitLab), " << p.path(kGithubFile)
            << " (GitHub)\n";
  if (!assumed.shapes.empty()) {
    std::cout << "assumed" << shape_text(assumed.shapes) << "\n  (" << assumed.why
              << ") for golden data and mnn bench; the model keeps its open dims. Bind them with "
                 "--shape, or change assumed_shapes in "
              << p.path(kProjectFile) << "\n";
  }
  if (assumed.height > 0 && o.images.size.empty() && !p.calibration.empty()) {
    std::cout << "assumed --image-size " << images.height << "," << images.width
              << " for the calibration images\n";
  }
  if (!note.empty()) std::cout << note << "\n";
  if (is_quiet()) return {};
  std::cout << "next:\n  cd " << shell_word(p.folder) << "\n"
            << (p.calibration.empty() ? "  mnn quant --calibration SAMPLES --report report.html\n"
                                      : "  mnn quant --report report.html\n")
            << (can_run ? "  mnn bench\n" : "");
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
  o.common.reads(
      app.add_option("MODEL", o.model,
                     "The source model, a file or folder; its format is recognized by content")
          ->required()
          ->type_name("FILE"));
  o.common.writes(app.add_option("--dir", o.dir, "Folder of the project; default: the model's name")
                      ->type_name("DIR"));
  app.add_option("--target", o.target, "What the model is for")->capture_default_str();
  o.common.reads(app.add_option("--calibration", o.calibration, "Samples for mnn quant")
                     ->type_name("DIR|FILE"));
  app.add_flag("--force", o.force, "Replace an existing mnn.json");
  add_image_flags(app, o.images);
  add_shape_flag(app, o.shapes);
  add_import_flag(app, o.import_keys);
  add_common_flags(app, o.common, "mnn init model.onnx --dir project --calibration samples/");
  return run_command(app, o.common, argc, argv, [&] { return init(o); });
}
