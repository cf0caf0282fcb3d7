// Exported programs from memory, as a whole archive or as the JSON of one without weights: what is
// read satisfies the IR's invariants, and still does when the pass pipeline has been over it.
#include <cstdlib>

#include "libconvert/convert.h"
#include "libconvert/frontends/torch/frontend.h"
#include "tests/convert/pt2_builder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (!bytes.starts_with("PK")) {
    bytes = mnn::testing::zip_of({{"m/models/model.json", std::move(bytes)}});
  }
  mnn::ImportOptions options;
  options.keys["max_nodes"] = "4096";
  const std::span<const char> text(bytes);
  auto model = mnn::import_exported_program(std::as_bytes(text), options);
  if (!model.ok()) return 0;
  if (!mnn::verify(model->graph).ok()) std::abort();
  if (mnn::optimize(model->graph).ok() && !mnn::verify(model->graph).ok()) std::abort();
  return 0;
}
