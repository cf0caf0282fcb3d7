// Casts that no expression takes: between integers, and between floats and bytes or doubles.
#include <type_traits>

#include "libruntime/backends/cpu/rows.h"

namespace mnn::cpu {
namespace {

// Calls f with a value of the element type; false for types that are not converted here.
template <typename F>
bool dispatch(DType t, F&& f) {
  switch (t) {
    case DType::kBool: f(bool{}); return true;
    case DType::kI8: f(int8_t{}); return true;
    case DType::kU8: f(uint8_t{}); return true;
    case DType::kI16: f(int16_t{}); return true;
    case DType::kU16: f(uint16_t{}); return true;
    case DType::kI32: f(int32_t{}); return true;
    case DType::kU32: f(uint32_t{}); return true;
    case DType::kI64: f(int64_t{}); return true;
    case DType::kF32: f(float{}); return true;
    case DType::kF64: f(double{}); return true;
    default: return false;
  }
}

bool is_byte(DType t) { return t == DType::kU8 || t == DType::kI8; }

std::optional<std::string> supports_cast(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  const DType from = n.in_type(0), to = n.out().type.dtype;
  auto ignore = [](auto) {};
  if (!dispatch(from, ignore) || !dispatch(to, ignore)) return "element type";
  const bool truncates = is_float(from) && !is_float(to) && to != DType::kBool;
  if (truncates && !(from == DType::kF32 && is_byte(to))) return "floats to wide integers";
  return std::nullopt;
}

// Integers wrap; to bool tests for zero.
template <typename From, typename To>
void convert(const From* x, To* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<To, bool>) {
      y[i] = x[i] != From{};
    } else {
      y[i] = static_cast<To>(x[i]);
    }
  }
}

void cast_elements(const VectorKernels& k, const Array& x, const Array& y, const std::byte* from,
                   std::byte* to, int64_t n) {
  if (x.dtype == DType::kF32 && is_byte(y.dtype)) {
    k.truncate_to_bytes(reinterpret_cast<const float*>(from), reinterpret_cast<uint8_t*>(to), n);
    return;
  }
  if (x.dtype == DType::kU8 && y.dtype == DType::kF32) {
    k.from_u8(reinterpret_cast<const uint8_t*>(from), reinterpret_cast<float*>(to), n, 1.0f, 0);
    return;
  }
  dispatch(x.dtype, [&]<typename From>(From) {
    dispatch(y.dtype, [&]<typename To>(To) {
      if constexpr (!std::is_floating_point_v<From> || !std::is_integral_v<To> ||
                    std::is_same_v<To, bool>) {
        convert(reinterpret_cast<const From*>(from), reinterpret_cast<To*>(to), n);
      }
    });
  });
}

Status lower_cast(Lowering& l, const Node& node) {
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  const Array y = l.allocate(l.dtype(node.outputs[0]), x.dims, order_of(x));
  const Array in[] = {x}, out[] = {y};
  Step& step = l.add_step("cast", in, out, x.elements() / 2, nullptr);
  step.run = [=, parts = step.parts, k = &l.kernels()](const Run& run, int, int part) {
    const Range r = part_of(x.elements(), part, parts, 64);
    cast_elements(*k, x, y, run.bytes(x) + r.begin * x.item_bytes(),
                  run.bytes(y) + r.begin * y.item_bytes(), r.end - r.begin);
  };
  return l.finish(node, y);
}

constexpr OpRow kCastRows[] = {{"Cast", supports_cast, lower_cast}};

}  // namespace

std::span<const OpRow> cast_rows() { return kCastRows; }

}  // namespace mnn::cpu
