// Operators of TorchScript's code on numbers and on what is known of tensors.
#include <cmath>

#include "libconvert/frontends/torch/script_operators.h"

namespace mnn::torch {
namespace {

using NumberKind = SymbolicNumber::Kind;

bool is_number(const ScriptValue& v) {
  return as<int64_t>(v) != nullptr || as<double>(v) != nullptr || as<bool>(v) != nullptr ||
         as<SymbolicNumber>(v) != nullptr;
}
bool is_real(const ScriptValue& v) {
  const auto* symbolic = as<SymbolicNumber>(v);
  return as<double>(v) != nullptr || (symbolic != nullptr && symbolic->kind == NumberKind::kFloat);
}
bool is_known(const ScriptValue& v) { return as<SymbolicNumber>(v) == nullptr; }
double real_of(const ScriptValue& v) {
  if (const auto* number = as<int64_t>(v)) return static_cast<double>(*number);
  if (const auto* flag = as<bool>(v)) return *flag ? 1 : 0;
  const auto* number = as<double>(v);
  return number != nullptr ? *number : 0;
}
int64_t int_of(const ScriptValue& v) {
  if (const auto* number = as<int64_t>(v)) return *number;
  return static_cast<int64_t>(real_of(v));
}

// The operator of the table on 0-d tensors.
Result<bool> on_graph(ScriptCall& call, const std::string& op, NumberKind kind) {
  std::vector<ScriptValue> args;
  for (const ScriptValue& arg : call.args) {
    const auto* symbolic = as<SymbolicNumber>(arg);
    args.push_back(symbolic != nullptr ? ScriptValue(symbolic->tensor) : arg);
  }
  // Rows take a tensor first.
  if (!args.empty() && as<TensorRef>(args[0]) == nullptr) {
    const Tensor scalar = is_real(args[0])
                              ? Tensor::scalar<float>(static_cast<float>(real_of(args[0])))
                              : Tensor::scalar<int64_t>(int_of(args[0]));
    args[0] = call.interpreter.add_constant(scalar);
  }
  MNN_ASSIGN_OR_RETURN(const ScriptValue made,
                       call.interpreter.call_operator(op, std::move(args), {}));
  if (as<TensorRef>(made) == nullptr) {
    call.result = made;
    return true;
  }
  MNN_ASSIGN_OR_RETURN(call.result, call.interpreter.number_from(made, kind));
  return true;
}

struct Arithmetic {
  std::optional<int64_t> (*ints)(int64_t a, int64_t b);  // null: the result is a float
  double (*reals)(double a, double b);
  const char* op;  // of the table
};

std::optional<int64_t> add(int64_t a, int64_t b) {
  int64_t c = 0;
  return __builtin_add_overflow(a, b, &c) ? std::nullopt : std::optional(c);
}
std::optional<int64_t> sub(int64_t a, int64_t b) {
  int64_t c = 0;
  return __builtin_sub_overflow(a, b, &c) ? std::nullopt : std::optional(c);
}
std::optional<int64_t> mul(int64_t a, int64_t b) {
  int64_t c = 0;
  return __builtin_mul_overflow(a, b, &c) ? std::nullopt : std::optional(c);
}
std::optional<int64_t> floordiv(int64_t a, int64_t b) {
  if (b == 0 || (a == INT64_MIN && b == -1)) return std::nullopt;
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}
std::optional<int64_t> modulo(int64_t a, int64_t b) {
  if (b == 0) return std::nullopt;
  if (b == -1) return 0;
  const int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
double real_modulo(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
constexpr Arithmetic kAdd{add, [](double a, double b) { return a + b; }, "aten::add"};
constexpr Arithmetic kSub{sub, [](double a, double b) { return a - b; }, "aten::sub"};
constexpr Arithmetic kMul{mul, [](double a, double b) { return a * b; }, "aten::mul"};
constexpr Arithmetic kDiv{nullptr, [](double a, double b) { return a / b; }, "aten::div"};
constexpr Arithmetic kFloorDiv{floordiv, [](double a, double b) { return std::floor(a / b); },
                               "aten::floor_divide"};
constexpr Arithmetic kRemainder{modulo, real_modulo, "aten::remainder"};
constexpr Arithmetic kMin{[](int64_t a, int64_t b) { return std::optional(std::min(a, b)); },
                          [](double a, double b) { return std::min(a, b); }, "aten::minimum"};
constexpr Arithmetic kMax{[](int64_t a, int64_t b) { return std::optional(std::max(a, b)); },
                          [](double a, double b) { return std::max(a, b); }, "aten::maximum"};

template <const Arithmetic& How>
Result<bool> arithmetic(ScriptCall& call) {
  if (call.args.size() != 2 || !is_number(call.args[0]) || !is_number(call.args[1])) return false;
  const ScriptValue &a = call.args[0], &b = call.args[1];
  const bool real = How.ints == nullptr || is_real(a) || is_real(b);
  if (!is_known(a) || !is_known(b)) {
    return on_graph(call, How.op, real ? NumberKind::kFloat : NumberKind::kInt);
  }
  if (real) {
    call.result = How.reals(real_of(a), real_of(b));
    return true;
  }
  const std::optional<int64_t> value = How.ints(int_of(a), int_of(b));
  if (!value) return invalid("integer arithmetic overflows or divides by zero");
  call.result = *value;
  return true;
}

Result<bool> power(ScriptCall& call) {
  if (call.args.size() != 2 || !is_number(call.args[0]) || !is_number(call.args[1])) return false;
  const ScriptValue &a = call.args[0], &b = call.args[1];
  const bool real = is_real(a) || is_real(b) || (is_known(b) && int_of(b) < 0);
  if (!is_known(a) || !is_known(b)) {
    return on_graph(call, "aten::pow", real ? NumberKind::kFloat : NumberKind::kInt);
  }
  const double value = std::pow(real_of(a), real_of(b));
  call.result = real ? ScriptValue(value) : ScriptValue(static_cast<int64_t>(value));
  return true;
}

Result<bool> negate(ScriptCall& call) {
  if (call.args.size() != 1 || !is_number(call.args[0])) return false;
  const ScriptValue& a = call.args[0];
  if (!is_known(a))
    return on_graph(call, "aten::neg", is_real(a) ? NumberKind::kFloat : NumberKind::kInt);
  call.result = is_real(a) ? ScriptValue(-real_of(a)) : ScriptValue(-int_of(a));
  return true;
}

enum class Order : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe };

template <typename T>
bool compare(Order order, const T& a, const T& b) {
  switch (order) {
    case Order::kEq: return a == b;
    case Order::kNe: return a != b;
    case Order::kLt: return a < b;
    case Order::kLe: return a <= b;
    case Order::kGt: return a > b;
    case Order::kGe: return a >= b;
  }
  return false;
}

// What holds for all sizes, where it can be told.
std::optional<bool> compare_dims(Order order, const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return compare(order, a.value(), b.value());
  const Dim difference = a - b;
  const bool below = at_least(-difference, 1), above = at_least(difference, 1);
  const bool at_most = at_least(-difference, 0), no_less = at_least(difference, 0);
  switch (order) {
    case Order::kEq:
    case Order::kNe:
      if (a.same(b)) return order == Order::kEq;
      if (below || above) return order == Order::kNe;
      return std::nullopt;
    case Order::kLt:
      return below ? std::optional(true) : no_less ? std::optional(false) : std::nullopt;
    case Order::kLe:
      return at_most ? std::optional(true) : above ? std::optional(false) : std::nullopt;
    case Order::kGt:
      return above ? std::optional(true) : at_most ? std::optional(false) : std::nullopt;
    case Order::kGe:
      return no_less ? std::optional(true) : below ? std::optional(false) : std::nullopt;
  }
  return std::nullopt;
}

template <Order O>
const char* order_name() {
  constexpr const char* kNames[] = {"aten::eq", "aten::ne", "aten::lt",
                                    "aten::le", "aten::gt", "aten::ge"};
  return kNames[static_cast<int>(O)];
}

template <Order O>
Result<bool> comparison(ScriptCall& call);

// Whether lists of numbers are equal, as a number that a run computes.
template <Order O>
Result<bool> compare_lists(ScriptCall& call) {
  const auto *a = as<ListValue*>(call.args[0]), *b = as<ListValue*>(call.args[1]);
  const Status unknown = unsupported("a comparison of lists that depends on the input");
  if (a == nullptr || b == nullptr || (*a)->items.size() != (*b)->items.size()) return unknown;
  const std::string op = O == Order::kEq ? "aten::bitwise_and" : "aten::bitwise_or";
  std::optional<ScriptValue> all;
  for (size_t i = 0; i < (*a)->items.size(); ++i) {
    std::vector<ScriptValue> args = {(*a)->items[i], (*b)->items[i]};
    if (!is_number(args[0]) || !is_number(args[1])) return unknown;
    std::vector<std::pair<std::string, ScriptValue>> none;
    ScriptCall pair{call.interpreter, args, none};
    MNN_RETURN_IF_ERROR(comparison<O>(pair).status());
    if (as<bool>(pair.result) != nullptr) continue;  // of equal ones: it decides nothing
    if (all) {
      MNN_ASSIGN_OR_RETURN(const ScriptValue both,
                           call.interpreter.call_operator(op, {*all, pair.result}, {}));
      if (as<TensorRef>(both) == nullptr) return unknown;
      MNN_ASSIGN_OR_RETURN(all, call.interpreter.number_from(both, NumberKind::kBool));
    } else {
      all = pair.result;
    }
  }
  if (!all) return unknown;
  call.result = *all;
  return true;
}

template <Order O>
Result<bool> comparison(ScriptCall& call) {
  if (call.args.size() != 2) return false;
  const ScriptValue &a = call.args[0], &b = call.args[1];
  if (is_number(a) && is_number(b)) {
    if (is_known(a) && is_known(b)) {
      call.result = is_real(a) || is_real(b) ? compare(O, real_of(a), real_of(b))
                                             : compare(O, int_of(a), int_of(b));
      return true;
    }
    const std::optional<Dim> x = call.interpreter.dim_of(a), y = call.interpreter.dim_of(b);
    const std::optional<bool> known = x && y ? compare_dims(O, *x, *y) : std::nullopt;
    if (!known) return on_graph(call, order_name<O>(), NumberKind::kBool);
    call.result = *known;
    return true;
  }
  if (as<TensorRef>(a) != nullptr || as<TensorRef>(b) != nullptr) return false;
  if (const auto* s = as<std::string>(a), *t = as<std::string>(b); s != nullptr && t != nullptr) {
    call.result = compare(O, *s, *t);
    return true;
  }
  if (O != Order::kEq && O != Order::kNe) return false;
  MNN_ASSIGN_OR_RETURN(const std::optional<bool> equal, equal_values(call.interpreter, a, b));
  if (!equal) return compare_lists<O>(call);
  call.result = *equal == (O == Order::kEq);
  return true;
}

template <NumberKind To>
Result<bool> to_number(ScriptCall& call) {
  if (call.args.size() != 1) return false;
  const ScriptValue& a = call.args[0];
  if (as<TensorRef>(a) != nullptr || !is_known(a)) {
    MNN_ASSIGN_OR_RETURN(call.result, call.interpreter.number_from(a, To));
    return true;
  }
  if (const auto* text = as<std::string>(a)) {
    char* end = nullptr;
    const double value = std::strtod(text->c_str(), &end);
    if (text->empty() || *end != '\0') return invalid("'" + *text + "' is no number");
    call.result =
        To == NumberKind::kFloat ? ScriptValue(value) : ScriptValue(static_cast<int64_t>(value));
    return true;
  }
  if (!is_number(a)) return invalid("expected a number, found " + kind_of(a));
  switch (To) {
    case NumberKind::kFloat: call.result = real_of(a); break;
    case NumberKind::kBool: call.result = real_of(a) != 0; break;
    case NumberKind::kInt:
      if (is_real(a) && !(std::abs(real_of(a)) < 9.2e18)) return invalid("no integer");
      call.result = int_of(a);
      break;
  }
  return true;
}

// The number in a tensor, of the type its elements have.
Result<bool> item(ScriptCall& call) {
  if (call.args.size() != 1) return false;
  const auto* tensor = as<TensorRef>(call.args[0]);
  if (tensor == nullptr) {
    call.result = call.args[0];
    return is_number(call.args[0]);
  }
  MNN_ASSIGN_OR_RETURN(const TensorArg arg, call.interpreter.read(*tensor));
  const DType dtype = call.interpreter.type_of(arg).dtype;
  const NumberKind kind = dtype == DType::kBool ? NumberKind::kBool
                          : is_float(dtype)     ? NumberKind::kFloat
                                                : NumberKind::kInt;
  MNN_ASSIGN_OR_RETURN(call.result, call.interpreter.number_from(call.args[0], kind));
  return true;
}

Result<bool> to_tensor(ScriptCall& call) {
  if (call.args.empty() || !is_number(call.args[0])) return false;
  const ScriptValue& a = call.args[0];
  if (const auto* symbolic = as<SymbolicNumber>(a)) {
    call.result = symbolic->tensor;
  } else if (const auto* real = as<double>(a)) {
    // As a Python number it does not widen what it is combined with; a 0-d f32 is near enough to
    // what torch makes of it in an operator on f32.
    call.result = call.interpreter.add_constant(Tensor::scalar<double>(*real));
  } else if (const auto* flag = as<bool>(a)) {
    call.result = call.interpreter.add_constant(Tensor::scalar<bool>(*flag));
  } else {
    call.result = call.interpreter.add_constant(Tensor::scalar<int64_t>(int_of(a)));
  }
  return true;
}

template <double (*F)(double)>
Result<bool> real_function(ScriptCall& call) {
  if (call.args.size() != 1 || !is_number(call.args[0]) || !is_known(call.args[0])) return false;
  call.result = F(real_of(call.args[0]));
  return true;
}
template <double (*F)(double)>
Result<bool> rounding(ScriptCall& call) {
  if (call.args.size() != 1 || !is_number(call.args[0])) return false;
  if (!is_known(call.args[0])) {
    const char* op = F(0.5) == 0 ? "aten::floor" : "aten::ceil";
    MNN_RETURN_IF_ERROR(on_graph(call, op, NumberKind::kFloat).status());
    if (as<SymbolicNumber>(call.result) == nullptr) return true;
    MNN_ASSIGN_OR_RETURN(call.result, call.interpreter.number_from(call.result, NumberKind::kInt));
    return true;
  }
  call.result = static_cast<int64_t>(F(real_of(call.args[0])));
  return true;
}

double sqrt_of(double x) { return std::sqrt(x); }
double log_of(double x) { return std::log(x); }
double exp_of(double x) { return std::exp(x); }
double floor_of(double x) { return std::floor(x); }
double ceil_of(double x) { return std::ceil(x); }

Result<bool> dim(ScriptCall& call) {
  if (call.args.size() != 1 || as<TensorRef>(call.args[0]) == nullptr) return false;
  MNN_ASSIGN_OR_RETURN(const std::optional<Shape> shape, call.interpreter.shape_of(call.args[0]));
  if (!shape) {
    MNN_ASSIGN_OR_RETURN(const TensorArg arg, call.interpreter.read(*as<TensorRef>(call.args[0])));
    const std::string* input = call.interpreter.input_of(arg.id);
    return unsupported("the rank of " + (input == nullptr ? "a tensor" : "input " + *input) +
                       " is not known");
  }
  call.result = static_cast<int64_t>(shape->size());
  return true;
}

Result<bool> size(ScriptCall& call) {
  if (call.args.empty() || as<TensorRef>(call.args[0]) == nullptr) return false;
  if (call.args.size() == 2) {
    const auto* axis = as<int64_t>(call.args[1]);
    if (axis == nullptr) return unsupported("the size of an axis that is not known");
    MNN_ASSIGN_OR_RETURN(call.result, call.interpreter.size_of(call.args[0], *axis));
    return true;
  }
  ScriptCall rank{call.interpreter, call.args, call.keywords};
  MNN_RETURN_IF_ERROR(dim(rank).status());
  std::vector<ScriptValue> sizes;
  for (int64_t axis = 0; axis < *as<int64_t>(rank.result); ++axis) {
    MNN_ASSIGN_OR_RETURN(ScriptValue one, call.interpreter.size_of(call.args[0], axis));
    sizes.push_back(std::move(one));
  }
  call.result = call.interpreter.add_list(std::move(sizes));
  return true;
}

Result<bool> numel(ScriptCall& call) {
  MNN_ASSIGN_OR_RETURN(const bool known, size(call));
  if (!known) return false;
  const std::vector<ScriptValue> sizes = (*as<ListValue*>(call.result))->items;
  ScriptValue product = int64_t{1};
  for (const ScriptValue& one : sizes) {
    std::vector<ScriptValue> args{product, one};
    ScriptCall times{call.interpreter, args, call.keywords};
    MNN_RETURN_IF_ERROR(arithmetic<kMul>(times).status());
    product = times.result;
  }
  call.result = product;
  return true;
}

Result<bool> dtype(ScriptCall& call) {
  if (call.args.size() != 1 || as<TensorRef>(call.args[0]) == nullptr) return false;
  MNN_ASSIGN_OR_RETURN(const TensorArg arg, call.interpreter.read(*as<TensorRef>(call.args[0])));
  DType type = call.interpreter.type_of(arg).dtype;
  if (arg.complex) type = DType::kC64;
  constexpr int64_t kTypes = 64;
  for (int64_t number = 0; number < kTypes; ++number) {
    if (dtype_of_scalar_type(number) != type) continue;
    call.result = number;
    return true;
  }
  return unsupported("the number of the type " + std::string(dtype_name(type)));
}

template <bool (*Test)(DType)>
Result<bool> of_dtype(ScriptCall& call) {
  if (call.args.size() != 1 || as<TensorRef>(call.args[0]) == nullptr) return false;
  MNN_ASSIGN_OR_RETURN(const TensorArg arg, call.interpreter.read(*as<TensorRef>(call.args[0])));
  call.result = !arg.complex && Test(call.interpreter.type_of(arg).dtype);
  return true;
}

Result<bool> is_complex(ScriptCall& call) {
  if (call.args.size() != 1 || as<TensorRef>(call.args[0]) == nullptr) return false;
  MNN_ASSIGN_OR_RETURN(const TensorArg arg, call.interpreter.read(*as<TensorRef>(call.args[0])));
  call.result = arg.complex;
  return true;
}

Result<bool> logical_not(ScriptCall& call) {
  if (call.args.size() != 1 || as<TensorRef>(call.args[0]) != nullptr) return false;
  MNN_ASSIGN_OR_RETURN(const std::optional<bool> value, call.interpreter.truth(call.args[0]));
  if (!value) return on_graph(call, "aten::logical_not", NumberKind::kBool);
  call.result = !*value;
  return true;
}

template <bool And>
Result<bool> logical(ScriptCall& call) {
  if (call.args.size() != 2) return false;
  const auto bools = [](const ScriptValue& v) {
    const auto* symbolic = as<SymbolicNumber>(v);
    return as<bool>(v) != nullptr || (symbolic != nullptr && symbolic->kind == NumberKind::kBool);
  };
  if (!bools(call.args[0]) || !bools(call.args[1])) return false;
  for (size_t i = 0; i < 2; ++i) {
    MNN_ASSIGN_OR_RETURN(const std::optional<bool> value, call.interpreter.truth(call.args[i]));
    if (!value) continue;
    // One of them decides, or is of no account.
    call.result = *value == And ? call.args[1 - i] : ScriptValue(!And);
    return true;
  }
  return on_graph(call, And ? "aten::logical_and" : "aten::logical_or", NumberKind::kBool);
}

// The number of rounds of range(begin, end, step), and the value in a round.
Result<bool> range_length(ScriptCall& call) {
  if (call.args.size() != 3) return false;
  for (const ScriptValue& arg : call.args) {
    if (as<int64_t>(arg) == nullptr) {
      if (!is_number(arg)) return invalid("a range of " + kind_of(arg));
      return symbolic_range(call);
    }
  }
  const int64_t begin = int_of(call.args[0]), end = int_of(call.args[1]),
                step = int_of(call.args[2]);
  if (step == 0) return invalid("a range with a step of 0");
  const std::optional<int64_t> reach = step > 0 ? sub(end, begin) : sub(begin, end);
  if (!reach || step == INT64_MIN) return invalid("integer arithmetic overflows");
  const int64_t stride = step > 0 ? step : -step;
  call.result = *reach <= 0 ? int64_t{0} : (*reach - 1) / stride + 1;
  return true;
}

Result<bool> derive_index(ScriptCall& call) {
  if (call.args.size() != 3) return false;
  std::vector<ScriptValue> product{call.args[0], call.args[2]};
  ScriptCall times{call.interpreter, product, call.keywords};
  MNN_RETURN_IF_ERROR(arithmetic<kMul>(times).status());
  std::vector<ScriptValue> sum{call.args[1], times.result};
  ScriptCall plus{call.interpreter, sum, call.keywords};
  MNN_RETURN_IF_ERROR(arithmetic<kAdd>(plus).status());
  call.result = plus.result;
  return true;
}

}  // namespace

// ceil((end - begin) / step) of a positive step.
Result<bool> symbolic_range(ScriptCall& call) {
  const auto* step = as<int64_t>(call.args[2]);
  if (step == nullptr || *step <= 0) return unsupported("a range whose step is not known");
  const auto combine = [&](auto how, const ScriptValue& a, const ScriptValue& b) {
    std::vector<ScriptValue> args{a, b};
    ScriptCall inner{call.interpreter, args, call.keywords};
    const Result<bool> done = how(inner);
    return done.ok() ? Result<ScriptValue>(inner.result) : done.status();
  };
  MNN_ASSIGN_OR_RETURN(ScriptValue reach, combine(arithmetic<kSub>, call.args[1], call.args[0]));
  MNN_ASSIGN_OR_RETURN(reach, combine(arithmetic<kAdd>, reach, ScriptValue(*step - 1)));
  MNN_ASSIGN_OR_RETURN(call.result, combine(arithmetic<kFloorDiv>, reach, call.args[2]));
  return true;
}

const std::map<std::string_view, ScriptOperator>& number_operators() {
  static const std::map<std::string_view, ScriptOperator> table = {
      {"aten::add", arithmetic<kAdd>},
      {"aten::sub", arithmetic<kSub>},
      {"aten::mul", arithmetic<kMul>},
      {"aten::div", arithmetic<kDiv>},
      {"aten::floordiv", arithmetic<kFloorDiv>},
      {"aten::floor_divide", arithmetic<kFloorDiv>},
      {"aten::remainder", arithmetic<kRemainder>},
      {"prim::min", arithmetic<kMin>},
      {"prim::max", arithmetic<kMax>},
      {"aten::pow", power},
      {"aten::neg", negate},
      {"aten::eq", comparison<Order::kEq>},
      {"aten::ne", comparison<Order::kNe>},
      {"aten::lt", comparison<Order::kLt>},
      {"aten::le", comparison<Order::kLe>},
      {"aten::gt", comparison<Order::kGt>},
      {"aten::ge", comparison<Order::kGe>},
      {"aten::__not__", logical_not},
      {"aten::__and__", logical<true>},
      {"aten::__or__", logical<false>},
      {"aten::Int", to_number<NumberKind::kInt>},
      {"aten::Float", to_number<NumberKind::kFloat>},
      {"aten::Bool", to_number<NumberKind::kBool>},
      {"aten::IntImplicit", to_number<NumberKind::kInt>},
      {"aten::FloatImplicit", to_number<NumberKind::kFloat>},
      {"aten::ScalarImplicit", item},
      {"aten::item", item},
      {"builtin::int", to_number<NumberKind::kInt>},
      {"builtin::float", to_number<NumberKind::kFloat>},
      {"builtin::bool", to_number<NumberKind::kBool>},
      {"prim::NumToTensor", to_tensor},
      {"aten::scalar_tensor", to_tensor},
      {"aten::sqrt", real_function<sqrt_of>},
      {"aten::log", real_function<log_of>},
      {"aten::exp", real_function<exp_of>},
      {"aten::floor", rounding<floor_of>},
      {"aten::ceil", rounding<ceil_of>},
      {"aten::dim", dim},
      {"aten::size", size},
      {"prim::shape", size},
      {"aten::numel", numel},
      {"prim::dtype", dtype},
      {"aten::is_floating_point", of_dtype<is_float>},
      {"aten::is_complex", is_complex},
      {"aten::__range_length", range_length},
      {"aten::__derive_index", derive_index},
  };
  return table;
}

}  // namespace mnn::torch
