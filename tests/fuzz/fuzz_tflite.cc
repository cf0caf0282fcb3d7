// TensorFlow Lite models from memory: what is read satisfies the IR's invariants, and still does
// when the pass pipeline has been over it.
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <vector>

#include "libconvert/convert.h"
#include "libconvert/frontends/tflite/frontend.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Offsets inside are aligned as seen from the start.
  std::vector<std::max_align_t> aligned(size / sizeof(std::max_align_t) + 1);
  std::copy_n(data, size, reinterpret_cast<uint8_t*>(aligned.data()));
  const std::span bytes(reinterpret_cast<const std::byte*>(aligned.data()), size);
  mnn::ImportOptions options;
  options.keys["max_nodes"] = "4096";
  auto model = mnn::import_tflite(bytes, options);
  if (!model.ok()) return 0;
  if (!mnn::verify(model->graph).ok()) std::abort();
  if (mnn::optimize(model->graph).ok() && !mnn::verify(model->graph).ok()) std::abort();
  return 0;
}
