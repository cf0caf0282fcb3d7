#include "apps/flows/train_flow.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/flows/file_roles.h"
#include "apps/flows/model_io.h"
#include "libconvert/exporters/onnx/exporter.h"
#include "libquant/train/adapters.h"
#include "libquant/train/head.h"
#include "libruntime/core/builder.h"
#include "libruntime/core/io/file.h"
#include "libruntime/core/op.h"
#include "libruntime/report/format.h"
#include "libruntime/session.h"

namespace mnn::flows {
namespace {

std::string percent(double share, int decimals) { return format_percent(share, decimals) + " %"; }

// Samples that are kept once they were read, and features: at most so many bytes.
constexpr int64_t kMostKept = int64_t{1} << 30;

// What is done where nothing is said.
constexpr int64_t kHeadEpochs = 60, kEpochs = 10;
constexpr double kHeadRate = 0.01, kRate = 0.001;

// Reads files as samples and keeps what it has read.
class SampleReader {
 public:
  SampleReader(const LabelledFiles& files, std::vector<int64_t> dims, const TrainFlow& flow)
      : files_(files), dims_(std::move(dims)), flow_(flow), kept_(files.files.size()) {}

  // One sample without its axis of samples; `seed` 0: as it is.
  Status read(int64_t index, uint64_t seed, std::byte* input, std::byte* target) {
    const LabelledFile& file = files_.files[static_cast<size_t>(index)];
    Tensor& kept = kept_[static_cast<size_t>(index)];
    Tensor sample = kept;
    if (!sample.defined()) {
      MNN_ASSIGN_OR_RETURN(sample, read_sample(file.path, dims_, flow_.images));
      if (bytes_ + sample.bytes() <= kMostKept) {
        kept = sample;
        bytes_ += sample.bytes();
      }
    }
    if (seed != 0 && flow_.augmentation.any()) {
      MNN_ASSIGN_OR_RETURN(sample, sample.clone());
      augment(sample, flow_.images.layout == "nhwc", flow_.augmentation, seed);
    }
    std::memcpy(input, sample.raw(), static_cast<size_t>(sample.bytes()));
    std::memcpy(target, &file.label, sizeof(file.label));
    return {};
  }
  TrainData data() {
    return {std::ssize(files_.files), [this](int64_t i, uint64_t seed, std::byte* x, std::byte* y) {
              return read(i, seed, x, y);
            }};
  }

 private:
  const LabelledFiles& files_;
  const std::vector<int64_t> dims_;
  const TrainFlow& flow_;
  std::vector<Tensor> kept_;
  int64_t bytes_ = 0;
};

// What the trunk makes of every sample, [count, width].
struct Features {
  Tensor values;
  const LabelledFiles* files = nullptr;

