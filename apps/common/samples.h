// Calibration data: a folder of .npy files or images, of sub-folders with one file per input, or an
// .npz keyed by input name.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/common/image.h"
#include "libruntime/core/graph.h"

namespace mnn::cli {

// Samples are read when asked for, in name order, one entry of the folder each.
struct Samples {
  std::vector<std::string> names;
  std::function<Result<std::vector<Tensor>>(size_t)> load;
};

// Checks what can be checked without reading every file: that the folder or archive exists and has
// at least one entry.
Result<Samples> open_samples(const std::string& path, const Graph& graph,
                             const std::vector<std::pair<std::string, int>>& source_inputs,
                             const ImageOptions& images);

// The folder itself when it holds a file for every input (input_<i>.npy|.pb or <name>.npy|.pb), as
// one sample; else as open_samples.
Result<Samples> open_inputs(const std::string& path, const Graph& graph,
                            const std::vector<std::pair<std::string, int>>& source_inputs,
                            const ImageOptions& images);

}  // namespace mnn::cli
