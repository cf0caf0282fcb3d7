// The in-order queue of a session, its buffers, and launches recorded on it.
#include <algorithm>
#include <map>
#include <tuple>

#include "libruntime/backends/gpu/kernel.h"
#include "libruntime/backends/opencl/context.h"

namespace mnn::opencl {
namespace {

class Buffer : public DeviceBuffer {
 public:
  Buffer(std::shared_ptr<Context> context, MemId id) : context_(std::move(context)), id_(id) {}
  ~Buffer() override { (void)context_->cl.ReleaseMemObject(id_); }
  MemId id() const { return id_; }

 private:
  const std::shared_ptr<Context> context_;
  const MemId id_;
};

MemId id_of(const DeviceBuffer* buffer) { return static_cast<const Buffer*>(buffer)->id(); }

class OpenClRecording : public gpu::Recording {
 public:
  OpenClRecording(std::shared_ptr<Context> context, QueueId queue)
      : context_(std::move(context)), cl_(context_->cl), queue_(queue) {}
  ~OpenClRecording() override {
    drop_events();
    for (const Call& call : calls_) (void)cl_.ReleaseKernel(call.kernel);
    for (const auto& [place, mem] : regions_) (void)cl_.ReleaseMemObject(mem);
  }

  Status add(const gpu::BoundLaunch& bound) {
    const gpu::Launch& launch = *bound.launch;
    MNN_ASSIGN_OR_RETURN(const KernelId kernel, kernel_of(launch));
    // What a group's number is made of: two dimensions, as one may be limited.
    constexpr int64_t kMostGroups = 65535;
    const int64_t x = std::min(launch.groups, kMostGroups);
    const int64_t y = (launch.groups + x - 1) / x;
    calls_.push_back({kernel, {static_cast<size_t>(x * gpu::kGroup), static_cast<size_t>(y)}});
    Uint at = 0;
    for (const gpu::BoundBuffer& b : bound.buffers) {
      MNN_ASSIGN_OR_RETURN(const MemId mem, region(b));
      MNN_RETURN_IF_ERROR(
          check(cl_.SetKernelArg(kernel, at++, sizeof(mem), &mem), "clSetKernelArg"));
    }
    for (const uint32_t p : launch.params) {
      MNN_RETURN_IF_ERROR(check(cl_.SetKernelArg(kernel, at++, sizeof(p), &p), "clSetKernelArg"));
    }
    return {};
  }

  Status start() override {
    drop_events();
    constexpr size_t kLocal[] = {gpu::kGroup, 1};
    for (const Call& call : calls_) {
      EventId event = nullptr;
      MNN_RETURN_IF_ERROR(
          check(cl_.EnqueueNDRangeKernel(queue_, call.kernel, 2, nullptr, call.global, kLocal, 0,
                                         nullptr, timed_ ? &event : nullptr),
                "clEnqueueNDRangeKernel"));
      if (timed_) events_.push_back(event);
    }
    return check(cl_.Flush(queue_), "clFlush");
  }

  void set_timing(bool on) override { timed_ = on; }

  Status read_times(std::vector<int64_t>& ns) override {
    ns.clear();
    for (const EventId event : events_) {
      Ulong from = 0, to = 0;
      MNN_RETURN_IF_ERROR(check(
          cl_.GetEventProfilingInfo(event, kProfilingCommandStart, sizeof(from), &from, nullptr),
          "clGetEventProfilingInfo"));
      MNN_RETURN_IF_ERROR(
          check(cl_.GetEventProfilingInfo(event, kProfilingCommandEnd, sizeof(to), &to, nullptr),
                "clGetEventProfilingInfo"));
      ns.push_back(static_cast<int64_t>(to - from));
    }
    return {};
  }

 private:
  struct Call {
    KernelId kernel;
    size_t global[2];
  };

  Result<KernelId> kernel_of(const gpu::Launch& launch) {
    if (launch.expression) {
      const gpu::KernelRow row = gpu::print_expression(*launch.expression);
      return context_->kernel(gpu::print_kernel(row, gpu::Dialect::kOpenCl, {}), row.name);
    }
    return context_->kernel(gpu::print_kernel(*launch.row, gpu::Dialect::kOpenCl, launch.constants),
                            launch.row->name);
  }

