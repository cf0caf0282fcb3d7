// Comparison, logic, bits and selection, with NumPy broadcasting.
#include <cstring>

#include "libruntime/core/ops/broadcast.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/shape_math.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

constexpr TypeMask kStrings = mask_of(DType::kString);
constexpr TypeMask kBool = mask_of(DType::kBool);

// Calls f(out, a, b) with the offsets of every result element and of its operands.
template <typename F>
void for_each_pair(const Tensor& a, const Tensor& b, const Tensor& y, F f) {
  const std::vector<int64_t>* const operands[] = {&a.dims(), &b.dims()};
  BroadcastRows rows(y.dims(), operands);
  while (rows.next()) {
    for (int64_t i = 0; i < rows.count(); ++i) {
      f(rows.begin() + i, rows.offset(0) + i * rows.step(0), rows.offset(1) + i * rows.step(1));
    }
  }
}

template <TypeMask allowed>
Status infer_operands(OpContext& c, DType result) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, allowed));
  MNN_RETURN_IF_ERROR(expect_like(c, 1, 0));
  c.out[0].type.dtype = result == DType::kUndefined ? c.in[0].dtype : result;
  MNN_ASSIGN_OR_RETURN(c.out[0].type.shape, broadcast_inputs(c));
  return {};
}

template <TypeMask allowed, DimFn f>
Status infer_compare(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_operands<allowed>(c, DType::kBool));
  combine_inputs(c, f);
  return {};
}

Dim dim_greater(const Dim& a, const Dim& b) { return dim_less(b, a); }
Dim dim_greater_or_equal(const Dim& a, const Dim& b) { return dim_less_or_equal(b, a); }

template <typename Op>
Status compare(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor &a = *c.in[0], &b = *c.in[1];
  bool* const out = y->data<bool>();
  if (a.dtype() == DType::kString) {
    for_each_pair(a, b, *y, [&](int64_t o, int64_t i, int64_t j) {
      out[o] = Op()(a.string_values()[static_cast<size_t>(i)],
                    b.string_values()[static_cast<size_t>(j)]);
    });
    return {};
  }
  const bool done = dispatch_plain(a.dtype(), [&]<typename T>() {
    for_each_pair(a, b, *y, [&](int64_t o, int64_t i, int64_t j) {
      out[o] = Op()(load_as_compute(a.data<T>()[i]), load_as_compute(b.data<T>()[j]));
    });
  });
  return done ? Status() : no_kernel_for(c, a.dtype());
}

// Operators of two bools; a known operand may decide alone.
Dim dim_and(const Dim& a, const Dim& b) {
  if (a.is(0) || b.is(0)) return Dim(0);
  return a.is(1) && b.is(1) ? Dim(1) : Dim::unknown();
}
Dim dim_or(const Dim& a, const Dim& b) {
  if (a.is(1) || b.is(1)) return Dim(1);
  return a.is(0) && b.is(0) ? Dim(0) : Dim::unknown();
}
Dim dim_xor(const Dim& a, const Dim& b) {
  return a.known() && b.known() ? Dim(a.is(0) != b.is(0) ? 1 : 0) : Dim::unknown();
}

template <typename Op>
Status logic(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const bool *const a = c.in[0]->data<bool>(), *const b = c.in[1]->data<bool>();
  for_each_pair(*c.in[0], *c.in[1], *y,
                [&](int64_t o, int64_t i, int64_t j) { y->data<bool>()[o] = Op()(a[i], b[j]); });
  return {};
}

Status infer_bitwise(OpContext& c) { return infer_operands<kInts>(c, DType::kUndefined); }

template <typename Op>
Status map_bits(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor &a = *c.in[0], &b = *c.in[1];
  const bool done = dispatch_integer(a.dtype(), [&]<typename T>() {
    for_each_pair(a, b, *y, [&](int64_t o, int64_t i, int64_t j) {
      y->data<T>()[o] = static_cast<T>(Op()(a.data<T>()[i], b.data<T>()[j]));
    });
  });
  return done ? Status() : no_kernel_for(c, a.dtype());
}

// A shift by a negative number or by the whole width leaves the sign bits only.
struct ShiftLeft {
  template <typename T>
  T operator()(T value, T by) const {
    if (by < 0 || static_cast<uint64_t>(by) >= 8 * sizeof(T)) return T(0);
    return static_cast<T>(static_cast<uint64_t>(value) << static_cast<uint64_t>(by));
  }
};
struct ShiftRight {
  template <typename T>
  T operator()(T value, T by) const {
    if (by < 0 || static_cast<uint64_t>(by) >= 8 * sizeof(T)) {
      return value < 0 ? static_cast<T>(-1) : T(0);
    }
    return static_cast<T>(value >> by);
  }
};

Status infer_shift(OpContext& c) {
  const std::string direction = c.attr_string("direction");
  if (direction != "LEFT" && direction != "RIGHT") {
    return invalid("direction: expected LEFT or RIGHT, found " + direction);
  }
  return infer_bitwise(c);
}

