// The layers on a page: bars, a strip along the graph, how numbers lie, and a table to sort and
// filter.
#pragma once

#include <string>

#include "libquant/types.h"

namespace mnn {

std::string layers_style();                          // CSS
std::string layers_html(const QuantReport& report);  // empty without layers

}  // namespace mnn
