#include "apps/common/completion.h"

#include "apps/common/commands.h"
#include "apps/common/text.h"

namespace mnn::cli {
namespace {

// Inside single quotes of bash and zsh.
std::string shell_quoted(const std::string& text) { return replace_all(text, "'", "'\\''"); }

std::string names_of(const std::vector<FlagTable>& commands) {
  std::vector<std::string> names;
  for (const FlagTable& c : commands) names.push_back(c.command);
  return join(names, " ");
}

std::string first_sentence(const std::string& text) {
  const size_t end = text.find(". ");
  std::string first = end == std::string::npos ? text : text.substr(0, end);
  if (first.ends_with('.')) first.pop_back();
  return first;
}

}  // namespace

std::string bash_completion(const std::vector<FlagTable>& commands) {
  std::string out =
      "# bash completion for mnn: made by `mnn completion bash`.\n"
      "_mnn_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\"); }\n"
      "_mnn_files() {\n"
      "  mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
      "  compopt -o filenames 2>/dev/null || true\n"
      "}\n"
      "_mnn() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} previous='' command flags=''\n"
      "  COMPREPLY=()\n"
      "  ((COMP_CWORD > 0)) && previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
      "  command=${COMP_WORDS[0]##*/}\n"
      "  if [[ $command == mnn-* ]]; then\n"
      "    command=${command#mnn-}\n"
      "  elif ((COMP_CWORD == 1)); then\n"
      "    _mnn_words '" +
      names_of(commands) +
      " --help --version'\n"
      "    return\n"
      "  else\n"
      "    command=${COMP_WORDS[1]}\n"
      "  fi\n"
      "  case \"$command $previous\" in\n";
  for (const FlagTable& c : commands) {
    std::vector<std::string> files;
    for (const FlagRow& row : c.flags) {
      if (row.value.empty()) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : row.names) {
        patterns.push_back("'" + c.command + " " + name + "'");
      }
      if (row.choices.empty()) {
        files.push_back(join(patterns, " | "));
      } else {
        out += "    " + join(patterns, " | ") + ") _mnn_words '" + join(row.choices, " ") +
               "'; return ;;\n";
      }
    }
    if (!files.empty()) out += "    " + join(files, " | ") + ") _mnn_files; return ;;\n";
  }
  out += "  esac\n  case $command in\n";
  for (const FlagTable& c : commands) {
    std::vector<std::string> names;
    for (const FlagRow& row : c.flags)
      names.insert(names.end(), row.names.begin(), row.names.end());
    out += "    " + c.command + ")\n      flags='" + join(names, " ") + "'\n";
    for (const FlagRow& row : c.positionals) {
      if (row.choices.empty()) continue;
      out += "      [[ $cur == -* ]] || { _mnn_words '" + join(row.choices, " ") + "'; return; }\n";
    }
    out += "      ;;\n";
  }
  out +=
      "  esac\n"
      "  if [[ $cur == -* ]]; then _mnn_words \"$flags\"; else _mnn_files; fi\n"
      "}\n"
      "complete -F _mnn mnn";
  for (const FlagTable& c : commands) out += " mnn-" + c.command;
  return out + "\n";
}

std::string zsh_completion(const std::vector<FlagTable>& commands) {
  // Inside an _arguments specification.
  const auto text = [](std::string s) {
    for (const char* special : {"\\", "[", "]", ":"}) {
      s = replace_all(s, special, std::string("\\") + special);
    }
    return shell_quoted(s);
  };
  const auto action = [](const FlagRow& row) {
    return row.choices.empty() ? std::string("_files") : "(" + join(row.choices, " ") + ")";
  };
  std::string out =
      "#compdef mnn\n"
      "# zsh completion for mnn: made by `mnn completion zsh`.\n"
      "_mnn() {\n"
      "  local -a commands\n"
      "  commands=(\n";
  for (const FlagTable& c : commands) {
    out += "    '" + shell_quoted(c.command) + ":" + text(first_sentence(c.description)) + "'\n";
  }
  out +=
      "  )\n"
      "  if (( CURRENT == 2 )); then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "  local command=$words[2]\n"
      "  shift words\n"
      "  (( CURRENT-- ))\n"
      "  case $command in\n";
  for (const FlagTable& c : commands) {
    out += "    " + c.command + ")\n      _arguments";
    for (const FlagRow& row : c.flags) {
      for (const std::string& name : row.names) {
        out += " \\\n        '" + std::string(row.repeats ? "*" : "") + name + "[" +
               text(row.description) + "]";
        if (!row.value.empty()) out += ":" + text(row.value) + ":" + action(row);
        out += "'";
      }
    }
    for (const FlagRow& row : c.positionals) {
      out += " \\\n        '" + std::string(row.repeats ? "*" : "") + ":" + text(row.names[0]) +
             ":" + action(row) + "'";
    }
    out += "\n      ;;\n";
  }
  return out + "  esac\n}\ncompdef _mnn mnn\n";
}

