// Builds without int8 kernels: callers fall back to float.
#include "libruntime/kernels/gemm.h"

namespace mnn {

Result<MatrixKernelPtr> make_conv_int8(const ConvGeometry&, const int8_t*, const float*,
                                       const ConvQuant&, const Epilogue&, const KernelOptions&) {
  return unsupported("there are no int8 kernels in this build");
}

Result<MatrixKernelPtr> make_gemm_int8(const GemmGeometry&, const int8_t*, const float*,
                                       const ConvQuant&, const Epilogue&, const KernelOptions&) {
  return unsupported("there are no int8 kernels in this build");
}

}  // namespace mnn
