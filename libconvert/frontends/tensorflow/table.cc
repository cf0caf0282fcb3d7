#include "libconvert/frontends/tensorflow/table.h"

#include "libconvert/frontends/tensorflow/crc32c.h"
#include "libconvert/sniff.h"

namespace mnn::tensorflow {
namespace {

using Bytes = std::span<const std::byte>;

constexpr size_t kFooter = 48;       // two handles, padding, magic
constexpr size_t kBlockTrailer = 5;  // compression, checksum
// Keys share prefixes: a short file can spell long ones.
constexpr size_t kMostKeyBytes = size_t{1} << 28;
constexpr uint64_t kPlain = 0, kSnappy = 1;

struct Handle {
  uint64_t offset = 0, size = 0;
};

Result<Handle> take_handle(Bytes& bytes) {
  const auto offset = take_varint(bytes), size = take_varint(bytes);
  if (!offset || !size) return invalid("the place of a block is cut off");
  return Handle{*offset, *size};
}

// The contents of a block that ends before `end`.
Result<Bytes> open_block(Bytes file, uint64_t end, const Handle& handle) {
  if (handle.offset > end || handle.size > end - handle.offset ||
      end - handle.offset - handle.size < kBlockTrailer) {
    return invalid("a block of " + std::to_string(handle.size) + " bytes at " +
                   std::to_string(handle.offset) + " reaches beyond " + std::to_string(end));
  }
  const auto offset = static_cast<size_t>(handle.offset), size = static_cast<size_t>(handle.size);
  const Bytes checked = file.subspan(offset, size + 1);
  const std::string where = "the block at " + std::to_string(offset);
  if (masked_crc32c(checked) != little_endian(file.subspan(offset + size + 1), 4)) {
    return invalid(where + " does not match its checksum");
  }
  const auto compression = static_cast<uint64_t>(checked.back());
  if (compression == kSnappy) {
    return unsupported(where + " is compressed with Snappy; TensorFlow writes such blocks plainly");
  }
  if (compression != kPlain) {
    return invalid(where + " has compression " + std::to_string(compression));
  }
  return checked.first(size);
}

// Calls add(key, value) for the entries of a block, which are sorted.
template <typename Add>
Status read_entries(Bytes block, const Add& add) {
  if (block.size() < 4) return invalid("a block is too short");
  const uint64_t restarts = little_endian(block.last(4), 4);
  if (restarts > (block.size() - 4) / 4) return invalid("the restarts of a block are not in it");
  Bytes left = block.first(block.size() - 4 - 4 * static_cast<size_t>(restarts));
  std::string key;
  while (!left.empty()) {
    const auto shared = take_varint(left), own = take_varint(left), length = take_varint(left);
    if (!shared || !own || !length || *shared > key.size() || *own > left.size() ||
        *length > left.size() - *own) {
      return invalid("an entry reaches beyond its block");
    }
    key.resize(static_cast<size_t>(*shared));
    key.append(reinterpret_cast<const char*>(left.data()), static_cast<size_t>(*own));
    left = left.subspan(static_cast<size_t>(*own));
    MNN_RETURN_IF_ERROR(add(key, left.first(static_cast<size_t>(*length))));
    left = left.subspan(static_cast<size_t>(*length));
  }
  return {};
}

}  // namespace

Result<std::map<std::string, std::string_view>> read_table(Bytes bytes) {
  if (!is_leveldb_table(bytes)) {
    return invalid(
        "it does not end as an index of TensorFlow does: it is cut off, or another file");
  }
  const uint64_t body = bytes.size() - kFooter;
  Bytes footer = bytes.last(kFooter);
  MNN_RETURN_IF_ERROR(take_handle(footer).status());  // of the metaindex, which says nothing here
  MNN_ASSIGN_OR_RETURN(const Handle root, take_handle(footer));
  MNN_ASSIGN_OR_RETURN(const Bytes index, open_block(bytes, body, root));
  std::map<std::string, std::string_view> out;
  size_t key_bytes = 0;
  uint64_t end = 0;  // of the last block: blocks follow each other, so none is read twice
  MNN_RETURN_IF_ERROR(read_entries(index, [&](const std::string&, Bytes value) -> Status {
    MNN_ASSIGN_OR_RETURN(const Handle handle, take_handle(value));
    if (handle.offset < end) return invalid("its blocks overlap");
    MNN_ASSIGN_OR_RETURN(const Bytes block, open_block(bytes, body, handle));
    end = handle.offset + handle.size + kBlockTrailer;
    return read_entries(block, [&](const std::string& key, Bytes data) -> Status {
      if (!out.empty() && key <= out.rbegin()->first) return invalid("its keys are not in order");
      key_bytes += key.size();
      if (key_bytes > kMostKeyBytes) return limit_exceeded("its keys take more than 256 MiB");
      out.emplace_hint(out.end(), key,
                       std::string_view(reinterpret_cast<const char*>(data.data()), data.size()));
      return {};
    });
  }));
  return out;
}

}  // namespace mnn::tensorflow
