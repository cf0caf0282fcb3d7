#include "libconvert/passes/recurrent_cell.h"

#include <algorithm>
#include <array>

#include "libconvert/passes/conditions.h"

namespace mnn {
namespace {

constexpr int kDepth = 16;

// An activation as a gate has it.
struct Activation {
  std::string name;
  ValueId of = kNoValue;
  bool parametric = false;
  double alpha = 0, beta = 0;
  bool same(const Activation& o) const {
    return name == o.name && alpha == o.alpha && beta == o.beta;
  }
};

// Some columns of a matrix, of which each is a row where it is transposed; or elements of a vector.
struct Part {
  Tensor tensor;
  int64_t from = 0, count = 0;
  bool transposed = false;
  int64_t rows() const { return tensor.dims()[transposed ? 1 : 0]; }
  int64_t columns() const { return tensor.dims()[transposed ? 0 : 1]; }
  float at(int64_t row, int64_t column) const {
    const int64_t c = from + column;
    return tensor.data<float>()[transposed ? c * rows() + row : row * columns() + c];
  }
};

// What is added up before an activation: a product with the input, one with the state, offsets.
struct Sum {
  std::vector<Part> input, state, offsets;
};

class CellReader {
 public:
  explicit CellReader(const LoopBody& loop) : loop_(loop) {}

  std::optional<RecurrentCell> read() {
    for (size_t k = 0; k < loop_.carried(); ++k) {
      const Type& type = loop_.body.value(loop_.input(k)).type;
      if (type.dtype != DType::kF32 || !type.shape || type.rank() != 2) continue;
      for (const auto& read :
           {&CellReader::read_lstm, &CellReader::read_gru, &CellReader::read_rnn}) {
        sequence_ = kNoValue;
        size_ = 0;
        if (std::optional<RecurrentCell> cell = (this->*read)(k)) return cell;
      }
    }
    return std::nullopt;
  }

 private:
  std::optional<Activation> activation(ValueId v) const {
    const Node* n = loop_.maker(v);
    if (n == nullptr) return std::nullopt;
    for (const char* plain : {"Sigmoid", "Tanh", "Relu", "Softsign", "Softplus"}) {
      if (n->op == plain) return Activation{plain, n->inputs[0]};
    }
    if (n->op == "HardSigmoid") {
      return Activation{n->op, n->inputs[0], true, attr_float(*n, "alpha"), attr_float(*n, "beta")};
    }
    return std::nullopt;
  }

  // The two inputs of a node of `op` in both orders.
  std::vector<std::array<ValueId, 2>> operands(ValueId v, std::string_view op) const {
    const Node* n = loop_.maker(v);
    if (n == nullptr || n->op != op) return {};
    return {{n->inputs[0], n->inputs[1]}, {n->inputs[1], n->inputs[0]}};
  }

  bool is(ValueId v, ValueId what) const { return loop_.behind(v) == loop_.behind(what); }

  // The sequence of which a value is the element of this trip.
  ValueId stepped(ValueId v) const {
    const Node* n = loop_.maker(v);
    if (n == nullptr || n->op != "Gather" || attr_int(*n, "axis") != 0) return kNoValue;
    const Type& index = loop_.body.value(n->inputs[1]).type;
    if (!index.shape || index.rank() != 0 || loop_.count(n->inputs[1]) != 0) return kNoValue;
    return loop_.invariant(n->inputs[0]);
  }

  // The last dim of a value of the body; nullopt when it is open.
  std::optional<int64_t> columns(ValueId v) const {
    const Type& type = loop_.body.value(v).type;
    if (!type.shape || type.shape->empty() || !type.shape->back().known()) return std::nullopt;
    return type.shape->back().value();
  }

  bool add_product(ValueId data, Part weights, const std::function<bool(ValueId)>& is_state,
                   Sum& sum) {
    if (weights.tensor.dtype() != DType::kF32 || weights.tensor.rank() != 2 ||
        weights.from + weights.count > weights.columns()) {
      return false;
    }
    if (is_state(data)) {
      sum.state.push_back(std::move(weights));
      return sum.state.size() == 1;
    }
    const ValueId sequence = stepped(data);
    if (sequence == kNoValue || (sequence_ != kNoValue && sequence_ != sequence)) return false;
    sequence_ = sequence;
    sum.input.push_back(std::move(weights));
    return sum.input.size() == 1;
  }

