// Images against what Pillow and OpenCV make of them (make_images.py).
#include "apps/flows/image.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "apps/flows/image_decode.h"
#include "libruntime/core/io/file.h"
#include "libruntime/core/io/npy.h"
#include "tests/test_data.h"

namespace mnn::flows {
namespace {

std::string image_path(const std::string& name) { return test_data("data/images/" + name); }

Tensor expected(const std::string& name) {
  Result<Tensor> t = read_npy(image_path("expected/" + name + ".npy"));
  EXPECT_TRUE(t.ok()) << t.status().message();
  return *t;
}

// Pixels as they are: no mean, no scale, HWC.
ImageOptions raw() {
  ImageOptions o;
  o.scale = {1.0f};
  o.layout = "nhwc";
  return o;
}

// The largest difference to the stored u8 image [H,W,3] or [H,W].
double largest_difference(const std::string& file, const ImageOptions& options,
                          const std::string& stored, int64_t channels = 3) {
  const Tensor want = expected(stored);
  Result<Tensor> found = read_image(image_path(file), options, channels);
  EXPECT_TRUE(found.ok()) << found.status().message();
  if (!found.ok()) return INFINITY;
  EXPECT_EQ(found->elements(), want.elements());
  EXPECT_EQ(found->dims()[1], want.dims()[0]);
  EXPECT_EQ(found->dims()[2], want.dims()[1]);
  double most = 0;
  for (int64_t i = 0; i < want.elements(); ++i) {
    most = std::max(
        most, std::abs(static_cast<double>(found->data<float>()[i]) - want.data<uint8_t>()[i]));
  }
  return most;
}

TEST(Image, SamplesAreTakenAsStored) {
  const std::map<std::string, std::string> files = {
      {"rgb.png", "rgb"},         {"rgba.png", "rgba"},    {"gray.png", "gray"},
      {"palette.png", "palette"}, {"photo.jpg", "photo"},  {"gray.jpg", "gray_jpg"},
      {"rgb16.png", "rgb16"},     {"gray16.png", "gray16"}};
  for (const auto& [file, stored] : files) {
    EXPECT_EQ(largest_difference(file, raw(), stored), 0) << file;
  }
}

TEST(Image, IsTurnedAsItsExifDataSays) {
  for (int o = 1; o <= 8; ++o) {
    const std::string name = "exif" + std::to_string(o);
    EXPECT_EQ(largest_difference(name + ".jpg", raw(), name), 0) << name;
  }
  EXPECT_EQ(largest_difference("exif6.png", raw(), "exif6_png"), 0);
  const auto size = read_image_size(image_path("exif6.jpg"));
  ASSERT_TRUE(size.ok());
  EXPECT_EQ(size->first, 17);
  EXPECT_EQ(size->second, 13);
}

// OpenCV computes in fixed point and both round to bytes.
TEST(Image, IsResizedAsByOpenCvAndPillow) {
  const auto sized = [](int64_t h, int64_t w, ImageFit fit, ImageFilter filter, float fill = 114) {
    ImageOptions o = raw();
    o.height = h;
    o.width = w;
    o.fit = fit;
    o.filter = filter;
    o.fill = fill;
    return o;
  };
  const auto stretch = ImageFit::kStretch;
  EXPECT_LE(
      largest_difference("photo.jpg", sized(11, 20, stretch, ImageFilter::kLinear), "linear_down"),
      0.8);
  EXPECT_LE(
      largest_difference("photo.jpg", sized(50, 70, stretch, ImageFilter::kLinear), "linear_up"),
      0.8);
  EXPECT_LE(largest_difference("photo.jpg", sized(11, 20, stretch, ImageFilter::kAntialias),
                               "antialias_down"),
            1.1);
  EXPECT_LE(largest_difference("photo.jpg", sized(50, 70, stretch, ImageFilter::kAntialias),
                               "antialias_up"),
            1.1);
  EXPECT_LE(
      largest_difference("photo.jpg", sized(40, 40, ImageFit::kLetterbox, ImageFilter::kLinear),
                         "letterbox"),
      0.8);
  EXPECT_LE(largest_difference("photo.jpg", sized(40, 40, ImageFit::kPad, ImageFilter::kLinear, 0),
                               "pad"),
            0.8);
  EXPECT_LE(
      largest_difference("photo.jpg", sized(24, 24, ImageFit::kCenterCrop, ImageFilter::kAntialias),
                         "center_crop"),
      1.1);
}

TEST(Image, GrayIsTheLumaOfTheColours) {
  ImageOptions o = raw();
  o.color = "gray";
  EXPECT_LE(largest_difference("photo.jpg", o, "luma", 1), 0.8);
}

TEST(Image, ChannelsAreNormalizedEachByItsOwn) {
  ImageOptions o;
  ASSERT_TRUE(set_mean_std({0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, o).ok());
  o.color = "bgr";
  const Tensor pixels = expected("rgb");
  Result<Tensor> t = read_image(image_path("rgb.png"), o, 3);
  ASSERT_TRUE(t.ok()) << t.status().message();
  EXPECT_EQ(t->dims(), (std::vector<int64_t>{1, 3, 13, 17}));
  // Row 2, column 5; the first channel is blue and has the first mean.
  const int64_t at = 2 * 17 + 5;
  for (int c = 0; c < 3; ++c) {
    const double mean[] = {0.485, 0.456, 0.406}, std[] = {0.229, 0.224, 0.225};
    const double pixel = pixels.data<uint8_t>()[at * 3 + 2 - c];
    EXPECT_NEAR(t->data<float>()[c * 13 * 17 + at], (pixel / 255 - mean[c]) / std[c], 1e-5);
  }
  ASSERT_TRUE(set_mean_std({127.5f}, {127.5f}, o).ok());
  EXPECT_FLOAT_EQ(o.mean[0], 127.5f);
  EXPECT_FLOAT_EQ(o.scale[0], 1 / 127.5f);
  // Caffe's: means alone.
  ASSERT_TRUE(set_mean_std({104, 117, 123}, {1}, o).ok());
  EXPECT_FLOAT_EQ(o.scale[0], 1);
  EXPECT_EQ(set_mean_std({127.5f}, {0.5f}, o).code(), Code::kUsage);
  EXPECT_EQ(set_mean_std({0}, {0}, o).code(), Code::kUsage);
}

TEST(Image, WrongNumbersOfValuesAreRefused) {
  ImageOptions o;
  o.mean = {1, 2};
  const auto t = read_image(image_path("rgb.png"), o, 3);
  ASSERT_FALSE(t.ok());
  EXPECT_EQ(t.status().message(), "the image mean has 2 values: expected 1 or one per channel, 3");
}

TEST(Image, DamagedFilesAreRefused) {
  for (const char* name : {"truncated.jpg", "truncated.png"}) {
    const auto t = read_image(image_path(name), raw(), 3);
    ASSERT_FALSE(t.ok()) << name;
    EXPECT_EQ(t.status().code(), Code::kInvalidArgument) << t.status().message();
  }
  const auto cmyk = read_image(image_path("cmyk.jpg"), raw(), 3);
  ASSERT_FALSE(cmyk.ok());
  EXPECT_EQ(cmyk.status().code(), Code::kUnsupported) << cmyk.status().message();
}

// Every prefix and every flipped byte is an image or an error.
TEST(Image, HostileFilesEndInAnError) {
  for (const char* name : {"rgba.png", "rgb16.png", "palette.png", "exif6.jpg", "exif6.png"}) {
    const auto file = map_file(image_path(name));
    ASSERT_TRUE(file.ok());
    std::vector<std::byte> bytes(file->bytes.begin(), file->bytes.end());
    for (size_t n = 0; n < bytes.size(); n += 1 + n / 64) {
      EXPECT_FALSE(decode_image(std::span(bytes).first(n)).ok()) << name << " " << n;
    }
    for (size_t i = 0; i < bytes.size(); ++i) {
      std::vector<std::byte> changed = bytes;
      changed[i] ^= std::byte{0xff};
      const auto read = decode_image(changed);
      if (!read.ok()) continue;
      EXPECT_EQ(read->rgb.size(), static_cast<size_t>(read->height * read->width * 3));
    }
  }
}

TEST(Exif, DamagedStructuresSayNothing) {
  const auto orientation = [](std::vector<int> values) {
    std::vector<std::byte> bytes;
    for (const int v : values) bytes.push_back(static_cast<std::byte>(v));
    return exif_orientation(bytes);
  };
  const std::vector<int> big = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0,
                                3,   0,   0, 0,  1, 0, 8, 0, 0, 0, 0, 0,    0};
  EXPECT_EQ(orientation(big), 8);
  for (size_t n = 0; n < 22; ++n) {
    EXPECT_EQ(orientation(std::vector<int>(big.begin(), big.begin() + static_cast<int>(n))), 1);
  }
  std::vector<int> far = big;
  far[4] = 0xff;
  EXPECT_EQ(orientation(far), 1);
  std::vector<int> nine = big;
  nine[19] = 9;
  EXPECT_EQ(orientation(nine), 1);
}

}  // namespace
}  // namespace mnn::flows
