// The random numbers of reference kernels: the same for the same seed on every machine.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <variant>

#include "libruntime/core/op_context.h"

namespace mnn {

// SplitMix64, seeded by the attribute `seed`, else by the node's operator and name.
class Generator {
 public:
  explicit Generator(const AttributeReader& c) {
    if (c.has("seed")) {
      const auto* whole = std::get_if<int64_t>(&c.node.attributes.find("seed")->second);
      state_ =
          whole ? static_cast<uint64_t>(*whole) : std::bit_cast<uint64_t>(c.attr_float("seed"));
      return;
    }
    state_ = 0xcbf29ce484222325u;  // FNV-1a
    for (const char ch : c.node.op + "/" + c.node.name) {
      state_ = (state_ ^ static_cast<uint8_t>(ch)) * 0x100000001b3u;
    }
  }
  // In [0, 1), 53 bits.
  double uniform() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }
  // Mean 0, variance 1 (Box-Muller).
  double normal() {
    constexpr double kTwoPi = 6.283185307179586;
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(kTwoPi * uniform());
  }

 private:
  uint64_t state_ = 0;
};

}  // namespace mnn
