#include "apps/flows/image_decode.h"

#include <jpeglib.h>
// Needs the types of the one above.
#include <jerror.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>

namespace mnn::flows {
namespace {

constexpr int64_t kMaxPixels = int64_t{256} << 20;

// Both libraries end a failed call by longjmp, which skips destructors: what must be freed lives in
// the frame that calls setjmp's, and only plain data in the frames between.
struct Failure {
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
};

struct PngSource {
  const std::byte* at;
  size_t left;
};

void read_png_bytes(png_structp png, png_bytep out, size_t n) {
  auto* source = static_cast<PngSource*>(png_get_io_ptr(png));
  if (n > source->left) png_error(png, "the file ends early");
  std::memcpy(out, source->at, n);
  source->at += n;
  source->left -= n;
}

void on_png_error(png_structp png, png_const_charp message) {
  auto* failure = static_cast<Failure*>(png_get_error_ptr(png));
  std::snprintf(failure->text, sizeof failure->text, "%s", message);
  std::longjmp(failure->jump, 1);
}
void on_png_warning(png_structp, png_const_charp) {}

struct PngReader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::vector<png_bytep> rows;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

// The header; then the size is known and `rows` can be set.
bool read_png_header(PngReader& r, PngSource& source, Failure& failure) {
  if (setjmp(failure.jump) != 0) return false;
  png_set_read_fn(r.png, &source, read_png_bytes);
  png_read_info(r.png, r.info);
  const int type = png_get_color_type(r.png, r.info);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(r.png);
  if (type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_GRAY_ALPHA) {
    png_set_expand_gray_1_2_4_to_8(r.png);
    png_set_gray_to_rgb(r.png);
  }
  png_set_scale_16(r.png);
  png_set_strip_alpha(r.png);
  png_set_interlace_handling(r.png);
  png_read_update_info(r.png, r.info);
  return true;
}

bool read_png_rows(PngReader& r, Failure& failure) {
  if (setjmp(failure.jump) != 0) return false;
  png_read_image(r.png, r.rows.data());
  png_read_end(r.png, r.info);
  return true;
}

int png_orientation(const PngReader& r) {
#ifdef PNG_eXIf_SUPPORTED
  png_uint_32 size = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(r.png, r.info, &size, &exif) != 0) {
    return exif_orientation(std::as_bytes(std::span(exif, size)));
  }
#endif
  return 1;
}

Result<Pixels> decode_png(std::span<const std::byte> bytes, int& orientation) {
  Failure failure{};
  const auto bad = [&] { return invalid(std::string("not a readable PNG: ") + failure.text); };
  PngReader r;
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure, on_png_error, on_png_warning);
  if (r.png != nullptr) r.info = png_create_info_struct(r.png);
  if (r.info == nullptr) return limit_exceeded("no memory to read a PNG");
  PngSource source{bytes.data(), bytes.size()};
  if (!read_png_header(r, source, failure)) return bad();
  Pixels p;
  p.height = png_get_image_height(r.png, r.info);
  p.width = png_get_image_width(r.png, r.info);
  if (p.height * p.width > kMaxPixels) {
    return limit_exceeded("the image has more than 256 megapixels");
  }
  const size_t stride = static_cast<size_t>(p.width) * 3;
  if (png_get_rowbytes(r.png, r.info) != stride) return invalid("not a readable PNG: odd rows");
  p.rgb.resize(stride * static_cast<size_t>(p.height));
  for (int64_t y = 0; y < p.height; ++y) {
    r.rows.push_back(p.rgb.data() + stride * static_cast<size_t>(y));
  }
  if (!read_png_rows(r, failure)) return bad();
  orientation = png_orientation(r);
  return p;
}

struct JpegError {
  jpeg_error_mgr manager;  // first: the library knows only this
  Failure failure;
};

void on_jpeg_error(j_common_ptr info) {
  auto* error = reinterpret_cast<JpegError*>(info->err);
  info->err->format_message(info, error->failure.text);
  std::longjmp(error->failure.jump, 1);
}

// Warnings that mean that part of the image is made up: a decoder goes on with gray.
void on_jpeg_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE ||
      code == JWRN_MUST_RESYNC) {
    on_jpeg_error(info);
  }
}

// A progressive file of many scans takes hours to decode; real ones have about ten.
void on_jpeg_progress(j_common_ptr info) {
  constexpr int kMostScans = 500;
  auto* reader = reinterpret_cast<j_decompress_ptr>(info);
  if (reader->input_scan_number <= kMostScans) return;
  auto* error = reinterpret_cast<JpegError*>(info->err);
  std::snprintf(error->failure.text, sizeof error->failure.text, "more than %d scans", kMostScans);
  std::longjmp(error->failure.jump, 1);
}

struct JpegReader {
  jpeg_decompress_struct info{};
  jpeg_progress_mgr progress{};
  ~JpegReader() { jpeg_destroy_decompress(&info); }
};

bool read_jpeg_header(JpegReader& r, std::span<const std::byte> bytes, Failure& failure) {
  if (setjmp(failure.jump) != 0) return false;
  jpeg_create_decompress(&r.info);
  r.progress.progress_monitor = on_jpeg_progress;
  r.info.progress = &r.progress;
  jpeg_mem_src(&r.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&r.info, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&r.info, TRUE);
  return true;
}

