#include <algorithm>

#include "libruntime/compile/backend.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

// Bytes of a value as stored; 0 while its shape is open.
int64_t stored_bytes(const Value& value) {
  if (!value.type.is_static()) return 0;
  const auto elements = checked_elements(known_dims(*value.type.shape));
  const DType dtype = value.quant ? value.quant->storage : value.type.dtype;
  return elements ? storage_bytes(dtype, *elements).value_or(0) : 0;
}

// Whether it reads no more of its first input than it hands on.
bool picks(const Node& node) {
  return has_traits(node.op, kMoves) && !node.inputs.empty() && node.outputs.size() == 1;
}

ComputeForm plain_form(DType dtype) {
  if (dtype == DType::kF64) return ComputeForm::kF64;
  return is_float(dtype) ? ComputeForm::kF32 : ComputeForm::kI32;
}

}  // namespace

std::string_view form_name(ComputeForm form) {
  switch (form) {
    case ComputeForm::kNone: return "none";
    case ComputeForm::kF32: return "f32";
    case ComputeForm::kF64: return "f64";
    case ComputeForm::kI32: return "i32";
    case ComputeForm::kU8xS8: return "u8xs8";
    case ComputeForm::kU8xU8: return "u8xu8";
    case ComputeForm::kS8xCodes: return "s8xcodes";
  }
  return "";
}

Status Executable::run(std::span<const Tensor>, std::span<Tensor>) {
  return internal_error("an executable on a device is started");
}
Status Executable::start() { return internal_error("an executable in host memory is run"); }

std::optional<std::string> Backend::why_not_form(const Graph& graph, const Node& node,
                                                 ComputeForm form) const {
  if (auto why = why_not(graph, node)) return why;
  const ValueId v = node.outputs.empty() ? kNoValue : node.outputs[0];
  if (v != kNoValue && plain_form(graph.value(v).type.dtype) == form) return std::nullopt;
  return "backend " + name() + " does not compute " + node.op + " in " +
         std::string(form_name(form));
}

StepInfo describe_step(const Graph& graph, const Node& node) {
  StepInfo info;
  info.op = node.op;
  for (const FusedOp& f : node.fused) info.op += "+" + f.op;
  info.name = display_name(graph, node);
  info.origin = node.origin;
  if (info.origin.empty()) info.origin.push_back(display_name(graph, node));
  info.macs = count_macs(graph, node);
  for (const auto* list : {&node.inputs, &node.captures, &node.outputs}) {
    for (const ValueId v : *list) {
      if (v != kNoValue) info.bytes += stored_bytes(graph.value(v));
    }
  }
  if (picks(node) && node.inputs[0] != kNoValue && node.outputs[0] != kNoValue) {
    const int64_t all = stored_bytes(graph.value(node.inputs[0]));
    info.bytes -= all - std::min(all, stored_bytes(graph.value(node.outputs[0])));
  }
  for (const ValueId v : node.outputs) {
    if (v == kNoValue) continue;
    const Value& value = graph.value(v);
    if (value.type.is_static()) info.out_dims = known_dims(*value.type.shape);
    if (info.macs > 0) info.form = plain_form(value.type.dtype);
    info.out_dtype = dtype_name(value.quant ? value.quant->storage : value.type.dtype);
    break;
  }
  return info;
}

}  // namespace mnn
