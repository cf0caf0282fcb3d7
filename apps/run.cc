// mnn run: a model on given or random inputs.
#include <iostream>

#include "apps/common/flags.h"
#include "apps/common/terminal.h"
#include "apps/flows/check.h"
#include "apps/flows/layers.h"
#include "apps/flows/model_io.h"
#include "apps/flows/tensors.h"
#include "libruntime/report/json_text.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;

struct Options {
  CommonFlags common;
  std::string model, outputs, expect, dump_layers, format = "npy", isa, backend;
  std::vector<std::string> inputs, shapes;
  uint64_t seed = 0;
  int64_t steps = 1;
  bool random = false, reset = false;
  double rtol = 1e-3, atol = 1e-5;
};

using Json = nlohmann::ordered_json;

// One run of the sequence, and where its files are.
struct Step {
  std::string inputs;           // folder; empty: random
  std::string outputs, expect;  // folders; empty: none
  std::vector<Tensor> results;
  std::vector<WrittenOutput> written;
  std::vector<OutputCheck> checks;
};

// Folders in turn, the whole list `steps` times. With more than one run each has a folder of its
// own.
std::vector<Step> list_steps(const Options& o) {
  std::vector<Step> steps;
  const size_t folders = std::max<size_t>(o.inputs.size(), 1);
  const size_t count = folders * static_cast<size_t>(o.steps);
  for (size_t i = 0; i < count; ++i) {
    const std::string own = count == 1 ? "" : "/step_" + std::to_string(i);
    steps.push_back({o.inputs.empty() ? "" : o.inputs[i % folders],
                     o.outputs.empty() ? "" : o.outputs + own,
                     o.expect.empty() ? "" : o.expect + own,
                     {},
                     {},
                     {}});
  }
  return steps;
}

Json step_json(const Graph& graph, const Step& step) {
  Json out;
  out["outputs"] = Json::array();
  for (size_t i = 0; i < step.results.size(); ++i) {
    out["outputs"].push_back({{"name", graph.value(graph.outputs[i]).name},
                              {"file", i < step.written.size() ? step.written[i].file : ""},
                              {"dtype", std::string(dtype_name(step.results[i].dtype()))},
                              {"shape", step.results[i].dims()}});
    if (!step.results[i].is_tensor()) out["outputs"].back()["type"] = step.results[i].type_str();
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
  return out;
}

void print_steps(const Options& o, const Graph& graph, const std::vector<Step>& steps) {
  if (o.common.json) {
    Json out = step_json(graph, steps.back());
    if (steps.size() > 1) {
      for (const Step& step : steps) out["steps"].push_back(step_json(graph, step));
    }
    std::cout << json_text(out);
    return;
  }
  for (const Step& step : steps) {
    std::vector<std::vector<std::string>> rows;
    for (size_t i = 0; i < step.results.size() && !is_quiet(); ++i) {
      rows.push_back({graph.value(graph.outputs[i]).name, step.results[i].type_str(),
                      i < step.written.size() ? step.written[i].file : ""});
    }
    std::cout << format_table(rows, {});
    if (!step.checks.empty()) std::cout << checks_table(step.checks);
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

Status run(const Options& o) {
  LoadOptions load;
  MNN_ASSIGN_OR_RETURN(load.shapes, parse_shapes(o.shapes));
  MNN_ASSIGN_OR_RETURN(LoadedModel loaded, load_any(o.model, load));
  Graph graph = loaded.model.graph;
  const size_t own_outputs = graph.outputs.size();
  std::vector<Step> steps = list_steps(o);
  std::vector<Tensor> inputs;
  if (o.inputs.empty()) {
    MNN_ASSIGN_OR_RETURN(const auto dims, concrete_input_dims(graph));
    MNN_ASSIGN_OR_RETURN(inputs, random_inputs(graph, dims, o.seed));
  }
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
    if (!step.inputs.empty()) {
      MNN_ASSIGN_OR_RETURN(inputs, read_inputs(step.inputs, graph, loaded.source_inputs));
    }
    if (o.reset) (*session)->reset_states();
    auto results = (*session)->run(inputs);
    if (!results.ok()) return with_path(results.status());
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
    if (!step.outputs.empty()) {
      MNN_ASSIGN_OR_RETURN(step.written,
                           write_outputs(step.outputs, graph, *results, o.format == "pb"));
    }
    if (!step.expect.empty()) {
      step.checks = check_close(graph, expected, *results, o.rtol, o.atol);
      checks.insert(checks.end(), step.checks.begin(), step.checks.end());
    }
    step.results = *std::move(results);
  }
  print_steps(o, graph, steps);
  return with_path(checks_status(checks));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs a model (.mnn or a source model) on inputs from a folder or on random ones.",
               "mnn run");
  Options o;
  CommonFlags& c = o.common;
  c.reads(app.add_option("MODEL", o.model, "The model")->required()->type_name("FILE"));
  auto* inputs =
      c.reads(app.add_option("--inputs", o.inputs,
                             "Folder with input_<i>.npy|.pb or <name>.npy|.pb. Repeatable: run in "
                             "turn, states carried over")
                  ->type_name("DIR"));
  c.writes(app.add_option("--outputs", o.outputs,
                          "Folder to write output_<i>.npy into, of several runs "
                          "step_<k>/output_<i>.npy; made when missing")
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
  app.add_option("--backend", o.backend, "Backend to prefer")
      ->check(CLI::IsMember(backend_names()));
  app.add_option("--isa", o.isa, "Force an instruction set")
      ->check(CLI::IsMember(available_isas()));
  add_shape_flag(app, o.shapes);
  add_common_flags(app, c, "mnn run model.mnn --inputs in --outputs out");
  return run_command(app, c, argc, argv, [&]() -> Status {
    o.random = random->count() > 0;
    if (o.inputs.empty() && !o.random) return usage_error("expected --inputs DIR or --random SEED");
    return run(o);
  });
}
