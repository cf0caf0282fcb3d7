#include "libconvert/passes/conditions.h"

#include <algorithm>
#include <cmath>

#include "libruntime/core/post_op.h"

namespace mnn {
namespace {

bool is_numeric(const Tensor& t) {
  return t.dtype() == DType::kBool || dispatch_numeric(t.dtype(), []<typename T>() {});
}

AttributeReader reader_of(const Node& node) {
  static const OpDef kNone;
  const OpDef* def = find_op(node.op);
  return AttributeReader(node, def ? *def : kNone);
}

}  // namespace

std::optional<double> scalar_of(const Graph& graph, ValueId id) {
  const Tensor* t = graph.constant(id);
  if (!t || t->elements() != 1 || !is_numeric(*t)) return std::nullopt;
  const Result<std::vector<double>> values = t->to_doubles();
  if (!values.ok()) return std::nullopt;
  return (*values)[0];
}

bool is_scalar(const Graph& graph, ValueId id, double expected) {
  const std::optional<double> value = scalar_of(graph, id);
  if (!value) return false;
  const auto f = static_cast<float>(expected);
  return std::abs(*value - expected) <= 1e-6 * std::abs(expected) ||
         *value == static_cast<float>(Half(f)) || *value == static_cast<float>(BFloat16(f));
}

bool is_filled_with(const Graph& graph, ValueId id, double expected) {
  const Tensor* t = graph.constant(id);
  if (!t || t->elements() == 0 || !is_numeric(*t)) return false;
  bool all = true;
  auto compare = [&]<typename T>() {
    all = std::all_of(t->data<T>(), t->data<T>() + t->elements(),
                      [&](T v) { return static_cast<double>(load_as_compute(v)) == expected; });
  };
  return dispatch_plain(t->dtype(), compare) && all;
}

std::optional<std::vector<int64_t>> ints_of(const Graph& graph, ValueId id) {
  const Tensor* t = graph.constant(id);
  if (!t || !is_integer(t->dtype())) return std::nullopt;
  Result<std::vector<int64_t>> values = t->to_ints();
  if (!values.ok()) return std::nullopt;
  return std::move(values).value();
}

bool is_tensor_of(const Graph& graph, ValueId id, DType dtype) {
  if (id == kNoValue) return false;
  const Type& type = graph.value(id).type;
  return type.kind == Type::Kind::kTensor && type.dtype == dtype;
}

bool same_type(const Graph& graph, ValueId a, ValueId b) {
  const Type &s = graph.value(a).type, &t = graph.value(b).type;
  return s.defined() && s.dtype == t.dtype && s.kind == Type::Kind::kTensor && t.kind == s.kind &&
         s.shape && t.shape && same_shape(*s.shape, *t.shape);
}

bool scalar_keeps_shape(const Graph& graph, ValueId x, ValueId c) {
  const Tensor* t = graph.constant(c);
  if (!t || t->elements() != 1) return false;
  const Type& type = graph.value(x).type;
  return type.kind == Type::Kind::kTensor && t->dtype() == type.dtype &&
         (t->rank() == 0 || (type.shape && t->rank() <= type.shape->size()));
}

bool adds_no_rounding(const Graph& graph, ValueId a, ValueId b) {
  const auto &from = graph.value(a).quant, &to = graph.value(b).quant;
  return !to || (from == to && to->axis < 0);
}

int64_t attr_int(const Node& node, std::string_view name) { return reader_of(node).attr_int(name); }
double attr_float(const Node& node, std::string_view name) {
  return reader_of(node).attr_float(name);
}
std::string attr_string(const Node& node, std::string_view name) {
  return reader_of(node).attr_string(name);
}
std::vector<int64_t> attr_ints(const Node& node, std::string_view name) {
  return reader_of(node).attr_ints(name);
}

ValueId input_of(const Node& node, size_t i) {
  return i < node.own_inputs() ? node.inputs[i] : kNoValue;
}

std::optional<std::vector<double>> along_axis(const Graph& graph, ValueId id, size_t rank,
                                              size_t axis, int64_t count) {
  const Tensor* t = graph.constant(id);
  if (!t || t->dtype() != DType::kF32 || t->rank() > rank) return std::nullopt;
  const size_t missing = rank - t->rank();
  for (size_t i = 0; i < t->rank(); ++i) {
    if (t->dims()[i] != 1 && (i + missing != axis || t->dims()[i] != count)) return std::nullopt;
  }
  Result<std::vector<double>> values = t->to_doubles();
  if (!values.ok()) return std::nullopt;
  if (values->size() == 1) values->assign(static_cast<size_t>(count), (*values)[0]);
  return std::move(values).value();
}

std::span<const std::string_view> kernel_activations() {
  static constexpr std::string_view kNames[] = {"Relu",    "LeakyRelu", "HardSwish", "HardSigmoid",
                                                "Sigmoid", "Swish",     "Tanh",      "Gelu",
                                                "Elu",     "Mish",      "Clip"};
  return kNames;
}

bool is_kernel_activation(const Graph& graph, const Node& node) {
  if (node.op == "Swish" && attr_float(node, "alpha") != 1.0) return false;
  if (node.op == "Clip") {
    const std::optional<ClipBounds> bounds = clip_bounds(graph, node);
    return bounds && bounds->low <= bounds->high;
  }
  return std::ranges::find(kernel_activations(), node.op) != kernel_activations().end();
}

std::optional<Tensor> to_f32(const std::vector<double>& values, std::vector<int64_t> dims) {
  Result<Tensor> t = Tensor::allocate(DType::kF32, std::move(dims));
  if (!t.ok() || t->elements() != static_cast<int64_t>(values.size())) return std::nullopt;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto v = static_cast<float>(values[i]);
    if (!std::isfinite(v)) return std::nullopt;
    t->data<float>()[i] = v;
  }
  return std::move(t).value();
}

}  // namespace mnn
