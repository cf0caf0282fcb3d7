#include "apps/common/backend_flags.h"

#include "libruntime/compile/registry.h"

namespace mnn::cli {

void add_backend_flags(CLI::App& app, BackendChoice& choice) {
  app.add_option("--backend", choice.backends, "Backends to prefer, in this order")
      ->delimiter(',')
      ->type_name("NAME,…")
      ->check(CLI::IsMember(backend_names()));
  add_fallback_flag(app, choice.fallback);
}

void add_fallback_flag(CLI::App& app, bool& fallback) {
  app.add_flag(
      "!--no-fallback", fallback,
      "Exit 5, naming every node and the reason, where these backends do not compute all of it");
}

}  // namespace mnn::cli
