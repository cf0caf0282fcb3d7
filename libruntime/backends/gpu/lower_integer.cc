// Elementwise operators on integers, and casts from one type of them to another.
#include <algorithm>

#include "libruntime/backends/gpu/integer_kernels.h"
#include "libruntime/backends/gpu/lowering.h"

namespace mnn::gpu {
namespace {

struct IntegerRow {
  std::string_view op;
  IntegerOp kind;
};
constexpr IntegerRow kIntegers[] = {
    {"Add", IntegerOp::kAdd},         {"Sub", IntegerOp::kSub},
    {"Mul", IntegerOp::kMul},         {"Min", IntegerOp::kMin},
    {"Max", IntegerOp::kMax},         {"Equal", IntegerOp::kEqual},
    {"Less", IntegerOp::kLess},       {"LessOrEqual", IntegerOp::kLessOrEqual},
    {"Greater", IntegerOp::kGreater}, {"GreaterOrEqual", IntegerOp::kGreaterOrEqual},
    {"Where", IntegerOp::kWhere},
};

bool is_index_type(DType t) { return t == DType::kI32 || t == DType::kI64; }

std::optional<std::string> why_not_integer(const NodeView& n) {
  const size_t first = n.node.op == "Where" ? 1 : 0, count = n.node.own_inputs();
  if (count != first + 2) return "other than two operands";
  for (size_t i = first; i < count; ++i) {
    if (!is_index_type(n.in_type(i))) return "other types than " + n.node.op + " has kernels for";
  }
  if (!n.node.fused.empty()) return "post-ops";
  return std::nullopt;
}

// Sources of any strides, repeated to the dims of the result.
void add_integer(Lowering& l, IntegerOp op, std::vector<Array> sources, const Array& y) {
  const int64_t n = y.elements();
  const size_t given = sources.size();
  while (sources.size() < 3) sources.push_back(sources[0]);
  std::vector<Dims> strides;
  for (Array& a : sources) {
    a = broadcast_to(a, y.dims);
    strides.push_back(a.strides);
  }
  strides.push_back(y.strides);
  const Loops loops = make_loops(y.dims, row_major(y.rank()), strides);
  std::vector<int> t;
  for (const int64_t v : loops.extents) t.push_back(static_cast<int>(v));
  for (size_t i = 0; i < 4; ++i) {
    t.push_back(static_cast<int>(i < 3 ? sources[i].offset : y.offset));
    for (const int64_t v : loops.strides[i]) t.push_back(static_cast<int>(v));
  }
  const int at = l.table(std::move(t));
  Launch& launch = l.launch("mnn_integer", n);
  launch.buffers = {sources[0].storage, sources[1].storage, sources[2].storage, at, y.storage};
  launch.params = {word(n), word(static_cast<int64_t>(loops.extents.size()))};
  launch.constants = {static_cast<int>(op)};
  for (size_t i = 0; i < 3; ++i) {
    launch.constants.push_back(words_per(sources[i < given ? i : 0].dtype) - 1);
  }
  launch.constants.push_back(words_per(y.dtype) - 1);
}

Status lower_integer(Lowering& l, const Node& node) {
  const IntegerRow& row = *std::find_if(std::begin(kIntegers), std::end(kIntegers),
                                        [&](const IntegerRow& r) { return r.op == node.op; });
  std::vector<Array> sources;
  for (size_t i = 0; i < node.own_inputs(); ++i) {
    MNN_ASSIGN_OR_RETURN(const Array a, l.array(node.inputs[i]));
    sources.push_back(a);
  }
  const ValueId yv = node.outputs[0];
  const Array y = l.allocate(l.dtype(yv), l.dims(yv));
  add_integer(l, row.kind, std::move(sources), y);
  l.define(yv, y);
  return {};
}

constexpr OpRow row_of(std::string_view op) { return {op, why_not_integer, lower_integer}; }

constexpr OpRow kRows[] = {
    row_of("Add"),     row_of("Sub"),
    row_of("Mul"),     row_of("Min"),
    row_of("Max"),     row_of("Equal"),
    row_of("Less"),    row_of("LessOrEqual"),
    row_of("Greater"), row_of("GreaterOrEqual"),
    row_of("Where"),
};

}  // namespace

Array add_integer_cast(Lowering& l, const Array& x, DType to) {
  const Array y = l.allocate(to, x.dims);
  add_integer(l, IntegerOp::kSame, {x}, y);
  return y;
}

std::span<const OpRow> integer_rows() { return kRows; }

}  // namespace mnn::gpu
