// One dimension: a number, or an integer polynomial over named symbols and floor divisions, kept
// in a canonical form so that equal expressions compare equal ("h*2", "floor((h + 1)/2)").
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

  // A number the dimension is never below, given that no symbol is negative; nullopt: none is
  // known.
  std::optional<int64_t> lower_bound() const;
  // True when it is not negative once every symbol is large enough: then floor_div by a positive
  // number rounds towards zero.
  bool eventually_non_negative() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  // Rounds towards minus infinity. unknown() when b is or may be zero and cannot be cancelled.
  friend Dim floor_div(const Dim& a, const Dim& b);
  friend Dim ceil_div(const Dim& a, const Dim& b);

 private:
  explicit Dim(DimPolynomial poly);

  int64_t value_ = 0;
  bool unknown_ = false;
  std::shared_ptr<const DimPolynomial> poly_;
};

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
