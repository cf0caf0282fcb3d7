#include "tests/kernels/kernel_testing.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "libruntime/kernels/kernel_table.h"
#include "libruntime/kernels/plan.h"

#if defined(MNN_TEST_WIDE)
namespace mnn::wide {
void fill(KernelTable&);
}
namespace mnn::widevnni {
void fill(KernelTable&);
}
#endif

namespace mnn::testing {

std::vector<std::string> test_isas() {
  static const std::vector<std::string> isas = [] {
#if defined(MNN_TEST_WIDE)
    const auto usable = available_isas();
    if (std::find(usable.begin(), usable.end(), "avx2") != usable.end()) {
      static KernelTable table, vnni;
      table.isa = "wide";
      wide::fill(table);
      add_kernel_table(&table);
      vnni.isa = "widevnni";
      widevnni::fill(vnni);
      add_kernel_table(&vnni);
    }
#endif
    return available_isas();
  }();
  return isas;
}

namespace {

struct Random {
  uint64_t state;
  uint32_t next() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state >> 33);
  }
};

}  // namespace

std::vector<float> random_floats(size_t n, uint32_t seed, float low, float high) {
  Random r{seed * 2654435761u + 12345};
  std::vector<float> v(n);
  for (auto& x : v)
    x = low + (high - low) * static_cast<float>(r.next() >> 7) / static_cast<float>(1 << 24);
  return v;
}

std::vector<int8_t> random_s8(size_t n, uint32_t seed, int low, int high) {
  Random r{seed * 2654435761u + 777};
  std::vector<int8_t> v(n);
  for (auto& x : v)
    x = static_cast<int8_t>(low + static_cast<int>(r.next() >> 8) % (high - low + 1));
  return v;
}

std::vector<uint8_t> random_u8(size_t n, uint32_t seed) {
  Random r{seed * 2654435761u + 999};
  std::vector<uint8_t> v(n);
  for (auto& x : v) x = static_cast<uint8_t>(r.next() >> 12);
  return v;
}

void run_kernel(const MatrixKernel& kernel, KernelArgs args, bool reverse) {
  AlignedBuffer<std::byte> scratch(kernel.scratch_bytes());
  std::memset(scratch.data(), 0xee, static_cast<size_t>(kernel.scratch_bytes()));
  args.scratch = scratch.data();
  for (int phase = 0; phase < kernel.phases(); ++phase)
    for (int i = 0; i < kernel.parts(); ++i)
      kernel.run(phase, reverse ? kernel.parts() - 1 - i : i, args);
}

double activate(const PostOp& op, double x) {
  switch (op.kind) {
    case Activation::kNone: return x;
    case Activation::kRelu: return std::max(0.0, x);
    case Activation::kClip: return std::min<double>(op.b, std::max<double>(op.a, x));
    case Activation::kLeakyRelu: return x < 0 ? op.a * x : x;
    case Activation::kHardSigmoid: return std::clamp(op.a * x + op.b, 0.0, 1.0);
    case Activation::kHardSwish: return x * std::clamp(x / 6 + 0.5, 0.0, 1.0);
    case Activation::kSigmoid: return 1 / (1 + std::exp(-x));
    case Activation::kSwish: return x / (1 + std::exp(-x));
    case Activation::kTanh: return std::tanh(x);
    case Activation::kGelu: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kElu: return x > 0 ? x : op.a * std::expm1(x);
    case Activation::kMish: return x * std::tanh(std::log1p(std::exp(x)));
  }
  return x;
}

double finish(const Epilogue& e, double x, double residual) {
  x = activate(e.before, x);
  if (e.residual) x += residual;
  return activate(e.after, x);
}

