// What kernels of convolutions have in common: their parameters, and where an item that makes four
// neighbouring pixels finds what a tap reads.
#pragma once

#include "libruntime/backends/gpu/kernel.h"

namespace mnn::gpu {

// Of one image: ic and oc channels a group, and the window along d, h, w; what activation() takes.
inline const std::vector<KernelRow::Param> kWindow = {{"images"},
                                                      {"groups"},
                                                      {"ic"},
                                                      {"oc"},
                                                      {"id"},
                                                      {"ih"},
                                                      {"iw"},
                                                      {"od"},
                                                      {"oh"},
                                                      {"ow"},
                                                      {"kd"},
                                                      {"kh"},
                                                      {"kw"},
                                                      {"sd"},
                                                      {"sh"},
                                                      {"sw"},
                                                      {"dd"},
                                                      {"dh"},
                                                      {"dw"},
                                                      {"pd"},
                                                      {"ph"},
                                                      {"pw"},
                                                      {"before_a", true},
                                                      {"before_b", true},
                                                      {"after_a", true},
                                                      {"after_b", true}};

// Functions. PLACE(p, z, y, x): the first tap of pixel p. INSIDE(z, y, x): whether that lies in the
// image. A kernel defines AT(inside, z, y, x), the index of that pixel, any for one outside.
inline constexpr const char* kPlaces = R"(
#define PLACE(p, z, y, x) int z = p / ow / oh * sd - pd; int y = p / ow % oh * sh - ph; \
                          int x = p % ow * sw - pw;
#define INSIDE(z, y, x) (z >= 0 && z < id && y >= 0 && y < ih && x >= 0 && x < iw)
)";

// In a body: the places of pixels p0 to p3.
inline constexpr const char* kFourPlaces = R"(
  PLACE(p0, z0, y0, x0)
  PLACE(p1, z1, y1, x1)
  PLACE(p2, z2, y2, x2)
  PLACE(p3, z3, y3, x3)
)";

// In a loop over taps (kz, ky, kx): where they read, t0 to t3, and whether that is inside, i0 to
// i3.
inline constexpr const char* kFourTaps = R"(
  int tz = kz * dd;
  int ty = ky * dh;
  int tx = kx * dw;
  bool i0 = INSIDE(z0 + tz, y0 + ty, x0 + tx);
  bool i1 = INSIDE(z1 + tz, y1 + ty, x1 + tx);
  bool i2 = INSIDE(z2 + tz, y2 + ty, x2 + tx);
  bool i3 = INSIDE(z3 + tz, y3 + ty, x3 + tx);
  int t0 = from + AT(i0, (z0 + tz), (y0 + ty), (x0 + tx));
  int t1 = from + AT(i1, (z1 + tz), (y1 + ty), (x1 + tx));
  int t2 = from + AT(i2, (z2 + tz), (y2 + ty), (x2 + tx));
  int t3 = from + AT(i3, (z3 + tz), (y3 + ty), (x3 + tx));
)";

}  // namespace mnn::gpu
