// PyTorch's own formats.
#pragma once

#include "libconvert/convert.h"

namespace mnn {

// ExportedProgram archives (.pt2), as torch.export.save writes them.
Frontend exported_program_frontend();
// The same from memory, for tests.
Result<ImportedModel> import_exported_program(std::span<const std::byte> bytes,
                                              const ImportOptions& options);

}  // namespace mnn
