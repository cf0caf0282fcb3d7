// Runs nodes and graphs with the reference kernels: the judge of every backend.
#include "libruntime/core/builder.h"
#include "libruntime/core/control_flow.h"
#include "libruntime/core/op.h"
#include "libruntime/core/post_op.h"
#include "libruntime/core/quant.h"

namespace mnn {
namespace {

// A composite operator: builds its decomposition over a small graph and runs that.
Result<std::vector<Tensor>> run_decomposed(const OpDef& def, const Node& node,
                                           std::span<const Tensor* const> inputs) {
  Graph g;
  g.name = node.op;
  Node local = node;
  local.fused.clear();
  local.inputs.clear();
  std::vector<Tensor> feeds;
  for (const Tensor* t : inputs) {
    if (t == nullptr) {
      local.inputs.push_back(kNoValue);
      continue;
    }
    // Constants: a decomposition may look at shapes and at the values of axes, sizes…
    local.inputs.push_back(g.add_constant(*t));
  }
  local.outputs.clear();
  for (const ValueId v : node.outputs) {
    local.outputs.push_back(v == kNoValue ? kNoValue : g.add_temporary());
  }
  Builder b(g);
  MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> made, def.decompose(b, local));
  for (size_t i = 0; i < made.size() && i < node.outputs.size(); ++i) {
    if (node.outputs[i] != kNoValue && made[i] != kNoValue) g.outputs.push_back(made[i]);
  }
  MNN_RETURN_IF_ERROR(sort_nodes(g));
  MNN_ASSIGN_OR_RETURN(std::vector<Tensor> results, run_reference(g, {}));
  std::vector<Tensor> outputs(node.outputs.size());
  size_t next = 0;
  for (size_t i = 0; i < made.size() && i < node.outputs.size(); ++i) {
    if (node.outputs[i] != kNoValue && made[i] != kNoValue) outputs[i] = std::move(results[next++]);
  }
  return outputs;
}

Result<std::vector<Tensor>> run_own(const Node& node, std::span<const Tensor* const> inputs) {
  const OpDef* def = find_op(node.op);
  if (def == nullptr) return unsupported("operator " + node.op + " is not known");
  if (def->reference == nullptr) {
    if (def->decompose == nullptr) return unsupported("operator " + node.op + " has no kernel");
    return run_decomposed(*def, node, inputs);
  }
  OpContext c(node, *def);
  KernelContext k(node, *def);
  for (const Tensor* t : inputs) {
    c.in.push_back(t ? type_of(*t) : Type{});
    c.constants.push_back(t);
    c.known_values.push_back(nullptr);
    k.in.push_back(t);
  }
  c.out.resize(node.outputs.size());
  MNN_RETURN_IF_ERROR(def->infer(c));
  for (OpContext::Output& o : c.out) k.types.push_back(std::move(o.type));
  k.out.resize(node.outputs.size());
  MNN_RETURN_IF_ERROR(def->reference(k));
  return std::move(k.out);
}

// The first output after post-op `i`.
Result<Tensor> apply_fused(const Node& node, size_t i, const Tensor& x,
                           std::span<const Tensor* const> inputs) {
  std::vector<const Tensor*> in = {&x};
  for (const int operand : node.fused[i].operands) {
    in.push_back(operand < 0 ? nullptr : inputs[static_cast<size_t>(operand)]);
  }
  Node post = post_op(node, i, 0, 0);
  MNN_ASSIGN_OR_RETURN(std::vector<Tensor> out, run_own(post, in));
  return std::move(out[0]);
}

}  // namespace

Result<std::vector<Tensor>> run_node(const Node& node, std::span<const Tensor* const> inputs) {
  const size_t own = node.own_inputs();
  if (inputs.size() != node.inputs.size()) return internal_error("run_node: inputs do not line up");
  MNN_ASSIGN_OR_RETURN(std::vector<Tensor> out, run_own(node, inputs.first(own)));
  for (size_t i = 0; i < node.fused.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(out[0], apply_fused(node, i, out[0], inputs));
  }
  return out;
}

Result<std::vector<Tensor>> run_reference(const Graph& graph, std::span<const Tensor> inputs) {
  if (inputs.size() != graph.inputs.size() + graph.captures.size()) {
    return invalid("expected " + std::to_string(graph.inputs.size() + graph.captures.size()) +
                   " inputs, found " + std::to_string(inputs.size()));
  }
  std::vector<Tensor> values(graph.values.size());
  size_t next = 0;
  for (const auto* list : {&graph.inputs, &graph.captures}) {
    for (const ValueId v : *list) values[static_cast<size_t>(v)] = inputs[next++];
  }
  for (size_t v = 0; v < graph.values.size(); ++v) {
    if (!is_stored(graph.values[v])) continue;
    MNN_ASSIGN_OR_RETURN(values[v], constant_as_real(graph.values[v]));
  }
  auto round_value = [&](ValueId v) -> Status {
    const Value& value = graph.value(v);
    Tensor& t = values[static_cast<size_t>(v)];
    if (!value.quant || t.dtype() != DType::kF32) return {};
    MNN_ASSIGN_OR_RETURN(t, round_to_grid(t, *value.quant));
    return {};
  };
  for (const ValueId v : graph.inputs) MNN_RETURN_IF_ERROR(round_value(v));

  // A value's tensor is dropped after its last reader.
  std::vector<size_t> last_use(graph.values.size(), 0);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const auto* list : {&graph.nodes[n].inputs, &graph.nodes[n].captures}) {
      for (const ValueId v : *list) {
        if (v != kNoValue) last_use[static_cast<size_t>(v)] = n;
      }
    }
  }
  for (const ValueId v : graph.outputs) last_use[static_cast<size_t>(v)] = graph.nodes.size();

  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    std::vector<const Tensor*> in;
    for (const ValueId v : node.inputs) {
      in.push_back(v == kNoValue ? nullptr : &values[static_cast<size_t>(v)]);
    }
    Result<std::vector<Tensor>> out = std::vector<Tensor>();
    if (node.subgraphs.empty()) {
      out = run_node(node, in);
    } else {
      std::vector<Tensor> captures;
      for (const ValueId v : node.captures) captures.push_back(values[static_cast<size_t>(v)]);
      out = run_control_flow(node, in, captures, [](const Graph& g, std::span<const Tensor> feeds) {
        return run_reference(g, feeds);
      });
    }
    if (!out.ok()) {
      return out.status().context("node " + display_name(graph, node) + " (" + node.op + ")");
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      values[static_cast<size_t>(node.outputs[i])] = std::move((*out)[i]);
      MNN_RETURN_IF_ERROR(round_value(node.outputs[i]));
    }
    for (const auto* list : {&node.inputs, &node.captures}) {
      for (const ValueId v : *list) {
        if (v != kNoValue && last_use[static_cast<size_t>(v)] == n)
          values[static_cast<size_t>(v)] = {};
      }
    }
  }
  std::vector<Tensor> outputs;
  for (const ValueId v : graph.outputs) outputs.push_back(values[static_cast<size_t>(v)]);
  return outputs;
}

}  // namespace mnn
