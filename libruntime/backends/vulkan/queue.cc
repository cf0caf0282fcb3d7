// The in-order queue of a session, its buffers, and launches recorded as command buffers.
#include <algorithm>
#include <array>
#include <cstring>

#include "libruntime/backends/vulkan/context.h"

namespace mnn::vulkan {
namespace {

class Buffer : public DeviceBuffer {
 public:
  explicit Buffer(std::shared_ptr<Context> context) : context_(std::move(context)) {}
  ~Buffer() override {
    context_->vk.DestroyBuffer(context_->device(), id_, nullptr);
    context_->vk.FreeMemory(context_->device(), memory_, nullptr);
  }
  // `host`: the host sees it.
  Status allocate(int64_t bytes, bool host) {
    const Functions& vk = context_->vk;
    VkBufferCreateInfo create = {};
    create.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    create.size = static_cast<VkDeviceSize>(bytes);
    create.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                   VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    MNN_RETURN_IF_ERROR(
        check(vk.CreateBuffer(context_->device(), &create, nullptr, &id_), "vkCreateBuffer"));
    VkMemoryRequirements needs = {};
    vk.GetBufferMemoryRequirements(context_->device(), id_, &needs);
    VkMemoryAllocateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    info.allocationSize = needs.size;
    info.memoryTypeIndex = context_->memory_type(needs.memoryTypeBits, host);
    MNN_RETURN_IF_ERROR(
        check(vk.AllocateMemory(context_->device(), &info, nullptr, &memory_), "vkAllocateMemory"));
    MNN_RETURN_IF_ERROR(
        check(vk.BindBufferMemory(context_->device(), id_, memory_, 0), "vkBindBufferMemory"));
    if (!host) return {};
    void* seen = nullptr;
    MNN_RETURN_IF_ERROR(check(vk.MapMemory(context_->device(), memory_, 0, VK_WHOLE_SIZE, 0, &seen),
                              "vkMapMemory"));
    data_ = static_cast<std::byte*>(seen);
    return {};
  }
  VkBuffer id() const { return id_; }
  std::byte* data() const { return data_; }

