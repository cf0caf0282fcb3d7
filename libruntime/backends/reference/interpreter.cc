#include "libruntime/backends/reference/interpreter.h"

#include <chrono>

#include "libruntime/core/control_flow.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"

namespace mnn {
namespace {

class Interpreter : public Executable {
 public:
  Interpreter(Graph graph, std::string backend)
      : graph_(std::move(graph)), backend_(std::move(backend)) {}

  Status prepare() {
    values_.resize(graph_.values.size());
    for (size_t v = 0; v < values_.size(); ++v) {
      const Value& value = graph_.values[v];
      if (!is_stored(value)) continue;
      MNN_ASSIGN_OR_RETURN(values_[v], constant_as_real(value));
      if (value.quant) dequantized_.push_back(v);
    }
    // A temporary is dropped after its last reader.
    std::vector<size_t> last(values_.size(), graph_.nodes.size());
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      for (const auto* list : {&graph_.nodes[n].inputs, &graph_.nodes[n].captures}) {
        for (const ValueId v : *list) {
          if (v != kNoValue) last[static_cast<size_t>(v)] = n;
        }
      }
      for (const ValueId v : graph_.nodes[n].outputs) {
        if (v != kNoValue) last[static_cast<size_t>(v)] = n;
      }
    }
    for (const ValueId v : graph_.outputs) last[static_cast<size_t>(v)] = graph_.nodes.size();
    dropped_.resize(graph_.nodes.size());
    for (size_t v = 0; v < values_.size(); ++v) {
      const bool temporary = graph_.values[v].kind == ValueKind::kTemporary;
      if (temporary && last[v] < graph_.nodes.size()) dropped_[last[v]].push_back(v);
    }
    return {};
  }

  void count_weights(PackedBytes& sum) const override {
    for (const size_t v : dequantized_) sum.add(values_[v].raw(), values_[v].bytes());
  }
  void set_timer(StepTimer timer) override { timer_ = std::move(timer); }

  Status run(std::span<const Tensor> in, std::span<Tensor> out) override {
    size_t next = 0;
    for (const auto* list : {&graph_.inputs, &graph_.captures}) {
      for (const ValueId v : *list) {
        if (next == in.size()) return internal_error("interpreter: too few inputs");
        values_[static_cast<size_t>(v)] = in[next++];
        MNN_RETURN_IF_ERROR(round_value(v));
      }
    }
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const auto start = timer_ ? Clock::now() : Clock::time_point();
      const Status status = run_one(graph_.nodes[n]);
      if (!status.ok()) {
        const Node& node = graph_.nodes[n];
        return status.context("node " + display_name(graph_, node) + " (" + node.op + ")");
      }
      for (const size_t v : dropped_[n]) values_[v] = {};
      if (timer_) {
        timer_(n,
               std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
      }
    }
    for (size_t i = 0; i < out.size(); ++i) {
      const Tensor& value = values_[static_cast<size_t>(graph_.outputs[i])];
      MNN_RETURN_IF_ERROR(deliver_output(value, out[i]));
    }
    for (const ValueId v : graph_.outputs) release(v);
    for (const auto* list : {&graph_.inputs, &graph_.captures}) {
      for (const ValueId v : *list) release(v);
    }
    return {};
  }

  std::vector<StepInfo> steps() const override {
    std::vector<StepInfo> steps;
    for (const Node& node : graph_.nodes) {
      steps.push_back(describe_step(graph_, node));
      steps.back().kernel = "reference";
      steps.back().backend = backend_;
    }
    return steps;
  }

 private:
  using Clock = std::chrono::steady_clock;

  void release(ValueId v) {
    const ValueKind kind = graph_.value(v).kind;
    if (kind == ValueKind::kTemporary || kind == ValueKind::kInput) {
      values_[static_cast<size_t>(v)] = {};
    }
  }

  Status round_value(ValueId v) {
    const Value& value = graph_.value(v);
    Tensor& t = values_[static_cast<size_t>(v)];
    if (!value.quant || t.dtype() != DType::kF32) return {};
    MNN_ASSIGN_OR_RETURN(t, round_to_grid(t, *value.quant));
    return {};
  }

  Status run_one(const Node& node) {
    std::vector<const Tensor*> in;
    in.reserve(node.inputs.size());
    for (const ValueId v : node.inputs) {
      in.push_back(v == kNoValue ? nullptr : &values_[static_cast<size_t>(v)]);
    }
    Result<std::vector<Tensor>> made = std::vector<Tensor>();
    if (node.subgraphs.empty()) {
      made = run_node(node, in);
    } else {
      std::vector<Tensor> captures;
      for (const ValueId v : node.captures) captures.push_back(values_[static_cast<size_t>(v)]);
      made = run_control_flow(
          node, in, captures,
          [](const Graph& g, std::span<const Tensor> feeds) { return run_reference(g, feeds); });
    }
    if (!made.ok()) return made.status();
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId v = node.outputs[i];
      if (v == kNoValue) continue;
      values_[static_cast<size_t>(v)] = std::move((*made)[i]);
      MNN_RETURN_IF_ERROR(round_value(v));
    }
    return {};
  }

  const Graph graph_;
  const std::string backend_;
  std::vector<Tensor> values_;
  std::vector<std::vector<size_t>> dropped_;  // values not needed after each node
  std::vector<size_t> dequantized_;           // constants with floats of their own
  StepTimer timer_;
};

}  // namespace

Result<std::unique_ptr<Executable>> make_interpreter(const Graph& segment, std::string backend) {
  auto interpreter = std::make_unique<Interpreter>(segment, std::move(backend));
  MNN_RETURN_IF_ERROR(interpreter->prepare());
  return std::unique_ptr<Executable>(std::move(interpreter));
}

}  // namespace mnn
