// Cast, CastLike, BitCast: element types changed, elements kept in place.
#include "libruntime/core/ops/convert.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

Result<DType> target_type(const AttributeReader& c) {
  const int64_t to = c.attr_int("to");
  if (to <= 0 || to > static_cast<int64_t>(kLastOnnxType)) {
    return invalid("to: " + std::to_string(to) + " is no element type");
  }
  return static_cast<DType>(to);
}

Result<RoundMode> round_mode(const AttributeReader& c) {
  const std::string mode = c.attr_string("round_mode");
  if (mode == "up") return RoundMode::kUp;
  if (mode == "down") return RoundMode::kDown;
  if (mode == "nearest") return RoundMode::kNearest;
  return invalid("round_mode: expected up, down or nearest, found " + mode);
}

// Values survive a cast between integer types that keeps them.
std::optional<ShapeValues> cast_values(const OpContext& c, DType to) {
  auto values = c.values(0);
  if (!values || !is_integer(to)) return std::nullopt;
  const IntegerRange range = integer_range(to);
  for (const Dim& d : *values) {
    if (d.known() && (d.value() < range.low || d.value() > range.high)) return std::nullopt;
  }
  return values;
}

Status infer_cast(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(const DType to, target_type(c));
  MNN_RETURN_IF_ERROR(round_mode(c).status());
  set_output(c, 0, to, c.in[0].shape);
  c.out[0].values = cast_values(c, to);
  return {};
}

Status infer_cast_like(OpContext& c) {
  MNN_RETURN_IF_ERROR(round_mode(c).status());
  set_output(c, 0, c.in[1].dtype, c.in[0].shape);
  c.out[0].values = cast_values(c, c.in[1].dtype);
  return {};
}

Status reference_cast(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(const RoundMode mode, round_mode(c));
  MNN_ASSIGN_OR_RETURN(
      c.out[0], convert_elements(*c.in[0], c.types[0].dtype, c.attr_int("saturate") != 0, mode));
  return {};
}

Status infer_bit_cast(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(const DType to, target_type(c));
  if (dtype_bits(to) == 0 || dtype_bits(to) != dtype_bits(c.in[0].dtype)) {
    return invalid("expected a type as wide as " + std::string(dtype_name(c.in[0].dtype)) +
                   ", found " + std::string(dtype_name(to)));
  }
  set_output(c, 0, to, c.in[0].shape);
  return {};
}

Status reference_bit_cast(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(const Tensor copy, c.in[0]->clone());
  c.out[0] = copy.retyped(c.types[0].dtype);
  return {};
}

}  // namespace

std::vector<OpDef> define_cast() {
  const AttrDef to{"to", int64_t{0}, true}, saturate{"saturate", int64_t{1}};
  const AttrDef mode{"round_mode", std::string("up")};
  return {
      with_gradient(cast_gradient,
                    {"Cast", 1, 1, kElementwise, {to, saturate, mode}, infer_cast, reference_cast}),
      with_gradient(cast_gradient,
                    {"CastLike", 2, 2, {}, {saturate, mode}, infer_cast_like, reference_cast}),
      {"BitCast", 1, 1, {}, {to}, infer_bit_cast, reference_bit_cast},
  };
}

}  // namespace mnn
