#include "libruntime/backends/gpu/operators.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace mnn::gpu {
namespace {

struct UnaryText {
  UnaryOp op;
  const char* text;  // of x, a, b
};
constexpr UnaryText kUnary[] = {
    {UnaryOp::kRelu, "x < 0.0f ? 0.0f : x"},
    {UnaryOp::kClip, "x > b ? b : x < a ? (a > b ? b : a) : x"},
    {UnaryOp::kLeakyRelu, "x < 0.0f ? x * a : x"},
    {UnaryOp::kThresholdedRelu, "x > a ? x : 0.0f"},
    {UnaryOp::kElu, "x < 0.0f ? a * exp_minus_one(x) : x"},
    {UnaryOp::kSelu, "x > 0.0f ? b * x : b * a * exp_minus_one(x)"},
    {UnaryOp::kCelu, "max(x, 0.0f) + min(0.0f, a * exp_minus_one(x / a))"},
    {UnaryOp::kHardSigmoid, "min(max(x * a + b, 0.0f), 1.0f)"},
    {UnaryOp::kHardSwish, "x * min(max(x / 6.0f + 0.5f, 0.0f), 1.0f)"},
    {UnaryOp::kSigmoid, "sigmoid(x)"},
    {UnaryOp::kSwish, "x * sigmoid(a * x)"},
    {UnaryOp::kTanh, "tanh_of(x)"},
    {UnaryOp::kGelu, "0.5f * x * (1.0f + erf_of(x * 0.70710678f))"},
    {UnaryOp::kGeluTanh, "0.5f * x * (1.0f + tanh_of(0.79788456f * (x + 0.044715f * x * x * x)))"},
    {UnaryOp::kMish, "x * tanh_of(softplus(x))"},
    {UnaryOp::kSoftplus, "softplus(x)"},
    {UnaryOp::kSoftsign, "x / (1.0f + ABS(x))"},
    {UnaryOp::kErf, "erf_of(x)"},
    {UnaryOp::kExp, "exp_of(x)"},
    {UnaryOp::kLog, "log_of(x)"},
    {UnaryOp::kSqrt, "sqrt(x)"},
    {UnaryOp::kRsqrt, "1.0f / sqrt(x)"},
    {UnaryOp::kReciprocal, "1.0f / x"},
    {UnaryOp::kAbs, "ABS(x)"},
    {UnaryOp::kNeg, "-x"},
    {UnaryOp::kFloor, "floor(x)"},
    {UnaryOp::kCeil, "ceil(x)"},
    {UnaryOp::kRound, "ROUND_EVEN(x)"},
    {UnaryOp::kSign, "x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x"},
    {UnaryOp::kSquare, "x * x"},
    {UnaryOp::kNot, "x == 0.0f ? 1.0f : 0.0f"},
    {UnaryOp::kMulBy, "x * a"},
    {UnaryOp::kAddTo, "x + a"},
    {UnaryOp::kAffine, "x * a + b"},
    {UnaryOp::kGate, "x * min(max(x + a, 0.0f), b)"},
    {UnaryOp::kDivBy, "x / a"},
    {UnaryOp::kDivide, "a / x"},
    {UnaryOp::kSubFrom, "a - x"},
    {UnaryOp::kMaxWith, "greater_of(x, a)"},
    {UnaryOp::kMinWith, "less_of(x, a)"},
    {UnaryOp::kGrid, "(min(max(ROUND_EVEN(x / a) + b, 0.0f), 255.0f) - b) * a"},
    {UnaryOp::kSin, "sin_of(x, 0)"},
    {UnaryOp::kCos, "sin_of(x, 1)"},
    {UnaryOp::kPowBy, "pow_of(x, a)"},
    {UnaryOp::kIsNaN, "is_nan(x) != 0 ? 1.0f : 0.0f"},
    {UnaryOp::kIsInf,
     "(AS_INT(x) == 0x7f800000 && a != 0.0f) || (AS_INT(-x) == 0x7f800000 && b != 0.0f) ? 1.0f : "
     "0.0f"},
    {UnaryOp::kTan, "sin_of(x, 0) / sin_of(x, 1)"},
    {UnaryOp::kAsin, "asin_of(x)"},
    {UnaryOp::kAcos, "1.57079633f - asin_of(x)"},
    {UnaryOp::kAtan, "atan_of(x)"},
    {UnaryOp::kSinh, "sinh_of(x)"},
    {UnaryOp::kCosh, "0.5f * (exp_of(x) + exp_of(-x))"},
    {UnaryOp::kAsinh, "asinh_of(x)"},
    {UnaryOp::kAcosh, "acosh_of(x)"},
    {UnaryOp::kAtanh, "atanh_of(x)"},
};

struct BinaryText {
  BinaryOp op;
  const char* text;  // of x, y
};
constexpr BinaryText kBinary[] = {
    {BinaryOp::kAdd, "x + y"},
    {BinaryOp::kSub, "x - y"},
    {BinaryOp::kMul, "x * y"},
    {BinaryOp::kDiv, "x / y"},
    {BinaryOp::kMax, "greater_of(x, y)"},
    {BinaryOp::kMin, "less_of(x, y)"},
    {BinaryOp::kPow, "pow_of(x, y)"},
    {BinaryOp::kMod, "remainder_of(x, y)"},
    {BinaryOp::kPRelu, "x < 0.0f ? x * y : x"},
    {BinaryOp::kEqual, "x == y ? 1.0f : 0.0f"},
    {BinaryOp::kLess, "x < y ? 1.0f : 0.0f"},
    {BinaryOp::kLessOrEqual, "x <= y ? 1.0f : 0.0f"},
    {BinaryOp::kGreater, "x > y ? 1.0f : 0.0f"},
    {BinaryOp::kGreaterOrEqual, "x >= y ? 1.0f : 0.0f"},
    {BinaryOp::kAnd, "x != 0.0f && y != 0.0f ? 1.0f : 0.0f"},
    {BinaryOp::kOr, "x != 0.0f || y != 0.0f ? 1.0f : 0.0f"},
    {BinaryOp::kXor, "(x != 0.0f) != (y != 0.0f) ? 1.0f : 0.0f"},
};

constexpr const char* text_of(UnaryOp op) {
  for (const UnaryText& row : kUnary) {
    if (row.op == op) return row.text;
  }
  return "x";
}

struct ActivationText {
  Activation kind;
  const char* text;
};
constexpr ActivationText kActivations[] = {
    {Activation::kRelu, text_of(UnaryOp::kRelu)},
    {Activation::kClip, text_of(UnaryOp::kClip)},
    {Activation::kLeakyRelu, text_of(UnaryOp::kLeakyRelu)},
    {Activation::kHardSigmoid, text_of(UnaryOp::kHardSigmoid)},
    {Activation::kHardSwish, text_of(UnaryOp::kHardSwish)},
    {Activation::kSigmoid, text_of(UnaryOp::kSigmoid)},
    {Activation::kSwish, "x * sigmoid(x)"},
    {Activation::kTanh, text_of(UnaryOp::kTanh)},
    {Activation::kGelu, text_of(UnaryOp::kGelu)},
    {Activation::kGeluTanh, text_of(UnaryOp::kGeluTanh)},
    {Activation::kElu, text_of(UnaryOp::kElu)},
    {Activation::kMish, text_of(UnaryOp::kMish)},
};

const char* text_of(BinaryOp op) {
  for (const BinaryText& row : kBinary) {
    if (row.op == op) return row.text;
  }
  return "x";
}

// `text` with the names x, y, a, b replaced.
std::string with_names(std::string_view text, const std::string& x, const std::string& y,
                       const std::string& a, const std::string& b) {
  auto part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  std::string made;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool alone =
        (i == 0 || !part(text[i - 1])) && (i + 1 == text.size() || !part(text[i + 1]));
    const char c = text[i];
    const std::string* name = c == 'x'   ? &x
                              : c == 'y' ? &y
                              : c == 'a' ? &a
                              : c == 'b' ? &b
                                         : nullptr;
    if (alone && name != nullptr) {
      made += *name;
    } else {
      made += c;
    }
  }
  return made;
}

}  // namespace

