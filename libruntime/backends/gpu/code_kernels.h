// What kernels have that read weights in codes, or in halves (BITS 16).
//
// Eight outputs lie side by side: block e of them is codes [8 e, 8 e + 8), each of BITS (2, 4, 8 or
// 16) bits, low bits first. A weight is (code - zero) * scale, with OFFSET plus an offset: `scales`
// holds these three for each part of the weights, as [part][3][o4] F4.
#pragma once

#include "libruntime/backends/gpu/kernel.h"

namespace mnn::gpu {

inline constexpr const char* kCodes = R"(
#define CODE(word, j) float((word) >> ((j) * BITS) & ((1 << BITS) - 1))
#define FOUR(word, by, from) \
  F4_OF((CODE(word, 0) - from.x) * by.x, (CODE(word, 1) - from.y) * by.y, \
        (CODE(word, 2) - from.z) * by.z, (CODE(word, 3) - from.w) * by.w)
#define HALF(h) (AS_FLOAT(((h) & 0x8000) << 16 | ((h) & 0x7fff) << 13) * 5.192296858534828e33f)
#define HALVES(a, b) F4_OF(HALF(a), HALF((a) >> 16), HALF(b), HALF((b) >> 16))
#define SET_SCALES(part, o4, c) { \
    su = scales[(part) * 3 * (o4) + (c)]; \
    sq = scales[(part) * 3 * (o4) + (c) + 1]; \
    zu = scales[((part) * 3 + 1) * (o4) + (c)]; \
    zq = scales[((part) * 3 + 1) * (o4) + (c) + 1]; \
    if (OFFSET != 0) { \
      ou = scales[((part) * 3 + 2) * (o4) + (c)]; \
      oq = scales[((part) * 3 + 2) * (o4) + (c) + 1]; \
    } \
  }
#define LOAD_SCALES(part, o4, c) \
  F4 su = F4_ZERO; \
  F4 sq = F4_ZERO; \
  F4 zu = F4_ZERO; \
  F4 zq = F4_ZERO; \
  F4 ou = F4_ZERO; \
  F4 oq = F4_ZERO; \
  if (BITS < 16) SET_SCALES(part, o4, c)
#define LOAD_CODES(e) \
  F4 u = F4_ZERO; \
  F4 q = F4_ZERO; \
  if (BITS == 16) { \
    u = HALVES(w[4 * (e)], w[4 * (e) + 1]); \
    q = HALVES(w[4 * (e) + 2], w[4 * (e) + 3]); \
  } else { \
    int first = BITS == 8 ? w[2 * (e)] : BITS == 4 ? w[e] : w[(e) / 2] >> (16 * ((e) % 2)); \
    int second = BITS == 8 ? w[2 * (e) + 1] : first >> (4 * BITS); \
    u = FOUR(first, su, zu); \
    q = FOUR(second, sq, zq); \
    if (OFFSET != 0) { \
      u = MAD(1.0f, u, ou); \
      q = MAD(1.0f, q, oq); \
    } \
  }
)";

// A code alone: the i-th, of entry `entry`.
inline constexpr const char* kSingleCode = R"(
#define WEIGHT(i, entry) \
  ((float(w[(i) * BITS / 32] >> ((i) * BITS % 32) & ((1 << BITS) - 1)) - \
    scales[3 * (entry) + 1]) * scales[3 * (entry)] + \
   (OFFSET != 0 ? scales[3 * (entry) + 2] : 0.0f))
)";

// The buffer `scales` behind w, the constants, the parameter `group` and LOAD_CODES.
inline void add_codes(KernelRow& row) {
  row.buffers.insert(row.buffers.begin() + 2, {"scales", KernelRow::Element::kF4});
  row.params.push_back({"group"});
  row.constants.push_back("BITS");
  row.constants.push_back("OFFSET");
  row.functions += kCodes;
}

}  // namespace mnn::gpu
