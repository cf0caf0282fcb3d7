// What all device backends share: printed kernels, the cache of what drivers compile, and sessions
// on every device there is.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <new>
#include <set>
#include <thread>

#include "libruntime/backends/gpu/kernel.h"
#include "libruntime/compile/blob_cache.h"
#include "libruntime/compile/registry.h"
#include "libruntime/core/metrics.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "libruntime/session.h"
#include "tests/gpu/devices.h"

namespace {
// Calls of operator new. Drivers, which are C below their compilers, allocate otherwise.
std::atomic<int64_t> news{0};
}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define MNN_COUNTS_NEWS 1
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(size_t bytes) {
  ++news;
  if (void* p = std::malloc(bytes)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
#endif

namespace mnn {
namespace {

Graph graph_of(const std::string& text) { return std::move(parse_graph(text)).value(); }
Tensor tensor_of(const std::string& text) { return std::move(parse_tensor(text)).value(); }

std::vector<std::string> devices() { return device_backends(); }

TEST(Kernels, PrintInEveryLanguage) {
  std::set<std::string> names;
  for (const gpu::KernelRow& row : gpu::kernel_rows()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(row.name.starts_with("mnn_")) << row.name;
    EXPECT_LE(row.params.size(), static_cast<size_t>(gpu::kMaxParams)) << row.name;
    const std::vector<int> constants(row.constants.size(), 1);
    for (const auto dialect :
         {gpu::Dialect::kOpenCl, gpu::Dialect::kGlsl, gpu::Dialect::kCuda, gpu::Dialect::kHost}) {
      const std::string text = gpu::print_kernel(row, dialect, constants);
      EXPECT_NE(text.find(row.body), std::string::npos) << row.name;
      for (const auto& b : row.buffers) EXPECT_NE(text.find(b.name), std::string::npos);
    }
  }
}

struct Folder {
  Folder() {
    char pattern[] = "/tmp/mnn_blobs_XXXXXX";
    path = mkdtemp(pattern);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

std::string only_file(const std::string& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) return entry.path();
  return "";
}

TEST(BlobCache, KeepsWhatIsWhole) {
  const Folder folder;
  const BlobCache cache(folder.path + "/made/when/needed");
  EXPECT_EQ(cache.get("a"), std::nullopt);
  cache.put("a", "blob");
  cache.put("b", "");
  EXPECT_EQ(cache.get("a"), "blob");
  EXPECT_EQ(cache.get("b"), "");
  cache.put("a", "another");
  EXPECT_EQ(cache.get("a"), "another");
  cache.drop("a");
  EXPECT_EQ(cache.get("a"), std::nullopt);
  const BlobCache none("");
  none.put("a", "blob");
  EXPECT_EQ(none.get("a"), std::nullopt);
  const BlobCache unwritable("/proc/nowhere");
  unwritable.put("a", "blob");
  EXPECT_EQ(unwritable.get("a"), std::nullopt);
}

TEST(BlobCache, ADamagedBlobIsNoBlob) {
  const Folder folder;
  const BlobCache cache(folder.path);
  cache.put("key", "some blob");
  const std::string path = only_file(folder.path);
  std::ifstream file(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(file)), {});
  auto get_with = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    return cache.get("key");
  };
  EXPECT_EQ(get_with(whole), "some blob");
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_EQ(get_with(changed), std::nullopt) << "byte " << i;
    EXPECT_FALSE(std::filesystem::exists(path)) << "byte " << i;
    EXPECT_EQ(get_with(whole.substr(0, i)), std::nullopt) << "cut at " << i;
  }
  EXPECT_EQ(get_with(whole + "x"), std::nullopt);
}

// Convolutions of all kinds, a pool, expressions, a product, truth values and indices at the
// border.
constexpr const char* kNetwork =
    R"(graph g(x: f32[1,3,17,19], at: i64[2], m: bool[1,8,9,10]) -> (y, p, t, q) {
  const w1: f32[8,3,3,3] = random 1 -1 1
  const w2: f32[8,1,3,3] = random 2 -1 1
  const w3: f32[10,8] = random 3 -1 1
  const b: f32[8] = random 4 -1 1
  const zero: f32[] = 0
  c1 = Conv(x, w1, b) {pads=[1,1,1,1], strides=[2,2]} + Relu
  c2 = Conv(c1, w2) {pads=[1,1,1,1], group=8}
  k = Where(m, c2, c1)
  s = Sigmoid(k)
  h = Mul(s, c1)
  g = GlobalAveragePool(h)
  f = Flatten(g)
  y = Gemm(f, w3) {transB=1}
  p = Softmax(y)
  t = Greater(y, zero)
  q = Gather(w3, at)
})";

std::vector<Tensor> network_inputs() {
  return {tensor_of("f32[1,3,17,19] = random 5 -1 1"), tensor_of("i64[2] = -1 3"),
          tensor_of("bool[1,8,9,10] = random 6 0 1")};
}

