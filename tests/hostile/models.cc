#include "tests/hostile/models.h"

#include <cstdio>
#include <cstdlib>

#include "libruntime/core/op.h"
#include "libruntime/core/text.h"

namespace mnn {
namespace {

constexpr const char* kTexts[] = {
    // Quantized constants per channel and per tensor, activations on grids, a fused chain.
    R"(graph bytes(x: f32[n,3,5,5]) -> (y) {
      const w: f32[8,3,3,3] quant i8 scale [0.1,0.2,0.1,0.2,0.1,0.2,0.1,0.2] zero [0,0,0,0,0,0,0,0] axis 0 = random 1 -90 90
      const b: f32[8] quant i32 scale [0.01] zero [0] = random 2 -90 90
      const v: f32[8,4] quant u8 scale [0.05] zero [128] = random 3 0 255
      xq: f32[n,3,5,5] quant u8 scale [0.02] zero [128] = Identity(x)
      c: f32[n,8,3,3] quant u8 scale [0.1] zero [3] = Conv(xq, w, b) {kernel_shape=[3,3]} + Relu
      p: f32[n,8,1,1] quant u8 scale [0.1] zero [3] = GlobalAveragePool(c)
      const shape: i64[2] = 0 8
      f: f32[n,8] quant u8 scale [0.1] zero [3] = Reshape(p, shape)
      const zero: f32[] = 0
      const six: f32[] = 6
      y = MatMul(f, v) + Clip(zero, six) name "fc" @ "fc" "relu6"
    })",
    // Grids per channel, depthwise, residual post-ops with operands, pads and strides.
    R"(graph channels(x: f32[1,4,6,6], r: f32[1,4,6,6]) -> (y, z) {
      const w: f32[4,1,3,3] quant i8 scale [0.1,0.1,0.1,0.1] zero [0,0,0,0] axis 0 = random 4 -90 90
      const k: f32[4,1,1] = 0.5 1 2 4
      a: f32[1,4,6,6] quant u8 scale [0.1,0.2,0.1,0.2] zero [128,128,128,0] axis 1 = Relu(x)
      y: f32[1,4,6,6] quant i8 scale [0.1] zero [3] = Conv(a, w) {group=4, pads=[1,1,1,1], strides=[1,1], auto_pad="NOTSET"} + Mul(k) + Add(r) + HardSwish
      z = MaxPool(y) {kernel_shape=[2,2], strides=[2,2], ceil_mode=1}
    })",
    // Shapes computed from symbols.
    R"(graph shapes(x: f32[n,floor((h + 1)/(2)),2*h], s: i64[2]) -> (y, z, i) {
      const start: i64[1] = 1
      const end: i64[1] = 9223372036854775807
      const axes: i64[1] = -1
      const flat: i64[2] = 0 -1
      d = Shape(x)
      m = Slice(d, start, end)
      r = Reshape(x, flat) {allowzero=0}
      y = Slice(x, start, end, axes)
      z = Transpose(r) {perm=[1,0]}
      i = Concat(m, s) {axis=0}
    })",
    // Sub-graphs with captures: a counted loop with scan outputs, a branch inside it.
    R"(graph control(x: f32[3], go: bool[]) -> (y, all, c) {
      const trips: i64[] = 3
      const one: f32[1] = 1
      y, all = Loop(trips, go, x) captures(one) {
        body: graph body(i: i64[], cond: bool[], v: f32[3]) captures(one) -> (on, w, w) {
          on = Identity(cond)
          w = Add(v, one)
        }
      } name "loop"
      c = If(go) captures(x, y) {
        then_branch: graph then() captures(x, y) -> (r) {
          r = Mul(x, y) + Relu
        }
        else_branch: graph else() captures(x, y) -> (r) {
          const w: f32[3] quant i8 scale [0.5] zero [1] = 1 2 3
          r = Sub(y, w)
        }
      } name "if" @ "if"
    })",
    R"(graph scan(h: f32[2], x: f32[4,2]) -> (last, all) {
      last, all = Scan(h, x) {num_scan_inputs=1, scan_input_axes=[0], scan_input_directions=[0], scan_output_axes=[0], scan_output_directions=[1]} {
        body: graph step(a: f32[2], b: f32[2]) -> (s, s) {
          s = Add(a, b)
        }
      }
    })",
    // Sequences, optionals, strings.
    R"(graph lists(s: seq(f32[*]), o: optional(f32[2]), t: str[2]) -> (y, n, e, u) {
      const at: i64[] = 0
      const a: str[1] = "b"
      y = SequenceAt(s, at)
      n = SequenceLength(s)
      e = OptionalHasElement(o)
      u = StringConcat(t, a)
    })",
    // States, a recurrent layer, normalization, attention.
    R"(graph layers(x: f32[3,1,4]) -> (y, h, n) {
      state s: f32[1,1,2] = 0 0
      state fresh: f32[1,2]
      const w: f32[1,8,4] = random 5 -1 1
      const r: f32[1,8,2] = random 6 -1 1
      const b: f32[1,16] = random 7 -1 1
      const g: f32[4] = 1 2 3 4
      y, h = LSTM(x, w, r, b, _, s, s) {hidden_size=2, direction="forward", layout=0}
      m, _, _ = LayerNormalization(x, g) {axis=-1, epsilon=1e-05}
      n = Add(m, g) + Gelu {approximate="tanh"} + LeakyRelu {alpha=0.1}
    })",
    // Encodings in groups and of two levels, codebooks, rotations; states that become something.
    R"(graph encodings(x: f32[2,8]) -> (y, u) {
      const w: f32[8,4] quant u4 scale f16[4,4] random 9 0.1 1 zero u4[4,4] iota 0 1 axis 0 group 2 = iota 0 1
      const k: f32[1,8] quant u6 scale u8[1,4] 1 2 3 4 offset u8[1,4] 4 3 2 1 axis 1 group 2 super_scale f16[1,2] 0.5 0.25 super_offset f16[1,2] -0.5 -0.25 super_group 2 = 0 63 1 2 3 4 5 6
      const c: f32[8] quant u2 scale [2] codebook f32[4] -1 -0.25 0.25 1 = 0 1 2 3 0 1 2 3
      const t: f32[4,4] quant i8 scale [0.5,0.25,1,2] axis 0 rotation axis 1 block 4 signs i8[4] 1 -1 1 1 = iota -8 1
      const f: f32[4] quant f4e2m1 scale f8e8m0[2] 0x7f 0x80 axis 0 group 2 = 0x1 0x2 0xf 0x7
      state last: f32[2,4]
      state sum: f32[2,4] = 0 0 0 0 0 0 0 0
      a = Add(x, k)
      b = Mul(a, c)
      m = MatMul(b, w)
      n = MatMul(m, t)
      s = Add(n, sum)
      y = Add(s, f)
      u = Sub(y, last)
      update last = y
      update sum = last
    })",
    // The families that read their shapes from constants, and attributes of every kind.
    R"(graph moves(x: f32[2,3,4], i: i64[2]) -> (a, b, c, d, e, v, t) {
      const pads: i64[6] = 0 1 0 0 0 2
      const sizes: i64[3] = 2 6 8
      const k: i64[1] = 2
      const reps: i64[3] = 1 2 1
      const split: i64[2] = 1 2
      const ind: i64[2,1] = 0 1
      const upd: f32[2,3,4] = random 8 -1 1
      const f: f64[] = 0.5
      a = Pad(x, pads) {mode="reflect"}
      b = Resize(x, _, _, sizes) {mode="linear", coordinate_transformation_mode="half_pixel"}
      v, t = TopK(x, k) {axis=1, largest=1, sorted=1}
      c = Tile(x, reps)
      s0, s1 = Split(x, split) {axis=1}
      g = Gather(s1, i) {axis=0}
      d = ScatterND(x, ind, upd) {reduction="add"}
      e = Einsum(g, x) {equation="abc,dec->ad"}
    })",
};

}  // namespace

std::vector<Model> hostile_seeds() {
  std::vector<Model> models;
  for (const char* text : kTexts) {
    Result<Graph> graph = parse_graph(text);
    const Status typed = graph.ok() ? infer_types(*graph) : graph.status();
    if (!typed.ok()) {
      std::fprintf(stderr, "%s\n%s\n", text, typed.message().c_str());
      std::abort();
    }
    Model model;
    model.graph = std::move(graph).value();
    model.metadata_json = R"({"inputs":[{"name":"x"}],"version":"1"})";
    models.push_back(std::move(model));
  }
  // Golden data of the model whose inputs and outputs are numbers of known shapes.
  models[4].golden_inputs = {*parse_tensor("f32[2] = 1 2"), *parse_tensor("f32[4,2] = iota 0 1")};
  models[4].golden_outputs = {*parse_tensor("f32[2] = 1 2"), *parse_tensor("f32[4,2] = iota 0 1")};
  return models;
}

}  // namespace mnn
