// The backends this build has: one line each.
#include "libruntime/compile/backend.h"

namespace mnn {
namespace {

struct BackendRow {
  std::string_view name;
  std::unique_ptr<Backend> (*make)();
};

constexpr BackendRow kBackends[] = {
    {"cpu", make_cpu_backend},
    {"reference", make_reference_backend},
    {"test", make_test_backend},
};

}  // namespace

std::unique_ptr<Backend> make_backend(std::string_view name) {
  for (const BackendRow& row : kBackends) {
    if (row.name == name) return row.make();
  }
  return nullptr;
}

std::vector<std::string> backend_names() {
  std::vector<std::string> names;
  for (const BackendRow& row : kBackends) names.emplace_back(row.name);
  return names;
}

}  // namespace mnn
