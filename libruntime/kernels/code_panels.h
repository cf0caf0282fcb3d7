// A constant matrix in a few bits, packed once in panels that are unpacked where they are used.
#pragma once

#include <span>

#include "libruntime/core/quant_params.h"
#include "libruntime/kernels/plan.h"
#include "libruntime/kernels/weights.h"

namespace mnn {

// B [k, n], or [n, k] when transposed, as a constant stores it.
struct WeightCodes {
  WeightId id;
  Tensor stored;
  QuantParams params;
  bool transposed = false;
};

// Whether a product reads such codes as they are: integers of 8 bits at most, with scales (and zero
// points and offsets) per group along k, per column, or for all.
bool takes_codes(const QuantParams& params, const std::vector<int64_t>& dims, bool transposed);

// Where the parts of the packed block lie, and how a panel is unpacked.
class CodePanels {
 public:
  // Codes of 3 bits are kept in 4, and 5 to 7 in 8.
  CodePanels() = default;
  CodePanels(const WeightCodes& codes, std::span<const Panel> panels, int lanes, int64_t k,
             int64_t n);

  std::string layout(const KernelTable& table) const;
  int64_t bytes() const { return bytes_; }
  // Fills the block. `alpha` is a factor of all weights.
  Status pack(const WeightCodes& codes, float alpha, std::byte* block) const;
  // Panel `i` of the block as floats, [k, columns of the panel].
  void unpack(const KernelTable& table, const std::byte* block, size_t i, float* out) const;

 private:
  struct Place {
    int64_t n0 = 0, width = 0, columns = 0;              // columns: whole registers
    int64_t codes = 0, scale = 0, zero = 0, offset = 0;  // bytes from the start of the block
  };

  int64_t k_ = 0, n_ = 0, group_ = 0, parts_ = 0, bytes_ = 0;
  int per_byte_ = 1;
  bool shifted_ = false;
  std::vector<Place> places_;
};

}  // namespace mnn
