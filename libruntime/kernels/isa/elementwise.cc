// Elementwise kernels.
#include "libruntime/kernels/isa/bytes.h"
#include "libruntime/kernels/isa/map.h"
#include "libruntime/kernels/isa/simd_math2.h"
#include "libruntime/kernels/isa/vector_parts.h"

namespace mnn::MNN_ISA {
namespace {

template <float (*F)(float, float)>
void map1_scalar(const float* x, float* y, int64_t n, float a, float) {
  for (int64_t i = 0; i < n; ++i) y[i] = F(x[i], a);
}

static MNN_INLINE VF relu(VF x, VF, VF) { return vmax(VF{}, x); }
static MNN_INLINE VF clip(VF x, VF a, VF b) { return vmin(b, vmax(a, x)); }
static MNN_INLINE VF leaky_relu(VF x, VF a, VF) { return x < 0.0f ? x * a : x; }
static MNN_INLINE VF thresholded_relu(VF x, VF a, VF) { return x > a ? x : VF{}; }
static MNN_INLINE VF elu(VF x, VF a, VF) { return x < 0.0f ? a * vexpm1(vmin(x, VF{})) : x; }
static MNN_INLINE VF selu(VF x, VF a, VF b) {
  return b * (x > 0.0f ? x : a * vexpm1(vmin(VF{}, x)));
}
static MNN_INLINE VF celu(VF x, VF a, VF) { return x > 0.0f ? x : a * vexpm1(vmin(VF{}, x / a)); }
static MNN_INLINE VF hard_sigmoid(VF x, VF a, VF b) {
  return vmin(splat(1.0f), vmax(VF{}, x * a + b));
}
static MNN_INLINE VF hard_swish(VF x, VF, VF) {
  return x * vmin(splat(1.0f), vmax(VF{}, x * (1.0f / 6.0f) + 0.5f));
}
static MNN_INLINE VF sigmoid1(VF x, VF, VF) { return vsigmoid(x); }
static MNN_INLINE VF swish(VF x, VF a, VF) { return x * vsigmoid(a * x); }
static MNN_INLINE VF tanh1(VF x, VF, VF) { return vtanh(x); }
static MNN_INLINE VF gelu(VF x, VF, VF) { return 0.5f * x * (1.0f + verf(x * 0.70710678118f)); }
static MNN_INLINE VF gelu_tanh(VF x, VF, VF) {
  return 0.5f * x * (1.0f + vtanh(0.7978845608f * madd(x * x * x, splat(0.044715f), x)));
}
static MNN_INLINE VF mish(VF x, VF, VF) {
  const VF e = vexp(vmin(splat(20.0f), x));
  const VF n = e * (e + 2.0f);
  return x > 20.0f ? x : x * (n / (n + 2.0f));
}
static MNN_INLINE VF softplus(VF x, VF, VF) {
  // vlog(1 + e) with the rounding error of 1 + e put back.
  const VF e = vexp(-vabs(x));
  const VF u = 1.0f + e;
  return vmax(VF{}, x) + (vlog(u) - ((u - 1.0f) - e) / u);
}
static MNN_INLINE VF softsign(VF x, VF, VF) { return x / (1.0f + vabs(x)); }
static MNN_INLINE VF erf1(VF x, VF, VF) { return verf(x); }
static MNN_INLINE VF exp1(VF x, VF, VF) { return vexp(x); }
static MNN_INLINE VF log1(VF x, VF, VF) { return vlog(x); }
static MNN_INLINE VF sqrt1(VF x, VF, VF) { return vsqrt(x); }
static MNN_INLINE VF rsqrt(VF x, VF, VF) { return 1.0f / vsqrt(x); }
static MNN_INLINE VF reciprocal(VF x, VF, VF) { return 1.0f / x; }
static MNN_INLINE VF abs1(VF x, VF, VF) { return vabs(x); }
static MNN_INLINE VF neg(VF x, VF, VF) { return -x; }
static MNN_INLINE VF floor1(VF x, VF, VF) { return vfloor(x); }
static MNN_INLINE VF ceil1(VF x, VF, VF) { return vceil(x); }
static MNN_INLINE VF round1(VF x, VF, VF) { return vround(x); }
static MNN_INLINE VF sign(VF x, VF, VF) { return x != x ? x : truth(x > 0.0f) - truth(x < 0.0f); }
static MNN_INLINE VF square(VF x, VF, VF) { return x * x; }
static MNN_INLINE VF logical_not(VF x, VF, VF) { return truth(x == 0.0f); }
static MNN_INLINE VF mul_by(VF x, VF a, VF) { return x * a; }
static MNN_INLINE VF add_to(VF x, VF a, VF) { return x + a; }
static MNN_INLINE VF affine(VF x, VF a, VF b) { return x * a + b; }
static MNN_INLINE VF gate(VF x, VF a, VF b) { return x * vmin(b, vmax(VF{}, x + a)); }
static MNN_INLINE VF div_by(VF x, VF a, VF) { return x / a; }
static MNN_INLINE VF divide(VF x, VF a, VF) { return a / x; }
static MNN_INLINE VF sub_from(VF x, VF a, VF) { return a - x; }
static MNN_INLINE VF max_with(VF x, VF a, VF) { return vmax(a, x); }
static MNN_INLINE VF min_with(VF x, VF a, VF) { return vmin(a, x); }
// The number of the grid point nearest to x, zero point included: what core/quant.h says.
static MNN_INLINE VF grid_index(VF x, VF scale, VF zero) {
  VF s = x / scale;
  s = s != s ? VF{} : s;
  s = vmin(splat(1024.0f), vmax(splat(-1024.0f), s));
  s = (s + 12582912.0f) - 12582912.0f;
  return vmin(splat(255.0f), vmax(VF{}, s + zero));
}
static MNN_INLINE VF grid(VF x, VF scale, VF zero) {
  return (grid_index(x, scale, zero) - zero) * scale;
}
static MNN_INLINE VF is_nan(VF x, VF, VF) { return truth(x != x); }
static MNN_INLINE VF is_inf(VF x, VF a, VF b) {
  const VF infinity = splat(__builtin_inff());
  return truth(x == infinity) * a + truth(x == -infinity) * b;
}

float pow_scalar(float x, float y) { return __builtin_powf(x, y); }

static MNN_INLINE VF add(VF a, VF b) { return a + b; }
static MNN_INLINE VF sub(VF a, VF b) { return a - b; }
static MNN_INLINE VF mul(VF a, VF b) { return a * b; }
static MNN_INLINE VF div(VF a, VF b) { return a / b; }
static MNN_INLINE VF max2(VF a, VF b) { return a != a ? a : vmax(a, b); }
static MNN_INLINE VF min2(VF a, VF b) { return a != a ? a : vmin(a, b); }
static MNN_INLINE VF prelu(VF x, VF slope) { return x < 0.0f ? x * slope : x; }
static MNN_INLINE VF equal(VF a, VF b) { return truth(a == b); }
static MNN_INLINE VF less(VF a, VF b) { return truth(a < b); }
static MNN_INLINE VF less_equal(VF a, VF b) { return truth(a <= b); }
static MNN_INLINE VF greater(VF a, VF b) { return truth(a > b); }
static MNN_INLINE VF greater_equal(VF a, VF b) { return truth(a >= b); }
static MNN_INLINE VF logical_and(VF a, VF b) { return truth((a != 0.0f) & (b != 0.0f)); }
static MNN_INLINE VF logical_or(VF a, VF b) { return truth((a != 0.0f) | (b != 0.0f)); }
static MNN_INLINE VF logical_xor(VF a, VF b) { return truth((a != 0.0f) ^ (b != 0.0f)); }

void mod2(const float* a, const float* b, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = __builtin_fmodf(a[i], b[i]);
}
void pow2(const float* a, const float* b, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = __builtin_powf(a[i], b[i]);
}

void select(const float* c, const float* a, const float* b, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    store(y + i, load(c + i) != 0.0f ? load(a + i) : load(b + i));
  }
  for (; i < n; ++i) y[i] = c[i] != 0.0f ? a[i] : b[i];
}

void fill(float* y, float value, int64_t n) {
  const VF v = splat(value);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, v);
  for (; i < n; ++i) y[i] = value;
}

