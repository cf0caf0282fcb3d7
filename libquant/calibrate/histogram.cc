#include "libquant/calibrate/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mnn {
namespace {

constexpr int kCandidates = 100;
constexpr int kLevels = 256;

// The range shrunk towards zero: [low*f, high*f].
RealRange shrunk(const Histogram& h, double f) {
  return {std::min(h.low, 0.0) * f, std::max(h.high, 0.0) * f};
}

// Sum over the bins of count * (x - round(x))^2 for 255 even steps over `r`.
double squared_error(const Histogram& h, RealRange r) {
  const double step = (r.high - r.low) / 255.0;
  if (step <= 0) return std::numeric_limits<double>::infinity();
  double error = 0;
  for (int b = 0; b < kHistogramBins; ++b) {
    const int64_t n = h.bins[static_cast<size_t>(b)];
    if (n == 0) continue;
    const double x = h.center(b);
    const double level = std::clamp(std::nearbyint((x - r.low) / step), 0.0, 255.0);
    const double d = x - (r.low + level * step);
    error += static_cast<double>(n) * d * d;
  }
  return error;
}

// KL(P || Q) for the bins inside `r`: P has the clipped mass at its ends, Q is P at 256 levels.
double divergence(const Histogram& h, RealRange r) {
  const double width = h.bin_width();
  const int first = std::clamp(static_cast<int>(std::floor((r.low - h.low) / width + 0.5)), 0,
                               kHistogramBins - 1);
  const int last = std::clamp(static_cast<int>(std::floor((r.high - h.low) / width + 0.5)),
                              first + 1, kHistogramBins);
  const int n = last - first;
  std::vector<double> p(static_cast<size_t>(n)), inside(static_cast<size_t>(n));
  // Zero is on every grid: the many exact zeros behind a Relu are not smeared over a level.
  const int zero = static_cast<int>(std::floor(-h.low / width));
  for (int b = 0; b < kHistogramBins; ++b) {
    if (b == zero) continue;
    const auto mass = static_cast<double>(h.bins[static_cast<size_t>(b)]);
    const int at = std::clamp(b - first, 0, n - 1);
    p[static_cast<size_t>(at)] += mass;
    if (b >= first && b < last) inside[static_cast<size_t>(b - first)] = mass;
  }
  std::vector<double> q(static_cast<size_t>(n), 0.0);
  for (int level = 0; level < kLevels; ++level) {
    const double begin = static_cast<double>(level) * n / kLevels,
                 end = static_cast<double>(level + 1) * n / kLevels;
    double mass = 0, present = 0;
    const int b0 = static_cast<int>(begin),
              b1 = std::min(n - 1, static_cast<int>(std::ceil(end)) - 1);
    for (int b = b0; b <= b1; ++b) {
      const double share = std::min(end, b + 1.0) - std::max(begin, static_cast<double>(b));
      mass += inside[static_cast<size_t>(b)] * share;
      if (p[static_cast<size_t>(b)] > 0) present += share;
    }
    if (present <= 0) continue;
    for (int b = b0; b <= b1; ++b) {
      const double share = std::min(end, b + 1.0) - std::max(begin, static_cast<double>(b));
      if (p[static_cast<size_t>(b)] > 0) q[static_cast<size_t>(b)] += mass * share / present;
    }
  }
  double sum_p = 0, sum_q = 0;
  for (int b = 0; b < n; ++b) {
    sum_p += p[static_cast<size_t>(b)];
    sum_q += q[static_cast<size_t>(b)];
  }
  if (sum_p <= 0 || sum_q <= 0) return std::numeric_limits<double>::infinity();
  double kl = 0;
  for (int b = 0; b < n; ++b) {
    const double x = p[static_cast<size_t>(b)] / sum_p;
    if (x <= 0) continue;
    // Mass that Q misses altogether costs a lot but not infinitely much.
    const double y = std::max(q[static_cast<size_t>(b)] / sum_q, 1e-9);
    kl += x * std::log(x / y);
  }
  return kl;
}

template <typename Cost>
RealRange least(const Histogram& h, double from, Cost&& cost) {
  RealRange best = shrunk(h, 1.0);
  double best_cost = cost(best);
  for (int i = 1; i < kCandidates; ++i) {
    const RealRange r = shrunk(h, 1.0 - (1.0 - from) * i / kCandidates);
    const double c = cost(r);
    if (c < best_cost) {
      best_cost = c;
      best = r;
    }
  }
  return best;
}

}  // namespace

