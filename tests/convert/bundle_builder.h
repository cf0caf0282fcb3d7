// TensorBundles and the tables they are listed in, made in memory.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libconvert/frontends/tensorflow/bundle.h"

namespace mnn::testing {

// A LevelDB table of the entries, which are sorted; a block for each `per_block` of them.
std::string table_bytes(const std::map<std::string, std::string>& entries, size_t per_block = 3);

struct BundleFiles {
  // Adds a tensor of TensorFlow's type `dtype` to a shard.
  tensorflow::BundleEntryProto& add(const std::string& key, int dtype, std::vector<int64_t> dims,
                                    const std::string& bytes, int shard = 0);
  // A tensor of one string.
  void add_string(const std::string& key, const std::string& text);
  // Files by name ("variables/variables.index").
  std::map<std::string, std::string> files() const;

  tensorflow::BundleHeaderProto header;
  std::map<std::string, tensorflow::BundleEntryProto> entries;
  std::vector<std::string> shards = {""};
};

// Opens files of a map; they live as long as what is read from them.
tensorflow::OpenFile opener(std::map<std::string, std::string> files);

template <typename T>
std::string raw_bytes(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

}  // namespace mnn::testing
