#include "libquant/train/adapters.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "libquant/train/random_matrix.h"
#include "libruntime/core/builder.h"
#include "libruntime/core/io/mnn_file.h"
#include "libruntime/core/op.h"

namespace mnn {

Result<std::vector<Adapter>> add_adapters(Graph& graph, int64_t rank, uint64_t seed,
                                          const std::vector<ValueId>& except) {
  std::vector<Adapter> adapters;
  std::map<ValueId, ValueId> sums;  // of a matrix that several layers read
  for (size_t n = 0, end = graph.nodes.size(); n < end; ++n) {
    const Node node = graph.nodes[n];
    if (node.op != "MatMul" && node.op != "Gemm") continue;
    const ValueId w = node.inputs[1];
    const Tensor* matrix = graph.constant(w);
    if (matrix == nullptr || matrix->dtype() != DType::kF32 || matrix->rank() != 2 ||
        std::ranges::count(except, w) > 0) {
      continue;
    }
    const int64_t rows = matrix->dims()[0], columns = matrix->dims()[1];
    if (std::min(rows, columns) <= rank) continue;
    if (!sums.contains(w)) {
      Adapter made;
      made.layer = node.origin.empty() ? display_name(graph, node) : node.origin.front();
      made.weight = w;
      // The deviation is 1 / sqrt(rows).
      const double most = std::sqrt(3.0 / static_cast<double>(rows));
      MNN_ASSIGN_OR_RETURN(Tensor a, random_matrix(rows, rank, most, seed + adapters.size()));
      MNN_ASSIGN_OR_RETURN(Tensor b, Tensor::allocate(DType::kF32, {rank, columns}));
      made.a = graph.add_constant(std::move(a), made.layer + "/lora_a");
      made.b = graph.add_constant(std::move(b), made.layer + "/lora_b");
      Builder builder(graph, {made.layer});
      sums[w] = builder.op("Add", {w, builder.op("MatMul", {made.a, made.b})});
      adapters.push_back(std::move(made));
    }
    graph.nodes[n].inputs[1] = sums[w];
  }
  MNN_RETURN_IF_ERROR(sort_nodes(graph));
  MNN_RETURN_IF_ERROR(infer_types(graph));
  return adapters;
}

Status merge_adapters(Graph& graph, const std::vector<Adapter>& adapters) {
  const Uses uses = index_uses(graph);
  for (const Adapter& adapter : adapters) {
    MNN_ASSIGN_OR_RETURN(Tensor w, graph.value(adapter.weight).data.clone());
    const Tensor &a = graph.value(adapter.a).data, &b = graph.value(adapter.b).data;
    const int64_t rows = w.dims()[0], columns = w.dims()[1], rank = a.dims()[1];
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        double sum = w.data<float>()[i * columns + j];
        for (int64_t k = 0; k < rank; ++k) {
          sum += double{a.data<float>()[i * rank + k]} * b.data<float>()[k * columns + j];
        }
        w.data<float>()[i * columns + j] = static_cast<float>(sum);
      }
    }
    // A's one reader is the product, whose one reader is the sum.
    const NodeId product = uses.consumers[static_cast<size_t>(adapter.a)].front();
    const ValueId delta = graph.node(product).outputs[0];
    const NodeId sum = uses.consumers[static_cast<size_t>(delta)].front();
    replace_uses(graph, graph.node(sum).outputs[0], adapter.weight);
    graph.value(adapter.weight).data = std::move(w);
  }
  remove_dead(graph);
  return infer_types(graph);
}

Status write_adapters(const Graph& graph, const std::vector<Adapter>& adapters,
                      const std::string& path) {
  Model model;
  model.graph.name = "adapters";
  for (const Adapter& adapter : adapters) {
    for (const ValueId v : {adapter.a, adapter.b}) {
      const Value& value = graph.value(v);
      model.graph.outputs.push_back(model.graph.add_constant(value.data, value.name));
    }
  }
  return write_model(model, path);
}

}  // namespace mnn
