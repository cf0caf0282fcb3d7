// The zip archives that torch.save, torch.jit.save and torch.export.save write, and the tensors
// whose storages lie in them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libruntime/core/io/zip.h"
#include "libruntime/core/tensor.h"

namespace mnn::torch {

// Records by name, without the top folder that writers put around them under a name of their own.
class Archive {
 public:
  // kInvalidArgument when it is no sound zip archive, or a record's name leads out of it.
  static Result<Archive> open(MappedFile file);

  const std::string& folder() const { return folder_; }  // "model/"; empty when there is none
  bool has(std::string_view name) const;
  // The records whose names begin and end so, in the order of the archive.
  std::vector<std::string> list(std::string_view prefix, std::string_view ending = {}) const;
  // Stored records are mapped slices. kLimit when all that was unpacked is too much.
  Result<MappedFile> read(std::string_view name);

 private:
  explicit Archive(ZipArchive zip) : zip_(std::move(zip)) {}

  ZipArchive zip_;
  std::string folder_;
  uint64_t unpacked_ = 0;  // of deflated records, so far
};

// The storages of tensors: records of an archive, each read once and aligned for every type, so
// that tensors with one storage share it.
class Storages {
 public:
  Result<MappedFile> get(Archive& archive, const std::string& record);

 private:
  std::map<std::string, MappedFile> by_record_;
};

// "FloatStorage" or "float32" of module torch, with or without it.
std::optional<DType> parse_torch_dtype(std::string_view name);
// How a tensor lies in its storage: in elements.
struct StridedView {
  DType dtype = DType::kUndefined;
  std::vector<int64_t> sizes, strides;
  int64_t offset = 0;
};
// The tensor. Where it is dense it keeps pointing into the storage, so that tensors with one
// storage share it; others are copied. kInvalidArgument when it reaches outside, or when elements
// that are no plain repetition (a stride of 0) overlap.
Result<Tensor> tensor_from_storage(const MappedFile& storage, const StridedView& view);

}  // namespace mnn::torch
