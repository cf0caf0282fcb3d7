#include "libruntime/core/task_metrics.h"

#include <gtest/gtest.h>

#include "libruntime/core/text.h"

namespace mnn {
namespace {

Tensor tensor(std::vector<int64_t> dims, const std::vector<float>& v) {
  return Tensor::of<float>(std::move(dims), std::span<const float>(v));
}

const Graph& graph() {
  static const Graph g =
      parse_graph("graph g(x: f32[2]) -> (y, z) {\n  y = Relu(x)\n  z = Neg(x)\n}").value();
  return g;
}

// The value of a metric on one sample, in thousandths; the message when it fails.
std::string value(const std::string& spec, const Tensor& want, const Tensor& have) {
  const auto metric = make_metric(graph(), spec);
  if (!metric.ok()) return metric.status().message();
  const Status added = (*metric)->add({want, want}, {have, have});
  return added.ok() ? std::to_string(static_cast<int>((*metric)->value() * 1000 + 0.5))
                    : added.message();
}

TEST(TaskMetrics, ArgmaxAndTopK) {
  const Tensor want = tensor({3, 4}, {9, 1, 2, 3, 1, 9, 8, 0, 5, 5, 5, 5});
  const Tensor have = tensor({3, 4}, {7, 3, 2, 1, 1, 6, 8, 0, 0, 0, 0, 1});
  // Rows one and no other: of equals the first counts, which the last row then loses.
  EXPECT_EQ(value("argmax", want, have), "333");
  EXPECT_EQ(value("argmax:z", want, have), "333");
  EXPECT_EQ(value("argmax:y[0:1]", want, have), "1000");
  // Two best: {0,3} and {0,1}; {1,2} and {1,2}; {0,1} and {0,3}: 4 of 6.
  EXPECT_EQ(value("top2", want, have), "667");
  EXPECT_EQ(value("top99", want, have), "1000");
  EXPECT_NE(value("argmax", want, tensor({4, 3}, std::vector<float>(12))).find("different shapes"),
            std::string::npos);
  for (const char* bad : {"top0", "topx", "best", "argmax:q", "top1.5"})
    EXPECT_NE(value(bad, want, have).find("--metric "), std::string::npos) << bad;
}

// One-hot rows of these classes.
Tensor text(const std::vector<int>& classes) {
  std::vector<float> v(classes.size() * 4, 0);
  for (size_t i = 0; i < classes.size(); ++i) v[i * 4 + static_cast<size_t>(classes[i])] = 1;
  return tensor({static_cast<int64_t>(classes.size()), 4}, v);
}

TEST(TaskMetrics, CtcText) {
  // 1 1 2 3 3 and 1 1 2 3: a repeat without a blank between is one character.
  EXPECT_EQ(value("ctc", text({1, 1, 0, 1, 2, 3, 0, 3}), text({1, 0, 1, 0, 2, 3, 3, 0})), "800");
  EXPECT_EQ(value("ctc", text({0, 0}), text({0, 0})), "1000");
  EXPECT_EQ(value("ctc", text({1, 2, 3}), text({0, 0, 0})), "0");
  // Another blank: 0 1 and 0 2.
  EXPECT_EQ(value("ctc:y,blank=3", text({0, 3, 1}), text({0, 3, 2})), "500");
  EXPECT_NE(value("ctc:blank=-1", text({1}), text({1})).find("number of a class"),
            std::string::npos);
}

// Boxes [x0 y0 x1 y1] as rows of coordinates, two classes of scores below.
TEST(TaskMetrics, Detections) {
  const std::string spec = "detections:y[0:4]=xyxy,y[4:]=scores,iou=0.5,score=0.3";
  // Boxes 0..10, 20..30 (class 1), 20..30 once more, weaker, and one below the score.
  const Tensor want = tensor({6, 4}, {0,  20, 20, 50, 0,   20,  20, 50,  10, 30,  30,  60,
                                      10, 30, 30, 60, .9f, .1f, 0,  .2f, 0,  .8f, .7f, .1f});
  EXPECT_EQ(value(spec, want, want), "1000");
  // The first moved by 5 of 10 both ways: overlap 25 / 175; the second is found: 2 of 4.
  Tensor moved = want.clone().value();
  for (const int64_t row : {0, 1, 2, 3}) moved.data<float>()[row * 4] += 5;
  EXPECT_EQ(value(spec, want, moved), "500");
  // The second lost its score, and with it the one behind it becomes the best: still found.
  Tensor weaker = want.clone().value();
  weaker.data<float>()[21] = 0.1f;
  EXPECT_EQ(value(spec, want, weaker), "1000");
  weaker.data<float>()[22] = 0.1f;
  EXPECT_EQ(value(spec, want, weaker), "667") << "2 of 2 + 1";
  // Another class is another thing.
  Tensor other = want.clone().value();
  std::swap(other.data<float>()[16], other.data<float>()[20]);
  EXPECT_EQ(value(spec, want, other), "500");
  const Tensor none = tensor({6, 4}, std::vector<float>(24, 0));
  EXPECT_EQ(value(spec, none, none), "1000") << "nothing to find";
  EXPECT_EQ(value(spec, want, none), "0");
  for (const char* bad : {"detections:", "detections:y[0:4]=xyxy", "detections:y=boxes,z=scores",
                          "detections:y[0:4]=xyxy,y[4:]=scores,iou=2"})
    EXPECT_NE(value(bad, want, want).find("--metric "), std::string::npos) << bad;
  EXPECT_NE(value("detections:y[0:3]=xyxy,y[4:]=scores", want, want).find("scores a box"),
            std::string::npos);
}

TEST(TaskMetrics, FormsOfBoxes) {
  // One box, centre 5 5 size 10 10, against corners 0 0 10 10 and corner 0 0 size 10 10.
  const Tensor centre = tensor({5, 1}, {5, 5, 10, 10, 1}),
               corner = tensor({5, 1}, {0, 0, 10, 10, 1});
  EXPECT_EQ(value("detections:y[0:4]=cxcywh,y[4:]=scores", centre, centre), "1000");
  // Read as corners plus size, the centre box lies at 5..15: overlap 25 / 175.
  EXPECT_EQ(value("detections:y[0:4]=xywh,y[4:]=scores", centre, corner), "0");
  EXPECT_EQ(value("detections:y[0:4]=xywh,y[4:]=scores,iou=0.1", centre, corner), "1000");
}

}  // namespace
}  // namespace mnn
