// One pass in node order: infer a node's types, then replace it by constants where that can be
// done.
#include "libruntime/core/fold.h"

#include <algorithm>
#include <chrono>

#include "libruntime/core/op.h"

namespace mnn {
namespace {

// A constant that a sub-graph captures is copied into it up to this size, so that a folded graph
// stays about as small as it was.
constexpr int64_t kMaxCopiedBytes = 4096;
// Simple steps a second the reference kernels manage at least. The budget is counted in steps and
// not in time, for the same graph must fold to the same bytes on any machine.
constexpr double kStepsPerSecond = 1e8;

using Clock = std::chrono::steady_clock;

struct Budget {
  const FoldLimits& limits;
  double steps;
  Clock::time_point stop;

  explicit Budget(const FoldLimits& l)
      : limits(l),
        steps(l.max_seconds * kStepsPerSecond),
        // The net below the estimate, for a kernel slower than thought.
        stop(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                std::chrono::duration<double>(2 * l.max_seconds))) {}
};

class Folder {
 public:
  // `runs`: whatever runs the graph reaches every node of it, as it may not in a sub-graph.
  Folder(Graph& graph, Budget& budget, bool runs)
      : graph_(graph), budget_(budget), runs_(runs), inference_(graph) {}

  Status run() {
    std::vector<Node> nodes = std::move(graph_.nodes);
    graph_.nodes.clear();
    const Status status = take_all(std::move(nodes));
    graph_.nodes = std::move(kept_);
    return status;
  }
  int folded() const { return folded_; }

 private:
  // Nodes go to kept_ or are folded. After an error all the rest is kept, so that none gets lost.
  Status take_all(std::vector<Node> nodes) {
    Status status;
    for (Node& node : nodes) {
      if (status.ok()) {
        status = take(std::move(node));
      } else {
        kept_.push_back(std::move(node));
      }
    }
    return status;
  }

  Status take(Node node) {
    if (node.op == "If" && node.subgraphs.size() == 2) {
      if (const auto condition = known_condition(node.inputs[0])) {
        ++folded_;
        return inline_branch(std::move(node), *condition ? 0 : 1);
      }
    }
    if (!node.subgraphs.empty()) internalize_captures(node);
    const Status status = inference_.infer(node);
    if (!status.ok()) {
      kept_.push_back(std::move(node));
      return status;
    }
    bool folded = fold_by_inference(node);
    if (!folded) {
      Result<bool> ran = fold_by_running(node);
      if (!ran.ok()) {
        kept_.push_back(std::move(node));
        return ran.status();
      }
      folded = *ran;
    }
    if (folded) {
      ++folded_;
      return {};
    }
    Status inner;
    for (Graph& g : node.subgraphs) {
      Folder folder(g, budget_, false);
      for (size_t c = 0; c < g.captures.size(); ++c) {
        const ShapeValues* known = inference_.known(node.captures[c]);
        if (known != nullptr) folder.inference_.learn(g.captures[c], *known);
      }
      inner = folder.run();
      folded_ += folder.folded();
      // What inference above let pass: a branch that these shapes make impossible.
      if (node.op == "If" && inner.code() == Code::kInvalidArgument) inner = {};
      if (!inner.ok()) {
        inner = inner.context("in its sub-graph " + g.name)
                    .context("node " + display_name(graph_, node) + " (" + node.op + ")");
        break;
      }
    }
    kept_.push_back(std::move(node));
    return inner;
  }

  std::optional<bool> known_condition(ValueId v) const {
    if (const Tensor* t = graph_.constant(v)) {
      if (t->dtype() == DType::kBool && t->elements() == 1) return t->data<bool>()[0];
      return std::nullopt;
    }
    const ShapeValues* values = inference_.known(v);
    if (values == nullptr || values->size() != 1 || !values->front().known()) return std::nullopt;
    return values->front().value() != 0;
  }

