// The derivatives of elementwise operators. x is the first input, y the output, dy its derivative.
#include <cmath>
#include <numbers>

#include "libruntime/core/ops/gradients.h"

namespace mnn {
namespace {

// Short names for expressions over values of one type.
struct Maths {
  Builder& b;
  const Node& node;
  ValueId x, y;

  Maths(Builder& builder, const Node& n) : b(builder), node(n), x(n.inputs[0]), y(n.outputs[0]) {}
  ValueId num(double v) const { return scalar_like(b, x, v); }
  ValueId add(ValueId p, ValueId q) const { return b.op("Add", {p, q}); }
  ValueId add(ValueId p, double q) const { return add(p, num(q)); }
  ValueId sub(ValueId p, ValueId q) const { return b.op("Sub", {p, q}); }
  ValueId from(double p, ValueId q) const { return sub(num(p), q); }
  ValueId mul(ValueId p, ValueId q) const { return b.op("Mul", {p, q}); }
  ValueId mul(ValueId p, double q) const { return mul(p, num(q)); }
  ValueId div(ValueId p, ValueId q) const { return b.op("Div", {p, q}); }
  ValueId over(double p, ValueId q) const { return div(num(p), q); }
  ValueId square(ValueId p) const { return mul(p, p); }
  ValueId f(const char* op, ValueId p) const { return b.op(op, {p}); }
  ValueId less(ValueId p, double q) const { return b.op("Less", {p, num(q)}); }
  ValueId greater(ValueId p, double q) const { return b.op("Greater", {p, num(q)}); }
  ValueId where(ValueId condition, ValueId p, ValueId q) const {
    return b.op("Where", {condition, p, q});
  }
  ValueId where(ValueId condition, double p, double q) const {
    return where(condition, num(p), num(q));
  }
  double attr(const char* name) const {
    return AttributeReader(node, *find_op(node.op)).attr_float(name);
  }
};

// dy times a slope of x's shape.
template <typename F>
Gradients scaled(Builder& b, const Node& node, std::span<const ValueId> dy, F slope) {
  const Maths m(b, node);
  return std::vector<ValueId>{m.mul(dy[0], slope(m))};
}

}  // namespace

Gradients zero_gradient(Builder&, const Node& node, std::span<const ValueId>) {
  return std::vector<ValueId>(node.own_inputs(), kFlat);
}

Gradients identity_gradient(Builder&, const Node&, std::span<const ValueId> dy) {
  return std::vector<ValueId>{dy[0]};
}

// ---- mathematics ----

Gradients abs_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.f("Sign", m.x); });
}
Gradients neg_gradient(Builder& b, const Node&, std::span<const ValueId> dy) {
  return std::vector<ValueId>{b.op("Neg", {dy[0]})};
}
Gradients reciprocal_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.f("Neg", m.square(m.y)); });
}
Gradients sqrt_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.over(0.5, m.y); });
}
Gradients exp_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.y; });
}
Gradients log_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return std::vector<ValueId>{b.op("Div", {dy[0], n.inputs[0]})};
}
Gradients sin_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.f("Cos", m.x); });
}
Gradients cos_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.f("Neg", m.f("Sin", m.x)); });
}
Gradients tan_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.add(m.square(m.y), 1.0); });
}
Gradients asin_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) {
    return m.over(1.0, m.f("Sqrt", m.from(1.0, m.square(m.x))));
  });
}
Gradients acos_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) {
    return m.over(-1.0, m.f("Sqrt", m.from(1.0, m.square(m.x))));
  });
}
Gradients atan_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.over(1.0, m.add(m.square(m.x), 1.0)); });
}
Gradients sinh_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.f("Cosh", m.x); });
}
Gradients cosh_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.f("Sinh", m.x); });
}
Gradients tanh_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.from(1.0, m.square(m.y)); });
}
Gradients asinh_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy,
                [](const Maths& m) { return m.over(1.0, m.f("Sqrt", m.add(m.square(m.x), 1.0))); });
}
Gradients acosh_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) {
    return m.over(1.0, m.f("Sqrt", m.add(m.square(m.x), -1.0)));
  });
}
Gradients atanh_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.over(1.0, m.from(1.0, m.square(m.x))); });
}
// 2 / sqrt(pi) exp(-x^2)
Gradients erf_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) {
    return m.mul(m.f("Exp", m.f("Neg", m.square(m.x))), 2.0 * std::numbers::inv_sqrtpi);
  });
}

