// Convolutions of real networks, one row per layer and one per network: all its layers in order,
// each with weights of its own, activations in two alternating buffers.
//   conv_bench --benchmark_filter='ppocr_det/f32' --benchmark_repetitions=5
// Forms: direct (fp32, no Winograd), f32, int8 (products of bytes), int8words (weights that do not
// fit in pairs of bytes: products of int16 on sets without VNNI). MNN_CPU_ISA chooses the
// instruction set. CPU time, one thread; GFLOP/s counts two operations per multiply-add of the
// plain convolution.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "libruntime/kernels/conv.h"
#include "libruntime/kernels/plan.h"
#include "tests/bench/conv_layers.h"

namespace mnn::bench {
namespace {

enum class Form { kDirect, kF32, kInt8, kInt8Words };

struct Layer {
  MatrixKernelPtr kernel;
  int64_t input_bytes = 0, output_bytes = 0;
  double flops = 0;
};

ConvGeometry geometry(const ConvLayer& l) {
  ConvGeometry g;
  g.ih = l.ih, g.iw = l.iw, g.ic = l.ic, g.oh = l.oh, g.ow = l.ow, g.oc = l.oc;
  g.groups = l.groups, g.kh = l.kh, g.kw = l.kw;
  g.stride_h = l.stride_h, g.stride_w = l.stride_w, g.pad_top = l.pad_top, g.pad_left = l.pad_left;
  return g;
}

Result<Layer> make_layer(const ConvLayer& l, Form form) {
  const ConvGeometry g = geometry(l);
  const auto weights = static_cast<size_t>(g.oc * (g.ic / g.groups) * g.kh * g.kw);
  const std::vector<float> bias(static_cast<size_t>(g.oc), 0.1f);
  Epilogue relu;
  relu.after.kind = Activation::kRelu;
  Layer layer;
  const bool int8 = form == Form::kInt8 || form == Form::kInt8Words;
  const int64_t element = int8 ? 1 : 4;
  layer.input_bytes = g.ih * g.iw * g.ic * element;
  layer.output_bytes = g.oh * g.ow * g.oc * element;
  layer.flops = 2.0 * static_cast<double>(g.oh * g.ow) * static_cast<double>(weights);
  if (int8) {
    const int factor = form == Form::kInt8 ? 1 : 20;
    std::vector<int8_t> w(weights);
    for (size_t i = 0; i < weights; ++i)
      w[i] = static_cast<int8_t>((static_cast<int>(i % 13) - 6) * factor);
    const std::vector<float> scales(static_cast<size_t>(g.oc), 0.01f);
    ConvQuant quant;
    quant.in = {0.02f, 120};
    quant.out = QuantU8{0.05f, 0};
    quant.weight_scales = scales.data();
    MNN_ASSIGN_OR_RETURN(layer.kernel, make_conv_int8(g, w.data(), bias.data(), quant, relu, {}));
    return layer;
  }
  std::vector<float> w(weights);
  for (size_t i = 0; i < weights; ++i) w[i] = static_cast<float>(i % 13) * 0.01f - 0.06f;
  KernelOptions options;
  options.winograd = form == Form::kF32;
  MNN_ASSIGN_OR_RETURN(layer.kernel, make_conv_f32(g, w.data(), bias.data(), relu, options));
  return layer;
}

void run_layers(benchmark::State& state, const std::vector<ConvLayer>& list, Form form) {
  std::vector<Layer> layers;
  int64_t largest = 64, scratch = 64;
  double flops = 0;
  for (const ConvLayer& l : list)
    for (int i = 0; i < l.count; ++i) {
      auto layer = make_layer(l, form);
      if (!layer.ok()) {
        state.SkipWithError(layer.status().message().c_str());
        return;
      }
      largest = std::max({largest, layer->input_bytes, layer->output_bytes});
      scratch = std::max(scratch, layer->kernel->scratch_bytes());
      flops += layer->flops;
      layers.push_back(std::move(*layer));
    }
  AlignedBuffer<std::byte> buffers[2] = {AlignedBuffer<std::byte>(largest),
                                         AlignedBuffer<std::byte>(largest)};
  AlignedBuffer<std::byte> work(scratch);
  for (auto _ : state) {
    size_t from = 0;
    for (const Layer& layer : layers) {
      const KernelArgs args = {buffers[from].data(), nullptr, nullptr, buffers[1 - from].data(),
                               work.data()};
      for (int phase = 0; phase < layer.kernel->phases(); ++phase)
        layer.kernel->run(phase, 0, args);
      from = 1 - from;
    }
  }
  state.counters["GFLOP/s"] = benchmark::Counter(
      flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
  if (layers.size() == 1) state.SetLabel(layers[0].kernel->name());
}

void add(const std::string& name, const std::vector<ConvLayer>& layers, Form form) {
  benchmark::RegisterBenchmark(name.c_str(), run_layers, layers, form)
      ->Unit(benchmark::kMillisecond)
      ->ComputeStatistics("min", [](const std::vector<double>& v) {
        return *std::min_element(v.begin(), v.end());
      });
}

const bool kRegistered = [] {
  const std::pair<const char*, Form> forms[] = {{"direct", Form::kDirect},
                                                {"f32", Form::kF32},
                                                {"int8", Form::kInt8},
                                                {"int8words", Form::kInt8Words}};
  for (const ConvNetwork& network : kNetworks)
    for (const auto& [form_name, form] : forms) {
      const std::string prefix = std::string(network.name) + "/" + form_name + "/";
      add(prefix + "network", {network.layers.begin(), network.layers.end()}, form);
      for (ConvLayer l : network.layers) {
        l.count = 1;
        const auto size = [](int64_t h, int64_t w, int64_t c) {
          return std::to_string(h) + "x" + std::to_string(w) + "x" + std::to_string(c);
        };
        add(prefix + size(l.ih, l.iw, l.ic) + "_" + size(l.oh, l.ow, l.oc) + "_k" +
                std::to_string(l.kh) + "x" + std::to_string(l.kw) + "s" +
                std::to_string(l.stride_w) + "g" + std::to_string(l.groups),
            {l}, form);
      }
    }
  return true;
}();

}  // namespace
}  // namespace mnn::bench
