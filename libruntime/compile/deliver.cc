#include <cstring>

#include "libruntime/compile/backend.h"

namespace mnn {

Status deliver_output(const Tensor& made, Tensor& out) {
  if (out.raw() == nullptr) {
    out = made;
    return {};
  }
  if (made.dtype() != out.dtype() || made.dims() != out.dims()) {
    return invalid("an output was planned as " + out.type_str() + " but is " + made.type_str());
  }
  if (made.bytes() > 0) std::memmove(out.raw(), made.raw(), static_cast<size_t>(made.bytes()));
  return {};
}

}  // namespace mnn
