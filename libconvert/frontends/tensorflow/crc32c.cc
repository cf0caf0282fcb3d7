#include "libconvert/frontends/tensorflow/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

namespace mnn::tensorflow {
namespace {

static_assert(std::endian::native == std::endian::little, "eight bytes are taken as one number");

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected
constexpr size_t kStride = 8;
using Tables = std::array<std::array<uint32_t, 256>, kStride>;

// Row k: what a byte becomes when k more follow it.
constexpr Tables make_tables() {
  Tables t{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? kPolynomial : 0);
    t[0][i] = crc;
  }
  for (size_t k = 1; k < kStride; ++k) {
    for (size_t i = 0; i < 256; ++i) t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 0xff];
  }
  return t;
}
constexpr Tables kTables = make_tables();

}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes) {
  uint32_t crc = 0xffffffff;
  while (bytes.size() >= kStride) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), kStride);
    word ^= crc;
    crc = 0;
    for (size_t k = 0; k < kStride; ++k) {
      crc ^= kTables[kStride - 1 - k][static_cast<uint8_t>(word >> 8 * k)];
    }
    bytes = bytes.subspan(kStride);
  }
  for (const std::byte b : bytes) {
    crc = crc >> 8 ^ kTables[0][(crc ^ static_cast<uint32_t>(b)) & 0xff];
  }
  return ~crc;
}

uint32_t masked_crc32c(std::span<const std::byte> bytes) {
  constexpr uint32_t kMaskDelta = 0xa282ead8;
  return std::rotr(crc32c(bytes), 15) + kMaskDelta;
}

}  // namespace mnn::tensorflow
