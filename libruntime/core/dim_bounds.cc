// What a dimension is never below.
#include <algorithm>

#include "libruntime/core/dim_polynomial.h"

namespace mnn {
namespace {

using Bound = std::optional<int64_t>;

// Expressions looked at for one bound: what is left open after them stays so.
constexpr int kMaxSteps = 48;

Bound larger(const Bound& a, const Bound& b) {
  if (!a || !b) return a ? a : b;
  return std::max(*a, *b);
}
Bound smaller(const Bound& a, const Bound& b) {
  if (!a || !b) return std::nullopt;
  return std::min(*a, *b);
}

class BoundSearch {
 public:
  Bound below(const Dim& d) {
    if (d.is_unknown() || --steps_ < 0) return std::nullopt;
    if (d.known()) return d.value();
    const std::vector<DimTerm>& terms = d.polynomial()->terms;
    Bound best = below_by_terms(terms);
    // What is subtracted first: those maxima are split into their cases, the others given up.
    for (const DimAtom::Kind kind : {DimAtom::Kind::kPositive, DimAtom::Kind::kFloor}) {
      for (const bool subtracted : {true, false}) {
        for (const DimTerm& term : terms) {
          if ((term.coefficient < 0) != subtracted) continue;
          for (const DimAtom& atom : term.atoms) {
            if (atom.kind == kind) return larger(best, below_without(terms, atom));
          }
        }
      }
    }
    return best;
  }

 private:
  // The sum of what each term is never below.
  Bound below_by_terms(const std::vector<DimTerm>& terms) {
    int64_t sum = 0;
    for (const DimTerm& term : terms) {
      if (term.coefficient < 0 && !term.atoms.empty()) return std::nullopt;
      int64_t product = term.coefficient;
      for (const DimAtom& atom : term.atoms) {
        const Bound least = below_atom(atom);
        if (!least || (*least < 0 && term.atoms.size() > 1) ||
            __builtin_mul_overflow(product, *least, &product)) {
          return std::nullopt;
        }
      }
      if (__builtin_add_overflow(sum, product, &sum)) return std::nullopt;
    }
    return sum;
  }

  Bound below_atom(const DimAtom& atom) {
    if (atom.kind == DimAtom::Kind::kSymbol) return 0;
    const Bound inner = below(atom.operands->first);
    if (atom.kind == DimAtom::Kind::kPositive) return std::max<int64_t>(inner.value_or(0), 0);
    const Dim& divisor = atom.operands->second;
    if (!inner) return std::nullopt;
    if (divisor.known()) return floor_div(Dim(*inner), divisor).value();
    const Bound least = below(divisor);
    if (!least || *least < 0) return std::nullopt;
    return std::min<int64_t>(*inner, 0);
  }

  // Bounds of the sum with `atom` replaced by what it is never below, or never above.
  Bound below_without(const std::vector<DimTerm>& terms, const DimAtom& atom) {
    bool adds = true, subtracts = true;  // wherever it stands
    for (const DimTerm& term : terms) {
      const auto power = std::count(term.atoms.begin(), term.atoms.end(), atom);
      if (power == 0) continue;
      bool factors_positive = power == 1;
      for (const DimAtom& other : term.atoms) {
        if (other == atom || !factors_positive) continue;
        const Bound least = below_atom(other);
        factors_positive = least && *least >= 0;
      }
      adds = adds && factors_positive && term.coefficient > 0;
      subtracts = subtracts && factors_positive && term.coefficient < 0;
    }
    const auto& [inner, divisor] = *atom.operands;
    if (atom.kind == DimAtom::Kind::kPositive) {
      // It is one of the two, and never below either.
      const Bound zero = below(replace(terms, atom, 1, Dim(0)));
      const Bound whole = below(replace(terms, atom, 1, inner));
      return adds ? larger(zero, whole) : smaller(zero, whole);
    }
    if (!divisor.known() || adds == subtracts) return std::nullopt;
    // floor(a / b) is in [(a - b + 1) / b, a / b].
    const Dim numerator = adds ? inner - divisor + Dim(1) : inner;
    const Bound scaled = below(replace(terms, atom, divisor.value(), numerator));
    if (!scaled) return std::nullopt;
    return ceil_div(Dim(*scaled), divisor).value();
  }

  // `scale` times the sum, with `scale` times `atom` being `by`.
  static Dim replace(const std::vector<DimTerm>& terms, const DimAtom& atom, int64_t scale,
                     const Dim& by) {
    Dim sum(0);
    for (DimTerm term : terms) {
      Dim factor(scale);
      for (auto it = std::find(term.atoms.begin(), term.atoms.end(), atom); it != term.atoms.end();
           it = std::find(term.atoms.begin(), term.atoms.end(), atom)) {
        term.atoms.erase(it);
        factor = scale == 1 ? factor * by : by;
      }
      sum = sum + sum_of_terms({std::move(term)}) * factor;
    }
    return sum;
  }

  int steps_ = kMaxSteps;
};

}  // namespace

Bound Dim::lower_bound() const { return BoundSearch().below(*this); }

Bound Dim::upper_bound() const {
  const Bound low = (-*this).lower_bound();
  return low && *low != INT64_MIN ? Bound(-*low) : std::nullopt;
}

}  // namespace mnn
