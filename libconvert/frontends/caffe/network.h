// A Caffe network as text and its weights, read into messages with layers of one kind.
#pragma once

#include <span>
#include <string>

#include "caffe.pb.h"
#include "libruntime/core/diagnostic.h"
#include "libruntime/core/status.h"

namespace mnn::caffe {

// The network of a .prototxt: layers of the first version are the second's, those of training are
// gone. Unknown fields are skipped with one warning.
Result<NetParameter> read_network(std::span<const std::byte> text, Diagnostics& diagnostics);
// The layers of a .caffemodel, of either version.
Result<NetParameter> read_weights(std::span<const std::byte> bytes);

}  // namespace mnn::caffe
