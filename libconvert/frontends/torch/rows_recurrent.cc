// Recurrent layers and cells.
#include <algorithm>

#include "libconvert/frontends/torch/quantized.h"

namespace mnn::torch {
namespace {

struct Cell {
  const char* op;              // "LSTM", "GRU", "RNN"
  std::vector<int64_t> gates;  // PyTorch's gate at each place of ONNX's order
  std::string activation;      // of a plain RNN
  size_t states;               // h, or h and c
};

Cell cell_of(const Call& c) {
  const std::string& op = c.op();
  if (op.find("lstm") != std::string::npos) return {"LSTM", {0, 3, 1, 2}, "", 2};  // ifgo -> iofc
  if (op.find("gru") != std::string::npos) return {"GRU", {1, 0, 2}, "", 1};       // rzn -> zrh
  return {"RNN", {0}, op.find("relu") != std::string::npos ? "Relu" : "Tanh", 1};
}

// Blocks of rows, one a gate, in ONNX's order.
ValueId reordered(Call& c, ValueId w, const std::vector<int64_t>& gates) {
  if (gates.size() == 1) return w;
  const std::vector<ValueId> parts =
      c.emit_n("Split", {w}, gates.size(),
               {{"axis", int64_t{0}}, {"num_outputs", static_cast<int64_t>(gates.size())}});
  std::vector<ValueId> ordered;
  for (const int64_t g : gates) ordered.push_back(parts[static_cast<size_t>(g)]);
  return c.concat(ordered, 0);
}

// Weights of one direction of one layer.
struct Weights {
  ValueId ih, hh, bih = kNoValue, bhh = kNoValue, projection = kNoValue;
  bool dynamic = false;  // what they are multiplied by is put on a grid of its own extremes first
};

// One step of a cell: the new states.
struct Step {
  ValueId h, cell = kNoValue;
};
ValueId affine(Call& c, ValueId x, ValueId w, ValueId b) {
  return c.emit("Gemm", {x, w, b}, {{"transB", int64_t{1}}});
}
Step step(Call& c, const Cell& kind, ValueId x, const Step& before, const Weights& w) {
  const ValueId h_in = w.dynamic ? on_dynamic_grid(c, before.h) : before.h;
  const ValueId gi = affine(c, x, w.ih, w.bih), gh = affine(c, h_in, w.hh, w.bhh);
  const auto split = [&](ValueId v, int64_t n) {
    return c.emit_n("Split", {v}, static_cast<size_t>(n),
                    {{"axis", int64_t{1}}, {"num_outputs", n}});
  };
  if (kind.states == 2) {
    const std::vector<ValueId> g = split(c.binary("Add", gi, gh), 4);
    const ValueId in = c.unary("Sigmoid", g[0]), forget = c.unary("Sigmoid", g[1]),
                  update = c.unary("Tanh", g[2]), out = c.unary("Sigmoid", g[3]);
    const ValueId cell =
        c.binary("Add", c.binary("Mul", forget, before.cell), c.binary("Mul", in, update));
    ValueId h = c.binary("Mul", out, c.unary("Tanh", cell));
    if (w.projection != kNoValue) h = c.binary("MatMul", h, c.transpose(w.projection, {1, 0}));
    return {h, cell};
  }
  if (kind.gates.size() == 3) {
    const std::vector<ValueId> a = split(gi, 3), b = split(gh, 3);
    const ValueId r = c.unary("Sigmoid", c.binary("Add", a[0], b[0])),
                  z = c.unary("Sigmoid", c.binary("Add", a[1], b[1]));
    const ValueId n = c.unary("Tanh", c.binary("Add", a[2], c.binary("Mul", r, b[2])));
    // n + z * (h - n)
    return {c.binary("Add", n, c.binary("Mul", z, c.binary("Sub", before.h, n)))};
  }
  return {c.unary(kind.activation, c.binary("Add", gi, gh))};
}

// With a projection, or with states quantized in each step, there is no such node: the steps one
// after the other.
std::vector<ValueId> unrolled(Call& c, const Cell& kind, ValueId x, Step state, const Weights& w,
                              bool reverse) {
  const int64_t length = c.known_dim(x, 0);
  constexpr int64_t kMost = 1 << 10;
  if (length > kMost || length < 1) {
    c.refuse(w.dynamic ? "a dynamically quantized recurrent layer over more than 1024 steps"
                       : "a projected LSTM over more than 1024 steps");
    return {x, x, x};
  }
  std::vector<ValueId> outputs(static_cast<size_t>(length));
  for (int64_t i = 0; i < length && c.status.ok(); ++i) {
    const int64_t t = reverse ? length - 1 - i : i;
    state = step(c, kind, c.select(x, 0, IntArg{t}), state, w);
    outputs[static_cast<size_t>(t)] = c.expand_dims(state.h, {0});
  }
  std::vector<ValueId> made = {c.concat(outputs, 0), c.expand_dims(state.h, {0})};
  if (kind.states == 2) made.push_back(c.expand_dims(state.cell, {0}));
  return made;
}

// One layer over [T, N, width]: the outputs [T, N, directions * width] and the last states
// [directions, N, width].
std::vector<ValueId> layer(Call& c, const Cell& kind, ValueId x, ValueId h, ValueId cell,
                           const std::vector<Weights>& directions) {
  if (directions[0].projection != kNoValue || directions[0].dynamic) {
    if (directions[0].dynamic) x = on_dynamic_grid(c, x);
    std::vector<std::vector<ValueId>> made(kind.states + 1);
    for (size_t d = 0; d < directions.size(); ++d) {
      const auto at = [&](ValueId v) {
        return v == kNoValue ? v : c.select(v, 0, IntArg{static_cast<int64_t>(d)});
      };
      const std::vector<ValueId> r = unrolled(c, kind, x, {at(h), at(cell)}, directions[d], d == 1);
      for (size_t i = 0; i < made.size(); ++i) made[i].push_back(r[i]);
    }
    std::vector<ValueId> y = {c.concat(made[0], 2)};
    for (size_t i = 1; i < made.size(); ++i) y.push_back(c.concat(made[i], 0));
    return y;
  }
  std::vector<ValueId> w, r, b;
  for (const Weights& d : directions) {
    w.push_back(c.expand_dims(reordered(c, d.ih, kind.gates), {0}));
    r.push_back(c.expand_dims(reordered(c, d.hh, kind.gates), {0}));
    if (d.bih == kNoValue) continue;
    b.push_back(c.expand_dims(
        c.concat({reordered(c, d.bih, kind.gates), reordered(c, d.bhh, kind.gates)}, 0), {0}));
  }
  Call::Attributes attributes = {
      {"direction", std::string(directions.size() == 2 ? "bidirectional" : "forward")},
      {"hidden_size", c.known_dim(directions[0].hh, 1)}};
  if (kind.gates.size() == 3) attributes["linear_before_reset"] = int64_t{1};
  if (!kind.activation.empty()) {
    attributes["activations"] = std::vector<std::string>(directions.size(), kind.activation);
  }
  std::vector<ValueId> in = {
      x, c.concat(w, 0), c.concat(r, 0), b.empty() ? kNoValue : c.concat(b, 0), kNoValue, h};
  if (kind.states == 2) in.push_back(cell);
  std::vector<ValueId> y = c.emit_n(kind.op, in, kind.states + 1, attributes);
  // [T, directions, N, width] -> [T, N, directions * width]
  if (directions.size() == 1) {
    y[0] = c.squeeze(y[0], {1});
  } else {
    y[0] = c.emit("Reshape", {c.transpose(y[0], {0, 2, 1, 3}), c.add_ints({0, 0, -1})});
  }
  return y;
}

// Weight and bias (kNoValue: none) out of packed ones.
std::vector<ValueId> weight_and_bias(Call& c, const Arg& packed) {
  const ListArg* parts = packed.get<ListArg>();
  const TensorArg* weight =
      parts != nullptr && !parts->empty() ? (*parts)[0].get<TensorArg>() : nullptr;
  if (weight == nullptr) {
    c.fail(invalid("the packed weights are none of this operator's"));
    return {kNoValue, kNoValue};
  }
  const TensorArg* bias = parts->size() > 1 ? (*parts)[1].get<TensorArg>() : nullptr;
  return {weight->id, bias == nullptr ? kNoValue : bias->id};
}

// `params` of quantized layers in the order of the others.
std::vector<ValueId> packed_cells(Call& c) {
  std::vector<ValueId> params;
  const ListArg* cells = c.arg("params").get<ListArg>();
  for (const Arg& cell : cells == nullptr ? ListArg() : *cells) {
    const ListArg* parts = cell.get<ListArg>();
    if (parts == nullptr || parts->size() != 2) {
      c.fail(invalid("argument 'params' has other weights than of recurrent layers"));
      return {};
    }
    const auto of_input = weight_and_bias(c, (*parts)[0]),
               of_state = weight_and_bias(c, (*parts)[1]);
    params.insert(params.end(), {of_input[0], of_state[0], of_input[1], of_state[1]});
  }
  return params;
}

void recurrent(Call& c) {
  const Cell kind = cell_of(c);
  ValueId x = c.tensor("input");
  const size_t input_rank = c.rank(x);
  const bool batch_first = c.flag("batch_first");
  std::vector<ValueId> states =
      kind.states == 2 ? c.tensors("hx") : std::vector<ValueId>{c.tensor("hx")};
  const bool dynamic = c.op().starts_with("aten::quantized_");
  const std::vector<ValueId> params = dynamic ? packed_cells(c) : c.tensors("params");
  const int64_t layers = c.integer("num_layers");
  const size_t directions = c.flag("bidirectional") ? 2 : 1;
  const bool biases = dynamic || c.flag("has_biases");
  if (!c.status.ok()) return;
  if (c.flag("train") && c.real("dropout") != 0 && layers > 1) {
    return c.refuse("the model was exported for training; call eval() before the export");
  }
  if (states.size() != kind.states || layers < 1 || layers > 1024) {
    return c.fail(invalid("argument 'hx' or 'num_layers' does not fit"));
  }
  const size_t plain = biases ? 4 : 2, count = static_cast<size_t>(layers) * directions;
  const bool projected = kind.states == 2 && params.size() == count * (plain + 1);
  if (params.size() != count * (plain + (projected ? 1 : 0))) {
    return c.fail(invalid("argument 'params' has the wrong number of weights"));
  }
  const bool unbatched = input_rank == 2;
  if (unbatched) {
    x = c.expand_dims(x, {1});
    for (ValueId& s : states) s = c.expand_dims(s, {1});
  } else if (batch_first) {
    x = c.swap_axes(x, 0, 1);
  }
  std::vector<std::vector<ValueId>> last(kind.states);
  size_t next = 0;
  for (int64_t l = 0; l < layers && c.status.ok(); ++l) {
    std::vector<Weights> weights(directions);
    for (Weights& w : weights) {
      w.ih = params[next++];
      w.hh = params[next++];
      if (biases) {
        w.bih = params[next++];
        w.bhh = params[next++];
      }
      if (projected) w.projection = params[next++];
      w.dynamic = dynamic;
    }
    const auto n = static_cast<int64_t>(directions);
    const auto of_layer = [&](ValueId s) {
      return layers == 1 ? s : c.slice(s, 0, IntArg{l * n}, IntArg{(l + 1) * n});
    };
    const ValueId cell = kind.states == 2 ? of_layer(states[1]) : kNoValue;
    const std::vector<ValueId> y = layer(c, kind, x, of_layer(states[0]), cell, weights);
    x = y[0];
    for (size_t s = 0; s < kind.states; ++s) last[s].push_back(y[s + 1]);
  }
  if (!c.status.ok()) return;
  if (unbatched) {
    x = c.squeeze(x, {1});
  } else if (batch_first) {
    x = c.swap_axes(x, 0, 1);
  }
  c.give(x);
  for (const std::vector<ValueId>& parts : last) {
    const ValueId all = c.concat(parts, 0);
    c.give(unbatched ? c.squeeze(all, {1}) : all);
  }
}

void cell(Call& c) {
  const Cell kind = cell_of(c);
  std::vector<ValueId> states =
      kind.states == 2 ? c.tensors("hx") : std::vector<ValueId>{c.tensor("hx")};
  if (states.size() != kind.states) return c.fail(invalid("argument 'hx' does not fit"));
  ValueId x = c.tensor("input");
  const bool unbatched = c.rank(x) == 1;
  if (unbatched) {
    x = c.expand_dims(x, {0});
    for (ValueId& s : states) s = c.expand_dims(s, {0});
  }
  Weights w;
  w.dynamic = c.op().starts_with("quantized::");
  if (w.dynamic) {
    const auto of_input = weight_and_bias(c, c.arg("w_ih")),
               of_state = weight_and_bias(c, c.arg("w_hh"));
    w = {of_input[0], of_state[0], of_input[1], of_state[1], kNoValue, true};
    x = on_dynamic_grid(c, x);
  } else {
    w = {c.tensor("w_ih"), c.tensor("w_hh"), c.tensor("b_ih"), c.tensor("b_hh")};
  }
  if (!c.status.ok()) return;
  const Step after = step(c, kind, x, {states[0], kind.states == 2 ? states[1] : kNoValue}, w);
  c.give(unbatched ? c.squeeze(after.h, {0}) : after.h);
  if (kind.states == 2) c.give(unbatched ? c.squeeze(after.cell, {0}) : after.cell);
}

}  // namespace

std::vector<RowText> recurrent_rows() {
  return {
      {"lstm.input(Tensor input, Tensor[] hx, Tensor[] params, bool has_biases, int num_layers, "
       "float dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor, "
       "Tensor)",
       "LSTM", recurrent},
      {"gru.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, int num_layers, "
       "float dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor)",
       "GRU", recurrent},
      {"rnn_tanh.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, int num_layers, "
       "float dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor)",
       "RNN", recurrent},
      {"rnn_relu.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, int num_layers, "
       "float dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor)",
       "RNN", recurrent},
      {"lstm_cell(Tensor input, Tensor[] hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? "
       "b_hh=None) -> (Tensor, Tensor)",
       "Gemm, Sigmoid, Tanh", cell},
      {"gru_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? "
       "b_hh=None) -> Tensor",
       "Gemm, Sigmoid, Tanh", cell},
      {"rnn_tanh_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, "
       "Tensor? b_hh=None) -> Tensor",
       "Gemm, Tanh", cell},
      {"rnn_relu_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, "
       "Tensor? b_hh=None) -> Tensor",
       "Gemm, Relu", cell},
      {"quantized_lstm.input(Tensor input, Tensor[] hx, Packed[] params, bool has_biases, int "
       "num_layers, float dropout, bool train, bool bidirectional, bool batch_first, *, "
       "ScalarType? dtype=None, bool use_dynamic=False) -> (Tensor, Tensor, Tensor)",
       "DynamicQuantizeLinear, Gemm, Sigmoid, Tanh", recurrent},
      {"quantized_gru.input(Tensor input, Tensor hx, Packed[] params, bool has_biases, int "
       "num_layers, float dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, "
       "Tensor)",
       "DynamicQuantizeLinear, Gemm, Sigmoid, Tanh", recurrent},
      {"quantized::quantized_lstm_cell_dynamic(Tensor input, Tensor[] hx, Packed w_ih, Packed "
       "w_hh, Tensor? b_ih, Tensor? b_hh) -> (Tensor, Tensor)",
       "DynamicQuantizeLinear, Gemm, Sigmoid, Tanh", cell},
      {"quantized::quantized_gru_cell_dynamic(Tensor input, Tensor hx, Packed w_ih, Packed w_hh, "
       "Tensor? b_ih, Tensor? b_hh) -> Tensor",
       "DynamicQuantizeLinear, Gemm, Sigmoid, Tanh", cell},
      {"quantized::quantized_rnn_tanh_cell_dynamic(Tensor input, Tensor hx, Packed w_ih, Packed "
       "w_hh, Tensor? b_ih, Tensor? b_hh) -> Tensor",
       "DynamicQuantizeLinear, Gemm, Tanh", cell},
      {"quantized::quantized_rnn_relu_cell_dynamic(Tensor input, Tensor hx, Packed w_ih, Packed "
       "w_hh, Tensor? b_ih, Tensor? b_hh) -> Tensor",
       "DynamicQuantizeLinear, Gemm, Relu", cell},
  };
}

}  // namespace mnn::torch
