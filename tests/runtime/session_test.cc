#include "libruntime/session.h"

#include "tests/runtime/graphs.h"

namespace mnn {
namespace {

constexpr char kMlp[] = R"(graph mlp(x: f32[n,3]) -> (y) {
    const w1: f32[3,4] = random 1 -1 1
    const b1: f32[4] = random 2 -1 1
    const w2: f32[4,2] = random 3 -1 1
    h = Gemm(x, w1, b1)
    a = Relu(h)
    y = Gemm(a, w2)
  })";

TEST(Session, RunsAndKeepsItsBuffers) {
  const auto session = session_of(graph_of(kMlp));
  ASSERT_TRUE(session->prepare({{2, 3}}).ok());
  const std::byte* buffer = session->input(0).raw();
  const Tensor x = tensor_of("f32[2,3] = random 9 -1 1");
  std::copy_n(x.raw(), x.bytes(), session->input(0).raw());
  ASSERT_TRUE(session->run().ok());
  const auto expected = run_reference(graph_of(kMlp), {{x}});
  EXPECT_TRUE(like_reference((*expected)[0], session->output(0), {}).ok());
  const std::byte* out = session->output(0).raw();
  // Inputs outlive a run: nobody writes over them.
  ASSERT_TRUE(session->run().ok());
  EXPECT_TRUE(like_reference((*expected)[0], session->output(0), {}).ok());
  EXPECT_EQ(session->input(0).raw(), buffer);
  EXPECT_EQ(session->output(0).raw(), out);
}

TEST(Session, AcceptsATensorOfTheCaller) {
  const auto session = session_of(graph_of(kMlp));
  ASSERT_TRUE(session->prepare({{1, 3}}).ok());
  const Tensor x = tensor_of("f32[1,3] = 1 2 3");
  session->input(0) = x;
  ASSERT_TRUE(session->run().ok());
  const Tensor expected = run_reference(graph_of(kMlp), {{x}})->front();
  EXPECT_TRUE(like_reference(expected, session->output(0), {}).ok());
  session->input(0) = tensor_of("f32[2,3] = 1 2 3 4 5 6");
  const Status status = session->run();
  EXPECT_EQ(status.message(), "input 'x': prepared for f32[1,3], found f32[2,3]");
}

TEST(Session, PlansAnewForOtherShapes) {
  const Graph graph = graph_of(kMlp);
  const auto session = session_of(graph);
  for (const int64_t n : {1, 2, 5, 1, 3, 4, 6, 1}) {
    Tensor x = *Tensor::allocate(DType::kF32, {n, 3});
    for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = static_cast<float>(i % 7) - 3;
    expect_like_reference(*session, graph, {x});
  }
  EXPECT_EQ(session->planned().value(session->planned().outputs[0]).type.str(), "f32[1,2]");
}

TEST(Session, RefusesWhatNoMemoryHoldsBeforeItPlans) {
  for (const char* node : {"Tile(x, many)", "Pad(x, pads)"}) {
    const auto session = session_of(graph_of(std::string("graph g(x: f32[2,3]) -> (y) {") +
                                             "\nconst many: i64[2] = 1073741824 1073741824" +
                                             "\nconst pads: i64[4] = 0 1099511627776 0 0" +
                                             "\nh = " + node + "\ny = ReduceMax(h)\n}"));
    const Status status = session->prepare({{2, 3}});
    EXPECT_EQ(status.code(), Code::kLimit) << status.message();
    EXPECT_NE(status.message().find("memory this process may use"), std::string::npos);
  }
}

TEST(Session, PrepareWithoutShapesNeedsStaticOnes) {
  const auto open = session_of(graph_of(kMlp));
  const Status status = open->prepare();
  EXPECT_EQ(status.code(), Code::kUsage);
  EXPECT_EQ(status.message(), "input 'x': dimension 0 (n) is open, give its shape");
  EXPECT_EQ(open->run().code(), Code::kUsage);
  const auto closed = session_of(graph_of("graph g(x: f32[2]) -> (y) {\n y = Neg(x)\n}"));
  EXPECT_TRUE(closed->prepare().ok());
}

