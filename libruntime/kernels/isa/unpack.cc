// Codes of weights as floats.
#include "libruntime/kernels/isa/bytes.h"
#include "libruntime/kernels/isa/families.h"

namespace mnn::MNN_ISA {
namespace {

// kPerByte rows of a panel share a byte per column, the first in the lowest bits.
template <int kPerByte>
void unpack_rows(const UnpackCodes& u) {
  constexpr int kBits = 8 / kPerByte;
  constexpr int32_t kMask = (1 << kBits) - 1;
  for (int64_t first = 0, part = 0; first < u.k; first += u.group, ++part) {
    const int64_t end = first + u.group < u.k ? first + u.group : u.k;
    for (int64_t j = 0; j < u.columns; j += kLanes) {
      const VF scale = load(u.scale + part * u.columns + j);
      const VF zero = load(u.zero + part * u.columns + j);
      const VF offset = u.offset != nullptr ? load(u.offset + part * u.columns + j) : VF{};
      for (int64_t row = first; row < end; row += kPerByte) {
        const VI bytes = load_bytes(u.codes + row / kPerByte * u.columns + j);
        for (int i = 0; i < kPerByte; ++i) {
          if (row + i >= end) break;
          const VI code = kPerByte == 1 ? bytes : (bytes >> (i * kBits)) & kMask;
          VF w = (to_float(code) - zero) * scale;
          if (u.offset != nullptr) w += offset;
          store(u.out + (row + i) * u.columns + j, w);
        }
      }
    }
  }
}

void unpack(const UnpackCodes& u) {
  if (u.per_byte == 1) {
    unpack_rows<1>(u);
  } else if (u.per_byte == 2) {
    unpack_rows<2>(u);
  } else {
    unpack_rows<4>(u);
  }
}

}  // namespace

void fill_unpack(KernelTable& table) { table.unpack_codes = unpack; }

}  // namespace mnn::MNN_ISA
