#include "libruntime/compile/backend.h"

#include "libruntime/compile/registry.h"
#include "libruntime/kernels/isa.h"
#include "tests/runtime/graphs.h"

namespace mnn {
namespace {

// MACs of one node over inputs and an output of these types.
int64_t macs(const std::string& op, const std::vector<Shape>& inputs, Shape output,
             std::map<std::string, Attribute, std::less<>> attributes = {}) {
  Graph graph;
  Node node;
  node.op = op;
  for (const Shape& shape : inputs) {
    node.inputs.push_back(graph.add_input("", tensor_type(DType::kF32, shape)));
  }
  node.outputs = {graph.add_temporary("", tensor_type(DType::kF32, std::move(output)))};
  node.attributes = std::move(attributes);
  return count_macs(graph, node);
}

TEST(Macs, OfEveryKind) {
  EXPECT_EQ(macs("Conv", {{1, 4, 7, 7}, {6, 2, 3, 3}, {6}}, {1, 6, 5, 5}), 6 * 25 * 18);
  EXPECT_EQ(macs("Conv", {{1, 4, 9}, {6, 4, 3}}, {1, 6, 7}), 6 * 7 * 12);
  EXPECT_EQ(macs("ConvTranspose", {{1, 4, 5, 5}, {4, 3, 2, 2}}, {1, 3, 10, 10}), 4 * 25 * 12);
  EXPECT_EQ(macs("Gemm", {{2, 3}, {3, 4}, {4}}, {2, 4}), 24);
  EXPECT_EQ(macs("Gemm", {{3, 2}, {3, 4}}, {2, 4}, {{"transA", int64_t{1}}}), 24);
  EXPECT_EQ(macs("MatMul", {{5, 2, 3}, {5, 3, 4}}, {5, 2, 4}), 5 * 24);
  EXPECT_EQ(macs("MatMul", {{3}, {3}}, {}), 3);
  EXPECT_EQ(macs("LSTM", {{7, 2, 3}, {1, 16, 3}, {1, 16, 4}}, {7, 1, 2, 4}), 14 * (48 + 64));
  EXPECT_EQ(macs("Einsum", {{5, 2, 3}, {5, 3, 4}}, {5, 2, 4},
                 {{"equation", std::string("bij,bjk->bik")}}),
            120);
  EXPECT_EQ(macs("Einsum", {{5, 2, 3}, {3, 4}}, {5, 2, 4},
                 {{"equation", std::string("...ij , jk -> ...ik")}}),
            120);
  EXPECT_EQ(macs("DeformConv", {{1, 4, 7, 7}, {6, 4, 3, 3}, {1, 18, 5, 5}}, {1, 6, 5, 5}),
            6 * 25 * 36);
  // [batch, heads, length, size]; four heads of queries share each of two heads of keys and values.
  EXPECT_EQ(macs("Attention", {{2, 8, 5, 3}, {2, 2, 7, 3}, {2, 2, 7, 4}}, {2, 8, 5, 4}),
            2 * 8 * 5 * 7 * (3 + 4));
  EXPECT_EQ(macs("Attention", {{2, 5, 24}, {2, 7, 6}, {2, 7, 8}}, {2, 5, 32}),
            2 * 8 * 5 * 7 * (3 + 4));
  EXPECT_EQ(macs("Einsum", {{3}}, {}, {{"equation", std::string("i->")}}), 0);
  EXPECT_EQ(macs("Einsum", {{3}, {3}}, {}, {{"equation", std::string("ijk")}}), 0);
  EXPECT_EQ(macs("Einsum", {{7, 2, 3}, {1, 3, 4}}, {7, 2, 4},
                 {{"equation", std::string("...ij,...jk->...ik")}}),
            7 * 24);
  EXPECT_EQ(macs("QLinearMatMul", {{5, 3}, {}, {}, {3, 4}, {}, {}, {}, {}}, {5, 4}), 60);
  EXPECT_EQ(macs("QLinearConv", {{1, 4, 9}, {}, {}, {6, 4, 3}, {}, {}, {}, {}}, {1, 6, 7}),
            6 * 7 * 12);
  EXPECT_EQ(macs("ConvInteger", {{1, 4, 9}, {6, 4, 3}}, {1, 6, 7}), 6 * 7 * 12);
  EXPECT_EQ(macs("FusedMatMul", {{3, 2}, {3, 4}}, {2, 4}, {{"transA", int64_t{1}}}), 24);
  EXPECT_EQ(macs("MatMulNBits", {{2, 32}, {8, 1, 16}, {8}}, {2, 8}), 2 * 8 * 32);
  EXPECT_EQ(macs("CausalConvWithState", {{1, 4, 9}, {4, 1, 3}}, {1, 4, 9}), 36 * 3);
  // Five tokens; each writes the 2x3 states of two heads and reads them for four queries. The delta
  // rule reads each state once more.
  for (const auto& [rule, count] :
       {std::pair("linear", 5 * 6 * (2 + 4)), std::pair("gated_delta", 5 * 6 * (2 + 2 + 4))}) {
    EXPECT_EQ(macs("LinearAttention", {{1, 5, 8}, {1, 5, 4}, {1, 5, 6}}, {1, 5, 12},
                   {{"q_num_heads", int64_t{4}},
                    {"kv_num_heads", int64_t{2}},
                    {"update_rule", std::string(rule)}}),
              count)
        << rule;
  }
  EXPECT_EQ(macs("Relu", {{3}}, {3}), 0);
}

// MACs of the last node of a graph in text form.
int64_t last_macs(const std::string& text) {
  Graph graph = parse_graph(text).value();
  EXPECT_TRUE(infer_types(graph).ok());
  return count_macs(graph, graph.nodes.back());
}

TEST(Macs, ControlFlowHasThoseOfItsBodies) {
  const auto loop = [](const std::string& trips) {
    return "graph g(x: f32[2,3], m: i64[]) -> (y) {\n  const n: i64[] = 7\n  const w: f32[3,3] = "
           "iota 0 1\n  y = Loop(" +
           trips + R"(, _, x) captures(w) {
    body: graph b(i: i64[], c: bool[], h: f32[*]) captures(w) -> (c, r) {
      r = MatMul(h, w)
    }
  }
})";
  };
  EXPECT_EQ(last_macs(loop("n")), 7 * 2 * 9);
  EXPECT_EQ(last_macs(loop("m")), 2 * 9) << "a count that is not known is one trip";
  EXPECT_EQ(last_macs(R"(graph g(x: f32[2,3], s: f32[4,3,5]) -> (y) {
  y, _ = Scan(x, s) {num_scan_inputs=1, scan_input_axes=[-1]} {
    body: graph b(h: f32[2,3], e: f32[4,3]) -> (h, r) {
      t = Transpose(e) {perm=[1,0]}
      r = MatMul(h, t)
    }
  }
})"),
            5 * 2 * 3 * 4);
  EXPECT_EQ(last_macs(R"(graph g(c: bool[], x: f32[2,3]) -> (y) {
  const w: f32[3,4] = iota 0 1
  const v: f32[3,4] = iota 0 2
  y = If(c) captures(x, w, v) {
    then_branch: graph t() captures(x, w, v) -> (r) {
      r = MatMul(x, w)
    }
    else_branch: graph e() captures(x, w, v) -> (r) {
      a = MatMul(x, w)
      b = MatMul(x, v)
      r = Add(a, b)
    }
  }
})"),
            2 * 24);
}

