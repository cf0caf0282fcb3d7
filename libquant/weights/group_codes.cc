#include "libquant/weights/group_codes.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "libruntime/core/ops/axis.h"
#include "libruntime/core/quant.h"

namespace mnn {
namespace {

// Rounded to f16 and back.
double as_half(double x) {
  return static_cast<double>(load_as_compute(Half(static_cast<float>(x))));
}

DType code_type(const GroupFormat& f) {
  switch (f.bits) {
    case 8: return f.symmetric ? DType::kI8 : DType::kU8;
    case 6: return DType::kU6;
    case 4: return f.symmetric ? DType::kI4 : DType::kU4;
    case 3: return DType::kU3;
    case 2: return f.symmetric ? DType::kI2 : DType::kU2;
    default: return DType::kUndefined;
  }
}

// Where the elements of each group lie.
class Groups {
 public:
  Groups(const std::vector<int64_t>& dims, const GroupFormat& f)
      : lines_(dims, static_cast<size_t>(f.axis)),
        channels_(dims, static_cast<size_t>(f.channel_axis)),
        group_(f.group) {
    if (group_ == 0) {
      scale_dims_ = {channels_.size};
      return;
    }
    parts_ = (lines_.size + group_ - 1) / group_;
    scale_dims_ = dims;
    scale_dims_[static_cast<size_t>(f.axis)] = parts_;
  }

  int64_t count() const {
    return group_ == 0 ? channels_.size : lines_.outer * parts_ * lines_.inner;
  }
  const std::vector<int64_t>& scale_dims() const { return scale_dims_; }
  // Index along the axis that importance goes by.
  int64_t position(int64_t element) const { return element / lines_.inner % lines_.size; }

  template <typename F>
  void each(int64_t entry, F&& f) const {
    if (group_ == 0) {
      for (int64_t o = 0; o < channels_.outer; ++o) {
        for (int64_t i = 0; i < channels_.inner; ++i)
          f((o * channels_.size + entry) * channels_.inner + i);
      }
      return;
    }
    const int64_t inner = lines_.inner;
    const int64_t i = entry % inner, part = entry / inner % parts_, o = entry / inner / parts_;
    const int64_t end = std::min(lines_.size, (part + 1) * group_);
    for (int64_t k = part * group_; k < end; ++k) f((o * lines_.size + k) * inner + i);
  }

