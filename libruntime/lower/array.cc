#include "libruntime/lower/array.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <numeric>

namespace mnn {

int64_t product(std::span<const int64_t> dims) {
  int64_t p = 1;
  for (const int64_t d : dims) p *= d;
  return p;
}

int64_t Array::elements() const { return product(dims); }

Order row_major(size_t rank) {
  Order order(rank);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

Order channels_last(size_t rank) {
  Order order = row_major(rank);
  if (rank >= 3) std::rotate(order.begin() + 1, order.begin() + 2, order.end());
  return order;
}

Dims dense_strides(const Dims& dims, const Order& order) {
  Dims strides(dims.size());
  int64_t step = 1;
  for (size_t i = order.size(); i-- > 0;) {
    const auto axis = static_cast<size_t>(order[i]);
    strides[axis] = step;
    step *= dims[axis];
  }
  return strides;
}

Order order_of(const Array& a) {
  Order order = row_major(a.rank());
  auto key = [&](int axis) {
    const auto i = static_cast<size_t>(axis);
    return a.dims[i] == 1 ? INT64_MAX : std::abs(a.strides[i]);
  };
  std::stable_sort(order.begin(), order.end(), [&](int x, int y) { return key(x) > key(y); });
  return order;
}

bool is_dense(const Array& a, const Order& order) {
  int64_t step = 1;
  for (size_t i = order.size(); i-- > 0;) {
    const auto axis = static_cast<size_t>(order[i]);
    if (a.dims[axis] == 1) continue;
    if (a.strides[axis] != step) return false;
    step *= a.dims[axis];
  }
  return true;
}

bool is_dense(const Array& a) { return is_dense(a, order_of(a)); }

Array transposed(const Array& a, const std::vector<int>& perm) {
  Array t = a;
  for (size_t i = 0; i < perm.size(); ++i) {
    t.dims[i] = a.dims[static_cast<size_t>(perm[i])];
    t.strides[i] = a.strides[static_cast<size_t>(perm[i])];
  }
  return t;
}

Array broadcast_to(const Array& a, const Dims& dims) {
  assert(a.rank() <= dims.size());
  Array b = a;
  b.dims = dims;
  b.strides.assign(dims.size(), 0);
  const size_t missing = dims.size() - a.rank();
  for (size_t i = 0; i < a.rank(); ++i) {
    assert(a.dims[i] == dims[missing + i] || a.dims[i] == 1);
    if (a.dims[i] == dims[missing + i]) b.strides[missing + i] = a.strides[i];
  }
  return b;
}

namespace {

// Consecutive axes of both sides with equal products, extents of 1 left out.
struct Group {
  std::vector<size_t> from, to;
};

std::vector<Group> match_groups(const Dims& from, const Dims& to) {
  std::vector<Group> groups;
  size_t i = 0, j = 0;
  auto skip = [](const Dims& d, size_t& at) {
    while (at < d.size() && d[at] == 1) ++at;
  };
  for (;;) {
    skip(from, i);
    skip(to, j);
    if (i >= from.size() || j >= to.size()) return groups;
    Group g;
    int64_t a = from[i], b = to[j];
    g.from.push_back(i++);
    g.to.push_back(j++);
    while (a != b) {
      if (a < b) {
        skip(from, i);
        a *= from[i];
        g.from.push_back(i++);
      } else {
        skip(to, j);
        b *= to[j];
        g.to.push_back(j++);
      }
    }
    groups.push_back(std::move(g));
  }
}

}  // namespace

std::optional<Array> reshaped(const Array& a, const Dims& dims) {
  Array r = a;
  r.dims = dims;
  r.strides.assign(dims.size(), 1);
  if (a.elements() == 0) return r;
  for (const Group& g : match_groups(a.dims, dims)) {
    for (size_t k = 0; k + 1 < g.from.size(); ++k) {
      const size_t outer = g.from[k], inner = g.from[k + 1];
      if (a.strides[outer] != a.strides[inner] * a.dims[inner]) return std::nullopt;
    }
    int64_t step = a.strides[g.from.back()];
    for (size_t k = g.to.size(); k-- > 0;) {
      r.strides[g.to[k]] = step;
      step *= dims[g.to[k]];
    }
  }
  return r;
}

Order order_for_reshape(const Array& a, const Dims& dims) {
  std::vector<Group> groups = match_groups(a.dims, dims);
  auto inner_stride = [&](const Group& g) {
    int64_t least = INT64_MAX;
    for (const size_t axis : g.from) least = std::min(least, std::abs(a.strides[axis]));
    return least;
  };
  std::stable_sort(groups.begin(), groups.end(), [&](const Group& x, const Group& y) {
    return inner_stride(x) > inner_stride(y);
  });
  Order order;
  for (size_t axis = 0; axis < a.rank(); ++axis) {
    if (a.dims[axis] == 1) order.push_back(static_cast<int>(axis));
  }
  for (const Group& g : groups) {
    for (const size_t axis : g.from) order.push_back(static_cast<int>(axis));
  }
  return order;
}

Loops make_loops(const Dims& dims, const Order& order, std::span<const Dims> strides) {
  Loops loops;
  loops.strides.resize(strides.size());
  for (const int o : order) {
    const auto axis = static_cast<size_t>(o);
    if (dims[axis] == 1) continue;
    bool merge = !loops.extents.empty();
    for (size_t k = 0; merge && k < strides.size(); ++k) {
      merge = loops.strides[k].back() == strides[k][axis] * dims[axis];
    }
    if (merge) {
      loops.extents.back() *= dims[axis];
      for (size_t k = 0; k < strides.size(); ++k) loops.strides[k].back() = strides[k][axis];
      continue;
    }
    loops.extents.push_back(dims[axis]);
    for (size_t k = 0; k < strides.size(); ++k) loops.strides[k].push_back(strides[k][axis]);
  }
  if (loops.extents.empty()) {
    loops.extents.push_back(1);
    for (Dims& s : loops.strides) s.push_back(1);
  }
  return loops;
}

void OrderVotes::add(const Order& order, int64_t weight) {
  const auto at = std::find_if(votes_.begin(), votes_.end(),
                               [&](const auto& vote) { return vote.first == order; });
  if (at == votes_.end()) {
    votes_.emplace_back(order, weight);
  } else {
    at->second += weight;
  }
}

Order OrderVotes::winner(size_t rank) const {
  Order order = row_major(rank);
  int64_t best = 0;
  for (const auto& [voted, weight] : votes_) {
    if (weight > best || (weight == best && order == row_major(rank))) {
      order = voted;
      best = weight;
    }
  }
  return order;
}

}  // namespace mnn
