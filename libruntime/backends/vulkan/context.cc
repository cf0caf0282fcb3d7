#include "libruntime/backends/vulkan/context.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "libruntime/compile/blob_cache.h"
#include "libruntime/core/io/mnn_layout.h"

namespace mnn::vulkan {
namespace {

std::string code_name(VkResult code) {
  switch (code) {
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "out of device memory";
    case VK_ERROR_DEVICE_LOST: return "the device was lost";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "no driver is installed";
    case VK_ERROR_INITIALIZATION_FAILED: return "initialization failed";
    default: return "error";
  }
}

constexpr uint32_t kBuffers = 10;  // of the largest kernel

// The library stays loaded: drivers do not like to be unloaded.
Result<PFN_vkGetInstanceProcAddr> load_library() {
  const char* given = std::getenv("MNN_VULKAN_LIBRARY");
  const std::string name = given != nullptr ? given : "libvulkan.so.1";
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return unsupported("no Vulkan library: " + std::string(dlerror()));
  const auto get =
      reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library, "vkGetInstanceProcAddr"));
  if (get != nullptr) return get;
  dlclose(library);
  return unsupported(name + " has no function vkGetInstanceProcAddr");
}

struct Found {
  VkPhysicalDevice id = VK_NULL_HANDLE;
  VkPhysicalDeviceProperties properties = {};
  uint32_t family = 0;
  bool is_gpu() const {
    return properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU ||
           properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
  }
};

// Why the kernels do not run there; empty when they do.
std::string why_not(const VkPhysicalDeviceProperties& p) {
  const VkPhysicalDeviceLimits& l = p.limits;
  if (p.apiVersion < VK_API_VERSION_1_1) return "Vulkan 1.0 only";
  if (l.maxPerStageDescriptorStorageBuffers < kBuffers) {
    return "fewer than " + std::to_string(kBuffers) + " storage buffers";
  }
  if (l.maxComputeWorkGroupInvocations < gpu::kGroup ||
      l.maxComputeWorkGroupSize[0] < gpu::kGroup) {
    return "groups of fewer than " + std::to_string(gpu::kGroup) + " items";
  }
  return "";
}

Result<std::vector<Found>> find_devices(const Functions& vk, VkInstance instance) {
  uint32_t count = 0;
  MNN_RETURN_IF_ERROR(
      check(vk.EnumeratePhysicalDevices(instance, &count, nullptr), "vkEnumeratePhysicalDevices"));
  std::vector<VkPhysicalDevice> ids(count);
  MNN_RETURN_IF_ERROR(check(vk.EnumeratePhysicalDevices(instance, &count, ids.data()),
                            "vkEnumeratePhysicalDevices"));
  std::vector<Found> found;
  std::string refused;
  for (const VkPhysicalDevice id : ids) {
    Found f;
    f.id = id;
    vk.GetPhysicalDeviceProperties(id, &f.properties);
    uint32_t families = 0;
    vk.GetPhysicalDeviceQueueFamilyProperties(id, &families, nullptr);
    std::vector<VkQueueFamilyProperties> list(families);
    vk.GetPhysicalDeviceQueueFamilyProperties(id, &families, list.data());
    const auto compute = std::find_if(list.begin(), list.end(), [](const auto& q) {
      return (q.queueFlags & VK_QUEUE_COMPUTE_BIT) != 0;
    });
    const std::string why = compute == list.end() ? "no compute queue" : why_not(f.properties);
    if (!why.empty()) {
      refused += std::string(refused.empty() ? "" : "; ") + f.properties.deviceName + ": " + why;
      continue;
    }
    f.family = static_cast<uint32_t>(compute - list.begin());
    found.push_back(f);
  }
  if (found.empty()) {
    return unsupported("no Vulkan device" + (refused.empty() ? "" : " (" + refused + ")"));
  }
  return found;
}

class VulkanApi : public gpu::Api {
 public:
  explicit VulkanApi(std::shared_ptr<Context> context) : context_(std::move(context)) {}
  const DeviceInfo& info() const override { return context_->info(); }
  void add_work(DeviceWork& work) const override { context_->counts().add_to(work); }
  Result<std::unique_ptr<gpu::Queue>> open() override { return open_queue(context_); }

 private:
  const std::shared_ptr<Context> context_;
};

std::string cache_key(const DeviceInfo& info) { return "vulkan kernels|" + info.key; }

