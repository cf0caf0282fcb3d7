// Kernels over rows: reductions, softmax, normalizations, and the steps of recurrent layers.
#include "libruntime/backends/gpu/kernel.h"
#include "libruntime/backends/gpu/operators.h"

namespace mnn::gpu {
namespace {

using Element = KernelRow::Element;

// JOINED(a, b) of what every item of the group has in v comes to s[0].
constexpr const char* kTree = R"(
#define TREE(JOINED) \
  s[LANE] = v; \
  BARRIER; \
  for (int step = 32; step > 0; step = step / 2) { \
    if (LANE < step) s[LANE] = JOINED(s[LANE], s[LANE + step]); \
    BARRIER; \
  }
#define PLUS(a, b) ((a) + (b))
)";

// KIND 0 sum, 1 greatest, 2 least, 3 sum of squares, 4 sum of sizes; then divided by `count`, and
// AFTER 1 the root, 2 the logarithm.
constexpr const char* kReduce = R"(
#define FIRST(v) (KIND == 3 ? (v) * (v) : KIND == 4 ? ABS(v) : (v))
#define JOIN(a, b) (KIND == 1 ? greater_of((a), (b)) : KIND == 2 ? less_of((a), (b)) : (a) + (b))
#define NOTHING (KIND == 1 ? AS_FLOAT(-8388608) : KIND == 2 ? AS_FLOAT(0x7f800000) : 0.0f)
#define LAST(v) (AFTER == 1 ? sqrt((v) / count) : AFTER == 2 ? log_of((v) / count) : (v) / count)
)";

// A group per row of n elements.
KernelRow reduce_row() {
  KernelRow row;
  row.name = "mnn_reduce_row";
  row.buffers = {{"x", Element::kFloat}, {"y", Element::kFloat, true}};
  row.params = {{"rows"}, {"n"}, {"count", true}};
  row.constants = {"KIND", "AFTER"};
  row.shared = {{"s", Element::kFloat, kGroup}};
  row.functions = math_functions() + kTree + kReduce;
  row.body = R"(
  int r = GROUP;
  if (r >= rows) return;
  float v = NOTHING;
  for (int i = LANE; i < n; i += 64) v = JOIN(v, FIRST(x[r * n + i]));
  TREE(JOIN)
  if (LANE == 0) y[r] = LAST(s[0]);
)";
  return row;
}

// x [outer, n, inner] -> y [outer, inner]: an item per element of y.
KernelRow reduce_column() {
  KernelRow row;
  row.name = "mnn_reduce_column";
  row.buffers = {{"x", Element::kFloat}, {"y", Element::kFloat, true}};
  row.params = {{"outer"}, {"n"}, {"inner"}, {"count", true}};
  row.constants = {"KIND", "AFTER"};
  row.functions = math_functions() + kReduce;
  row.body = R"(
  if (ITEM >= outer * inner) return;
  int from = ITEM / inner * n * inner + ITEM % inner;
  float v = NOTHING;
  for (int i = 0; i < n; i++) v = JOIN(v, FIRST(x[from + i * inner]));
  y[ITEM] = LAST(v);
)";
  return row;
}

// FORM 0 softmax, 1 its logarithm, 2 softmax where a row of minus infinities gives zeros.
constexpr const char* kSoftmax = R"(
#define NEVER(most) (FORM == 2 && AS_INT(most) == -8388608)
)";

