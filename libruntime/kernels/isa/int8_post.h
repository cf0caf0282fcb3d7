// From int32 sums to outputs; see Int8Post.
#pragma once

#include "libruntime/kernels/isa/activation.h"
#include "libruntime/kernels/isa/bytes.h"
#include "libruntime/kernels/kernel_table.h"

namespace mnn::MNN_ISA {

// The numbers on a grid of zero point `zero`, before its scale.
static MNN_INLINE VF load_grid(const uint8_t* p, int32_t zero) {
  return to_float(load_bytes(p) - splat_int(zero));
}
static MNN_INLINE VF load_grid_part(const uint8_t* p, int64_t n, int32_t zero) {
  if (n >= kLanes) return load_grid(p, zero);
  uint8_t bytes[kLanes] = {};
  __builtin_memcpy(bytes, p, static_cast<size_t>(n));
  return load_grid(bytes, zero);
}

// The grids of some neighbouring channels.
struct OutputGrid {
  VF inverse, low, high;
  VI zero;
  // `y_inverse` and `y_zero` point at the first of the channels; null: the grid of `post`.
  MNN_INLINE OutputGrid(const Int8Post& post, const float* y_inverse, const int32_t* y_zero)
      : inverse(y_inverse ? load(y_inverse) : splat(post.y_inverse)),
        zero(y_zero ? load_int(y_zero) : splat_int(post.y_zero)) {
    low = VF{} - to_float(zero);
    high = splat(255.0f) - to_float(zero);
  }
};

static MNN_INLINE VI to_byte(VF v, const Int8Post& post, const OutputGrid& grid) {
  v = v * splat(post.factor) + splat(post.offset);
  return round_to_int(vmin(grid.high, vmax(grid.low, v * grid.inverse))) + grid.zero;
}

// x / (1 + exp(-x)) to a relative 3e-6, which bytes do not show. Without fused multiply-add, so the
// same on every instruction set. |x| < 1e38.
static MNN_INLINE VF byte_swish(VF x) {
  const VF power = vmin(splat(126.0f), vmax(splat(-126.0f), x * splat(-1.44269504f)));
  const VI whole = round_to_int(power);
  const VF f = power - to_float(whole);
  VF p = f * splat(9.58284829e-3f) + splat(5.59064262e-2f);
  p = p * f + splat(2.40240991e-1f);
  p = p * f + splat(6.93124175e-1f);
  p = p * f + splat(1.0f);
  return x / (splat(1.0f) + from_bits(bits(p) + (whole << 23)));
}

// An activation in front of bytes.
static MNN_INLINE VF activate_byte(const PostOp& op, VF x) {
  return op.kind == Activation::kSwish ? byte_swish(x) : activate(op, x);
}

// Whether tiles store plain epilogues by code of their own. Plain vector extensions are too slow to
// compile for that and take the way through memory.
#if defined(MNN_SIMD_GENERIC)
constexpr bool kPlainTiles = false;
#else
constexpr bool kPlainTiles = true;
#endif

// As store_bytes, with saturation. Packing to int16 saturates on the way.
static MNN_INLINE void saturate_bytes(uint8_t* p, VI v) {
#if MNN_VECTOR_BYTES == 64 && !defined(MNN_SIMD_GENERIC)
  const __m512i x = _mm512_max_epi32(reinterpret_cast<__m512i>(v), _mm512_setzero_si512());
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(x));
#else
  store_bytes(p, v);
#endif
}
static MNN_INLINE void saturate_bytes(uint8_t* p, VI v, VI w) {
#if MNN_VECTOR_BYTES == 64
  saturate_bytes(p, v);
  saturate_bytes(p + kLanes, w);
#else
  store_bytes(p, v, w);
#endif
}

// A plain epilogue, up to the factor of the output grid.
template <PlainPost kForm>
struct PlainForm {
  VF factor, offset, low, high;
  explicit MNN_INLINE PlainForm(const Int8Post& post)
      : factor(splat(post.factor)),
        offset(splat(post.offset)),
        low(splat(post.low)),
        high(splat(post.high)) {}
  // In front of the residual, and behind it.
  MNN_INLINE VF before(VF v) const {
    if constexpr (kForm == PlainPost::kSwish) return byte_swish(v);
    if constexpr (kForm == PlainPost::kClampFirst) return vmin(high, vmax(low, v));
    return v;
  }
  MNN_INLINE VF after(VF v) const {
    if constexpr (kForm == PlainPost::kClamp) v = vmin(high, vmax(low, v));
    if constexpr (kForm == PlainPost::kHardSwish) v = HardSwish::at(v, v, v);
    if constexpr (kForm == PlainPost::kAffineHardSwish)
      v = HardSwish::at(v, v, v) * factor + offset;
    return v;
  }
};

