// The step of training against PyTorch: losses of 200 steps, stored by
// scripts/make_training_losses.py.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "libquant/train/step.h"
#include "libruntime/core/io/npy.h"
#include "libruntime/session.h"
#include "tests/test_data.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

using Arrays = std::map<std::string, Tensor>;

const Arrays& stored() {
  static const Arrays arrays = std::move(read_npz(test_data("data/train/losses.npz"))).value();
  return arrays;
}

constexpr int kSteps = 200;
constexpr int64_t kBatch = 16;

// The network of the script, with its weights as they are before the first step.
Graph network() {
  Graph graph = typed_graph(R"(graph net(x: f32[16,1,12,12]) -> (scores) {
    const first.weight: f32[8,1,3,3] = iota 0 0
    const first.bias: f32[8] = iota 0 0
    const depth.weight: f32[8,1,3,3] = iota 0 0
    const depth.bias: f32[8] = iota 0 0
    const point.weight: f32[16,8,1,1] = iota 0 0
    const point.bias: f32[16] = iota 0 0
    const last.weight: f32[5,16] = iota 0 0
    const last.bias: f32[5] = iota 0 0
    a = Conv(x, first.weight, first.bias) {pads=[1,1,1,1]} + Relu name "first"
    b = MaxPool(a) {kernel_shape=[2,2], strides=[2,2]} name "pool"
    c = Conv(b, depth.weight, depth.bias) {group=8, pads=[1,1,1,1], strides=[2,2]} name "depth"
    d = HardSwish(c) name "depth_act"
    e = Conv(d, point.weight, point.bias) name "point"
    f = Gelu(e) name "point_act"
    g = GlobalAveragePool(f) name "mean"
    h = Flatten(g) name "flat"
    scores = Gemm(h, last.weight, last.bias) {transB=1} name "last"
  })");
  for (Value& v : graph.values) {
    if (v.kind == ValueKind::kConstant && v.name.find('.') != std::string::npos) {
      v.data = stored().at(v.name);
    }
  }
  return graph;
}

struct Trained {
  std::vector<float> losses;
  std::vector<Tensor> weights;
};

Trained train(const StepOptions& options, double rate, int threads) {
  const Graph model = network();
  const auto step = make_step(model, 0, trainable(model), options);
  EXPECT_TRUE(step.ok()) << step.status().message();
  if (!step.ok()) return {};
  EXPECT_EQ(step->parameters.size(), 8u);
  SessionOptions session_options;
  session_options.threads = threads;
  const auto session = Session::create(step->graph, session_options);
  EXPECT_TRUE(session.ok()) << session.status().message();
  Session& s = **session;
  const Status prepared = s.prepare();
  EXPECT_TRUE(prepared.ok()) << prepared.message();
  const Tensor &images = stored().at("images"), &labels = stored().at("labels");
  const int64_t size = images.elements() / images.dims()[0];
  const Schedule schedule{rate, 0, kSteps, 0};
  Trained made;
  for (int64_t i = 0; i < kSteps; ++i) {
    const int64_t at = i * kBatch % images.dims()[0];
    std::memcpy(s.input(0).raw(), images.data<float>() + at * size,
                static_cast<size_t>(kBatch * size) * sizeof(float));
    std::memcpy(s.input(1).raw(), labels.data<int64_t>() + at, kBatch * sizeof(int64_t));
    const StepRates rates = step_rates(options.optimizer, schedule.at(i), i);
    *s.input(2).data<float>() = rates.learning_rate;
    *s.input(3).data<float>() = rates.first;
    *s.input(4).data<float>() = rates.second;
    const Status run = s.run();
    EXPECT_TRUE(run.ok()) << run.message();
    made.losses.push_back(*s.output(0).data<float>());
  }
  for (const Parameter& p : step->parameters) {
    made.weights.push_back(std::move(std::move(s.state(p.name)).value().clone()).value());
  }
  return made;
}

void expect_pytorch(const char* name, const StepOptions& options, double rate) {
  const Trained made = train(options, rate, 1);
  const Tensor& losses = stored().at(std::string("losses_") + name);
  ASSERT_EQ(made.losses.size(), static_cast<size_t>(losses.elements()));
  double worst = 0;
  for (size_t i = 0; i < made.losses.size(); ++i) {
    worst = std::max(worst, std::fabs(double{made.losses[i]} - losses.data<float>()[i]));
  }
  EXPECT_LT(worst, 1e-3) << name;
  EXPECT_LT(made.losses.back(), made.losses.front());
}

