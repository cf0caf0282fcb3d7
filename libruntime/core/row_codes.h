// Rows of a stored table as numbers, without making the rest of it real.
#pragma once

#include <optional>

#include "libruntime/core/quant_params.h"
#include "libruntime/core/storage.h"

namespace mnn {

class RowCodes {
 public:
  // nullopt where a row does not have its entries by itself: rotated tables, groups across rows.
  static std::optional<RowCodes> of(const Tensor& stored, const QuantParams& params);

  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  // Row `row` < rows() to `width()` floats, bit for bit as dequantize_tensor(). Allocates nothing.
  void read(int64_t row, float* out) const;

 private:
  // How many elements of a row share an entry.
  int64_t part_width() const { return group_ > 0 ? group_ : width_; }

  Tensor stored_;
  QuantParams params_;
  const StorageType* storage_ = nullptr;
  int64_t rows_ = 0, width_ = 0, group_ = 0, parts_ = 1;
  bool per_row_ = false;
};

}  // namespace mnn
