// Samples with labels, for training: a folder of one folder per class, or a CSV of files and
// classes.
#pragma once

#include <string>
#include <vector>

#include "apps/flows/image.h"
#include "libruntime/core/tensor.h"

namespace mnn::flows {

struct LabelledFile {
  std::string path;
  int64_t label = 0;
};
struct LabelledFiles {
  std::vector<std::string> classes;  // names, by label
  std::vector<LabelledFile> files;   // by class, then name; of a CSV in its order
  std::vector<std::string> skipped;  // entries that are no samples
};

// `path`: a folder with a sub-folder per class of .png, .jpg or .npy files, or a .csv whose lines
// are FILE,CLASS (a file beside the CSV, or absolute; a first line without such a file is a
// heading). Classes by name, numbers by value. `classes`: their names in order, when they are
// given; then others are an error. An error of data names the line or the folder.
Result<LabelledFiles> open_labelled(const std::string& path,
                                    const std::vector<std::string>& classes);

// Every `1 / share`-th file of each class, by a shuffle of the seed, is moved out.
LabelledFiles split_off(LabelledFiles& files, double share, uint64_t seed);

// What is done to images at random: mirrored left to right, moved by up to an eighth of their size
// (edges repeat), brightness and contrast changed by up to a fifth.
struct Augmentation {
  bool flip = false, shift = false, light = false;
  bool any() const { return flip || shift || light; }
};
Result<Augmentation> parse_augmentation(const std::string& text);  // "flip,shift,light", "none"

// Reads one file as the float elements of a sample of the dims `dims` (a batch of 1).
Result<Tensor> read_sample(const std::string& path, const std::vector<int64_t>& dims,
                           const ImageOptions& images);
// Changes an image [1, c, h, w] or [1, h, w, c] in place, the same for the same seed.
void augment(Tensor& image, bool channels_last, const Augmentation& what, uint64_t seed);

}  // namespace mnn::flows
