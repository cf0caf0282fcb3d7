// Convolutions and poolings of images [n, channels, depth, height, width].
#include "libruntime/backends/gpu/code_kernels.h"
#include "libruntime/backends/gpu/kernel.h"
#include "libruntime/backends/gpu/operators.h"
#include "libruntime/backends/gpu/window_kernels.h"

namespace mnn::gpu {
namespace {

using Element = KernelRow::Element;

constexpr const char* kConvFinish = R"(
#define FINISH(v, i) activation(ACT_AFTER, activation(ACT_BEFORE, (v), before_a, before_b) + \
                                (RESIDUAL != 0 ? res[i] : 0.0f), after_a, after_b)
)";

KernelRow conv_row(const char* name, Element weights) {
  KernelRow row;
  row.name = name;
  row.buffers = {{"x", Element::kFloat},
                 {"w", weights},
                 {"bias", weights},
                 {"res", Element::kFloat},
                 {"y", Element::kFloat, true}};
  row.params = kWindow;
  row.constants = {"ACT_BEFORE", "ACT_AFTER", "RESIDUAL"};
  row.activations = true;
  row.functions = kConvFinish;
  return row;
}

// An item makes 4 pixels of 8 channels. w is packed as [group][tap][ic][o4] F4, o4 = oc / 4 rounded
// up to an even number. POINT: one tap, no pads, no strides. `coded`: w as codes (code_kernels.h);
// PARTS: with scales per `group` input channels of each tap, else per group of channels.
KernelRow conv(bool coded) {
  KernelRow row = conv_row(coded ? "mnn_conv_codes" : "mnn_conv", Element::kF4);
  row.constants.push_back("POINT");
  if (coded) {
    row.buffers[1].element = Element::kInt;
    add_codes(row);
    row.constants.push_back("PARTS");
    row.functions += R"(
#define WEIGHTS \
  if (PARTS != 0) SET_SCALES(wi / o4 / ic * ((ic + group - 1) / group) + c / group, o4, block * 2) \
  LOAD_CODES(wi / 2)
)";
  } else {
    row.functions += R"(
#define WEIGHTS F4 u = w[wi]; F4 q = w[wi + 1];
)";
  }
  row.functions += kPlaces;
  row.functions += R"(
#define AT(in, z, y, x) (in ? (z * ih + y) * iw + x : 0)
#define KEEP(e, f) v[e] = f.x; v[(e) + 1] = f.y; v[(e) + 2] = f.z; v[(e) + 3] = f.w;
)";
  row.body = R"(
  int pixels = od * oh * ow;
  int plane = id * ih * iw;
  int tiles = (pixels + 3) / 4;
  int blocks = (oc + 7) / 8;
  int p0 = ITEM % tiles * 4;
  int block = ITEM / tiles % blocks;
  int z = ITEM / tiles / blocks;
  if (z >= images * groups) return;
  int p1 = min(p0 + 1, pixels - 1);
  int p2 = min(p0 + 2, pixels - 1);
  int p3 = min(p0 + 3, pixels - 1);
  int o4 = blocks * 2;
  int g = z % groups;
  F4 a0 = bias[g * o4 + block * 2];
  F4 b0 = bias[g * o4 + block * 2 + 1];
  F4 a1 = a0;
  F4 b1 = b0;
  F4 a2 = a0;
  F4 b2 = b0;
  F4 a3 = a0;
  F4 b3 = b0;
  int from = z * ic * plane;
  int wi = g * kd * kh * kw * ic * o4 + block * 2;
)";
  if (coded) row.body += "  LOAD_SCALES(PARTS != 0 ? 0 : g, o4, block * 2)\n";
  row.body += R"(
  if (POINT != 0) {
    for (int c = 0; c < ic; c++) {
      WEIGHTS
      float s0 = x[from + p0];
      float s1 = x[from + p1];
      float s2 = x[from + p2];
      float s3 = x[from + p3];
      a0 = MAD(s0, u, a0);
      b0 = MAD(s0, q, b0);
      a1 = MAD(s1, u, a1);
      b1 = MAD(s1, q, b1);
      a2 = MAD(s2, u, a2);
      b2 = MAD(s2, q, b2);
      a3 = MAD(s3, u, a3);
      b3 = MAD(s3, q, b3);
      from = from + plane;
      wi = wi + o4;
    }
  } else {
)";
  row.body += kFourPlaces;
  row.body += R"(
    for (int kz = 0; kz < kd; kz++) {
      for (int ky = 0; ky < kh; ky++) {
        for (int kx = 0; kx < kw; kx++) {
)";
  row.body += kFourTaps;
  row.body += R"(
          for (int c = 0; c < ic; c++) {
            WEIGHTS
            float s0 = i0 ? x[t0] : 0.0f;
            float s1 = i1 ? x[t1] : 0.0f;
            float s2 = i2 ? x[t2] : 0.0f;
            float s3 = i3 ? x[t3] : 0.0f;
            a0 = MAD(s0, u, a0);
            b0 = MAD(s0, q, b0);
            a1 = MAD(s1, u, a1);
            b1 = MAD(s1, q, b1);
            a2 = MAD(s2, u, a2);
            b2 = MAD(s2, q, b2);
            a3 = MAD(s3, u, a3);
            b3 = MAD(s3, q, b3);
            t0 = t0 + plane;
            t1 = t1 + plane;
            t2 = t2 + plane;
            t3 = t3 + plane;
            wi = wi + o4;
          }
        }
      }
    }
  }
  float v[32];
  KEEP(0, a0)
  KEEP(4, b0)
  KEEP(8, a1)
  KEEP(12, b1)
  KEEP(16, a2)
  KEEP(20, b2)
  KEEP(24, a3)
  KEEP(28, b3)
  for (int e = 0; e < 32; e++) {
    int p = p0 + e / 8;
    int channel = block * 8 + e % 8;
    if (p < pixels && channel < oc) {
      int at = (z * oc + channel) * pixels + p;
      y[at] = FINISH(v[e], at);
    }
  }
)";
  return row;
}

