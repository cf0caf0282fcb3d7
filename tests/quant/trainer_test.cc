// Training as a whole: it learns, it can be stopped and go on, and it says what went wrong.
#include "libquant/train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "libquant/train/adapters.h"
#include "libquant/train/checkpoint.h"
#include "libquant/train/head.h"
#include "libruntime/core/io/mnn_file.h"
#include "libruntime/session.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

constexpr int64_t kWidth = 6, kClasses = 3, kBatch = 8;

Graph network() {
  return typed_graph(R"(graph net(x: f32[8,6]) -> (scores) {
    const w1: f32[10,6] = random 1 -0.4 0.4
    const b1: f32[10] = random 2 -0.1 0.1
    const w2: f32[3,10] = random 3 -0.3 0.3
    const b2: f32[3] = random 4 -0.1 0.1
    h = Gemm(x, w1, b1) {transB=1} + Relu name "hidden"
    scores = Gemm(h, w2, b2) {transB=1} name "last"
  })");
}

float noise(int64_t i) {
  const double v = std::sin(static_cast<double>(i) * 12.9898) * 43758.5453;
  return static_cast<float>(v - std::floor(v)) - 0.5f;
}

// Classes whose means lie apart along axes of their own. `fail_at`: the read that fails.
TrainData samples(int64_t count, int64_t first, int64_t* reads = nullptr, int64_t fail_at = -1) {
  return {count, [=](int64_t i, uint64_t, std::byte* input, std::byte* target) -> Status {
            if (reads != nullptr && ++*reads == fail_at) return not_accessible("disk gone");
            const int64_t label = i % kClasses;
            float x[kWidth];
            for (int64_t k = 0; k < kWidth; ++k) {
              x[k] = noise((first + i) * kWidth + k) + (k == label ? 1.5f : 0.0f);
            }
            std::memcpy(input, x, sizeof(x));
            std::memcpy(target, &label, sizeof(label));
            return {};
          }};
}

TrainOptions options() {
  TrainOptions o;
  o.learning_rate = 0.02;
  o.epochs = 6;
  return o;
}

std::string scratch(const std::string& name) {
  const std::string path = testing::TempDir() + "trainer_" + name;
  std::filesystem::remove(path);
  return path;
}

TEST(Train, LearnsAndKeepsTheBest) {
  const Graph model = network();
  std::vector<EpochReport> seen;
  int64_t steps = 0;
  TrainEvents events;
  events.epoch = [&](const EpochReport& e) { seen.push_back(e); };
  events.step = [&](int64_t, int64_t, double) { ++steps; };
  const auto made =
      train(model, 0, trainable(model), samples(60, 0), samples(31, 1000), options(), events);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(steps, 6 * (60 / kBatch));
  ASSERT_EQ(seen.size(), 6u);
  EXPECT_GT(made->best_score, 0.9);
  EXPECT_LT(made->first_score, 0.7);
  EXPECT_LT(seen.back().loss, seen.front().loss);
  EXPECT_EQ(made->best_score, seen[static_cast<size_t>(made->best_epoch - 1)].held_score);
  int64_t all = 0, right = 0;
  for (int64_t r = 0; r < kClasses; ++r) {
    for (int64_t c = 0; c < kClasses; ++c) {
      const int64_t v = made->confusion[static_cast<size_t>(r * kClasses + c)];
      all += v;
      right += r == c ? v : 0;
    }
  }
  EXPECT_EQ(all, 31);
  EXPECT_DOUBLE_EQ(static_cast<double>(right) / 31, made->best_score);
}

TEST(Train, GoesOnWhereItWasStoppedToTheSameBits) {
  const Graph model = network();
  const std::vector<ValueId> ids = trainable(model);
  const auto whole = train(model, 0, ids, samples(60, 0), samples(31, 1000), options(), {});
  ASSERT_TRUE(whole.ok());
  TrainOptions o = options();
  o.checkpoint = scratch("resume.ckpt");
  o.checkpoint_steps = 2;
  int64_t reads = 0;
  const auto broken =
      train(model, 0, ids, samples(60, 0, &reads, 17 * kBatch), samples(31, 1000), o, {});
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.status().code(), Code::kNotAccessible);
  o.resume = true;
  o.threads = 2;
  reads = 0;
  const auto rest = train(model, 0, ids, samples(60, 0, &reads), samples(31, 1000), o, {});
  ASSERT_TRUE(rest.ok()) << rest.status().message();
  EXPECT_LT(reads, 42 * kBatch - 14 * kBatch);
  ASSERT_EQ(rest->weights.size(), whole->weights.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    EXPECT_TRUE(identical(rest->weights[i], whole->weights[i])) << "parameter " << i;
  }
  ASSERT_EQ(rest->epochs.size(), whole->epochs.size());
  for (size_t i = 0; i < rest->epochs.size(); ++i) {
    EXPECT_EQ(rest->epochs[i].loss, whole->epochs[i].loss);
    EXPECT_EQ(rest->epochs[i].held_loss, whole->epochs[i].held_loss);
  }
}

