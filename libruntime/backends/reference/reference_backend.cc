// Takes everything the op table can compute: the last resort, and the judge of the others.
#include "libruntime/backends/reference/reference_backend.h"

#include "libruntime/backends/reference/interpreter.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

class ReferenceBackend : public Backend {
 public:
  std::string name() const override { return "reference"; }
  Result<const DeviceInfo*> device() const override { return &device_; }
  std::vector<std::string> operators() const override {
    std::vector<std::string> names;
    for (const OpDef* def : all_ops()) {
      if (runs(*def)) names.push_back(def->name);
    }
    return names;
  }

  std::optional<std::string> why_not(const Graph&, const Node& node) const override {
    const OpDef* def = find_op(node.op);
    if (def == nullptr) return "operator " + node.op + " is not known";
    if (!runs(*def)) {
      return "operator " + node.op + " has no reference kernel";
    }
    return std::nullopt;
  }

  // Plain loops in double: some nanoseconds a multiplication or element, microseconds a node.
  double cost(const StepInfo& step) const override {
    return 5e-6 + 3e-9 * static_cast<double>(step.macs) + 2e-9 * static_cast<double>(step.bytes);
  }

  Result<std::unique_ptr<Executable>> compile(const Graph& segment,
                                              const CompileOptions&) const override {
    return make_interpreter(segment, name());
  }

 private:
  static bool runs(const OpDef& def) {
    return def.reference != nullptr || def.decompose != nullptr || def.subgraphs > 0;
  }

  const DeviceInfo device_{.text = "CPU, plain loops, one thread", .key = "reference"};
};

}  // namespace

BackendRow reference_backend_row() {
  return {
      "reference", "plain loops for every operator, one thread", {}, [](const BackendSettings&) {
        return Result<std::unique_ptr<Backend>>(std::make_unique<ReferenceBackend>());
      }};
}

}  // namespace mnn