TEST(Macs, OpenOrHugeShapesGiveZero) {
  EXPECT_EQ(macs("MatMul", {{Dim::symbol("n"), 3}, {3, 4}}, {Dim::symbol("n"), 4}), 0);
  const int64_t huge = int64_t{1} << 40;
  EXPECT_EQ(macs("MatMul", {{huge, huge}, {huge, huge}}, {huge, huge}), 0);
}

TEST(Backends, AreFoundByName) {
  register_test_backend();
  register_test_backend();  // no second one
  // What was added comes last; which devices there are is a matter of the build.
  const std::vector<std::string> names = backend_names();
  EXPECT_EQ(names.front(), "cpu");
  EXPECT_EQ(names.back(), "test");
  EXPECT_EQ(names[names.size() - 2], "reference");
  for (const std::string& name : names) {
    const auto backend = open_backend(name);
    ASSERT_TRUE(backend.ok()) << backend.status().message();
    EXPECT_EQ((*backend)->name(), name);
    EXPECT_FALSE((*find_backend(name))->summary.empty());
    if ((*find_backend(name))->device) continue;
    const auto device = (*backend)->device();
    ASSERT_TRUE(device.ok()) << device.status().message();
    EXPECT_FALSE((*device)->text.empty());
  }
}

std::string why_not_opened(const std::string& name, const BackendSettings& settings) {
  const auto backend = open_backend(name, settings);
  if (backend.ok()) return "";
  EXPECT_EQ(backend.status().code(), Code::kUsage);
  return backend.status().message();
}

