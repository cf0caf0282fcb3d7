// Elementwise arithmetic. Types follow PyTorch's promotion.
#include <cmath>
#include <limits>
#include <numbers>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

// Functions of real numbers: integers become f32 first.
ValueId real_input(Call& c, std::string_view name = "self") {
  const DType type = c.promoted({name});
  return c.as(name, kind_of(type) == TypeKind::kFloat ? type : DType::kF32);
}

void real_function(Call& c) { c.give(c.unary(c.form(), real_input(c))); }
// Keeps the type.
void plain_function(Call& c) { c.give(c.unary(c.form(), c.tensor("self"))); }

// Rounding does nothing to integers.
void rounding(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(kind_of(c.dtype_of(x)) == TypeKind::kFloat ? c.unary(c.form(), x) : x);
}

ValueId truncated(Call& c, ValueId x) {
  return c.binary("Mul", c.unary("Sign", x), c.unary("Floor", c.unary("Abs", x)));
}

void trunc(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(kind_of(c.dtype_of(x)) == TypeKind::kFloat ? truncated(c, x) : x);
}

void frac(Call& c) {
  const ValueId x = real_input(c);
  c.give(c.binary("Sub", x, truncated(c, x)));
}

void round_decimals(Call& c) {
  const ValueId x = c.tensor("self");
  const ValueId scale = c.number(std::pow(10.0, c.real("decimals")), c.dtype_of(x));
  c.give(c.binary("Div", c.unary("Round", c.binary("Mul", x, scale)), scale));
}

void rsqrt(Call& c) { c.give(c.unary("Reciprocal", c.unary("Sqrt", real_input(c)))); }

void square(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(c.binary("Mul", x, x));
}

// f(x * before) * after
void scaled(Call& c, const char* op, double before, double after) {
  ValueId x = real_input(c);
  const DType type = c.dtype_of(x);
  if (before != 1) x = c.binary("Mul", x, c.number(before, type));
  x = c.unary(op, x);
  c.give(after != 1 ? c.binary("Mul", x, c.number(after, type)) : x);
}
void log2(Call& c) { scaled(c, "Log", 1, std::numbers::log2e); }
void log10(Call& c) { scaled(c, "Log", 1, std::numbers::log10e); }
void exp2(Call& c) { scaled(c, "Exp", std::numbers::ln2, 1); }
void deg2rad(Call& c) {
  const ValueId x = real_input(c);
  c.give(c.binary("Mul", x, c.number(std::numbers::pi / 180, c.dtype_of(x))));
}
void rad2deg(Call& c) {
  const ValueId x = real_input(c);
  c.give(c.binary("Mul", x, c.number(180 / std::numbers::pi, c.dtype_of(x))));
}

// log(1 + x) without losing small x: u = 1 + x; log(u) * x / (u - 1), and x where u is 1.
void log1p(Call& c) {
  const ValueId x = real_input(c);
  const ValueId one = c.number(1, c.dtype_of(x));
  const ValueId u = c.binary("Add", x, one), d = c.binary("Sub", u, one);
  const ValueId small = c.binary("Equal", u, one);
  const ValueId infinite = c.unary("IsInf", u);
  const ValueId safe = c.where(c.binary("Or", small, infinite), one, d);
  const ValueId y = c.binary("Mul", c.unary("Log", u), c.binary("Div", x, safe));
  c.give(c.where(small, x, c.where(infinite, c.unary("Log", u), y)));
}

// exp(x) - 1 without losing small x: tanh(x / 2) * (exp(x) + 1); the plain form where that is
// large.
void expm1(Call& c) {
  const ValueId x = real_input(c);
  const DType type = c.dtype_of(x);
  const ValueId one = c.number(1, type), e = c.unary("Exp", x);
  const ValueId half = c.binary("Mul", x, c.number(0.5, type));
  const ValueId near = c.binary("Mul", c.unary("Tanh", half), c.binary("Add", e, one));
  const ValueId small = c.binary("Less", c.unary("Abs", x), one);
  c.give(c.where(small, near, c.binary("Sub", e, one)));
}

