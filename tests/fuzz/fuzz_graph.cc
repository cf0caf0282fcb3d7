// The graph section of a .mnn file by itself, and what a program does with a graph it has read.
#include <vector>

#include "libruntime/core/io/mnn_layout.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // As the reader does: aligned, with some bytes of weights.
  static const std::vector<std::byte> weights(4096, std::byte(1));
  std::vector<uint64_t> aligned(size / 8 + 1);
  std::copy(data, data + size, reinterpret_cast<uint8_t*>(aligned.data()));
  const std::span graph(reinterpret_cast<const std::byte*>(aligned.data()), size);
  auto model = mnn::decode_model(graph, {weights, weights, nullptr, nullptr});
  if (!model.ok() || !mnn::check_model(*model).ok()) return 0;
  (void)mnn::print_graph(model->graph);
  (void)mnn::infer_types(model->graph);
  return 0;
}
