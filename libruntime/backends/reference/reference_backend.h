// Plain loops for every operator. No options.
#pragma once

#include "libruntime/compile/registry.h"

namespace mnn {

BackendRow reference_backend_row();

}  // namespace mnn
