// Zip archives of .npy files.
#include <algorithm>

#include "libruntime/core/io/file.h"
#include "libruntime/core/io/npy.h"
#include "libruntime/core/io/zip.h"

namespace mnn {
namespace {

Result<Tensor> read_tensor(const ZipArchive& archive, const ZipEntry& entry, uint64_t& budget) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, archive.read(entry, budget));
  budget -= entry.unpacked;
  MNN_RETURN_IF_ERROR(verify_checksum(entry, file.bytes));
  return parse_npy(file.bytes);
}

Result<std::map<std::string, Tensor>> read_archive(MappedFile file, int64_t max_bytes) {
  auto budget = static_cast<uint64_t>(std::max<int64_t>(max_bytes, 0));
  MNN_ASSIGN_OR_RETURN(const ZipArchive archive, ZipArchive::open(std::move(file)));
  std::map<std::string, Tensor> tensors;
  for (const ZipEntry& entry : archive.entries()) {
    if (!entry.name.ends_with(".npy")) continue;
    Result<Tensor> tensor = read_tensor(archive, entry, budget);
    if (!tensor.ok()) return tensor.status().context(entry.name);
    tensors.emplace(entry.name.substr(0, entry.name.size() - 4), *std::move(tensor));
  }
  return tensors;
}

}  // namespace

Result<std::map<std::string, Tensor>> parse_npz(std::span<const std::byte> bytes,
                                                int64_t max_bytes) {
  return read_archive({bytes, nullptr}, max_bytes);
}

Result<std::map<std::string, Tensor>> read_npz(const std::string& path, int64_t max_bytes) {
  MNN_ASSIGN_OR_RETURN(MappedFile file, map_file(path));
  auto tensors = read_archive(std::move(file), max_bytes);
  if (!tensors.ok()) return tensors.status().context(path);
  return tensors;
}

}  // namespace mnn