  TrainData data() const {
    return {values.dims()[0], [this](int64_t i, uint64_t, std::byte* x, std::byte* y) -> Status {
              const int64_t width = values.dims()[1];
              std::memcpy(x, values.data<float>() + i * width,
                          static_cast<size_t>(width) * sizeof(float));
              std::memcpy(y, &files->files[static_cast<size_t>(i)].label, sizeof(int64_t));
              return {};
            }};
  }
};

Result<Features> compute_features(Session& trunk, const LabelledFiles& files, SampleReader& reader,
                                  const Events& events, int64_t before, int64_t all) {
  Features f;
  f.files = &files;
  Tensor& input = trunk.input(0);
  const int64_t batch = input.dims()[0], stride = input.bytes() / batch;
  const Tensor& output = trunk.output(0);
  const int64_t width = output.elements() / batch, count = std::ssize(files.files);
  MNN_ASSIGN_OR_RETURN(f.values, Tensor::allocate(DType::kF32, {count, width}));
  for (int64_t at = 0; at < count; at += batch) {
    const int64_t n = std::min(batch, count - at);
    int64_t label = 0;
    for (int64_t i = 0; i < n; ++i) {
      MNN_RETURN_IF_ERROR(
          reader.read(at + i, 0, input.raw() + i * stride, reinterpret_cast<std::byte*>(&label)));
    }
    MNN_RETURN_IF_ERROR(trunk.run());
    std::memcpy(f.values.data<float>() + at * width, trunk.output(0).raw(),
                static_cast<size_t>(n * width) * sizeof(float));
    events.at("features", before + at + n, all);
  }
  return f;
}

Status refuse_quantized(const Graph& graph, const std::string& model) {
  for (const Value& v : graph.values) {
    if (v.quant) {
      return unsupported(model + " is quantized: train the float model, then quantize it");
    }
  }
  return {};
}

TrainEvents trainer_events(const Events& events, const std::string& stage,
                           const TrainOptions& options) {
  TrainEvents t;
  t.step = [&events, stage](int64_t step, int64_t steps, double) { events.at(stage, step, steps); };
  t.epoch = [&events, stage, epochs = options.epochs](const EpochReport& e) {
    if (!events.info) return;
    events.info(stage + ": epoch " + std::to_string(e.epoch) + " of " + std::to_string(epochs) +
                ": loss " + format_significant(e.loss, 4) + ", held back: loss " +
                format_significant(e.held_loss, 4) + ", right " + percent(e.held_score, 2) +
                (e.best ? " (best)" : ""));
  };
  t.resumed = [path = options.checkpoint] { file_roles().updates(path); };
  t.note = [&events](const std::string& text) {
    if (events.info) events.info(text);
  };
  return t;
}

// Of each feature its mean and deviation over the samples that are learned from.
struct Spread {
  std::vector<double> mean, deviation;
};
Spread spread_of(const Tensor& features) {
  const int64_t count = features.dims()[0], width = features.dims()[1];
  Spread s{std::vector<double>(static_cast<size_t>(width)),
           std::vector<double>(static_cast<size_t>(width))};
  for (int64_t k = 0; k < width; ++k) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; ++i) sum += features.data<float>()[i * width + k];
    const double mean = sum / static_cast<double>(count);
    for (int64_t i = 0; i < count; ++i) {
      const double d = features.data<float>()[i * width + k] - mean;
      squares += d * d;
    }
    const double deviation = std::sqrt(squares / static_cast<double>(count));
    s.mean[static_cast<size_t>(k)] = mean;
    // A feature that never changes stays as it is.
    s.deviation[static_cast<size_t>(k)] =
        deviation > 1e-6 * (1.0 + std::fabs(mean)) ? deviation : 1;
  }
  return s;
}
void normalize(Tensor& features, const Spread& s) {
  const int64_t width = features.dims()[1];
  for (int64_t i = 0; i < features.elements(); ++i) {
    const auto k = static_cast<size_t>(i % width);
    features.data<float>()[i] =
        static_cast<float>((features.data<float>()[i] - s.mean[k]) / s.deviation[k]);
  }
}
// The weights that make of the features what those given make of normalized ones.
void fold_spread(Tensor& weight, Tensor& bias, const Spread& s) {
  const int64_t classes = weight.dims()[0], width = weight.dims()[1];
  for (int64_t c = 0; c < classes; ++c) {
    double shift = 0;
    for (int64_t k = 0; k < width; ++k) {
      float& w = weight.data<float>()[c * width + k];
      const auto i = static_cast<size_t>(k);
      w = static_cast<float>(w / s.deviation[i]);
      shift += double{w} * s.mean[i];
    }
    bias.data<float>()[c] = static_cast<float>(bias.data<float>()[c] - shift);
  }
}

// Trains the head on features, which the trunk, that does not change, makes once; normalized, so
// that one learning rate fits all of them. The result's weights read features as they are.
Result<TrainResult> train_head(const Graph& batched, const Headed& head,
                               const LabelledFiles& train_files, SampleReader& train_reader,
                               const LabelledFiles& held_files, SampleReader& held_reader,
                               const TrainFlow& flow, const TrainOptions& options,
                               const Events& events) {
  Graph trunk = batched;
  trunk.outputs = {head.features};
  remove_dead(trunk);
  SessionOptions session;
  session.threads = flow.threads;
  MNN_ASSIGN_OR_RETURN(const auto runner, Session::create(std::move(trunk), session));
  MNN_RETURN_IF_ERROR(runner->prepare());
  const int64_t first = std::ssize(train_files.files);
  const int64_t all = first + std::ssize(held_files.files);
  MNN_ASSIGN_OR_RETURN(Features own,
                       compute_features(*runner, train_files, train_reader, events, 0, all));
  MNN_ASSIGN_OR_RETURN(Features held,
                       compute_features(*runner, held_files, held_reader, events, first, all));
  const Spread spread = spread_of(own.values);
  normalize(own.values, spread);
  normalize(held.values, spread);
  Graph graph;
  const int64_t batch = runner->input(0).dims()[0], width = own.values.dims()[1];
  const ValueId x = graph.add_input("features", tensor_type(DType::kF32, {batch, width}));
  const ValueId ids[] = {graph.add_constant(head.graph.value(head.weight).data, "head.weight"),
                         graph.add_constant(head.graph.value(head.bias).data, "head.bias")};
  Builder b(graph, {"head"});
  graph.outputs = {b.op("Gemm", {x, ids[0], ids[1]}, {{"transB", int64_t{1}}})};
  MNN_ASSIGN_OR_RETURN(TrainResult result, train(graph, 0, ids, own.data(), held.data(), options,
                                                 trainer_events(events, "head", options)));
  fold_spread(result.weights[0], result.weights[1], spread);
  return result;
}

