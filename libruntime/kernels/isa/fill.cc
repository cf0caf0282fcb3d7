#include "libruntime/kernels/isa/families.h"

// MNN_ISA_BASE: the set this one adds integer instructions to; everything else is taken from there.
#if defined(MNN_ISA_BASE)
namespace mnn::MNN_ISA_BASE {
void fill(KernelTable& table);
}
#endif

namespace mnn::MNN_ISA {

void fill(KernelTable& table) {
#if defined(MNN_ISA_BASE)
  MNN_ISA_BASE::fill(table);
#else
  table.lanes = MNN_VECTOR_BYTES / 4;
  fill_gemm_f32(table);
  fill_gemm_f64(table);
  fill_dot_f32(table);
  fill_pack_f32(table);
  fill_unpack(table);
  fill_quantize_row(table);
  fill_depthwise_f32(table);
  fill_winograd_f32(table);
  fill_activation_f32(table);
  fill_pack_int8(table);
  fill_depthwise_int8(table);
  fill_winograd_int8(table);
#endif
  fill_gemm_int8(table);
  fill_gemm_codes(table);
}

}  // namespace mnn::MNN_ISA
