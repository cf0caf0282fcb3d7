// mnn compare: two models on the same inputs, layer by layer.
#include <iostream>

#include "apps/common/backend_flags.h"
#include "apps/common/flags.h"
#include "apps/common/image_flags.h"
#include "apps/common/project_flags.h"
#include "apps/flows/bisect.h"
#include "apps/flows/check.h"
#include "apps/flows/compare_report.h"
#include "apps/flows/samples.h"
#include "apps/flows/tensors.h"
#include "apps/flows/thumbnail.h"
#include "libruntime/compile/registry.h"
#include "libruntime/kernels/isa.h"
#include "libruntime/session.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;

struct Options {
  CommonFlags common;
  std::string ref, test, inputs, dump_layers, align;
  std::vector<std::string> shapes, import_keys, reports;
  uint64_t seed = 0;
  std::string project;
  ImageFlags images;
  ImageOptions base_images;  // the project's
  bool random = false, bisect = false;
  CompareOptions compare;
  size_t max_layers = 25, worst_samples = 5;
};

// Without models: the project's two on its samples, images made inputs its way. A model of a
// project brings the latter alone.
Status fill_from_project(Options& o, LoadOptions& load) {
  if (!o.test.empty()) {
    for (const std::string& model : {o.ref, o.test}) {
      MNN_ASSIGN_OR_RETURN(const auto p, project_of(o.project, model));
      if (!p) continue;
      o.base_images = p->images;
      return {};
    }
    return {};
  }
  if (!means_project(o.ref)) return usage_error("expected two models, found " + o.ref + " alone");
  MNN_ASSIGN_OR_RETURN(const Project p, open_project(o.project, o.ref));
  o.ref = p.path(p.model);
  o.test = p.path(p.quantized);
  o.base_images = p.images;
  if (load.shapes.empty()) load.shapes = p.shapes;
  if (o.inputs.empty() && !o.random) o.inputs = p.path(p.calibration);
  return {};
}

// REF as samples are made for: an image of any size gets the one TEST was bound to.
Graph sized_for_both(const Graph& ref, const Graph& test) {
  Graph sized = ref;
  for (size_t i = 0; i < std::min(ref.inputs.size(), test.inputs.size()); ++i) {
    Type& type = sized.values[static_cast<size_t>(ref.inputs[i])].type;
    const Type& other = test.value(test.inputs[i]).type;
    if (!type.shape || !other.shape || type.rank() != other.rank()) continue;
    for (size_t d = 0; d < type.rank(); ++d) {
      if (!(*type.shape)[d].known()) (*type.shape)[d] = (*other.shape)[d];
    }
  }
  return sized;
}

// The inputs of --inputs, or one sample of random ones. `sized` lives as long as they do.
Result<CompareInputs> open_compare_inputs(const Options& o, const LoadedModel& ref,
                                          const Graph& sized, const Events& events) {
  CompareInputs inputs;
  if (!o.inputs.empty()) {
    MNN_ASSIGN_OR_RETURN(const ImageOptions images, o.images.over(o.base_images));
    MNN_ASSIGN_OR_RETURN(const Samples samples,
                         open_inputs(o.inputs, sized, ref.source_inputs, images));
    tell_skipped(o.inputs, samples, events);
    inputs.count = samples.names.size();
    inputs.load = samples.load;
    inputs.names = samples.names;
    return inputs;
  }
  const auto dims = concrete_input_dims(sized);
  if (!dims.ok()) return dims.status().context(o.ref);
  MNN_ASSIGN_OR_RETURN(std::vector<Tensor> made, random_inputs(sized, *dims, o.seed));
  inputs.count = 1;
  inputs.load = [made](size_t) -> Result<std::vector<Tensor>> { return made; };
  return inputs;
}