  // Small constants that sub-graphs capture become constants of theirs.
  void internalize_captures(Node& node) {
    for (size_t c = node.captures.size(); c-- > 0;) {
      const Tensor* constant = graph_.constant(node.captures[c]);
      if (constant == nullptr || constant->bytes() > kMaxCopiedBytes) continue;
      for (Graph& g : node.subgraphs) {
        Value& inner = g.value(g.captures[c]);
        inner.kind = ValueKind::kConstant;
        inner.data = *constant;
        inner.type = tensor_type(constant->dtype(), to_shape(constant->dims()));
        g.captures.erase(g.captures.begin() + static_cast<long>(c));
      }
      node.captures.erase(node.captures.begin() + static_cast<long>(c));
    }
  }

  void make_constant(ValueId v, Tensor data) {
    Value& value = graph_.value(v);
    value.kind = ValueKind::kConstant;
    value.type = tensor_type(data.dtype(), to_shape(data.dims()));
    value.data = std::move(data);
  }

  // Outputs whose elements shape inference knows, such as Shape of a static tensor. True when
  // nothing is left of the node.
  bool fold_by_inference(Node& node) {
    const OpDef* def = find_op(node.op);
    if (def == nullptr || !def->deterministic || !node.subgraphs.empty() || !node.fused.empty()) {
      return false;
    }
    bool all = true;
    for (ValueId& v : node.outputs) {
      if (v == kNoValue) continue;
      const ShapeValues* known = inference_.known(v);
      const Value& value = graph_.value(v);
      if (known == nullptr || !all_known(*known) || value.quant || !value.type.is_static()) {
        all = false;
        continue;
      }
      auto data = Tensor::allocate(value.type.dtype, known_dims(*value.type.shape));
      if (!data.ok() || data->elements() != static_cast<int64_t>(known->size())) {
        all = false;
        continue;
      }
      auto fill = [&]<typename T>() {
        for (size_t i = 0; i < known->size(); ++i) {
          data->data<T>()[i] = static_cast<T>((*known)[i].value());
        }
      };
      switch (value.type.dtype) {
        case DType::kI64: fill.operator()<int64_t>(); break;
        case DType::kI32: fill.operator()<int32_t>(); break;
        case DType::kBool: fill.operator()<bool>(); break;
        default: all = false; continue;
      }
      make_constant(v, std::move(data).value());
      v = kNoValue;
    }
    return all;
  }

  // What the outputs will take, and whether that is within the limits.
  bool affordable(const Node& node, std::span<const Tensor* const> in) {
    int64_t in_bytes = 0;
    double in_elements = 0;
    for (const Tensor* t : in) {
      if (t == nullptr) continue;
      in_bytes += t->bytes();
      in_elements += static_cast<double>(t->elements());
    }
    double out_elements = 0;
    for (const ValueId v : node.outputs) {
      if (v == kNoValue) continue;
      const Type& type = graph_.value(v).type;
      if (type.kind != Type::Kind::kTensor || graph_.value(v).quant) return false;
      if (!type.is_static()) {
        if (!has_traits(node.op, kDataSized) || in_bytes > budget_.limits.max_output_bytes / 16) {
          return false;
        }
        continue;
      }
      const auto elements = checked_elements(known_dims(*type.shape));
      const auto bytes = elements ? storage_bytes(type.dtype, *elements) : std::nullopt;
      if (!bytes || *bytes > std::max(budget_.limits.max_output_bytes, in_bytes)) return false;
      out_elements += static_cast<double>(*elements);
    }
    const double steps =
        100 + in_elements + 4 * out_elements + static_cast<double>(macs_of(graph_, node));
    if (steps > budget_.steps || Clock::now() > budget_.stop) return false;
    budget_.steps -= steps;
    return true;
  }

