// Losses over class labels: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
#include "libruntime/core/builder.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/movement.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

enum : size_t { kScores, kLabels, kWeights };

Status check_reduction(const AttributeReader& a) {
  const std::string reduction = a.attr_string("reduction");
  if (reduction == "none" || reduction == "sum" || reduction == "mean") return {};
  return invalid("reduction: expected none, sum or mean, found " + reduction);
}

// Scores are (N, C, …), labels (N, …).
Status check_shapes(const OpContext& c) {
  if (!c.rank_known(kScores)) return {};
  const Shape& scores = *c.in[kScores].shape;
  if (scores.size() < 2) {
    return invalid("expected scores of rank 2 or more, found " + c.in[kScores].str());
  }
  if (c.rank_known(kWeights)) {
    MNN_RETURN_IF_ERROR(expect_rank(c, kWeights, 1));
    MNN_RETURN_IF_ERROR(expect_dim((*c.in[kWeights].shape)[0], scores[1], "weights"));
  }
  if (!c.rank_known(kLabels)) return {};
  MNN_RETURN_IF_ERROR(expect_rank(c, kLabels, scores.size() - 1));
  const Shape& labels = *c.in[kLabels].shape;
  for (size_t i = 0; i < labels.size(); ++i) {
    MNN_RETURN_IF_ERROR(
        expect_dim(labels[i], scores[i == 0 ? 0 : i + 1], "labels, axis " + std::to_string(i)));
  }
  return {};
}

Status infer_loss(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, kScores, kFloats));
  MNN_RETURN_IF_ERROR(expect_input(c, kLabels, mask_of(DType::kI32, DType::kI64)));
  if (c.has_input(kWeights)) MNN_RETURN_IF_ERROR(expect_like(c, kWeights, kScores));
  MNN_RETURN_IF_ERROR(check_reduction(c));
  MNN_RETURN_IF_ERROR(check_shapes(c));
  std::optional<Shape> shape = Shape{};
  if (c.attr_string("reduction") == "none") shape = c.in[kLabels].shape;
  set_output(c, 0, c.in[kScores].dtype, std::move(shape));
  set_output(c, 1, c.in[kScores].dtype, c.in[kScores].shape);
  return {};
}

template <typename T>
Status label_losses(KernelContext& c, const std::vector<int64_t>& labels) {
  const Tensor& x = *c.in[kScores];
  const int64_t classes = x.dims()[1], inner = product(x.dims(), 2, x.rank());
  const bool may_ignore = c.has("ignore_index");
  const int64_t ignored = c.attr_int("ignore_index");
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  const std::string reduction = c.attr_string("reduction");
  double loss_sum = 0, weight_sum = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const int64_t label = labels[i], at = static_cast<int64_t>(i);
    double loss = 0;
    if (!may_ignore || label != ignored) {
      if (label < 0 || label >= classes) {
        return invalid("label " + std::to_string(label) + " is not in [0, " +
                       std::to_string(classes) + ")");
      }
      const double weight =
          c.has_input(kWeights) ? load_as_compute(c.in[kWeights]->data<T>()[label]) : 1.0;
      const int64_t from = (at / inner * classes + label) * inner + at % inner;
      loss = -load_as_compute(x.data<T>()[from]) * weight;
      weight_sum += weight;
    }
    loss_sum += loss;
    if (reduction == "none") y->data<T>()[i] = store_from_compute<T>(loss);
  }
  if (reduction == "none") return {};
  *y->data<T>() = store_from_compute<T>(reduction == "sum" ? loss_sum : loss_sum / weight_sum);
  return {};
}

Status negative_log_likelihood(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> labels, read_ints(c, kLabels, "labels"));
  Status status;
  const bool done = dispatch_float(c.in[kScores]->dtype(),
                                   [&]<typename T>() { status = label_losses<T>(c, labels); });
  return done ? status : no_kernel_for(c, c.in[kScores]->dtype());
}

Result<std::vector<ValueId>> decompose_cross_entropy(Builder& b, const Node& node) {
  const ValueId log_prob = b.op("LogSoftmax", {node.inputs[kScores]}, {{"axis", int64_t{1}}});
  std::vector<ValueId> inputs(node.inputs.begin(),
                              node.inputs.begin() + static_cast<ptrdiff_t>(node.own_inputs()));
  inputs[kScores] = log_prob;
  return std::vector<ValueId>{b.op("NegativeLogLikelihoodLoss", std::move(inputs), node.attributes),
                              log_prob};
}

}  // namespace

std::vector<OpDef> define_loss() {
  const std::vector<AttrDef> attributes = {{"ignore_index", int64_t{0}},
                                           {"reduction", std::string("mean")}};
  return {
      with_gradient(
          negative_log_likelihood_gradient,
          {"NegativeLogLikelihoodLoss", 2, 3, {}, attributes, infer_loss, negative_log_likelihood}),
      {"SoftmaxCrossEntropyLoss",
       2,
       3,
       {},
       attributes,
       infer_loss,
       nullptr,
       decompose_cross_entropy,
       1,
       2},
  };
}

}  // namespace mnn
