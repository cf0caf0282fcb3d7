// mnn run: a model on given or random inputs.
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>

#include "apps/common/backend_flags.h"
#include "apps/common/flags.h"
#include "apps/common/image_flags.h"
#include "apps/common/project_flags.h"
#include "apps/common/terminal.h"
#include "apps/flows/check.h"
#include "apps/flows/layers.h"
#include "apps/flows/model_io.h"
#include "apps/flows/samples.h"
#include "apps/flows/tensors.h"
#include "apps/flows/top_k.h"
#include "libruntime/kernels/isa.h"
#include "libruntime/report/json_text.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;

struct Options {
  CommonFlags common;
  std::string model, project, outputs, expect, dump_layers, labels, format = "npy", isa;
  BackendChoice backend;
  std::vector<std::string> inputs, shapes, import_keys;
  ImageFlags images;
  ImageOptions base_images;  // the project's
  uint64_t seed = 0;
  int64_t steps = 1;
  std::optional<int64_t> top;
  bool random = false, reset = false;
  double rtol = 1e-3, atol = 1e-5;
};

using Json = nlohmann::ordered_json;

struct OutputInfo {
  std::string name, type, dtype, file;
  std::vector<int64_t> dims;
  bool tensor = true;
};

// One run, what it reads and what became of it.
struct Step {
  std::function<Result<std::vector<Tensor>>()> load;
  std::string sample;           // what it reads, for messages; empty: random numbers
  std::string name;             // its folder below those of outputs; empty: the only one
  std::string outputs, expect;  // folders; empty: none
  std::vector<OutputInfo> results;
  std::vector<OutputCheck> checks;
  std::vector<TopClass> top;
};

// A sample's own name for a folder: without its ending, and told from earlier ones of that name.
std::string folder_name(const std::string& sample, std::map<std::string, int>& seen) {
  const std::string stem = std::filesystem::path(sample).stem().string();
  const int before = seen[stem]++;
  return percent_encode(before == 0 ? stem : stem + "_" + std::to_string(before));
}

// Sources in turn, the whole list `steps` times. A folder of inputs is one run, one of samples (and
// an .npz) as many as it has. Of more than one run each has a folder of its own: step_<k>, or the
// sample's name where one folder of samples is run once.
Result<std::vector<Step>> list_steps(const Options& o, const LoadedModel& loaded,
                                     const Events& events) {
  const Graph& graph = loaded.model.graph;
  std::vector<Step> round;
  if (o.inputs.empty()) {
    const auto dims = concrete_input_dims(graph);
    if (!dims.ok()) return dims.status();
    MNN_ASSIGN_OR_RETURN(std::vector<Tensor> made, random_inputs(graph, *dims, o.seed));
    Step& step = round.emplace_back();
    step.load = [made]() -> Result<std::vector<Tensor>> { return made; };
  }
  MNN_ASSIGN_OR_RETURN(const ImageOptions images, o.images.over(o.base_images));
  const bool by_name = o.inputs.size() == 1 && o.steps == 1;
  std::map<std::string, int> seen;
  for (const std::string& source : o.inputs) {
    MNN_ASSIGN_OR_RETURN(const Samples samples,
                         open_inputs(source, graph, loaded.source_inputs, images));
    tell_skipped(source, samples, events);
    for (size_t i = 0; i < samples.names.size(); ++i) {
      Step& step = round.emplace_back();
      step.load = [load = samples.load, i] { return load(i); };
      step.sample = samples.names.size() == 1 ? source : samples.names[i];
      if (by_name) step.name = folder_name(samples.names[i], seen);
    }
  }
  const size_t count = round.size() * static_cast<size_t>(o.steps);
  if (count == 1) round[0].name.clear();
  std::vector<Step> steps;
  for (size_t i = 0; i < count; ++i) {
    steps.push_back(round[i % round.size()]);
    Step& step = steps.back();
    if (count > 1 && step.name.empty()) step.name = "step_" + std::to_string(i);
    const std::string own = count == 1 ? "" : "/" + step.name;
    if (!o.outputs.empty()) step.outputs = o.outputs + own;
    if (!o.expect.empty()) step.expect = o.expect + own;
  }
  return steps;
}

Json step_json(const Step& step) {
  Json out;
  if (!step.name.empty()) out["name"] = step.name;
  out["outputs"] = Json::array();
  for (const OutputInfo& info : step.results) {
    out["outputs"].push_back(
        {{"name", info.name}, {"file", info.file}, {"dtype", info.dtype}, {"shape", info.dims}});
    if (!info.tensor) out["outputs"].back()["type"] = info.type;
  }
  for (const OutputCheck& c : step.checks) {
    out["checks"].push_back({{"output", c.name},
                             {"passed", c.passed},
                             {"problem", c.problem},
                             {"cosine", c.metrics.cosine},
                             {"snr_db", c.metrics.snr_db},
                             {"max_abs", c.metrics.max_abs},
                             {"max_rel", c.metrics.max_rel}});
  }
  for (const TopClass& t : step.top) {
    out["top"].push_back({{"index", t.index}, {"label", t.label}, {"value", t.value}});
  }
  return out;
}

