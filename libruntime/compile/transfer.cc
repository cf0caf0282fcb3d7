#include "libruntime/compile/transfer.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "libruntime/core/quant.h"

namespace mnn {
namespace {

class Transfer : public Executable {
 public:
  Transfer(const Value& value, Stream& stream, bool up) : stream_(stream), up_(up) {
    info_.name = value.name;
    info_.op = "Transfer";
    info_.kernel = up ? "upload" : "download";
    info_.backend = "session";
    info_.out_dims = known_dims(*value.type.shape);
    info_.out_dtype = dtype_name(value.type.dtype);
    const auto elements = checked_elements(info_.out_dims);
    info_.bytes = elements ? storage_bytes(value.type.dtype, *elements).value_or(0) : 0;
  }

  Status bind(const BoundMemory& memory) override {
    place_ = up_ ? memory.out[0] : memory.in[0];
    return {};
  }
  void set_timer(StepTimer timer) override { timer_ = std::move(timer); }
  std::vector<StepInfo> steps() const override { return {info_}; }

  Status run(std::span<const Tensor> in, std::span<Tensor> out) override {
    if (!timer_) return queue(in, out);
    MNN_RETURN_IF_ERROR(stream_.wait());
    const auto start = std::chrono::steady_clock::now();
    MNN_RETURN_IF_ERROR(queue(in, out));
    MNN_RETURN_IF_ERROR(stream_.wait());
    const auto taken = std::chrono::steady_clock::now() - start;
    timer_(0, std::chrono::duration_cast<std::chrono::nanoseconds>(taken).count());
    return {};
  }

 private:
  Status queue(std::span<const Tensor> in, std::span<Tensor> out) {
    const Tensor& host = up_ ? in[0] : out[0];
    if (host.bytes() != info_.bytes) return internal_error("a value changed its size");
    const auto bytes = static_cast<size_t>(info_.bytes);
    return up_ ? stream_.upload(place_, {host.raw(), bytes})
               : stream_.download(place_, {out[0].raw(), bytes});
  }

  Stream& stream_;
  const bool up_;
  Region place_;
  StepInfo info_;
  StepTimer timer_;
};

}  // namespace

std::unique_ptr<Executable> make_upload(const Value& value, Stream& stream) {
  return std::make_unique<Transfer>(value, stream, true);
}
std::unique_ptr<Executable> make_download(const Value& value, Stream& stream) {
  return std::make_unique<Transfer>(value, stream, false);
}

Result<std::vector<BufferGroup>> plan_groups(const std::vector<Lifetime>& lifetimes,
                                             const DeviceInfo& device) {
  std::vector<BufferGroup> groups;
  // Those that are still to get an arena; a group that is too large is halved.
  std::vector<std::vector<size_t>> open(1);
  open[0].resize(lifetimes.size());
  std::iota(open[0].begin(), open[0].end(), size_t{0});
  while (!open.empty()) {
    BufferGroup group;
    group.members = std::move(open.back());
    open.pop_back();
    if (group.members.empty()) continue;
    std::vector<Lifetime> own;
    for (const size_t i : group.members) own.push_back(lifetimes[i]);
    const MemoryPlan placed = plan_memory(own, device.alignment);
    if (placed.arena_bytes <= device.max_buffer_bytes) {
      group.offsets = placed.offsets;
      group.bytes = placed.arena_bytes;
      groups.push_back(std::move(group));
      continue;
    }
    if (group.members.size() == 1) {
      return limit_exceeded("a buffer of " + std::to_string(placed.arena_bytes) +
                            " bytes, the device allows " + std::to_string(device.max_buffer_bytes));
    }
    const auto half = group.members.begin() + static_cast<long>(group.members.size() / 2);
    open.emplace_back(half, group.members.end());
    open.emplace_back(group.members.begin(), half);
  }
  return groups;
}

}  // namespace mnn