// Calls f with the form of the plain epilogue and whether it has a residual, as types; not for
// kNone.
template <PlainPost kForm, bool kWithResidual>
struct PlainChoice {
  static constexpr PlainPost form = kForm;
  static constexpr bool residual = kWithResidual;
};
template <typename F>
static MNN_INLINE void with_plain_form(PlainPost form, bool residual, const F& f) {
  switch (form) {
    case PlainPost::kNone: break;
    case PlainPost::kSaturate: f(PlainChoice<PlainPost::kSaturate, false>()); break;
    case PlainPost::kClamp:
      if (residual) {
        f(PlainChoice<PlainPost::kClamp, true>());
      } else {
        f(PlainChoice<PlainPost::kClamp, false>());
      }
      break;
    case PlainPost::kClampFirst: f(PlainChoice<PlainPost::kClampFirst, true>()); break;
    case PlainPost::kHardSwish: f(PlainChoice<PlainPost::kHardSwish, false>()); break;
    case PlainPost::kAffineHardSwish: f(PlainChoice<PlainPost::kAffineHardSwish, false>()); break;
    case PlainPost::kSwish:
      if (residual) {
        f(PlainChoice<PlainPost::kSwish, true>());
      } else {
        f(PlainChoice<PlainPost::kSwish, false>());
      }
      break;
  }
}

// `Tile` has scale, bias, y_inverse, y_zero and post; row m goes to y + offset(m), its residual is
// at residual + offset(m).
template <PlainPost kForm, bool kResidual, int kRows, int kVectors, typename Tile, typename Offset>
static MNN_INLINE void store_plain_as(const VI (&sums)[kRows][kVectors], const Tile& t, uint8_t* y,
                                      const uint8_t* residual, const Offset& offset) {
  // In registers, because after a store of bytes the compiler would load everything again.
  const Int8Post& post = *t.post;
  const PlainForm<kForm> form(post);
  const float *scales = t.scale, *biases = t.bias, *inverses = t.y_inverse;
  const int32_t* zeros = t.y_zero;
  const VF r_scale = splat(post.r_scale);
  const int32_t r_zero = post.r_zero;
  const auto finish = [&](VI sum, VF scale, VF bias, VF inverse, VI zero, int64_t place)
      __attribute__((always_inline)) {
    VF v = to_float(sum) * scale + bias;
    v = form.before(v);
    if constexpr (kResidual) v += load_grid(residual + place, r_zero) * r_scale;
    v = form.after(v);
    return round_to_int(v * inverse) + zero;
  };
  const VF one_inverse = splat(post.y_inverse);
  const VI one_zero = splat_int(post.y_zero);
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; v += 2) {
    const int at = v * kLanes, next = at + kLanes;
    const bool pair = v + 1 < kVectors;
    const VF scale = load(scales + at), bias = load(biases + at);
    const VF inverse = inverses ? load(inverses + at) : one_inverse;
    const VI zero = zeros ? load_int(zeros + at) : one_zero;
    const VF scale2 = pair ? load(scales + next) : scale, bias2 = pair ? load(biases + next) : bias;
    const VF inverse2 = inverses && pair ? load(inverses + next) : inverse;
    const VI zero2 = zeros && pair ? load_int(zeros + next) : zero;
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
      const int64_t place = offset(m) + at;
      const VI a = finish(sums[m][v], scale, bias, inverse, zero, place);
      if (pair) {
        saturate_bytes(
            y + place, a,
            finish(sums[m][v + (pair ? 1 : 0)], scale2, bias2, inverse2, zero2, place + kLanes));
      } else {
        saturate_bytes(y + place, a);
      }
    }
  }
}

