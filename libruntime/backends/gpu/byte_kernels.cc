// Convolutions, products and poolings of bytes: sums of products in 32-bit integers, requantized as
// kernels/conv.h says, so that results are those of the CPU bit for bit.
#include "libruntime/backends/gpu/byte_kernels.h"

#include "libruntime/backends/gpu/kernel.h"
#include "libruntime/backends/gpu/operators.h"
#include "libruntime/backends/gpu/window_kernels.h"

namespace mnn::gpu {
namespace {

using Element = KernelRow::Element;

// q [3][columns]: where sums start, the factor of the sum, the bias. RESIDUAL 0 none, 1 floats, 2
// bytes. BYTES: y is bytes, else floats.
constexpr const char* kRequantize = R"(
#define SUM_TO_REAL(sum, o) \
  (float(sum) * AS_FLOAT(q[columns + (o)]) + AS_FLOAT(q[2 * columns + (o)]))
#define ADDED(at, e, k) \
  (RESIDUAL == 1 ? AS_FLOAT(res[e]) : float(BYTE(res[at], k) - r_zero) * r_scale)
#define ROUNDED(v) TO_BYTE(ROUND_EVEN((v) * y_inverse) + y_zero)
)";

// Of a sum in column o: element e of y, which is byte k of the word at `at`.
constexpr const char* kFinishSum = R"(
#define FINISH_SUM(sum, o, at, e, k) \
  EXACT float v = SUM_TO_REAL(sum, o); \
  v = activation(ACT_BEFORE, v, before_a, before_b); \
  if (RESIDUAL != 0) v = v + ADDED(at, e, k); \
  v = activation(ACT_AFTER, v, after_a, after_b); \
  if (BYTES != 0) word = word | ROUNDED(v) << (8 * k); \
  else y[e] = AS_INT(v);
)";

KernelRow byte_row(const char* name) {
  KernelRow row;
  row.name = name;
  row.buffers = {{"x", Element::kInt},
                 {"w", Element::kInt},
                 {"q", Element::kInt},
                 {"res", Element::kInt},
                 {"y", Element::kInt, true}};
  // `outside`: the word of what lies outside of x.
  row.params = kWindow;
  row.params.push_back({"outside"});
  row.params.push_back({"y_inverse", true});
  row.params.push_back({"y_zero", true});
  row.params.push_back({"r_scale", true});
  row.params.push_back({"r_zero"});
  row.constants = {"ACT_BEFORE", "ACT_AFTER", "RESIDUAL", "BYTES"};
  row.activations = true;
  row.functions = std::string(kByteFunctions) + kRequantize + kFinishSum;
  return row;
}