int64_t numbers_of(const Graph& graph, std::span<const ValueId> ids) {
  int64_t n = 0;
  for (const ValueId v : ids) n += graph.value(v).data.elements();
  return n;
}

void add_softmax(Graph& graph) {
  const ValueId scores = graph.outputs[0];
  const std::string name = std::move(graph.value(scores).name);
  graph.value(scores).name.clear();
  Builder b(graph, {"probabilities"});
  const ValueId y = b.op("Softmax", {scores}, {{"axis", int64_t{1}}});
  graph.value(y).name = name;
  graph.outputs = {y};
}

std::string beside(const std::string& output, const char* extension) {
  return std::filesystem::path(output).replace_extension(extension).string();
}

}  // namespace

Result<TrainOutcome> run_train_flow(const TrainFlow& flow, const Events& events) {
  const auto start = std::chrono::steady_clock::now();
  TrainOutcome out;
  // Not after an hour of work.
  for (const std::string* path : {&flow.output, &flow.checkpoint, &flow.export_onnx}) {
    const std::filesystem::path folder = std::filesystem::path(*path).parent_path();
    std::error_code error;
    if (!folder.empty() && !std::filesystem::is_directory(folder, error)) {
      return not_accessible(*path + ": cannot write: there is no folder " + folder.string());
    }
  }
  LoadOptions load;
  load.shapes = flow.shapes;
  load.import_keys = flow.import_keys;
  events.at("reading " + flow.model, 0, 1);
  MNN_ASSIGN_OR_RETURN(LoadedModel loaded, load_any(flow.model, load));
  MNN_RETURN_IF_ERROR(refuse_quantized(loaded.model.graph, flow.model));
  MNN_ASSIGN_OR_RETURN(LabelledFiles train_files, open_labelled(flow.data, flow.classes));
  out.classes = train_files.classes;
  out.skipped = train_files.skipped;
  LabelledFiles held;
  if (!flow.validation.empty()) {
    MNN_ASSIGN_OR_RETURN(held, open_labelled(flow.validation, out.classes));
  } else {
    held = split_off(train_files, flow.split, flow.seed);
  }
  out.samples = std::ssize(train_files.files);
  out.held_back = std::ssize(held.files);
  const auto classes = static_cast<int64_t>(out.classes.size());

  Headed head;
  if (flow.keep_head) {
    head.graph = loaded.model.graph;
    if (head.graph.outputs.size() != 1) {
      return unsupported(flow.model + ": expected one output, found " +
                         std::to_string(head.graph.outputs.size()));
    }
  } else {
    Result<Headed> made = replace_head(loaded.model.graph, 0, classes, flow.seed);
    if (!made.ok()) return made.status().context(flow.model);
    head = std::move(made).value();
    out.head = head.layer;
  }
  std::vector<ValueId> ids =
      flow.unfreeze < 0 ? trainable(head.graph) : last_layers(head.graph, flow.unfreeze + 1);
  std::vector<Adapter> adapters;
  if (flow.lora_rank > 0) {
    MNN_ASSIGN_OR_RETURN(adapters,
                         add_adapters(head.graph, flow.lora_rank, flow.seed, {head.weight}));
    if (adapters.empty()) {
      return usage_error(flow.model + ": no MatMul or Gemm before the head has a matrix larger " +
                         "than --lora-rank " + std::to_string(flow.lora_rank));
    }
    out.adapters = std::ssize(adapters);
  }
  const int64_t batch = std::min(flow.batch, out.samples);
  Result<Graph> batched = with_batch(head.graph, batch);
  if (!batched.ok()) return batched.status().context(flow.model);
  const Type& scores = batched->value(batched->outputs[0]).type;
  if (scores.rank() != 2 || !(*scores.shape)[1].is(classes)) {
    return usage_error(flow.model + ": the output has type " + scores.str() + ", the data " +
                       std::to_string(classes) + " classes; leave out --keep-head");
  }
  for (const Adapter& adapter : adapters) {
    for (const ValueId v : {adapter.a, adapter.b}) {
      if (std::ranges::count(ids, v) == 0) ids.push_back(v);
    }
  }
  out.trained = numbers_of(head.graph, ids);
  out.parameters = count_parameters(head.graph);

  TrainOptions options;
  options.step.optimizer = flow.optimizer;
  options.step.clip_norm = flow.clip;
  const bool head_only = !flow.keep_head && flow.unfreeze == 0 && adapters.empty();
  options.epochs = flow.epochs > 0 ? flow.epochs : head_only ? kHeadEpochs : kEpochs;
  options.seed = flow.seed;
  options.patience = flow.patience;
  options.checkpoint = flow.checkpoint;
  options.checkpoint_steps = flow.checkpoint_steps;
  options.resume = flow.resume;
  options.threads = flow.threads;
  options.learning_rate = flow.learning_rate > 0 ? flow.learning_rate
                          : head_only            ? kHeadRate
                                                 : kRate;
  out.learning_rate = options.learning_rate;

  std::vector<int64_t> dims = known_dims(*batched->value(batched->inputs[0]).type.shape);
  if (batched->value(batched->inputs[0]).type.dtype != DType::kF32) {
    return unsupported(flow.model + ": expected an input of f32, found " +
                       batched->value(batched->inputs[0]).type.str());
  }
  dims[0] = 1;
  SampleReader train_reader(train_files, dims, flow), held_reader(held, dims, flow);
  const Type& features = batched->value(flow.keep_head ? batched->outputs[0] : head.features).type;
  const int64_t all = out.samples + out.held_back;
  const bool fits = features.rank() == 2 && all * (*features.shape)[1].value() * 4 <= kMostKept;
  // A head of random numbers would spoil the trunk: it is trained first, where others are too.
  if (!flow.keep_head && fits && (!head_only || !flow.augmentation.any())) {
    out.on_features = head_only;
    TrainOptions own = options;
    if (!head_only) {
      own.epochs = kHeadEpochs;
      own.learning_rate = kHeadRate;
      own.patience = 0;
      own.checkpoint.clear();
    }
    MNN_ASSIGN_OR_RETURN(out.result, train_head(*batched, head, train_files, train_reader, held,
                                                held_reader, flow, own, events));
    const ValueId own_ids[] = {head.weight, head.bias};
    put_weights(head.graph, own_ids, out.result.weights);
    put_weights(*batched, own_ids, out.result.weights);
    if (head_only) ids = {head.weight, head.bias};
  }
  if (!out.on_features) {
    MNN_ASSIGN_OR_RETURN(out.result,
                         train(*batched, 0, ids, train_reader.data(), held_reader.data(), options,
                               trainer_events(events, "training", options)));
  }
  put_weights(head.graph, ids, out.result.weights);
  if (!adapters.empty()) {
    out.adapters_path = beside(flow.output, ".lora.mnn");
    MNN_RETURN_IF_ERROR(write_adapters(head.graph, adapters, out.adapters_path));
    MNN_RETURN_IF_ERROR(merge_adapters(head.graph, adapters));
  }
  if (head.softmax) add_softmax(head.graph);
  MNN_RETURN_IF_ERROR(infer_types(head.graph));

  Model model;
  model.graph = std::move(head.graph);
  nlohmann::json metadata =
      nlohmann::json::parse(make_metadata(loaded, {{"train", "classes"}}), nullptr, false);
  metadata["labels"] = out.classes;
  model.metadata_json = metadata.dump();
  MNN_RETURN_IF_ERROR(write_model(model, flow.output));
  out.bytes = static_cast<int64_t>(std::filesystem::file_size(flow.output));
  std::string labels;
  for (const std::string& name : out.classes) labels += name + "\n";
  out.labels_path = beside(flow.output, ".labels.txt");
  MNN_RETURN_IF_ERROR(write_file(out.labels_path, labels));
  if (!flow.export_onnx.empty()) {
    OnnxExportOptions onnx;
    onnx.external_name = file_name(flow.export_onnx) + ".data";
    MNN_ASSIGN_OR_RETURN(const OnnxExport made, export_onnx(model.graph, onnx));
    MNN_RETURN_IF_ERROR(write_onnx(made, flow.export_onnx, onnx).status());
  }
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

namespace {

// Label by row, answer by column.
std::string confusion_text(const TrainOutcome& o) {
  const auto n = static_cast<size_t>(o.result.classes);
  constexpr size_t kMostClasses = 20, kMostName = 16;
  if (n == 0 || n > kMostClasses) return {};
  size_t name = 0, cell = 4;
  for (const std::string& c : o.classes) name = std::max(name, std::min(c.size(), kMostName));
  for (const int64_t v : o.result.confusion) cell = std::max(cell, std::to_string(v).size() + 1);
  auto padded = [](std::string s, size_t width, bool left) {
    if (s.size() > width) s.resize(width);
    return left ? s + std::string(width - s.size(), ' ') : std::string(width - s.size(), ' ') + s;
  };
  std::string text = "label (row), answer (column):\n" + padded("", name, true);
  for (size_t c = 0; c < n; ++c) text += padded(std::to_string(c), cell, false);
  text += "   right\n";
  for (size_t r = 0; r < n; ++r) {
    text += padded(o.classes[r], name, true);
    int64_t sum = 0;
    for (size_t c = 0; c < n; ++c) {
      const int64_t v = o.result.confusion[r * n + c];
      sum += v;
      text += padded(v == 0 ? "." : std::to_string(v), cell, false);
    }
    const double share =
        sum == 0 ? 0
                 : static_cast<double>(o.result.confusion[r * n + r]) / static_cast<double>(sum);
    text += padded(sum == 0 ? "-" : percent(share, 1), 8, false) + "\n";
  }
  return text;
}

}  // namespace

std::string train_text(const TrainOutcome& o) {
  std::string text = confusion_text(o);
  text += std::to_string(o.held_back) + " samples held back: right " +
          percent(o.result.best_score, 2) + " (before: " + percent(o.result.first_score, 2) +
          "), loss " + format_significant(o.result.best_loss, 4) + ", of epoch " +
          std::to_string(o.result.best_epoch) + " of " + std::to_string(o.result.epochs.size()) +
          (o.result.stopped_early ? " (stopped early)" : "") + "\n";
  text += std::to_string(o.trained) + " of " + std::to_string(o.parameters) +
          " numbers trained on " + std::to_string(o.samples) + " samples in " +
          format_significant(o.seconds, 3) + " s\n";
  return text;
}

std::string train_json(const TrainFlow& flow, const TrainOutcome& o) {
  using Json = nlohmann::ordered_json;
  Json out = {{"output", flow.output},
              {"labels", o.labels_path},
              {"bytes", o.bytes},
              {"classes", o.classes},
              {"samples", o.samples},
              {"held_back", o.held_back},
              {"accuracy", o.result.best_score},
              {"accuracy_before", o.result.first_score},
              {"loss", o.result.best_loss},
              {"best_epoch", o.result.best_epoch},
              {"stopped_early", o.result.stopped_early},
              {"replaced_layer", o.head.empty() ? Json() : Json(o.head)},
              {"trained_parameters", o.trained},
              {"parameters", o.parameters},
              {"learning_rate", o.learning_rate},
              {"on_features", o.on_features},
              {"adapters", o.adapters_path.empty() ? Json() : Json(o.adapters_path)},
              {"adapted_layers", o.adapters},
              {"seconds", o.seconds}};
  out["epochs"] = Json::array();
  for (const EpochReport& e : o.result.epochs) {
    out["epochs"].push_back({{"epoch", e.epoch},
                             {"loss", e.loss},
                             {"held_loss", e.held_loss},
                             {"held_accuracy", e.held_score},
                             {"best", e.best}});
  }
  out["confusion"] = Json::array();
  const auto n = static_cast<size_t>(o.result.classes);
  for (size_t r = 0; r < n; ++r) {
    out["confusion"].push_back(
        std::vector<int64_t>(o.result.confusion.begin() + static_cast<int64_t>(r * n),
                             o.result.confusion.begin() + static_cast<int64_t>((r + 1) * n)));
  }
  return out.dump();
}

}  // namespace mnn::flows
