// Choosing boxes: NON_MAX_SUPPRESSION_V4, _V5 and TFLite_Detection_PostProcess.
#include <flatbuffers/flexbuffers.h>

#include "libconvert/frontends/common/rows.h"
#include "libconvert/frontends/tflite/op_map.h"

namespace mnn::tflite {

using frontend::Choice;
using frontend::Chosen;

// boxes [n, 4], scores [n], most, overlap, least score; V5: sigma. Results: places [most], V5:
// scores, how many are valid.
void convert_nms(OpNode& n) {
  const bool soft = n.op == "NON_MAX_SUPPRESSION_V5";
  if (!n.expect_inputs(soft ? 6 : 5, soft ? 6 : 5)) return;
  const Chosen chosen = choose(n, choice_of(n, soft));
  if (!n.status.ok()) return;
  const ValueId many =
      n.emit("ReduceSum", {chosen.valid, n.add_ints({0})}, {{"keepdims", int64_t{0}}});
  n.results = {n.cast(chosen.places, DType::kI32)};
  if (soft) n.results.push_back(chosen.scores);
  n.results.push_back(many);
}

namespace {

struct DetectionOptions {
  int64_t most = 0, per_detection = 0, classes = 0;
  bool regular = false;
  double least_score = 0, overlap = 0, scale[4] = {1, 1, 1, 1};  // y, x, h, w
};

std::optional<DetectionOptions> detection_options(OpNode& n) {
  const auto bytes = list(n.tf.custom_options());
  if (bytes.empty() || !flexbuffers::VerifyBuffer(bytes.data(), bytes.size(), nullptr)) {
    n.fail(invalid("its options are no FlexBuffer"));
    return std::nullopt;
  }
  const auto root = flexbuffers::GetRoot(bytes.data(), bytes.size());
  if (!root.IsMap()) {
    n.fail(invalid("its options are no map"));
    return std::nullopt;
  }
  const auto map = root.AsMap();
  DetectionOptions o;
  o.most = map["max_detections"].AsInt64();
  o.per_detection = map["max_classes_per_detection"].AsInt64();
  o.classes = map["num_classes"].AsInt64();
  o.regular = !map["use_regular_nms"].IsNull() && map["use_regular_nms"].AsBool();
  o.least_score = map["nms_score_threshold"].AsDouble();
  o.overlap = map["nms_iou_threshold"].AsDouble();
  constexpr const char* kScales[] = {"y_scale", "x_scale", "h_scale", "w_scale"};
  for (size_t i = 0; i < 4; ++i) o.scale[i] = map[kScales[i]].AsDouble();
  if (o.most < 1 || o.most > 1 << 16 || o.classes < 1 || o.classes > 1 << 16) {
    n.fail(invalid("max_detections or num_classes is out of range"));
    return std::nullopt;
  }
  for (const double s : o.scale) {
    if (!(s > 0)) {
      n.fail(invalid("a scale is no positive number"));
      return std::nullopt;
    }
  }
  return o;
}

}  // namespace

// encoded boxes [1, n, 4], scores [1, n, classes with background first], anchors [n, 4]: centre and
// size (y, x, h, w). Results: boxes [1, most, 4], classes, scores [1, most], how many [1].
void convert_detection(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  const auto o = detection_options(n);
  if (!o) return;
  if (o->regular || o->per_detection > 1) {
    return n.fail(
        unsupported("one class at a time (use_regular_nms) and several classes a "
                    "detection are not supported"));
  }
  const Dim all = n.dim(1, 2);
  if (!all.known() || all.value() < o->classes) {
    return n.fail(invalid("num_classes does not fit the scores"));
  }
  const ValueId anchors = n.real(n.in(2));
  const auto columns = [&](ValueId v, int64_t from, int64_t axis) {
    return n.emit("Slice", {v, n.add_ints({from}), n.add_ints({from + 2}), n.add_ints({axis})});
  };
  const ValueId codes = n.emit("Squeeze", {n.in(0), n.add_ints({0})});
  const auto pair = [&](double a, double b) {
    const float values[] = {static_cast<float>(a), static_cast<float>(b)};
    return n.add_constant(Tensor::of<float>({2}, values));
  };
  const ValueId size = columns(anchors, 2, 1);
  const ValueId moved = n.emit("Div", {columns(codes, 0, 1), pair(o->scale[0], o->scale[1])});
  const ValueId grown = n.emit("Div", {columns(codes, 2, 1), pair(o->scale[2], o->scale[3])});
  const ValueId centre = n.emit("Add", {n.emit("Mul", {moved, size}), columns(anchors, 0, 1)});
  const ValueId half =
      n.emit("Mul", {n.emit("Mul", {n.emit("Exp", {grown}), size}), n.scalar_f32(0.5)});
  Choice c;
  c.boxes = n.emit("Concat", {n.emit("Sub", {centre, half}), n.emit("Add", {centre, half})},
                   {{"axis", int64_t{1}}});
  // Background classes come first.
  const ValueId scores = n.emit("Squeeze", {n.in(1), n.add_ints({0})});
  const ValueId own = n.emit("Slice", {scores, n.add_ints({all.value() - o->classes}),
                                       n.add_ints({all.value()}), n.add_ints({1})});
  const OpNode::Attributes drop = {{"keepdims", int64_t{0}}};
  c.scores = n.emit("ReduceMax", {own, n.add_ints({1})}, drop);
  const ValueId best = n.emit("ArgMax", {own}, {{"axis", int64_t{1}}, {"keepdims", int64_t{0}}});
  c.most = n.add_constant(Tensor::scalar(o->most));
  c.overlap = n.scalar_f32(o->overlap);
  c.least_score = n.scalar_f32(o->least_score);
  c.least_too = true;
  const Chosen chosen = choose(n, c);
  if (!n.status.ok()) return;
  const ValueId valid = n.cast(chosen.valid, DType::kF32);
  const ValueId boxes = n.emit("Mul", {n.emit("Gather", {c.boxes, chosen.places}),
                                       n.emit("Unsqueeze", {valid, n.add_ints({1})})});
  const ValueId classes =
      n.emit("Mul", {n.cast(n.emit("Gather", {best, chosen.places}), DType::kF32), valid});
  const auto batched = [&](ValueId v) { return n.emit("Unsqueeze", {v, n.add_ints({0})}); };
  n.results = {batched(boxes), batched(classes), batched(chosen.scores),
               n.emit("ReduceSum", {valid, n.add_ints({0})}, {{"keepdims", int64_t{1}}})};
}

}  // namespace mnn::tflite
