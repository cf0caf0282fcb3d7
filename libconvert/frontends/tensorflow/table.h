// LevelDB tables: sorted keys with values in checksummed blocks. The index of a TensorBundle is
// one.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "libruntime/core/status.h"

namespace mnn::tensorflow {

// All entries. The values lie in `bytes`. An error when a checksum, an offset or the order of the
// keys is wrong; kUnsupported for compressed blocks, kLimit for keys that together are out of
// measure.
Result<std::map<std::string, std::string_view>> read_table(std::span<const std::byte> bytes);

}  // namespace mnn::tensorflow
