// What an API adds to the shared lowering: queues, and launches recorded to be started many times.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "libruntime/backends/gpu/program.h"
#include "libruntime/compile/registry.h"

namespace mnn::gpu {

struct BoundBuffer {
  DeviceBuffer* buffer = nullptr;
  int64_t offset = 0, bytes = 0;
};
struct BoundLaunch {
  const Launch* launch = nullptr;
  std::vector<BoundBuffer> buffers;
};

// Launches in order, each after those before it. May outlive neither its queue nor its buffers.
class Recording {
 public:
  virtual ~Recording() = default;
  // Queues all of them. Allocates nothing unless it is timed.
  virtual Status start() = 0;
  // From now on the device's clock is read around each launch.
  virtual void set_timing(bool on) = 0;
  // Of the last start(), which must be done: nanoseconds per launch.
  virtual Status read_times(std::vector<int64_t>& ns) = 0;
};

class Queue : public Stream {
 public:
  virtual Result<std::unique_ptr<Recording>> record(std::vector<BoundLaunch> launches) = 0;
};

// Constants on a device, shared by all sessions of a backend. A block goes with the last executable
// that holds it. May be called from several threads.
class WeightStore {
 public:
  // Uploads through `queue` and waits, unless somebody holds these weights.
  Result<std::shared_ptr<DeviceBuffer>> find(Queue& queue, const DeviceWeights& weights);
  void add_to(DeviceWork& work) const;

 private:
  struct Slot {
    std::mutex mutex;
    std::weak_ptr<DeviceBuffer> block;
  };
  std::atomic<int64_t> ns_ = 0, bytes_ = 0;
  std::mutex mutex_;
  std::map<std::pair<WeightId, std::string>, std::shared_ptr<Slot>> slots_;
};

// Kernels made so far, as DeviceWork counts them. Its functions may be called from several threads.
class KernelCounts {
 public:
  void add(bool cached, std::chrono::steady_clock::time_point since) {
    ++(cached ? cached_ : compiled_);
    ns_ += std::chrono::nanoseconds(std::chrono::steady_clock::now() - since).count();
  }
  void add_to(DeviceWork& work) const {
    work.kernels_compiled += compiled_;
    work.kernels_cached += cached_;
    work.kernel_ns += ns_;
  }

 private:
  std::atomic<int64_t> compiled_ = 0, cached_ = 0, ns_ = 0;
};

// An API, opened on one device when it is first asked for.
class Api {
 public:
  virtual ~Api() = default;
  virtual const DeviceInfo& info() const = 0;
  virtual void add_work(DeviceWork& work) const { (void)work; }
  virtual Result<std::unique_ptr<Queue>> open() = 0;
};

struct DeviceChoice {
  std::string name;
  bool gpu = false;
};
// Which of them has this number, or this in its name; the first GPU, else the first, where nothing
// is wanted. kUnsupported, naming those there are.
Result<size_t> choose_device(const std::string& api, const std::vector<DeviceChoice>& devices,
                             const std::string& wanted);

// The option "precision" of every device backend: fp32, or fp16 for weights as halves.
BackendRow::Option precision_option();
Result<bool> wants_halves(const BackendSettings& settings);

// A backend over an API. `open_api` is called at most once.
std::unique_ptr<Backend> make_backend(std::string name, const DeviceTraits& traits,
                                      std::function<Result<std::unique_ptr<Api>>()> open_api);

Result<std::unique_ptr<Executable>> make_executable(Program program, const DeviceInfo& info,
                                                    Queue& queue, WeightStore& weights);

}  // namespace mnn::gpu
