// MNN_ISA_LIST(DO) names every instruction set of this build (MNN_ISAS in kernels.cmake), narrow
// first.
#pragma once

#if defined(__x86_64__)
#define MNN_ISA_LIST(DO) DO(sse41) DO(avx2) DO(avx512) DO(avx512vnni)
#else
#define MNN_ISA_LIST(DO) DO(generic)
#endif
