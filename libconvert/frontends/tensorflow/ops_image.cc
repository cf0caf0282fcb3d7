// Resizing, crops, patches, and choosing boxes.
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "libconvert/frontends/tensorflow/op_map.h"

namespace mnn::tensorflow {

using frontend::choice_of;
using frontend::choose;
using frontend::Chosen;

namespace {

// How much of each of `in` cells lies in each of `out` cells: [out, in], rows add up to one.
std::optional<Tensor> area_weights(OpNode& n, int64_t in, int64_t out, bool align) {
  Result<Tensor> t = Tensor::allocate(DType::kF32, {out, in});
  if (!t.ok()) {
    n.fail(t.status());
    return std::nullopt;
  }
  const double scale = align && out > 1 ? static_cast<double>(in - 1) / static_cast<double>(out - 1)
                                        : static_cast<double>(in) / static_cast<double>(out);
  for (int64_t o = 0; o < out; ++o) {
    const double low = static_cast<double>(o) * scale, high = low + scale;
    for (auto i = static_cast<int64_t>(std::floor(low)); static_cast<double>(i) < high; ++i) {
      const double part =
          std::min(high, static_cast<double>(i + 1)) - std::max(low, static_cast<double>(i));
      if (part <= 0) continue;
      t->data<float>()[o * in + std::clamp<int64_t>(i, 0, in - 1)] +=
          static_cast<float>(part / scale);
    }
  }
  return *t;
}

// Keys' cubic of four cells around each place, from a table of 1024 steps as the source has it.
std::optional<Tensor> cubic_weights(OpNode& n, int64_t in, int64_t out, bool align, bool half) {
  constexpr int kSteps = 1024;
  Result<Tensor> t = Tensor::allocate(DType::kF32, {out, in});
  if (!t.ok()) {
    n.fail(t.status());
    return std::nullopt;
  }
  const double a = half ? -0.5 : -0.75;
  const auto near = [&](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
  const auto far = [&](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
  const float scale = align && out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1)
                                       : static_cast<float>(in) / static_cast<float>(out);
  for (int64_t o = 0; o < out; ++o) {
    const float at =
        half ? (static_cast<float>(o) + 0.5f) * scale - 0.5f : static_cast<float>(o) * scale;
    const float cell = std::floor(at);
    const double x = static_cast<double>(std::lrint((at - cell) * kSteps)) / kSteps;
    double weights[] = {far(x + 1), near(x), near(1 - x), far(2 - x)};
    double sum = 0;
    for (int k = 0; k < 4; ++k) {
      const int64_t i = static_cast<int64_t>(cell) + k - 1;
      if (half && (i < 0 || i >= in)) weights[k] = 0;
      sum += weights[k];
    }
    for (int k = 0; k < 4; ++k) {
      const int64_t i = std::clamp<int64_t>(static_cast<int64_t>(cell) + k - 1, 0, in - 1);
      t->data<float>()[o * in + i] += static_cast<float>(half ? weights[k] / sum : weights[k]);
    }
  }
  return *t;
}

// x resized by weights of cells along each axis; false where its sizes are open.
template <typename Weights>
bool resize_by(OpNode& n, const Weights& weights) {
  const auto size = n.known_ints(1);
  const auto dims = n.known_dims_of(n.in(0));
  constexpr int64_t kMost = int64_t{1} << 24;
  if (!size || !dims || dims->size() != 4 || size->size() != 2) return false;
  for (size_t i = 0; i < 2; ++i) {
    const int64_t in = (*dims)[i + 1], out = (*size)[i];
    if (in >= 1 && out >= 1 && in <= kMost / out) continue;
    n.fail(limit_exceeded("its sizes are out of range"));
    return true;
  }
  const auto rows = weights((*dims)[1], (*size)[0]), columns = weights((*dims)[2], (*size)[1]);
  const ValueId x = n.channels_first(n.cast(n.in(0), DType::kF32));
  if (!n.status.ok()) return true;
  const ValueId across = n.emit("Transpose", {n.add_constant(*columns)}, {{"perm", Ints{1, 0}}});
  const ValueId narrow = n.emit("MatMul", {x, across});
  n.results = {n.channels_last(n.emit("MatMul", {n.add_constant(*rows), narrow}))};
  return true;
}

}  // namespace

// x, size
void convert_resize(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const bool align = n.attr_bool("align_corners"), half = n.attr_bool("half_pixel_centers");
  const bool nearest = n.op == "ResizeNearestNeighbor", cubic = n.op == "ResizeBicubic";
  OpNode::Attributes attrs = {{"axes", Ints{2, 3}}};
  attrs["coordinate_transformation_mode"] = std::string(align  ? "align_corners"
                                                        : half ? "half_pixel"
                                                               : "asymmetric");
  attrs["mode"] = std::string(nearest ? "nearest" : cubic ? "cubic" : "linear");
  if (nearest) {
    attrs["nearest_mode"] = std::string(align || half ? "round_prefer_ceil" : "floor");
  }
  const auto table = [&](int64_t in, int64_t out) {
    return cubic_weights(n, in, out, align, half);
  };
  if (cubic && resize_by(n, table)) return;
  if (cubic) {
    // Keys' kernel, without what lies outside; the old one is steeper and repeats the border.
    attrs["cubic_coeff_a"] = half ? -0.5 : -0.75;
    attrs["exclude_outside"] = int64_t{half};
  }
  const ValueId source = nearest ? n.in(0) : n.cast(n.in(0), DType::kF32);
  const ValueId x = n.channels_first(source), size = n.shape_operand(1);
  n.results = {n.channels_last(n.emit("Resize", {x, kNoValue, kNoValue, size}, attrs))};
}

// Means of areas.
void convert_resize_area(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const bool align = n.attr_bool("align_corners");
  if (!resize_by(n, [&](int64_t in, int64_t out) { return area_weights(n, in, out, align); })) {
    n.fail(unsupported("images of open size are not supported"));
  }
}

// image [b, h, w, c], boxes [n, 4] (y1, x1, y2, x2 of 0 to 1), which image of each, size [2]
void convert_crop_and_resize(OpNode& n) {
  if (!n.expect_inputs(4, 4)) return;
  const std::string method = n.attr_text("method", "bilinear");
  const Ints size = n.need_ints(3, "the size");
  if (n.status.ok() && (size.size() != 2 || size[0] < 1 || size[1] < 1)) {
    n.fail(invalid("expected two positive sizes"));
  }
  if (method != "bilinear" && method != "nearest") {
    n.fail(invalid("method " + method + " is not known"));
  }
  const ValueId image = n.channels_first(n.cast(n.in(0), DType::kF32));
  if (!n.status.ok()) return;
  const ValueId picked = n.emit("Gather", {image, n.in(2)});
  // Where each place of a crop is in its image, along one axis: [n, size].
  struct Axis {
    ValueId at, inside, unit;
  };
  const auto axis = [&](int64_t side, int64_t cells) {
    const auto column = [&](int64_t k) {
      return n.emit("Slice", {n.in(1), n.add_ints({k}), n.add_ints({k + 1}), n.add_ints({1})});
    };
    const ValueId low = column(side), high = column(side + 2);
    const ValueId span =
        n.cast(n.emit("Sub", {n.emit("Shape", {image}, {{"start", 2 + side}, {"end", 3 + side}}),
                              n.add_ints({1})}),
               DType::kF32);
    ValueId at = kNoValue;
    if (cells > 1) {
      Result<Tensor> steps = Tensor::allocate(DType::kF32, {1, cells});
      if (!steps.ok()) {
        n.fail(steps.status());
        return Axis{};
      }
      for (int64_t i = 0; i < cells; ++i) {
        steps->data<float>()[i] = static_cast<float>(i) / static_cast<float>(cells - 1);
      }
      const ValueId part = n.emit("Mul", {n.emit("Sub", {high, low}), n.add_constant(*steps)});
      at = n.emit("Mul", {n.emit("Add", {low, part}), span});
    } else {
      at = n.emit("Mul", {n.emit("Mul", {n.emit("Add", {low, high}), n.scalar_f32(0.5)}), span});
    }
    const ValueId inside = n.emit("And", {n.emit("GreaterOrEqual", {at, n.scalar_f32(0)}),
                                          n.emit("LessOrEqual", {at, span})});
    if (method == "nearest") {
      at = n.emit("Floor", {n.emit("Add", {at, n.scalar_f32(0.5)})});
    }
    // From -1 to 1 between the outer cells.
    const ValueId half = n.emit("Mul", {n.emit("Max", {span, n.scalar_f32(1)}), n.scalar_f32(0.5)});
    const ValueId unit = n.emit("Sub", {n.emit("Div", {at, half}), n.scalar_f32(1)});
    return Axis{at, inside, unit};
  };
  const Axis y = axis(0, size[0]), x = axis(1, size[1]);
  if (!n.status.ok()) return;
  const ValueId zeros = n.emit("Expand", {n.scalar_f32(0), n.add_ints({1, size[0], size[1]})});
  const auto spread = [&](const Axis& a, int64_t at) {
    return n.unsqueeze(n.emit("Add", {zeros, n.unsqueeze(a.unit, {at})}), {3});
  };
  const ValueId grid = n.emit("Concat", {spread(x, 1), spread(y, 2)}, {{"axis", int64_t{3}}});
  const ValueId crops = n.emit("GridSample", {picked, grid},
                               {{"align_corners", int64_t{1}},
                                {"padding_mode", std::string("border")},
                                {"mode", std::string("linear")}});
  const ValueId inside =
      n.unsqueeze(n.emit("And", {n.unsqueeze(y.inside, {2}), n.unsqueeze(x.inside, {1})}), {1});
  const ValueId outside = n.scalar_f32(n.attr_float("extrapolation_value"));
  n.results = {n.channels_last(n.emit("Where", {inside, crops, outside}))};
}

// Windows of an image as channels: row by row, with all channels of each place together.
void convert_patches(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const frontend::Window w{n.plane("strides", 2), n.plane("rates", 2), n.plane("ksizes", 2),
                           n.attr_text("padding") == "SAME"};
  if (!n.status.ok() || !frontend::check_window(n, w)) return;
  if (w.kernel[0] > 64 || w.kernel[1] > 64) return n.fail(unsupported("windows over 64 wide"));
  const auto dims = n.known_dims_of(n.in(0));
  if (!dims || dims->size() != 4) return n.fail(unsupported("images of open size"));
  Ints out(2), pads(8);
  for (size_t i = 0; i < 2; ++i) {
    const int64_t in = (*dims)[i + 1], reach = (w.kernel[i] - 1) * w.dilations[i] + 1;
    if (w.same) {
      const auto [low, high] = frontend::same_pads(in, w.kernel[i], w.strides[i], w.dilations[i]);
      pads[i + 1] = low;
      pads[i + 5] = high;
    } else if (in < reach) {
      return n.fail(invalid("the window is larger than the image"));
    }
    out[i] = w.same ? (in + w.strides[i] - 1) / w.strides[i] : (in - reach) / w.strides[i] + 1;
  }
  const ValueId x = w.same ? n.emit("Pad", {n.in(0), n.add_ints(pads)}) : n.in(0);
  std::vector<ValueId> parts;
  const ValueId axes = n.add_ints({1, 2}), steps = n.add_ints(w.strides);
  for (int64_t r = 0; r < w.kernel[0]; ++r) {
    for (int64_t c = 0; c < w.kernel[1]; ++c) {
      const int64_t top = r * w.dilations[0], left = c * w.dilations[1];
      const ValueId end = n.add_ints(
          {top + (out[0] - 1) * w.strides[0] + 1, left + (out[1] - 1) * w.strides[1] + 1});
      parts.push_back(n.emit("Slice", {x, n.add_ints({top, left}), end, axes, steps}));
    }
  }
  n.results = {n.emit("Concat", parts, {{"axis", int64_t{3}}})};
}

// ---- Boxes ----

// boxes [n, 4], scores [n], most; V2: overlap; V3: least score. The first: overlap as attribute.
void convert_nms(OpNode& n) {
  const size_t inputs = n.op.ends_with("V3") ? 5 : n.op.ends_with("V2") ? 4 : 3;
  if (!n.expect_inputs(inputs, inputs)) return;
  const ValueId overlap =
      n.has(3) ? n.scalar_operand(3) : n.scalar_f32(n.attr_float("iou_threshold", 0.5));
  const ValueId boxes = n.unsqueeze(n.in(0), {0}), scores = n.unsqueeze(n.in(1), {0, 1});
  std::vector<ValueId> in = {boxes, scores,
                             n.emit("Reshape", {n.cast(n.in(2), DType::kI64), n.add_ints({1})}),
                             n.emit("Reshape", {overlap, n.add_ints({1})})};
  if (n.has(4)) in.push_back(n.emit("Reshape", {n.in(4), n.add_ints({1})}));
  const ValueId chosen = n.emit("NonMaxSuppression", in);
  const ValueId places = n.emit("Gather", {chosen, n.scalar_i64(2)}, {{"axis", int64_t{1}}});
  n.results = {n.cast(places, DType::kI32)};
}

namespace {

// Those that were chosen, padded to the most or not, and how many they are.
void finish_choice(OpNode& n, const Chosen& chosen, bool soft) {
  if (!n.status.ok()) return;
  const ValueId many =
      n.emit("ReduceSum", {chosen.valid, n.add_ints({0})}, {{"keepdims", int64_t{0}}});
  ValueId places = n.cast(chosen.places, DType::kI32), scores = chosen.scores;
  if (!n.attr_bool("pad_to_max_output_size")) {
    const ValueId end = n.emit("Reshape", {n.cast(many, DType::kI64), n.add_ints({1})});
    const auto first = [&](ValueId v) {
      return n.emit("Slice", {v, n.add_ints({0}), end, n.add_ints({0})});
    };
    places = first(places);
    scores = first(scores);
  }
  n.results = {places};
  if (soft) n.results.push_back(scores);
  n.results.push_back(many);
}

}  // namespace

void convert_nms_padded(OpNode& n) {
  if (n.expect_inputs(5, 5)) finish_choice(n, choose(n, choice_of(n, false)), false);
}

void convert_nms_soft(OpNode& n) {
  if (n.expect_inputs(6, 6)) finish_choice(n, choose(n, choice_of(n, true)), true);
}

// boxes [b, n, 1 or classes, 4], scores [b, n, classes], most of a class, most of all, overlap,
// least score. What a class keeps is marked, the best of all classes are taken.
void convert_combined_nms(OpNode& n) {
  if (!n.expect_inputs(6, 6)) return;
  const int64_t per_class = n.need_int(2, "the most of a class"),
                total = n.need_int(3, "the most of all");
  const auto boxes = n.known_dims_of(n.in(0)), scores = n.known_dims_of(n.in(1));
  if (!n.status.ok()) return;
  if (!boxes || !scores || boxes->size() != 4 || scores->size() != 3) {
    return n.fail(unsupported("boxes of open shape are not supported"));
  }
  const int64_t batch = (*scores)[0], all = (*scores)[1], classes = (*scores)[2];
  const bool shared = (*boxes)[2] == 1;
  if (batch < 1 || all < 1 || classes < 1 || (*boxes)[3] != 4 || (*boxes)[1] != all ||
      (!shared && (*boxes)[2] != classes) || per_class < 1 || total < 1 || total > 1 << 20) {
    return n.fail(invalid("boxes, scores and sizes do not fit"));
  }
  // [b, classes, n], and the boxes of each row of it
  const ValueId by_class = n.emit("Transpose", {n.in(1)}, {{"perm", Ints{0, 2, 1}}});
  const ValueId own = n.emit("Transpose", {n.in(0)}, {{"perm", Ints{0, 2, 1, 3}}});
  const int64_t groups = shared ? batch : batch * classes, of_group = shared ? classes : 1;
  const ValueId flat_boxes = n.emit("Reshape", {own, n.add_ints({groups, all, 4})});
  const ValueId flat_scores = n.emit("Reshape", {by_class, n.add_ints({groups, of_group, all})});
  const auto one = [&](size_t i) { return n.emit("Reshape", {n.in(i), n.add_ints({1})}); };
  const ValueId chosen = n.emit("NonMaxSuppression",
                                {flat_boxes, flat_scores, n.add_ints({per_class}), one(4), one(5)});
  const ValueId kept_scores = n.emit("GatherND", {flat_scores, chosen});
  const ValueId none = n.emit("Expand", {n.scalar_f32(-FLT_MAX), n.emit("Shape", {flat_scores})});
  const ValueId marked = n.emit("Reshape", {n.emit("ScatterND", {none, chosen, kept_scores}),
                                            n.add_ints({batch, classes * all})});
  const int64_t most = std::min(total, classes * all);
  const auto top = n.emit_n("TopK", {marked, n.add_ints({most})}, 2);
  const ValueId valid = n.emit("Greater", {top[0], n.scalar_f32(-FLT_MAX)});
  const ValueId zero = n.scalar_f32(0);
  const ValueId top_scores = n.emit("Where", {valid, top[0], zero});
  const ValueId of_class = n.emit("Div", {top[1], n.scalar_i64(all)});
  const ValueId top_classes = n.emit("Where", {valid, n.cast(of_class, DType::kF32), zero});
  // Boxes by their place in the batch: of all classes where each has its own.
  const ValueId place = shared ? n.emit("Mod", {top[1], n.scalar_i64(all)}) : top[1];
  const ValueId rows =
      n.emit("Reshape", {own, n.add_ints({batch, shared ? all : classes * all, 4})});
  ValueId top_boxes =
      n.emit("GatherND", {rows, n.unsqueeze(place, {2})}, {{"batch_dims", int64_t{1}}});
  if (n.attr_bool("clip_boxes", true)) {
    top_boxes = n.emit("Clip", {top_boxes, zero, n.scalar_f32(1)});
  }
  top_boxes = n.emit("Where", {n.unsqueeze(valid, {2}), top_boxes, zero});
  const ValueId many = n.emit("ReduceSum", {n.cast(valid, DType::kI32), n.add_ints({1})},
                              {{"keepdims", int64_t{0}}});
  int64_t room = total;
  int64_t of_classes = 0;
  if (n.attr_bool("pad_per_class") && !__builtin_mul_overflow(per_class, classes, &of_classes)) {
    room = std::min(total, of_classes);
  }
  const auto padded = [&](ValueId v, size_t rank) {
    if (room == most) return v;
    if (room < most) {
      return n.emit("Slice", {v, n.add_ints({0}), n.add_ints({room}), n.add_ints({1})});
    }
    Ints pads(2 * rank);
    pads[rank + 1] = room - most;
    return n.emit("Pad", {v, n.add_ints(pads)});
  };
  n.results = {
      padded(top_boxes, 3), padded(top_scores, 2), padded(top_classes, 2),
      room < most
          ? n.emit("Min", {many, n.add_constant(Tensor::scalar(static_cast<int32_t>(room)))})
          : many};
}

}  // namespace mnn::tensorflow
