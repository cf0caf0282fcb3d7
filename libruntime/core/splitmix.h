// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): the
// whole state is one number, the sequence is the same on every machine.
#pragma once

#include <cstdint>

namespace mnn {

inline constexpr uint64_t kSplitMixStep = 0x9e3779b97f4a7c15u;

// The number that the state `z` gives: of neighbouring states ones that have nothing to do with
// each other.
constexpr uint64_t splitmix(uint64_t z) {
  z += kSplitMixStep;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

class SplitMix64 {
 public:
  explicit constexpr SplitMix64(uint64_t seed) : state_(seed) {}
  constexpr uint64_t next() {
    const uint64_t number = splitmix(state_);
    state_ += kSplitMixStep;
    return number;
  }
  // In [0, 1), 53 bits.
  constexpr double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

}  // namespace mnn
