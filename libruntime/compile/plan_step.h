// What a plan is made of, for its own sources.
#pragma once

#include "libruntime/compile/plan.h"
#include "libruntime/compile/transfer.h"

namespace mnn {

// Bytes of a value with a static shape; an error when they are more than `most`.
Result<int64_t> bytes_of(const Value& value, int64_t most);

// A step reads and writes host tensors, or, of an executable on a device, values there; a transfer
// has one on either side.
struct Plan::Step {
  std::unique_ptr<Executable> executable;
  NestedExecutable* nested = nullptr;  // the same, when it runs plans
  int device = -1;                     // whose queue it goes into; -1: it runs at once
  bool starts = false;                 // an executable on a device
  std::vector<int> waits;              // devices that must be done before it
  std::vector<ValueId> in_values, out_values;
  std::vector<ValueId> device_in, device_out;
  std::vector<Tensor> in, out;
  std::vector<Slot> loose_in, loose_out;
  std::vector<ValueId> released;  // loose values nobody reads afterwards
  std::vector<int64_t> workspaces;
  std::vector<StepProfile> profile;
};

struct Plan::Space {
  Stream* stream = nullptr;
  const DeviceInfo* info = nullptr;
  std::vector<char> holds;     // per value, whether it is there by now
  std::vector<Region> places;  // per value
  std::vector<std::unique_ptr<DeviceBuffer>> arenas;
  int64_t bytes = 0;
  std::vector<Executable*> started;  // since it was last waited for
};

}  // namespace mnn
