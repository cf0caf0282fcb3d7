// Plans over a device whose work is done only when it is waited for (fake_device.h).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "libruntime/compile/plan.h"
#include "libruntime/kernels/weights.h"
#include "libruntime/thread_pool.h"
#include "tests/runtime/fake_device.h"
#include "tests/runtime/graphs.h"

namespace mnn {
namespace {

// A plan on fake devices, then the reference.
struct OnDevices {
  explicit OnDevices(const std::vector<FakeDevice>& devices) {
    for (const FakeDevice& device : devices) {
      backends.push_back(make_fake_device(device));
      options.backends.push_back(backends.back().get());
      streams.push_back(std::move(backends.back()->open()).value());
      options.streams.push_back(streams.back().get());
    }
    backends.push_back(std::move(open_backend("reference")).value());
    options.backends.push_back(backends.back().get());
    options.compile = {&pool, &weights, nullptr};
  }
  Result<std::unique_ptr<Plan>> compile(const Graph& graph) {
    return Plan::compile(graph, options, InputMemory::kOwned, 0);
  }

  ThreadPool pool{1};
  WeightsCache weights;
  std::vector<std::unique_ptr<Backend>> backends;
  std::vector<std::unique_ptr<Stream>> streams;
  PlanOptions options;
};

// Diamonds and chains of five operators, a value that is read early and late, outputs in between.
constexpr const char* kBranches = R"(graph g(x: f32[3,5], z: f32[3,5]) -> (y, b, x) {
  const w: f32[5,5] = random 1 -1 1
  a = Neg(x)
  b = MatMul(a, w)
  c = Abs(b)
  d = Mul(c, z)
  e = Neg(d)
  f = Sub(e, a)
  h = MatMul(f, w)
  i = Abs(h)
  y = Sub(i, b)
})";

// Runs three times on changing inputs and wants the reference's bytes.
void expect_reference_bytes(Plan& plan, const Graph& graph) {
  for (int round = 0; round < 3; ++round) {
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < graph.inputs.size(); ++i) {
      inputs.push_back(tensor_of(graph.value(graph.inputs[i]).type.str() + " = random " +
                                 std::to_string(10 * round + static_cast<int>(i)) + " -1 1"));
      std::memcpy(const_cast<std::byte*>(plan.input(i).raw()), inputs[i].raw(),
                  static_cast<size_t>(inputs[i].bytes()));
    }
    const auto expected = run_reference(graph, inputs);
    ASSERT_TRUE(expected.ok()) << expected.status().message();
    const Status status = plan.run();
    ASSERT_TRUE(status.ok()) << status.message();
    for (size_t i = 0; i < expected->size(); ++i) {
      EXPECT_TRUE(identical((*expected)[i], plan.output(i)))
          << "output " << i << ", round " << round << ": expected " << print_tensor((*expected)[i])
          << ", found " << print_tensor(plan.output(i));
    }
  }
}

Graph branches() {
  Graph graph = graph_of(kBranches);
  EXPECT_TRUE(infer_types(graph).ok());
  return graph;
}

TEST(Devices, EveryCutComputesTheSameBytes) {
  const Graph graph = branches();
  const std::vector<std::string> ops = {"Neg", "MatMul", "Abs", "Mul", "Sub"};
  for (unsigned cut = 0; cut < 1u << ops.size(); ++cut) {
    FakeDevice first, second;
    first.name = "first";
    second.name = "second";
    for (size_t i = 0; i < ops.size(); ++i) {
      if ((cut >> i & 1u) != 0) first.refused.insert(ops[i]);
    }
    // The second takes some of what the first does not: values go from device to device.
    second.refused = {"Abs", "Mul"};
    for (const auto& devices : {std::vector{first}, std::vector{first, second}}) {
      SCOPED_TRACE("cut " + std::to_string(cut) + ", devices " + std::to_string(devices.size()));
      OnDevices on(devices);
      const auto plan = on.compile(graph);
      ASSERT_TRUE(plan.ok()) << plan.status().message();
      expect_reference_bytes(**plan, graph);
    }
  }
}

TEST(Devices, OneTransferPerValueAndDirection) {
  const Graph graph = branches();
  FakeDeviceCounts counts;
  FakeDevice device;
  device.counts = &counts;
  device.refused = {"Abs"};
  OnDevices on({device});
  const auto plan = on.compile(graph);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  ASSERT_TRUE((*plan)->run().ok());
  // Up: x, z and what the two Abs make. Down: b, h, y; b is an output and read by Abs.
  EXPECT_EQ(counts.uploads, 4);
  EXPECT_EQ(counts.downloads, 3);
  EXPECT_EQ(counts.starts, 3);
  MemoryInfo info;
  PackedBytes packed;
  (*plan)->add_memory(info, packed);
  EXPECT_GT(info.device_bytes, 0);
  std::vector<StepInfo> steps;
  (*plan)->add_steps(steps);
  EXPECT_EQ(std::ranges::count_if(steps, [](const StepInfo& s) { return s.op == "Transfer"; }), 7);
}

TEST(Devices, SmallBuffersSplitTheArena) {
  const Graph graph = branches();
  FakeDeviceCounts one, several;
  FakeDevice device;
  device.counts = &one;
  OnDevices large({device});
  ASSERT_TRUE(large.compile(graph).ok());
  device.counts = &several;
  device.max_buffer_bytes = 128;
  OnDevices small({device});
  const auto plan = small.compile(graph);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  expect_reference_bytes(**plan, graph);
  EXPECT_EQ(one.allocations, 1);
  EXPECT_GT(several.allocations, 1);
  device.max_buffer_bytes = 32;
  OnDevices tiny({device});
  const auto refused = tiny.compile(graph);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kLimit);
  EXPECT_NE(refused.status().message().find("the device allows 32"), std::string::npos)
      << refused.status().message();
}

