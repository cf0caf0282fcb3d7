// Every call of OpenCL fails once, from opening the driver to the last of a run: each time there is
// an error that names it, or none where nothing depends on it, and the next session works.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "libruntime/compile/registry.h"
#include "libruntime/core/metrics.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "libruntime/session.h"

namespace mnn {
namespace {

constexpr const char* kGraph = R"(graph g(x: f32[2,5], i: i64[2]) -> (y, z) {
  const w: f32[5,7] = random 1 -1 1
  a = MatMul(x, w) + Relu
  y = Gather(a, i)
  z = Tanh(y)
})";

class Faults : public testing::Test {
 protected:
  void SetUp() override {
    setenv("MNN_OPENCL_LIBRARY", MNN_FAILING_OPENCL, 1);
    void* const library = dlopen(MNN_FAILING_OPENCL, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    fail_call_ = reinterpret_cast<void (*)(int64_t)>(dlsym(library, "mnn_fail_call"));
    calls_ = reinterpret_cast<int64_t (*)()>(dlsym(library, "mnn_calls"));
    fail_call_(0);
    const auto backend = std::move(open_backend("opencl")).value();
    const auto device = backend->device();
    if (!device.ok()) GTEST_SKIP() << device.status().message();
  }

  Result<std::vector<Tensor>> run_all() {
    SessionOptions options;
    options.backends = {"opencl"};
    options.fallback = false;
    MNN_ASSIGN_OR_RETURN(const auto session, Session::create(graph_, options));
    session->set_profiling(true);
    return session->run(inputs_);
  }

  void (*fail_call_)(int64_t) = nullptr;
  int64_t (*calls_)() = nullptr;
  const Graph graph_ = std::move(parse_graph(kGraph)).value();
  const std::vector<Tensor> inputs_ = {std::move(parse_tensor("f32[2,5] = random 2 -1 1")).value(),
                                       std::move(parse_tensor("i64[2] = 1 0")).value()};
};

TEST_F(Faults, EachIsToldOrHarmless) {
  const auto expected = run_reference(graph_, inputs_);
  ASSERT_TRUE(expected.ok());
  ASSERT_TRUE(run_all().ok());  // from here on nothing is compiled
  fail_call_(0);
  ASSERT_TRUE(run_all().ok());
  const int64_t all = calls_();
  EXPECT_GT(all, 60);
  int64_t told = 0;
  for (int64_t n = 1; n <= all; ++n) {
    fail_call_(n);
    const auto found = run_all();
    if (!found.ok()) {
      ++told;
      const std::string& text = found.status().message();
      // Without its own word a device is not to be had.
      EXPECT_TRUE(text.find("cl") != std::string::npos || text.find("OpenCL") != std::string::npos)
          << "call " << n << ": " << text;
      continue;
    }
    for (size_t i = 0; i < expected->size(); ++i) {
      const Status close = all_close((*expected)[i], (*found)[i], 1e-5, 1e-5);
      EXPECT_TRUE(close.ok()) << "call " << n << ": " << close.message();
    }
  }
  EXPECT_GT(told, all / 2);
  fail_call_(0);
  EXPECT_TRUE(run_all().ok());
}

}  // namespace
}  // namespace mnn
