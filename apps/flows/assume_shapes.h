// Sizes for the dims that a model leaves open, so that it can be timed and tried.
#pragma once

#include <string>

#include "apps/flows/model_io.h"
#include "apps/flows/samples.h"

namespace mnn::flows {

struct AssumedShapes {
  ShapeMap shapes;                // full dims of every input that had open ones; empty: none had
  int64_t height = 0, width = 0;  // what images are resized to where the model leaves that open
  std::string why;                // where the sizes come from, for a person
};

// With samples: the dims of the first one or, of images, their median size in multiples of the
// model's total stride, at most 640; else usual sizes. The model was run on what is returned. An
// open first dim without samples is 1. kUsage asking for --shape when the model runs on none;
// `samples` may be null.
Result<AssumedShapes> assume_shapes(const Graph& graph, const Samples* samples,
                                    const ImageOptions& images, int threads);

// "nhwc" when the one input looks like images with the channels last, else "nchw".
std::string guess_layout(const Graph& graph);

}  // namespace mnn::flows
