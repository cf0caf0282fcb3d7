// What a program may unfold to, as both of TensorFlow's front ends let the caller say.
#pragma once

#include "libconvert/frontends/tensorflow/importer.h"

namespace mnn::tensorflow {

Result<Limits> read_limits(const ImportOptions& options);
// The keys of a front end with those of the limits behind them.
std::vector<ImportKey> with_limit_keys(std::vector<ImportKey> keys);

}  // namespace mnn::tensorflow
