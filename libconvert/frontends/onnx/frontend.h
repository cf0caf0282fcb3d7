// The ONNX front end.
#pragma once

#include <span>
#include <string>

#include "libconvert/convert.h"

namespace mnn {

Frontend onnx_frontend();
// A model that is in memory. External data is looked for beside `path`.
Result<ImportedModel> import_onnx(std::span<const std::byte> bytes, const std::string& path,
                                  const ImportOptions& options = {});
Result<Tensor> parse_tensor_pb(std::span<const std::byte> bytes, std::string* name = nullptr);

}  // namespace mnn
