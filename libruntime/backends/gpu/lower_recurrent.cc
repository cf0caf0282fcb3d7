// LSTM and GRU: one product makes the input's part of every gate for all steps, then a kernel a
// step and direction.
#include <algorithm>

#include "libruntime/backends/gpu/lowering.h"
#include "libruntime/lower/recurrent.h"

namespace mnn::gpu {
namespace {

using enum recurrent::Input;
using Kind = GateActivation::Kind;

std::optional<std::string> why_not_recurrent(const NodeView& n) {
  if (n.in_type(kX) != DType::kF32) return "input is not f32";
  if (!n.is_constant(kW) || !n.is_constant(kR)) return "weights are not constant";
  if (n.has_input(kB) && !n.is_constant(kB)) return "bias is not constant";
  if (n.has_input(kLengths)) return "sequences of different lengths";
  if (n.has_input(kPeepholes)) return "peepholes";
  const bool lstm = n.node.op == "LSTM";
  if (lstm && n.attr_int("input_forget") != 0) return "coupled gates";
  if (!n.node.fused.empty()) return "post-ops";
  for (size_t i = 0; i < n.node.outputs.size(); ++i) {
    if (n.has_output(i) && n.out(i).quant) return "outputs on grids";
  }
  const Result<RecurrentAttributes> a = recurrent_attributes(n);
  if (!a.ok() || a->clip != 0) return "clipped gates";
  for (size_t i = 0; i < a->activations.size(); ++i) {
    const bool gate = i % (lstm ? 3 : 2) == 0;
    if (a->activations[i].kind != (gate ? Kind::kSigmoid : Kind::kTanh)) {
      return "activations other than Sigmoid and Tanh";
    }
  }
  return std::nullopt;
}

// W [directions, gates * hidden, features] as the columns of one matrix, and the biases that go
// with the input's part.
int input_weights(Lowering& l, const Node& node, const RecurrentGeometry& g, int64_t n4) {
  const int64_t k = g.features, n = g.directions * g.rows();
  return l.weights(node.inputs[kW], layout_name("columns", {1, 0}), k * n4 * 4,
                   [=](const Tensor& real, uint32_t* words) {
                     for (int64_t j = 0; j < n; ++j) {
                       for (int64_t i = 0; i < k; ++i) {
                         words[i * n4 * 4 + j] = word(real.data<float>()[j * k + i]);
                       }
                     }
                     return Status();
                   });
}

Status lower_recurrent(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const RecurrentAttributes attributes, recurrent_attributes(n));
  const RecurrentGeometry g = recurrent_geometry(n, attributes);
  const bool lstm = node.op == "LSTM";
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[kX]));
  const int64_t columns = g.directions * g.rows(), n4 = (columns + 7) / 8 * 2;
  const int64_t rows = g.steps * g.batch;
  std::vector<float> bias(static_cast<size_t>(n4 * 4), 0.0f);
  std::vector<float> recurrent_bias(static_cast<size_t>(g.directions * g.hidden), 0.0f);
  if (n.has_input(kB)) {
    const Tensor* b = l.constant(node.inputs[kB]);
    if (b == nullptr) return internal_error("the bias cannot be read");
    for (int64_t d = 0; d < g.directions; ++d) {
      const float* own = b->data<float>() + d * 2 * g.rows();
      for (int64_t i = 0; i < g.rows(); ++i) {
        const bool later = g.reset_after && i >= 2 * g.hidden;
        bias[static_cast<size_t>(d * g.rows() + i)] = own[i] + (later ? 0.0f : own[g.rows() + i]);
        if (later) {
          recurrent_bias[static_cast<size_t>(d * g.hidden + i - 2 * g.hidden)] = own[g.rows() + i];
        }
      }
    }
  }
  const int w = input_weights(l, node, g, n4), shift = l.weights(bias);
  const Array sums = l.allocate(DType::kF32, {rows, columns});
  {
    const int64_t tile = rows == 1 ? 1 : 4;
    Launch& launch = l.launch("mnn_gemm", n4 / 2 * ((rows + tile - 1) / tile));
    launch.buffers = {x.storage, w, shift, shift, sums.storage};
    launch.params = {
        word(rows), word(columns), word(g.features), word(n4), word(g.features), 0, 0, 0, 0};
    launch.constants = {0, 0, 0, static_cast<int>(tile)};
    launch.info.macs = count_macs(l.graph(), node);
    launch.info.form = ComputeForm::kF32;
  }
  MNN_ASSIGN_OR_RETURN(const Array r, l.dense(node.inputs[kR]));
  const int second_bias = lstm ? -1 : l.weights(recurrent_bias);
  // States [directions, batch, hidden], whatever the layout of the node; read and written in turn.
  const Dims state = {g.directions, g.batch, g.hidden};
  auto initial = [&](size_t input) -> Result<Array> {
    if (!n.has_input(input)) {
      Array zero;
      zero.dims = state;
      zero.strides = dense_strides(state, row_major(3));
      zero.storage = l.weights(std::vector<float>(static_cast<size_t>(product(state)), 0.0f));
      return zero;
    }
    MNN_ASSIGN_OR_RETURN(const Array given, l.array(node.inputs[input]));
    return l.dense(g.batch_first ? transposed(given, {1, 0, 2}) : given);
  };
  MNN_ASSIGN_OR_RETURN(const Array first_h, initial(kInitialH));
  Array first_c;
  if (lstm) {
    MNN_ASSIGN_OR_RETURN(first_c, initial(kInitialC));
  }
  const Array h[2] = {l.allocate(DType::kF32, state), l.allocate(DType::kF32, state)};
  const Array c[2] = {l.allocate(DType::kF32, state), l.allocate(DType::kF32, state)};
  // Y is [steps, directions, batch, hidden], or [batch, steps, directions, hidden].
  const Array y = l.allocate(DType::kF32, {rows * g.directions * g.hidden});
  const int64_t x_pitch = (g.batch_first ? g.steps : 1) * columns;
  const int64_t y_pitch = (g.batch_first ? g.steps * g.directions : 1) * g.hidden;
  for (int64_t step = 0; step < g.steps; ++step) {
    for (int64_t d = 0; d < g.directions; ++d) {
      const bool reverse = d == 1 || attributes.first_is_reverse;
      const int64_t time = reverse ? g.steps - 1 - step : step;
      const int from = step == 0 ? first_h.storage : h[(step + 1) % 2].storage;
      const int cell = !lstm ? -1 : step == 0 ? first_c.storage : c[(step + 1) % 2].storage;
      const int to = h[step % 2].storage;
      const int64_t y_at = (time * g.directions + d) * (g.batch_first ? 1 : g.batch) * g.hidden;
      Launch& launch = l.launch(lstm ? "mnn_lstm_step" : "mnn_gru_step", g.batch * g.hidden);
      launch.params = {word(g.batch), word(g.hidden),
                       word(g.row_of(time, 0) * columns + d * g.rows()), word(x_pitch),
                       word(d * g.rows() * g.hidden)};
      if (lstm) {
        launch.buffers = {sums.storage, r.storage, from, cell, to, c[step % 2].storage, y.storage};
      } else {
        launch.buffers = {sums.storage, r.storage, second_bias, from, to, y.storage};
        launch.params.push_back(word(d * g.hidden));
        launch.constants = {g.reset_after ? 1 : 0};
      }
      for (const int64_t v : {d * g.batch * g.hidden, y_at, y_pitch}) {
        launch.params.push_back(word(v));
      }
    }
  }
  auto give = [&](size_t output, const Array& made) {
    if (!n.has_output(output)) return;
    Array shaped = made;
    shaped.dims = l.dims(node.outputs[output]);
    shaped.strides = dense_strides(shaped.dims, row_major(shaped.rank()));
    l.define(node.outputs[output], shaped);
  };
  auto give_state = [&](size_t output, const Array& made) {
    if (!n.has_output(output)) return;
    if (g.batch_first) {
      l.define(node.outputs[output], transposed(made, {1, 0, 2}));
    } else {
      give(output, made);
    }
  };
  give(0, y);
  give_state(1, h[(g.steps + 1) % 2]);
  if (lstm) give_state(2, c[(g.steps + 1) % 2]);
  return {};
}

constexpr OpRow kRecurrentRows[] = {
    {"LSTM", why_not_recurrent, lower_recurrent},
    {"GRU", why_not_recurrent, lower_recurrent},
};

}  // namespace

std::span<const OpRow> recurrent_rows() { return kRecurrentRows; }

}  // namespace mnn::gpu
