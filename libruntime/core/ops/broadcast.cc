#include "libruntime/core/ops/broadcast.h"

#include <algorithm>

namespace mnn {
namespace {

// Whether `b` is min(a, k) with a number k >= 1: then it is 1 where `a` is, and else equal or
// wrong.
bool is_capped(const Dim& a, const Dim& b) {
  const Dim over = a - b;  // max(a - k, 0)
  if (over.is_unknown() || over.known()) return false;
  const std::optional<int64_t> k = b.upper_bound();
  return k && *k >= 1 && over.same(larger_of(a - Dim(*k), 0));
}

}  // namespace

Result<Dim> broadcast_dim(const Dim& a, const Dim& b) {
  if (a.is(1)) return b;
  if (b.is(1) || a.same(b)) return a;
  if (a.known() && b.known()) {
    return invalid("dimensions " + a.str() + " and " + b.str() + " do not broadcast");
  }
  if (a.known()) return a;
  if (b.known()) return b;
  if (is_capped(a, b)) return a;
  if (is_capped(b, a)) return b;
  return Dim::unknown();
}

Result<Shape> broadcast_shapes(const Shape& a, const Shape& b) {
  const size_t rank = std::max(a.size(), b.size());
  Shape out(rank);
  for (size_t i = 0; i < rank; ++i) {
    const Dim x = i + a.size() < rank ? Dim(1) : a[i + a.size() - rank];
    const Dim y = i + b.size() < rank ? Dim(1) : b[i + b.size() - rank];
    const Result<Dim> dim = broadcast_dim(x, y);
    if (!dim.ok()) {
      return invalid("shapes " + shape_str(a) + " and " + shape_str(b) + " do not broadcast");
    }
    out[i] = *dim;
  }
  return out;
}

Result<std::optional<Shape>> broadcast_inputs(const OpContext& c, size_t first) {
  std::optional<Shape> out = Shape();
  for (size_t i = first; i < c.in.size(); ++i) {
    if (!c.has_input(i)) continue;
    if (!c.in[i].shape) return std::optional<Shape>();
    MNN_ASSIGN_OR_RETURN(*out, broadcast_shapes(*out, *c.in[i].shape));
  }
  return out;
}

BroadcastRows::BroadcastRows(const Dims& out, std::span<const Dims* const> operands) {
  const size_t n = operands.size();
  // Strides of every operand over `out`, then neighbouring dimensions that all operands walk in one
  // go are merged.
  std::vector<Dims> strides(out.size(), Dims(n, 0));
  for (size_t k = 0; k < n; ++k) {
    const Dims& d = *operands[k];
    int64_t stride = 1;
    for (size_t i = d.size(); i-- > 0;) {
      const size_t o = i + out.size() - d.size();
      strides[o][k] = d[i] == 1 ? 0 : stride;
      stride *= d[i];
    }
  }
  Dims dims;
  rows_left_ = 1;
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] == 0) rows_left_ = 0;
    if (out[i] == 1) continue;
    bool merges = !dims.empty();
    for (size_t k = 0; k < n && merges; ++k) {
      merges = strides_.back()[k] == strides[i][k] * out[i];
    }
    if (merges) {
      dims.back() *= out[i];
      strides_.back() = strides[i];
    } else {
      dims.push_back(out[i]);
      strides_.push_back(strides[i]);
    }
  }
  if (dims.empty()) {
    dims.push_back(1);
    strides_.push_back(Dims(n, 0));
  }
  count_ = dims.back();
  steps_ = strides_.back();
  dims.pop_back();
  strides_.pop_back();
  if (rows_left_ != 0) {
    for (const int64_t d : dims) rows_left_ *= d;
  }
  dims_ = std::move(dims);
  index_.assign(dims_.size(), 0);
  offsets_.assign(n, 0);
}

bool BroadcastRows::next() {
  if (rows_left_ == 0) return false;
  --rows_left_;
  if (!started_) {
    started_ = true;
    return true;
  }
  begin_ += count_;
  for (size_t i = dims_.size(); i-- > 0;) {
    for (size_t k = 0; k < offsets_.size(); ++k) offsets_[k] += strides_[i][k];
    if (++index_[i] < dims_[i]) break;
    for (size_t k = 0; k < offsets_.size(); ++k) offsets_[k] -= strides_[i][k] * dims_[i];
    index_[i] = 0;
  }
  return true;
}

}  // namespace mnn
