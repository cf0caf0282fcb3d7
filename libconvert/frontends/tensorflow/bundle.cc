#include "libconvert/frontends/tensorflow/bundle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>

#include "libconvert/frontends/common/border.h"
#include "libconvert/frontends/tensorflow/crc32c.h"
#include "libconvert/frontends/tensorflow/table.h"
#include "libconvert/frontends/tensorflow/types.h"
#include "libconvert/sniff.h"
#include "libruntime/core/dim.h"

namespace mnn::tensorflow {
namespace {

using Bytes = std::span<const std::byte>;

constexpr int32_t kMostShards = 100000;           // a shard's number has five digits
constexpr int64_t kMostBytes = int64_t{1} << 48;  // of a shard: sums of two do not overflow
constexpr const char* kHeaderKey = "";

Result<std::vector<int64_t>> read_dims(const BundleEntryProto& entry) {
  std::vector<int64_t> dims;
  for (const auto& d : entry.shape().dim()) dims.push_back(d.size());
  MNN_RETURN_IF_ERROR(frontend::check_rank(dims.size()));
  if (std::ranges::any_of(dims, [](int64_t d) { return d < 0; }) || !checked_elements(dims)) {
    return invalid("its shape is none a stored tensor can have");
  }
  return dims;
}

// Copies a box of `size` out of an array of dims `from` into one of dims `to`, of elements of
// `width` bytes. Both boxes lie inside.
void copy_box(const std::byte* source, const std::vector<int64_t>& from,
              const std::vector<int64_t>& from_start, std::byte* target,
              const std::vector<int64_t>& to, const std::vector<int64_t>& to_start,
              const std::vector<int64_t>& size, int64_t width, size_t dim = 0) {
  if (dim == size.size()) {
    std::memcpy(target, source, static_cast<size_t>(width));
    return;
  }
  const auto inner = [&](const std::vector<int64_t>& dims) {
    return std::accumulate(dims.begin() + static_cast<long>(dim) + 1, dims.end(), width,
                           std::multiplies<>());
  };
  const int64_t from_step = inner(from), to_step = inner(to);
  source += from_start[dim] * from_step;
  target += to_start[dim] * to_step;
  if (dim + 1 == size.size()) {
    std::memcpy(target, source, static_cast<size_t>(size[dim] * width));
    return;
  }
  for (int64_t i = 0; i < size[dim]; ++i) {
    copy_box(source + i * from_step, from, from_start, target + i * to_step, to, to_start, size,
             width, dim + 1);
  }
}

bool inside(const Box& box, const std::vector<int64_t>& dims) {
  if (box.start.size() != dims.size() || box.size.size() != dims.size()) return false;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (box.start[i] < 0 || box.size[i] < 0 || box.start[i] > dims[i] ||
        box.size[i] > dims[i] - box.start[i]) {
      return false;
    }
  }
  return true;
}

bool disjoint(const Box& a, const Box& b) {
  for (size_t i = 0; i < a.start.size(); ++i) {
    if (a.start[i] + a.size[i] <= b.start[i] || b.start[i] + b.size[i] <= a.start[i]) return true;
  }
  return false;
}

int64_t elements_of(const std::vector<int64_t>& dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

// Of a slice without an extent in a dim: all of it.
Box box_of(const TensorSliceProto& slice, const std::vector<int64_t>& dims) {
  Box box;
  for (int i = 0; i < slice.extent_size(); ++i) {
    const auto& e = slice.extent(i);
    const bool all = e.has_length_case() == TensorSliceProto::Extent::HAS_LENGTH_NOT_SET;
    const auto d = static_cast<size_t>(i);
    box.start.push_back(all ? 0 : e.start());
    box.size.push_back(!all ? e.length() : d < dims.size() ? dims[d] : 0);
  }
  return box;
}

}  // namespace

std::string slice_key(const std::string& name, const TensorSliceProto& slice) {
  // Numbers and texts whose bytes sort as they do.
  std::string key(1, '\0');
  for (const char c : name) {
    key += c;
    if (c == '\0') key += '\xff';
    if (c == '\xff') key += '\0';
  }
  key += std::string("\0\1", 2);
  const auto rank = static_cast<uint64_t>(slice.extent_size());
  key += static_cast<char>(rank > 0 ? 1 : 0);  // of one byte: there are no ranks over 255
  if (rank > 0) key += static_cast<char>(rank);
  const auto add = [&](int64_t value) {
    // The first bits count the bytes: 7 bits of a number each. Negative ones have all bits turned.
    const auto bits =
        static_cast<size_t>(std::bit_width(static_cast<uint64_t>(value < 0 ? ~value : value)));
    const size_t length = bits / 7 + 1;
    std::array<uint8_t, 10> bytes{};
    bytes.fill(value < 0 ? 0xff : 0);
    for (size_t i = 0; i < 8; ++i) {
      bytes[9 - i] = static_cast<uint8_t>(static_cast<uint64_t>(value) >> 8 * i);
    }
    uint8_t* const begin = bytes.data() + bytes.size() - length;
    const auto mark = static_cast<uint16_t>(0xffff << (16 - length));
    begin[0] ^= static_cast<uint8_t>(mark >> 8);
    if (length > 1) begin[1] ^= static_cast<uint8_t>(mark);
    key.append(reinterpret_cast<const char*>(begin), length);
  };
  for (const auto& e : slice.extent()) {
    const bool all = e.has_length_case() == TensorSliceProto::Extent::HAS_LENGTH_NOT_SET;
    add(all ? 0 : e.start());
    add(all ? -1 : e.length());
  }
  return key;
}

Result<Bundle> Bundle::open(OpenFile files, const std::string& prefix) {
  Bundle bundle(std::move(files), prefix);
  const std::string name = prefix + ".index";
  MNN_ASSIGN_OR_RETURN(const MappedFile index, bundle.files_(name));
  const Status status = bundle.add_entries(index.bytes);
  if (!status.ok()) return status.context(name);
  return bundle;
}

Status Bundle::add_entries(Bytes index) {
  MNN_ASSIGN_OR_RETURN(const auto table, read_table(index));
  const auto header_text = table.find(kHeaderKey);
  BundleHeaderProto header;
  if (header_text == table.end() ||
      !header.ParseFromArray(header_text->second.data(),
                             static_cast<int>(header_text->second.size()))) {
    return invalid("it has no header: it is no index of TensorFlow's variables");
  }
  if (header.endianness() != 0) {
    return unsupported("its numbers are big-endian; save the model on a little-endian machine");
  }
  constexpr int kVersion = 1;
  if (header.version().min_consumer() > kVersion) {
    return unsupported("it asks for readers of version " +
                       std::to_string(header.version().min_consumer()) + ", this one is of " +
                       std::to_string(kVersion));
  }
  shards_ = header.num_shards();
  if (shards_ < 0 || shards_ >= kMostShards) {
    return invalid("it counts " + std::to_string(shards_) + " shards");
  }
  for (const auto& [key, text] : table) {
    if (key.empty()) continue;
    BundleEntryProto entry;
    if (!entry.ParseFromArray(text.data(), static_cast<int>(text.size()))) {
      return invalid("the entry of " + key + " is damaged");
    }
    if (entry.shard_id() < 0 || entry.shard_id() >= shards_ || entry.offset() < 0 ||
        entry.size() < 0 || entry.size() > kMostBytes || entry.offset() > kMostBytes) {
      return invalid("the entry of " + key + " lies in no shard");
    }
    entries_.emplace_hint(entries_.end(), key, std::move(entry));
  }
  return check_overlaps();
}

// What lies apart in the file is what was written: then a tensor takes no more memory than files.
Status Bundle::check_overlaps() const {
  std::vector<const BundleEntryProto*> order;
  for (const auto& [key, entry] : entries_) {
    if (entry.slices_size() == 0 && entry.size() > 0) order.push_back(&entry);
  }
  std::ranges::sort(
      order, {}, [](const BundleEntryProto* e) { return std::pair(e->shard_id(), e->offset()); });
  for (size_t i = 1; i < order.size(); ++i) {
    const BundleEntryProto &a = *order[i - 1], &b = *order[i];
    if (a.shard_id() == b.shard_id() && a.offset() + a.size() > b.offset()) {
      return invalid("two of its tensors overlap at offset " + std::to_string(b.offset()) +
                     " of shard " + std::to_string(b.shard_id()));
    }
  }
  return {};
}

const BundleEntryProto* Bundle::find(const std::string& key) const {
  const auto at = entries_.find(key);
  return at == entries_.end() || key.starts_with('\0') ? nullptr : &at->second;
}

Result<MappedFile> Bundle::shard(int32_t id) {
  const auto digits = [](int32_t n) {
    const std::string text = std::to_string(n);
    return std::string(5 - std::min<size_t>(5, text.size()), '0') + text;
  };
  const std::string name = prefix_ + ".data-" + digits(id) + "-of-" + digits(shards_);
  Result<MappedFile> file = files_(name);
  if (file.status().code() != Code::kNotAccessible) return file;
  return not_accessible(file.status().message() + ": the variables lie in " +
                        std::to_string(shards_) + (shards_ == 1 ? " file" : " files") +
                        " like it; copy the whole folder");
}

// The part of a shard, checked against nothing but the shard's size.
Result<MappedFile> Bundle::bytes_of(const BundleEntryProto& entry) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, shard(entry.shard_id()));
  const auto size = static_cast<int64_t>(file.bytes.size());
  if (entry.offset() > size || entry.size() > size - entry.offset()) {
    return invalid("shard " + std::to_string(entry.shard_id()) + " has " + std::to_string(size) +
                   " bytes, expected " + std::to_string(entry.size()) + " at offset " +
                   std::to_string(entry.offset()) +
                   ": it is cut off, or of another model; copy the whole folder again");
  }
  return MappedFile{
      file.bytes.subspan(static_cast<size_t>(entry.offset()), static_cast<size_t>(entry.size())),
      file.owner};
}