TEST(Session, RefusesWrongShapesAndSaysWhy) {
  const auto session =
      session_of(graph_of(R"(graph g(a: f32[n,3], b: f32[n,m], c: f32[2*n]) -> (y) {
    y = Neg(a)
  })"));
  auto message = [&](const std::vector<std::vector<int64_t>>& dims) {
    const Status status = session->prepare(dims);
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    return status.message();
  };
  EXPECT_TRUE(session->prepare({{2, 3}, {2, 8}, {4}}).ok());
  EXPECT_EQ(message({{2, 3}, {2, 8}}), "expected shapes for 3 inputs, found 2");
  EXPECT_EQ(message({{2, 4}, {2, 8}, {4}}), "input 'a': dimension 1: expected 3, found 4");
  EXPECT_EQ(message({{2, 3}, {3, 8}, {4}}),
            "input 'b': dimension 0 (n): expected 2 as in input 'a', found 3");
  EXPECT_EQ(message({{2, 3}, {2, 8}, {5}}), "input 'c': dimension 0 (2*n): expected 4, found 5");
  EXPECT_EQ(message({{2, 3, 1}, {2, 8}, {4}}),
            "input 'a': expected 2 dimensions [n,3], found 3 [2,3,1]");
  EXPECT_FALSE(session->prepare({{-2, 3}, {-2, 8}, {-4}}).ok());
  EXPECT_FALSE(session->prepare({{2, 3}, {2, int64_t{1} << 62}, {4}}).ok());
  EXPECT_TRUE(session->prepare({{2, 3}, {2, 8}, {4}}).ok());

  const std::vector<Tensor> wrong = {tensor_of("i32[2,3] = iota 0 1"),
                                     tensor_of("f32[2,1] = iota 0 1"),
                                     tensor_of("f32[4] = iota 0 1")};
  EXPECT_EQ(session->run(wrong).status().message(), "input 'a': expected type f32, found i32[2,3]");
}

TEST(Session, RefusesUnknownBackends) {
  SessionOptions options;
  options.backends = {"warp"};
  const auto session = Session::create(graph_of(kMlp), options);
  EXPECT_EQ(session.status().code(), Code::kUsage);
  options.backends = {"reference"};
  options.backend_options["cpu"]["isa"] = "z80";
  EXPECT_EQ(Session::create(graph_of(kMlp), options).status().code(), Code::kUsage);
}

TEST(Session, OddBorders) {
  // An input that is an output, a constant, the same twice, an input nobody reads, a scalar,
  // nothing.
  const Graph graph =
      graph_of(R"(graph g(x: f32[2], unused: i64[3], e: f32[0,4]) -> (x, k, y, y, r, s) {
    const k: i64[2] = 7 8
    y = Neg(x)
    r = Relu(e)
    s = ReduceSum(x) {keepdims=0}
  })");
  expect_like_reference(graph, {tensor_of("f32[2] = -1 2"), tensor_of("i64[3] = 1 2 3"),
                                *Tensor::allocate(DType::kF32, {0, 4})});
  const auto session = session_of(graph);
  ASSERT_TRUE(session->prepare().ok());
  ASSERT_TRUE(session->run().ok());
  EXPECT_EQ(session->output(0).raw(), session->input(0).raw());
  EXPECT_EQ(session->output(2).raw(), session->output(3).raw());
  EXPECT_EQ(print_tensor(session->output(1)), "i64[2] = 7 8");
}

TEST(Session, AGraphWithoutNodes) {
  expect_like_reference(graph_of("graph g(x: f32[2]) -> (x) {\n}"), {tensor_of("f32[2] = 1 2")});
  expect_like_reference(graph_of("graph g() -> (k) {\n const k: f32[1] = 3\n}"), {});
}

TEST(Session, OutputsOutliveTheSession) {
  Tensor kept;
  {
    const auto session = session_of(graph_of("graph g(x: f32[2]) -> (y) {\n y = Neg(x)\n}"));
    ASSERT_TRUE(session->prepare().ok());
    ASSERT_TRUE(session->run().ok());
    kept = session->output(0);
  }
  EXPECT_EQ(kept.data<float>()[0], -0.0f);
}

