// What tests of device backends share.
#pragma once

#include <iostream>
#include <string>
#include <vector>

#include "libruntime/compile/registry.h"
#include "tests/gpu/host_device.h"

namespace mnn {

// Backends with a device here, the kernels in C++ among them; a line for each of the others.
inline std::vector<std::string> device_backends() {
  register_host_device();
  std::vector<std::string> present;
  for (const std::string& name : backend_names()) {
    if (!std::move(find_backend(name)).value()->device) continue;
    const auto backend = std::move(open_backend(name)).value();
    const auto device = backend->device();
    if (device.ok()) {
      present.push_back(name);
    } else {
      std::cout << "skipped: backend " << name << ": " << device.status().message() << "\n";
    }
  }
  return present;
}

}  // namespace mnn
