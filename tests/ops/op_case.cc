#include "tests/ops/op_case.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "libruntime/core/text.h"

namespace mnn {
namespace {

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r'))
    s.remove_suffix(1);
  return s;
}

// "word rest" -> rest.
std::optional<std::string_view> after_word(std::string_view line, std::string_view word) {
  if (line.substr(0, word.size()) != word) return std::nullopt;
  if (line.size() > word.size() && line[word.size()] != ' ') return std::nullopt;
  return trim(line.substr(word.size()));
}

// Where `c` stands outside quotes and brackets; npos if nowhere.
size_t find_outside(std::string_view line, char c) {
  int depth = 0;
  bool in_quotes = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"' && (i == 0 || line[i - 1] != '\\')) in_quotes = !in_quotes;
    if (in_quotes) continue;
    if (line[i] == c && depth == 0) return i;
    if (line[i] == '(' || line[i] == '[' || line[i] == '{') ++depth;
    if (line[i] == ')' || line[i] == ']' || line[i] == '}') --depth;
  }
  return std::string_view::npos;
}

// Curly braces a line opens and does not close.
int open_braces(std::string_view line) {
  int depth = 0;
  bool in_quotes = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"' && (i == 0 || line[i - 1] != '\\')) in_quotes = !in_quotes;
    if (!in_quotes && line[i] == '#') break;
    if (!in_quotes) depth += (line[i] == '{') - (line[i] == '}');
  }
  return depth;
}

// "x: f32[2] = 1 2" or "x: f32[n]": no operator after the equals sign.
bool is_input_line(std::string_view line) {
  const size_t colon = find_outside(line, ':'), equals = find_outside(line, '=');
  if (colon == std::string_view::npos || (equals != std::string_view::npos && equals < colon) ||
      find_outside(line, ',') < equals) {
    return false;
  }
  if (equals == std::string_view::npos) return true;
  const std::string_view right = trim(line.substr(equals + 1));
  const size_t word = std::min(
      right.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_."),
      right.size());
  return word == 0 || word == right.size() || right[word] != '(';
}

Status parse_input(std::string_view line, OpCase& c) {
  const size_t colon = find_outside(line, ':'), equals = find_outside(line, '=');
  OpCase::Input input;
  input.name = trim(line.substr(0, colon));
  const std::string_view right = trim(line.substr(colon + 1));
  if (equals == std::string_view::npos) {
    input.type_text = right;
  } else {
    input.type_text = trim(line.substr(colon + 1, equals - colon - 1));
    MNN_ASSIGN_OR_RETURN(input.data, parse_tensor(right));
  }
  c.inputs.push_back(std::move(input));
  return {};
}

Status parse_expectation(std::string_view text, bool with_data, OpCase& c) {
  const size_t colon = find_outside(text, ':');
  if (colon == std::string_view::npos) return invalid("expected NAME: TYPE");
  OpCase::Expectation e;
  e.name = trim(text.substr(0, colon));
  const std::string right(trim(text.substr(colon + 1)));
  if (with_data) {
    MNN_ASSIGN_OR_RETURN(e.data, parse_tensor(right));
  } else {
    MNN_ASSIGN_OR_RETURN(const Graph g, parse_graph("graph t(x: " + right + ") -> () {}"));
    e.type = g.values[0].type;
  }
  c.expectations.push_back(std::move(e));
  return {};
}

Status parse_tolerance(std::string_view text, OpCase& c) {
  const size_t blank = std::min(text.find(' '), text.size());
  const auto r = std::from_chars(text.data(), text.data() + blank, c.tolerance);
  if (r.ec != std::errc() || r.ptr != text.data() + blank) return invalid("expected a number");
  if (trim(text.substr(blank)).empty()) return invalid("a tolerance needs a reason after it");
  return {};
}