void RangeStats::add(std::span<const float> values) {
  // Eight running ranges; a block that is not all finite takes the slow way.
  constexpr size_t kLanes = 8;
  float least[kLanes], most[kLanes];
  RangeStats blocks;
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    const float* x = values.data() + i;
    float check = 0;
    for (size_t j = 0; j < kLanes; ++j) check += x[j] * 0.0f;
    if (check != 0.0f) {
      add_each(values.subspan(i, kLanes));
      continue;
    }
    if (blocks.count == 0) {
      std::copy_n(x, kLanes, least);
      std::copy_n(x, kLanes, most);
    }
    for (size_t j = 0; j < kLanes; ++j) {
      least[j] = x[j] < least[j] ? x[j] : least[j];
      most[j] = x[j] > most[j] ? x[j] : most[j];
    }
    blocks.count += kLanes;
  }
  if (blocks.count > 0) {
    blocks.low = *std::min_element(least, least + kLanes);
    blocks.high = *std::max_element(most, most + kLanes);
    merge(blocks);
  }
  add_each(values.subspan(i));
}

void RangeStats::add_each(std::span<const float> values) {
  for (const float v : values) {
    if (!std::isfinite(v)) {
      ++not_finite;
      continue;
    }
    if (count == 0) low = high = v;
    low = std::min(low, static_cast<double>(v));
    high = std::max(high, static_cast<double>(v));
    ++count;
  }
}

void RangeStats::merge(const RangeStats& other) {
  not_finite += other.not_finite;
  if (other.count == 0) return;
  low = count == 0 ? other.low : std::min(low, other.low);
  high = count == 0 ? other.high : std::max(high, other.high);
  count += other.count;
}

void Histogram::add(std::span<const float> values) {
  const double per_unit = high > low ? kHistogramBins / (high - low) : 0.0;
  for (const float v : values) {
    if (!std::isfinite(v)) continue;
    const double at = (static_cast<double>(v) - low) * per_unit;
    ++bins[static_cast<size_t>(std::clamp(at, 0.0, kHistogramBins - 1.0))];
    ++count;
  }
}

void Histogram::merge(const Histogram& other) {
  for (size_t b = 0; b < bins.size(); ++b) bins[b] += other.bins[b];
  count += other.count;
}

RealRange range_minmax(const Histogram& h) { return shrunk(h, 1.0); }

RealRange range_percentile(const Histogram& h, double percent) {
  const double outside = static_cast<double>(h.count) * (100.0 - percent) / 200.0;
  RealRange r = shrunk(h, 1.0);
  if (h.high <= h.low) return r;
  double below = 0, above = 0;
  if (h.low < 0) {
    int b = 0;
    while (b < kHistogramBins - 1 &&
           below + static_cast<double>(h.bins[static_cast<size_t>(b)]) <= outside) {
      below += static_cast<double>(h.bins[static_cast<size_t>(b++)]);
    }
    r.low = std::min(0.0, h.low + b * h.bin_width());
  }
  if (h.high > 0) {
    int b = kHistogramBins - 1;
    while (b > 0 && above + static_cast<double>(h.bins[static_cast<size_t>(b)]) <= outside) {
      above += static_cast<double>(h.bins[static_cast<size_t>(b--)]);
    }
    r.high = std::max(0.0, h.low + (b + 1) * h.bin_width());
  }
  return r;
}

RealRange range_mse(const Histogram& h) {
  return least(h, 0.2, [&](RealRange r) { return squared_error(h, r); });
}

RealRange range_kl(const Histogram& h) {
  if (h.high <= h.low) return range_minmax(h);
  return least(h, 0.1, [&](RealRange r) { return divergence(h, r); });
}

RealRange choose_range(const Histogram& h, CalibrationMethod method) {
  switch (method) {
    case CalibrationMethod::kPercentile: return range_percentile(h);
    case CalibrationMethod::kKl: return range_kl(h);
    case CalibrationMethod::kMse: return range_mse(h);
    case CalibrationMethod::kAuto:
    case CalibrationMethod::kMinMax: break;
  }
  return range_minmax(h);
}

}  // namespace mnn
