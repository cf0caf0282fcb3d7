// A device for tests of plans, in the memory of this process.
#pragma once

#include <set>
#include <string>

#include "libruntime/compile/registry.h"

namespace mnn {

// What the streams of a fake device have seen.
struct FakeDeviceCounts {
  int64_t starts = 0, uploads = 0, downloads = 0, waits = 0, allocations = 0;
};

// Computes by the reference kernels. Nothing that is queued happens before the stream is waited
// for: uploads read their host bytes only then, and until then the bytes a download goes to are
// 0xff. So a forgotten wait, or host memory used again too early, gives wrong numbers every time.
struct FakeDevice {
  std::string name = "fake";
  std::set<std::string> refused;  // operators it does not take
  int64_t max_buffer_bytes = INT64_MAX;
  // The call of a stream, counted over all of them from 1, that fails; 0: none.
  int64_t failing_call = 0;
  bool lost = false;  // and all later ones: the device is gone
  FakeDeviceCounts* counts = nullptr;
};
std::unique_ptr<Backend> make_fake_device(const FakeDevice& device);
// By its name, for sessions; the row lives for ever. False when the name is taken.
bool register_fake_device();

}  // namespace mnn
