// --image-…: how images become inputs.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/flows/image.h"

namespace mnn::cli {

// What was given; the rest is the project's, or the default.
struct ImageFlags {
  std::vector<int64_t> size;  // height, width; empty: not given
  std::vector<float> mean, scale, std;
  std::optional<std::string> layout, color, fit, filter;
  std::optional<float> fill;

  // `base` with what was given in its place.
  Result<flows::ImageOptions> over(flows::ImageOptions base) const;
};

void add_image_flags(CLI::App& app, ImageFlags& flags);

}  // namespace mnn::cli
