// The backend of every API: what it takes, and the way from a segment to an executable.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <mutex>

#include "libruntime/backends/gpu/device.h"
#include "libruntime/backends/gpu/lowering.h"
#include "libruntime/lower/element.h"

namespace mnn::gpu {
namespace {

bool is_device_type(DType t) {
  return t == DType::kF32 || t == DType::kI32 || t == DType::kI64 || t == DType::kBool;
}

// Why a value cannot live on a device; nullopt when it can.
std::optional<std::string> check_value(const Value& v, int64_t most_bytes) {
  if (v.type.kind != Type::Kind::kTensor) return "not a tensor";
  if (!v.type.is_static()) return "shape depends on data";
  if (v.type.rank() > kMaxDepth - 1) return "more than 7 dimensions";
  if (!is_device_type(v.type.dtype)) {
    return "elements of type " + std::string(dtype_name(v.type.dtype));
  }
  const auto elements = checked_elements(known_dims(*v.type.shape));
  if (elements && *elements == 0) return "empty tensor";
  const int64_t bytes = elements ? *elements * 4 * words_per(v.type.dtype) : INT64_MAX;
  if (!elements || *elements > INT32_MAX / 2 || bytes > most_bytes) {
    return "a buffer of more than " +
           std::to_string(std::min<int64_t>(most_bytes, INT64_C(4) << 30)) + " bytes";
  }
  if (v.quant && v.kind != ValueKind::kConstant && !grid_of(v)) {
    return "activation quantized in another way than bytes with one scale";
  }
  return std::nullopt;
}

class GpuBackend : public Backend {
 public:
  GpuBackend(std::string name, const DeviceTraits& traits,
             std::function<Result<std::unique_ptr<Api>>()> open_api)
      : name_(std::move(name)), traits_(traits), open_api_(std::move(open_api)) {}

  std::string name() const override { return name_; }

  Result<const DeviceInfo*> device() const override {
    MNN_ASSIGN_OR_RETURN(Api* const api, this->api());
    return &api->info();
  }

  std::vector<std::string> operators() const override {
    std::vector<std::string> names;
    for (const OpDef* def : all_ops()) {
      if (is_element_op(def->name) || find_row(def->name) != nullptr) names.push_back(def->name);
    }
    return names;
  }

  std::optional<std::string> why_not(const Graph& graph, const Node& node) const override {
    if (!node.subgraphs.empty() || !node.captures.empty()) return "sub-graphs";
    if (find_op(node.op) == nullptr) return "operator " + node.op + " is not known";
    const OpRow* row = find_row(node.op);
    if (row == nullptr && !is_element_op(node.op)) {
      return "operator " + node.op + " has no " + kDevice + " kernel";
    }
    const Api* const ready = ready_.load();
    const int64_t most = ready != nullptr ? ready->info().max_buffer_bytes : INT64_MAX;
    for (const auto* list : {&node.inputs, &node.outputs}) {
      for (const ValueId v : *list) {
        if (v == kNoValue) continue;
        // Parameters nobody reads at run time, such as Resize's empty roi, do no harm.
        const Value& value = graph.value(v);
        if (value.kind == ValueKind::kConstant && value.data.elements() == 0) continue;
        if (auto reason = check_value(value, most)) return reason;
      }
    }
    if (node.outputs.empty() || node.outputs[0] == kNoValue) {
      if (row == nullptr || find_op(node.op)->name != "LSTM")
        return "nobody wants its first output";
    }
    if (is_element_op(node.op) && (row == nullptr || is_elementwise(graph, node))) {
      if (!is_elementwise(graph, node)) return "other types than " + node.op + " has kernels for";
      if (!is_device_expression(graph, node)) {
        return "more than " + std::to_string(kMaxSources) + " operands";
      }
      return std::nullopt;
    }
    if (auto reason = check_post_ops(graph, node, kDevice)) return reason;
    const auto operands = static_cast<int>(node.inputs.size() - node.own_inputs());
    if (operands >= kMaxSources) return "more than " + std::to_string(kMaxSources) + " operands";
    return row->why_not(NodeView(graph, node));
  }

