// Numbers outside tensors: sizes and arithmetic on them. What is known is computed here, the rest
// by nodes on 0-d values.
#include <cmath>
#include <cstdint>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

bool all_known(Call& c, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const Arg& a = c.arg(name);
    if (const IntArg* n = a.get<IntArg>(); n != nullptr && !c.int_arg(name).known()) return false;
    if (const FloatArg* n = a.get<FloatArg>(); n != nullptr && !n->known()) return false;
    if (const BoolArg* n = a.get<BoolArg>(); n != nullptr && !n->known()) return false;
    if (a.get<TensorArg>() != nullptr) return false;
  }
  return true;
}
bool is_real(Call& c, std::string_view name) { return c.arg(name).get<FloatArg>() != nullptr; }

int64_t floor_div(int64_t a, int64_t b) {
  const int64_t q = a / b;
  return q - ((a % b != 0) && ((a < 0) != (b < 0)));
}

// The result of a node on 0-d values.
void give_value(Call& c, ValueId v) {
  const DType type = c.dtype_of(v);
  if (!c.status.ok()) return;
  if (type == DType::kBool) {
    const ShapeValues* known = c.draft.types.known(v);
    if (known != nullptr && known->size() == 1 && (*known)[0].known()) {
      return c.give(Arg::of_bool(!(*known)[0].is(0)));
    }
    return c.give(Arg(BoolArg{false, v}));
  }
  if (kind_of(type) == TypeKind::kFloat) return c.give(Arg(FloatArg{0, c.cast(v, DType::kF32)}));
  c.give(Arg(c.int_of(c.cast(v, DType::kI64))));
}

void arithmetic_known(Call& c, const std::string& op) {
  if (!is_real(c, "a") && !is_real(c, "b")) {
    const int64_t a = c.int_arg("a").value, b = c.int_arg("b").value;
    int64_t r = 0;
    bool bad = false;
    if (op == "Add") bad = __builtin_add_overflow(a, b, &r);
    if (op == "Sub") bad = __builtin_sub_overflow(a, b, &r);
    if (op == "Mul") bad = __builtin_mul_overflow(a, b, &r);
    if (op == "FloorDiv" || op == "Mod") {
      bad = b == 0 || (a == INT64_MIN && b == -1);
      if (!bad) r = op == "Mod" ? a - floor_div(a, b) * b : floor_div(a, b);
    }
    if (op == "Max") r = std::max(a, b);
    if (op == "Min") r = std::min(a, b);
    if (bad) return c.fail(invalid("a whole number overflows"));
    return c.give(Arg::of_int(r));
  }
  const double a = c.real("a"), b = c.real("b");
  double r = 0;
  if (op == "Add") r = a + b;
  if (op == "Sub") r = a - b;
  if (op == "Mul") r = a * b;
  if (op == "FloorDiv") r = std::floor(a / b);
  if (op == "Mod") r = a - std::floor(a / b) * b;
  if (op == "Max") r = std::fmax(a, b);
  if (op == "Min") r = std::fmin(a, b);
  c.give(Arg::of_float(r));
}

void arithmetic(Call& c) {
  const std::string op = c.form();
  if (all_known(c, {"a", "b"})) return arithmetic_known(c, op);
  const bool real = is_real(c, "a") || is_real(c, "b");
  const DType type = real ? DType::kF32 : DType::kI64;
  const ValueId a = c.as("a", type), b = c.as("b", type);
  if (op == "FloorDiv") {
    if (real) return give_value(c, c.unary("Floor", c.binary("Div", a, b)));
    // Sizes are not negative: for a known positive divisor plain Div is the same.
    const IntArg divisor = c.int_arg("b");
    const bool plain = divisor.known() && divisor.value > 0 && [&] {
      const ShapeValues* known = c.draft.types.known(a);
      return known != nullptr && known->size() == 1 && at_least((*known)[0], 0);
    }();
    if (plain) return give_value(c, c.binary("Div", a, b));
    return give_value(c, c.binary("Div", c.binary("Sub", a, c.binary("Mod", a, b)), b));
  }
  if (op == "Mod" && real) {
    const ValueId q = c.unary("Floor", c.binary("Div", a, b));
    return give_value(c, c.binary("Sub", a, c.binary("Mul", b, q)));
  }
  give_value(c, c.binary(op, a, b));
}

