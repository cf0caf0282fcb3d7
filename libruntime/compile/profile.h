// What can be asked of a plan: its steps, the memory it takes, what it multiplies, and how long it
// took.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace mnn {

// What the products of a step are computed in: of what the operands are, and what sums are kept in.
enum class ComputeForm : uint8_t {
  kNone,      // the step has no products
  kF32,       // floats
  kF64,       // doubles
  kI32,       // integers, element by element
  kU8xS8,     // unsigned bytes times constant signed bytes, exact in i32
  kU8xU8,     // two computed matrices of bytes, exact in i32
  kS8xCodes,  // rows quantized to bytes as they come times weights in codes, exact within groups
};
// "none", "f32", "f64", "i32", "u8xs8", "u8xu8", "s8xcodes".
std::string_view form_name(ComputeForm form);
// Whether an int8 kernel computes it.
inline bool is_int8(ComputeForm form) {
  return form == ComputeForm::kU8xS8 || form == ComputeForm::kU8xU8 ||
         form == ComputeForm::kS8xCodes;
}

// One line of a profile: what one step of an executable did.
struct StepInfo {
  std::string name;    // display_name of the layer it computes, as in every other report; or empty
  std::string op;      // "Conv+Relu"
  std::string kernel;  // "conv_f32_winograd4_avx2"
  std::string backend;
  std::vector<std::string> origin;  // source layers
  std::vector<int64_t> out_dims;
  std::string out_dtype;  // as stored, "f32", "u8"
  int64_t macs = 0;
  int64_t bytes = 0;                      // read and written, weights included
  ComputeForm form = ComputeForm::kNone;  // of its MACs
  // Of an outline (Session::outline) only: Backend::cost, and why no preferred backend takes it.
  double seconds = 0;
  std::string why;
};

// The backend of steps in an outline whose shapes, and so whose backend, only a run can tell.
inline constexpr const char* kUnplanned = "unplanned";

// Called by an executable around each step when profiling: step index, nanoseconds.
using StepTimer = std::function<void(size_t step, int64_t ns)>;

struct StepProfile {
  StepInfo info;
  int64_t calls = 0;
  int64_t total_ns = 0;
};

struct MemoryInfo {
  int64_t arena_bytes = 0;   // planned activations and scratch
  int64_t device_bytes = 0;  // the same in the memory of devices
  int64_t weight_bytes = 0;  // constants the file maps
  // Copies in kernel layout, each counted once however many steps use it.
  int64_t packed_bytes = 0;
  bool grows = false;  // shapes that depend on data: the arena is only a lower bound
};

// Sums what blocks take that several may hold: each counts once.
class PackedBytes {
 public:
  void add(const void* block, int64_t bytes) {
    if (seen_.insert(block).second) total_ += bytes;
  }
  int64_t total() const { return total_; }

 private:
  std::unordered_set<const void*> seen_;
  int64_t total_ = 0;
};

// The steps inside an If count for the branch with the most, those inside a Loop or Scan once per
// trip, where the trips can be counted.
struct MacCounts {
  double all = 0;
  double int8 = 0;  // those on int8 kernels
};

}  // namespace mnn
