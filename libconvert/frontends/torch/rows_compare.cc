// Comparisons, logic, bits, choices.
#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

ValueId compared(Call& c, std::string_view op) {
  const DType type = c.promoted({"self", "other"});
  // Order of bools is that of 0 and 1.
  const bool ordered = op != "Equal";
  const DType with = type == DType::kBool && ordered ? DType::kI32 : type;
  return c.binary(op, c.as("self", with), c.as("other", with));
}

void compare(Call& c) { c.give(compared(c, c.form())); }
void not_equal(Call& c) { c.give(c.unary("Not", compared(c, "Equal"))); }

// Anything but zero is true.
ValueId truth(Call& c, std::string_view name) { return c.cast(c.tensor(name), DType::kBool); }

void logical(Call& c) { c.give(c.binary(c.form(), truth(c, "self"), truth(c, "other"))); }
void logical_not(Call& c) { c.give(c.unary("Not", truth(c, "self"))); }

// Of bools the logical operator.
void bitwise(Call& c) {
  const DType type = c.promoted({"self", "other"});
  const std::string op = type == DType::kBool ? c.form() : "Bitwise" + c.form();
  c.give(c.binary(op, c.as("self", type), c.as("other", type)));
}
void bitwise_not(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(c.unary(c.dtype_of(x) == DType::kBool ? "Not" : "BitwiseNot", x));
}

void shift(Call& c) {
  const DType type = c.promoted({"self", "other"});
  const ValueId two = c.number(2, type), x = c.as("self", type);
  const ValueId power = c.binary("Pow", two, c.as("other", type));
  if (c.form() == "Pow, Mul") return c.give(c.binary("Mul", x, power));
  c.give(c.binary("Div", c.binary("Sub", x, c.binary("Mod", x, power)), power));
}

void where(Call& c) {
  const DType type = c.promoted({"self", "other"});
  c.give(c.where(truth(c, "condition"), c.as("self", type), c.as("other", type)));
}

void masked_fill(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(c.where(truth(c, "mask"), c.as("value", c.dtype_of(x)), x));
}

ValueId never(Call& c, ValueId x) {
  return c.filled(c.sizes(x), c.add_constant(Tensor::scalar(false)));
}

void is_special(Call& c) {
  const ValueId x = c.tensor("self");
  if (kind_of(c.dtype_of(x)) != TypeKind::kFloat) return c.give(never(c, x));
  c.give(c.unary(c.form(), x));
}

void is_signed_infinity(Call& c) {
  const bool positive = c.op() == "aten::isposinf";
  c.give(c.emit("IsInf", {c.tensor("self")},
                {{"detect_negative", int64_t{!positive}}, {"detect_positive", int64_t{positive}}}));
}

void is_finite(Call& c) {
  const ValueId x = c.tensor("self");
  if (kind_of(c.dtype_of(x)) != TypeKind::kFloat) return c.give(c.unary("Not", never(c, x)));
  c.give(c.unary("Not", c.binary("Or", c.unary("IsNaN", x), c.unary("IsInf", x))));
}

void is_close(Call& c) {
  const DType type = c.promoted({"self", "other"});
  const ValueId a = c.as("self", type), b = c.as("other", type);
  const ValueId room = c.binary("Add", c.number(c.real("atol"), type),
                                c.binary("Mul", c.number(c.real("rtol"), type), c.unary("Abs", b)));
  const ValueId near = c.binary("LessOrEqual", c.unary("Abs", c.binary("Sub", a, b)), room);
  c.give(c.binary("Or", near, c.binary("Equal", a, b)));
}

}  // namespace

