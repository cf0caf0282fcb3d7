// The backends every program has: one line each.
#include "libruntime/backends/cpu/cpu_backend.h"
#include "libruntime/backends/reference/reference_backend.h"
#include "libruntime/compile/registry.h"

namespace mnn {

std::vector<BackendRow> builtin_backends() { return {cpu_backend_row(), reference_backend_row()}; }

}  // namespace mnn