void from_u8(const uint8_t* x, float* y, int64_t n, float scale, int zero) {
  const VF z = splat(static_cast<float>(zero));
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, (widen(x + i) - z) * scale);
  for (; i < n; ++i) y[i] = static_cast<float>(x[i] - zero) * scale;
}

// Dividing is slow. Where the product with the reciprocal is not near a half, the quotient rounds
// to the same number; `unsure` gets the lanes where it is, or is no number.
static MNN_INLINE VI likely_index(VF x, VF inverse, VF low, VF high, VI* unsure) {
  const VF v = vmin(high, vmax(low, x * inverse));
  const VI r = round_to_int(v);
  *unsure |= ~(vabs(v - to_float(r)) < splat(0.499f));
  return r;
}

void to_u8(const float* x, uint8_t* y, int64_t n, float scale, int zero) {
  const VF s = splat(scale), z = splat(static_cast<float>(zero));
  const auto exact = [&](int64_t i) __attribute__((always_inline)) {
    store_rounded(y + i, grid_index(load(x + i), s, z), kLanes);
  };
  int64_t i = 0;
  const float inverse = 1.0f / scale;
  if (inverse > 1e-30f && inverse < 1e30f) {
    const VF inv = splat(inverse), low = VF{} - z, high = splat(255.0f) - z;
    const VI zeros = splat_int(zero);
    for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
      VI unsure{};
      const VI a = likely_index(load(x + i), inv, low, high, &unsure);
      const VI b = likely_index(load(x + i + kLanes), inv, low, high, &unsure);
      if (any_lane(unsure)) {
        exact(i);
        exact(i + kLanes);
      } else {
        store_bytes(y + i, a + zeros, b + zeros);
      }
    }
  }
  for (; i + kLanes <= n; i += kLanes) exact(i);
  if (i < n)
    store_rounded(y + i, grid_index(load_tail(x + i, static_cast<int>(n - i)), s, z), n - i);
}

