// TensorProto and SparseTensorProto to Tensor and back; external data is read from side files.
#pragma once

#include <string>
#include <vector>

#include "libconvert/frontends/common/side_files.h"
#include "libruntime/core/tensor.h"
#include "onnx_model.pb.h"

namespace mnn::onnx {

using frontend::SourceFiles;

// kTake moves large raw_data out of the proto instead of copying it.
enum class Ownership { kTake, kCopy };

// Everything is checked before memory is allocated: type, rank, dims, the number of elements.
// Without `files` external data is refused.
Result<Tensor> to_tensor(TensorProto& proto, SourceFiles* files, Ownership ownership);
// `bytes` of the file that the proto's external_data names.
Result<Tensor> load_external(const TensorProto& proto, SourceFiles& files, DType dtype,
                             std::vector<int64_t> dims, int64_t bytes);
// The dense tensor, zero where no value is given.
Result<Tensor> to_dense(SparseTensorProto& proto, SourceFiles* files);
void from_tensor(const Tensor& tensor, const std::string& name, TensorProto& proto);

}  // namespace mnn::onnx
