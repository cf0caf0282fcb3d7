#pragma once

#include "libruntime/compile/registry.h"

namespace mnn {

BackendRow opencl_backend_row();

}  // namespace mnn
