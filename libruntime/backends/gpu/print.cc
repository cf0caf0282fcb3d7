// The printers: one prelude and one header form per language.
#include <cassert>

#include "libruntime/backends/gpu/kernel.h"
#include "libruntime/backends/gpu/operators.h"

namespace mnn::gpu {
namespace {

using Element = KernelRow::Element;

// F4_OF and MAD keep to what every language has; no product is joined with a sum unless the device
// does that as fast, so that results differ little between devices.
constexpr const char* kOpenCl = R"(#pragma OPENCL FP_CONTRACT OFF
#define FUNC static
#define F4 float4
#define F4_ZERO ((float4)(0.0f))
#define F4_OF(a, b, c, d) ((float4)((a), (b), (c), (d)))
#ifdef FP_FAST_FMAF
#define MAD(s, v, c) fma((float4)(s), (v), (c))
#else
#define MAD(s, v, c) ((s) * (v) + (c))
#endif
#define int(x) ((int)(x))
#define uint(x) ((uint)(x))
#define float(x) ((float)(x))
#define AS_INT(x) as_int(x)
#define AS_FLOAT(x) as_float((int)(x))
#define ABS(x) fabs(x)
#define POW(x, y) pow((x), (y))
#define ROUND_EVEN(x) rint(x)
#define EXACT
FUNC int DOT4(int a, int b, int c) {
  return c + (a << 24 >> 24) * (b << 24 >> 24) + (a << 16 >> 24) * (b << 16 >> 24) +
         (a << 8 >> 24) * (b << 8 >> 24) + (a >> 24) * (b >> 24);
}
#define BARRIER barrier(CLK_LOCAL_MEM_FENCE)
#define LANE ((int)get_local_id(0))
#define GROUP ((int)(get_group_id(0) + get_group_id(1) * get_num_groups(0)))
#define ITEM (GROUP * 64 + LANE)
)";

constexpr const char* kGlsl = R"(#version 450
#define FUNC
#define F4 vec4
#define F4_ZERO vec4(0.0)
#define F4_OF(a, b, c, d) vec4((a), (b), (c), (d))
#define MAD(s, v, c) ((s) * (v) + (c))
#define AS_INT(x) floatBitsToInt(x)
#define AS_FLOAT(x) intBitsToFloat(x)
#define ABS(x) abs(x)
#define POW(x, y) pow((x), (y))
#define ROUND_EVEN(x) roundEven(x)
#define EXACT precise
int DOT4(int a, int b, int c) {
  return c + (a << 24 >> 24) * (b << 24 >> 24) + (a << 16 >> 24) * (b << 16 >> 24) +
         (a << 8 >> 24) * (b << 8 >> 24) + (a >> 24) * (b >> 24);
}
#define BARRIER barrier()
#define LANE int(gl_LocalInvocationID.x)
#define GROUP int(gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x)
#define ITEM (GROUP * 64 + LANE)
)";

constexpr const char* kCuda = R"(#define FUNC __device__ inline
#define F4 float4
#define F4_ZERO make_float4(0.0f, 0.0f, 0.0f, 0.0f)
#define F4_OF(a, b, c, d) make_float4((a), (b), (c), (d))
typedef unsigned int uint;
__device__ inline float4 MAD(float s, float4 v, float4 c) {
  return make_float4(s * v.x + c.x, s * v.y + c.y, s * v.z + c.z, s * v.w + c.w);
}
__device__ inline float4 operator+(float4 a, float4 b) {
  return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}
#define AS_INT(x) __float_as_int(x)
#define AS_FLOAT(x) __int_as_float(x)
#define ABS(x) fabsf(x)
#define POW(x, y) powf((x), (y))
#define ROUND_EVEN(x) rintf(x)
#define EXACT
#define DOT4(a, b, c) __dp4a((a), (b), (c))
#define BARRIER __syncthreads()
#define LANE ((int)threadIdx.x)
#define GROUP ((int)(blockIdx.x + blockIdx.y * gridDim.x))
#define ITEM (GROUP * 64 + LANE)
)";

const char* type_name(Element e, Dialect dialect) {
  if (e == Element::kInt) return "int";
  if (e == Element::kFloat) return "float";
  return dialect == Dialect::kGlsl ? "vec4" : "F4";
}

std::string constant_lines(const KernelRow& row, const std::vector<int>& constants) {
  assert(constants.size() == row.constants.size());
  std::string text;
  for (size_t i = 0; i < row.constants.size(); ++i) {
    text += std::string("#define ") + row.constants[i] + " " + std::to_string(constants[i]) + "\n";
  }
  return text;
}

// What the body calls: of the activations only those it was given, where that is known.
std::string function_lines(const KernelRow& row, const std::vector<int>& constants) {
  if (!row.activations) return row.functions;
  std::vector<int> kinds;
  for (size_t i = 0; i < constants.size(); ++i) {
    if (std::string_view(row.constants[i]).starts_with("ACT_")) kinds.push_back(constants[i]);
  }
  return math_functions() + activation_switch(kinds) + row.functions;
}

std::string shared_lines(const KernelRow& row, const char* keyword, Dialect dialect) {
  std::string text;
  for (const auto& s : row.shared) {
    text += std::string("  ") + keyword + " " + type_name(s.element, dialect) + " " + s.name + "[" +
            std::to_string(s.length) + "];\n";
  }
  return text;
}