void from_u8_row(const uint8_t* x, float* y, int64_t n, const float* scales, const float* zeros) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    store(y + i, (widen(x + i) - load(zeros + i)) * load(scales + i));
  for (; i < n; ++i) y[i] = (static_cast<float>(x[i]) - zeros[i]) * scales[i];
}

void to_u8_row(const float* x, uint8_t* y, int64_t n, const float* scales, const float* zeros) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    store_rounded(y + i, grid_index(load(x + i), load(scales + i), load(zeros + i)), kLanes);
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_rounded(
        y + i,
        grid_index(load_tail(x + i, rest), load_tail(scales + i, rest), load_tail(zeros + i, rest)),
        rest);
  }
}

void from_bool(const uint8_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] != 0 ? 1.0f : 0.0f;
}
void to_bool(const float* x, uint8_t* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] != 0.0f ? 1 : 0;
}

MNN_INLINE VI truncated_byte(VF x) {
  // From 2^31 on all numbers are multiples of 256, but for what is cut at the largest int64.
  const VF inside = vabs(x) < splat(2147483648.0f) ? x : VF{};
  const VI byte = __builtin_convertvector(inside, VI) & splat_int(255);
  return x >= splat(9223372036854775808.0f) ? splat_int(255) : byte;
}
void truncate_to_bytes(const float* x, uint8_t* y, int64_t n) {
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes)
    store_bytes(y + i, truncated_byte(load(x + i)), truncated_byte(load(x + i + kLanes)));
  for (; i < n; i += kLanes) {
    int32_t bytes[kLanes];
    store_int(bytes, truncated_byte(load_part(x + i, n - i)));
    for (int k = 0; k < kLanes && i + k < n; ++k) y[i + k] = static_cast<uint8_t>(bytes[k]);
  }
}

