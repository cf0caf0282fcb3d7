// Elements narrower than a byte: a stream of bits, low bits first. An element of 3, 5 or 6 bits may
// begin in one byte and end in the next.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mnn {

inline uint8_t packed_get(const std::byte* data, int bits, int64_t i) {
  const int64_t at = i * bits, byte = at / 8;
  const auto shift = static_cast<unsigned>(at % 8);
  unsigned word = static_cast<unsigned>(data[byte]);
  if (shift + static_cast<unsigned>(bits) > 8) word |= static_cast<unsigned>(data[byte + 1]) << 8;
  return static_cast<uint8_t>((word >> shift) & ((1u << bits) - 1u));
}

inline void packed_set(std::byte* data, int bits, int64_t i, uint8_t value) {
  const int64_t at = i * bits, byte = at / 8;
  const auto shift = static_cast<unsigned>(at % 8);
  const unsigned mask = ((1u << bits) - 1u) << shift;
  const unsigned set = (static_cast<unsigned>(value) << shift) & mask;
  data[byte] = static_cast<std::byte>((static_cast<unsigned>(data[byte]) & ~mask) | (set & 0xffu));
  if (mask > 0xffu) {
    const auto next = static_cast<unsigned>(data[byte + 1]);
    data[byte + 1] = static_cast<std::byte>((next & ~(mask >> 8)) | (set >> 8));
  }
}

}  // namespace mnn