constexpr char kMixed[] = R"(graph mixed(x: f32[1,2,5,5]) -> (z, s) {
    const w1: f32[3,2,3,3] = random 1 -1 1
    const w2: f32[3,3,1,1] = random 2 -1 1
    const w3: f32[4,3] = random 3 -1 1
    c1 = Conv(x, w1) {pads=[1,1,1,1]}
    c2 = Conv(c1, w2) + Relu
    r = Sigmoid(c2)
    c3 = Conv(r, w2)
    p = GlobalAveragePool(c3)
    f = Flatten(p)
    const b: f32[4] = 1 2 3 4
    z = Gemm(f, w3, b) {transB=1}
    s = Softmax(z)
  })";

TEST(Partition, TakesTurnsBetweenBackends) {
  SessionOptions options;
  options.backends = {"test"};
  const Graph graph = graph_of(kMixed);
  expect_like_reference(graph, {tensor_of("f32[1,2,5,5] = random 5 -1 1")}, options);
  const auto session = session_of(graph, options);
  ASSERT_TRUE(session->prepare().ok());
  std::string turns;
  for (const StepInfo& step : session->steps()) turns += step.backend + ":" + step.op + " ";
  EXPECT_EQ(turns,
            "test:Conv test:Conv+Relu reference:Sigmoid test:Conv reference:GlobalAveragePool "
            "reference:Flatten test:Gemm reference:Softmax ");
}

TEST(Partition, KeepsIndependentChainsTogether) {
  // Two chains, interleaved in node order: each backend must get all of its part at once.
  SessionOptions options;
  options.backends = {"test"};
  const Graph graph = graph_of(R"(graph g(x: f32[2,2]) -> (a3, b3) {
    const w: f32[2,2] = 1 2 3 4
    a1 = Gemm(x, w)
    b1 = Neg(x)
    a2 = Gemm(a1, w)
    b2 = Abs(b1)
    a3 = Gemm(a2, w)
    b3 = Neg(b2)
  })");
  const auto session = session_of(graph, options);
  ASSERT_TRUE(session->prepare().ok());
  std::string turns;
  for (const StepInfo& step : session->steps()) turns += step.op + " ";
  EXPECT_EQ(turns, "Neg Abs Neg Gemm Gemm Gemm ");
  expect_like_reference(graph, {tensor_of("f32[2,2] = 1 -2 3 -4")}, options);
}

TEST(Partition, QuantizedValuesCrossOnTheirGrid) {
  SessionOptions options;
  options.backends = {"test"};
  const Graph graph = graph_of(R"(graph q(x: f32[1,2,4,4] quant u8 scale [0.02] zero [128]) -> (y) {
    const w: f32[3,2,3,3] quant i8 scale [0.01,0.02,0.03] zero [0,0,0] axis 0 = random 1 -100 100
    const b: f32[3] quant i32 scale [0.0002,0.0004,0.0006] zero [0,0,0] axis 0 = 10 -20 30
    c: f32[1,3,4,4] quant u8 scale [0.05] zero [100] = Conv(x, w, b) {pads=[1,1,1,1]}
    r: f32[1,3,4,4] quant u8 scale [0.03] zero [0] = Relu(c)
    y = Conv(r, w2) {pads=[1,1,1,1]}
    const w2: f32[1,3,3,3] quant i8 scale [0.01] zero [0] = random 2 -100 100
  })");
  expect_like_reference(graph, {tensor_of("f32[1,2,4,4] = random 7 -3 3")}, options);
  const auto session = session_of(graph, options);
  ASSERT_TRUE(session->prepare().ok());
  EXPECT_GT(session->memory().weight_bytes, 0);
}

constexpr char kBranches[] = R"(graph g(cond: bool[], x: f32[n,2]) -> (y, z) {
    const w: f32[2,2] = 1 2 3 4
    h = Neg(x)
    y = If(cond) captures(h, w) {
      then_branch: graph t() captures(h, w) -> (r) {
        r = Gemm(h, w)
      }
      else_branch: graph e() captures(h, w) -> (h) {
      }
    } name "choose"
    z = Abs(y)
  })";

