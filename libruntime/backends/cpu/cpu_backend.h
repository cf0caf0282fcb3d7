// The CPU's vector kernels. Options: "isa", an instruction set of available_isas() (default: the
// best, or what MNN_CPU_ISA names); "winograd", "on" or "off".
#pragma once

#include "libruntime/compile/registry.h"

namespace mnn {

BackendRow cpu_backend_row();

}  // namespace mnn
