// Shapes, slices, joins, choices.
#include <numeric>

#include "libconvert/frontends/caffe/layer.h"

namespace mnn::caffe {

void convert_same(LayerNode& n) {
  if (n.expect_bottoms(1, 1)) n.results = {n.emit("Identity", {n.in(0)})};
}

void convert_split(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  for (int i = 0; i < n.layer.top_size(); ++i) n.results.push_back(n.emit("Identity", {n.in(0)}));
}

void convert_concat(LayerNode& n) {
  if (!n.expect_bottoms(1, 1024)) return;
  const ConcatParameter& p = n.layer.concat_param();
  const int64_t axis = p.has_concat_dim() ? int64_t{p.concat_dim()} : int64_t{p.axis()};
  n.results = {n.emit("Concat", n.inputs, {{"axis", axis}})};
}

void convert_slice(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const SliceParameter& p = n.layer.slice_param();
  const int64_t axis =
      n.need_axis(p.has_slice_dim() ? int64_t{p.slice_dim()} : int64_t{p.axis()}, n.need_rank(0));
  const auto tops = static_cast<size_t>(n.layer.top_size());
  const Dim whole = n.dim(0, static_cast<size_t>(axis));
  if (!whole.known()) return n.fail(unsupported("the axis it slices must be known"));
  Ints sizes;
  int64_t before = 0;
  for (const uint32_t point : p.slice_point()) {
    sizes.push_back(int64_t{point} - before);
    before = point;
  }
  sizes.push_back(whole.value() - before);
  if (p.slice_point_size() == 0 && tops > 0) {
    if (whole.value() % static_cast<int64_t>(tops) != 0) {
      return n.fail(invalid("its axis does not divide into " + std::to_string(tops)));
    }
    sizes.assign(tops, whole.value() / static_cast<int64_t>(tops));
  }
  if (sizes.size() != tops || std::ranges::any_of(sizes, [](int64_t s) { return s < 0; })) {
    return n.fail(invalid("its slice points do not fit its tops"));
  }
  n.results = n.emit_n("Split", {n.in(0), n.add_ints(sizes)}, tops, {{"axis", axis}});
}

// 0 copies a dim, -1 is what is left.
void convert_reshape(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const ReshapeParameter& p = n.layer.reshape_param();
  Ints dims(p.shape().dim().begin(), p.shape().dim().end());
  const size_t rank = n.need_rank(0);
  const int64_t start = p.axis() >= 0 ? p.axis() : p.axis() + static_cast<int64_t>(rank) + 1;
  const int64_t end = p.num_axes() < 0 ? static_cast<int64_t>(rank) : start + int64_t{p.num_axes()};
  if (start < 0 || end > static_cast<int64_t>(rank) || start > end) {
    return n.fail(invalid("its axes do not fit its input"));
  }
  if (start > 0 || end < static_cast<int64_t>(rank)) {
    const Ints whole = n.known_shape(0);
    if (!n.status.ok()) return;
    for (size_t d = 0; d < dims.size(); ++d) {
      const auto from = static_cast<size_t>(start) + d;
      if (dims[d] == 0 && from < whole.size()) dims[d] = whole[from];
    }
    dims.insert(dims.begin(), whole.begin(), whole.begin() + start);
    dims.insert(dims.end(), whole.begin() + end, whole.end());
  }
  n.results = {n.emit("Reshape", {n.in(0), n.add_ints(dims)})};
}

void convert_flatten(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const FlattenParameter& p = n.layer.flatten_param();
  const size_t rank = n.need_rank(0);
  const int64_t axis = n.need_axis(p.axis(), rank), end = n.need_axis(p.end_axis(), rank);
  if (!n.status.ok()) return;
  if (end < axis) return n.fail(invalid("end_axis lies before axis"));
  if (end + 1 == static_cast<int64_t>(rank)) {
    Ints dims(static_cast<size_t>(axis), 0);
    dims.push_back(-1);
    n.results = {n.emit("Reshape", {n.in(0), n.add_ints(dims)})};
    return;
  }
  const Ints whole = n.known_shape(0);
  if (!n.status.ok()) return;
  Ints dims(whole.begin(), whole.begin() + axis);
  dims.push_back(std::accumulate(whole.begin() + axis, whole.begin() + end + 1, int64_t{1},
                                 std::multiplies<>()));
  dims.insert(dims.end(), whole.begin() + end + 1, whole.end());
  n.results = {n.emit("Reshape", {n.in(0), n.add_ints(dims)})};
}

void convert_permute(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  Ints perm(n.layer.permute_param().order().begin(), n.layer.permute_param().order().end());
  // Axes that are not named follow in their order.
  for (size_t d = 0; d < n.need_rank(0); ++d) {
    const auto axis = static_cast<int64_t>(d);
    if (std::ranges::find(perm, axis) == perm.end()) perm.push_back(axis);
  }
  n.results = {n.emit("Transpose", {n.in(0)}, {{"perm", perm}})};
}

// The part of the first bottom that has the size of the second.
void convert_crop(LayerNode& n) {
  if (!n.expect_bottoms(2, 2)) return;
  const CropParameter& p = n.layer.crop_param();
  const size_t rank = n.need_rank(0);
  const int64_t axis = n.need_axis(p.axis(), rank);
  if (!n.status.ok()) return;
  const auto cropped = static_cast<int64_t>(rank) - axis;
  if (p.offset_size() > 1 && p.offset_size() != cropped) {
    return n.fail(invalid("it has " + std::to_string(p.offset_size()) + " offsets for " +
                          std::to_string(cropped) + " axes"));
  }
  Ints starts, axes;
  for (int64_t i = 0; i < cropped; ++i) {
    const auto at = static_cast<int>(p.offset_size() > 1 ? i : 0);
    starts.push_back(p.offset_size() == 0 ? 0 : int64_t{p.offset(at)});
    axes.push_back(axis + i);
  }
  const ValueId size = n.shape_of(n.in(1));
  const ValueId wanted =
      n.emit("Slice", {size, n.add_ints({axis}), n.add_ints({static_cast<int64_t>(rank)})});
  const ValueId from = n.add_ints(starts);
  n.results = {n.emit("Slice", {n.in(0), from, n.emit("Add", {from, wanted}), n.add_ints(axes)})};
}

void convert_tile(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const TileParameter& p = n.layer.tile_param();
  const size_t rank = n.need_rank(0);
  Ints repeats(rank, 1);
  const int64_t axis = n.need_axis(p.axis(), rank);
  if (!n.status.ok()) return;
  repeats[static_cast<size_t>(axis)] = p.tiles();
  n.results = {n.emit("Tile", {n.in(0), n.add_ints(repeats)})};
}

void convert_reduction(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const ReductionParameter& p = n.layer.reduction_param();
  const size_t rank = n.need_rank(0);
  Ints axes;
  for (int64_t d = n.need_axis(p.axis(), rank); d < static_cast<int64_t>(rank); ++d) {
    axes.push_back(d);
  }
  const char* op = p.operation() == ReductionParameter::SUM     ? "ReduceSum"
                   : p.operation() == ReductionParameter::ASUM  ? "ReduceL1"
                   : p.operation() == ReductionParameter::SUMSQ ? "ReduceSumSquare"
                                                                : "ReduceMean";
  const ValueId y = n.emit(op, {n.in(0), n.add_ints(axes)}, {{"keepdims", int64_t{0}}});
  n.results = {p.coeff() == 1 ? y : n.emit("Mul", {y, n.f32(p.coeff())})};
}

void convert_argmax(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const ArgMaxParameter& p = n.layer.argmax_param();
  const int64_t k = p.top_k();
  if (p.has_axis()) {
    const auto made =
        n.emit_n("TopK", {n.in(0), n.add_ints({k})}, 2, {{"axis", int64_t{p.axis()}}});
    n.results = {p.out_max_val() ? made[0] : n.cast(made[1], DType::kF32)};
    return;
  }
  const ValueId flat = n.emit("Flatten", {n.in(0)});
  const auto made = n.emit_n("TopK", {flat, n.add_ints({k})}, 2);
  // [n, 1, k], or [n, 2, k] with the values behind the places.
  ValueId y = n.emit("Unsqueeze", {n.cast(made[1], DType::kF32), n.add_ints({1})});
  if (p.out_max_val()) {
    const ValueId top = n.emit("Unsqueeze", {made[0], n.add_ints({1})});
    y = n.emit("Concat", {y, top}, {{"axis", int64_t{1}}});
  }
  n.results = {y};
}

void convert_embed(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const EmbedParameter& p = n.layer.embed_param();
  const ValueId table = n.blob_value(0, {p.input_dim(), p.num_output()});
  ValueId y = n.emit("Gather", {table, n.cast(n.in(0), DType::kI64)});
  if (p.bias_term()) y = n.emit("Add", {y, n.blob_value(1, {p.num_output()})});
  n.results = {y};
}

void convert_batch_reindex(LayerNode& n) {
  if (!n.expect_bottoms(2, 2)) return;
  n.results = {n.emit("Gather", {n.in(0), n.cast(n.in(1), DType::kI64)})};
}

void convert_shuffle_channel(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const int64_t groups = n.layer.shuffle_channel_param().group();
  const Dim channels = n.dim(0, 1);
  if (n.need_rank(0) != 4 || !channels.known() || groups < 1 || channels.value() % groups != 0) {
    return n.fail(invalid("its channels do not divide into groups"));
  }
  const ValueId shape = n.shape_of(n.in(0));
  const ValueId space = n.emit("Slice", {shape, n.add_ints({2}), n.add_ints({4})});
  const ValueId batch = n.emit("Slice", {shape, n.add_ints({0}), n.add_ints({1})});
  const ValueId split =
      n.emit("Concat", {batch, n.add_ints({groups, channels.value() / groups}), space},
             {{"axis", int64_t{0}}});
  ValueId y = n.emit("Reshape", {n.in(0), split});
  y = n.emit("Transpose", {y}, {{"perm", Ints{0, 2, 1, 3, 4}}});
  n.results = {n.emit("Reshape", {y, shape})};
}

// Bilinear, corners on corners.
void convert_interp(LayerNode& n) {
  if (!n.expect_bottoms(1, 2)) return;
  const InterpParameter& p = n.layer.interp_param();
  if (p.pad_beg() != 0 || p.pad_end() != 0) {
    return n.fail(unsupported("padding of its input is not supported"));
  }
  ValueId size = kNoValue;
  if (n.inputs.size() > 1) {
    size = n.emit("Slice", {n.shape_of(n.in(1)), n.add_ints({2}), n.add_ints({4})});
  } else if (p.height() > 0 && p.width() > 0) {
    size = n.add_ints({p.height(), p.width()});
  } else {
    Ints out;
    for (const size_t axis : {size_t{2}, size_t{3}}) {
      const Dim in = n.dim(0, axis);
      if (!in.known()) return n.fail(unsupported("the size of its input must be known"));
      if (p.shrink_factor() < 1 || p.zoom_factor() < 1) return n.fail(invalid("a factor below 1"));
      const int64_t less = (in.value() - 1) / p.shrink_factor() + 1;
      out.push_back(less + (less - 1) * (int64_t{p.zoom_factor()} - 1));
    }
    size = n.add_ints(out);
  }
  n.results = {n.emit("Resize", {n.in(0), kNoValue, kNoValue, size},
                      {{"mode", std::string("linear")},
                       {"coordinate_transformation_mode", std::string("align_corners")},
                       {"axes", Ints{2, 3}}})};
}

void convert_upsample(LayerNode& n) {
  if (!n.expect_bottoms(1, 2)) return;
  if (n.inputs.size() > 1) return n.fail(unsupported("places of a pooling are not supported"));
  const UpsampleParameter& p = n.layer.upsample_param();
  const double h = p.has_scale_h() ? p.scale_h() : p.scale();
  const double w = p.has_scale_w() ? p.scale_w() : p.scale();
  const float scales[] = {static_cast<float>(h), static_cast<float>(w)};
  n.results = {n.emit("Resize", {n.in(0), kNoValue, n.add_constant(Tensor::of<float>({2}, scales))},
                      {{"mode", std::string("nearest")},
                       {"coordinate_transformation_mode", std::string("asymmetric")},
                       {"nearest_mode", std::string("floor")},
                       {"axes", Ints{2, 3}}})};
}

}  // namespace mnn::caffe