void print_steps(const Options& o, const std::vector<Step>& steps) {
  if (o.common.json) {
    Json out = step_json(steps.back());
    if (steps.size() > 1) {
      for (const Step& step : steps) out["steps"].push_back(step_json(step));
    }
    print_json(std::move(out));
    return;
  }
  for (const Step& step : steps) {
    std::vector<std::vector<std::string>> rows;
    for (size_t i = 0; i < step.results.size() && !is_quiet(); ++i) {
      rows.push_back({step.results[i].name, step.results[i].type, step.results[i].file});
    }
    std::cout << format_table(rows, {.right = {}, .head = false, .width = terminal_width()});
    if (!step.checks.empty()) std::cout << checks_table(step.checks, terminal_width());
    if (step.top.empty()) continue;
    if (!step.name.empty()) std::cout << step.name << "\n";
    rows.clear();
    for (const TopClass& t : step.top) {
      rows.push_back({"  " + std::to_string(t.index), format_significant(t.value, 4), t.label});
    }
    std::cout << format_table(rows, {.right = {0, 1}, .head = false, .width = terminal_width()});
  }
}

Status write_layers(const Options& o, const Graph& graph, const std::vector<Layer>& layers,
                    const std::vector<size_t>& layer_at, const std::vector<Tensor>& all) {
  MNN_RETURN_IF_ERROR(make_folder(o.dump_layers));
  const std::vector<std::string> stems = layer_stems(layers);
  for (size_t i = 0; i < layers.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(const Tensor made,
                         source_tensor(graph, layers[i].value, all[layer_at[i]]));
    MNN_RETURN_IF_ERROR(
        write_tensor(o.dump_layers + "/" + stems[i], made, layers[i].name, false).status());
  }
  return {};
}

// The project's model and samples, or its way to read images for a model of it.
Status fill_from_project(Options& o, LoadOptions& load) {
  if (!means_project(o.model)) {
    MNN_ASSIGN_OR_RETURN(const auto p, project_of(o.project, o.model));
    if (p) o.base_images = p->images;
    return {};
  }
  MNN_ASSIGN_OR_RETURN(const Project p, open_project(o.project, o.model));
  o.model = p.path(p.model);
  o.base_images = p.images;
  if (load.shapes.empty()) load.shapes = p.shapes;
  if (o.inputs.empty() && !o.random && !p.calibration.empty()) {
    o.inputs.push_back(p.path(p.calibration));
  }
  return {};
}

