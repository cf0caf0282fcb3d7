// Sizes computed from sizes: a session must make what the reference makes, whatever it folded for
// open dims.
#include "tests/runtime/graphs.h"
#include "tests/size_graphs.h"

namespace mnn {
namespace {

TEST(DynamicSizes, RunLikeTheReference) {
  for (uint32_t seed = 0; seed < 150; ++seed) {
    const Graph graph = SizeGraphs(seed).make();
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + print_graph(graph));
    auto session = Session::create(graph, {});
    for (const Bindings& bindings : size_bindings()) {
      const std::vector<Tensor> inputs = size_inputs(bindings);
      const auto expected = run_reference(graph, inputs);
      if (!expected.ok()) continue;
      ASSERT_TRUE(session.ok()) << session.status().message();
      const std::vector<Tensor> found = run_of(**session, inputs);
      ASSERT_EQ(found.size(), expected->size());
      for (size_t i = 0; i < found.size(); ++i) {
        const Status status = like_reference((*expected)[i], found[i], all_options()[0]);
        ASSERT_TRUE(status.ok()) << "output " << i << ": " << status.message();
      }
    }
  }
}

}  // namespace
}  // namespace mnn