KernelRow softmax_row() {
  KernelRow row;
  row.name = "mnn_softmax_row";
  row.buffers = {{"x", Element::kFloat}, {"y", Element::kFloat, true}};
  row.params = {{"rows"}, {"n"}};
  row.constants = {"FORM"};
  row.shared = {{"s", Element::kFloat, kGroup}};
  row.functions = math_functions() + kTree + kSoftmax;
  row.body = R"(
  int r = GROUP;
  if (r >= rows) return;
  float v = AS_FLOAT(-8388608);
  for (int i = LANE; i < n; i += 64) v = greater_of(v, x[r * n + i]);
  TREE(greater_of)
  float most = s[0];
  BARRIER;
  v = 0.0f;
  for (int i = LANE; i < n; i += 64) v = v + exp_of(x[r * n + i] - most);
  TREE(PLUS)
  float sum = FORM == 1 ? log_of(s[0]) : s[0];
  for (int i = LANE; i < n; i += 64) {
    float d = x[r * n + i] - most;
    y[r * n + i] = FORM == 1 ? d - sum : NEVER(most) ? 0.0f : exp_of(d) / sum;
  }
)";
  return row;
}

// x [outer, n, inner] along n: an item per (outer, inner).
KernelRow softmax_column() {
  KernelRow row;
  row.name = "mnn_softmax_column";
  row.buffers = {{"x", Element::kFloat}, {"y", Element::kFloat, true}};
  row.params = {{"outer"}, {"n"}, {"inner"}};
  row.constants = {"FORM"};
  row.functions = math_functions() + kSoftmax;
  row.body = R"(
  if (ITEM >= outer * inner) return;
  int from = ITEM / inner * n * inner + ITEM % inner;
  float most = AS_FLOAT(-8388608);
  for (int i = 0; i < n; i++) most = greater_of(most, x[from + i * inner]);
  float sum = 0.0f;
  for (int i = 0; i < n; i++) sum = sum + exp_of(x[from + i * inner] - most);
  if (FORM == 1) sum = log_of(sum);
  for (int i = 0; i < n; i++) {
    float d = x[from + i * inner] - most;
    y[from + i * inner] = FORM == 1 ? d - sum : NEVER(most) ? 0.0f : exp_of(d) / sum;
  }
)";
  return row;
}

// A group per row of n elements: of layers, of channels, of groups of channels. Element i of row r
// is scaled and shifted by entry (r % groups) * channels + i / space. RMS: no mean is taken away.
KernelRow norm_row() {
  KernelRow row;
  row.name = "mnn_norm_row";
  row.buffers = {{"x", Element::kFloat},
                 {"gain", Element::kFloat},
                 {"bias", Element::kFloat},
                 {"y", Element::kFloat, true}};
  row.params = {{"rows"}, {"n"}, {"groups"}, {"channels"}, {"space"}, {"epsilon", true}};
  row.constants = {"RMS", "GAIN", "BIAS"};
  row.shared = {{"s", Element::kFloat, kGroup}};
  row.functions = kTree;
  row.body = R"(
  int r = GROUP;
  if (r >= rows) return;
  float mean = 0.0f;
  float v = 0.0f;
  if (RMS == 0) {
    for (int i = LANE; i < n; i += 64) v = v + x[r * n + i];
    TREE(PLUS)
    mean = s[0] / float(n);
    BARRIER;
  }
  v = 0.0f;
  for (int i = LANE; i < n; i += 64) {
    float d = x[r * n + i] - mean;
    v = v + d * d;
  }
  TREE(PLUS)
  float scale = 1.0f / sqrt(s[0] / float(n) + epsilon);
  for (int i = LANE; i < n; i += 64) {
    int e = r % groups * channels + i / space;
    float d = (x[r * n + i] - mean) * scale;
    if (GAIN != 0) d = d * gain[e];
    if (BIAS != 0) d = d + bias[e];
    y[r * n + i] = d;
  }
)";
  return row;
}