// What -q prints.
std::string verdict_text(const Comparison& c, const CompareGate& gate) {
  const ComparedTensor* bad = first_bad(c, gate);
  const std::string verdict = judge_comparison(c, gate).ok() ? "passed" : "failed";
  return verdict + (bad != nullptr ? "\nfirst bad layer: " + bad->name : "\nno bad layer") + "\n";
}

Status compare(Options& o) {
  for (const std::string& r : o.reports) MNN_RETURN_IF_ERROR(check_compare_report_name(r));
  LoadOptions load;
  MNN_ASSIGN_OR_RETURN(load.shapes, parse_shapes(o.shapes));
  MNN_RETURN_IF_ERROR(fill_from_project(o, load));
  if (o.inputs.empty() && !o.random) return usage_error("expected --inputs DIR or --random SEED");
  if (o.compare.gate.min_eval && o.compare.eval.command.empty())
    return usage_error("--min-eval needs --eval");
  if (!o.align.empty()) {
    MNN_ASSIGN_OR_RETURN(o.compare.align, read_name_pairs(o.align));
  }
  MNN_ASSIGN_OR_RETURN(load.import_keys, parse_import_keys(o.import_keys));
  MNN_ASSIGN_OR_RETURN(const std::vector<LoadedModel> loaded, load_each({o.ref, o.test}, load));
  const LoadedModel &ref = loaded[0], &test = loaded[1];
  const Graph sized = sized_for_both(ref.model.graph, test.model.graph);
  Progress progress;
  MNN_ASSIGN_OR_RETURN(const CompareInputs inputs,
                       open_compare_inputs(o, ref, sized, progress.events()));
  o.compare.threads = o.common.threads;
  o.compare.ref_name = o.ref;
  o.compare.test_name = o.test;
  o.compare.progress = [&](int64_t done, int64_t total) {
    progress.update("comparing", done, total);
  };
  if (!o.dump_layers.empty()) {
    o.compare.dump = [&](const std::string& side, size_t sample, const std::string& stem,
                         const Tensor& t) -> Status {
      std::string dir = o.dump_layers;
      if (inputs.count > 1) dir += "/" + std::to_string(sample);
      dir += "/" + side;
      MNN_RETURN_IF_ERROR(make_folder(dir));
      return write_tensor(dir + "/" + stem, t, stem, false).status();
    };
  }
  MNN_ASSIGN_OR_RETURN(o.compare.engine, open_engine(o.compare.threads, o.compare.isa));
  MNN_ASSIGN_OR_RETURN(Comparison c,
                       compare_models(ref.model.graph, test.model.graph, inputs, o.compare));
  if (o.bisect) {
    o.compare.progress = [&](int64_t done, int64_t total) {
      progress.update("bisecting", done, total);
    };
    MNN_ASSIGN_OR_RETURN(c.bisection,
                         bisect_models(ref.model.graph, test.model.graph, inputs, o.compare, c));
  }
  const CompareTitle title = {
      o.ref, o.test,
      o.inputs.empty() ? "random inputs of seed " + std::to_string(o.seed) : o.inputs};
  for (const std::string& r : o.reports) {
    MNN_RETURN_IF_ERROR(
        write_compare_report(r, c, o.compare.gate, title, o.worst_samples, [&](size_t i) {
          return i < inputs.names.size() ? thumbnail_html(inputs.names[i]) : std::string();
        }));
  }
  if (o.common.json) {
    std::cout << compare_json(c, o.compare.gate, title);
  } else if (is_quiet()) {
    print_text(verdict_text(c, o.compare.gate) +
               (c.bisection ? bisect_line(c) + "\n" : std::string()));
  } else {
    std::cout << compare_text(c, o.compare.gate, title, o.max_layers, o.worst_samples,
                              terminal_width());
  }
  return judge_comparison(c, o.compare.gate).context(o.test);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Compares two models (.mnn or source models) on the same inputs, layer by layer, aligned by "
      "source names, and names the first bad layer. With a threshold every layer and output must "
      "reach it; without one only what cannot be compared fails, and a layer counts as bad below "
      "cosine 0.99 or 20 dB.",
      "mnn compare");
  Options o;
  CommonFlags& flags = o.common;
  flags.reads(
      app.add_option("REF", o.ref,
                     "The model that is right; without models: the project's two on its samples")
          ->type_name("FILE"));
  flags.reads(app.add_option("TEST", o.test, "The model to judge")->type_name("FILE"));
  auto* inputs =
      flags.reads(app.add_option("--inputs", o.inputs,
                                 "Folder with input_<i>.npy|.pb or <name>.npy|.pb, or samples as "
                                 "for mnn quant --calibration")
                      ->type_name("DIR|FILE"));
  auto* random = app.add_option("--random", o.seed, "Random inputs from this seed")
                     ->type_name("SEED")
                     ->check(whole_number(0))
                     ->excludes(inputs);
  app.add_option("--min-cosine", o.compare.gate.min_cosine, "Exit 3 when a cosine is lower")
      ->type_name("C")
      ->check(real_number(-1, 1));
  app.add_option("--min-snr", o.compare.gate.min_snr, "Exit 3 when an SNR is lower")
      ->type_name("DB")
      ->check(real_number(-1000, 1000));
  app.add_flag("--outputs-only", o.compare.outputs_only, "Compare the outputs, no layers");
  app.add_flag(
         "--bisect", o.bisect,
         "Find the first layer that explains the loss at the outputs: TEST goes on with REF's "
         "values from cuts between the layers")
      ->excludes("--outputs-only");
  add_report_flag(app, flags, o.reports,
                  "Write the report: .json, .html or .xml (JUnit). Repeatable");
  flags.reads(app.add_option("--align", o.align,
                             "Layers that are the same under different names, a JSON object "
                             "{\"layer of REF\": \"layer of TEST\"}")
                  ->type_name("FILE"));
  flags.writes(app.add_option("--dump-layers", o.dump_layers,
                              "Write what was compared as ref/<layer>.npy and test/<layer>.npy")
                   ->type_name("DIR"));
  app.add_option("--max-layers", o.max_layers, "Rows of the table on the terminal")
      ->type_name("N")
      ->check(whole_number(0))
      ->capture_default_str();
  app.add_option("--worst", o.worst_samples, "Samples to list, worst first")
      ->type_name("N")
      ->check(whole_number(0))
      ->capture_default_str();
  app.add_option("--metric", o.compare.metrics,
                 "A figure of the task: argmax, top5, ctc, detections:SPEC (see the manual). "
                 "Repeatable")
      ->type_name("NAME[:SPEC]")
      ->allow_extra_args(false);
  app.add_option("--min-metric", o.compare.gate.min_metric, "Exit 3 when a --metric is lower")
      ->type_name("X")
      ->check(real_number(0, 1));
  add_eval_flags(app, o.compare.eval, o.compare.gate.min_eval);
  app.add_option("--output-slice", o.compare.output_slices,
                 "Judge this part of an output by itself, such as output0[:,4:]; default: found. "
                 "Repeatable")
      ->type_name("NAME[RANGES]")
      ->allow_extra_args(false);
  add_backend_flags(app, o.compare.test_backend);
  app.add_option("--ref-backend", o.compare.ref_backend.backends, "The same for REF; default: cpu")
      ->delimiter(',')
      ->type_name("NAME,…")
      ->check(CLI::IsMember(backend_names()));
  app.add_option("--isa", o.compare.isa, "Force an instruction set")
      ->check(CLI::IsMember(available_isas()));
  add_project_flag(app, flags, o.project);
  add_shape_flag(app, o.shapes);
  add_import_flag(app, o.import_keys);
  add_image_flags(app, o.images);
  add_common_flags(app, flags, "mnn compare model.onnx model.mnn --random 1 --min-cosine 0.999");
  return run_command(app, flags, argc, argv, [&]() -> Status {
    o.random = random->count() > 0;
    return compare(o);
  });
}
