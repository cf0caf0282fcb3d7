// Arithmetic on integers of 32 and 64 bits, all of it in 64.
#include "libruntime/backends/gpu/integer_kernels.h"

#include "libruntime/backends/gpu/kernel.h"

namespace mnn::gpu {
namespace {

using Element = KernelRow::Element;

KernelRow integer() {
  KernelRow row;
  row.name = "mnn_integer";
  row.buffers = {{"s0", Element::kInt},
                 {"s1", Element::kInt},
                 {"s2", Element::kInt},
                 {"t", Element::kInt},
                 {"y", Element::kInt, true}};
  row.params = {{"n"}, {"depth"}};
  row.constants = {"OP", "WIDE0", "WIDE1", "WIDE2", "WIDE"};
  row.functions = R"(
#define PLACE(p, base) int p = t[base]; \
  for (int d = 0; d < depth; d++) p = p + c[d] * t[base + 1 + d];
#define HIGH(s, p, wide, low) (wide != 0 ? s[2 * p + 1] : low < 0 ? -1 : 0)
FUNC int below(int a, int b) { return uint(a) < uint(b) ? 1 : 0; }
FUNC int high_of_product(int a, int b) {
  uint al = uint(a) & 65535u;
  uint ah = uint(a) >> 16;
  uint bl = uint(b) & 65535u;
  uint bh = uint(b) >> 16;
  uint middle = ah * bl + (al * bl >> 16);
  uint other = al * bh + (middle & 65535u);
  return int(ah * bh + (middle >> 16) + (other >> 16));
}
)";
  // What OP is: integer_kernels.h.
  row.body = R"(
  if (ITEM >= n) return;
  int c[8];
  int rest = ITEM;
  for (int d = depth - 1; d >= 0; d--) {
    c[d] = rest % t[d];
    rest = rest / t[d];
  }
  PLACE(p, depth)
  PLACE(q, 2 * depth + 1)
  PLACE(r, 3 * depth + 2)
  PLACE(o, 4 * depth + 3)
  int a = WIDE0 != 0 ? s0[2 * p] : s0[p];
  int ah = HIGH(s0, p, WIDE0, a);
  int b = WIDE1 != 0 ? s1[2 * q] : s1[q];
  int bh = HIGH(s1, q, WIDE1, b);
  int less = ah < bh || (ah == bh && below(a, b) != 0) ? 1 : 0;
  int same = a == b && ah == bh ? 1 : 0;
  int low = a;
  int high = ah;
  if (OP == 1) {
    low = int(uint(a) + uint(b));
    high = int(uint(ah) + uint(bh) + uint(below(low, a)));
  } else if (OP == 2) {
    low = int(uint(a) - uint(b));
    high = int(uint(ah) - uint(bh) - uint(below(a, b)));
  } else if (OP == 3) {
    low = int(uint(a) * uint(b));
    high = int(uint(high_of_product(a, b)) + uint(a) * uint(bh) + uint(ah) * uint(b));
  } else if (OP == 4 || OP == 5) {
    bool first = OP == 4 ? less != 0 : less == 0;
    low = first ? a : b;
    high = first ? ah : bh;
  } else if (OP == 6) {
    low = same;
  } else if (OP == 7) {
    low = less;
  } else if (OP == 8) {
    low = less != 0 || same != 0 ? 1 : 0;
  } else if (OP == 9) {
    low = less == 0 && same == 0 ? 1 : 0;
  } else if (OP == 10) {
    low = less == 0 ? 1 : 0;
  } else if (OP == 11) {
    int v = WIDE2 != 0 ? s2[2 * r] : s2[r];
    int vh = HIGH(s2, r, WIDE2, v);
    low = a != 0 ? b : v;
    high = a != 0 ? bh : vh;
  }
  if (WIDE != 0) {
    y[2 * o] = low;
    y[2 * o + 1] = high;
  } else {
    y[o] = low;
  }
)";
  return row;
}

}  // namespace

std::vector<KernelRow> integer_kernels() { return {integer()}; }

}  // namespace mnn::gpu
