// The front end for TorchScript archives (torch.jit.save).
#pragma once

#include "libconvert/convert.h"

namespace mnn {

Frontend torchscript_frontend();

}  // namespace mnn