// A session on this device alone.
std::unique_ptr<Session> session_on(const std::string& name, const Graph& graph) {
  SessionOptions options;
  options.backends = {name};
  options.fallback = false;
  auto session = Session::create(graph, options);
  EXPECT_TRUE(session.ok()) << session.status().message();
  return std::move(session).value();
}

TEST(Devices, RunANetworkWhole) {
  const Graph graph = graph_of(kNetwork);
  const auto expected = run_reference(graph, network_inputs());
  ASSERT_TRUE(expected.ok()) << expected.status().message();
  for (const std::string& name : devices()) {
    SCOPED_TRACE(name);
    const auto session = session_on(name, graph);
    for (int round = 0; round < 3; ++round) {
      const auto found = session->run(network_inputs());
      ASSERT_TRUE(found.ok()) << found.status().message();
      for (size_t i = 0; i < expected->size(); ++i) {
        const Status close = all_close((*expected)[i], (*found)[i], 1e-5, 1e-5);
        EXPECT_TRUE(close.ok()) << "output " << i << ": " << close.message();
      }
    }
    for (const StepInfo& step : session->steps()) {
      EXPECT_EQ(step.backend, step.op == "Transfer" ? "session" : name) << step.op;
    }
    EXPECT_GT(session->memory().packed_bytes, 0);
    EXPECT_EQ(session->macs().all, static_cast<double>(8 * 90 * 27 + 8 * 90 * 9 + 80));
  }
}

TEST(Devices, RunAttentionWhole) {
  const Graph graph =
      graph_of(R"(graph g(q: f32[2,4,5,8], k: f32[2,4,7,8], v: f32[2,4,7,6]) -> (y) {
    y = Attention(q, k, v)
  })");
  const std::vector<Tensor> inputs = {tensor_of("f32[2,4,5,8] = random 1 -1 1"),
                                      tensor_of("f32[2,4,7,8] = random 2 -1 1"),
                                      tensor_of("f32[2,4,7,6] = random 3 -1 1")};
  const auto expected = run_reference(graph, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status().message();
  for (const std::string& name : devices()) {
    SCOPED_TRACE(name);
    const auto session = session_on(name, graph);
    const auto found = session->run(inputs);
    ASSERT_TRUE(found.ok()) << found.status().message();
    const Status close = all_close((*expected)[0], (*found)[0], 1e-5, 1e-5);
    EXPECT_TRUE(close.ok()) << close.message();
    EXPECT_EQ(session->macs().all, 2.0 * 4 * 5 * 7 * (8 + 6));
  }
}

TEST(Devices, AWrongIndexIsToldAndTheNextRunIsRight) {
  const Graph graph = graph_of("graph g(x: f32[4,2], i: i64[2]) -> (y) {\n y = Gather(x, i)\n}");
  const Tensor x = tensor_of("f32[4,2] = 0 1 2 3 4 5 6 7");
  for (const std::string& name : devices()) {
    SCOPED_TRACE(name);
    const auto session = session_on(name, graph);
    for (const char* wrong : {"i64[2] = 1 4", "i64[2] = -5 0", "i64[2] = 0 4294967297"}) {
      const auto failed = session->run(std::vector{x, tensor_of(wrong)});
      ASSERT_FALSE(failed.ok()) << wrong;
      EXPECT_EQ(failed.status().code(), Code::kInvalidArgument);
      EXPECT_NE(failed.status().message().find("an index is out of range"), std::string::npos);
      const auto right = session->run(std::vector{x, tensor_of("i64[2] = 3 -4")});
      ASSERT_TRUE(right.ok()) << right.status().message();
      EXPECT_TRUE(identical((*right)[0], tensor_of("f32[2,2] = 6 7 0 1")));
    }
  }
}

TEST(Devices, SessionsShareWeightsAndTellTimes) {
  const Graph graph = graph_of(kNetwork);
  for (const std::string& name : devices()) {
    SCOPED_TRACE(name);
    const auto engine = std::move(Engine::create({})).value();
    const auto one = std::move(Session::create(graph, engine, {name})).value();
    const auto other = std::move(Session::create(graph, engine, {name})).value();
    const auto first = one->run(network_inputs());
    ASSERT_TRUE(first.ok()) << first.status().message();
    other->set_profiling(true);
    const auto second = other->run(network_inputs());
    ASSERT_TRUE(second.ok()) << second.status().message();
    for (size_t i = 0; i < first->size(); ++i) EXPECT_TRUE(identical((*first)[i], (*second)[i]));
    int64_t on_device = 0;
    for (const StepProfile& p : other->profile()) {
      EXPECT_EQ(p.calls, 1) << p.info.op;
      if (p.info.backend == name) on_device += p.total_ns;
    }
    EXPECT_GT(on_device, 0);
  }
}