TEST(Control, BothBranchesOfAnIf) {
  const Graph graph = graph_of(kBranches);
  for (const SessionOptions& options : all_options()) {
    const auto session = session_of(graph, options);
    for (const bool condition : {true, false, true}) {
      for (const std::string_view x : {"f32[1,2] = 1 -2", "f32[3,2] = 1 2 3 -4 5 6"}) {
        expect_like_reference(*session, graph, {Tensor::scalar(condition), tensor_of(x)}, options);
      }
    }
  }
}

TEST(Control, ABranchThatTheShapesForbid) {
  // Exporters guard a Squeeze this way. Such a branch is no error until it is taken.
  const Graph graph = graph_of(R"(graph g(cond: bool[], x: f32[n,3]) -> (y) {
    y = If(cond) captures(x) {
      then_branch: graph t() captures(x) -> (r) {
        a = Neg(x)
        const axis: i64[1] = 0
        s = Squeeze(a, axis)
        r = Relu(s)
      }
      else_branch: graph e() captures(x) -> (r) {
        r = Abs(x)
      }
    } name "guard"
  })");
  for (const SessionOptions& options : all_options()) {
    const auto session = session_of(graph, options);
    const Tensor no = Tensor::scalar(false), yes = Tensor::scalar(true);
    expect_like_reference(*session, graph, {no, tensor_of("f32[2,3] = -1 2 -3 4 -5 6")}, options);
    EXPECT_EQ(session->planned().value(session->planned().outputs[0]).type.str(), "f32[2,3]");
    expect_like_reference(*session, graph, {yes, tensor_of("f32[1,3] = -1 2 -3")}, options);
    expect_like_reference(*session, graph, {no, tensor_of("f32[1,3] = -1 2 -3")}, options);
    const std::vector<Tensor> forbidden = {yes, tensor_of("f32[2,3] = 1 2 3 4 5 6")};
    const auto result = session->run(forbidden);
    ASSERT_FALSE(result.ok());
    EXPECT_NE(result.status().message().find("guard"), std::string::npos);
    EXPECT_NE(result.status().message().find("Squeeze"), std::string::npos);
  }
}

TEST(Control, BranchesWithOtherShapes) {
  // What follows such an If is planned when the shape is known.
  const Graph graph = graph_of(R"(graph g(cond: bool[], x: f32[2,2]) -> (y, z, s) {
    const w: f32[2,2] = 1 2 3 4
    y = If(cond) captures(x) {
      then_branch: graph t() captures(x) -> (r) {
        const shape: i64[2] = 1 4
        r = Reshape(x, shape)
      }
      else_branch: graph e() captures(x) -> (x) {
      }
    }
    t = Transpose(y)
    z = Neg(t)
    s = Gemm(x, w)
  })");
  for (const SessionOptions& options : all_options()) {
    for (const bool condition : {true, false}) {
      expect_like_reference(graph, {Tensor::scalar(condition), tensor_of("f32[2,2] = 1 2 3 4")},
                            options);
    }
  }
  const auto session = session_of(graph);
  ASSERT_TRUE(session->prepare().ok());
  EXPECT_TRUE(session->memory().grows);
}

TEST(Control, LoopsThatGrow) {
  // The carried value gets longer on every trip: another plan of the body for each length.
  const Graph graph = graph_of(R"(graph g(trips: i64[], x: f32[2,2]) -> (last, all, z) {
    const go: bool[] = true
    const w: f32[2,2] = 0.5 1 0 0.5
    const start: f32[1,2] = 1 1
    last, all = Loop(trips, go, start) captures(x, w) {
      body: graph b(i: i64[], c: bool[], v: f32[m,2]) captures(x, w) -> (c, grown, sum) {
        m1 = Gemm(x, w)
        row = Gather(m1, zero)
        const zero: i64[1] = 0
        grown: f32[*] = Concat(v, row) {axis=0}
        sum: f32[*] = ReduceSum(v) {keepdims=0}
      }
    }
    z = Gemm(last, w)
  })");
  for (const SessionOptions& options : all_options()) {
    const auto session = session_of(graph, options);
    for (const int64_t trips : {3, 0, 1, 12, 3}) {
      expect_like_reference(*session, graph,
                            {Tensor::scalar(trips), tensor_of("f32[2,2] = 1 2 3 4")}, options);
    }
  }
}

