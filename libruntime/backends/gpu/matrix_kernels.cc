// Products of matrices.
#include "libruntime/backends/gpu/code_kernels.h"
#include "libruntime/backends/gpu/kernel.h"
#include "libruntime/backends/gpu/operators.h"

namespace mnn::gpu {
namespace {

using Element = KernelRow::Element;

// y = after(before(v) + residual), as lower/epilogue.h says.
constexpr const char* kProductFinish = R"(
#define FINISH(v, i) activation(ACT_AFTER, activation(ACT_BEFORE, (v), before_a, before_b) + \
                                (RESIDUAL != 0 ? res[i] : 0.0f), after_a, after_b)
#define KEEP(e, f) v[e] = f.x; v[(e) + 1] = f.y; v[(e) + 2] = f.z; v[(e) + 3] = f.w;
)";

// x [m, k] with rows lda apart, times w [k, n] packed as [k][n4] F4, n4 even; an item makes ROWS
// (1 or 4) x 8 elements. `coded`: w as codes (code_kernels.h) of groups along k.
KernelRow gemm(bool coded) {
  KernelRow row;
  row.name = coded ? "mnn_gemm_codes" : "mnn_gemm";
  row.buffers = {{"x", Element::kFloat},
                 {"w", coded ? Element::kInt : Element::kF4},
                 {"bias", Element::kF4},
                 {"res", Element::kFloat},
                 {"y", Element::kFloat, true}};
  row.params = {{"m"},
                {"n"},
                {"k"},
                {"n4"},
                {"lda"},
                {"before_a", true},
                {"before_b", true},
                {"after_a", true},
                {"after_b", true}};
  row.constants = {"ACT_BEFORE", "ACT_AFTER", "RESIDUAL", "ROWS"};
  row.activations = true;
  row.functions = kProductFinish;
  if (coded) add_codes(row);
  row.body = R"(
  int columns = n4 / 2;
  int c = ITEM % columns * 2;
  int r = ITEM / columns * ROWS;
  if (r >= m) return;
  F4 a0 = bias[c];
  F4 b0 = bias[c + 1];
  F4 a1 = a0;
  F4 b1 = b0;
  F4 a2 = a0;
  F4 b2 = b0;
  F4 a3 = a0;
  F4 b3 = b0;
  int x0 = r * lda;
  int x1 = min(r + 1, m - 1) * lda;
  int x2 = min(r + 2, m - 1) * lda;
  int x3 = min(r + 3, m - 1) * lda;
)";
  row.body += coded ? R"(
  for (int part = 0; part * group < k; part++) {
  LOAD_SCALES(part, n4, c)
  for (int i = part * group; i < min(k, (part + 1) * group); i++) {
    LOAD_CODES(i * columns + c / 2)
)"
                    : R"(
  for (int i = 0; i < k; i++) {
    F4 u = w[i * n4 + c];
    F4 q = w[i * n4 + c + 1];
)";
  row.body += R"(
    float s0 = x[x0 + i];
    a0 = MAD(s0, u, a0);
    b0 = MAD(s0, q, b0);
    if (ROWS > 1) {
      float s1 = x[x1 + i];
      float s2 = x[x2 + i];
      float s3 = x[x3 + i];
      a1 = MAD(s1, u, a1);
      b1 = MAD(s1, q, b1);
      a2 = MAD(s2, u, a2);
      b2 = MAD(s2, q, b2);
      a3 = MAD(s3, u, a3);
      b3 = MAD(s3, q, b3);
    }
  }
)";
  if (coded) row.body += "  }\n";
  row.body += R"(
  float v[32];
  KEEP(0, a0)
  KEEP(4, b0)
  KEEP(8, a1)
  KEEP(12, b1)
  KEEP(16, a2)
  KEEP(20, b2)
  KEEP(24, a3)
  KEEP(28, b3)
  for (int e = 0; e < ROWS * 8; e++) {
    int row = r + e / 8;
    int column = c * 4 + e % 8;
    if (row < m && column < n) {
      int at = row * n + column;
      y[at] = FINISH(v[e], at);
    }
  }
)";
  return row;
}

// alpha a b + bias for any strides; t holds the offsets of a and b of each matrix of the batch. An
// item makes 4 x 4 elements.
KernelRow matmul() {
  KernelRow row;
  row.name = "mnn_matmul";
  row.buffers = {{"a", Element::kFloat},    {"b", Element::kFloat},   {"t", Element::kInt},
                 {"bias", Element::kFloat}, {"res", Element::kFloat}, {"y", Element::kFloat, true}};
  row.params = {{"batch"},
                {"m"},
                {"n"},
                {"k"},
                {"am"},
                {"ak"},
                {"bk"},
                {"bn"},
                {"alpha", true},
                {"before_a", true},
                {"before_b", true},
                {"after_a", true},
                {"after_b", true}};
  row.constants = {"ACT_BEFORE", "ACT_AFTER", "RESIDUAL", "BIAS"};
  row.activations = true;
  row.functions = kProductFinish;
  row.body = R"(
  int columns = (n + 3) / 4;
  int rows = (m + 3) / 4;
  int c = ITEM % columns * 4;
  int r = ITEM / columns % rows * 4;
  int z = ITEM / columns / rows;
  if (z >= batch) return;
  int a0 = t[2 * z] + r * am;
  int a1 = t[2 * z] + min(r + 1, m - 1) * am;
  int a2 = t[2 * z] + min(r + 2, m - 1) * am;
  int a3 = t[2 * z] + min(r + 3, m - 1) * am;
  int b0 = t[2 * z + 1] + c * bn;
  int b1 = t[2 * z + 1] + min(c + 1, n - 1) * bn;
  int b2 = t[2 * z + 1] + min(c + 2, n - 1) * bn;
  int b3 = t[2 * z + 1] + min(c + 3, n - 1) * bn;
  F4 s0 = F4_ZERO;
  F4 s1 = F4_ZERO;
  F4 s2 = F4_ZERO;
  F4 s3 = F4_ZERO;
  for (int i = 0; i < k; i++) {
    F4 q = F4_OF(b[b0 + i * bk], b[b1 + i * bk], b[b2 + i * bk], b[b3 + i * bk]);
    s0 = MAD(a[a0 + i * ak], q, s0);
    s1 = MAD(a[a1 + i * ak], q, s1);
    s2 = MAD(a[a2 + i * ak], q, s2);
    s3 = MAD(a[a3 + i * ak], q, s3);
  }
  float v[16];
  KEEP(0, s0)
  KEEP(4, s1)
  KEEP(8, s2)
  KEEP(12, s3)
  for (int e = 0; e < 16; e++) {
    int row = r + e / 4;
    int column = c + e % 4;
    if (row < m && column < n) {
      int at = (z * m + row) * n + column;
      float sum = BIAS != 0 ? alpha * v[e] + bias[column] : alpha * v[e];
      y[at] = FINISH(sum, at);
    }
  }
)";
  return row;
}

}  // namespace

std::vector<KernelRow> matrix_kernels() { return {gemm(false), gemm(true), matmul()}; }

}  // namespace mnn::gpu
