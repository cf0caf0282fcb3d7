// The Caffe front end.
#pragma once

#include <span>

#include "libconvert/convert.h"

namespace mnn {

Frontend caffe_frontend();
// A network and its weights that are in memory.
Result<ImportedModel> import_caffe(std::span<const std::byte> text,
                                   std::span<const std::byte> weights,
                                   const ImportOptions& options = {});

}  // namespace mnn
