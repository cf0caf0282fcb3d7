// Writes the page of a made-up report of many layers: make_page FILE LAYERS.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "libquant/quantize.h"
#include "libruntime/core/io/file.h"

namespace {

mnn::Distribution bell(double width, double reach) {
  mnn::Distribution d{-width, width, std::vector<int64_t>(64), std::pair(-reach, reach)};
  for (int i = 0; i < 64; ++i)
    d.bins[static_cast<size_t>(i)] =
        static_cast<int64_t>(1e6 * std::exp(-std::pow((i - 31.5) / 10, 2)));
  return d;
}

// Worst first, as reports are; their places in the graph are mixed up.
mnn::QuantReport report_of(int layers) {
  mnn::QuantReport r;
  r.scheme = "mixed";
  r.macs = 1e6 * layers;
  r.bytes_after = 1000 * int64_t{layers};
  double sum = 0;
  for (int i = 0; i < layers; ++i) {
    mnn::LayerError e;
    e.node = static_cast<int>(int64_t{i} * 7919 % layers);
    e.name = "layer_" + std::to_string(e.node);
    e.op = i % 3 == 0 ? "MatMul" : "Conv+Relu";
    e.scheme = i % 5 == 0 ? "w4" : "int8";
    e.contribution.snr_db = 15 + 45.0 * i / layers;
    e.isolated.snr_db = 30;
    e.accumulated.snr_db = 25;
    e.contribution.cosine = 0.999;
    e.weight_bits = i % 5 == 0 ? 4 : 8;
    e.levels = int64_t{1} << e.weight_bits;
    e.levels_used = e.levels - i % 4;
    e.weight_bytes_before = 4000;
    e.weight_bytes_after = 1000;
    e.macs = 1000000;
    e.time_ms = 0.001 * (i % 17);
    e.weights = bell(1, 0.5);
    e.activations = bell(4, 8);
    e.noise_share = std::pow(10, -e.contribution.snr_db / 10);
    sum += e.noise_share;
    r.layers.push_back(std::move(e));
  }
  for (mnn::LayerError& e : r.layers) e.noise_share /= sum;
  r.mix.tried = true;
  for (int i = 0; i < 20; ++i)
    r.mix.front.push_back(
        {"mix " + std::to_string(i), 1e5 + 1e4 * i, 1, 20.0 + i, 15.0 + i, i > 9, i == 10});
  return r;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string page =
      mnn::report_html(report_of(std::atoi(argv[2])), "made up", 5, nullptr, "<p>facts</p>");
  const mnn::Status status = mnn::write_file(argv[1], page);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return 1;
}
