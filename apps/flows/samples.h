// Calibration data: a folder of .npy files or images, of sub-folders with one file per input or,
// for a model of one input, of one class each; or an .npz keyed by input name.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/flows/events.h"
#include "apps/flows/image.h"
#include "libruntime/core/graph.h"

namespace mnn::flows {

// Samples are read when asked for, in name order, one entry of the folder each; of a class one
// file.
struct Samples {
  std::vector<std::string> names;
  std::vector<std::string> skipped;  // entries of the folder that are no samples
  std::function<Result<std::vector<Tensor>>(size_t)> load;
};

// Checks what can be checked without reading every file: that the folder or archive exists and has
// at least one sample. Entries that are none, hidden ones among them, are left out.
Result<Samples> open_samples(const std::string& path, const Graph& graph,
                             const std::vector<std::pair<std::string, int>>& source_inputs,
                             const ImageOptions& images);

// Tells what of the folder was left out; images of other kinds are worth a warning.
void tell_skipped(const std::string& path, const Samples& samples, const Events& events);

// The folder itself when it holds a file for every input (input_<i>.npy|.pb or <name>.npy|.pb), as
// one sample; an image or .npy file as one sample of a model of one input; else as open_samples.
Result<Samples> open_inputs(const std::string& path, const Graph& graph,
                            const std::vector<std::pair<std::string, int>>& source_inputs,
                            const ImageOptions& images);

}  // namespace mnn::flows
