// Sizes computed from sizes: what inference says of a graph with open dims must be what a run with
// given dims makes.
#include <gtest/gtest.h>

#include "libruntime/core/text.h"
#include "tests/size_graphs.h"

namespace mnn {
namespace {

// What inference says of `v`, symbols bound, against what a run made.
void expect_like_run(const TypeInference& inference, const Graph& graph, ValueId v,
                     const Bindings& bindings, const Tensor& made) {
  const Type& type = graph.value(v).type;
  if (type.shape) {
    const Shape bound = bind_shape(*type.shape, bindings);
    ASSERT_EQ(bound.size(), made.rank());
    for (size_t d = 0; d < bound.size(); ++d) {
      if (bound[d].is_unknown()) continue;
      EXPECT_TRUE(bound[d].is(made.dims()[d]))
          << type.str() << ", bound " << shape_str(bound) << ", made " << made.type_str();
    }
  }
  const ShapeValues* known = inference.known(v);
  if (known == nullptr) return;
  const Shape values = bind_shape(*known, bindings);
  const std::vector<int64_t> ints = *made.to_ints();
  ASSERT_EQ(values.size(), ints.size());
  for (size_t i = 0; i < ints.size(); ++i) {
    if (values[i].is_unknown()) continue;
    EXPECT_TRUE(values[i].is(ints[i])) << shape_str(*known) << ", made " << ints[i];
  }
}

// Where the zero of an empty tensor goes when it is reshaped only the run tells.
bool reshapes_nothing(const Graph& graph, const std::vector<Tensor>& made) {
  const bool reshapes = std::any_of(graph.nodes.begin(), graph.nodes.end(),
                                    [](const Node& n) { return n.op == "Reshape"; });
  return reshapes &&
         std::any_of(made.begin(), made.end(), [](const Tensor& t) { return t.elements() == 0; });
}

TEST(InferSizes, AgreeWithTheRun) {
  int ran = 0, failed = 0;
  for (uint32_t seed = 0; seed < 1500; ++seed) {
    Graph graph = SizeGraphs(seed).make();
    const Graph given = graph;
    SCOPED_TRACE("seed " + std::to_string(seed));
    TypeInference inference(graph);
    Status status;
    for (Node& node : graph.nodes) {
      if (status.ok()) status = inference.infer(node);
    }
    for (const Bindings& bindings : size_bindings()) {
      const auto made = run_reference(given, size_inputs(bindings));
      if (!made.ok()) {
        ++failed;
        continue;
      }
      ++ran;
      ASSERT_TRUE(status.ok()) << status.message() << "\n" << print_graph(given);
      if (reshapes_nothing(given, *made)) continue;
      for (size_t i = 0; i < made->size(); ++i) {
        expect_like_run(inference, graph, graph.outputs[i], bindings, (*made)[i]);
      }
      ASSERT_FALSE(HasFailure()) << bindings.at("n") << ", " << bindings.at("m") << ", "
                                 << bindings.at("k") << "\n"
                                 << print_graph(graph);
    }
  }
  EXPECT_GT(ran, failed);
}

}  // namespace
}  // namespace mnn
