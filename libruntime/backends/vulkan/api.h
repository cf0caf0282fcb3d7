// The functions of Vulkan 1.1 that the backend calls, loaded when it is asked for.
#pragma once

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

namespace mnn::vulkan {

#define MNN_VULKAN_INSTANCE_FUNCTIONS(F)    \
  F(EnumeratePhysicalDevices)               \
  F(GetPhysicalDeviceProperties)            \
  F(GetPhysicalDeviceProperties2)           \
  F(GetPhysicalDeviceMemoryProperties)      \
  F(GetPhysicalDeviceQueueFamilyProperties) \
  F(CreateDevice)                           \
  F(DestroyInstance)                        \
  F(GetDeviceProcAddr)

#define MNN_VULKAN_DEVICE_FUNCTIONS(F) \
  F(DestroyDevice)                     \
  F(GetDeviceQueue)                    \
  F(DeviceWaitIdle)                    \
  F(CreateBuffer)                      \
  F(DestroyBuffer)                     \
  F(GetBufferMemoryRequirements)       \
  F(AllocateMemory)                    \
  F(FreeMemory)                        \
  F(BindBufferMemory)                  \
  F(MapMemory)                         \
  F(CreateShaderModule)                \
  F(DestroyShaderModule)               \
  F(CreateDescriptorSetLayout)         \
  F(DestroyDescriptorSetLayout)        \
  F(CreatePipelineLayout)              \
  F(DestroyPipelineLayout)             \
  F(CreatePipelineCache)               \
  F(DestroyPipelineCache)              \
  F(GetPipelineCacheData)              \
  F(CreateComputePipelines)            \
  F(DestroyPipeline)                   \
  F(CreateDescriptorPool)              \
  F(DestroyDescriptorPool)             \
  F(AllocateDescriptorSets)            \
  F(UpdateDescriptorSets)              \
  F(CreateCommandPool)                 \
  F(DestroyCommandPool)                \
  F(AllocateCommandBuffers)            \
  F(FreeCommandBuffers)                \
  F(BeginCommandBuffer)                \
  F(EndCommandBuffer)                  \
  F(CmdBindPipeline)                   \
  F(CmdBindDescriptorSets)             \
  F(CmdPushConstants)                  \
  F(CmdDispatch)                       \
  F(CmdPipelineBarrier)                \
  F(CmdCopyBuffer)                     \
  F(CmdResetQueryPool)                 \
  F(CmdWriteTimestamp)                 \
  F(CreateQueryPool)                   \
  F(DestroyQueryPool)                  \
  F(GetQueryPoolResults)               \
  F(CreateFence)                       \
  F(DestroyFence)                      \
  F(ResetFences)                       \
  F(WaitForFences)                     \
  F(QueueSubmit)

// Called as vk.QueueSubmit(…).
struct Functions {
#define MNN_VULKAN_DECLARE(name) PFN_vk##name name = nullptr;
  MNN_VULKAN_INSTANCE_FUNCTIONS(MNN_VULKAN_DECLARE)
  MNN_VULKAN_DEVICE_FUNCTIONS(MNN_VULKAN_DECLARE)
#undef MNN_VULKAN_DECLARE
};

}  // namespace mnn::vulkan
