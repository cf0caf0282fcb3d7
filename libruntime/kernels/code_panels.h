// A constant matrix in a few bits, packed once in panels that are unpacked where they are used.
#pragma once

#include <optional>
#include <span>

#include "libruntime/core/quant_params.h"
#include "libruntime/kernels/kernel_table.h"
#include "libruntime/kernels/plan.h"
#include "libruntime/kernels/weights.h"

namespace mnn {

// B [k, n], or [n, k] when transposed, as a constant stores it.
struct WeightCodes {
  WeightId id;
  Tensor stored;
  QuantParams params;
  bool transposed = false;
  // Of transposed ones: which stored rows the columns are, all axes but the last taken as one, in
  // their order. Empty: all of them as they lie. `id` must tell them.
  std::vector<int64_t> rows = {};
};

// Whether a product reads such codes as they are: integers of 8 bits at most, with scales (and zero
// points and offsets) per group along k, per column, or for all.
bool takes_codes(const QuantParams& params, const std::vector<int64_t>& dims, bool transposed);
// The same of stored rows [..., n, k] that are picked: groups lie along k, other scales along n.
bool takes_row_codes(const QuantParams& params, const std::vector<int64_t>& dims);
// Whether one with rows of bytes does: groups of 16 or more in steps of 16, sums within int32.
bool takes_codes_int8(const QuantParams& params, const std::vector<int64_t>& dims, bool transposed);

// How a panel lies: for unpack(), or in the words of TileCodes.
enum class CodeOrder { kRows, kWords };

// Where the parts of the packed block lie, and how a panel is unpacked.
class CodePanels {
 public:
  // Codes of 3 bits are kept in 4, and 5 to 7 in 8.
  CodePanels() = default;
  CodePanels(const WeightCodes& codes, std::span<const Panel> panels, int lanes, int64_t k,
             int64_t n, CodeOrder order = CodeOrder::kRows);

  std::string layout(const KernelTable& table) const;
  int64_t bytes() const { return bytes_; }
  // Fills the block. `alpha` is a factor of all weights.
  Status pack(const WeightCodes& codes, float alpha, std::byte* block) const;
  // Panel `i` of the block; in rows.
  PanelCodes panel(const std::byte* block, size_t i) const;
  bool has_offsets() const { return offset_; }
  // The same as what a tile reads; in words.
  CodeKind kind() const;
  TileCodes tile(const std::byte* block, size_t i) const;
  int64_t part() const { return group_; }
  int64_t parts() const { return parts_; }
  int64_t padded_k() const { return round_up(k_, 4 * per_byte_); }

 private:
  struct Place {
    int64_t n0 = 0, width = 0, columns = 0;  // columns: whole registers
    // Bytes from the start of the block; zero: where zero points differ, in words the shifts.
    int64_t codes = 0, scale = 0, zero = 0, offset = 0;
  };

  int64_t k_ = 0, n_ = 0, group_ = 0, parts_ = 0, bytes_ = 0;
  int per_byte_ = 1;
  CodeOrder order_ = CodeOrder::kRows;
  bool offset_ = false;
  std::optional<int32_t> zero_;  // of all, where it is one
  std::vector<Place> places_;
};

}  // namespace mnn
