// Where the elements of a value lie in memory: dims in the value's own order, any strides. A
// transpose, slice, split or broadcast is another Array over the same storage.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "libruntime/core/dtype.h"
#include "libruntime/lower/grid.h"
#include "libruntime/lower/node_view.h"

namespace mnn {

// Axes from the outermost in memory to the innermost.
using Order = std::vector<int>;

struct Array {
  int storage = -1;
  int64_t offset = 0;  // elements
  DType dtype = DType::kF32;
  std::optional<Grid> grid;  // dtype is kU8 then
  Dims dims, strides;        // elements

  size_t rank() const { return dims.size(); }
  int64_t elements() const;
  int item_bytes() const { return dtype_bits(dtype) / 8; }
  int64_t bytes() const { return elements() * item_bytes(); }
};

int64_t product(std::span<const int64_t> dims);
Order row_major(size_t rank);
// Batch, space…, channels. Below rank 3 the same as row_major.
Order channels_last(size_t rank);

// Strides of a dense array whose axes lie in `order`.
Dims dense_strides(const Dims& dims, const Order& order);
// Axes by falling stride; axes of extent 1 come first.
Order order_of(const Array& a);
// Whether every element follows the one before when walked in `order`.
bool is_dense(const Array& a, const Order& order);
// Whether it is dense in some order.
bool is_dense(const Array& a);

// Axis i of the result is axis perm[i] of `a`.
Array transposed(const Array& a, const std::vector<int>& perm);
// `a` with a leading axis of extent 1 for every missing one, and stride 0 where it is repeated.
Array broadcast_to(const Array& a, const Dims& dims);
// The same elements under other dims without moving them; nullopt when strides do not allow it.
std::optional<Array> reshaped(const Array& a, const Dims& dims);
// Arrays vote for the order of axes they lie in; the heaviest wins, and any other order wins a tie
// with row-major.
class OrderVotes {
 public:
  void add(const Order& order, int64_t weight);
  Order winner(size_t rank) const;  // row-major without votes

 private:
  std::vector<std::pair<Order, int64_t>> votes_;
};
// The order closest to the present one in which `a` can be reshaped to `dims` without moving.
Order order_for_reshape(const Array& a, const Dims& dims);

// A loop nest over several arrays of equal dims: axes in the given order, neighbours merged where
// all of them allow it. Extents of 1 are dropped; at least one loop remains.
struct Loops {
  Dims extents;               // outermost first
  std::vector<Dims> strides;  // per array, per loop
};
Loops make_loops(const Dims& dims, const Order& order, std::span<const Dims> strides);

}  // namespace mnn
