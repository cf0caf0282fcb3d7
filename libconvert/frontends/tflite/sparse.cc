// Sparse constants: a tree of dimensions in the order of traversal, each dense or in compressed
// rows, blocks innermost.
#include <algorithm>

#include "libconvert/frontends/tflite/model.h"

namespace mnn::tflite {
namespace {

constexpr uint8_t kSegmentsI32 = 1, kSegmentsU16 = 2, kSegmentsU8 = 3;
// Zeros that one stored element may stand for: what a small file may make of memory.
constexpr int64_t kMostDensity = 256;

Status damaged() { return invalid("damaged file: a sparse tensor's rows do not fit its shape"); }

Result<std::vector<int64_t>> index_list(const ModelFile& file, uint8_t type,
                                        const fb::Opaque* table) {
  std::vector<int64_t> out;
  const auto take = [&](const auto* typed) {
    if (typed == nullptr) return false;
    const auto values = list(typed->values());
    out.assign(values.begin(), values.end());
    return true;
  };
  const bool read = type == kSegmentsI32   ? take(file.table<fb::Int32Vector>(table))
                    : type == kSegmentsU16 ? take(file.table<fb::Uint16Vector>(table))
                    : type == kSegmentsU8  ? take(file.table<fb::Uint8Vector>(table))
                                           : false;
  if (!read) return damaged();
  return out;
}

struct Level {
  bool compressed = false;
  int64_t size = 0;  // of a dense one
  std::vector<int64_t> segments, indices;
};

class Densifier {
 public:
  Densifier(std::vector<Level> levels, std::vector<int64_t> order, std::vector<int64_t> block_map,
            std::span<const std::byte> stored, size_t width, Tensor& out)
      : levels_(std::move(levels)),
        order_(std::move(order)),
        block_map_(std::move(block_map)),
        stored_(stored),
        width_(width),
        out_(out),
        at_(levels_.size()) {
    // The extent of a blocked axis is in blocks: the block's own level has their size.
    block_.assign(out.rank(), 1);
    for (size_t b = 0; b < block_map_.size(); ++b) {
      for (size_t l = 0; l < levels_.size(); ++l) {
        if (order_[l] == static_cast<int64_t>(out.rank() + b)) {
          block_[static_cast<size_t>(block_map_[b])] = levels_[l].size;
        }
      }
    }
  }

  Status run() {
    MNN_RETURN_IF_ERROR(walk(0, 0));
    return next_ * width_ == stored_.size() ? Status() : damaged();
  }

 private:
  Status walk(size_t level, int64_t position) {
    // Rows that overlap make no elements but cost time.
    if (++steps_ > (out_.elements() + 64) * static_cast<int64_t>(levels_.size() + 1)) {
      return damaged();
    }
    if (level == levels_.size()) return put();
    const Level& l = levels_[level];
    if (!l.compressed) {
      for (int64_t i = 0; i < l.size; ++i) {
        at_[level] = i;
        MNN_RETURN_IF_ERROR(walk(level + 1, position * l.size + i));
      }
      return {};
    }
    if (position + 1 >= static_cast<int64_t>(l.segments.size())) return damaged();
    const int64_t from = l.segments[static_cast<size_t>(position)];
    const int64_t to = l.segments[static_cast<size_t>(position) + 1];
    if (from < 0 || from > to || to > static_cast<int64_t>(l.indices.size())) return damaged();
    for (int64_t i = from; i < to; ++i) {
      at_[level] = l.indices[static_cast<size_t>(i)];
      MNN_RETURN_IF_ERROR(walk(level + 1, i));
    }
    return {};
  }

  Status put() {
    std::vector<int64_t> index(out_.rank(), 0);
    for (size_t l = 0; l < levels_.size(); ++l) {
      const auto axis = static_cast<size_t>(order_[l]);
      if (axis < out_.rank()) {
        index[axis] += at_[l] * block_[axis];
      } else {
        index[static_cast<size_t>(block_map_[axis - out_.rank()])] += at_[l];
      }
    }
    int64_t flat = 0;
    for (size_t d = 0; d < index.size(); ++d) {
      if (index[d] < 0 || index[d] >= out_.dims()[d]) return damaged();
      flat = flat * out_.dims()[d] + index[d];
    }
    if ((next_ + 1) * width_ > stored_.size()) return damaged();
    std::copy_n(stored_.data() + next_ * width_, width_,
                out_.raw() + static_cast<size_t>(flat) * width_);
    ++next_;
    return {};
  }

  std::vector<Level> levels_;
  std::vector<int64_t> order_, block_map_, block_;
  std::span<const std::byte> stored_;
  size_t width_;
  Tensor& out_;
  std::vector<int64_t> at_;
  size_t next_ = 0;
  int64_t steps_ = 0;
};

}  // namespace

Result<Tensor> densify(const ModelFile& file, const fb::Tensor& tensor, DType dtype,
                       std::span<const std::byte> stored) {
  const fb::SparsityParameters& s = *tensor.sparsity();
  const std::span<const int32_t> shape = list(tensor.shape()), order = list(s.traversal_order()),
                                 map = list(s.block_map());
  const int bits = dtype_bits(dtype);
  if (bits < 8) return unsupported("sparse constants of this type are not supported");
  std::vector<int64_t> dims(shape.begin(), shape.end());
  const std::optional<int64_t> elements = checked_elements(dims);
  if (!elements || count(s.dim_metadata()) != order.size() ||
      order.size() != dims.size() + map.size()) {
    return damaged();
  }
  const auto width = static_cast<size_t>(bits / 8);
  const auto bytes = static_cast<int64_t>(stored.size());
  if (*elements / kMostDensity > bytes / static_cast<int64_t>(width) + 1) {
    return limit_exceeded("a sparse constant unfolds to more than " + std::to_string(kMostDensity) +
                          " times what is stored");
  }
  std::vector<char> seen(order.size());
  for (const int32_t o : order) {
    if (o < 0 || static_cast<size_t>(o) >= order.size() || seen[static_cast<size_t>(o)]++) {
      return damaged();
    }
  }
  for (const int32_t m : map) {
    if (m < 0 || static_cast<size_t>(m) >= dims.size()) return damaged();
  }
  std::vector<Level> levels;
  int64_t dense = 1;  // what walking the dense levels costs
  for (const fb::DimensionMetadata* d : *s.dim_metadata()) {
    Level l;
    l.compressed = d->format() == 1;
    l.size = d->dense_size();
    if (l.compressed) {
      MNN_ASSIGN_OR_RETURN(l.segments,
                           index_list(file, d->array_segments_type(), d->array_segments()));
      MNN_ASSIGN_OR_RETURN(l.indices,
                           index_list(file, d->array_indices_type(), d->array_indices()));
    } else if (l.size <= 0 || l.size > *elements || (dense *= l.size) > *elements) {
      return damaged();
    }
    levels.push_back(std::move(l));
  }
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(dtype, dims));
  Densifier densifier(std::move(levels), {order.begin(), order.end()}, {map.begin(), map.end()},
                      stored, width, out);
  MNN_RETURN_IF_ERROR(densifier.run());
  return out;
}

}  // namespace mnn::tflite
