// Layers that carry a state from token to token: LinearAttention and CausalConvWithState.
#include <cmath>
#include <limits>

#include "libruntime/core/builder.h"
#include "libruntime/core/ops/macs.h"
#include "libruntime/core/ops/movement.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

// ---- LinearAttention ----

enum : size_t { kQuery, kKey, kValue, kPastState, kDecay, kBeta };

constexpr TypeMask kStateFloats = mask_of(DType::kF16, DType::kBF16, DType::kF32);

struct UpdateRule {
  bool decays = false, corrects = false;
};

Result<UpdateRule> update_rule(const AttributeReader& a) {
  const std::string rule = a.attr_string("update_rule");
  if (rule == "linear") return UpdateRule{false, false};
  if (rule == "gated") return UpdateRule{true, false};
  if (rule == "delta") return UpdateRule{false, true};
  if (rule == "gated_delta") return UpdateRule{true, true};
  return invalid("update_rule: expected linear, gated, delta or gated_delta, found " + rule);
}

Status check_gate(const OpContext& c, size_t i, bool wanted, const std::string& name) {
  if (c.has_input(i) != wanted) {
    return invalid("update_rule " + c.attr_string("update_rule") +
                   (wanted ? " needs the input " : " has no input ") + name);
  }
  return wanted ? expect_like(c, i, kQuery) : Status();
}

// Input i has three axes; batch and sequence as in the query.
Status expect_sequence(const OpContext& c, size_t i) {
  MNN_RETURN_IF_ERROR(expect_rank(c, i, 3));
  if (!c.rank_known(kQuery)) return {};
  const Shape &shape = *c.in[i].shape, &query = *c.in[kQuery].shape;
  MNN_RETURN_IF_ERROR(expect_rank(c, kQuery, 3));
  MNN_RETURN_IF_ERROR(expect_dim(shape[0], query[0], "batch"));
  return expect_dim(shape[1], query[1], "sequence length");
}

// The last axis of input i divided into `heads`.
Result<Dim> head_size(const OpContext& c, size_t i, int64_t heads) {
  MNN_RETURN_IF_ERROR(expect_sequence(c, i));
  const Shape& shape = *c.in[i].shape;
  if (shape[2].known() && shape[2].value() % heads != 0) {
    return invalid(c.in[i].str() + " does not divide into " + std::to_string(heads) + " heads");
  }
  return floor_div(shape[2], Dim(heads));
}

Status check_gate_width(const OpContext& c, size_t i, int64_t a, const Dim& b,
                        const std::string& name) {
  if (!c.rank_known(i)) return {};
  MNN_RETURN_IF_ERROR(expect_sequence(c, i));
  const Dim& width = (*c.in[i].shape)[2];
  if (!width.known() || !b.known() || width.is(a) || width.same(b)) return {};
  return invalid(name + ": expected a last axis of " + std::to_string(a) + " or " + b.str() +
                 ", found " + c.in[i].str());
}