  // Columns [from, from + count) of a value with rows for the batch.
  bool add(ValueId v, int64_t from, int64_t count, const std::function<bool(ValueId)>& is_state,
           Sum& sum, int depth = kDepth) {
    if (depth == 0 || v == kNoValue) return false;
    if (const auto offset = loop_.constant(v)) {
      // The same for each row of the batch.
      const int64_t n = offset->elements();
      const bool one_row = offset->rank() > 0 && n == offset->dims().back();
      if (offset->dtype() != DType::kF32 || (n != 1 && (!one_row || from + count > n)))
        return false;
      sum.offsets.push_back({*offset, n == 1 ? 0 : from, n == 1 ? 1 : count});
      return true;
    }
    const Node* n = loop_.maker(v);
    if (n == nullptr) return false;
    if (n->op == "Add") {
      // What is wider than one side would be repeated: only offsets are.
      for (const ValueId i : n->inputs) {
        if (!loop_.constant(i) && columns(i) != columns(v)) return false;
        if (!add(i, from, count, is_state, sum, depth - 1)) return false;
      }
      return true;
    }
    if (n->op == "MatMul") {
      const auto weights = loop_.constant(n->inputs[1]);
      return weights && add_product(n->inputs[0], {*weights, from, count}, is_state, sum);
    }
    if (n->op == "Gemm") {
      const auto weights = loop_.constant(n->inputs[1]);
      const bool transposed = attr_int(*n, "transB") != 0;
      if (!weights || attr_int(*n, "transA") != 0 || attr_float(*n, "alpha") != 1 ||
          attr_float(*n, "beta") != 1 ||
          !add_product(n->inputs[0], {*weights, from, count, transposed}, is_state, sum)) {
        return false;
      }
      const ValueId offset = input_of(*n, 2);
      return offset == kNoValue ||
             (loop_.constant(offset) && add(offset, from, count, is_state, sum, depth - 1));
    }
    const auto whole =
        n->inputs.empty() || n->inputs[0] == kNoValue ? std::nullopt : columns(n->inputs[0]);
    if (!whole) return false;
    const size_t rank = loop_.body.value(n->inputs[0]).type.rank();
    const auto is_last = [&](int64_t axis) {
      return axis == -1 || axis == static_cast<int64_t>(rank) - 1;
    };
    if (n->op == "Split" && is_last(attr_int(*n, "axis"))) {
      for (const ValueId out : n->outputs) {
        const auto width = columns(out);
        if (!width) return false;
        if (out == loop_.behind(v)) return add(n->inputs[0], from, count, is_state, sum, depth - 1);
        from += *width;
      }
      return false;
    }
    if (n->op == "Slice") {
      const auto ints = [&](size_t i) {
        const auto t = loop_.constant(input_of(*n, i));
        const auto values = t ? t->to_ints() : Result<std::vector<int64_t>>(invalid(""));
        return values.ok() ? *values : std::vector<int64_t>{};
      };
      const std::vector<int64_t> starts = ints(1), axes = ints(3), steps = ints(4);
      const bool unit =
          input_of(*n, 4) == kNoValue ||
          (!steps.empty() && std::ranges::all_of(steps, [](int64_t s) { return s == 1; }));
      if (!unit || starts.size() != axes.size()) return false;
      for (size_t i = 0; i < axes.size(); ++i) {
        if (is_last(axes[i])) {
          from += std::clamp(starts[i] < 0 ? starts[i] + *whole : starts[i], int64_t{0}, *whole);
        } else if (!keeps_dim(*n, axes[i], rank)) {
          return false;
        }
      }
      return add(n->inputs[0], from, count, is_state, sum, depth - 1);
    }
    return false;
  }

  // Whether a Slice leaves a dim as it is.
  bool keeps_dim(const Node& slice, int64_t axis, size_t rank) const {
    const Type &in = loop_.body.value(slice.inputs[0]).type,
               &out = loop_.body.value(slice.outputs[0]).type;
    const auto a = static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(rank) : axis);
    return a < rank && in.shape && out.shape && (*in.shape)[a].same((*out.shape)[a]);
  }

