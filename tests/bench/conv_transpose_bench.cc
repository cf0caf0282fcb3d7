// Transposed convolutions as segmentation, super-resolution and pose networks have them; ReLU, one
// thread. GFLOP/s counts two operations per multiply-add of the plain loops.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <vector>

#include "libruntime/kernels/conv.h"
#include "libruntime/kernels/plan.h"

namespace mnn::bench {
namespace {

struct Layer {
  const char* name;
  int64_t size, ic, oc, groups, kernel, stride, pad;  // square maps and kernels
};
constexpr Layer kLayers[] = {
    {"unet_2x2", 64, 64, 32, 1, 2, 2, 0},     {"pose_4x4", 16, 256, 128, 1, 4, 2, 1},
    {"mask_4x4", 64, 64, 3, 1, 4, 2, 1},      {"fsrcnn_9x9", 64, 56, 1, 1, 9, 4, 4},
    {"upsample_dw", 32, 64, 64, 64, 4, 2, 1},
};

void run_layer(benchmark::State& state, const Layer& l) {
  ConvGeometry g;
  g.ih = g.iw = l.size;
  g.ic = l.ic;
  g.oc = l.oc;
  g.groups = l.groups;
  g.kh = g.kw = l.kernel;
  g.stride_h = g.stride_w = l.stride;
  g.pad_top = g.pad_left = l.pad;
  g.oh = g.ow = (l.size - 1) * l.stride + l.kernel - 2 * l.pad;
  const int64_t weights = l.ic * (l.oc / l.groups) * l.kernel * l.kernel;
  const std::vector<float> w(static_cast<size_t>(weights), 0.01f);
  const std::vector<float> bias(static_cast<size_t>(l.oc), 0.1f);
  Epilogue relu;
  relu.after.kind = Activation::kRelu;
  auto kernel = make_conv_transpose_f32(g, w.data(), bias.data(), relu, {});
  if (!kernel.ok()) {
    state.SkipWithError(kernel.status().message().c_str());
    return;
  }
  AlignedBuffer<float> x(g.ih * g.iw * g.ic), y(g.oh * g.ow * g.oc);
  AlignedBuffer<std::byte> scratch(std::max<int64_t>(64, (*kernel)->scratch_bytes()));
  const KernelArgs args = {x.data(), nullptr, nullptr, y.data(), scratch.data()};
  for (auto _ : state) {
    for (int phase = 0; phase < (*kernel)->phases(); ++phase) (*kernel)->run(phase, 0, args);
  }
  state.counters["GFLOP/s"] = benchmark::Counter(
      2e-9 * static_cast<double>(g.ih * g.iw) * static_cast<double>(weights),
      benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
  state.SetLabel((*kernel)->name());
}

const bool kRegistered = [] {
  for (const Layer& l : kLayers)
    benchmark::RegisterBenchmark((std::string("conv_transpose/") + l.name).c_str(), run_layer, l)
        ->Unit(benchmark::kMillisecond);
  return true;
}();

}  // namespace
}  // namespace mnn::bench
