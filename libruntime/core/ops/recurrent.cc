// LSTM, GRU and RNN over whole sequences.
#include "libruntime/core/ops/recurrent.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/macs.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {

double GateActivation::operator()(double x) const {
  switch (kind) {
    case Kind::kRelu: return x < 0 ? 0.0 : x;
    case Kind::kTanh: return std::tanh(x);
    case Kind::kSigmoid: return 1.0 / (1.0 + std::exp(-x));
    case Kind::kAffine: return alpha * x + beta;
    case Kind::kLeakyRelu: return x < 0 ? alpha * x : x;
    case Kind::kThresholdedRelu: return x < alpha ? 0.0 : x;
    case Kind::kScaledTanh: return alpha * std::tanh(beta * x);
    case Kind::kHardSigmoid: return std::min(std::max(alpha * x + beta, 0.0), 1.0);
    case Kind::kElu: return x < 0 ? alpha * std::expm1(x) : x;
    case Kind::kSoftsign: return x / (1.0 + std::fabs(x));
    case Kind::kSoftplus: return std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
  }
  return x;
}

namespace {

struct ActivationRow {
  const char* name;
  GateActivation::Kind kind;
  int parameters;  // how many of alpha, beta it takes
  double alpha, beta;
};
constexpr ActivationRow kActivations[] = {
    {"Relu", GateActivation::Kind::kRelu, 0, 0, 0},
    {"Tanh", GateActivation::Kind::kTanh, 0, 0, 0},
    {"Sigmoid", GateActivation::Kind::kSigmoid, 0, 0, 0},
    {"Affine", GateActivation::Kind::kAffine, 2, 1, 0},
    {"LeakyRelu", GateActivation::Kind::kLeakyRelu, 1, 0.01, 0},
    {"ThresholdedRelu", GateActivation::Kind::kThresholdedRelu, 1, 1, 0},
    {"ScaledTanh", GateActivation::Kind::kScaledTanh, 2, 1, 1},
    {"HardSigmoid", GateActivation::Kind::kHardSigmoid, 2, 0.2, 0.5},
    {"Elu", GateActivation::Kind::kElu, 1, 1, 0},
    {"Softsign", GateActivation::Kind::kSoftsign, 0, 0, 0},
    {"Softplus", GateActivation::Kind::kSoftplus, 0, 0, 0},
};

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) ==
                  std::tolower(static_cast<unsigned char>(y));
         });
}

}  // namespace

Result<RecurrentAttributes> read_recurrent(const AttributeReader& c,
                                           const std::vector<std::string>& defaults) {
  RecurrentAttributes r;
  const std::string direction = c.attr_string("direction");
  if (direction == "bidirectional") {
    r.directions = 2;
  } else if (direction == "reverse") {
    r.first_is_reverse = true;
  } else if (direction != "forward") {
    return invalid("direction: expected forward, reverse or bidirectional, found " + direction);
  }
  r.batch_first = c.attr_int("layout") != 0;
  r.clip = c.attr_float("clip");
  std::vector<std::string> names = c.attr_strings("activations");
  if (names.empty()) names = defaults;
  const size_t expected = defaults.size() * r.directions;
  if (names.size() == defaults.size() && r.directions == 2) {
    const std::vector<std::string> first = names;
    names.insert(names.end(), first.begin(), first.end());
  }
  if (names.size() != expected) {
    return invalid("activations: expected " + std::to_string(expected) + ", found " +
                   std::to_string(names.size()));
  }
  // Parameters are handed out in order to the activations that take them.
  const std::vector<double> alphas = c.attr_floats("activation_alpha");
  const std::vector<double> betas = c.attr_floats("activation_beta");
  size_t next_alpha = 0, next_beta = 0;
  for (const std::string& name : names) {
    const auto* const row =
        std::find_if(std::begin(kActivations), std::end(kActivations),
                     [&](const ActivationRow& a) { return same_name(a.name, name); });
    if (row == std::end(kActivations)) return unsupported("activation " + name + " is not known");
    GateActivation a{row->kind, row->alpha, row->beta};
    if (row->parameters > 0 && next_alpha < alphas.size()) a.alpha = alphas[next_alpha++];
    if (row->parameters > 1 && next_beta < betas.size()) a.beta = betas[next_beta++];
    r.activations.push_back(a);
  }
  return r;
}

RecurrentFamily recurrent_family(std::string_view op) {
  if (op == "LSTM") return {4, {"Sigmoid", "Tanh", "Tanh"}};
  if (op == "GRU") return {3, {"Sigmoid", "Tanh"}};
  return {1, {"Tanh"}};
}

