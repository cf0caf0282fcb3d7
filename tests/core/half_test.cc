#include "libruntime/core/half.h"

#include <gtest/gtest.h>

#include <limits>

#include "libruntime/core/io/mnn_file.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

constexpr const char* kModel = R"(graph g(x: f32[3,8]) -> (y) {
  const w: f32[8,16] = random 1 -1 1
  const b: f32[16] = random 2 -1 1
  a = MatMul(x, w) name "fc"
  y = Add(a, b) name "bias"
})";

TEST(Half, StoresLargeConstantsAndComputesInF32) {
  const Graph plain = typed_graph(kModel);
  Graph half = plain;
  const Result<HalfReport> report = narrow_constants(half);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->narrowed, 1);
  EXPECT_EQ(report->bytes_saved, 8 * 16 * 2);
  EXPECT_TRUE(report->kept.empty());
  EXPECT_GT(metrics_of(report->error).snr_db, 65);
  ASSERT_TRUE(verify(half).ok());
  ASSERT_TRUE(infer_types(half).ok());
  EXPECT_EQ(half.value(half.outputs[0]).type.str(), "f32[3,16]");

  const Tensor x = *parse_tensor("f32[3,8] = random 5 -1 1");
  const auto r = run_reference(plain, {&x, 1}), y = run_reference(half, {&x, 1});
  ASSERT_TRUE(r.ok() && y.ok());
  ErrorSums sums;
  ASSERT_TRUE(sums.add((*r)[0], (*y)[0]).ok());
  EXPECT_GT(metrics_of(sums).snr_db, 60);
  EXPECT_LT(metrics_of(sums).snr_db, kExactSnrDb);

  Graph wide = half;
  ASSERT_TRUE(widen_constants(wide).ok());
  ASSERT_TRUE(verify(wide).ok());
  EXPECT_EQ(wide.nodes.size(), plain.nodes.size());
  const auto z = run_reference(wide, {&x, 1});
  EXPECT_TRUE(identical((*y)[0], (*z)[0]));
}

TEST(Half, LargeConstantsCanStayStoredIn16Bits) {
  const std::string model = R"(graph g(x: f32[2,256]) -> (y, z) {
  const w: f32[256,256] = random 3 -1 1
  const s: f32[256] = random 4 -1 1
  y: f32[2,256] = MatMul(x, w)
  z: f32[2,256] = Mul(x, s)
})";
  Graph half = typed_graph(model.c_str());
  ASSERT_TRUE(narrow_constants(half).ok());
  Graph copies = half, stored = half;
  ASSERT_TRUE(widen_constants(copies).ok());
  ASSERT_TRUE(widen_constants(stored, WideConstants::kStored).ok());
  ASSERT_TRUE(verify(stored).ok());
  int narrow = 0;
  for (const Value& v : stored.values) {
    if (v.kind != ValueKind::kConstant || !v.quant) continue;
    ++narrow;
    EXPECT_EQ(v.type.dtype, DType::kF32);
    EXPECT_EQ(v.data.dtype(), DType::kF16);
  }
  EXPECT_EQ(narrow, 1);  // the small one became f32
  const Tensor x = *parse_tensor("f32[2,256] = random 5 -1 1");
  const auto a = run_reference(copies, {&x, 1}), b = run_reference(stored, {&x, 1});
  ASSERT_TRUE(a.ok() && b.ok());
  for (size_t i = 0; i < a->size(); ++i) EXPECT_TRUE(identical((*a)[i], (*b)[i]));
}

TEST(Half, KeepsWhatF16CannotHold) {
  Graph g = typed_graph(R"(graph g(x: f32[64]) -> (y, z, v) {
    const big: f32[64] = iota 0 2000
    const small: f32[64] = iota 1e-9 1e-9
    const k: f32[64] = random 3 -1 1
    y = Mul(x, big)
    z = Mul(x, small)
    v = Mul(x, k)
  })");
  const Result<HalfReport> report = narrow_constants(g);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->narrowed, 1);
  ASSERT_EQ(report->kept.size(), 2U);
  EXPECT_EQ(report->kept[0], "big: values beyond 65504");
  EXPECT_EQ(report->kept[1], "small: values too small for f16");
}

TEST(Half, InfinitiesAreHeld) {
  Graph g = typed_graph(
      "graph g(x: f32[64]) -> (y) {\n  const m: f32[64] = iota 1 1\n  y = Add(x, m)\n}");
  for (Value& v : g.values) {
    if (v.name == "m") v.data.data<float>()[3] = -std::numeric_limits<float>::infinity();
  }
  EXPECT_EQ(narrow_constants(g)->narrowed, 1);
}

}  // namespace
}  // namespace mnn
