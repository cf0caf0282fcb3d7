// External data: tensors whose bytes lie in files beside the model.
#include <sys/stat.h>

#include <charconv>
#include <climits>
#include <cstdlib>
#include <filesystem>

#include "libconvert/frontends/onnx/tensor_proto.h"

namespace mnn::onnx {
namespace {

// The longest location a file system takes.
constexpr size_t kMaxLocation = PATH_MAX;

Result<int64_t> parse_decimal(const std::string& key, const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    return invalid("external data " + key + " '" + text.substr(0, 40) +
                   "' is not a number from 0 to 2^63-1");
  }
  return value;
}

std::string real_path(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return {};
  std::string text = resolved;
  std::free(resolved);
  return text;
}

std::string folder_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

bool inside(const std::string& path, const std::string& folder) {
  const std::string prefix = folder == "/" ? folder : folder + "/";
  return path.size() > prefix.size() && path.compare(0, prefix.size(), prefix) == 0;
}

}  // namespace

Result<std::string> DataFolder::resolve(const std::string& location) {
  if (location.empty()) return invalid("external data without a location");
  if (location.size() >= kMaxLocation) return invalid("external data location is too long");
  if (location.find('\0') != std::string::npos) {
    return invalid("external data location holds a NUL");
  }
  if (location[0] == '/') {
    return invalid("external data location " + location + " is not relative");
  }
  if (roots_.empty()) {
    // A model that is itself a link (a download cache) may have its data beside the link's target.
    roots_ = {real_path(folder_of(model_path_)), folder_of(real_path(model_path_))};
  }
  const std::string path = folder_of(model_path_) + "/" + location;
  const std::string resolved = real_path(path);
  if (resolved.empty()) return not_accessible("external data file " + location + " is not there");
  for (const std::string& root : roots_) {
    if (!root.empty() && inside(resolved, root)) return resolved;
  }
  return invalid("external data file " + location + " is outside the model's folder");
}

Result<const MappedFile*> DataFolder::open(const std::string& location) {
  const auto known = files_.find(location);
  if (known != files_.end()) return &known->second;
  MNN_ASSIGN_OR_RETURN(const std::string path, resolve(location));
  // A pipe or device must not even be opened: opening may block.
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return invalid("external data file " + location + " is not a regular file");
  }
  MNN_ASSIGN_OR_RETURN(MappedFile file, map_file(path));
  return &files_.emplace(location, std::move(file)).first->second;
}

Result<Tensor> DataFolder::load(const TensorProto& proto, DType dtype, std::vector<int64_t> dims,
                                int64_t bytes) {
  std::string location;
  int64_t offset = 0;
  std::optional<int64_t> length;
  for (const StringStringEntryProto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") {
      MNN_ASSIGN_OR_RETURN(offset, parse_decimal("offset", entry.value()));
    }
    if (entry.key() == "length") {
      MNN_ASSIGN_OR_RETURN(length, parse_decimal("length", entry.value()));
    }
  }
  if (length && *length != bytes) {
    return invalid("expected " + std::to_string(bytes) + " bytes of external data, found length " +
                   std::to_string(*length));
  }
  MNN_ASSIGN_OR_RETURN(const MappedFile* file, open(location));
  const auto size = static_cast<int64_t>(file->bytes.size());
  if (offset > size || bytes > size - offset) {
    return invalid("external data file " + location + " has " + std::to_string(size) +
                   " bytes, expected " + std::to_string(bytes) + " at offset " +
                   std::to_string(offset));
  }
  const std::byte* data = file->bytes.data() + offset;
  const auto aligned = reinterpret_cast<uintptr_t>(data) %
                           static_cast<uintptr_t>(std::max(dtype_bits(dtype) / 8, 1)) ==
                       0;
  if (aligned && dtype != DType::kBool && bytes > 0) {
    return Tensor::wrap(dtype, std::move(dims), const_cast<std::byte*>(data), file->owner);
  }
  TensorProto copy;
  copy.set_data_type(static_cast<int32_t>(dtype));
  for (const int64_t d : dims) copy.add_dims(d);
  copy.set_raw_data(data, static_cast<size_t>(bytes));
  return to_tensor(copy, nullptr, Ownership::kTake);
}

}  // namespace mnn::onnx