std::string fish_completion(const std::vector<FlagTable>& commands) {
  const auto text = [](const std::string& s) {
    return "'" + replace_all(replace_all(s, "\\", "\\\\"), "'", "\\'") + "'";
  };
  std::string out =
      "# fish completion for mnn: made by `mnn completion fish`.\n"
      "complete -c mnn -n __fish_use_subcommand -f\n";
  for (const FlagTable& c : commands) {
    out += "complete -c mnn -n __fish_use_subcommand -a " + c.command + " -d " +
           text(first_sentence(c.description)) + "\n";
    const std::string seen = "complete -c mnn -n '__fish_seen_subcommand_from " + c.command + "'";
    for (const FlagRow& row : c.flags) {
      out += seen;
      for (const std::string& name : row.names) {
        out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (!row.choices.empty()) {
        out += " -x -a " + text(join(row.choices, " "));
      } else if (!row.value.empty()) {
        out += " -r";
      }
      out += " -d " + text(row.description) + "\n";
    }
    for (const FlagRow& row : c.positionals) {
      if (!row.choices.empty()) out += seen + " -f -a " + text(join(row.choices, " ")) + "\n";
    }
  }
  return out;
}

namespace {

// Text for roff: no backslash of its own, hyphens that stay hyphens, characters beyond ASCII by
// number.
std::string roff(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
      out += std::string("\\&") + text[i];
    } else if (c < 0x80) {
      out += text[i];
    } else {
      const int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
      unsigned code = c & (0x3FU >> more);
      for (int k = 0; k < more && i + 1 < text.size(); ++k) {
        code = code << 6 | (static_cast<unsigned char>(text[++i]) & 0x3FU);
      }
      constexpr std::string_view kHex = "0123456789ABCDEF";
      std::string hex;
      for (int shift = code > 0xFFFF ? 16 : 12; shift >= 0; shift -= 4) {
        hex += kHex[code >> shift & 15];
      }
      out += "\\[u" + hex + "]";
    }
  }
  return out;
}

std::string title(const std::string& name) {
  std::string upper = name;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return ".TH " + upper + " 1 \"\" \"mnn\\-toolbox " + MNN_VERSION + "\" \"MNN Toolbox\"\n";
}

std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + roff(text) + "\\fR"; }

std::string entry(const FlagRow& row, bool positional) {
  std::vector<std::string> heads;
  for (const std::string& name : row.names) heads.push_back(positional ? italic(name) : bold(name));
  std::string out = ".TP\n" + join(heads, ", ");
  if (!positional && !row.value.empty()) out += " " + italic(row.value);
  std::string text = row.description;
  if (!row.choices.empty()) text += " (" + join(row.choices, ", ") + ")";
  if (!row.default_value.empty()) text += " [default: " + row.default_value + "]";
  return out + "\n" + roff(text) + ".\n";
}

const char* const kExitStatus =
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nDone.\n.TP\n.B 1\nFailed at run time or inside.\n.TP\n.B 2\nWrong usage.\n"
    ".TP\n.B 3\nA threshold was missed.\n.TP\n.B 4\nA model or data file is malformed.\n"
    ".TP\n.B 5\nUnsupported operator, type, opset or target.\n"
    ".TP\n.B 6\nA file cannot be opened, read or written.\n"
    ".TP\n.B 7\nA memory or time limit.\n";

}  // namespace

std::string man_page(const FlagTable& c) {
  const std::string name = "mnn-" + c.command;
  std::string summary = command_summary(c.command);
  if (summary.empty()) summary = first_sentence(c.description);
  std::string out = title(name) + ".SH NAME\n" + roff(name) + " \\- " + roff(summary) +
                    "\n.SH SYNOPSIS\n.B mnn " + roff(c.command) + "\n[" + italic("OPTIONS") + "]";
  for (const FlagRow& row : c.positionals) {
    const std::string one = italic(row.names[0]) + (row.repeats ? "..." : "");
    out += " " + (row.required ? one : "[" + one + "]");
  }
  out += "\n.SH DESCRIPTION\n" + roff(c.description) + "\n";
  if (!c.positionals.empty()) out += ".SH ARGUMENTS\n";
  for (const FlagRow& row : c.positionals) out += entry(row, true);
  out += ".SH OPTIONS\n";
  for (const FlagRow& row : c.flags) out += entry(row, false);
  out += kExitStatus;
  out += ".SH EXAMPLES\n.nf\n" + roff(c.example) + "\n.fi\n";
  return out + ".SH SEE ALSO\n.BR mnn (1)\n";
}

std::string man_overview(const std::vector<FlagTable>& commands) {
  std::string out =
      title("mnn") +
      ".SH NAME\nmnn \\- converts, compresses, checks and benchmarks neural networks\n"
      ".SH SYNOPSIS\n.B mnn\n\\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n"
      ".SH DESCRIPTION\nRuns the executable mnn\\-COMMAND, found beside mnn or on "
      "PATH: anybody can add a command.\n.SH COMMANDS\n";
  std::string see_also;
  for (const FlagTable& c : commands) {
    std::string summary = command_summary(c.command);
    if (summary.empty()) summary = first_sentence(c.description);
    out += ".TP\n" + bold(c.command) + "\n" + roff(summary) + ".\n";
    see_also += (see_also.empty() ? "" : " ,\n.BR ") + roff("mnn-" + c.command) + " (1)";
  }
  out +=
      ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nNo colour when set to something.\n"
      ".TP\n.B MNN_CPU_ISA\nForces an instruction set the CPU has.\n";
  return out + kExitStatus + ".SH SEE ALSO\n.BR " + see_also + "\n";
}

}  // namespace mnn::cli
