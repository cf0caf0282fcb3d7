// Operators that move elements: Concat, Pad, Tile, Gather.
#include <algorithm>
#include <bit>
#include <cstring>

#include "libruntime/backends/cpu/rows.h"
#include "libruntime/backends/cpu/table_copy.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/row_codes.h"
#include "libruntime/lower/view.h"

namespace mnn::cpu {
namespace {

std::optional<std::string> supports_concat(const Graph& graph, const Node& node) {
  if (!node.fused.empty() && graph.value(node.outputs[0]).type.dtype != DType::kF32) {
    return "post-ops";
  }
  return std::nullopt;
}

Status lower_concat(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const ValueId yv = node.outputs[0];
  const Dims dims = l.dims(yv);
  const size_t axis = n.axis("axis", dims.size());
  bool placed = false;
  // The order of axes most elements have; channels last wins a tie.
  OrderVotes votes;
  const size_t count = node.own_inputs();
  for (size_t i = 0; i < count; ++i) {
    const Array& a = l.stored(node.inputs[i]);
    placed = placed || l.placed(node.inputs[i]);
    if (!l.constant_storage(a)) votes.add(order_of(a), a.elements());
  }
  const Order order = placed ? channels_last(dims.size()) : votes.winner(dims.size());
  // Post-ops come before the rounding to a grid.
  const std::optional<Grid> grid = node.fused.empty() ? l.grid(yv) : std::nullopt;
  const Array y = l.concat_output(node, order);
  Array place = y;
  for (size_t i = 0; i < count; ++i) {
    if (l.placed(node.inputs[i])) {
      place.offset += l.dims(node.inputs[i])[axis] * place.strides[axis];
      continue;
    }
    const ValueId v = node.inputs[i];
    Array x;
    if (const Array* form =
            l.find_form(v, [&](const Array& a) { return a.grid == grid && is_dense(a, order); })) {
      x = *form;
    } else {
      MNN_ASSIGN_OR_RETURN(x, l.on_grid(v, grid));
    }
    place.dims = x.dims;
    l.copy_into(x, place);
    place.offset += x.dims[axis] * place.strides[axis];
  }
  return l.finish(node, y);
}

// A step that fills y from x along tables of element offsets.
void add_table_copy(Lowering& l, const Array& x, const std::vector<Dims>& tables, const Array& y,
                    uint64_t fill) {
  auto plan = std::make_shared<const TableCopy>(tables, y, fill);
  const Array in[] = {x}, out[] = {y};
  Step& step = l.add_step("table_copy", in, out, y.bytes() / 8, nullptr);
  step.run = [plan, x, y, parts = step.parts](const Run& run, int, int part) {
    plan->run(run.bytes(x), run.bytes(y), part, parts);
  };
}

// Where the indices along each axis of x lie.
std::vector<Dims> offset_tables(const Array& x, const AxisIndices& indices) {
  std::vector<Dims> tables = indices;
  for (size_t d = 0; d < x.rank(); ++d) {
    for (int64_t& i : tables[d]) i = i == kOutside ? TableCopy::kOutside : i * x.strides[d];
  }
  return tables;
}

std::optional<std::string> supports_pad(const Graph& graph, const Node& node) {
  return why_no_pads(NodeView(graph, node));
}

Status lower_pad(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const ValueId xv = node.inputs[0], yv = node.outputs[0];
  const std::optional<Grid> grid = node.fused.empty() ? l.grid(yv) : std::nullopt;
  MNN_ASSIGN_OR_RETURN(const Array x, l.on_grid(xv, grid));
  uint64_t fill = 0;
  if (n.has_input(2)) {
    const Tensor* value = l.constant(node.inputs[2]);
    if (value == nullptr) return internal_error("the value cannot be read");
    std::memcpy(&fill, value->raw(), static_cast<size_t>(dtype_bits(value->dtype()) / 8));
  }
  if (grid) {
    const auto real = std::bit_cast<float>(static_cast<uint32_t>(fill));
    fill = static_cast<uint64_t>(
        quantize_one(real, grid->scale, grid->zero, *find_storage(DType::kU8)));
  }
  const Array y = l.allocate(x.dtype, l.dims(yv), order_of(x), grid);
  add_table_copy(l, x, offset_tables(x, padded_indices(n)), y, fill);
  return l.finish(node, y);
}

std::optional<std::string> supports_any(const Graph&, const Node&) { return std::nullopt; }

Status lower_tile(Lowering& l, const Node& node) {
  const ValueId yv = node.outputs[0];
  const std::optional<Grid> grid = node.fused.empty() ? l.grid(yv) : std::nullopt;
  MNN_ASSIGN_OR_RETURN(const Array x, l.on_grid(node.inputs[0], grid));
  const Dims dims = l.dims(yv);
  const Array y = l.allocate(x.dtype, dims, order_of(x), grid);
  add_table_copy(l, x, offset_tables(x, tiled_indices(x.dims, dims)), y, 0);
  return l.finish(node, y);
}

std::optional<std::string> supports_gather(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  const DType t = n.in_type(1);
  if (t != DType::kI32 && t != DType::kI64) return "indices are not integers";
  if (const auto list = n.ints(1)) {
    const Dims d = n.in_dims(0);
    const int64_t extent = d[n.axis("axis", d.size())];
    for (const int64_t i : *list) {
      if (i < -extent || i >= extent) return "an index out of range";
    }
  }
  return std::nullopt;
}

// Indices known now: a view for one of them, tables otherwise.
Status gather_known(Lowering& l, const Node& node, size_t axis, const std::vector<int64_t>& list) {
  const ValueId yv = node.outputs[0];
  const std::optional<Grid> grid = node.fused.empty() ? l.grid(yv) : std::nullopt;
  MNN_ASSIGN_OR_RETURN(const Array x, l.on_grid(node.inputs[0], grid));
  const int64_t extent = x.dims[axis];
  auto at = [&](int64_t i) { return i < 0 ? i + extent : i; };
  const Dims dims = l.dims(yv);
  Array y = x;
  y.dims[axis] = static_cast<int64_t>(list.size());
  if (list.size() == 1) {
    y.offset += at(list[0]) * x.strides[axis];
  } else {
    AxisIndices indices = straight_indices(x.dims);
    indices[axis].clear();
    for (const int64_t i : list) indices[axis].push_back(at(i));
    y = l.allocate(x.dtype, y.dims, order_of(x), grid);
    add_table_copy(l, x, offset_tables(x, indices), y, 0);
  }
  // One axis becomes those of the indices.
  const std::optional<Array> view = reshaped(y, dims);
  if (!view) return internal_error("gathered rows cannot be reshaped");
  return l.define_view(node, *view);
}

// A step that calls put(run, i, row) for each row i of y: the row of the table, or of the i-th of
// `outer` tables one after the other, that the index says. `extent` rows a table.
template <typename F>
Step& add_gather_step(Lowering& l, const char* kernel, std::span<const Array> in, const Array& at,
                      const Array& y, int64_t work, int64_t outer, int64_t extent, F put) {
  const Array out[] = {y};
  Step& step = l.add_step(kernel, in, out, work, nullptr);
  const int64_t count = at.elements();
  step.run = [=, parts = step.parts](const Run& run, int, int part) {
    const Range r = part_of(outer * count, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      const int64_t given = at.dtype == DType::kI64 ? run.data<int64_t>(at)[i % count]
                                                    : run.data<int32_t>(at)[i % count];
      const int64_t index = given < 0 ? given + extent : given;
      if (index < 0 || index >= extent) {
        run.fail_index("an index is out of range", i % count, given, extent);
        return;
      }
      put(run, i, i / count * extent + index);
    }
  };
  return step;
}

// Rows of a table in codes: those that are asked for become real, the table never.
Status gather_rows(Lowering& l, const Node& node, const RowCodes& table) {
  const ValueId yv = node.outputs[0];
  MNN_ASSIGN_OR_RETURN(const Array at,
                       l.real(node.inputs[1], row_major(l.dims(node.inputs[1]).size())));
  const Array y = l.allocate(DType::kF32, l.dims(yv), row_major(l.dims(yv).size()));
  const Array in[] = {at};
  add_gather_step(l, "gather_codes", in, at, y, y.elements(), 1, table.rows(),
                  [=](const Run& run, int64_t i, int64_t row) {
                    table.read(row, run.data<float>(y) + i * table.width());
                  });
  return l.finish(node, y);
}

Status lower_gather(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const ValueId yv = node.outputs[0];
  const size_t axis = n.axis("axis", n.in(0).type.rank());
  const Value& x_value = n.in(0);
  if (axis == 0 && x_value.kind == ValueKind::kConstant && x_value.quant &&
      x_value.type.dtype == DType::kF32 && !l.grid(yv)) {
    const auto table = RowCodes::of(x_value.data, *x_value.quant);
    if (table) return gather_rows(l, node, *table);
  }
  if (const auto list = n.ints(1)) return gather_known(l, node, axis, *list);
  const std::optional<Grid> grid = node.fused.empty() ? l.grid(yv) : std::nullopt;
  MNN_ASSIGN_OR_RETURN(Array x, l.on_grid(node.inputs[0], grid));
  if (!is_dense(x, row_major(x.rank()))) {
    MNN_ASSIGN_OR_RETURN(x, l.copy(x, row_major(x.rank())));
  }
  MNN_ASSIGN_OR_RETURN(const Array at,
                       l.real(node.inputs[1], row_major(l.dims(node.inputs[1]).size())));
  const int64_t outer = product(std::span(x.dims).first(axis));
  const int64_t row = product(std::span(x.dims).subspan(axis + 1)) * x.item_bytes();
  const Array y = l.allocate(x.dtype, l.dims(yv), row_major(l.dims(yv).size()), grid);
  const Array in[] = {x, at};
  Step& step = add_gather_step(l, "gather", in, at, y, y.bytes() / 8, outer, x.dims[axis],
                               [=](const Run& run, int64_t i, int64_t source) {
                                 std::memcpy(run.bytes(y) + i * row, run.bytes(x) + source * row,
                                             static_cast<size_t>(row));
                               });
  step.info.bytes -= x.bytes() - std::min(x.bytes(), y.bytes());
  return l.finish(node, y);
}

constexpr OpRow kMoveRows[] = {
    {"Concat", supports_concat, lower_concat},
    {"Pad", supports_pad, lower_pad},
    {"Tile", supports_any, lower_tile},
    {"Gather", supports_gather, lower_gather},
};

}  // namespace

std::span<const OpRow> move_rows() { return kMoveRows; }

}  // namespace mnn::cpu
