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

  bool operator<(const DimTerm& o) const { return atoms < o.atoms; }
};

// Terms sorted, each product of atoms once, no zero coefficients: the number comes first.
struct DimPolynomial {
  std::vector<DimTerm> terms;
  std::string text;
};

// Brings terms in any order into that form; false on overflow.
bool merge_terms(std::vector<DimTerm>& terms);
// All products of a term of `a` and one of `b`, not merged; false on overflow.
bool multiply_terms(const std::vector<DimTerm>& a, const std::vector<DimTerm>& b,
                    std::vector<DimTerm>& product);
// The sum of terms in any order; unknown() on overflow.
Dim sum_of_terms(std::vector<DimTerm> terms);
// No terms for 0; the dimension must not be unknown.
std::vector<DimTerm> terms_of(const Dim& d);

}  // namespace mnn
