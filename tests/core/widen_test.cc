#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "libruntime/core/half.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

Graph widened(const Graph& graph) {
  Graph wide = graph;
  const Status status = widen(wide);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(verify(wide).ok());
  return wide;
}

std::map<std::string, int> count_ops(const Graph& graph) {
  std::map<std::string, int> ops;
  for (const Node& node : graph.nodes) {
    ++ops[node.op];
    for (const Graph& g : node.subgraphs) {
      for (const auto& [op, n] : count_ops(g)) ops[op] += n;
    }
  }
  return ops;
}

int half_values(const Graph& graph) {
  int n = 0;
  for (const Node& node : graph.nodes) {
    for (const ValueId v : node.outputs) {
      n += v != kNoValue && is_half(graph.value(v).type.dtype) && !graph.is_result(v);
    }
    for (const Graph& g : node.subgraphs) {
      n += half_values(g);
      for (const ValueId v : g.inputs) n += is_half(g.value(v).type.dtype);
    }
  }
  return n;
}

// Both graphs on the same inputs: equal types, results within `limit` of the largest magnitude.
void expect_same(const Graph& a, const Graph& b, const std::vector<Tensor>& inputs,
                 double limit = 2e-3) {
  const auto r = run_reference(a, inputs), y = run_reference(b, inputs);
  ASSERT_TRUE(r.ok()) << r.status().message();
  ASSERT_TRUE(y.ok()) << y.status().message();
  for (size_t i = 0; i < r->size(); ++i) {
    EXPECT_EQ((*r)[i].type_str(), (*y)[i].type_str());
    if (!(*r)[i].is_tensor()) continue;
    ErrorSums sums;
    ASSERT_TRUE(sums.add((*r)[i], (*y)[i]).ok());
    EXPECT_LE(metrics_of(sums).max_rel, limit) << "output " << i;
  }
}

std::vector<double> numbers(const Graph& graph, const std::string& input) {
  const Tensor x = *parse_tensor(input);
  const auto y = run_reference(graph, {&x, 1});
  EXPECT_TRUE(y.ok()) << y.status().message();
  return *(*y)[0].to_doubles();
}

TEST(Widen, CastsStandAtTheBorderOnly) {
  for (const std::string type : {"f16", "bf16"}) {
    const Graph half = typed_graph("graph g(x: " + type + "[3,8], n: i64[1]) -> (y, z, m) {\n" +
                                   "  const w: " + type + R"([8,16] = random 1 -1 1
      a = MatMul(x, w)
      y = Relu(a)
      b = Tanh(y)
      z = Mul(b, a)
      m = Neg(n)
    })");
    const Graph wide = widened(half);
    EXPECT_EQ(count_ops(wide).at("Cast"), 3);
    EXPECT_EQ(half_values(wide), 0);
    EXPECT_EQ(wide.value(wide.inputs[0]).type.str(), type + "[3,8]");
    EXPECT_EQ(wide.value(wide.outputs[0]).type.str(), type + "[3,16]");
    EXPECT_EQ(wide.value(wide.outputs[0]).name, "y");
    expect_same(half, wide,
                {*parse_tensor(type + "[3,8] = random 5 -1 1"), *parse_tensor("i64[1] = 3")},
                type == "f16" ? 2e-3 : 2e-2);
  }
}

TEST(Widen, AGraphWithoutHalvesStays) {
  const Graph plain = typed_graph("graph g(x: f32[2]) -> (y) {\n  y = Relu(x)\n}");
  EXPECT_EQ(print_graph(widened(plain)), print_graph(plain));
}

