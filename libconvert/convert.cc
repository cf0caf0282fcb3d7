#include "libconvert/convert.h"

#include <array>
#include <fstream>

namespace mnn {

Result<const Frontend*> detect_frontend(const std::string& path) {
  std::array<std::byte, 64> head{};
  std::ifstream file(path, std::ios::binary);
  if (!file) return not_accessible(path + ": cannot be opened");
  file.read(reinterpret_cast<char*>(head.data()), static_cast<std::streamsize>(head.size()));
  const auto got = static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0));
  std::string tried;
  for (const Frontend& f : frontends()) {
    if (f.recognizes(std::span(head).first(got), path)) return &f;
    tried += (tried.empty() ? "" : ", ") + f.format;
  }
  return invalid(path + ": not a model in a known format (tried " + tried + ")");
}

Result<ImportedModel> import_model(const std::string& path, const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const Frontend* frontend, detect_frontend(path));
  Result<ImportedModel> model = frontend->import(path, options);
  if (!model.ok()) return model.status().context(path);
  return model;
}

}  // namespace mnn
