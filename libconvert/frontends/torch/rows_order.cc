// What depends on the order of elements, or on which are equal: the k-th, the most frequent,
// running extremes, distinct ones.
#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

// Puts an axis last, and back.
ValueId last_axis(Call& c, ValueId x, int64_t axis) {
  std::vector<int64_t> perm(c.rank(x));
  std::iota(perm.begin(), perm.end(), 0);
  if (perm.empty() || axis + 1 == static_cast<int64_t>(perm.size())) return x;
  perm.erase(perm.begin() + axis);
  perm.push_back(axis);
  return c.transpose(x, perm);
}
ValueId axis_back(Call& c, ValueId x, int64_t axis) {
  std::vector<int64_t> perm(c.rank(x));
  std::iota(perm.begin(), perm.end(), 0);
  if (perm.empty() || axis + 1 == static_cast<int64_t>(perm.size())) return x;
  perm.pop_back();
  perm.insert(perm.begin() + axis, static_cast<int64_t>(perm.size()));
  return c.transpose(x, perm);
}

void kthvalue(Call& c) {
  const ValueId x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x)), k = c.integer("k");
  if (!c.status.ok()) return;
  if (c.rank(x) == 0) return c.refuse("a 0-d tensor");
  if (k < 1) return c.fail(invalid("k is " + std::to_string(k)));
  const std::vector<ValueId> least =
      c.emit_n("TopK", {x, c.add_ints({k})}, 2, {{"axis", axis}, {"largest", int64_t{0}}});
  for (const ValueId part : least) {
    const ValueId y = c.slice(part, axis, IntArg{k - 1}, IntArg{k});
    c.give(c.flag("keepdim") ? y : c.squeeze(y, {axis}));
  }
}

// What compares each element with each other along an axis: the input with that axis last. nullopt
// where that is too much, or an error.
struct Pairs {
  ValueId x;
  int64_t axis, last;  // where the axis was, and is
};
std::optional<Pairs> pairs_of(Call& c) {
  constexpr int64_t kMost = 4096;
  const ValueId self = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(self));
  if (c.status.ok() && c.rank(self) == 0) c.refuse("a 0-d tensor");
  if (!c.status.ok()) return std::nullopt;
  const int64_t n = c.known_dim(self, static_cast<size_t>(axis));
  if (c.status.ok() && n > kMost) c.refuse("an axis of more than 4096 elements");
  if (!c.status.ok()) return std::nullopt;
  return Pairs{last_axis(c, self, axis), axis, static_cast<int64_t>(c.rank(self)) - 1};
}

// The least of the values that occur most often, and where the last of them is.
void mode(Call& c) {
  const std::optional<Pairs> pairs = pairs_of(c);
  if (!pairs) return;
  const auto [x, axis, last] = *pairs;
  const DType type = c.dtype_of(x);
  const ValueId equal = c.cast(
      c.binary("Equal", c.expand_dims(x, {last + 1}), c.expand_dims(x, {last})), DType::kI64);
  const ValueId counts = c.reduce("ReduceSum", equal, {last + 1}, false);
  const ValueId frequent = c.binary("Equal", counts, c.reduce("ReduceMax", counts, {last}, true));
  const ValueId most = c.reduce("ReduceMax", x, {last}, true);
  const ValueId value = c.reduce("ReduceMin", c.where(frequent, x, most), {last}, true);
  const ValueId place =
      c.emit("ArgMax", {c.cast(c.binary("Equal", x, value), DType::kI32)},
             {{"axis", last}, {"keepdims", int64_t{1}}, {"select_last_index", int64_t{1}}});
  for (const ValueId y : {c.cast(value, type), place}) {
    c.give(c.flag("keepdim") ? axis_back(c, y, axis) : c.squeeze(y, {last}));
  }
}

// The largest (least) of the elements up to each, and where the last of these is.
void running_extreme(Call& c) {
  const bool largest = c.op() == "aten::cummax";
  const std::optional<Pairs> pairs = pairs_of(c);
  if (!pairs) return;
  const auto [x, axis, last] = *pairs;
  const IntArg n = c.size(x, static_cast<size_t>(last));
  // Elements behind row i don't count for it: the first one does in their place.
  const ValueId places = c.range(IntArg{0}, n, IntArg{1});
  const ValueId seen =
      c.binary("LessOrEqual", c.expand_dims(places, {0}), c.expand_dims(places, {1}));
  const ValueId first = c.expand_dims(c.slice(x, last, IntArg{0}, IntArg{1}), {last});
  const ValueId rows = c.where(seen, c.expand_dims(x, {last}), first);
  const ValueId value = c.reduce(largest ? "ReduceMax" : "ReduceMin", rows, {last + 1}, true);
  const ValueId at = c.binary("And", c.binary("Equal", rows, value), seen);
  const ValueId place =
      c.emit("ArgMax", {c.cast(at, DType::kI32)},
             {{"axis", last + 1}, {"keepdims", int64_t{0}}, {"select_last_index", int64_t{1}}});
  c.give(axis_back(c, c.squeeze(value, {last + 1}), axis));
  c.give(axis_back(c, place, axis));
}