 private:
  const std::shared_ptr<Context> context_;
  VkBuffer id_ = VK_NULL_HANDLE;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  std::byte* data_ = nullptr;
};

const Buffer& buffer_of(const DeviceBuffer* buffer) { return static_cast<const Buffer&>(*buffer); }

Result<std::unique_ptr<Buffer>> make_buffer(const std::shared_ptr<Context>& context, int64_t bytes,
                                            bool host) {
  auto buffer = std::make_unique<Buffer>(context);
  const Status status = buffer->allocate(bytes, host);
  if (!status.ok()) return status.context("a buffer of " + std::to_string(bytes) + " bytes");
  return buffer;
}

// What was written becomes visible to what comes after.
void add_barrier(const Functions& vk, VkCommandBuffer commands, VkAccessFlags from,
                 VkAccessFlags to, VkPipelineStageFlags from_stage, VkPipelineStageFlags to_stage) {
  VkMemoryBarrier barrier = {};
  barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  barrier.srcAccessMask = from;
  barrier.dstAccessMask = to;
  vk.CmdPipelineBarrier(commands, from_stage, to_stage, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

// Commands that are recorded once. Begun when it is made.
class Commands {
 public:
  Commands(std::shared_ptr<Context> context, VkCommandPool pool)
      : context_(std::move(context)), pool_(pool) {}
  ~Commands() {
    if (id_ != VK_NULL_HANDLE) context_->vk.FreeCommandBuffers(context_->device(), pool_, 1, &id_);
  }
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;
  Status begin(VkCommandBufferUsageFlags usage) {
    VkCommandBufferAllocateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    info.commandPool = pool_;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    MNN_RETURN_IF_ERROR(check(context_->vk.AllocateCommandBuffers(context_->device(), &info, &id_),
                              "vkAllocateCommandBuffers"));
    VkCommandBufferBeginInfo start = {};
    start.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    start.flags = usage;
    return check(context_->vk.BeginCommandBuffer(id_, &start), "vkBeginCommandBuffer");
  }
  Status end() { return check(context_->vk.EndCommandBuffer(id_), "vkEndCommandBuffer"); }
  VkCommandBuffer id() const { return id_; }

 private:
  const std::shared_ptr<Context> context_;
  const VkCommandPool pool_;
  VkCommandBuffer id_ = VK_NULL_HANDLE;
};

class VulkanRecording : public gpu::Recording {
 public:
  VulkanRecording(std::shared_ptr<Context> context, VkCommandPool pool)
      : context_(std::move(context)), vk_(context_->vk), pool_(pool) {}
  ~VulkanRecording() override {
    commands_.reset();
    vk_.DestroyQueryPool(context_->device(), queries_, nullptr);
    vk_.DestroyDescriptorPool(context_->device(), sets_pool_, nullptr);
  }

  Status prepare(const std::vector<gpu::BoundLaunch>& launches) {
    if (!launches.empty()) MNN_RETURN_IF_ERROR(make_sets(launches));
    return record();
  }

  Status start() override {
    if (timed_ != recorded_timed_) MNN_RETURN_IF_ERROR(record());
    return context_->submit(commands_->id(), VK_NULL_HANDLE);
  }

  void set_timing(bool on) override { timed_ = on && context_->tick_ns() > 0; }

  Status read_times(std::vector<int64_t>& ns) override {
    ns.clear();
    if (!recorded_timed_ || calls_.empty()) return {};
    std::vector<uint64_t> ticks(calls_.size() + 1);
    MNN_RETURN_IF_ERROR(check(
        vk_.GetQueryPoolResults(context_->device(), queries_, 0,
                                static_cast<uint32_t>(ticks.size()), ticks.size() * 8, ticks.data(),
                                8, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
        "vkGetQueryPoolResults"));
    for (size_t i = 0; i < calls_.size(); ++i) {
      ns.push_back(
          static_cast<int64_t>(static_cast<double>(ticks[i + 1] - ticks[i]) * context_->tick_ns()));
    }
    return {};
  }

 private:
  struct Call {
    Pipeline pipeline;
    VkDescriptorSet set = VK_NULL_HANDLE;
    std::vector<uint32_t> params;
    uint32_t x = 1, y = 1;
  };

  Status make_sets(const std::vector<gpu::BoundLaunch>& launches) {
    uint32_t buffers = 0;
    for (const gpu::BoundLaunch& l : launches) buffers += static_cast<uint32_t>(l.buffers.size());
    const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, buffers};
    VkDescriptorPoolCreateInfo pool = {};
    pool.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    pool.maxSets = static_cast<uint32_t>(launches.size());
    pool.poolSizeCount = 1;
    pool.pPoolSizes = &size;
    MNN_RETURN_IF_ERROR(
        check(vk_.CreateDescriptorPool(context_->device(), &pool, nullptr, &sets_pool_),
              "vkCreateDescriptorPool"));
    for (const gpu::BoundLaunch& bound : launches) {
      const Status status = add(bound);
      if (!status.ok()) return status.context("kernel " + bound.launch->info.kernel);
    }
    return {};
  }

  Status add(const gpu::BoundLaunch& bound) {
    const gpu::Launch& launch = *bound.launch;
    Call call;
    MNN_ASSIGN_OR_RETURN(call.pipeline, context_->pipeline(*launch.row, launch.constants));
    VkDescriptorSetAllocateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    info.descriptorPool = sets_pool_;
    info.descriptorSetCount = 1;
    info.pSetLayouts = &call.pipeline.sets;
    MNN_RETURN_IF_ERROR(check(vk_.AllocateDescriptorSets(context_->device(), &info, &call.set),
                              "vkAllocateDescriptorSets"));
    std::vector<VkDescriptorBufferInfo> places;
    for (const gpu::BoundBuffer& b : bound.buffers) {
      places.push_back({buffer_of(b.buffer).id(), static_cast<VkDeviceSize>(b.offset),
                        static_cast<VkDeviceSize>(b.bytes)});
    }
    VkWriteDescriptorSet write = {};
    write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    write.dstSet = call.set;
    write.descriptorCount = static_cast<uint32_t>(places.size());
    write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    write.pBufferInfo = places.data();
    vk_.UpdateDescriptorSets(context_->device(), 1, &write, 0, nullptr);
    call.params = launch.params;
    // What every device allows in one dimension.
    constexpr int64_t kMostGroups = 65535;
    call.x = static_cast<uint32_t>(std::min(launch.groups, kMostGroups));
    call.y = static_cast<uint32_t>((launch.groups + call.x - 1) / call.x);
    calls_.push_back(std::move(call));
    return {};
  }

  Status record() {
    if (timed_ && queries_ == VK_NULL_HANDLE) {
      VkQueryPoolCreateInfo create = {};
      create.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
      create.queryType = VK_QUERY_TYPE_TIMESTAMP;
      create.queryCount = static_cast<uint32_t>(calls_.size() + 1);
      MNN_RETURN_IF_ERROR(
          check(vk_.CreateQueryPool(context_->device(), &create, nullptr, &queries_),
                "vkCreateQueryPool"));
    }
    auto made = std::make_unique<Commands>(context_, pool_);
    MNN_RETURN_IF_ERROR(made->begin(0));
    const VkCommandBuffer commands = made->id();
    constexpr VkPipelineStageFlags kCompute = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    auto stamp = [&](size_t i) {
      if (timed_) {
        vk_.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries_,
                              static_cast<uint32_t>(i));
      }
    };
    if (timed_) {
      vk_.CmdResetQueryPool(commands, queries_, 0, static_cast<uint32_t>(calls_.size() + 1));
    }
    // What other submissions have written.
    add_barrier(vk_, commands, VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT,
                kCompute | VK_PIPELINE_STAGE_TRANSFER_BIT, kCompute);
    stamp(0);
    for (size_t i = 0; i < calls_.size(); ++i) {
      const Call& call = calls_[i];
      if (i > 0) {
        add_barrier(vk_, commands, VK_ACCESS_SHADER_WRITE_BIT,
                    VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT, kCompute, kCompute);
      }
      vk_.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, call.pipeline.pipeline);
      vk_.CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, call.pipeline.layout, 0,
                                1, &call.set, 0, nullptr);
      if (!call.params.empty()) {
        vk_.CmdPushConstants(commands, call.pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                             static_cast<uint32_t>(call.params.size() * 4), call.params.data());
      }
      vk_.CmdDispatch(commands, call.x, call.y, 1);
      stamp(i + 1);
    }
    add_barrier(vk_, commands, VK_ACCESS_SHADER_WRITE_BIT,
                VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT, kCompute,
                VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT);
    MNN_RETURN_IF_ERROR(made->end());
    commands_ = std::move(made);
    recorded_timed_ = timed_;
    return {};
  }

