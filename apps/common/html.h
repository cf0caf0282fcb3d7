// Self-contained HTML pages: no script, no style sheet, no image from elsewhere.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/html.h"

namespace mnn::cli {

std::string html_table(const std::vector<std::string>& head,
                       const std::vector<std::vector<std::string>>& rows);
// `body` is HTML already.
std::string html_page(const std::string& title, const std::string& body);

}  // namespace mnn::cli
