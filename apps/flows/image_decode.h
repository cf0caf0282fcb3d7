// PNG and JPEG files as pixels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "libruntime/core/status.h"

namespace mnn::flows {

struct Pixels {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> rgb;  // 3 bytes a pixel, rows from the top
};

// By content. Samples are taken as stored: gamma and colour profiles are not applied, 16 bits
// become the nearest 8, transparency is dropped and its colours stay, gray is three times the same.
// An orientation in the file's EXIF data is applied. Over 256 megapixels: kLimit. A file that ends
// early or whose image data is damaged: kInvalidArgument; CMYK: kUnsupported.
Result<Pixels> decode_image(std::span<const std::byte> bytes);

// The orientation of a TIFF structure as EXIF has it, 1…8; 1 where it says none or is damaged
// (EXIF 2.32, 4.6.4, tag 0x0112).
int exif_orientation(std::span<const std::byte> tiff);

}  // namespace mnn::flows
