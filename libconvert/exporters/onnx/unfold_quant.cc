// QuantParams as QuantizeLinear and DequantizeLinear.
#include <algorithm>
#include <cmath>

#include "libconvert/exporters/onnx/unfold.h"
#include "libruntime/core/builder.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"

namespace mnn::onnx_export {
namespace {

bool is_half_storage(DType t) { return t == DType::kF16 || t == DType::kBF16; }

// The type of ONNX that holds codes of a storage type at an opset.
DType code_type(const StorageType& row, int opset) {
  const bool is_signed = row.low < 0;
  if (row.bits <= 4 && opset >= 21) return is_signed ? DType::kI4 : DType::kU4;
  if (row.bits <= 8) return is_signed ? DType::kI8 : DType::kU8;
  return row.dtype;
}

bool all_of_scales(const QuantParams& p, bool (*holds)(float scale, float zero)) {
  for (int64_t i = 0; i < p.entries(); ++i) {
    if (!holds(p.scale_at(i), p.zero_point_at(i))) return false;
  }
  return true;
}

// The zero points as codes of `type`; undefined when all are 0.
Result<Tensor> zero_points(const QuantParams& p, DType type, bool always) {
  const bool zero = all_of_scales(p, [](float, float z) { return z == 0; });
  if (zero && !always) return Tensor();
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(type, p.scale.dims()));
  const StorageType& row = *find_storage(type);
  std::vector<double> codes(static_cast<size_t>(p.entries()));
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = p.zero_point_at(static_cast<int64_t>(i));
    if (codes[i] != std::nearbyint(codes[i]) || codes[i] < row.low || codes[i] > row.high) {
      return unsupported("a zero point of " + std::to_string(codes[i]) + " is no " +
                         std::string(dtype_name(type)));
    }
  }
  row.pack(codes.data(), 0, p.entries(), out.raw());
  return out;
}

Result<Tensor> scales(const QuantParams& p) {
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(DType::kF32, p.scale.dims()));
  for (int64_t i = 0; i < p.entries(); ++i) out.data<float>()[i] = p.scale_at(i);
  return out;
}

class Unfolder {
 public:
  Unfolder(const OnnxExportOptions& options, OnnxExport& out, Diagnostics& diagnostics)
      : options_(options), out_(out), diagnostics_(diagnostics) {}

  Status run(Graph& graph) {
    const size_t values = graph.values.size(), nodes = graph.nodes.size();
    read_as_.assign(values, kNoValue);
    made_as_.assign(values, kNoValue);
    for (size_t v = 0; v < values; ++v) {
      const auto id = static_cast<ValueId>(v);
      if (!graph.value(id).quant) continue;
      if (graph.value(id).kind == ValueKind::kConstant) {
        MNN_RETURN_IF_ERROR(unfold_constant(graph, id));
      } else {
        MNN_RETURN_IF_ERROR(unfold_value(graph, id));
      }
    }
    for (size_t n = 0; n < nodes; ++n) {
      Node& node = graph.nodes[n];
      substitute(node.inputs, read_as_);
      substitute(node.captures, read_as_);
      substitute(node.outputs, made_as_);
    }
    substitute(graph.outputs, read_as_);
    for (size_t n = 0; n < nodes; ++n) {
      for (Graph& inner : graph.nodes[n].subgraphs) MNN_RETURN_IF_ERROR(run(inner));
    }
    return sort_nodes(graph);
  }

  // A value on its way into a sub-graph is on its grid already.
  static void drop_known_grids(Graph& graph) {
    for (Node& node : graph.nodes) {
      for (Graph& inner : node.subgraphs) {
        for (size_t c = 0; c < inner.captures.size(); ++c) {
          Value& inside = inner.value(inner.captures[c]);
          const Value& outside = graph.value(node.captures[c]);
          const bool same = inside.quant && outside.quant && *inside.quant == *outside.quant;
          if (outside.kind == ValueKind::kConstant || same) inside.quant.reset();
        }
        drop_known_grids(inner);
      }
    }
  }

 private:
  static void substitute(std::vector<ValueId>& ids, const std::vector<ValueId>& by) {
    for (ValueId& v : ids) {
      if (v != kNoValue && by[static_cast<size_t>(v)] != kNoValue) v = by[static_cast<size_t>(v)];
    }
  }

