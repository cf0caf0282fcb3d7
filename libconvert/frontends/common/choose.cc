// Non-maximum suppression: a Loop that takes the best box that is left.
#include <cfloat>

#include "libconvert/frontends/common/rows.h"

namespace mnn::frontend {
namespace {

// The best of what is left, `most` times: what overlaps it too much goes, with a sigma the others'
// scores fall.
class Chooser {
 public:
  Chooser(TensorNode& n, const Choice& c)
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

  TensorNode& n_;
  Graph body_;
  GraphDraft inside_;
  NodeBuilder b_;
  const Choice& c_;
  std::vector<ValueId> captures_;
  ValueId scores_ = kNoValue, top_ = kNoValue, left_ = kNoValue, bottom_ = kNoValue,
          right_ = kNoValue, area_ = kNoValue, decay_ = kNoValue, overlap_ = kNoValue,
          least_ = kNoValue;
};

}  // namespace

Chosen choose(TensorNode& n, const Choice& choice) { return Chooser(n, choice).run(); }

Choice choice_of(TensorNode& n, bool soft) {
  Choice c;
  c.boxes = n.in(0);
  c.scores = n.in(1);
  if (const auto most = n.known_ints(2); most && most->size() == 1) {
    c.most = n.scalar_i64((*most)[0]);
  } else {
    c.most = n.cast(n.scalar_operand(2), DType::kI64);
  }
  c.overlap = n.scalar_operand(3);
  c.least_score = n.scalar_operand(4);
  if (soft) c.sigma = n.scalar_operand(5);
  return c;
}

}  // namespace mnn::frontend
