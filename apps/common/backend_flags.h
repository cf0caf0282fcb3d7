// --backend and --no-fallback: what computes.
#pragma once

#include <CLI/CLI.hpp>

#include "libruntime/session.h"

namespace mnn::cli {

void add_backend_flags(CLI::App& app, BackendChoice& choice);
void add_fallback_flag(CLI::App& app, bool& fallback);

}  // namespace mnn::cli
