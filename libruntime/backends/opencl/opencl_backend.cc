#include "libruntime/backends/opencl/opencl_backend.h"

#include "libruntime/backends/opencl/context.h"

namespace mnn {
namespace {

Result<std::unique_ptr<Backend>> open_opencl(const BackendSettings& settings) {
  const auto wanted = settings.find("device");
  const std::string device = wanted == settings.end() ? "" : wanted->second;
  MNN_ASSIGN_OR_RETURN(const bool halves, gpu::wants_halves(settings));
  return gpu::make_backend("opencl", {true, halves}, [device] { return opencl::open_api(device); });
}

}  // namespace

BackendRow opencl_backend_row() {
  return {"opencl",
          "kernels in OpenCL C, compiled by the device's driver",
          {{"device",
            "number or part of the name of a device; by default the first GPU, else the "
            "first device"},
           gpu::precision_option()},
          open_opencl,
          true};
}

}  // namespace mnn