TEST(Train, RefusesACheckpointOfAnotherRun) {
  const Graph model = network();
  TrainOptions o = options();
  o.epochs = 1;
  o.checkpoint = scratch("other.ckpt");
  ASSERT_TRUE(train(model, 0, trainable(model), samples(60, 0), samples(9, 500), o, {}).ok());
  o.resume = true;
  o.seed = 2;
  const auto made = train(model, 0, trainable(model), samples(60, 0), samples(9, 500), o, {});
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.status().message().find("the checkpoint is of another model, data or options"),
            std::string::npos)
      << made.status().message();
}

TEST(Train, RefusesADamagedCheckpoint) {
  const Checkpoint c = {{"a", Tensor::ints({1, 2, 3})}};
  const std::string path = scratch("damaged.ckpt");
  ASSERT_TRUE(write_checkpoint(c, path).ok());
  const auto again = read_checkpoint(path);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_TRUE(identical(again->at("a"), c.at("a")));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 40);
  EXPECT_FALSE(read_checkpoint(path).ok());
}

TEST(Train, StopsEarlyWhenNothingGetsBetter) {
  const Graph model = network();
  TrainOptions o = options();
  o.epochs = 200;
  o.patience = 3;
  // What is held back has other labels: the more is learned, the worse.
  TrainData other = samples(31, 1000);
  other.read = [read = other.read](int64_t i, uint64_t seed, std::byte* input, std::byte* target) {
    const Status status = read(i, seed, input, target);
    const int64_t label = (i + 1) % kClasses;
    std::memcpy(target, &label, sizeof(label));
    return status;
  };
  const auto made = train(model, 0, trainable(model), samples(60, 0), other, o, {});
  ASSERT_TRUE(made.ok());
  EXPECT_TRUE(made->stopped_early);
  EXPECT_LT(made->epochs.size(), 20u);
  EXPECT_EQ(static_cast<int64_t>(made->epochs.size()), made->best_epoch + 3);
}

TEST(Train, NamesStepAndLayerOfALossThatIsNotFinite) {
  const Graph model = network();
  TrainOptions o = options();
  o.learning_rate = 1e30;
  o.warmup = 0;
  o.step.optimizer.kind = OptimizerOptions::Kind::kSgd;
  const auto made = train(model, 0, trainable(model), samples(60, 0), samples(9, 500), o, {});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), Code::kInternal);
  const std::string& text = made.status().message();
  EXPECT_NE(text.find("training stopped at step "), std::string::npos) << text;
  EXPECT_NE(text.find("layer "), std::string::npos) << text;
  EXPECT_NE(text.find("try a learning rate below"), std::string::npos) << text;
}

TEST(Train, NamesDataThatIsNotFinite) {
  const Graph model = network();
  TrainData bad = samples(60, 0);
  bad.read = [](int64_t, uint64_t, std::byte* input, std::byte* target) -> Status {
    const float nan = std::nanf("");
    for (int64_t k = 0; k < kWidth; ++k) std::memcpy(input + k * 4, &nan, 4);
    std::memset(target, 0, 8);
    return {};
  };
  const auto made = train(model, 0, trainable(model), bad, samples(9, 500), options(), {});
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.status().message().find("step 1: the samples hold numbers that are not finite"),
            std::string::npos)
      << made.status().message();
}

TEST(Train, RefusesALabelBeyondTheClasses) {
  const Graph model = network();
  TrainData bad = samples(60, 0);
  bad.read = [](int64_t, uint64_t, std::byte* input, std::byte* target) -> Status {
    std::memset(input, 0, kWidth * 4);
    const int64_t label = 3;
    std::memcpy(target, &label, sizeof(label));
    return {};
  };
  const auto made = train(model, 0, trainable(model), bad, samples(9, 500), options(), {});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().message(), "label 3 is not in [0, 3)");
}

