// Small pictures of samples for pages.
#pragma once

#include <string>

namespace mnn::flows {

// An <img> of the PNG or JPEG with the picture inside, 96 pixels wide or high at most; empty for
// other files and for those that cannot be read.
std::string thumbnail_html(const std::string& path);

}  // namespace mnn::flows