void erfc(Call& c) {
  const ValueId x = real_input(c);
  c.give(c.binary("Sub", c.number(1, c.dtype_of(x)), c.unary("Erf", x)));
}

void reciprocal(Call& c) { c.give(c.unary("Reciprocal", real_input(c))); }

void logit(Call& c) {
  ValueId x = real_input(c);
  const DType type = c.dtype_of(x);
  if (!c.none("eps")) {
    const double eps = c.real("eps");
    x = c.emit("Clip", {x, c.number(eps, type), c.number(1 - eps, type)});
  }
  c.give(c.unary("Log", c.binary("Div", x, c.binary("Sub", c.number(1, type), x))));
}

void sgn(Call& c) { c.give(c.unary("Sign", c.tensor("self"))); }

void nan_to_num(Call& c) {
  const ValueId x = c.tensor("self");
  const DType type = c.dtype_of(x);
  if (kind_of(type) != TypeKind::kFloat) return c.give(x);
  const double most = type == DType::kF64   ? std::numeric_limits<double>::max()
                      : type == DType::kF16 ? 65504.0
                                            : std::numeric_limits<float>::max();
  const auto bound = [&](std::string_view name, double fallback) {
    return c.number(c.none(name) ? fallback : c.real(name), type);
  };
  ValueId y = c.where(c.unary("IsNaN", x), bound("nan", 0), x);
  const auto infinite = [&](bool positive) {
    return c.emit(
        "IsInf", {x},
        {{"detect_negative", int64_t{!positive}}, {"detect_positive", int64_t{positive}}});
  };
  y = c.where(infinite(true), bound("posinf", most), y);
  c.give(c.where(infinite(false), bound("neginf", -most), y));
}

// self + alpha * other
void add(Call& c) {
  const DType type = c.promoted({"self", "other"});
  const bool subtract = c.form() == "Sub";
  const ValueId a = c.as("self", type);
  ValueId b = c.as("other", type);
  const double alpha = c.has_param("alpha") ? c.real("alpha") : 1;
  if (type == DType::kBool) return c.give(c.binary("Or", a, b));
  if (alpha != 1) b = c.binary("Mul", b, c.number(alpha, type));
  c.give(c.binary(subtract ? "Sub" : "Add", a, b));
}

void rsub(Call& c) {
  const DType type = c.promoted({"self", "other"});
  ValueId a = c.as("self", type);
  const double alpha = c.real("alpha");
  if (alpha != 1) a = c.binary("Mul", a, c.number(alpha, type));
  c.give(c.binary("Sub", c.as("other", type), a));
}

// A complex number times a real one or another complex one.
ValueId complex_product(Call& c, const TensorArg& a, const TensorArg& b) {
  const auto part = [&](const TensorArg& t, int64_t which) {
    return c.select(t.id, static_cast<int64_t>(c.rank(t.id)) - 1, IntArg{which});
  };
  const auto joined = [&](ValueId re, ValueId im) {
    const auto last = [&](ValueId v) { return c.emit("Unsqueeze", {v, c.add_ints({-1})}); };
    return c.concat({last(re), last(im)}, -1);
  };
  if (a.complex && b.complex) {
    const ValueId ar = part(a, 0), ai = part(a, 1), br = part(b, 0), bi = part(b, 1);
    return joined(c.binary("Sub", c.binary("Mul", ar, br), c.binary("Mul", ai, bi)),
                  c.binary("Add", c.binary("Mul", ar, bi), c.binary("Mul", ai, br)));
  }
  const TensorArg& z = a.complex ? a : b;
  const ValueId r = a.complex ? b.id : a.id;
  return joined(c.binary("Mul", part(z, 0), r), c.binary("Mul", part(z, 1), r));
}