void true_div(Call& c) {
  if (all_known(c, {"a", "b"})) {
    if (c.real("b") == 0) return c.fail(invalid("a number is divided by zero"));
    return c.give(Arg::of_float(c.real("a") / c.real("b")));
  }
  give_value(c, c.binary("Div", c.as("a", DType::kF32), c.as("b", DType::kF32)));
}

void power(Call& c) {
  const bool real = is_real(c, "a") || is_real(c, "b");
  if (all_known(c, {"a", "b"})) {
    const double r = std::pow(c.real("a"), c.real("b"));
    constexpr double kExact = 9007199254740992.0;
    if (!real && c.real("b") >= 0 && std::fabs(r) <= kExact)
      return c.give(Arg::of_int(static_cast<int64_t>(r)));
    return c.give(Arg::of_float(r));
  }
  const DType type = real ? DType::kF32 : DType::kI64;
  give_value(c, c.binary("Pow", c.as("a", type), c.as("b", type)));
}

void comparison(Call& c) {
  const std::string& op = c.form();
  if (all_known(c, {"a", "b"})) {
    const double a = c.real("a"), b = c.real("b");
    const bool whole = !is_real(c, "a") && !is_real(c, "b");
    const int64_t i = whole ? c.int_arg("a").value : 0, j = whole ? c.int_arg("b").value : 0;
    const auto compared = [&](auto x, auto y) {
      return op == "Equal"         ? x == y
             : op == "Not"         ? x != y
             : op == "Less"        ? x < y
             : op == "LessOrEqual" ? x <= y
             : op == "Greater"     ? x > y
                                   : x >= y;
    };
    return c.give(Arg::of_bool(whole ? compared(i, j) : compared(a, b)));
  }
  const DType type = is_real(c, "a") || is_real(c, "b") ? DType::kF32 : DType::kI64;
  const ValueId a = c.as("a", type), b = c.as("b", type);
  give_value(c, op == "Not" ? c.unary("Not", c.binary("Equal", a, b)) : c.binary(op, a, b));
}

ValueId truth(Call& c, std::string_view name) {
  const BoolArg* b = c.arg(name).get<BoolArg>();
  if (b != nullptr && b->known()) return c.add_constant(Tensor::scalar(b->value));
  return c.cast(c.tensor(name), DType::kBool);
}
void logic(Call& c) {
  if (all_known(c, {"a", "b"})) {
    const bool a = c.real("a") != 0, b = c.real("b") != 0;
    return c.give(Arg::of_bool(c.form() == "And" ? a && b : a || b));
  }
  give_value(c, c.binary(c.form(), truth(c, "a"), truth(c, "b")));
}
void negation(Call& c) {
  if (all_known(c, {"a"})) return c.give(Arg::of_bool(c.real("a") == 0));
  give_value(c, c.unary("Not", truth(c, "a")));
}

void negative(Call& c) {
  if (!all_known(c, {"a"})) return give_value(c, c.unary("Neg", c.tensor("a")));
  if (is_real(c, "a")) return c.give(Arg::of_float(-c.real("a")));
  const int64_t a = c.int_arg("a").value;
  if (a == INT64_MIN) return c.fail(invalid("a whole number overflows"));
  c.give(Arg::of_int(-a));
}

