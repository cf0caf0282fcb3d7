#include "libruntime/backends/gpu/element_kernels.h"

#include "libruntime/backends/gpu/byte_kernels.h"
#include "libruntime/backends/gpu/operators.h"

namespace mnn::gpu {
namespace {

using Element = KernelRow::Element;

// Beside those of an expression: of what rounds to grids and reads from them.
constexpr int kMoreRegisters = 2 * kMaxSources + 8;

// Numbers in words, and back: casts truncate, what does not fit becomes the nearest number, NaN 0.
// What one word holds is never computed by way of two: floats near 2^32 are 512 apart.
constexpr const char* kWords = R"(
FUNC float wide_to_float(int low, int high) {
  if (high == (low < 0 ? -1 : 0)) return float(low);
  return float(high) * 4294967296.0f + float(uint(low));
}
FUNC int float_to_int(float v) {
  if (is_nan(v) != 0) return 0;
  if (v >= 2147483648.0f) return 2147483647;
  if (v <= -2147483648.0f) return -2147483647 - 1;
  return int(v);
}
FUNC uint low_of(float size) {
  return uint(size - floor(size / 4294967296.0f) * 4294967296.0f);
}
FUNC int wide_low(float v) {
  if (ABS(v) < 2147483648.0f) return int(v);
  if (is_nan(v) != 0) return 0;
  if (v >= 9223372036854775808.0f) return -1;
  if (v <= -9223372036854775808.0f) return 0;
  return v < 0.0f ? int(0u - low_of(-v)) : int(low_of(v));
}
FUNC int wide_high(float v) {
  if (ABS(v) < 2147483648.0f) return v <= -1.0f ? -1 : 0;
  if (is_nan(v) != 0) return 0;
  if (v >= 9223372036854775808.0f) return 2147483647;
  if (v <= -9223372036854775808.0f) return -2147483647 - 1;
  int high = int(floor(ABS(v) / 4294967296.0f));
  if (v > 0.0f) return high;
  return low_of(-v) == 0u ? -high : -high - 1;
}
)";

std::string load_text(WordKind kind, const std::string& buffer, const std::string& at) {
  switch (kind) {
    case WordKind::kFloat: return "AS_FLOAT(" + buffer + "[" + at + "])";
    case WordKind::kInt:
    case WordKind::kTruth: return "float(" + buffer + "[" + at + "])";
    case WordKind::kByte: return "float(BYTE(" + buffer + "[" + at + "], lane) + 128)";
    case WordKind::kWide: break;
  }
  return "wide_to_float(" + buffer + "[2 * (" + at + ")], " + buffer + "[2 * (" + at + ") + 1])";
}

std::string store_text(WordKind kind, const std::string& at, const std::string& v) {
  const std::string to = "y[" + at + "] = ";
  switch (kind) {
    case WordKind::kFloat: return to + "AS_INT(" + v + ");\n";
    case WordKind::kInt: return to + "float_to_int(" + v + ");\n";
    case WordKind::kTruth: return to + v + " != 0.0f ? 1 : 0;\n";
    case WordKind::kByte: return "word = word | TO_BYTE(" + v + ") << (8 * lane);\n";
    case WordKind::kWide: break;
  }
  return "y[2 * (" + at + ")] = wide_low(" + v + ");\n  y[2 * (" + at + ") + 1] = wide_high(" + v +
         ");\n";
}

// The machine: an expression is a program in the table. `bytes`: that of expressions of bytes.
KernelRow machine(bool bytes) {
  KernelRow row;
  row.name = bytes ? "mnn_byte_expression" : "mnn_expression";
  std::string load;
  static const char* const names[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"};
  for (int i = 0; i < kMaxSources; ++i) {
    row.buffers.push_back({names[i], Element::kInt});
    const std::string k = std::to_string(i), s = names[i];
    load += "  if (sources > " + k + ") { LOAD(" + k + ", " + s + ") }\n";
  }
  row.buffers.push_back({"t", Element::kInt});
  row.buffers.push_back({"y", Element::kInt, true});
  row.params = {{"n"}, {"depth"}, {"sources"}, {"kinds"}, {"result"}, {"ops"}};
  row.functions = math_functions() + operator_switch() + kWords + kByteFunctions + R"(
#define PLACE(p, base) int p = t[base]; \
  for (int d = 0; d < depth; d++) p = p + c[d] * t[base + 1 + d];
#define READ(k, s) int kind = kinds >> (3 * k) & 7; \
  if (kind == 0) r[k] = AS_FLOAT(s[p]); \
  else if (kind == 3) r[k] = wide_to_float(s[2 * p], s[2 * p + 1]); \
  else r[k] = float(s[p]);
)";
  row.functions += bytes ? R"(
#define PLACE_WORDS (depth + 2)
#define LOAD(k, s) PLACE(p, depth + k * (depth + 2)) \
  if ((kinds >> (3 * k) & 7) == 4) { r[k] = float(BYTE(s[p], lane) + 128); } \
  else { p = p + lane * t[depth + k * (depth + 2) + depth + 1]; READ(k, s) }
)"
                         : R"(
#define PLACE_WORDS (depth + 1)
#define LOAD(k, s) PLACE(p, depth + k * (depth + 1)) READ(k, s)
)";
  row.body = R"(
  if (ITEM >= n) return;
  float r[)" +
             std::to_string(kMaxRegisters + kMoreRegisters) + R"(];
  int c[8];
  int rest = ITEM;
  for (int d = depth - 1; d >= 0; d--) {
    c[d] = rest % t[d];
    rest = rest / t[d];
  }
  int place = depth + sources * PLACE_WORDS;
  int code = place + PLACE_WORDS;
  int last = 0;
)";
  const std::string run = R"(
  for (int i = 0; i < ops; i++) {
    float a = AS_FLOAT(t[code + 2 * i]);
    float b = AS_FLOAT(t[code + 2 * i + 1]);
    int at = code + 2 * ops + 6 * i;
    float x = r[t[at + 3]];
    EXACT float v = 0.0f;
    if (t[at] == 0) v = unary(t[at + 1], x, a, b);
    else if (t[at] == 1) v = binary(t[at + 1], x, r[t[at + 4]]);
    else v = x != 0.0f ? r[t[at + 4]] : r[t[at + 5]];
    last = t[at + 2];
    r[last] = v;
  }
)";
  if (bytes) {
    row.body += "  int word = 0;\n  for (int lane = 0; lane < 4; lane++) {\n" + load + run + R"(
    word = word | TO_BYTE(r[last]) << (8 * lane);
  }
  PLACE(p, place)
  y[p] = word;
)";
    return row;
  }
  row.body += load + run + R"(
  float v = r[last];
  PLACE(p, place)
  if (result == 0) y[p] = AS_INT(v);
  else if (result == 1) y[p] = float_to_int(v);
  else if (result == 2) y[p] = v != 0.0f ? 1 : 0;
  else {
    y[2 * p] = wide_low(v);
    y[2 * p + 1] = wide_high(v);
  }
)";
  return row;
}

}  // namespace

