// Naming the format of any bytes: an answer, never a crash.
#include <cstdlib>

#include "libconvert/formats.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const mnn::KnownFormat* format = mnn::find_format(bytes, "");
  if (format != nullptr && mnn::format_status(*format, "file").ok()) std::abort();
  return 0;
}
