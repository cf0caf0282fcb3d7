// Blocks of a plane moved into the batch and back, by two Reshapes around a Transpose.
#include "libconvert/frontends/common/rows.h"

namespace mnn::frontend {
namespace {

struct Blocks {
  Ints block, edges;
  int64_t rank = 0;
  int64_t axes() const { return static_cast<int64_t>(block.size()); }
};

std::optional<Blocks> blocks_of(TensorNode& n) {
  Blocks b{n.need_ints(1, "the block"), n.need_ints(2, "the edges"),
           static_cast<int64_t>(n.need_rank(0))};
  if (!n.status.ok()) return std::nullopt;
  bool fits = b.axes() + 1 <= b.rank && b.edges.size() == 2 * b.block.size();
  int64_t all = 1;
  for (const int64_t k : b.block) fits = fits && k >= 1 && !__builtin_mul_overflow(all, k, &all);
  for (const int64_t e : b.edges) fits = fits && e >= 0;
  if (fits) return b;
  n.fail(invalid("block and edges do not fit the input"));
  return std::nullopt;
}

// One dim after the other, computed where it is open.
class Dims {
 public:
  Dims(TensorNode& n, ValueId x) : n_(n), x_(x) {}
  // Dim `axis` of x times `up`, divided by `down`.
  Dims& add(int64_t axis, int64_t up = 1, int64_t down = 1) {
    const Dim& d = (*n_.type_of(x_).shape)[static_cast<size_t>(axis)];
    if (d.known()) {
      int64_t scaled = 0;
      if (d.value() % down != 0 || __builtin_mul_overflow(d.value() / down, up, &scaled)) {
        n_.fail(invalid("a block does not divide its axis"));
      }
      return number(scaled);
    }
    ValueId v = n_.emit("Shape", {x_}, {{"start", axis}, {"end", axis + 1}});
    if (down != 1) v = n_.emit("Div", {v, n_.add_ints({down})});
    if (up != 1) v = n_.emit("Mul", {v, n_.add_ints({up})});
    parts_.push_back(v);
    return *this;
  }
  Dims& number(int64_t value) {
    parts_.push_back(n_.add_ints({value}));
    return *this;
  }
  ValueId value() { return n_.joined(parts_); }

 private:
  TensorNode& n_;
  ValueId x_;
  std::vector<ValueId> parts_;
};

}  // namespace

void space_to_batch(TensorNode& n) {
  const auto b = blocks_of(n);
  if (!b) return;
  const int64_t m = b->axes();
  Ints pads(static_cast<size_t>(2 * b->rank));
  for (int64_t i = 0; i < m; ++i) {
    pads[static_cast<size_t>(1 + i)] = b->edges[static_cast<size_t>(2 * i)];
    pads[static_cast<size_t>(b->rank + 1 + i)] = b->edges[static_cast<size_t>(2 * i + 1)];
  }
  const ValueId x = n.move("Pad", n.in(0), {n.add_ints(pads)});
  if (!n.status.ok()) return;
  // [b, s1 / k1, k1, …, rest] -> [k1, …, b, s1 / k1, …, rest]
  int64_t all = 1;
  for (const int64_t k : b->block) all *= k;
  Dims split(n, x), out(n, x);
  Ints perm;
  split.add(0);
  out.add(0, all);
  for (int64_t i = 0; i < m; ++i) {
    const int64_t k = b->block[static_cast<size_t>(i)];
    split.add(i + 1, 1, k).number(k);
    perm.push_back(2 * i + 2);
    out.add(i + 1, 1, k);
  }
  perm.push_back(0);
  for (int64_t i = 0; i < m; ++i) perm.push_back(2 * i + 1);
  for (int64_t i = m + 1; i < b->rank; ++i) {
    split.add(i);
    out.add(i);
    perm.push_back(m + i);
  }
  const ValueId v = n.transpose(n.move("Reshape", x, {split.value()}), perm);
  n.results = {n.move("Reshape", v, {out.value()})};
}

void batch_to_space(TensorNode& n) {
  const auto b = blocks_of(n);
  if (!b) return;
  const int64_t m = b->axes();
  int64_t all = 1;
  for (const int64_t k : b->block) all *= k;
  // [k1, …, b, s1, …, rest] -> [b, s1, k1, …, rest]
  Dims split(n, n.in(0)), out(n, n.in(0));
  Ints perm = {m};
  for (const int64_t k : b->block) split.number(k);
  split.add(0, 1, all);
  out.add(0, 1, all);
  for (int64_t i = 0; i < m; ++i) {
    split.add(i + 1);
    perm.insert(perm.end(), {m + 1 + i, i});
    out.add(i + 1, b->block[static_cast<size_t>(i)]);
  }
  for (int64_t i = m + 1; i < b->rank; ++i) {
    split.add(i);
    perm.push_back(m + i);
    out.add(i);
  }
  ValueId v = n.transpose(n.move("Reshape", n.in(0), {split.value()}), perm);
  v = n.move("Reshape", v, {out.value()});
  if (!n.status.ok()) return;
  Ints starts, ends, axes;
  for (int64_t i = 0; i < m; ++i) {
    const int64_t low = b->edges[static_cast<size_t>(2 * i)],
                  high = b->edges[static_cast<size_t>(2 * i + 1)];
    if (low == 0 && high == 0) continue;
    starts.push_back(low);
    // The edge of an open axis counts from its end.
    ends.push_back(high == 0 ? INT64_MAX : -high);
    axes.push_back(i + 1);
  }
  n.results = {axes.empty()
                   ? v
                   : n.move("Slice", v, {n.add_ints(starts), n.add_ints(ends), n.add_ints(axes)})};
}

}  // namespace mnn::frontend
