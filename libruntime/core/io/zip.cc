#include "libruntime/core/io/zip.h"

#include <zlib.h>

#include <algorithm>

#include "libruntime/core/tensor.h"

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

// Sizes that do not fit 32 bits are in the extra field, in this order, each only where needed.
Status read_zip64_extra(const Bytes& file, uint64_t at, uint64_t size, ZipEntry& e) {
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

Result<ZipEntry> read_entry(const Bytes& file, uint64_t& at, uint64_t end) {
  if (end - at < 46 || file.get(at, 4) != kDirectoryEntry) {
    return invalid("zip: the directory is malformed");
  }
  ZipEntry e;
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
Result<std::span<const std::byte>> entry_bytes(const Bytes& file, const ZipEntry& e) {
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

// Every entry of the directory in its order, until `visit` fails.
template <typename Visit>
Status each_entry(const Bytes& file, const Directory& directory, Visit&& visit) {
  uint64_t at = directory.offset;
  const uint64_t end = directory.offset + directory.size;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    MNN_ASSIGN_OR_RETURN(ZipEntry entry, read_entry(file, at, end));
    MNN_RETURN_IF_ERROR(visit(std::move(entry)));
  }
  return {};
}

// Entries that share bytes make a small file unpack to a large one.
Status check_apart(const Bytes& file, const std::vector<ZipEntry>& entries,
                   uint64_t directory_offset) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const ZipEntry& e : entries) {
    Result<std::span<const std::byte>> packed = entry_bytes(file, e);
    if (!packed.ok()) return packed.status().context(e.name);
    const uint64_t end =
        e.offset + 30 + file.get(e.offset + 26, 2) + file.get(e.offset + 28, 2) + packed->size();
    if (end > directory_offset && e.offset < directory_offset) {
      return invalid("zip: " + e.name + " reaches into the directory");
    }
    ranges.emplace_back(e.offset, end);
  }
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) return invalid("zip: entries overlap");
  }
  return {};
}

}  // namespace

Result<ZipArchive> ZipArchive::open(MappedFile file) {
  ZipArchive archive;
  const Bytes bytes(file.bytes);
  MNN_ASSIGN_OR_RETURN(const Directory directory, find_directory(bytes));
  MNN_RETURN_IF_ERROR(each_entry(bytes, directory, [&](ZipEntry entry) -> Status {
    archive.entries_.push_back(std::move(entry));
    return {};
  }));
  MNN_RETURN_IF_ERROR(check_apart(bytes, archive.entries_, directory.offset));
  for (size_t i = 0; i < archive.entries_.size(); ++i) {
    const std::string& name = archive.entries_[i].name;
    if (!archive.by_name_.emplace(name, i).second)
      return invalid("zip: " + name + " is there twice");
  }
  archive.file_ = std::move(file);
  return archive;
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &entries_[at->second];
}

Result<MappedFile> ZipArchive::read(const ZipEntry& entry, uint64_t most) const {
  if (entry.flags & 1) return unsupported("zip: the entry is encrypted");
  if (entry.method != 0 && entry.method != 8) {
    return unsupported("zip: compression method " + std::to_string(entry.method) +
                       " is not supported (stored and deflated are)");
  }
  if (entry.unpacked > most) return limit_exceeded("the archive unpacks to too many bytes");
  MNN_ASSIGN_OR_RETURN(std::span<const std::byte> packed, entry_bytes(Bytes(file_.bytes), entry));
  if (entry.method == 0) {
    if (entry.packed != entry.unpacked) return invalid("zip: a stored entry has two sizes");
    return MappedFile{packed, file_.owner};
  }
  if (entry.unpacked / kMaxDeflateRatio > entry.packed) {
    return invalid("zip: impossible unpacked size");
  }
  MNN_ASSIGN_OR_RETURN(Tensor unpacked, inflate_bytes(packed, entry.unpacked));
  const auto owner = std::make_shared<const Tensor>(std::move(unpacked));
  const std::span<const std::byte> bytes{owner->raw(), static_cast<size_t>(owner->bytes())};
  MNN_RETURN_IF_ERROR(verify_checksum(entry, bytes));
  return MappedFile{bytes, owner};
}

Status verify_checksum(const ZipEntry& entry, std::span<const std::byte> bytes) {
  if (crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) == entry.crc)
    return {};
  return invalid("zip: the checksum does not match");
}

Result<std::vector<std::string>> zip_names(std::span<const std::byte> bytes) {
  std::vector<std::string> names;
  MNN_ASSIGN_OR_RETURN(const Directory directory, find_directory(Bytes(bytes)));
  MNN_RETURN_IF_ERROR(each_entry(Bytes(bytes), directory, [&](ZipEntry entry) -> Status {
    names.push_back(std::move(entry.name));
    return {};
  }));
  return names;
}

}  // namespace mnn
