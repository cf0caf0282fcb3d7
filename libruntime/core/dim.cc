#include "libruntime/core/dim.h"

#include <algorithm>
#include <cctype>

namespace mnn {

// A factor of a term: a symbol, or floor(numerator / denominator).
struct DimAtom {
  std::string key;
  std::shared_ptr<const std::pair<Dim, Dim>> quotient;  // null for a symbol

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

namespace {

// Longer expressions carry no more insight and cost time: they become unknown.
constexpr size_t kMaxTerms = 32;
constexpr size_t kMaxText = 512;
constexpr int kMaxParseDepth = 16;

struct Terms {
  bool overflow = false;
  std::vector<DimTerm> list;
};

std::string term_text(const DimTerm& term) {
  const std::string key = term.key();
  if (key.empty()) return std::to_string(term.coefficient);
  if (term.coefficient == 1) return key;
  if (term.coefficient == -1) return "-" + key;
  return std::to_string(term.coefficient) + "*" + key;
}

void canonicalize(Terms& t) {
  for (DimTerm& term : t.list) std::sort(term.atoms.begin(), term.atoms.end());
  std::sort(t.list.begin(), t.list.end(),
            [](const DimTerm& a, const DimTerm& b) { return a.key() < b.key(); });
  std::vector<DimTerm> merged;
  for (DimTerm& term : t.list) {
    if (!merged.empty() && merged.back().atoms == term.atoms) {
      t.overflow |= __builtin_add_overflow(merged.back().coefficient, term.coefficient,
                                           &merged.back().coefficient);
    } else {
      merged.push_back(std::move(term));
    }
  }
  std::erase_if(merged, [](const DimTerm& term) { return term.coefficient == 0; });
  t.list = std::move(merged);
}

}  // namespace

Dim::Dim(DimPolynomial poly) {
  if (poly.terms.empty()) return;
  if (poly.terms.size() == 1 && poly.terms[0].atoms.empty()) {
    value_ = poly.terms[0].coefficient;
    return;
  }
  std::string text;
  // The constant term reads best at the end: "h + 1".
  const bool constant_first = poly.terms[0].atoms.empty();
  for (size_t i = constant_first ? 1 : 0; i < poly.terms.size(); ++i) {
    const std::string part = term_text(poly.terms[i]);
    if (text.empty()) {
      text = part;
    } else {
      text += part[0] == '-' ? " - " + part.substr(1) : " + " + part;
    }
  }
  if (constant_first) {
    const std::string part = term_text(poly.terms[0]);
    text += part[0] == '-' ? " - " + part.substr(1) : " + " + part;
  }
  if (poly.terms.size() > kMaxTerms || text.size() > kMaxText) {
    unknown_ = true;
    return;
  }
  poly.text = std::move(text);
  poly_ = std::make_shared<const DimPolynomial>(std::move(poly));
}

Dim Dim::symbol(std::string name) {
  DimPolynomial poly;
  poly.terms.push_back({1, {{std::move(name), nullptr}}});
  return Dim(std::move(poly));
}

Dim Dim::unknown() {
  Dim d;
  d.unknown_ = true;
  return d;
}

namespace {

Dim make_unknown_if(bool bad, Dim d) { return bad ? Dim::unknown() : d; }

}  // namespace

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
  Terms t;
  for (const Dim* d : {&a, &b}) {
    if (d->poly_) {
      t.list.insert(t.list.end(), d->poly_->terms.begin(), d->poly_->terms.end());
    } else if (d->value_ != 0) {
      t.list.push_back({d->value_, {}});
    }
  }
  canonicalize(t);
  return make_unknown_if(t.overflow, Dim(DimPolynomial{std::move(t.list), {}}));
}

Dim operator-(const Dim& a, const Dim& b) { return a + b * Dim(-1); }

Dim operator*(const Dim& a, const Dim& b) {
  if (a.is(0) || b.is(0)) return Dim(0);
  if (a.unknown_ || b.unknown_) return Dim::unknown();
  if (a.known() && b.known()) {
    int64_t r = 0;
    return __builtin_mul_overflow(a.value_, b.value_, &r) ? Dim::unknown() : Dim(r);
  }
  auto terms_of = [](const Dim& d) {
    return d.poly_ ? d.poly_->terms : std::vector<DimTerm>{{d.value_, {}}};
  };
  const auto ta = terms_of(a), tb = terms_of(b);
  if (ta.size() * tb.size() > kMaxTerms * 2) return Dim::unknown();
  Terms t;
  for (const DimTerm& x : ta) {
    for (const DimTerm& y : tb) {
      DimTerm term;
      t.overflow |= __builtin_mul_overflow(x.coefficient, y.coefficient, &term.coefficient);
      term.atoms = x.atoms;
      term.atoms.insert(term.atoms.end(), y.atoms.begin(), y.atoms.end());
      t.list.push_back(std::move(term));
    }
  }
  canonicalize(t);
  return make_unknown_if(t.overflow, Dim(DimPolynomial{std::move(t.list), {}}));
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
  // Terms of `a` that a one-term divisor divides evenly leave the floor: floor((b*q + r)/b) = q +
  // floor(r/b).
  DimTerm divisor{b.value_, {}};
  if (b.poly_) {
    if (b.poly_->terms.size() != 1)
      divisor.coefficient = 0;
    else
      divisor = b.poly_->terms[0];
  }
  Terms whole, rest;
  const auto ta = a.poly_ ? a.poly_->terms : std::vector<DimTerm>{{a.value_, {}}};
  for (const DimTerm& term : ta) {
    const bool divides = divisor.coefficient != 0 &&
                         !(term.coefficient == INT64_MIN && divisor.coefficient == -1) &&
                         term.coefficient % divisor.coefficient == 0 &&
                         std::includes(term.atoms.begin(), term.atoms.end(), divisor.atoms.begin(),
                                       divisor.atoms.end());
    if (!divides) {
      if (term.atoms.empty() && b.known() && b.value_ > 0) {
        const Dim q = floor_div(Dim(term.coefficient), b);
        const int64_t r = term.coefficient - q.value() * b.value_;
        if (q.value() != 0) whole.list.push_back({q.value(), {}});
        if (r != 0) rest.list.push_back({r, {}});
      } else {
        rest.list.push_back(term);
      }
      continue;
    }
    DimTerm q;
    q.coefficient = term.coefficient / divisor.coefficient;
    std::set_difference(term.atoms.begin(), term.atoms.end(), divisor.atoms.begin(),
                        divisor.atoms.end(), std::back_inserter(q.atoms));
    whole.list.push_back(std::move(q));
  }
  canonicalize(whole);
  canonicalize(rest);
  if (whole.overflow || rest.overflow) return Dim::unknown();
  const Dim quotient{DimPolynomial{std::move(whole.list), {}}};
  const Dim remainder{DimPolynomial{std::move(rest.list), {}}};
  if (remainder.is(0)) return quotient;
  if (remainder.known() && b.known()) return quotient + floor_div(remainder, b);
  DimAtom atom;
  atom.key = "floor((" + remainder.str() + ")/(" + b.str() + "))";
  atom.quotient = std::make_shared<const std::pair<Dim, Dim>>(remainder, b);
  return quotient + Dim(DimPolynomial{{{1, {std::move(atom)}}}, {}});
}

Dim ceil_div(const Dim& a, const Dim& b) { return Dim(0) - floor_div(Dim(0) - a, b); }

Dim Dim::bind(const Bindings& bindings) const {
  if (!poly_) return *this;
  Dim sum(0);
  for (const DimTerm& term : poly_->terms) {
    Dim product(term.coefficient);
    for (const DimAtom& atom : term.atoms) {
      if (atom.quotient) {
        product = product * floor_div(atom.quotient->first.bind(bindings),
                                      atom.quotient->second.bind(bindings));
      } else {
        const auto it = bindings.find(atom.key);
        product = product * (it == bindings.end() ? symbol(atom.key) : Dim(it->second));
      }
    }
    sum = sum + product;
  }
  return sum;
}

void Dim::collect_symbols(std::vector<std::string>& out) const {
  if (!poly_) return;
  for (const DimTerm& term : poly_->terms) {
    for (const DimAtom& atom : term.atoms) {
      if (atom.quotient) {
        atom.quotient->first.collect_symbols(out);
        atom.quotient->second.collect_symbols(out);
      } else if (std::find(out.begin(), out.end(), atom.key) == out.end()) {
        out.push_back(atom.key);
      }
    }
  }
}

std::optional<int64_t> Dim::lower_bound() const {
  if (unknown_) return std::nullopt;
  if (!poly_) return value_;
  int64_t sum = 0;
  for (const DimTerm& term : poly_->terms) {
    if (term.coefficient < 0 && !term.atoms.empty()) return std::nullopt;
    int64_t product = term.coefficient;
    for (const DimAtom& atom : term.atoms) {
      int64_t least = 0;
      if (atom.quotient) {
        const std::optional<int64_t> n = atom.quotient->first.lower_bound();
        const Dim& d = atom.quotient->second;
        if (!n || (*n < 0 && (!d.known() || term.atoms.size() > 1))) return std::nullopt;
        const std::optional<int64_t> positive = d.lower_bound();
        if (!positive || *positive < 0) return std::nullopt;
        if (d.known()) least = floor_div(Dim(*n), d).value();
      }
      if (__builtin_mul_overflow(product, least, &product)) return std::nullopt;
    }
    if (__builtin_add_overflow(sum, product, &sum)) return std::nullopt;
  }
  return sum;
}

bool Dim::eventually_non_negative() const {
  if (unknown_) return false;
  if (!poly_) return value_ >= 0;
  for (const DimTerm& term : poly_->terms) {
    if (term.atoms.empty()) continue;
    if (term.coefficient < 0) return false;
    for (const DimAtom& atom : term.atoms) {
      if (atom.quotient && (!atom.quotient->first.eventually_non_negative() ||
                            !atom.quotient->second.eventually_non_negative())) {
        return false;
      }
    }
  }
  return true;
}

namespace {

// expression := product (('+' | '-') product)*; product := ['-'] factor ('*' factor)*;
// factor := number | symbol | "floor((" expression ")/(" expression "))"
class DimParser {
 public:
  explicit DimParser(std::string_view text) : text_(text) {}

