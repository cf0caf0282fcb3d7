// RotaryEmbedding: pairs of each head's elements turned by the angle of their position.
#include <algorithm>

#include "libruntime/backends/cpu/rows.h"

namespace mnn::cpu {
namespace {

int64_t head_size(const NodeView& n) {
  const Dims x = n.in_dims(0);
  return x.size() == 4 ? x[3] : x[2] / n.attr_int("num_heads");
}

int64_t rotated(const NodeView& n) {
  const int64_t given = n.attr_int("rotary_embedding_dim");
  return given == 0 ? head_size(n) : given;
}

std::optional<std::string> supports_rotary(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  const Dims x = n.in_dims(0), cosines = n.in_dims(1);
  const int64_t turned = rotated(n), steps = x[0] * x[x.size() == 4 ? 2 : 1];
  if (turned < 2 || turned > head_size(n) || turned % 2 != 0) return "rotary_embedding_dim";
  const bool positions = n.has_input(3);
  if (cosines != n.in_dims(2) || cosines.size() != (positions ? 2u : 3u) ||
      cosines.back() != turned / 2) {
    return "caches that do not fit";
  }
  if (positions ? product(n.in_dims(3)) != steps : product(cosines) != steps * turned / 2) {
    return "positions that do not fit";
  }
  return std::nullopt;
}

// One head at one position.
struct Turn {
  int64_t half = 0, size = 0;
  bool interleaved = false;

  void run(const float* x, const float* cosine, const float* sine, float* y) const {
    const int64_t step = interleaved ? 2 : 1, apart = interleaved ? 1 : half;
    for (int64_t k = 0; k < half; ++k) {
      const float a = x[k * step], b = x[k * step + apart];
      y[k * step] = cosine[k] * a - sine[k] * b;
      y[k * step + apart] = sine[k] * a + cosine[k] * b;
    }
    std::copy(x + 2 * half, x + size, y + 2 * half);
  }
};

Status lower_rotary(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const size_t rank = n.in(0).type.rank();
  MNN_ASSIGN_OR_RETURN(const Array x, l.real(node.inputs[0], row_major(rank)));
  Array caches[2];
  for (size_t i = 0; i < 2; ++i) {
    const ValueId v = node.inputs[i + 1];
    MNN_ASSIGN_OR_RETURN(caches[i], l.real(v, row_major(l.dims(v).size())));
  }
  std::optional<Array> positions;
  if (n.has_input(3)) {
    const ValueId v = node.inputs[3];
    MNN_ASSIGN_OR_RETURN(positions, l.real(v, row_major(l.dims(v).size())));
  }
  const Array y = l.allocate(DType::kF32, x.dims, row_major(rank));
  const Turn turn{rotated(n) / 2, head_size(n), n.attr_int("interleaved") != 0};
  // Rows are (batch, head, step) at rank 4, (batch, step, head) at rank 3.
  const bool four = rank == 4;
  const int64_t steps = x.dims[four ? 2 : 1];
  const int64_t heads = four ? x.dims[1] : x.dims[2] / turn.size;
  const int64_t known = caches[0].elements() / turn.half;
  std::vector<Array> in = {x, caches[0], caches[1]};
  if (positions) in.push_back(*positions);
  const Array out[] = {y};
  Step& step = l.add_step("rotary", in, out, x.elements() * 2, nullptr);
  step.run = [=, cosines = caches[0], sines = caches[1], parts = step.parts](const Run& run, int,
                                                                             int part) {
    const Range r = part_of(x.elements() / turn.size, part, parts);
    for (int64_t i = r.begin; i < r.end; ++i) {
      const int64_t s = four ? i % steps : i / heads % steps, b = i / steps / heads;
      int64_t row = b * steps + s;
      if (positions) {
        row = positions->dtype == DType::kI64 ? run.data<int64_t>(*positions)[row]
                                              : run.data<int32_t>(*positions)[row];
        const int64_t given = row;
        if (row < 0) row += known;
        if (row < 0 || row >= known)
          return run.fail_index("a position is out of range", b * steps + s, given, known);
      }
      turn.run(run.data<float>(x) + i * turn.size, run.data<float>(cosines) + row * turn.half,
               run.data<float>(sines) + row * turn.half, run.data<float>(y) + i * turn.size);
    }
  };
  return l.finish(node, y);
}

constexpr OpRow kRotaryRows[] = {{"RotaryEmbedding", supports_rotary, lower_rotary}};

}  // namespace

std::span<const OpRow> rotary_rows() { return kRotaryRows; }

}  // namespace mnn::cpu
