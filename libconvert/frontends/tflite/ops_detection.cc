// Choosing boxes: NON_MAX_SUPPRESSION_V4, _V5 and TFLite_Detection_PostProcess.
// FlexBuffers may hold numbers as texts; reading those by locale needs code of the static library,
// which cannot go into a shared one.
#define FLATBUFFERS_LOCALE_INDEPENDENT 0
#include <flatbuffers/flexbuffers.h>

#include <cfloat>

#include "libconvert/frontends/tflite/op_map.h"

namespace mnn::tflite {
namespace {

using frontend::GraphDraft;
using frontend::NodeBuilder;

// What is chosen: places, scores and whether there was one left, each [most]; 0 where there was
// not.
struct Chosen {
  ValueId places = kNoValue, scores = kNoValue, valid = kNoValue;
};
// Scalars but for boxes [n, 4] as corners (y, x, y, x) and scores [n].
struct Choice {
  ValueId boxes = kNoValue, scores = kNoValue;
  ValueId most = kNoValue;  // i64
  ValueId overlap = kNoValue, least_score = kNoValue, sigma = kNoValue;
  bool least_too = false;  // a score equal to the least is enough
};

// The best of what is left, `most` times: what overlaps it too much goes, with a sigma the others'
// scores fall.
class Chooser {
 public:
  Chooser(OpNode& n, const Choice& c)
      : n_(n), body_(), inside_(body_), b_(inside_, n.budget), c_(c) {
    b_.name = n.name;
  }

  Chosen run() {
    if (!n_.status.ok()) return {};
    add_inputs();
    add_body();
    n_.fail(b_.status);
    if (!n_.status.ok()) return {};
    Node loop;
    loop.op = "Loop";
    loop.origin = {n_.name};
    loop.inputs = {c_.most, kNoValue, c_.scores};
    loop.captures = std::move(captures_);
    loop.subgraphs.push_back(std::move(body_));
    for (int i = 0; i < 4; ++i) loop.outputs.push_back(n_.graph.add_temporary());
    const std::vector<ValueId> out = loop.outputs;
    n_.fail(append_node(n_.draft, std::move(loop), n_.budget));
    return {out[1], out[2], out[3]};
  }

 private:
  // Column `i` of the boxes, ordered so that the low corner comes first.
  ValueId column(int64_t i, int64_t other, const char* pick) {
    const auto take = [&](int64_t k) {
      return n_.emit("Gather", {c_.boxes, n_.add_constant(Tensor::scalar(k))},
                     {{"axis", int64_t{1}}});
    };
    return n_.emit(pick, {take(i), take(other)});
  }

  ValueId capture(ValueId outer) {
    if (outer == kNoValue) return kNoValue;
    if (const Tensor* t = n_.graph.constant(outer)) return body_.add_constant(*t);
    const ValueId inner = body_.add_value({{}, n_.type_of(outer), ValueKind::kInput, {}, {}});
    body_.captures.push_back(inner);
    captures_.push_back(outer);
    return inner;
  }

  void add_inputs() {
    const ValueId top = column(0, 2, "Min"), left = column(1, 3, "Min");
    const ValueId bottom = column(0, 2, "Max"), right = column(1, 3, "Max");
    const ValueId area =
        n_.emit("Mul", {n_.emit("Sub", {bottom, top}), n_.emit("Sub", {right, left})});
    ValueId decay = kNoValue;
    if (c_.sigma != kNoValue) {
      const ValueId zero = n_.scalar_f32(0);
      decay = n_.emit("Where", {n_.emit("Greater", {c_.sigma, zero}),
                                n_.emit("Div", {n_.scalar_f32(-0.5), c_.sigma}), zero});
    }
    if (!n_.status.ok()) return;
    body_.add_input("trip", tensor_type(DType::kI64, {}));
    body_.add_input("go_on", tensor_type(DType::kBool, {}));
    scores_ = body_.add_input("scores", n_.type_of(c_.scores));
    top_ = capture(top);
    left_ = capture(left);
    bottom_ = capture(bottom);
    right_ = capture(right);
    area_ = capture(area);
    decay_ = capture(decay);
    overlap_ = capture(c_.overlap);
    least_ = capture(c_.least_score);
  }

