// Where the files of the tests lie.
#pragma once

#include <string>

namespace mnn {

/// The absolute path of `path` below tests/ of the checkout that was built.
std::string test_data(const std::string& path);

}  // namespace mnn