// Own forms where the APIs promise too little: Vulkan's sin is good to 2^-11 only, its pow has no
// negative base, and none has erf. NaN and infinity are told by bits, which no compiler assumes
// away.
std::string math_functions() {
  return R"(
FUNC int is_nan(float x) { return (AS_INT(x) & 0x7fffffff) > 0x7f800000 ? 1 : 0; }
FUNC float greater_of(float x, float y) {
  return is_nan(x) != 0 ? x : is_nan(y) != 0 ? y : x > y ? x : y;
}
FUNC float less_of(float x, float y) {
  return is_nan(x) != 0 ? x : is_nan(y) != 0 ? y : x < y ? x : y;
}
FUNC float two_to(int n) { return AS_FLOAT((n + 127) << 23); }
FUNC float exp_of(float x) {
  if (is_nan(x) != 0) return x;
  if (x > 88.8f) return AS_FLOAT(0x7f800000);
  if (x < -104.0f) return 0.0f;
  float n = floor(x * 1.44269504f + 0.5f);
  float r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int k = int(n);
  int h = k / 2;
  return p * two_to(h) * two_to(k - h);
}
FUNC float exp_minus_one(float x) {
  if (ABS(x) > 0.5f) return exp_of(x) - 1.0f;
  float p = 1.0f / 40320.0f;
  p = p * x + 1.0f / 5040.0f;
  p = p * x + 1.0f / 720.0f;
  p = p * x + 1.0f / 120.0f;
  p = p * x + 1.0f / 24.0f;
  p = p * x + 1.0f / 6.0f;
  p = p * x + 0.5f;
  return p * x * x + x;
}
FUNC float log_of(float x) {
  if (is_nan(x) != 0 || AS_INT(x) == 0x7f800000) return x;
  if (x < 0.0f) return AS_FLOAT(0x7fc00000);
  if (x == 0.0f) return AS_FLOAT(-8388608);
  int e = 0;
  if (x < 1.17549435e-38f) { x = x * 8388608.0f; e = -23; }
  int i = AS_INT(x);
  e = e + (i >> 23) - 126;
  float m = AS_FLOAT((i & 0x007fffff) | 0x3f000000);
  if (m < 0.707106781f) { e = e - 1; m = m + m; }
  float f = m - 1.0f;
  float z = f * f;
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  float r = p * f * z + float(e) * -2.12194440e-4f - 0.5f * z;
  return f + r + float(e) * 0.693359375f;
}
FUNC float log_one_plus(float x) {
  float u = 1.0f + x;
  return u == 1.0f ? x : log_of(u) * (x / (u - 1.0f));
}
FUNC float sigmoid(float x) {
  float e = exp_of(-ABS(x));
  return x < 0.0f ? e / (1.0f + e) : 1.0f / (1.0f + e);
}
FUNC float tanh_of(float x) {
  float s = ABS(x);
  if (s < 0.625f) {
    float z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    return p * z * x + x;
  }
  float t = 1.0f - 2.0f / (exp_of(2.0f * s) + 1.0f);
  return x < 0.0f ? -t : is_nan(x) != 0 ? x : t;
}
FUNC float softplus(float x) { return max(x, 0.0f) + log_one_plus(exp_of(-ABS(x))); }
FUNC float erf_of(float x) {
  float s = ABS(x);
  if (s < 1.0f) {
    float z = x * x;
    float p = 1.0f / 685440.0f;
    p = p * z - 1.0f / 75600.0f;
    p = p * z + 1.0f / 9360.0f;
    p = p * z - 1.0f / 1320.0f;
    p = p * z + 1.0f / 216.0f;
    p = p * z - 1.0f / 42.0f;
    p = p * z + 0.1f;
    p = p * z - 1.0f / 3.0f;
    return 1.12837917f * (x + x * z * p);
  }
  if (is_nan(x) != 0) return x;
  float t = 1.0f / (1.0f + 0.5f * s);
  float q = 0.17087277f;
  q = q * t - 0.82215223f;
  q = q * t + 1.48851587f;
  q = q * t - 1.13520398f;
  q = q * t + 0.27886807f;
  q = q * t - 0.18628806f;
  q = q * t + 0.09678418f;
  q = q * t + 0.37409196f;
  q = q * t + 1.00002368f;
  q = q * t - 1.26551223f;
  float r = 1.0f - t * exp_of(q - s * s);
  return x < 0.0f ? -r : r;
}
FUNC float sin_of(float x, int quarter) {
  float n = ROUND_EVEN(x * 0.636619772f);
  float r = x - n * 1.5703125f;
  r = r - n * 4.837512969970703e-4f;
  r = r - n * 7.54978941586e-8f;
  int q = (int(n - 4.0f * floor(n * 0.25f)) + quarter) & 3;
  float z = r * r;
  float s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
  float c = ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z
            - 0.5f * z + 1.0f;
  float v = (q & 1) != 0 ? c : s;
  return (q & 2) != 0 ? -v : v;
}
FUNC float atan_of(float x) {
  float s = ABS(x);
  float y = 0.0f;
  if (s > 2.414213562f) { y = 1.570796327f; s = -1.0f / s; }
  else if (s > 0.4142135624f) { y = 0.7853981634f; s = (s - 1.0f) / (s + 1.0f); }
  float z = s * s;
  y = y + (((8.05374449538e-2f * z - 1.38776856032e-1f) * z + 1.99777106478e-1f) * z
           - 3.33329491539e-1f) * z * s + s;
  return x < 0.0f ? -y : y;
}
FUNC float asin_of(float x) {
  if (ABS(x) > 1.0f) return AS_FLOAT(0x7fc00000);
  float s = ABS(x);
  float z = s > 0.5f ? 0.5f * (1.0f - s) : s * s;
  float r = s > 0.5f ? sqrt(z) : s;
  float p = ((((4.2163199048e-2f * z + 2.4181311049e-2f) * z + 4.5470025998e-2f) * z
              + 7.4953002686e-2f) * z + 1.6666752422e-1f) * z * r + r;
  if (s > 0.5f) p = 1.570796327f - 2.0f * p;
  return x < 0.0f ? -p : p;
}
FUNC float sinh_of(float x) {
  if (ABS(x) > 1.0f) return 0.5f * (exp_of(x) - exp_of(-x));
  float z = x * x;
  return ((2.03721912945e-4f * z + 8.33028376239e-3f) * z + 1.66667160211e-1f) * z * x + x;
}
FUNC float asinh_of(float x) {
  float s = ABS(x);
  float r = s > 1.0e9f ? log_of(s) + 0.693147181f : log_one_plus(s + s * s / (1.0f + sqrt(s * s + 1.0f)));
  return x < 0.0f ? -r : r;
}
FUNC float acosh_of(float x) {
  if (x < 1.0f) return AS_FLOAT(0x7fc00000);
  if (x > 1.0e9f) return log_of(x) + 0.693147181f;
  float t = x - 1.0f;
  return log_one_plus(t + sqrt(2.0f * t + t * t));
}
FUNC float atanh_of(float x) {
  float r = 0.5f * log_one_plus(2.0f * ABS(x) / (1.0f - ABS(x)));
  return x < 0.0f ? -r : r;
}
FUNC float remainder_of(float x, float y) {
  float r = ABS(x) - ABS(y) * floor(ABS(x) / ABS(y));
  if (r < 0.0f) r = r + ABS(y);
  return x < 0.0f ? -r : r;
}
FUNC float pow_of(float x, float y) {
  if (y == 0.0f) return 1.0f;
  float s = POW(ABS(x), y);
  if (x >= 0.0f || is_nan(x) != 0) return s;
  if (floor(y) != y) return AS_FLOAT(0x7fc00000);
  return floor(y * 0.5f) * 2.0f == y ? s : -s;
}
)";
}