namespace {

Status expect_shape(const OpContext& c, size_t i, const Shape& expected) {
  if (!c.has_input(i)) return {};
  MNN_RETURN_IF_ERROR(expect_rank(c, i, expected.size()));
  if (!c.rank_known(i)) return {};
  for (size_t d = 0; d < expected.size(); ++d) {
    if (expected[d].is_unknown()) continue;
    MNN_RETURN_IF_ERROR(
        expect_dim((*c.in[i].shape)[d], expected[d],
                   "dimension " + std::to_string(d) + " of input " + std::to_string(i)));
  }
  return {};
}

Status infer_recurrent(OpContext& c) {
  const RecurrentFamily family = recurrent_family(c.node.op);
  MNN_ASSIGN_OR_RETURN(const RecurrentAttributes r, read_recurrent(c, family.activations));
  MNN_RETURN_IF_ERROR(expect_input(c, kX, kFloats));
  for (size_t i = kW; i < c.in.size(); ++i) {
    if (i == kLengths) {
      MNN_RETURN_IF_ERROR(expect_optional_input(c, i, mask_of(DType::kI32)));
    } else if (i < kB || c.has_input(i)) {
      MNN_RETURN_IF_ERROR(expect_like(c, i, 0));
    }
  }
  for (const size_t i : {kX, kW, kR}) MNN_RETURN_IF_ERROR(expect_rank(c, i, 3));
  const Dim directions(static_cast<int64_t>(r.directions));
  Dim steps = Dim::unknown(), batch = Dim::unknown(), features = Dim::unknown(),
      hidden = Dim::unknown();
  if (c.rank_known(kX)) {
    const Shape& x = *c.in[kX].shape;
    steps = x[r.batch_first ? 1 : 0];
    batch = x[r.batch_first ? 0 : 1];
    features = x[2];
  }
  if (c.rank_known(kR)) hidden = (*c.in[kR].shape)[2];
  if (c.has("hidden_size")) {
    MNN_RETURN_IF_ERROR(expect_dim(hidden, Dim(c.attr_int("hidden_size")), "hidden size of R"));
    if (c.attr_int("hidden_size") < 1) return invalid("hidden_size: expected at least 1");
    hidden = Dim(c.attr_int("hidden_size"));
  }
  const Dim rows = hidden * Dim(family.gates);
  MNN_RETURN_IF_ERROR(expect_shape(c, kW, {directions, rows, features}));
  MNN_RETURN_IF_ERROR(expect_shape(c, kR, {directions, rows, hidden}));
  MNN_RETURN_IF_ERROR(expect_shape(c, kB, {directions, rows * Dim(2)}));
  MNN_RETURN_IF_ERROR(expect_shape(c, kLengths, {batch}));
  const Shape state =
      r.batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
  MNN_RETURN_IF_ERROR(expect_shape(c, kInitialH, state));
  MNN_RETURN_IF_ERROR(expect_shape(c, kInitialC, state));
  MNN_RETURN_IF_ERROR(expect_shape(c, kPeepholes, {directions, hidden * Dim(3)}));
  for (size_t i = 0; i < c.out.size(); ++i) {
    if (!c.has_output(i)) continue;
    c.out[i].type = tensor_type(c.in[kX].dtype, state);
    if (i == 0) {
      c.out[i].type.shape = r.batch_first ? Shape{batch, steps, directions, hidden}
                                          : Shape{steps, directions, batch, hidden};
    }
  }
  return {};
}

// One direction of one node: sizes, weights as double, and the state of one batch entry.
struct Cell {
  int64_t gates = 1, hidden = 0, features = 0;
  std::span<const double> w, r, b, peepholes;
  std::span<const GateActivation> f;
  double clip = 0;
  bool input_forget = false, linear_before_reset = false;
  std::vector<double> h, c, sums, scratch;

  double limited(double v) const { return clip > 0 ? std::min(std::max(v, -clip), clip) : v; }
  double bias(int64_t row) const { return b.empty() ? 0.0 : b[static_cast<size_t>(row)]; }
  double recurrent_bias(int64_t row) const { return bias(gates * hidden + row); }
  double recurrent(int64_t row, const std::vector<double>& state) const {
    double sum = 0;
    for (int64_t k = 0; k < hidden; ++k) {
      sum += r[static_cast<size_t>(row * hidden + k)] * state[static_cast<size_t>(k)];
    }
    return sum;
  }
  double& gate(int64_t g, int64_t i) { return sums[static_cast<size_t>(g * hidden + i)]; }