// A kernel by name, code and constants: what a driver has compiled.
std::string kernel_key(const gpu::KernelRow& row, const std::vector<int>& constants) {
  const Spirv spirv = find_spirv(row.name);
  std::string key = row.name;
  for (const int c : constants) key += "," + std::to_string(c);
  return key + "," +
         std::to_string(xxh3_64(std::as_bytes(std::span(spirv.words, spirv.bytes / 4))));
}

// What the disk keeps: the keys of the kernels, a line each, a zero, and the driver's bytes.
std::string pack_kept(const std::set<std::string>& keys, const std::string& data) {
  std::string blob;
  for (const std::string& key : keys) blob += key + "\n";
  return blob + '\0' + data;
}

std::string unpack_kept(std::string_view blob, std::set<std::string>& keys) {
  const size_t end = blob.find('\0');
  if (end == std::string_view::npos) return "";
  for (size_t at = 0; at < end;) {
    const size_t next = std::min(blob.find('\n', at), end);
    keys.emplace(blob.substr(at, next - at));
    at = next + 1;
  }
  return std::string(blob.substr(end + 1));
}

}  // namespace

Status check(VkResult code, const char* call) {
  if (code == VK_SUCCESS) return {};
  const std::string text =
      std::string(call) + ": " + code_name(code) + " (" + std::to_string(code) + ")";
  switch (code) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return limit_exceeded(text);
    case VK_ERROR_INCOMPATIBLE_DRIVER: return unsupported(text);
    default: return internal_error(text);
  }
}

Context::~Context() {
  if (device_ != VK_NULL_HANDLE) {
    for (const auto& [key, p] : pipelines_) vk.DestroyPipeline(device_, p.pipeline, nullptr);
    for (const auto& [count, l] : layouts_) {
      vk.DestroyPipelineLayout(device_, l.layout, nullptr);
      vk.DestroyDescriptorSetLayout(device_, l.sets, nullptr);
    }
    vk.DestroyPipelineCache(device_, cache_, nullptr);
    vk.DestroyDevice(device_, nullptr);
  }
  vk.DestroyInstance(instance_, nullptr);
}

Status Context::open(VkPhysicalDevice physical, uint32_t family, bool staging) {
  family_ = family;
  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queue = {};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueFamilyIndex = family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkDeviceCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  create.queueCreateInfoCount = 1;
  create.pQueueCreateInfos = &queue;
  MNN_RETURN_IF_ERROR(
      check(vk.CreateDevice(physical, &create, nullptr, &device_), "vkCreateDevice"));
  const char* missing = nullptr;
#define MNN_VULKAN_LOAD(name)                                                          \
  vk.name = reinterpret_cast<PFN_vk##name>(vk.GetDeviceProcAddr(device_, "vk" #name)); \
  if (vk.name == nullptr) missing = "vk" #name;
  MNN_VULKAN_DEVICE_FUNCTIONS(MNN_VULKAN_LOAD)
#undef MNN_VULKAN_LOAD
  if (missing != nullptr) {
    device_ = VK_NULL_HANDLE;  // nothing of it can be called
    return unsupported(std::string("the Vulkan driver has no function ") + missing);
  }
  vk.GetDeviceQueue(device_, family, 0, &queue_);
  vk.GetPhysicalDeviceMemoryProperties(physical, &memory_);
  const uint32_t local = memory_type(UINT32_MAX, false), seen = memory_type(UINT32_MAX, true);
  mapped_ = !staging && local == seen;

  VkPhysicalDeviceMaintenance3Properties sizes = {};
  sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
  VkPhysicalDeviceProperties2 all = {};
  all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  all.pNext = &sizes;
  vk.GetPhysicalDeviceProperties2(physical, &all);
  const VkPhysicalDeviceProperties& p = all.properties;
  uint32_t families = 0;
  vk.GetPhysicalDeviceQueueFamilyProperties(physical, &families, nullptr);
  std::vector<VkQueueFamilyProperties> list(families);
  vk.GetPhysicalDeviceQueueFamilyProperties(physical, &families, list.data());
  if (list[family].timestampValidBits > 0) tick_ns_ = p.limits.timestampPeriod;
  info_.kind = p.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU ? DeviceKind::kCpu : DeviceKind::kGpu;
  info_.text = std::string("Vulkan, ") + p.deviceName +
               (info_.kind == DeviceKind::kCpu ? " (CPU driver)" : "");
  info_.host_memory = false;
  info_.alignment =
      std::max<int64_t>(64, static_cast<int64_t>(p.limits.minStorageBufferOffsetAlignment));
  info_.max_buffer_bytes = static_cast<int64_t>(
      std::min<uint64_t>(p.limits.maxStorageBufferRange,
                         std::min<uint64_t>(sizes.maxMemoryAllocationSize, INT64_MAX)));
  info_.key = std::to_string(p.vendorID) + "|" + std::to_string(p.deviceID) + "|" + p.deviceName +
              "|" + std::to_string(p.driverVersion) + "|" + std::to_string(p.apiVersion) + "|" +
              std::string(reinterpret_cast<const char*>(p.pipelineCacheUUID), VK_UUID_SIZE);

  VkPipelineCacheCreateInfo cache = {};
  cache.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
  std::string kept;
  if (const auto blob = BlobCache::of_user().get(cache_key(info_))) {
    kept = unpack_kept(*blob, kept_);
    cache.initialDataSize = kept.size();
    cache.pInitialData = kept.data();
  }
  VkResult made = vk.CreatePipelineCache(device_, &cache, nullptr, &cache_);
  if (made != VK_SUCCESS && !kept.empty()) {
    kept_.clear();
    BlobCache::of_user().drop(cache_key(info_));
    cache.initialDataSize = 0;
    made = vk.CreatePipelineCache(device_, &cache, nullptr, &cache_);
  }
  return check(made, "vkCreatePipelineCache");
}