  Result<Dim> parse() {
    skip();
    if (text_.substr(pos_) == "?") return Dim::unknown();
    MNN_ASSIGN_OR_RETURN(const Dim d, expression());
    skip();
    if (pos_ != text_.size()) return fail();
    return d;
  }

 private:
  Status fail() const {
    return invalid("'" + std::string(text_) + "' is not a dimension (at character " +
                   std::to_string(pos_) + ")");
  }
  void skip() {
    while (pos_ < text_.size() && text_[pos_] == ' ') ++pos_;
  }
  bool eat(std::string_view token) {
    skip();
    if (text_.substr(pos_, token.size()) != token) return false;
    pos_ += token.size();
    return true;
  }
  Result<Dim> expression() {
    if (++depth_ > kMaxParseDepth) return fail();
    MNN_ASSIGN_OR_RETURN(Dim sum, product());
    while (true) {
      if (eat("+")) {
        MNN_ASSIGN_OR_RETURN(const Dim d, product());
        sum = sum + d;
      } else if (eat("-")) {
        MNN_ASSIGN_OR_RETURN(const Dim d, product());
        sum = sum - d;
      } else {
        --depth_;
        return sum;
      }
    }
  }
  Result<Dim> product() {
    Dim result(eat("-") ? -1 : 1);
    do {
      MNN_ASSIGN_OR_RETURN(const Dim d, factor());
      result = result * d;
    } while (eat("*"));
    return result;
  }
  Result<Dim> factor() {
    if (eat("floor((")) {
      MNN_ASSIGN_OR_RETURN(const Dim a, expression());
      if (!eat(")/(")) return fail();
      MNN_ASSIGN_OR_RETURN(const Dim b, expression());
      if (!eat("))")) return fail();
      return floor_div(a, b);
    }
    skip();
    const size_t begin = pos_;
    if (pos_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[pos_]))) {
      int64_t value = 0;
      while (pos_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[pos_]))) {
        if (__builtin_mul_overflow(value, int64_t{10}, &value) ||
            __builtin_add_overflow(value, int64_t{text_[pos_] - '0'}, &value)) {
          return fail();
        }
        ++pos_;
      }
      return Dim(value);
    }
    while (pos_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[pos_])) ||
                                   text_[pos_] == '_' || text_[pos_] == '.')) {
      ++pos_;
    }
    if (pos_ == begin) return fail();
    return Dim::symbol(std::string(text_.substr(begin, pos_ - begin)));
  }

  std::string_view text_;
  size_t pos_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<Dim> Dim::parse(std::string_view text) { return DimParser(text).parse(); }

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
