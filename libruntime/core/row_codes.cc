#include "libruntime/core/row_codes.h"

#include <algorithm>

namespace mnn {

std::optional<RowCodes> RowCodes::of(const Tensor& stored, const QuantParams& params) {
  RowCodes r;
  r.storage_ = find_storage(params.storage);
  const auto rank = static_cast<int>(stored.rank());
  if (r.storage_ == nullptr || params.storage != stored.dtype() || rank < 1 || params.rotation)
    return std::nullopt;
  const bool groups = params.group > 0;
  if (groups ? rank != 2 || params.axis != 1 : params.axis > 0) return std::nullopt;
  r.rows_ = stored.dims()[0];
  if (r.rows_ == 0) return std::nullopt;
  r.width_ = stored.elements() / r.rows_;
  r.group_ = params.group;
  r.parts_ = groups ? (r.width_ + r.group_ - 1) / r.group_ : 1;
  r.per_row_ = params.axis == 0;
  r.stored_ = stored;
  r.params_ = params;
  return r;
}

void RowCodes::read(int64_t row, float* out) const {
  constexpr int64_t kChunk = 256;
  double codes[kChunk];
  const float* codebook = params_.codebook.defined() ? params_.codebook.data<float>() : nullptr;
  for (int64_t part = 0; part < parts_; ++part) {
    const int64_t entry = group_ > 0 ? row * parts_ + part : per_row_ ? row : 0;
    const float scale = params_.scale_at(entry), zero = params_.zero_point_at(entry);
    const float offset = params_.offset_at(entry);
    const bool shifted = params_.offset.defined();
    const int64_t end = std::min(width_, (part + 1) * part_width());
    for (int64_t begin = part * part_width(); begin < end; begin += kChunk) {
      const int64_t count = std::min(kChunk, end - begin);
      storage_->unpack(stored_.raw(), row * width_ + begin, count, codes);
      for (int64_t i = 0; i < count; ++i) {
        const double code =
            codebook ? static_cast<double>(codebook[static_cast<size_t>(codes[i])]) : codes[i];
        const float scaled = static_cast<float>(code - static_cast<double>(zero)) * scale;
        out[begin + i] = shifted ? scaled + offset : scaled;
      }
    }
  }
}

}  // namespace mnn