// An item makes one element, w as it is: [groups * oc][ic][taps]. For few channels a group
// (depthwise), and for weights that come with each run. BIAS: there is one. `coded`: w as codes in
// that order, with a scale per channel.
KernelRow conv_single(bool coded) {
  KernelRow row = conv_row(coded ? "mnn_conv_single_codes" : "mnn_conv_single", Element::kFloat);
  row.constants.push_back("BIAS");
  row.functions += coded ? kSingleCode : "#define WEIGHT(i, channel) w[i]\n";
  if (coded) {
    row.buffers[1].element = Element::kInt;
    row.buffers.insert(row.buffers.begin() + 2, {"scales", Element::kFloat});
    row.constants.push_back("BITS");
    row.constants.push_back("OFFSET");
  }
  row.body = R"(
  int pixels = od * oh * ow;
  int p = ITEM % pixels;
  int o = ITEM / pixels;
  if (o >= images * groups * oc) return;
  int z0 = p / ow / oh * sd - pd;
  int y0 = p / ow % oh * sh - ph;
  int x0 = p % ow * sw - pw;
  int plane = id * ih * iw;
  int taps = kd * kh * kw;
  int channel = o % (groups * oc);
  int from = o / oc * ic * plane;
  float sum = BIAS != 0 ? bias[channel] : 0.0f;
  for (int kz = max(0, (dd - 1 - z0) / dd); kz < kd && z0 + kz * dd < id; kz++) {
    for (int ky = max(0, (dh - 1 - y0) / dh); ky < kh && y0 + ky * dh < ih; ky++) {
      for (int kx = max(0, (dw - 1 - x0) / dw); kx < kw && x0 + kx * dw < iw; kx++) {
        int at = from + ((z0 + kz * dd) * ih + y0 + ky * dh) * iw + x0 + kx * dw;
        int wi = channel * ic * taps + (kz * kh + ky) * kw + kx;
        for (int c = 0; c < ic; c++) sum = sum + x[at + c * plane] * WEIGHT(wi + c * taps, channel);
      }
    }
  }
  y[ITEM] = FINISH(sum, ITEM);
)";
  return row;
}

