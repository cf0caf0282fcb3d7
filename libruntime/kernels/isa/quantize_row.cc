// Rows of floats as s8, each with a scale of its own.
#include "libruntime/kernels/isa/bytes.h"
#include "libruntime/kernels/isa/families.h"

namespace mnn::MNN_ISA {
namespace {

constexpr int32_t kAbsBits = 0x7fffffff, kInfinity = 0x7f800000;

// Bits of the largest |x|: of floats without a sign they are in the order of the numbers, and a
// NaN's are above all.
int32_t largest_bits(const float* x, int64_t k) {
  VI most{};
  int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) {
    const VI b = load_int(x + i) & kAbsBits;
    most = b > most ? b : most;
  }
  int32_t largest = 0;
  for (int j = 0; j < kLanes; ++j) largest = most[j] > largest ? most[j] : largest;
  for (; i < k; ++i) {
    int32_t b;
    __builtin_memcpy(&b, x + i, 4);
    b &= kAbsBits;
    largest = b > largest ? b : largest;
  }
  return largest;
}

void quantize_row(const QuantizeRow& r) {
  const int32_t bits = largest_bits(r.x, r.k);
  float largest;
  __builtin_memcpy(&largest, &bits, 4);
  const bool finite = bits < kInfinity;
  if (!finite || largest < 1e-30f) {
    __builtin_memset(r.q, 0, static_cast<size_t>(r.padded));
    __builtin_memset(r.sums, 0, static_cast<size_t>(r.parts) * 4);
    *r.scale = finite ? 0.0f : __builtin_nanf("");
    return;
  }
  *r.scale = largest / 127.0f;
  const VF inverse = splat(127.0f / largest);
  auto* q = reinterpret_cast<uint8_t*>(r.q);
  int64_t i = 0;
  for (; i + kLanes <= r.k; i += kLanes)
    store_bytes(q + i, round_to_int(load(r.x + i) * inverse) & 255);
  if (i < r.k) {
    const auto rest = static_cast<int>(r.k - i);
    store_bytes_part(q + i, round_to_int(load_tail(r.x + i, rest) * inverse) & 255, rest);
  }
  __builtin_memset(q + r.k, 0, static_cast<size_t>(r.padded - r.k));
  for (int64_t p = 0; p < r.parts; ++p) {
    const int64_t begin = p * r.part, end = begin + r.part < r.padded ? begin + r.part : r.padded;
    int32_t sum = 0;
    int64_t j = begin;
    VI lanes{};
    for (; j + kLanes <= end; j += kLanes) {
      const VI v = load_bytes(q + j);
      lanes += (v ^ 128) - 128;  // the sign
    }
    for (int l = 0; l < kLanes; ++l) sum += lanes[l];
    for (; j < end; ++j) sum += r.q[j];
    r.sums[p] = sum;
  }
}

}  // namespace

void fill_quantize_row(KernelTable& table) { table.quantize_row = quantize_row; }

}  // namespace mnn::MNN_ISA