void mul(Call& c) {
  const TensorArg* a = c.arg("self").get<TensorArg>();
  const TensorArg* b = c.arg("other").get<TensorArg>();
  if ((a != nullptr && a->complex) || (b != nullptr && b->complex)) {
    const auto operand = [&](const TensorArg* t, std::string_view name) {
      return t != nullptr ? *t : TensorArg{c.as(name, DType::kF32)};
    };
    return c.give(complex_product(c, operand(a, "self"), operand(b, "other")), true);
  }
  const DType type = c.promoted({"self", "other"});
  const char* op = type == DType::kBool ? "And" : "Mul";
  c.give(c.binary(op, c.as("self", type), c.as("other", type)));
}

// True division of integers gives f32.
ValueId true_quotient(Call& c) {
  DType type = c.promoted({"self", "other"});
  if (kind_of(type) != TypeKind::kFloat) type = DType::kF32;
  return c.binary("Div", c.as("self", type), c.as("other", type));
}

ValueId quotient(Call& c, bool floor) {
  const DType type = c.promoted({"self", "other"});
  if (kind_of(type) == TypeKind::kFloat) {
    const ValueId q = true_quotient(c);
    return floor ? c.unary("Floor", q) : truncated(c, q);
  }
  const ValueId a = c.as("self", type), b = c.as("other", type);
  if (!floor) return c.binary("Div", a, b);
  // Integer Div rounds towards zero; Mod has the divisor's sign.
  return c.binary("Div", c.binary("Sub", a, c.binary("Mod", a, b)), b);
}

void div(Call& c) {
  const TensorArg* z = c.arg("self").get<TensorArg>();
  if (z != nullptr && z->complex) {
    const ValueId inverse = c.unary("Reciprocal", c.as("other", DType::kF32));
    return c.give(complex_product(c, *z, TensorArg{inverse}), true);
  }
  const std::string mode = c.has_param("rounding_mode") ? c.text("rounding_mode") : "";
  if (mode.empty()) return c.give(true_quotient(c));
  if (mode != "floor" && mode != "trunc") return c.fail(invalid("rounding mode '" + mode + "'"));
  c.give(quotient(c, mode == "floor"));
}
void floor_divide(Call& c) { c.give(quotient(c, true)); }

// The remainder has the divisor's sign.
void remainder(Call& c) {
  const DType type = c.promoted({"self", "other"});
  const ValueId a = c.as("self", type), b = c.as("other", type);
  if (kind_of(type) != TypeKind::kFloat) return c.give(c.binary("Mod", a, b));
  const ValueId q = c.unary("Floor", c.binary("Div", a, b));
  c.give(c.binary("Sub", a, c.binary("Mul", b, q)));
}

// The remainder has the dividend's sign.
void fmod(Call& c) {
  const DType type = c.promoted({"self", "other"});
  c.give(c.emit("Mod", {c.as("self", type), c.as("other", type)}, {{"fmod", int64_t{1}}}));
}

void pow(Call& c) {
  const DType type = c.promoted({"self", "exponent"});
  c.give(c.binary("Pow", c.as("self", type), c.as("exponent", type)));
}

// The larger or smaller of two, elementwise.
void extreme(Call& c) {
  const DType type = c.promoted({"self", "other"});
  const ValueId a = c.as("self", type), b = c.as("other", type);
  if (type != DType::kBool) return c.give(c.binary(c.form(), a, b));
  c.give(c.binary(c.form() == "Max" ? "Or" : "And", a, b));
}

// What is not NaN wins.
void extreme_number(Call& c) {
  const DType type = c.promoted({"self", "other"});
  const ValueId a = c.as("self", type), b = c.as("other", type);
  const ValueId y = c.binary(c.form(), a, b);
  if (kind_of(type) != TypeKind::kFloat) return c.give(y);
  c.give(c.where(c.unary("IsNaN", a), b, c.where(c.unary("IsNaN", b), a, y)));
}

