// LSTM, GRU and RNN. One product makes the input's part of every gate for all time steps; then each
// step adds the product with the state before it, in place, and applies the gates. The units of a
// layer are split over the parts: a part owns its units' rows of all gates, so that a time step
// takes one barrier (two for a GRU that resets before the product).
#include <algorithm>
#include <cstring>

#include "libruntime/backends/cpu/matrix.h"
#include "libruntime/backends/cpu/rows.h"
#include "libruntime/kernels/code_panels.h"
#include "libruntime/kernels/gemm.h"
#include "libruntime/lower/recurrent.h"

namespace mnn::cpu {
namespace {

using enum recurrent::Input;

constexpr int64_t kGrain = 8;                 // units a part owns come in such groups
constexpr int64_t kLeastMacsPerPart = 40000;  // of one time step

std::optional<std::string> supports_recurrent(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(kX) != DType::kF32) return "input is not f32";
  if (!n.is_constant(kW) || !n.is_constant(kR)) return "weights are not constant";
  if (n.has_input(kB) && !n.is_constant(kB)) return "bias is not constant";
  if (n.has_input(kLengths)) return "sequences of different lengths";
  if (n.has_input(kPeepholes)) return "peepholes";
  if (node.op == "LSTM" && n.attr_int("input_forget") != 0) return "coupled gates";
  if (!node.fused.empty()) return "post-ops";
  const Result<RecurrentAttributes> a = recurrent_attributes(n);
  if (!a.ok() || a->clip != 0) return "clipped gates";
  for (const GateActivation& f : a->activations) {
    if (!gate_op(f)) return "an activation without a kernel";
  }
  return std::nullopt;
}

struct Sizes : RecurrentGeometry {
  int parts = 1;
  bool two_phases() const { return gates == 3 && !reset_after; }
  Range units(int part) const { return part_of(hidden, part, parts, kGrain); }
};

struct Gate {
  void (*kernel)(const float*, float*, int64_t, float, float) = nullptr;
  float a = 0, b = 0;
  void operator()(float* x, int64_t n) const { kernel(x, x, n, a, b); }
};

// What one part does of one direction.
struct Cell {
  std::shared_ptr<const MatrixKernel> recurrent;  // all gates; of a GRU z and r
  std::shared_ptr<const MatrixKernel> candidate;  // of a GRU
};

// Arrays of the step. `sums` [rows, directions * gates * hidden]: within a direction the columns
// are ordered by part, gate, unit. States are [directions, batch, hidden].
struct Arrays {
  Array sums, h[2], c, extra;                       // extra: r * h, or the candidate's product
  std::optional<Array> initial_h, initial_c, y[3];  // as the node has them
  int scratch = -1;
  int64_t scratch_bytes = 0;  // of one part
};

class Recurrence {
 public:
  Recurrence(const Sizes& s, std::vector<Cell> cells, std::vector<Gate> gates)
      : s_(s), cells_(std::move(cells)), f_(std::move(gates)) {}
  int phases() const { return static_cast<int>(1 + s_.steps * (s_.two_phases() ? 2 : 1)); }

  void run(const Run& run, const Arrays& a, int phase, int part) const {
    const Range units = s_.units(part);
    if (units.begin == units.end) return;
    for (int64_t d = 0; d < s_.directions; ++d) {
      Place p;
      p.direction = d;
      p.first = units.begin;
      p.count = units.end - units.begin;
      p.cell = &cells_[static_cast<size_t>(d * s_.parts + part)];
      p.f = &f_[static_cast<size_t>(d) * (f_.size() / static_cast<size_t>(s_.directions))];
      if (a.scratch >= 0) p.scratch = run.storage(a.scratch) + part * a.scratch_bytes;
      if (phase == 0) {
        start(run, a, p);
        continue;
      }
      const int64_t step = (phase - 1) / (s_.two_phases() ? 2 : 1);
      const bool second = s_.two_phases() && (phase - 1) % 2 == 1;
      const bool reverse = d == 1 || s_.first_is_reverse;
      p.time = reverse ? s_.steps - 1 - step : step;
      p.before = run.data<float>(a.h[step % 2]);
      p.after = run.data<float>(a.h[(step + 1) % 2]);
      advance(run, a, p, second);
      const bool done = !s_.two_phases() || second;
      if (done) deliver(run, a, p, step + 1 == s_.steps);
    }
  }

