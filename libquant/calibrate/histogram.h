// Streaming statistics of activations: memory does not depend on the number of samples, and shards
// merge exactly.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "libquant/types.h"

namespace mnn {

inline constexpr int kHistogramBins = 2048;

// Pass 1: the range.
struct RangeStats {
  double low = 0, high = 0;
  int64_t count = 0;
  int64_t not_finite = 0;
  void add(std::span<const float> values);
  void merge(const RangeStats& other);
  bool operator==(const RangeStats&) const = default;

 private:
  void add_each(std::span<const float> values);
};

// Pass 2: counts over fixed bins of [low, high]; bins do not move, so counts merge exactly.
struct Histogram {
  double low = 0, high = 0;
  std::array<int64_t, kHistogramBins> bins{};
  int64_t count = 0;

  Histogram() = default;
  explicit Histogram(const RangeStats& range) : low(range.low), high(range.high) {}
  void add(std::span<const float> values);
  void merge(const Histogram& other);  // same low and high
  double bin_width() const { return (high - low) / kHistogramBins; }
  double center(int bin) const { return low + (bin + 0.5) * bin_width(); }
};

struct RealRange {
  double low = 0, high = 0;
};
// The whole range.
RealRange range_minmax(const Histogram& h);
// Leaves (100 - percent)/2 % of the elements outside at each end, but nothing at an end that is 0.
RealRange range_percentile(const Histogram& h, double percent = 99.99);
// Least expected squared error of rounding to 255 steps, clipping included, over 100 shrunk ranges.
RealRange range_mse(const Histogram& h);
// Least Kullback-Leibler divergence of the rounded distribution from the original (Migacz, 8-bit
// inference with TensorRT, 2017), with half-open bins split proportionally between levels.
RealRange range_kl(const Histogram& h);
// By method; kAuto is not one.
RealRange choose_range(const Histogram& h, CalibrationMethod method);

}  // namespace mnn
