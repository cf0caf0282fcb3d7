// The SavedModel front end: a folder with saved_model.pb (or .pbtxt) and the variables in a
// TensorBundle beside it.
#pragma once

#include "libconvert/convert.h"
#include "libconvert/frontends/tensorflow/bundle.h"

namespace mnn {

Frontend saved_model_frontend();

// A saved_model.pb in memory; `open` gives the files of its folder ("variables/variables.index").
Result<ImportedModel> import_saved_model(std::span<const std::byte> bytes,
                                         const tensorflow::OpenFile& open,
                                         const ImportOptions& options = {});

}  // namespace mnn
