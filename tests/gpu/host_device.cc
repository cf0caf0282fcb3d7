#include "tests/gpu/host_device.h"

#include <cstring>
#include <thread>

#include "libruntime/backends/gpu/device.h"
#include "libruntime/compile/registry.h"
#include "tests/gpu/host_prelude.h"

namespace mnn {
namespace host_kernels {
namespace {

#include "tests/gpu/host_kernels.inc"  // kHostKernels, written by the build

const HostKernel& find_kernel(const std::string& name) {
  return *std::find_if(std::begin(kHostKernels), std::end(kHostKernels),
                       [&](const HostKernel& k) { return name == k.name; });
}

struct HostBuffer : DeviceBuffer {
  explicit HostBuffer(int64_t bytes) : data(static_cast<size_t>(bytes), std::byte{0xff}) {}
  std::vector<std::byte> data;
};

std::byte* address(DeviceBuffer* buffer, int64_t offset) {
  return static_cast<HostBuffer*>(buffer)->data.data() + offset;
}

Status run(const gpu::BoundLaunch& bound) {
  const gpu::Launch& launch = *bound.launch;
  const gpu::KernelRow& row = *launch.row;
  const HostKernel& kernel = find_kernel(row.name);
  HostArguments arguments;
  arguments.constants = launch.constants;
  for (const uint32_t p : launch.params) arguments.params.push_back(std::bit_cast<int>(p));
  // Copies of their own, so that an access beyond the end is one beyond an allocation.
  std::vector<std::unique_ptr<std::byte[]>> copies;
  for (const gpu::BoundBuffer& b : bound.buffers) {
    const auto bytes = static_cast<size_t>(b.bytes);
    copies.push_back(std::make_unique<std::byte[]>(bytes));
    std::memcpy(copies.back().get(), address(b.buffer, b.offset), bytes);
    arguments.buffers.push_back(copies.back().get());
  }
  size_t words = 0;
  for (const auto& s : row.shared) {
    words += static_cast<size_t>(s.length) * (s.element == gpu::KernelRow::Element::kF4 ? 4 : 1);
  }
  if (words == 0) {
    for (int64_t g = 0; g < launch.groups; ++g) {
      for (int lane = 0; lane < gpu::kGroup; ++lane) {
        kernel.call({static_cast<int>(g), lane, nullptr}, arguments);
      }
    }
  } else {
    const auto shared = std::make_unique<int[]>(words);
    arguments.shared = shared.get();
    std::barrier<> barrier(gpu::kGroup), between(gpu::kGroup);
    std::vector<std::thread> items;
    for (int lane = 0; lane < gpu::kGroup; ++lane) {
      items.emplace_back([&, lane] {
        for (int64_t g = 0; g < launch.groups; ++g) {
          if (lane == 0) std::fill_n(shared.get(), words, -1);
          between.arrive_and_wait();
          kernel.call({static_cast<int>(g), lane, &barrier}, arguments);
          between.arrive_and_wait();
        }
      });
    }
    for (std::thread& item : items) item.join();
  }
  for (size_t i = 0; i < bound.buffers.size(); ++i) {
    const gpu::BoundBuffer& b = bound.buffers[i];
    const auto bytes = static_cast<size_t>(b.bytes);
    if (row.buffers[i].written) {
      std::memcpy(address(b.buffer, b.offset), copies[i].get(), bytes);
    } else if (std::memcmp(address(b.buffer, b.offset), copies[i].get(), bytes) != 0 &&
               std::none_of(bound.buffers.begin(), bound.buffers.end(), [&](const auto& other) {
                 return &other != &b && other.buffer == b.buffer;
               })) {
      return internal_error("kernel " + row.name + " writes what it reads");
    }
  }
  return {};
}

class HostRecording : public gpu::Recording {
 public:
  explicit HostRecording(std::vector<gpu::BoundLaunch> launches) : launches_(std::move(launches)) {}
  Status start() override {
    for (const gpu::BoundLaunch& launch : launches_) MNN_RETURN_IF_ERROR(run(launch));
    return {};
  }
  void set_timing(bool) override {}
  Status read_times(std::vector<int64_t>& ns) override {
    ns.assign(launches_.size(), 1);
    return {};
  }

 private:
  const std::vector<gpu::BoundLaunch> launches_;
};

class HostQueue : public gpu::Queue {
 public:
  Result<std::unique_ptr<DeviceBuffer>> allocate(int64_t bytes) override {
    return std::unique_ptr<DeviceBuffer>(std::make_unique<HostBuffer>(bytes));
  }
  Status upload(const Region& to, std::span<const std::byte> from) override {
    std::memcpy(address(to.buffer, to.offset), from.data(), from.size());
    return {};
  }
  Status download(const Region& from, std::span<std::byte> to) override {
    std::memcpy(to.data(), address(from.buffer, from.offset), to.size());
    return {};
  }
  Status wait() override { return {}; }
  Result<std::unique_ptr<gpu::Recording>> record(std::vector<gpu::BoundLaunch> launches) override {
    return std::unique_ptr<gpu::Recording>(std::make_unique<HostRecording>(std::move(launches)));
  }
};

class HostApi : public gpu::Api {
 public:
  HostApi() {
    info_.text = "device kernels in C++";
    info_.kind = DeviceKind::kSimulated;
    info_.host_memory = false;
    info_.max_buffer_bytes = int64_t{1} << 30;
    info_.key = "host-kernels";
  }
  const DeviceInfo& info() const override { return info_; }
  Result<std::unique_ptr<gpu::Queue>> open() override {
    return std::unique_ptr<gpu::Queue>(std::make_unique<HostQueue>());
  }

 private:
  DeviceInfo info_;
};

}  // namespace
}  // namespace host_kernels

void register_host_device() {
  register_backend({"host-kernels",
                    "device kernels in C++",
                    {gpu::precision_option()},
                    [](const BackendSettings& settings) -> Result<std::unique_ptr<Backend>> {
                      MNN_ASSIGN_OR_RETURN(const bool halves, gpu::wants_halves(settings));
                      return gpu::make_backend("host-kernels", {false, halves}, [] {
                        return Result<std::unique_ptr<gpu::Api>>(
                            std::make_unique<host_kernels::HostApi>());
                      });
                    },
                    true});
}

}  // namespace mnn
