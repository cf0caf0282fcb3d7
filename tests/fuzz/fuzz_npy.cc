// .npy and .npz; what is read can be written where NumPy has the type.
#include <cstdlib>
#include <cstring>

#include "libruntime/core/io/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  (void)mnn::parse_npz(bytes, int64_t{1} << 24);
  const auto tensor = mnn::parse_npy(bytes);
  if (!tensor.ok()) return 0;
  const auto written = mnn::npy_bytes(*tensor);
  if (!written.ok()) std::abort();
  const auto again = mnn::parse_npy(std::as_bytes(std::span(*written)));
  if (!again.ok() || !mnn::identical(*again, *tensor)) std::abort();
  return 0;
}
