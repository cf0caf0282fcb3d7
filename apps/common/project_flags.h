// --project DIR: which project a command works in when it is not told which models to take.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "apps/common/flags.h"
#include "apps/flows/project.h"

namespace mnn::cli {

void add_project_flag(CLI::App& app, CommonFlags& common, std::string& dir);

// The project of --project DIR; of `model` where that is a project's folder, which is then taken
// out; else the nearest at or above the current folder. kUsage when there is none.
Result<flows::Project> open_project(const std::string& dir, std::string& model);
// Whether a project is what `model` stands for: none was given, or a project's folder.
bool means_project(const std::string& model);

// The project that one of two given models is of, in the folder of `dir`, else of the model
// itself; nullopt when it is of none.
Result<std::optional<flows::Project>> project_of(const std::string& dir, const std::string& model);

}  // namespace mnn::cli