  // A part of a buffer as an object of its own.
  Result<MemId> region(const gpu::BoundBuffer& b) {
    const auto key = std::make_tuple(b.buffer, b.offset, b.bytes);
    const auto known = regions_.find(key);
    if (known != regions_.end()) return known->second;
    const BufferRegion part{static_cast<size_t>(b.offset), static_cast<size_t>(b.bytes)};
    Int code = 0;
    const MemId mem =
        cl_.CreateSubBuffer(id_of(b.buffer), kMemReadWrite, kBufferCreateTypeRegion, &part, &code);
    MNN_RETURN_IF_ERROR(check(code, "clCreateSubBuffer"));
    regions_.emplace(key, mem);
    return mem;
  }

  void drop_events() {
    for (const EventId event : events_) (void)cl_.ReleaseEvent(event);
    events_.clear();
  }

  const std::shared_ptr<Context> context_;
  const Functions& cl_;
  const QueueId queue_;
  std::vector<Call> calls_;
  std::map<std::tuple<DeviceBuffer*, int64_t, int64_t>, MemId> regions_;
  bool timed_ = false;
  std::vector<EventId> events_;
};

class OpenClQueue : public gpu::Queue {
 public:
  OpenClQueue(std::shared_ptr<Context> context, QueueId queue)
      : context_(std::move(context)), cl_(context_->cl), queue_(queue) {}
  ~OpenClQueue() override { (void)cl_.ReleaseCommandQueue(queue_); }

  Result<std::unique_ptr<DeviceBuffer>> allocate(int64_t bytes) override {
    Int code = 0;
    const MemId mem =
        cl_.CreateBuffer(context_->id(), kMemReadWrite, static_cast<size_t>(bytes), nullptr, &code);
    const Status status = check(code, "clCreateBuffer");
    if (!status.ok()) return status.context("a buffer of " + std::to_string(bytes) + " bytes");
    return std::unique_ptr<DeviceBuffer>(std::make_unique<Buffer>(context_, mem));
  }
  Status upload(const Region& to, std::span<const std::byte> from) override {
    return check(cl_.EnqueueWriteBuffer(queue_, id_of(to.buffer), 0, static_cast<size_t>(to.offset),
                                        from.size(), from.data(), 0, nullptr, nullptr),
                 "clEnqueueWriteBuffer");
  }
  Status download(const Region& from, std::span<std::byte> to) override {
    return check(
        cl_.EnqueueReadBuffer(queue_, id_of(from.buffer), 0, static_cast<size_t>(from.offset),
                              to.size(), to.data(), 0, nullptr, nullptr),
        "clEnqueueReadBuffer");
  }
  Status wait() override { return check(cl_.Finish(queue_), "clFinish"); }

  Result<std::unique_ptr<gpu::Recording>> record(std::vector<gpu::BoundLaunch> launches) override {
    auto recording = std::make_unique<OpenClRecording>(context_, queue_);
    for (const gpu::BoundLaunch& launch : launches) {
      const Status status = recording->add(launch);
      if (!status.ok()) return status.context("kernel " + launch.launch->info.kernel);
    }
    return std::unique_ptr<gpu::Recording>(std::move(recording));
  }

 private:
  const std::shared_ptr<Context> context_;
  const Functions& cl_;
  const QueueId queue_;
};

}  // namespace

Result<std::unique_ptr<gpu::Queue>> open_queue(std::shared_ptr<Context> context) {
  Int code = 0;
  const QueueId queue = context->cl.CreateCommandQueue(context->id(), context->device(),
                                                       kQueueProfilingEnable, &code);
  MNN_RETURN_IF_ERROR(check(code, "clCreateCommandQueue"));
  return std::unique_ptr<gpu::Queue>(std::make_unique<OpenClQueue>(std::move(context), queue));
}

}  // namespace mnn::opencl
