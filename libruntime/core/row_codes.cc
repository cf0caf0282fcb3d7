#include "libruntime/core/row_codes.h"

#include <algorithm>

#include "libruntime/core/entry_reader.h"

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
  EntryReader entry(params_);
  for (int64_t part = 0; part < parts_; ++part) {
    entry.move_to(group_ > 0 ? row * parts_ + part : per_row_ ? row : 0);
    const int64_t end = std::min(width_, (part + 1) * part_width());
    for (int64_t begin = part * part_width(); begin < end; begin += kChunk) {
      const int64_t count = std::min(kChunk, end - begin);
      storage_->unpack(stored_.raw(), row * width_ + begin, count, codes);
      for (int64_t i = 0; i < count; ++i) out[begin + i] = entry.real(codes[i]);
    }
  }
}

}  // namespace mnn
