// What a backend can be told when it is opened; compile/registry.h knows which keys each one takes.
#pragma once

#include <map>
#include <string>

namespace mnn {

// The options of one backend by key, and of several by the backend's name.
using BackendSettings = std::map<std::string, std::string>;
using BackendOptions = std::map<std::string, BackendSettings>;

}  // namespace mnn
