// The kernels as the build has compiled them.
#include "libruntime/backends/vulkan/context.h"

namespace mnn::vulkan {
namespace {

#include "kernels_spirv.inc"  // kSpirv, written by the build

}  // namespace

Spirv find_spirv(std::string_view name) {
  for (const Spirv& s : kSpirv) {
    if (name == s.name) return s;
  }
  return {};
}

}  // namespace mnn::vulkan
