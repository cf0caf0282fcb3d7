#include "libruntime/core/dim.h"

#include <algorithm>
#include <numeric>

#include "libruntime/core/dim_polynomial.h"

namespace mnn {
namespace {

// Longer expressions carry no more insight and cost time: they become unknown.
constexpr size_t kMaxTerms = 32;
constexpr size_t kMaxText = 512;

std::string term_key(const DimTerm& term) {
  std::string key;
  for (const DimAtom& a : term.atoms) key += (key.empty() ? "" : "*") + a.key;
  return key;
}

std::string scaled_text(int64_t coefficient, const std::string& key) {
  if (key.empty()) return std::to_string(coefficient);
  if (coefficient == 1) return key;
  if (coefficient == -1) return "-" + key;
  return std::to_string(coefficient) + "*" + key;
}

void append_part(std::string& text, const std::string& part) {
  if (text.empty()) {
    text = part;
  } else {
    text += part[0] == '-' ? " - " + part.substr(1) : " + " + part;
  }
}

// Takes from `terms` the first max(e, 0) that stands beside -e or, subtracted, beside e (numbers
// aside) and returns what both read as: e - max(e + k, 0) is min(e, -k), max(e, 0) - e is
// max(-e, 0). Empty when there is none.
std::string take_pair(std::vector<DimTerm>& terms) {
  for (size_t i = 0; i < terms.size(); ++i) {
    const DimTerm& term = terms[i];
    if (term.atoms.size() != 1 || term.atoms[0].kind != DimAtom::Kind::kPositive) continue;
    const Dim e = term.atoms[0].operands->first;
    Dim k(0);
    std::vector<DimTerm> rest = terms;
    rest.erase(rest.begin() + static_cast<long>(i));
    bool all = true;
    for (const DimTerm& part : e.polynomial()->terms) {
      if (part.atoms.empty()) {
        k = Dim(part.coefficient);
        continue;
      }
      const Dim wanted = Dim(part.coefficient) * -Dim(term.coefficient);
      const auto it = std::find_if(rest.begin(), rest.end(), [&](const DimTerm& t) {
        return wanted.is(t.coefficient) && t.atoms == part.atoms;
      });
      all = all && it != rest.end();
      if (!all) break;
      rest.erase(it);
    }
    if (!all || (e - k).is_unknown() || (-e).is_unknown()) continue;
    if (term.coefficient < 0) {
      const std::string key = "min(" + (e - k).str() + ", " + (-k).str() + ")";
      const int64_t factor = -term.coefficient;
      terms = std::move(rest);
      return scaled_text(factor, key);
    }
    const bool has_number = !rest.empty() && rest[0].atoms.empty();
    const Dim number = Dim(has_number ? rest[0].coefficient : 0) + Dim(term.coefficient) * k;
    if (!number.known()) continue;
    const std::string text = scaled_text(term.coefficient, "max(" + (-e).str() + ", 0)");
    if (has_number) rest.erase(rest.begin());
    if (!number.is(0)) rest.insert(rest.begin(), {number.value(), {}});
    terms = std::move(rest);
    return text;
  }
  return {};
}

std::string polynomial_text(std::vector<DimTerm> terms) {
  std::vector<std::string> pairs;
  for (std::string p = take_pair(terms); !p.empty(); p = take_pair(terms)) {
    pairs.push_back(std::move(p));
  }
  std::string text;
  // The constant term reads best at the end: "h + 1".
  const bool constant_first = !terms.empty() && terms[0].atoms.empty();
  for (size_t i = constant_first ? 1 : 0; i < terms.size(); ++i) {
    append_part(text, scaled_text(terms[i].coefficient, term_key(terms[i])));
  }
  for (const std::string& p : pairs) append_part(text, p);
  if (constant_first) append_part(text, std::to_string(terms[0].coefficient));
  return text;
}

// The greatest common divisor of all coefficients; 0 when one has no absolute value.
int64_t content(const std::vector<DimTerm>& terms) {
  int64_t g = 0;
  for (const DimTerm& term : terms) {
    if (term.coefficient == INT64_MIN) return 0;
    g = std::gcd(g, term.coefficient);
  }
  return g;
}

// The sign of the first term that is no number: which of d and -d stands for both.
bool leads_negative(const std::vector<DimTerm>& terms) {
  const size_t first = terms[0].atoms.empty() ? 1 : 0;
  return terms[first].coefficient < 0;
}

DimAtom make_atom(DimAtom::Kind kind, std::string key, Dim a, Dim b) {
  return {std::move(key), kind,
          std::make_shared<const std::pair<Dim, Dim>>(std::move(a), std::move(b))};
}

}  // namespace

Dim::Dim(DimPolynomial poly) {
  if (poly.terms.empty()) return;
  if (poly.terms.size() == 1 && poly.terms[0].atoms.empty()) {
    value_ = poly.terms[0].coefficient;
    return;
  }
  if (poly.terms.size() > kMaxTerms) {
    unknown_ = true;
    return;
  }
  poly.text = polynomial_text(poly.terms);
  if (poly.text.size() > kMaxText) {
    unknown_ = true;
    return;
  }
  poly_ = std::make_shared<const DimPolynomial>(std::move(poly));
}

bool merge_terms(std::vector<DimTerm>& terms) {
  for (DimTerm& term : terms) std::sort(term.atoms.begin(), term.atoms.end());
  std::sort(terms.begin(), terms.end());
  std::vector<DimTerm> merged;
  for (DimTerm& term : terms) {
    if (merged.empty() || merged.back().atoms != term.atoms) {
      merged.push_back(std::move(term));
      continue;
    }
    if (__builtin_add_overflow(merged.back().coefficient, term.coefficient,
                               &merged.back().coefficient)) {
      return false;
    }
  }
  std::erase_if(merged, [](const DimTerm& term) { return term.coefficient == 0; });
  terms = std::move(merged);
  return true;
}

bool multiply_terms(const std::vector<DimTerm>& a, const std::vector<DimTerm>& b,
                    std::vector<DimTerm>& product) {
  for (const DimTerm& x : a) {
    for (const DimTerm& y : b) {
      DimTerm term{0, x.atoms};
      if (__builtin_mul_overflow(x.coefficient, y.coefficient, &term.coefficient)) return false;
      term.atoms.insert(term.atoms.end(), y.atoms.begin(), y.atoms.end());
      product.push_back(std::move(term));
    }
  }
  return true;
}

Dim sum_of_terms(std::vector<DimTerm> terms) {
  return merge_terms(terms) ? Dim(DimPolynomial{std::move(terms), {}}) : Dim::unknown();
}

std::vector<DimTerm> terms_of(const Dim& d) {
  if (d.polynomial() != nullptr) return d.polynomial()->terms;
  if (d.is(0)) return {};
  return {{d.value(), {}}};
}

Dim Dim::symbol(std::string name) {
  return sum_of_terms({{1, {{std::move(name), DimAtom::Kind::kSymbol, nullptr}}}});
}

Dim Dim::unknown() {
  Dim d;
  d.unknown_ = true;
  return d;
}

bool Dim::same(const Dim& other) const {
  if (unknown_ || other.unknown_) return false;
  if (!poly_ || !other.poly_) return !poly_ && !other.poly_ && value_ == other.value_;
  return poly_->text == other.poly_->text;
}

std::string Dim::str() const {
  if (unknown_) return "?";
  return poly_ ? poly_->text : std::to_string(value_);
}

Dim operator+(const Dim& a, const Dim& b) {
  if (a.unknown_ || b.unknown_) return Dim::unknown();
  if (a.known() && b.known()) {
    int64_t r = 0;
    return __builtin_add_overflow(a.value_, b.value_, &r) ? Dim::unknown() : Dim(r);
  }
  std::vector<DimTerm> terms = terms_of(a), more = terms_of(b);
  terms.insert(terms.end(), more.begin(), more.end());
  return sum_of_terms(std::move(terms));
}

Dim operator-(const Dim& a) { return a * Dim(-1); }
Dim operator-(const Dim& a, const Dim& b) { return a + -b; }

Dim operator*(const Dim& a, const Dim& b) {
  if (a.is(0) || b.is(0)) return Dim(0);
  if (a.unknown_ || b.unknown_) return Dim::unknown();
  if (a.known() && b.known()) {
    int64_t r = 0;
    return __builtin_mul_overflow(a.value_, b.value_, &r) ? Dim::unknown() : Dim(r);
  }
  const auto ta = terms_of(a), tb = terms_of(b);
  if (ta.size() * tb.size() > kMaxTerms * 2) return Dim::unknown();
  std::vector<DimTerm> product;
  if (!multiply_terms(ta, tb, product)) return Dim::unknown();
  return sum_of_terms(std::move(product));
}

Dim floor_div(const Dim& a, const Dim& b) {
  if (a.unknown_ || b.unknown_ || b.is(0)) return Dim::unknown();
  if (b.is(1)) return a;
  if (a.known() && b.known()) {
    if (a.value_ == INT64_MIN && b.value_ == -1) return Dim::unknown();
    int64_t q = a.value_ / b.value_;
    if (a.value_ % b.value_ != 0 && (a.value_ < 0) != (b.value_ < 0)) --q;
    return Dim(q);
  }
  if (a.is(0) || a.same(b)) return a.is(0) ? Dim(0) : Dim(1);
  const auto ta = terms_of(a), tb = terms_of(b);
  if (b.known() ? b.value() < 0 : leads_negative(tb)) return floor_div(-a, -b);
  // Terms of `a` that a one-term divisor divides evenly leave the floor: floor((b*q + r)/b) = q +
  // floor(r/b). Of a number the part that a number divides evenly.
  const bool single = tb.size() == 1;
  std::vector<DimTerm> whole, rest;
  for (const DimTerm& term : ta) {
    const bool divides =
        single && term.coefficient % tb[0].coefficient == 0 &&
        std::includes(term.atoms.begin(), term.atoms.end(), tb[0].atoms.begin(), tb[0].atoms.end());
    if (divides) {
      DimTerm q{term.coefficient / tb[0].coefficient, {}};
      std::set_difference(term.atoms.begin(), term.atoms.end(), tb[0].atoms.begin(),
                          tb[0].atoms.end(), std::back_inserter(q.atoms));
      whole.push_back(std::move(q));
    } else if (term.atoms.empty() && b.known()) {
      const int64_t q = floor_div(Dim(term.coefficient), b).value();
      whole.push_back({q, {}});
      rest.push_back({term.coefficient - q * b.value(), {}});
    } else {
      rest.push_back(term);
    }
  }
  const Dim quotient = sum_of_terms(std::move(whole)), remainder = sum_of_terms(std::move(rest));
  if (quotient.unknown_ || remainder.unknown_) return Dim::unknown();
  if (remainder.known() && b.known()) return quotient + floor_div(remainder, b);
  if (remainder.is(0)) return quotient;
  std::string key = "floor((" + remainder.str() + ")/(" + b.str() + "))";
  return quotient +
         sum_of_terms({{1, {make_atom(DimAtom::Kind::kFloor, std::move(key), remainder, b)}}});
}

Dim ceil_div(const Dim& a, const Dim& b) {
  // By a number it reads as other floors do.
  if (a.known() && b.known()) {
    const Dim q = floor_div(a, b);
    return q.unknown_ || a.value_ % b.value_ == 0 ? q : q + Dim(1);
  }
  if (b.known() && b.value_ > 0) return floor_div(a + Dim(b.value_ - 1), b);
  return -floor_div(-a, b);
}

Dim truncated_div(const Dim& a, const Dim& b) {
  if (a.unknown_ || b.unknown_ || b.is(0)) return Dim::unknown();
  const Dim q = floor_div(a, b);
  if (a.known() && b.known()) return q.unknown_ ? q : Dim(a.value_ / b.value_);
  if ((q * b).same(a)) return q;  // an exact quotient does not round
  if (!at_least(b, 0)) return at_least(-b, 0) ? truncated_div(-a, -b) : Dim::unknown();
  if (at_least(a, 0)) return q;
  // One of the two is 0.
  return floor_div(larger_of(a, 0), b) - floor_div(larger_of(-a, 0), b);
}

Dim larger_of(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return Dim(std::max(a.value_, b.value_));
  const Dim d = a - b;
  if (d.unknown_) return d;
  if (at_least(d, 0)) return a;
  if (at_least(-d, 0)) return b;
  // max(a, b) = b + max(d, 0), and of d and -d one stands for both: max(d, 0) = d + max(-d, 0).
  std::vector<DimTerm> terms = d.poly_->terms;
  const int64_t factor = content(terms);
  if (factor == 0) return Dim::unknown();
  const bool negative = leads_negative(terms);
  for (DimTerm& term : terms) term.coefficient /= negative ? -factor : factor;
  const Dim inner = sum_of_terms(std::move(terms));
  if (inner.unknown_) return inner;
  std::string key = "max(" + inner.str() + ", 0)";
  const Dim positive =
      sum_of_terms({{factor, {make_atom(DimAtom::Kind::kPositive, std::move(key), inner, 0)}}});
  return (negative ? a : b) + positive;
}

Dim smaller_of(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return Dim(std::min(a.value_, b.value_));
  return a + b - larger_of(a, b);
}

namespace {

Dim bind_atom(const DimAtom& atom, const Bindings& bindings) {
  if (atom.kind == DimAtom::Kind::kSymbol) {
    const auto it = bindings.find(atom.key);
    return it == bindings.end() ? Dim::symbol(atom.key) : Dim(it->second);
  }
  const Dim a = atom.operands->first.bind(bindings), b = atom.operands->second.bind(bindings);
  return atom.kind == DimAtom::Kind::kFloor ? floor_div(a, b) : larger_of(a, b);
}

}  // namespace

Dim Dim::bind(const Bindings& bindings) const {
  if (!poly_) return *this;
  Dim sum(0);
  for (const DimTerm& term : poly_->terms) {
    Dim product(term.coefficient);
    for (const DimAtom& atom : term.atoms) {
      product = product * bind_atom(atom, bindings);
    }
    sum = sum + product;
  }
  return sum;
}

void Dim::collect_symbols(std::vector<std::string>& out) const {
  if (!poly_) return;
  for (const DimTerm& term : poly_->terms) {
    for (const DimAtom& atom : term.atoms) {
      if (atom.operands) {
        atom.operands->first.collect_symbols(out);
        atom.operands->second.collect_symbols(out);
      } else if (std::find(out.begin(), out.end(), atom.key) == out.end()) {
        out.push_back(atom.key);
      }
    }
  }
}

bool all_known(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](const Dim& d) { return d.known(); });
}

