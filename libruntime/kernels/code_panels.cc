#include "libruntime/kernels/code_panels.h"

#include <algorithm>
#include <cmath>

#include "libruntime/core/storage.h"

namespace mnn {
namespace {

int codes_per_byte(DType storage) {
  const int bits = find_storage(storage)->bits;
  return bits <= 2 ? 4 : bits <= 4 ? 2 : 1;
}

// Signed codes are kept from 0 on, their zero points with them.
float raise_of(DType storage) {
  const double low = find_storage(storage)->low;
  return low < 0 ? static_cast<float>(-low) : 0;
}

constexpr int64_t kMostInPart = 32768;  // times 255 times 127 stays below 2^31

// The zero point that all entries have, where it is whole.
std::optional<int32_t> common_zero(const QuantParams& q) {
  const float first = q.zero_point_at(0);
  if (first != std::floor(first) || std::fabs(first) > 255) return std::nullopt;
  for (int64_t i = 1; q.zero_point.defined() && i < q.zero_point.elements(); ++i) {
    if (q.zero_point_at(i) != first) return std::nullopt;
  }
  return static_cast<int32_t>(first);
}

}  // namespace

namespace {

bool takes_matrices(const QuantParams& q, size_t axes, bool transposed) {
  const StorageType* row = find_storage(q.storage);
  if (row == nullptr || !row->integer || row->bits > 8 || q.codebook.defined() || q.rotation ||
      axes < 2) {
    return false;
  }
  const auto rank = static_cast<int>(axes);
  const int along_k = transposed ? rank - 1 : rank - 2, along_n = transposed ? rank - 2 : rank - 1;
  if (q.axis < 0) return true;
  // A group shares bytes with no other.
  return q.group > 0 ? q.axis == along_k && q.group % 4 == 0 : q.axis == along_n;
}

}  // namespace

bool takes_codes(const QuantParams& q, const std::vector<int64_t>& dims, bool transposed) {
  for (size_t d = 0; d + 2 < dims.size(); ++d) {
    if (dims[d] != 1) return false;
  }
  return takes_matrices(q, dims.size(), transposed);
}

bool takes_row_codes(const QuantParams& q, const std::vector<int64_t>& dims) {
  return takes_matrices(q, dims.size(), true);
}

bool takes_codes_int8(const QuantParams& q, const std::vector<int64_t>& dims, bool transposed) {
  if (!takes_codes(q, dims, transposed)) return false;
  const int64_t k = dims[dims.size() - (transposed ? 1 : 2)];
  return q.group > 0 ? q.group % 16 == 0 && q.group <= kMostInPart : k <= kMostInPart;
}

CodePanels::CodePanels(const WeightCodes& codes, std::span<const Panel> panels, int lanes,
                       int64_t k, int64_t n, CodeOrder order)
    : k_(k),
      n_(n),
      group_(codes.params.group > 0 ? codes.params.group : k),
      parts_((k + group_ - 1) / std::max<int64_t>(1, group_)),
      per_byte_(codes_per_byte(codes.params.storage)),
      order_(order),
      offset_(codes.params.offset.defined()),
      zero_(common_zero(codes.params)) {
  if (zero_) *zero_ += static_cast<int32_t>(raise_of(codes.params.storage));
  const bool words = order == CodeOrder::kWords;
  if (words && offset_) zero_.reset();  // both become shifts
  const auto take = [&](int64_t bytes) {
    const int64_t at = bytes_;
    bytes_ = round_up(bytes_ + bytes, 64);
    return at;
  };
  for (const Panel& p : panels) {
    Place place{p.n0, p.width, int64_t{p.vectors} * lanes, 0, 0, 0, 0};
    const int64_t rows = words ? padded_k() : k_;
    place.codes = take((rows + per_byte_ - 1) / per_byte_ * place.columns);
    place.scale = take(parts_ * place.columns * 4);
    if (!zero_) place.zero = take(parts_ * place.columns * 4);
    if (!words && offset_) place.offset = take(parts_ * place.columns * 4);
    places_.push_back(place);
  }
}

std::string CodePanels::layout(const KernelTable& table) const {
  return layout_of(table, order_ == CodeOrder::kWords ? "words of codes" : "codes",
                   {places_.empty() ? 0 : places_.front().columns, n_, k_, group_, per_byte_,
                    zero_.has_value(), offset_});
}

Status CodePanels::pack(const WeightCodes& codes, float alpha, std::byte* block) const {
  const QuantParams& q = codes.params;
  const StorageType& row = *find_storage(q.storage);
  const double raise = raise_of(q.storage);
  const bool words = order_ == CodeOrder::kWords;
  const auto stored_row = [&](int64_t n) {
    return codes.rows.empty() ? n : codes.rows[static_cast<size_t>(n)];
  };
  const auto read = [&](int64_t k, int64_t n, int64_t count, double* to) {
    // `count` codes from (k, n) on along the stored rows.
    const int64_t at = codes.transposed ? stored_row(n) * k_ + k : k * n_ + n;
    row.unpack(codes.stored.raw(), at, count, to);
  };
  std::vector<double> line(static_cast<size_t>(codes.transposed ? k_ : n_));
  const int bits = 8 / per_byte_;
  const auto put = [&](const Place& p, int64_t k, int64_t column, double code) {
    // Rows side by side in a word, and in a byte.
    const int64_t beside = words ? 4 : 1, rows = beside * per_byte_;
    std::byte& byte = block[p.codes + (k / rows * p.columns + column) * beside + k % beside];
    byte |= static_cast<std::byte>(static_cast<int>(code + raise) << (k % rows / beside * bits));
  };
  for (const Place& p : places_) {
    if (codes.transposed) {
      for (int64_t c = 0; c < p.width; ++c) {
        read(0, p.n0 + c, k_, line.data());
        for (int64_t k = 0; k < k_; ++k) put(p, k, c, line[static_cast<size_t>(k)]);
      }
    } else {
      for (int64_t k = 0; k < k_; ++k) {
        read(k, p.n0, p.width, line.data());
        for (int64_t c = 0; c < p.width; ++c) put(p, k, c, line[static_cast<size_t>(c)]);
      }
    }
    auto* scale = reinterpret_cast<float*>(block + p.scale);
    auto* zero = reinterpret_cast<float*>(block + p.zero);
    auto* offset = reinterpret_cast<float*>(block + p.offset);
    for (int64_t part = 0; part < parts_; ++part) {
      for (int64_t c = 0; c < p.width; ++c) {
        const int64_t n = p.n0 + c;
        const int64_t entry = q.axis < 0         ? 0
                              : q.group == 0     ? stored_row(n) % q.entries()
                              : codes.transposed ? stored_row(n) * parts_ + part
                                                 : part * n_ + n;
        const int64_t at = part * p.columns + c;
        scale[at] = q.scale_at(entry) * alpha;
        const float from = q.zero_point_at(entry) + static_cast<float>(raise);
        if (!words && offset_) offset[at] = q.offset_at(entry) * alpha;
        if (zero_) continue;
        zero[at] = words ? from * scale[at] - q.offset_at(entry) * alpha : from;
      }
    }
  }
  return {};
}

PanelCodes CodePanels::panel(const std::byte* block, size_t i) const {
  const Place& p = places_[i];
  PanelCodes u;
  u.codes = reinterpret_cast<const uint8_t*>(block + p.codes);
  u.per_byte = per_byte_;
  u.k = k_;
  u.group = group_;
  u.columns = p.columns;
  u.scale = reinterpret_cast<const float*>(block + p.scale);
  u.zero = zero_ ? nullptr : reinterpret_cast<const float*>(block + p.zero);
  u.offset = offset_ ? reinterpret_cast<const float*>(block + p.offset) : nullptr;
  u.common_zero = static_cast<float>(zero_.value_or(0));
  return u;
}

CodeKind CodePanels::kind() const {
  return per_byte_ == 4 ? kPairCodes : per_byte_ == 2 ? kNibbleCodes : kByteCodes;
}

TileCodes CodePanels::tile(const std::byte* block, size_t i) const {
  const Place& p = places_[i];
  TileCodes t;
  t.parts = parts_;
  t.blocks = padded_k() / (4 * per_byte_);
  t.part_blocks = ceil_div(group_, 4 * per_byte_);
  t.codes = reinterpret_cast<const uint8_t*>(block + p.codes);
  t.scale = reinterpret_cast<const float*>(block + p.scale);
  t.shift = zero_ ? nullptr : reinterpret_cast<const float*>(block + p.zero);
  t.zero = zero_.value_or(0);
  t.columns = p.columns;
  return t;
}

}  // namespace mnn
