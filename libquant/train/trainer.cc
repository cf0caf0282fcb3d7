#include "libquant/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numeric>

#include "libquant/train/checkpoint.h"
#include "libquant/train/evaluate.h"
#include "libruntime/core/splitmix.h"
#include "libruntime/session.h"

namespace mnn {
namespace {

// The order of an epoch (Fisher, Yates).
std::vector<int64_t> shuffled(int64_t count, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) {
    seed = splitmix(seed);
    std::swap(order[i - 1], order[seed % i]);
  }
  return order;
}

// How far the mean loss may grow over what it began with, or what guessing costs.
constexpr double kMostGrowth = 20.0;

Status failed(std::string message) { return Status(Code::kInternal, std::move(message)); }

class Trainer {
 public:
  Trainer(const TrainData& samples, const TrainData& held_back, const TrainOptions& options,
          const TrainEvents& events)
      : samples_(samples), held_back_(held_back), options_(options), events_(events) {}

  Status prepare(const Graph& model, size_t output, std::span<const ValueId> ids);
  Result<TrainResult> run();

 private:
  Status load();
  Status save() const;
  Status epoch();
  Status step(std::span<const int64_t> batch);
  Status judge();
  Status keep_best();
  Status explain(double loss);
  std::vector<std::string> state_names() const;