std::string operator_switch() {
  std::string text = "FUNC float unary(int op, float x, float a, float b) {\n  switch (op) {\n";
  for (const UnaryText& row : kUnary) {
    text += "    case " + std::to_string(static_cast<int>(row.op)) + ": return " + row.text + ";\n";
  }
  text += "  }\n  return x;\n}\nFUNC float binary(int op, float x, float y) {\n  switch (op) {\n";
  for (const BinaryText& row : kBinary) {
    text += "    case " + std::to_string(static_cast<int>(row.op)) + ": return " + row.text + ";\n";
  }
  return text + "  }\n  return x;\n}\n";
}

std::string activation_switch(const std::vector<int>& kinds) {
  std::string text =
      "FUNC float activation(int kind, float x, float a, float b) {\n  switch (kind) {\n";
  for (const ActivationText& row : kActivations) {
    const int kind = static_cast<int>(row.kind);
    if (!kinds.empty() && std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) continue;
    text += "    case " + std::to_string(kind) + ": return " + row.text + ";\n";
  }
  return text + "  }\n  return x;\n}\n";
}

std::string operator_text(const Expression::Op& op, const std::string& x, const std::string& y,
                          const std::string& z, const std::string& a, const std::string& b) {
  switch (op.kind) {
    case Expression::Kind::kUnary: return with_names(text_of(op.unary), x, y, a, b);
    case Expression::Kind::kBinary: return with_names(text_of(op.binary), x, y, a, b);
    case Expression::Kind::kSelect: break;
  }
  return x + " != 0.0f ? " + y + " : " + z;
}

}  // namespace mnn::gpu
