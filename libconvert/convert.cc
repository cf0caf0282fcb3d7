#include "libconvert/convert.h"

#include <filesystem>

#include "libconvert/formats.h"
#include "libconvert/frontends/common/options.h"
#include "libconvert/frontends/common/side_files.h"

namespace mnn {
namespace {

Result<const Frontend*> folder_frontend(const frontend::SourceFiles& source,
                                        const std::vector<Frontend>& among) {
  const std::string& path = source.path();
  std::error_code ec;
  (void)std::filesystem::directory_iterator(path, ec);
  if (ec) return not_accessible(path + ": cannot read the folder: " + ec.message());
  std::string sources;
  for (const Frontend& f : among) {
    if (f.recognizes({}, source)) return &f;
    sources += (sources.empty() ? "" : "; ") + f.format + ": " + f.sources;
  }
  if (const KnownFormat* other = find_format({}, path)) return format_status(*other, path);
  return invalid(path + ": is a folder; no front end reads it (" + sources + ")");
}

}  // namespace

Result<const Frontend*> detect_frontend(const std::string& path,
                                        const std::vector<Frontend>& among) {
  const frontend::SourceFiles source(path);
  if (source.is_folder()) return folder_frontend(source, among);
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  const KnownFormat* other = find_format(file.bytes, path);
  if (other != nullptr && !other->vague) return format_status(*other, path);
  std::string tried;
  for (const Frontend& f : among) {
    if (f.recognizes(file.bytes, source)) return &f;
    tried += (tried.empty() ? "" : ", ") + f.format;
  }
  if (other != nullptr) return format_status(*other, path);
  return invalid(path + ": not a model in a known format (tried " + tried + ")");
}

Result<ImportedModel> import_model(const std::string& path, const ImportOptions& options,
                                   const std::vector<Frontend>& among) {
  MNN_ASSIGN_OR_RETURN(const Frontend* found, detect_frontend(path, among));
  if (options.failed != nullptr) options.failed->format = found->format;
  const Status known = frontend::check_keys(*found, options);
  if (!known.ok()) return known.context(path);
  frontend::SourceFiles source(path);
  Result<ImportedModel> model = found->import(source, options);
  if (!model.ok()) return model.status().context(path);
  model->files = source.files();
  return model;
}

}  // namespace mnn
