#include "libruntime/lower/view.h"

#include <algorithm>
#include <numeric>

namespace mnn {

std::vector<int> transpose_axes(const NodeView& n) {
  std::vector<int> perm;
  for (const int64_t p : n.attr_ints("perm")) perm.push_back(static_cast<int>(p));
  if (!perm.empty()) return perm;
  perm = row_major(n.in(0).type.rank());
  std::reverse(perm.begin(), perm.end());
  return perm;
}

std::optional<std::string> why_no_slice(const NodeView& n) {
  for (size_t i = 1; i < 5; ++i) {
    if (n.has_input(i) && !n.ints(i)) return "bounds are not constant";
  }
  return std::nullopt;
}

Array sliced(const NodeView& n, Array a) {
  const std::vector<int64_t> starts = *n.ints(1);
  std::vector<int64_t> axes(starts.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (n.has_input(3)) axes = *n.ints(3);
  const std::vector<int64_t> steps = n.ints(4).value_or(std::vector<int64_t>(starts.size(), 1));
  const auto rank = static_cast<int64_t>(a.rank());
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i] < 0 ? axes[i] + rank : axes[i]);
    const int64_t dim = a.dims[axis];
    const int64_t start = starts[i] < 0 ? starts[i] + dim : starts[i];
    a.offset += std::clamp<int64_t>(start, 0, dim - 1) * a.strides[axis];
    a.strides[axis] *= steps[i];
  }
  a.dims = n.out_dims();
  return a;
}

std::vector<Array> split_parts(const NodeView& n, const Array& a) {
  const size_t axis = n.axis("axis", a.rank());
  std::vector<Array> parts;
  Array part = a;
  for (size_t i = 0; i < n.node.outputs.size(); ++i) {
    part.dims = n.out_dims(i);
    parts.push_back(part);
    part.offset += part.dims[axis] * part.strides[axis];
  }
  return parts;
}

BlockShuffle block_shuffle(const NodeView& n) {
  const Dims d = n.in_dims(0);
  const int64_t b = n.attr_int("blocksize");
  const bool columns = n.attr_string("mode") == "CRD";
  if (n.node.op == "SpaceToDepth") {
    return {{d[0], d[1], d[2] / b, b, d[3] / b, b},
            columns ? std::vector<int>{0, 1, 3, 5, 2, 4} : std::vector<int>{0, 3, 5, 1, 2, 4}};
  }
  const int64_t c = d[1] / (b * b);
  if (columns) return {{d[0], c, b, b, d[2], d[3]}, {0, 1, 4, 2, 5, 3}};
  return {{d[0], b, b, c, d[2], d[3]}, {0, 3, 4, 1, 5, 2}};
}

namespace {

// Where index i of a padded axis of extent n comes from.
int64_t padded_index(int64_t i, int64_t n, const std::string& mode) {
  if (i >= 0 && i < n) return i;
  if (mode == "edge") return std::clamp<int64_t>(i, 0, n - 1);
  if (mode == "wrap") return ((i % n) + n) % n;
  if (mode != "reflect") return kOutside;
  if (n == 1) return 0;
  const int64_t period = 2 * (n - 1);
  const int64_t at = ((i % period) + period) % period;
  return at < n ? at : period - at;
}

}  // namespace

std::optional<std::string> why_no_pads(const NodeView& n) {
  if (!n.ints(1)) return "pads are not constant";
  if (n.has_input(3) && !n.ints(3)) return "axes are not constant";
  if (n.has_input(2) && (!n.is_constant(2) || n.in(2).quant)) return "the value is not constant";
  return std::nullopt;
}

AxisIndices straight_indices(const Dims& dims) {
  AxisIndices indices(dims.size());
  for (size_t d = 0; d < dims.size(); ++d) {
    indices[d].resize(static_cast<size_t>(dims[d]));
    std::iota(indices[d].begin(), indices[d].end(), int64_t{0});
  }
  return indices;
}

AxisIndices padded_indices(const NodeView& n) {
  const Dims from = n.in_dims(0), to = n.out_dims();
  const std::vector<int64_t> pads = *n.ints(1);
  const auto rank = static_cast<int64_t>(from.size());
  std::vector<int64_t> axes = n.ints(3).value_or(std::vector<int64_t>());
  if (!n.has_input(3)) {
    for (int64_t d = 0; d < rank; ++d) axes.push_back(d);
  }
  const std::string mode = n.attr_string("mode");
  AxisIndices indices = straight_indices(from);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i] < 0 ? axes[i] + rank : axes[i]);
    indices[axis].clear();
    for (int64_t o = 0; o < to[axis]; ++o) {
      indices[axis].push_back(padded_index(o - pads[i], from[axis], mode));
    }
  }
  return indices;
}

AxisIndices tiled_indices(const Dims& from, const Dims& to) {
  AxisIndices indices = straight_indices(to);
  for (size_t d = 0; d < to.size(); ++d) {
    for (int64_t& i : indices[d]) i %= from[d];
  }
  return indices;
}

namespace {

bool is_global_pool(const Node& node) { return node.op.starts_with("Global"); }

}  // namespace

std::optional<std::string> why_no_axes(const NodeView& n) {
  if (!is_global_pool(n.node) && n.has_input(1) && !n.ints(1)) return "axes are not constant";
  return std::nullopt;
}

std::vector<bool> reduced_axes(const NodeView& n) {
  const size_t rank = n.in(0).type.rank();
  std::vector<bool> gone(rank, false);
  if (is_global_pool(n.node)) {
    std::fill(gone.begin() + 2, gone.end(), true);
    return gone;
  }
  const std::vector<int64_t> axes = n.ints(1).value_or(std::vector<int64_t>());
  for (const int64_t a : axes) {
    gone[static_cast<size_t>(a < 0 ? a + static_cast<int64_t>(rank) : a)] = true;
  }
  if (axes.empty() && n.attr_int("noop_with_empty_axes") == 0) gone.assign(rank, true);
  return gone;
}

}  // namespace mnn