 private:
  AxisLines lines_, channels_;
  int64_t group_, parts_ = 1;
  std::vector<int64_t> scale_dims_;
};

constexpr int kSteps = 24;
constexpr double kSmallest = 0.4;

}  // namespace

GroupEncoder::GroupEncoder(const GroupFormat& format, GroupFit fit, bool half_scales)
    : fit_(fit), symmetric_(format.symmetric), half_scales_(half_scales) {
  const StorageType& row = *find_storage(code_type(format));
  // A signed byte has no -128: its products with bytes are then the same on every ISA.
  low_ = row.dtype == DType::kI8 ? -127 : row.low;
  high_ = row.high;
  middle_ = row.low < 0 ? 0 : std::ceil((row.low + row.high) / 2);
}

void GroupEncoder::encode(WeightGroup& g) const {
  const auto [least, most] = std::minmax_element(g.w.begin(), g.w.end());
  const double lo = std::min(*least, 0.0), hi = std::max(*most, 0.0);
  g.codes.assign(g.w.size(), 0);
  if (lo == hi) {
    g.scale = 1;
    g.zero = symmetric_ ? middle_ : low_;
    std::ranges::fill(g.codes, g.zero);
    g.error = 0;
    return;
  }
  best_of(g, lo, hi);
}

void GroupEncoder::best_of(WeightGroup& g, double lo, double hi) const {
  WeightGroup trial = g;
  bool first = true;
  const auto take = [&] {
    if (first || trial.error < g.error) {
      g.codes = trial.codes;
      g.scale = trial.scale;
      g.zero = trial.zero;
      g.error = trial.error;
    }
    first = false;
  };
  const int steps = fit_ == GroupFit::kRound ? 1 : kSteps;
  for (int i = 0; i < steps; ++i) {
    const double share = 1 - (1 - kSmallest) * i / kSteps;
    for (const auto& [scale, zero] : starts(lo * share, hi * share)) {
      if (!(std::abs(scale) > 0)) continue;
      trial.scale = scale;
      trial.zero = zero;
      code(trial);
      take();
      for (int round = 0; fit_ == GroupFit::kSearch && round < 2; ++round) {
        if (!refit(trial)) break;
        code(trial);
        take();
      }
    }
  }
}

// Scale and zero point for the range [lo, hi].
std::vector<std::pair<double, double>> GroupEncoder::starts(double lo, double hi) const {
  if (!symmetric_) {
    const double scale = rounded((hi - lo) / (high_ - low_));
    if (!(scale > 0)) return {};
    return {{scale, std::clamp(std::nearbyint(low_ - lo / scale), low_, high_)}};
  }
  const double reach = high_ - middle_, most = std::max(hi, -lo);
  std::vector<std::pair<double, double>> all = {{rounded(most / reach), middle_}};
  // The end with one code more goes where the weights reach further.
  const double further = middle_ - low_;
  if (further > reach) {
    const double scale = rounded(std::max(most / further, std::min(hi, -lo) / reach));
    all.emplace_back(hi > -lo ? -scale : scale, middle_);
  }
  return all;
}

double GroupEncoder::rounded(double scale) const {
  return half_scales_ ? as_half(scale) : static_cast<double>(static_cast<float>(scale));
}

void GroupEncoder::code(WeightGroup& g) const {
  g.error = 0;
  for (size_t i = 0; i < g.w.size(); ++i) {
    const double c = code_of(g.w[i], g.scale, g.zero);
    const double d = g.w[i] - (c - g.zero) * g.scale;
    g.codes[i] = c;
    g.error += g.h[i] * d * d;
  }
}

// The scale of least squared error for these codes; false where it stays as it is.
bool GroupEncoder::refit(WeightGroup& g) const {
  double wq = 0, qq = 0;
  for (size_t i = 0; i < g.w.size(); ++i) {
    const double q = g.codes[i] - g.zero;
    wq += g.h[i] * g.w[i] * q;
    qq += g.h[i] * q * q;
  }
  if (!(qq > 0)) return false;
  const double scale = rounded(wq / qq);
  if (!(std::abs(scale) > 0) || scale == g.scale) return false;
  g.scale = scale;
  return true;
}

GroupCodes half_codes(const Tensor& half) {
  GroupCodes codes;
  codes.stored = half;
  codes.params.storage = DType::kF16;
  codes.params.scale = Tensor::scalar(1.0f);
  return codes;
}

bool fits_half_scales(const Tensor& weights, const GroupFormat& format) {
  const Groups groups(weights.dims(), format);
  const StorageType& row = *find_storage(code_type(format));
  const double levels = row.high - row.low;
  constexpr double kLeastNormal = 6.2e-5, kLargest = 6e4, kMostCoarse = 0.001;
  const float* w = weights.data<float>();
  int64_t coarse = 0;
  for (int64_t e = 0; e < groups.count(); ++e) {
    double most = 0;
    groups.each(e, [&](int64_t i) { most = std::max(most, std::abs(static_cast<double>(w[i]))); });
    if (2 * most / levels > kLargest) return false;
    coarse += most > 0 && most / levels < kLeastNormal;
  }
  return static_cast<double>(coarse) <= kMostCoarse * static_cast<double>(groups.count());
}

Status check_group_format(const Tensor& weights, const GroupFormat& f) {
  const auto rank = static_cast<int>(weights.rank());
  if (code_type(f) == DType::kUndefined)
    return usage_error(std::to_string(f.bits) + " bits: expected 8, 6, 4, 3 or 2");
  if (f.group != 0 && (f.group < 16 || f.group > 256)) {
    return usage_error("a group of " + std::to_string(f.group) +
                       " weights: expected 16 to 256, or 0 for one scale per channel");
  }
  if (weights.dtype() != DType::kF32 || f.axis < 0 || f.axis >= rank || f.channel_axis < 0 ||
      f.channel_axis >= rank) {
    return invalid("weights of type " + weights.type_str() + " cannot be quantized along axis " +
                   std::to_string(f.axis));
  }
  for (const float w : weights.span<float>()) {
    if (!std::isfinite(w)) return invalid("NaN or infinity among the weights");
  }
  return {};
}

Result<GroupCodes> assemble_codes(const Tensor& weights, const GroupFormat& format,
                                  bool half_scales, std::span<const double> codes,
                                  std::span<const double> scales, std::span<const double> zeros) {
  const Groups groups(weights.dims(), format);
  const StorageType& row = *find_storage(code_type(format));
  GroupCodes out;
  MNN_ASSIGN_OR_RETURN(out.stored, Tensor::allocate(row.dtype, weights.dims()));
  row.pack(codes.data(), 0, weights.elements(), out.stored.raw());
  QuantParams& p = out.params;
  p.storage = row.dtype;
  p.axis = format.group > 0 ? format.axis : format.channel_axis;
  p.group = format.group;
  MNN_ASSIGN_OR_RETURN(
      p.scale, Tensor::allocate(half_scales ? DType::kF16 : DType::kF32, groups.scale_dims()));
  for (size_t e = 0; e < scales.size(); ++e) {
    if (half_scales) {
      p.scale.data<Half>()[e] = Half(static_cast<float>(scales[e]));
    } else {
      p.scale.data<float>()[e] = static_cast<float>(scales[e]);
    }
  }
  // Codes without a sign have their middle as zero point also where all are alike.
  if (!format.symmetric || row.low == 0) {
    MNN_ASSIGN_OR_RETURN(p.zero_point, Tensor::allocate(row.dtype, groups.scale_dims()));
    row.pack(zeros.data(), 0, groups.count(), p.zero_point.raw());
  }
  MNN_ASSIGN_OR_RETURN(const Tensor back, dequantize_tensor(out.stored, p));
  MNN_RETURN_IF_ERROR(out.error.add(weights, back));
  return out;
}

Result<GroupCodes> encode_groups(const Tensor& weights, const GroupFormat& format, GroupFit fit,
                                 std::span<const float> importance, ThreadPool& pool) {
  MNN_RETURN_IF_ERROR(check_group_format(weights, format));
  const Groups groups(weights.dims(), format);
  const bool half = fits_half_scales(weights, format);
  const GroupEncoder encoder(format, fit, half);
  const float* w = weights.data<float>();
  std::vector<double> codes(static_cast<size_t>(weights.elements()));
  std::vector<double> scales(static_cast<size_t>(groups.count()));
  std::vector<double> zeros(scales.size());
  // A group is small work: parts take them in turn.
  const int threads = pool.threads();
  pool.parallel(threads, [&](int part) {
    WeightGroup g;
    for (int64_t e = part; e < groups.count(); e += threads) {
      g.w.clear();
      g.h.clear();
      groups.each(e, [&](int64_t i) {
        g.w.push_back(static_cast<double>(w[i]));
        g.h.push_back(
            importance.empty()
                ? 1.0
                : static_cast<double>(importance[static_cast<size_t>(groups.position(i))]));
      });
      encoder.encode(g);
      scales[static_cast<size_t>(e)] = g.scale;
      zeros[static_cast<size_t>(e)] = g.zero;
      size_t at = 0;
      groups.each(e, [&](int64_t i) { codes[static_cast<size_t>(i)] = g.codes[at++]; });
    }
  });
  return assemble_codes(weights, format, half, codes, scales, zeros);
}

}  // namespace mnn
