// What the system lets this process have. `root` stands for "/", so that tests can use a fake tree.
#pragma once

#include <cstdint>

namespace mnn {

// Bytes of memory: what the machine has, or the address-space or cgroup v1/v2 limit where that is
// less.
int64_t usable_memory(const char* root = "");

}  // namespace mnn
