// Products, poolings and sums of values on grids, computed from their bytes.
#include "libruntime/backends/gpu/lower_bytes.h"

#include <algorithm>

#include "libruntime/lower/view.h"

namespace mnn::gpu {
namespace {

// Products that a sum of 32 bits holds.
constexpr int64_t kMostProducts = 65793;

// How a product of bytes is stored, and what is added to it.
struct ByteEnd {
  FusedPart part;
  int residual = -1;  // storage
  int residual_kind = 0;
  Grid residual_grid;
  bool bytes = false;  // the result, whose grid is this
  Grid grid;
};

// The bytes' channels are on `axis`.
Result<ByteEnd> take_end(Lowering& l, const Node& node, size_t from, size_t axis) {
  ByteEnd e;
  e.part = fuse(l.graph(), node, from);
  const auto grid = grid_of(l.graph().value(node.outputs[0]));
  e.bytes = grid && e.part.count == node.fused.size();
  if (grid) e.grid = *grid;
  const ValueId residual = e.part.residual;
  if (residual == kNoValue) return e;
  if (const auto own = grid_of(l.graph().value(residual))) {
    MNN_ASSIGN_OR_RETURN(const Bytes b, l.bytes(residual, axis));
    e.residual = b.storage;
    e.residual_kind = 2;
    e.residual_grid = *own;
  } else {
    MNN_ASSIGN_OR_RETURN(const Array a, l.dense(residual));
    e.residual = a.storage;
    e.residual_kind = 1;
  }
  return e;
}

// Where sums start, their factors, the bias: [3][columns]. Column i makes output `output(i)`, -1:
// none.
template <typename F>
std::vector<float> make_columns(int64_t columns, const ByteWeights& weights, const Bytes& x,
                                const std::vector<float>& bias, const std::vector<int64_t>& sums,
                                F output) {
  std::vector<float> q(static_cast<size_t>(3 * columns), 0.0f);
  for (int64_t i = 0; i < columns; ++i) {
    const int64_t o = output(i);
    if (o < 0) continue;
    const auto at = static_cast<size_t>(i), from = static_cast<size_t>(o);
    const auto start = static_cast<int32_t>(-x.zero() * sums[from]);
    q[at] = std::bit_cast<float>(start);
    q[at + static_cast<size_t>(columns)] = x.grid.scale * weights.scales[from];
    if (!bias.empty()) q[at + static_cast<size_t>(2 * columns)] = bias[from];
  }
  return q;
}

// The sum of each output's weights; outputs are the first axis, or the last one.
std::vector<int64_t> sums_of(const ByteWeights& weights, int64_t outputs, bool first) {
  const int64_t depth = weights.values.elements() / outputs;
  std::vector<int64_t> sums(static_cast<size_t>(outputs), 0);
  const auto* w = weights.values.data<int8_t>();
  for (int64_t i = 0; i < weights.values.elements(); ++i) {
    sums[static_cast<size_t>(first ? i / depth : i % outputs)] += w[i];
  }
  return sums;
}

void put_byte(uint32_t* words, int64_t word_at, int64_t k, int8_t value) {
  words[word_at] |= static_cast<uint32_t>(static_cast<uint8_t>(value)) << (8 * k);
}

// Every byte the zero point.
uint32_t outside_word(const Bytes& x) {
  return static_cast<uint32_t>(static_cast<uint8_t>(x.zero())) * 0x01010101u;
}

// The parameters behind the window, and the first constants.
void add_end(Launch& launch, const ByteEnd& e, const Bytes& x) {
  const Epilogue& p = e.part.epilogue;
  for (const float v : {p.before.a, p.before.b, p.after.a, p.after.b}) {
    launch.params.push_back(word(v));
  }
  launch.params.push_back(outside_word(x));
  launch.params.push_back(word(e.bytes ? 1.0f / e.grid.scale : 1.0f));
  launch.params.push_back(word(static_cast<float>(e.grid.zero)));
  launch.params.push_back(word(e.residual_grid.scale));
  launch.params.push_back(word(int64_t{e.residual_grid.zero - 128}));
  launch.constants = {static_cast<int>(p.before.kind), static_cast<int>(p.after.kind),
                      e.residual_kind, e.bytes ? 1 : 0};
}

void count_byte_products(const Lowering& l, const Node& node, Launch& launch) {
  launch.info.macs = count_macs(l.graph(), node);
  launch.info.form = launch.info.macs > 0 ? ComputeForm::kU8xS8 : ComputeForm::kNone;
}

// Where a launch writes its result; end() says what that is.
class ByteResult {
 public:
  ByteResult(Lowering& l, const Node& node, const ByteEnd& e, size_t axis)
      : l_(l), node_(node), e_(e) {
    if (e.bytes) {
      bytes_ = l.allocate_bytes(node.outputs[0], axis);
    } else {
      floats_ = l.allocate(DType::kF32, l.dims(node.outputs[0]));
    }
  }
  int storage() const { return e_.bytes ? bytes_.storage : floats_.storage; }
  Status end() {
    if (!e_.bytes) return l_.finish(node_, floats_, e_.part.count);
    l_.define_bytes(node_.outputs[0], bytes_);
    return {};
  }

