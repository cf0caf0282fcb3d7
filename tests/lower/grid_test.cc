// Grids of values and codes of weights.
#include "libruntime/lower/grid.h"

#include <gtest/gtest.h>

#include "tests/text_graph.h"

namespace mnn {
namespace {

const Value& named(const Graph& graph, std::string_view name) {
  for (const Value& v : graph.values) {
    if (v.name == name) return v;
  }
  ADD_FAILURE() << "no value " << name;
  return graph.values[0];
}

TEST(Grid, OfValues) {
  const Graph graph = typed_graph(R"(graph g(x: f32[1,2,3]) -> (e) {
  const k: f32[2] quant u8 scale [0.5] zero [10] = 1 2
  a: f32[1,2,3] quant u8 scale [0.5] zero [10] = Relu(x)
  b: f32[1,2,3] quant i8 scale [0.25] zero [-3] = Relu(a)
  c: f32[1,2,3] quant i8 scale [0.5,2] zero [-128,0] axis 1 = Relu(b)
  d: f32[1,2,3] quant u8 scale [1,2,3] zero [0,0,0] axis 2 = Relu(c)
  e: f32[1,2,3] quant i16 scale [0.5] zero [0] = Relu(d)
})");
  ASSERT_FALSE(graph.nodes.empty());
  EXPECT_EQ(grid_of(named(graph, "x")), std::nullopt);
  EXPECT_EQ(grid_of(named(graph, "k")), std::nullopt);
  EXPECT_EQ(grid_of(named(graph, "a")), (Grid{0.5f, 10}));
  EXPECT_EQ(grid_of(named(graph, "b")), (Grid{0.25f, 125}));
  for (const char* other : {"c", "d", "e"}) EXPECT_EQ(grid_of(named(graph, other)), std::nullopt);
  for (const char* other : {"x", "a", "d", "e"}) EXPECT_FALSE(channel_grid_of(named(graph, other)));
  const std::optional<ChannelGrid> channels = channel_grid_of(named(graph, "c"));
  ASSERT_TRUE(channels);
  EXPECT_EQ(channels->scales, (std::vector<float>{0.5f, 2.0f}));
  EXPECT_EQ(channels->zeros, (std::vector<int32_t>{0, 128}));
}

std::string codes(const Graph& graph, const char* name, int axis) {
  const std::optional<ByteWeights> w = byte_weights(named(graph, name), axis);
  if (!w) return "none";
  std::string text;
  for (int64_t i = 0; i < w->values.elements(); ++i) {
    text += std::to_string(w->values.data<int8_t>()[i]) + " ";
  }
  for (const float s : w->scales) text += "x" + std::to_string(s).substr(0, 4);
  return text;
}

TEST(ByteWeights, AreSymmetricSignedBytes) {
  const Graph graph = typed_graph(R"(graph g(x: f32[3]) -> (x) {
  const s: f32[2,3] quant i8 scale [0.5,0.25] zero [0,0] axis 0 = -128 2 3 4 5 6
  const u: f32[2,3] quant u8 scale [0.5] zero [128] = 0 128 255 127 1 2
  const z: f32[2,3] quant i8 scale [0.5,0.25,1] zero [0,1,-1] axis 1 = 1 1 1 2 2 2
  const n: f32[2,3] quant u4 scale [2] zero [8] = 0 8 15 7 9 1
  const wide: f32[2,3] quant u8 scale [0.5] zero [0] = 0 1 2 3 4 200
  const plain: f32[2,3] = 0 1 2 3 4 5
})");
  ASSERT_FALSE(graph.values.empty());
  EXPECT_EQ(codes(graph, "s", 0), "-128 2 3 4 5 6 x0.50x0.25");
  EXPECT_EQ(codes(graph, "s", 1), "none");
  EXPECT_EQ(codes(graph, "u", 0), "-128 0 127 -1 -127 -126 x0.50x0.50");
  EXPECT_EQ(codes(graph, "z", 1), "1 0 2 2 1 3 x0.50x0.25x1.00");
  EXPECT_EQ(codes(graph, "n", 1), "-8 0 7 -1 1 -7 x2.00x2.00x2.00");
  EXPECT_EQ(codes(graph, "wide", 0), "none");
  EXPECT_EQ(codes(graph, "plain", 0), "none");
}

}  // namespace
}  // namespace mnn
