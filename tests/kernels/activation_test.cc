#include <cmath>
#include <cstring>
#include <limits>

#include "libruntime/kernels/kernel_table.h"
#include "tests/kernels/kernel_testing.h"

namespace mnn::testing {
namespace {

double ulp_error(double want, float got) {
  const float rounded = static_cast<float>(want);
  if (std::isinf(rounded)) return rounded == got ? 0 : INFINITY;
  const float next = std::nextafterf(std::fabs(rounded), INFINITY);
  const double ulp = static_cast<double>(next) - std::fabs(rounded);
  const double e = std::fabs(want - got) / ulp;
  return std::isnan(e) ? INFINITY : e;
}

// Largest error in ULP over [low, high], in steps that are no round numbers.
double worst_ulp(UnaryF32Fn fn, const PostOp& op, double low, double high) {
  constexpr int kCount = 40009;
  std::vector<float> x(kCount), y(kCount);
  for (int i = 0; i < kCount; ++i)
    x[static_cast<size_t>(i)] = static_cast<float>(low + (high - low) * i / (kCount - 1));
  fn(x.data(), y.data(), kCount, op.a, op.b);
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i)
    worst = std::max(worst, ulp_error(activate(op, x[i]), y[i]));
  return worst;
}

TEST(Activation, ErrorsInUlp) {
  for (const auto& isa : test_isas()) {
    const KernelTable& table = **find_kernels(isa);
    const auto worst = [&table](Activation kind, double low, double high, float a = 0) {
      return worst_ulp(activation_f32(table, kind), {kind, a, 0}, low, high);
    };
    SCOPED_TRACE(isa);
    EXPECT_LT(worst(Activation::kSigmoid, -87, 87), 4);
    EXPECT_LT(worst(Activation::kTanh, -20, 20), 3);
    EXPECT_LT(worst(Activation::kSwish, -80, 80), 5);
    EXPECT_LT(worst(Activation::kGelu, -0.5, 12), 5);
    EXPECT_LT(worst(Activation::kGeluTanh, -4, 12), 20);
    EXPECT_LT(worst(Activation::kElu, -80, 10, 1), 4);
    EXPECT_LT(worst(Activation::kMish, -80, 30), 6);
    EXPECT_EQ(worst(Activation::kRelu, -5, 5), 0);
  }
}

TEST(Activation, GeluTailIsSmallInAbsoluteTerms) {
  for (const auto& isa : test_isas()) {
    const KernelTable& table = **find_kernels(isa);
    for (float x = -40; x < 0; x += 0.0137f) {
      float y;
      activation_f32(table, Activation::kGelu)(&x, &y, 1, 0, 0);
      EXPECT_NEAR(y, activate({Activation::kGelu, 0, 0}, x), 5e-7) << x;
    }
  }
}

TEST(Activation, LimitsAndNan) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kMax = std::numeric_limits<float>::max();
  for (const auto& isa : test_isas()) {
    const KernelTable& table = **find_kernels(isa);
    const auto at = [&table](Activation kind, float x) {
      float y = 42;
      activation_f32(table, kind)(&x, &y, 1, 1, 1);
      return y;
    };
    for (int i = 0; i <= static_cast<int>(Activation::kMish); ++i) {
      ASSERT_NE(table.activation_f32[i], nullptr);
      EXPECT_TRUE(std::isnan(at(static_cast<Activation>(i), NAN))) << isa << " " << i;
    }
    for (const float x : {kInf, kMax}) {
      EXPECT_EQ(at(Activation::kSigmoid, x), 1);
      EXPECT_EQ(at(Activation::kTanh, x), 1);
      EXPECT_EQ(at(Activation::kSwish, x), x);
      EXPECT_EQ(at(Activation::kGelu, x), x);
      EXPECT_EQ(at(Activation::kMish, x), x);
      EXPECT_EQ(at(Activation::kElu, x), x);
      EXPECT_EQ(at(Activation::kSigmoid, -x), 0);
      EXPECT_EQ(at(Activation::kTanh, -x), -1);
      EXPECT_EQ(at(Activation::kSwish, -x), 0);
      EXPECT_EQ(at(Activation::kGelu, -x), 0);
      EXPECT_EQ(at(Activation::kGeluTanh, -x), 0);
      EXPECT_EQ(at(Activation::kMish, -x), 0);
      EXPECT_EQ(at(Activation::kElu, -x), -1);
    }
    EXPECT_TRUE(std::signbit(at(Activation::kTanh, -0.0f)));
  }
}

TEST(Activation, EveryLengthStaysInside) {
  for (const auto& isa : test_isas()) {
    const KernelTable& table = **find_kernels(isa);
    for (size_t n = 0; n < 40; ++n) {
      const auto x = random_floats(n + 1, 3, -4, 4);
      std::vector<float> y(n + 1, 42);
      activation_f32(table, Activation::kSwish)(x.data(), y.data(), static_cast<int64_t>(n), 0, 0);
      for (size_t i = 0; i < n; ++i)
        EXPECT_NEAR(y[i], activate({Activation::kSwish, 0, 0}, x[i]), 1e-6);
      EXPECT_EQ(y[n], 42);
    }
  }
}

}  // namespace
}  // namespace mnn::testing