 private:
  struct Place {
    int64_t direction = 0, first = 0, count = 0, time = 0;
    const Cell* cell = nullptr;
    const Gate* f = nullptr;
    std::byte* scratch = nullptr;
    const float* before = nullptr;  // states of all directions
    float* after = nullptr;
  };
  int64_t state_at(const Place& p, int64_t b) const {
    return (p.direction * s_.batch + b) * s_.hidden + p.first;
  }
  // This part's sums of batch entry b: gate after gate, p.count numbers each.
  float* sums_at(const Run& run, const Arrays& a, const Place& p, int64_t b) const {
    return run.data<float>(a.sums) + s_.row_of(p.time, b) * s_.directions * s_.rows() +
           p.direction * s_.rows() + s_.gates * p.first;
  }

  void start(const Run& run, const Arrays& a, const Place& p) const {
    const auto bytes = static_cast<size_t>(p.count) * sizeof(float);
    auto fill = [&](const Array& state, const std::optional<Array>& initial) {
      for (int64_t b = 0; b < s_.batch; ++b) {
        float* to = run.data<float>(state) + state_at(p, b);
        if (initial) {
          const int64_t at = s_.line_of(p.direction, b) * s_.hidden + p.first;
          std::memcpy(to, run.data<float>(*initial) + at, bytes);
        } else {
          std::memset(to, 0, bytes);
        }
      }
    };
    fill(a.h[0], a.initial_h);
    if (s_.gates == 4) fill(a.c, a.initial_c);
  }

  // y = x * R + residual (or R's bias), all batch entries.
  static void multiply(const MatrixKernel& kernel, const float* x, const float* residual, float* y,
                       std::byte* scratch) {
    KernelArgs args;
    args.x = x;
    args.residual = residual;
    args.y = y;
    args.scratch = scratch;
    for (int phase = 0; phase < kernel.phases(); ++phase) kernel.run(phase, 0, args);
  }

  void advance(const Run& run, const Arrays& a, const Place& p, bool second) const {
    float* sums = sums_at(run, a, p, 0);
    const int64_t state = p.direction * s_.batch * s_.hidden, n = p.count;
    if (!second) multiply(*p.cell->recurrent, p.before + state, sums, sums, p.scratch);
    if (s_.gates == 3 && s_.reset_after) {
      float* product = run.data<float>(a.extra) + state + s_.batch * p.first;
      multiply(*p.cell->candidate, p.before + state, nullptr, product, p.scratch);
    }
    if (second) {
      multiply(*p.cell->candidate, run.data<float>(a.extra) + state, sums + 2 * n, sums + 2 * n,
               p.scratch);
    }
    for (int64_t b = 0; b < s_.batch; ++b) {
      float* g = sums_at(run, a, p, b);
      const float* before = p.before + state_at(p, b);
      float* after = p.after + state_at(p, b);
      if (s_.gates == 4) {
        lstm(g, run.data<float>(a.c) + state_at(p, b), after, p);
      } else if (s_.gates == 1) {
        p.f[0](g, n);
        std::memcpy(after, g, static_cast<size_t>(n) * sizeof(float));
      } else if (s_.reset_after) {
        const float* product = run.data<float>(a.extra) + state + s_.batch * p.first + b * n;
        p.f[0](g, 2 * n);
        for (int64_t i = 0; i < n; ++i) g[2 * n + i] += g[n + i] * product[i];
        mix(g, before, after, p);
      } else if (!second) {
        float* reset = run.data<float>(a.extra) + state_at(p, b);
        p.f[0](g, 2 * n);
        for (int64_t i = 0; i < n; ++i) reset[i] = g[n + i] * before[i];
      } else {
        mix(g, before, after, p);
      }
    }
  }
  // Gates i, o, f, c.
  static void lstm(float* g, float* cell, float* h, const Place& p) {
    const int64_t n = p.count;
    p.f[0](g, 3 * n);
    p.f[1](g + 3 * n, n);
    for (int64_t i = 0; i < n; ++i) {
      cell[i] = g[2 * n + i] * cell[i] + g[i] * g[3 * n + i];
      h[i] = cell[i];
    }
    p.f[2](h, n);
    for (int64_t i = 0; i < n; ++i) h[i] *= g[n + i];
  }
  // Gates z, r, h.
  static void mix(float* g, const float* before, float* after, const Place& p) {
    const int64_t n = p.count;
    float* candidate = g + 2 * n;
    p.f[1](candidate, n);
    for (int64_t i = 0; i < n; ++i) {
      after[i] = (1.0f - g[i]) * candidate[i] + g[i] * before[i];
    }
  }

