// Each family of kernels fills its part of the table of one instruction set; fill() calls them all.
#pragma once

#include "libruntime/kernels/kernel_table.h"

namespace mnn::MNN_ISA {

void fill_gemm_f32(KernelTable& table);
void fill_gemm_f64(KernelTable& table);
void fill_dot_f32(KernelTable& table);
void fill_pack_f32(KernelTable& table);
void fill_unpack(KernelTable& table);
void fill_gemm_codes(KernelTable& table);
void fill_quantize_row(KernelTable& table);
void fill_depthwise_f32(KernelTable& table);
void fill_winograd_f32(KernelTable& table);
void fill_activation_f32(KernelTable& table);
void fill_gemm_int8(KernelTable& table);
void fill_pack_int8(KernelTable& table);
void fill_depthwise_int8(KernelTable& table);
void fill_winograd_int8(KernelTable& table);

void fill(KernelTable& table);

}  // namespace mnn::MNN_ISA