TEST(TrainHead, TakesThePlaceOfTheLastLayer) {
  const Graph model = typed_graph(R"(graph net(x: f32[n,2,4,4]) -> (p) {
    const w1: f32[5,2,3,3] = random 1 -0.4 0.4
    const w2: f32[7,5] = random 3 -0.3 0.3
    a = Conv(x, w1) {pads=[1,1,1,1]} + Relu name "conv"
    g = GlobalAveragePool(a) name "pool"
    f = Flatten(g) name "flat"
    s = Gemm(f, w2) {transB=1} name "fc"
    p = Softmax(s) {axis=1} name "prob"
  })");
  const auto made = replace_head(model, 0, 4, 1);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_TRUE(made->softmax);
  EXPECT_EQ(made->layer, "fc");
  EXPECT_EQ(made->graph.value(made->weight).type.str(), "f32[4,5]");
  const ValueId y = made->graph.outputs[0];
  EXPECT_EQ(made->graph.value(y).name, "p");
  EXPECT_EQ(made->graph.value(y).type.str(), "f32[n,4]");
  EXPECT_EQ(last_layers(made->graph, 1).size(), 2u);
  EXPECT_EQ(last_layers(made->graph, 2).size(), 3u);
  const auto batched = with_batch(made->graph, 6);
  ASSERT_TRUE(batched.ok()) << batched.status().message();
  EXPECT_EQ(batched->value(batched->outputs[0]).type.str(), "f32[6,4]");
}

TEST(TrainHead, OfAConvolutionReadsMeansOfPixels) {
  const Graph model = typed_graph(R"(graph net(x: f32[1,2,4,4]) -> (p) {
    const w1: f32[5,2,3,3] = random 1 -0.4 0.4
    const w2: f32[7,5,1,1] = random 3 -0.3 0.3
    const shape: i64[2] = 1 7
    a = Conv(x, w1) {pads=[1,1,1,1]} + Relu name "conv"
    s = Conv(a, w2) name "classes"
    g = GlobalAveragePool(s) name "pool"
    p = Reshape(g, shape) name "flat"
  })");
  const auto made = replace_head(model, 0, 3, 1);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(made->layer, "classes");
  EXPECT_FALSE(made->softmax);
  EXPECT_EQ(made->graph.value(made->graph.outputs[0]).type.str(), "f32[1,3]");
  ASSERT_TRUE(with_batch(made->graph, 4).ok());
  // A shape written down for one sample grows with the batch.
  const auto own = with_batch(model, 4);
  ASSERT_TRUE(own.ok()) << own.status().message();
  EXPECT_EQ(own->value(own->outputs[0]).type.str(), "f32[4,7]");
}

TEST(TrainHead, SaysWhatStandsInTheWay) {
  const Graph model = typed_graph(R"(graph net(x: f32[1,6]) -> (y) {
    const w: f32[4,6] = random 1 -0.4 0.4
    a = Gemm(x, w) {transB=1} name "fc"
    y = CumSum(a, axis) name "sums"
    const axis: i64[] = 1
  })");
  const auto made = replace_head(model, 0, 3, 1);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), Code::kUnsupported);
  EXPECT_NE(made.status().message().find("found sums (CumSum)"), std::string::npos)
      << made.status().message();
}

TEST(TrainAdapters, ChangeNothingUntilTrainedAndMergeToTheSame) {
  const Graph model = network();
  Graph graph = model;
  const auto adapters = add_adapters(graph, 2, 7, {});
  ASSERT_TRUE(adapters.ok()) << adapters.status().message();
  ASSERT_EQ(adapters->size(), 2u);
  EXPECT_EQ(graph.value((*adapters)[0].a).type.str(), "f32[10,2]");
  EXPECT_EQ(graph.value((*adapters)[0].b).name, "hidden/lora_b");
  Tensor x = std::move(Tensor::allocate(DType::kF32, {8, 6})).value();
  for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = noise(i);
  const auto before = run_reference(model, std::span(&x, 1));
  const auto same = run_reference(graph, std::span(&x, 1));
  ASSERT_TRUE(before.ok() && same.ok());
  EXPECT_TRUE(identical((*before)[0], (*same)[0]));
  std::vector<ValueId> ids;
  for (const Adapter& a : *adapters) ids.insert(ids.end(), {a.a, a.b});
  const auto made = train(graph, 0, ids, samples(60, 0), samples(31, 1000), options(), {});
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_GT(made->best_score, 0.8);
  put_weights(graph, ids, made->weights);
  const auto apart = run_reference(graph, std::span(&x, 1));
  const std::string path = scratch("adapters.mnn");
  ASSERT_TRUE(write_adapters(graph, *adapters, path).ok());
  ASSERT_TRUE(merge_adapters(graph, *adapters).ok());
  EXPECT_EQ(graph.nodes.size(), model.nodes.size());
  const auto merged = run_reference(graph, std::span(&x, 1));
  ASSERT_TRUE(apart.ok() && merged.ok());
  for (int64_t i = 0; i < (*merged)[0].elements(); ++i) {
    EXPECT_NEAR((*merged)[0].data<float>()[i], (*apart)[0].data<float>()[i], 1e-5);
  }
  const auto file = read_model(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->graph.outputs.size(), 4u);
}

}  // namespace
}  // namespace mnn