// A tile of whole registers to bytes, for any form but kNone.
template <int kRows, int kVectors, typename Tile, typename Offset>
static MNN_INLINE void store_plain(const VI (&sums)[kRows][kVectors], const Tile& t, uint8_t* y,
                                   const void* residual, const Offset& offset) {
  const auto* r = static_cast<const uint8_t*>(residual);
  with_plain_form(
      t.post->plain, r != nullptr, [&](auto choice) __attribute__((always_inline)) {
        store_plain_as<choice.form, choice.residual>(sums, t, y, r, offset);
      });
}

// Channels [c, c + lanes) of one pixel; n: how many of them exist. `y` and `residual` point at the
// first channel.
static MNN_INLINE void finish_sums(VI sum, VF scale, VF bias, const Int8Post& post,
                                   const OutputGrid& grid, const void* residual, void* y,
                                   int64_t n) {
  const bool bytes = post.output == ByteOrFloat::kByte;
  VF v = to_float(sum) * scale + bias;
  v = bytes ? activate_byte(post.before, v) : activate(post.before, v);
  if (post.residual == ByteOrFloat::kByte) {
    v +=
        load_grid_part(static_cast<const uint8_t*>(residual), n, post.r_zero) * splat(post.r_scale);
  } else if (post.residual == ByteOrFloat::kFloat) {
    v += load_part(static_cast<const float*>(residual), n);
  }
  v = bytes ? activate_byte(post.after, v) : activate(post.after, v);
  if (!bytes) {
    store_part(static_cast<float*>(y), v, n);
  } else {
    store_bytes_part(static_cast<uint8_t*>(y), to_byte(v, post, grid), n);
  }
}

// p + count elements of the kind.
static MNN_INLINE void* advance(void* p, ByteOrFloat kind, int64_t count) {
  return static_cast<uint8_t*>(p) + (kind == ByteOrFloat::kFloat ? 4 * count : count);
}
static MNN_INLINE const void* advance(const void* p, ByteOrFloat kind, int64_t count) {
  return static_cast<const uint8_t*>(p) + (kind == ByteOrFloat::kFloat ? 4 * count : count);
}

// A block of sums: `rows` rows of `width`, of which n channels exist. offset(row) is where a row's
// first channel lies in y and residual.
struct SumBlock {
  const int32_t* sums = nullptr;
  int64_t rows = 0, width = 0, n = 0;
  const float* scale = nullptr;
  const float* bias = nullptr;
  const float* y_inverse = nullptr;
  const int32_t* y_zero = nullptr;
  const void* residual = nullptr;
  void* y = nullptr;
  MNN_INLINE OutputGrid grid(const Int8Post& post, int64_t c) const {
    return {post, y_inverse ? y_inverse + c : nullptr, y_zero ? y_zero + c : nullptr};
  }
};

struct Bounds {
  float low = -__builtin_inff(), high = __builtin_inff();
};
// Whether the activation is a clamp, and its bounds.
static MNN_INLINE bool clamp_bounds(const PostOp& op, Bounds* bounds) {
  if (op.kind == Activation::kRelu) bounds->low = 0;
  if (op.kind == Activation::kClip) *bounds = {op.a, op.b};
  return op.kind == Activation::kNone || op.kind == Activation::kRelu ||
         op.kind == Activation::kClip;
}