std::vector<RowText> compare_rows() {
  return {
      {"eq.Tensor(Tensor self, Tensor other) -> Tensor", "Equal", compare},
      {"eq.Scalar(Tensor self, Scalar other) -> Tensor", "Equal", compare},
      {"ne.Tensor(Tensor self, Tensor other) -> Tensor", "Equal, Not", not_equal},
      {"ne.Scalar(Tensor self, Scalar other) -> Tensor", "Equal, Not", not_equal},
      {"lt.Tensor(Tensor self, Tensor other) -> Tensor", "Less", compare},
      {"lt.Scalar(Tensor self, Scalar other) -> Tensor", "Less", compare},
      {"le.Tensor(Tensor self, Tensor other) -> Tensor", "LessOrEqual", compare},
      {"le.Scalar(Tensor self, Scalar other) -> Tensor", "LessOrEqual", compare},
      {"gt.Tensor(Tensor self, Tensor other) -> Tensor", "Greater", compare},
      {"gt.Scalar(Tensor self, Scalar other) -> Tensor", "Greater", compare},
      {"ge.Tensor(Tensor self, Tensor other) -> Tensor", "GreaterOrEqual", compare},
      {"ge.Scalar(Tensor self, Scalar other) -> Tensor", "GreaterOrEqual", compare},
      {"isclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, bool "
       "equal_nan=False) -> Tensor",
       "Sub, Abs, LessOrEqual", is_close},
      {"logical_and(Tensor self, Tensor other) -> Tensor", "And", logical},
      {"logical_or(Tensor self, Tensor other) -> Tensor", "Or", logical},
      {"logical_xor(Tensor self, Tensor other) -> Tensor", "Xor", logical},
      {"logical_not(Tensor self) -> Tensor", "Not", logical_not},
      {"bitwise_and.Tensor(Tensor self, Tensor other) -> Tensor", "And", bitwise},
      {"bitwise_and.Scalar(Tensor self, Scalar other) -> Tensor", "And", bitwise},
      {"bitwise_or.Tensor(Tensor self, Tensor other) -> Tensor", "Or", bitwise},
      {"bitwise_or.Scalar(Tensor self, Scalar other) -> Tensor", "Or", bitwise},
      {"bitwise_xor.Tensor(Tensor self, Tensor other) -> Tensor", "Xor", bitwise},
      {"bitwise_xor.Scalar(Tensor self, Scalar other) -> Tensor", "Xor", bitwise},
      {"bitwise_not(Tensor self) -> Tensor", "BitwiseNot", bitwise_not},
      {"bitwise_left_shift.Tensor(Tensor self, Tensor other) -> Tensor", "Pow, Mul", shift},
      {"bitwise_left_shift.Tensor_Scalar(Tensor self, Scalar other) -> Tensor", "Pow, Mul", shift},
      {"bitwise_right_shift.Tensor(Tensor self, Tensor other) -> Tensor", "Pow, Mod, Sub, Div",
       shift},
      {"bitwise_right_shift.Tensor_Scalar(Tensor self, Scalar other) -> Tensor",
       "Pow, Mod, Sub, Div", shift},
      {"where.self(Tensor condition, Tensor self, Tensor other) -> Tensor", "Where", where},
      {"where.ScalarSelf(Tensor condition, Scalar self, Tensor other) -> Tensor", "Where", where},
      {"where.ScalarOther(Tensor condition, Tensor self, Scalar other) -> Tensor", "Where", where},
      {"where.Scalar(Tensor condition, Scalar self, Scalar other) -> Tensor", "Where", where},
      {"masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor", "Where",
       masked_fill},
      {"masked_fill.Tensor(Tensor self, Tensor mask, Tensor value) -> Tensor", "Where",
       masked_fill},
      {"isnan(Tensor self) -> Tensor", "IsNaN", is_special},
      {"isinf(Tensor self) -> Tensor", "IsInf", is_special},
      {"isposinf(Tensor self) -> Tensor", "IsInf", is_signed_infinity},
      {"isneginf(Tensor self) -> Tensor", "IsInf", is_signed_infinity},
      {"isfinite(Tensor self) -> Tensor", "IsNaN, IsInf, Or, Not", is_finite},
  };
}

}  // namespace mnn::torch
