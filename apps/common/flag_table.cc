#include "apps/common/flag_table.h"

#include <CLI/CLI.hpp>

#include "libruntime/core/nearest.h"
#include "libruntime/report/json_text.h"

namespace mnn::cli {
namespace {

using Json = nlohmann::ordered_json;

// "TEXT:{nchw,nhwc}" names the value and lists its choices.
void split_type(const std::string& type, FlagRow& row) {
  row.value = type.substr(0, type.find(':'));
  const size_t open = type.find('{'), close = type.find('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return;
  for (size_t at = open + 1; at < close;) {
    const size_t comma = std::min(type.find(',', at), close);
    row.choices.push_back(type.substr(at, comma - at));
    at = comma + 1;
  }
}

FlagRow row_of(const CLI::Option& option) {
  FlagRow row;
  if (option.get_positional()) {
    row.names = {option.get_name()};
  } else {
    for (const std::string& name : option.get_snames()) row.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) row.names.push_back("--" + name);
  }
  if (option.get_items_expected_max() > 0) split_type(option.get_type_name(), row);
  row.description = option.get_description();
  row.default_value = option.get_default_str();
  row.required = option.get_required();
  row.repeats = option.get_positional()
                    ? option.get_items_expected_max() > 1
                    : option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll &&
                          option.get_items_expected_max() == 1;
  return row;
}

Json row_json(const FlagRow& row) {
  return {{"names", row.names},           {"value", row.value},
          {"choices", row.choices},       {"description", row.description},
          {"default", row.default_value}, {"required", row.required},
          {"repeats", row.repeats}};
}

FlagRow parse_row(const Json& j) {
  FlagRow row;
  row.names = j.at("names").get<std::vector<std::string>>();
  row.value = j.at("value").get<std::string>();
  row.choices = j.at("choices").get<std::vector<std::string>>();
  row.description = j.at("description").get<std::string>();
  row.default_value = j.at("default").get<std::string>();
  row.required = j.at("required").get<bool>();
  row.repeats = j.at("repeats").get<bool>();
  return row;
}

}  // namespace

FlagTable flag_table(const CLI::App& app) {
  FlagTable table;
  const std::string name = app.get_name();
  table.command = name.substr(name.find(' ') + 1);
  table.description = app.get_description();
  const std::string footer = app.get_footer();
  const std::string intro = "Example:\n  ";
  table.example = footer.starts_with(intro) ? footer.substr(intro.size()) : footer;
  for (const CLI::Option* option : app.get_options()) {
    (option->get_positional() ? table.positionals : table.flags).push_back(row_of(*option));
  }
  return table;
}

std::string flag_table_json(const FlagTable& table) {
  Json out = {
      {"command", table.command}, {"description", table.description}, {"example", table.example}};
  out["positionals"] = Json::array();
  for (const FlagRow& row : table.positionals) out["positionals"].push_back(row_json(row));
  out["flags"] = Json::array();
  for (const FlagRow& row : table.flags) out["flags"].push_back(row_json(row));
  return json_text(out);
}

Result<FlagTable> parse_flag_table(const std::string& json) {
  try {
    const Json j = Json::parse(json);
    FlagTable table;
    table.command = j.at("command").get<std::string>();
    table.description = j.at("description").get<std::string>();
    table.example = j.at("example").get<std::string>();
    for (const Json& row : j.at("positionals")) table.positionals.push_back(parse_row(row));
    for (const Json& row : j.at("flags")) table.flags.push_back(parse_row(row));
    return table;
  } catch (const nlohmann::json::exception& e) {
    return invalid(std::string("not a flag table: ") + e.what());
  }
}

std::string nearest_flag(const FlagTable& table, const std::string& typed) {
  std::vector<std::string> names;
  for (const FlagRow& row : table.flags) {
    names.insert(names.end(), row.names.begin(), row.names.end());
  }
  return nearest(names, typed);
}

}  // namespace mnn::cli