// Whole registers only; everything that does not change inside is known at compile time or held in
// registers. kFirst is kClip for everything that is a clamp, of `before`.
template <Activation kFirst, ByteOrFloat kResidual, ByteOrFloat kOutput, typename Offset>
static MNN_INLINE void finish_whole(const SumBlock& b, const Int8Post& post, const PostOp& first,
                                    Bounds before, Bounds after, const Offset& offset) {
  const VF before_low = splat(before.low), before_high = splat(before.high);
  const VF after_low = splat(after.low), after_high = splat(after.high);
  const VF r_scale = splat(post.r_scale), slope = splat(first.a);
  for (int64_t c = 0; c + kLanes <= b.n; c += kLanes) {
    const VF scale = load(b.scale + c), bias = load(b.bias + c);
    const OutputGrid grid = b.grid(post, c);
    for (int64_t m = 0; m < b.rows; ++m) {
      const int64_t at = offset(m) + c;
      VF v = to_float(load_int(b.sums + m * b.width + c)) * scale + bias;
      if constexpr (kFirst == Activation::kHardSwish) {
        v = HardSwish::at(v, v, v);
      } else if constexpr (kFirst == Activation::kSwish) {
        v = kOutput == ByteOrFloat::kByte ? byte_swish(v) : Swish::at(v, v, v);
      } else if constexpr (kFirst == Activation::kLeakyRelu) {
        v = LeakyRelu::at(v, slope, v);
      } else {
        v = vmin(before_high, vmax(before_low, v));
      }
      if constexpr (kResidual == ByteOrFloat::kByte) {
        v += load_grid(static_cast<const uint8_t*>(b.residual) + at, post.r_zero) * r_scale;
      } else if constexpr (kResidual == ByteOrFloat::kFloat) {
        v += load(static_cast<const float*>(b.residual) + at);
      }
      v = vmin(after_high, vmax(after_low, v));
      if constexpr (kOutput == ByteOrFloat::kFloat) {
        store(static_cast<float*>(b.y) + at, v);
      } else {
        store_bytes(static_cast<uint8_t*>(b.y) + at, to_byte(v, post, grid));
      }
    }
  }
}

template <Activation kFirst, ByteOrFloat kResidual, typename Offset>
static MNN_INLINE void finish_form(const SumBlock& b, const Int8Post& post, const PostOp& first,
                                   Bounds before, Bounds after, const Offset& offset) {
  if (post.output == ByteOrFloat::kByte) {
    finish_whole<kFirst, kResidual, ByteOrFloat::kByte>(b, post, first, before, after, offset);
  } else {
    finish_whole<kFirst, kResidual, ByteOrFloat::kFloat>(b, post, first, before, after, offset);
  }
}

// Any epilogue over a block of sums in memory.
template <typename Offset>
static MNN_INLINE void finish_block(const SumBlock& b, const Int8Post& post, const Offset& offset) {
  constexpr ByteOrFloat kNone = ByteOrFloat::kNone, kByte = ByteOrFloat::kByte;
  constexpr ByteOrFloat kFloat = ByteOrFloat::kFloat;
  constexpr Activation kClip = Activation::kClip, kSwish = Activation::kSwish;
  Bounds before, after;
  // Without a residual there is one activation, wherever it stands.
  PostOp first = post.before, second = post.after;
  if (post.residual == kNone && first.kind == Activation::kNone) {
    first = post.after;
    second = post.before;
  }
  // The forms real networks have; what is left of a row, and other activations, go one by one.
  const bool clamps = clamp_bounds(first, &before);
  int64_t done = b.n / kLanes * kLanes;
  if (!clamp_bounds(second, &after)) {
    done = 0;
  } else if (post.residual == kNone) {
    if (clamps) {
      finish_form<kClip, kNone>(b, post, first, before, after, offset);
    } else if (first.kind == Activation::kHardSwish) {
      finish_form<Activation::kHardSwish, kNone>(b, post, first, before, after, offset);
    } else if (first.kind == kSwish) {
      finish_form<kSwish, kNone>(b, post, first, before, after, offset);
    } else if (first.kind == Activation::kLeakyRelu) {
      finish_form<Activation::kLeakyRelu, kNone>(b, post, first, before, after, offset);
    } else {
      done = 0;
    }
  } else if (post.residual == kByte && clamps) {
    finish_form<kClip, kByte>(b, post, first, before, after, offset);
  } else if (post.residual == kByte && first.kind == kSwish) {
    finish_form<kSwish, kByte>(b, post, first, before, after, offset);
  } else if (post.residual == kFloat && clamps) {
    finish_form<kClip, kFloat>(b, post, first, before, after, offset);
  } else {
    done = 0;
  }
  for (int64_t c = done; c < b.n; c += kLanes) {
    const VF scale = load(b.scale + c), bias = load(b.bias + c);
    const OutputGrid grid = b.grid(post, c);
    for (int64_t m = 0; m < b.rows; ++m) {
      const int64_t at = offset(m) + c;
      const void* residual = b.residual ? advance(b.residual, post.residual, at) : nullptr;
      finish_sums(load_int(b.sums + m * b.width + c), scale, bias, post, grid, residual,
                  advance(b.y, post.output, at), b.n - c);
    }
  }
}

}  // namespace mnn::MNN_ISA