TEST(Backends, RefuseWhatTheyDoNotKnow) {
  EXPECT_EQ(why_not_opened("cpu", {{"isa", available_isas().front()}, {"winograd", "off"}}), "");
  const std::string warp = why_not_opened("warp", {});
  EXPECT_TRUE(warp.starts_with("there is no backend 'warp', expected one of cpu, ")) << warp;
  EXPECT_EQ(why_not_opened("referense", {}),
            "there is no backend 'referense', did you mean 'reference'?");
  EXPECT_EQ(why_not_opened("cpu", {{"winogard", "on"}}),
            "there is no option of backend cpu 'winogard', did you mean 'winograd'?");
  EXPECT_EQ(why_not_opened("cpu", {{"colour", "red"}}),
            "there is no option of backend cpu 'colour', expected one of isa, winograd");
  EXPECT_EQ(why_not_opened("cpu", {{"winograd", "maybe"}}),
            "backend cpu: option winograd: expected on or off, found 'maybe'");
  EXPECT_EQ(why_not_opened("reference", {{"isa", "avx2"}}),
            "there is no option of backend reference 'isa', it has none");
  EXPECT_NE(why_not_opened("cpu", {{"isa", "z80"}}), "");
}

TEST(Backends, SayWhyNot) {
  register_test_backend();
  const Graph graph = graph_of("graph g(x: f32[2]) -> (y) {\n y: f32[2] = Neg(x)\n}");
  const auto test = std::move(open_backend("test")).value();
  const auto reference = std::move(open_backend("reference")).value();
  EXPECT_EQ(test->why_not(graph, graph.nodes[0]), "takes Conv and Gemm, not Neg");
  EXPECT_EQ(reference->why_not(graph, graph.nodes[0]), std::nullopt);
  EXPECT_EQ(reference->why_not_form(graph, graph.nodes[0], ComputeForm::kF32), std::nullopt);
  EXPECT_EQ(reference->why_not_form(graph, graph.nodes[0], ComputeForm::kU8xS8),
            "backend reference does not compute Neg in u8xs8");
}

TEST(Steps, AreDescribedInSourceNames) {
  const Graph graph = graph_of(R"(graph g(x: f32[2,3]) -> (y) {
    const w: f32[3,4] quant i8 scale [1] zero [0] = iota 0 1
    y: f32[2,4] quant u8 scale [1] zero [0] = Gemm(x, w) + Relu @ "fc" "act"
  })");
  const StepInfo info = describe_step(graph, graph.nodes[0]);
  EXPECT_EQ(info.op, "Gemm+Relu");
  EXPECT_EQ(info.origin, (std::vector<std::string>{"fc", "act"}));
  EXPECT_EQ(info.out_dims, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(info.out_dtype, "u8");
  EXPECT_EQ(info.macs, 24);
  EXPECT_EQ(info.bytes, 24 + 12 + 8);
}

}  // namespace
}  // namespace mnn
