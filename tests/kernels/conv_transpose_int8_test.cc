// Transposed int8 convolution against the formula of conv.h, byte for byte.
#include <cmath>
#include <cstring>

#include "tests/kernels/kernel_testing.h"

namespace mnn::testing {
namespace {

struct Case {
  int64_t n, ih, iw, ic, oc, kh, kw, sh, sw, dh, dw, pt, pl, oh, ow;
};

const Case kCases[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1},
    {1, 5, 7, 24, 24, 2, 2, 2, 2, 1, 1, 0, 0, 10, 14},
    {2, 5, 7, 24, 1, 2, 2, 2, 2, 1, 1, 0, 0, 10, 14},
    {1, 4, 6, 33, 19, 3, 3, 2, 2, 1, 1, 1, 1, 8, 12},
    {1, 4, 6, 10, 37, 4, 4, 2, 2, 1, 1, 1, 1, 8, 12},
    {2, 3, 5, 7, 6, 3, 2, 1, 3, 1, 1, 0, 1, 5, 13},
    {1, 6, 5, 12, 9, 3, 3, 2, 1, 2, 3, 1, 2, 13, 9},
    {1, 1, 9, 18, 20, 1, 5, 1, 2, 1, 1, 0, 2, 1, 18},
    {1, 3, 3, 5, 4, 2, 2, 4, 4, 1, 1, 0, 0, 12, 12},
    {1, 12, 9, 64, 32, 2, 2, 2, 2, 1, 1, 0, 0, 24, 18},
};

struct Problem {
  ConvGeometry g;
  std::vector<uint8_t> x, residual;
  std::vector<int8_t> w;
  std::vector<float> bias, scales, out_scales;
  std::vector<int> out_zeros;
  ConvQuant quant;
  Epilogue epilogue;
};

Problem make_problem(const Case& c, uint32_t seed) {
  Problem p;
  ConvGeometry& g = p.g;
  g.n = c.n, g.ih = c.ih, g.iw = c.iw, g.ic = c.ic, g.oc = c.oc, g.kh = c.kh, g.kw = c.kw;
  g.stride_h = c.sh, g.stride_w = c.sw, g.dilation_h = c.dh, g.dilation_w = c.dw;
  g.pad_top = c.pt, g.pad_left = c.pl, g.oh = c.oh, g.ow = c.ow;
  p.x = random_u8(static_cast<size_t>(g.n * g.ih * g.iw * g.ic), seed);
  p.w = random_s8(static_cast<size_t>(g.ic * g.oc * g.kh * g.kw), seed + 1);
  p.bias = random_floats(static_cast<size_t>(g.oc), seed + 2, -2, 2);
  p.scales = random_floats(static_cast<size_t>(g.oc), seed + 3, 0.001f, 0.01f);
  p.residual = random_u8(static_cast<size_t>(g.n * g.oh * g.ow * g.oc), seed + 4);
  p.quant.in = {0.037f, static_cast<int>(seed * 37 % 256)};
  p.quant.weight_scales = p.scales.data();
  p.quant.residual = {0.021f, 131};
  p.quant.out = QuantU8{0.037f * 0.006f * 75 * 75 * std::sqrt(static_cast<float>(g.ic)) / 40, 119};
  return p;
}

uint8_t to_byte(float v, const QuantU8& q) {
  const auto zero = static_cast<float>(q.zero_point);
  const float scaled = std::min(255 - zero, std::max(-zero, v * (1.0f / q.scale)));
  return static_cast<uint8_t>(static_cast<int>(std::nearbyintf(scaled)) + q.zero_point);
}

std::vector<float> reference(const Problem& p) {
  const ConvGeometry& g = p.g;
  std::vector<int32_t> sums(static_cast<size_t>(g.n * g.oh * g.ow * g.oc), 0);
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t iy = 0; iy < g.ih; ++iy)
      for (int64_t ix = 0; ix < g.iw; ++ix)
        for (int64_t ky = 0; ky < g.kh; ++ky)
          for (int64_t kx = 0; kx < g.kw; ++kx) {
            const int64_t oy = iy * g.stride_h - g.pad_top + ky * g.dilation_h;
            const int64_t ox = ix * g.stride_w - g.pad_left + kx * g.dilation_w;
            if (oy < 0 || oy >= g.oh || ox < 0 || ox >= g.ow) continue;
            for (int64_t c = 0; c < g.ic; ++c)
              for (int64_t o = 0; o < g.oc; ++o)
                sums[static_cast<size_t>(((n * g.oh + oy) * g.ow + ox) * g.oc + o)] +=
                    (p.x[static_cast<size_t>(((n * g.ih + iy) * g.iw + ix) * g.ic + c)] -
                     p.quant.in.zero_point) *
                    p.w[static_cast<size_t>(((c * g.oc + o) * g.kh + ky) * g.kw + kx)];
          }
  std::vector<float> y;
  for (size_t i = 0; i < sums.size(); ++i) {
    const size_t o = i % static_cast<size_t>(g.oc);
    float v = static_cast<float>(sums[i]) * (p.quant.in.scale * p.scales[o]) + p.bias[o];
    if (p.epilogue.residual)
      v += static_cast<float>(p.residual[i] - p.quant.residual.zero_point) * p.quant.residual.scale;
    if (p.epilogue.after.kind == Activation::kRelu) v = v < 0 ? 0 : v;
    y.push_back(v);
  }
  return y;
}

