// What sessions of one engine share, and that it changes no result.
#include "libruntime/engine.h"

#include <thread>

#include "libruntime/kernels/weights.h"
#include "tests/runtime/graphs.h"

namespace mnn {
namespace {

std::shared_ptr<Engine> engine_of(const EngineOptions& options = {}) {
  auto engine = Engine::create(options);
  EXPECT_TRUE(engine.ok()) << engine.status().message();
  return engine.ok() ? std::move(engine).value() : nullptr;
}

std::unique_ptr<Session> session_on(const std::shared_ptr<Engine>& engine, Graph graph) {
  auto session = Session::create(std::move(graph), engine, {"cpu"});
  EXPECT_TRUE(session.ok()) << session.status().message();
  return session.ok() ? std::move(session).value() : nullptr;
}

// Every family of kernels that packs weights, in float and in bytes.
constexpr const char* kFamilies = R"(graph g(x: f32[n,3,24,24]) -> (y, z) {
  const w1: f32[32,3,3,3] = random 1 -1 1
  const w2: f32[32,32,3,3] = random 2 -1 1
  const w3: f32[32,1,3,3] = random 3 -1 1
  const w4: f32[32,8,2,2] = random 4 -1 1
  const w5: f32[4608,10] = random 5 -1 1
  const q1: f32[16,3,3,3] quant i8 scale [0.01] zero [0] = random 6 -100 100
  const q2: f32[16,1,3,3] quant i8 scale [0.01] zero [0] = random 7 -100 100
  a: f32[n,32,24,24] = Conv(x, w1) {pads=[1,1,1,1]} + Relu
  b: f32[n,32,24,24] = Conv(a, w2) {pads=[1,1,1,1]}
  c: f32[n,32,12,12] = Conv(b, w3) {pads=[1,1,1,1], strides=[2,2], group=32}
  d: f32[n,8,24,24] = ConvTranspose(c, w4) {strides=[2,2]}
  e: f32[n,4608] = Flatten(d)
  y: f32[n,10] = MatMul(e, w5)
  u: f32[n,3,24,24] quant u8 scale [0.01] zero [128] = Identity(x)
  v: f32[n,16,24,24] quant u8 scale [0.1] zero [128] = Conv(u, q1) {pads=[1,1,1,1]}
  z: f32[n,16,24,24] = Conv(v, q2) {pads=[1,1,1,1], group=16}
})";

Tensor input_of(int64_t n) {
  return tensor_of("f32[" + std::to_string(n) + ",3,24,24] = random 9 -1 1");
}

// `steps` products with one matrix, as a recurrent layer that was unrolled.
Graph unrolled(int64_t steps, int64_t hidden) {
  Graph graph;
  ValueId h = graph.add_input("h", tensor_type(DType::kF32, {1, hidden}));
  Tensor w = *Tensor::allocate(DType::kF32, {hidden, hidden});
  for (int64_t i = 0; i < w.elements(); ++i) {
    w.data<float>()[i] = static_cast<float>(i % 13 - 6) / static_cast<float>(hidden);
  }
  Tensor b = *Tensor::allocate(DType::kF32, {hidden});
  const ValueId weights = graph.add_constant(w, "w"), bias = graph.add_constant(b, "b");
  for (int64_t t = 0; t < steps; ++t) {
    Node gemm;
    gemm.op = "Gemm";
    gemm.inputs = {h, weights, bias};
    gemm.outputs = {graph.add_temporary()};
    h = gemm.outputs[0];
    graph.add_node(std::move(gemm));
  }
  graph.outputs = {h};
  return graph;
}

TEST(Engine, RefusesWhatItCannotGive) {
  EngineOptions options;
  options.threads = -1;
  EXPECT_EQ(Engine::create(options).status().code(), Code::kUsage);
  options.threads = 1;
  options.backend_options["cpu"]["iso"] = "avx2";
  const auto engine = Engine::create(options);
  EXPECT_EQ(engine.status().code(), Code::kUsage);
  EXPECT_EQ(engine.status().message(),
            "there is no option of backend cpu 'iso', did you mean 'isa'?");
  EXPECT_EQ(engine_of()->backend("warp").status().code(), Code::kUsage);
}