// An item makes one element: it asks which inputs reach it. w as it is: [groups * ic][oc][taps].
KernelRow conv_transpose() {
  KernelRow row = conv_row("mnn_conv_transpose", Element::kFloat);
  row.constants.push_back("BIAS");
  row.body = R"(
  int pixels = od * oh * ow;
  int p = ITEM % pixels;
  int o = ITEM / pixels;
  if (o >= images * groups * oc) return;
  int plane = id * ih * iw;
  int taps = kd * kh * kw;
  int channel = o % (groups * oc);
  int from = o / oc * ic * plane;
  int wo = (channel / oc * ic * oc + channel % oc) * taps;
  float sum = BIAS != 0 ? bias[channel] : 0.0f;
  for (int kz = 0; kz < kd; kz++) {
    int z = p / ow / oh + pd - kz * dd;
    if (z < 0 || z % sd != 0 || z / sd >= id) continue;
    for (int ky = 0; ky < kh; ky++) {
      int yy = p / ow % oh + ph - ky * dh;
      if (yy < 0 || yy % sh != 0 || yy / sh >= ih) continue;
      for (int kx = 0; kx < kw; kx++) {
        int xx = p % ow + pw - kx * dw;
        if (xx < 0 || xx % sw != 0 || xx / sw >= iw) continue;
        int at = from + (z / sd * ih + yy / sh) * iw + xx / sw;
        int wi = wo + (kz * kh + ky) * kw + kx;
        for (int c = 0; c < ic; c++) sum = sum + x[at + c * plane] * w[wi + c * oc * taps];
      }
    }
  }
  y[ITEM] = FINISH(sum, ITEM);
)";
  return row;
}

// An item makes one element. MEAN, else the greatest; e… the extent that windows may reach, pads
// included; count_pads: pads count in the divisor.
KernelRow pool() {
  KernelRow row;
  row.name = "mnn_pool";
  row.buffers = {{"x", Element::kFloat}, {"y", Element::kFloat, true}};
  row.params = {{"planes"}, {"id"}, {"ih"}, {"iw"}, {"od"}, {"oh"}, {"ow"},        {"kd"},
                {"kh"},     {"kw"}, {"sd"}, {"sh"}, {"sw"}, {"dd"}, {"dh"},        {"dw"},
                {"pd"},     {"ph"}, {"pw"}, {"ed"}, {"eh"}, {"ew"}, {"count_pads"}};
  row.constants = {"MEAN"};
  row.functions = R"(
#define TAPS(o, s, p, k, d, e) ((min(o * s - p + (k - 1) * d, e - 1) - (o * s - p)) / d + 1)
)";
  row.body = R"(
  int pixels = od * oh * ow;
  if (ITEM >= planes * pixels) return;
  int p = ITEM % pixels;
  int from = ITEM / pixels * id * ih * iw;
  int oz = p / ow / oh;
  int oy = p / ow % oh;
  int ox = p % ow;
  int z0 = oz * sd - pd;
  int y0 = oy * sh - ph;
  int x0 = ox * sw - pw;
  float sum = MEAN != 0 ? 0.0f : AS_FLOAT(-8388608);
  int count = 0;
  for (int kz = max(0, (dd - 1 - z0) / dd); kz < kd && z0 + kz * dd < id; kz++) {
    for (int ky = max(0, (dh - 1 - y0) / dh); ky < kh && y0 + ky * dh < ih; ky++) {
      for (int kx = max(0, (dw - 1 - x0) / dw); kx < kw && x0 + kx * dw < iw; kx++) {
        float v = x[from + ((z0 + kz * dd) * ih + y0 + ky * dh) * iw + x0 + kx * dw];
        if (MEAN != 0) sum = sum + v;
        else sum = v > sum || v != v ? v : sum;
        count = count + 1;
      }
    }
  }
  if (MEAN != 0) {
    if (count_pads != 0) {
      count = TAPS(oz, sd, pd, kd, dd, ed) * TAPS(oy, sh, ph, kh, dh, eh) *
              TAPS(ox, sw, pw, kw, dw, ew);
    }
    sum = sum / float(count);
  }
  y[ITEM] = sum;
)";
  return row;
}

}  // namespace

std::vector<KernelRow> conv_kernels() {
  return {conv(false), conv(true), conv_single(false), conv_single(true), conv_transpose(), pool()};
}

}  // namespace mnn::gpu