TEST(Control, LoopsOfFixedShape) {
  // The body's plan runs again and again: what one trip returns the next one reads.
  const Graph graph = graph_of(R"(graph g(x: f32[2,2]) -> (a, b, y) {
    const go: bool[] = true
    const trips: i64[] = 5
    const w: f32[2,2] = 0 1 1 0.5
    a, b = Loop(trips, go, x, x) captures(w) {
      body: graph b(i: i64[], c: bool[], p: f32[2,2], q: f32[2,2]) captures(w) -> (c, q, n) {
        n = Gemm(p, w)
      }
    }
    y = Add(a, b)
  })");
  for (const SessionOptions& options : all_options()) {
    const auto session = session_of(graph, options);
    expect_like_reference(*session, graph, {tensor_of("f32[2,2] = 1 2 3 4")}, options);
    expect_like_reference(*session, graph, {tensor_of("f32[2,2] = 5 6 7 8")}, options);
    bool gemm = false;
    for (const StepInfo& step : session->steps()) gemm |= step.op == "Gemm" && step.macs == 8;
    EXPECT_TRUE(gemm);
  }
}

TEST(Control, ScansWithBranchesInside) {
  const Graph graph = graph_of(R"(graph g(h: f32[2], xs: f32[n,2]) -> (last, ys) {
    last, ys = Scan(h, xs) {num_scan_inputs=1} {
      body: graph b(s: f32[2], x: f32[2]) -> (t, y) {
        total = ReduceSum(x) {keepdims=0}
        const zero: f32[] = 0
        positive = Greater(total, zero)
        t = If(positive) captures(s, x) {
          then_branch: graph t() captures(s, x) -> (r) {
            r = Add(s, x)
          }
          else_branch: graph e() captures(s, x) -> (s) {
          }
        }
        y = Neg(t)
      }
    }
  })");
  for (const SessionOptions& options : all_options()) {
    const auto session = session_of(graph, options);
    for (const std::string_view xs : {"f32[3,2] = 1 2 -3 -4 5 6", "f32[1,2] = -1 0"}) {
      expect_like_reference(*session, graph, {tensor_of("f32[2] = 10 20"), tensor_of(xs)}, options);
    }
  }
}

TEST(Control, ProfilesWhatRunsInside) {
  const auto session = session_of(graph_of(kBranches));
  session->set_profiling(true);
  ASSERT_TRUE(session->prepare({{}, {1, 2}}).ok());
  ASSERT_TRUE(session->run().ok());
  int ifs = 0, gemms = 0;
  for (const StepProfile& row : session->profile()) {
    ifs += row.info.op == "If" && row.calls == 1;
    gemms += row.info.op == "Gemm" && row.calls == 0;  // the other branch ran
  }
  EXPECT_EQ(ifs, 1);
  EXPECT_EQ(gemms, 1);
}

TEST(Limits, MoreMemoryThanTheMachineHas) {
  const auto session = session_of(graph_of("graph g(x: f32[n,n]) -> (y) {\n y = Neg(x)\n}"));
  const Status status = session->prepare({{int64_t{1} << 22, int64_t{1} << 22}});
  EXPECT_EQ(status.code(), Code::kLimit) << status.message();
}

TEST(Dynamic, ShapesThatDependOnData) {
  // NonZero gives a shape only when it has run; what reads it is planned then, by the same
  // backends.
  const Graph graph = graph_of(R"(graph g(x: f32[6], m: f32[3,3]) -> (picked, y, indices) {
    indices = NonZero(x)
    i = Squeeze(indices, axis)
    const axis: i64[1] = 0
    picked = Gather(x, i)
    const one: f32[1,3] = 1 1 1
    c = Unsqueeze(picked, last)
    const last: i64[1] = 1
    p = Mul(c, one)
    y = Gemm(p, m)
  })");
  SessionOptions options;
  options.backends = {"test"};
  const auto session = session_of(graph, options);
  const Tensor m = tensor_of("f32[3,3] = 1 2 3 4 5 6 7 8 9");
  for (const std::string_view x : {"f32[6] = 0 1 2 0 0 3", "f32[6] = 0 0 0 0 0 0",
                                   "f32[6] = 1 2 3 4 5 6", "f32[6] = 0 1 2 0 0 3"}) {
    expect_like_reference(*session, graph, {tensor_of(x), m}, options);
  }
  bool gemm_on_test = false;
  for (const StepInfo& step : session->steps()) {
    gemm_on_test |= step.op == "Gemm" && step.backend == "test";
  }
  EXPECT_TRUE(gemm_on_test);
}

