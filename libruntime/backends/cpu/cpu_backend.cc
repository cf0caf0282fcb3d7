#include "libruntime/backends/cpu/cpu_backend.h"

#include <algorithm>
#include <string>

#include "libruntime/backends/cpu/lowering.h"
#include "libruntime/backends/cpu/matrix.h"
#include "libruntime/backends/cpu/rows.h"
#include "libruntime/kernels/isa.h"
#include "libruntime/kernels/kernel_table.h"
#include "libruntime/lower/element.h"
#include "libruntime/lower/post_op.h"

namespace mnn {
namespace cpu {

const OpRow* find_row(std::string_view op) {
  static const std::map<std::string_view, const OpRow*> rows = [] {
    std::map<std::string_view, const OpRow*> all;
    for (const auto family :
         {conv_rows(), matmul_rows(), pool_rows(), reduce_rows(), norm_rows(), view_rows(),
          move_rows(), quantize_rows(), resize_rows(), recurrent_rows(), sample_rows(),
          attention_rows(), scan_rows(), index_rows(), cast_rows(), select_rows(), integer_rows(),
          rotary_rows(), gradient_rows()}) {
      for (const OpRow& row : family) all.emplace(row.op, &row);
    }
    return all;
  }();
  const auto it = rows.find(op);
  return it == rows.end() ? nullptr : it->second;
}

namespace {

// Why a value cannot live in this backend; nullopt when it can.
std::optional<std::string> check_value(const Value& v) {
  if (v.type.kind != Type::Kind::kTensor) return "not a tensor";
  if (!v.type.is_static()) return "shape depends on data";
  if (v.type.rank() > 8) return "more than 8 dimensions";
  const std::vector<int64_t> dims = known_dims(*v.type.shape);
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return "empty tensor";
  const int bits = dtype_bits(v.type.dtype);
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64) {
    return "elements of type " + std::string(dtype_name(v.type.dtype));
  }
  if (v.quant && v.kind != ValueKind::kConstant && !grid_of(v) && !channel_grid_of(v)) {
    return "activation quantized in another way than bytes with one scale or one per channel";
  }
  return std::nullopt;
}

class CpuBackend : public Backend {
 public:
  explicit CpuBackend(CpuSettings settings) : settings_(std::move(settings)) {
    const Result<const KernelTable*> table = find_kernels(settings_.isa);
    if (table.ok()) device_.key = (*table)->isa;
    device_.text = "CPU, " + device_.key;
  }
  std::string name() const override { return "cpu"; }
  Result<const DeviceInfo*> device() const override { return &device_; }

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
    for (const auto* list : {&node.inputs, &node.outputs}) {
      for (const ValueId v : *list) {
        if (v == kNoValue) continue;
        // Parameters nobody reads at run time, such as Resize's empty roi, do no harm.
        const Value& value = graph.value(v);
        if (value.kind == ValueKind::kConstant && value.data.elements() == 0) continue;
        if (auto reason = check_value(value)) return reason;
      }
    }
    const OpRow* row = find_row(node.op);
    const bool has_first = !node.outputs.empty() && node.outputs[0] != kNoValue;
    if (!has_first && (row == nullptr || row->needs_first)) {
      return "nobody wants its first output";
    }
    if (is_elementwise(graph, node)) return std::nullopt;
    if (row == nullptr) {
      return "operator " + node.op + " has no CPU kernel" +
             (is_element_op(node.op) ? " for these types" : "");
    }
    if (auto reason = check_post_ops(graph, node, kDevice)) return reason;
    return row->why_not(graph, node);
  }

  std::optional<std::string> why_not_form(const Graph& graph, const Node& node,
                                          ComputeForm form) const override {
    const OpRow* row = find_row(node.op);
    const WhyNotFormFn bytes = row == nullptr ? nullptr : row->why_not_form;
    if (is_int8(form)) {
      if (node.outputs.empty() || node.outputs[0] == kNoValue) return "nobody wants its output";
      return bytes ? bytes(graph, node, form) : "there is no int8 kernel for " + node.op;
    }
    if (form == ComputeForm::kI32 && bytes && !why_not(graph, node)) {
      return "its products are taken as bytes";
    }
    return Backend::why_not_form(graph, node, form);
  }

  // A roofline: arithmetic at a fraction of what one core can do, memory at some GB/s, and a
  // microsecond for the step.
  double cost(const StepInfo& step) const override {
    const double arithmetic = static_cast<double>(step.macs) / 2e10;
    const double traffic = static_cast<double>(step.bytes) / 1e10;
    return 1e-6 + std::max(arithmetic, traffic);
  }

  Result<std::unique_ptr<Executable>> compile(const Graph& segment,
                                              const CompileOptions& options) const override {
    MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(settings_.isa));
    const VectorKernels* kernels = find_vector_kernels(table->isa);
    if (kernels == nullptr)
      return internal_error("no vector kernels for " + std::string(table->isa));
    Lowering lowering(segment, options, {table->isa, settings_.winograd}, *kernels);
    MNN_ASSIGN_OR_RETURN(Plan plan, lowering.run());
    return make_executable(std::move(plan), options.pool);
  }

 private:
  const CpuSettings settings_;
  DeviceInfo device_;
};

Result<std::unique_ptr<Backend>> open_cpu(const BackendSettings& settings) {
  CpuSettings own;
  for (const auto& [key, value] : settings) {
    if (key == "isa") {
      own.isa = value;
    } else if (value == "on" || value == "off") {
      own.winograd = value == "on";
    } else {
      return usage_error("option " + key + ": expected on or off, found '" + value + "'");
    }
  }
  if (!own.isa.empty()) MNN_RETURN_IF_ERROR(find_kernels(own.isa).status());
  return std::unique_ptr<Backend>(std::make_unique<CpuBackend>(std::move(own)));
}

}  // namespace
}  // namespace cpu

BackendRow cpu_backend_row() {
  return {"cpu",
          "vector kernels for the instruction set of this CPU",
          {{"isa", "an instruction set this CPU has; by default the best"},
           {"winograd", "on or off: convolutions by Winograd's method where they are faster"}},
          cpu::open_cpu};
}

}  // namespace mnn
