#include "libruntime/compile/registry.h"

#include <algorithm>
#include <deque>
#include <mutex>

#include "libruntime/core/nearest.h"

namespace mnn {
namespace {

struct Registry {
  std::mutex mutex;
  std::deque<BackendRow> rows;  // their addresses stay

  Registry() {
    for (BackendRow& row : builtin_backends()) rows.push_back(std::move(row));
  }
};

Registry& registry() {
  static Registry* r = new Registry;
  return *r;
}

// "there is no … 'typed', " and what there is instead.
Status no_such(const std::string& what, const std::string& typed,
               const std::vector<std::string>& known) {
  std::string text = "there is no " + what + " '" + typed + "', ";
  const std::string near = nearest(known, typed);
  if (!near.empty()) return usage_error(text + "did you mean '" + near + "'?");
  text += known.empty() ? "it has none" : "expected one of ";
  for (size_t i = 0; i < known.size(); ++i) text += (i == 0 ? "" : ", ") + known[i];
  return usage_error(text);
}

}  // namespace

std::vector<std::string> backend_names() {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  std::vector<std::string> names;
  for (const BackendRow& row : r.rows) names.push_back(row.name);
  return names;
}

Result<const BackendRow*> find_backend(const std::string& name) {
  Registry& r = registry();
  {
    const std::lock_guard lock(r.mutex);
    for (const BackendRow& row : r.rows) {
      if (row.name == name) return &row;
    }
  }
  return no_such("backend", name, backend_names());
}

bool register_backend(BackendRow row) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  for (const BackendRow& known : r.rows) {
    if (known.name == row.name) return false;
  }
  r.rows.push_back(std::move(row));
  return true;
}

Status check_options(const BackendOptions& options) {
  for (const auto& [name, settings] : options) {
    MNN_ASSIGN_OR_RETURN(const BackendRow* row, find_backend(name));
    std::vector<std::string> keys;
    for (const BackendRow::Option& option : row->options) keys.push_back(option.key);
    for (const auto& [key, value] : settings) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
        return no_such("option of backend " + name, key, keys);
      }
    }
  }
  return {};
}

Result<std::unique_ptr<Backend>> open_backend(const std::string& name,
                                              const BackendSettings& settings) {
  MNN_RETURN_IF_ERROR(check_options({{name, settings}}));
  MNN_ASSIGN_OR_RETURN(const BackendRow* row, find_backend(name));
  auto backend = row->open(settings);
  if (!backend.ok()) return backend.status().context("backend " + name);
  return backend;
}

}  // namespace mnn
