// A segment lowered for a device: memory, and kernels one after the other. The same for every API.
#pragma once

#include <bit>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libruntime/backends/gpu/element_kernels.h"
#include "libruntime/backends/gpu/kernel.h"
#include "libruntime/compile/profile.h"
#include "libruntime/kernels/weights.h"

namespace mnn::gpu {

// kError: one word that kernels set when their data are wrong.
enum class Place : uint8_t { kWorkspace, kInput, kOutput, kWeights, kTable, kError };

// Words of a constant as kernels read them, made when no session has them on the device.
struct DeviceWeights {
  WeightId id;
  std::string layout;
  int64_t words = 0;
  std::function<Status(uint32_t* words)> make;
};

struct Storage {
  Place place = Place::kWorkspace;
  int index = 0;  // of the segment's input or output, of `weights`, of `tables`
  int64_t bytes = 0;
};

struct Launch {
  const KernelRow* row = nullptr;
  // Of an elementwise expression, in the place of a row.
  std::optional<DeviceExpression> expression;
  std::vector<int> constants;
  std::vector<int> buffers;  // storages
  std::vector<uint32_t> params;
  int64_t groups = 0;
  StepInfo info;
};

struct Program {
  std::vector<Storage> storages;
  std::vector<DeviceWeights> weights;
  std::vector<std::vector<int>> tables;
  std::vector<Launch> launches;
};

// How a backend computes, whatever its API.
struct DeviceTraits {
  bool expressions = false;  // it compiles the text of expressions; else it has the machine
  bool halves = false;       // float weights of products become halves
};

inline uint32_t word(int64_t v) { return static_cast<uint32_t>(static_cast<int32_t>(v)); }
inline uint32_t word(float v) { return std::bit_cast<uint32_t>(v); }

}  // namespace mnn::gpu
