// Which backends there are, and opening one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libruntime/compile/backend.h"
#include "libruntime/compile/backend_options.h"

namespace mnn {

struct BackendRow {
  struct Option {
    std::string key, summary;
  };
  std::string name, summary;  // one line: what it is
  std::vector<Option> options;
  // Gets no other keys than those above; judges their values.
  Result<std::unique_ptr<Backend>> (*open)(const BackendSettings& settings) = nullptr;
  bool device = false;  // it computes in a memory of its own, and may have nothing to run on here
};

// The built-in ones (backends/builtin.cc), then those a program has added; a name is there once.
// May be called from several threads.
std::vector<std::string> backend_names();
// kUsage, with the nearest name, where there is no such backend. The row lives for ever.
Result<const BackendRow*> find_backend(const std::string& name);
// Adds a backend; false when the name is taken.
bool register_backend(BackendRow row);

// kUsage when there is no such backend, or it has no option of that key; says the nearest one.
Status check_options(const BackendOptions& options);
Result<std::unique_ptr<Backend>> open_backend(const std::string& name,
                                              const BackendSettings& settings = {});

// Defined in backends/builtin.cc: those every program has.
std::vector<BackendRow> builtin_backends();

}  // namespace mnn
