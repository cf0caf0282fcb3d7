// What self-contained HTML reports share: no script, no style sheet, no image from elsewhere.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/metrics.h"

namespace mnn {

std::string html_escape(const std::string& text);

std::string html_table(const std::vector<std::string>& head,
                       const std::vector<std::vector<std::string>>& rows);
// `body` is HTML already.
std::string html_page(const std::string& title, const std::string& body);

// Red at 10 dB and below, green at 50 dB and above.
std::string snr_color(const ErrorMetrics& metrics);
// A bar of that colour, 60 dB long at most, and the figure.
std::string snr_bar(const ErrorMetrics& metrics);

// A script for the end of a page: a click on a heading sorts the table with this id by that column,
// by a cell's data-v where it has one.
std::string sort_script(const std::string& table_id);

}  // namespace mnn
