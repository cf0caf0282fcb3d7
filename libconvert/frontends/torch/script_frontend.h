// The front end for TorchScript archives (torch.jit.save).
#pragma once

#include "libconvert/convert.h"

namespace mnn {

Frontend torchscript_frontend();
// The same of a file in memory, for fuzzing and tests.
Result<ImportedModel> import_torchscript(const MappedFile& file, const ImportOptions& options = {});

}  // namespace mnn