Status infer_linear_attention(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(const UpdateRule rule, update_rule(c));
  MNN_RETURN_IF_ERROR(expect_input(c, kQuery, kStateFloats));
  for (const size_t i : {kKey, kValue}) MNN_RETURN_IF_ERROR(expect_like(c, i, kQuery));
  MNN_RETURN_IF_ERROR(expect_optional_input(c, kPastState, kStateFloats));
  MNN_RETURN_IF_ERROR(check_gate(c, kDecay, rule.decays, "decay"));
  MNN_RETURN_IF_ERROR(check_gate(c, kBeta, rule.corrects, "beta"));
  const int64_t q_heads = c.attr_int("q_num_heads"), kv_heads = c.attr_int("kv_num_heads");
  if (q_heads < 1 || kv_heads < 1 || q_heads % kv_heads != 0) {
    return invalid("q_num_heads " + std::to_string(q_heads) +
                   " is not a positive multiple of kv_num_heads " + std::to_string(kv_heads));
  }
  const DType type = c.in[kQuery].dtype;
  set_output(c, 0, type, std::nullopt);
  set_output(c, 1, c.has_input(kPastState) ? c.in[kPastState].dtype : type, std::nullopt);
  Dim batch = Dim::unknown(), length = Dim::unknown();
  Dim key_size = Dim::unknown(), value_size = Dim::unknown();
  if (c.rank_known(kQuery)) {
    MNN_ASSIGN_OR_RETURN(key_size, head_size(c, kQuery, q_heads));
    batch = (*c.in[kQuery].shape)[0];
    length = (*c.in[kQuery].shape)[1];
  }
  if (c.rank_known(kKey)) {
    MNN_ASSIGN_OR_RETURN(const Dim size, head_size(c, kKey, kv_heads));
    MNN_RETURN_IF_ERROR(expect_dim(size, key_size, "head size of the keys"));
  }
  if (c.rank_known(kValue)) {
    MNN_ASSIGN_OR_RETURN(value_size, head_size(c, kValue, kv_heads));
  }
  MNN_RETURN_IF_ERROR(check_gate_width(c, kDecay, kv_heads, Dim(kv_heads) * key_size, "decay"));
  MNN_RETURN_IF_ERROR(check_gate_width(c, kBeta, kv_heads, Dim(1), "beta"));
  const Shape state = {batch, Dim(kv_heads), key_size, value_size};
  if (c.rank_known(kPastState)) {
    MNN_RETURN_IF_ERROR(expect_rank(c, kPastState, 4));
    for (size_t d = 0; d < 4; ++d) {
      MNN_RETURN_IF_ERROR(expect_dim((*c.in[kPastState].shape)[d], state[d],
                                     "past_state, axis " + std::to_string(d)));
    }
  }
  c.out[0].type.shape = Shape{batch, length, Dim(q_heads) * value_size};
  if (c.out.size() > 1) c.out[1].type.shape = state;
  return {};
}

// The inputs in double; every sequence input is (batch, sequence, columns).
struct LinearAttention {
  int64_t batch = 0, length = 0, q_heads = 0, kv_heads = 0, key_size = 0, value_size = 0;
  double scale = 1;
  UpdateRule rule = {};
  std::vector<double> query, key, value, decay, beta;
  int64_t decay_columns = 0, beta_columns = 0;
  std::vector<double> state, output;

  void step(int64_t b, int64_t t);

 private:
  void decay_state(double* s, int64_t row, int64_t head) const;
  void write_state(double* s, int64_t row, int64_t head) const;
};

void LinearAttention::decay_state(double* s, int64_t row, int64_t head) const {
  const bool per_head = decay_columns == kv_heads;
  for (int64_t k = 0; k < key_size; ++k) {
    const int64_t column = per_head ? head : head * key_size + k;
    const double factor = std::exp(decay[static_cast<size_t>(row * decay_columns + column)]);
    for (int64_t v = 0; v < value_size; ++v) s[k * value_size + v] *= factor;
  }
}

// Adds the outer product of key and value, of which a delta rule takes off what the state answers
// to the key already.
void LinearAttention::write_state(double* s, int64_t row, int64_t head) const {
  const double* k_row = key.data() + (row * kv_heads + head) * key_size;
  const double* v_row = value.data() + (row * kv_heads + head) * value_size;
  const int64_t column = beta_columns == 1 ? 0 : head;
  for (int64_t v = 0; v < value_size; ++v) {
    double written = v_row[v];
    if (rule.corrects) {
      double answer = 0;
      for (int64_t k = 0; k < key_size; ++k) answer += s[k * value_size + v] * k_row[k];
      written = (written - answer) * beta[static_cast<size_t>(row * beta_columns + column)];
    }
    for (int64_t k = 0; k < key_size; ++k) s[k * value_size + v] += k_row[k] * written;
  }
}

void LinearAttention::step(int64_t b, int64_t t) {
  const int64_t row = b * length + t, state_size = key_size * value_size;
  for (int64_t head = 0; head < kv_heads; ++head) {
    double* s = state.data() + (b * kv_heads + head) * state_size;
    if (rule.decays) decay_state(s, row, head);
    write_state(s, row, head);
  }
  const int64_t group = q_heads / kv_heads;
  for (int64_t head = 0; head < q_heads; ++head) {
    const double* s = state.data() + (b * kv_heads + head / group) * state_size;
    const double* q_row = query.data() + (row * q_heads + head) * key_size;
    double* to = output.data() + (row * q_heads + head) * value_size;
    for (int64_t v = 0; v < value_size; ++v) {
      double sum = 0;
      for (int64_t k = 0; k < key_size; ++k) sum += q_row[k] * s[k * value_size + v];
      to[v] = scale * sum;
    }
  }
}

