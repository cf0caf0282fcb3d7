// Recurrent layers: their states live across runs, as variables of the file.
#include "libconvert/frontends/tflite/op_map.h"

namespace mnn::tflite {
namespace {

using Ints = std::vector<int64_t>;

// Where one direction's operands stand among a node's inputs.
struct LstmInputs {
  size_t weights, recurrent, peephole, bias, projection, projection_bias, h, c;
};

// Stacks what each gate has, in the order input, output, forget, cell.
ValueId stack(OpNode& n, std::vector<ValueId> gates) {
  return n.unsqueeze(n.emit("Concat", std::move(gates), {{"axis", int64_t{0}}}), {0});
}

ValueId zeros(OpNode& n, Ints dims) {
  constexpr int64_t kMost = 1 << 24;
  if (dims[0] > kMost) n.fail(limit_exceeded("a layer of more than 2^24 numbers"));
  if (!n.status.ok()) return kNoValue;
  const Result<Tensor> t = Tensor::allocate(DType::kF32, std::move(dims));
  if (t.ok()) return n.add_constant(*t);
  n.fail(t.status());
  return kNoValue;
}

// x [time, batch, in] -> [time, batch, units]
ValueId lstm(OpNode& n, ValueId x, const LstmInputs& at, double cell_clip, const char* direction) {
  if (n.has(at.projection) || n.has(at.projection_bias)) {
    n.fail(unsupported("a projection is not supported"));
    return kNoValue;
  }
  for (size_t i = 1; i < 4; ++i) {
    if (!n.has(at.weights + i) || !n.has(at.recurrent + i) || !n.has(at.bias + i)) {
      n.fail(invalid("weights of a gate are missing"));
      return kNoValue;
    }
  }
  const auto dims = n.known_dims_of(n.in(at.recurrent + 1));
  if (!dims || dims->size() != 2) {
    n.fail(invalid("expected recurrent weights with two axes"));
    return kNoValue;
  }
  const int64_t units = (*dims)[0];
  // In the file: input, forget, cell, output. Without an input gate it is 1 - forget, which is the
  // sigmoid of the negative.
  const bool coupled = !n.has(at.weights);
  const auto gate = [&](size_t first, size_t i) {
    if (i == 0 && coupled) return n.emit("Neg", {n.real(n.in(first + 1))});
    return n.real(n.in(first + i));
  };
  const auto gates = [&](size_t first) {
    return std::vector<ValueId>{gate(first, 0), gate(first, 3), gate(first, 1), gate(first, 2)};
  };
  std::vector<ValueId> bias = gates(at.bias);
  bias.push_back(zeros(n, {4 * units}));
  ValueId peephole = kNoValue;
  if (n.has(at.peephole + 1)) {
    // In the file: input, forget, output.
    peephole = stack(n, {gate(at.peephole, 0), gate(at.peephole, 2), gate(at.peephole, 1)});
  }
  if (!n.has(at.h) || !n.has(at.c)) {
    n.fail(invalid("a state is missing"));
    return kNoValue;
  }
  if (cell_clip > 0) {
    n.notes.push_back("the cell is not clipped to " + std::to_string(cell_clip));
  }
  const auto made =
      n.emit_n("LSTM",
               {x, stack(n, gates(at.weights)), stack(n, gates(at.recurrent)), stack(n, bias),
                kNoValue, n.unsqueeze(n.in(at.h), {0}), n.unsqueeze(n.in(at.c), {0}), peephole},
               3, {{"hidden_size", units}, {"direction", std::string(direction)}});
  if (!n.status.ok()) return kNoValue;
  n.updates.emplace_back(at.h, n.emit("Squeeze", {made[1], n.add_ints({0})}));
  n.updates.emplace_back(at.c, n.emit("Squeeze", {made[2], n.add_ints({0})}));
  return n.emit("Squeeze", {made[0], n.add_ints({1})});
}

// Sequences as [time, batch, features].
ValueId time_first(OpNode& n, ValueId x, bool already) {
  return already ? x : n.emit("Transpose", {x}, {{"perm", Ints{1, 0, 2}}});
}

struct RnnInputs {
  size_t weights, recurrent, bias, h;
};

ValueId rnn(OpNode& n, ValueId x, const RnnInputs& at, int activation, const char* direction) {
  constexpr std::pair<int, const char*> kNames[] = {{0, "Affine"}, {1, "Relu"}, {4, "Tanh"}};
  const auto* name = std::ranges::find(kNames, activation, &std::pair<int, const char*>::first);
  if (name == std::end(kNames)) {
    n.fail(unsupported("activation " + std::to_string(activation) + " is not supported"));
    return kNoValue;
  }
  for (const size_t i : {at.weights, at.recurrent, at.bias, at.h}) {
    if (n.has(i)) continue;
    n.fail(invalid("input " + std::to_string(i) + " is missing"));
    return kNoValue;
  }
  const auto dims = n.known_dims_of(n.in(at.recurrent));
  if (!dims || dims->size() != 2) {
    n.fail(invalid("expected recurrent weights with two axes"));
    return kNoValue;
  }
  OpNode::Attributes attrs = {{"hidden_size", (*dims)[0]},
                              {"direction", std::string(direction)},
                              {"activations", std::vector<std::string>{name->second}}};
  if (activation == 0) {
    attrs["activation_alpha"] = std::vector<double>{1};
    attrs["activation_beta"] = std::vector<double>{0};
  }
  const ValueId bias = stack(n, {n.real(n.in(at.bias)), zeros(n, {(*dims)[0]})});
  const auto made = n.emit_n(
      "RNN",
      {x, n.unsqueeze(n.real(n.in(at.weights)), {0}), n.unsqueeze(n.real(n.in(at.recurrent)), {0}),
       bias, kNoValue, n.unsqueeze(n.in(at.h), {0})},
      2, attrs);
  if (!n.status.ok()) return kNoValue;
  n.updates.emplace_back(at.h, n.emit("Squeeze", {made[1], n.add_ints({0})}));
  return n.emit("Squeeze", {made[0], n.add_ints({1})});
}

// Both directions as two results, or side by side.
void join_directions(OpNode& n, ValueId forward, ValueId backward, bool merge) {
  if (merge) {
    n.results = {n.emit("Concat", {forward, backward}, {{"axis", int64_t{2}}})};
  } else {
    n.results = {forward, backward};
  }
}

}  // namespace

// LSTM (one step), UNIDIRECTIONAL_ and BIDIRECTIONAL_SEQUENCE_LSTM
void convert_lstm(OpNode& n) {
  constexpr LstmInputs kForward{1, 5, 9, 12, 16, 17, 18, 19};
  if (n.op == "BIDIRECTIONAL_SEQUENCE_LSTM") {
    if (!n.expect_inputs(3, 48)) return;
    const auto& o = n.options<fb::BidirectionalSequenceLSTMOptions>(69);
    if (n.has(39)) return n.fail(unsupported("an auxiliary input is not supported"));
    const ValueId x = time_first(n, n.in(0), o.time_major());
    LstmInputs forward = kForward;
    forward.h = 35;
    forward.c = 36;
    const ValueId y = lstm(n, x, forward, o.cell_clip(), "forward");
    const ValueId z = lstm(n, x, {18, 22, 26, 29, 33, 34, 37, 38}, o.cell_clip(), "reverse");
    return join_directions(n, time_first(n, y, o.time_major()), time_first(n, z, o.time_major()),
                           o.merge_outputs());
  }
  if (!n.expect_inputs(3, 24)) return;
  for (size_t i = 20; i < 24; ++i) {
    if (n.has(i)) return n.fail(unsupported("layer normalization inside is not supported"));
  }
  if (n.op == "LSTM") {
    const auto& o = n.options<fb::LSTMOptions>(14);
    if (o.kernel_type() != 0) return n.fail(unsupported("the basic kernel is not supported"));
    const ValueId y = lstm(n, n.unsqueeze(n.in(0), {0}), kForward, o.cell_clip(), "forward");
    n.results = {n.emit("Squeeze", {y, n.add_ints({0})})};
    return;
  }
  const auto& o = n.options<fb::UnidirectionalSequenceLSTMOptions>(71);
  const ValueId y =
      lstm(n, time_first(n, n.in(0), o.time_major()), kForward, o.cell_clip(), "forward");
  n.results = {time_first(n, y, o.time_major())};
}

// RNN (one step), UNIDIRECTIONAL_ and BIDIRECTIONAL_SEQUENCE_RNN
void convert_rnn(OpNode& n) {
  constexpr RnnInputs kForward{1, 2, 3, 4};
  if (n.op == "BIDIRECTIONAL_SEQUENCE_RNN") {
    if (!n.expect_inputs(9, 12)) return;
    const auto& o = n.options<fb::BidirectionalSequenceRNNOptions>(70);
    if (n.has(9)) return n.fail(unsupported("an auxiliary input is not supported"));
    const ValueId x = time_first(n, n.in(0), o.time_major());
    const ValueId y = rnn(n, x, kForward, o.activation(), "forward");
    const ValueId z = rnn(n, x, {5, 6, 7, 8}, o.activation(), "reverse");
    return join_directions(n, time_first(n, y, o.time_major()), time_first(n, z, o.time_major()),
                           o.merge_outputs());
  }
  if (!n.expect_inputs(5, 5)) return;
  if (n.op == "RNN") {
    const int activation = n.options<fb::RNNOptions>(7).activation();
    const ValueId y = rnn(n, n.unsqueeze(n.in(0), {0}), kForward, activation, "forward");
    n.results = {n.emit("Squeeze", {y, n.add_ints({0})})};
    return;
  }
  const auto& o = n.options<fb::SequenceRNNOptions>(31);
  const ValueId y =
      rnn(n, time_first(n, n.in(0), o.time_major()), kForward, o.activation(), "forward");
  n.results = {time_first(n, y, o.time_major())};
}

// x [b, in], features [filters, in], times [filters, memory], bias [units], state [b, filters *
// memory]: each filter's last results, weighted by age, those of a unit summed up.
void convert_svdf(OpNode& n) {
  if (!n.expect_inputs(3, 5)) return;
  const auto& o = n.options<fb::SVDFOptions>(6);
  const auto times = n.known_dims_of(n.in(2)), state = n.known_dims_of(n.in(4));
  if (!times || !state || times->size() != 2 || state->size() != 2 || o.rank() < 1 ||
      (*times)[0] % o.rank() != 0) {
    return n.fail(invalid("weights or state of unknown or wrong shape"));
  }
  const int64_t batch = (*state)[0], filters = (*times)[0], memory = (*times)[1];
  const ValueId w = n.emit("Transpose", {n.real(n.in(1))}, {{"perm", Ints{1, 0}}});
  const ValueId now = n.emit("Unsqueeze", {n.emit("MatMul", {n.in(0), w}), n.add_ints({2})});
  const ValueId before = n.emit("Reshape", {n.in(4), n.add_ints({batch, filters, memory})});
  const ValueId kept =
      n.emit("Slice", {before, n.add_ints({1}), n.add_ints({memory}), n.add_ints({2})});
  const ValueId all = n.emit("Concat", {kept, now}, {{"axis", int64_t{2}}});
  n.updates.emplace_back(4, n.emit("Reshape", {all, n.add_ints({batch, filters * memory})}));
  const OpNode::Attributes drop = {{"keepdims", int64_t{0}}};
  ValueId y = n.emit("ReduceSum", {n.emit("Mul", {all, n.real(n.in(2))}), n.add_ints({2})}, drop);
  y = n.emit("Reshape", {y, n.add_ints({batch, filters / o.rank(), o.rank()})});
  y = n.emit("ReduceSum", {y, n.add_ints({2})}, drop);
  if (n.has(3)) y = n.emit("Add", {y, n.real(n.in(3))});
  n.results = {n.activate(y, o.activation())};
}

}  // namespace mnn::tflite
