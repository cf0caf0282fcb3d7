// The backends every program has: one line each.
#include "libruntime/backends/cpu/cpu_backend.h"
#include "libruntime/backends/opencl/opencl_backend.h"
#include "libruntime/backends/reference/reference_backend.h"
#if defined(MNN_WITH_VULKAN)
#include "libruntime/backends/vulkan/vulkan_backend.h"
#endif
#include "libruntime/compile/registry.h"

namespace mnn {

std::vector<BackendRow> builtin_backends() {
  return {
    cpu_backend_row(), opencl_backend_row(),
#if defined(MNN_WITH_VULKAN)
        vulkan_backend_row(),
#endif
        reference_backend_row()
  };
}

}  // namespace mnn