  const std::shared_ptr<Context> context_;
  const Functions& vk_;
  const VkCommandPool pool_;
  VkDescriptorPool sets_pool_ = VK_NULL_HANDLE;
  VkQueryPool queries_ = VK_NULL_HANDLE;
  std::vector<Call> calls_;
  std::unique_ptr<Commands> commands_;
  bool timed_ = false, recorded_timed_ = false;
};

class VulkanQueue : public gpu::Queue {
 public:
  explicit VulkanQueue(std::shared_ptr<Context> context)
      : context_(std::move(context)), vk_(context_->vk) {}
  ~VulkanQueue() override {
    vk_.DestroyFence(context_->device(), fence_, nullptr);
    vk_.DestroyCommandPool(context_->device(), pool_, nullptr);
  }
  Status open() {
    VkCommandPoolCreateInfo pool = {};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.queueFamilyIndex = context_->family();
    MNN_RETURN_IF_ERROR(check(vk_.CreateCommandPool(context_->device(), &pool, nullptr, &pool_),
                              "vkCreateCommandPool"));
    VkFenceCreateInfo fence = {};
    fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    return check(vk_.CreateFence(context_->device(), &fence, nullptr, &fence_), "vkCreateFence");
  }

  Result<std::unique_ptr<DeviceBuffer>> allocate(int64_t bytes) override {
    MNN_ASSIGN_OR_RETURN(std::unique_ptr<Buffer> buffer,
                         make_buffer(context_, bytes, context_->mapped()));
    return std::unique_ptr<DeviceBuffer>(std::move(buffer));
  }

  // At once, when what was queued is done: the host writes where kernels may still read.
  Status upload(const Region& to, std::span<const std::byte> from) override {
    MNN_RETURN_IF_ERROR(wait());
    const Buffer& buffer = buffer_of(to.buffer);
    if (context_->mapped()) {
      std::memcpy(buffer.data() + to.offset, from.data(), from.size());
      return {};
    }
    MNN_RETURN_IF_ERROR(need_staging(from.size()));
    std::memcpy(staging_->data(), from.data(), from.size());
    return copy(staging_->id(), 0, buffer.id(), to.offset, from.size());
  }

  // When it is waited for.
  Status download(const Region& from, std::span<std::byte> to) override {
    downloads_.push_back({from, to});
    return {};
  }