void clamp(Call& c) {
  std::vector<std::string_view> names = {"self"};
  for (const std::string_view bound : {"min", "max"}) {
    if (c.has_param(bound) && !c.none(bound)) names.push_back(bound);
  }
  const DType type = c.promoted(names);
  const auto bound = [&](std::string_view name) {
    return c.has_param(name) && !c.none(name) ? c.as(name, type) : kNoValue;
  };
  const ValueId x = c.as("self", type), low = bound("min"), high = bound("max");
  const auto is_scalar = [&](ValueId v) {
    return v == kNoValue || (c.type_of(v).shape && c.type_of(v).rank() == 0);
  };
  if (is_scalar(low) && is_scalar(high)) return c.give(c.emit("Clip", {x, low, high}));
  ValueId y = low == kNoValue ? x : c.binary("Max", x, low);
  c.give(high == kNoValue ? y : c.binary("Min", y, high));
}

// The angle of (x, y) in (-pi, pi].
ValueId angle_of(Call& c, ValueId y, ValueId x) {
  const DType type = c.dtype_of(y);
  const ValueId zero = c.number(0, type);
  const ValueId left = c.binary("Less", x, zero), down = c.binary("Less", y, zero);
  const ValueId on_axis = c.binary("Equal", x, zero);
  const ValueId safe = c.where(on_axis, c.number(1, type), x);
  const ValueId pi = c.number(std::numbers::pi, type), minus_pi = c.number(-std::numbers::pi, type);
  const ValueId turn = c.where(left, c.where(down, minus_pi, pi), zero);
  const ValueId slanted = c.binary("Add", c.unary("Atan", c.binary("Div", y, safe)), turn);
  const ValueId upright = c.binary("Mul", c.unary("Sign", y), c.number(std::numbers::pi / 2, type));
  return c.where(on_axis, upright, slanted);
}

void atan2(Call& c) {
  DType type = c.promoted({"self", "other"});
  if (kind_of(type) != TypeKind::kFloat) type = DType::kF32;
  c.give(angle_of(c, c.as("self", type), c.as("other", type)));
}

void angle(Call& c) {
  const TensorArg* z = c.arg("self").get<TensorArg>();
  if (z != nullptr && z->complex) {
    const auto last = static_cast<int64_t>(c.rank(z->id)) - 1;
    return c.give(angle_of(c, c.select(z->id, last, IntArg{1}), c.select(z->id, last, IntArg{0})));
  }
  const ValueId x = real_input(c);
  const ValueId zero = c.number(0, c.dtype_of(x));
  c.give(c.where(c.binary("Less", x, zero), c.number(std::numbers::pi, c.dtype_of(x)), zero));
}

void absolute(Call& c) {
  const TensorArg* z = c.arg("self").get<TensorArg>();
  if (z != nullptr && z->complex) {
    const auto last = static_cast<int64_t>(c.rank(z->id)) - 1;
    return c.give(c.reduce("ReduceL2", z->id, {last}, false));
  }
  c.give(c.unary("Abs", c.tensor("self")));
}

void hypot(Call& c) {
  const DType type = c.promoted({"self", "other"});
  const ValueId a = c.as("self", type), b = c.as("other", type);
  c.give(c.unary("Sqrt", c.binary("Add", c.binary("Mul", a, a), c.binary("Mul", b, b))));
}

void lerp(Call& c) {
  const ValueId a = c.tensor("self"), b = c.tensor("end");
  const ValueId step = c.binary("Mul", c.as("weight", c.dtype_of(a)), c.binary("Sub", b, a));
  c.give(c.binary("Add", a, step));
}

// self + value * tensor1 (op) tensor2
void addc(Call& c) {
  const DType type = c.promoted({"self", "tensor1", "tensor2"});
  ValueId y = c.binary(c.form() == "Add, Mul" ? "Mul" : "Div", c.as("tensor1", type),
                       c.as("tensor2", type));
  if (c.real("value") != 1) y = c.binary("Mul", y, c.number(c.real("value"), type));
  c.give(c.binary("Add", c.as("self", type), y));
}

