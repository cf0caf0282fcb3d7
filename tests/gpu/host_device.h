// The device kernels in C++ as a backend: every launch runs on copies of exactly the bytes its
// buffers have, kernels with barriers with a thread for each item. For sanitizers, and where there
// is no driver.
#pragma once

namespace mnn {

// Registers the backend "host-kernels"; more than once does nothing.
void register_host_device();

}  // namespace mnn
