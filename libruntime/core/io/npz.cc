// Zip archives of .npy files. Every offset and size is checked against the file before use.
#include <zlib.h>

#include <cstring>
#include <vector>

#include "libruntime/core/io/file.h"
#include "libruntime/core/io/npy.h"

namespace mnn {
namespace {

// Deflate cannot do better: a larger claim is a lie that would cost memory.
constexpr uint64_t kMaxDeflateRatio = 1032;
constexpr uint32_t kEndOfDirectory = 0x06054b50, kEndOfDirectory64 = 0x06064b50,
                   kLocator64 = 0x07064b50, kDirectoryEntry = 0x02014b50, kLocalHeader = 0x04034b50;

// Little-endian reads inside a file; zero bytes beyond its end never happen: in_range comes first.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}
  bool in_range(uint64_t offset, uint64_t size) const {
    return offset <= bytes_.size() && size <= bytes_.size() - offset;
  }
  uint64_t size() const { return bytes_.size(); }
  uint64_t get(uint64_t offset, int width) const {
    uint64_t value = 0;
    for (int i = 0; i < width; ++i) {
      value |= static_cast<uint64_t>(bytes_[offset + static_cast<uint64_t>(i)]) << (8 * i);
    }
    return value;
  }
  std::span<const std::byte> sub(uint64_t offset, uint64_t size) const {
    return bytes_.subspan(offset, size);
  }

 private:
  std::span<const std::byte> bytes_;
};

struct Directory {
  uint64_t offset = 0, size = 0, entries = 0;
};

Result<Directory> find_directory(const Bytes& file) {
  constexpr uint64_t kEndSize = 22, kMaxComment = 65535;
  if (file.size() < kEndSize) return invalid("not a zip file: too short");
  for (uint64_t back = kEndSize; back <= std::min(kEndSize + kMaxComment, file.size()); ++back) {
    const uint64_t end = file.size() - back;
    if (file.get(end, 4) != kEndOfDirectory || file.get(end + 20, 2) > back - kEndSize) continue;
    Directory d{file.get(end + 16, 4), file.get(end + 12, 4), file.get(end + 10, 2)};
    const bool zip64 = d.offset == 0xffffffff || d.size == 0xffffffff || d.entries == 0xffff;
    if (zip64 && end >= 20 && file.get(end - 20, 4) == kLocator64) {
      const uint64_t at = file.get(end - 12, 8);
      if (!file.in_range(at, 56) || file.get(at, 4) != kEndOfDirectory64) {
        return invalid("zip: the 64-bit end of the directory is not where it should be");
      }
      d = {file.get(at + 48, 8), file.get(at + 40, 8), file.get(at + 32, 8)};
    }
    if (!file.in_range(d.offset, d.size)) return invalid("zip: the directory is outside the file");
    return d;
  }
  return invalid("not a zip file: no end of directory found");
}

struct Entry {
  std::string name;
  uint64_t flags = 0, method = 0, crc = 0, packed = 0, unpacked = 0, offset = 0;
};

// Sizes that do not fit 32 bits are in the extra field, in this order, each only where needed.
Status read_zip64_extra(const Bytes& file, uint64_t at, uint64_t size, Entry& e) {
  const uint64_t end = at + size;
  while (at + 4 <= end) {
    const uint64_t id = file.get(at, 2), length = file.get(at + 2, 2);
    at += 4;
    if (length > end - at) return invalid("zip: an extra field is too long");
    if (id == 1) {
      uint64_t field = at;
      for (uint64_t* value : {&e.unpacked, &e.packed, &e.offset}) {
        if (*value != 0xffffffff) continue;
        if (field + 8 > at + length) return invalid("zip: a 64-bit size is missing");
        *value = file.get(field, 8);
        field += 8;
      }
    }
    at += length;
  }
  return {};
}

Result<Entry> read_entry(const Bytes& file, uint64_t& at, uint64_t end) {
  if (end - at < 46 || file.get(at, 4) != kDirectoryEntry) {
    return invalid("zip: the directory is malformed");
  }
  Entry e;
  e.flags = file.get(at + 8, 2);
  e.method = file.get(at + 10, 2);
  e.crc = file.get(at + 16, 4);
  e.packed = file.get(at + 20, 4);
  e.unpacked = file.get(at + 24, 4);
  e.offset = file.get(at + 42, 4);
  const uint64_t name = file.get(at + 28, 2), extra = file.get(at + 30, 2),
                 comment = file.get(at + 32, 2);
  at += 46;
  if (end - at < name + extra + comment) return invalid("zip: the directory is malformed");
  const auto text = file.sub(at, name);
  e.name.assign(reinterpret_cast<const char*>(text.data()), text.size());
  MNN_RETURN_IF_ERROR(read_zip64_extra(file, at + name, extra, e));
  at += name + extra + comment;
  return e;
}

// The packed bytes of an entry, behind its local header.
Result<std::span<const std::byte>> entry_bytes(const Bytes& file, const Entry& e) {
  if (!file.in_range(e.offset, 30) || file.get(e.offset, 4) != kLocalHeader) {
    return invalid("zip: an entry is not where the directory says");
  }
  const uint64_t begin = e.offset + 30 + file.get(e.offset + 26, 2) + file.get(e.offset + 28, 2);
  if (!file.in_range(begin, e.packed)) return invalid("zip: an entry is outside the file");
  return file.sub(begin, e.packed);
}

Result<Tensor> inflate_bytes(std::span<const std::byte> packed, uint64_t unpacked) {
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(DType::kU8, {static_cast<int64_t>(unpacked)}));
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return limit_exceeded("zlib: out of memory");
  size_t in = 0, done = 0;
  int code = Z_OK;
  // zlib counts in 32 bits.
  constexpr size_t kStep = size_t{1} << 30;
  while (code == Z_OK) {
    const size_t feed = std::min(kStep, packed.size() - in);
    const size_t room = std::min<size_t>(kStep, unpacked - done);
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data() + in));
    stream.avail_in = static_cast<uInt>(feed);
    stream.next_out = reinterpret_cast<Bytef*>(out.raw() + done);
    stream.avail_out = static_cast<uInt>(room);
    code = inflate(&stream, Z_NO_FLUSH);
    in += feed - stream.avail_in;
    done += room - stream.avail_out;
    if (code == Z_OK && feed == stream.avail_in && room == stream.avail_out) code = Z_BUF_ERROR;
  }
  inflateEnd(&stream);
  if (code != Z_STREAM_END || done != unpacked) return invalid("zip: damaged deflate data");
  return out;
}

