// ONNX models and TensorProto files from memory; what is read satisfies the IR's invariants.
#include <cstdlib>

#include "libconvert/frontends/onnx/frontend.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  (void)mnn::parse_tensor_pb(bytes);
  mnn::ImportOptions options;
  options.node_budget = 4096;
  const auto model = mnn::import_onnx(bytes, "", options);
  if (model.ok() && !mnn::verify(model->graph).ok()) std::abort();
  return 0;
}
