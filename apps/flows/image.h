// Images as model inputs: read, fit to the input's size, normalize.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/tensor.h"

namespace mnn::flows {

// How an image of another size becomes one of the input's.
enum class ImageFit {
  kStretch,     // height and width each by its own factor
  kLetterbox,   // as large as fits in, in the middle; the rest filled
  kCenterCrop,  // as small as covers all, its middle cut out
  kPad,         // as large as fits in, in the top left corner; the rest filled
};
enum class ImageFilter {
  kLinear,     // two neighbours along each axis, half-pixel centres: OpenCV's INTER_LINEAR
  kAntialias,  // the same, widened where the image shrinks: Pillow's BILINEAR
};

// value = (pixel - mean) * scale per channel, pixels 0…255. One mean or scale serves all channels.
struct ImageOptions {
  int64_t height = 0, width = 0;  // 0: from the model's input
  std::vector<float> mean = {0.0f};
  std::vector<float> scale = {1.0f / 255.0f};
  std::string layout = "nchw";  // or "nhwc"
  std::string color = "rgb";    // or "bgr", "gray"
  ImageFit fit = ImageFit::kStretch;
  ImageFilter filter = ImageFilter::kLinear;
  float fill = 114;  // the pixel value of what letterbox and pad add
};
std::string_view image_fit_name(ImageFit fit);  // "stretch", "letterbox", "center-crop", "pad"
std::string_view image_filter_name(ImageFilter filter);  // "linear", "antialias"
// Usage errors for other names.
Result<ImageFit> parse_image_fit(std::string_view name);
Result<ImageFilter> parse_image_filter(std::string_view name);

// Sets mean and scale from a standard deviation. Where every `std` is below 1 and no mean above it,
// both are in units of 0…1 as training frameworks have them: value = (pixel / 255 - mean) / std;
// else in units of pixels. Mixed units, zeros and negative ones are refused.
Status set_mean_std(const std::vector<float>& mean, const std::vector<float>& std,
                    ImageOptions& options);

bool is_image_name(const std::string& path);        // .png, .jpg, .jpeg in any case
bool is_other_image_name(const std::string& path);  // of a kind that is not read, such as .webp
// Height and width as shown.
Result<std::pair<int64_t, int64_t>> read_image_size(const std::string& path);
// Reads a PNG or JPEG (image_decode.h) and returns f32[1,C,H,W] or f32[1,H,W,C]. `channels`: 3, or
// 1 for gray (ITU-R BT.601 luma); a mean or scale for another number is a usage error.
Result<Tensor> read_image(const std::string& path, const ImageOptions& options, int64_t channels);

}  // namespace mnn::flows
