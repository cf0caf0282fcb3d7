// Which instruction sets the kernels were built for and which of them this CPU can run.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/status.h"
#include "libruntime/kernels/kernel.h"

namespace mnn {

struct KernelTable;  // kernel_table.h: one function pointer per kernel

// Names usable here, worst first: of "avx512vnni", "avx512", "avx2", "sse41".
std::vector<std::string> available_isas();
// The table of `isa`; "" means MNN_CPU_ISA when set, otherwise the best. Fails on a name that is
// unknown or that this CPU lacks.
Result<const KernelTable*> find_kernels(const std::string& isa);

// Adds a table that lives for ever under its own name, after all others (tests of emulated sets).
void add_kernel_table(const KernelTable* table);

// y[i] = act(x[i]) for any PostOp; x may be y.
using ActivationFn = void (*)(const float* x, float* y, int64_t n, float a, float b);
// The vector implementation of an activation in `table`. Never null.
ActivationFn activation_f32(const KernelTable& table, Activation kind);

}  // namespace mnn