 private:
  Lowering& l_;
  const Node& node_;
  const ByteEnd& e_;
  Bytes bytes_;
  Array floats_;
};

bool is_depthwise(const ConvGeometry& g) {
  return g.groups > 1 && g.groups == g.ic && g.groups == g.oc;
}

std::optional<std::string> why_not_geometry(const ConvGeometry& g) {
  if (g.ic / g.groups * g.kd * g.kh * g.kw > kMostProducts) {
    return "int8 product over more than " + std::to_string(kMostProducts) + " inputs";
  }
  const bool whole = g.ic / g.groups % 4 == 0 && g.oc / g.groups % 4 == 0;
  if (g.groups > 1 && !is_depthwise(g) && !whole) {
    return "groups of channels that are no multiples of 4";
  }
  return std::nullopt;
}

std::optional<std::string> why_not_bytes_conv(const NodeView& n) {
  if (n.node.op != "Conv") return "there is no int8 kernel of this operator";
  if (!n.in(0).type.is_static() || !n.out().type.is_static()) return std::nullopt;
  const Result<ConvGeometry> g = conv_geometry(n);
  if (!g.ok()) return g.status().message();
  return why_not_geometry(*g);
}

std::optional<std::string> why_not_bytes_product(const NodeView& n) {
  if (n.attr_int("activation_bits") != 0) return "its rows are quantized as they come";
  if (!n.in(0).type.shape || !n.in(1).type.shape) return "the rank is not known";
  if (n.in(0).type.rank() < 2) return "the input is no matrix";
  if (n.in(1).type.rank() != 2) return "the weights are no matrix";
  if (n.node.op == "Gemm" && (n.attr_float("alpha") != 1.0 || n.attr_int("transA") != 0)) {
    return "alpha or transA is set";
  }
  const Shape& b = *n.in(1).type.shape;
  const bool turned = n.node.op == "Gemm" && n.attr_int("transB") != 0;
  const Dim& depth = b[turned ? 1 : 0];
  if (depth.known() && depth.value() > kMostProducts) {
    return "int8 product over more than " + std::to_string(kMostProducts) + " inputs";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> why_not_byte_product(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  const bool product = node.op == "MatMul" || node.op == "Gemm";
  if (!product && node.op != "Conv") return "there is no int8 kernel of this operator";
  if (n.in_type(0) != DType::kF32 || n.in_type(1) != DType::kF32) return "the input is not f32";
  if (n.is_constant(0)) return "the input is constant";
  if (!n.is_constant(1)) return "there is no int8 kernel for computed weights";
  if (n.has_input(2) && !n.is_constant(2)) return "there is no int8 kernel for a computed bias";
  return product ? why_not_bytes_product(n) : why_not_bytes_conv(n);
}

bool multiplies_bytes(const Graph& graph, const Node& node) {
  if (why_not_byte_product(graph, node)) return false;
  if (!grid_of(graph.value(node.inputs[0]))) return false;
  const bool turned = node.op == "Gemm" && NodeView(graph, node).attr_int("transB") != 0;
  const int axis = node.op == "Conv" || turned ? 0 : 1;
  const Value& w = graph.value(node.inputs[1]);
  // Where there is none, each look would unpack them again.
  return w.quant && w.quant->is_plain() && byte_weights(w, axis).has_value();
}

Status lower_byte_conv(Lowering& l, const Node& node, const ConvGeometry& g,
                       const std::vector<float>& bias, size_t from) {
  MNN_ASSIGN_OR_RETURN(const Bytes x, l.bytes(node.inputs[0], 1));
  const auto weights = byte_weights(l.graph().value(node.inputs[1]), 0);
  if (!weights) return internal_error("weights are no bytes");
  MNN_ASSIGN_OR_RETURN(const ByteEnd e, take_end(l, node, from, 1));
  const int64_t taps = g.kd * g.kh * g.kw, groups = g.groups;
  const bool depthwise = is_depthwise(g);
  const int64_t ic = g.ic / groups, oc = g.oc / groups;
  const int64_t c4 = (ic + 3) / 4, blocks = ((depthwise ? groups : oc) + 3) / 4;
  const int64_t columns = depthwise ? blocks * 4 : groups * blocks * 4;
  const std::vector<int64_t> sums = sums_of(*weights, g.oc, true);
  const int q = l.weights(make_columns(columns, *weights, x, bias, sums, [&](int64_t i) {
    if (depthwise) return i < groups ? i : int64_t{-1};
    const int64_t channel = i % (blocks * 4);
    return channel < oc ? i / (blocks * 4) * oc + channel : int64_t{-1};
  }));
  // [tap][blocks] of four channels, or [group][tap][c4][blocks * 4] of four inputs.
  const int w = l.weights_of(node.inputs[1],
                             layout_name(depthwise ? "depthwise bytes" : "conv bytes", {groups}),
                             depthwise ? taps * blocks : groups * taps * c4 * blocks * 4,
                             [=](const Value& value, uint32_t* words) {
                               const auto bytes = byte_weights(value, 0);
                               if (!bytes) return limit_exceeded("memory for weights");
                               const auto* from_w = bytes->values.data<int8_t>();
                               for (int64_t o = 0; o < groups * oc; ++o) {
                                 for (int64_t c = 0; c < ic; ++c) {
                                   for (int64_t t = 0; t < taps; ++t, ++from_w) {
                                     if (depthwise) {
                                       put_byte(words, t * blocks + o / 4, o % 4, *from_w);
                                     } else {
                                       const int64_t row = (o / oc * taps + t) * c4 + c / 4;
                                       put_byte(words, row * blocks * 4 + o % oc, c % 4, *from_w);
                                     }
                                   }
                                 }
                               }
                               return Status();
                             });
  ByteResult y(l, node, e, 1);
  const int64_t pixels = g.od * g.oh * g.ow;
  Launch& launch = depthwise
                       ? l.launch("mnn_depthwise_bytes", g.n * blocks * pixels)
                       : l.launch("mnn_conv_bytes", g.n * groups * blocks * ((pixels + 3) / 4));
  launch.buffers = {x.storage, w, q, e.residual >= 0 ? e.residual : q, y.storage()};
  add_window(g, launch);
  add_end(launch, e, x);
  if (!depthwise) launch.constants.push_back(0);
  count_byte_products(l, node, launch);
  return y.end();
}

Status lower_byte_product(Lowering& l, const Product& p) {
  const size_t rank = l.dims(p.a).size(), out_rank = l.dims(p.node.outputs[0]).size();
  MNN_ASSIGN_OR_RETURN(const Bytes x, l.bytes(p.a, rank - 1));
  const bool turned = p.b_transposed;
  const auto weights = byte_weights(l.graph().value(p.b), turned ? 0 : 1);
  if (!weights) return internal_error("weights are no bytes");
  const Dims b = l.dims(p.b);
  ConvGeometry g;
  g.ic = b[turned ? 1 : 0];
  g.oc = b[turned ? 0 : 1];
  g.iw = g.ow = x.outer();
  MNN_ASSIGN_OR_RETURN(const ByteEnd e, take_end(l, p.node, p.fused_from, out_rank - 1));
  const int64_t c4 = (g.ic + 3) / 4, blocks = (g.oc + 3) / 4;
  const std::vector<int64_t> sums = sums_of(*weights, g.oc, turned);
  const int q = l.weights(make_columns(blocks * 4, *weights, x, p.bias, sums,
                                       [&](int64_t i) { return i < g.oc ? i : int64_t{-1}; }));
  const int w = l.weights_of(p.b, layout_name("product bytes", {turned}), c4 * blocks * 4,
                             [=, k = g.ic, n = g.oc](const Value& value, uint32_t* words) {
                               const auto bytes = byte_weights(value, turned ? 0 : 1);
                               if (!bytes) return limit_exceeded("memory for weights");
                               const auto* from = bytes->values.data<int8_t>();
                               for (int64_t c = 0; c < k; ++c) {
                                 for (int64_t o = 0; o < n; ++o) {
                                   put_byte(words, c / 4 * blocks * 4 + o, c % 4,
                                            from[turned ? o * k + c : c * n + o]);
                                 }
                               }
                               return Status();
                             });
  ByteResult y(l, p.node, e, out_rank - 1);
  Launch& launch = l.launch("mnn_conv_bytes", blocks * ((g.ow + 3) / 4));
  launch.buffers = {x.storage, w, q, e.residual >= 0 ? e.residual : q, y.storage()};
  add_window(g, launch);
  add_end(launch, e, x);
  launch.constants.push_back(1);
  count_byte_products(l, p.node, launch);
  return y.end();
}

bool pools_bytes(const Lowering& l, const Node& node) {
  const auto in = grid_of(l.graph().value(node.inputs[0]));
  const auto out = grid_of(l.graph().value(node.outputs[0]));
  if (!in || !out || !node.fused.empty()) return false;
  return node.op == "AveragePool" || *in == *out;
}

Status lower_byte_pool(Lowering& l, const Node& node, const PoolGeometry& g) {
  MNN_ASSIGN_OR_RETURN(const Bytes x, l.bytes(node.inputs[0], 1));
  const Bytes y = l.allocate_bytes(node.outputs[0], 1);
  Launch& launch = l.launch("mnn_pool_bytes", y.words());
  launch.buffers = {x.storage, y.storage};
  add_pool(g, g.n * x.blocks(), launch);
  launch.params.push_back(word(x.zero()));
  launch.params.push_back(word(x.grid.scale / y.grid.scale));
  launch.params.push_back(word(static_cast<float>(y.grid.zero)));
  launch.constants = {node.op == "AveragePool" ? 1 : 0};
  l.define_bytes(node.outputs[0], y);
  return {};
}

bool averages_bytes(const Lowering& l, const Node& node, const std::vector<bool>& gone) {
  const ValueId xv = node.inputs[0];
  const Dims dims = l.dims(xv);
  if (dims.size() < 3 || gone[0] || gone[1]) return false;
  if (!std::all_of(gone.begin() + 2, gone.end(), [](bool g) { return g; })) return false;
  if (product(std::span(dims).subspan(2)) >= (int64_t{1} << 23)) return false;
  return node.fused.empty() && grid_of(l.graph().value(xv)) &&
         grid_of(l.graph().value(node.outputs[0]));
}

Status lower_byte_mean(Lowering& l, const Node& node) {
  MNN_ASSIGN_OR_RETURN(const Bytes x, l.bytes(node.inputs[0], 1));
  const Bytes y = l.allocate_bytes(node.outputs[0], 1);
  Launch& launch = l.launch("mnn_mean_bytes", y.words());
  launch.buffers = {x.storage, y.storage};
  launch.params = {word(y.words()),    word(x.inner()),
                   word(x.zero()),     word(x.grid.scale / static_cast<float>(x.inner())),
                   word(y.grid.scale), word(static_cast<float>(y.grid.zero))};
  l.define_bytes(node.outputs[0], y);
  return {};
}

bool lower_byte_reshape(Lowering& l, const Node& node) {
  const Bytes* x = l.find_bytes(node.inputs[0]);
  const auto grid = grid_of(l.graph().value(node.outputs[0]));
  if (x == nullptr || !grid || *grid != x->grid || !node.fused.empty() || x->inner() != 1) {
    return false;
  }
  const Dims dims = l.dims(node.outputs[0]);
  // The channels stay an axis, with nothing behind them.
  size_t axis = dims.size();
  while (axis > 0 && dims[axis - 1] == 1 && x->channels() != 1) --axis;
  if (axis == 0 || dims[axis - 1] != x->channels()) return false;
  Bytes y = *x;
  y.dims = dims;
  y.axis = axis - 1;
  l.define_bytes(node.outputs[0], y);
  return true;
}

Result<bool> lower_byte_concat(Lowering& l, const Node& node, size_t axis) {
  const auto grid = grid_of(l.graph().value(node.outputs[0]));
  if (!grid || !node.fused.empty()) return false;
  for (const ValueId v : node.inputs) {
    const Bytes* x = l.find_bytes(v);
    if (x == nullptr || x->grid != *grid || x->axis != l.find_bytes(node.inputs[0])->axis) {
      return false;
    }
    if (axis == x->axis && x->channels() % 4 != 0) return false;
  }
  const Bytes y = l.allocate_bytes(node.outputs[0], l.find_bytes(node.inputs[0])->axis);
  Array place = y.array();
  for (const ValueId v : node.inputs) {
    const Array x = l.find_bytes(v)->array();
    place.dims = x.dims;
    l.copy(x, place);
    place.offset += x.dims[axis] * place.strides[axis];
  }
  l.define_bytes(node.outputs[0], y);
  return true;
}

}  // namespace mnn::gpu
