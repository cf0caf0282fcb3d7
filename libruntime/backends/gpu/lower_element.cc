// Elementwise nodes and post-ops as expression kernels.
#include <algorithm>

#include "libruntime/backends/gpu/lowering.h"
#include "libruntime/lower/element.h"

namespace mnn::gpu {
namespace {

WordKind kind_of(DType dtype) {
  switch (dtype) {
    case DType::kBool: return WordKind::kTruth;
    case DType::kI32: return WordKind::kInt;
    case DType::kI64: return WordKind::kWide;
    default: return WordKind::kFloat;
  }
}

Expression::Op grid_op(const Grid& grid, int from, int to) {
  Expression::Op op;
  op.unary = UnaryOp::kGrid;
  op.a = grid.scale;
  op.b = static_cast<float>(grid.zero);
  op.x = from;
  op.out = to;
  return op;
}

// The result so far as it is, for who changes its type or rounds it.
Expression same_as_source() {
  Expression e;
  e.sources.emplace_back();
  e.registers = 2;
  Expression::Op same;
  same.a = 1.0f;
  same.out = 1;
  e.ops = {same};
  return e;
}

// Casts that are no expressions of floats, but exact by way of one.
std::optional<std::string> why_not_cast(const NodeView& n) {
  const DType from = n.in_type(0), to = n.out().type.dtype;
  if (from != DType::kBool && to != DType::kBool) return "from one type of integers to another";
  return std::nullopt;
}

Status lower_cast(Lowering& l, const Node& node) {
  MNN_ASSIGN_OR_RETURN(const Array x, l.array(node.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const Array y,
                       l.add_expression(same_as_source(), x.dims, l.dtype(node.outputs[0]), x));
  l.define(node.outputs[0], y);
  return {};
}

constexpr OpRow kElementRows[] = {{"Cast", why_not_cast, lower_cast}};

}  // namespace

std::span<const OpRow> cast_rows() { return kElementRows; }

bool is_device_expression(const Graph& graph, const Node& node) {
  return is_elementwise(graph, node) && expression_sources(graph, node) <= kMaxSources;
}

ExpressionHooks Lowering::hooks() {
  return {reader(), [this](ValueId v) -> const Node* {
            const NodeId n = uses_.producer[static_cast<size_t>(v)];
            return n >= 0 && absorbed_[static_cast<size_t>(n)] ? &graph_.node(n) : nullptr;
          }};
}

Result<Array> Lowering::add_expression(const Expression& e, const Dims& dims, DType result,
                                       const std::optional<Array>& so_far, const Node* node) {
  if (e.sources.size() > kMaxSources) {
    return unsupported("an expression of " + std::to_string(e.sources.size()) + " sources");
  }
  DeviceExpression d;
  std::vector<Array> sources;
  for (const Expression::Source& s : e.sources) {
    Array a;
    if (s.so_far()) {
      a = *so_far;
    } else if (s.constant.defined()) {
      a.dtype = DType::kF32;
      a.dims = s.constant.dims();
      a.strides = dense_strides(a.dims, row_major(a.rank()));
      const float* data = s.constant.data<float>();
      a.storage = weights(std::vector<float>(data, data + s.constant.elements()));
    } else {
      MNN_ASSIGN_OR_RETURN(a, array(s.value));
    }
    d.sources.push_back(kind_of(a.dtype));
    sources.push_back(broadcast_to(a, dims));
  }
  const Array y = allocate(result, dims);
  d.result = kind_of(result);
  d.ops = e.ops;
  d.registers = e.registers;
  // Rounding to a grid is an operator like others.
  if (node != nullptr) {
    const auto grid = grid_of(graph_.value(node->outputs[0]));
    if (grid) d.ops.push_back(grid_op(*grid, e.ops.back().out, d.registers++));
  }
  std::vector<Dims> strides = {y.strides};
  for (const Array& a : sources) strides.push_back(a.strides);
  const Loops loops = make_loops(dims, row_major(dims.size()), strides);
  d.depth = static_cast<int>(loops.extents.size());
  std::vector<int> t;
  for (const int64_t v : loops.extents) t.push_back(static_cast<int>(v));
  auto add_place = [&](int64_t offset, const Dims& steps) {
    t.push_back(static_cast<int>(offset));
    for (const int64_t v : steps) t.push_back(static_cast<int>(v));
  };
  for (size_t i = 0; i < sources.size(); ++i) add_place(sources[i].offset, loops.strides[i + 1]);
  add_place(0, loops.strides[0]);
  for (const Expression::Op& op : d.ops) {
    t.push_back(std::bit_cast<int>(op.a));
    t.push_back(std::bit_cast<int>(op.b));
  }
  Launch& l = launch("mnn_expression", y.elements());
  for (const Array& a : sources) l.buffers.push_back(a.storage);
  l.params = {word(y.elements())};
  if (!expressions_) {
    const std::vector<int> program = expression_program(d);
    t.insert(t.end(), program.begin(), program.end());
    // What is not read is bound to something.
    while (l.buffers.size() < kMaxSources) l.buffers.push_back(y.storage);
    for (const int v : {d.depth, static_cast<int>(sources.size()), kind_code(d.sources),
                        static_cast<int>(d.result), static_cast<int>(d.ops.size())}) {
      l.params.push_back(word(int64_t{v}));
    }
  }
  const int at = table(std::move(t));
  program_.launches.back().buffers.push_back(at);
  program_.launches.back().buffers.push_back(y.storage);
  if (expressions_) program_.launches.back().expression = std::move(d);
  return y;
}

// All but the last part make f32; the last one makes the node's first output, on its grid.
Status Lowering::add_parts(const Node& node, ExpressionList list, std::optional<Array> so_far,
                           Array& y) {
  const Dims out = dims(node.outputs[0]);
  for (size_t i = 0; i < list.parts.size(); ++i) {
    const bool last = i + 1 == list.parts.size();
    const DType type = last ? dtype(node.outputs[0]) : DType::kF32;
    MNN_ASSIGN_OR_RETURN(y,
                         add_expression(list.parts[i], out, type, so_far, last ? &node : nullptr));
    so_far = y;
  }
  describe(list.nodes, program_.launches.back().info);
  return {};
}

Status Lowering::lower_expression(const Node& node) {
  MNN_ASSIGN_OR_RETURN(ExpressionList list, node_expression(graph_, node, hooks()));
  Array y;
  MNN_RETURN_IF_ERROR(add_parts(node, std::move(list), std::nullopt, y));
  define(node.outputs[0], y);
  return {};
}

Status Lowering::finish(const Node& node, Array y, size_t from) {
  if (from < node.fused.size()) {
    MNN_ASSIGN_OR_RETURN(ExpressionList list, post_op_expression(graph_, node, from, hooks()));
    list.nodes = {&node};
    MNN_RETURN_IF_ERROR(add_parts(node, std::move(list), y, y));
  } else if (grid_of(graph_.value(node.outputs[0]))) {
    MNN_ASSIGN_OR_RETURN(y, add_expression(same_as_source(), y.dims, DType::kF32, y, &node));
  }
  define(node.outputs[0], y);
  return {};
}

}  // namespace mnn::gpu
