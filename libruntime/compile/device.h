// Devices with a memory of their own, as the plan sees them: buffers, and one queue per session
// that does what it is given in order. Backends in host memory have neither.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "libruntime/core/status.h"

namespace mnn {

enum class DeviceKind : uint8_t { kCpu, kGpu, kNpu, kSimulated };

struct DeviceInfo {
  std::string text;  // one line: what it is
  DeviceKind kind = DeviceKind::kCpu;
  bool host_memory = true;  // its executables run on host tensors; what follows is of others
  int64_t alignment = 64;   // of regions in a buffer
  int64_t max_buffer_bytes = INT64_MAX;
  std::string key;  // vendor, device, driver and version: part of the key of what is cached for it
};

// What a backend has done on its device since it was opened, for all sessions together. A kernel
// is compiled, or taken from the cache on disk; each is counted once.
struct DeviceWork {
  int64_t kernels_compiled = 0, kernels_cached = 0;
  int64_t kernel_ns = 0;                    // for both
  int64_t upload_ns = 0, upload_bytes = 0;  // of constants, packing included
};

// Freed with the object, which may outlive its stream; nothing that is queued may use it then.
class DeviceBuffer {
 public:
  virtual ~DeviceBuffer() = default;
};

// A place in a buffer, aligned as the device asks.
struct Region {
  DeviceBuffer* buffer = nullptr;
  int64_t offset = 0;
};

// An in-order queue. Called by one thread at a time. Every error names the call that failed.
class Stream {
 public:
  virtual ~Stream() = default;
  // At most DeviceInfo::max_buffer_bytes. Its content is arbitrary.
  virtual Result<std::unique_ptr<DeviceBuffer>> allocate(int64_t bytes) = 0;
  // Both are queued and may happen at any time before wait() returns: until then the host bytes of
  // an upload must not change, and those of a download are not there.
  virtual Status upload(const Region& to, std::span<const std::byte> from) = 0;
  virtual Status download(const Region& from, std::span<std::byte> to) = 0;
  // Returns when all that was queued is done. What failed meanwhile is told here.
  virtual Status wait() = 0;
};

}  // namespace mnn