// log(exp(x0) + … + exp(xi)) as a maximum and what is left.
void running_log_sum(Call& c) {
  const ValueId self = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(self));
  if (!c.status.ok()) return;
  if (c.rank(self) == 0) return c.give(self);
  const ValueId most = c.reduce("ReduceMax", self, {axis}, true);
  const ValueId sums = c.emit("CumSum", {c.unary("Exp", c.binary("Sub", self, most)),
                                         c.add_constant(Tensor::scalar(axis))});
  c.give(c.binary("Add", c.unary("Log", sums), most));
}

void distinct(Call& c) {
  const ValueId x = c.tensor("self");
  Call::Attributes attributes = {{"sorted", int64_t{1}}};
  const bool along = c.has_param("dim") && !c.none("dim");
  if (along) attributes["axis"] = c.axis("dim", c.rank(x));
  const std::vector<ValueId> y = c.emit_n("Unique", {x}, 4, attributes);
  c.give(y[0]);
  c.give(along ? y[2] : c.emit("Reshape", {y[2], c.shape_of(x)}));
  if (c.op() != "aten::_unique") c.give(y[3]);
}

// The first of each run of equal elements.
void distinct_in_turn(Call& c) {
  const ValueId self = c.tensor("self");
  const bool along = !c.none("dim");
  const int64_t axis = along ? c.axis("dim", c.rank(self)) : 0;
  const ValueId x = along ? self : c.reshape(self, {-1});
  if (!c.status.ok()) return;
  ValueId differs = c.unary("Not", c.binary("Equal", c.slice(x, axis, IntArg{1}, IntArg{kEnd}),
                                            c.slice(x, axis, IntArg{0}, IntArg{-1})));
  std::vector<int64_t> others;
  for (int64_t a = 0; a < static_cast<int64_t>(c.rank(x)); ++a) {
    if (a != axis) others.push_back(a);
  }
  if (!others.empty()) {
    differs =
        c.cast(c.reduce("ReduceMax", c.cast(differs, DType::kI32), others, false), DType::kBool);
  }
  const IntArg n = c.size(x, static_cast<size_t>(axis));
  // The first one counts where there is one at all.
  const ValueId begins = c.binary("Equal", c.range(IntArg{0}, n, IntArg{1}),
                                  c.add_constant(Tensor::scalar<int64_t>(0)));
  const ValueId padded = c.emit("Pad", {c.cast(differs, DType::kI32), c.add_ints({1, 0})});
  const ValueId starts =
      c.binary("Or", begins, c.cast(c.slice(padded, 0, IntArg{0}, n), DType::kBool));
  const ValueId places = c.squeeze(c.emit("NonZero", {starts}), {0});
  c.give(c.gather(x, places, axis));
  const ValueId runs = c.binary(
      "Sub",
      c.emit("CumSum", {c.cast(starts, DType::kI64), c.add_constant(Tensor::scalar<int64_t>(0))}),
      c.add_constant(Tensor::scalar<int64_t>(1)));
  c.give(along ? runs : c.emit("Reshape", {runs, c.shape_of(self)}));
  const ValueId ends = c.concat({c.slice(places, 0, IntArg{1}, IntArg{kEnd}), c.list_of({n})}, 0);
  c.give(c.binary("Sub", ends, places));
}

void training_only(Call& c) { c.refuse("a loss is for training; export the model without it"); }

}  // namespace

std::vector<RowText> order_rows() {
  return {
      {"kthvalue(Tensor self, int k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor "
       "indices)",
       "TopK, Slice", kthvalue},
      {"mode(Tensor self, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
       "Equal, ReduceSum, ReduceMax, ArgMax", mode},
      {"cummax(Tensor self, int dim) -> (Tensor values, Tensor indices)",
       "Where, ReduceMax, ArgMax", running_extreme},
      {"cummin(Tensor self, int dim) -> (Tensor values, Tensor indices)",
       "Where, ReduceMin, ArgMax", running_extreme},
      {"logcumsumexp(Tensor self, int dim) -> Tensor", "Exp, CumSum, Log", running_log_sum},
      {"_unique(Tensor self, bool sorted=True, bool return_inverse=False) -> (Tensor, Tensor)",
       "Unique", distinct},
      {"_unique2(Tensor self, bool sorted=True, bool return_inverse=False, bool "
       "return_counts=False) -> (Tensor, Tensor, Tensor)",
       "Unique", distinct},
      {"unique_dim(Tensor self, int dim, bool sorted=True, bool return_inverse=False, bool "
       "return_counts=False) -> (Tensor, Tensor, Tensor)",
       "Unique", distinct},
      {"unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False, int? "
       "dim=None) -> (Tensor, Tensor, Tensor)",
       "Equal, NonZero, Gather, CumSum", distinct_in_turn},
      {"ctc_loss.IntList(Tensor log_probs, Tensor targets, int[] input_lengths, int[] "
       "target_lengths, int blank=0, int reduction=1, bool zero_infinity=False) -> Tensor",
       "refused", training_only},
      {"ctc_loss.Tensor(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor "
       "target_lengths, int blank=0, int reduction=1, bool zero_infinity=False) -> Tensor",
       "refused", training_only},
      {"_ctc_loss(Tensor log_probs, Tensor targets, int[] input_lengths, int[] target_lengths, int "
       "blank=0, bool zero_infinity=False) -> (Tensor, Tensor)",
       "refused", training_only},
      {"_ctc_loss.Tensor(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor "
       "target_lengths, int blank=0, bool zero_infinity=False) -> (Tensor, Tensor)",
       "refused", training_only},
  };
}

}  // namespace mnn::torch
