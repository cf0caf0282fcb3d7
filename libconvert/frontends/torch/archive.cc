#include "libconvert/frontends/torch/archive.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "libruntime/core/dim.h"

namespace mnn::torch {
namespace {

// Code, pickles and JSON are deflated; weights are stored.
constexpr uint64_t kMaxUnpacked = uint64_t{1} << 31;
constexpr size_t kAlignment = 16;  // of the widest type
constexpr size_t kMaxRank = 32;
// What a tensor may take that repeats fewer elements.
constexpr int64_t kMaxRepeated = int64_t{1} << 24;

bool leads_out(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\\') != std::string_view::npos) return true;
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find('/', at), name.size());
    if (name.substr(at, end - at) == "..") return true;
    at = end + 1;
  }
  return false;
}

struct TypeRow {
  const char *storage, *name;
  DType dtype;
};
constexpr std::array kTypes = std::to_array<TypeRow>({
    {"FloatStorage", "float32", DType::kF32},
    {"DoubleStorage", "float64", DType::kF64},
    {"HalfStorage", "float16", DType::kF16},
    {"BFloat16Storage", "bfloat16", DType::kBF16},
    {"LongStorage", "int64", DType::kI64},
    {"IntStorage", "int32", DType::kI32},
    {"ShortStorage", "int16", DType::kI16},
    {"CharStorage", "int8", DType::kI8},
    {"ByteStorage", "uint8", DType::kU8},
    {"BoolStorage", "bool", DType::kBool},
    {"ComplexFloatStorage", "complex64", DType::kC64},
    {"ComplexDoubleStorage", "complex128", DType::kC128},
    {"QInt8Storage", "qint8", DType::kI8},
    {"QUInt8Storage", "quint8", DType::kU8},
    {"QInt32Storage", "qint32", DType::kI32},
    {"QUInt4x2Storage", "quint4x2", DType::kU4},
    {"", "float8_e5m2", DType::kF8E5M2},
    {"", "float8_e4m3fn", DType::kF8E4M3FN},
    {"", "float8_e5m2fnuz", DType::kF8E5M2FNUZ},
    {"", "float8_e4m3fnuz", DType::kF8E4M3FNUZ},
    {"", "uint16", DType::kU16},
    {"", "uint32", DType::kU32},
    {"", "uint64", DType::kU64},
});

bool is_dense(const StridedView& view) {
  int64_t expected = 1;
  for (size_t i = view.sizes.size(); i-- > 0;) {
    if (view.sizes[i] != 1 && view.strides[i] != expected) return false;
    expected *= view.sizes[i];
  }
  return true;
}

// Whether every axis steps over all that the axes with smaller strides reach. An axis of stride 0
// repeats.
bool overlaps(const StridedView& view) {
  std::vector<std::pair<int64_t, int64_t>> axes;  // stride, size
  for (size_t i = 0; i < view.sizes.size(); ++i) {
    if (view.sizes[i] > 1 && view.strides[i] > 0) axes.emplace_back(view.strides[i], view.sizes[i]);
  }
  std::sort(axes.begin(), axes.end());
  int64_t reach = 0;
  for (const auto& [stride, size] : axes) {
    if (stride <= reach) return true;
    reach += stride * (size - 1);
  }
  return false;
}

// The last element's index, nullopt on overflow.
std::optional<int64_t> last_index(const StridedView& view) {
  int64_t last = view.offset;
  for (size_t i = 0; i < view.sizes.size(); ++i) {
    int64_t step = 0;
    if (__builtin_mul_overflow(view.sizes[i] - 1, view.strides[i], &step) ||
        __builtin_add_overflow(last, step, &last)) {
      return std::nullopt;
    }
  }
  return last;
}

void copy_strided(const std::byte* from, const StridedView& view, size_t width, std::byte* to) {
  std::vector<int64_t> index(view.sizes.size(), 0);
  int64_t at = view.offset;
  for (;;) {
    std::memcpy(to, from + static_cast<size_t>(at) * width, width);
    to += width;
    size_t axis = view.sizes.size();
    while (axis > 0) {
      --axis;
      at += view.strides[axis];
      if (++index[axis] < view.sizes[axis]) break;
      at -= view.strides[axis] * view.sizes[axis];
      index[axis] = 0;
      if (axis == 0) return;
    }
    if (view.sizes.empty()) return;
  }
}

Status check_view(const StridedView& view, size_t storage_bytes, size_t width) {
  if (view.sizes.size() != view.strides.size())
    return invalid("a tensor has sizes without strides");
  if (view.sizes.size() > kMaxRank) return limit_exceeded("a tensor has too many dimensions");
  const auto negative = [](int64_t n) { return n < 0; };
  if (view.offset < 0 || std::ranges::any_of(view.sizes, negative) ||
      std::ranges::any_of(view.strides, negative)) {
    return invalid("a tensor has a negative size, stride or offset");
  }
  if (std::ranges::find(view.sizes, 0) != view.sizes.end()) return {};
  const std::optional<int64_t> last = last_index(view);
  if (!last || static_cast<uint64_t>(*last) >= storage_bytes / width) {
    return invalid("a tensor reaches beyond its storage of " + std::to_string(storage_bytes) +
                   " bytes");
  }
  if (overlaps(view)) return invalid("the elements of a tensor overlap");
  return {};
}

