// What a dimension is never below.
#include <algorithm>

#include "libruntime/core/dim_polynomial.h"

namespace mnn {
namespace {

using Bound = std::optional<int64_t>;

// Terms looked at for one bound: what is left open after them stays so.
constexpr int64_t kMaxWork = 256;

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
    if (d.is_unknown()) return std::nullopt;
    return d.known() ? Bound(d.value()) : below(d.polynomial()->terms);
  }

 private:
  using Terms = std::vector<DimTerm>;

  Bound below(const Terms& terms) {
    work_ += 1 + static_cast<int64_t>(terms.size());
    if (work_ > kMaxWork) return std::nullopt;
    const Bound best = below_by_terms(terms);
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

  // The sum of what each term is never below.
  Bound below_by_terms(const Terms& terms) {
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
  Bound below_without(const Terms& terms, const DimAtom& atom) {
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
      const Bound zero = below_with(terms, atom, 1, {});
      if (!zero && !adds) return std::nullopt;
      const Bound whole = below_with(terms, atom, 1, terms_of(inner));
      return adds ? larger(zero, whole) : smaller(zero, whole);
    }
    if (!divisor.known() || adds == subtracts) return std::nullopt;
    // floor(a / b) is in [(a - b + 1) / b, a / b].
    const Dim numerator = adds ? inner - divisor + Dim(1) : inner;
    if (numerator.is_unknown()) return std::nullopt;
    const Bound scaled = below_with(terms, atom, divisor.value(), terms_of(numerator));
    if (!scaled) return std::nullopt;
    return ceil_div(Dim(*scaled), divisor).value();
  }

  // What `scale` times the sum is never below, with `scale` times `atom` being `by`.
  Bound below_with(const Terms& terms, const DimAtom& atom, int64_t scale, const Terms& by) {
    Terms sum;
    for (const DimTerm& term : terms) {
      DimTerm rest{term.coefficient, {}};
      Terms factor = {{1, {}}};
      bool found = false;
      for (const DimAtom& a : term.atoms) {
        if (a != atom) {
          rest.atoms.push_back(a);
          continue;
        }
        Terms power;
        if (!multiply_terms(factor, by, power)) return std::nullopt;
        factor = std::move(power);
        found = true;
      }
      if (!found && __builtin_mul_overflow(rest.coefficient, scale, &rest.coefficient)) {
        return std::nullopt;
      }
      if (!multiply_terms({std::move(rest)}, factor, sum)) return std::nullopt;
      if (static_cast<int64_t>(sum.size()) > kMaxWork) return std::nullopt;
    }
    return merge_terms(sum) ? below(sum) : std::nullopt;
  }

  int64_t work_ = 0;
};

}  // namespace

Bound Dim::lower_bound() const { return BoundSearch().below(*this); }

Bound Dim::upper_bound() const {
  const Bound low = (-*this).lower_bound();
  return low && *low != INT64_MIN ? Bound(-*low) : std::nullopt;
}

}  // namespace mnn