std::vector<double> conv_reference(const ConvGeometry& g, const std::vector<float>& x,
                                   const std::vector<float>& w, const std::vector<float>& bias) {
  const int64_t xs = g.x_pixel_stride ? g.x_pixel_stride : g.ic;
  const int64_t icg = g.ic / g.groups, ocg = g.oc / g.groups, volume = g.kd * g.kh * g.kw;
  const int64_t pixels = g.n * g.od * g.oh * g.ow;
  std::vector<double> y(static_cast<size_t>(pixels * g.oc));
  for (int64_t p = 0; p < pixels; ++p) {
    const int64_t ox = p % g.ow, oy = p / g.ow % g.oh, oz = p / g.ow / g.oh % g.od;
    const int64_t n = p / g.ow / g.oh / g.od;
    for (int64_t o = 0; o < g.oc; ++o) {
      double sum = bias.empty() ? 0 : bias[static_cast<size_t>(o)];
      for (int64_t tap = 0; tap < volume; ++tap) {
        const int64_t iz = oz * g.stride_d - g.pad_front + tap / g.kw / g.kh * g.dilation_d;
        const int64_t iy = oy * g.stride_h - g.pad_top + tap / g.kw % g.kh * g.dilation_h;
        const int64_t ix = ox * g.stride_w - g.pad_left + tap % g.kw * g.dilation_w;
        if (iz < 0 || iz >= g.id || iy < 0 || iy >= g.ih || ix < 0 || ix >= g.iw) continue;
        const int64_t at = (((n * g.id + iz) * g.ih + iy) * g.iw + ix) * xs + o / ocg * icg;
        for (int64_t c = 0; c < icg; ++c)
          sum += static_cast<double>(x[static_cast<size_t>(at + c)]) *
                 w[static_cast<size_t>((o * icg + c) * volume + tap)];
      }
      y[static_cast<size_t>(p * g.oc + o)] = sum;
    }
  }
  return y;
}

std::vector<double> conv_transpose_reference(const ConvGeometry& g, const std::vector<float>& x,
                                             const std::vector<float>& w,
                                             const std::vector<float>& bias) {
  const int64_t icg = g.ic / g.groups, ocg = g.oc / g.groups, volume = g.kd * g.kh * g.kw;
  std::vector<double> y(static_cast<size_t>(g.n * g.od * g.oh * g.ow * g.oc));
  for (size_t i = 0; i < y.size(); ++i)
    y[i] = bias.empty() ? 0 : bias[i % static_cast<size_t>(g.oc)];
  for (int64_t p = 0; p < g.n * g.id * g.ih * g.iw; ++p) {
    const int64_t ix = p % g.iw, iy = p / g.iw % g.ih, iz = p / g.iw / g.ih % g.id;
    const int64_t n = p / g.iw / g.ih / g.id;
    for (int64_t tap = 0; tap < volume; ++tap) {
      const int64_t oz = iz * g.stride_d - g.pad_front + tap / g.kw / g.kh * g.dilation_d;
      const int64_t oy = iy * g.stride_h - g.pad_top + tap / g.kw % g.kh * g.dilation_h;
      const int64_t ox = ix * g.stride_w - g.pad_left + tap % g.kw * g.dilation_w;
      if (oz < 0 || oz >= g.od || oy < 0 || oy >= g.oh || ox < 0 || ox >= g.ow) continue;
      const int64_t at = (((n * g.od + oz) * g.oh + oy) * g.ow + ox) * g.oc;
      for (int64_t c = 0; c < g.ic; ++c)
        for (int64_t o = 0; o < ocg; ++o)
          y[static_cast<size_t>(at + c / icg * ocg + o)] +=
              static_cast<double>(x[static_cast<size_t>(p * g.ic + c)]) *
              w[static_cast<size_t>((c * ocg + o) * volume + tap)];
    }
  }
  return y;
}

std::string describe(const ConvGeometry& g) {
  std::ostringstream s;
  s << g.n << "x" << g.ih << "x" << g.iw << "x" << g.ic << " -> " << g.oh << "x" << g.ow << "x"
    << g.oc << " g" << g.groups << " k" << g.kh << "x" << g.kw << " s" << g.stride_h << ","
    << g.stride_w << " d" << g.dilation_h << "," << g.dilation_w << " p" << g.pad_top << ","
    << g.pad_left;
  if (g.deep())
    s << " depth " << g.id << " -> " << g.od << " k" << g.kd << " s" << g.stride_d << " d"
      << g.dilation_d << " p" << g.pad_front;
  return s.str();
}

}  // namespace mnn::testing