// An item makes 4 pixels of 4 channels. w is packed as [group][tap][ic4][oc4 * 4] words of four
// inputs. ROWS: x [pixels][ic4] and y [pixels][oc4], matrices; else images [ic4][pixels].
KernelRow conv_bytes() {
  KernelRow row = byte_row("mnn_conv_bytes");
  row.constants.push_back("ROWS");
  row.functions += kPlaces;
  row.functions += R"(
#define AT(in, z, y, x) (in ? ((z * ih + y) * iw + x) * apart : 0)
)";
  row.body = R"(
  int pixels = od * oh * ow;
  int plane = id * ih * iw;
  int tiles = (pixels + 3) / 4;
  int blocks = (oc + 3) / 4;
  int p0 = ITEM % tiles * 4;
  int block = ITEM / tiles % blocks;
  int z = ITEM / tiles / blocks;
  if (z >= images * groups) return;
  int p1 = min(p0 + 1, pixels - 1);
  int p2 = min(p0 + 2, pixels - 1);
  int p3 = min(p0 + 3, pixels - 1);
  int c4 = (ic + 3) / 4;
  int apart = ROWS != 0 ? c4 : 1;
  int next = ROWS != 0 ? 1 : plane;
  int columns = groups * blocks * 4;
  int o = (z % groups * blocks + block) * 4;
  int a0 = q[o];
  int a1 = q[o + 1];
  int a2 = q[o + 2];
  int a3 = q[o + 3];
  int b0 = a0;
  int b1 = a1;
  int b2 = a2;
  int b3 = a3;
  int d0 = a0;
  int d1 = a1;
  int d2 = a2;
  int d3 = a3;
  int e0 = a0;
  int e1 = a1;
  int e2 = a2;
  int e3 = a3;
)";
  row.body += kFourPlaces;
  row.body += R"(
  int from = z * c4 * plane;
  int wi = z % groups * kd * kh * kw * c4 * blocks * 4 + block * 4;
  for (int kz = 0; kz < kd; kz++) {
    for (int ky = 0; ky < kh; ky++) {
      for (int kx = 0; kx < kw; kx++) {
)";
  row.body += kFourTaps;
  row.body += R"(
        for (int c = 0; c < c4; c++) {
          int w0 = w[wi];
          int w1 = w[wi + 1];
          int w2 = w[wi + 2];
          int w3 = w[wi + 3];
          int s0 = i0 ? x[t0] : outside;
          int s1 = i1 ? x[t1] : outside;
          int s2 = i2 ? x[t2] : outside;
          int s3 = i3 ? x[t3] : outside;
          a0 = DOT4(s0, w0, a0);
          a1 = DOT4(s0, w1, a1);
          a2 = DOT4(s0, w2, a2);
          a3 = DOT4(s0, w3, a3);
          b0 = DOT4(s1, w0, b0);
          b1 = DOT4(s1, w1, b1);
          b2 = DOT4(s1, w2, b2);
          b3 = DOT4(s1, w3, b3);
          d0 = DOT4(s2, w0, d0);
          d1 = DOT4(s2, w1, d1);
          d2 = DOT4(s2, w2, d2);
          d3 = DOT4(s2, w3, d3);
          e0 = DOT4(s3, w0, e0);
          e1 = DOT4(s3, w1, e1);
          e2 = DOT4(s3, w2, e2);
          e3 = DOT4(s3, w3, e3);
          t0 = t0 + next;
          t1 = t1 + next;
          t2 = t2 + next;
          t3 = t3 + next;
          wi = wi + blocks * 4;
        }
      }
    }
  }
  int s[16];
  s[0] = a0; s[1] = a1; s[2] = a2; s[3] = a3;
  s[4] = b0; s[5] = b1; s[6] = b2; s[7] = b3;
  s[8] = d0; s[9] = d1; s[10] = d2; s[11] = d3;
  s[12] = e0; s[13] = e1; s[14] = e2; s[15] = e3;
  for (int j = 0; j < 4 && p0 + j < pixels; j++) {
    int p = p0 + j;
    int at = ROWS != 0 ? p * blocks + block : (z * blocks + block) * pixels + p;
    int word = 0;
    for (int k = 0; k < 4 && block * 4 + k < oc; k++) {
      int channel = block * 4 + k;
      int e = ROWS != 0 ? p * oc + channel : (z * oc + channel) * pixels + p;
      FINISH_SUM(s[4 * j + k], o + k, at, e, k)
    }
    if (BYTES != 0) y[at] = word;
  }
)";
  return row;
}

// Every channel by itself: an item makes a pixel of 4 channels. w [tap][c4] words, q as above with
// c4 * 4 columns.
KernelRow depthwise_bytes() {
  KernelRow row = byte_row("mnn_depthwise_bytes");
  row.body = R"(
  int pixels = od * oh * ow;
  int plane = id * ih * iw;
  int blocks = (groups + 3) / 4;
  int p = ITEM % pixels;
  int block = ITEM / pixels % blocks;
  int z = ITEM / pixels / blocks;
  if (z >= images) return;
  int columns = blocks * 4;
  int from = (z * blocks + block) * plane;
  int z0 = p / ow / oh * sd - pd;
  int y0 = p / ow % oh * sh - ph;
  int x0 = p % ow * sw - pw;
  int s[4];
  for (int k = 0; k < 4; k++) s[k] = q[block * 4 + k];
  for (int kz = 0; kz < kd; kz++) {
    for (int ky = 0; ky < kh; ky++) {
      for (int kx = 0; kx < kw; kx++) {
        int tz = z0 + kz * dd;
        int ty = y0 + ky * dh;
        int tx = x0 + kx * dw;
        bool inside = tz >= 0 && tz < id && ty >= 0 && ty < ih && tx >= 0 && tx < iw;
        int v = inside ? x[from + (tz * ih + ty) * iw + tx] : outside;
        int u = w[((kz * kh + ky) * kw + kx) * blocks + block];
        for (int k = 0; k < 4; k++) s[k] = s[k] + BYTE(v, k) * BYTE(u, k);
      }
    }
  }
  int at = (z * blocks + block) * pixels + p;
  int word = 0;
  for (int k = 0; k < 4 && block * 4 + k < groups; k++) {
    int e = (z * groups + block * 4 + k) * pixels + p;
    FINISH_SUM(s[k], block * 4 + k, at, e, k)
  }
  if (BYTES != 0) y[at] = word;
)";
  return row;
}