// To a whole number: rounded towards zero, down or up, or to the nearest.
void to_int(Call& c) {
  const std::string& how = c.form();
  if (!is_real(c, "a") && c.arg("a").get<TensorArg>() == nullptr)
    return c.give(Arg(c.int_arg("a")));
  if (all_known(c, {"a"})) {
    double v = c.real("a");
    v = how == "Floor"   ? std::floor(v)
        : how == "Ceil"  ? std::ceil(v)
        : how == "Round" ? std::nearbyint(v)
                         : std::trunc(v);
    constexpr double kMost = 9223372036854774784.0;
    if (!(std::fabs(v) <= kMost)) return c.fail(invalid("a number does not fit a whole number"));
    return c.give(Arg::of_int(static_cast<int64_t>(v)));
  }
  ValueId v = c.tensor("a");
  if (how != "Cast" && kind_of(c.dtype_of(v)) == TypeKind::kFloat) v = c.unary(how, v);
  give_value(c, c.cast(v, DType::kI64));
}
void to_float(Call& c) {
  if (all_known(c, {"a"})) return c.give(Arg::of_float(c.real("a")));
  give_value(c, c.cast(c.tensor("a"), DType::kF32));
}
void to_bool(Call& c) {
  if (all_known(c, {"a"})) return c.give(Arg::of_bool(c.real("a") != 0));
  give_value(c, c.cast(c.tensor("a"), DType::kBool));
}
void square_root(Call& c) {
  if (all_known(c, {"a"})) return c.give(Arg::of_float(std::sqrt(c.real("a"))));
  give_value(c, c.unary("Sqrt", c.cast(c.tensor("a"), DType::kF32)));
}

void sym_size(Call& c) {
  const TensorArg* t = c.arg("self").get<TensorArg>();
  const ValueId x = t != nullptr ? t->id : c.tensor("self");
  const size_t rank = c.rank(x) - (t != nullptr && t->complex ? 1 : 0);
  if (rank == 0) return c.fail(invalid("a 0-d tensor has no dims"));
  c.give(Arg(c.size(x, static_cast<size_t>(c.axis("dim", rank)))));
}
void sym_sizes(Call& c) {
  ListArg list;
  for (const IntArg& n : c.sizes(c.tensor("self"))) list.emplace_back(n);
  c.give(Arg(std::move(list)));
}
void sym_numel(Call& c) {
  const ValueId x = c.tensor("self");
  const Type& type = c.type_of(x);
  if (type.is_static()) return c.give(Arg::of_int(num_elements(*type.shape).value()));
  c.give(Arg(c.int_of(c.unary("Size", x))));
}
// Strides of a dense row-major tensor: what all of ours are.
void sym_stride(Call& c) {
  const ValueId x = c.tensor("self");
  const auto rank = static_cast<int64_t>(c.rank(x));
  const int64_t axis = c.axis("dim", static_cast<size_t>(rank));
  int64_t stride = 1;
  for (int64_t i = axis + 1; i < rank; ++i) stride *= c.known_dim(x, static_cast<size_t>(i));
  c.give(Arg::of_int(stride));
}
void dim(Call& c) { c.give(Arg::of_int(static_cast<int64_t>(c.rank(c.tensor("self"))))); }
void zero_offset(Call& c) { c.give(Arg::of_int(0)); }
void yes(Call& c) { c.give(Arg::of_bool(true)); }

// The number in a tensor of one element.
void item(Call& c) {
  ValueId x = c.tensor("self");
  const Tensor* constant = c.graph.constant(x);
  if (constant != nullptr && constant->elements() == 1 && constant->dtype() != DType::kBool) {
    Result<std::vector<double>> values = constant->to_doubles();
    if (values.ok() && kind_of(constant->dtype()) == TypeKind::kFloat)
      return c.give(Arg::of_float((*values)[0]));
  }
  if (c.rank(x) > 0) x = c.reshape(x, {});
  give_value(c, x);
}

void scalar_to_tensor(Call& c) { c.give(c.tensor("a")); }

}  // namespace

