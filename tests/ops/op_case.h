// The operator cases of tests/ops/*.txt (docs/text-form.md, "Operator cases").
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

struct OpCase {
  struct Input {
    std::string name, type_text;
    std::optional<Tensor> data;  // without it the case checks inference only
  };
  struct Expectation {
    std::string name;
    std::optional<Tensor> data;  // "expect"
    std::optional<Type> type;    // "expect_type"
  };

  std::string file, name;  // "softmax", "first axis"
  int line = 0;            // of the word "case"
  std::string malformed;   // why the file cannot be read from here on
  std::vector<Input> inputs;
  std::string statements;
  std::vector<Expectation> expectations;
  std::string error;  // text of the message of a case that must fail
  double tolerance = 1e-6;
  std::map<std::string, std::string> skipped;  // variant -> reason

  bool has_data() const;
  std::string where() const;  // "softmax.txt:12: case first axis"
  // The statements as a graph whose outputs are what is expected, or without expectations what no
  // node reads.
  Result<Graph> graph() const;
};

// Every case of every file of `folder`, by file name, then in order. A file that cannot be read
// gives a case with `malformed` set.
std::vector<OpCase> load_op_cases(const std::string& folder);
std::vector<OpCase> parse_op_cases(const std::string& file, std::string_view text);

}  // namespace mnn
