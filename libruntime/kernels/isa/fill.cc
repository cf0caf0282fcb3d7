#include "libruntime/kernels/isa/families.h"

namespace mnn::MNN_ISA {

void fill(KernelTable& table) {
  table.lanes = MNN_VECTOR_BYTES / 4;
  fill_gemm_f32(table);
  fill_pack_f32(table);
  fill_depthwise_f32(table);
  fill_activation_f32(table);
}

}  // namespace mnn::MNN_ISA