Status parse_skip(std::string_view text, OpCase& c) {
  const size_t blank = std::min(text.find(' '), text.size());
  const std::string_view reason = trim(text.substr(blank));
  if (reason.empty()) return invalid("expected: skip VARIANT REASON");
  c.skipped[std::string(text.substr(0, blank))] = reason;
  return {};
}

Status parse_line(std::string_view line, OpCase& c) {
  if (const auto rest = after_word(line, "expect")) return parse_expectation(*rest, true, c);
  if (const auto rest = after_word(line, "expect_type")) return parse_expectation(*rest, false, c);
  if (const auto rest = after_word(line, "tolerance")) return parse_tolerance(*rest, c);
  if (const auto rest = after_word(line, "skip")) return parse_skip(*rest, c);
  if (const auto rest = after_word(line, "error")) {
    if (rest->empty()) return invalid("expected a part of the message");
    c.error = *rest;
    return {};
  }
  if (!after_word(line, "const") && !after_word(line, "state") && is_input_line(line)) {
    return parse_input(line, c);
  }
  c.statements += std::string(line) + "\n";
  return {};
}

}  // namespace

bool OpCase::has_data() const {
  return std::all_of(inputs.begin(), inputs.end(),
                     [](const Input& i) { return i.data.has_value(); });
}

std::string OpCase::where() const {
  return file + ".txt:" + std::to_string(line) + ": case " + name;
}

Result<Graph> OpCase::graph() const {
  std::string text = "graph case(";
  for (size_t i = 0; i < inputs.size(); ++i) {
    text += (i ? ", " : "") + inputs[i].name + ": " + inputs[i].type_text;
  }
  text += ") -> (";
  for (size_t i = 0; i < expectations.size(); ++i) text += (i ? ", " : "") + expectations[i].name;
  MNN_ASSIGN_OR_RETURN(Graph g, parse_graph(text + ") {\n" + statements + "}"));
  if (!expectations.empty()) return g;
  const Uses uses = index_uses(g);
  for (const Node& node : g.nodes) {
    for (const ValueId v : node.outputs) {
      if (v != kNoValue && uses.consumers[static_cast<size_t>(v)].empty()) g.outputs.push_back(v);
    }
  }
  return g;
}

std::vector<OpCase> parse_op_cases(const std::string& file, std::string_view text) {
  std::vector<OpCase> cases;
  int number = 0, depth = 0;
  auto current = [&]() -> OpCase& {
    if (cases.empty()) {
      cases.emplace_back();
      cases.back().file = file;
      cases.back().line = number;
      cases.back().malformed = "the first line must be: case NAME";
    }
    return cases.back();
  };
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trim(text.substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (line.empty() || line.front() == '#') continue;
    if (const auto name = after_word(line, "case"); name && depth == 0) {
      cases.emplace_back();
      cases.back().file = file;
      cases.back().name = *name;
      cases.back().line = number;
      continue;
    }
    OpCase& c = current();
    if (depth > 0) {
      c.statements += std::string(line) + "\n";
      depth += open_braces(line);
      continue;
    }
    const bool directive = after_word(line, "error") || after_word(line, "skip");
    if (!directive) depth = std::max(0, open_braces(line));
    const Status status = parse_line(line, c);
    if (!status.ok() && c.malformed.empty()) {
      c.malformed = file + ".txt:" + std::to_string(number) + ": " + status.message();
    }
  }
  for (OpCase& c : cases) {
    if (c.malformed.empty() && c.expectations.empty() && c.error.empty()) {
      c.malformed = c.where() + " expects nothing";
    }
    for (OpCase::Expectation& e : c.expectations) {
      if (e.data && !c.has_data() && c.malformed.empty()) {
        c.malformed = c.where() + " expects data, but not all inputs have data";
      }
    }
  }
  return cases;
}

std::vector<OpCase> load_op_cases(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".txt" && entry.path().filename() != "CMakeLists.txt") {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<OpCase> cases;
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    for (OpCase& c : parse_op_cases(path.stem().string(), text.str())) {
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

}  // namespace mnn
