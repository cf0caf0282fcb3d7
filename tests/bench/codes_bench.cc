// Products with weights in codes: rows of floats, and rows quantized to int8 as they come, beside
// the f32 and the int8 product of the same size.
//   codes_bench --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true
// Each run passes over as many matrices of 2048 x 2048 as make 64 MB, so that one row reads them
// from memory: bytes_per_second counts what is packed, `read` is what plain loads of as much reach.
// MNN_CPU_ISA chooses the instruction set. CPU time, one thread.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "libruntime/core/storage.h"
#include "libruntime/kernels/code_panels.h"
#include "libruntime/kernels/gemm.h"
#include "libruntime/kernels/plan.h"

namespace mnn::bench {
namespace {

constexpr int64_t kSize = 2048, kBytes = int64_t{64} << 20;

enum class Form { kF32, kInt8, kCodes, kCodesInt8 };

// `bits` codes with a scale per 32 (8: per column).
WeightCodes make_codes(int bits) {
  WeightCodes w;
  w.params.storage = bits == 8 ? DType::kI8 : bits == 4 ? DType::kI4 : DType::kI2;
  w.params.group = bits == 8 ? 0 : 32;
  w.params.axis = bits == 8 ? 1 : 0;
  const std::vector<int64_t> dims = bits == 8 ? std::vector{kSize} : std::vector{kSize / 32, kSize};
  w.params.scale = *Tensor::allocate(DType::kF32, dims);
  std::fill_n(w.params.scale.data<float>(), w.params.scale.elements(), 0.01f);
  w.stored = *Tensor::allocate(w.params.storage, {kSize, kSize});
  const StorageType& row = *find_storage(w.params.storage);
  std::vector<double> line(kSize);
  for (int64_t i = 0; i < kSize; ++i) {
    for (int64_t j = 0; j < kSize; ++j)
      line[static_cast<size_t>(j)] =
          row.low + static_cast<double>((i * 7 + j * 3) % static_cast<int64_t>(row.high - row.low));
    row.pack(line.data(), i * kSize, kSize, w.stored.raw());
  }
  return w;
}

Result<MatrixKernelPtr> make(Form form, int bits, int64_t m) {
  GemmGeometry g;
  g.m = m;
  g.n = g.k = kSize;
  if (form == Form::kCodes) return make_gemm_codes(g, make_codes(bits), nullptr, {}, {});
  if (form == Form::kCodesInt8) return make_gemm_codes_int8(g, make_codes(bits), nullptr, {}, {});
  if (form == Form::kF32) {
    const std::vector<float> w(kSize * kSize, 0.01f);
    return make_gemm_f32(g, w.data(), nullptr, {}, {});
  }
  const std::vector<int8_t> w(kSize * kSize, 5);
  const std::vector<float> scales(kSize, 0.01f);
  ConvQuant quant;
  quant.in = {0.02f, 120};
  quant.weight_scales = scales.data();
  return make_gemm_int8(g, w.data(), nullptr, quant, {}, {});
}

void run_form(benchmark::State& state, Form form, int bits) {
  const int64_t m = state.range(0);
  std::vector<MatrixKernelPtr> kernels;
  int64_t packed = 0;
  while (packed < kBytes) {
    auto kernel = make(form, bits, m);
    if (!kernel.ok()) {
      state.SkipWithError(kernel.status().message().c_str());
      return;
    }
    packed += (*kernel)->packed_bytes();
    kernels.push_back(std::move(kernel).value());
  }
  AlignedBuffer<std::byte> x(m * kSize * 4), y(m * kSize * 4), scratch(kernels[0]->scratch_bytes());
  auto* values = reinterpret_cast<float*>(x.data());
  if (form != Form::kInt8)
    for (int64_t i = 0; i < m * kSize; ++i) values[i] = static_cast<float>(i % 17) - 8;
  KernelArgs args;
  args.x = x.data();
  args.y = y.data();
  args.scratch = scratch.data();
  for (auto _ : state) {
    for (const MatrixKernelPtr& k : kernels)
      for (int phase = 0; phase < k->phases(); ++phase)
        for (int part = 0; part < k->parts(); ++part) k->run(phase, part, args);
    benchmark::DoNotOptimize(y.data());
  }
  const auto runs = static_cast<double>(state.iterations());
  state.SetBytesProcessed(static_cast<int64_t>(runs) * packed);
  state.counters["GFLOP/s"] =
      benchmark::Counter(2.0 * static_cast<double>(m * kSize * kSize) *
                             static_cast<double>(kernels.size()) * runs * 1e-9,
                         benchmark::Counter::kIsRate);
}

void read_memory(benchmark::State& state) {
  AlignedBuffer<uint64_t> block(kBytes / 8);
  for (int64_t i = 0; i < block.size(); ++i) block.data()[i] = static_cast<uint64_t>(i);
  for (auto _ : state) {
    typedef uint64_t Words __attribute__((vector_size(64)));
    const auto* words = reinterpret_cast<const Words*>(block.data());
    Words sums[4] = {};
    for (int64_t i = 0; i < block.size() / 8; i += 4)
      for (int64_t j = 0; j < 4; ++j) sums[j] += words[i + j];
    uint64_t sum = 0;
    for (const Words& s : sums)
      for (int j = 0; j < 8; ++j) sum += s[j];
    benchmark::DoNotOptimize(sum);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * kBytes);
}
BENCHMARK(read_memory)->Name("read");

BENCHMARK_CAPTURE(run_form, f32, Form::kF32, 32)->Arg(1)->Arg(64);
BENCHMARK_CAPTURE(run_form, int8, Form::kInt8, 8)->Arg(1)->Arg(64);
BENCHMARK_CAPTURE(run_form, w8, Form::kCodes, 8)->Arg(1)->Arg(64);
BENCHMARK_CAPTURE(run_form, w4, Form::kCodes, 4)->Arg(1)->Arg(64);
BENCHMARK_CAPTURE(run_form, w2, Form::kCodes, 2)->Arg(1)->Arg(64);
BENCHMARK_CAPTURE(run_form, w8_int8, Form::kCodesInt8, 8)->Arg(1)->Arg(4)->Arg(64);
BENCHMARK_CAPTURE(run_form, w4_int8, Form::kCodesInt8, 4)->Arg(1)->Arg(4)->Arg(64);
BENCHMARK_CAPTURE(run_form, w2_int8, Form::kCodesInt8, 2)->Arg(1)->Arg(4)->Arg(64);

}  // namespace
}  // namespace mnn::bench