  void deliver(const Run& run, const Arrays& a, const Place& p, bool last) const {
    const auto bytes = static_cast<size_t>(p.count) * sizeof(float);
    for (int64_t b = 0; b < s_.batch; ++b) {
      const float* h = p.after + state_at(p, b);
      if (a.y[0]) {
        const int64_t line = s_.batch_first ? (b * s_.steps + p.time) * s_.directions + p.direction
                                            : (p.time * s_.directions + p.direction) * s_.batch + b;
        std::memcpy(run.data<float>(*a.y[0]) + line * s_.hidden + p.first, h, bytes);
      }
      if (!last) continue;
      const int64_t at = s_.line_of(p.direction, b) * s_.hidden + p.first;
      if (a.y[1]) std::memcpy(run.data<float>(*a.y[1]) + at, h, bytes);
      if (a.y[2]) {
        std::memcpy(run.data<float>(*a.y[2]) + at, run.data<float>(a.c) + state_at(p, b), bytes);
      }
    }
  }

  Sizes s_;
  std::vector<Cell> cells_;  // [direction, part]
  std::vector<Gate> f_;      // [direction, activation]
};

Sizes sizes_of(const NodeView& n, const RecurrentAttributes& a, int threads) {
  Sizes s{recurrent_geometry(n, a)};
  const int64_t work = s.batch * s.directions * s.rows() * s.hidden / kLeastMacsPerPart;
  const int64_t most = std::min<int64_t>(threads, (s.hidden + kGrain - 1) / kGrain);
  s.parts = static_cast<int>(std::clamp<int64_t>(work, 1, most));
  return s;
}

// Which rows of W or R [directions, gates * hidden, …] the columns of `sums` are.
std::vector<int64_t> row_order(const Sizes& s) {
  std::vector<int64_t> rows;
  for (int64_t d = 0; d < s.directions; ++d) {
    for (int part = 0; part < s.parts; ++part) {
      const Range units = s.units(part);
      for (int64_t g = 0; g < s.gates; ++g) {
        for (int64_t u = units.begin; u < units.end; ++u)
          rows.push_back(d * s.rows() + g * s.hidden + u);
      }
    }
  }
  return rows;
}

// A product with the rows `rows` of W or R; `which` tells them. Codes are read as such.
Result<MatrixKernelPtr> make_row_product(Lowering& l, ValueId v, const GemmGeometry& g,
                                         std::span<const int64_t> rows, const std::string& which,
                                         const float* bias, const Epilogue& epilogue,
                                         const KernelOptions& options) {
  const Value& value = l.graph().value(v);
  const std::vector<int64_t> own(rows.begin(), rows.end());
  if (value.quant && takes_row_codes(*value.quant, value.data.dims())) {
    const WeightCodes codes{l.weight_id(v).derived(which), value.data, *value.quant, true, own};
    return make_gemm_codes(g, codes, bias, epilogue, options);
  }
  const int64_t width = g.k;
  const Weights<float> picked =
      l.weights(v).derived(which, g.n * width, [own, width](const float* from, float* to) {
        for (const int64_t row : own) to = std::copy_n(from + row * width, width, to);
      });
  return make_gemm_f32(g, picked, bias, epilogue, options);
}

// Biases of the input product, in the order of its columns: both of B, but for a candidate that
// adds its recurrent one before the reset.
std::vector<float> input_bias(const Sizes& s, std::span<const int64_t> rows, const float* b) {
  std::vector<float> bias(rows.size(), 0.0f);
  for (size_t i = 0; b != nullptr && i < rows.size(); ++i) {
    const int64_t d = rows[i] / s.rows(), row = rows[i] % s.rows();
    const float* at = b + d * 2 * s.rows() + row;
    const bool both = !s.reset_after || row < 2 * s.hidden;
    bias[i] = at[0] + (both ? at[s.rows()] : 0.0f);
  }
  return bias;
}

Status add_input_product(Lowering& l, const Node& node, const Sizes& s, const Array& sums) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Array x, l.real(node.inputs[kX], row_major(3)));
  const Tensor* b = n.has_input(kB) ? l.constant(node.inputs[kB]) : nullptr;
  if (n.has_input(kB) && b == nullptr) return internal_error("the bias cannot be read");
  GemmGeometry g;
  g.m = s.steps * s.batch;
  g.k = s.features;
  g.n = s.directions * s.rows();
  g.b_transposed = true;
  const std::vector<int64_t> rows = row_order(s);
  const std::vector<float> bias = input_bias(s, rows, b != nullptr ? b->data<float>() : nullptr);
  MNN_ASSIGN_OR_RETURN(
      MatrixKernelPtr kernel,
      make_row_product(l, node.inputs[kW], g, rows,
                       layout_name("by part", {s.directions, s.parts, s.gates, s.hidden}),
                       bias.data(), {}, l.kernel_options()));
  const Tensor& stored = l.graph().value(node.inputs[kW]).data;
  add_matrix_step(l, node, std::move(kernel), x, nullptr, nullptr, sums, ComputeForm::kF32,
                  stored.bytes(), {});
  l.last_step().info.macs = g.m * g.k * g.n;
  return {};
}

