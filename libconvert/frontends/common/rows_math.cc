// Arithmetic, reductions and Fourier transforms.
#include <algorithm>
#include <numbers>

#include "libconvert/frontends/common/rows.h"

namespace mnn::frontend {

ValueId floor_div(TensorNode& n) {
  if (is_float(n.dtype(0))) return n.emit("Floor", {n.emit("Div", {n.in(0), n.in(1)})});
  // Division truncates: what has a remainder of another sign than the divisor is one too high.
  const ValueId rest = n.emit("Mod", {n.in(0), n.in(1)});
  return n.emit("Div", {n.emit("Sub", {n.in(0), rest}), n.in(1)});
}

// x - floor(x / y) * y
ValueId floor_mod(TensorNode& n) {
  if (!is_float(n.dtype(0))) return n.emit("Mod", {n.in(0), n.in(1)});
  return n.emit("Sub", {n.in(0), n.emit("Mul", {floor_div(n), n.in(1)})});
}

// The angle of (x, y) from atan(y / x), by quadrant.
ValueId atan2(TensorNode& n) {
  const ValueId y = n.in(0), x = n.in(1);
  const auto number = [&](double v) { return n.add_scalar(v, n.dtype(0)); };
  const ValueId zero = number(0);
  constexpr double kPi = std::numbers::pi;
  const ValueId angle = n.emit("Atan", {n.emit("Div", {y, x})});
  const ValueId below = n.emit("Less", {y, zero});
  const ValueId turn = n.emit("Where", {below, number(-kPi), number(kPi)});
  const ValueId left = n.emit("Less", {x, zero});
  const ValueId half = n.emit("Where", {below, number(-kPi / 2), number(kPi / 2)});
  const ValueId on_axis = n.emit("Where", {n.emit("Equal", {y, zero}), zero, half});
  return n.emit("Where", {n.emit("Equal", {x, zero}), on_axis,
                          n.emit("Where", {left, n.emit("Add", {angle, turn}), angle})});
}

ValueId right_shift(TensorNode& n) {
  const DType dtype = n.dtype(0);
  if (dtype == DType::kU8 || dtype == DType::kU16 || dtype == DType::kU32) {
    return n.emit("BitShift", {n.in(0), n.in(1)}, {{"direction", std::string("RIGHT")}});
  }
  // Of signed numbers: division by a power of two that rounds down.
  const ValueId two = n.scalar_f32(2);
  const ValueId power = n.emit("Pow", {n.cast(two, DType::kF64), n.cast(n.in(1), DType::kF64)});
  const ValueId shifted = n.emit("Floor", {n.emit("Div", {n.cast(n.in(0), DType::kF64), power})});
  return n.cast(shifted, dtype);
}

ValueId not_equal(TensorNode& n) { return n.emit("Not", {n.emit("Equal", {n.in(0), n.in(1)})}); }

ValueId rsqrt(TensorNode& n) { return n.emit("Reciprocal", {n.emit("Sqrt", {n.in(0)})}); }

ValueId square(TensorNode& n) { return n.emit("Mul", {n.in(0), n.in(0)}); }

ValueId squared_difference(TensorNode& n) {
  const ValueId d = n.emit("Sub", {n.in(0), n.in(1)});
  return n.emit("Mul", {d, d});
}

namespace {

ValueId reduced_value(TensorNode& n, const char* op, ValueId x, bool keep) {
  // No axes: nothing is reduced.
  const auto axes = n.known_ints(1);
  if (axes && axes->empty()) return n.emit("Identity", {x});
  const ValueId over = axes ? n.add_ints(*axes) : n.shape_operand(1);
  return n.emit(op, {x, over}, {{"keepdims", int64_t{keep}}});
}

}  // namespace

ValueId reduced(TensorNode& n, const char* op, bool keep) {
  return reduced_value(n, op, n.in(0), keep);
}

ValueId reduced_bool(TensorNode& n, const char* op, bool keep) {
  return n.cast(reduced_value(n, op, n.cast(n.in(0), DType::kI32), keep), DType::kBool);
}

ValueId bucketize(TensorNode& n, std::span<const float> bounds) {
  const Tensor t = Tensor::of<float>({static_cast<int64_t>(bounds.size())}, bounds);
  const ValueId x =
      n.unsqueeze(n.cast(n.in(0), DType::kF32), {static_cast<int64_t>(n.need_rank(0))});
  const ValueId above = n.emit("GreaterOrEqual", {x, n.add_constant(t)});
  return n.emit("ReduceSum", {n.cast(above, DType::kI32), n.add_ints({-1})},
                {{"keepdims", int64_t{0}}});
}

void rfft(TensorNode& n, size_t axes) {
  const Ints length = n.need_ints(1, "the lengths");
  const size_t rank = n.need_rank(0);
  if (n.status.ok() && (length.size() != axes || rank < axes)) {
    return n.fail(
        invalid("expected " + std::to_string(axes) + " lengths and an input with as many axes"));
  }
  if (!n.status.ok()) return;
  // Rows are cut off or filled up to their lengths.
  ValueId x = n.in(0);
  const auto r = static_cast<int64_t>(rank), first = r - static_cast<int64_t>(axes);
  for (int64_t axis = first; axis < r; ++axis) {
    const int64_t want = length[static_cast<size_t>(axis - first)];
    const Dim have = n.dim(0, static_cast<size_t>(axis));
    if (want < 1) return n.fail(invalid("the length " + std::to_string(want) + " is not positive"));
    if (have.is(want)) continue;
    if (!have.known() || have.value() < want) {
      const int64_t missing = have.known() ? want - have.value() : want;
      x = n.emit("Pad", {x, n.add_ints({0, missing}), kNoValue, n.add_ints({axis})});
    }
    if (!have.known() || have.value() > want) {
      x = n.emit("Slice", {x, n.add_ints({0}), n.add_ints({want}), n.add_ints({axis})});
    }
  }
  x = n.unsqueeze(x, {r});
  x = n.emit("DFT", {x, kNoValue, n.scalar_i64(r - 1)}, {{"onesided", int64_t{1}}});
  for (int64_t axis = r - 2; axis >= first; --axis) {
    if (length[static_cast<size_t>(axis - first)] == 1) continue;
    x = n.emit("DFT", {x, kNoValue, n.scalar_i64(axis)});
  }
  n.results = {x};
}

ValueId complex_abs(TensorNode& n, ValueId x) {
  return n.emit("ReduceL2", {x, n.add_ints({-1})}, {{"keepdims", int64_t{0}}});
}

ValueId complex_part(TensorNode& n, ValueId x, bool imaginary) {
  return n.emit("Gather", {x, n.scalar_i64(imaginary ? 1 : 0)}, {{"axis", int64_t{-1}}});
}

}  // namespace mnn::frontend
