#include "libquant/train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "libruntime/core/op.h"

namespace mnn {
namespace {

Status copy_parameters(const Session& from, Session& to, std::span<const Parameter> parameters) {
  for (const Parameter& p : parameters) {
    MNN_ASSIGN_OR_RETURN(const Tensor source, from.state(p.name));
    MNN_ASSIGN_OR_RETURN(Tensor target, to.state(p.name));
    std::memcpy(target.raw(), source.raw(), static_cast<size_t>(source.bytes()));
  }
  return {};
}

// Adds what one sample's scores, [classes, positions], are worth.
void judge_scores(const float* scores, const int64_t* labels, int64_t classes, int64_t positions,
                  Judgement& sum, int64_t& right) {
  for (int64_t i = 0; i < positions; ++i) {
    int64_t best = 0;
    double most = scores[i];
    for (int64_t c = 1; c < classes; ++c) {
      if (scores[c * positions + i] > most) {
        most = scores[c * positions + i];
        best = c;
      }
    }
    double total = 0;
    for (int64_t c = 0; c < classes; ++c) total += std::exp(scores[c * positions + i] - most);
    const int64_t label = labels[i];
    sum.loss += std::log(total) + most - scores[label * positions + i];
    ++sum.confusion[static_cast<size_t>(label * classes + best)];
    right += best == label;
  }
}

}  // namespace

Evaluator::Evaluator(Graph graph, std::unique_ptr<Session> session, LossKind loss)
    : graph_(std::move(graph)), session_(std::move(session)), loss_(loss) {}

Result<Evaluator> Evaluator::create(Graph model, size_t output, LossKind loss,
                                    std::shared_ptr<Engine> engine) {
  model.outputs = {model.outputs[output]};
  model.updates.clear();
  remove_dead(model);
  MNN_ASSIGN_OR_RETURN(auto session, Session::create(model, std::move(engine), BackendChoice()));
  MNN_RETURN_IF_ERROR(session->prepare());
  return Evaluator(std::move(model), std::move(session), loss);
}

Result<Judgement> Evaluator::judge(const TrainData& data, const Session& trained,
                                   std::span<const Parameter> parameters) {
  MNN_RETURN_IF_ERROR(copy_parameters(trained, *session_, parameters));
  Tensor& input = session_->input(0);
  const int64_t batch = input.dims()[0], stride = input.bytes() / batch;
  const Tensor& output = session_->output(0);
  const int64_t values = output.elements() / batch;
  const bool labels = loss_ == LossKind::kCrossEntropy;
  Judgement sum;
  sum.classes = labels ? output.dims()[1] : 0;
  sum.confusion.assign(static_cast<size_t>(sum.classes * sum.classes), 0);
  const int64_t positions = labels ? values / sum.classes : values;
  const int64_t target_bytes = positions * static_cast<int64_t>(labels ? 8 : 4);
  MNN_ASSIGN_OR_RETURN(Tensor targets, Tensor::allocate(DType::kU8, {batch * target_bytes}));
  int64_t right = 0;
  for (int64_t at = 0; at < data.count; at += batch) {
    const int64_t n = std::min(batch, data.count - at);
    for (int64_t i = 0; i < n; ++i) {
      MNN_RETURN_IF_ERROR(
          data.read(at + i, 0, input.raw() + i * stride, targets.raw() + i * target_bytes));
    }
    MNN_RETURN_IF_ERROR(session_->run());
    const float* made = session_->output(0).data<float>();
    for (int64_t i = 0; i < n; ++i) {
      if (labels) {
        const auto* label = reinterpret_cast<const int64_t*>(targets.raw() + i * target_bytes);
        for (int64_t k = 0; k < positions; ++k) {
          if (label[k] >= 0 && label[k] < sum.classes) continue;
          return invalid("sample " + std::to_string(at + i) + ": label " +
                         std::to_string(label[k]) + " is not in [0, " +
                         std::to_string(sum.classes) + ")");
        }
        judge_scores(made + i * values, label, sum.classes, positions, sum, right);
        continue;
      }
      const auto* target = reinterpret_cast<const float*>(targets.raw() + i * target_bytes);
      for (int64_t k = 0; k < values; ++k) {
        const double d = double{made[i * values + k]} - target[k];
        sum.loss += d * d;
      }
    }
  }
  const auto count = static_cast<double>(data.count * positions);
  sum.loss /= count;
  sum.score = labels ? static_cast<double>(right) / count : -sum.loss;
  return sum;
}

Result<std::string> Evaluator::first_not_finite(const Tensor& input, const Session& trained,
                                                std::span<const Parameter> parameters) {
  Graph all = graph_;
  MNN_RETURN_IF_ERROR(infer_types(all));
  all.outputs.clear();
  std::vector<std::string> layers;
  for (const Node& node : all.nodes) {
    for (const ValueId v : node.outputs) {
      if (v == kNoValue || all.value(v).type.dtype != DType::kF32) continue;
      all.outputs.push_back(v);
      layers.push_back(node.origin.empty() ? display_name(all, node) : node.origin.front());
    }
  }
  for (const Parameter& p : parameters) {
    for (Value& v : all.values) {
      if (v.kind == ValueKind::kState && v.name == p.name) {
        MNN_ASSIGN_OR_RETURN(v.data, trained.state(p.name));
      }
    }
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> made, run_reference(all, std::span(&input, 1)));
  for (size_t i = 0; i < made.size(); ++i) {
    for (const float v : made[i].span<float>()) {
      if (!std::isfinite(v)) return layers[i];
    }
  }
  return std::string();
}

}  // namespace mnn
