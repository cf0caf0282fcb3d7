// The text form: whatever parses prints to a text that parses to the same.
#include <cstdio>
#include <cstdlib>

#include "libruntime/core/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kConstantBytes = int64_t{1} << 20;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)mnn::parse_tensor(text.substr(0, 4096), kConstantBytes);
  const auto graph = mnn::parse_graph(text, kConstantBytes);
  if (!graph.ok()) return 0;
  mnn::PrintOptions all;
  all.max_constant_elements = INT64_MAX;
  const std::string once = mnn::print_graph(*graph, all);
  const auto again = mnn::parse_graph(once, 2 * kConstantBytes);
  if (!again.ok() || mnn::print_graph(*again, all) != once) {
    std::fprintf(stderr, "%s\n%s\n", again.status().message().c_str(), once.c_str());
    std::abort();
  }
  return 0;
}
