// What a Dim is made of: private to core/dim*.cc.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libruntime/core/dim.h"

namespace mnn {

// A factor of a term: a symbol, floor(first / second) or max(first, 0).
struct DimAtom {
  enum class Kind { kSymbol, kFloor, kPositive };
  std::string key;  // its canonical text
  Kind kind = Kind::kSymbol;
  std::shared_ptr<const std::pair<Dim, Dim>> operands;  // null for a symbol

  bool operator<(const DimAtom& o) const { return key < o.key; }
  bool operator==(const DimAtom& o) const { return key == o.key; }
};

struct DimTerm {
  int64_t coefficient = 0;
  std::vector<DimAtom> atoms;  // sorted; a power repeats its atom

  std::string key() const {
    std::string k;
    for (const DimAtom& a : atoms) k += (k.empty() ? "" : "*") + a.key;
    return k;
  }
};

// Terms sorted by key, no zero coefficients, the constant term first.
struct DimPolynomial {
  std::vector<DimTerm> terms;
  std::string text;
};

// The sum of terms in any order; unknown() on overflow.
Dim sum_of_terms(std::vector<DimTerm> terms);

}  // namespace mnn