TEST(TrainStep, SgdFollowsPyTorch) {
  StepOptions options;
  options.optimizer.kind = OptimizerOptions::Kind::kSgd;
  options.optimizer.weight_decay = 5e-4;
  expect_pytorch("sgd", options, 0.1);
}

TEST(TrainStep, AdamFollowsPyTorch) {
  StepOptions options;
  options.optimizer.kind = OptimizerOptions::Kind::kAdam;
  options.optimizer.weight_decay = 1e-4;
  expect_pytorch("adam", options, 5e-3);
}

TEST(TrainStep, AdamWFollowsPyTorch) {
  StepOptions options;
  options.optimizer.weight_decay = 1e-2;
  expect_pytorch("adamw", options, 5e-3);
}

TEST(TrainStep, IsTheSameForAnyNumberOfThreads) {
  const StepOptions options;
  const Trained one = train(options, 5e-3, 1), three = train(options, 5e-3, 3);
  EXPECT_EQ(one.losses, three.losses);
  ASSERT_EQ(one.weights.size(), three.weights.size());
  for (size_t i = 0; i < one.weights.size(); ++i) {
    EXPECT_TRUE(identical(one.weights[i], three.weights[i])) << "parameter " << i;
  }
}

// Scores beyond the greatest float: no parameter becomes NaN.
TEST(TrainStep, KeepsTheWeightsWhenTheLossIsNotFinite) {
  const Graph model = network();
  const auto step = make_step(model, 0, trainable(model), {});
  ASSERT_TRUE(step.ok()) << step.status().message();
  const auto session = Session::create(step->graph, {});
  ASSERT_TRUE(session.ok());
  Session& s = **session;
  ASSERT_TRUE(s.prepare().ok());
  std::fill_n(s.input(0).data<float>(), s.input(0).elements(), INFINITY);
  std::memset(s.input(1).raw(), 0, kBatch * sizeof(int64_t));
  for (size_t i = 2; i < 5; ++i) *s.input(i).data<float>() = 1.0f;
  ASSERT_TRUE(s.run().ok());
  EXPECT_FALSE(std::isfinite(*s.output(0).data<float>()));
  for (const Parameter& p : step->parameters) {
    const Tensor state = std::move(s.state(p.name)).value();
    for (const float v : state.span<float>()) ASSERT_TRUE(std::isfinite(v)) << p.name;
  }
}

TEST(TrainStep, ClipsTheNormOfAllGradients) {
  const Graph model = network();
  StepOptions options;
  options.optimizer.kind = OptimizerOptions::Kind::kSgd;
  options.optimizer.momentum = 0;
  options.clip_norm = 0.01;
  const auto step = make_step(model, 0, trainable(model), options);
  ASSERT_TRUE(step.ok()) << step.status().message();
  const auto session = Session::create(step->graph, {});
  ASSERT_TRUE(session.ok());
  Session& s = **session;
  ASSERT_TRUE(s.prepare().ok());
  const Tensor &images = stored().at("images"), &labels = stored().at("labels");
  std::memcpy(s.input(0).raw(), images.raw(), static_cast<size_t>(s.input(0).bytes()));
  std::memcpy(s.input(1).raw(), labels.raw(), kBatch * sizeof(int64_t));
  for (size_t i = 2; i < 5; ++i) *s.input(i).data<float>() = 1.0f;
  ASSERT_TRUE(s.run().ok());
  double moved = 0;
  for (const Parameter& p : step->parameters) {
    const Tensor now = std::move(s.state(p.name)).value();
    const Tensor& before = stored().at(p.name);
    for (int64_t i = 0; i < now.elements(); ++i) {
      const double d = now.data<float>()[i] - before.data<float>()[i];
      moved += d * d;
    }
  }
  EXPECT_NEAR(std::sqrt(moved), 0.01, 1e-5);
}

TEST(TrainStep, NamesAnOperatorWithoutADerivative) {
  const Graph model = typed_graph(R"(graph net(x: f32[2,3]) -> (y) {
    const w: f32[3,2] = iota 0 0.1
    a = MatMul(x, w) name "product"
    d = DFT(a) name "spectrum"
    y = Flatten(d) name "flat"
  })");
  StepOptions options;
  options.loss = LossKind::kMeanSquare;
  const auto step = make_step(model, 0, trainable(model), options);
  ASSERT_FALSE(step.ok());
  EXPECT_NE(step.status().message().find("node spectrum (DFT): the operator has no derivative"),
            std::string::npos)
      << step.status().message();
}

}  // namespace
}  // namespace mnn
