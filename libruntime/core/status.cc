#include "libruntime/core/status.h"

namespace mnn {

Status Status::context(std::string_view where) const {
  if (ok()) return {};
  return Status(code_, std::string(where) + ": " + message_);
}

}  // namespace mnn