  // All that goes into a gate: one product with the input, one with the state.
  std::optional<Sum> gate(ValueId v, ValueId state) {
    Sum sum;
    const auto width = columns(v);
    if (!width || (size_ != 0 && size_ != *width)) return std::nullopt;
    size_ = *width;
    const auto is_state = [&](ValueId a) { return is(a, state); };
    if (!add(v, 0, size_, is_state, sum) || sum.input.size() != 1 || sum.state.size() != 1) {
      return std::nullopt;
    }
    return sum;
  }

  // h' = o * act(c'), c' = f * c + i * g.
  std::optional<RecurrentCell> read_lstm(size_t k) {
    const ValueId h = loop_.input(k);
    for (const auto& [gate_o, squashed] : operands(loop_.next(k), "Mul")) {
      const auto o = activation(gate_o), of_cell = activation(squashed);
      if (!o || !of_cell) continue;
      for (size_t j = 0; j < loop_.carried(); ++j) {
        if (j == k || !is(loop_.next(j), of_cell->of)) continue;
        for (const auto& [kept, added] : operands(of_cell->of, "Add")) {
          for (const auto& [gate_f, c] : operands(kept, "Mul")) {
            for (const auto& [gate_i, gate_g] : operands(added, "Mul")) {
              const auto f = activation(gate_f), i = activation(gate_i), g = activation(gate_g);
              if (!is(c, loop_.input(j)) || !f || !i || !g || !f->same(*o) || !i->same(*o))
                continue;
              sequence_ = kNoValue;
              size_ = 0;
              // The operator's order.
              std::vector<Sum> sums;
              for (const Activation* a : {&*i, &*o, &*f, &*g}) {
                auto sum = gate(a->of, h);
                if (!sum) break;
                sums.push_back(*std::move(sum));
              }
              if (sums.size() != 4) continue;
              RecurrentCell cell = made("LSTM", k, {*o, *g, *of_cell});
              cell.cell = j;
              if (fill(cell, sums, {})) return cell;
            }
          }
        }
      }
    }
    return std::nullopt;
  }

  // h' = z * h + (1 - z) * n; n = act(x * W + b + r * (h * R + b')) or act(x * W + b + (r * h) *
  // R).
  std::optional<RecurrentCell> read_gru(size_t k) {
    const ValueId h = loop_.input(k);
    for (const auto& [kept, added] : operands(loop_.next(k), "Add")) {
      for (const auto& [gate_z, state] : operands(kept, "Mul")) {
        for (const auto& [rest, candidate] : operands(added, "Mul")) {
          const Node* sub = loop_.maker(rest);
          const auto z = activation(gate_z), n = activation(candidate);
          if (!is(state, h) || !z || !n || sub == nullptr || sub->op != "Sub" ||
              !is(sub->inputs[1], gate_z)) {
            continue;
          }
          const auto one = loop_.constant(sub->inputs[0]);
          if (!one || one->elements() != 1 || one->dtype() != DType::kF32 ||
              one->data<float>()[0] != 1) {
            continue;
          }
          sequence_ = kNoValue;
          size_ = 0;
          const auto sum_z = gate(z->of, h);
          if (!sum_z) continue;
          Reset reset;
          Sum sum_n;
          if (!read_candidate(n->of, h, reset, sum_n) || !reset.gate || !reset.gate->same(*z) ||
              sum_n.input.size() != 1) {
            continue;
          }
          const auto sum_r = gate(reset.gate->of, h);
          if (!sum_r) continue;
          RecurrentCell cell = made("GRU", k, {*z, *n});
          cell.linear_before_reset = reset.linear;
          sum_n.state = reset.linear ? reset.inside.state : sum_n.state;
          if (sum_n.state.size() == 1 &&
              fill(cell, {*sum_z, *sum_r, sum_n}, reset.inside.offsets)) {
            return cell;
          }
        }
      }
    }
    return std::nullopt;
  }

  // h' = act(x * W + b + h * R).
  std::optional<RecurrentCell> read_rnn(size_t k) {
    const auto all = activation(loop_.next(k));
    if (!all) return std::nullopt;
    const auto sum = gate(all->of, loop_.input(k));
    if (!sum) return std::nullopt;
    RecurrentCell cell = made("RNN", k, {*all});
    return fill(cell, {*sum}, {}) ? std::optional(std::move(cell)) : std::nullopt;
  }

