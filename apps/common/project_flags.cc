#include "apps/common/project_flags.h"

#include <filesystem>

namespace mnn::cli {

namespace fs = std::filesystem;

void add_project_flag(CLI::App& app, CommonFlags& common, std::string& dir) {
  common.reads(app.add_option("--project", dir,
                              "Folder of the project; default: the nearest one from here upwards")
                   ->type_name("DIR"));
}

bool means_project(const std::string& model) {
  std::error_code ec;
  return model.empty() || fs::exists(fs::path(model) / flows::kProjectFile, ec);
}

Result<flows::Project> open_project(const std::string& dir, std::string& model) {
  if (!model.empty()) {
    const std::string folder = model;
    model.clear();
    if (!dir.empty()) return usage_error("--project " + dir + ": there is a folder too: " + folder);
    return flows::read_project(folder);
  }
  if (!dir.empty()) return flows::read_project(dir);
  const std::string found = flows::find_project(".");
  if (found.empty()) {
    return usage_error(std::string("no model was given and there is no ") + flows::kProjectFile +
                       " here or above (see mnn init --help)");
  }
  return flows::read_project(found);
}

Result<std::optional<flows::Project>> project_of(const std::string& dir, const std::string& model) {
  const fs::path folder = dir.empty() ? fs::path(model).parent_path() : fs::path(dir);
  std::error_code ec;
  if (dir.empty() && !fs::exists(folder / flows::kProjectFile, ec))
    return std::optional<flows::Project>();
  MNN_ASSIGN_OR_RETURN(flows::Project p, flows::read_project(folder.string()));
  const auto is = [&](const std::string& file) { return fs::equivalent(model, p.path(file), ec); };
  if (dir.empty() && !is(p.model) && !is(p.quantized)) return std::optional<flows::Project>();
  return std::optional<flows::Project>(std::move(p));
}

}  // namespace mnn::cli
