// Constant weights that stay in their codes on a device (code_kernels.h), or become halves where
// the user wants those.
#pragma once

#include <cmath>

#include "libruntime/backends/gpu/lowering.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/storage.h"

namespace mnn::gpu {

struct DeviceCodes {
  int words = -1, scales = -1;  // storages
  int bits = 0;
  bool offset = false;
  int64_t parts = 1;
};

// Bits of a code on a device: 3 become 4, and 5 to 7 become 8. 0: the constant is none of integers
// of 8 bits at most with scales, zero points and offsets.
int code_bits(const Value& value);
// A float as a half, to nearest even; what is too large becomes the largest.
uint32_t half_bits(float x);

// The table of scales: [part][3][columns] numbers; entry(part, column) says which of the encoding's
// it is, below 0: none.
template <typename F>
std::vector<float> make_scales(const QuantParams& q, int64_t parts, int64_t columns, float alpha,
                               F entry) {
  const StorageType& row = *find_storage(q.storage);
  const float raise = row.low < 0 ? static_cast<float>(-row.low) : 0.0f;
  std::vector<float> table(static_cast<size_t>(parts * 3 * columns), 0.0f);
  for (int64_t p = 0; p < parts; ++p) {
    for (int64_t c = 0; c < columns; ++c) {
      const int64_t e = entry(p, c);
      if (e < 0) continue;
      float* at = table.data() + p * 3 * columns + c;
      at[0] = q.scale_at(e) * alpha;
      at[columns] = q.zero_point_at(e) + raise;
      at[2 * columns] = q.offset_at(e) * alpha;
    }
  }
  return table;
}

// Codes in the place stream(i) for element i of the constant; or halves of the numbers times alpha
// where bits is 16.
template <typename F>
Status pack_codes(const Value& value, int bits, float alpha, uint32_t* words, F stream) {
  const auto put = [&](int64_t i, uint32_t code) {
    const int64_t bit = stream(i) * bits;
    words[bit / 32] |= code << (bit % 32);
  };
  if (bits == 16) {
    MNN_ASSIGN_OR_RETURN(const Tensor real, constant_as_real(value));
    for (int64_t i = 0; i < real.elements(); ++i) put(i, half_bits(alpha * real.data<float>()[i]));
    return {};
  }
  const StorageType& row = *find_storage(value.quant->storage);
  const double raise = row.low < 0 ? -row.low : 0;
  constexpr int64_t kChunk = 4096;
  std::vector<double> codes(kChunk);
  for (int64_t begin = 0; begin < value.data.elements(); begin += kChunk) {
    const int64_t count = std::min(kChunk, value.data.elements() - begin);
    row.unpack(value.data.raw(), begin, count, codes.data());
    for (int64_t i = 0; i < count; ++i) {
      put(begin + i, static_cast<uint32_t>(codes[static_cast<size_t>(i)] + raise));
    }
  }
  return {};
}

// The codes of a matrix [k, n], or [n, k] when it is turned, for mnn_gemm_codes, which sums `group`
// products of each scale. nullopt: as floats.
struct MatrixCodes : DeviceCodes {
  int64_t group = 0;
};
std::optional<MatrixCodes> matrix_codes(Lowering& l, ValueId v, bool turned, float alpha);

// Those of a convolution [groups * oc][ic][taps] for mnn_conv_codes.
struct ConvCodes : DeviceCodes {
  int64_t group = 0;  // input channels of a scale; 0: all, and a scale per output
};
std::optional<ConvCodes> conv_codes(Lowering& l, ValueId v, int64_t groups, int64_t taps);
// Those of the same in their own order, with a scale per output, for kernels of single codes.
std::optional<DeviceCodes> channel_codes(Lowering& l, ValueId v);
// Those of a table [rows, …]; `group` codes share a scale, of which each row has per_row.
struct TableCodes : DeviceCodes {
  int64_t per_row = 0, group = 1;
};
std::optional<TableCodes> table_codes(Lowering& l, ValueId v);

}  // namespace mnn::gpu
