// Boxes of SSD: PriorBox and DetectionOutput.
#include <cmath>

#include "libconvert/frontends/caffe/layer.h"

namespace mnn::caffe {

// Anchors over a grid of cells, as corners in parts of the image, and their variances:
// [1, 2, cells * boxes * 4].
void convert_prior_box(LayerNode& n) {
  if (!n.expect_bottoms(2, 2)) return;
  const PriorBoxParameter& p = n.layer.prior_box_param();
  const Ints layer = n.known_shape(0), image = n.known_shape(1);
  if (!n.status.ok()) return;
  if (layer.size() != 4 || image.size() != 4) return n.fail(invalid("expected two images"));
  const double height = p.has_img_size() ? p.img_size()
                        : p.has_img_h()  ? p.img_h()
                                         : static_cast<double>(image[2]);
  const double width = p.has_img_size() ? p.img_size()
                       : p.has_img_w()  ? p.img_w()
                                        : static_cast<double>(image[3]);
  const double step_h = p.has_step_h() ? p.step_h()
                        : p.has_step() ? p.step()
                                       : height / static_cast<double>(layer[2]);
  const double step_w = p.has_step_w() ? p.step_w()
                        : p.has_step() ? p.step()
                                       : width / static_cast<double>(layer[3]);
  std::vector<double> ratios = {1};
  for (const float r : p.aspect_ratio()) {
    if (!(r > 0)) return n.fail(invalid("an aspect ratio is no positive number"));
    if (std::ranges::any_of(ratios, [&](double o) { return std::abs(o - r) < 1e-6; })) continue;
    ratios.push_back(r);
    if (p.flip()) ratios.push_back(1 / double{r});
  }
  if (p.min_size_size() == 0 || (p.max_size_size() > 0 && p.max_size_size() != p.min_size_size())) {
    return n.fail(invalid("it needs min_size, and max_size for each or none"));
  }
  // Sizes of the boxes of one cell.
  std::vector<std::pair<double, double>> sizes;
  for (int s = 0; s < p.min_size_size(); ++s) {
    const double least = p.min_size(s);
    sizes.emplace_back(least, least);
    if (p.max_size_size() > 0) {
      const double mean = std::sqrt(least * p.max_size(s));
      sizes.emplace_back(mean, mean);
    }
    for (const double r : ratios) {
      if (std::abs(r - 1) < 1e-6) continue;
      sizes.emplace_back(least * std::sqrt(r), least / std::sqrt(r));
    }
  }
  const auto boxes = static_cast<int64_t>(sizes.size());
  constexpr int64_t kMost = 1 << 24;
  int64_t cells = 0, count = 0;
  if (__builtin_mul_overflow(layer[2], layer[3], &cells) ||
      __builtin_mul_overflow(cells, boxes * 4, &count) || count > kMost) {
    return n.fail(limit_exceeded("more than 2^24 numbers of boxes"));
  }
  Result<Tensor> out = Tensor::allocate(DType::kF32, {1, 2, count});
  if (!out.ok()) return n.fail(out.status());
  float* to = out->data<float>();
  const double limit_low = p.clip() ? 0 : -HUGE_VAL, limit_high = p.clip() ? 1 : HUGE_VAL;
  for (int64_t y = 0; y < layer[2]; ++y) {
    for (int64_t x = 0; x < layer[3]; ++x) {
      const double cx = (static_cast<double>(x) + p.offset()) * step_w;
      const double cy = (static_cast<double>(y) + p.offset()) * step_h;
      for (const auto& [w, h] : sizes) {
        for (const double v : {(cx - w / 2) / width, (cy - h / 2) / height, (cx + w / 2) / width,
                               (cy + h / 2) / height}) {
          *to++ = static_cast<float>(std::clamp(v, limit_low, limit_high));
        }
      }
    }
  }
  if (p.variance_size() > 1 && p.variance_size() != 4) {
    return n.fail(invalid("expected 1 or 4 variances"));
  }
  for (int64_t i = 0; i < count; ++i) {
    *to++ = p.variance_size() == 0   ? 0.1f
            : p.variance_size() == 1 ? p.variance(0)
                                     : p.variance(static_cast<int>(i % 4));
  }
  n.results = {n.emit("Identity", {n.add_constant(std::move(out).value())})};
}

namespace {

// Corners [p, 4] from what was learnt and the anchors.
ValueId decode(LayerNode& n, int64_t priors) {
  const DetectionOutputParameter& p = n.layer.detection_output_param();
  const auto part = [&](ValueId v, int64_t from, int64_t to) {
    return n.emit("Slice", {v, n.add_ints({from}), n.add_ints({to}), n.add_ints({1})});
  };
  const ValueId learnt = n.emit("Reshape", {n.in(0), n.add_ints({priors, 4})});
  const ValueId both = n.emit("Reshape", {n.in(2), n.add_ints({2, priors, 4})});
  const auto half = [&](int64_t i) {
    return n.emit("Gather", {both, n.add_constant(Tensor::scalar(i))});
  };
  const ValueId anchors = half(0);
  const ValueId moved = p.variance_encoded_in_target() ? learnt : n.emit("Mul", {learnt, half(1)});
  if (p.code_type() == DetectionOutputParameter::CORNER) return n.emit("Add", {anchors, moved});
  const ValueId size = n.emit("Sub", {part(anchors, 2, 4), part(anchors, 0, 2)});
  if (p.code_type() == DetectionOutputParameter::CORNER_SIZE) {
    const ValueId twice = n.emit("Concat", {size, size}, {{"axis", int64_t{1}}});
    return n.emit("Add", {anchors, n.emit("Mul", {moved, twice})});
  }
  const ValueId middle =
      n.emit("Mul", {n.emit("Add", {part(anchors, 0, 2), part(anchors, 2, 4)}), n.f32(0.5)});
  const ValueId centre = n.emit("Add", {n.emit("Mul", {part(moved, 0, 2), size}), middle});
  const ValueId reach =
      n.emit("Mul", {n.emit("Mul", {n.emit("Exp", {part(moved, 2, 4)}), size}), n.f32(0.5)});
  return n.emit("Concat", {n.emit("Sub", {centre, reach}), n.emit("Add", {centre, reach})},
                {{"axis", int64_t{1}}});
}

}  // namespace

// locations [1, p * 4], scores [1, p * classes], anchors [1, 2, p * 4] -> [1, 1, found, 7]: image,
// class, score and corners, by class and falling score.
void convert_detection_output(LayerNode& n) {
  if (!n.expect_bottoms(3, 3)) return;
  const DetectionOutputParameter& p = n.layer.detection_output_param();
  const Ints locations = n.known_shape(0), anchors = n.known_shape(2);
  if (!n.status.ok()) return;
  const int64_t classes = p.num_classes();
  if (locations.empty() || locations[0] != 1) {
    return n.fail(unsupported("more than one image is not supported"));
  }
  if (!p.share_location() || p.nms_param().eta() != 1.0f) {
    return n.fail(unsupported("locations per class and an eta other than 1 are not supported"));
  }
  if (classes < 1 || anchors.size() != 3 || anchors[2] % 4 != 0) {
    return n.fail(invalid("num_classes or the anchors make no sense"));
  }
  const int64_t priors = anchors[2] / 4;
  const ValueId boxes = decode(n, priors);
  // [1, classes, p]
  ValueId scores = n.emit("Reshape", {n.in(1), n.add_ints({1, priors, classes})});
  scores = n.emit("Transpose", {scores}, {{"perm", Ints{0, 2, 1}}});
  ValueId candidates = scores;
  const int64_t top = p.nms_param().top_k();
  if (top > 0 && top < priors) {
    const auto best = n.emit_n("TopK", {scores, n.add_ints({top})}, 2);
    const ValueId least = n.emit("ReduceMin", {best[0], n.add_ints({2})});
    candidates = n.emit("Where", {n.emit("Less", {scores, least}), n.f32(-1), scores});
  }
  if (p.background_label_id() >= 0 && p.background_label_id() < classes) {
    std::vector<float> own(static_cast<size_t>(classes), 1);
    own[static_cast<size_t>(p.background_label_id())] = 0;
    const ValueId is_own =
        n.cast(n.add_constant(Tensor::of<float>({1, classes, 1}, own)), DType::kBool);
    candidates = n.emit("Where", {is_own, candidates, n.f32(-1)});
  }
  const ValueId chosen = n.emit(
      "NonMaxSuppression", {n.emit("Unsqueeze", {boxes, n.add_ints({0})}), candidates,
                            n.add_ints({priors}), n.f32(p.nms_param().nms_threshold()),
                            n.f32(p.has_confidence_threshold() ? p.confidence_threshold() : -0.5)});
  const auto column = [&](int64_t i) {
    return n.emit("Gather", {chosen, n.add_constant(Tensor::scalar(i))}, {{"axis", int64_t{1}}});
  };
  ValueId label = column(1), box = column(2);
  ValueId score = n.emit("GatherND", {scores, chosen});
  if (p.keep_top_k() > 0) {
    const ValueId found = n.emit("Shape", {score});
    const ValueId kept = n.emit("Min", {found, n.add_ints({p.keep_top_k()})});
    const auto best = n.emit_n("TopK", {score, kept}, 2);
    // In the order they had.
    const auto places = n.emit_n("TopK", {best[1], kept}, 1, {{"largest", int64_t{0}}});
    label = n.emit("Gather", {label, places[0]});
    box = n.emit("Gather", {box, places[0]});
    score = n.emit("Gather", {score, places[0]});
  }
  const auto as_column = [&](ValueId v) {
    return n.emit("Unsqueeze", {n.cast(v, DType::kF32), n.add_ints({1})});
  };
  const ValueId image = n.emit("Mul", {as_column(label), n.f32(0)});
  const ValueId rows =
      n.emit("Concat", {image, as_column(label), as_column(score), n.emit("Gather", {boxes, box})},
             {{"axis", int64_t{1}}});
  n.results = {n.emit("Unsqueeze", {rows, n.add_ints({0, 1})})};
}

}  // namespace mnn::caffe
