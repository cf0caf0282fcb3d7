// The .mnn container, also with its checksums made right again. What is read can be written, and
// reads back the same.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "libruntime/core/io/mnn_file.h"
#include "libruntime/core/text.h"
#include "tests/mnn_checksums.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                               reinterpret_cast<const std::byte*>(data) + size);
  (void)mnn::parse_model(bytes, nullptr);
  mnn::repair_checksums(bytes);
  mnn::ReadOptions trusting;
  trusting.check_weights = false;
  const auto model = mnn::parse_model(bytes, nullptr, trusting);
  if (!model.ok()) return 0;
  const auto written = mnn::try_serialize_model(*model);
  const auto again = written.ok() ? mnn::parse_model(*written, nullptr) : written.status();
  mnn::PrintOptions all;
  all.max_constant_elements = INT64_MAX;
  if (!again.ok() || mnn::print_graph(again->graph, all) != mnn::print_graph(model->graph, all)) {
    std::fprintf(stderr, "%s\n", again.status().message().c_str());
    std::abort();
  }
  return 0;
}
