// SavedModels from memory: what is read satisfies the IR's invariants, and still does when the pass
// pipeline has been over it. The variables are those of a folder of the test data.
#include <cstdlib>
#include <map>

#include "libconvert/frontends/tensorflow/saved_model.h"
#include "tests/test_data.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string folder = mnn::test_data("data/tensorflow/functions/");
  mnn::ImportOptions options;
  options.keys["max_nodes"] = "4096";
  auto model = mnn::import_saved_model(
      {reinterpret_cast<const std::byte*>(data), size},
      [](const std::string& name) { return mnn::map_file(folder + name); }, options);
  if (!model.ok()) return 0;
  if (!mnn::verify(model->graph).ok()) std::abort();
  if (mnn::optimize(model->graph).ok() && !mnn::verify(model->graph).ok()) std::abort();
  return 0;
}