Status run(Options& o) {
  LoadOptions load;
  MNN_ASSIGN_OR_RETURN(load.shapes, parse_shapes(o.shapes));
  MNN_RETURN_IF_ERROR(fill_from_project(o, load));
  if (o.inputs.empty() && !o.random) return usage_error("expected --inputs DIR or --random SEED");
  MNN_ASSIGN_OR_RETURN(load.import_keys, parse_import_keys(o.import_keys));
  MNN_ASSIGN_OR_RETURN(LoadedModel loaded, load_any(o.model, load));
  Graph graph = loaded.model.graph;
  const size_t own_outputs = graph.outputs.size();
  std::optional<Progress> progress(std::in_place);
  Result<std::vector<Step>> listed = list_steps(o, loaded, progress->events());
  if (!listed.ok()) {
    return o.inputs.empty() ? listed.status().context(o.model) : listed.status();
  }
  std::vector<Step> steps = *std::move(listed);
  std::vector<std::string> labels;
  if (!o.labels.empty()) {
    MNN_ASSIGN_OR_RETURN(labels, read_labels(o.labels));
  }
  const auto top = static_cast<size_t>(o.top.value_or(labels.empty() ? 0 : 5));
  std::vector<Layer> layers;
  std::vector<size_t> layer_at;
  if (!o.dump_layers.empty()) {
    layers = list_layers(graph);
    std::vector<ValueId> values;
    for (const Layer& layer : layers) values.push_back(layer.value);
    layer_at = expose(graph, values);
  }
  const auto with_path = [&](const Status& s) { return s.context(o.model); };
  auto session = open_session(graph, o.common.threads, o.isa, o.backend);
  if (!session.ok()) return with_path(session.status());
  graph.outputs.resize(own_outputs);
  std::vector<OutputCheck> checks;
  for (Step& step : steps) {
    if (steps.size() > 1) {
      progress->update("running", &step - steps.data(), static_cast<int64_t>(steps.size()));
    }
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, step.load());
    if (o.reset) (*session)->reset_states();
    auto results = (*session)->run(inputs);
    if (!results.ok()) {
      Status why = results.status();
      return with_path(step.sample.empty() ? why : why.context("sample " + step.sample));
    }
    // The layers of the last run are what stays.
    if (!o.dump_layers.empty() && &step == &steps.back()) {
      MNN_RETURN_IF_ERROR(write_layers(o, graph, layers, layer_at, *results));
    }
    results->resize(own_outputs);
    // Read before anything is written: one folder may serve for both.
    std::vector<Tensor> expected;
    if (!step.expect.empty()) {
      MNN_ASSIGN_OR_RETURN(expected, read_expected(step.expect, graph));
    }
    std::vector<WrittenOutput> written;
    if (!step.outputs.empty()) {
      MNN_ASSIGN_OR_RETURN(written, write_outputs(step.outputs, graph, *results, o.format == "pb"));
    }
    if (!step.expect.empty()) {
      step.checks = check_close(graph, expected, *results, o.rtol, o.atol);
      checks.insert(checks.end(), step.checks.begin(), step.checks.end());
    }
    if (top > 0) {
      if (results->empty()) return usage_error(o.model + ": --top: the model has no output");
      auto best = top_classes((*results)[0], top, labels);
      if (!best.ok()) return with_path(best.status());
      step.top = *std::move(best);
    }
    for (size_t i = 0; i < results->size(); ++i) {
      const Tensor& t = (*results)[i];
      step.results.push_back({graph.value(graph.outputs[i]).name, t.type_str(),
                              std::string(dtype_name(t.dtype())),
                              i < written.size() ? written[i].file : "", t.dims(), t.is_tensor()});
    }
  }
  progress.reset();
  print_steps(o, steps);
  return with_path(checks_status(checks));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs a model (.mnn or a source model) on inputs from a folder or on random ones.",
               "mnn run");
  Options o;
  CommonFlags& c = o.common;
  c.reads(app.add_option("MODEL", o.model,
                         "The model, or a project's folder; "
                         "default: that of the nearest project, on its samples")
              ->type_name("FILE"));
  auto* inputs =
      c.reads(app.add_option("--inputs", o.inputs,
                             "Folder with input_<i>.npy|.pb or <name>.npy|.pb, or samples as "
                             "mnn quant takes them: an image, a folder of images… Repeatable: run "
                             "in turn, states carried over")
                  ->type_name("DIR|FILE"));
  c.writes(app.add_option("--outputs", o.outputs,
                          "Folder to write output_<i>.npy into, of several runs "
                          "step_<k>/output_<i>.npy or <sample>/…; made when missing")
               ->type_name("DIR"));
  auto* random = app.add_option("--random", o.seed, "Random inputs from this seed")
                     ->type_name("SEED")
                     ->check(whole_number(0))
                     ->excludes(inputs);
  app.add_option("--format", o.format, "Format of the outputs")
      ->check(CLI::IsMember({"npy", "pb"}))
      ->capture_default_str();
  c.reads(app.add_option("--expect", o.expect, "Hold the outputs against those in this folder")
              ->type_name("DIR"));
  app.add_option("--top", o.top, "Print the K best classes of the first output")
      ->type_name("K")
      ->check(whole_number(1, 1000));
  c.reads(
      app.add_option("--labels", o.labels, "Names of the classes, one a line; prints the best 5")
          ->type_name("FILE"));
  app.add_option("--rtol", o.rtol, "Relative tolerance of --expect")
      ->type_name("T")
      ->check(real_number(0, 1e30))
      ->capture_default_str();
  app.add_option("--atol", o.atol, "Absolute tolerance of --expect")
      ->type_name("T")
      ->check(real_number(0, 1e30))
      ->capture_default_str();
  app.add_option("--steps", o.steps, "Run the inputs this often, states carried over")
      ->type_name("N")
      ->check(whole_number(1, int64_t{1} << 20))
      ->capture_default_str();
  app.add_flag("--reset", o.reset, "States start fresh before each run");
  c.writes(
      app.add_option("--dump-layers", o.dump_layers, "Write each layer's output as <layer>.npy")
          ->type_name("DIR"));
  add_backend_flags(app, o.backend);
  app.add_option("--isa", o.isa, "Force an instruction set")
      ->check(CLI::IsMember(available_isas()));
  add_image_flags(app, o.images);
  add_project_flag(app, c, o.project);
  add_shape_flag(app, o.shapes);
  add_import_flag(app, o.import_keys);
  add_common_flags(app, c, "mnn run model.mnn --inputs in --outputs out");
  return run_command(app, c, argc, argv, [&]() -> Status {
    o.random = random->count() > 0;
    return run(o);
  });
}