TEST(Dynamic, ViewsOfTheArenaAreCopied) {
  // The shape is data; the reference kernel of Reshape may return a view of its input, whose place
  // the arena gives to the next buffer.
  const Graph graph = graph_of(R"(graph g(x: f32[2,2], shape: i64[2]) -> (y, d) {
    const w: f32[2,2] = 1 2 3 4
    a = Gemm(x, w)
    r = Reshape(a, shape)
    b = Gemm(x, w2)
    const w2: f32[2,2] = 5 6 7 8
    c = Gemm(b, w)
    d = Gemm(c, w)
    y = Neg(r)
  })");
  for (const SessionOptions& options : all_options()) {
    const auto session = session_of(graph, options);
    for (const std::string_view shape : {"i64[2] = 1 4", "i64[2] = 4 1", "i64[2] = -1 2"}) {
      expect_like_reference(*session, graph, {tensor_of("f32[2,2] = 1 2 3 4"), tensor_of(shape)},
                            options);
    }
  }
}

TEST(Dynamic, LongChainsOfDataDependentShapes) {
  // Each level needs another plan inside the last; beyond a depth they are interpreted.
  Graph graph;
  ValueId v = graph.add_input("x", tensor_type(DType::kF32, {4}));
  auto op = [&](const char* name, std::vector<ValueId> inputs) {
    Node node;
    node.op = name;
    node.inputs = std::move(inputs);
    node.outputs = {graph.add_temporary()};
    graph.add_node(node);
    return node.outputs[0];
  };
  const ValueId axis = graph.add_constant(Tensor::ints({0}));
  for (int i = 0; i < 40; ++i) {
    const ValueId nonzero = op("NonZero", {v});
    v = op("Gather", {v, op("Squeeze", {nonzero, axis})});
  }
  graph.outputs = {v};
  expect_like_reference(graph, {tensor_of("f32[4] = 0 1 0 2")});
}

TEST(Legalize, DecomposesWhatNobodyTakes) {
  // Every composite operator of the table that takes one tensor alone.
  for (const OpDef* def : all_ops()) {
    if (def->decompose == nullptr || def->min_inputs != 1 || def->subgraphs != 0) continue;
    Graph graph;
    Node node;
    node.op = def->name;
    node.name = "it";
    node.inputs = {graph.add_input("x", tensor_type(DType::kF32, {2, 4}))};
    node.outputs = {graph.add_temporary("y")};
    graph.outputs = node.outputs;
    graph.add_node(std::move(node));
    const std::vector<Tensor> inputs = {tensor_of("f32[2,4] = random 4 -1 1")};
    const auto expected = run_reference(graph, inputs);
    if (!expected.ok()) continue;  // wants an attribute
    SessionOptions options;
    options.backends = {"test"};
    const auto session = session_of(graph, options);
    const std::vector<Tensor> found = run_of(*session, inputs);
    ASSERT_EQ(found.size(), 1u) << def->name;
    EXPECT_TRUE(identical(found[0], (*expected)[0])) << def->name;
    if (def->reference == nullptr) {
      for (const StepInfo& step : session->steps()) {
        EXPECT_NE(step.op, def->name);
        EXPECT_EQ(step.origin, std::vector<std::string>{"it"});
      }
    }
  }
}

// A sequence made of what has its shape from data is there no earlier than that.
TEST(Session, SequencesOfTensorsWhoseShapesDependOnData) {
  const Graph graph = graph_of(R"(graph g(x: f32[5]) -> (y, length) {
    const at: i64[] = 1
    m = NonZero(x)
    s = SequenceConstruct(m, m, m)
    t = SequenceInsert(s, m)
    y = SequenceAt(t, at)
    length = SequenceLength(t)
  })");
  for (const SessionOptions& options : all_options()) {
    expect_like_reference(graph, {tensor_of("f32[5] = 0 1 2 0 3")}, options);
  }
}

