// Kernels of devices, written once: a row declares what a kernel is given, its body is C in the
// subset below, and print_kernel() makes the text for each language of it.
//
// The subset. Types int, uint, float, F4 (four floats) alone; casts as float(x), int(x), uint(x).
// Buffers are read and written by index; there are no pointers or structs, and no arrays but those
// declared as `shared` and local ones of floats and ints. F4 values are made by F4_OF(a, b, c, d),
// F4_ZERO and MAD(s, v, c) = s * v + c, with the components v.x … v.w. Literals carry their type:
// 0.0f, 15u. BARRIER stands where all items of a group come by. Halves and bytes are parts of
// words. Functions of a body come from its prelude.
//   ITEM         the item's number, over two dimensions of the grid
//   GROUP, LANE  the number of its group, and of the item in it
//   AS_INT(f), AS_FLOAT(i)  the same bits
//   DOT4(a, b, c)  c and the products of the four signed bytes of a and b
//   EXACT        in front of a float: no product in it is joined with a sum
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mnn::gpu {

inline constexpr int kGroup = 64;  // items of a group

struct KernelRow {
  enum class Element : uint8_t { kInt, kFloat, kF4 };
  struct Buffer {
    const char* name;
    Element element;
    bool written = false;
  };
  struct Param {
    const char* name;
    bool real = false;  // a float, else an int
  };
  struct Shared {
    const char* name;
    Element element;
    int length;
  };
  std::string name;
  std::vector<Buffer> buffers;
  std::vector<Param> params;  // at most kMaxParams, one word each
  std::vector<Shared> shared;
  std::vector<const char*> constants;  // ints that are known when the kernel is compiled
  // Whether the body calls activation(kind, x, a, b), with constants named ACT_… as kinds.
  bool activations = false;
  std::string functions;  // of its own, before the body
  std::string body;
};

// What every API allows: 128 bytes of push constants.
inline constexpr int kMaxParams = 32;

enum class Dialect : uint8_t { kOpenCl, kGlsl, kCuda, kHost };

// The text of a kernel. Languages without specialization get `constants` as numbers (one each);
// GLSL and the host get them with the call.
std::string print_kernel(const KernelRow& row, Dialect dialect, const std::vector<int>& constants);

// All rows but those printed from an expression.
const std::vector<KernelRow>& kernel_rows();
// Never null for a name of kernel_rows().
const KernelRow* find_kernel_row(std::string_view name);

// The families, for kernel_rows().
std::vector<KernelRow> matrix_kernels();
std::vector<KernelRow> conv_kernels();
std::vector<KernelRow> move_kernels();
std::vector<KernelRow> row_kernels();
std::vector<KernelRow> element_kernels();
std::vector<KernelRow> byte_kernels();
std::vector<KernelRow> integer_kernels();

}  // namespace mnn::gpu
