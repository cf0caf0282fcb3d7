// The optimizers of ai.onnx.preview.training: Adagrad, Adam and Momentum. Each updates any number
// of tensors X by their gradients G and carries one or two states of each.
#include <cmath>

#include "libruntime/core/builder.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

// Inputs: the learning rate, the count of updates so far, then `lists` lists of tensors: X, G and
// the states. Outputs: the lists but for G.
size_t list_count(const Node& node) { return node.op == "Adam" ? 4 : 3; }
size_t tensor_count(const Node& node) { return (node.own_inputs() - 2) / list_count(node); }

Status infer_optimizer(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, mask_of(DType::kF32, DType::kF64)));
  MNN_RETURN_IF_ERROR(expect_scalar(c, 0));
  MNN_RETURN_IF_ERROR(expect_input(c, 1, mask_of(DType::kI64)));
  MNN_RETURN_IF_ERROR(expect_scalar(c, 1));
  const size_t lists = list_count(c.node), given = c.in.size() - 2;
  if (given % lists != 0) {
    return invalid("expected " + std::to_string(lists) +
                   " lists of tensors of equal length, found " + std::to_string(given) +
                   " tensors");
  }
  const size_t n = given / lists;
  if (c.out.size() != n * (lists - 1)) {
    return invalid("expected " + std::to_string(n * (lists - 1)) + " outputs, found " +
                   std::to_string(c.out.size()));
  }
  if (c.node.op == "Momentum") {
    const std::string mode = c.attr_string("mode");
    if (mode != "standard" && mode != "nesterov") {
      return invalid("mode: expected standard or nesterov, found " + mode);
    }
  }
  for (size_t i = 0; i < n; ++i) {
    const size_t x = 2 + i;
    MNN_RETURN_IF_ERROR(expect_input(c, x, mask_of(DType::kF32, DType::kF64)));
    for (size_t list = 1; list < lists; ++list) {
      const size_t at = x + list * n;
      MNN_RETURN_IF_ERROR(expect_like(c, at, x));
      if (!c.rank_known(x) || !c.rank_known(at)) continue;
      MNN_RETURN_IF_ERROR(expect_rank(c, at, c.in[x].rank()));
      for (size_t d = 0; d < c.in[x].rank(); ++d) {
        MNN_RETURN_IF_ERROR(
            expect_dim((*c.in[at].shape)[d], (*c.in[x].shape)[d],
                       "dimension " + std::to_string(d) + " of input " + std::to_string(at)));
      }
    }
    for (size_t list = 0; list + 1 < lists; ++list) c.out[list * n + i].type = c.in[x];
  }
  return {};
}

// One element: its value, gradient and states, which are updated.
struct Element {
  double x, g, a, b;
};

struct Rule {
  double rate = 0;
  std::function<void(Element&)> update;
};

Rule rule_of(const KernelContext& c, double rate, double count) {
  const double norm = c.attr_float("norm_coefficient"), epsilon = c.attr_float("epsilon");
  if (c.node.op == "Adagrad") {
    const double r = rate / (1.0 + count * c.attr_float("decay_factor"));
    return {r, [=](Element& e) {
              const double g = norm * e.x + e.g;
              e.a += g * g;
              e.x -= r * g / (std::sqrt(e.a) + epsilon);
            }};
  }
  const double alpha = c.attr_float("alpha"), beta = c.attr_float("beta");
  if (c.node.op == "Momentum") {
    const double fresh = count > 0 ? beta : 1.0;
    const bool nesterov = c.attr_string("mode") == "nesterov";
    return {rate, [=](Element& e) {
              const double g = norm * e.x + e.g;
              e.a = alpha * e.a + fresh * g;
              e.x -= rate * (nesterov ? g + alpha * e.a : e.a);
            }};
  }
  const double post = c.attr_float("norm_coefficient_post");
  const double r =
      count > 0 ? rate * std::sqrt(1.0 - std::pow(beta, count)) / (1.0 - std::pow(alpha, count))
                : rate;
  return {r, [=](Element& e) {
            const double g = norm * e.x + e.g;
            e.a = alpha * e.a + (1.0 - alpha) * g;
            e.b = beta * e.b + (1.0 - beta) * g * g;
            e.x = (1.0 - post) * (e.x - r * e.a / (std::sqrt(e.b) + epsilon));
          }};
}

Status optimizer_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(const std::vector<double> rate, c.in[0]->to_doubles());
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> count, c.in[1]->to_ints());
  const size_t n = tensor_count(c.node), states = list_count(c.node) - 2;
  const Rule rule = rule_of(c, rate[0], static_cast<double>(count[0]));
  for (size_t i = 0; i < n; ++i) {
    const Tensor& x = *c.in[2 + i];
    Tensor* out[3] = {nullptr, nullptr, nullptr};
    for (size_t list = 0; list <= states; ++list) {
      if (!c.has_output(list * n + i)) continue;
      MNN_ASSIGN_OR_RETURN(out[list], c.make(list * n + i));
    }
    const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
      auto at = [&](size_t list, int64_t k) {
        return load_as_compute(c.in[2 + list * n + i]->data<T>()[k]);
      };
      for (int64_t k = 0; k < x.elements(); ++k) {
        Element e{at(0, k), at(1, k), at(2, k), states > 1 ? at(3, k) : 0.0};
        rule.update(e);
        const double made[] = {e.x, e.a, e.b};
        for (size_t list = 0; list <= states; ++list) {
          if (out[list]) out[list]->data<T>()[k] = store_from_compute<T>(made[list]);
        }
      }
    });
    if (!done) return no_kernel_for(c, x.dtype());
  }
  return {};
}

