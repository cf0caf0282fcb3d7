// Images as model inputs: read, resize, normalize.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/tensor.h"

namespace mnn::flows {

// value = (pixel - mean) * scale per channel, pixels 0…255. One mean or scale serves all channels.
struct ImageOptions {
  int64_t height = 0, width = 0;  // 0: from the model's input
  std::vector<float> mean = {0.0f};
  std::vector<float> scale = {1.0f / 255.0f};
  std::string layout = "nchw";  // or "nhwc"
  std::string color = "rgb";    // or "bgr", "gray"
};

bool is_image_name(const std::string& path);        // .png, .jpg, .jpeg in any case
bool is_other_image_name(const std::string& path);  // of a kind that is not read, such as .webp
// Height and width as stored.
Result<std::pair<int64_t, int64_t>> read_image_size(const std::string& path);
// Reads a PNG or JPEG (by content), resizes bilinearly (half-pixel centres), returns
// f32[1,C,H,W] or f32[1,H,W,C]. Images over 256 megapixels are refused.
Result<Tensor> read_image(const std::string& path, const ImageOptions& options, int64_t channels);

}  // namespace mnn::flows
