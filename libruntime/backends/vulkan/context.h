// A Vulkan device that is opened: its pipelines, and how its memory is reached.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "libruntime/backends/gpu/device.h"
#include "libruntime/backends/vulkan/api.h"

namespace mnn::vulkan {

struct Settings {
  std::string device;    // number or part of a name; empty: the first GPU, else the first one
  bool staging = false;  // also where the host sees the device's memory
};

// An error as a Status that names the call.
Status check(VkResult code, const char* call);

// A kernel with its constants: what a launch binds. Lives as long as its context.
struct Pipeline {
  VkPipeline pipeline = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  VkDescriptorSetLayout sets = VK_NULL_HANDLE;
};

class Context {
 public:
  Context(const Functions& functions, VkInstance instance) : vk(functions), instance_(instance) {}
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Status open(VkPhysicalDevice physical, uint32_t family, bool staging);

  const DeviceInfo& info() const { return info_; }
  VkDevice device() const { return device_; }
  uint32_t family() const { return family_; }
  // Whether the host reads and writes buffers as they are.
  bool mapped() const { return mapped_; }
  double tick_ns() const { return tick_ns_; }  // of timestamps; 0: there are none
  uint32_t memory_type(uint32_t allowed, bool host) const;
  Result<Pipeline> pipeline(const gpu::KernelRow& row, const std::vector<int>& constants);
  // Keeps what was compiled since the last call on disk.
  void save_pipelines();
  Status submit(VkCommandBuffer commands, VkFence fence);
  const gpu::KernelCounts& counts() const { return counts_; }

  Functions vk;

 private:
  Result<VkPipeline> compile(const gpu::KernelRow& row, const std::vector<int>& constants,
                             VkPipelineLayout layout);
  struct Layouts {
    VkDescriptorSetLayout sets = VK_NULL_HANDLE;
    VkPipelineLayout layout = VK_NULL_HANDLE;
  };
  Result<Layouts> layouts(size_t buffers);

  VkInstance instance_;
  VkDevice device_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
  uint32_t family_ = 0;
  bool mapped_ = false;
  double tick_ns_ = 0;
  VkPhysicalDeviceMemoryProperties memory_ = {};
  DeviceInfo info_;
  gpu::KernelCounts counts_;
  std::mutex queue_mutex_;
  std::mutex mutex_;  // of what follows
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  bool fresh_ = false;          // a pipeline was made that may not be on disk
  std::set<std::string> kept_;  // kernels whose code is in what the disk keeps
  std::map<size_t, Layouts> layouts_;
  std::map<std::pair<std::string, std::vector<int>>, Pipeline> pipelines_;
};

// kUnsupported where there is no library, driver or such device.
Result<std::unique_ptr<gpu::Api>> open_api(const Settings& settings);
Result<std::unique_ptr<gpu::Queue>> open_queue(std::shared_ptr<Context> context);

// Of a kernel row; empty where there is none.
struct Spirv {
  const char* name;
  const uint32_t* words;
  size_t bytes;
};
Spirv find_spirv(std::string_view name);

}  // namespace mnn::vulkan