// f16 is a way to store: what reads such a value computes with what was to be stored. Two Casts in
// a row are there to round. ONNX Runtime gives the same four results.
TEST(Widen, RoundsWhereTheModelSaysSo) {
  const std::string x = "f32[3] = 1.0001 70000 -3";
  const Graph pair = typed_graph(R"(graph g(x: f32[3]) -> (y) {
    h = Cast(x) {to=f16}
    y = Cast(h) {to=f32}
  })");
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(numbers(widened(pair), x), (std::vector<double>{1, inf, -3}));

  const Graph stored = typed_graph(R"(graph g(x: f32[3]) -> (y) {
    h = Cast(x) {to=f16}
    n = Neg(h)
    y = Cast(n) {to=f32}
  })");
  EXPECT_EQ(count_ops(widened(stored)), (std::map<std::string, int>{{"Neg", 1}, {"Cast", 1}}));
  EXPECT_EQ(numbers(widened(stored), x), (std::vector<double>{-1.0001F, -70000, 3}));

  const Graph island = typed_graph(R"(graph g(x: f16[3]) -> (y) {
    f = Cast(x) {to=f32}
    s = Mul(f, f)
    h = Cast(s) {to=f16}
    y = Sqrt(h)
  })");
  EXPECT_EQ(count_ops(widened(island)).at("Cast"), 2);
  EXPECT_EQ(numbers(widened(island), "f16[3] = 300 2 -4"), (std::vector<double>{300, 2, 4}));

  const Graph squares = typed_graph(R"(graph g(x: f16[3]) -> (y) {
    s = Mul(x, x)
    y = Sqrt(s)
  })");
  EXPECT_EQ(numbers(widened(squares), "f16[3] = 300 2 -4"), (std::vector<double>{300, 2, 4}));
}

TEST(Widen, OutputsOverflow) {
  const Graph g = typed_graph("graph g(x: f16[2]) -> (y) {\n  y = Mul(x, x)\n}");
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(numbers(widened(g), "f16[2] = 300 2"), (std::vector<double>{inf, 4}));
}

TEST(Widen, IntegersAndTruthValues) {
  const Graph g = typed_graph(R"(graph g(x: f16[4], i: i64[4]) -> (y, b, k) {
    const low: f16[] = -65504
    f = Cast(i) {to=f16}
    y = Add(f, x)
    b = Equal(x, low)
    k = Cast(y) {to=i64}
  })");
  const Graph wide = widened(g);
  EXPECT_EQ(half_values(wide), 0);
  expect_same(g, wide,
              {*parse_tensor("f16[4] = -65504 0.5 3 2"), *parse_tensor("i64[4] = 0 1 2 3")});
}

TEST(Widen, SubGraphsComputeInF32) {
  const Graph branch = typed_graph(R"(graph g(c: bool[], x: f16[2]) -> (y) {
    const w: f16[2] = 2 3
    y = If(c) captures(w, x) {
      then_branch: graph t() captures(w, x) -> (r) {
        r = Mul(w, x)
      }
      else_branch: graph e() captures(w, x) -> (r) {
        const k: f16[2] = 5 7
        s = Sub(w, x)
        r = Mul(s, k)
      }
    }
  })");
  const Graph wide = widened(branch);
  EXPECT_EQ(half_values(wide), 0);
  EXPECT_EQ(count_ops(wide).at("Cast"), 2);
  for (const char* c : {"bool[] = 0", "bool[] = 1"}) {
    expect_same(branch, wide, {*parse_tensor(c), *parse_tensor("f16[2] = 0.5 -1")});
  }

  const Graph loop = typed_graph(R"(graph g(n: i64[], x: f16[2]) -> (y, all) {
    const go: bool[] = 1
    y, all = Loop(n, go, x) {
      body: graph b(i: i64[], c: bool[], s: f16[2]) -> (c, t, t) {
        const k: f16[2] = 0.5 2
        t = Mul(s, k)
      }
    }
  })");
  EXPECT_EQ(half_values(widened(loop)), 0);
  expect_same(loop, widened(loop), {*parse_tensor("i64[] = 3"), *parse_tensor("f16[2] = 0.5 -1")});
}

