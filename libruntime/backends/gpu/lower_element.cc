// Elementwise nodes and post-ops as expression kernels.
#include <algorithm>
#include <cmath>

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
bool between_integers(DType from, DType to) {
  const auto is_integer = [](DType t) { return t == DType::kI32 || t == DType::kI64; };
  return is_integer(from) && is_integer(to);
}

std::optional<std::string> why_not_cast(const NodeView& n) {
  const DType from = n.in_type(0), to = n.out().type.dtype;
  if (from == DType::kBool || to == DType::kBool || between_integers(from, to)) {
    return std::nullopt;
  }
  return "between types it has no kernels for";
}

Status lower_cast(Lowering& l, const Node& node) {
  MNN_ASSIGN_OR_RETURN(const Array x, l.array(node.inputs[0]));
  const DType to = l.dtype(node.outputs[0]);
  if (between_integers(x.dtype, to)) {
    l.define(node.outputs[0], add_integer_cast(l, x, to));
    return {};
  }
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
      a = constant_array(s.constant);
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
  Launch& l = launch("mnn_expression", y.elements());
  for (const Array& a : sources) l.buffers.push_back(a.storage);
  std::vector<int64_t> offsets = {0};
  for (const Array& a : sources) offsets.push_back(a.offset);
  add_loops(l, std::move(d), loops, offsets, {}, y);
  return y;
}

// The table of an expression, and what its launch is given: the loops, offsets and lane strides are
// those of the result, then of the sources.
void Lowering::add_loops(Launch& l, DeviceExpression d, const Loops& loops, const Dims& offsets,
                         const Dims& lanes, const Array& y) {
  d.depth = static_cast<int>(loops.extents.size());
  std::vector<int> t;
  for (const int64_t v : loops.extents) t.push_back(static_cast<int>(v));
  auto add_place = [&](size_t i) {
    t.push_back(static_cast<int>(offsets[i]));
    for (const int64_t v : loops.strides[i]) t.push_back(static_cast<int>(v));
    if (d.bytes) t.push_back(static_cast<int>(lanes[i]));
  };
  for (size_t i = 1; i < offsets.size(); ++i) add_place(i);
  add_place(0);
  for (const Expression::Op& op : d.ops) {
    t.push_back(std::bit_cast<int>(op.a));
    t.push_back(std::bit_cast<int>(op.b));
  }
  l.params = {word(y.elements())};
  if (!traits_.expressions) {
    const std::vector<int> program = expression_program(d);
    t.insert(t.end(), program.begin(), program.end());
    // What is not read is bound to something.
    while (l.buffers.size() < kMaxSources) l.buffers.push_back(y.storage);
    for (const int v : {d.depth, static_cast<int>(d.sources.size()), kind_code(d.sources),
                        static_cast<int>(d.result), static_cast<int>(d.ops.size())}) {
      l.params.push_back(word(int64_t{v}));
    }
  }
  l.buffers.push_back(table(std::move(t)));
  l.buffers.push_back(y.storage);
  if (traits_.expressions) l.expression = std::move(d);
}

