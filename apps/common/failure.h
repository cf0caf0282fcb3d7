// What a command that failed leaves besides the last line on stderr: an object on stdout with
// --json, and a report that says why where --report was to be written.
#pragma once

#include <string>

#include "libruntime/core/status.h"

namespace mnn::cli {

// {"error": {"exit_code", "kind", "message", "problems": [{"node", "op", "kind", "message"}…]}},
// and of a failed import "model", "format", "facts" and "notes".
std::string failure_json(const Status& status);
// The same as .json, .html, .md or .xml (JUnit, a failure per problem); a usage error for any other
// ending.
Status write_failure_report(const std::string& path, const std::string& command,
                            const Status& status);

}  // namespace mnn::cli
