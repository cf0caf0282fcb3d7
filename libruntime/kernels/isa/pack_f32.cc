// Packing of a run-time matrix B into a panel.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {
namespace {

// lo: a0 b0 a1 b1 … of the first halves, hi: of the second halves.
#if MNN_VECTOR_BYTES == 64
MNN_INLINE VF interleave_lo(VF a, VF b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
MNN_INLINE VF interleave_hi(VF a, VF b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                 31);
}
#elif MNN_VECTOR_BYTES == 32
MNN_INLINE VF interleave_lo(VF a, VF b) {
  return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
MNN_INLINE VF interleave_hi(VF a, VF b) {
  return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
#else
MNN_INLINE VF interleave_lo(VF a, VF b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
MNN_INLINE VF interleave_hi(VF a, VF b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
#endif

// log2(lanes) perfect shuffles of all rows transpose a square.
MNN_INLINE void transpose(VF (&rows)[kLanes]) {
#pragma GCC unroll 4
  for (int step = 1; step < kLanes; step *= 2) {
    VF next[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = interleave_lo(rows[i], rows[i + kLanes / 2]);
      next[2 * i + 1] = interleave_hi(rows[i], rows[i + kLanes / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
  }
}

void pack(const float* b, int64_t stride, int64_t depth, int64_t width, int64_t nr, float scale,
          float* out) {
  const VF factor = splat(scale);
  for (int64_t k = 0; k < depth; ++k, b += stride, out += nr) {
    int64_t j = 0;
    for (; j + kLanes <= width; j += kLanes) store(out + j, load(b + j) * factor);
    if (j < width) {
      store(out + j, load_tail(b + j, static_cast<int>(width - j)) * factor);
      j += kLanes;
    }
    for (; j < nr; j += kLanes) store(out + j, VF{});
  }
}

template <typename Change>
MNN_INLINE void transpose_panel(const float* b, int64_t stride, int64_t depth, int64_t width,
                                int64_t nr, float* out, const Change& change) {
  for (int64_t j = 0; j < nr; j += kLanes) {
    const int64_t columns = width - j < kLanes ? width - j : kLanes;
    for (int64_t k = 0; k < depth; k += kLanes) {
      const int64_t rest = depth - k < kLanes ? depth - k : kLanes;
      VF rows[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        rows[i] = i < columns ? change(load_part(b + (j + i) * stride + k, rest)) : VF{};
      transpose(rows);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        if (i < rest) store(out + (k + i) * nr + j, rows[i]);
    }
  }
}

void pack_transposed(const float* b, int64_t stride, int64_t depth, int64_t width, int64_t nr,
                     float scale, float* out) {
  const VF factor = splat(scale);
  transpose_panel(b, stride, depth, width, nr, out, [&](VF v) { return v * factor; });
}

// Loads, shuffles and stores leave any bits as they are.
void pack_words(const void* b, int64_t stride, int64_t depth, int64_t width, int64_t nr,
                void* out) {
  transpose_panel(static_cast<const float*>(b), stride, depth, width, nr, static_cast<float*>(out),
                  [](VF v) { return v; });
}

}  // namespace

void fill_pack_f32(KernelTable& table) {
  table.pack_f32 = pack;
  table.pack_transposed_f32 = pack_transposed;
  table.pack_words = pack_words;
}

}  // namespace mnn::MNN_ISA
