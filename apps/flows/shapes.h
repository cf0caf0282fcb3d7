// Input shapes as a user gives them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mnn::flows {

using ShapeMap = std::map<std::string, std::vector<int64_t>>;  // input name -> dims, -1: as it is

}  // namespace mnn::flows
