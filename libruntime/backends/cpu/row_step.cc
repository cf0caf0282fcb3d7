#include "libruntime/backends/cpu/row_step.h"

#include <algorithm>

namespace mnn::cpu {
namespace {

constexpr int64_t kBlock = 4096;  // floats on their way to bytes, to stay in the first cache level

}  // namespace

Status lower_rows(Lowering& l, const Node& node, const std::string& kernel, const Array& x,
                  std::span<const Array> more, int64_t n, int64_t work, RowsFn f) {
  const auto grid = node.fused.empty() ? l.grid(node.outputs[0]) : std::nullopt;
  const Array y = l.allocate(DType::kF32, x.dims, order_of(x), grid);
  const int64_t rows = x.elements() / n;
  std::vector<Array> in = {x};
  in.insert(in.end(), more.begin(), more.end());
  const Array out[] = {y};
  Step& step = l.add_step(grid ? kernel + "_u8" : kernel, in, out, x.elements() * work, nullptr);
  const int parts = step.parts;
  if (!grid) {
    if (x.offset == 0) step.in_place = x.storage;
    step.run = [=, f = std::move(f)](const Run& run, int, int part) {
      const Range r = part_of(rows, part, parts);
      f(run, run.data<float>(x) + r.begin * n, run.data<float>(y) + r.begin * n, r.end - r.begin);
    };
    return l.finish(node, y);
  }
  const int64_t block = std::max<int64_t>(1, kBlock / n), own = block * n;
  const int scratch = l.add_scratch(own * parts * static_cast<int64_t>(sizeof(float)));
  l.last_step().run = [=, f = std::move(f), k = &l.kernels()](const Run& run, int, int part) {
    auto* floats = reinterpret_cast<float*>(run.storage(scratch)) + own * part;
    const Range r = part_of(rows, part, parts);
    for (int64_t i = r.begin; i < r.end; i += block) {
      const int64_t count = std::min(block, r.end - i);
      f(run, run.data<float>(x) + i * n, floats, count);
      k->to_u8(floats, run.data<uint8_t>(y) + i * n, count * n, y.grid->scale, y.grid->zero);
    }
  };
  return l.finish(node, y);
}

}  // namespace mnn::cpu
