#include "libruntime/backends/cpu/matrix.h"

#include <algorithm>

#include "libruntime/backends/cpu/element.h"
#include "libruntime/core/post_op.h"
#include "libruntime/core/storage.h"

namespace mnn::cpu {
namespace {

// The post-op as an activation of a kernel; nullopt when kernels do not have it.
std::optional<PostOp> activation(const Graph& graph, const Node& node, size_t i) {
  const Node f = post_op(node, i);
  const OpDef* def = find_op(f.op);
  if (def == nullptr) return std::nullopt;
  const AttributeReader read(f, *def);
  auto number = [&](std::string_view name) { return static_cast<float>(read.attr_float(name)); };
  if (f.op == "Relu") return PostOp{Activation::kRelu, 0, 0};
  if (f.op == "Clip") {
    const std::optional<ClipBounds> bounds = clip_bounds(graph, f);
    if (!bounds) return std::nullopt;
    return PostOp{Activation::kClip, static_cast<float>(bounds->low),
                  static_cast<float>(bounds->high)};
  }
  if (f.op == "LeakyRelu") return PostOp{Activation::kLeakyRelu, number("alpha"), 0};
  if (f.op == "HardSigmoid") {
    return PostOp{Activation::kHardSigmoid, number("alpha"), number("beta")};
  }
  if (f.op == "HardSwish") return PostOp{Activation::kHardSwish, 0, 0};
  if (f.op == "Sigmoid") return PostOp{Activation::kSigmoid, 0, 0};
  if (f.op == "Swish" && number("alpha") == 1.0f) return PostOp{Activation::kSwish, 0, 0};
  if (f.op == "Tanh") return PostOp{Activation::kTanh, 0, 0};
  if (f.op == "Elu") return PostOp{Activation::kElu, number("alpha"), 0};
  if (f.op == "Mish") return PostOp{Activation::kMish, 0, 0};
  if (f.op == "Gelu") {
    const bool tanh_form = read.attr_string("approximate") == "tanh";
    return PostOp{tanh_form ? Activation::kGeluTanh : Activation::kGelu, 0, 0};
  }
  return std::nullopt;
}

// The constant number a post-op multiplies by or adds; null when it is none.
const Tensor* number_of(const Lowering& l, const Node& node, const FusedOp& f) {
  if (f.operand() < 0 || (f.op != "Mul" && f.op != "Add")) return nullptr;
  const Tensor* t = l.graph().constant(node.inputs[static_cast<size_t>(f.operand())]);
  return t && t->dtype() == DType::kF32 && t->elements() == 1 ? t : nullptr;
}

// The positive constants a post-op multiplies the indices of an axis by; null when it does not.
const float* factors_of(const Lowering& l, const Node& node, const FusedOp& f, size_t axis) {
  if (f.operand() < 0 || f.op != "Mul") return nullptr;
  const Tensor* t = l.graph().constant(node.inputs[static_cast<size_t>(f.operand())]);
  const Dims out = l.dims(node.outputs[0]);
  const size_t behind = out.size() - axis;  // axes from `axis` on
  if (t == nullptr || t->dtype() != DType::kF32 || t->elements() != out[axis] ||
      t->rank() < behind || t->dims()[t->rank() - behind] != out[axis]) {
    return nullptr;
  }
  const float* factors = t->data<float>();
  const bool positive = std::all_of(factors, factors + out[axis], [](float x) { return x > 0; });
  return positive ? factors : nullptr;
}

}  // namespace

size_t fuse_bias(Lowering& l, const Node& node, size_t axis, std::vector<float>& bias) {
  const Dims out = l.dims(node.outputs[0]);
  size_t taken = 0;
  for (const FusedOp& f : node.fused) {
    if (f.op != "Add" || f.operand() < 0) break;
    const Tensor* t = l.constant(node.inputs[static_cast<size_t>(f.operand())]);
    if (t == nullptr || t->dtype() != DType::kF32 || t->elements() != out[axis]) break;
    const size_t behind = out.size() - axis;  // axes from `axis` on
    if (t->rank() < behind || t->dims()[t->rank() - behind] != out[axis]) break;
    bias.resize(static_cast<size_t>(out[axis]), 0.0f);
    for (size_t i = 0; i < bias.size(); ++i) bias[i] += t->data<float>()[i];
    ++taken;
  }
  return taken;
}

FusedPart fuse(const Lowering& l, const Node& node, size_t from, bool int8, bool bytes) {
  FusedPart part;
  part.count = from;
  const Dims out = l.dims(node.outputs[0]);
  for (size_t i = from; i < node.fused.size(); ++i) {
    const FusedOp& f = node.fused[i];
    Epilogue& e = part.epilogue;
    if (const auto a = activation(l.graph(), node, i)) {
      if (e.factor != 1 || e.offset != 0) break;
      PostOp& place = e.residual ? e.after : e.before;
      if (place.kind != Activation::kNone || e.after.kind != Activation::kNone) break;
      place = *a;
    } else if (const Tensor* number =
                   int8 && bytes && !e.residual ? number_of(l, node, f) : nullptr) {
      if (f.op == "Mul" && e.factor == 1 && e.offset == 0) {
        e.factor = *number->data<float>();
      } else if (f.op == "Add" && e.offset == 0) {
        e.offset = *number->data<float>();
      } else {
        break;
      }
    } else if (e.factor != 1 || e.offset != 0) {
      break;
    } else if (f.op == "Add" && f.operand() >= 0 && !e.residual) {
      const ValueId operand = node.inputs[static_cast<size_t>(f.operand())];
      if (l.dims(operand) != out || l.dtype(operand) != DType::kF32) break;
      e.residual = true;
      part.residual = operand;
    } else {
      break;
    }
    ++part.count;
  }
  return part;
}

std::optional<std::string> check_post_ops(const Graph& graph, const Node& node) {
  for (size_t i = 0; i < node.fused.size(); ++i) {
    if (graph.value(node.outputs[0]).type.dtype != DType::kF32 ||
        !is_element_post_op(graph, node, i)) {
      return "post-op " + node.fused[i].op + " has no CPU kernel";
    }
  }
  return std::nullopt;
}

std::optional<ByteWeights> byte_weights(const Lowering& l, ValueId weights, int axis) {
  const Value& v = l.graph().value(weights);
  if (v.kind != ValueKind::kConstant || !v.quant) return std::nullopt;
  const QuantParams& q = *v.quant;
  const StorageType* row = find_storage(q.storage);
  if (!q.is_plain() || row == nullptr || row->bits > 8 || (q.axis >= 0 && q.axis != axis)) {
    return std::nullopt;
  }
  const auto& dims = v.data.dims();
  const int64_t outputs = dims[static_cast<size_t>(axis)];
  ByteWeights w;
  bool shifted = false;
  for (int64_t o = 0; o < outputs; ++o) {
    w.scales.push_back(q.scale_at(q.axis >= 0 ? o : 0));
    shifted = shifted || q.zero_point_at(q.axis >= 0 ? o : 0) != 0.0f;
  }
  w.values = v.data;
  w.id = l.weight_id(weights).derived("bytes");
  if (q.storage == DType::kI8 && !shifted) return w;
  // Narrower codes widen; what lies around a zero point goes around 0 where a signed byte holds it.
  Result<Tensor> moved = Tensor::allocate(DType::kI8, dims);
  if (!moved.ok()) return std::nullopt;
  int64_t inner = 1;
  for (size_t d = static_cast<size_t>(axis) + 1; d < dims.size(); ++d) inner *= dims[d];
  std::vector<double> codes(static_cast<size_t>(inner));
  for (int64_t run = 0; run * inner < v.data.elements(); ++run) {
    row->unpack(v.data.raw(), run * inner, inner, codes.data());
    const auto zero = static_cast<double>(q.zero_point_at(q.axis >= 0 ? run % outputs : 0));
    for (int64_t i = 0; i < inner; ++i) {
      const double code = codes[static_cast<size_t>(i)] - zero;
      if (code < -128 || code > 127) return std::nullopt;
      moved->data<int8_t>()[run * inner + i] = static_cast<int8_t>(code);
    }
  }
  w.values = *moved;
  return w;
}

std::optional<std::string> why_not_constant(const NodeView& n, size_t input, const char* what) {
  if (!n.is_constant(input)) return std::string(what) + " are not constant";
  if (n.in_type(input) != DType::kF32) return std::string(what) + " are not f32";
  return std::nullopt;
}

QuantU8 quant_of(const Grid& grid) { return {grid.scale, grid.zero}; }

ByteOutput::ByteOutput(const Lowering& l, const Node& node, size_t axis)
    : l_(l), node_(node), axis_(axis), grid_(l.grid(node.outputs[0])) {
  if (auto grids = l.channel_grid(node.outputs[0]); grids && axis == 1) {
    channels_ = true;
    grids_ = *std::move(grids);
  }
}

FusedPart ByteOutput::fuse_from(size_t from) {
  const bool bytes = channels_ || grid_;
  FusedPart part = fuse(l_, node_, from, true, bytes);
  if (bytes && part.count + 1 == node_.fused.size()) {
    if (const float* factors = factors_of(l_, node_, node_.fused.back(), axis_)) {
      const auto n = static_cast<size_t>(l_.dims(node_.outputs[0])[axis_]);
      if (grids_.scales.empty()) {
        grids_.scales.assign(n, grid_->scale);
        grids_.zeros.assign(n, grid_->zero);
      }
      for (size_t c = 0; c < n; ++c) grids_.scales[c] /= factors[c];
      ++part.count;
    }
  }
  stored_ = bytes && part.count == node_.fused.size();
  // What the kernel cannot apply before it stores bytes runs on its float result.
  return stored_ || !bytes ? part : fuse(l_, node_, from, true, false);
}

void ByteOutput::put(ConvQuant& quant) const {
  if (!stored_) return;
  quant.out = grid_ ? quant_of(*grid_) : QuantU8{};
  if (grids_.scales.empty()) return;
  quant.out_scales = grids_.scales.data();
  quant.out_zero_points = grids_.zeros.data();
}

std::vector<int64_t> batch_offsets(const Array& a, const Dims& batch) {
  Array lead = a;
  lead.dims.resize(a.rank() - 2);
  lead.strides.resize(a.rank() - 2);
  const Array wide = broadcast_to(lead, batch);
  std::vector<int64_t> offsets = {0};
  for (size_t d = 0; d < batch.size(); ++d) {
    std::vector<int64_t> next;
    for (const int64_t o : offsets) {
      for (int64_t i = 0; i < batch[d]; ++i) next.push_back(o + i * wide.strides[d]);
    }
    offsets = std::move(next);
  }
  return offsets;
}

void add_matrix_step(Lowering& l, const Node& node, MatrixKernelPtr kernel, const Array& x,
                     const Array* b, const Array* residual, const Array& y, ComputeForm form,
                     int64_t weight_bytes, const Epilogue& epilogue, const Array* bias) {
  const bool early_residual = epilogue.before.kind == Activation::kNone;
  std::shared_ptr<const MatrixKernel> k = std::move(kernel);
  l.count_weights(*k);
  std::vector<Array> in = {x};
  if (b != nullptr) in.push_back(*b);
  if (residual != nullptr) in.push_back(*residual);
  if (bias != nullptr) in.push_back(*bias);
  const Array out[] = {y};
  Step& step = l.add_step(k->name(), in, out, 0, nullptr);
  step.info.bytes += weight_bytes;
  step.info.macs = count_macs(l.graph(), node);
  step.info.form = step.info.macs > 0 ? form : ComputeForm::kNone;
  step.phases = k->phases();
  step.parts = k->parts();
  // An activation in front of the residual may be applied to y before the residual is read.
  if (residual != nullptr && early_residual && residual->offset == 0 &&
      residual->strides == y.strides && residual->item_bytes() == y.item_bytes() &&
      residual->storage != x.storage && (b == nullptr || residual->storage != b->storage)) {
    step.in_place = residual->storage;
  }
  const int scratch = k->scratch_bytes() > 0 ? l.add_scratch(k->scratch_bytes()) : -1;
  const Array second = b != nullptr ? *b : Array();
  const Array added = residual != nullptr ? *residual : Array();
  const Array shift = bias != nullptr ? *bias : Array();
  l.last_step().run = [k, x, second, added, shift, y, scratch](const Run& run, int phase,
                                                               int part) {
    KernelArgs args;
    args.x = run.bytes(x);
    if (second.storage >= 0) args.b = run.bytes(second);
    if (added.storage >= 0) args.residual = run.bytes(added);
    if (shift.storage >= 0) args.bias = run.bytes(shift);
    args.y = run.bytes(y);
    if (scratch >= 0) args.scratch = run.storage(scratch);
    k->run(phase, part, args);
  };
}

}  // namespace mnn::cpu