// Sequences cannot be cast; operators that name a type, or read bits, mean that type.
TEST(Widen, WhatMeansTheTypeKeepsIt) {
  const Graph sequence = typed_graph(R"(graph g(x: f16[2], n: i64[1]) -> (s, y) {
    a = Neg(x)
    s = SequenceConstruct(x, a)
    const one: i64[] = 1
    e = SequenceAt(s, one)
    y = Neg(e)
  })");
  expect_same(sequence, widened(sequence),
              {*parse_tensor("f16[2] = 1 2"), *parse_tensor("i64[1] = 1")});

  const Graph named = typed_graph(R"(graph g(x: f16[3], n: i64[1]) -> (y, b) {
    f = ConstantOfShape(n) {value=tensor f16[1] 2}
    y = Mul(x, f)
    h = Neg(x)
    b = BitCast(h) {to=u16}
  })");
  expect_same(named, widened(named), {*parse_tensor("f16[3] = 1 2 3"), *parse_tensor("i64[1] = 3")},
              0);
}

TEST(Widen, InputsAndConstantsAsOutputs) {
  const Graph g = typed_graph(R"(graph g(x: f16[2]) -> (x, k, y) {
    const k: f16[2] = 1 2
    y = Add(x, k)
  })");
  expect_same(g, widened(g), {*parse_tensor("f16[2] = 1 2")}, 0);
}

// What passes made of a 16-bit constant by factors per channel is that constant and the factors; no
// element moves by more than the last bits of f32.
TEST(Widen, ConstantsGoBackToTheFile) {
  const Graph half = typed_graph(R"(graph g(x: f16[3,8], u: f32[3,8]) -> (a, b, c, y) {
    const k: f16[8,16] = random 4 -1 1
    const w: f16[8,16] = random 1 -1 1
    const other: f16[8,16] = random 3 -1 1
    const v: f32[8,16] = random 2 -1 1
    a = MatMul(x, k) name "kept"
    b = MatMul(x, w) name "scaled"
    c = MatMul(x, other) name "new"
    y = MatMul(u, v) name "whole"
  })");
  const HalfStorage storage = half_storage(half);
  Graph wide = widened(half);
  for (Value& value : wide.values) {
    if (value.kind != ValueKind::kConstant) continue;
    for (int64_t i = 0; i < value.data.elements(); ++i) {
      float& f = value.data.data<float>()[i];
      if (value.name == "w") f *= 0.1F + 0.3F * static_cast<float>(i % 16);
      if (value.name == "other") f += 0.01F;
    }
  }
  const Graph before = wide;
  const auto restored = restore_half(wide, storage);
  ASSERT_TRUE(restored.ok());
  EXPECT_EQ(*restored, 2);
  ASSERT_TRUE(verify(wide).ok() && infer_types(wide).ok());
  std::map<std::string, DType> stored;
  for (const Value& v : wide.values) {
    if (v.kind == ValueKind::kConstant && !v.name.empty()) stored[v.name] = v.data.dtype();
  }
  EXPECT_EQ(
      stored,
      (std::map<std::string, DType>{
          {"k", DType::kF16}, {"w", DType::kF16}, {"other", DType::kF32}, {"v", DType::kF32}}));
  const std::vector<Tensor> inputs = {*parse_tensor("f16[3,8] = random 7 -1 1"),
                                      *parse_tensor("f32[3,8] = random 8 -1 1")};
  expect_same(before, wide, inputs, 1e-3);
  const std::vector<char> marked = storage_nodes(wide);
  // Two Casts and a Mul of constants, a Cast of x and three to the outputs.
  EXPECT_EQ(std::count(marked.begin(), marked.end(), 1), 7);
  Graph again = wide;
  ASSERT_TRUE(widen(again).ok());
  EXPECT_EQ(again.nodes.size(), before.nodes.size());
  for (const Value& value : again.values) {
    if (value.name != "w") continue;
    ErrorSums sums;
    for (const Value& old : before.values) {
      if (old.name != "w") continue;
      ASSERT_TRUE(sums.add(old.data, value.data).ok());
    }
    EXPECT_LT(metrics_of(sums).max_rel, 1e-6);
  }
}

}  // namespace
}  // namespace mnn