Status reference_linear_attention(KernelContext& c) {
  const std::vector<int64_t>& q = c.in[kQuery]->dims();
  LinearAttention a;
  a.batch = q[0];
  a.length = q[1];
  a.q_heads = c.attr_int("q_num_heads");
  a.kv_heads = c.attr_int("kv_num_heads");
  a.key_size = q[2] / a.q_heads;
  a.value_size = c.in[kValue]->dims()[2] / a.kv_heads;
  MNN_ASSIGN_OR_RETURN(a.rule, update_rule(c));
  const double scale = c.attr_float("scale");
  a.scale = scale != 0 ? scale : 1.0 / std::sqrt(static_cast<double>(a.key_size));
  MNN_ASSIGN_OR_RETURN(a.query, c.in[kQuery]->to_doubles());
  MNN_ASSIGN_OR_RETURN(a.key, c.in[kKey]->to_doubles());
  MNN_ASSIGN_OR_RETURN(a.value, c.in[kValue]->to_doubles());
  if (a.rule.decays) {
    MNN_ASSIGN_OR_RETURN(a.decay, c.in[kDecay]->to_doubles());
    a.decay_columns = c.in[kDecay]->dims()[2];
  }
  if (a.rule.corrects) {
    MNN_ASSIGN_OR_RETURN(a.beta, c.in[kBeta]->to_doubles());
    a.beta_columns = c.in[kBeta]->dims()[2];
  }
  const int64_t rows = a.batch * a.length;
  a.output.resize(static_cast<size_t>(rows * a.q_heads * a.value_size));
  a.state.resize(static_cast<size_t>(a.batch * a.kv_heads * a.key_size * a.value_size));
  if (c.has_input(kPastState)) {
    MNN_ASSIGN_OR_RETURN(a.state, c.in[kPastState]->to_doubles());
  }
  for (int64_t b = 0; b < a.batch; ++b) {
    for (int64_t t = 0; t < a.length; ++t) a.step(b, t);
  }
  MNN_RETURN_IF_ERROR(store_doubles(c, 0, a.output));
  return store_doubles(c, 1, a.state);
}

// ---- CausalConvWithState ----

enum : size_t { kInput, kKernel, kBias, kPastInput };

Status infer_causal_conv(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, kInput, kStateFloats));
  for (const size_t i : {kKernel, kBias, kPastInput}) {
    if (i == kKernel || c.has_input(i)) MNN_RETURN_IF_ERROR(expect_like(c, i, kInput));
    MNN_RETURN_IF_ERROR(expect_rank(c, i, i == kBias ? 1 : 3));
  }
  const std::string activation = c.attr_string("activation");
  if (activation != "none" && activation != "silu" && activation != "swish") {
    return invalid("activation: expected none, silu or swish, found " + activation);
  }
  MNN_RETURN_IF_ERROR(expect_rank(c, kInput, 3));
  Shape state = unknown_shape(3);
  if (c.rank_known(kKernel)) {
    const Shape& kernel = *c.in[kKernel].shape;
    MNN_RETURN_IF_ERROR(expect_dim(kernel[1], Dim(1), "weight, axis 1"));
    if (kernel[2].is(0)) return invalid("weight: expected a kernel, found " + c.in[kKernel].str());
    state[1] = kernel[0];
    state[2] = kernel[2] - Dim(1);
  }
  if (c.rank_known(kInput)) {
    const Shape& x = *c.in[kInput].shape;
    MNN_RETURN_IF_ERROR(expect_dim(state[1], x[1], "weight, axis 0"));
    state[0] = x[0];
    state[1] = x[1];
  }
  if (c.rank_known(kBias)) {
    MNN_RETURN_IF_ERROR(expect_dim((*c.in[kBias].shape)[0], state[1], "bias"));
  }
  if (c.rank_known(kPastInput)) {
    for (size_t d = 0; d < 3; ++d) {
      MNN_RETURN_IF_ERROR(expect_dim((*c.in[kPastInput].shape)[d], state[d],
                                     "past_state, axis " + std::to_string(d)));
    }
  }
  set_output(c, 0, c.in[kInput].dtype, c.in[kInput].shape);
  set_output(c, 1, c.in[kInput].dtype, std::move(state));
  return {};
}