Result<std::vector<Cell>> make_cells(Lowering& l, const Node& node, const Sizes& s,
                                     int64_t* scratch) {
  const NodeView n(l.graph(), node);
  const Tensor* b = n.has_input(kB) ? l.constant(node.inputs[kB]) : nullptr;
  const std::vector<int64_t> rows = row_order(s);
  KernelOptions options = l.kernel_options();
  options.threads = 1;
  std::vector<Cell> cells;
  for (int64_t d = 0; d < s.directions; ++d) {
    for (int part = 0; part < s.parts; ++part) {
      const Range units = s.units(part);
      const int64_t count = units.end - units.begin;
      const int64_t from = d * s.rows() + s.gates * units.begin;
      auto make = [&](int64_t first, int64_t outputs, int64_t row,
                      const float* bias) -> Result<std::shared_ptr<const MatrixKernel>> {
        GemmGeometry g;
        g.m = s.batch;
        g.k = s.hidden;
        g.n = outputs;
        g.b_transposed = true;
        g.c_stride = row;
        if (s.batch_first && bias == nullptr) g.c_stride *= s.steps;
        Epilogue epilogue;
        epilogue.residual = bias == nullptr;
        const auto own = std::span(rows).subspan(static_cast<size_t>(from + first),
                                                 static_cast<size_t>(outputs));
        const std::string which =
            layout_name("rows", {s.directions, s.parts, s.gates, s.hidden, from + first, outputs});
        MNN_ASSIGN_OR_RETURN(
            MatrixKernelPtr made,
            make_row_product(l, node.inputs[kR], g, own, which, bias, epilogue, options));
        *scratch = std::max(*scratch, made->scratch_bytes());
        l.count_weights(*made);
        return std::shared_ptr<const MatrixKernel>(std::move(made));
      };
      Cell cell;
      if (count > 0) {
        const int64_t row = s.directions * s.rows();
        MNN_ASSIGN_OR_RETURN(cell.recurrent,
                             make(0, (s.gates == 3 ? 2 : s.gates) * count, row, nullptr));
        if (s.gates == 3 && !s.reset_after) {
          MNN_ASSIGN_OR_RETURN(cell.candidate, make(2 * count, count, row, nullptr));
        } else if (s.gates == 3) {
          std::vector<float> bias(static_cast<size_t>(count), 0.0f);
          if (b != nullptr) {
            const int64_t at = (d * 2 + 1) * s.rows() + 2 * s.hidden + units.begin;
            std::copy_n(b->data<float>() + at, count, bias.begin());
          }
          MNN_ASSIGN_OR_RETURN(cell.candidate, make(2 * count, count, count, bias.data()));
        }
      }
      cells.push_back(std::move(cell));
    }
  }
  return cells;
}

