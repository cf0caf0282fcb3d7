// A command's flags as data: what its --help shows is also what completion scripts and manual pages
// are made from. Every command prints its table as JSON with the hidden flag --flag-table.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/status.h"

namespace CLI {
class App;
}

namespace mnn::cli {

struct FlagRow {
  std::vector<std::string> names;    // "-o", "--output"; of a positional its one name
  std::string value;                 // "FILE", "N"; empty: takes none
  std::vector<std::string> choices;  // the values it may have, where they are listed
  std::string description, default_value;
  bool required = false, repeats = false;
};
struct FlagTable {
  std::string command;  // "bench"
  std::string description, example;
  std::vector<FlagRow> positionals, flags;
};

inline constexpr const char* kFlagTableFlag = "--flag-table";
FlagTable flag_table(const CLI::App& app);
std::string flag_table_json(const FlagTable& table);
Result<FlagTable> parse_flag_table(const std::string& json);

// The flag that `typed` was most likely meant to be; empty when none is near.
std::string nearest_flag(const FlagTable& table, const std::string& typed);

}  // namespace mnn::cli
