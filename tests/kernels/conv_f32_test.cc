#include <cmath>

#include "tests/kernels/kernel_testing.h"

namespace mnn::testing {
namespace {

struct Case {
  int64_t n, ih, iw, ic, oc, groups, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr;
};

ConvGeometry geometry(const Case& c) {
  ConvGeometry g;
  g.n = c.n, g.ih = c.ih, g.iw = c.iw, g.ic = c.ic, g.oc = c.oc, g.groups = c.groups;
  g.kh = c.kh, g.kw = c.kw, g.stride_h = c.sh, g.stride_w = c.sw;
  g.dilation_h = c.dh, g.dilation_w = c.dw, g.pad_top = c.pt, g.pad_left = c.pl;
  g.oh = (c.ih + c.pt + c.pb - (c.kh - 1) * c.dh - 1) / c.sh + 1;
  g.ow = (c.iw + c.pl + c.pr - (c.kw - 1) * c.dw - 1) / c.sw + 1;
  return g;
}

// n ih iw ic oc groups kh kw sh sw dh dw pads
const Case kCases[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 1, 1, 37, 1001, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 1, 2, 64, 65, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 1, 3, 64, 130, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 7, 7, 19, 17, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {2, 13, 11, 64, 48, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 14, 14, 24, 40, 1, 1, 1, 2, 2, 1, 1, 0, 0, 0, 0},
    {1, 9, 9, 5, 7, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    {2, 8, 9, 3, 16, 1, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1},
    {1, 17, 23, 3, 33, 1, 7, 7, 2, 2, 1, 1, 3, 3, 3, 3},
    {1, 5, 4, 3, 8, 1, 5, 5, 1, 1, 1, 1, 2, 2, 2, 2},
    {1, 3, 3, 1, 9, 1, 5, 5, 1, 1, 1, 1, 4, 4, 4, 4},
    {1, 12, 12, 16, 24, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 21, 30, 16, 24, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {2, 22, 25, 20, 18, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 14, 17, 33, 31, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 24, 20, 32, 64, 1, 3, 3, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 23, 27, 17, 19, 1, 3, 3, 1, 1, 1, 1, 2, 0, 1, 2},
    {2, 11, 13, 20, 13, 1, 3, 3, 2, 1, 1, 1, 1, 0, 0, 2},
    {1, 12, 13, 24, 13, 1, 3, 3, 1, 1, 2, 3, 2, 3, 2, 3},
    {1, 10, 9, 8, 6, 1, 2, 4, 1, 3, 1, 2, 0, 3, 1, 1},
    {1, 1, 50, 12, 20, 1, 1, 5, 1, 2, 1, 2, 0, 4, 0, 4},
    {1, 1, 40, 2, 20, 1, 1, 9, 1, 1, 1, 1, 0, 8, 0, 0},
    {1, 10, 10, 24, 36, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 9, 8, 32, 32, 8, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
    {1, 5, 5, 6, 4, 2, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 12, 13, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    // Few output channels.
    {2, 13, 11, 17, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 12, 13, 8, 1, 1, 5, 5, 1, 1, 1, 1, 2, 2, 2, 2},
    {1, 1, 100, 1, 1, 1, 1, 37, 1, 2, 1, 1, 0, 18, 0, 18},
    {1, 9, 10, 35, 2, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 9, 11, 4, 3, 1, 9, 9, 2, 1, 1, 1, 4, 4, 4, 4},
    {1, 7, 9, 16, 3, 1, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2},
    // Depthwise.
    {1, 15, 16, 8, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {2, 14, 13, 35, 35, 35, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 14, 15, 48, 48, 48, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
    {1, 14, 14, 17, 17, 17, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1},
    {1, 13, 12, 40, 40, 40, 5, 5, 1, 1, 1, 1, 2, 2, 2, 2},
    {1, 13, 19, 33, 33, 33, 5, 5, 2, 2, 1, 1, 2, 2, 2, 2},
    {1, 7, 7, 70, 70, 70, 5, 5, 1, 1, 1, 1, 2, 2, 2, 2},
    {1, 12, 11, 16, 16, 16, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2},
    {1, 9, 29, 21, 21, 21, 3, 5, 1, 1, 1, 4, 1, 8, 1, 8},
    {1, 5, 4, 9, 9, 9, 3, 3, 1, 1, 6, 6, 6, 6, 6, 6},
    {1, 9, 14, 17, 17, 17, 3, 3, 1, 2, 2, 3, 2, 3, 2, 3},
    {1, 13, 21, 27, 27, 27, 7, 7, 1, 1, 1, 1, 3, 3, 3, 3},
    {1, 14, 15, 35, 35, 35, 7, 7, 2, 2, 1, 1, 3, 3, 2, 2},
    {1, 6, 5, 18, 18, 18, 11, 11, 1, 1, 1, 1, 5, 5, 5, 5},
    {1, 9, 10, 9, 9, 9, 7, 3, 1, 2, 1, 1, 3, 1, 2, 0},
    {1, 8, 8, 20, 20, 20, 3, 3, 1, 2, 1, 1, 1, 1, 1, 1},
    {1, 1, 30, 18, 18, 18, 1, 3, 1, 1, 1, 1, 0, 1, 0, 1},
    {1, 1, 1, 24, 24, 24, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 6, 6, 7, 14, 7, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 9, 7, 12, 36, 12, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
    {1, 5, 9, 1, 5, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
};

double worst_error(const std::vector<double>& want, const std::vector<float>& got) {
  double largest = 1e-30, error = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    largest = std::max(largest, std::fabs(want[i]));
    const double e = std::fabs(want[i] - got[i]);
    error = std::isnan(e) ? INFINITY : std::max(error, e);
  }
  return error / largest;
}

TEST(ConvF32, MatchesPlainLoops) {
  uint32_t seed = 1;
  for (const Case& c : kCases) {
    const ConvGeometry g = geometry(c);
    const auto x = random_floats(static_cast<size_t>(g.n * g.ih * g.iw * g.ic), ++seed);
    const auto w =
        random_floats(static_cast<size_t>(g.oc * (g.ic / g.groups) * g.kh * g.kw), ++seed);
    const auto bias = random_floats(static_cast<size_t>(g.oc), ++seed);
    const auto want = conv_reference(g, x, w, bias);
    for (const auto& isa : test_isas()) {
      for (const bool winograd : {false, true}) {
        std::vector<float> first;
        for (int threads = 1; threads <= 3; ++threads) {
          auto kernel = make_conv_f32(g, w.data(), bias.data(), {}, {isa, threads, winograd});
          ASSERT_TRUE(kernel.ok()) << kernel.status().message();
          std::vector<float> y(want.size(), NAN);
          run_kernel(**kernel, {x.data(), nullptr, nullptr, y.data(), nullptr}, threads == 2);
          const std::string what = describe(g) + " " + (*kernel)->name();
          const bool transformed = what.find("winograd") != std::string::npos;
          EXPECT_LT(worst_error(want, y), transformed ? 1e-4 : 1e-5) << what << " " << threads;
          if (first.empty()) first = y;
          EXPECT_TRUE(first == y) << what << " differs between 1 and " << threads << " threads";
          if (transformed) continue;
          // The same numbers with weights that come with the run.
          auto late = make_conv_f32(g, nullptr, nullptr, {}, {isa, threads, winograd});
          ASSERT_TRUE(late.ok()) << late.status().message();
          std::vector<float> z(want.size(), NAN);
          run_kernel(**late, {x.data(), w.data(), nullptr, z.data(), nullptr, bias.data()});
          EXPECT_TRUE(y == z) << what << " with run-time weights";
        }
      }
    }
  }
}

// A convolution and its transposed form of three axes, with weights of either kind.
TEST(ConvF32, ThreeDimensions) {
  struct Depth {
    int64_t id, kd, sd, dd, pf, pk;
  };
  const Case cases[] = {{1, 6, 7, 5, 9, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        {2, 5, 6, 20, 17, 1, 3, 2, 2, 1, 1, 2, 1, 0, 0, 1},
                        {1, 4, 5, 24, 36, 3, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
                        {1, 6, 5, 18, 3, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        {2, 6, 7, 19, 19, 19, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        {1, 5, 6, 6, 12, 6, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1}};
  const Depth depths[] = {{5, 3, 1, 1, 1, 1},
                          {4, 2, 2, 1, 0, 0},
                          {6, 3, 2, 2, 2, 2},
                          {3, 1, 1, 1, 0, 0},
                          {2, 1, 2, 1, 1, 0}};
  uint32_t seed = 900;
  for (const Case& c : cases)
    for (const Depth& d : depths)
      for (const bool transposed : {false, true}) {
        ConvGeometry g = geometry(c);
        g.id = d.id, g.kd = d.kd, g.stride_d = d.sd, g.dilation_d = d.dd, g.pad_front = d.pf;
        g.od = (d.id + d.pf + d.pk - (d.kd - 1) * d.dd - 1) / d.sd + 1;
        if (transposed) {
          g.od = (d.id - 1) * d.sd + (d.kd - 1) * d.dd + 1 - d.pf - d.pk;
          g.oh = (c.ih - 1) * c.sh + (c.kh - 1) * c.dh + 1 - c.pt - c.pb;
          g.ow = (c.iw - 1) * c.sw + (c.kw - 1) * c.dw + 1 - c.pl - c.pr;
        }
        const auto x = random_floats(static_cast<size_t>(g.n * g.id * g.ih * g.iw * g.ic), ++seed);
        const int64_t outputs = transposed ? g.ic : g.oc;
        const int64_t inputs = (transposed ? g.oc : g.ic) / g.groups;
        const auto w =
            random_floats(static_cast<size_t>(outputs * inputs * g.kd * g.kh * g.kw), ++seed);
        const auto bias = random_floats(static_cast<size_t>(g.oc), ++seed);
        auto want = (transposed ? conv_transpose_reference : conv_reference)(g, x, w, bias);
        const auto residual = random_floats(want.size(), ++seed);
        Epilogue e;
        e.residual = true;
        e.after.kind = Activation::kHardSwish;
        for (size_t i = 0; i < want.size(); ++i) want[i] = finish(e, want[i], residual[i]);
        const auto make = transposed ? make_conv_transpose_f32 : make_conv_f32;
        for (const auto& isa : test_isas()) {
          std::vector<float> first;
          for (const int threads : {1, 3})
            for (const bool late : {false, true}) {
              auto kernel = make(g, late ? nullptr : w.data(), late ? nullptr : bias.data(), e,
                                 {isa, threads, true});
              ASSERT_TRUE(kernel.ok()) << kernel.status().message();
              const std::string what = describe(g) + " " + (*kernel)->name();
              // The output may be the residual itself.
              std::vector<float> y = residual;
              run_kernel(**kernel, {x.data(), w.data(), y.data(), y.data(), nullptr, bias.data()},
                         threads == 3);
              EXPECT_LT(worst_error(want, y), 1e-5) << what;
              if (first.empty()) first = y;
              if (!late) {
                EXPECT_TRUE(first == y) << what << " " << threads << " threads";
              }
            }
        }
      }
}

TEST(ConvF32, EpiloguesOnEveryKernel) {
  const PostOp ops[] = {{Activation::kNone, 0, 0},        {Activation::kRelu, 0, 0},
                        {Activation::kClip, -0.5f, 0.7f}, {Activation::kLeakyRelu, 0.1f, 0},
                        {Activation::kHardSwish, 0, 0},   {Activation::kHardSigmoid, 0.2f, 0.5f},
                        {Activation::kSigmoid, 0, 0},     {Activation::kSwish, 0, 0},
                        {Activation::kTanh, 0, 0},        {Activation::kGelu, 0, 0},
                        {Activation::kGeluTanh, 0, 0},    {Activation::kElu, 0.8f, 0},
                        {Activation::kMish, 0, 0}};
  const Case cases[] = {{1, 6, 7, 9, 21, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
                        {1, 22, 21, 16, 19, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        {1, 8, 9, 19, 19, 19, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        {1, 6, 7, 18, 3, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1}};
  uint32_t seed = 100;
  for (const Case& c : cases) {
    const ConvGeometry g = geometry(c);
    const auto x = random_floats(static_cast<size_t>(g.n * g.ih * g.iw * g.ic), ++seed);
    const auto w =
        random_floats(static_cast<size_t>(g.oc * (g.ic / g.groups) * g.kh * g.kw), ++seed);
    const auto sums = conv_reference(g, x, w, {});
    const auto residual = random_floats(sums.size(), ++seed);
    for (const auto& isa : test_isas())
      for (const PostOp& op : ops)
        for (int form = 0; form < 4; ++form) {
          Epilogue e;
          e.residual = form > 0;
          if (form == 2) {
            e.before = op;
          } else {
            e.after = op;
          }
          if (form == 3) e.before = {Activation::kRelu, 0, 0};
          std::vector<double> want(sums.size());
          for (size_t i = 0; i < sums.size(); ++i) want[i] = finish(e, sums[i], residual[i]);
          auto kernel = make_conv_f32(g, w.data(), nullptr, e, {isa, 2, true});
          ASSERT_TRUE(kernel.ok()) << kernel.status().message();
          std::vector<float> y(want.size(), NAN);
          run_kernel(**kernel, {x.data(), nullptr, residual.data(), y.data(), nullptr});
          EXPECT_LT(worst_error(want, y), 1e-4)
              << (*kernel)->name() << " op " << static_cast<int>(op.kind) << " form " << form;
        }
  }
}

// Output sizes as ConvTranspose has them, with one row or column of output padding more.
TEST(ConvF32, TransposedMatchesPlainLoops) {
  const Case cases[] = {{1, 5, 6, 7, 9, 1, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0},
                        {2, 4, 3, 24, 1, 1, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0},
                        {1, 5, 7, 16, 12, 1, 4, 4, 2, 2, 1, 1, 1, 1, 1, 1},
                        {1, 6, 5, 8, 10, 2, 3, 3, 2, 1, 1, 1, 1, 0, 1, 2},
                        {1, 4, 4, 6, 6, 6, 3, 5, 3, 2, 1, 1, 1, 2, 0, 2},
                        {1, 5, 5, 5, 7, 1, 3, 3, 2, 2, 2, 3, 1, 2, 0, 1},
                        {1, 3, 4, 4, 5, 1, 1, 1, 3, 2, 1, 1, 0, 0, 0, 0},
                        {1, 1, 9, 10, 11, 1, 1, 16, 1, 8, 1, 1, 0, 4, 0, 4},
                        {1, 6, 6, 16, 20, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        // Few output channels.
                        {2, 9, 10, 17, 1, 1, 9, 9, 4, 4, 1, 1, 4, 4, 4, 4},
                        {1, 7, 6, 20, 3, 1, 4, 4, 2, 2, 1, 1, 1, 1, 1, 1},
                        {1, 5, 9, 12, 2, 1, 3, 5, 1, 3, 2, 2, 1, 3, 2, 0},
                        {1, 4, 5, 8, 4, 1, 2, 3, 3, 4, 1, 1, 0, 0, 0, 0},
                        {1, 1, 12, 9, 1, 1, 1, 8, 1, 4, 1, 1, 0, 2, 0, 2},
                        // Depthwise.
                        {2, 7, 6, 19, 19, 19, 4, 4, 2, 2, 1, 1, 1, 1, 1, 1},
                        {1, 5, 6, 24, 24, 24, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
                        {1, 6, 5, 8, 8, 8, 8, 8, 4, 4, 1, 1, 2, 2, 2, 2},
                        {1, 4, 5, 9, 9, 9, 1, 2, 2, 3, 1, 1, 0, 0, 0, 0},
                        {1, 5, 5, 9, 9, 9, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1}};
  uint32_t seed = 300;
  for (const Case& c : cases)
    for (const int64_t extra : {0, 1}) {
      ConvGeometry g = geometry(c);
      g.oh = (c.ih - 1) * c.sh + (c.kh - 1) * c.dh + 1 - c.pt - c.pb + extra;
      g.ow = (c.iw - 1) * c.sw + (c.kw - 1) * c.dw + 1 - c.pl - c.pr + extra;
      const auto x = random_floats(static_cast<size_t>(g.n * g.ih * g.iw * g.ic), ++seed);
      const auto w =
          random_floats(static_cast<size_t>(g.ic * (g.oc / g.groups) * g.kh * g.kw), ++seed);
      const auto bias = random_floats(static_cast<size_t>(g.oc), ++seed);
      auto want = conv_transpose_reference(g, x, w, bias);
      const auto residual = random_floats(want.size(), ++seed);
      Epilogue e;
      e.residual = extra > 0;
      e.after.kind = extra ? Activation::kHardSwish : Activation::kRelu;
      for (size_t i = 0; i < want.size(); ++i) want[i] = finish(e, want[i], residual[i]);
      for (const auto& isa : test_isas()) {
        std::vector<float> first;
        for (int threads = 1; threads <= 3; ++threads) {
          auto kernel = make_conv_transpose_f32(g, w.data(), bias.data(), e, {isa, threads});
          ASSERT_TRUE(kernel.ok()) << kernel.status().message();
          std::vector<float> y(want.size(), NAN);
          run_kernel(**kernel, {x.data(), nullptr, residual.data(), y.data(), nullptr});
          EXPECT_LT(worst_error(want, y), 1e-5) << describe(g) << " " << (*kernel)->name();
          if (first.empty()) first = y;
          EXPECT_TRUE(first == y) << describe(g) << " differs for " << threads << " threads";
          auto late = make_conv_transpose_f32(g, nullptr, nullptr, e, {isa, threads});
          ASSERT_TRUE(late.ok()) << late.status().message();
          std::vector<float> z(want.size(), NAN);
          run_kernel(**late, {x.data(), w.data(), residual.data(), z.data(), nullptr, bias.data()});
          EXPECT_LT(worst_error(want, z), 1e-5) << describe(g) << " with run-time weights";
          // The output may be the residual itself.
          std::vector<float> over = residual;
          if (e.residual) {
            run_kernel(**kernel, {x.data(), nullptr, over.data(), over.data(), nullptr});
            EXPECT_TRUE(first == over) << describe(g) << " in place";
          }
        }
      }
    }
}

TEST(ConvF32, ReadsAndWritesSlices) {
  for (const Case& c : {Case{1, 6, 7, 9, 11, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        Case{1, 22, 21, 16, 19, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        Case{1, 8, 9, 19, 19, 19, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        Case{2, 8, 9, 3, 10, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        Case{2, 8, 9, 3, 10, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0}}) {
    ConvGeometry g = geometry(c);
    g.x_pixel_stride = g.ic + 5;
    g.y_pixel_stride = g.oc + 3;
    const auto x = random_floats(static_cast<size_t>(g.n * g.ih * g.iw * g.x_pixel_stride), 5);
    const auto w = random_floats(static_cast<size_t>(g.oc * (g.ic / g.groups) * g.kh * g.kw), 6);
    const auto want = conv_reference(g, x, w, {});
    for (const auto& isa : test_isas()) {
      auto kernel = make_conv_f32(g, w.data(), nullptr, {}, {isa, 2, true});
      ASSERT_TRUE(kernel.ok());
      const auto pixels = static_cast<size_t>(g.n * g.oh * g.ow);
      const auto stride = static_cast<size_t>(g.y_pixel_stride), oc = static_cast<size_t>(g.oc);
      std::vector<float> y(pixels * stride, 42), dense(want.size());
      run_kernel(**kernel, {x.data(), nullptr, nullptr, y.data(), nullptr});
      for (size_t p = 0; p < pixels; ++p)
        for (size_t j = 0; j < stride; ++j) {
          if (j < oc) {
            dense[p * oc + j] = y[p * stride + j];
          } else {
            EXPECT_EQ(y[p * stride + j], 42);
          }
        }
      EXPECT_LT(worst_error(want, dense), 1e-4) << describe(g) << " " << (*kernel)->name();
    }
  }
}

TEST(ConvF32, RefusesNonsense) {
  const float w[1] = {};
  ConvGeometry g;
  g.ic = 3;
  g.groups = 2;
  EXPECT_EQ(make_conv_f32(g, w, nullptr, {}, {}).status().code(), Code::kInvalidArgument);
  g.groups = 1;
  g.stride_h = 0;
  EXPECT_EQ(make_conv_f32(g, w, nullptr, {}, {}).status().code(), Code::kInvalidArgument);
  g.stride_h = 1;
  g.ih = g.iw = g.ic = g.n = 1 << 30;
  EXPECT_EQ(make_conv_f32(g, w, nullptr, {}, {}).status().code(), Code::kLimit);
  EXPECT_EQ(make_conv_f32({}, w, nullptr, {}, {"mmx", 1, true}).status().code(), Code::kUsage);
}

}  // namespace
}  // namespace mnn::testing
