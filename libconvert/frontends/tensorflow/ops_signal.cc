// Fourier transforms and complex numbers: a last axis of two, real and imaginary.
#include "libconvert/frontends/tensorflow/op_map.h"

namespace mnn::tensorflow {
namespace {

ValueId pair_of(OpNode& n, ValueId real, ValueId imaginary) {
  const auto axis = static_cast<int64_t>(n.type_of(real).shape ? n.type_of(real).rank() : 0);
  return n.emit("Concat", {n.unsqueeze(real, {axis}), n.unsqueeze(imaginary, {axis})},
                {{"axis", int64_t{-1}}});
}

}  // namespace

// x, lengths
void convert_rfft(OpNode& n) {
  if (n.expect_inputs(2, 2)) rfft(n, n.op == "RFFT" ? 1 : 2);
}

// The half of a spectrum, the length of what it came from.
void convert_irfft(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const int64_t length = n.need_int(1, "the length");
  const size_t rank = n.need_rank(0);
  if (n.status.ok() && (rank < 2 || length < 1))
    n.fail(invalid("expected a spectrum and a length"));
  if (!n.status.ok()) return;
  const auto axis = static_cast<int64_t>(rank) - 2;
  const int64_t half = length / 2 + 1;
  ValueId x = n.in(0);
  const Dim have = n.dim(0, rank - 2);
  if (!have.known()) return n.fail(unsupported("a spectrum of open size is not supported"));
  const ValueId along = n.add_ints({axis});
  if (have.value() < half) {
    x = n.emit("Pad", {x, n.add_ints({0, half - have.value()}), kNoValue, along});
  } else if (have.value() > half) {
    x = n.emit("Slice", {x, n.add_ints({0}), n.add_ints({half}), along});
  }
  // The other half mirrors it, conjugated.
  const int64_t mirrored = length - half;
  if (mirrored > 0) {
    const ValueId back =
        n.emit("Slice", {x, n.add_ints({mirrored}), n.add_ints({0}), along, n.add_ints({-1})});
    const float signs[] = {1, -1};
    const ValueId conjugate = n.emit("Mul", {back, n.add_constant(Tensor::of<float>({2}, signs))});
    x = n.emit("Concat", {x, conjugate}, {{"axis", axis}});
  }
  const ValueId y = n.emit("DFT", {x, kNoValue, n.scalar_i64(axis)}, {{"inverse", int64_t{1}}});
  n.results = {complex_part(n, y, false)};
}

// FFT, IFFT along the last axis
void convert_fft(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const auto rank = static_cast<int64_t>(n.need_rank(0));
  if (n.status.ok() && rank < 2) return n.fail(invalid("expected a vector"));
  n.results = {n.emit("DFT", {n.in(0), kNoValue, n.scalar_i64(rank - 2)},
                      {{"inverse", int64_t{n.op == "IFFT"}}})};
}

void convert_complex_abs(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {complex_abs(n, n.in(0))};
}

// Real, Imag
void convert_complex_part(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {complex_part(n, n.in(0), n.op == "Imag")};
}

// real, imaginary
void convert_complex(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  ValueId real = n.in(0), imaginary = n.in(1);
  const auto a = n.known_dims_of(real), b = n.known_dims_of(imaginary);
  if (!a || a != b) {
    real = n.emit("Expand", {real, n.emit("Shape", {imaginary})});
    imaginary = n.emit("Expand", {imaginary, n.emit("Shape", {real})});
  }
  if (n.status.ok()) n.results = {pair_of(n, real, imaginary)};
}

// x, y, of complex numbers too
void convert_mul(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  if (!n.is_complex()) {
    n.results = {n.emit("Mul", {n.in(0), n.in(1)})};
    return;
  }
  const ValueId a = complex_part(n, n.in(0), false), b = complex_part(n, n.in(0), true);
  const ValueId c = complex_part(n, n.in(1), false), d = complex_part(n, n.in(1), true);
  const ValueId real = n.emit("Sub", {n.emit("Mul", {a, c}), n.emit("Mul", {b, d})});
  const ValueId imaginary = n.emit("Add", {n.emit("Mul", {a, d}), n.emit("Mul", {b, c})});
  if (n.status.ok()) n.results = {pair_of(n, real, imaginary)};
}

// e^x, of complex numbers too
void convert_exp(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  if (!n.is_complex()) {
    n.results = {n.emit("Exp", {n.in(0)})};
    return;
  }
  const ValueId size = n.emit("Exp", {complex_part(n, n.in(0), false)});
  const ValueId angle = complex_part(n, n.in(0), true);
  const ValueId real = n.emit("Mul", {size, n.emit("Cos", {angle})});
  const ValueId imaginary = n.emit("Mul", {size, n.emit("Sin", {angle})});
  if (n.status.ok()) n.results = {pair_of(n, real, imaginary)};
}

void convert_angle(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId x = n.in(0);
  const ValueId imaginary = complex_part(n, x, true), real = complex_part(n, x, false);
  n.inputs = {imaginary, real};
  if (n.status.ok()) n.results = {atan2(n)};
}

void convert_conj(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const float signs[] = {1, -1};
  n.results = {n.emit("Mul", {n.in(0), n.add_constant(Tensor::of<float>({2}, signs))})};
}

}  // namespace mnn::tensorflow
