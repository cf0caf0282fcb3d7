#include "libruntime/kernels/vector_kernels.h"

#include <mutex>

#include "libruntime/kernels/isa_list.h"

#define MNN_DECLARE_ISA(isa)        \
  namespace mnn::isa {              \
  void fill_vector(VectorKernels&); \
  }
MNN_FULL_ISA_LIST(MNN_DECLARE_ISA)

namespace mnn {

const VectorKernels* find_vector_kernels(std::string_view isa) {
  if (isa == "avx512vnni") isa = "avx512";
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  // Filling runs no code of the set, but a table is only of use where the CPU has it.
#define MNN_FIND_ISA(name)      \
  if (isa == #name) {           \
    static VectorKernels table; \
    if (table.isa == nullptr) { \
      name::fill_vector(table); \
      table.isa = #name;        \
    }                           \
    return &table;              \
  }
  MNN_FULL_ISA_LIST(MNN_FIND_ISA)
#undef MNN_FIND_ISA
  return nullptr;
}

}  // namespace mnn