  // What keeps the encoding of a constant from being said; empty: nothing does.
  std::string problem(const Value& value) const {
    const QuantParams& p = *value.quant;
    const StorageType& row = *find_storage(p.storage);
    const auto needs = [&](int opset) {
      return " needs opset " + std::to_string(opset) + ", or --dequantize";
    };
    const std::string none = " cannot be said in ONNX; --dequantize writes floats";
    if (p.codebook.defined()) return "a codebook" + none;
    if (p.rotation) return "a rotation" + none;
    if (p.offset.defined()) return "an offset" + none;
    if (!row.integer) {
      const bool half = is_half_storage(row.dtype) && p.group == 0 &&
                        all_of_scales(p, [](float s, float z) { return s == 1 && z == 0; });
      return half ? std::string() : std::string(dtype_name(row.dtype)) + " codes" + none;
    }
    if (p.group > 0 && options_.opset < 21) return "scales of groups: this" + needs(21);
    if (row.bits == 16 && options_.opset < 21 && !options_.contrib) {
      return std::string(dtype_name(row.dtype)) + " codes: this" + needs(21) + " or --contrib";
    }
    const DType type = code_type(row, options_.opset);
    if (row.bits == 32 && !all_of_scales(p, [](float, float z) { return z == 0; })) {
      return "i32 codes with a zero point" + none;
    }
    if (row.bits < 32) {
      const Result<Tensor> zero = zero_points(p, type, false);
      if (!zero.ok()) return zero.status().message() + none;
    }
    return {};
  }

  void report(const Graph& graph, ValueId v, const std::string& message) {
    bool named = false;
    for (const Node& node : graph.nodes) {
      if (std::ranges::count(node.inputs, v) + std::ranges::count(node.outputs, v) == 0) continue;
      diagnostics_.add(
          {Severity::kError, Code::kUnsupported, display_name(graph, node), node.op, message});
      named = true;
    }
    if (!named) {
      diagnostics_.add({Severity::kError, Code::kUnsupported, graph.value(v).name, {}, message});
    }
  }

  Status unfold_constant(Graph& graph, ValueId v) {
    const std::string why = problem(graph.value(v));
    if (!why.empty() && !options_.dequantize) {
      report(graph, v, why);
      graph.value(v).quant.reset();
      return {};
    }
    if (!why.empty()) {
      Value& value = graph.value(v);
      MNN_ASSIGN_OR_RETURN(value.data, constant_as_real(value));
      value.quant.reset();
      ++out_.dequantized_constants;
      return {};
    }
    ++out_.quantized_constants;
    const Value value = graph.value(v);
    const QuantParams& p = *value.quant;
    Builder b(graph, {value.name});
    const std::string name = value.name;
    Value codes = value;
    codes.quant.reset();
    codes.name = name.empty() ? name : name + "_quantized";
    ValueId y = kNoValue;
    if (!find_storage(p.storage)->integer) {
      codes.type.dtype = p.storage;
      const ValueId stored = graph.add_value(std::move(codes));
      y = b.op("Cast", {stored}, {{"to", static_cast<int64_t>(value.type.dtype)}});
    } else {
      MNN_ASSIGN_OR_RETURN(codes.data, widen_codes(value.data, options_.opset));
      codes.type.dtype = codes.data.dtype();
      const ValueId stored = graph.add_value(std::move(codes));
      MNN_ASSIGN_OR_RETURN(y, dequantize(graph, b, stored, p, name, false));
      y = to_type(b, y, value.type.dtype);
    }
    read_as_[static_cast<size_t>(v)] = y;
    graph.value(y).name = name;
    graph.value(y).type = value.type;
    graph.value(v) = {};
    name_nodes(graph, b, name.empty() ? "constant" : name);
    return {};
  }

