// PyTorch's own formats.
#pragma once

#include "libconvert/convert.h"

namespace mnn {

// ExportedProgram archives (.pt2), as torch.export.save writes them.
Frontend exported_program_frontend();

}  // namespace mnn