Result<Tensor> Bundle::read_entry(const BundleEntryProto& entry) {
  const DType dtype = dtype_of(entry.dtype());
  if (dtype == DType::kString) return unsupported("tensors of strings are not supported");
  if (dtype == DType::kUndefined) {
    return unsupported("element type " + std::to_string(entry.dtype()) + " is not supported");
  }
  MNN_ASSIGN_OR_RETURN(std::vector<int64_t> dims, read_dims(entry));
  const auto bytes = storage_bytes(dtype, elements_of(dims));
  if (!bytes || *bytes != entry.size()) {
    return invalid("it has " + std::to_string(entry.size()) + " bytes, its shape and type take " +
                   (bytes ? std::to_string(*bytes) : "more than there are"));
  }
  MNN_ASSIGN_OR_RETURN(const MappedFile data, bytes_of(entry));
  if (masked_crc32c(data.bytes) != entry.crc32c()) {
    return invalid("its bytes in shard " + std::to_string(entry.shard_id()) +
                   " do not match their checksum: the file is damaged");
  }
  const auto width = static_cast<uintptr_t>(std::max(dtype_bits(dtype) / 8, 1));
  const bool aligned = reinterpret_cast<uintptr_t>(data.bytes.data()) % width == 0;
  if (aligned && dtype != DType::kBool && !data.bytes.empty()) {
    return Tensor::wrap(dtype, std::move(dims), const_cast<std::byte*>(data.bytes.data()),
                        data.owner);
  }
  MNN_ASSIGN_OR_RETURN(Tensor copy, Tensor::allocate(dtype, std::move(dims)));
  std::ranges::copy(data.bytes, copy.raw());
  if (dtype == DType::kBool) {
    // Bytes other than 0 and 1 are no bool.
    for (size_t i = 0; i < data.bytes.size(); ++i) {
      copy.raw()[i] = std::byte{copy.raw()[i] != std::byte{0}};
    }
  }
  return copy;
}