  // sums = W x + Wb: the input's part of every gate.
  void add_input(const double* x) {
    for (int64_t row = 0; row < gates * hidden; ++row) {
      double sum = bias(row);
      for (int64_t k = 0; k < features; ++k)
        sum += w[static_cast<size_t>(row * features + k)] * x[k];
      sums[static_cast<size_t>(row)] = sum;
    }
  }
  void add_recurrent(int64_t first_row, int64_t last_row) {
    for (int64_t row = first_row; row < last_row; ++row) {
      sums[static_cast<size_t>(row)] += recurrent(row, h) + recurrent_bias(row);
    }
  }
  void step_rnn(const double* x) {
    add_input(x);
    add_recurrent(0, hidden);
    for (int64_t i = 0; i < hidden; ++i) h[static_cast<size_t>(i)] = f[0](limited(gate(0, i)));
  }
  // Gates z, r, h.
  void step_gru(const double* x) {
    add_input(x);
    add_recurrent(0, 2 * hidden);
    for (int64_t i = 0; i < 2 * hidden; ++i) {
      double& v = sums[static_cast<size_t>(i)];
      v = f[0](limited(v));
    }
    if (!linear_before_reset) {
      for (int64_t i = 0; i < hidden; ++i) {
        scratch[static_cast<size_t>(i)] = gate(1, i) * h[static_cast<size_t>(i)];
      }
    }
    for (int64_t i = 0; i < hidden; ++i) {
      const int64_t row = 2 * hidden + i;
      gate(2, i) += linear_before_reset ? gate(1, i) * (recurrent(row, h) + recurrent_bias(row))
                                        : recurrent(row, scratch) + recurrent_bias(row);
    }
    for (int64_t i = 0; i < hidden; ++i) {
      const double z = gate(0, i), candidate = f[1](limited(gate(2, i)));
      double& state = h[static_cast<size_t>(i)];
      state = (1.0 - z) * candidate + z * state;
    }
  }
  // Gates i, o, f, c; peepholes i, o, f.
  void step_lstm(const double* x) {
    add_input(x);
    add_recurrent(0, 4 * hidden);
    auto peep = [&](int64_t g, int64_t i) {
      return peepholes.empty() ? 0.0 : peepholes[static_cast<size_t>(g * hidden + i)];
    };
    for (int64_t i = 0; i < hidden; ++i) {
      double& cell = c[static_cast<size_t>(i)];
      const double in = f[0](limited(gate(0, i) + peep(0, i) * cell));
      const double forget = input_forget ? 1.0 - in : f[0](limited(gate(2, i) + peep(2, i) * cell));
      cell = forget * cell + in * f[1](limited(gate(3, i)));
      const double out = f[0](limited(gate(1, i) + peep(1, i) * cell));
      h[static_cast<size_t>(i)] = out * f[2](cell);
    }
  }
  void step(const double* x) {
    if (gates == 4) {
      step_lstm(x);
    } else if (gates == 3) {
      step_gru(x);
    } else {
      step_rnn(x);
    }
  }
};

Result<std::vector<double>> optional_numbers(const KernelContext& c, size_t i) {
  if (!c.has_input(i)) return std::vector<double>();
  return c.in[i]->to_doubles();
}

// The part of `all` that belongs to direction d of `directions`; empty stays empty.
std::span<const double> part(const std::vector<double>& all, size_t d, size_t directions) {
  const size_t n = all.size() / directions;
  return std::span<const double>(all).subspan(d * n, n);
}

void store_line(Tensor* t, int64_t at, const std::vector<double>& values) {
  if (t == nullptr) return;
  dispatch_float(t->dtype(), [&]<typename T>() {
    T* const out = t->data<T>() + at;
    for (size_t i = 0; i < values.size(); ++i) out[i] = store_from_compute<T>(values[i]);
  });
}

Status recurrent_reference(KernelContext& c) {
  const RecurrentFamily family = recurrent_family(c.node.op);
  MNN_ASSIGN_OR_RETURN(const RecurrentAttributes a, read_recurrent(c, family.activations));
  Tensor* outputs[3] = {nullptr, nullptr, nullptr};
  for (size_t i = 0; i < 3 && i < c.out.size(); ++i) {
    if (!c.has_output(i)) continue;
    MNN_ASSIGN_OR_RETURN(outputs[i], c.make(i));
  }
  std::vector<double> in[8];
  for (const size_t i : {kX, kW, kR, kB, kInitialH, kInitialC, kPeepholes}) {
    MNN_ASSIGN_OR_RETURN(in[i], optional_numbers(c, i));
  }
  const std::vector<int64_t>& x_dims = c.in[kX]->dims();
  const int64_t steps = x_dims[a.batch_first ? 1 : 0], batch = x_dims[a.batch_first ? 0 : 1];
  const auto directions = static_cast<int64_t>(a.directions);
  std::vector<int64_t> lengths(static_cast<size_t>(batch), steps);
  if (c.has_input(kLengths)) {
    MNN_ASSIGN_OR_RETURN(lengths, c.in[kLengths]->to_ints());
  }
  for (const int64_t n : lengths) {
    if (n < 0 || n > steps) {
      return invalid("sequence_lens: expected 0 to " + std::to_string(steps) + ", found " +
                     std::to_string(n));
    }
  }
  for (int64_t d = 0; d < directions; ++d) {
    const auto index = static_cast<size_t>(d);
    Cell cell;
    cell.gates = family.gates;
    cell.hidden = c.in[kR]->dims()[2];
    cell.features = x_dims[2];
    cell.w = part(in[kW], index, a.directions);
    cell.r = part(in[kR], index, a.directions);
    cell.b = part(in[kB], index, a.directions);
    cell.peepholes = part(in[kPeepholes], index, a.directions);
    cell.f = std::span(a.activations).subspan(index * family.activations.size());
    cell.clip = a.clip;
    cell.input_forget = c.attr_int("input_forget") != 0;
    cell.linear_before_reset = c.attr_int("linear_before_reset") != 0;
    cell.sums.resize(static_cast<size_t>(cell.gates * cell.hidden));
    cell.scratch.resize(static_cast<size_t>(cell.hidden));
    const bool reverse = d == 1 || a.first_is_reverse;
    for (int64_t n = 0; n < batch; ++n) {
      const int64_t line = a.batch_first ? n * directions + d : d * batch + n;
      auto initial = [&](size_t i) {
        std::vector<double> state(static_cast<size_t>(cell.hidden), 0.0);
        if (!in[i].empty()) {
          std::copy_n(in[i].begin() + line * cell.hidden, cell.hidden, state.begin());
        }
        return state;
      };
      cell.h = initial(kInitialH);
      cell.c = initial(kInitialC);
      const int64_t length = lengths[static_cast<size_t>(n)];
      for (int64_t s = 0; s < length; ++s) {
        const int64_t t = reverse ? length - 1 - s : s;
        const int64_t row = a.batch_first ? n * steps + t : t * batch + n;
        cell.step(in[kX].data() + row * cell.features);
        const int64_t out = a.batch_first ? row * directions + d : (t * directions + d) * batch + n;
        store_line(outputs[0], out * cell.hidden, cell.h);
      }
      store_line(outputs[1], line * cell.hidden, cell.h);
      store_line(outputs[2], line * cell.hidden, cell.c);
    }
  }
  return {};
}

// Input and recurrent weights act on every step of every sequence.
int64_t macs_of_recurrent(const MacsContext& c) {
  const auto *x = c.in(0), *w = c.in(1), *r = c.in(2);
  if (x == nullptr || w == nullptr || r == nullptr || x->size() != 3) return 0;
  return saturating_product(saturating_product((*x)[0], (*x)[1]),
                            saturating_sum(saturating_product(*w), saturating_product(*r)));
}

}  // namespace

std::vector<OpDef> define_recurrent() {
  using Floats = std::vector<double>;
  using Names = std::vector<std::string>;
  const std::vector<AttrDef> common = {
      {"activation_alpha", Floats()}, {"activation_beta", Floats()},
      {"activations", Names()},       {"clip", 0.0},
      {"direction", "forward"},       {"hidden_size", int64_t{0}},
      {"layout", int64_t{0}}};
  auto with = [&](AttrDef more) {
    std::vector<AttrDef> all = common;
    all.push_back(std::move(more));
    return all;
  };
  auto row = [](const char* name, int inputs, std::vector<AttrDef> attributes, int outputs) {
    return OpDef{.name = name,
                 .min_inputs = 3,
                 .max_inputs = inputs,
                 .attributes = std::move(attributes),
                 .infer = infer_recurrent,
                 .reference = recurrent_reference,
                 .max_outputs = outputs,
                 .macs = macs_of_recurrent,
                 .gradient = recurrent_gradient};
  };
  return {row("LSTM", 8, with({"input_forget", int64_t{0}}), 3),
          row("GRU", 6, with({"linear_before_reset", int64_t{0}}), 2), row("RNN", 6, common, 2)};
}

}  // namespace mnn
