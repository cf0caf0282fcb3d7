// Weights in few bits: what the codes stand for, how good they are, and that nothing else decides
// them.
#include <gtest/gtest.h>

#include <random>

#include "libquant/weights/gptq.h"
#include "libquant/weights/low_rank.h"
#include "libruntime/core/quant.h"

namespace mnn {
namespace {

Tensor random_weights(const std::vector<int64_t>& dims, unsigned seed) {
  Tensor t = *Tensor::allocate(DType::kF32, dims);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.01f, 0.05f);
  for (int64_t i = 0; i < t.elements(); ++i) t.data<float>()[i] = normal(random);
  return t;
}

GroupFormat format_of(int bits, int64_t group, bool symmetric, int axis, int channel_axis) {
  GroupFormat f;
  f.bits = bits;
  f.group = group;
  f.symmetric = symmetric;
  f.axis = axis;
  f.channel_axis = channel_axis;
  return f;
}

GroupCodes encode(const Tensor& w, const GroupFormat& f, GroupFit fit, int threads = 2,
                  std::span<const float> importance = {}) {
  ThreadPool pool(threads);
  auto codes = encode_groups(w, f, fit, importance, pool);
  EXPECT_TRUE(codes.ok()) << codes.status().message();
  return codes.ok() ? std::move(codes).value() : GroupCodes();
}

TEST(GroupCodes, EveryWidthRoundsToItsGrid) {
  for (const int bits : {8, 6, 4, 3, 2}) {
    for (const bool symmetric : {false, true}) {
      for (const int64_t group : {int64_t{0}, int64_t{16}, int64_t{32}}) {
        SCOPED_TRACE(std::to_string(bits) + " bits, group " + std::to_string(group));
        const Tensor w = random_weights({70, 24}, 3);  // the last group is short
        const GroupFormat f = format_of(bits, group, symmetric, 0, 1);
        const GroupCodes codes = encode(w, f, GroupFit::kRound);
        ASSERT_TRUE(check_quant(codes.params, tensor_type(DType::kF32, {70, 24})).ok());
        EXPECT_EQ(dtype_bits(codes.stored.dtype()), bits);
        EXPECT_EQ(codes.params.zero_point.defined(), !symmetric || bits == 6 || bits == 3);
        const Tensor back = *dequantize_tensor(codes.stored, codes.params);
        // Half a step everywhere and what f16 rounds off the scale, but for the end that symmetric
        // codes leave out.
        for (int64_t k = 0; k < 70; ++k) {
          for (int64_t n = 0; n < 24; ++n) {
            const int64_t entry = group == 0 ? n : k / group * 24 + n;
            const float step = std::abs(codes.params.scale_at(entry));
            const float d = std::abs(w.data<float>()[k * 24 + n] - back.data<float>()[k * 24 + n]);
            ASSERT_LE(d, (symmetric || bits == 2 ? 1.01f : 0.65f) * step + 1e-6f) << k << " " << n;
          }
        }
        const GroupCodes searched = encode(w, f, GroupFit::kSearch);
        EXPECT_LE(searched.error.error_squared, codes.error.error_squared);
        const double snr = metrics_of(searched.error).snr_db;
        EXPECT_GT(snr, (group == 0 ? 5.0 : 6.3) * bits - 8);
      }
    }
  }
}

TEST(GroupCodes, GroupsLieAlongAnyAxis) {
  const Tensor w = random_weights({3, 48, 5}, 4);
  for (const int axis : {0, 1, 2}) {
    const GroupCodes codes =
        encode(w, format_of(4, 16, false, axis, axis == 0 ? 1 : 0), GroupFit::kSearch);
    std::vector<int64_t> dims = w.dims();
    dims[static_cast<size_t>(axis)] = (dims[static_cast<size_t>(axis)] + 15) / 16;
    EXPECT_EQ(codes.params.scale.dims(), dims);
    EXPECT_GT(metrics_of(codes.error).snr_db, 18);
  }
}

TEST(GroupCodes, ThreadsDecideNothing) {
  const Tensor w = random_weights({256, 40}, 5);
  const GroupFormat f = format_of(4, 32, false, 0, 1);
  const GroupCodes one = encode(w, f, GroupFit::kSearch, 1),
                   three = encode(w, f, GroupFit::kSearch, 3);
  EXPECT_TRUE(identical(one.stored, three.stored));
  EXPECT_TRUE(one.params == three.params);
}

TEST(GroupCodes, WhatCountsIsKeptCloser) {
  const Tensor w = random_weights({64, 8}, 6);
  std::vector<float> importance(64, 0.01f);
  for (size_t k = 0; k < 64; k += 8) importance[k] = 10;
  const GroupFormat f = format_of(2, 32, false, 0, 1);
  const auto error = [&](const GroupCodes& codes) {
    const Tensor back = *dequantize_tensor(codes.stored, codes.params);
    double sum = 0;
    for (int64_t i = 0; i < w.elements(); i += 8 * 8) {
      for (int64_t n = 0; n < 8; ++n) {
        const auto d = static_cast<double>(w.data<float>()[i + n] - back.data<float>()[i + n]);
        sum += d * d;
      }
    }
    return sum;
  };
  EXPECT_LT(error(encode(w, f, GroupFit::kSearch, 2, importance)),
            0.6 * error(encode(w, f, GroupFit::kSearch)));
}

TEST(GroupCodes, OddWeights) {
  // Zeros have an exact code, small weights f32 scales, and one sign only costs no more than half.
  const Tensor zeros = *Tensor::allocate(DType::kF32, {64, 2});
  for (const bool symmetric : {false, true}) {
    const GroupCodes codes = encode(zeros, format_of(4, 32, symmetric, 0, 1), GroupFit::kSearch);
    EXPECT_EQ(codes.error.error_squared, 0);
  }
  Tensor small = random_weights({64, 2}, 7);
  for (int64_t i = 0; i < small.elements(); ++i) small.data<float>()[i] *= 1e-5f;
  const GroupCodes codes = encode(small, format_of(4, 32, false, 0, 1), GroupFit::kSearch);
  EXPECT_EQ(codes.params.scale.dtype(), DType::kF32);
  EXPECT_GT(metrics_of(codes.error).snr_db, 18);
  ThreadPool pool(1);
  Tensor bad = random_weights({64, 2}, 8);
  bad.data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  const GroupFormat f = format_of(4, 32, false, 0, 1);
  EXPECT_EQ(encode_groups(bad, f, GroupFit::kRound, {}, pool).status().code(),
            Code::kInvalidArgument);
  for (const GroupFormat& wrong : {format_of(5, 32, false, 0, 1), format_of(4, 8, false, 0, 1),
                                   format_of(4, 512, false, 0, 1)}) {
    EXPECT_EQ(encode_groups(small, wrong, GroupFit::kRound, {}, pool).status().code(),
              Code::kUsage);
  }
}

// Inputs that go together, as activations do.
Gram gram_of(int64_t inputs, int64_t rows, bool dead) {
  Tensor x = *Tensor::allocate(DType::kF32, {rows, inputs});
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  for (int64_t r = 0; r < rows; ++r) {
    float shared = normal(random);
    for (int64_t i = 0; i < inputs; ++i) {
      shared = 0.8f * shared + 0.6f * normal(random);
      x.data<float>()[r * inputs + i] = dead && i % 5 == 0 ? 0 : shared;
    }
  }
  ThreadPool pool(2);
  Gram gram(inputs);
  gram.add(x, -1, pool);
  return gram;
}

TEST(Gptq, MakesUpForWhatRoundingDid) {
  ThreadPool pool(2);
  for (const bool dead : {false, true}) {
    const Gram gram = gram_of(64, 400, dead);
    for (const bool transposed : {false, true}) {
      const Tensor w = random_weights(
          transposed ? std::vector<int64_t>{24, 64} : std::vector<int64_t>{64, 24}, 10);
      for (const int64_t group : {int64_t{0}, int64_t{32}}) {
        const GroupFormat f = format_of(3, group, false, transposed ? 1 : 0, transposed ? 0 : 1);
        const auto searched = encode_groups(w, f, GroupFit::kSearch, {}, pool);
        const auto made = encode_gptq(w, f, gram, pool);
        ASSERT_TRUE(searched.ok() && made.ok()) << made.status().message();
        ASSERT_TRUE(check_quant(made->params, tensor_type(DType::kF32, to_shape(w.dims()))).ok());
        const double before = *output_error(w, f, *searched, gram, pool),
                     after = *output_error(w, f, *made, gram, pool);
        EXPECT_LT(after, 0.6 * before) << dead << transposed << group;
        ThreadPool other(3);
        const auto again = encode_gptq(w, f, gram, other);
        ASSERT_TRUE(again.ok());
        EXPECT_TRUE(identical(made->stored, again->stored));
        EXPECT_TRUE(made->params == again->params);
      }
    }
  }
}

TEST(Gptq, RowsLieAlongAnyAxis) {
  ThreadPool pool(2);
  const Tensor x = random_weights({2, 16, 7}, 11);
  Gram middle(16), last(16);
  middle.add(x, 1, pool);
  Tensor moved = *Tensor::allocate(DType::kF32, {2, 7, 16});
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t c = 0; c < 16; ++c) {
      for (int64_t p = 0; p < 7; ++p)
        moved.data<float>()[(n * 7 + p) * 16 + c] = x.data<float>()[(n * 16 + c) * 7 + p];
    }
  }
  last.add(moved, -1, pool);
  for (int64_t i = 0; i < 16; ++i) {
    for (int64_t j = 0; j < 16; ++j) EXPECT_DOUBLE_EQ(middle.at(i, j), last.at(i, j));
  }
  EXPECT_TRUE(is_matrix({32, 16, 1, 1}, format_of(4, 16, false, 1, 0)));
  EXPECT_FALSE(is_matrix({32, 16, 3, 3}, format_of(4, 16, false, 1, 0)));
}

