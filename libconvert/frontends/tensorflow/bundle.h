// TensorBundle, what TensorFlow keeps weights in: an index (PREFIX.index, a table) and shards of
// bytes beside it (PREFIX.data-00000-of-00001, …).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "libruntime/core/io/file.h"
#include "libruntime/core/tensor.h"
#include "tensorflow.pb.h"

namespace mnn::tensorflow {

// A box in a tensor.
struct Box {
  std::vector<int64_t> start, size;  // per dim
};

// Opens a file by its name in the model's folder.
using OpenFile = std::function<Result<MappedFile>(const std::string& name)>;

class Bundle {
 public:
  // Reads the index; shards are opened when a tensor lies in them.
  static Result<Bundle> open(OpenFile files, const std::string& prefix);

  // Null where there is no such tensor.
  const BundleEntryProto* find(const std::string& key) const;
  // Its bytes where they lie (mapped) when they can be used so; otherwise, and where it was stored
  // in slices, a copy. Checked against its checksum. Strings are kUnsupported.
  Result<Tensor> read(const std::string& key);
  // The part of it in `box`.
  Result<Tensor> read(const std::string& key, const Box& box);
  // A tensor of one string.
  Result<std::string> read_string(const std::string& key);

 private:
  Bundle(OpenFile files, std::string prefix)
      : files_(std::move(files)), prefix_(std::move(prefix)) {}
  Status add_entries(std::span<const std::byte> index);
  Status check_overlaps() const;
  Result<MappedFile> shard(int32_t id);
  Result<MappedFile> bytes_of(const BundleEntryProto& entry);
  Result<Tensor> read_entry(const BundleEntryProto& entry);
  Result<Tensor> join(const std::string& key, const BundleEntryProto& entry);

  OpenFile files_;
  std::string prefix_;
  int32_t shards_ = 0;
  std::map<std::string, BundleEntryProto> entries_;
  // The last tensor joined of slices: its parts are asked for one after the other.
  std::string joined_key_;
  Tensor joined_;
};

// The key of a slice of a tensor in an index.
std::string slice_key(const std::string& name, const TensorSliceProto& slice);

}  // namespace mnn::tensorflow