  const TrainData &samples_, &held_back_;
  const TrainOptions& options_;
  const TrainEvents& events_;
  Step step_;
  std::unique_ptr<Session> session_;
  std::optional<Evaluator> evaluator_;
  Schedule schedule_;
  int64_t batch_ = 1, steps_per_epoch_ = 0, classes_ = 0;
  // What a checkpoint holds besides the states.
  int64_t done_ = 0;  // steps
  double loss_sum_ = 0, first_ = 0, recent_ = 0;
  int64_t since_best_ = 0;
  TrainResult result_;
};

Status Trainer::prepare(const Graph& model, size_t output, std::span<const ValueId> ids) {
  if (model.inputs.size() != 1) {
    return unsupported("expected a model with one input, found " +
                       std::to_string(model.inputs.size()));
  }
  MNN_ASSIGN_OR_RETURN(step_, make_step(model, output, ids, options_.step));
  EngineOptions engine_options;
  engine_options.threads = options_.threads;
  MNN_ASSIGN_OR_RETURN(const std::shared_ptr<Engine> engine, Engine::create(engine_options));
  MNN_ASSIGN_OR_RETURN(session_, Session::create(step_.graph, engine, BackendChoice()));
  MNN_RETURN_IF_ERROR(session_->prepare());
  std::vector<Parameter> parameters;
  MNN_ASSIGN_OR_RETURN(Graph judged, with_parameters(model, ids, parameters));
  MNN_ASSIGN_OR_RETURN(Evaluator evaluator,
                       Evaluator::create(std::move(judged), output, options_.step.loss, engine));
  evaluator_.emplace(std::move(evaluator));
  batch_ = session_->input(0).dims()[0];
  if (options_.step.loss == LossKind::kCrossEntropy) {
    Graph typed = model;
    MNN_RETURN_IF_ERROR(infer_types(typed));
    classes_ = (*typed.value(typed.outputs[output]).type.shape)[1].value();
  }
  steps_per_epoch_ = samples_.count / batch_;
  if (steps_per_epoch_ < 1) {
    return usage_error("expected at least one batch of " + std::to_string(batch_) +
                       " samples, found " + std::to_string(samples_.count) +
                       "; give a smaller batch");
  }
  if (held_back_.count < 1) return usage_error("no samples are held back to judge by");
  const int64_t steps = steps_per_epoch_ * options_.epochs;
  schedule_ = {options_.learning_rate,
               static_cast<int64_t>(options_.warmup * static_cast<double>(steps)), steps, 0};
  return {};
}

std::vector<std::string> Trainer::state_names() const {
  std::vector<std::string> names;
  for (const Parameter& p : step_.parameters) names.push_back(p.name);
  names.insert(names.end(), step_.moments.begin(), step_.moments.end());
  return names;
}

Status Trainer::save() const {
  if (options_.checkpoint.empty()) return {};
  Checkpoint c;
  for (const std::string& name : state_names()) {
    MNN_ASSIGN_OR_RETURN(c["state/" + name], session_->state(name));
  }
  for (size_t i = 0; i < result_.weights.size(); ++i) {
    c["best/" + step_.parameters[i].name] = result_.weights[i];
  }
  c["counts"] =
      Tensor::ints({done_, since_best_, result_.best_epoch, result_.classes, batch_, samples_.count,
                    static_cast<int64_t>(options_.seed), schedule_.steps});
  c["confusion"] = Tensor::ints(result_.confusion);
  const double sums[] = {loss_sum_,
                         first_,
                         recent_,
                         result_.best_score,
                         result_.best_loss,
                         result_.first_score,
                         options_.learning_rate};
  c["sums"] = Tensor::of<double>({std::ssize(sums)}, sums);
  std::vector<double> history;
  for (const EpochReport& e : result_.epochs) {
    history.insert(history.end(), {static_cast<double>(e.epoch), e.loss, e.held_loss, e.held_score,
                                   e.best ? 1.0 : 0.0});
  }
  c["history"] = Tensor::of<double>({std::ssize(history)}, history);
  return write_checkpoint(c, options_.checkpoint);
}

Status Trainer::load() {
  if (!options_.resume || options_.checkpoint.empty()) return {};
  std::error_code none;
  if (!std::filesystem::exists(options_.checkpoint, none)) {
    if (events_.note) events_.note("there is no checkpoint " + options_.checkpoint + " yet");
    return {};
  }
  MNN_ASSIGN_OR_RETURN(const Checkpoint c, read_checkpoint(options_.checkpoint));
  if (events_.resumed) events_.resumed();
  const Status other = invalid(options_.checkpoint +
                               ": the checkpoint is of another model, data or options; remove it "
                               "or train without --resume");
  auto find = [&](const std::string& name, DType dtype) -> const Tensor* {
    const auto it = c.find(name);
    return it == c.end() || it->second.dtype() != dtype ? nullptr : &it->second;
  };
  const Tensor *counts = find("counts", DType::kI64), *sums = find("sums", DType::kF64);
  const Tensor *history = find("history", DType::kF64), *confusion = find("confusion", DType::kI64);
  if (!counts || counts->elements() != 8 || !sums || sums->elements() != 7 || !history ||
      history->elements() % 5 != 0 || !confusion) {
    return other;
  }
  const int64_t* n = counts->data<int64_t>();
  if (n[4] != batch_ || n[5] != samples_.count || n[6] != static_cast<int64_t>(options_.seed) ||
      n[7] != schedule_.steps || sums->data<double>()[6] != options_.learning_rate || n[0] < 0 ||
      n[0] > schedule_.steps) {
    return other;
  }
  for (const std::string& name : state_names()) {
    MNN_ASSIGN_OR_RETURN(Tensor state, session_->state(name));
    const Tensor* stored = find("state/" + name, state.dtype());
    if (!stored || stored->dims() != state.dims()) return other;
    std::memcpy(state.raw(), stored->raw(), static_cast<size_t>(state.bytes()));
  }
  result_.weights.clear();
  for (const Parameter& p : step_.parameters) {
    if (const Tensor* best = find("best/" + p.name, DType::kF32)) result_.weights.push_back(*best);
  }
  if (!result_.weights.empty() && result_.weights.size() != step_.parameters.size()) return other;
  done_ = n[0];
  since_best_ = n[1];
  result_.best_epoch = n[2];
  result_.classes = n[3];
  const double* d = sums->data<double>();
  loss_sum_ = d[0];
  first_ = d[1];
  recent_ = d[2];
  result_.best_score = d[3];
  result_.best_loss = d[4];
  result_.first_score = d[5];
  result_.confusion.assign(confusion->data<int64_t>(),
                           confusion->data<int64_t>() + confusion->elements());
  for (int64_t i = 0; i < history->elements(); i += 5) {
    const double* e = history->data<double>() + i;
    result_.epochs.push_back({static_cast<int64_t>(e[0]), e[1], e[2], e[3], e[4] != 0});
  }
  if (events_.note) {
    events_.note("goes on from step " + std::to_string(done_) + " of " +
                 std::to_string(schedule_.steps));
  }
  return {};
}

// Names the step and the layer of a loss or a gradient that is not finite.
Status Trainer::explain(double loss) {
  MNN_ASSIGN_OR_RETURN(const Tensor input, session_->input(0).clone());
  for (const float v : input.span<float>()) {
    if (!std::isfinite(v)) {
      return Status(Code::kInvalidArgument,
                    "step " + std::to_string(done_ + 1) +
                        ": the samples hold numbers that are not finite; clean the data");
    }
  }
  const std::string at = "training stopped at step " + std::to_string(done_ + 1) + ": ";
  const std::string way_out =
      "; try a learning rate below " + std::to_string(schedule_.at(done_)) + ", or --clip 1";
  MNN_ASSIGN_OR_RETURN(const std::string layer,
                       evaluator_->first_not_finite(input, *session_, step_.parameters));
  if (!layer.empty()) {
    return failed(at + "layer " + layer + " makes numbers that are not finite" + way_out);
  }
  const Tensor& norms = session_->output(1);
  for (size_t i = 0; i < step_.parameters.size(); ++i) {
    if (!std::isfinite(norms.data<float>()[i])) {
      return failed(at + "the gradient of layer " + step_.parameters[i].layer + " is not finite" +
                    way_out);
    }
  }
  return failed(at + "the loss is " + std::to_string(loss) + way_out);
}

Status Trainer::step(std::span<const int64_t> batch) {
  Tensor &input = session_->input(0), &target = session_->input(1);
  const int64_t stride = input.bytes() / batch_, target_stride = target.bytes() / batch_;
  for (size_t i = 0; i < batch.size(); ++i) {
    const uint64_t seed = splitmix(splitmix(options_.seed) ^
                                   static_cast<uint64_t>(done_ * batch_ + static_cast<int64_t>(i)));
    const auto at = static_cast<int64_t>(i);
    MNN_RETURN_IF_ERROR(samples_.read(batch[i], seed | 1, input.raw() + at * stride,
                                      target.raw() + at * target_stride));
  }
  if (options_.step.loss == LossKind::kCrossEntropy) {
    for (const int64_t label : target.span<int64_t>()) {
      if (label >= 0 && label < classes_) continue;
      return invalid("label " + std::to_string(label) + " is not in [0, " +
                     std::to_string(classes_) + ")");
    }
  }
  const StepRates rates = step_rates(options_.step.optimizer, schedule_.at(done_), done_);
  *session_->input(2).data<float>() = rates.learning_rate;
  *session_->input(3).data<float>() = rates.first;
  *session_->input(4).data<float>() = rates.second;
  const Status ran = session_->run();
  if (!ran.ok()) return ran.context("step " + std::to_string(done_ + 1));
  const double loss = *session_->output(0).data<float>();
  const Tensor& norms = session_->output(1);
  double total = 0;
  for (const float v : norms.span<float>()) total += v;
  if (!std::isfinite(loss) || !std::isfinite(total)) return explain(loss);
  if (done_ == 0) first_ = loss;
  recent_ = done_ == 0 ? loss : 0.95 * recent_ + 0.05 * loss;
  const double guess = classes_ > 0 ? std::log(static_cast<double>(classes_)) : 1e-3;
  if (recent_ > kMostGrowth * std::max(first_, guess)) {
    const auto worst =
        std::max_element(norms.data<float>(), norms.data<float>() + norms.elements());
    return failed(
        "training stopped at step " + std::to_string(done_ + 1) + ": the loss grew from " +
        std::to_string(first_) + " to " + std::to_string(recent_) + ", most in layer " +
        step_.parameters[static_cast<size_t>(worst - norms.data<float>())].layer +
        "; try a learning rate below " + std::to_string(schedule_.at(done_)) + ", or --clip 1");
  }
  loss_sum_ += loss;
  ++done_;
  if (events_.step) events_.step(done_, schedule_.steps, loss);
  return {};
}

Status Trainer::keep_best() {
  result_.weights.clear();
  for (const Parameter& p : step_.parameters) {
    MNN_ASSIGN_OR_RETURN(const Tensor state, session_->state(p.name));
    MNN_ASSIGN_OR_RETURN(Tensor copy, state.clone());
    result_.weights.push_back(std::move(copy));
  }
  return {};
}

Status Trainer::judge() {
  MNN_ASSIGN_OR_RETURN(const Judgement j,
                       evaluator_->judge(held_back_, *session_, step_.parameters));
  EpochReport report;
  report.epoch = done_ / steps_per_epoch_;
  report.loss = loss_sum_ / static_cast<double>(steps_per_epoch_);
  report.held_loss = j.loss;
  report.held_score = j.score;
  // Of equal scores the lower loss.
  report.best = result_.weights.empty() || j.score > result_.best_score ||
                (j.score == result_.best_score && j.loss < result_.best_loss);
  since_best_ = report.best ? 0 : since_best_ + 1;
  if (report.best) {
    result_.best_epoch = report.epoch;
    result_.best_score = j.score;
    result_.best_loss = j.loss;
    result_.confusion = j.confusion;
    result_.classes = j.classes;
    MNN_RETURN_IF_ERROR(keep_best());
  }
  result_.epochs.push_back(report);
  loss_sum_ = 0;
  if (events_.epoch) events_.epoch(report);
  return {};
}

Status Trainer::epoch() {
  const int64_t number = done_ / steps_per_epoch_;
  const std::vector<int64_t> order =
      shuffled(samples_.count, splitmix(options_.seed) + static_cast<uint64_t>(number));
  for (int64_t at = done_ % steps_per_epoch_; at < steps_per_epoch_; ++at) {
    MNN_RETURN_IF_ERROR(step(
        std::span(order).subspan(static_cast<size_t>(at * batch_), static_cast<size_t>(batch_))));
    const bool last = at + 1 == steps_per_epoch_;
    if (!last && options_.checkpoint_steps > 0 && done_ % options_.checkpoint_steps == 0) {
      MNN_RETURN_IF_ERROR(save());
    }
  }
  MNN_RETURN_IF_ERROR(judge());
  return save();
}

Result<TrainResult> Trainer::run() {
  MNN_RETURN_IF_ERROR(load());
  if (done_ == 0) {
    MNN_ASSIGN_OR_RETURN(const Judgement j,
                         evaluator_->judge(held_back_, *session_, step_.parameters));
    result_.first_score = j.score;
  }
  while (done_ < schedule_.steps) {
    if (options_.patience > 0 && since_best_ >= options_.patience) {
      result_.stopped_early = true;
      break;
    }
    MNN_RETURN_IF_ERROR(epoch());
  }
  return std::move(result_);
}

}  // namespace

Result<TrainResult> train(const Graph& model, size_t output, std::span<const ValueId> ids,
                          const TrainData& samples, const TrainData& held_back,
                          const TrainOptions& options, const TrainEvents& events) {
  Trainer trainer(samples, held_back, options, events);
  MNN_RETURN_IF_ERROR(trainer.prepare(model, output, ids));
  return trainer.run();
}

}  // namespace mnn