// tr(D^T G D) of D = M - A B.
double weighed_error(std::span<const double> m, const LowRank& p, const Gram& gram,
                     int64_t outputs) {
  double sum = 0;
  const int64_t inputs = gram.size();
  for (int64_t n = 0; n < outputs; ++n) {
    std::vector<double> d(static_cast<size_t>(inputs));
    for (int64_t k = 0; k < inputs; ++k) {
      double v = m[static_cast<size_t>(k * outputs + n)];
      for (int64_t r = 0; r < p.rank; ++r)
        v -= p.a[static_cast<size_t>(k * p.rank + r)] * p.b[static_cast<size_t>(r * outputs + n)];
      d[static_cast<size_t>(k)] = v;
    }
    for (int64_t i = 0; i < inputs; ++i) {
      for (int64_t j = 0; j < inputs; ++j)
        sum += d[static_cast<size_t>(i)] * gram.at(i, j) * d[static_cast<size_t>(j)];
    }
  }
  return sum;
}

TEST(LowRank, FindsWhatAMatrixIsMadeOf) {
  ThreadPool pool(2), other(3);
  constexpr int64_t kInputs = 40, kOutputs = 25;
  // A product of rank 5, and noise of a thousandth.
  const Tensor a = random_weights({kInputs, 5}, 1), b = random_weights({5, kOutputs}, 2),
               noise = random_weights({kInputs, kOutputs}, 3);
  std::vector<double> m;
  for (int64_t k = 0; k < kInputs; ++k) {
    for (int64_t n = 0; n < kOutputs; ++n) {
      double v = 1e-5 * static_cast<double>(noise.data<float>()[k * kOutputs + n]);
      for (int64_t r = 0; r < 5; ++r)
        v += static_cast<double>(a.data<float>()[k * 5 + r]) *
             static_cast<double>(b.data<float>()[r * kOutputs + n]);
      m.push_back(v);
    }
  }
  const Gram gram = gram_of(kInputs, 300, false);
  const LowRank none{0, {}, {}};
  const double all = weighed_error(m, none, gram, kOutputs);
  double before = all;
  for (const int64_t rank : {1, 3, 5}) {
    const auto plain = low_rank_of(m, kInputs, kOutputs, nullptr, rank, pool);
    const auto weighed = low_rank_of(m, kInputs, kOutputs, &gram, rank, pool);
    ASSERT_TRUE(plain.ok() && weighed.ok()) << weighed.status().message();
    EXPECT_EQ(weighed->rank, rank);
    const double error = weighed_error(m, *weighed, gram, kOutputs);
    EXPECT_LT(error, before);
    before = error;
    // What the inputs are like counts, as far as there is something to choose.
    if (rank < 5) {
      EXPECT_LT(error, weighed_error(m, *plain, gram, kOutputs));
    }
    if (rank == 5) {
      EXPECT_LT(error, 1e-5 * all);
    }
    const auto again = low_rank_of(m, kInputs, kOutputs, &gram, rank, other);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(weighed->a, again->a);
    EXPECT_EQ(weighed->b, again->b);
  }
  // More than there is.
  const auto full = low_rank_of(m, kInputs, kOutputs, &gram, 64, pool);
  ASSERT_TRUE(full.ok());
  EXPECT_EQ(full->rank, kOutputs);
  EXPECT_LT(weighed_error(m, *full, gram, kOutputs), 1e-12 * all);
  const std::vector<double> zeros(m.size(), 0.0);
  const auto nothing = low_rank_of(zeros, kInputs, kOutputs, &gram, 4, pool);
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(weighed_error(zeros, *nothing, gram, kOutputs), 0);
}

}  // namespace
}  // namespace mnn
