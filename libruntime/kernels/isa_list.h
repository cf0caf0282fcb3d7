// MNN_ISA_LIST(DO) names every instruction set of this build (MNN_ISAS in kernels.cmake), narrow
// first.
#pragma once

#if defined(__x86_64__)
#define MNN_FULL_ISA_LIST(DO) DO(sse41) DO(avx2) DO(avx512)
// VNNI brings integer products of its own and takes the rest from AVX-512.
#define MNN_ISA_LIST(DO) MNN_FULL_ISA_LIST(DO) DO(avx512vnni)
#else
#define MNN_FULL_ISA_LIST(DO) DO(generic)
#define MNN_ISA_LIST(DO) MNN_FULL_ISA_LIST(DO)
#endif
