#include "apps/flows/image.h"

#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstring>

#include "libruntime/core/io/file.h"

namespace mnn::flows {
namespace {

constexpr int64_t kMaxPixels = int64_t{256} << 20;

struct Pixels {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> rgb;  // 3 bytes a pixel
};

Result<Pixels> decode_png(std::span<const std::byte> bytes) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0) {
    return invalid(std::string("not a readable PNG: ") + image.message);
  }
  image.format = PNG_FORMAT_RGB;
  Pixels p;
  p.height = image.height;
  p.width = image.width;
  if (p.height * p.width > kMaxPixels) {
    png_image_free(&image);
    return limit_exceeded("the image has more than 256 megapixels");
  }
  p.rgb.resize(PNG_IMAGE_SIZE(image));
  const png_color white = {255, 255, 255};
  if (png_image_finish_read(&image, &white, p.rgb.data(), 0, nullptr) == 0) {
    return invalid(std::string("not a readable PNG: ") + image.message);
  }
  return p;
}

struct JpegError {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
};

void on_jpeg_error(j_common_ptr info) {
  auto* error = reinterpret_cast<JpegError*>(info->err);
  info->err->format_message(info, error->text);
  std::longjmp(error->jump, 1);
}
void on_jpeg_warning(j_common_ptr, int) {}

// Fills `p`; no object with a destructor lives in this frame, since longjmp would skip it.
bool decode_jpeg_into(std::span<const std::byte> bytes, Pixels& p, JpegError& error) {
  jpeg_decompress_struct info{};
  info.err = jpeg_std_error(&error.manager);
  error.manager.error_exit = on_jpeg_error;
  error.manager.emit_message = on_jpeg_warning;
  if (setjmp(error.jump) != 0) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  if (static_cast<int64_t>(info.image_width) * info.image_height > kMaxPixels) {
    std::strcpy(error.text, "more than 256 megapixels");
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_start_decompress(&info);
  p.height = info.output_height;
  p.width = info.output_width;
  p.rgb.resize(static_cast<size_t>(p.height * p.width * 3));
  while (info.output_scanline < info.output_height) {
    JSAMPROW row =
        p.rgb.data() + static_cast<size_t>(info.output_scanline) * static_cast<size_t>(p.width) * 3;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return true;
}

Result<Pixels> decode(std::span<const std::byte> bytes) {
  if (bytes.size() > 4 && std::memcmp(bytes.data(), "\x89PNG", 4) == 0) return decode_png(bytes);
  if (bytes.size() > 3 && std::memcmp(bytes.data(), "\xff\xd8\xff", 3) == 0) {
    Pixels p;
    JpegError error{};
    if (!decode_jpeg_into(bytes, p, error))
      return invalid(std::string("not a readable JPEG: ") + error.text);
    return p;
  }
  return invalid("expected a PNG or JPEG image");
}

// Bilinear sample positions along one axis, half-pixel centres, clamped at the border.
struct Tap {
  int64_t low = 0, high = 0;
  float fraction = 0;
};
std::vector<Tap> taps(int64_t from, int64_t to) {
  std::vector<Tap> out(static_cast<size_t>(to));
  const double ratio = static_cast<double>(from) / static_cast<double>(to);
  for (int64_t i = 0; i < to; ++i) {
    const double at = std::clamp((static_cast<double>(i) + 0.5) * ratio - 0.5, 0.0,
                                 static_cast<double>(from - 1));
    const auto low = static_cast<int64_t>(at);
    out[static_cast<size_t>(i)] = {low, std::min(low + 1, from - 1),
                                   static_cast<float>(at - static_cast<double>(low))};
  }
  return out;
}

Result<Pixels> read_pixels(const std::string& path) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  auto decoded = decode(file.bytes);
  if (!decoded.ok()) return decoded.status().context(path);
  if (decoded->height == 0 || decoded->width == 0) return invalid(path + ": the image is empty");
  return decoded;
}

bool ends_in(const std::string& path, std::initializer_list<std::string_view> endings) {
  std::string ending = path.substr(std::min(path.size(), path.rfind('.')));
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

}  // namespace

bool is_image_name(const std::string& path) { return ends_in(path, {".png", ".jpg", ".jpeg"}); }

bool is_other_image_name(const std::string& path) {
  return ends_in(path,
                 {".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".avif", ".jp2", ".ppm"});
}

Result<std::pair<int64_t, int64_t>> read_image_size(const std::string& path) {
  MNN_ASSIGN_OR_RETURN(const Pixels p, read_pixels(path));
  return std::pair(p.height, p.width);
}

Result<Tensor> read_image(const std::string& path, const ImageOptions& options, int64_t channels) {
  MNN_ASSIGN_OR_RETURN(const Pixels p, read_pixels(path));
  const int64_t height = options.height > 0 ? options.height : p.height;
  const int64_t width = options.width > 0 ? options.width : p.width;
  const bool gray = options.color == "gray" || channels == 1;
  if (channels != (gray ? 1 : 3)) {
    return usage_error("images have 3 channels (1 in gray), the input takes " +
                       std::to_string(channels));
  }
  auto per_channel = [&](const std::vector<float>& list, int64_t c) {
    return list.empty() ? 0.0f : list[list.size() == 1 ? 0 : static_cast<size_t>(c) % list.size()];
  };
  const bool nhwc = options.layout == "nhwc";
  MNN_ASSIGN_OR_RETURN(
      Tensor t,
      Tensor::allocate(DType::kF32, nhwc ? std::vector<int64_t>{1, height, width, channels}
                                         : std::vector<int64_t>{1, channels, height, width}));
  const std::vector<Tap> ys = taps(p.height, height), xs = taps(p.width, width);
  float* out = t.data<float>();
  for (int64_t y = 0; y < height; ++y) {
    const Tap ty = ys[static_cast<size_t>(y)];
    for (int64_t x = 0; x < width; ++x) {
      const Tap tx = xs[static_cast<size_t>(x)];
      float rgb[3];
      for (int64_t c = 0; c < 3; ++c) {
        auto at = [&](int64_t r, int64_t q) {
          return static_cast<float>(p.rgb[static_cast<size_t>((r * p.width + q) * 3 + c)]);
        };
        const float top =
            at(ty.low, tx.low) + (at(ty.low, tx.high) - at(ty.low, tx.low)) * tx.fraction;
        const float low =
            at(ty.high, tx.low) + (at(ty.high, tx.high) - at(ty.high, tx.low)) * tx.fraction;
        rgb[c] = top + (low - top) * ty.fraction;
      }
      for (int64_t c = 0; c < channels; ++c) {
        // ITU-R BT.601 luma.
        const float v = gray ? 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]
                             : rgb[options.color == "bgr" ? 2 - c : c];
        const int64_t index = nhwc ? (y * width + x) * channels + c : (c * height + y) * width + x;
        out[index] = (v - per_channel(options.mean, c)) * per_channel(options.scale, c);
      }
    }
  }
  return t;
}

}  // namespace mnn::flows
