// Codes of weights as floats: stored, or multiplied at once by a few rows.
#include "libruntime/kernels/isa/bytes.h"
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/store_f32.h"

namespace mnn::MNN_ISA {
namespace {

// The code of the i-th row that shares the bytes.
template <int kPerByte>
MNN_INLINE VF code_of(VI bytes, int i) {
  constexpr int kBits = 8 / kPerByte;
  return to_float(kPerByte == 1 ? bytes : (bytes >> (i * kBits)) & ((1 << kBits) - 1));
}

template <int kPerByte>
void unpack_rows(const PanelCodes& u, float* out) {
  for (int64_t first = 0, part = 0; first < u.k; first += u.group, ++part) {
    const int64_t end = first + u.group < u.k ? first + u.group : u.k;
    for (int64_t j = 0; j < u.columns; j += kLanes) {
      const int64_t at = part * u.columns + j;
      const VF scale = load(u.scale + at);
      const VF zero = u.zero != nullptr ? load(u.zero + at) : splat(u.common_zero);
      const VF offset = u.offset != nullptr ? load(u.offset + at) : VF{};
      for (int64_t row = first; row < end; row += kPerByte) {
        const VI bytes = load_bytes(u.codes + row / kPerByte * u.columns + j);
        for (int i = 0; i < kPerByte; ++i) {
          if (row + i >= end) break;
          VF w = (code_of<kPerByte>(bytes, i) - zero) * scale;
          if (u.offset != nullptr) w += offset;
          store(out + (row + i) * u.columns + j, w);
        }
      }
    }
  }
}

void unpack(const PanelCodes& u, float* out) {
  if (u.per_byte == 1) {
    unpack_rows<1>(u, out);
  } else if (u.per_byte == 2) {
    unpack_rows<2>(u, out);
  } else {
    unpack_rows<4>(u, out);
  }
}

// Columns [j, j + kVectors * kLanes) of the rows.
template <int kPerByte, int kRows, int kVectors>
MNN_INLINE void few_columns(const FewRows& f, int64_t j) {
  const PanelCodes& u = f.w;
  VF total[kRows][kVectors];
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) total[m][v] = load(f.bias + j + v * kLanes);
  const uint8_t* codes = u.codes + j;
  for (int64_t first = 0, part = 0; first < u.k; first += u.group, ++part) {
    const int64_t end = first + u.group < u.k ? first + u.group : u.k;
    const int64_t at = part * u.columns + j;
    VF zero[kVectors], sum[kRows][kVectors] = {};
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v)
      zero[v] = u.zero != nullptr ? load(u.zero + at + v * kLanes) : splat(u.common_zero);
    int64_t row = first;
    for (; row + kPerByte <= end; row += kPerByte, codes += u.columns) {
      VI bytes[kVectors];
      __builtin_prefetch(codes + 2048);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) bytes[v] = load_bytes(codes + v * kLanes);
#pragma GCC unroll 4
      for (int i = 0; i < kPerByte; ++i) {
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          const VF w = code_of<kPerByte>(bytes[v], i) - zero[v];
#pragma GCC unroll 8
          for (int m = 0; m < kRows; ++m) sum[m][v] = madd(splat(f.a[m][row + i]), w, sum[m][v]);
        }
      }
    }
    // The last rows need not fill their byte.
    for (int i = 0; row + i < end; ++i) {
      for (int v = 0; v < kVectors; ++v) {
        const VF w = code_of<kPerByte>(load_bytes(codes + v * kLanes), i) - zero[v];
        for (int m = 0; m < kRows; ++m) sum[m][v] = madd(splat(f.a[m][row + i]), w, sum[m][v]);
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const VF scale = load(u.scale + at + v * kLanes);
#pragma GCC unroll 8
      for (int m = 0; m < kRows; ++m) total[m][v] = madd(sum[m][v], scale, total[m][v]);
    }
  }
  FewRows part = f;
  part.y += j;
  if (part.residual != nullptr) part.residual += j;
  part.n = f.n - j < kVectors * kLanes ? f.n - j : kVectors * kLanes;
  store_clamped<kRows, kVectors>(total, part);
}

template <int kPerByte, int kRows>
void few_rows_of(const FewRows& f) {
  constexpr int kRegisters = MNN_VECTOR_BYTES == 64 ? 8 : 4;
  constexpr int kVectors = kRows == 1 ? kRegisters : kRows == 2 ? kRegisters / 2 : kRegisters / 4;
  int64_t j = 0;
  for (; j + kVectors * kLanes <= f.w.columns; j += kVectors * kLanes)
    few_columns<kPerByte, kRows, kVectors>(f, j);
  for (; j < f.w.columns; j += kLanes) few_columns<kPerByte, kRows, 1>(f, j);
}

template <int kRows>
void few_rows(const FewRows& f) {
  if (f.w.per_byte == 1) {
    few_rows_of<1, kRows>(f);
  } else if (f.w.per_byte == 2) {
    few_rows_of<2, kRows>(f);
  } else {
    few_rows_of<4, kRows>(f);
  }
}

}  // namespace

void fill_unpack(KernelTable& table) {
  table.unpack_codes = unpack;
  table.few_rows[1] = few_rows<1>;
  table.few_rows[2] = few_rows<2>;
  table.few_rows[3] = few_rows<3>;
  table.few_rows[4] = few_rows<4>;
}

}  // namespace mnn::MNN_ISA