TEST(Engine, OpensABackendOnce) {
  const auto engine = engine_of();
  EXPECT_EQ(*engine->backend("cpu"), *engine->backend("cpu"));
}

// What a plan tells without packing is what a session that packs has.
TEST(Engine, PlanOnlyReservesWhatWouldBePacked) {
  EngineOptions options;
  options.plan_only = true;
  const auto planned = session_on(engine_of(options), graph_of(kFamilies));
  const auto packed = session_on(engine_of(), graph_of(kFamilies));
  for (const auto& session : {planned.get(), packed.get()}) {
    ASSERT_TRUE(session->prepare({{2, 3, 24, 24}}).ok());
  }
  EXPECT_EQ(planned->memory().packed_bytes, packed->memory().packed_bytes);
  EXPECT_EQ(planned->memory().arena_bytes, packed->memory().arena_bytes);
  EXPECT_EQ(planned->int8_mac_share(), packed->int8_mac_share());
  const std::vector<StepInfo> a = planned->steps(), b = packed->steps();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].kernel, b[i].kernel);
  EXPECT_EQ(planned->run().code(), Code::kUsage);
}

TEST(Engine, PacksAWeightOnceForAllNodes) {
  const auto engine = engine_of();
  const Graph graph = unrolled(40, 256);
  const auto session = session_on(engine, graph);
  ASSERT_TRUE(session->prepare().ok());
  const MemoryInfo memory = session->memory();
  EXPECT_GE(memory.packed_bytes, memory.weight_bytes);
  EXPECT_LE(static_cast<double>(memory.packed_bytes),
            1.2 * static_cast<double>(memory.weight_bytes));
  EXPECT_EQ(engine->weights().packs(), 2);  // the matrix, the bias
  EXPECT_EQ(memory.packed_bytes, engine->packed_bytes());
}

TEST(Engine, PacksAWeightOnceForAllSessions) {
  const auto engine = engine_of();
  const Graph graph = graph_of(kFamilies);
  const auto one = session_on(engine, graph);
  ASSERT_TRUE(one->prepare({{2, 3, 24, 24}}).ok());
  const int64_t packs = engine->weights().packs(), bytes = engine->packed_bytes();
  EXPECT_GT(packs, 7);
  // The same constants in memory of its own.
  const auto two = session_on(engine, graph_of(kFamilies));
  ASSERT_TRUE(two->prepare({{2, 3, 24, 24}}).ok());
  EXPECT_EQ(engine->weights().packs(), packs);
  EXPECT_EQ(engine->packed_bytes(), bytes);
  EXPECT_EQ(one->memory().packed_bytes, bytes);
  EXPECT_EQ(two->memory().packed_bytes, bytes);
}

TEST(Engine, AnotherShapePacksNothing) {
  for (const std::string isa : {"", "sse41", "avx2"}) {
    EngineOptions options;
    options.threads = 2;
    if (!isa.empty()) options.backend_options["cpu"]["isa"] = isa;
    const auto engine = engine_of(options);
    const Graph graph = graph_of(kFamilies);
    auto session = Session::create(graph, engine, {"cpu"});
    if (!isa.empty() && session.status().code() == Code::kUsage) continue;  // not on this CPU
    ASSERT_TRUE(session.ok()) << session.status().message();
    ASSERT_TRUE((*session)->prepare({{4, 3, 24, 24}}).ok());
    const int64_t packs = engine->weights().packs();
    const int64_t bytes = engine->packed_bytes();
    for (int64_t n = 5; n < 25; ++n) {
      ASSERT_TRUE((*session)->prepare({{n, 3, 24, 24}}).ok());
      EXPECT_EQ(engine->weights().packs(), packs) << isa << " " << n;
    }
    EXPECT_EQ(engine->packed_bytes(), bytes);
    // The same as from weights packed for these shapes alone.
    const std::vector<Tensor> inputs = {input_of(5)};
    const std::vector<Tensor> found = run_of(**session, inputs);
    const std::vector<Tensor> alone = run_of(*session_on(engine_of(options), graph), inputs);
    ASSERT_EQ(found.size(), alone.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(identical(found[i], alone[i]));
  }
}

TEST(Engine, FewRowsHaveALayoutOfTheirOwnAndOnlyOne) {
  for (const std::string isa : {"", "sse41", "avx2"}) {
    EngineOptions options;
    if (!isa.empty()) options.backend_options["cpu"]["isa"] = isa;
    const auto engine = engine_of(options);
    const Graph graph = graph_of(R"(graph g(x: f32[n,40]) -> (y) {
      const w: f32[40,300] = random 1 -1 1
      y: f32[n,300] = MatMul(x, w)
    })");
    auto session = Session::create(graph, engine, {"cpu"});
    if (!isa.empty() && session.status().code() == Code::kUsage) continue;
    ASSERT_TRUE(session.ok()) << session.status().message();
    // More at a time than are kept: blocks of the matrix, and zeros in the place of a bias.
    std::vector<std::unique_ptr<Session>> others;
    for (int64_t n = 1; n < 40; ++n) {
      others.push_back(session_on(engine, graph));
      ASSERT_TRUE(others.back()->prepare({{n, 40}}).ok());
      const Tensor x = tensor_of("f32[" + std::to_string(n) + ",40] = random 3 -1 1");
      expect_like_reference(*others.back(), graph, {x});
    }
    EXPECT_LE(engine->weights().packs(), 4) << isa;
  }
}