void xlogy(Call& c) {
  const DType type = c.promoted({"self", "other"});
  const ValueId a = c.as("self", type), b = c.as("other", type), zero = c.number(0, type);
  c.give(c.where(c.binary("Equal", a, zero), zero, c.binary("Mul", a, c.unary("Log", b))));
}

void logaddexp(Call& c) {
  const DType type = c.promoted({"self", "other"});
  const ValueId a = c.as("self", type), b = c.as("other", type);
  const ValueId far = c.unary("Neg", c.unary("Abs", c.binary("Sub", a, b)));
  const ValueId more = c.unary("Log", c.binary("Add", c.unary("Exp", far), c.number(1, type)));
  c.give(c.binary("Add", c.binary("Max", a, b), more));
}

}  // namespace

std::vector<RowText> pointwise_rows() {
  return {
      {"abs(Tensor self) -> Tensor", "Abs", absolute},
      {"neg(Tensor self) -> Tensor", "Neg", plain_function},
      {"positive(Tensor self) -> Tensor", "Identity", plain_function},
      {"sign(Tensor self) -> Tensor", "Sign", plain_function},
      {"sgn(Tensor self) -> Tensor", "Sign", sgn},
      {"acos(Tensor self) -> Tensor", "Acos", real_function},
      {"acosh(Tensor self) -> Tensor", "Acosh", real_function},
      {"asin(Tensor self) -> Tensor", "Asin", real_function},
      {"asinh(Tensor self) -> Tensor", "Asinh", real_function},
      {"atan(Tensor self) -> Tensor", "Atan", real_function},
      {"atanh(Tensor self) -> Tensor", "Atanh", real_function},
      {"cos(Tensor self) -> Tensor", "Cos", real_function},
      {"cosh(Tensor self) -> Tensor", "Cosh", real_function},
      {"sin(Tensor self) -> Tensor", "Sin", real_function},
      {"sinh(Tensor self) -> Tensor", "Sinh", real_function},
      {"tan(Tensor self) -> Tensor", "Tan", real_function},
      {"tanh(Tensor self) -> Tensor", "Tanh", real_function},
      {"erf(Tensor self) -> Tensor", "Erf", real_function},
      {"erfc(Tensor self) -> Tensor", "Sub, Erf", erfc},
      {"exp(Tensor self) -> Tensor", "Exp", real_function},
      {"exp2(Tensor self) -> Tensor", "Exp, Mul", exp2},
      {"expm1(Tensor self) -> Tensor", "Exp, Tanh, Where", expm1},
      {"log(Tensor self) -> Tensor", "Log", real_function},
      {"log10(Tensor self) -> Tensor", "Log, Mul", log10},
      {"log1p(Tensor self) -> Tensor", "Log, Where", log1p},
      {"log2(Tensor self) -> Tensor", "Log, Mul", log2},
      {"sqrt(Tensor self) -> Tensor", "Sqrt", real_function},
      {"rsqrt(Tensor self) -> Tensor", "Sqrt, Reciprocal", rsqrt},
      {"sigmoid(Tensor self) -> Tensor", "Sigmoid", real_function},
      {"reciprocal(Tensor self) -> Tensor", "Reciprocal", reciprocal},
      {"square(Tensor self) -> Tensor", "Mul", square},
      {"ceil(Tensor self) -> Tensor", "Ceil", rounding},
      {"floor(Tensor self) -> Tensor", "Floor", rounding},
      {"round(Tensor self) -> Tensor", "Round", rounding},
      {"round.decimals(Tensor self, *, int decimals) -> Tensor", "Mul, Round, Div", round_decimals},
      {"trunc(Tensor self) -> Tensor", "Sign, Floor, Abs, Mul", trunc},
      {"frac(Tensor self) -> Tensor", "Sign, Floor, Abs, Mul, Sub", frac},
      {"deg2rad(Tensor self) -> Tensor", "Mul", deg2rad},
      {"rad2deg(Tensor self) -> Tensor", "Mul", rad2deg},
      {"logit(Tensor self, float? eps=None) -> Tensor", "Clip, Sub, Div, Log", logit},
      {"nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor",
       "IsNaN, IsInf, Where", nan_to_num},
      {"add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", "Add", add},
      {"add.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", "Add", add},
      {"sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", "Sub", add},
      {"sub.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", "Sub", add},
      {"rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", "Sub", rsub},
      {"rsub.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", "Sub", rsub},
      {"mul.Tensor(Tensor self, Tensor other) -> Tensor", "Mul", mul},
      {"mul.Scalar(Tensor self, Scalar other) -> Tensor", "Mul", mul},
      {"div.Tensor(Tensor self, Tensor other) -> Tensor", "Div", div},
      {"div.Scalar(Tensor self, Scalar other) -> Tensor", "Div", div},
      {"div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor", "Div, Floor",
       div},
      {"div.Scalar_mode(Tensor self, Scalar other, *, str? rounding_mode) -> Tensor", "Div, Floor",
       div},
      {"true_divide.Tensor(Tensor self, Tensor other) -> Tensor", "Div", div},
      {"true_divide.Scalar(Tensor self, Scalar other) -> Tensor", "Div", div},
      {"floor_divide(Tensor self, Tensor other) -> Tensor", "Div, Floor", floor_divide},
      {"floor_divide.Scalar(Tensor self, Scalar other) -> Tensor", "Div, Floor", floor_divide},
      {"remainder.Tensor(Tensor self, Tensor other) -> Tensor", "Mod", remainder},
      {"remainder.Scalar(Tensor self, Scalar other) -> Tensor", "Mod", remainder},
      {"remainder.Scalar_Tensor(Scalar self, Tensor other) -> Tensor", "Mod", remainder},
      {"fmod.Tensor(Tensor self, Tensor other) -> Tensor", "Mod", fmod},
      {"fmod.Scalar(Tensor self, Scalar other) -> Tensor", "Mod", fmod},
      {"pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor", "Pow", pow},
      {"pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor", "Pow", pow},
      {"pow.Scalar(Scalar self, Tensor exponent) -> Tensor", "Pow", pow},
      {"maximum(Tensor self, Tensor other) -> Tensor", "Max", extreme},
      {"minimum(Tensor self, Tensor other) -> Tensor", "Min", extreme},
      {"max.other(Tensor self, Tensor other) -> Tensor", "Max", extreme},
      {"min.other(Tensor self, Tensor other) -> Tensor", "Min", extreme},
      {"fmax(Tensor self, Tensor other) -> Tensor", "Max", extreme_number},
      {"fmin(Tensor self, Tensor other) -> Tensor", "Min", extreme_number},
      {"clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor", "Clip", clamp},
      {"clamp.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor", "Max, Min",
       clamp},
      {"clamp_min(Tensor self, Scalar min) -> Tensor", "Clip", clamp},
      {"clamp_min.Tensor(Tensor self, Tensor min) -> Tensor", "Max", clamp},
      {"clamp_max(Tensor self, Scalar max) -> Tensor", "Clip", clamp},
      {"clamp_max.Tensor(Tensor self, Tensor max) -> Tensor", "Min", clamp},
      {"atan2(Tensor self, Tensor other) -> Tensor", "Atan, Div, Where", atan2},
      {"angle(Tensor self) -> Tensor", "Atan, Div, Where", angle},
      {"hypot(Tensor self, Tensor other) -> Tensor", "Mul, Add, Sqrt", hypot},
      {"lerp.Scalar(Tensor self, Tensor end, Scalar weight) -> Tensor", "Sub, Mul, Add", lerp},
      {"lerp.Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor", "Sub, Mul, Add", lerp},
      {"addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
       "Add, Mul", addc},
      {"addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
       "Add, Div", addc},
      {"xlogy.Tensor(Tensor self, Tensor other) -> Tensor", "Log, Mul, Where", xlogy},
      {"logaddexp(Tensor self, Tensor other) -> Tensor", "Exp, Log, Max, Add", logaddexp},
  };
}

}  // namespace mnn::torch