  Status wait() override {
    if (pending_) {
      pending_ = false;
      const Status status = wait_for_queue();
      if (!status.ok()) {
        downloads_.clear();
        return status;
      }
    }
    for (const Download& d : downloads_) {
      const Status status = fetch(d);
      if (status.ok()) continue;
      downloads_.clear();
      return status;
    }
    downloads_.clear();
    return {};
  }

  Result<std::unique_ptr<gpu::Recording>> record(std::vector<gpu::BoundLaunch> launches) override;

  Status start(VulkanRecording& recording) {
    pending_ = true;
    return recording.start();
  }

 private:
  struct Download {
    Region from;
    std::span<std::byte> to;
  };

  Status wait_for_queue() {
    MNN_RETURN_IF_ERROR(context_->submit(VK_NULL_HANDLE, fence_));
    const VkResult code = vk_.WaitForFences(context_->device(), 1, &fence_, VK_TRUE, UINT64_MAX);
    MNN_RETURN_IF_ERROR(check(code, "vkWaitForFences"));
    return check(vk_.ResetFences(context_->device(), 1, &fence_), "vkResetFences");
  }

  Status fetch(const Download& d) {
    const Buffer& buffer = buffer_of(d.from.buffer);
    if (context_->mapped()) {
      std::memcpy(d.to.data(), buffer.data() + d.from.offset, d.to.size());
      return {};
    }
    MNN_RETURN_IF_ERROR(need_staging(d.to.size()));
    MNN_RETURN_IF_ERROR(copy(buffer.id(), d.from.offset, staging_->id(), 0, d.to.size()));
    std::memcpy(d.to.data(), staging_->data(), d.to.size());
    return {};
  }

  Status need_staging(size_t bytes) {
    if (staging_ != nullptr && staging_bytes_ >= bytes) return {};
    staging_.reset();
    MNN_ASSIGN_OR_RETURN(staging_, make_buffer(context_, static_cast<int64_t>(bytes), true));
    staging_bytes_ = bytes;
    return {};
  }

  // Returns when it is done.
  Status copy(VkBuffer from, int64_t from_at, VkBuffer to, int64_t to_at, size_t bytes) {
    Commands commands(context_, pool_);
    MNN_RETURN_IF_ERROR(commands.begin(VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT));
    const VkBufferCopy part = {static_cast<VkDeviceSize>(from_at), static_cast<VkDeviceSize>(to_at),
                               bytes};
    vk_.CmdCopyBuffer(commands.id(), from, to, 1, &part);
    add_barrier(vk_, commands.id(), VK_ACCESS_TRANSFER_WRITE_BIT, VK_ACCESS_HOST_READ_BIT,
                VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT);
    MNN_RETURN_IF_ERROR(commands.end());
    MNN_RETURN_IF_ERROR(context_->submit(commands.id(), VK_NULL_HANDLE));
    return wait_for_queue();
  }

  const std::shared_ptr<Context> context_;
  const Functions& vk_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkFence fence_ = VK_NULL_HANDLE;
  bool pending_ = false;
  std::vector<Download> downloads_;
  std::unique_ptr<Buffer> staging_;
  size_t staging_bytes_ = 0;
};

// What its queue must know of.
class QueuedRecording : public gpu::Recording {
 public:
  QueuedRecording(VulkanQueue& queue, std::unique_ptr<VulkanRecording> inner)
      : queue_(queue), inner_(std::move(inner)) {}
  Status start() override { return queue_.start(*inner_); }
  void set_timing(bool on) override { inner_->set_timing(on); }
  Status read_times(std::vector<int64_t>& ns) override { return inner_->read_times(ns); }

 private:
  VulkanQueue& queue_;
  const std::unique_ptr<VulkanRecording> inner_;
};

Result<std::unique_ptr<gpu::Recording>> VulkanQueue::record(
    std::vector<gpu::BoundLaunch> launches) {
  auto recording = std::make_unique<VulkanRecording>(context_, pool_);
  MNN_RETURN_IF_ERROR(recording->prepare(launches));
  context_->save_pipelines();
  return std::unique_ptr<gpu::Recording>(
      std::make_unique<QueuedRecording>(*this, std::move(recording)));
}

}  // namespace

Result<std::unique_ptr<gpu::Queue>> open_queue(std::shared_ptr<Context> context) {
  auto queue = std::make_unique<VulkanQueue>(std::move(context));
  MNN_RETURN_IF_ERROR(queue->open());
  return std::unique_ptr<gpu::Queue>(std::move(queue));
}

}  // namespace mnn::vulkan
