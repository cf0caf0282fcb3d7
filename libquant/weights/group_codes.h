// Weights as codes of 8 to 2 bits with a scale, and where asked a zero point, per group.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "libruntime/core/metrics.h"
#include "libruntime/core/quant_params.h"
#include "libruntime/thread_pool.h"

namespace mnn {

struct GroupFormat {
  int bits = 4;  // 8, 6, 4, 3 or 2
  // Consecutive indices along `axis` that share a scale; 0: one scale per index along
  // `channel_axis`.
  int64_t group = 32;
  bool symmetric = false;  // no zero points; else stored in the bits of a code
  int axis = 0, channel_axis = 1;
};

// kRound: the scale that covers the range (round to nearest). kSearch: of 24 ranges from there down
// to 0.4 of it the one of least squared error, its scale then fitted to the codes by least squares
// (as in GGUF's k-quants; OCTAV, arXiv:2206.06501, is the same error in expectation).
enum class GroupFit { kRound, kSearch };

// One group of weights, and the codes for it: real = (code - zero) * scale.
struct WeightGroup {
  std::vector<double> w, h;  // the weights and how much each counts
  std::vector<double> codes;
  double scale = 1, zero = 0, error = 0;
};

// Rounds half to even what is below 2^51, without a call.
inline double round_even(double x) {
  constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52
  return (x + kShift) - kShift;
}

// Finds scales, zero points and codes of single groups.
class GroupEncoder {
 public:
  // `half_scales`: they are rounded to f16, else to f32.
  GroupEncoder(const GroupFormat& format, GroupFit fit, bool half_scales);
  void encode(WeightGroup& group) const;
  // The code of one weight on a grid.
  double code_of(double w, double scale, double zero) const {
    return std::clamp(round_even(w / scale) + zero, low_, high_);
  }

 private:
  void best_of(WeightGroup& group, double lo, double hi) const;
  std::vector<std::pair<double, double>> starts(double lo, double hi) const;
  double rounded(double scale) const;
  void code(WeightGroup& group) const;
  bool refit(WeightGroup& group) const;

  GroupFit fit_;
  bool symmetric_, half_scales_;
  double low_ = 0, high_ = 0, middle_ = 0;
};

struct GroupCodes {
  Tensor stored;
  QuantParams params;
  ErrorSums error;  // of what is read back, against the weights
};

// Numbers that are f16 already, as the storage of an f32 constant.
GroupCodes half_codes(const Tensor& half);

// Whether f16 scales do for these weights.
bool fits_half_scales(const Tensor& weights, const GroupFormat& format);
// kInvalidArgument for NaN and infinity and for weights that are not f32, kUsage for a width or
// group that there is not.
Status check_group_format(const Tensor& weights, const GroupFormat& format);
// The encoding from its parts: a code per weight, in the tensor's order, a scale and a zero point
// per group, in the order of QuantParams::scale.
Result<GroupCodes> assemble_codes(const Tensor& weights, const GroupFormat& format,
                                  bool half_scales, std::span<const double> codes,
                                  std::span<const double> scales, std::span<const double> zeros);

// `importance` weighs the squared error by index along `axis` (the mean square of the input that
// meets those weights); empty: all alike. Scales are f16, f32 where f16 would round many of them
// coarsely. The same bytes for any number of threads. Errors as of check_group_format().
Result<GroupCodes> encode_groups(const Tensor& weights, const GroupFormat& format, GroupFit fit,
                                 std::span<const float> importance, ThreadPool& pool);

}  // namespace mnn
