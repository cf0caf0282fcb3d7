// The entry of an encoding that codes belong to.
#pragma once

#include "libruntime/core/quant_params.h"

namespace mnn {

// The factors of the entry last asked for: runs of elements share one.
class EntryReader {
 public:
  explicit EntryReader(const QuantParams& p)
      : p_(p),
        codebook_(p.codebook.defined() ? p.codebook.data<float>() : nullptr),
        shifted_(p.offset.defined()) {}
  void move_to(int64_t entry) {
    if (entry == entry_) return;
    entry_ = entry;
    scale = p_.scale_at(entry);
    zero_point = static_cast<double>(p_.zero_point_at(entry));
    offset = p_.offset_at(entry);
  }
  // What a stored number stands for; without the rotation.
  float real(double stored) const {
    const double code =
        codebook_ != nullptr ? static_cast<double>(codebook_[static_cast<size_t>(stored)]) : stored;
    const float scaled = static_cast<float>(code - zero_point) * scale;
    return shifted_ ? scaled + offset : scaled;
  }
  float scale = 0, offset = 0;
  double zero_point = 0;

 private:
  const QuantParams& p_;
  const float* const codebook_;
  const bool shifted_;
  int64_t entry_ = -1;
};

}  // namespace mnn
