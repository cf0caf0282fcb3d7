// How the scheme "mixed" was decided, for people and programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "libquant/types.h"

namespace mnn {

// The front, the culprits and what the last dB costs, in lines of at most `width` columns (0: any);
// empty where nothing was mixed.
std::string mix_text(const QuantReport& report, size_t width);
nlohmann::ordered_json mix_json(const QuantReport& report);  // null where nothing was mixed
// A heading, a plot of the front (SVG), the tables.
std::string mix_html(const QuantReport& report);

}  // namespace mnn
