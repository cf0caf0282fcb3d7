// Quantization that training simulates.
#include <algorithm>
#include <cmath>

#include "libconvert/frontends/common/rows.h"

namespace mnn::frontend {
namespace {

// Codes with the step `scale`, 0 among them.
struct NudgedGrid {
  float scale = 1;
  int64_t zero = 0;
};

NudgedGrid nudged(double low, double high, int64_t least, int64_t most) {
  NudgedGrid g;
  g.scale = static_cast<float>((high - low) / static_cast<double>(most - least));
  const double zero = static_cast<double>(least) - low / g.scale;
  g.zero = std::clamp(std::lround(zero), least, most);
  return g;
}

}  // namespace

ValueId fake_quant(TensorNode& n, const std::vector<double>& low, const std::vector<double>& high,
                   int64_t bits, bool narrow_range, bool per_channel) {
  const auto fail = [&](Status why) {
    n.fail(std::move(why));
    return kNoValue;
  };
  if (bits < 2 || bits > 16) return fail(invalid("num_bits is not in [2, 16]"));
  const int64_t least = narrow_range ? 1 : 0, most = (int64_t{1} << bits) - 1;
  std::vector<float> scales, ends_low, ends_high;
  std::vector<uint16_t> wide;
  std::vector<uint8_t> narrow;
  for (size_t i = 0; i < low.size(); ++i) {
    if (!(low[i] <= 0 && high[i] >= 0 && high[i] > low[i])) {
      return fail(unsupported("a range without 0 is not supported"));
    }
    const NudgedGrid g = nudged(low[i], high[i], least, most);
    scales.push_back(g.scale);
    wide.push_back(static_cast<uint16_t>(g.zero));
    narrow.push_back(static_cast<uint8_t>(g.zero));
    ends_low.push_back(static_cast<float>(least - g.zero) * g.scale);
    ends_high.push_back(static_cast<float>(most - g.zero) * g.scale);
  }
  const Ints dims = per_channel ? Ints{static_cast<int64_t>(low.size())} : Ints{};
  const auto numbers = [&](const std::vector<float>& v) {
    return n.add_constant(Tensor::of<float>(dims, v));
  };
  ValueId x = n.in(0);
  if (least != 0 || (bits != 8 && bits != 16)) {
    // Not all codes of the type are used.
    x = n.emit("Min", {n.emit("Max", {x, numbers(ends_low)}), numbers(ends_high)});
  }
  const ValueId scale = numbers(scales);
  const ValueId zero = bits > 8 ? n.add_constant(Tensor::of<uint16_t>(dims, wide))
                                : n.add_constant(Tensor::of<uint8_t>(dims, narrow));
  TensorNode::Attributes attrs;
  if (per_channel) attrs["axis"] = int64_t{-1};
  const ValueId codes = n.emit("QuantizeLinear", {x, scale, zero}, attrs);
  return n.emit("DequantizeLinear", {codes, scale, zero}, attrs);
}

}  // namespace mnn::frontend
