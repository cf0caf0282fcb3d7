// What a training run has come to, in a file it can go on from.
#pragma once

#include <map>
#include <string>

#include "libruntime/core/tensor.h"

namespace mnn {

// Tensors by name. Written under a temporary name and renamed: a kill or a full disk leaves the
// checkpoint before it.
using Checkpoint = std::map<std::string, Tensor>;
Status write_checkpoint(const Checkpoint& checkpoint, const std::string& path);
// An error (malformed) when the file is damaged or no checkpoint.
Result<Checkpoint> read_checkpoint(const std::string& path);

}  // namespace mnn