// As mnn_pool, of words: an item makes one. MEAN: (sum - zeros) * factor / count + offset.
KernelRow pool_bytes() {
  KernelRow row;
  row.name = "mnn_pool_bytes";
  row.buffers = {{"x", Element::kInt}, {"y", Element::kInt, true}};
  row.params = {{"planes"},       {"id"},          {"ih"}, {"iw"}, {"od"},         {"oh"},
                {"ow"},           {"kd"},          {"kh"}, {"kw"}, {"sd"},         {"sh"},
                {"sw"},           {"dd"},          {"dh"}, {"dw"}, {"pd"},         {"ph"},
                {"pw"},           {"ed"},          {"eh"}, {"ew"}, {"count_pads"}, {"zero"},
                {"factor", true}, {"offset", true}};
  row.constants = {"MEAN"};
  row.functions = std::string(kByteFunctions) + R"(
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
  int s[4];
  for (int k = 0; k < 4; k++) s[k] = MEAN != 0 ? 0 : -128;
  int count = 0;
  for (int kz = max(0, (dd - 1 - z0) / dd); kz < kd && z0 + kz * dd < id; kz++) {
    for (int ky = max(0, (dh - 1 - y0) / dh); ky < kh && y0 + ky * dh < ih; ky++) {
      for (int kx = max(0, (dw - 1 - x0) / dw); kx < kw && x0 + kx * dw < iw; kx++) {
        int v = x[from + ((z0 + kz * dd) * ih + y0 + ky * dh) * iw + x0 + kx * dw];
        for (int k = 0; k < 4; k++) s[k] = MEAN != 0 ? s[k] + BYTE(v, k) : max(s[k], BYTE(v, k));
        count = count + 1;
      }
    }
  }
  int divisor = count;
  if (count_pads != 0) {
    divisor = TAPS(oz, sd, pd, kd, dd, ed) * TAPS(oy, sh, ph, kh, dh, eh) *
              TAPS(ox, sw, pw, kw, dw, ew);
  }
  int word = 0;
  for (int k = 0; k < 4; k++) {
    if (MEAN != 0) {
      EXACT float v = float(s[k] - count * zero) * (factor / float(divisor)) + offset;
      word = word | TO_BYTE(ROUND_EVEN(v)) << (8 * k);
    } else {
      word = word | (s[k] & 255) << (8 * k);
    }
  }
  y[ITEM] = word;
)";
  return row;
}

// The mean of each channel: x [images * c4][pixels] words, y [images * c4] words.
KernelRow mean_bytes() {
  KernelRow row;
  row.name = "mnn_mean_bytes";
  row.buffers = {{"x", Element::kInt}, {"y", Element::kInt, true}};
  row.params = {{"planes"},       {"pixels"},        {"zero"},
                {"factor", true}, {"y_scale", true}, {"y_zero", true}};
  row.functions = kByteFunctions;
  row.body = R"(
  if (ITEM >= planes) return;
  int s[4];
  for (int k = 0; k < 4; k++) s[k] = 0;
  for (int p = 0; p < pixels; p++) {
    int v = x[ITEM * pixels + p];
    for (int k = 0; k < 4; k++) s[k] = s[k] + BYTE(v, k);
  }
  int word = 0;
  for (int k = 0; k < 4; k++) {
    float v = float(s[k] - pixels * zero) * factor;
    word = word | TO_BYTE(ROUND_EVEN(v / y_scale) + y_zero) << (8 * k);
  }
  y[ITEM] = word;
)";
  return row;
}

// Floats [outer][channels][inner] as words [outer][c4][inner], and back. Bytes of channels that do
// not exist are 0.
KernelRow to_bytes() {
  KernelRow row;
  row.name = "mnn_to_bytes";
  row.buffers = {{"x", Element::kFloat}, {"y", Element::kInt, true}};
  row.params = {{"n"}, {"channels"}, {"inner"}, {"scale", true}, {"zero", true}};
  row.functions = kByteFunctions;
  row.body = R"(
  if (ITEM >= n) return;
  int c4 = (channels + 3) / 4;
  int c = ITEM / inner % c4 * 4;
  int from = (ITEM / inner / c4 * channels + c) * inner + ITEM % inner;
  int word = 0;
  for (int k = 0; k < 4 && c + k < channels; k++) {
    word = word | TO_BYTE(ROUND_EVEN(x[from + k * inner] / scale) + zero) << (8 * k);
  }
  y[ITEM] = word;
)";
  return row;
}

KernelRow from_bytes() {
  KernelRow row;
  row.name = "mnn_from_bytes";
  row.buffers = {{"x", Element::kInt}, {"y", Element::kFloat, true}};
  row.params = {{"n"}, {"channels"}, {"inner"}, {"scale", true}, {"zero"}};
  row.functions = kByteFunctions;
  row.body = R"(
  if (ITEM >= n) return;
  int c = ITEM / inner % channels;
  int v = x[(ITEM / inner / channels * ((channels + 3) / 4) + c / 4) * inner + ITEM % inner];
  y[ITEM] = float(BYTE(v, c % 4) - zero) * scale;
)";
  return row;
}

}  // namespace

std::vector<KernelRow> byte_kernels() {
  return {conv_bytes(), depthwise_bytes(), pool_bytes(), mean_bytes(), to_bytes(), from_bytes()};
}

}  // namespace mnn::gpu
