// mnn run: a model on given or random inputs.
#include <iostream>

#include "apps/common/check.h"
#include "apps/common/flags.h"
#include "apps/common/json_text.h"
#include "apps/common/layers.h"
#include "apps/common/model_io.h"
#include "apps/common/tensors.h"

namespace {

using namespace mnn;
using namespace mnn::cli;

struct Options {
  CommonFlags common;
  std::string model, inputs, outputs, expect, dump_layers, format = "npy", isa, backend;
  std::vector<std::string> shapes;
  uint64_t seed = 0;
  bool random = false;
  double rtol = 1e-3, atol = 1e-5;
};

Status run(const Options& o) {
  LoadOptions load;
  MNN_ASSIGN_OR_RETURN(load.shapes, parse_shapes(o.shapes));
  MNN_ASSIGN_OR_RETURN(LoadedModel loaded, load_any(o.model, load));
  Graph graph = loaded.model.graph;
  const size_t own_outputs = graph.outputs.size();
  std::vector<Tensor> inputs;
  if (!o.inputs.empty()) {
    MNN_ASSIGN_OR_RETURN(inputs, read_inputs(o.inputs, graph, loaded.source_inputs));
  } else {
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
  auto results = (*session)->run(inputs);
  if (!results.ok()) return with_path(results.status());
  const std::vector<Tensor> all = *results;
  results->resize(own_outputs);
  graph.outputs.resize(own_outputs);

  std::vector<WrittenOutput> written;
  if (!o.outputs.empty()) {
    MNN_ASSIGN_OR_RETURN(written, write_outputs(o.outputs, graph, *results, o.format == "pb"));
  }
  if (!o.dump_layers.empty()) {
    MNN_RETURN_IF_ERROR(make_folder(o.dump_layers));
    const std::vector<std::string> stems = layer_stems(layers);
    for (size_t i = 0; i < layers.size(); ++i) {
      MNN_ASSIGN_OR_RETURN(const Tensor made,
                           source_tensor(graph, layers[i].value, all[layer_at[i]]));
      MNN_RETURN_IF_ERROR(
          write_tensor(o.dump_layers + "/" + stems[i], made, layers[i].name, false).status());
    }
  }
  std::vector<OutputCheck> checks;
  if (!o.expect.empty()) {
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> expected, read_expected(o.expect, graph));
    checks = check_close(graph, expected, *results, o.rtol, o.atol);
  }
  if (o.common.json) {
    nlohmann::ordered_json out;
    out["outputs"] = nlohmann::ordered_json::array();
    for (size_t i = 0; i < results->size(); ++i) {
      out["outputs"].push_back({{"name", graph.value(graph.outputs[i]).name},
                                {"file", i < written.size() ? written[i].file : ""},
                                {"dtype", std::string(dtype_name((*results)[i].dtype()))},
                                {"shape", (*results)[i].dims()}});
      if (!(*results)[i].is_tensor()) out["outputs"].back()["type"] = (*results)[i].type_str();
    }
    for (const OutputCheck& c : checks) {
      out["checks"].push_back({{"output", c.name},
                               {"passed", c.passed},
                               {"problem", c.problem},
                               {"cosine", c.metrics.cosine},
                               {"snr_db", c.metrics.snr_db},
                               {"max_abs", c.metrics.max_abs},
                               {"max_rel", c.metrics.max_rel}});
    }
    std::cout << json_text(out);
  } else {
    std::vector<std::vector<std::string>> rows;
    for (size_t i = 0; i < results->size(); ++i) {
      rows.push_back({graph.value(graph.outputs[i]).name, (*results)[i].type_str(),
                      i < written.size() ? written[i].file : ""});
    }
    std::cout << format_table(rows, {});
    if (!checks.empty()) std::cout << checks_table(checks);
  }
  return with_path(checks_status(checks));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs a model (.mnn or a source model) on inputs from a folder or on random ones.",
               "mnn run");
  Options o;
  app.add_option("MODEL", o.model, "The model")->required();
  auto* inputs =
      app.add_option("--inputs", o.inputs, "Folder with input_<i>.npy|.pb or <name>.npy|.pb")
          ->type_name("DIR");
  app.add_option("--outputs", o.outputs, "Folder to write output_<i>.npy into; made when missing")
      ->type_name("DIR");
  auto* random = app.add_option("--random", o.seed, "Random inputs from this seed")
                     ->type_name("SEED")
                     ->excludes(inputs);
  app.add_option("--format", o.format, "Format of the outputs")
      ->check(CLI::IsMember({"npy", "pb"}))
      ->capture_default_str();
  app.add_option("--expect", o.expect, "Hold the outputs against those in this folder")
      ->type_name("DIR");
  app.add_option("--rtol", o.rtol, "Relative tolerance of --expect")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--atol", o.atol, "Absolute tolerance of --expect")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--dump-layers", o.dump_layers, "Write each layer's output as <layer>.npy")
      ->type_name("DIR");
  app.add_option("--backend", o.backend, "Backend to prefer")
      ->check(CLI::IsMember(backend_names()));
  app.add_option("--isa", o.isa, "Force an instruction set")
      ->check(CLI::IsMember(available_isas()));
  add_shape_flag(app, o.shapes);
  add_common_flags(app, o.common, "mnn run model.mnn --inputs in --outputs out");
  return run_command(app, o.common, argc, argv, [&]() -> Status {
    o.random = random->count() > 0;
    if (o.inputs.empty() && !o.random) return usage_error("expected --inputs DIR or --random SEED");
    return run(o);
  });
}
