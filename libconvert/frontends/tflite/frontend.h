// The TensorFlow Lite front end.
#pragma once

#include <span>

#include "libconvert/convert.h"

namespace mnn {

Frontend tflite_frontend();
// A model that is in memory; the bytes must outlive what is made of it.
Result<ImportedModel> import_tflite(std::span<const std::byte> bytes,
                                    const ImportOptions& options = {});

}  // namespace mnn
