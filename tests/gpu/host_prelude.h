// The language of device kernels (libruntime/backends/gpu/kernel.h) in C++: what printed kernels
// need before them.
#pragma once

#include <algorithm>
#include <barrier>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

namespace mnn::host_kernels {

struct HostItem {
  int group = 0, lane = 0;
  std::barrier<>* barrier = nullptr;  // of the group's items, each a thread; null: there is none
};
struct HostArguments {
  std::vector<int> constants;
  std::vector<void*> buffers;
  std::vector<int> params;
  int* shared = nullptr;
};
struct HostKernel {
  const char* name;
  void (*call)(const HostItem& item, const HostArguments& arguments);
};

using uint = unsigned;
struct F4 {
  float x, y, z, w;
};
inline F4 MAD(float s, F4 v, F4 c) {
  return {s * v.x + c.x, s * v.y + c.y, s * v.z + c.z, s * v.w + c.w};
}
inline int DOT4(int a, int b, int c) {
  for (int k = 0; k < 4; ++k) c += (a << (24 - 8 * k) >> 24) * (b << (24 - 8 * k) >> 24);
  return c;
}
using std::ceil;
using std::floor;
using std::max;
using std::min;
using std::sqrt;

}  // namespace mnn::host_kernels

#define FUNC [[maybe_unused]] static
#define F4_ZERO (F4{0, 0, 0, 0})
#define F4_OF(a, b, c, d) (F4{(a), (b), (c), (d)})
#define AS_INT(x) std::bit_cast<int>(float(x))
#define AS_FLOAT(x) std::bit_cast<float>(int(x))
#define ABS(x) std::fabs(x)
#define POW(x, y) std::pow((x), (y))
#define ROUND_EVEN(x) std::nearbyint(x)
#define EXACT
#define BARRIER host_item.barrier->arrive_and_wait()
#define LANE host_item.lane
#define GROUP host_item.group
#define ITEM (GROUP * 64 + LANE)