uint64_t crc_of(std::span<const std::byte> bytes) {
  return crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
}

Result<Tensor> read_tensor(const Bytes& file, const Entry& e, uint64_t& budget) {
  if (e.flags & 1) return unsupported("zip: the entry is encrypted");
  if (e.method != 0 && e.method != 8) {
    return unsupported("zip: compression method " + std::to_string(e.method) +
                       " is not supported (stored and deflated are)");
  }
  if (e.unpacked > budget) return limit_exceeded("the archive unpacks to too many bytes");
  budget -= e.unpacked;
  MNN_ASSIGN_OR_RETURN(std::span<const std::byte> bytes, entry_bytes(file, e));
  Tensor unpacked;
  if (e.method == 8) {
    if (e.unpacked / kMaxDeflateRatio > e.packed) return invalid("zip: impossible unpacked size");
    MNN_ASSIGN_OR_RETURN(unpacked, inflate_bytes(bytes, e.unpacked));
    bytes = {unpacked.raw(), static_cast<size_t>(unpacked.bytes())};
  } else if (e.packed != e.unpacked) {
    return invalid("zip: a stored entry has two sizes");
  }
  if (crc_of(bytes) != e.crc) return invalid("zip: the checksum does not match");
  return parse_npy(bytes);
}

// Every entry of the directory in its order, until `visit` fails.
template <typename Visit>
Status each_entry(const Bytes& file, Visit&& visit) {
  MNN_ASSIGN_OR_RETURN(const Directory directory, find_directory(file));
  uint64_t at = directory.offset;
  const uint64_t end = directory.offset + directory.size;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    MNN_ASSIGN_OR_RETURN(Entry entry, read_entry(file, at, end));
    MNN_RETURN_IF_ERROR(visit(std::move(entry)));
  }
  return {};
}

Result<std::map<std::string, Tensor>> read_archive(const Bytes& file, uint64_t budget) {
  std::map<std::string, Tensor> tensors;
  MNN_RETURN_IF_ERROR(each_entry(file, [&](const Entry& entry) -> Status {
    if (!entry.name.ends_with(".npy")) return {};
    Result<Tensor> tensor = read_tensor(file, entry, budget);
    if (!tensor.ok()) return tensor.status().context(entry.name);
    std::string key = entry.name.substr(0, entry.name.size() - 4);
    if (!tensors.emplace(std::move(key), *std::move(tensor)).second) {
      return invalid(entry.name + " is there twice");
    }
    return {};
  }));
  return tensors;
}

}  // namespace

Result<std::vector<std::string>> zip_names(std::span<const std::byte> bytes) {
  std::vector<std::string> names;
  MNN_RETURN_IF_ERROR(each_entry(Bytes(bytes), [&](Entry entry) -> Status {
    names.push_back(std::move(entry.name));
    return {};
  }));
  return names;
}

Result<std::map<std::string, Tensor>> parse_npz(std::span<const std::byte> bytes,
                                                int64_t max_bytes) {
  return read_archive(Bytes(bytes), static_cast<uint64_t>(std::max<int64_t>(max_bytes, 0)));
}

Result<std::map<std::string, Tensor>> read_npz(const std::string& path, int64_t max_bytes) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  auto tensors = parse_npz(file.bytes, max_bytes);
  if (!tensors.ok()) return tensors.status().context(path);
  return tensors;
}

}  // namespace mnn
