// The families that make up VectorKernels, per instruction set.
#pragma once

#include "libruntime/kernels/vector_kernels.h"

namespace mnn {
namespace MNN_ISA {

void fill_elementwise(VectorKernels& kernels);
void fill_trigonometry(VectorKernels& kernels);
void fill_scan(VectorKernels& kernels);
void fill_reduce(VectorKernels& kernels);
void fill_half(VectorKernels& kernels);
void fill_image(VectorKernels& kernels);
void fill_window_gradient(VectorKernels& kernels);
void fill_move(VectorKernels& kernels);

// All of them.
void fill_vector(VectorKernels& kernels);

}  // namespace MNN_ISA
}  // namespace mnn
