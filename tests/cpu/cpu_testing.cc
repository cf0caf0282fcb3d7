#include "tests/cpu/cpu_testing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "libruntime/compile/registry.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "libruntime/kernels/isa.h"
#include "libruntime/kernels/weights.h"
#include "libruntime/thread_pool.h"

namespace mnn::testing {
namespace {

Tensor random_tensor(const Type& type, uint64_t seed, float range) {
  Tensor t = std::move(Tensor::allocate(type.dtype, known_dims(*type.shape))).value();
  uint64_t state = seed * 2654435761u + 12345;
  auto next = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 40) / static_cast<double>(1 << 24);
  };
  dispatch_plain(type.dtype, [&]<typename T>() {
    for (int64_t i = 0; i < t.elements(); ++i) {
      if constexpr (std::is_same_v<T, float>) {
        t.data<T>()[i] = static_cast<float>((next() * 2 - 1) * static_cast<double>(range));
      } else if constexpr (std::is_same_v<T, bool>) {
        t.data<T>()[i] = next() > 0.5;
      } else {
        t.data<T>()[i] = store_from_compute<T>(static_cast<compute_t<T>>(next() > 0.5 ? 1 : 0));
      }
    }
  });
  return t;
}

}  // namespace

CpuRun run_on_cpu(Graph graph, int threads, const std::string& isa, float range) {
  CpuRun run;
  const Status sorted = sort_nodes(graph);
  EXPECT_TRUE(sorted.ok()) << sorted.message();
  const Status typed = infer_types(graph);
  EXPECT_TRUE(typed.ok()) << typed.message();
  if (!typed.ok()) return run;
  std::vector<Tensor> inputs;
  for (const ValueId v : graph.inputs) {
    inputs.push_back(random_tensor(graph.value(v).type, inputs.size() + 1, range));
  }
  Result<std::vector<Tensor>> expected = run_reference(graph, inputs);
  EXPECT_TRUE(expected.ok()) << expected.status().message();
  if (!expected.ok()) return run;
  run.expected = *expected;
  BackendSettings settings;
  if (!isa.empty()) settings["isa"] = isa;
  const auto backend = std::move(open_backend("cpu", settings)).value();
  for (const Node& node : graph.nodes) {
    const auto reason = backend->why_not(graph, node);
    EXPECT_FALSE(reason.has_value()) << node.op << ": " << *reason;
    if (reason) return run;
  }
  ThreadPool pool(threads);
  WeightsCache weights;
  const CompileOptions options = {&pool, &weights, nullptr};
  Result<std::unique_ptr<Executable>> made = backend->compile(graph, options);
  EXPECT_TRUE(made.ok()) << made.status().message();
  if (!made.ok()) return run;
  Executable& executable = **made;
  const std::vector<int64_t> scratch = executable.workspaces();
  EXPECT_EQ(scratch.size(), 1u);
  Tensor workspace = *Tensor::allocate(DType::kU8, {scratch[0] + 1});
  // What a step reads before it was written must show.
  std::memset(workspace.raw(), 0xff, static_cast<size_t>(workspace.bytes()));
  std::byte* const place[] = {workspace.raw()};
  EXPECT_TRUE(executable.bind({place, {}, {}, {}}).ok());
  for (const Tensor& t : run.expected)
    run.outputs.push_back(*Tensor::allocate(t.dtype(), t.dims()));
  for (int round = 0; round < 2; ++round) {
    const Status status = executable.run(inputs, run.outputs);
    EXPECT_TRUE(status.ok()) << status.message();
  }
  run.steps = executable.steps();
  return run;
}

CpuRun run_on_cpu(const std::string& text, int threads, const std::string& isa, float range) {
  Result<Graph> graph = parse_graph(text);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  if (!graph.ok()) return {};
  return run_on_cpu(std::move(graph).value(), threads, isa, range);
}

double relative_error(const Tensor& expected, const Tensor& actual) {
  if (expected.dims() != actual.dims()) return INFINITY;
  const std::vector<double> r = *expected.to_doubles(), y = *actual.to_doubles();
  double most = 0, error = 0;
  for (size_t i = 0; i < r.size(); ++i) {
    if (std::isnan(r[i]) && std::isnan(y[i])) continue;
    if (r[i] == y[i]) continue;
    error = std::isnan(y[i] - r[i]) ? INFINITY : std::max(error, std::fabs(y[i] - r[i]));
    most = std::max(most, std::fabs(r[i]));
  }
  for (const double v : r) {
    if (std::isfinite(v)) most = std::max(most, std::fabs(v));
  }
  return error == 0 ? 0 : error / std::max(most, 1e-30);
}

void check_on_cpu(const std::string& text, double tolerance, float range) {
  for (const std::string& isa : available_isas()) {
    const CpuRun one = run_on_cpu(text, 1, isa, range);
    const CpuRun two = run_on_cpu(text, 2, isa, range);
    ASSERT_EQ(one.outputs.size(), one.expected.size());
    ASSERT_EQ(two.outputs.size(), one.expected.size()) << text;
    ASSERT_FALSE(one.outputs.empty());
    for (size_t i = 0; i < one.outputs.size(); ++i) {
      EXPECT_LE(relative_error(one.expected[i], one.outputs[i]), tolerance)
          << isa << ", output " << i << " of\n"
          << text;
      EXPECT_TRUE(identical(one.outputs[i], two.outputs[i])) << isa << ", threads, of\n" << text;
    }
  }
}

int count_steps(const CpuRun& run, std::string_view kernel) {
  int n = 0;
  for (const StepInfo& s : run.steps) n += s.kernel.starts_with(kernel) ? 1 : 0;
  return n;
}

}  // namespace mnn::testing