namespace {

Expression::Op unary_op(UnaryOp kind, float a, float b, int x, int out) {
  Expression::Op op;
  op.unary = kind;
  op.a = a;
  op.b = b;
  op.x = x;
  op.out = out;
  return op;
}

// The operators on numbers of grids: sums of two as the CPU has them, else the reals, rounded to
// the grid of the result.
void add_grids(const Expression& e, const std::vector<std::optional<Grid>>& grids, const Grid& to,
               DeviceExpression& d) {
  int next = e.registers;
  const auto push = [&](UnaryOp kind, float a, float b, int x) {
    d.ops.push_back(unary_op(kind, a, b, x, next));
    return next++;
  };
  const auto range = e.sources.size() == 2 && grids[0] && grids[1] && e.ops[0].is(BinaryOp::kAdd) &&
                             e.ops[0].x != e.ops[0].y
                         ? range_behind(e.ops, to)
                         : std::nullopt;
  if (range) {
    const Grid &ga = *grids[0], &gb = *grids[1];
    const float fa = ga.scale / to.scale, fb = gb.scale / to.scale;
    const float offset = static_cast<float>(to.zero) - static_cast<float>(ga.zero) * fa -
                         static_cast<float>(gb.zero) * fb;
    Expression::Op sum = e.ops[0];
    sum.x = push(UnaryOp::kMulBy, fa, 0, 0);
    sum.y = push(UnaryOp::kMulBy, fb, 0, 1);
    sum.out = next++;
    d.ops.push_back(sum);
    const int shifted = push(UnaryOp::kAddTo, offset, 0, sum.out);
    push(UnaryOp::kRound, 0, 0, push(UnaryOp::kClip, range->low, range->high, shifted));
  } else {
    std::vector<int> reals(static_cast<size_t>(e.registers));
    for (size_t r = 0; r < reals.size(); ++r) reals[r] = static_cast<int>(r);
    for (size_t i = 0; i < grids.size(); ++i) {
      if (!grids[i]) continue;
      const int from_zero =
          push(UnaryOp::kAddTo, -static_cast<float>(grids[i]->zero), 0, static_cast<int>(i));
      reals[i] = push(UnaryOp::kMulBy, grids[i]->scale, 0, from_zero);
    }
    const auto real = [&](int r) { return reals[static_cast<size_t>(r)]; };
    for (Expression::Op op : e.ops) {
      op.x = real(op.x);
      op.y = real(op.y);
      op.z = real(op.z);
      d.ops.push_back(op);
    }
    const int steps = push(UnaryOp::kDivBy, to.scale, 0, e.ops.back().out);
    const int whole = push(UnaryOp::kRound, 0, 0, steps);
    push(UnaryOp::kAddTo, static_cast<float>(to.zero), 0, whole);
  }
  d.registers = next;
}

}  // namespace

Result<std::optional<Bytes>> Lowering::add_byte_expression(const Expression& e, const Node& node) {
  const std::optional<Bytes> none;
  const ValueId yv = node.outputs[0];
  if (!grid_of(graph_.value(yv)) || dtype(yv) != DType::kF32) return none;
  const Dims whole = dims(yv);
  const auto lies = [&](ValueId v) -> const Bytes* {
    const Bytes* b = v == kNoValue ? nullptr : find_bytes(v);
    return b != nullptr && b->dims == whole ? b : nullptr;
  };
  const Bytes* first = nullptr;
  for (const Expression::Source& s : e.sources) {
    if (s.so_far()) return none;
    if (first == nullptr) first = lies(s.value);
  }
  if (first == nullptr) return none;
  const size_t axis = first->axis;
  DeviceExpression d;
  d.bytes = true;
  d.result = WordKind::kByte;
  std::vector<std::optional<Grid>> grids;
  std::vector<Array> sources;
  Dims lanes = {1};
  for (const Expression::Source& s : e.sources) {
    const Bytes* b = lies(s.value);
    if (b != nullptr && b->axis == axis) {
      sources.push_back(b->array());
      grids.emplace_back(b->grid);
      lanes.push_back(0);
      d.sources.push_back(WordKind::kByte);
      continue;
    }
    Array a;
    if (s.constant.defined()) {
      a = constant_array(s.constant);
    } else {
      MNN_ASSIGN_OR_RETURN(a, array(s.value));
    }
    d.sources.push_back(kind_of(a.dtype));
    a = broadcast_to(a, whole);
    if (a.strides[axis] != 0 && whole[axis] % 4 != 0) return none;
    lanes.push_back(a.strides[axis]);
    a.dims[axis] = (whole[axis] + 3) / 4;
    a.strides[axis] *= 4;
    sources.push_back(a);
    grids.emplace_back();
  }
  const Bytes made = allocate_bytes(yv, axis);
  add_grids(e, grids, made.grid, d);
  const Array y = made.array();
  std::vector<Dims> strides = {y.strides};
  Dims offsets = {0};
  for (const Array& a : sources) {
    strides.push_back(a.strides);
    offsets.push_back(a.offset);
  }
  const Loops loops = make_loops(y.dims, row_major(y.rank()), strides);
  Launch& l = launch("mnn_byte_expression", y.elements());
  for (const Array& a : sources) l.buffers.push_back(a.storage);
  add_loops(l, std::move(d), loops, offsets, lanes, y);
  return std::optional<Bytes>(made);
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
  if (list.parts.size() == 1) {
    MNN_ASSIGN_OR_RETURN(const auto made, add_byte_expression(list.parts[0], node));
    if (made) {
      describe(list.nodes, program_.launches.back().info);
      define_bytes(node.outputs[0], *made);
      return {};
    }
  }
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
