// NonMaxSuppression.
#include <algorithm>

#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

Status infer_non_max_suppression(OpContext& c) {
  constexpr std::string_view kNames[] = {"boxes", "scores"};
  for (size_t i = 0; i < 2; ++i) {
    if (c.in[i].dtype != DType::kF32 || (c.rank_known(i) && c.in[i].rank() != 3)) {
      return invalid(std::string(kNames[i]) + ": expected f32 of rank 3, found " + c.in[i].str());
    }
  }
  if (c.rank_known(0) && (*c.in[0].shape)[2].known() && !(*c.in[0].shape)[2].is(4)) {
    return invalid("boxes: expected four coordinates each, found " + c.in[0].str());
  }
  if (c.rank_known(0) && c.rank_known(1)) {
    const Shape &b = *c.in[0].shape, &s = *c.in[1].shape;
    auto differ = [](const Dim& x, const Dim& y) {
      return x.known() && y.known() && x.value() != y.value();
    };
    if (differ(b[0], s[0]) || differ(b[1], s[2])) {
      return invalid("boxes " + c.in[0].str() + " and scores " + c.in[1].str() + " do not fit");
    }
  }
  set_output(c, 0, DType::kI64, Shape{Dim::unknown(), Dim(3)});
  return {};
}

struct Box {
  float y1, x1, y2, x2, area;
};

Box make_box(const float* p, bool center) {
  Box b;
  if (center) {  // x, y, width, height
    b = {p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2, 0};
  } else {  // two opposite corners, in any order
    b = {std::min(p[0], p[2]), std::min(p[1], p[3]), std::max(p[0], p[2]), std::max(p[1], p[3]), 0};
  }
  b.area = (b.y2 - b.y1) * (b.x2 - b.x1);
  return b;
}

bool overlap(const Box& a, const Box& b, float threshold) {
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  if (!(height > 0) || !(width > 0)) return false;
  const float shared = height * width, joined = a.area + b.area - shared;
  return a.area > 0 && b.area > 0 && joined > 0 && shared / joined > threshold;
}

Result<double> scalar_input(const KernelContext& c, size_t i, double otherwise) {
  if (!c.has_input(i) || c.in[i]->elements() == 0) return otherwise;
  MNN_ASSIGN_OR_RETURN(const auto values, c.in[i]->to_doubles());
  return values[0];
}

Status reference_non_max_suppression(KernelContext& c) {
  const Tensor &boxes = *c.in[0], &scores = *c.in[1];
  MNN_ASSIGN_OR_RETURN(const double most, scalar_input(c, 2, 0));
  MNN_ASSIGN_OR_RETURN(const double iou, scalar_input(c, 3, 0));
  const bool filter = c.has_input(4) && c.in[4]->elements() > 0;
  MNN_ASSIGN_OR_RETURN(const double least_score, scalar_input(c, 4, 0));
  const bool center = c.attr_int("center_point_box") != 0;
  const auto threshold = static_cast<float>(iou);
  const int64_t batches = scores.dims()[0], classes = scores.dims()[1], count = scores.dims()[2];
  std::vector<int64_t> picked;
  for (int64_t b = 0; b < (scores.elements() == 0 ? 0 : batches); ++b) {
    std::vector<Box> candidates;
    for (int64_t i = 0; i < count; ++i) {
      candidates.push_back(make_box(boxes.data<float>() + (b * count + i) * 4, center));
    }
    for (int64_t k = 0; k < classes; ++k) {
      const float* score = scores.data<float>() + (b * classes + k) * count;
      std::vector<int64_t> order;
      for (int64_t i = 0; i < count; ++i) {
        // A NaN score is no detection: it would also break the order.
        if (score[i] == score[i] && (!filter || score[i] > static_cast<float>(least_score))) {
          order.push_back(i);
        }
      }
      std::stable_sort(order.begin(), order.end(),
                       [&](int64_t i, int64_t j) { return score[i] > score[j]; });
      std::vector<Box> kept;
      for (const int64_t i : order) {
        if (static_cast<double>(kept.size()) >= most) break;
        const Box& box = candidates[static_cast<size_t>(i)];
        if (std::any_of(kept.begin(), kept.end(),
                        [&](const Box& other) { return overlap(other, box, threshold); })) {
          continue;
        }
        kept.push_back(box);
        picked.insert(picked.end(), {b, k, i});
      }
    }
  }
  MNN_ASSIGN_OR_RETURN(Tensor * y,
                       c.make(0, DType::kI64, {static_cast<int64_t>(picked.size() / 3), 3}));
  std::copy(picked.begin(), picked.end(), y->data<int64_t>());
  return {};
}

}  // namespace

std::vector<OpDef> define_detection() {
  return {{"NonMaxSuppression",
           2,
           5,
           kDataSized,
           {{"center_point_box", int64_t{0}}},
           infer_non_max_suppression,
           reference_non_max_suppression}};
}

}  // namespace mnn