Result<Tensor> Bundle::join(const std::string& key, const BundleEntryProto& entry) {
  constexpr int kMostSlices = 4096;
  if (entry.slices_size() > kMostSlices) {
    return limit_exceeded("it lies in " + std::to_string(entry.slices_size()) +
                          " slices, at most " + std::to_string(kMostSlices) + " are read");
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, read_dims(entry));
  std::vector<Box> boxes;
  std::vector<Tensor> parts;
  int64_t covered = 0;
  for (const TensorSliceProto& slice : entry.slices()) {
    const Box box = box_of(slice, dims);
    if (!inside(box, dims) ||
        !std::ranges::all_of(boxes, [&](const Box& b) { return disjoint(b, box); })) {
      return invalid("its slices are not parts of one tensor");
    }
    const auto stored = entries_.find(slice_key(key, slice));
    if (stored == entries_.end()) return invalid("one of its slices is missing");
    MNN_ASSIGN_OR_RETURN(Tensor part, read_entry(stored->second));
    if (part.dtype() != dtype_of(entry.dtype()) || part.dims() != box.size) {
      return invalid("a slice of it is " + part.type_str());
    }
    covered += part.elements();
    boxes.push_back(box);
    parts.push_back(std::move(part));
  }
  if (covered != elements_of(dims)) return invalid("its slices do not cover it");
  MNN_ASSIGN_OR_RETURN(Tensor whole, Tensor::allocate(dtype_of(entry.dtype()), dims));
  const std::vector<int64_t> zero(dims.size(), 0);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].elements() == 0) continue;
    copy_box(parts[i].raw(), boxes[i].size, zero, whole.raw(), dims, boxes[i].start, boxes[i].size,
             dtype_bits(whole.dtype()) / 8);
  }
  return whole;
}

