#include "libruntime/core/diagnostic.h"

#include <algorithm>

namespace mnn {

bool Diagnostics::has_errors() const {
  return std::any_of(items_.begin(), items_.end(),
                     [](const Diagnostic& d) { return d.severity == Severity::kError; });
}

Status Diagnostics::status() const {
  std::string text;
  Code code = Code::kOk;
  for (const Diagnostic& d : items_) {
    if (d.severity != Severity::kError) continue;
    if (code == Code::kOk) code = d.code;
    if (!text.empty()) text += '\n';
    if (!d.node.empty()) text += "node " + d.node;
    if (!d.op.empty()) text += (d.node.empty() ? "(" : " (") + d.op + ")";
    if (!d.node.empty() || !d.op.empty()) text += ": ";
    text += d.message;
  }
  return code == Code::kOk ? Status() : Status(code, std::move(text));
}

}  // namespace mnn