  Result<bool> fold_by_running(const Node& node) {
    const OpDef* def = find_op(node.op);
    if (def == nullptr || !def->deterministic || !node.subgraphs.empty()) return false;
    std::vector<const Tensor*> in;
    for (const ValueId v : node.inputs) {
      in.push_back(graph_.constant(v));
      if (v != kNoValue && in.back() == nullptr) return false;
    }
    if (!affordable(node, in)) return false;
    Result<std::vector<Tensor>> out = run_node(node, in);
    // What is wrong with constants alone is wrong in every run that reaches the node.
    if (runs_ && out.status().code() == Code::kInvalidArgument) {
      return out.status().context("node " + display_name(graph_, node) + " (" + node.op + ")");
    }
    if (!out.ok() || out->size() < node.outputs.size()) return false;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      // A constant is a tensor.
      if (!(*out)[i].defined() || !(*out)[i].is_tensor()) return false;
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] != kNoValue) make_constant(node.outputs[i], std::move((*out)[i]));
    }
    return true;
  }

  void add_identity(ValueId from, ValueId to, const Node& origin, std::vector<Node>& nodes) {
    Node node;
    node.op = "Identity";
    node.inputs = {from};
    node.outputs = {to};
    node.origin = origin.origin;
    nodes.push_back(std::move(node));
  }

  // Puts the nodes of one branch in the place of the If. Values keep their names.
  Status inline_branch(Node node, size_t which) {
    Graph g = std::move(node.subgraphs[which]);
    std::vector<ValueId> map(g.values.size(), kNoValue);
    for (size_t c = 0; c < g.captures.size(); ++c) {
      map[static_cast<size_t>(g.captures[c])] = node.captures[c];
    }
    std::vector<char> made(g.values.size(), 0);
    for (const Node& inner : g.nodes) {
      for (const ValueId v : inner.outputs) {
        if (v != kNoValue) made[static_cast<size_t>(v)] = 1;
      }
    }
    // A value the branch makes is made as the If's output directly; others need a copy.
    std::vector<std::pair<ValueId, ValueId>> copies;
    for (size_t i = 0; i < node.outputs.size() && i < g.outputs.size(); ++i) {
      const ValueId outer = node.outputs[i], inner = g.outputs[i];
      if (outer == kNoValue) continue;
      const auto in = static_cast<size_t>(inner);
      const auto& inner_quant = g.values[in].quant;
      const auto& outer_quant = graph_.value(outer).quant;
      if (made[in] && map[in] == kNoValue &&
          (!inner_quant || !outer_quant || *inner_quant == *outer_quant)) {
        map[in] = outer;
        if (inner_quant) graph_.value(outer).quant = inner_quant;
        if (g.values[in].smoothing) graph_.value(outer).smoothing = g.values[in].smoothing;
        continue;
      }
      copies.emplace_back(inner, outer);
    }
    for (size_t v = 0; v < g.values.size(); ++v) {
      if (map[v] == kNoValue) map[v] = graph_.add_value(std::move(g.values[v]));
    }
    auto rename = [&](std::vector<ValueId>& ids) {
      for (ValueId& v : ids) {
        if (v != kNoValue) v = map[static_cast<size_t>(v)];
      }
    };
    for (Node& inner : g.nodes) {
      rename(inner.inputs);
      rename(inner.captures);
      rename(inner.outputs);
    }
    for (const auto& [inner, outer] : copies) {
      add_identity(map[static_cast<size_t>(inner)], outer, node, g.nodes);
    }
    return take_all(std::move(g.nodes));
  }

  Graph& graph_;
  Budget& budget_;
  const bool runs_;
  TypeInference inference_;
  std::vector<Node> kept_;
  int folded_ = 0;
};

}  // namespace

Result<int> fold_constants(Graph& graph, const FoldLimits& limits) {
  Budget budget(limits);
  Folder folder(graph, budget, true);
  MNN_RETURN_IF_ERROR(folder.run());
  remove_dead(graph);
  return folder.folded();
}

}  // namespace mnn
