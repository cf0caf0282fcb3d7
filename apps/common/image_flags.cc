#include "apps/common/image_flags.h"

#include <limits>

#include "apps/common/flags.h"

namespace mnn::cli {

constexpr double kMaxNumber = std::numeric_limits<float>::max();

void add_image_flags(CLI::App& app, ImageFlags& flags) {
  const auto numbers = [&](const char* name, std::vector<float>& into, const char* what) {
    return app.add_option(name, into, what)
        ->delimiter(',')
        ->check(real_number(-kMaxNumber, kMaxNumber));
  };
  app.add_option("--image-size", flags.size,
                 "Height and width images are resized to; default: the input's own")
      ->type_name("H,W")
      ->delimiter(',')
      ->expected(2)
      ->check(whole_number(1, 1 << 16));
  numbers("--image-mean", flags.mean, "Subtracted from the pixels (0…255), per channel or one")
      ->type_name("M,…");
  CLI::Option* scale = numbers("--image-scale", flags.scale, "Multiplied after that; default 1/255")
                           ->type_name("S,…");
  numbers("--image-std", flags.std,
          "Divided by instead; below 1 it and the mean are in units of 0…1")
      ->type_name("D,…")
      ->excludes(scale);
  app.add_option("--image-fit", flags.fit, "How another size becomes the input's; default stretch")
      ->check(CLI::IsMember({"stretch", "letterbox", "center-crop", "pad"}));
  app.add_option("--image-fill", flags.fill,
                 "Pixel value (0…255) of what letterbox and pad add; default 114 and 0")
      ->check(real_number(0, 255))
      ->type_name("V");
  app.add_option("--image-filter", flags.filter,
                 "linear: as OpenCV; antialias: as Pillow; default linear")
      ->check(CLI::IsMember({"linear", "antialias"}));
  app.add_option("--image-layout", flags.layout, "Layout of the input; default nchw")
      ->check(CLI::IsMember({"nchw", "nhwc"}));
  app.add_option("--image-color", flags.color, "Order of the channels; default rgb")
      ->check(CLI::IsMember({"rgb", "bgr", "gray"}));
}

Result<flows::ImageOptions> ImageFlags::over(flows::ImageOptions base) const {
  if (!size.empty()) {
    base.height = size[0];
    base.width = size[1];
  }
  if (!mean.empty()) base.mean = mean;
  if (!scale.empty()) base.scale = scale;
  if (!std.empty()) MNN_RETURN_IF_ERROR(flows::set_mean_std(mean, std, base));
  if (layout) base.layout = *layout;
  if (color) base.color = *color;
  if (fit) {
    MNN_ASSIGN_OR_RETURN(base.fit, flows::parse_image_fit(*fit));
    base.fill = base.fit == flows::ImageFit::kPad ? 0.0f : flows::ImageOptions{}.fill;
  }
  if (filter) {
    MNN_ASSIGN_OR_RETURN(base.filter, flows::parse_image_filter(*filter));
  }
  if (fill) base.fill = *fill;
  return base;
}

}  // namespace mnn::cli
