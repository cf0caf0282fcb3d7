// Which tensor of a SavedModel's bundle each variable of its graph is.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "libconvert/frontends/tensorflow/bundle.h"

namespace mnn::tensorflow {

struct SavedAs {
  std::string key;          // in the bundle
  std::optional<Box> part;  // of a variable that is one part of a larger one
};

// Under the name of the node that makes the variable's handle or is the variable. Told, each where
// the one before says nothing, by the saved objects (`objects`: what the bundle's checkpoint says
// of them), by what restores the variables, and by the lists of a graph of TensorFlow 1.
std::map<std::string, SavedAs> saved_variables(const MetaGraphDef& meta,
                                               const TrackableObjectGraph& objects);

// The nodes of the graph that make variables and that the tensors ("node:0") depend on.
std::set<std::string> needed_variables(const GraphDef& graph, const std::set<std::string>& tensors);

}  // namespace mnn::tensorflow