  struct Reset {
    std::optional<Activation> gate;
    bool linear = false;  // it multiplies what the state became
    Sum inside;           // then: that
  };

  // The addends of the candidate: the reset gate times the state, or times what it became.
  bool read_candidate(ValueId v, ValueId h, Reset& reset, Sum& sum, int depth = kDepth) {
    if (depth == 0) return false;
    const Node* n = loop_.maker(v);
    if (n != nullptr && n->op == "Add" && !loop_.constant(v)) {
      return read_candidate(n->inputs[0], h, reset, sum, depth - 1) &&
             read_candidate(n->inputs[1], h, reset, sum, depth - 1);
    }
    if (n != nullptr && n->op == "Mul") {
      for (const auto& [gate_r, inner] : operands(v, "Mul")) {
        const auto r = activation(gate_r);
        Sum inside;
        if (!r || reset.gate ||
            !add(
                inner, 0, size_, [&](ValueId a) { return is(a, h); }, inside) ||
            inside.state.size() != 1 || !inside.input.empty()) {
          continue;
        }
        reset = {r, true, std::move(inside)};
        return true;
      }
      return false;
    }
    // Products with the state go through the gate here.
    const auto is_reset_state = [&](ValueId a) {
      for (const auto& [gate_r, state] : operands(a, "Mul")) {
        const auto r = activation(gate_r);
        if (!r || !is(state, h) || reset.gate) continue;
        reset.gate = r;
        return true;
      }
      return false;
    };
    return add(v, 0, size_, is_reset_state, sum);
  }

  RecurrentCell made(const std::string& op, size_t k, const std::vector<Activation>& activations) {
    RecurrentCell cell;
    cell.op = op;
    cell.hidden = k;
    for (const Activation& a : activations) {
      cell.activations.push_back(a.name);
      // Parameters are listed for the activations that have some, in order.
      if (a.parametric) {
        cell.alphas.push_back(a.alpha);
        cell.betas.push_back(a.beta);
      }
    }
    return cell;
  }

  // Weights and offsets of the gates in the operator's order; `recurrent` are offsets that the last
  // gate's reset applies to.
  bool fill(RecurrentCell& cell, const std::vector<Sum>& gates,
            const std::vector<Part>& recurrent) const {
    const auto count = static_cast<int64_t>(gates.size());
    const int64_t features = gates[0].input[0].rows();
    cell.sequence = sequence_;
    const auto stack = [&](int64_t rows, const auto& part_of) -> Tensor {
      Result<Tensor> out = Tensor::allocate(DType::kF32, {1, count * size_, rows});
      if (!out.ok()) return {};
      float* to = out->template data<float>();
      for (const Sum& gate : gates) {
        const Part& part = part_of(gate);
        if (part.rows() != rows) return {};
        for (int64_t c = 0; c < size_; ++c) {
          for (int64_t r = 0; r < rows; ++r) *to++ = part.at(r, c);
        }
      }
      return *out;
    };
    cell.weights = stack(features, [](const Sum& s) -> const Part& { return s.input[0]; });
    cell.recurrent = stack(size_, [](const Sum& s) -> const Part& { return s.state[0]; });
    if (!cell.weights.defined() || !cell.recurrent.defined()) return false;
    bool any = !recurrent.empty();
    for (const Sum& gate : gates) any |= !gate.offsets.empty();
    if (!any) return true;
    Result<Tensor> bias = Tensor::allocate(DType::kF32, {1, 2 * count * size_});
    if (!bias.ok()) return false;
    const auto add_to = [&](float* to, const std::vector<Part>& parts) {
      for (const Part& p : parts) {
        for (int64_t c = 0; c < size_; ++c) {
          to[c] += p.tensor.data<float>()[p.count == 1 ? p.from : p.from + c];
        }
      }
    };
    float* const data = bias->data<float>();
    for (int64_t g = 0; g < count; ++g) {
      add_to(data + g * size_, gates[static_cast<size_t>(g)].offsets);
    }
    add_to(data + (2 * count - 1) * size_, recurrent);
    cell.bias = *bias;
    return true;
  }

  const LoopBody& loop_;
  ValueId sequence_ = kNoValue;
  int64_t size_ = 0;
};

}  // namespace

std::optional<RecurrentCell> find_cell(const LoopBody& loop) { return CellReader(loop).read(); }

}  // namespace mnn
