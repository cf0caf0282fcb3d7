#include "libruntime/backends/vulkan/vulkan_backend.h"

#include "libruntime/backends/vulkan/context.h"

namespace mnn {
namespace {

Result<std::unique_ptr<Backend>> open_vulkan(const BackendSettings& settings) {
  vulkan::Settings own;
  MNN_ASSIGN_OR_RETURN(const bool halves, gpu::wants_halves(settings));
  for (const auto& [key, value] : settings) {
    if (key == "device") {
      own.device = value;
    } else if (key == "precision") {
      continue;
    } else if (value == "on" || value == "off") {
      own.staging = value == "on";
    } else {
      return usage_error("option " + key + ": expected on or off, found '" + value + "'");
    }
  }
  return gpu::make_backend("vulkan", {false, halves}, [own] { return vulkan::open_api(own); });
}

}  // namespace

BackendRow vulkan_backend_row() {
  return {"vulkan",
          "kernels in SPIR-V, made when this program was built",
          {{"device",
            "number or part of the name of a device; by default the first GPU, else the "
            "first device"},
           {"staging",
            "on or off: copies go through memory of their own even where the host sees "
            "the device's"},
           gpu::precision_option()},
          open_vulkan,
          true};
}

}  // namespace mnn
