// int8 kernels must give the bytes of the formula in conv.h, written down here once more.
#include <cmath>
#include <cstring>

#include "tests/kernels/kernel_testing.h"

namespace mnn::testing {
namespace {

struct Case {
  int64_t n, ih, iw, ic, oc, groups, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr;
};

const Case kCases[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 1, 1, 37, 101, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 1, 2, 64, 65, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 7, 7, 19, 17, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {2, 13, 11, 64, 48, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 14, 14, 24, 40, 1, 1, 1, 2, 2, 1, 1, 0, 0, 0, 0},
    {1, 15, 15, 10, 9, 1, 1, 1, 3, 2, 1, 1, 0, 0, 0, 0},
    {1, 9, 9, 5, 7, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 9, 9, 8, 7, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1},
    {2, 8, 9, 3, 16, 1, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1},
    {1, 17, 23, 3, 33, 1, 7, 7, 2, 2, 1, 1, 3, 3, 3, 3},
    {1, 3, 3, 1, 9, 1, 5, 5, 1, 1, 1, 1, 4, 4, 4, 4},
    {1, 22, 25, 20, 18, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 70, 40, 64, 64, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 14, 17, 130, 200, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    // 3x3 of stride 1 is Winograd where that pays: both tiles, ragged edges, few channels.
    {1, 24, 24, 64, 40, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {2, 9, 14, 35, 26, 1, 3, 3, 1, 1, 1, 1, 0, 2, 1, 0},
    {1, 7, 7, 96, 72, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 30, 5, 9, 24, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {3, 2, 2, 33, 17, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {2, 11, 13, 20, 13, 1, 3, 3, 2, 1, 1, 1, 1, 0, 0, 2},
    {1, 12, 13, 24, 13, 1, 3, 3, 1, 1, 2, 3, 2, 3, 2, 3},
    {1, 10, 9, 8, 6, 1, 2, 4, 1, 3, 1, 2, 0, 3, 1, 1},
    {1, 1, 50, 12, 20, 1, 1, 5, 1, 2, 1, 2, 0, 4, 0, 4},
    {1, 10, 10, 24, 36, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 9, 8, 30, 30, 10, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
    {1, 5, 5, 6, 4, 2, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    // Depthwise.
    {1, 15, 16, 8, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {2, 14, 13, 35, 35, 35, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 14, 15, 96, 96, 96, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
    {1, 13, 12, 40, 40, 40, 5, 5, 1, 1, 1, 1, 2, 2, 2, 2},
    {1, 13, 19, 33, 33, 33, 5, 5, 2, 2, 1, 1, 2, 2, 2, 2},
    {1, 7, 7, 130, 130, 130, 5, 5, 1, 1, 1, 1, 2, 2, 2, 2},
    {1, 12, 11, 16, 16, 16, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2},
    {1, 9, 10, 9, 9, 9, 7, 3, 1, 2, 1, 1, 3, 1, 2, 0},
    {1, 1, 30, 18, 18, 18, 1, 3, 1, 1, 1, 1, 0, 1, 0, 1},
    {1, 9, 7, 12, 36, 12, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
    {1, 14, 9, 72, 72, 72, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 9, 9, 72, 72, 72, 5, 5, 1, 1, 1, 1, 2, 2, 2, 2},
    // Few rows fit into the ring; kernel rows outside at both ends, and all of them; rows that no
    // kernel reads.
    {2, 23, 110, 50, 50, 50, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 40, 61, 64, 64, 64, 5, 5, 1, 2, 3, 1, 6, 2, 6, 2},
    {2, 2, 40, 20, 20, 20, 5, 5, 2, 1, 1, 1, 2, 2, 2, 2},
    {1, 3, 9, 4, 4, 4, 3, 3, 1, 1, 1, 1, 4, 1, 4, 1},
    {1, 20, 100, 34, 34, 34, 2, 2, 5, 3, 2, 1, 0, 0, 0, 0},
    {1, 1, 1, 24, 24, 24, 4, 4, 1, 1, 1, 1, 2, 2, 1, 1},
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

struct Problem {
  ConvGeometry g;
  std::vector<uint8_t> x, residual_u8;
  std::vector<int8_t> w;
  std::vector<float> bias, weight_scales, in_scales, residual_f32;
  std::vector<float> out_scales;
  std::vector<int> in_zeros, out_zeros;
  ConvQuant quant;
  Epilogue epilogue;
};

Problem make_problem(const Case& c, uint32_t seed, bool per_channel_input) {
  Problem p;
  p.g = geometry(c);
  const ConvGeometry& g = p.g;
  const auto outputs = static_cast<size_t>(g.n * g.oh * g.ow * g.oc);
  const int64_t depth = g.ic / g.groups * g.kh * g.kw;
  p.x = random_u8(static_cast<size_t>(g.n * g.ih * g.iw * g.ic), seed);
  p.w = random_s8(static_cast<size_t>(g.oc * depth), seed + 1, -128, 127);
  p.w[0] = -128;
  p.bias = random_floats(static_cast<size_t>(g.oc), seed + 2, -2, 2);
  p.weight_scales = random_floats(static_cast<size_t>(g.oc), seed + 3, 0.001f, 0.01f);
  p.residual_u8 = random_u8(outputs, seed + 4);
  p.residual_f32 = random_floats(outputs, seed + 5, -3, 3);
  p.quant.in = {0.037f, static_cast<int>(seed * 37 % 256)};
  if (per_channel_input) {
    p.in_scales = random_floats(static_cast<size_t>(g.ic), seed + 6, 0.01f, 0.05f);
    for (const uint8_t z : random_u8(static_cast<size_t>(g.ic), seed + 7)) p.in_zeros.push_back(z);
    p.quant.in_scales = p.in_scales.data();
    p.quant.in_zero_points = p.in_zeros.data();
  }
  p.quant.weight_scales = p.weight_scales.data();
  p.quant.residual = {0.021f, 131};
  // About the spread of the sums, so that some saturate and most do not.
  p.quant.out = QuantU8{0.037f * 0.006f * 75 * 75 * std::sqrt(static_cast<float>(depth)) / 60, 119};
  return p;
}

// One output grid per channel, some of them so fine that values saturate.
void set_output_grids(Problem& p, uint32_t seed) {
  p.out_scales = random_floats(static_cast<size_t>(p.g.oc), seed, 0.3f * p.quant.out->scale,
                               2 * p.quant.out->scale);
  p.out_zeros.clear();
  for (const uint8_t z : random_u8(static_cast<size_t>(p.g.oc), seed + 1)) p.out_zeros.push_back(z);
  p.quant.out_scales = p.out_scales.data();
  p.quant.out_zero_points = p.out_zeros.data();
}

float simple(const PostOp& op, float v) {
  switch (op.kind) {
    case Activation::kRelu: return v < 0 ? 0 : v;
    case Activation::kClip: return std::min(op.b, std::max(op.a, v));
    case Activation::kLeakyRelu: return v < 0 ? v * op.a : v;
    case Activation::kHardSigmoid: return std::min(1.0f, std::max(0.0f, v * op.a + op.b));
    case Activation::kHardSwish: return v * std::min(1.0f, std::max(0.0f, v * (1.0f / 6) + 0.5f));
    default: return v;
  }
}

// The values before they are made bytes.
std::vector<float> reference(const Problem& p) {
  const ConvGeometry& g = p.g;
  const int64_t icg = g.ic / g.groups, ocg = g.oc / g.groups;
  std::vector<float> y;
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t oy = 0; oy < g.oh; ++oy)
      for (int64_t ox = 0; ox < g.ow; ++ox)
        for (int64_t o = 0; o < g.oc; ++o) {
          int32_t sum = 0;
          const int64_t c0 = o / ocg * icg;
          for (int64_t ky = 0; ky < g.kh; ++ky)
            for (int64_t kx = 0; kx < g.kw; ++kx) {
              const int64_t iy = oy * g.stride_h - g.pad_top + ky * g.dilation_h;
              const int64_t ix = ox * g.stride_w - g.pad_left + kx * g.dilation_w;
              if (iy < 0 || iy >= g.ih || ix < 0 || ix >= g.iw) continue;
              for (int64_t c = 0; c < icg; ++c) {
                const int zero = p.in_zeros.empty() ? p.quant.in.zero_point
                                                    : p.in_zeros[static_cast<size_t>(c0 + c)];
                const auto at = static_cast<size_t>(((n * g.ih + iy) * g.iw + ix) * g.ic + c0 + c);
                sum += (p.x[at] - zero) *
                       p.w[static_cast<size_t>(((o * icg + c) * g.kh + ky) * g.kw + kx)];
              }
            }
          const auto oi = static_cast<size_t>(o);
          const float in_scale =
              p.in_scales.empty() ? p.quant.in.scale : p.in_scales[static_cast<size_t>(c0)];
          float v = static_cast<float>(sum) * (in_scale * p.weight_scales[oi]) + p.bias[oi];
          v = simple(p.epilogue.before, v);
          if (p.epilogue.residual) {
            const size_t at = y.size();
            v += p.quant.residual_type == ResidualType::kF32
                     ? p.residual_f32[at]
                     : static_cast<float>(p.residual_u8[at] - p.quant.residual.zero_point) *
                           p.quant.residual.scale;
          }
          y.push_back(simple(p.epilogue.after, v));
        }
  return y;
}

uint8_t to_byte(float v, const QuantU8& q) {
  const float scaled = v * (1.0f / q.scale);
  const float zero = static_cast<float>(q.zero_point);
  return static_cast<uint8_t>(
      static_cast<int>(std::nearbyintf(std::min(255 - zero, std::max(-zero, scaled)))) +
      q.zero_point);
}

// Compares every instruction set and part count with the reference, byte for byte.
void check(const Problem& p) {
  const auto real = reference(p);
  std::vector<uint8_t> want;
  for (size_t i = 0; p.quant.out && i < real.size(); ++i) {
    const size_t o = i % static_cast<size_t>(p.g.oc);
    want.push_back(to_byte(
        real[i], p.out_scales.empty() ? *p.quant.out : QuantU8{p.out_scales[o], p.out_zeros[o]}));
  }
  const void* residual = p.quant.residual_type == ResidualType::kF32
                             ? static_cast<const void*>(p.residual_f32.data())
                             : p.residual_u8.data();
  for (const auto& isa : test_isas())
    for (int threads = 1; threads <= 3; ++threads) {
      auto kernel =
          make_conv_int8(p.g, p.w.data(), p.bias.data(), p.quant, p.epilogue, {isa, threads});
      ASSERT_TRUE(kernel.ok()) << kernel.status().message();
      const std::string what = describe(p.g) + " " + (*kernel)->name();
      if (p.quant.out) {
        std::vector<uint8_t> y(real.size() + 1, 0xa5);
        run_kernel(**kernel, {p.x.data(), nullptr, residual, y.data(), nullptr}, threads == 2);
        EXPECT_EQ(std::memcmp(want.data(), y.data(), want.size()), 0) << what;
        EXPECT_EQ(y.back(), 0xa5) << what;
      } else {
        std::vector<float> y(real.size(), NAN);
        run_kernel(**kernel, {p.x.data(), nullptr, residual, y.data(), nullptr}, threads == 2);
        EXPECT_EQ(std::memcmp(real.data(), y.data(), real.size() * sizeof(float)), 0) << what;
      }
    }
}

TEST(ConvInt8, BytesAreThoseOfTheFormula) {
  uint32_t seed = 1;
  for (const Case& c : kCases) {
    Problem p = make_problem(c, ++seed * 10, false);
    check(p);
    p.epilogue.after = {Activation::kRelu, 0, 0};
    check(p);
    p.epilogue.after = {};
    set_output_grids(p, seed + 100);
    check(p);
    p.quant.out.reset();
    check(p);
    if (p.g.groups == p.g.ic && p.g.ic > 1) check(make_problem(c, ++seed * 10, true));
  }
}

std::string direct_form(const Problem& p, const std::string& isa) {
  KernelOptions options{isa, 1};
  options.winograd = false;
  const auto kernel = make_conv_int8(p.g, p.w.data(), p.bias.data(), p.quant, p.epilogue, options);
  return kernel.ok() ? (*kernel)->name() : kernel.status().message();
}

// Sets without VNNI multiply bytes when neighbouring weights leave int16 sums room, and int16 when
// they do not: the greatest sums that fit, and one more.
TEST(ConvInt8, ByteProductsByPairs) {
  uint32_t seed = 900;
  for (const Case& c : kCases) {
    if (c.groups == c.ic && c.ic > 1) continue;
    Problem p = make_problem(c, ++seed, false);
    for (int8_t& w : p.w) w = static_cast<int8_t>(w / 2);
    check(p);
    const auto all_bytes = [&] {
      for (const std::string& isa : test_isas())
        EXPECT_EQ(direct_form(p, isa), "conv_int8_bytes_" + isa);
    };
    all_bytes();
    std::fill(p.x.begin(), p.x.end(), uint8_t{255});
    for (const int8_t w : {64, -64}) {
      std::fill(p.w.begin(), p.w.end(), w);
      all_bytes();
      check(p);
    }
    if (p.g.ic / p.g.groups < 2) continue;
    // Neighbours are channels of one tap.
    p.w[static_cast<size_t>(p.g.kh * p.g.kw)] = -65;
    check(p);
    for (const std::string& isa : test_isas()) {
      const bool vnni = isa.find("vnni") != std::string::npos;
      EXPECT_EQ(direct_form(p, isa), (vnni ? "conv_int8_bytes_" : "conv_int8_words_") + isa);
    }
  }
}

// Weights and inputs at their ends: the sums of F(4x4) fit up to 113 channels, those of F(2x2) far
// beyond.
TEST(ConvInt8, WinogradWithTheGreatestSums) {
  for (const int64_t channels : {112, 144}) {
    Problem p = make_problem({1, 24, 24, channels, 48, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, 3, false);
    p.quant.in.zero_point = 0;
    for (size_t i = 0; i < p.x.size(); ++i) p.x[i] = i % 7 < 5 ? 255 : 0;
    for (int8_t& w : p.w) w = w < 0 && w > -64 ? -127 : 127;
    p.quant.out.reset();
    check(p);
    p.quant.in.zero_point = 255;
    for (int8_t& w : p.w) w = 127;
    check(p);
    for (const std::string& isa : test_isas()) {
      const auto kernel = make_conv_int8(p.g, p.w.data(), nullptr, p.quant, {}, {isa, 1});
      ASSERT_TRUE(kernel.ok());
      const std::string name = (*kernel)->name();
      const bool bytes = isa.find("vnni") != std::string::npos;
      const std::string form = bytes ? "bytes" : channels == 112 ? "winograd4" : "winograd2";
      EXPECT_EQ(name, "conv_int8_" + form + "_" + isa);
    }
    KernelOptions direct;
    direct.winograd = false;
    const auto kernel = make_conv_int8(p.g, p.w.data(), nullptr, p.quant, {}, direct);
    EXPECT_EQ(std::string((*kernel)->name()).find("winograd"), std::string::npos);
  }
}

TEST(ConvInt8, EpiloguesOnEveryKernel) {
  const PostOp ops[] = {{Activation::kNone, 0, 0},      {Activation::kClip, -1.5f, 2.25f},
                        {Activation::kClip, 0, 1e30f},  {Activation::kLeakyRelu, 0.1f, 0},
                        {Activation::kHardSwish, 0, 0}, {Activation::kHardSigmoid, 0.2f, 0.5f}};
  const Case cases[] = {{1, 6, 7, 9, 37, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
                        {1, 7, 8, 8, 32, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        {1, 7, 8, 8, 32, 1, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1},
                        {1, 8, 9, 83, 83, 83, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1}};
  uint32_t seed = 500;
  for (const Case& c : cases)
    for (const PostOp& op : ops)
      for (int form = 0; form < 6; ++form)
        for (const bool bytes : {true, false}) {
          Problem p = make_problem(c, ++seed, false);
          p.epilogue.residual = form >= 2;
          (form % 2 != 0 ? p.epilogue.before : p.epilogue.after) = op;
          if (form == 3) p.epilogue.after = {Activation::kRelu, 0, 0};
          if (form == 4) p.quant.residual_type = ResidualType::kF32;
          if (!bytes) p.quant.out.reset();
          check(p);
          if (!bytes) continue;
          set_output_grids(p, seed + 100);
          check(p);
        }
}

// Clamps that end where the bytes do, and a little before.
TEST(ConvInt8, ClampsAroundTheEndsOfTheGrid) {
  for (const Case& c : {Case{1, 6, 7, 9, 37, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
                        Case{1, 8, 9, 83, 83, 83, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1}})
    for (const float low : {-0.4f, 0.4f, 0.6f})
      for (const float high : {254.4f, 254.6f, 256.0f}) {
        Problem p = make_problem(c, 91, false);
        const float zero = static_cast<float>(p.quant.out->zero_point);
        p.quant.out->scale *= 0.3f;
        const float scale = p.quant.out->scale;
        p.epilogue.after = {Activation::kClip, (low - zero) * scale, (high - zero) * scale};
        check(p);
      }
}

// Within rounding: one step of the grid at most, and seldom that.
TEST(ConvInt8, AnyActivation) {
  for (const Case& c : {Case{1, 6, 7, 9, 37, 1, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1},
                        Case{1, 16, 17, 16, 37, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        Case{1, 6, 7, 21, 21, 21, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1}})
    for (const Activation kind : {Activation::kSigmoid, Activation::kSwish, Activation::kTanh,
                                  Activation::kGelu, Activation::kElu, Activation::kMish}) {
      Problem p = make_problem(c, 7, false);
      const auto real = reference(p);
      Epilogue e;
      e.after = {kind, 0.5f, 0};
      const QuantU8 grid = {0.02f, 20};
      for (const auto& isa : test_isas())
        for (const bool bytes : {false, true}) {
          p.quant.out = bytes ? std::optional<QuantU8>(grid) : std::nullopt;
          auto kernel = make_conv_int8(p.g, p.w.data(), p.bias.data(), p.quant, e, {isa, 2});
          ASSERT_TRUE(kernel.ok()) << kernel.status().message();
          std::vector<float> y(real.size(), NAN);
          run_kernel(**kernel, {p.x.data(), nullptr, nullptr, y.data(), nullptr});
          size_t off = 0;
          for (size_t i = 0; i < real.size(); ++i) {
            const double want = activate(e.after, real[i]);
            if (!bytes) {
              ASSERT_NEAR(y[i], want, 1e-5 + 1e-5 * std::fabs(real[i])) << (*kernel)->name();
              continue;
            }
            const int stored = reinterpret_cast<const uint8_t*>(y.data())[i];
            const int step = std::abs(stored - to_byte(static_cast<float>(want), grid));
            ASSERT_LE(step, 1) << (*kernel)->name();
            off += step != 0 ? 1 : 0;
          }
          EXPECT_LE(off, real.size() / 100 + 1) << (*kernel)->name();
        }
    }
}

TEST(ConvInt8, ReadsAndWritesSlices) {
  for (const Case& c : {Case{1, 6, 7, 12, 21, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
                        Case{2, 6, 7, 12, 21, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
                        Case{2, 6, 7, 21, 21, 21, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1}}) {
    Problem p = make_problem(c, 77, false);
    const auto real = reference(p);
    const auto ic = static_cast<size_t>(p.g.ic), oc = static_cast<size_t>(p.g.oc);
    const size_t xs = ic + 3, ys = oc + 2, pixels = real.size() / oc;
    std::vector<uint8_t> x(p.x.size() / ic * xs, 99);
    for (size_t i = 0; i < p.x.size(); ++i) x[i / ic * xs + i % ic] = p.x[i];
    p.g.x_pixel_stride = static_cast<int64_t>(xs);
    p.g.y_pixel_stride = static_cast<int64_t>(ys);
    for (const auto& isa : test_isas()) {
      auto kernel = make_conv_int8(p.g, p.w.data(), p.bias.data(), p.quant, {}, {isa, 2});
      ASSERT_TRUE(kernel.ok()) << kernel.status().message();
      std::vector<uint8_t> y(pixels * ys, 0xa5);
      run_kernel(**kernel, {x.data(), nullptr, nullptr, y.data(), nullptr});
      for (size_t i = 0; i < y.size(); ++i) {
        const size_t pixel = i / ys, o = i % ys;
        const uint8_t want = o < oc ? to_byte(real[pixel * oc + o], *p.quant.out) : 0xa5;
        ASSERT_EQ(y[i], want) << (*kernel)->name() << " at " << i;
      }
    }
  }
}

TEST(GemmInt8, IsThePointwiseConvolution) {
  Problem p = make_problem({1, 1, 29, 33, 47, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, 9, false);
  const auto real = reference(p);
  GemmGeometry g;
  g.m = 29, g.k = 33, g.n = 47;
  std::vector<int8_t> b(p.w.size());
  for (size_t n = 0; n < 47; ++n)
    for (size_t k = 0; k < 33; ++k) b[k * 47 + n] = p.w[n * 33 + k];
  for (const auto& isa : test_isas())
    for (const bool transposed : {false, true}) {
      g.b_transposed = transposed;
      auto kernel = make_gemm_int8(g, transposed ? p.w.data() : b.data(), p.bias.data(), p.quant,
                                   {}, {isa, 2});
      ASSERT_TRUE(kernel.ok()) << kernel.status().message();
      std::vector<uint8_t> y(real.size());
      run_kernel(**kernel, {p.x.data(), nullptr, nullptr, y.data(), nullptr});
      for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], to_byte(real[i], *p.quant.out));
    }
}

TEST(ConvInt8, RefusesWhatItCannotDo) {
  Problem p = make_problem({1, 4, 4, 4, 4, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, 3, false);
  const auto code = [&p](const ConvQuant& q, const Epilogue& e) {
    return make_conv_int8(p.g, p.w.data(), nullptr, q, e, {}).status().code();
  };
  ConvQuant q = p.quant;
  q.in.scale = 0;
  EXPECT_EQ(code(q, {}), Code::kInvalidArgument);
  q = p.quant;
  q.out->zero_point = 256;
  EXPECT_EQ(code(q, {}), Code::kInvalidArgument);
  q = p.quant;
  q.in_zero_points = &q.in.zero_point;
  EXPECT_EQ(code(q, {}), Code::kInvalidArgument);
  p.g.ic = 70000;
  EXPECT_EQ(code(p.quant, {}), Code::kUnsupported);
}

}  // namespace
}  // namespace mnn::testing