TEST(Devices, EveryFailingCallIsToldAndOver) {
  const Graph graph = branches();
  for (int64_t call = 1;; ++call) {
    FakeDevice device;
    device.failing_call = call;
    device.refused = {"Abs"};
    OnDevices on({device});
    const auto plan = on.compile(graph);
    if (!plan.ok()) {
      EXPECT_NE(plan.status().message().find("fake allocate failed"), std::string::npos);
      continue;
    }
    const Status status = (*plan)->run();
    if (status.ok()) {
      EXPECT_GT(call, 10);
      break;
    }
    EXPECT_NE(status.message().find("fake "), std::string::npos) << status.message();
    // Nothing of the failed run is left over.
    expect_reference_bytes(**plan, graph);
  }
}

// Works for a run, and for a part of another.
bool register_losing_device() {
  return register_backend({"losing",
                           "a device that is lost",
                           {},
                           [](const BackendSettings&) {
                             FakeDevice device;
                             device.name = "losing";
                             device.failing_call = 20;
                             device.lost = true;
                             return Result<std::unique_ptr<Backend>>(make_fake_device(device));
                           },
                           true});
}

TEST(Devices, ALostDeviceIsNotUsedAgain) {
  register_losing_device();
  const Graph graph = branches();
  SessionOptions options;
  options.backends = {"losing"};
  const auto session = std::move(Session::create(graph, options)).value();
  for (int round = 0; round < 12; ++round) {
    std::vector<Tensor> inputs;
    for (const ValueId v : graph.inputs) {
      std::string type = graph.value(v).type.str();
      inputs.push_back(tensor_of(type + " = random " + std::to_string(round) + " -1 1"));
    }
    const auto expected = run_reference(graph, inputs), found = session->run(inputs);
    ASSERT_TRUE(found.ok()) << found.status().message();
    for (size_t i = 0; i < found->size(); ++i) {
      EXPECT_TRUE(all_close((*expected)[i], (*found)[i], 1e-6, 1e-6).ok()) << round;
    }
    if (round == 0) {
      EXPECT_TRUE(session->barred().empty());
    }
  }
  ASSERT_EQ(session->barred().size(), 1u);
  EXPECT_NE(session->barred()[0].find("backend losing: fake "), std::string::npos)
      << session->barred()[0];
  for (const StepInfo& step : session->steps()) EXPECT_NE(step.backend, "losing");

  options.fallback = false;
  const auto alone = std::move(Session::create(graph, options)).value();
  ASSERT_TRUE(alone->prepare().ok());
  Status status;
  for (int round = 0; round < 12 && status.ok(); ++round) status = alone->run();
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(alone->barred().empty());
}

TEST(Devices, AStateIsNotComputedTwice) {
  register_losing_device();
  SessionOptions options;
  options.backends = {"losing"};
  const auto session = std::move(Session::create(graph_of(R"(graph g(x: f32[3]) -> (y) {
    state s: f32[3] = 0 0 0
    y = Add(x, s)
    update s = y
  })"),
                                                 options))
                           .value();
  ASSERT_TRUE(session->prepare().ok());
  Status status;
  for (int round = 0; round < 12 && status.ok(); ++round) status = session->run();
  EXPECT_FALSE(status.ok());
}

TEST(Devices, FallbackCanBeForbidden) {
  const Graph graph = branches();
  FakeDevice device;
  device.refused = {"Abs", "Mul"};
  OnDevices on({device});
  on.options.wanted = 1;
  const auto plan = on.compile(graph);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.status().code(), Code::kUnsupported);
  const std::string& text = plan.status().message();
  EXPECT_NE(text.find("3 nodes cannot run"), std::string::npos) << text;
  EXPECT_NE(text.find("(Mul): fake: does not take Mul"), std::string::npos) << text;
  OnDevices whole({FakeDevice()});
  whole.options.wanted = 1;
  EXPECT_TRUE(whole.compile(graph).ok());
}

TEST(Devices, ControlFlowStatesAndLateShapes) {
  register_fake_device();
  SessionOptions options;
  options.backends = {"fake"};
  // A loop whose body runs on the device, fed by and feeding it.
  const Graph loop = graph_of(R"(graph g(x: f32[2,3]) -> (r) {
    const n: i64[] = 4
    const w: f32[3,3] = random 1 -1 1
    a = Neg(x)
    y = Loop(n, _, a) captures(w, x) {
      body: graph b(i: i64[], c: bool[], h: f32[2,3]) captures(w, x) -> (c, s) {
        m = MatMul(h, w)
        s = Add(m, x)
      }
    }
    r = Abs(y)
  })");
  expect_like_reference(loop, {tensor_of("f32[2,3] = 1 2 3 4 5 6")}, options);
  // What waits for data runs on the device as well.
  const Graph late = graph_of(R"(graph g(x: f32[4]) -> (y) {
    a = Relu(x)
    n = NonZero(a)
    t = Transpose(n) {perm=[1,0]}
    v = GatherND(a, t)
    y = Neg(v)
  })");
  expect_like_reference(late, {tensor_of("f32[4] = 1 -2 3 0")}, options);
  expect_like_reference(late, {tensor_of("f32[4] = -1 -2 3 0")}, options);
}

}  // namespace
}  // namespace mnn