bool same_shape(const Shape& a, const Shape& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](const Dim& x, const Dim& y) { return x.same(y); });
}

Dim num_elements(const Shape& shape) {
  Dim product(1);
  for (const Dim& d : shape) product = product * d;
  return product;
}

std::vector<int64_t> known_dims(const Shape& shape) {
  std::vector<int64_t> dims;
  dims.reserve(shape.size());
  for (const Dim& d : shape) dims.push_back(d.value());
  return dims;
}

Shape to_shape(const std::vector<int64_t>& dims) { return Shape(dims.begin(), dims.end()); }

std::string shape_str(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + shape[i].str();
  return text + "]";
}

Shape bind_shape(const Shape& shape, const Bindings& bindings) {
  Shape bound;
  bound.reserve(shape.size());
  for (const Dim& d : shape) bound.push_back(d.bind(bindings));
  return bound;
}

std::optional<int64_t> checked_elements(const std::vector<int64_t>& dims) {
  int64_t product = 1;
  bool zero = false;
  for (const int64_t d : dims) {
    if (d < 0) return std::nullopt;
    if (d == 0)
      zero = true;
    else if (__builtin_mul_overflow(product, d, &product))
      return std::nullopt;
  }
  return zero ? 0 : product;
}

}  // namespace mnn
