// Symbolic sizes as SymPy writes them.
#include <cctype>
#include <charconv>
#include <optional>

#include "libconvert/frontends/torch/exported.h"

namespace mnn::torch {
namespace {

constexpr int kMaxExpressionDepth = 32;
constexpr size_t kMaxExpressionText = 4096;

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  std::optional<Dim> read_all() {
    std::optional<Dim> d = read(0);
    return d && rest_.empty() ? d : std::nullopt;
  }

 private:
  std::optional<Dim> read(int depth) {
    if (depth > kMaxExpressionDepth) return std::nullopt;
    const std::string_view head = word();
    if (!take('(')) return std::nullopt;
    if (head == "Integer") return read_integer();
    if (head == "Symbol") return read_symbol();
    std::vector<Dim> args;
    while (!take(')')) {
      std::optional<Dim> d = read(depth + 1);
      if (!d) return std::nullopt;
      args.push_back(std::move(*d));
      take(',');
    }
    if (args.empty()) return std::nullopt;
    if (args.size() == 2 && (head == "FloorDiv" || head == "CleanDiv")) {
      return floor_div(args[0], args[1]);
    }
    Dim result = args[0];
    for (size_t i = 1; i < args.size(); ++i) {
      if (head == "Add") {
        result = result + args[i];
      } else if (head == "Mul") {
        result = result * args[i];
      } else if (head == "Max") {
        result = larger_of(result, args[i]);
      } else if (head == "Min") {
        result = smaller_of(result, args[i]);
      } else {
        return std::nullopt;
      }
    }
    return result;
  }

  std::optional<Dim> read_integer() {
    int64_t n = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), n);
    if (error != std::errc()) return std::nullopt;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return take(')') ? std::optional<Dim>(n) : std::nullopt;
  }

  std::optional<Dim> read_symbol() {
    if (!take('\'') && !take('"')) return std::nullopt;
    const std::string_view name = word();
    const size_t end = rest_.find(')');
    if (name.empty() || end == std::string_view::npos) return std::nullopt;
    if (std::isdigit(static_cast<unsigned char>(name[0])) != 0) return std::nullopt;
    rest_.remove_prefix(end + 1);
    return Dim::symbol(std::string(name));
  }

  std::string_view word() {
    size_t n = 0;
    while (n < rest_.size() &&
           (std::isalnum(static_cast<unsigned char>(rest_[n])) != 0 || rest_[n] == '_')) {
      ++n;
    }
    const std::string_view w = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return w;
  }
  bool take(char c) {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
    return true;
  }

  std::string_view rest_;
};

}  // namespace

Dim parse_srepr(std::string_view text) {
  if (text.size() > kMaxExpressionText) return Dim::unknown();
  return Reader(text).read_all().value_or(Dim::unknown());
}

}  // namespace mnn::torch
