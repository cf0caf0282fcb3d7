// Sizes and pads decoded from nodes, against values worked out by hand.
#include "libruntime/lower/geometry.h"

#include <gtest/gtest.h>

#include "libruntime/lower/recurrent.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

std::string list(std::initializer_list<int64_t> numbers) {
  std::string text;
  for (const int64_t n : numbers) text += (text.empty() ? "" : " ") + std::to_string(n);
  return text;
}

// "n ic oc groups | in out kernel stride dilation pad" of depth, height and width.
std::string conv(const std::string& x, const std::string& w, const std::string& call) {
  const Graph graph =
      typed_graph("graph g(x: f32" + x + ", w: f32" + w + ") -> (y) {\n  y = " + call + "\n}");
  if (graph.nodes.empty()) return "";
  const Result<ConvGeometry> r = conv_geometry(NodeView(graph, graph.nodes[0]));
  if (!r.ok()) return r.status().message();
  const ConvGeometry& g = *r;
  EXPECT_EQ(g.x_pixel_stride, 0);
  EXPECT_EQ(g.y_pixel_stride, 0);
  return list({g.n, g.ic, g.oc, g.groups}) + " | " +
         list({g.id, g.od, g.kd, g.stride_d, g.dilation_d, g.pad_front}) + " | " +
         list({g.ih, g.oh, g.kh, g.stride_h, g.dilation_h, g.pad_top}) + " | " +
         list({g.iw, g.ow, g.kw, g.stride_w, g.dilation_w, g.pad_left});
}

TEST(ConvGeometry, PadsStridesDilationsAndGroups) {
  EXPECT_EQ(conv("[2,4,9,11]", "[6,2,3,5]",
                 "Conv(x, w) {group=2, strides=[2,3], pads=[1,2,0,1], dilations=[1,2]}"),
            "2 4 6 2 | 1 1 1 1 1 0 | 9 4 3 2 1 1 | 11 2 5 3 2 2");
}

TEST(ConvGeometry, OneAndThreeDimensions) {
  EXPECT_EQ(conv("[1,1,5]", "[1,1,3]", "Conv(x, w)"),
            "1 1 1 1 | 1 1 1 1 1 0 | 1 1 1 1 1 0 | 5 3 3 1 1 0");
  EXPECT_EQ(conv("[1,1,4,5,6]", "[1,1,2,3,1]", "Conv(x, w) {pads=[1,0,0,0,1,0]}"),
            "1 1 1 1 | 4 4 2 1 1 1 | 5 4 3 1 1 0 | 6 6 1 1 1 0");
}

// Two pads before, or one and the odd one behind.
TEST(ConvGeometry, AutoPad) {
  EXPECT_EQ(conv("[1,1,5]", "[1,1,4]", "Conv(x, w) {auto_pad=\"SAME_UPPER\", strides=[2]}"),
            "1 1 1 1 | 1 1 1 1 1 0 | 1 1 1 1 1 0 | 5 3 4 2 1 1");
  EXPECT_EQ(conv("[1,1,5]", "[1,1,4]", "Conv(x, w) {auto_pad=\"SAME_LOWER\", strides=[2]}"),
            "1 1 1 1 | 1 1 1 1 1 0 | 1 1 1 1 1 0 | 5 3 4 2 1 2");
}

TEST(ConvGeometry, Transposed) {
  EXPECT_EQ(conv("[1,2,4,5]", "[2,3,3,3]", "ConvTranspose(x, w) {strides=[2,2], pads=[1,0,0,1]}"),
            "1 2 3 1 | 1 1 1 1 1 0 | 4 8 3 2 1 1 | 5 10 3 2 1 0");
  // Without pads it were 9 and 11: 1 and 3 go, the odd one in front.
  EXPECT_EQ(
      conv("[1,2,4,5]", "[2,3,3,3]", "ConvTranspose(x, w) {strides=[2,2], output_shape=[8,8]}"),
      "1 2 3 1 | 1 1 1 1 1 0 | 4 8 3 2 1 1 | 5 8 3 2 1 2");
  EXPECT_EQ(conv("[1,2,4,5]", "[2,3,3,3]",
                 "ConvTranspose(x, w) {strides=[2,2], output_shape=[8,8], "
                 "auto_pad=\"SAME_UPPER\"}"),
            "1 2 3 1 | 1 1 1 1 1 0 | 4 8 3 2 1 0 | 5 8 3 2 1 1");
}

std::string axis(const WindowAxis& a) {
  return list({a.in, a.out, a.kernel, a.stride, a.dilation, a.pad_begin, a.pad_end});
}

std::string pool(const std::string& x, const std::string& call) {
  const Graph graph = typed_graph("graph g(x: f32" + x + ") -> (y) {\n  y = " + call + "\n}");
  if (graph.nodes.empty()) return "";
  const Result<PoolGeometry> g = pool_geometry(NodeView(graph, graph.nodes[0]));
  if (!g.ok()) return g.status().message();
  return list({g->n, g->c, g->count_pads}) + " | " + axis(g->d) + " | " + axis(g->h) + " | " +
         axis(g->w);
}

TEST(PoolGeometry, Axes) {
  EXPECT_EQ(pool("[2,3,7,8]",
                 "AveragePool(x) {kernel_shape=[3,2], strides=[2,2], pads=[1,0,2,0], "
                 "count_include_pad=1}"),
            "2 3 1 | 1 1 1 1 1 0 0 | 7 4 3 2 1 1 2 | 8 4 2 2 1 0 0");
  EXPECT_EQ(pool("[1,2,6]", "MaxPool(x) {kernel_shape=[2], dilations=[3]}"),
            "1 2 0 | 1 1 1 1 1 0 0 | 1 1 1 1 1 0 0 | 6 3 2 1 3 0 0");
  EXPECT_EQ(pool("[1,2,5,4,3]", "MaxPool(x) {kernel_shape=[2,3,1], pads=[1,0,0,0,1,0]}"),
            "1 2 0 | 5 5 2 1 1 1 0 | 4 3 3 1 1 0 1 | 3 3 1 1 1 0 0");
}

TEST(RecurrentGeometry, SizesAndGates) {
  const Graph graph = typed_graph(R"(graph g(x: f32[5,2,3], w: f32[1,12,3], r: f32[1,12,4]) -> (y) {
  y = GRU(x, w, r) {hidden_size=4, direction="reverse", linear_before_reset=1}
})");
  ASSERT_EQ(graph.nodes.size(), 1u);
  const NodeView n(graph, graph.nodes[0]);
  const Result<RecurrentAttributes> a = recurrent_attributes(n);
  ASSERT_TRUE(a.ok()) << a.status().message();
  ASSERT_EQ(a->activations.size(), 2u);
  EXPECT_EQ(gate_op(a->activations[0]), UnaryOp::kSigmoid);
  EXPECT_EQ(gate_op(a->activations[1]), UnaryOp::kTanh);
  EXPECT_EQ(gate_op({GateActivation::Kind::kScaledTanh, 1, 1}), std::nullopt);
  const RecurrentGeometry g = recurrent_geometry(n, *a);
  EXPECT_EQ(list({g.gates, g.steps, g.batch, g.directions, g.hidden, g.features, g.rows()}),
            "3 5 2 1 4 3 12");
  EXPECT_TRUE(g.first_is_reverse && g.reset_after && !g.batch_first);
  EXPECT_EQ(g.row_of(3, 1), 7);
}

}  // namespace
}  // namespace mnn
