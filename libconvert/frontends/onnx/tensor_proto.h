// TensorProto and SparseTensorProto to Tensor and back, and the files that hold external data.
#pragma once

#include <map>
#include <string>

#include "libruntime/core/io/file.h"
#include "libruntime/core/tensor.h"
#include "onnx_model.pb.h"

namespace mnn::onnx {

inline constexpr int kMaxRank = 32;

// Reads tensors whose bytes lie in files beside the model. Only regular files whose real path is
// inside the model's folder are opened; each is mapped once and kept alive by its tensors.
class DataFolder {
 public:
  explicit DataFolder(std::string model_path) : model_path_(std::move(model_path)) {}
  // `bytes` of the file the proto's external_data names.
  Result<Tensor> load(const TensorProto& proto, DType dtype, std::vector<int64_t> dims,
                      int64_t bytes);

 private:
  Result<std::string> resolve(const std::string& location);
  Result<const MappedFile*> open(const std::string& location);

  std::string model_path_;
  std::vector<std::string> roots_;  // real folders a file may lie in
  std::map<std::string, MappedFile> files_;
};

// kTake moves large raw_data out of the proto instead of copying it.
enum class Ownership { kTake, kCopy };

// Everything is checked before memory is allocated: type, rank, dims, the number of elements.
// Without a `folder` external data is refused.
Result<Tensor> to_tensor(TensorProto& proto, DataFolder* folder, Ownership ownership);
// The dense tensor, zero where no value is given.
Result<Tensor> to_dense(SparseTensorProto& proto, DataFolder* folder);
void from_tensor(const Tensor& tensor, const std::string& name, TensorProto& proto);

}  // namespace mnn::onnx
