#include "apps/flows/thumbnail.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "apps/flows/image.h"

namespace mnn::flows {
namespace {

constexpr int64_t kSide = 96;

std::string base64(const std::vector<uint8_t>& bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = bytes.size() - i;
    const uint32_t group = static_cast<uint32_t>(bytes[i]) << 16 |
                           (left > 1 ? static_cast<uint32_t>(bytes[i + 1]) << 8 : 0U) |
                           (left > 2 ? static_cast<uint32_t>(bytes[i + 2]) : 0U);
    for (size_t k = 0; k < 4; ++k) text += k <= left ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
  }
  return text;
}

// Empty when libpng cannot.
std::vector<uint8_t> encode_png(const std::vector<uint8_t>& rgb, int64_t height, int64_t width) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  if (png_image_write_to_memory(&image, nullptr, &size, 0, rgb.data(), 0, nullptr) == 0) return {};
  std::vector<uint8_t> bytes(size);
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, rgb.data(), 0, nullptr) == 0)
    return {};
  bytes.resize(size);
  return bytes;
}

}  // namespace

std::string thumbnail_html(const std::string& path) {
  if (!is_image_name(path)) return {};
  const auto own = read_image_size(path);
  if (!own.ok()) return {};
  const double shrink = std::min(
      1.0, static_cast<double>(kSide) / static_cast<double>(std::max(own->first, own->second)));
  ImageOptions options;
  const auto shrunk = [&](int64_t side) {
    return std::max<int64_t>(1, std::lround(static_cast<double>(side) * shrink));
  };
  options.height = shrunk(own->first);
  options.width = shrunk(own->second);
  options.layout = "nhwc";
  options.scale = {1};
  const auto pixels = read_image(path, options, 3);
  if (!pixels.ok()) return {};
  std::vector<uint8_t> rgb;
  for (const float v : pixels->span<float>())
    rgb.push_back(static_cast<uint8_t>(std::clamp(std::lround(v), 0L, 255L)));
  const std::vector<uint8_t> png = encode_png(rgb, options.height, options.width);
  return png.empty() ? "" : "<img alt=\"\" src=\"data:image/png;base64," + base64(png) + "\">";
}

}  // namespace mnn::flows
