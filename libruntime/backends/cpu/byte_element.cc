// Expressions from bytes to bytes with kernels of their own.
#include <algorithm>
#include <cmath>

#include "libruntime/backends/cpu/element.h"

namespace mnn::cpu {
namespace {

// The whole expression as a table of 256 bytes.
Result<Array> make_table(Lowering& l, const BoundExpression& e, const Grid& in, const Grid& out) {
  MNN_ASSIGN_OR_RETURN(Tensor table, Tensor::allocate(DType::kU8, {256}));
  std::vector<uint8_t> numbers(256);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<uint8_t>(i);
  std::vector<std::vector<float>> registers(static_cast<size_t>(e.registers),
                                            std::vector<float>(256));
  const VectorKernels& k = l.kernels();
  k.from_u8(numbers.data(), registers[0].data(), 256, in.scale, in.zero);
  auto at = [&](int r) { return registers[static_cast<size_t>(r)].data(); };
  for (const Expression::Op& op : e.ops)
    run_op(k, op, at(op.x), at(op.y), at(op.z), at(op.out), 256);
  k.to_u8(at(e.ops.back().out), table.data<uint8_t>(), 256, out.scale, out.zero);
  return l.constant_array(std::move(table));
}

Result<bool> lower_table(Lowering& l, const BoundExpression& e, const Order& order, ValueId v) {
  const Array& x = e.sources[0];
  const Grid grid = *l.grid(v);
  if (x.elements() != product(x.dims) || !is_dense(x) || order_of(x) != order) return false;
  MNN_ASSIGN_OR_RETURN(const Array table, make_table(l, e, *x.grid, grid));
  const Array y = l.allocate(DType::kF32, l.dims(v), order, grid);
  const Array in[] = {x, table}, out[] = {y};
  const int64_t n = y.elements();
  Step& step = l.add_step("lookup_u8", in, out, n / 2, nullptr);
  if (x.offset == 0) step.in_place = x.storage;
  step.run = [x, y, table, n, parts = step.parts, k = &l.kernels()](const Run& run, int, int part) {
    const Range r = part_of(n, part, parts, 64);
    k->lookup(run.data<uint8_t>(x) + r.begin, run.data<uint8_t>(y) + r.begin, r.end - r.begin,
              run.data<uint8_t>(table));
  };
  l.define(v, y);
  return true;
}

// The result as runs of `length` neighbours, `stride` apart; a slice of the channels of a wider
// image has one run a pixel.
struct Runs {
  int64_t length, stride;
};
Runs runs_of(const Array& y, const Order& order) {
  if (is_dense(y, order)) return {y.elements(), y.elements()};
  const auto last = static_cast<size_t>(order.back());
  const auto pixel = static_cast<size_t>(order[order.size() - 2]);
  return {y.dims[last], y.strides[pixel]};
}

bool is_whole(const Array& a, const Order& order) { return a.grid && is_dense(a, order); }

void lower_sum(Lowering& l, const Array& a, const Array& b, const ByteRange& range,
               const Order& order, ValueId v) {
  const Array y = l.allocate_output(v, order, l.grid(v));
  const Grid &ga = *a.grid, &gb = *b.grid, &gy = *y.grid;
  const float fa = ga.scale / gy.scale, fb = gb.scale / gy.scale;
  const float offset = static_cast<float>(gy.zero) - static_cast<float>(ga.zero) * fa -
                       static_cast<float>(gb.zero) * fb;
  const Runs runs = runs_of(y, order);
  const int64_t n = y.elements();
  const Array in[] = {a, b}, out[] = {y};
  Step& step = l.add_step("add_u8", in, out, n / 8, nullptr);
  step.run = [=, parts = step.parts, k = &l.kernels()](const Run& run, int, int part) {
    const auto *from_a = run.data<uint8_t>(a), *from_b = run.data<uint8_t>(b);
    auto* to = run.data<uint8_t>(y);
    if (runs.length == n) {
      const Range r = part_of(n, part, parts, 64);
      k->add_u8(from_a + r.begin, from_b + r.begin, to + r.begin, r.end - r.begin, fa, fb, offset,
                range.low, range.high);
      return;
    }
    const Range r = part_of(n / runs.length, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      k->add_u8(from_a + i * runs.length, from_b + i * runs.length, to + i * runs.stride,
                runs.length, fa, fb, offset, range.low, range.high);
    }
  };
  l.define(v, y);
}

// An image times a number per channel, plus the image itself, plus another one.
struct Gated {
  Array image, gate;
  bool and_image = false;
  std::optional<Array> other;
};

void lower_gated(Lowering& l, const Gated& g, const Order& order, ValueId v) {
  const Array y = l.allocate_output(v, order, l.grid(v));
  const int64_t c = y.dims[1], pixels = y.elements() / y.dims[0] / c;
  const Runs runs = runs_of(y, order);
  const int64_t stride = runs.length == y.elements() ? c : runs.stride;
  std::vector<Array> in = {g.image, g.gate};
  if (g.other) in.push_back(*g.other);
  const Array out[] = {y};
  Step& step = l.add_step("scale_u8", in, out, y.elements() / 8, nullptr);
  const int parts = step.parts;
  const int64_t own = (c + 15) / 16 * 16;
  const int scratch = l.add_scratch(own * parts * static_cast<int64_t>(sizeof(float)));
  l.last_step().run = [=, batch = y.dims[0], k = &l.kernels()](const Run& run, int, int part) {
    auto* factors = reinterpret_cast<float*>(run.storage(scratch)) + own * part;
    const Array &x = g.image, &gate = g.gate;
    const float scale = x.grid->scale / y.grid->scale;
    const float b_factor = g.other ? g.other->grid->scale / y.grid->scale : 0.0f;
    const float offset = static_cast<float>(y.grid->zero) -
                         (g.other ? static_cast<float>(g.other->grid->zero) * b_factor : 0.0f);
    const Range r = part_of(batch * pixels, part, parts);
    for (int64_t i = r.begin; i < r.end;) {
      const int64_t image = i / pixels, rows = std::min(r.end - i, (image + 1) * pixels - i);
      for (int64_t j = 0; j < c; ++j) {
        const int64_t at = image * gate.strides[0] + j * gate.strides[1];
        const float factor =
            gate.grid ? static_cast<float>(run.data<uint8_t>(gate)[at] - gate.grid->zero) *
                            gate.grid->scale
                      : run.data<float>(gate)[at];
        factors[j] = (g.and_image ? factor + 1.0f : factor) * scale;
      }
      k->scale_u8(run.data<uint8_t>(x) + i * c,
                  g.other ? run.data<uint8_t>(*g.other) + i * c : nullptr,
                  run.data<uint8_t>(y) + i * stride, rows, c, stride, factors,
                  static_cast<float>(x.grid->zero), b_factor, offset);
      i += rows;
    }
  };
  l.define(v, y);
}

// One number per image and channel.
bool is_gate(const Array& a) {
  if (a.rank() < 3 || (a.dtype != DType::kF32 && !a.grid)) return false;
  for (size_t d = 2; d < a.rank(); ++d) {
    if (a.strides[d] != 0 && a.dims[d] != 1) return false;
  }
  return true;
}

// Sums of one product of an image and its gate with that image and another one, once each at most.
std::optional<Gated> as_gated(const BoundExpression& e, const Order& order) {
  // How often each of them is in a register.
  struct Terms {
    int gated = 0, image = 0, other = 0;
  };
  const auto count = static_cast<int>(e.sources.size());
  const auto product = std::find_if(
      e.ops.begin(), e.ops.end(), [&](const Expression::Op& op) { return op.is(BinaryOp::kMul); });
  if (count > 3 || product == e.ops.end() || std::max(product->x, product->y) >= count)
    return std::nullopt;
  const auto source = [&](int r) -> const Array& { return e.sources[static_cast<size_t>(r)]; };
  int image = product->x, gate = product->y;
  if (!is_whole(source(image), order) || !is_gate(source(gate))) std::swap(image, gate);
  if (image == gate || !is_whole(source(image), order) || !is_gate(source(gate)))
    return std::nullopt;
  Gated g;
  g.image = source(image);
  g.gate = source(gate);
  std::vector<Terms> terms(static_cast<size_t>(e.registers));
  for (int r = 0; r < count; ++r) {
    if (r == gate) continue;
    (r == image ? terms[static_cast<size_t>(r)].image : terms[static_cast<size_t>(r)].other) = 1;
    if (r == image) continue;
    if (!is_whole(source(r), order)) return std::nullopt;
    g.other = source(r);
  }
  for (const Expression::Op& op : e.ops) {
    Terms& out = terms[static_cast<size_t>(op.out)];
    if (&op == &*product) {
      out = {1, 0, 0};
      continue;
    }
    if (!op.is(BinaryOp::kAdd) || op.x == gate || op.y == gate) return std::nullopt;
    const Terms a = terms[static_cast<size_t>(op.x)], b = terms[static_cast<size_t>(op.y)];
    out = {a.gated + b.gated, a.image + b.image, a.other + b.other};
  }
  const Terms& all = terms[static_cast<size_t>(e.ops.back().out)];
  if (all.gated != 1 || all.image > 1 || all.other != (g.other ? 1 : 0)) return std::nullopt;
  g.and_image = all.image == 1;
  return g;
}

}  // namespace

Result<bool> lower_byte_expression(Lowering& l, const BoundExpression& e, ValueId v) {
  const Order& order = e.order;
  if (e.sources.size() == 1 && e.sources[0].grid) return lower_table(l, e, order, v);
  if (e.sources.size() == 2 && e.ops[0].is(BinaryOp::kAdd) && is_whole(e.sources[0], order) &&
      is_whole(e.sources[1], order)) {
    const std::optional<ByteRange> range = range_behind(e.ops, *l.grid(v));
    if (range) lower_sum(l, e.sources[0], e.sources[1], *range, order, v);
    return range.has_value();
  }
  const Order last = channels_last(order.size());
  const std::optional<Gated> gated = as_gated(e, last);
  if (gated) lower_gated(l, *gated, last, v);
  return gated.has_value();
}

}  // namespace mnn::cpu