void check(const Problem& p) {
  const std::vector<float> real = reference(p);
  std::vector<uint8_t> want;
  for (size_t i = 0; p.quant.out && i < real.size(); ++i) {
    const size_t o = i % static_cast<size_t>(p.g.oc);
    want.push_back(to_byte(
        real[i], p.out_scales.empty() ? *p.quant.out : QuantU8{p.out_scales[o], p.out_zeros[o]}));
  }
  for (const auto& isa : test_isas())
    for (int threads = 1; threads <= 3; ++threads) {
      const auto kernel = make_conv_transpose_int8(p.g, p.w.data(), p.bias.data(), p.quant,
                                                   p.epilogue, {isa, threads});
      ASSERT_TRUE(kernel.ok()) << kernel.status().message();
      const std::string what = describe(p.g) + " " + (*kernel)->name();
      const size_t bytes = real.size() * (p.quant.out ? 1 : sizeof(float));
      std::vector<uint8_t> y(bytes + 1, 0xa5);
      run_kernel(**kernel, {p.x.data(), nullptr, p.residual.data(), y.data(), nullptr},
                 threads == 2);
      const void* expected = p.quant.out ? static_cast<const void*>(want.data()) : real.data();
      EXPECT_EQ(std::memcmp(expected, y.data(), bytes), 0) << what;
      EXPECT_EQ(y.back(), 0xa5) << what;
    }
}

TEST(ConvTransposeInt8, BytesAreThoseOfTheFormula) {
  uint32_t seed = 1;
  for (const Case& c : kCases) {
    Problem p = make_problem(c, ++seed * 10);
    check(p);
    p.epilogue.after = {Activation::kRelu, 0, 0};
    check(p);
    p.epilogue.residual = true;
    check(p);
    p.epilogue = {};
    p.out_scales = random_floats(static_cast<size_t>(p.g.oc), seed, 0.3f * p.quant.out->scale,
                                 2 * p.quant.out->scale);
    for (const uint8_t z : random_u8(static_cast<size_t>(p.g.oc), seed + 1))
      p.out_zeros.push_back(z);
    p.quant.out_scales = p.out_scales.data();
    p.quant.out_zero_points = p.out_zeros.data();
    check(p);
    p.quant.out.reset();
    check(p);
  }
}

TEST(ConvTransposeInt8, ReadsAndWritesSlices) {
  Problem p = make_problem(kCases[3], 77);
  const std::vector<float> real = reference(p);
  const auto ic = static_cast<size_t>(p.g.ic), oc = static_cast<size_t>(p.g.oc);
  const size_t xs = ic + 3, ys = oc + 2;
  std::vector<uint8_t> x(p.x.size() / ic * xs, 99);
  for (size_t i = 0; i < p.x.size(); ++i) x[i / ic * xs + i % ic] = p.x[i];
  p.g.x_pixel_stride = static_cast<int64_t>(xs);
  p.g.y_pixel_stride = static_cast<int64_t>(ys);
  for (const auto& isa : test_isas()) {
    const auto kernel =
        make_conv_transpose_int8(p.g, p.w.data(), p.bias.data(), p.quant, {}, {isa, 2});
    ASSERT_TRUE(kernel.ok()) << kernel.status().message();
    std::vector<uint8_t> y(real.size() / oc * ys, 0xa5);
    run_kernel(**kernel, {x.data(), nullptr, nullptr, y.data(), nullptr});
    for (size_t i = 0; i < y.size(); ++i) {
      const size_t pixel = i / ys, c = i % ys;
      const int want = c < oc ? to_byte(real[pixel * oc + c], *p.quant.out) : 0xa5;
      ASSERT_EQ(y[i], want) << (*kernel)->name() << " " << i;
    }
  }
}

TEST(ConvTransposeInt8, RefusesGroups) {
  Problem p = make_problem({1, 3, 3, 4, 4, 2, 2, 2, 2, 1, 1, 0, 0, 6, 6}, 1);
  p.g.groups = 2;
  EXPECT_EQ(make_conv_transpose_int8(p.g, p.w.data(), nullptr, p.quant, {}, {}).status().code(),
            Code::kUnsupported);
}

}  // namespace
}  // namespace mnn::testing
