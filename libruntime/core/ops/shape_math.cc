#include "libruntime/core/ops/shape_math.h"

namespace mnn {
namespace {

// 1 when a - b is at least `least` for sure, 0 when b - a is at least 1 - `least` for sure.
Dim decide(const Dim& a, const Dim& b, int64_t least) {
  if (at_least(a - b, least)) return Dim(1);
  if (at_least(b - a, 1 - least)) return Dim(0);
  return Dim::unknown();
}

}  // namespace

Dim dim_add(const Dim& a, const Dim& b) { return a + b; }
Dim dim_sub(const Dim& a, const Dim& b) { return a - b; }
Dim dim_mul(const Dim& a, const Dim& b) { return a * b; }

Dim dim_div(const Dim& a, const Dim& b) { return truncated_div(a, b); }
Dim dim_floor_mod(const Dim& a, const Dim& b) { return a - b * floor_div(a, b); }
Dim dim_truncated_mod(const Dim& a, const Dim& b) { return a - b * truncated_div(a, b); }
Dim dim_max(const Dim& a, const Dim& b) { return larger_of(a, b); }
Dim dim_min(const Dim& a, const Dim& b) { return smaller_of(a, b); }

Dim dim_equal(const Dim& a, const Dim& b) {
  if (a.same(b)) return Dim(1);
  if (decide(a, b, 1).is(1) || decide(b, a, 1).is(1)) return Dim(0);
  return Dim::unknown();
}

Dim dim_less(const Dim& a, const Dim& b) { return decide(b, a, 1); }
Dim dim_less_or_equal(const Dim& a, const Dim& b) { return decide(b, a, 0); }

std::optional<ShapeValues> shape_operand(const OpContext& c, size_t i) {
  if (!c.rank_known(i) || c.in[i].rank() > 1) return std::nullopt;
  const DType t = c.in[i].dtype;
  if (t != DType::kI64 && t != DType::kI32 && t != DType::kBool) return std::nullopt;
  return c.values(i);
}

std::optional<ShapeValues> combine_values(const ShapeValues& a, const ShapeValues& b, DimFn f) {
  if (a.size() != b.size() && a.size() != 1 && b.size() != 1) return std::nullopt;
  const size_t n = a.size() == 1 ? b.size() : a.size();
  ShapeValues out;
  out.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    out.push_back(f(a[a.size() == 1 ? 0 : i], b[b.size() == 1 ? 0 : i]));
  }
  return out;
}

void combine_inputs(OpContext& c, DimFn f) {
  std::optional<ShapeValues> all = shape_operand(c, 0);
  for (size_t i = 1; i < c.in.size() && all; ++i) {
    const std::optional<ShapeValues> next = shape_operand(c, i);
    if (!next) return;
    all = combine_values(*all, *next, f);
  }
  c.out[0].values = std::move(all);
}

}  // namespace mnn