TEST(Devices, ThreadsHaveSessionsOfTheirOwn) {
  const Graph graph = graph_of(kNetwork);
  const auto expected = run_reference(graph, network_inputs());
  ASSERT_TRUE(expected.ok());
  for (const std::string& name : devices()) {
    SCOPED_TRACE(name);
    const auto engine = std::move(Engine::create({})).value();
    std::vector<std::string> problems(3);
    std::vector<std::thread> threads;
    for (std::string& problem : problems) {
      threads.emplace_back([&] {
        for (int round = 0; round < 4 && problem.empty(); ++round) {
          const auto session = Session::create(graph, engine, {name});
          const auto found = session.ok() ? (*session)->run(network_inputs())
                                          : Result<std::vector<Tensor>>(session.status());
          if (!found.ok()) problem = found.status().message();
          for (size_t i = 0; found.ok() && i < found->size(); ++i) {
            const Status close = all_close((*expected)[i], (*found)[i], 1e-5, 1e-5);
            if (!close.ok()) problem = close.message();
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::string& problem : problems) EXPECT_EQ(problem, "");
  }
}

TEST(Devices, ARunAllocatesNothing) {
#if !defined(MNN_COUNTS_NEWS)
  GTEST_SKIP() << "allocations cannot be counted here";
#else
  for (const std::string& name : devices()) {
    if (name == "host-kernels") continue;  // made to find errors
    SCOPED_TRACE(name);
    const auto session = session_on(name, graph_of(kNetwork));
    ASSERT_TRUE(session->run(network_inputs()).ok());
    ASSERT_TRUE(session->run().ok());
    const int64_t before = news.load();
    for (int i = 0; i < 20; ++i) {
      if (!session->run().ok()) break;
    }
    EXPECT_EQ(news.load() - before, 0);
  }
#endif
}

TEST(Devices, TheSecondStartCompilesNothing) {
  const Folder folder;
  const char* before = std::getenv("MNN_CACHE_DIR");
  const std::string kept = before == nullptr ? "" : before;
  setenv("MNN_CACHE_DIR", folder.path.c_str(), 1);
  for (const std::string& name : devices()) {
    if (name == "host-kernels") continue;  // its kernels are in this program
    SCOPED_TRACE(name);
    // Everything is opened anew each time.
    auto start = [&] {
      const auto engine = std::move(Engine::create({})).value();
      const auto session = std::move(Session::create(graph_of(kNetwork), engine, {name})).value();
      EXPECT_TRUE(session->run(network_inputs()).ok());
      return std::move(engine->backend(name)).value()->work();
    };
    const DeviceWork cold = start(), warm = start();
    EXPECT_GT(cold.kernels_compiled, 5);
    EXPECT_EQ(cold.kernels_cached, 0);
    EXPECT_EQ(warm.kernels_compiled, 0);
    EXPECT_EQ(warm.kernels_cached, cold.kernels_compiled);
    EXPECT_GT(warm.kernel_ns, 0);
    EXPECT_GT(warm.upload_bytes, 4 * 8 * 27);
    // What is torn is compiled again.
    for (const auto& entry : std::filesystem::directory_iterator(folder.path)) {
      std::filesystem::resize_file(entry.path(), entry.file_size() / 2);
    }
    EXPECT_EQ(start().kernels_compiled, cold.kernels_compiled);
  }
  if (before == nullptr) {
    unsetenv("MNN_CACHE_DIR");
  } else {
    setenv("MNN_CACHE_DIR", kept.c_str(), 1);
  }
}

// Memory that the host does not see, as most GPUs have.
TEST(Devices, CopiesMayGoThroughMemoryOfTheirOwn) {
  const std::vector<std::string> present = devices();
  if (std::find(present.begin(), present.end(), "vulkan") == present.end()) GTEST_SKIP();
  const Graph graph = graph_of(kNetwork);
  SessionOptions options;
  options.backends = {"vulkan"};
  const auto seen = std::move(Session::create(graph, options)).value();
  options.backend_options["vulkan"]["staging"] = "on";
  const auto staged = std::move(Session::create(graph, options)).value();
  for (int round = 0; round < 2; ++round) {
    const auto expected = seen->run(network_inputs()), found = staged->run(network_inputs());
    ASSERT_TRUE(expected.ok()) << expected.status().message();
    ASSERT_TRUE(found.ok()) << found.status().message();
    for (size_t i = 0; i < found->size(); ++i) {
      EXPECT_TRUE(identical((*expected)[i], (*found)[i])) << "output " << i;
    }
  }
}

TEST(Devices, ThoseThatAreNotThereAreNamed) {
  for (const std::string& name : devices()) {
    if (name == "host-kernels") continue;
    const auto backend = std::move(open_backend(name, {{"device", "no such thing"}})).value();
    const auto device = backend->device();
    ASSERT_FALSE(device.ok());
    EXPECT_EQ(device.status().code(), Code::kUnsupported);
    EXPECT_NE(device.status().message().find("no such thing"), std::string::npos);
  }
}

}  // namespace
}  // namespace mnn
