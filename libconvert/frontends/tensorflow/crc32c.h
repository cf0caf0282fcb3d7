// CRC-32C (Castagnoli), as tables and bundles keep it of what they hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mnn::tensorflow {

uint32_t crc32c(std::span<const std::byte> bytes);
// The form it is stored in: a checksum over data that holds its own checksum says little.
uint32_t masked_crc32c(std::span<const std::byte> bytes);

}  // namespace mnn::tensorflow
