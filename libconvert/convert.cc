#include "libconvert/convert.h"

#include <filesystem>

#include "libconvert/formats.h"
#include "libruntime/core/io/file.h"

namespace mnn {

Result<const Frontend*> detect_frontend(const std::string& path) {
  std::error_code ec;
  const bool folder = std::filesystem::is_directory(path, ec);
  MappedFile file;
  if (!folder) {
    MNN_ASSIGN_OR_RETURN(file, map_file(path));
  }
  if (const KnownFormat* other = find_format(file.bytes, path)) return format_status(*other, path);
  constexpr size_t kHead = 64;
  const auto head = file.bytes.first(std::min(kHead, file.bytes.size()));
  std::string tried;
  for (const Frontend& f : frontends()) {
    if (f.recognizes(head, path)) return &f;
    tried += (tried.empty() ? "" : ", ") + f.format;
  }
  if (folder) return map_file(path).status();
  return invalid(path + ": not a model in a known format (tried " + tried + ")");
}

Result<ImportedModel> import_model(const std::string& path, const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const Frontend* frontend, detect_frontend(path));
  if (options.failed != nullptr) options.failed->format = frontend->format;
  Result<ImportedModel> model = frontend->import(path, options);
  if (!model.ok()) return model.status().context(path);
  return model;
}

}  // namespace mnn
