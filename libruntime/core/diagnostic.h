// What a front end, a pass or the quantizer has to say about single nodes without stopping.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/status.h"

namespace mnn {

enum class Severity { kNote, kWarning, kError };

struct Diagnostic {
  Severity severity = Severity::kError;
  Code code = Code::kUnsupported;
  std::string node;  // source name of the node; empty when it concerns the whole model
  std::string op;    // source operator, with its domain when that is not the default one
  std::string message;
};

// Collects diagnostics in the order they were reported.
class Diagnostics {
 public:
  void add(Diagnostic diagnostic) { items_.push_back(std::move(diagnostic)); }
  const std::vector<Diagnostic>& items() const { return items_; }
  bool has_errors() const;
  // OK without errors; otherwise one status that names every node with an error, one a line.
  // The code is that of the first error.
  Status status() const;

 private:
  std::vector<Diagnostic> items_;
};

}  // namespace mnn