void lookup(const uint8_t* x, uint8_t* y, int64_t n, const uint8_t* table) {
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const uint8_t a = table[x[i]], b = table[x[i + 1]], c = table[x[i + 2]], d = table[x[i + 3]];
    y[i] = a;
    y[i + 1] = b;
    y[i + 2] = c;
    y[i + 3] = d;
  }
  for (; i < n; ++i) y[i] = table[x[i]];
}

void add_u8(const uint8_t* a, const uint8_t* b, uint8_t* y, int64_t n, float a_factor,
            float b_factor, float offset, float low, float high) {
  const VF fa = splat(a_factor), fb = splat(b_factor), add = splat(offset);
  const VF least = splat(low), most = splat(high);
  const auto sum = [&](VF p, VF q) __attribute__((always_inline)) {
    return vmin(most, vmax(least, p * fa + q * fb + add));
  };
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    store_rounded(y + i, sum(widen(a + i), widen(b + i)), kLanes);
  if (i < n) store_rounded(y + i, sum(widen_some(a + i, n - i), widen_some(b + i, n - i)), n - i);
}

template <bool kOther>
MNN_INLINE void scale_rows(const uint8_t* x, const uint8_t* b, uint8_t* y, int64_t rows, int64_t n,
                           int64_t y_stride, const float* factors, float zero, float b_factor,
                           float offset) {
  const VF z = splat(zero), fb = splat(b_factor), add = splat(offset);
  for (int64_t r = 0; r < rows; ++r, x += n, b += kOther ? n : 0, y += y_stride) {
    int64_t j = 0;
    for (; j + kLanes <= n; j += kLanes) {
      VF v = (widen(x + j) - z) * load(factors + j);
      if (kOther) v += widen(b + j) * fb;
      store_rounded(y + j, clamp_byte(v + add), kLanes);
    }
    if (j == n) continue;
    VF v = (widen_some(x + j, n - j) - z) * load_tail(factors + j, static_cast<int>(n - j));
    if (kOther) v += widen_some(b + j, n - j) * fb;
    store_rounded(y + j, clamp_byte(v + add), n - j);
  }
}

void scale_u8(const uint8_t* x, const uint8_t* b, uint8_t* y, int64_t rows, int64_t n,
              int64_t y_stride, const float* factors, float zero, float b_factor, float offset) {
  if (b) {
    scale_rows<true>(x, b, y, rows, n, y_stride, factors, zero, b_factor, offset);
  } else {
    scale_rows<false>(x, b, y, rows, n, y_stride, factors, zero, b_factor, offset);
  }
}

}  // namespace