Status shift(KernelContext& c) {
  return c.attr_string("direction") == "LEFT" ? map_bits<ShiftLeft>(c) : map_bits<ShiftRight>(c);
}

Status infer_where(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kBool));
  MNN_RETURN_IF_ERROR(expect_input(c, 1, ~TypeMask{0}));
  MNN_RETURN_IF_ERROR(expect_like(c, 2, 1));
  c.out[0].type.dtype = c.in[1].dtype;
  MNN_ASSIGN_OR_RETURN(c.out[0].type.shape, broadcast_inputs(c));
  const auto condition = shape_operand(c, 0), x = shape_operand(c, 1), y = shape_operand(c, 2);
  if (!condition || !x || !y) return {};
  // x and y side by side, then each element picks one of the two.
  auto first = [](const Dim& a, const Dim&) { return a; };
  auto second = [](const Dim&, const Dim& b) { return b; };
  const auto wide = combine_values(*x, *y, first);
  const auto other = combine_values(*x, *y, second);
  if (!wide || !other) return {};
  const auto conditions = combine_values(*condition, *wide, first);
  if (!conditions) return {};
  ShapeValues picked;
  for (size_t i = 0; i < conditions->size(); ++i) {
    const Dim& a = (*wide)[wide->size() == 1 ? 0 : i];
    const Dim& b = (*other)[other->size() == 1 ? 0 : i];
    const Dim& k = (*conditions)[i];
    picked.push_back(k.is(1) || a.same(b) ? a : k.is(0) ? b : Dim::unknown());
  }
  c.out[0].values = std::move(picked);
  return {};
}

Status where(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const out, c.make(0));
  const Tensor &condition = *c.in[0], &x = *c.in[1], &y = *c.in[2];
  const int bits = dtype_bits(x.dtype());
  const bool strings = x.dtype() == DType::kString;
  if (!strings && bits % 8 != 0) return no_kernel_for(c, x.dtype());
  const auto size = static_cast<int64_t>(bits / 8);
  const std::vector<int64_t>* const operands[] = {&condition.dims(), &x.dims(), &y.dims()};
  BroadcastRows rows(out->dims(), operands);
  while (rows.next()) {
    for (int64_t i = 0; i < rows.count(); ++i) {
      const bool first = condition.data<bool>()[rows.offset(0) + i * rows.step(0)];
      const Tensor& source = first ? x : y;
      const size_t operand = first ? 1 : 2;
      const int64_t from = rows.offset(operand) + i * rows.step(operand), to = rows.begin() + i;
      if (strings) {
        out->string_values()[static_cast<size_t>(to)] =
            source.string_values()[static_cast<size_t>(from)];
      } else {
        std::memcpy(out->raw() + to * size, source.raw() + from * size, static_cast<size_t>(size));
      }
    }
  }
  return {};
}

}  // namespace

std::vector<OpDef> define_compare() {
  constexpr InferFn bitwise = infer_bitwise;
  return {
      {"Equal",
       2,
       2,
       kElementwise,
       {},
       infer_compare<kPlain | kStrings, dim_equal>,
       compare<std::equal_to<>>},
      {"Greater",
       2,
       2,
       kElementwise,
       {},
       infer_compare<kNumbers, dim_greater>,
       compare<std::greater<>>},
      {"GreaterOrEqual",
       2,
       2,
       kElementwise,
       {},
       infer_compare<kNumbers, dim_greater_or_equal>,
       compare<std::greater_equal<>>},
      {"Less", 2, 2, kElementwise, {}, infer_compare<kNumbers, dim_less>, compare<std::less<>>},
      {"LessOrEqual",
       2,
       2,
       kElementwise,
       {},
       infer_compare<kNumbers, dim_less_or_equal>,
       compare<std::less_equal<>>},
      {"And", 2, 2, kElementwise, {}, infer_compare<kBool, dim_and>, logic<std::logical_and<>>},
      {"Or", 2, 2, kElementwise, {}, infer_compare<kBool, dim_or>, logic<std::logical_or<>>},
      {"Xor", 2, 2, kElementwise, {}, infer_compare<kBool, dim_xor>, logic<std::not_equal_to<>>},
      {"BitShift", 2, 2, kElementwise, {{"direction", "", true}}, infer_shift, shift},
      {"BitwiseAnd", 2, 2, kElementwise, {}, bitwise, map_bits<std::bit_and<>>},
      {"BitwiseOr", 2, 2, kElementwise, {}, bitwise, map_bits<std::bit_or<>>},
      {"BitwiseXor", 2, 2, kElementwise, {}, bitwise, map_bits<std::bit_xor<>>},
      with_gradient(
          where_gradient,
          {"Where", 3, 3, kElementwise | kMoves | index_inputs(0), {}, infer_where, where}),
  };
}

}  // namespace mnn