bool read_jpeg_rows(JpegReader& r, uint8_t* rgb, Failure& failure) {
  if (setjmp(failure.jump) != 0) return false;
  r.info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&r.info);
  while (r.info.output_scanline < r.info.output_height) {
    JSAMPROW row = rgb + static_cast<size_t>(r.info.output_scanline) * r.info.output_width * 3;
    jpeg_read_scanlines(&r.info, &row, 1);
  }
  jpeg_finish_decompress(&r.info);
  return true;
}

int jpeg_orientation(const JpegReader& r) {
  for (jpeg_saved_marker_ptr m = r.info.marker_list; m != nullptr; m = m->next) {
    constexpr std::string_view kExif("Exif\0\0", 6);
    if (m->data_length > kExif.size() && std::memcmp(m->data, kExif.data(), kExif.size()) == 0) {
      return exif_orientation(
          std::as_bytes(std::span(m->data, m->data_length).subspan(kExif.size())));
    }
  }
  return 1;
}

Result<Pixels> decode_jpeg(std::span<const std::byte> bytes, int& orientation) {
  JpegError error{};
  const auto bad = [&] {
    return invalid(std::string("not a readable JPEG: ") + error.failure.text);
  };
  JpegReader r;
  r.info.err = jpeg_std_error(&error.manager);
  error.manager.error_exit = on_jpeg_error;
  error.manager.emit_message = on_jpeg_message;
  if (!read_jpeg_header(r, bytes, error.failure)) return bad();
  if (r.info.jpeg_color_space == JCS_CMYK || r.info.jpeg_color_space == JCS_YCCK) {
    return unsupported("a CMYK JPEG: convert it to RGB first");
  }
  Pixels p;
  p.height = r.info.image_height;
  p.width = r.info.image_width;
  if (p.height * p.width > kMaxPixels) {
    return limit_exceeded("the image has more than 256 megapixels");
  }
  p.rgb.resize(static_cast<size_t>(p.height * p.width * 3));
  orientation = jpeg_orientation(r);  // finishing forgets the markers
  if (!read_jpeg_rows(r, p.rgb.data(), error.failure)) return bad();
  return p;
}

// The image as EXIF orientation `o` says it is to be shown.
Pixels oriented(Pixels stored, int o) {
  if (o == 1) return stored;
  const int64_t h = stored.height, w = stored.width;
  Pixels out;
  out.height = o >= 5 ? w : h;
  out.width = o >= 5 ? h : w;
  out.rgb.resize(stored.rgb.size());
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) {
      const bool swapped = o >= 5;
      int64_t r = swapped ? x : y, c = swapped ? y : x;
      if (o == 3 || o == 4 || o == 6 || o == 7) r = h - 1 - r;
      if (o == 2 || o == 3 || o == 7 || o == 8) c = w - 1 - c;
      std::memcpy(&out.rgb[static_cast<size_t>((y * out.width + x) * 3)],
                  &stored.rgb[static_cast<size_t>((r * w + c) * 3)], 3);
    }
  }
  return out;
}

}  // namespace

int exif_orientation(std::span<const std::byte> tiff) {
  const auto byte = [&](size_t i) { return std::to_integer<uint32_t>(tiff[i]); };
  if (tiff.size() < 8) return 1;
  const bool little = byte(0) == 'I' && byte(1) == 'I';
  if (!little && !(byte(0) == 'M' && byte(1) == 'M')) return 1;
  const auto u16 = [&](size_t i) {
    return little ? byte(i) | byte(i + 1) << 8 : byte(i) << 8 | byte(i + 1);
  };
  const auto u32 = [&](size_t i) {
    return little ? u16(i) | u16(i + 2) << 16 : u16(i) << 16 | u16(i + 2);
  };
  const size_t at = u32(4);
  if (at > tiff.size() - 2) return 1;
  const size_t count = u16(at);
  constexpr size_t kEntry = 12;
  constexpr uint32_t kOrientation = 0x0112, kShort = 3;
  for (size_t i = 0; i < count; ++i) {
    const size_t entry = at + 2 + i * kEntry;
    if (entry + kEntry > tiff.size()) return 1;
    if (u16(entry) != kOrientation || u16(entry + 2) != kShort) continue;
    const auto value = static_cast<int>(u16(entry + 8));
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

Result<Pixels> decode_image(std::span<const std::byte> bytes) {
  const auto begins = [&](std::string_view magic) {
    return bytes.size() > magic.size() &&
           std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
  };
  int orientation = 1;
  Result<Pixels> decoded = begins("\x89PNG")        ? decode_png(bytes, orientation)
                           : begins("\xff\xd8\xff") ? decode_jpeg(bytes, orientation)
                                                    : invalid("expected a PNG or JPEG image");
  if (!decoded.ok()) return decoded;
  if (decoded->height == 0 || decoded->width == 0) return invalid("the image is empty");
  return oriented(*std::move(decoded), orientation);
}

}  // namespace mnn::flows