// One step of an LSTM, an item per unit of a batch. x holds what the input adds to the gates i, o,
// f, c (biases included) at offset `at`, rows 4 hidden apart by `pitch`; r [4][hidden][hidden]. h
// and c are read at `from` and written at `to`, and h once more to y.
KernelRow lstm_step() {
  KernelRow row;
  row.name = "mnn_lstm_step";
  row.buffers = {{"x", Element::kFloat},          {"r", Element::kFloat},
                 {"hin", Element::kFloat},        {"cin", Element::kFloat},
                 {"hout", Element::kFloat, true}, {"cout", Element::kFloat, true},
                 {"y", Element::kFloat, true}};
  row.params = {{"batch"}, {"hidden"}, {"x_at"}, {"x_pitch"},
                {"r_at"},  {"h_at"},   {"y_at"}, {"y_pitch"}};
  row.functions = math_functions();
  row.body = R"(
  int u = ITEM % hidden;
  int b = ITEM / hidden;
  if (b >= batch) return;
  int at = x_at + b * x_pitch + u;
  float i = x[at];
  float o = x[at + hidden];
  float f = x[at + 2 * hidden];
  float g = x[at + 3 * hidden];
  int block = hidden * hidden;
  int w = r_at + u * hidden;
  int h = h_at + b * hidden;
  for (int k = 0; k < hidden; k++) {
    float v = hin[h + k];
    i = i + v * r[w + k];
    o = o + v * r[w + block + k];
    f = f + v * r[w + 2 * block + k];
    g = g + v * r[w + 3 * block + k];
  }
  float c = sigmoid(f) * cin[h + u] + sigmoid(i) * tanh_of(g);
  float v = sigmoid(o) * tanh_of(c);
  cout[h + u] = c;
  hout[h + u] = v;
  y[y_at + b * y_pitch + u] = v;
)";
  return row;
}

// The same of a GRU with gates z, r, h. RESET_AFTER: the reset gate multiplies the product with the
// recurrent bias `rb` [hidden] of gate h; else it multiplies h before the product.
KernelRow gru_step() {
  KernelRow row;
  row.name = "mnn_gru_step";
  row.buffers = {{"x", Element::kFloat},          {"r", Element::kFloat},
                 {"rb", Element::kFloat},         {"hin", Element::kFloat},
                 {"hout", Element::kFloat, true}, {"y", Element::kFloat, true}};
  row.params = {{"batch"}, {"hidden"}, {"x_at"}, {"x_pitch"}, {"r_at"},
                {"rb_at"}, {"h_at"},   {"y_at"}, {"y_pitch"}};
  row.constants = {"RESET_AFTER"};
  row.functions = math_functions();
  row.body = R"(
  int u = ITEM % hidden;
  int b = ITEM / hidden;
  if (b >= batch) return;
  int at = x_at + b * x_pitch + u;
  float z = x[at];
  float q = x[at + hidden];
  int block = hidden * hidden;
  int w = r_at + u * hidden;
  int h = h_at + b * hidden;
  float n = RESET_AFTER != 0 ? rb[rb_at + u] : 0.0f;
  for (int k = 0; k < hidden; k++) {
    float v = hin[h + k];
    z = z + v * r[w + k];
    q = q + v * r[w + block + k];
    if (RESET_AFTER != 0) n = n + v * r[w + 2 * block + k];
  }
  z = sigmoid(z);
  if (RESET_AFTER != 0) {
    n = tanh_of(x[at + 2 * hidden] + sigmoid(q) * n);
  } else {
    for (int k = 0; k < hidden; k++) {
      float m = x[x_at + b * x_pitch + hidden + k];
      for (int j = 0; j < hidden; j++) m = m + hin[h + j] * r[r_at + block + k * hidden + j];
      n = n + sigmoid(m) * hin[h + k] * r[w + 2 * block + k];
    }
    n = tanh_of(x[at + 2 * hidden] + n);
  }
  float v = (1.0f - z) * n + z * hin[h + u];
  hout[h + u] = v;
  y[y_at + b * y_pitch + u] = v;
)";
  return row;
}

}  // namespace

std::vector<KernelRow> row_kernels() {
  return {reduce_row(), reduce_column(), softmax_row(), softmax_column(),
          norm_row(),   lstm_step(),     gru_step()};
}

}  // namespace mnn::gpu
