// External data: tensors whose bytes lie in files beside the model.
#include <algorithm>
#include <charconv>
#include <optional>

#include "libconvert/frontends/onnx/tensor_proto.h"

namespace mnn::onnx {
namespace {

Result<int64_t> parse_decimal(const std::string& key, const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    return invalid("external data " + key + " '" + text.substr(0, 40) +
                   "' is not a number from 0 to 2^63-1");
  }
  return value;
}

}  // namespace

Result<Tensor> load_external(const TensorProto& proto, SourceFiles& files, DType dtype,
                             std::vector<int64_t> dims, int64_t bytes) {
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
  const Result<MappedFile> file = files.open(location);
  if (!file.ok()) return file.status().context("external data");
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