// A function with buffers and numbers as parameters: OpenCL C and CUDA C.
std::string print_function(const KernelRow& row, Dialect dialect,
                           const std::vector<int>& constants) {
  const bool cl = dialect == Dialect::kOpenCl;
  std::string text = cl ? kOpenCl : kCuda;
  text += constant_lines(row, constants) + function_lines(row, constants);
  text += cl ? "__kernel __attribute__((reqd_work_group_size(64, 1, 1)))\nvoid "
             : "extern \"C\" __global__ void ";
  text += row.name + "(";
  const char* comma = "";
  for (const auto& b : row.buffers) {
    text += std::string(comma) + (cl ? "__global " : "") + (b.written ? "" : "const ") +
            type_name(b.element, dialect) + "* " + b.name;
    comma = ", ";
  }
  for (const auto& p : row.params) {
    text += std::string(comma) + "const " + (p.real ? "float " : "int ") + p.name;
    comma = ", ";
  }
  text += ") {\n" + shared_lines(row, cl ? "__local" : "__shared__", dialect) + row.body + "}\n";
  return text;
}

std::string print_glsl(const KernelRow& row) {
  std::string text = kGlsl;
  text += "layout(local_size_x = 64) in;\n";
  for (size_t i = 0; i < row.constants.size(); ++i) {
    text +=
        "layout(constant_id = " + std::to_string(i) + ") const int " + row.constants[i] + " = 0;\n";
  }
  for (size_t i = 0; i < row.buffers.size(); ++i) {
    const auto& b = row.buffers[i];
    text += "layout(std430, set = 0, binding = " + std::to_string(i) + ") " +
            (b.written ? "" : "readonly ") + "buffer B" + std::to_string(i) + " { " +
            type_name(b.element, Dialect::kGlsl) + " " + b.name + "[]; };\n";
  }
  if (!row.params.empty()) {
    text += "layout(push_constant) uniform Params {\n";
    for (const auto& p : row.params) {
      text += std::string(p.real ? "  float " : "  int ") + p.name + ";\n";
    }
    text += "};\n";
  }
  text += shared_lines(row, "shared", Dialect::kGlsl);
  return text + function_lines(row, {}) + "void main() {\n" + row.body + "}\n";
}

// Kernels in one file have macros of the same names.
std::string undefine_lines(const std::string& functions) {
  constexpr std::string_view kDefine = "#define ";
  std::string text;
  for (size_t at = functions.find(kDefine); at != std::string::npos;
       at = functions.find(kDefine, at + 1)) {
    const size_t begin = at + kDefine.size();
    text +=
        "#undef " + functions.substr(begin, functions.find_first_of(" (", begin) - begin) + "\n";
  }
  return text;
}

// A function of one item, and a row of a table that calls it with untyped arguments. Comes
// after the prelude of the host.
std::string print_host(const KernelRow& row) {
  std::string text = "namespace kernel_" + row.name + " {\n" + function_lines(row, {});
  text += "void item(const HostItem& host_item";
  for (const char* c : row.constants) text += std::string(", const int ") + c;
  for (const auto& b : row.buffers) {
    text += std::string(", ") + (b.written ? "" : "const ") + type_name(b.element, Dialect::kHost) +
            "* " + b.name;
  }
  for (const auto& s : row.shared) {
    text += std::string(", ") + type_name(s.element, Dialect::kHost) + "* " + s.name;
  }
  for (const auto& p : row.params) {
    text +=
        std::string(p.real ? ", [[maybe_unused]] const float " : ", [[maybe_unused]] const int ") +
        p.name;
  }
  text += ") {\n  (void)host_item;\n" + row.body + "}\n";
  text += "void call(const HostItem& host_item, const HostArguments& a) {\n  item(host_item";
  for (size_t i = 0; i < row.constants.size(); ++i) {
    text += ", a.constants[" + std::to_string(i) + "]";
  }
  for (size_t i = 0; i < row.buffers.size(); ++i) {
    const auto& b = row.buffers[i];
    text += std::string(", static_cast<") + (b.written ? "" : "const ") +
            type_name(b.element, Dialect::kHost) + "*>(a.buffers[" + std::to_string(i) + "])";
  }
  int at = 0;
  for (const auto& s : row.shared) {
    text += std::string(", reinterpret_cast<") + type_name(s.element, Dialect::kHost) +
            "*>(a.shared + " + std::to_string(at) + ")";
    at += s.length * (s.element == Element::kF4 ? 4 : 1);
  }
  for (size_t i = 0; i < row.params.size(); ++i) {
    text += std::string(row.params[i].real ? ", AS_FLOAT(a.params[" : ", (a.params[") +
            std::to_string(i) + "])";
  }
  return text + ");\n  (void)a;\n}\n}  // namespace kernel_" + row.name + "\n" +
         undefine_lines(row.functions);
}

}  // namespace

std::string print_kernel(const KernelRow& row, Dialect dialect, const std::vector<int>& constants) {
  assert(row.params.size() <= kMaxParams);
  switch (dialect) {
    case Dialect::kOpenCl:
    case Dialect::kCuda: return print_function(row, dialect, constants);
    case Dialect::kGlsl: return print_glsl(row);
    case Dialect::kHost: break;
  }
  return print_host(row);
}

const std::vector<KernelRow>& kernel_rows() {
  static const std::vector<KernelRow>* rows = [] {
    auto* all = new std::vector<KernelRow>;
    for (auto family : {matrix_kernels(), conv_kernels(), move_kernels(), row_kernels(),
                        element_kernels(), byte_kernels(), integer_kernels()}) {
      for (KernelRow& row : family) all->push_back(std::move(row));
    }
    return all;
  }();
  return *rows;
}

const KernelRow* find_kernel_row(std::string_view name) {
  for (const KernelRow& row : kernel_rows()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace mnn::gpu
