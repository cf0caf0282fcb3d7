// What goes into integer products and comes out of them: packing of run-time operands, sums that
// take off zero points, and rows of sums to outputs.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/int8_post.h"
#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {
namespace {

void pack_pairs(const uint8_t* b, int64_t stride, int64_t depth, int64_t width, int64_t nr,
                int32_t zero, int32_t* __restrict out) {
  for (int64_t k = 0; k < depth; k += 2, b += 2 * stride, out += nr) {
    const uint8_t* __restrict low = b;
    if (k + 1 < depth) {
      const uint8_t* __restrict high = b + stride;
      for (int64_t j = 0; j < width; ++j)
        out[j] = ((low[j] - zero) & 0xffff) | ((high[j] - zero) * 65536);
    } else {
      for (int64_t j = 0; j < width; ++j) out[j] = (low[j] - zero) & 0xffff;
    }
    for (int64_t j = width; j < nr; ++j) out[j] = 0;
  }
}

void pack_fours(const uint8_t* b, int64_t stride, int64_t depth, int64_t width, int64_t nr,
                int32_t* __restrict out, int32_t* __restrict sums) {
  for (int64_t j = 0; j < nr; ++j) sums[j] = 0;
  for (int64_t k = 0; k < depth; k += 4, b += 4 * stride, out += nr) {
    const int64_t rows = depth - k < 4 ? depth - k : 4;
    for (int64_t j = 0; j < nr; ++j) out[j] = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* __restrict row = b + r * stride;
      const int64_t shift = 8 * r;
      for (int64_t j = 0; j < width; ++j) {
        const int32_t w = row[j] - 128;
        sums[j] += w;
        out[j] |= static_cast<int32_t>(static_cast<uint32_t>(w & 0xff) << shift);
      }
    }
  }
}

void minus_128(const uint8_t* __restrict x, int8_t* __restrict y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<int8_t>(x[i] ^ 0x80);
}

int32_t sum_u8(const uint8_t* x, int64_t n) {
  int32_t sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  return sum;
}

void add_i32(const int32_t* __restrict x, int32_t* __restrict y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

void finish(const SumsInt8& s) {
  const SumBlock block{s.sums, s.rows,      s.width,  s.n,        s.scale,
                       s.bias, s.y_inverse, s.y_zero, s.residual, s.y};
  finish_block(block, *s.post, [&](int64_t m) { return m * s.y_stride; });
}

}  // namespace

void fill_pack_int8(KernelTable& table) {
  table.pack_pairs = pack_pairs;
  table.pack_fours = pack_fours;
  table.minus_128 = minus_128;
  table.sum_u8 = sum_u8;
  table.add_i32 = add_i32;
  table.finish_int8 = finish;
}

}  // namespace mnn::MNN_ISA
