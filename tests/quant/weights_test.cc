#include "libquant/weights/weights.h"

#include <gtest/gtest.h>

#include <cmath>

#include "libruntime/core/quant.h"

namespace mnn {
namespace {

Tensor noise(std::vector<int64_t> dims) {
  Tensor t = Tensor::allocate(DType::kF32, std::move(dims)).value();
  uint64_t s = 3;
  for (int64_t i = 0; i < t.elements(); ++i) {
    s = s * 6364136223846793005ULL + 1442695040888963407ULL;
    t.data<float>()[i] = static_cast<float>(static_cast<double>(s >> 11) * 0x1p-53 - 0.5);
  }
  return t;
}

TEST(Weights, LargestOfEachChannelMapsTo127) {
  Tensor w = noise({5, 3, 3, 3});
  for (int64_t i = 0; i < 27; ++i) w.data<float>()[i] *= 100;  // one loud channel
  const QuantizedWeights q = quantize_weights(w, 0, WeightScale::kAbsMax).value();
  ASSERT_EQ(q.params.entries(), 5);
  for (int64_t c = 0; c < 5; ++c) {
    int largest = 0;
    for (int64_t i = 0; i < 27; ++i)
      largest = std::max(largest, std::abs(int{q.stored.data<int8_t>()[c * 27 + i]}));
    EXPECT_EQ(largest, 127);
  }
  EXPECT_GT(q.snr_db, 40);
}

TEST(Weights, AxisOneOfAMatMul) {
  const Tensor w = noise({7, 4});
  const QuantizedWeights q = quantize_weights(w, 1, WeightScale::kAbsMax).value();
  ASSERT_EQ(q.params.entries(), 4);
  const Tensor back = dequantize_tensor(q.stored, q.params).value();
  for (int64_t i = 0; i < w.elements(); ++i) {
    EXPECT_NEAR(back.data<float>()[i], w.data<float>()[i], q.params.scale_at(i % 4) * 0.501f);
  }
}

TEST(Weights, MseScaleIsNeverWorse) {
  Tensor w = noise({8, 64});
  w.data<float>()[5] = 30;  // an outlier that a clipped scale handles better
  const double plain = quantize_weights(w, 0, WeightScale::kAbsMax).value().snr_db;
  EXPECT_GE(quantize_weights(w, 0, WeightScale::kMse).value().snr_db, plain - 1e-9);
}

// Neighbours in the kernels' order fit, at little cost.
TEST(Weights, OverflowFix) {
  const Tensor w = noise({6, 5, 3, 3});
  const QuantizedWeights plain = quantize_weights(w, 0, WeightScale::kAbsMax).value();
  for (const WeightRuns runs : {WeightRuns{5, 9, 1}, WeightRuns{5, 9, 3}}) {
    for (const WeightScale scale : {WeightScale::kAbsMax, WeightScale::kMse}) {
      const QuantizedWeights q = quantize_weights(w, 0, scale, runs).value();
      EXPECT_TRUE(q.overflow_fix);
      for (int64_t c = 0; c < 6; ++c) {
        const int pair = largest_byte_pair(runs, q.stored.data<int8_t>() + c * 45);
        EXPECT_LE(pair, kLargestBytePair);
        EXPECT_GE(pair, kLargestBytePair - 5);
      }
      EXPECT_GT(q.snr_db, plain.snr_db - 6);
    }
  }
  // Along the columns of a matrix.
  const Tensor m = noise({8, 3});
  const QuantizedWeights q =
      quantize_weights(m, 1, WeightScale::kAbsMax, WeightRuns{8, 1, 1}).value();
  for (int64_t c = 0; c < 3; ++c) {
    int8_t column[8];
    for (int64_t k = 0; k < 8; ++k) column[k] = q.stored.data<int8_t>()[k * 3 + c];
    EXPECT_LE(largest_byte_pair(WeightRuns{8, 1, 1}, column), kLargestBytePair);
  }
  EXPECT_EQ(quantize_weights(m, 1, WeightScale::kAbsMax, WeightRuns{7, 1, 1}).status().code(),
            Code::kInternal);
}

TEST(Weights, FixChangesNothingWhereWeightsFit) {
  Tensor w = noise({4, 16});
  for (int64_t i = 0; i < w.elements(); ++i)
    if (i % 2) w.data<float>()[i] = 0;
  const WeightRuns runs{16, 1, 1};
  EXPECT_EQ(quantize_weights(w, 0, WeightScale::kAbsMax, runs).value().params,
            quantize_weights(w, 0, WeightScale::kAbsMax).value().params);
}

TEST(Weights, ZeroChannelsAndNaN) {
  Tensor w = noise({2, 4});
  for (int i = 0; i < 4; ++i) w.data<float>()[i] = 0;
  const QuantizedWeights q = quantize_weights(w, 0, WeightScale::kMse).value();
  EXPECT_GT(q.params.scale_at(0), 0);
  w.data<float>()[6] = NAN;
  EXPECT_EQ(quantize_weights(w, 0, WeightScale::kAbsMax).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace mnn
