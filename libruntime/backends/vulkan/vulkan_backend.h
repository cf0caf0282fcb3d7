#pragma once

#include "libruntime/compile/registry.h"

namespace mnn {

BackendRow vulkan_backend_row();

}  // namespace mnn
