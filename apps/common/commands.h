// The executables that make up the toolbox: mnn-<command>, beside mnn or on PATH.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mnn::cli {

// The folder of the running executable; empty when it cannot be told.
std::string own_folder();
// Every mnn-<command> by name: beside the running executable, then on PATH, the first winning.
std::map<std::string, std::string> find_commands();
// The same, of one folder only.
std::map<std::string, std::string> commands_in(const std::string& folder);
// What a command of ours does, in one line; empty for others.
std::string command_summary(const std::string& name);
// Name and summary (of others: the path) of every command found, ours first.
std::vector<std::pair<std::string, std::string>> list_commands();

}  // namespace mnn::cli
