#include "tests/runtime/fake_device.h"

#include <atomic>
#include <cstring>
#include <deque>
#include <functional>

#include "libruntime/backends/reference/interpreter.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

struct FakeBuffer : DeviceBuffer {
  explicit FakeBuffer(int64_t bytes) : data(static_cast<size_t>(bytes), std::byte{0xff}) {}
  std::vector<std::byte> data;
};

std::byte* address(const Region& r) {
  return static_cast<FakeBuffer*>(r.buffer)->data.data() + r.offset;
}

class FakeStream : public Stream {
 public:
  explicit FakeStream(const FakeDevice& device) : device_(device) {}
  ~FakeStream() override { check_done(); }

  Result<std::unique_ptr<DeviceBuffer>> allocate(int64_t bytes) override {
    MNN_RETURN_IF_ERROR(call("allocate"));
    count(&FakeDeviceCounts::allocations);
    if (bytes > device_.max_buffer_bytes) return internal_error("a buffer is too large");
    return std::unique_ptr<DeviceBuffer>(std::make_unique<FakeBuffer>(bytes));
  }
  Status upload(const Region& to, std::span<const std::byte> from) override {
    MNN_RETURN_IF_ERROR(call("upload"));
    count(&FakeDeviceCounts::uploads);
    queue_.push_back([=] {
      std::memcpy(address(to), from.data(), from.size());
      return Status();
    });
    return {};
  }
  Status download(const Region& from, std::span<std::byte> to) override {
    MNN_RETURN_IF_ERROR(call("download"));
    count(&FakeDeviceCounts::downloads);
    std::memset(to.data(), 0xff, to.size());
    queue_.push_back([=] {
      std::memcpy(to.data(), address(from), to.size());
      return Status();
    });
    return {};
  }
  Status start(std::function<Status()> work) {
    MNN_RETURN_IF_ERROR(call("start"));
    count(&FakeDeviceCounts::starts);
    queue_.push_back(std::move(work));
    return {};
  }
  Status wait() override {
    count(&FakeDeviceCounts::waits);
    Status status = queue_.empty() ? Status() : call("wait");
    for (; !queue_.empty(); queue_.pop_front()) {
      if (status.ok()) status = queue_.front()();
    }
    return status;
  }

 private:
  void check_done() const {
    if (!queue_.empty()) std::abort();  // a plan went away before its work was done
  }
  void count(int64_t FakeDeviceCounts::*what) {
    if (device_.counts != nullptr) ++(device_.counts->*what);
  }
  Status call(const char* name) {
    ++calls_;
    const bool gone = device_.lost && device_.failing_call > 0 && calls_ > device_.failing_call;
    if (calls_ != device_.failing_call && !gone) return {};
    return Status(Code::kInternal, std::string("fake ") + name + " failed");
  }

  const FakeDevice& device_;
  std::deque<std::function<Status()>> queue_;
  int64_t calls_ = 0;
};

class FakeExecutable : public Executable {
 public:
  FakeExecutable(const Graph& segment, std::unique_ptr<Executable> inner, FakeStream& stream)
      : segment_(segment), inner_(std::move(inner)), stream_(stream) {}

  std::vector<int64_t> workspaces() const override { return {64, 0}; }
  Status bind(const BoundMemory& memory) override {
    in_.assign(memory.in.begin(), memory.in.end());
    out_.assign(memory.out.begin(), memory.out.end());
    scratch_.assign(memory.workspaces.begin(), memory.workspaces.end());
    return {};
  }
  Status start() override {
    return stream_.start([this] { return compute(); });
  }
  std::vector<StepInfo> steps() const override { return inner_->steps(); }

 private:
  Status compute() {
    std::memset(address(scratch_[0]), 0xff, 64);
    auto tensors = [](const Graph& g, const std::vector<ValueId>& values,
                      const std::vector<Region>& places) {
      std::vector<Tensor> list;
      for (size_t i = 0; i < values.size(); ++i) {
        const Type& type = g.value(values[i]).type;
        list.push_back(Tensor::wrap(type.dtype, known_dims(*type.shape), address(places[i])));
      }
      return list;
    };
    const std::vector<Tensor> in = tensors(segment_, segment_.inputs, in_);
    std::vector<Tensor> out = tensors(segment_, segment_.outputs, out_);
    for (Tensor& t : out) std::memset(t.raw(), 0xff, static_cast<size_t>(t.bytes()));
    return inner_->run(in, out);
  }

  const Graph segment_;
  std::unique_ptr<Executable> inner_;
  FakeStream& stream_;
  std::vector<Region> in_, out_, scratch_;
};

class FakeBackend : public Backend {
 public:
  explicit FakeBackend(FakeDevice device) : device_(std::move(device)) {
    info_.text = "a device in this process";
    info_.kind = DeviceKind::kSimulated;
    info_.host_memory = false;
    info_.max_buffer_bytes = device_.max_buffer_bytes;
    info_.key = device_.name;
  }
  std::string name() const override { return device_.name; }
  Result<const DeviceInfo*> device() const override { return &info_; }
  std::vector<std::string> operators() const override { return {}; }
  std::optional<std::string> why_not(const Graph& graph, const Node& node) const override {
    if (device_.refused.contains(node.op)) return "does not take " + node.op;
    if (!node.subgraphs.empty() || find_op(node.op)->reference == nullptr) return "no kernel";
    for (const auto* list : {&node.inputs, &node.outputs}) {
      for (const ValueId v : *list) {
        if (v == kNoValue) continue;
        const Type& type = graph.value(v).type;
        if (!type.is_static() || type.dtype == DType::kString) return "type " + type.str();
      }
    }
    return std::nullopt;
  }
  double cost(const StepInfo&) const override { return 0; }
  Result<std::unique_ptr<Executable>> compile(const Graph& segment,
                                              const CompileOptions& options) const override {
    MNN_ASSIGN_OR_RETURN(auto inner, make_interpreter(segment, name()));
    return std::unique_ptr<Executable>(std::make_unique<FakeExecutable>(
        segment, std::move(inner), static_cast<FakeStream&>(*options.stream)));
  }
  Result<std::unique_ptr<Stream>> open() const override {
    return std::unique_ptr<Stream>(std::make_unique<FakeStream>(device_));
  }

 private:
  const FakeDevice device_;
  DeviceInfo info_;
};

}  // namespace

std::unique_ptr<Backend> make_fake_device(const FakeDevice& device) {
  return std::make_unique<FakeBackend>(device);
}

bool register_fake_device() {
  return register_backend({"fake",
                           "a device in this process",
                           {},
                           [](const BackendSettings&) {
                             return Result<std::unique_ptr<Backend>>(make_fake_device({}));
                           },
                           true});
}

}  // namespace mnn
