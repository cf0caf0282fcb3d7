#include "libruntime/session.h"

namespace mnn {

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("sse4.1")) return names;
  names.emplace_back("sse41");
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
      !__builtin_cpu_supports("f16c")) {
    return names;
  }
  names.emplace_back("avx2");
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return names;
  }
  names.emplace_back("avx512");
  if (__builtin_cpu_supports("avx512vnni")) names.emplace_back("avx512vnni");
#endif
  return names;
}

}  // namespace mnn
