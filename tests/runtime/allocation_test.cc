// run() of a plan with static shapes allocates nothing. The reference kernels do allocate, so a
// backend of this test's own does the work.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "libruntime/compile/plan.h"
#include "libruntime/kernels/weights.h"
#include "libruntime/thread_pool.h"
#include "tests/runtime/graphs.h"

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define MNN_COUNTS_ALLOCATIONS 1

namespace {
std::atomic<int64_t> allocations{0};
}

extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* p, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
// operator new comes here too.
void* malloc(size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* p, size_t size) {
  ++allocations;
  return __libc_realloc(p, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** p, size_t alignment, size_t size) {
  ++allocations;
  *p = __libc_memalign(alignment, size);
  return *p ? 0 : ENOMEM;
}
}
#endif

namespace mnn {
namespace {

// Negates, on the pool, through its workspace.
class NegExecutable : public Executable {
 public:
  NegExecutable(const Graph& segment, ThreadPool& pool)
      : count_(segment.nodes.size()), info_(describe_step(segment, segment.nodes[0])), pool_(pool) {
    bytes_ = 0;
    for (const ValueId v : segment.inputs) {
      bytes_ += *storage_bytes(DType::kF32, num_elements(*segment.value(v).type.shape).value());
    }
  }
  std::vector<int64_t> workspaces() const override { return {bytes_}; }
  Status bind(const BoundMemory& memory) override {
    scratch_ = reinterpret_cast<float*>(memory.host[0]);
    return {};
  }
  Status run(std::span<const Tensor> in, std::span<Tensor> out) override {
    const int64_t n = in[0].elements();
    const float sign = count_ % 2 ? -1.0f : 1.0f;
    pool_.parallel(pool_.threads(), [&](int part) {
      const int64_t begin = n * part / pool_.threads(), end = n * (part + 1) / pool_.threads();
      for (int64_t i = begin; i < end; ++i) scratch_[i] = sign * in[0].data<float>()[i];
      for (int64_t i = begin; i < end; ++i) out[0].data<float>()[i] = scratch_[i];
    });
    return {};
  }
  std::vector<StepInfo> steps() const override { return {info_}; }

 private:
  size_t count_;
  StepInfo info_;
  ThreadPool& pool_;
  int64_t bytes_;
  float* scratch_ = nullptr;
};

// Takes chains of one operator. Two of them split a graph.
class OneOpBackend : public Backend {
 public:
  explicit OneOpBackend(std::string op) : op_(std::move(op)) {}
  std::string name() const override { return op_; }
  Result<const DeviceInfo*> device() const override { return &device_; }
  std::vector<std::string> operators() const override { return {op_}; }
  std::optional<std::string> why_not(const Graph&, const Node& node) const override {
    if (node.op == op_) return std::nullopt;
    return "not " + op_;
  }
  double cost(const StepInfo&) const override { return 0; }
  Result<std::unique_ptr<Executable>> compile(const Graph& segment,
                                              const CompileOptions& options) const override {
    return std::unique_ptr<Executable>(std::make_unique<NegExecutable>(segment, *options.pool));
  }

