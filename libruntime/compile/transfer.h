// Copies between host tensors and a device, as steps of a plan, and places on a device.
#pragma once

#include <memory>
#include <vector>

#include "libruntime/compile/backend.h"
#include "libruntime/core/memory_plan.h"

namespace mnn {

// Both only queue. The upload runs with the host tensor as its input and is bound to the place it
// goes to (`out`); the download runs with the host tensor as its output and is bound to the place
// it comes from (`in`). While they are timed they wait.
std::unique_ptr<Executable> make_upload(const Value& value, Stream& stream);
std::unique_ptr<Executable> make_download(const Value& value, Stream& stream);

// Buffers that share an arena: which, where in it, and its size.
struct BufferGroup {
  std::vector<size_t> members;
  std::vector<int64_t> offsets;
  int64_t bytes = 0;
};
// Arenas for buffers of these lifetimes: one, or several where one would be larger than the device
// allows. kLimit where one buffer alone is too large.
Result<std::vector<BufferGroup>> plan_groups(const std::vector<Lifetime>& lifetimes,
                                             const DeviceInfo& device);

}  // namespace mnn