Result<Tensor> Bundle::read(const std::string& key) {
  const BundleEntryProto* entry = find(key);
  if (entry == nullptr) return invalid("there is no tensor " + key + " in " + prefix_ + ".index");
  if (entry->slices_size() == 0) return read_entry(*entry);
  if (joined_key_ != key || !joined_.defined()) {
    MNN_ASSIGN_OR_RETURN(joined_, join(key, *entry));
    joined_key_ = key;
  }
  return joined_;
}

Result<Tensor> Bundle::read(const std::string& key, const Box& box) {
  MNN_ASSIGN_OR_RETURN(const Tensor whole, read(key));
  if (!inside(box, whole.dims())) return invalid("a part of it is asked for that is not in it");
  MNN_ASSIGN_OR_RETURN(Tensor part, Tensor::allocate(whole.dtype(), box.size));
  if (part.elements() == 0) return part;
  copy_box(whole.raw(), whole.dims(), box.start, part.raw(), box.size,
           std::vector<int64_t>(box.size.size(), 0), box.size, dtype_bits(whole.dtype()) / 8);
  return part;
}

Result<std::string> Bundle::read_string(const std::string& key) {
  const BundleEntryProto* entry = find(key);
  if (entry == nullptr) return invalid("there is no tensor " + key + " in " + prefix_ + ".index");
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, read_dims(*entry));
  if (dtype_of(entry->dtype()) != DType::kString || elements_of(dims) != 1) {
    return invalid(key + " is not one string");
  }
  MNN_ASSIGN_OR_RETURN(const MappedFile data, bytes_of(*entry));
  // Its length, a checksum of that, the text.
  Bytes left = data.bytes;
  const auto length = take_varint(left);
  constexpr size_t kChecksum = 4;
  if (!length || left.size() < kChecksum || *length != left.size() - kChecksum) {
    return invalid(key + " has a wrong length");
  }
  // The checksum of the whole is over the length as a number of fixed size.
  std::string checked;
  const size_t width = *length <= UINT32_MAX ? 4 : 8;
  for (size_t i = 0; i < width; ++i) checked += static_cast<char>(*length >> 8 * i);
  checked.append(reinterpret_cast<const char*>(left.data()), left.size());
  if (masked_crc32c(std::as_bytes(std::span(checked))) != entry->crc32c()) {
    return invalid(key + " does not match its checksum");
  }
  return checked.substr(width + kChecksum);
}

}  // namespace mnn::tensorflow
