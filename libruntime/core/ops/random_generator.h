// The random numbers of reference kernels: the same for the same seed on every machine.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <variant>

#include "libruntime/core/op_context.h"
#include "libruntime/core/splitmix.h"

namespace mnn {

// SplitMix64, seeded by the attribute `seed`, else by the node's operator and name.
class Generator {
 public:
  explicit Generator(const AttributeReader& c) : numbers_(seed_of(c)) {}
  // In [0, 1), 53 bits.
  double uniform() { return numbers_.uniform(); }
  // Mean 0, variance 1 (Box-Muller).
  double normal() {
    constexpr double kTwoPi = 6.283185307179586;
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(kTwoPi * uniform());
  }

 private:
  static uint64_t seed_of(const AttributeReader& c) {
    if (c.has("seed")) {
      const auto* whole = std::get_if<int64_t>(&c.node.attributes.find("seed")->second);
      return whole ? static_cast<uint64_t>(*whole) : std::bit_cast<uint64_t>(c.attr_float("seed"));
    }
    uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    for (const char ch : c.node.op + "/" + c.node.name)
      hash = (hash ^ static_cast<uint8_t>(ch)) * 0x100000001b3u;
    return hash;
  }

  SplitMix64 numbers_;
};

}  // namespace mnn
