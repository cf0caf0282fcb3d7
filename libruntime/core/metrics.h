// Error metrics, the one place they are defined: run, compare, convert and quant use these.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "libruntime/core/tensor.h"

namespace mnn {

// Sums over any number of tensors, in double; merge() of shards in a fixed order is exact enough to
// be deterministic. Elements are compared as real numbers whatever their types.
struct ErrorSums {
  int64_t count = 0;
  int64_t not_finite = 0;  // NaN or infinity on one side only, or NaN on either
  double ref_squared = 0, test_squared = 0, product = 0, error_squared = 0;
  double max_abs_error = 0, max_abs_ref = 0;
  double low_ref = 0, high_ref = 0;  // of the finite elements
  int64_t finite = 0;                // how many those are

  // Fails when dims differ in element count or a type is not numeric.
  Status add(const Tensor& reference, const Tensor& test);
  // The same where shapes depend on data and may differ: then all of the reference is error.
  Status add_or_miss(const Tensor& reference, const Tensor& test);
  void add(const float* reference, const float* test, int64_t n);
  void merge(const ErrorSums& other);
};

struct ErrorMetrics {
  double cosine = 0;  // 1 when both are zero, 0 when one is
  double snr_db = 0;  // 10 log10(sum r^2 / sum (y-r)^2); kExactSnrDb when equal
  double mse = 0;
  double max_abs = 0;  // max |y-r|
  double max_rel = 0;  // max |y-r| / max |r|: the conversion metric, at most 1e-4 in fp32
  double max_ref = 0;  // max |r|: what max_abs is to be held against
  int64_t count = 0;
  bool failed = false;    // NaN, infinity or nothing compared: never a pass
  bool constant = false;  // all r are one number (of two or more): an error of 0 says nothing
};
inline constexpr double kExactSnrDb = 200.0;
ErrorMetrics metrics_of(const ErrorSums& sums);
// The SNR in dB as every report prints it: "23.4"; "exact" without any error, "constant" where that
// says nothing, "FAIL" where nothing could be compared.
std::string snr_text(const ErrorMetrics& metrics);

// |y-r| <= atol + rtol*|r| for every element, NaN equal to NaN, infinities equal by sign. On
// failure says how many differ and the worst place.
Status all_close(const Tensor& reference, const Tensor& test, double rtol, double atol);

}  // namespace mnn
