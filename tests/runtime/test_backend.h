// A backend that takes only Conv and Gemm and computes them with the reference kernels: proves
// partition, transfer and fallback.
#pragma once

#include "libruntime/compile/registry.h"

namespace mnn {

// Makes it known as "test"; a second call does nothing.
void register_test_backend();

}  // namespace mnn
