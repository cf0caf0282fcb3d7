#include "apps/flows/image.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "apps/flows/image_decode.h"
#include "libruntime/core/io/file.h"

namespace mnn::flows {
namespace {

// In the order of their enumerations.
constexpr std::array<std::string_view, 4> kFits = {"stretch", "letterbox", "center-crop", "pad"};
constexpr std::array<std::string_view, 2> kFilters = {"linear", "antialias"};

// What one output pixel along an axis takes from the input: weights of neighbours, sum 1.
struct Taps {
  int64_t first = 0;
  std::vector<float> weights;
};

// Triangle filter over an axis of `from` pixels scaled to `to`, half-pixel centres. Its half width
// is one input pixel, or one output pixel where that is wider and `antialias`.
std::vector<Taps> triangle(int64_t from, int64_t to, bool antialias) {
  std::vector<Taps> out(static_cast<size_t>(to));
  const double ratio = static_cast<double>(from) / static_cast<double>(to);
  const double reach = antialias ? std::max(ratio, 1.0) : 1.0;
  for (int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * ratio;
    Taps& t = out[static_cast<size_t>(i)];
    double last = 0;
    if (antialias) {
      t.first = std::max<int64_t>(0, std::llround(std::floor(centre - reach + 0.5)));
      last = std::min(static_cast<double>(from), std::floor(centre + reach + 0.5));
    } else {
      // Beyond the border its pixel repeats.
      const double at = std::clamp(centre - 0.5, 0.0, static_cast<double>(from - 1));
      t.first = static_cast<int64_t>(at);
      const auto fraction = static_cast<float>(at - static_cast<double>(t.first));
      t.weights = {1 - fraction};
      if (t.first + 1 < from) t.weights.push_back(fraction);
      continue;
    }
    double sum = 0;
    std::vector<double> weights;
    for (int64_t k = t.first; static_cast<double>(k) < last; ++k) {
      const double away = std::abs(static_cast<double>(k) + 0.5 - centre) / reach;
      weights.push_back(std::max(0.0, 1 - away));
      sum += weights.back();
    }
    for (const double w : weights) t.weights.push_back(static_cast<float>(w / sum));
  }
  return out;
}

// Three floats a pixel.
struct Plane {
  int64_t height = 0, width = 0;
  std::vector<float> rgb;
};

Plane resize(const Pixels& p, int64_t height, int64_t width, bool antialias) {
  const std::vector<Taps> xs = triangle(p.width, width, antialias);
  const std::vector<Taps> ys = triangle(p.height, height, antialias);
  Plane wide{p.height, width, std::vector<float>(static_cast<size_t>(p.height * width * 3))};
  for (int64_t y = 0; y < p.height; ++y) {
    const uint8_t* row = p.rgb.data() + y * p.width * 3;
    float* out = wide.rgb.data() + y * width * 3;
    for (int64_t x = 0; x < width; ++x, out += 3) {
      const Taps& t = xs[static_cast<size_t>(x)];
      for (size_t k = 0; k < t.weights.size(); ++k) {
        const uint8_t* pixel = row + (t.first + static_cast<int64_t>(k)) * 3;
        for (int c = 0; c < 3; ++c) out[c] += t.weights[k] * static_cast<float>(pixel[c]);
      }
    }
  }
  Plane made{height, width, std::vector<float>(static_cast<size_t>(height * width * 3))};
  for (int64_t y = 0; y < height; ++y) {
    const Taps& t = ys[static_cast<size_t>(y)];
    float* out = made.rgb.data() + y * width * 3;
    for (size_t k = 0; k < t.weights.size(); ++k) {
      const float* in = wide.rgb.data() + (t.first + static_cast<int64_t>(k)) * width * 3;
      for (int64_t i = 0; i < width * 3; ++i) out[i] += t.weights[k] * in[i];
    }
  }
  return made;
}

// The image at the size `fit` gives it, and where its top left corner lies in the input.
struct Placed {
  Plane image;
  int64_t top = 0, left = 0;
};
Placed place(const Pixels& p, int64_t height, int64_t width, const ImageOptions& o) {
  Placed out;
  int64_t h = height, w = width;
  if (o.fit != ImageFit::kStretch) {
    const double by_height = static_cast<double>(height) / static_cast<double>(p.height);
    const double by_width = static_cast<double>(width) / static_cast<double>(p.width);
    const bool cover = o.fit == ImageFit::kCenterCrop;
    const double factor = cover ? std::max(by_height, by_width) : std::min(by_height, by_width);
    const auto scaled = [&](int64_t size, int64_t limit) {
      const int64_t n = std::llround(static_cast<double>(size) * factor);
      return cover ? std::max(n, limit) : std::clamp<int64_t>(n, 1, limit);
    };
    h = scaled(p.height, height);
    w = scaled(p.width, width);
    if (o.fit != ImageFit::kPad) {
      // Of an odd rest the larger half lies behind, as torchvision and YOLO have it.
      out.top = cover ? -((h - height) / 2) : (height - h) / 2;
      out.left = cover ? -((w - width) / 2) : (width - w) / 2;
    }
  }
  out.image = resize(p, h, w, o.filter == ImageFilter::kAntialias);
  return out;
}

Result<Pixels> read_pixels(const std::string& path) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  auto decoded = decode_image(file.bytes);
  if (!decoded.ok()) return decoded.status().context(path);
  return decoded;
}

// One value per channel.
Result<std::vector<float>> per_channel(const std::vector<float>& list, int64_t channels,
                                       const char* name) {
  if (list.size() == 1) return std::vector<float>(static_cast<size_t>(channels), list[0]);
  if (static_cast<int64_t>(list.size()) == channels) return list;
  return usage_error(std::string("the image ") + name + " has " + std::to_string(list.size()) +
                     " values: expected 1 or one per channel, " + std::to_string(channels));
}

bool ends_in(const std::string& path, std::initializer_list<std::string_view> endings) {
  std::string ending = path.substr(std::min(path.size(), path.rfind('.')));
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

}  // namespace

std::string_view image_fit_name(ImageFit fit) { return kFits[static_cast<size_t>(fit)]; }
std::string_view image_filter_name(ImageFilter filter) {
  return kFilters[static_cast<size_t>(filter)];
}

Result<ImageFit> parse_image_fit(std::string_view name) {
  const auto* at = std::find(kFits.begin(), kFits.end(), name);
  if (at != kFits.end()) return static_cast<ImageFit>(at - kFits.begin());
  return usage_error("the image fit '" + std::string(name) +
                     "': expected stretch, letterbox, center-crop or pad");
}

Result<ImageFilter> parse_image_filter(std::string_view name) {
  const auto* at = std::find(kFilters.begin(), kFilters.end(), name);
  if (at != kFilters.end()) return static_cast<ImageFilter>(at - kFilters.begin());
  return usage_error("the image filter '" + std::string(name) + "': expected linear or antialias");
}

Status set_mean_std(const std::vector<float>& mean, const std::vector<float>& std,
                    ImageOptions& options) {
  if (std.empty() || std::any_of(std.begin(), std.end(), [](float s) { return !(s > 0); })) {
    return usage_error("the image std: expected numbers above 0");
  }
  const bool unit = std::all_of(std.begin(), std.end(), [](float s) { return s < 1; });
  const float most = mean.empty() ? 0.0f : *std::max_element(mean.begin(), mean.end());
  if (unit && most > 1) {
    return usage_error(
        "the image mean is in pixels (0…255) and the std in units of 0…1: give both in one unit");
  }
  const float one = unit ? 255.0f : 1.0f;
  options.mean = mean.empty() ? std::vector<float>{0.0f} : mean;
  for (float& m : options.mean) m *= one;
  options.scale.clear();
  for (const float s : std) options.scale.push_back(1.0f / (one * s));
  return {};
}

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
  const bool gray = options.color == "gray" || channels == 1;
  if (channels != (gray ? 1 : 3)) {
    return usage_error("images have 3 channels (1 in gray), the input takes " +
                       std::to_string(channels));
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<float> mean, per_channel(options.mean, channels, "mean"));
  MNN_ASSIGN_OR_RETURN(const std::vector<float> scale,
                       per_channel(options.scale, channels, "scale"));
  MNN_ASSIGN_OR_RETURN(const Pixels p, read_pixels(path));
  const int64_t height = options.height > 0 ? options.height : p.height;
  const int64_t width = options.width > 0 ? options.width : p.width;
  const Placed placed = place(p, height, width, options);
  const bool nhwc = options.layout == "nhwc";
  MNN_ASSIGN_OR_RETURN(
      Tensor t,
      Tensor::allocate(DType::kF32, nhwc ? std::vector<int64_t>{1, height, width, channels}
                                         : std::vector<int64_t>{1, channels, height, width}));
  float* out = t.data<float>();
  const std::vector<float> fill(3, options.fill);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t r = y - placed.top, q = x - placed.left;
      const bool inside = r >= 0 && r < placed.image.height && q >= 0 && q < placed.image.width;
      const float* rgb =
          inside ? placed.image.rgb.data() + (r * placed.image.width + q) * 3 : fill.data();
      for (int64_t c = 0; c < channels; ++c) {
        const float v = gray ? 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]
                             : rgb[options.color == "bgr" ? 2 - c : c];
        const int64_t index = nhwc ? (y * width + x) * channels + c : (c * height + y) * width + x;
        out[index] = (v - mean[static_cast<size_t>(c)]) * scale[static_cast<size_t>(c)];
      }
    }
  }
  return t;
}

}  // namespace mnn::flows