std::vector<RowText> scalar_rows() {
  return {
      {"add.int(Scalar a, Scalar b) -> Scalar", "Add", arithmetic},
      {"sub.int(Scalar a, Scalar b) -> Scalar", "Sub", arithmetic},
      {"mul.int(Scalar a, Scalar b) -> Scalar", "Mul", arithmetic},
      {"div.int(Scalar a, Scalar b) -> Scalar", "Div", true_div},
      {"floordiv.int(Scalar a, Scalar b) -> Scalar", "FloorDiv", arithmetic},
      {"remainder.int(Scalar a, Scalar b) -> Scalar", "Mod", arithmetic},
      {"pow.int(Scalar a, Scalar b) -> Scalar", "Pow", power},
      {"neg.int(Scalar a) -> Scalar", "Neg", negative},
      {"eq.int(Scalar a, Scalar b) -> bool", "Equal", comparison},
      {"ne.int(Scalar a, Scalar b) -> bool", "Not", comparison},
      {"lt.int(Scalar a, Scalar b) -> bool", "Less", comparison},
      {"le.int(Scalar a, Scalar b) -> bool", "LessOrEqual", comparison},
      {"gt.int(Scalar a, Scalar b) -> bool", "Greater", comparison},
      {"ge.int(Scalar a, Scalar b) -> bool", "GreaterOrEqual", comparison},
      {"sym_max(Scalar a, Scalar b) -> Scalar", "Max", arithmetic},
      {"sym_min(Scalar a, Scalar b) -> Scalar", "Min", arithmetic},
      {"prim::max.int(Scalar a, Scalar b) -> Scalar", "Max", arithmetic},
      {"prim::min.int(Scalar a, Scalar b) -> Scalar", "Min", arithmetic},
      {"sym_and(Scalar a, Scalar b) -> bool", "And", logic},
      {"sym_or(Scalar a, Scalar b) -> bool", "Or", logic},
      {"sym_not(Scalar a) -> bool", "Not", negation},
      {"sym_int(Scalar a) -> int", "Cast", to_int},
      {"sym_float(Scalar a) -> float", "Cast", to_float},
      {"sym_bool(Scalar a) -> bool", "Cast", to_bool},
      {"sym_sqrt(Scalar a) -> float", "Sqrt", square_root},
      {"Int(Scalar a) -> int", "Cast", to_int},
      {"Int.Tensor(Tensor a) -> int", "Cast", to_int},
      {"Float(Scalar a) -> float", "Cast", to_float},
      {"Float.Tensor(Tensor a) -> float", "Cast", to_float},
      {"Bool(Scalar a) -> bool", "Cast", to_bool},
      {"Bool.Tensor(Tensor a) -> bool", "Cast", to_bool},
      {"sqrt.int(Scalar a) -> float", "Sqrt", square_root},
      {"floor.int(Scalar a) -> int", "Floor", to_int},
      {"ceil.int(Scalar a) -> int", "Ceil", to_int},
      {"round.int(Scalar a) -> int", "Round", to_int},
      {"trunc.int(Scalar a) -> int", "Cast", to_int},
      {"prim::NumToTensor(Scalar a) -> Tensor", "constant", scalar_to_tensor},
      {"ScalarImplicit(Tensor self) -> Scalar", "none", item},
      {"IntImplicit(Tensor self) -> int", "none", item},
      {"FloatImplicit(Tensor self) -> float", "none", item},
      {"item(Tensor self) -> Scalar", "none", item},
      {"_local_scalar_dense(Tensor self) -> Scalar", "none", item},
      {"sym_size.int(Tensor self, int dim) -> int", "Shape, Gather", sym_size},
      {"sym_size(Tensor self) -> int[]", "Shape, Gather", sym_sizes},
      {"size.int(Tensor self, int dim) -> int", "Shape, Gather", sym_size},
      {"size(Tensor self) -> int[]", "Shape, Gather", sym_sizes},
      {"sym_numel(Tensor self) -> int", "Size", sym_numel},
      {"numel(Tensor self) -> int", "Size", sym_numel},
      {"sym_stride.int(Tensor self, int dim) -> int", "constant", sym_stride},
      {"sym_storage_offset(Tensor self) -> int", "constant", zero_offset},
      {"sym_is_contiguous(Tensor self, MemoryFormat memory_format=0) -> bool", "constant", yes},
      {"is_contiguous(Tensor self) -> bool", "constant", yes},
      {"dim(Tensor self) -> int", "constant", dim},
  };
}

}  // namespace mnn::torch
