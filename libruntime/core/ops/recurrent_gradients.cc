// The derivatives of LSTM, GRU and RNN, unrolled over their steps.
#include <algorithm>

#include "libruntime/core/differentiate.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/recurrent.h"

namespace mnn {
namespace {

using Ints = std::vector<int64_t>;

constexpr int64_t kMostSteps = 2048;  // of all directions together: about 20 nodes each

// What one direction of a node is unrolled with.
struct Unroll {
  Builder& b;
  const Node& node;
  RecurrentAttributes a;
  int64_t gates, steps, batch, hidden;
  size_t direction;

  bool has(size_t i) const { return i < node.own_inputs() && node.inputs[i] != kNoValue; }
  ValueId num(double v) const { return scalar_like(b, node.inputs[kX], v); }
  ValueId add(ValueId p, ValueId q) const { return b.op("Add", {p, q}); }
  ValueId mul(ValueId p, ValueId q) const { return b.op("Mul", {p, q}); }
  ValueId slice(ValueId v, int64_t from, int64_t to, int64_t axis) const {
    return b.op("Slice", {v, b.ints({from}), b.ints({to}), b.ints({axis})});
  }
  ValueId squeeze(ValueId v, int64_t axis) const { return b.op("Squeeze", {v, b.ints({axis})}); }
  // This direction's part of a tensor whose axis `axis` counts directions.
  ValueId own(ValueId v, int64_t axis = 0) const {
    const auto d = static_cast<int64_t>(direction);
    return squeeze(a.directions == 1 ? v : slice(v, d, d + 1, axis), axis);
  }
  ValueId state(size_t input) const {  // [batch, hidden]
    if (!has(input)) {
      return b.op("Expand", {num(0.0), b.ints({batch, hidden})});
    }
    return own(node.inputs[input], a.batch_first ? 1 : 0);
  }
  ValueId limited(ValueId v) const {
    if (a.clip <= 0) return v;
    return b.op("Clip", {v, num(-a.clip), num(a.clip)});
  }
  ValueId activate(size_t i, ValueId v, bool limit = true) const {
    using Kind = GateActivation::Kind;
    const size_t per = a.activations.size() / a.directions;
    const GateActivation& f = a.activations[direction * per + i];
    if (limit) v = limited(v);
    const Builder::Attributes alpha = {{"alpha", f.alpha}};
    switch (f.kind) {
      case Kind::kRelu: return b.op("Relu", {v});
      case Kind::kTanh: return b.op("Tanh", {v});
      case Kind::kSigmoid: return b.op("Sigmoid", {v});
      case Kind::kAffine: return add(mul(v, num(f.alpha)), num(f.beta));
      case Kind::kLeakyRelu: return b.op("LeakyRelu", {v}, alpha);
      case Kind::kThresholdedRelu: return b.op("ThresholdedRelu", {v}, alpha);
      case Kind::kScaledTanh: return mul(b.op("Tanh", {mul(v, num(f.beta))}), num(f.alpha));
      case Kind::kHardSigmoid:
        return b.op("HardSigmoid", {v}, {{"alpha", f.alpha}, {"beta", f.beta}});
      case Kind::kElu: return b.op("Elu", {v}, alpha);
      case Kind::kSoftsign: return b.op("Softsign", {v});
      case Kind::kSoftplus: return b.op("Softplus", {v});
    }
    return v;
  }
  // h times rows [from, to) of the recurrent weights.
  ValueId recur(ValueId h, ValueId r) const {
    return b.op("Gemm", {h, r}, {{"transB", int64_t{1}}});
  }
};

struct State {
  ValueId h, c;
};

State step_lstm(const Unroll& u, ValueId x, State s, ValueId r, std::span<const ValueId> peep,
                bool input_forget) {
  const std::vector<ValueId> gate = u.b.op_n("Split", {u.add(x, u.recur(s.h, r))}, 4,
                                             {{"axis", int64_t{1}}, {"num_outputs", int64_t{4}}});
  auto watch = [&](size_t g, size_t p, ValueId c) {
    return peep.empty() ? gate[g] : u.add(gate[g], u.mul(peep[p], c));
  };
  const ValueId in = u.activate(0, watch(0, 0, s.c));
  const ValueId forget =
      input_forget ? u.b.op("Sub", {u.num(1.0), in}) : u.activate(0, watch(2, 2, s.c));
  const ValueId c = u.add(u.mul(forget, s.c), u.mul(in, u.activate(1, gate[3])));
  const ValueId out = u.activate(0, watch(1, 1, c));
  return {u.mul(out, u.activate(2, c, false)), c};
}

ValueId step_gru(const Unroll& u, ValueId x, ValueId h, ValueId r_gates, ValueId r_hidden,
                 ValueId hidden_bias, bool linear_before_reset) {
  const std::vector<ValueId> in =
      u.b.op_n("Split", {x}, 3, {{"axis", int64_t{1}}, {"num_outputs", int64_t{3}}});
  const std::vector<ValueId> of_h = u.b.op_n("Split", {u.recur(h, r_gates)}, 2,
                                             {{"axis", int64_t{1}}, {"num_outputs", int64_t{2}}});
  const ValueId z = u.activate(0, u.add(in[0], of_h[0]));
  const ValueId reset = u.activate(0, u.add(in[1], of_h[1]));
  ValueId inner = kNoValue;
  if (linear_before_reset) {
    ValueId linear = u.recur(h, r_hidden);
    if (hidden_bias != kNoValue) linear = u.add(linear, hidden_bias);
    inner = u.mul(reset, linear);
  } else {
    inner = u.recur(u.mul(reset, h), r_hidden);
  }
  const ValueId candidate = u.activate(1, u.add(in[2], inner));
  const ValueId rest = u.b.op("Sub", {u.num(1.0), z});
  return u.add(u.mul(rest, candidate), u.mul(z, h));
}

struct Direction {
  ValueId y, h, c;  // [steps, 1, batch, hidden], [batch, hidden] twice
};

Direction unroll(const Unroll& u, ValueId x) {
  Builder& b = u.b;
  const AttributeReader c(u.node, *find_op(u.node.op));
  const bool gru = u.gates == 3, lstm = u.gates == 4;
  const bool linear = c.attr_int("linear_before_reset") != 0;
  const int64_t rows = u.gates * u.hidden, h2 = 2 * u.hidden;
  const ValueId w = u.own(u.node.inputs[kW]), r = u.own(u.node.inputs[kR]);
  // The input's part of every step in one product, with what biases do not wait for the state.
  std::vector<ValueId> product = {x, w};
  ValueId hidden_bias = kNoValue;
  if (u.has(kB)) {
    const ValueId bias = u.own(u.node.inputs[kB]);
    const ValueId of_x = u.slice(bias, 0, rows, 0);
    ValueId of_h = u.slice(bias, rows, 2 * rows, 0);
    if (gru && linear) {
      hidden_bias = u.slice(of_h, h2, rows, 0);
      const ValueId none = b.op("Expand", {u.num(0.0), b.ints({u.hidden})});
      of_h = b.op("Concat", {u.slice(of_h, 0, h2, 0), none}, {{"axis", int64_t{0}}});
    }
    product.push_back(u.add(of_x, of_h));
  }
  const ValueId all = b.op("Reshape", {b.op("Gemm", product, {{"transB", int64_t{1}}}),
                                       b.ints({u.steps, u.batch, rows})});
  const std::vector<ValueId> parts = u.steps == 1
                                         ? std::vector<ValueId>{all}
                                         : b.op_n("Split", {all}, static_cast<size_t>(u.steps),
                                                  {{"axis", int64_t{0}}, {"num_outputs", u.steps}});
  ValueId r_gates = r, r_hidden = kNoValue;
  if (gru) {
    r_gates = u.slice(r, 0, h2, 0);
    r_hidden = u.slice(r, h2, rows, 0);
  }
  std::vector<ValueId> peep;
  if (lstm && u.has(kPeepholes)) {
    const ValueId p = u.own(u.node.inputs[kPeepholes]);
    for (int64_t i = 0; i < 3; ++i) peep.push_back(u.slice(p, i * u.hidden, (i + 1) * u.hidden, 0));
  }
  State s{u.state(kInitialH), lstm ? u.state(kInitialC) : kNoValue};
  const bool reverse = u.direction == 1 || u.a.first_is_reverse;
  const ValueId zero = u.num(0.0);
  std::vector<ValueId> outputs(static_cast<size_t>(u.steps));
  for (int64_t i = 0; i < u.steps; ++i) {
    const int64_t t = reverse ? u.steps - 1 - i : i;
    const ValueId in = u.squeeze(parts[static_cast<size_t>(t)], 0);
    State next = s;
    if (lstm) {
      next = step_lstm(u, in, s, r, peep, c.attr_int("input_forget") != 0);
    } else if (gru) {
      next.h = step_gru(u, in, s.h, r_gates, r_hidden, hidden_bias, linear);
    } else {
      next.h = u.activate(0, u.add(in, u.recur(s.h, r)));
    }
    ValueId out = next.h;
    if (u.has(kLengths)) {
      // Past the end of a sequence its state stays and its output is zero.
      const ValueId step = b.scalar(static_cast<double>(t), DType::kI32);
      const ValueId inside =
          b.op("Unsqueeze", {b.op("Greater", {u.node.inputs[kLengths], step}), b.ints({1})});
      out = b.op("Where", {inside, next.h, zero});
      next.h = b.op("Where", {inside, next.h, s.h});
      if (lstm) next.c = b.op("Where", {inside, next.c, s.c});
    }
    s = next;
    outputs[static_cast<size_t>(t)] = b.op("Unsqueeze", {out, b.ints({0, 1})});
  }
  const ValueId y = u.steps == 1 ? outputs[0] : b.op("Concat", outputs, {{"axis", int64_t{0}}});
  return {y, s.h, s.c};
}

Gradients expand_recurrent(Builder& b, const Node& n) {
  const AttributeReader c(n, *find_op(n.op));
  const RecurrentFamily family = recurrent_family(n.op);
  MNN_ASSIGN_OR_RETURN(const RecurrentAttributes a, read_recurrent(c, family.activations));
  MNN_ASSIGN_OR_RETURN(const Ints x_dims, static_dims(b, n.inputs[kX]));
  MNN_ASSIGN_OR_RETURN(const Ints r_dims, static_dims(b, n.inputs[kR]));
  Unroll u{
      b,         n, a, family.gates, x_dims[a.batch_first ? 1 : 0], x_dims[a.batch_first ? 0 : 1],
      r_dims[2], 0};
  if (u.steps * static_cast<int64_t>(a.directions) > kMostSteps) {
    return limit_exceeded("its derivative is unrolled over at most " + std::to_string(kMostSteps) +
                          " steps, found " + std::to_string(u.steps) + "; cut the sequences");
  }
  ValueId x = n.inputs[kX];
  if (a.batch_first) x = transpose(b, x, {1, 0, 2});
  x = b.op("Reshape", {x, b.ints({u.steps * u.batch, x_dims[2]})});
  std::vector<ValueId> ys, hs, cs;
  const ValueId at = b.ints({a.batch_first ? 1 : 0});
  for (size_t d = 0; d < a.directions; ++d) {
    u.direction = d;
    const Direction made = unroll(u, x);
    ys.push_back(made.y);
    hs.push_back(b.op("Unsqueeze", {made.h, at}));
    if (made.c != kNoValue) cs.push_back(b.op("Unsqueeze", {made.c, at}));
  }
  auto joined = [&](const std::vector<ValueId>& parts, int64_t axis) {
    if (parts.empty()) return kNoValue;
    return parts.size() == 1 ? parts[0] : b.op("Concat", parts, {{"axis", axis}});
  };
  ValueId y = joined(ys, 1);
  if (a.batch_first) y = transpose(b, y, {2, 0, 1, 3});
  const int64_t axis = a.batch_first ? 1 : 0;
  return std::vector<ValueId>{y, joined(hs, axis), joined(cs, axis)};
}

}  // namespace

Gradients recurrent_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return gradient_through(b, n, dy, expand_recurrent);
}

}  // namespace mnn