// ---- activations: at a kink the slope is that of the flatter side ----

Gradients relu_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const Maths m(b, n);
  return std::vector<ValueId>{m.where(m.greater(m.y, 0.0), dy[0], m.num(0.0))};
}
Gradients leaky_relu_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy,
                [](const Maths& m) { return m.where(m.less(m.x, 0.0), m.attr("alpha"), 1.0); });
}
Gradients prelu_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const Maths m(b, n);
  const ValueId slope = n.inputs[1];
  const ValueId dx = m.mul(dy[0], m.where(m.less(m.x, 0.0), slope, m.num(1.0)));
  const ValueId below = m.mul(dy[0], b.op("Min", {m.x, m.num(0.0)}));
  MNN_ASSIGN_OR_RETURN(const ValueId dslope, sum_to(b, below, m.x, slope));
  return std::vector<ValueId>{dx, dslope};
}
Gradients elu_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) {
    return m.where(m.less(m.x, 0.0), m.add(m.y, m.attr("alpha")), m.num(1.0));
  });
}
Gradients selu_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) {
    const double alpha = m.attr("alpha"), gamma = m.attr("gamma");
    return m.where(m.greater(m.x, 0.0), m.num(gamma), m.add(m.y, gamma * alpha));
  });
}
Gradients celu_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) {
    const ValueId low = m.add(m.div(m.y, m.num(m.attr("alpha"))), 1.0);
    return m.where(m.less(m.x, 0.0), low, m.num(1.0));
  });
}
Gradients sigmoid_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.mul(m.y, m.from(1.0, m.y)); });
}
// y (1 - y) is positive between the bounds and zero on them.
Gradients hard_sigmoid_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) {
    return m.mul(m.f("Sign", m.mul(m.y, m.from(1.0, m.y))), m.attr("alpha"));
  });
}
Gradients hard_swish_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) {
    const ValueId middle = m.add(m.mul(m.x, 1.0 / 3.0), 0.5);
    const ValueId outside = m.where(m.greater(m.x, 0.0), 1.0, 0.0);
    return m.where(m.less(m.f("Abs", m.x), 3.0), middle, outside);
  });
}
Gradients softplus_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) { return m.f("Sigmoid", m.x); });
}
Gradients softsign_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy,
                [](const Maths& m) { return m.over(1.0, m.square(m.add(m.f("Abs", m.x), 1.0))); });
}
Gradients thresholded_relu_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy,
                [](const Maths& m) { return m.where(m.greater(m.x, m.attr("alpha")), 1.0, 0.0); });
}
Gradients gelu_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const bool tanh = AttributeReader(n, *find_op("Gelu")).attr_string("approximate") == "tanh";
  return scaled(b, n, dy, [&](const Maths& m) {
    if (tanh) {
      // 0.5 (1 + t) + 0.5 x (1 - t^2) u', t = tanh(u), u = k (x + c x^3)
      constexpr double k = 0.79788456080286535588, c = 0.044715;
      const ValueId squared = m.square(m.x);
      const ValueId u = m.mul(m.mul(m.x, m.add(m.mul(squared, c), 1.0)), k);
      const ValueId t = m.f("Tanh", u);
      const ValueId inner = m.mul(m.add(m.mul(squared, 3.0 * c), 1.0), k);
      const ValueId bend = m.mul(m.mul(m.x, m.from(1.0, m.square(t))), inner);
      return m.mul(m.add(m.add(t, 1.0), bend), 0.5);
    }
    // The normal distribution's sum and x times its density.
    const ValueId below = m.mul(m.add(m.f("Erf", m.mul(m.x, std::sqrt(0.5))), 1.0), 0.5);
    const ValueId density =
        m.mul(m.f("Exp", m.mul(m.square(m.x), -0.5)), std::numbers::inv_sqrtpi * std::sqrt(0.5));
    return m.add(below, m.mul(m.x, density));
  });
}
Gradients mish_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) {
    const ValueId t = m.f("Tanh", m.f("Softplus", m.x));
    return m.add(t, m.mul(m.mul(m.x, m.from(1.0, m.square(t))), m.f("Sigmoid", m.x)));
  });
}
Gradients swish_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) {
    const ValueId ax = m.mul(m.x, m.attr("alpha")), s = m.f("Sigmoid", ax);
    return m.mul(s, m.add(m.mul(ax, m.from(1.0, s)), 1.0));
  });
}
Gradients shrink_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return scaled(b, n, dy, [](const Maths& m) {
    const double lambd = m.attr("lambd");
    return m.where(m.b.op("Or", {m.less(m.x, -lambd), m.greater(m.x, lambd)}), 1.0, 0.0);
  });
}
Gradients clip_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const Maths m(b, n);
  const ValueId zero = m.num(0.0);
  auto bound = [&](size_t i) { return i < n.own_inputs() ? n.inputs[i] : kNoValue; };
  std::vector<ValueId> result(n.own_inputs(), kNoValue);
  ValueId g = dy[0];
  // The upper bound is applied last, to what the lower one left.
  if (const ValueId high = bound(2); high != kNoValue) {
    const ValueId raised = bound(1) == kNoValue ? m.x : b.op("Max", {m.x, bound(1)});
    const ValueId above = b.op("Greater", {raised, high});
    MNN_ASSIGN_OR_RETURN(result[2], sum_to(b, m.where(above, g, zero), m.x, high));
    g = m.where(above, zero, g);
  }
  if (const ValueId low = bound(1); low != kNoValue) {
    const ValueId below = b.op("Less", {m.x, low});
    MNN_ASSIGN_OR_RETURN(result[1], sum_to(b, m.where(below, g, zero), m.x, low));
    g = m.where(below, zero, g);
  }
  result[0] = g;
  return result;
}
// What was dropped gets nothing; the rest was scaled up.
Gradients dropout_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  std::vector<ValueId> result(n.own_inputs(), kNoValue);
  result[0] = dy[0];
  const Maths m(b, n);
  const ValueId training = n.own_inputs() > 2 ? n.inputs[2] : kNoValue;
  if (training == kNoValue) return result;
  if (const Tensor* t = b.graph().constant(training);
      t != nullptr && t->elements() == 1 && !*t->data<bool>()) {
    return result;
  }
  if (n.outputs.size() < 2 || n.outputs[1] == kNoValue) {
    return unsupported("its derivative in training mode needs the output mask");
  }
  const ValueId ratio = n.inputs[1] == kNoValue ? m.num(0.5) : n.inputs[1];
  const DType type = b.type(m.x).dtype;
  const ValueId same = b.op("Cast", {ratio}, {{"to", static_cast<int64_t>(type)}});
  const ValueId kept = m.over(1.0, m.from(1.0, same));
  const ValueId scaled = m.mul(dy[0], m.where(training, kept, m.num(1.0)));
  result[0] = m.where(n.outputs[1], scaled, m.num(0.0));
  return result;
}

