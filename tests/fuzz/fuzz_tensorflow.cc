// TensorFlow graphs from memory, binary and text: what is read satisfies the IR's invariants, and
// still does when the pass pipeline has been over it.
#include <cstdlib>
#include <span>

#include "libconvert/convert.h"
#include "libconvert/frontends/tensorflow/graph_def.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mnn::ImportOptions options;
  options.keys["max_nodes"] = "4096";
  auto model = mnn::import_graph_def({reinterpret_cast<const std::byte*>(data), size}, options);
  if (!model.ok()) return 0;
  if (!mnn::verify(model->graph).ok()) std::abort();
  if (mnn::optimize(model->graph).ok() && !mnn::verify(model->graph).ok()) std::abort();
  return 0;
}
