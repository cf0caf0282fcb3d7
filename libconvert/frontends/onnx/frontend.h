// The ONNX front end.
#pragma once

#include "libconvert/convert.h"

namespace mnn {

Frontend onnx_frontend();

}  // namespace mnn
