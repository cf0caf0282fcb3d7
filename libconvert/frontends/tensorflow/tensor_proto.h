// TensorFlow's tensors and shapes as the IR's.
#pragma once

#include "libruntime/core/graph.h"
#include "libruntime/core/tensor.h"
#include "tensorflow.pb.h"

namespace mnn::tensorflow {

// An unknown rank has no shape. An error for types the IR does not have, dims below -1 and more
// axes than a tensor may have.
Result<Type> type_of(int dtype, const TensorShapeProto& shape);
// The elements, of which the last stands for all that a file leaves out at the end. Complex
// numbers get a last axis of two, real and imaginary. A tensor that takes more than 256 MiB while
// the file has a single element of it is kLimit.
Result<Tensor> to_tensor(const TensorProto& proto);

}  // namespace mnn::tensorflow
