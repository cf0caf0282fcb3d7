// Small things about text.
#pragma once

#include <string>
#include <vector>

namespace mnn::cli {

// Every `from` replaced by `to`, left to right, once. `from` is not empty.
std::string replace_all(std::string text, const std::string& from, const std::string& to);

// The words with `separator` between them.
std::string join(const std::vector<std::string>& words, const std::string& separator);

// A word as a shell takes it, quoted where it must be.
std::string shell_word(const std::string& word);

}  // namespace mnn::cli
