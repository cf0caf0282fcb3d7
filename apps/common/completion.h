// Completion scripts and manual pages, all made from the commands' flag tables.
#pragma once

#include <string>
#include <vector>

#include "apps/common/flag_table.h"

namespace mnn::cli {

std::string bash_completion(const std::vector<FlagTable>& commands);
std::string zsh_completion(const std::vector<FlagTable>& commands);
std::string fish_completion(const std::vector<FlagTable>& commands);

// mnn-<command>.1, in the man macros.
std::string man_page(const FlagTable& command);
// mnn.1: what all commands share.
std::string man_overview(const std::vector<FlagTable>& commands);

}  // namespace mnn::cli
