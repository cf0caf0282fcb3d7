// mnn completion: scripts and manual pages from the flag tables of the commands beside it.
#include "apps/common/completion.h"

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <iostream>

#include "apps/common/commands.h"
#include "apps/common/flags.h"
#include "apps/flows/tensors.h"
#include "libruntime/core/io/file.h"

namespace {

using namespace mnn;
using namespace mnn::cli;
using namespace mnn::flows;

struct Options {
  CommonFlags common;
  std::string what, command, dir;
};

Result<FlagTable> ask(const std::string& path) {
  std::string quoted;
  for (const char c : path) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  FILE* pipe = popen(("'" + quoted + "' " + kFlagTableFlag).c_str(), "r");
  if (pipe == nullptr) return internal_error(path + ": cannot be run");
  std::string text;
  std::array<char, 4096> block{};
  for (size_t n = 0; (n = fread(block.data(), 1, block.size(), pipe)) > 0;) {
    text.append(block.data(), n);
  }
  const int code = pclose(pipe);
  if (!WIFEXITED(code) || WEXITSTATUS(code) != 0) return internal_error(path + ": failed");
  Result<FlagTable> table = parse_flag_table(text);
  if (!table.ok()) return table.status().context(path);
  return table;
}

// Of the commands that came with this one; others need not know the hidden flag.
Result<std::vector<FlagTable>> ask_all() {
  std::vector<FlagTable> tables;
  for (const auto& [name, path] : commands_in(own_folder())) {
    if (command_summary(name).empty()) continue;
    MNN_ASSIGN_OR_RETURN(FlagTable table, ask(path));
    tables.push_back(std::move(table));
  }
  return tables;
}

Status print_man(const Options& o, const std::vector<FlagTable>& tables) {
  if (!o.dir.empty()) {
    MNN_RETURN_IF_ERROR(make_folder(o.dir));
    for (const FlagTable& t : tables) {
      MNN_RETURN_IF_ERROR(write_file(o.dir + "/mnn-" + t.command + ".1", man_page(t)));
    }
    return write_file(o.dir + "/mnn.1", man_overview(tables));
  }
  if (o.command.empty()) {
    std::cout << man_overview(tables);
    return {};
  }
  for (const FlagTable& t : tables) {
    if (t.command != o.command) continue;
    std::cout << man_page(t);
    return {};
  }
  return usage_error("'" + o.command + "' is not a command of the toolbox");
}

Status completion(const Options& o) {
  if (o.what.empty() && !o.common.json) return usage_error("expected bash, zsh, fish or man");
  if (o.what != "man" && (!o.command.empty() || !o.dir.empty())) {
    return usage_error("COMMAND and --dir go with man only");
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<FlagTable> tables, ask_all());
  if (o.common.json) {
    std::string all;
    for (const FlagTable& t : tables) all += (all.empty() ? "" : ",\n") + flag_table_json(t);
    std::cout << "[" << all << "]\n";
    return {};
  }
  if (o.what == "man") return print_man(o, tables);
  std::cout << (o.what == "bash"  ? bash_completion(tables)
                : o.what == "zsh" ? zsh_completion(tables)
                                  : fish_completion(tables));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Prints a completion script for a shell, or manual pages; with --json the flags of every "
      "command. In bash: source <(mnn completion bash).",
      "mnn completion");
  Options o;
  app.add_option("WHAT", o.what, "What to print")
      ->check(CLI::IsMember({"bash", "zsh", "fish", "man"}));
  app.add_option("COMMAND", o.command, "With man: the command; default: the overview");
  o.common.writes(app.add_option("--dir", o.dir, "With man: write all pages into this folder")
                      ->type_name("DIR"));
  add_common_flags(app, o.common, "mnn completion bash");
  return run_command(app, o.common, argc, argv, [&] { return completion(o); });
}