TEST(Strings, PassThrough) {
  const Graph graph = graph_of(R"(graph g(x: str[2]) -> (x, y) {
    y = Identity(x)
  })");
  const std::vector<Tensor> inputs = {Tensor::strings({2}, {"a", "b"})};
  expect_like_reference(graph, inputs);
}

TEST(Profile, CountsEveryStep) {
  SessionOptions options;
  options.backends = {"test"};
  const auto session = session_of(graph_of(kMixed), options);
  session->set_profiling(true);
  ASSERT_TRUE(session->prepare().ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(session->run().ok());
  const std::vector<StepProfile> profile = session->profile();
  ASSERT_EQ(profile.size(), session->steps().size());
  for (const StepProfile& row : profile) {
    EXPECT_EQ(row.calls, 3) << row.info.op;
    EXPECT_GT(row.total_ns, 0) << row.info.op;
  }
  session->set_profiling(false);
  ASSERT_TRUE(session->run().ok());
  EXPECT_EQ(session->profile()[0].calls, 3);
}

TEST(Profile, CountsMacs) {
  const auto session = session_of(graph_of(kMixed));
  ASSERT_TRUE(session->prepare().ok());
  int64_t macs = 0;
  for (const StepInfo& step : session->steps()) macs += step.macs;
  EXPECT_EQ(macs, 25 * 3 * 18 + 2 * (25 * 3 * 3) + 12);
  EXPECT_EQ(session->int8_mac_share(), 0);
}

TEST(Session, WhatControlFlowMakesIsRoundedToItsGrid) {
  const Graph graph = graph_of(R"(graph g(c: bool[], x: f32[4]) -> (y) {
  h: f32[4] quant u8 scale [0.5] zero [4] = If(c) captures(x) {
    then_branch: graph t() captures(x) -> (r) {
      r = Neg(x)
    }
    else_branch: graph e() captures(x) -> (r) {
      r = Abs(x)
    }
  }
  y = Neg(h)
})");
  const std::vector<Tensor> inputs = {tensor_of("bool[] = 1"),
                                      tensor_of("f32[4] = 0.3 -0.7 1.2 -200")};
  const auto session = session_of(graph);
  const std::vector<Tensor> made = run_of(*session, inputs);
  ASSERT_EQ(made.size(), 1u);
  EXPECT_TRUE(identical(made[0], run_reference(graph, inputs).value()[0]));
  EXPECT_TRUE(identical(made[0], tensor_of("f32[4] = 0.5 -0.5 1 -125.5"))) << print_tensor(made[0]);
}

TEST(Session, ThreadsDoNotChangeResults) {
  const Graph graph = graph_of(kMixed);
  const std::vector<Tensor> inputs = {tensor_of("f32[1,2,5,5] = random 5 -1 1")};
  SessionOptions options;
  std::vector<Tensor> first;
  for (const int threads : {1, 2, 0}) {
    options.threads = threads;
    const auto session = session_of(graph, options);
    const std::vector<Tensor> found = run_of(*session, inputs);
    if (first.empty()) first = found;
    for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(identical(found[i], first[i]));
  }
}

// In linear time: a quadratic planner would run into the test's time limit.
TEST(Session, PlansLongChains) {
  Graph graph;
  ValueId v = graph.add_input("x", tensor_type(DType::kF32, {Dim::symbol("n"), 2}));
  const ValueId w = graph.add_constant(tensor_of("f32[2,2] = 1 0 0 1"));
  for (int i = 0; i < 50000; ++i) {
    Node node;
    node.op = i % 5 == 4 ? "Gemm" : "Neg";
    node.inputs = {v};
    if (i % 5 == 4) node.inputs.push_back(w);
    node.outputs = {graph.add_temporary()};
    v = node.outputs[0];
    graph.add_node(std::move(node));
  }
  graph.outputs = {v};
  SessionOptions options;
  options.backends = {"test"};
  const auto session = session_of(std::move(graph), options);
  const Status status = session->prepare({{1, 2}});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(session->steps().size(), 50000u);
  ASSERT_TRUE(session->run().ok());
}

}  // namespace
}  // namespace mnn