  ValueId pick(ValueId v, ValueId at) { return b_.emit("Gather", {v, at}); }
  // How long two intervals overlap, at least 0.
  ValueId common(ValueId low, ValueId high, ValueId at) {
    const ValueId end = b_.emit("Min", {high, pick(high, at)});
    const ValueId start = b_.emit("Max", {low, pick(low, at)});
    return b_.emit("Max", {b_.emit("Sub", {end, start}), b_.add_scalar(0, DType::kF32)});
  }

  void add_body() {
    if (!n_.status.ok()) return;
    const NodeBuilder::Attributes drop = {{"axis", int64_t{0}}, {"keepdims", int64_t{0}}};
    const ValueId at = b_.emit("ArgMax", {scores_}, drop);
    const ValueId score = pick(scores_, at);
    const ValueId valid = b_.emit(c_.least_too ? "GreaterOrEqual" : "Greater", {score, least_});
    const ValueId inter = b_.emit("Mul", {common(top_, bottom_, at), common(left_, right_, at)});
    const ValueId both = b_.emit("Sub", {b_.emit("Add", {area_, pick(area_, at)}), inter});
    const ValueId zero = b_.add_scalar(0, DType::kF32);
    const ValueId iou =
        b_.emit("Where", {b_.emit("Greater", {inter, zero}), b_.emit("Div", {inter, both}), zero});
    ValueId left = scores_;
    if (decay_ != kNoValue) {
      const ValueId power = b_.emit("Mul", {decay_, b_.emit("Mul", {iou, iou})});
      left = b_.emit("Mul", {left, b_.emit("Exp", {power})});
    }
    const ValueId none = b_.add_scalar(-FLT_MAX, DType::kF32);
    left = b_.emit("Where", {b_.emit("Greater", {iou, overlap_}), none, left});
    // The chosen one itself, also where its area is 0.
    const ValueId self = b_.emit("Unsqueeze", {at, b_.add_ints({0})});
    left = b_.emit("ScatterElements", {left, self, b_.emit("Reshape", {none, b_.add_ints({1})})});
    const ValueId go_on = body_.add_constant(Tensor::scalar(true));
    const ValueId nowhere = b_.add_constant(Tensor::scalar<int64_t>(0));
    body_.outputs = {b_.emit("Identity", {go_on}), left, b_.emit("Where", {valid, at, nowhere}),
                     b_.emit("Where", {valid, score, zero}), b_.cast(valid, DType::kI32)};
  }

  OpNode& n_;
  Graph body_;
  GraphDraft inside_;
  NodeBuilder b_;
  const Choice& c_;
  std::vector<ValueId> captures_;
  ValueId scores_ = kNoValue, top_ = kNoValue, left_ = kNoValue, bottom_ = kNoValue,
          right_ = kNoValue, area_ = kNoValue, decay_ = kNoValue, overlap_ = kNoValue,
          least_ = kNoValue;
};

ValueId as_scalar(OpNode& n, size_t i) { return n.emit("Reshape", {n.in(i), n.add_ints({})}); }

}  // namespace

// boxes [n, 4], scores [n], most, overlap, least score; V5: sigma. Results: places [most], V5:
// scores, how many are valid.
void convert_nms(OpNode& n) {
  const bool soft = n.op == "NON_MAX_SUPPRESSION_V5";
  if (!n.expect_inputs(soft ? 6 : 5, soft ? 6 : 5)) return;
  Choice c;
  c.boxes = n.in(0);
  c.scores = n.in(1);
  if (const auto most = n.ints(2); most && most->size() == 1) {
    c.most = n.add_constant(Tensor::scalar<int64_t>((*most)[0]));
  } else {
    c.most = n.cast(as_scalar(n, 2), DType::kI64);
  }
  c.overlap = as_scalar(n, 3);
  c.least_score = as_scalar(n, 4);
  if (soft) c.sigma = as_scalar(n, 5);
  const Chosen chosen = Chooser(n, c).run();
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
  const Chosen chosen = Chooser(n, c).run();
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
