// One dimension: a number, or an integer polynomial over named symbols, floor divisions and maxima,
// kept in a canonical form so that equal expressions compare equal ("2*h", "floor((h + 1)/(2))",
// "min(n, 5)"). Of a symbol it is only known that it is never negative: whatever is simplified
// holds for all such values. What cannot be expressed is unknown().
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libruntime/core/status.h"

namespace mnn {

struct DimPolynomial;
struct DimTerm;

class Dim {
 public:
  Dim() = default;                       // 0
  Dim(int64_t value) : value_(value) {}  // NOLINT: implicit on purpose
  static Dim symbol(std::string name);
  // A dimension nothing is known about; equal to nothing, not even to itself.
  static Dim unknown();

  bool known() const { return !poly_ && !unknown_; }
  bool is_unknown() const { return unknown_; }
  int64_t value() const { return value_; }  // only when known()
  bool is(int64_t v) const { return known() && value_ == v; }

  // True when both are provably equal for every binding of the symbols.
  bool same(const Dim& other) const;
  // The canonical text; "?" when unknown. parse() reads it back.
  std::string str() const;
  static Result<Dim> parse(std::string_view text);

  // Replaces symbols by their values; symbols without a binding stay. Overflow gives unknown().
  Dim bind(const std::map<std::string, int64_t, std::less<>>& bindings) const;
  void collect_symbols(std::vector<std::string>& out) const;

  // A number the dimension is never below, given that no symbol is negative; nullopt: none was
  // found.
  std::optional<int64_t> lower_bound() const;
  // The same for a number it is never above.
  std::optional<int64_t> upper_bound() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a);
  friend Dim operator*(const Dim& a, const Dim& b);
  // Rounds towards minus infinity; unknown() when b is 0.
  friend Dim floor_div(const Dim& a, const Dim& b);
  // Rounds towards plus infinity.
  friend Dim ceil_div(const Dim& a, const Dim& b);
  // Rounds towards zero; unknown() when b is 0 or its sign cannot be told.
  friend Dim truncated_div(const Dim& a, const Dim& b);
  friend Dim larger_of(const Dim& a, const Dim& b);
  friend Dim smaller_of(const Dim& a, const Dim& b);

  // For core/dim*.cc: null when it is a number or unknown.
  const DimPolynomial* polynomial() const { return poly_.get(); }

 private:
  explicit Dim(DimPolynomial poly);
  friend Dim sum_of_terms(std::vector<DimTerm> terms);

  int64_t value_ = 0;
  bool unknown_ = false;
  std::shared_ptr<const DimPolynomial> poly_;
};

// True when `d` is provably `least` or more.
inline bool at_least(const Dim& d, int64_t least) {
  const std::optional<int64_t> bound = d.lower_bound();
  return bound && *bound >= least;
}

using Bindings = std::map<std::string, int64_t, std::less<>>;
using Shape = std::vector<Dim>;

bool all_known(const Shape& shape);
bool same_shape(const Shape& a, const Shape& b);
// The product of all dims; 1 for a scalar.
Dim num_elements(const Shape& shape);
// The numbers of a fully known shape.
std::vector<int64_t> known_dims(const Shape& shape);
Shape to_shape(const std::vector<int64_t>& dims);
std::string shape_str(const Shape& shape);  // "[n,3,224,224]"
Shape bind_shape(const Shape& shape, const Bindings& bindings);

// Elements of concrete dims in checked arithmetic; nullopt when a dim is negative or the product
// overflows int64.
std::optional<int64_t> checked_elements(const std::vector<int64_t>& dims);

}  // namespace mnn
