// The pipeline: one list, top to bottom, and what holds after each line.
#include <algorithm>

#include "libconvert/convert.h"
#include "libconvert/passes/passes.h"
#include "libruntime/core/fold.h"
#include "libruntime/core/half.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

Result<int> fold(Graph& graph) { return fold_constants(graph); }
Result<int> drop_dead(Graph& graph) { return remove_dead(graph); }

std::vector<Pass> clean_up() {
  return {
      {"fold-qdq", fold_qdq},                    // quantization is annotation
      {"remove-identities", remove_identities},  // what is left does something
      {"fold-constants", fold},                  // constants and static shapes are computed
      {"remove-identities", remove_identities},  // also where only folding could tell
      {"merge-common", merge_common},            // nothing is computed twice
      {"remove-dead", drop_dead},                // every node is needed
  };
}

std::vector<Pass> fusion() {
  const auto storage = std::make_shared<HalfStorage>();
  auto compute_in_f32 = [storage](Graph& graph) -> Result<int> {
    *storage = half_storage(graph);
    MNN_RETURN_IF_ERROR(widen(graph));
    return static_cast<int>(storage->layers.size());
  };
  auto store_as_half = [storage](Graph& graph) { return restore_half(graph, *storage); };
  return {
      {"compute-in-f32", compute_in_f32},        // no f16 or bf16 but at the border
      {"fuse-layer-norm", fuse_layer_norm},      // no LayerNormalization in primitives
      {"normalize", normalize},                  // one spelling, few rules
      {"fold-constants", fold},                  // what normalizing made constant
      {"merge-common", merge_common},            // equal parts of patterns are one value
      {"fuse-activations", fuse_activations},    // no activation in primitives
      {"fuse-group-norm", fuse_group_norm},      // no GroupNormalization in primitives
      {"fuse-attention", fuse_attention},        // no Attention in primitives
      {"fuse-recurrent", fuse_recurrent},        // no LSTM, GRU or RNN as a Loop
      {"sink-transposes", sink_transposes},      // Transposes left are needed
      {"fold-constants", fold},                  // constants in their new layout
      {"simplify-views", simplify_views},        // no view of a view
      {"fold-pads", fold_pads},                  // no Pad before a convolution
      {"normalize", normalize},                  // also what moved into another layout
      {"fold-affine", fold_affine},              // no BatchNormalization after a convolution
      {"merge-chains", merge_chains},            // one factor and one offset where several were
      {"remove-identities", remove_identities},  // factors that became 1
      {"fold-affine", fold_affine},              // also through what was merged
      {"merge-common", merge_common},            // folded weights that came out equal
      {"fuse-epilogues", fuse_epilogues},        // activations and residuals ride on kernels
      {"remove-dead", drop_dead},                // every node and value is needed
      {"store-as-half", store_as_half},          // constants that came as f16 or bf16 are such
  };
}

}  // namespace

Result<OptimizeReport> optimize(Graph& graph, const OptimizeOptions& options) {
  OptimizeReport report;
  PassOptions watch;
  watch.after = [&](std::string_view pass, int changes, const Graph& now) {
    const auto known = std::ranges::find(report.changes, pass, &std::pair<std::string, int>::first);
    if (known == report.changes.end()) {
      report.changes.emplace_back(pass, changes);
    } else {
      known->second += changes;
    }
    if (options.passes.after) options.passes.after(pass, changes, now);
  };
  MNN_RETURN_IF_ERROR(infer_types(graph));
  report.nodes_before = count_plan_steps(graph);
  MNN_RETURN_IF_ERROR(run_passes(graph, clean_up(), watch));
  report.nodes_unfused = count_plan_steps(graph);
  if (options.fuse) MNN_RETURN_IF_ERROR(run_passes(graph, fusion(), watch));
  report.nodes_after = count_plan_steps(graph);
  return report;
}

}  // namespace mnn