Result<std::vector<ValueId>> decompose_optimizer(Builder& b, const Node& node) {
  const AttributeReader c(node, *find_op(node.op));
  const size_t n = tensor_count(node), states = list_count(node) - 2;
  std::vector<ValueId> result(node.outputs.size(), kNoValue);
  for (size_t i = 0; i < n; ++i) {
    const ValueId x = node.inputs[2 + i];
    const DType dtype = b.type(x).dtype;
    auto cast = [&](ValueId v) {
      if (b.type(v).dtype != dtype) v = b.op("Cast", {v}, {{"to", static_cast<int64_t>(dtype)}});
      // One number, whatever its rank.
      return b.op("Reshape",
                  {v, b.constant(std::move(Tensor::allocate(DType::kI64, {0})).value())});
    };
    auto num = [&](double v) { return b.scalar(v, dtype); };
    auto add = [&](ValueId p, ValueId q) { return b.op("Add", {p, q}); };
    auto sub = [&](ValueId p, ValueId q) { return b.op("Sub", {p, q}); };
    auto mul = [&](ValueId p, ValueId q) { return b.op("Mul", {p, q}); };
    auto div = [&](ValueId p, ValueId q) { return b.op("Div", {p, q}); };
    auto scaled = [&](double s, ValueId p) { return s == 1.0 ? p : mul(num(s), p); };
    const ValueId rate = cast(node.inputs[0]), count = cast(node.inputs[1]);
    ValueId g = node.inputs[2 + n + i];
    const double norm = c.attr_float("norm_coefficient"), epsilon = c.attr_float("epsilon");
    if (norm != 0.0) g = add(scaled(norm, x), g);
    const ValueId state = node.inputs[2 + 2 * n + i];
    std::vector<ValueId> made(states + 1);
    if (node.op == "Adagrad") {
      const ValueId r = div(rate, add(num(1.0), scaled(c.attr_float("decay_factor"), count)));
      made[1] = add(state, mul(g, g));
      made[0] = sub(x, div(mul(r, g), add(b.op("Sqrt", {made[1]}), num(epsilon))));
    } else {
      const double alpha = c.attr_float("alpha"), beta = c.attr_float("beta");
      const ValueId started = b.op("Greater", {count, num(0.0)});
      if (node.op == "Momentum") {
        const ValueId fresh = b.op("Where", {started, num(beta), num(1.0)});
        made[1] = add(scaled(alpha, state), mul(fresh, g));
        const bool nesterov = c.attr_string("mode") == "nesterov";
        made[0] = sub(x, mul(rate, nesterov ? add(g, scaled(alpha, made[1])) : made[1]));
      } else {
        made[1] = add(scaled(alpha, state), scaled(1.0 - alpha, g));
        made[2] = add(scaled(beta, node.inputs[2 + 3 * n + i]), scaled(1.0 - beta, mul(g, g)));
        // A count of 0 takes the other branch, and here what is no division by zero.
        const ValueId counted = b.op("Max", {count, num(1.0)});
        auto rest = [&](double base) { return sub(num(1.0), b.op("Pow", {num(base), counted})); };
        const ValueId corrected = div(mul(rate, b.op("Sqrt", {rest(beta)})), rest(alpha));
        const ValueId r = b.op("Where", {started, corrected, rate});
        const ValueId step = div(mul(r, made[1]), add(b.op("Sqrt", {made[2]}), num(epsilon)));
        made[0] = scaled(1.0 - c.attr_float("norm_coefficient_post"), sub(x, step));
      }
    }
    for (size_t list = 0; list <= states; ++list) result[list * n + i] = made[list];
  }
  return result;
}

OpDef optimizer(const char* name, int lists, std::vector<AttrDef> attributes) {
  return {.name = name,
          .min_inputs = 2 + lists,
          .max_inputs = kVariadic,
          .attributes = std::move(attributes),
          .infer = infer_optimizer,
          .reference = optimizer_reference,
          .decompose = decompose_optimizer,
          .min_outputs = 1,
          .max_outputs = kVariadic};
}

}  // namespace

std::vector<OpDef> define_optimizer() {
  const AttrDef epsilon{"epsilon", 1e-6}, norm{"norm_coefficient", 0.0};
  return {
      optimizer("Adagrad", 3, {{"decay_factor", 0.0}, epsilon, norm}),
      optimizer("Adam", 4,
                {{"alpha", 0.9}, {"beta", 0.999}, epsilon, norm, {"norm_coefficient_post", 0.0}}),
      optimizer("Momentum", 3,
                {{"alpha", 0.0, true},
                 {"beta", 0.0, true},
                 {"mode", std::string(), true},
                 {"norm_coefficient", 0.0, true}}),
  };
}

}  // namespace mnn
