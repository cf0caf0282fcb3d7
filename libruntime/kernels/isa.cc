#include "libruntime/kernels/isa.h"

#include <cstdlib>
#include <mutex>

#include "libruntime/kernels/isa_list.h"
#include "libruntime/kernels/kernel_table.h"

#define MNN_DECLARE_ISA(isa) \
  namespace mnn::isa {       \
  void fill(KernelTable&);   \
  }
MNN_ISA_LIST(MNN_DECLARE_ISA)

namespace mnn {
namespace {

bool cpu_has(std::string_view isa) {
#if defined(__x86_64__)
  if (isa == "sse41") return __builtin_cpu_supports("sse4.1") != 0;
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  if (isa == "avx2") return avx2;
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (isa == "avx512") return avx512;
  if (isa == "avx512vnni") return avx512 && __builtin_cpu_supports("avx512vnni");
#endif
  return isa == "generic";
}

struct Registry {
  std::mutex mutex;
  std::vector<std::string> built;          // narrow first
  std::vector<const KernelTable*> usable;  // best first

  // Only the tables of sets this CPU has are filled: filling runs code compiled for the set.
  Registry() {
#define MNN_ADD_ISA(name)                  \
  built.push_back(#name);                  \
  if (cpu_has(#name)) {                    \
    static KernelTable table;              \
    table.isa = #name;                     \
    name::fill(table);                     \
    usable.insert(usable.begin(), &table); \
  }
    MNN_ISA_LIST(MNN_ADD_ISA)
#undef MNN_ADD_ISA
  }
};

Registry& registry() {
  static Registry* r = new Registry;
  return *r;
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::vector<std::string> available_isas() {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  std::vector<std::string> names;
  for (const KernelTable* table : r.usable) names.insert(names.begin(), table->isa);
  return names;
}

void add_kernel_table(const KernelTable* table) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  r.usable.push_back(table);
}

Result<const KernelTable*> find_kernels(const std::string& isa) {
  std::string wanted = isa;
  if (wanted.empty()) {
    const char* forced = std::getenv("MNN_CPU_ISA");
    if (forced) wanted = forced;
  }
  Registry& r = registry();
  {
    const std::lock_guard lock(r.mutex);
    if (r.usable.empty())
      return unsupported("this CPU has none of the instruction sets " + join(r.built));
    if (wanted.empty()) return r.usable.front();
    for (const KernelTable* table : r.usable)
      if (wanted == table->isa) return table;
  }
  for (const auto& name : r.built)
    if (wanted == name)
      return usage_error("instruction set " + wanted + " is not on this CPU, which has " +
                         join(available_isas()));
  return usage_error("unknown instruction set '" + wanted + "', expected one of " + join(r.built));
}

ActivationFn activation_f32(const KernelTable& table, Activation kind) {
  return table.activation_f32[static_cast<int>(kind)];
}

}  // namespace mnn
