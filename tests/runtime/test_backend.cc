#include "tests/runtime/test_backend.h"

#include "libruntime/backends/reference/interpreter.h"

namespace mnn {
namespace {

class TestBackend : public Backend {
 public:
  std::string name() const override { return "test"; }
  Result<const DeviceInfo*> device() const override { return &device_; }
  std::vector<std::string> operators() const override { return {"Conv", "Gemm"}; }

  std::optional<std::string> why_not(const Graph& graph, const Node& node) const override {
    if (node.op != "Conv" && node.op != "Gemm") return "takes Conv and Gemm, not " + node.op;
    for (const auto* list : {&node.inputs, &node.outputs}) {
      for (const ValueId v : *list) {
        if (v == kNoValue) continue;
        const Value& value = graph.value(v);
        if (value.type.dtype != DType::kF32) return "takes f32, not " + value.type.str();
      }
    }
    return std::nullopt;
  }

  double cost(const StepInfo&) const override { return 0; }

  Result<std::unique_ptr<Executable>> compile(const Graph& segment,
                                              const CompileOptions&) const override {
    return make_interpreter(segment, name());
  }

 private:
  const DeviceInfo device_{.text = "reference kernels for Conv and Gemm alone", .key = "test"};
};

}  // namespace

void register_test_backend() {
  register_backend(
      {"test", "reference kernels for Conv and Gemm alone", {}, [](const BackendSettings&) {
         return Result<std::unique_ptr<Backend>>(std::make_unique<TestBackend>());
       }});
}

}  // namespace mnn