void fill_elementwise(VectorKernels& k) {
  auto unary = [&](UnaryOp op) -> UnaryFn& { return k.unary[static_cast<int>(op)]; };
  unary(UnaryOp::kRelu) = map1<relu>;
  unary(UnaryOp::kClip) = map1<clip>;
  unary(UnaryOp::kLeakyRelu) = map1<leaky_relu>;
  unary(UnaryOp::kThresholdedRelu) = map1<thresholded_relu>;
  unary(UnaryOp::kElu) = map1<elu>;
  unary(UnaryOp::kSelu) = map1<selu>;
  unary(UnaryOp::kCelu) = map1<celu>;
  unary(UnaryOp::kHardSigmoid) = map1<hard_sigmoid>;
  unary(UnaryOp::kHardSwish) = map1<hard_swish>;
  unary(UnaryOp::kSigmoid) = map1<sigmoid1>;
  unary(UnaryOp::kSwish) = map1<swish>;
  unary(UnaryOp::kTanh) = map1<tanh1>;
  unary(UnaryOp::kGelu) = map1<gelu>;
  unary(UnaryOp::kGeluTanh) = map1<gelu_tanh>;
  unary(UnaryOp::kMish) = map1<mish>;
  unary(UnaryOp::kSoftplus) = map1<softplus>;
  unary(UnaryOp::kSoftsign) = map1<softsign>;
  unary(UnaryOp::kErf) = map1<erf1>;
  unary(UnaryOp::kExp) = map1<exp1>;
  unary(UnaryOp::kLog) = map1<log1>;
  unary(UnaryOp::kSqrt) = map1<sqrt1>;
  unary(UnaryOp::kRsqrt) = map1<rsqrt>;
  unary(UnaryOp::kReciprocal) = map1<reciprocal>;
  unary(UnaryOp::kAbs) = map1<abs1>;
  unary(UnaryOp::kNeg) = map1<neg>;
  unary(UnaryOp::kFloor) = map1<floor1>;
  unary(UnaryOp::kCeil) = map1<ceil1>;
  unary(UnaryOp::kRound) = map1<round1>;
  unary(UnaryOp::kSign) = map1<sign>;
  unary(UnaryOp::kSquare) = map1<square>;
  unary(UnaryOp::kNot) = map1<logical_not>;
  unary(UnaryOp::kMulBy) = map1<mul_by>;
  unary(UnaryOp::kAddTo) = map1<add_to>;
  unary(UnaryOp::kAffine) = map1<affine>;
  unary(UnaryOp::kGate) = map1<gate>;
  unary(UnaryOp::kDivBy) = map1<div_by>;
  unary(UnaryOp::kDivide) = map1<divide>;
  unary(UnaryOp::kSubFrom) = map1<sub_from>;
  unary(UnaryOp::kMaxWith) = map1<max_with>;
  unary(UnaryOp::kMinWith) = map1<min_with>;
  unary(UnaryOp::kGrid) = map1<grid>;
  unary(UnaryOp::kPowBy) = map1_scalar<pow_scalar>;
  unary(UnaryOp::kIsNaN) = map1<is_nan>;
  unary(UnaryOp::kIsInf) = map1<is_inf>;
  auto binary = [&](BinaryOp op) -> BinaryFn& { return k.binary[static_cast<int>(op)]; };
  binary(BinaryOp::kAdd) = map2<add>;
  binary(BinaryOp::kSub) = map2<sub>;
  binary(BinaryOp::kMul) = map2<mul>;
  binary(BinaryOp::kDiv) = map2<div>;
  binary(BinaryOp::kMax) = map2<max2>;
  binary(BinaryOp::kMin) = map2<min2>;
  binary(BinaryOp::kPow) = pow2;
  binary(BinaryOp::kMod) = mod2;
  binary(BinaryOp::kPRelu) = map2<prelu>;
  binary(BinaryOp::kEqual) = map2<equal>;
  binary(BinaryOp::kLess) = map2<less>;
  binary(BinaryOp::kLessOrEqual) = map2<less_equal>;
  binary(BinaryOp::kGreater) = map2<greater>;
  binary(BinaryOp::kGreaterOrEqual) = map2<greater_equal>;
  binary(BinaryOp::kAnd) = map2<logical_and>;
  binary(BinaryOp::kOr) = map2<logical_or>;
  binary(BinaryOp::kXor) = map2<logical_xor>;
  k.select = select;
  k.fill = fill;
  k.from_u8 = from_u8;
  k.to_u8 = to_u8;
  k.from_u8_row = from_u8_row;
  k.to_u8_row = to_u8_row;
  k.from_bool = from_bool;
  k.to_bool = to_bool;
  k.truncate_to_bytes = truncate_to_bytes;
  k.lookup = lookup;
  k.add_u8 = add_u8;
  k.scale_u8 = scale_u8;
}

}  // namespace mnn::MNN_ISA
