// Constant factors and offsets that follow each other become one. Only after activations are found:
// their formulas are made of such factors.
#include <algorithm>
#include <cmath>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"

namespace mnn {
namespace {

bool is_f32(const Match& m, std::string_view name) {
  return is_tensor_of(m.graph, m.at(name), DType::kF32);
}

// a * b of two f32 constants one of which has one element; its dims are those x op a op b needs.
std::optional<Tensor> combined(const Tensor& a, const Tensor& b, double (*f)(double, double)) {
  if (a.dtype() != DType::kF32 || b.dtype() != DType::kF32) return std::nullopt;
  if (a.dims() != b.dims() && a.elements() != 1 && b.elements() != 1) return std::nullopt;
  const bool by_a = a.elements() > 1 || (b.elements() == 1 && a.rank() >= b.rank());
  std::vector<int64_t> dims = (by_a ? a : b).dims();
  while (dims.size() < std::max(a.rank(), b.rank())) dims.insert(dims.begin(), 1);
  const auto count = static_cast<size_t>((by_a ? a : b).elements());
  std::vector<double> values(count);
  for (size_t i = 0; i < count; ++i) {
    const double x = a.data<float>()[a.elements() == 1 ? 0 : i];
    const double y = b.data<float>()[b.elements() == 1 ? 0 : i];
    values[i] = f(x, y);
    // A factor that underflows, or offsets that cancel (x + big - big rounds x), are not merged.
    const auto rounded = static_cast<float>(values[i]);
    if (!std::isfinite(rounded)) return std::nullopt;
    if (rounded == 0 ? x != 0 || y != 0 : !std::isnormal(rounded)) return std::nullopt;
  }
  return to_f32(values, dims);
}

double product(double a, double b) { return a * b; }
double ratio(double a, double b) { return a / b; }
double sum(double a, double b) {
  const double s = a + b;
  return std::abs(s) < 0.5 * std::max(std::abs(a), std::abs(b)) ? std::nan("") : s;
}

std::vector<Rule> chain_rules() {
  std::vector<Rule> rules;
  auto merge = [&](const char* name, const char* outer, const char* inner, const char* result,
                   double (*f)(double, double), bool swap) {
    auto side = [](const char* op_type, Pattern data, const char* c) {
      Pattern p = op(op_type, {std::move(data), constant(c)});
      return std::string_view(op_type) == "Div" ? p : commutative(p);
    };
    rules.push_back({name, side(outer, side(inner, any("x"), "a"), "b"),
                     [f, swap, result](Builder& b, const Match& m) {
                       const Tensor &s = *m.constant(swap ? "b" : "a"),
                                    &t = *m.constant(swap ? "a" : "b");
                       const std::optional<Tensor> c = combined(s, t, f);
                       return c ? b.op(result, {m.at("x"), b.constant(*c)}) : kNoValue;
                     },
                     [](const Match& m) { return is_f32(m, "x"); }});
  };
  merge("MulOfMul", "Mul", "Mul", "Mul", product, false);
  merge("DivOfDiv", "Div", "Div", "Div", product, false);
  merge("MulOfDiv", "Mul", "Div", "Mul", ratio, true);
  merge("DivOfMul", "Div", "Mul", "Mul", ratio, false);
  merge("AddOfAdd", "Add", "Add", "Add", sum, false);

  // (x * a + b) * c: the outer factor moves in, two multiplications become one.
  rules.push_back(
      {"MulAddMul",
       commutative(op(
           "Mul", {commutative(op(
                       "Add", {commutative(op("Mul", {any("x"), constant("a")})), constant("b")})),
                   constant("c")})),
       [](Builder& b, const Match& m) {
         const Tensor& c = *m.constant("c");
         const std::optional<Tensor> factor = combined(*m.constant("a"), c, product);
         const std::optional<Tensor> offset = combined(*m.constant("b"), c, product);
         if (!factor || !offset) return kNoValue;
         const ValueId scaled = b.op("Mul", {m.at("x"), b.constant(*factor)});
         return b.op("Add", {scaled, b.constant(*offset)});
       },
       [](const Match& m) {
         return is_f32(m, "x") && m.constant("a")->elements() == 1 &&
                m.constant("b")->elements() == 1 && m.constant("c")->elements() == 1;
       }});
  return rules;
}

}  // namespace

Result<int> merge_chains(Graph& graph) {
  static const std::vector<Rule> rules = chain_rules();
  return apply_counted(graph, rules);
}

}  // namespace mnn
