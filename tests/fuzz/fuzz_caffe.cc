// Caffe networks from memory: the text up to the first zero byte, then the weights. What is read
// satisfies the IR's invariants, and still does when the pass pipeline has been over it.
#include <algorithm>
#include <cstdlib>
#include <span>

#include "libconvert/convert.h"
#include "libconvert/frontends/caffe/frontend.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto text = static_cast<size_t>(std::find(data, data + size, 0) - data);
  auto model = mnn::import_caffe(bytes.first(text), bytes.subspan(std::min(size, text + 1)));
  if (!model.ok()) return 0;
  if (!mnn::verify(model->graph).ok()) std::abort();
  if (mnn::optimize(model->graph).ok() && !mnn::verify(model->graph).ok()) std::abort();
  return 0;
}