 private:
  std::string op_;
  const DeviceInfo device_{.text = "test", .key = "test"};
};

TEST(Allocation, NoneInRunOfAStaticPlan) {
#if !defined(MNN_COUNTS_ALLOCATIONS)
  GTEST_SKIP() << "allocations cannot be counted here";
#else
  // Both "operators" negate here: three segments of three, two and one.
  Graph graph = graph_of(R"(graph g(x: f32[64,3]) -> (y, x, a) {
    a = Neg(x)
    b = Neg(a0)
    a0 = Neg(a)
    c = Abs(b)
    d = Abs(c)
    y = Neg(d)
  })");
  ASSERT_TRUE(sort_nodes(graph).ok());
  ThreadPool pool(2);
  const OneOpBackend neg("Neg"), abs("Abs");
  const auto reference = std::move(open_backend("reference")).value();
  PlanOptions options;
  options.backends = {&neg, &abs, reference.get()};
  WeightsCache weights;
  options.compile = {&pool, &weights, nullptr};
  graph.outputs.pop_back();
  const auto plan = Plan::compile(graph, options, InputMemory::kOwned, 0);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  ASSERT_TRUE((*plan)->run().ok());
  const Tensor x = (*plan)->input(0);
  std::fill_n(reinterpret_cast<float*>(const_cast<std::byte*>(x.raw())), 64 * 3, 2.0f);
  const int64_t before = allocations.load();
  for (int i = 0; i < 100; ++i) {
    if (!(*plan)->run().ok()) break;
  }
  EXPECT_EQ(allocations.load() - before, 0);
  EXPECT_EQ((*plan)->output(0).data<float>()[191], 2.0f);
  MemoryInfo info;
  PackedBytes packed;
  (*plan)->add_memory(info, packed);
  EXPECT_FALSE(info.grows);
  const int64_t counted = allocations.load();
  EXPECT_GT(counted, 0);
#endif
}

TEST(Allocation, NoneInRunOnTheCpuBackend) {
#if !defined(MNN_COUNTS_ALLOCATIONS)
  GTEST_SKIP() << "allocations cannot be counted here";
#else
  SessionOptions options;
  options.threads = 2;
  const auto session = session_of(graph_of(R"(graph g(x: f32[n,3,17,19]) -> (y, p) {
    const w1: f32[8,3,3,3] = random 1 -1 1
    const w2: f32[8,1,3,3] = random 2 -1 1
    const w3: f32[10,8] = random 3 -1 1
    const b: f32[8] = random 4 -1 1
    c1 = Conv(x, w1, b) {pads=[1,1,1,1], strides=[2,2]} + Relu
    c2 = Conv(c1, w2) {pads=[1,1,1,1], group=8}
    s = Sigmoid(c2)
    m = Mul(s, c1)
    g = GlobalAveragePool(m)
    f = Flatten(g)
    y = Gemm(f, w3) {transB=1}
    p = Softmax(y)
  })"),
                                  options);
  for (const int64_t n : {1, 3}) {
    ASSERT_TRUE(session->prepare({{n, 3, 17, 19}}).ok());
    for (const StepInfo& step : session->steps()) EXPECT_EQ(step.backend, "cpu") << step.op;
    ASSERT_TRUE(session->run().ok());
    const int64_t before = allocations.load();
    for (int i = 0; i < 50; ++i) {
      if (!session->run().ok()) break;
    }
    EXPECT_EQ(allocations.load() - before, 0);
  }
#endif
}

TEST(Allocation, BuffersAreShared) {
  // A chain that changes backend at every node needs two buffers, not a hundred.
  Graph graph;
  ValueId v = graph.add_input("x", tensor_type(DType::kF32, {1024}));
  for (int i = 0; i < 100; ++i) {
    Node node;
    node.op = i % 2 ? "Abs" : "Neg";
    node.inputs = {v};
    node.outputs = {graph.add_temporary()};
    v = node.outputs[0];
    graph.add_node(std::move(node));
  }
  graph.outputs = {v};
  ThreadPool pool(1);
  const OneOpBackend neg("Neg"), abs("Abs");
  const auto reference = std::move(open_backend("reference")).value();
  PlanOptions options;
  options.backends = {&neg, &abs, reference.get()};
  WeightsCache weights;
  options.compile = {&pool, &weights, nullptr};
  const auto plan = Plan::compile(graph, options, InputMemory::kOwned, 0);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  MemoryInfo info;
  PackedBytes packed;
  (*plan)->add_memory(info, packed);
  // Input, output, two in turn, scratch.
  EXPECT_LE(info.arena_bytes, 5 * 4096);
  std::vector<StepInfo> steps;
  (*plan)->add_steps(steps);
  EXPECT_EQ(steps.size(), 100u);
}

}  // namespace
}  // namespace mnn