// Codes of less than a byte, the first in the low bits of a byte: whole and in order only.
Result<Tensor> packed_from_storage(const MappedFile& storage, const StridedView& view) {
  const size_t fit = storage.bytes.size() * 8 / static_cast<size_t>(dtype_bits(view.dtype));
  if (fit > INT64_MAX) return limit_exceeded("a tensor has too many elements");
  MNN_RETURN_IF_ERROR(check_view(view, fit, 1));
  const std::optional<int64_t> elements = checked_elements(view.sizes);
  if (!elements) return limit_exceeded("a tensor has too many elements");
  if (*elements == 0) return Tensor::allocate(view.dtype, view.sizes);
  if (view.offset != 0 || !is_dense(view)) {
    return unsupported("parts of a tensor of type " + std::string(dtype_name(view.dtype)));
  }
  return Tensor::wrap(view.dtype, view.sizes, const_cast<std::byte*>(storage.bytes.data()),
                      storage.owner);
}

}  // namespace

Result<Archive> Archive::open(MappedFile file) {
  MNN_ASSIGN_OR_RETURN(ZipArchive zip, ZipArchive::open(std::move(file)));
  Archive archive(std::move(zip));
  const std::vector<ZipEntry>& entries = archive.zip_.entries();
  for (const ZipEntry& entry : entries) {
    if (leads_out(entry.name)) return invalid("zip: the name " + entry.name + " leads outside");
  }
  if (entries.empty()) return archive;
  const std::string top = entries[0].name.substr(0, entries[0].name.find('/') + 1);
  const bool all = std::ranges::all_of(
      entries, [&](const ZipEntry& entry) { return entry.name.starts_with(top); });
  if (all) archive.folder_ = top;
  return archive;
}

bool Archive::has(std::string_view name) const {
  return zip_.find(folder_ + std::string(name)) != nullptr;
}

std::vector<std::string> Archive::list(std::string_view prefix, std::string_view ending) const {
  std::vector<std::string> names;
  for (const ZipEntry& entry : zip_.entries()) {
    const std::string_view name = std::string_view(entry.name).substr(folder_.size());
    if (name.starts_with(prefix) && name.ends_with(ending)) names.emplace_back(name);
  }
  return names;
}

Result<MappedFile> Archive::read(std::string_view name) {
  const ZipEntry* entry = zip_.find(folder_ + std::string(name));
  if (entry == nullptr) return invalid("the archive has no record " + std::string(name));
  const uint64_t most = entry->method == 0 ? UINT64_MAX : kMaxUnpacked - unpacked_;
  Result<MappedFile> record = zip_.read(*entry, most);
  if (!record.ok()) return record.status().context(name);
  if (entry->method != 0) unpacked_ += entry->unpacked;
  return record;
}

Result<MappedFile> Storages::get(Archive& archive, const std::string& record) {
  const auto known = by_record_.find(record);
  if (known != by_record_.end()) return known->second;
  MNN_ASSIGN_OR_RETURN(MappedFile file, archive.read(record));
  if (reinterpret_cast<uintptr_t>(file.bytes.data()) % kAlignment != 0) {
    const auto size = static_cast<int64_t>(file.bytes.size());
    MNN_ASSIGN_OR_RETURN(Tensor copy, Tensor::allocate(DType::kU8, {size}));
    std::ranges::copy(file.bytes, copy.raw());
    const auto owner = std::make_shared<const Tensor>(std::move(copy));
    file = {{owner->raw(), file.bytes.size()}, owner};
  }
  return by_record_.emplace(record, std::move(file)).first->second;
}

std::optional<DType> parse_torch_dtype(std::string_view name) {
  if (name.starts_with("torch.")) name.remove_prefix(6);
  for (const TypeRow& row : kTypes) {
    if (!name.empty() && (name == row.storage || name == row.name)) return row.dtype;
  }
  return std::nullopt;
}

Result<Tensor> tensor_from_storage(const MappedFile& storage, const StridedView& view) {
  const int bits = dtype_bits(view.dtype);
  if (bits < 8) return packed_from_storage(storage, view);
  const auto width = static_cast<size_t>(bits) / 8;
  MNN_RETURN_IF_ERROR(check_view(view, storage.bytes.size(), width));
  const std::optional<int64_t> elements = checked_elements(view.sizes);
  if (!elements) return limit_exceeded("a tensor has too many elements");
  if (*elements == 0) return Tensor::allocate(view.dtype, view.sizes);
  if (is_dense(view)) {
    auto* data =
        const_cast<std::byte*>(storage.bytes.data()) + static_cast<size_t>(view.offset) * width;
    return Tensor::wrap(view.dtype, view.sizes, data, storage.owner);
  }
  const bool repeats = static_cast<uint64_t>(*elements) > storage.bytes.size() / width;
  if (repeats && *elements > kMaxRepeated) {
    return limit_exceeded("a tensor repeats the elements of its storage too often");
  }
  MNN_ASSIGN_OR_RETURN(Tensor copy, Tensor::allocate(view.dtype, view.sizes));
  copy_strided(storage.bytes.data(), view, width, copy.raw());
  return copy;
}

}  // namespace mnn::torch