  // DequantizeLinear of `codes`; `always`: with a zero point also where it is 0.
  Result<ValueId> dequantize(Graph& graph, Builder& b, ValueId codes, const QuantParams& p,
                             const std::string& name, bool always) {
    MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> with,
                         parameters(graph, codes, p, name, always));
    return b.op("DequantizeLinear", with, attributes(p));
  }

  // `x` with the scale and zero point of `p` for codes of the type of value `typed`.
  Result<std::vector<ValueId>> parameters(Graph& graph, ValueId x, const QuantParams& p,
                                          const std::string& name, bool always) {
    const DType type = always ? p.storage : graph.value(x).type.dtype;
    MNN_ASSIGN_OR_RETURN(Tensor scale, scales(p));
    const std::string stem = name.empty() ? name : name + "_";
    std::vector<ValueId> in = {
        x, graph.add_constant(std::move(scale), name.empty() ? name : stem + "scale")};
    if (type == DType::kI32) return in;
    MNN_ASSIGN_OR_RETURN(Tensor zero, zero_points(p, type, always));
    if (zero.defined()) {
      in.push_back(graph.add_constant(std::move(zero), name.empty() ? name : stem + "zero_point"));
    }
    return in;
  }

  static Builder::Attributes attributes(const QuantParams& p) {
    Builder::Attributes out;
    if (p.axis >= 0) out["axis"] = static_cast<int64_t>(p.axis);
    if (p.group > 0) out["block_size"] = p.group;
    return out;
  }

  // The scales of a value's channels, shaped to meet the value.
  static Result<ValueId> channel_factors(Graph& graph, const Value& value) {
    const auto axis = static_cast<size_t>(value.quant->axis);
    MNN_ASSIGN_OR_RETURN(const Tensor scale, scales(*value.quant));
    std::vector<int64_t> dims(value.type.rank() - axis, 1);
    dims[0] = scale.elements();
    return graph.add_constant(scale.reshaped(std::move(dims)));
  }

  static QuantParams unit_scales(const QuantParams& p) {
    QuantParams out = p;
    const std::vector<float> ones(static_cast<size_t>(p.entries()), 1.0f);
    out.scale = Tensor::of<float>({p.entries()}, std::span<const float>(ones));
    return out;
  }

  static ValueId to_type(Builder& b, ValueId x, DType type) {
    if (type == DType::kF32) return x;
    return b.op("Cast", {x}, {{"to", static_cast<int64_t>(type)}});
  }

  // x -> QuantizeLinear -> DequantizeLinear -> those that read x.
  Status unfold_value(Graph& graph, ValueId v) {
    const Value value = graph.value(v);
    const QuantParams& p = *value.quant;
    graph.value(v).quant.reset();
    const StorageType& row = *find_storage(p.storage);
    if (!p.is_plain() || row.bits < 8 || row.bits > 16 || (p.axis >= 0 && !value.type.shape)) {
      report(graph, v, "a value stored as " + describe_quant(p) + " cannot be said in ONNX");
      return {};
    }
    if (row.bits == 16 && options_.opset < 21 && !options_.contrib) {
      report(graph, v, "a value stored in 16 bits needs opset 21, or --contrib");
      return {};
    }
    ++out_.quantized_values;
    Builder b(graph, {value.name});
    const bool result = std::ranges::count(graph.outputs, v) > 0;
    const bool formal = value.kind != ValueKind::kTemporary;
    // Readers get y in place of v. An output keeps its name: what makes v then makes another value.
    ValueId x = v, y = kNoValue;
    if (result && !formal) {
      x = made_as_[static_cast<size_t>(v)] = graph.add_temporary({}, value.type);
      y = v;
    } else {
      y = read_as_[static_cast<size_t>(v)] = graph.add_temporary({}, value.type);
    }
    const bool wide_already = value.type.dtype == DType::kF32;
    const ValueId wide =
        wide_already ? x : b.op("Cast", {x}, {{"to", static_cast<int64_t>(DType::kF32)}});
    // Kernels of ONNX Runtime refuse a convolution between values with a scale per channel: the
    // scales become a division in front and a product behind.
    ValueId factors = kNoValue, rounded = wide;
    QuantParams grid = p;
    if (p.axis >= 0) {
      MNN_ASSIGN_OR_RETURN(factors, channel_factors(graph, value));
      rounded = b.op("Div", {wide, factors});
      grid = unit_scales(p);
    }
    MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> with,
                         parameters(graph, rounded, grid, value.name, true));
    const ValueId codes = b.op("QuantizeLinear", with, attributes(grid));
    graph.value(codes).type = value.type;
    graph.value(codes).type.dtype = p.storage;
    std::vector<ValueId> back = with;
    back[0] = codes;
    ValueId real = b.op("DequantizeLinear", back, attributes(grid));
    if (factors != kNoValue) real = b.op("Mul", {real, factors});
    graph.value(real).type = value.type;
    const ValueId narrow = to_type(b, real, value.type.dtype);
    // The last of them makes y.
    for (const NodeId n : b.made()) std::ranges::replace(graph.node(n).outputs, narrow, y);
    name_nodes(graph, b, value.name.empty() ? "value" + std::to_string(v) : value.name);
    return {};
  }

  static void name_nodes(Graph& graph, const Builder& b, const std::string& name) {
    for (const NodeId n : b.made()) {
      Node& node = graph.node(n);
      node.name = name + "_" + node.op;
    }
  }

  const OnnxExportOptions& options_;
  OnnxExport& out_;
  Diagnostics& diagnostics_;
  // Of the graph at hand, per value: what its readers read, what its maker makes instead.
  std::vector<ValueId> read_as_, made_as_;
};

}  // namespace

Result<Tensor> widen_codes(const Tensor& codes, int opset) {
  const StorageType& from = *find_storage(codes.dtype());
  const StorageType& to = *find_storage(code_type(from, opset));
  if (from.dtype == to.dtype) return codes;
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(to.dtype, codes.dims()));
  constexpr int64_t kPart = 4096;  // whole bytes of every width
  std::vector<double> numbers(kPart);
  for (int64_t at = 0; at < codes.elements(); at += kPart) {
    const int64_t count = std::min(kPart, codes.elements() - at);
    from.unpack(codes.raw(), at, count, numbers.data());
    to.pack(numbers.data(), at, count, out.raw());
  }
  return out;
}

Status unfold_quantization(Graph& graph, const OnnxExportOptions& options, OnnxExport& out,
                           Diagnostics& diagnostics) {
  Unfolder::drop_known_grids(graph);
  return Unfolder(options, out, diagnostics).run(graph);
}

}  // namespace mnn::onnx_export