  std::optional<std::string> why_not_form(const Graph& graph, const Node& node,
                                          ComputeForm form) const override {
    if (form != ComputeForm::kU8xS8) {
      return "backend " + name_ + " computes in bytes with constant weights only";
    }
    return why_not_byte_product(graph, node);
  }

  // For reports: a device of the middle.
  double cost(const StepInfo& step) const override {
    const double arithmetic = static_cast<double>(step.macs) / 2e11;
    const double traffic = static_cast<double>(step.bytes) / 5e10;
    return 1e-5 + std::max(arithmetic, traffic);
  }

  Result<std::unique_ptr<Executable>> compile(const Graph& segment,
                                              const CompileOptions& options) const override {
    MNN_ASSIGN_OR_RETURN(Api* const api, this->api());
    Lowering lowering(segment, options, name_, traits_);
    MNN_ASSIGN_OR_RETURN(Program program, lowering.run());
    return make_executable(std::move(program), api->info(), static_cast<Queue&>(*options.stream),
                           weights_);
  }

  DeviceWork work() const override {
    DeviceWork sum;
    if (const Api* const ready = ready_.load()) ready->add_work(sum);
    weights_.add_to(sum);
    return sum;
  }

  Result<std::unique_ptr<Stream>> open() const override {
    MNN_ASSIGN_OR_RETURN(Api* const api, this->api());
    MNN_ASSIGN_OR_RETURN(std::unique_ptr<Queue> queue, api->open());
    return std::unique_ptr<Stream>(std::move(queue));
  }

 private:
  Result<Api*> api() const {
    std::call_once(once_, [this] {
      Result<std::unique_ptr<Api>> made = open_api_();
      if (made.ok()) {
        opened_ = std::move(made).value();
        ready_ = opened_.get();
      } else {
        failed_ = made.status();
      }
    });
    if (opened_ == nullptr) return failed_;
    return opened_.get();
  }

  const std::string name_;
  const DeviceTraits traits_;
  const std::function<Result<std::unique_ptr<Api>>()> open_api_;
  mutable std::once_flag once_;
  mutable std::unique_ptr<Api> opened_;
  mutable std::atomic<Api*> ready_ = nullptr;
  mutable Status failed_;
  mutable WeightStore weights_;
};

}  // namespace

Result<size_t> choose_device(const std::string& api, const std::vector<DeviceChoice>& devices,
                             const std::string& wanted) {
  if (devices.empty()) return unsupported("no " + api + " device that runs these kernels");
  auto first = [&](auto&& fits) {
    return static_cast<size_t>(std::find_if(devices.begin(), devices.end(), fits) -
                               devices.begin());
  };
  if (wanted.empty()) {
    const size_t gpu = first([](const DeviceChoice& d) { return d.gpu; });
    return gpu < devices.size() ? gpu : 0;
  }
  size_t number = 0;
  const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), number);
  const bool is_number = error == std::errc() && end == wanted.data() + wanted.size();
  if (is_number && number < devices.size()) return number;
  const size_t named =
      first([&](const DeviceChoice& d) { return d.name.find(wanted) != std::string::npos; });
  if (named < devices.size()) return named;
  std::string names;
  for (const DeviceChoice& d : devices) names += (names.empty() ? "" : ", ") + d.name;
  return unsupported("no " + api + " device '" + wanted + "', found " + names);
}

BackendRow::Option precision_option() {
  return {"precision", "fp32 (default), or fp16: weights of products are kept as halves"};
}

Result<bool> wants_halves(const BackendSettings& settings) {
  const auto given = settings.find("precision");
  if (given == settings.end() || given->second == "fp32") return false;
  if (given->second == "fp16") return true;
  return usage_error("option precision: expected fp32 or fp16, found '" + given->second + "'");
}

std::unique_ptr<Backend> make_backend(std::string name, const DeviceTraits& traits,
                                      std::function<Result<std::unique_ptr<Api>>()> open_api) {
  return std::make_unique<GpuBackend>(std::move(name), traits, std::move(open_api));
}

}  // namespace mnn::gpu
