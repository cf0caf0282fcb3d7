#include "libquant/weights/weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "libruntime/core/ops/axis.h"
#include "libruntime/core/quant.h"

namespace mnn {
namespace {

constexpr double kLimit = 127.0;

// One output channel: `outer` runs of `inner` elements, `stride` apart.
struct Channel {
  const float* data;
  int64_t outer, inner, stride;
  template <typename F>
  void each(F&& f) const {
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < inner; ++i) f(static_cast<double>(data[o * stride + i]));
    }
  }
};

double level(double w, double scale) {
  return std::clamp(std::nearbyint(w / scale), -kLimit, kLimit);
}

double squared_error(const Channel& c, double scale) {
  double error = 0;
  c.each([&](double w) {
    const double d = w - scale * level(w, scale);
    error += d * d;
  });
  return error;
}

double mse_scale(const Channel& c, double absmax) {
  constexpr int kSteps = 40;
  double best = absmax / kLimit, best_error = squared_error(c, best);
  for (int i = 1; i < kSteps; ++i) {
    const double scale = absmax / kLimit * (1.0 - 0.6 * i / kSteps);
    const double error = squared_error(c, scale);
    if (error < best_error) {
      best_error = error;
      best = scale;
    }
  }
  for (int round = 0; round < 2; ++round) {
    double qw = 0, qq = 0;
    c.each([&](double w) {
      const double q = level(w, best);
      qw += q * w;
      qq += q * q;
    });
    if (qq <= 0 || qw <= 0) break;
    const double refit = qw / qq, error = squared_error(c, refit);
    if (error >= best_error) break;
    best_error = error;
    best = refit;
  }
  return best;
}

// Levels of a channel whose byte products fit in int16 by pairs. Where two neighbours add to too
// much both give way alike.
void fit_pairs(const WeightRuns& runs, std::vector<int>& levels) {
  for_byte_pairs(runs, [&](int64_t i, int64_t j) {
    int &a = levels[static_cast<size_t>(i)], &b = levels[static_cast<size_t>(j)];
    if (i == j || (a > 0) != (b > 0)) return;
    const int sign = a > 0 ? 1 : -1, over = std::abs(a) + std::abs(b) - kLargestBytePair;
    if (over <= 0) return;
    // A level is at most 127, so half of what is over leaves it its sign.
    a -= sign * (over / 2);
    b -= sign * (over - over / 2);
  });
}

struct FittedChannel {
  double scale = 1;
  std::vector<int> levels;
};

// The scale of least squared error, from `scale` to where no pair has to give way.
FittedChannel fitted_channel(const Channel& c, double scale, const WeightRuns& runs) {
  constexpr int kSteps = 10;
  std::vector<float> real;
  c.each([&](double w) { real.push_back(static_cast<float>(w)); });
  const double wide = largest_byte_pair(runs, real.data()) / double{kLargestBytePair} / scale;
  FittedChannel best;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i <= kSteps; ++i) {
    const auto stored =
        static_cast<float>(scale * std::pow(std::max(wide, 1.0), static_cast<double>(i) / kSteps));
    FittedChannel one{double{stored}, std::vector<int>(real.size())};
    for (size_t k = 0; k < real.size(); ++k)
      one.levels[k] = static_cast<int>(level(double{real[k]}, one.scale));
    fit_pairs(runs, one.levels);
    double error = 0;
    for (size_t k = 0; k < real.size(); ++k) {
      const double d = double{real[k]} - one.scale * one.levels[k];
      error += d * d;
    }
    if (error < least) {
      least = error;
      best = std::move(one);
    }
    if (wide <= 1) break;
  }
  return best;
}

}  // namespace

Result<QuantizedWeights> quantize_weights(const Tensor& weights, int axis, WeightScale method,
                                          const std::optional<WeightRuns>& fix) {
  if (weights.dtype() != DType::kF32 || axis < 0 || static_cast<size_t>(axis) >= weights.rank()) {
    return internal_error("weights of type " + weights.type_str() + " have no axis " +
                          std::to_string(axis));
  }
  const int64_t channels = weights.dims()[static_cast<size_t>(axis)];
  const AxisLines lines(weights.dims(), static_cast<size_t>(axis));
  const int64_t inner = lines.inner, outer = lines.outer;
  QuantizedWeights q;
  q.method = method;
  q.overflow_fix = fix.has_value();
  if (fix && fix->inputs * fix->taps != outer * inner)
    return internal_error("weights of type " + weights.type_str() + " have no " +
                          std::to_string(fix->inputs * fix->taps) + " elements a channel");
  std::vector<float> scales;
  std::vector<FittedChannel> fitted(static_cast<size_t>(channels));
  for (int64_t c = 0; c < channels; ++c) {
    const Channel channel{weights.data<float>() + c * inner, outer, inner, channels * inner};
    double absmax = 0;
    bool finite = true;
    channel.each([&](double w) {
      finite &= std::isfinite(w);
      absmax = std::max(absmax, std::abs(w));
    });
    if (!finite) return invalid("the weights hold NaN or infinity");
    double scale = absmax > 1e-30 ? absmax / kLimit : 1.0;
    if (absmax > 1e-30 && method == WeightScale::kMse) scale = mse_scale(channel, absmax);
    if (fix && absmax > 1e-30) {
      fitted[static_cast<size_t>(c)] = fitted_channel(channel, scale, *fix);
      scale = fitted[static_cast<size_t>(c)].scale;
    }
    scales.push_back(static_cast<float>(scale));
  }
  q.params = axis_quant(DType::kI8, axis, scales);
  MNN_ASSIGN_OR_RETURN(q.stored, quantize_tensor(weights, q.params));
  for (int64_t i = 0; i < q.stored.elements(); ++i) {
    int8_t& v = q.stored.data<int8_t>()[i];
    v = std::max<int8_t>(v, -127);
  }
  for (int64_t c = 0; c < channels; ++c) {
    size_t next = 0;
    const std::vector<int>& levels = fitted[static_cast<size_t>(c)].levels;
    if (levels.empty()) continue;
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i)
        q.stored.data<int8_t>()[(o * channels + c) * inner + i] =
            static_cast<int8_t>(levels[next++]);
  }
  MNN_ASSIGN_OR_RETURN(const Tensor real, dequantize_tensor(q.stored, q.params));
  ErrorSums sums;
  MNN_RETURN_IF_ERROR(sums.add(weights, real));
  q.snr_db = metrics_of(sums).snr_db;
  return q;
}

}  // namespace mnn