KernelRow print_expression(const DeviceExpression& e) {
  static const char* const names[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"};
  KernelRow row;
  row.name = e.bytes ? "mnn_byte_expression" : "mnn_expression";
  for (size_t i = 0; i < e.sources.size(); ++i) row.buffers.push_back({names[i], Element::kInt});
  row.buffers.push_back({"t", Element::kInt});
  row.buffers.push_back({"y", Element::kInt, true});
  row.params = {{"n"}};
  row.functions = math_functions() + kWords + kByteFunctions;
  std::string text = "  if (ITEM >= n) return;\n  int rest = ITEM;\n";
  for (int d = e.depth - 1; d >= 0; --d) {
    const std::string k = std::to_string(d);
    if (d == 0) {
      text += "  int c0 = rest;\n";
      break;
    }
    text += "  int c" + k + " = rest % t[" + k + "];\n  rest = rest / t[" + k + "];\n";
  }
  auto place = [&](int at) {
    std::string p = "t[" + std::to_string(at) + "]";
    for (int d = 0; d < e.depth; ++d) {
      p += " + c" + std::to_string(d) + " * t[" + std::to_string(at + 1 + d) + "]";
    }
    return p;
  };
  auto reg = [](int r) { return "r" + std::to_string(r); };
  if (e.bytes) text += "  int word = 0;\n  for (int lane = 0; lane < 4; lane++) {\n";
  for (size_t i = 0; i < e.sources.size(); ++i) {
    std::string at = place(source_at(e, i));
    if (e.bytes && e.sources[i] != WordKind::kByte) {
      at += " + lane * t[" + std::to_string(source_at(e, i) + e.depth + 1) + "]";
    }
    text += "  float " + reg(static_cast<int>(i)) + " = " + load_text(e.sources[i], names[i], at) +
            ";\n";
  }
  for (size_t i = 0; i < e.ops.size(); ++i) {
    const Expression::Op& op = e.ops[i];
    const int at = parameter_at(e, i);
    text += "  float " + reg(op.out) + " = " +
            operator_text(op, reg(op.x), reg(op.y), reg(op.z),
                          "AS_FLOAT(t[" + std::to_string(at) + "])",
                          "AS_FLOAT(t[" + std::to_string(at + 1) + "])") +
            ";\n";
  }
  const std::string v = reg(e.ops.back().out), to = "  int p = " + place(result_at(e)) + ";\n";
  if (e.bytes) {
    text += "  " + store_text(e.result, "p", v) + "  }\n" + to + "  y[p] = word;\n";
  } else {
    text += to + "  " + store_text(e.result, "p", v);
  }
  row.body = std::move(text);
  return row;
}

std::vector<int> expression_program(const DeviceExpression& e) {
  std::vector<int> program;
  for (const Expression::Op& op : e.ops) {
    program.push_back(static_cast<int>(op.kind));
    program.push_back(op.kind == Expression::Kind::kUnary ? static_cast<int>(op.unary)
                                                          : static_cast<int>(op.binary));
    for (const int r : {op.out, op.x, op.y, op.z}) program.push_back(r);
  }
  return program;
}

std::vector<KernelRow> element_kernels() { return {machine(false), machine(true)}; }

}  // namespace mnn::gpu