TEST(Engine, WeightsGoWithTheLastThatUsesThem) {
  const auto engine = engine_of();
  auto one = session_on(engine, graph_of(kFamilies));
  ASSERT_TRUE(one->prepare({{2, 3, 24, 24}}).ok());
  auto two = session_on(engine, unrolled(3, 64));
  ASSERT_TRUE(two->prepare().ok());
  const int64_t both = engine->packed_bytes(), own = two->memory().packed_bytes;
  EXPECT_EQ(both, one->memory().packed_bytes + own);
  one.reset();
  EXPECT_EQ(engine->packed_bytes(), own);
  two.reset();
  EXPECT_EQ(engine->packed_bytes(), 0);
}

TEST(Engine, SubGraphsShareTheWeightsAroundThem) {
  const auto engine = engine_of();
  const Graph graph = graph_of(R"(graph g(c: bool[], x: f32[8,40]) -> (y, z) {
    const w: f32[40,40] = random 1 -1 1
    y: f32[8,40] = MatMul(x, w)
    z = If(c) captures(x, w) {
      then_branch: graph t() captures(x, w) -> (a) {
        a = MatMul(x, w)
      }
      else_branch: graph e() captures(x, w) -> (b) {
        p = MatMul(x, w)
        b = MatMul(p, w)
      }
    }
  })");
  const auto session = session_on(engine, graph);
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(session->prepare().ok());
  EXPECT_EQ(engine->weights().packs(), 2);  // the matrix, and zeros in the place of a bias
  EXPECT_LT(session->memory().packed_bytes, 2 * 40 * 40 * 4);
}

TEST(Engine, SessionsRunOnTwoThreadsWithTheSameBits) {
  EngineOptions options;
  options.threads = 2;
  const auto engine = engine_of(options);
  const Graph graph = graph_of(kFamilies);
  const std::vector<Tensor> inputs = {input_of(2)};
  const std::vector<Tensor> expected = run_of(*session_on(engine, graph), inputs);
  constexpr int kThreads = 2, kRounds = 4;
  std::vector<int> wrong(kThreads, -1);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      int different = 0;
      for (int round = 0; round < kRounds; ++round) {
        // Planned, packed, run and dropped beside the other thread's.
        auto session = Session::create(graph, engine, {"cpu"});
        if (!session.ok()) return;
        for (int again = 0; again < 2; ++again) {
          auto outputs = (*session)->run(inputs);
          if (!outputs.ok() || outputs->size() != expected.size()) return;
          for (size_t i = 0; i < expected.size(); ++i) {
            different += !identical(expected[i], (*outputs)[i]);
          }
        }
      }
      wrong[static_cast<size_t>(t)] = different;
    });
  }
  for (std::thread& t : threads) t.join();
  for (const int n : wrong) EXPECT_EQ(n, 0);
  EXPECT_EQ(engine->packed_bytes(), 0);
}

}  // namespace
}  // namespace mnn