// ---- arithmetic of several operands, which broadcast ----

namespace {

Gradients summed(Builder& b, const Node& n, std::vector<ValueId> parts) {
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i] < 0) continue;
    MNN_ASSIGN_OR_RETURN(parts[i], sum_to(b, parts[i], n.outputs[0], n.inputs[i]));
  }
  return parts;
}

}  // namespace

Gradients add_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return summed(b, n, {dy[0], dy[0]});
}
Gradients sub_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return summed(b, n, {dy[0], b.op("Neg", {dy[0]})});
}
Gradients mul_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const Maths m(b, n);
  return summed(b, n, {m.mul(dy[0], n.inputs[1]), m.mul(dy[0], n.inputs[0])});
}
Gradients div_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const Maths m(b, n);
  const ValueId dx = m.div(dy[0], n.inputs[1]);
  return summed(b, n, {dx, b.op("Neg", {m.mul(dx, m.y)})});
}
// y = x - d q: the quotient q, which is whole, is (x - y) / d.
Gradients mod_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const Maths m(b, n);
  const ValueId quotient = m.div(m.sub(m.x, m.y), n.inputs[1]);
  return summed(b, n, {dy[0], b.op("Neg", {m.mul(dy[0], b.op("Round", {quotient}))})});
}
Gradients pow_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const Maths m(b, n);
  ValueId e = n.inputs[1];
  const DType type = b.type(m.x).dtype;
  const bool whole = !is_float(b.type(e).dtype);
  if (const Tensor* t = b.graph().constant(e); t != nullptr && t->elements() == 1) {
    MNN_ASSIGN_OR_RETURN(const std::vector<double> v, t->to_doubles());
    ValueId slope = kNoValue;
    if (v[0] == 2.0) {
      slope = m.mul(m.x, 2.0);
    } else if (v[0] == 0.5) {
      slope = m.over(0.5, m.y);
    } else {
      slope = v[0] == 0.0 ? m.mul(m.x, 0.0) : m.mul(b.op("Pow", {m.x, m.num(v[0] - 1.0)}), v[0]);
    }
    return summed(b, n, {m.mul(dy[0], slope), kNoValue});
  }
  const DType own = b.type(e).dtype;
  if (own != type) e = b.op("Cast", {e}, {{"to", static_cast<int64_t>(type)}});
  const ValueId zero = m.num(0.0);
  const ValueId slope = m.mul(e, b.op("Pow", {m.x, m.add(e, -1.0)}));
  const ValueId dx = m.mul(dy[0], m.where(b.op("Equal", {e, zero}), zero, slope));
  if (whole) return summed(b, n, {dx, kNoValue});
  // x^e log(x), 0 where x is not above 0.
  const ValueId above = m.greater(m.x, 0.0);
  const ValueId log = m.f("Log", m.where(above, m.x, m.num(1.0)));
  ValueId de = m.mul(dy[0], m.where(above, m.mul(m.y, log), zero));
  if (own != type) de = b.op("Cast", {de}, {{"to", static_cast<int64_t>(own)}});
  return summed(b, n, {dx, de});
}
// Max and Min: operands that attain the extreme share alike.
Gradients extreme_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const Maths m(b, n);
  const size_t count = n.own_inputs();
  if (count == 1) return std::vector<ValueId>{dy[0]};
  std::vector<ValueId> hits;
  for (size_t i = 0; i < count; ++i) {
    hits.push_back(m.where(b.op("Equal", {n.inputs[i], m.y}), 1.0, 0.0));
  }
  const ValueId share = m.div(dy[0], b.op("Sum", hits));
  for (ValueId& v : hits) v = m.mul(share, v);
  return summed(b, n, hits);
}
Gradients sum_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return summed(b, n, std::vector<ValueId>(n.own_inputs(), dy[0]));
}
Gradients mean_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const Maths m(b, n);
  const ValueId part = m.mul(dy[0], 1.0 / static_cast<double>(n.own_inputs()));
  return summed(b, n, std::vector<ValueId>(n.own_inputs(), part));
}
Gradients where_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const ValueId zero = scalar_like(b, n.inputs[1], 0.0);
  return summed(b, n,
                {kNoValue, b.op("Where", {n.inputs[0], dy[0], zero}),
                 b.op("Where", {n.inputs[0], zero, dy[0]})});
}
// Cast and CastLike.
Gradients cast_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  std::vector<ValueId> result(n.own_inputs(), kNoValue);
  const DType to = b.type(n.inputs[0]).dtype;
  if (is_float(to)) result[0] = b.op("Cast", {dy[0]}, {{"to", static_cast<int64_t>(to)}});
  return result;
}

}  // namespace mnn