Result<std::vector<ValueId>> decompose_causal_conv(Builder& b, const Node& node) {
  const auto given = [&](size_t i) { return i < node.own_inputs() && node.inputs[i] != kNoValue; };
  const ValueId x = node.inputs[kInput], weight = node.inputs[kKernel];
  const Type& kernel = b.type(weight);
  if (!kernel.is_static()) return unsupported("a weight of unknown shape");
  const int64_t channels = (*kernel.shape)[0].value(), carried = (*kernel.shape)[2].value() - 1;
  const ValueId padded = given(kPastInput)
                             ? b.op("Concat", {node.inputs[kPastInput], x}, {{"axis", int64_t{2}}})
                             : b.op("Pad", {x, b.ints({0, 0, carried, 0, 0, 0})});
  std::vector<ValueId> inputs = {padded, weight};
  if (given(kBias)) inputs.push_back(node.inputs[kBias]);
  ValueId y = b.op("Conv", std::move(inputs), {{"group", channels}});
  if (AttributeReader(node, *find_op(node.op)).attr_string("activation") != "none") {
    y = b.op("Swish", {y});
  }
  std::vector<ValueId> made = {y};
  if (node.outputs.size() > 1 && node.outputs[1] != kNoValue) {
    // A start past the end gives the empty state of a kernel of one element.
    const int64_t start = carried == 0 ? std::numeric_limits<int64_t>::max() : -carried;
    made.push_back(b.op("Slice", {padded, b.ints({start}),
                                  b.ints({std::numeric_limits<int64_t>::max()}), b.ints({2})}));
  }
  return made;
}

// At every token each of the states, one per pair of key and value head, takes an outer product and
// is asked for the query; the delta rules ask it for the key too.
int64_t macs_of_linear_attention(const MacsContext& c) {
  const auto *q = c.in(kQuery), *v = c.in(kValue);
  const int64_t q_heads = c.attr_int("q_num_heads"), kv_heads = c.attr_int("kv_num_heads");
  const Result<UpdateRule> rule = update_rule(c);
  if (q == nullptr || v == nullptr || q->size() != 3 || v->size() != 3 || !rule.ok() ||
      q_heads < 1 || kv_heads < 1) {
    return 0;
  }
  const int64_t tokens = saturating_product((*q)[0], (*q)[1]);
  const int64_t state = saturating_product((*q)[2] / q_heads, (*v)[2] / kv_heads);
  const int64_t uses =
      saturating_sum(q_heads, saturating_product(rule->corrects ? 2 : 1, kv_heads));
  return saturating_product(saturating_product(tokens, state), uses);
}

}  // namespace

std::vector<OpDef> define_linear_attention() {
  const std::vector<AttrDef> attention = {
      {"chunk_size", int64_t{64}},
      {"kv_num_heads", int64_t{0}, true},
      {"q_num_heads", int64_t{0}, true},
      {"scale", 0.0},
      {"update_rule", std::string("gated_delta")},
  };
  return {
      {.name = "LinearAttention",
       .min_inputs = 3,
       .max_inputs = 6,
       .attributes = attention,
       .infer = infer_linear_attention,
       .reference = reference_linear_attention,
       .max_outputs = 2,
       .macs = macs_of_linear_attention},
      {.name = "CausalConvWithState",
       .min_inputs = 2,
       .max_inputs = 4,
       .attributes = {{"activation", std::string("none")}},
       .infer = infer_causal_conv,
       .decompose = decompose_causal_conv,
       .max_outputs = 2,
       .macs = macs_of_conv<>},
  };
}

}  // namespace mnn