// The first that is local to the device, of those the host sees or all; else the first the host
// sees.
uint32_t Context::memory_type(uint32_t allowed, bool host) const {
  constexpr VkMemoryPropertyFlags kSeen =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  for (const VkMemoryPropertyFlags wanted :
       {kLocal | kSeen, host ? kSeen : kLocal, VkMemoryPropertyFlags{0}}) {
    for (uint32_t i = 0; i < memory_.memoryTypeCount; ++i) {
      if ((allowed >> i & 1) != 0 && (memory_.memoryTypes[i].propertyFlags & wanted) == wanted) {
        return i;
      }
    }
  }
  return 0;
}

Result<Context::Layouts> Context::layouts(size_t buffers) {
  const auto known = layouts_.find(buffers);
  if (known != layouts_.end()) return known->second;
  std::vector<VkDescriptorSetLayoutBinding> bindings(buffers);
  for (size_t i = 0; i < buffers; ++i) {
    bindings[i].binding = static_cast<uint32_t>(i);
    bindings[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    bindings[i].descriptorCount = 1;
    bindings[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
  }
  Layouts made;
  VkDescriptorSetLayoutCreateInfo sets = {};
  sets.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
  sets.bindingCount = static_cast<uint32_t>(buffers);
  sets.pBindings = bindings.data();
  MNN_RETURN_IF_ERROR(check(vk.CreateDescriptorSetLayout(device_, &sets, nullptr, &made.sets),
                            "vkCreateDescriptorSetLayout"));
  VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, gpu::kMaxParams * 4};
  VkPipelineLayoutCreateInfo layout = {};
  layout.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
  layout.setLayoutCount = 1;
  layout.pSetLayouts = &made.sets;
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &range;
  const Status status = check(vk.CreatePipelineLayout(device_, &layout, nullptr, &made.layout),
                              "vkCreatePipelineLayout");
  if (!status.ok()) {
    vk.DestroyDescriptorSetLayout(device_, made.sets, nullptr);
    return status;
  }
  layouts_.emplace(buffers, made);
  return made;
}

Result<Pipeline> Context::pipeline(const gpu::KernelRow& row, const std::vector<int>& constants) {
  const std::lock_guard lock(mutex_);
  const auto known = pipelines_.find({row.name, constants});
  if (known != pipelines_.end()) return known->second;
  const auto since = std::chrono::steady_clock::now();
  MNN_ASSIGN_OR_RETURN(const Layouts l, layouts(row.buffers.size()));
  MNN_ASSIGN_OR_RETURN(const VkPipeline made, compile(row, constants, l.layout));
  const bool fresh = kept_.insert(kernel_key(row, constants)).second;
  fresh_ |= fresh;
  counts_.add(!fresh, since);
  const Pipeline pipeline{made, l.layout, l.sets};
  pipelines_.emplace(std::pair(row.name, constants), pipeline);
  return pipeline;
}

Result<VkPipeline> Context::compile(const gpu::KernelRow& row, const std::vector<int>& constants,
                                    VkPipelineLayout layout) {
  const Spirv spirv = find_spirv(row.name);
  if (spirv.words == nullptr) return internal_error("no SPIR-V of " + row.name);
  VkShaderModuleCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  create.codeSize = spirv.bytes;
  create.pCode = spirv.words;
  VkShaderModule module = VK_NULL_HANDLE;
  MNN_RETURN_IF_ERROR(
      check(vk.CreateShaderModule(device_, &create, nullptr, &module), "vkCreateShaderModule"));
  std::vector<VkSpecializationMapEntry> entries;
  for (uint32_t i = 0; i < constants.size(); ++i) entries.push_back({i, i * 4, 4});
  const VkSpecializationInfo special{static_cast<uint32_t>(entries.size()), entries.data(),
                                     constants.size() * 4, constants.data()};
  VkComputePipelineCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &special;
  info.layout = layout;
  VkPipeline pipeline = VK_NULL_HANDLE;
  const VkResult code = vk.CreateComputePipelines(device_, cache_, 1, &info, nullptr, &pipeline);
  vk.DestroyShaderModule(device_, module, nullptr);
  MNN_RETURN_IF_ERROR(check(code, "vkCreateComputePipelines"));
  return pipeline;
}

void Context::save_pipelines() {
  const std::lock_guard lock(mutex_);
  if (!fresh_) return;
  fresh_ = false;
  size_t size = 0;
  if (vk.GetPipelineCacheData(device_, cache_, &size, nullptr) != VK_SUCCESS || size == 0) return;
  std::string data(size, '\0');
  if (vk.GetPipelineCacheData(device_, cache_, &size, data.data()) != VK_SUCCESS) return;
  data.resize(size);
  BlobCache::of_user().put(cache_key(info_), pack_kept(kept_, data));
}

Status Context::submit(VkCommandBuffer commands, VkFence fence) {
  VkSubmitInfo submit = {};
  submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  submit.commandBufferCount = 1;
  submit.pCommandBuffers = &commands;
  const std::lock_guard lock(queue_mutex_);
  return check(vk.QueueSubmit(queue_, commands != VK_NULL_HANDLE ? 1 : 0, &submit, fence),
               "vkQueueSubmit");
}

Result<std::unique_ptr<gpu::Api>> open_api(const Settings& settings) {
  MNN_ASSIGN_OR_RETURN(const PFN_vkGetInstanceProcAddr get, load_library());
  const auto create_instance =
      reinterpret_cast<PFN_vkCreateInstance>(get(VK_NULL_HANDLE, "vkCreateInstance"));
  if (create_instance == nullptr) return unsupported("Vulkan has no function vkCreateInstance");
  VkApplicationInfo application = {};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.apiVersion = VK_API_VERSION_1_1;
  VkInstanceCreateInfo create = {};
  create.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  create.pApplicationInfo = &application;
  VkInstance instance = VK_NULL_HANDLE;
  MNN_RETURN_IF_ERROR(check(create_instance(&create, nullptr, &instance), "vkCreateInstance"));
  Functions vk;
  const char* missing = nullptr;
#define MNN_VULKAN_LOAD(name)                                          \
  vk.name = reinterpret_cast<PFN_vk##name>(get(instance, "vk" #name)); \
  if (vk.name == nullptr) missing = "vk" #name;
  MNN_VULKAN_INSTANCE_FUNCTIONS(MNN_VULKAN_LOAD)
#undef MNN_VULKAN_LOAD
  if (missing != nullptr) {
    return unsupported(std::string("the Vulkan library has no function ") + missing);
  }
  auto context = std::make_shared<Context>(vk, instance);
  MNN_ASSIGN_OR_RETURN(const std::vector<Found> devices, find_devices(vk, instance));
  std::vector<gpu::DeviceChoice> choices;
  for (const Found& d : devices) choices.push_back({d.properties.deviceName, d.is_gpu()});
  MNN_ASSIGN_OR_RETURN(const size_t chosen, gpu::choose_device("Vulkan", choices, settings.device));
  MNN_RETURN_IF_ERROR(context->open(devices[chosen].id, devices[chosen].family, settings.staging));
  return std::unique_ptr<gpu::Api>(std::make_unique<VulkanApi>(std::move(context)));
}

}  // namespace mnn::vulkan