Status lower_recurrent(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const RecurrentAttributes attributes, recurrent_attributes(n));
  const Sizes s = sizes_of(n, attributes, l.threads());
  Arrays a;
  a.sums = l.allocate(DType::kF32, {s.steps * s.batch, s.directions * s.rows()}, row_major(2));
  MNN_RETURN_IF_ERROR(add_input_product(l, node, s, a.sums));
  MNN_ASSIGN_OR_RETURN(std::vector<Cell> cells, make_cells(l, node, s, &a.scratch_bytes));
  std::vector<Gate> gates;
  for (const GateActivation& f : attributes.activations) {
    gates.push_back({l.kernels().unary[static_cast<int>(*gate_op(f))], static_cast<float>(f.alpha),
                     static_cast<float>(f.beta)});
  }

  const Dims state = {s.directions, s.batch, s.hidden};
  std::vector<Array> in = {a.sums}, out;
  auto input = [&](size_t i, std::optional<Array>& array) -> Status {
    if (!n.has_input(i)) return {};
    MNN_ASSIGN_OR_RETURN(array, l.real(node.inputs[i], row_major(3)));
    in.push_back(*array);
    return {};
  };
  MNN_RETURN_IF_ERROR(input(kInitialH, a.initial_h));
  MNN_RETURN_IF_ERROR(input(kInitialC, a.initial_c));
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!n.has_output(i)) continue;
    const Dims dims = l.dims(node.outputs[i]);
    a.y[i] = l.allocate(DType::kF32, dims, row_major(dims.size()));
    out.push_back(*a.y[i]);
  }
  for (Array* own : {&a.h[0], &a.h[1], &a.c, &a.extra}) {
    if (own == &a.c && s.gates != 4) continue;
    if (own == &a.extra && s.gates != 3) continue;
    *own = l.allocate(DType::kF32, state, row_major(3));
    out.push_back(*own);
  }
  out.push_back(a.sums);
  const Recurrence recurrence(s, std::move(cells), std::move(gates));
  Step& step = l.add_step("recurrence", in, out, 0, nullptr);
  step.parts = s.parts;
  step.phases = recurrence.phases();
  step.info.macs = s.steps * s.batch * s.directions * s.rows() * s.hidden;
  step.info.form = ComputeForm::kF32;
  if (a.scratch_bytes > 0) a.scratch = l.add_scratch(a.scratch_bytes * s.parts);
  l.last_step().run = [recurrence, a](const Run& run, int phase, int part) {
    recurrence.run(run, a, phase, part);
  };
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!n.has_output(i)) continue;
    Array made = *a.y[i];
    if (const auto grid = l.grid(node.outputs[i])) {
      MNN_ASSIGN_OR_RETURN(made, l.quantize(made, *grid));
    }
    l.define(node.outputs[i], std::move(made));
  }
  return {};
}

constexpr OpRow kRecurrentRows[] = {
    {"LSTM", supports_recurrent, lower_recurrent, false},
    {"GRU", supports_recurrent, lower_recurrent, false},
    {"RNN", supports_recurrent, lower_recurrent, false},
};

}  // namespace

std::span<const OpRow> recurrent_rows() { return kRecurrentRows; }

}  // namespace mnn::cpu
