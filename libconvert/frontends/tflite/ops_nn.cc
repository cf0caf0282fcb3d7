// Convolutions, products and pooling: channels last in the file, after the batch in the graph.
#include "libconvert/frontends/common/window.h"
#include "libconvert/frontends/tflite/op_map.h"

namespace mnn::tflite {
using frontend::Window;
using Ints = std::vector<int64_t>;

namespace {

bool check_padding(OpNode& n, int8_t padding) {
  if (padding != 0 && padding != 1) {
    n.fail(invalid("padding " + std::to_string(padding) + " is neither SAME nor VALID"));
  }
  return n.status.ok();
}

// A filter with its axes moved; of a quantized constant the codes stay as they are.
ValueId filter(OpNode& n, ValueId v, const Ints& perm) {
  return v == kNoValue ? v : n.emit("Transpose", {v}, {{"perm", perm}});
}

ValueId bias(OpNode& n, size_t i) {
  if (!n.has(i)) return kNoValue;
  // Bias is i32 in units of both scales: plain numbers from here on.
  return n.real(n.in(i));
}

void finish(OpNode& n, ValueId y, int activation) {
  n.results = {n.channels_last(n.activate(y, activation))};
}

// A convolution over the plane. `perm` brings the filter to [out, in, h, w]; `groups` tells their
// number from the channels of x and the filter's dims, absent: one.
template <typename Options, typename Groups>
void convert_plane_conv(OpNode& n, const Options& o, const Ints& perm, Groups groups) {
  const Ints f = filter_dims(n, 1, 4);
  const ValueId x = n.channels_first(n.in(0));
  const Window w{{o.stride_h(), o.stride_w()},
                 {o.dilation_h(), o.dilation_w()},
                 {f[1], f[2]},
                 o.padding() == 0};
  if (!n.status.ok() || !check_window(n, w) || !check_padding(n, o.padding())) return;
  OpNode::Attributes attrs = window_attributes(n, x, w);
  if (!n.status.ok()) return;
  const Dim channels = (*n.type_of(x).shape)[1];
  if (const std::optional<int64_t> count = groups(channels, f)) attrs["group"] = *count;
  finish(n, n.emit("Conv", {x, filter(n, n.in(1), perm), bias(n, 2)}, attrs), o.activation());
}

}  // namespace

// x, filter [out, h, w, in / groups], bias
void convert_conv(OpNode& n) {
  if (!n.expect_inputs(2, 3)) return;
  convert_plane_conv(n, n.options<fb::Conv2DOptions>(1), {0, 3, 1, 2},
                     [](const Dim& channels, const Ints& f) -> std::optional<int64_t> {
                       if (!channels.known() || f[3] <= 0) return std::nullopt;
                       return channels.value() / f[3];
                     });
}

// x, filter [1, h, w, in * multiplier], bias
void convert_depthwise_conv(OpNode& n) {
  if (!n.expect_inputs(2, 3)) return;
  const auto& o = n.options<fb::DepthwiseConv2DOptions>(2);
  convert_plane_conv(n, o, {3, 0, 1, 2},
                     [&](const Dim& channels, const Ints& f) -> std::optional<int64_t> {
                       const int64_t multiplier = std::max(1, o.depth_multiplier());
                       return channels.known() ? channels.value() : f[3] / multiplier;
                     });
}

// CONV_3D: x, filter [d, h, w, in, out], bias. CONV_3D_TRANSPOSE: output shape, filter [d, h, w,
// out, in], x, bias
void convert_conv_3d(OpNode& n) {
  const bool transposed = n.op == "CONV_3D_TRANSPOSE";
  if (!n.expect_inputs(transposed ? 3 : 2, transposed ? 4 : 3)) return;
  const auto& o = n.options<fb::Conv3DOptions>(106);
  const Ints f = filter_dims(n, 1, 5);
  const ValueId x = n.channels_first(n.in(transposed ? 2 : 0));
  const Window w{{o.stride_d(), o.stride_h(), o.stride_w()},
                 {o.dilation_d(), o.dilation_h(), o.dilation_w()},
                 {f[0], f[1], f[2]},
                 o.padding() == 0};
  if (!n.status.ok() || !check_window(n, w) || !check_padding(n, o.padding())) return;
  if (!transposed) {
    const OpNode::Attributes attrs = window_attributes(n, x, w);
    return finish(n, n.emit("Conv", {x, filter(n, n.in(1), {4, 3, 0, 1, 2}), bias(n, 2)}, attrs),
                  o.activation());
  }
  const Ints shape = n.need_ints(0, "the output shape");
  if (n.status.ok() && shape.size() != 5) n.fail(invalid("expected an output shape of 5 numbers"));
  if (!n.status.ok()) return;
  OpNode::Attributes attrs = {{"strides", w.strides}, {"dilations", w.dilations}};
  Ints pads(6), extra(3);
  for (size_t i = 0; i < 3; ++i) {
    const Dim& in = (*n.type_of(x).shape)[i + 2];
    if (!in.known()) return n.fail(unsupported("open dims are not supported"));
    const int64_t full = (in.value() - 1) * w.strides[i] + (w.kernel[i] - 1) * w.dilations[i] + 1;
    const int64_t total = std::max<int64_t>(full - shape[i + 1], 0);
    pads[i] = w.same ? total / 2 : 0;
    pads[i + 3] = total - pads[i];
    extra[i] = std::max<int64_t>(shape[i + 1] - full, 0);
  }
  attrs["pads"] = pads;
  attrs["output_padding"] = extra;
  finish(n, n.emit("ConvTranspose", {x, filter(n, n.in(1), {4, 3, 0, 1, 2}), bias(n, 3)}, attrs),
         o.activation());
}

namespace {

// x with a filter [out, h, w, in]; `shape`: [n, h, w, out] or empty, which is what SAME and VALID
// make of the input.
void transpose_conv(OpNode& n, ValueId image, ValueId weights, ValueId added, const Ints& f,
                    const Ints& shape, const Window& w, int activation) {
  const ValueId x = n.channels_first(image);
  if (!n.status.ok() || !check_window(n, w)) return;
  if (n.type_of(x).rank() != 4) return n.fail(invalid("expected an input of rank 4"));
  Ints pads(4), extra(2);
  for (size_t i = 0; i < 2; ++i) {
    const Dim& in = (*n.type_of(x).shape)[i + 2];
    // Where the size is open it can only be what the padding makes of it.
    int64_t rest = w.same ? w.kernel[i] - w.strides[i] : 0;
    if (!w.same && w.kernel[i] < w.strides[i]) rest = w.kernel[i] - w.strides[i];
    if (in.known() && !shape.empty()) {
      rest = (in.value() - 1) * w.strides[i] + w.kernel[i] - shape[i + 1];
    }
    const int64_t total = std::max<int64_t>(rest, 0);
    pads[i] = total / 2;
    pads[i + 2] = total - pads[i];
    extra[i] = std::max<int64_t>(-rest, 0);
  }
  OpNode::Attributes attrs = {{"strides", w.strides}, {"kernel_shape", Ints{f[1], f[2]}}};
  if (std::ranges::any_of(pads, [](int64_t p) { return p != 0; })) attrs["pads"] = pads;
  if (extra[0] + extra[1] > 0) attrs["output_padding"] = extra;
  finish(n, n.emit("ConvTranspose", {x, filter(n, weights, {3, 0, 1, 2}), added}, attrs),
         activation);
}

}  // namespace

// output shape, filter, x, bias
void convert_transpose_conv(OpNode& n) {
  if (!n.expect_inputs(3, 4)) return;
  const auto& o = n.options<fb::TransposeConvOptions>(49);
  const Ints f = filter_dims(n, 1, 4);
  const Ints shape = n.ints(0).value_or(Ints());
  if (!shape.empty() && shape.size() != 4) {
    return n.fail(invalid("expected an output shape of 4 numbers"));
  }
  const Window w{{o.stride_h(), o.stride_w()}, {}, {f[1], f[2]}, o.padding() == 0};
  transpose_conv(n, n.in(2), n.in(1), bias(n, 3), f, shape, w, o.activation());
}

namespace {

// The options of MediaPipe's own operators: a C struct of padding, strides and sizes as numbers.
std::optional<Ints> struct_options(OpNode& n, size_t numbers) {
  const auto bytes = list(n.tf.custom_options());
  Ints out(numbers);
  if (bytes.size() < numbers * 4) {
    n.fail(invalid("expected " + std::to_string(numbers * 4) + " bytes of options, found " +
                   std::to_string(bytes.size())));
    return std::nullopt;
  }
  for (size_t i = 0; i < numbers; ++i) {
    int32_t v = 0;
    std::memcpy(&v, bytes.data() + i * 4, 4);
    out[i] = v;
  }
  return out;
}

}  // namespace

// x, filter [out, h, w, in], bias; options: padding (1 SAME, 2 VALID), stride_w, stride_h
void convert_transpose_conv_bias(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  const auto o = struct_options(n, 3);
  const Ints f = filter_dims(n, 1, 4);
  if (!o) return;
  if ((*o)[0] != 1 && (*o)[0] != 2) {
    return n.fail(invalid("padding " + std::to_string((*o)[0]) + " is neither SAME nor VALID"));
  }
  const Window w{{(*o)[2], (*o)[1]}, {}, {f[1], f[2]}, (*o)[0] == 1};
  transpose_conv(n, n.in(0), n.in(1), bias(n, 2), f, {}, w, 0);
}

// x [.., in], filter [out, in], bias
void convert_fully_connected(OpNode& n) {
  if (!n.expect_inputs(2, 3)) return;
  const auto& o = n.options<fb::FullyConnectedOptions>(8);
  if (o.weights_format() != 0) {
    return n.fail(unsupported("shuffled weights (format 1) are not supported"));
  }
  const Ints f = filter_dims(n, 1, 2);
  const size_t rank = n.need_rank(0);
  if (!n.status.ok()) return;
  ValueId x = n.in(0), y = kNoValue;
  if (o.keep_num_dims() && rank != 2) {
    if (rank == 0) return n.fail(invalid("expected an input with axes, found a scalar"));
    y = n.emit("MatMul", {x, filter(n, n.in(1), {1, 0})});
    if (n.has(2)) y = n.emit("Add", {y, bias(n, 2)});
  } else {
    if (rank != 2 || !n.dim(0, 1).is(f[1])) x = n.move("Reshape", x, {n.add_ints({-1, f[1]})});
    y = n.emit("Gemm", {x, n.in(1), bias(n, 2)}, {{"transB", int64_t{1}}});
  }
  n.results = {n.activate(y, o.activation())};
}

void convert_batch_matmul(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const auto& o = n.options<fb::BatchMatMulOptions>(101);
  const auto side = [&](size_t i, bool turned) {
    const size_t rank = n.need_rank(i);
    if (!n.status.ok() || !turned) return n.in(i);
    if (rank < 2) {
      n.fail(invalid("expected a matrix, found " + n.type_of(n.in(i)).str()));
      return kNoValue;
    }
    Ints perm(rank);
    for (size_t d = 0; d < rank; ++d) perm[d] = static_cast<int64_t>(d);
    std::swap(perm[rank - 1], perm[rank - 2]);
    return n.transpose(n.in(i), perm);
  };
  n.results = {n.emit("MatMul", {side(0, o.adj_x()), side(1, o.adj_y())})};
}

namespace {

struct Pool {
  ValueId x = kNoValue;
  OpNode::Attributes attributes;
};
std::optional<Pool> pool(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return std::nullopt;
  const auto& o = n.options<fb::Pool2DOptions>(5);
  const Window w{{o.stride_h(), o.stride_w()}, {}, {o.filter_h(), o.filter_w()}, o.padding() == 0};
  Pool p;
  p.x = n.channels_first(n.in(0));
  if (!n.status.ok() || !check_window(n, w) || !check_padding(n, o.padding())) return std::nullopt;
  p.attributes = window_attributes(n, p.x, w);
  p.attributes["kernel_shape"] = w.kernel;
  return p;
}
int pool_activation(OpNode& n) { return n.options<fb::Pool2DOptions>(5).activation(); }

}  // namespace

void convert_average_pool(OpNode& n) {
  const auto p = pool(n);
  if (p) finish(n, n.emit("AveragePool", {p->x}, p->attributes), pool_activation(n));
}

void convert_max_pool(OpNode& n) {
  const auto p = pool(n);
  if (!p) return;
  const ValueId y = n.emit("MaxPool", {p->x}, p->attributes);
  // Elements that are there already: they stay on their grid.
  finish(n, y, pool_activation(n));
}

// The root of the mean of squares.
void convert_l2_pool(OpNode& n) {
  const auto p = pool(n);
  if (!p) return;
  const ValueId mean = n.emit("AveragePool", {n.emit("Mul", {p->x, p->x})}, p->attributes);
  finish(n, n.emit("Sqrt", {mean}), pool_activation(n));
}

// MediaPipe's: x; options as struct: padding, stride_w, stride_h, filter_w, filter_h. The second
// result counts places within the window of each channel.
void convert_argmax_pool(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const auto o = struct_options(n, 5);
  if (!o) return;
  const int64_t sh = (*o)[2], sw = (*o)[1], kh = (*o)[4], kw = (*o)[3];
  const ValueId x = n.channels_first(n.in(0));
  if (!n.status.ok()) return;
  if (sh != kh || sw != kw || kh < 1 || kw < 1 || kh > 64 || kw > 64) {
    return n.fail(unsupported("windows that overlap or leave gaps are not supported"));
  }
  const auto dims = n.known_dims_of(x);
  if (!dims || dims->size() != 4 || (*dims)[2] % kh != 0 || (*dims)[3] % kw != 0) {
    return n.fail(unsupported("sizes that the window does not divide are not supported"));
  }
  const int64_t b = (*dims)[0], c = (*dims)[1], h = (*dims)[2] / kh, w = (*dims)[3] / kw;
  // [b, c, h, kh, w, kw] -> [b, c, h, w, kh * kw]
  ValueId v = n.emit("Reshape", {x, n.add_ints({b, c, h, kh, w, kw})});
  v = n.emit("Transpose", {v}, {{"perm", Ints{0, 1, 2, 4, 3, 5}}});
  v = n.emit("Reshape", {v, n.add_ints({b, c, h, w, kh * kw})});
  const ValueId top = n.emit("ReduceMax", {v, n.add_ints({4})}, {{"keepdims", int64_t{0}}});
  const ValueId at = n.emit("ArgMax", {v}, {{"axis", int64_t{4}}, {"keepdims", int64_t{0}}});
  n.results = {n.channels_last(top), n.channels_last(n.cast(at, DType::kF32))};
}

// MediaPipe's: x, places within the window; options as of the pooling.
void convert_max_unpool(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const auto o = struct_options(n, 5);
  if (!o) return;
  const int64_t kh = (*o)[4], kw = (*o)[3];
  const ValueId x = n.channels_first(n.in(0)), at = n.channels_first(n.in(1));
  if (!n.status.ok()) return;
  const auto dims = n.known_dims_of(x);
  if (!dims || dims->size() != 4 || (*o)[2] != kh || (*o)[1] != kw || kh < 1 || kw < 1 || kh > 64 ||
      kw > 64) {
    return n.fail(unsupported("windows that overlap or leave gaps are not supported"));
  }
  const int64_t b = (*dims)[0], c = (*dims)[1], h = (*dims)[2], w = (*dims)[3];
  const ValueId depth = n.add_ints({kh * kw});
  const ValueId values = n.add_constant(Tensor::of<float>({2}, std::vector<float>{0, 1}));
  // [b, c, h, w, kh * kw]: one at the place, times the value
  ValueId v = n.emit("OneHot", {n.cast(at, DType::kI64), depth, values}, {{"axis", int64_t{-1}}});
  v = n.emit("Mul", {v, n.unsqueeze(x, {4})});
  v = n.emit("Reshape", {v, n.add_ints({b, c, h, w, kh, kw})});
  v = n.emit("Transpose", {v}, {{"perm", Ints{0, 1, 2, 4, 3, 5}}});
  v = n.emit("Reshape", {v, n.add_ints({b, c, h * kh, w * kw})});
  n.results = {n.channels_last(v)};
}

// Over 2 * radius + 1 neighbouring channels.
void convert_lrn(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const auto& o = n.options<fb::LocalResponseNormalizationOptions>(13);
  const ValueId x = n.channels_first(n.in(0));
  const int64_t size = 2 * int64_t{o.radius()} + 1;
  if (size < 1) return n.fail(invalid("the radius is negative"));
  n.results = {n.channels_last(n.emit("LRN", {x},
                                      {{"size", size},
                                       {"alpha", double{o.alpha()} * static_cast<double>(size)},
                                       {"beta", double{o.beta()}},
                                       {"bias", double{o.bias()}}}))};
}

namespace {

void resize(OpNode& n, const char* mode, const char* coordinates, const char* nearest) {
  if (!n.expect_inputs(2, 2)) return;
  const ValueId x = n.channels_first(n.in(0)), size = n.shape_operand(1);
  OpNode::Attributes attrs = {{"mode", std::string(mode)},
                              {"coordinate_transformation_mode", std::string(coordinates)},
                              {"axes", Ints{2, 3}}};
  if (nearest != nullptr) attrs["nearest_mode"] = std::string(nearest);
  n.results = {n.channels_last(n.move("Resize", x, {kNoValue, kNoValue, size}, attrs))};
}

const char* coordinates_of(bool align_corners, bool half_pixel) {
  return align_corners ? "align_corners" : half_pixel ? "half_pixel" : "asymmetric";
}

}  // namespace

void convert_resize_bilinear(OpNode& n) {
  const auto& o = n.options<fb::ResizeBilinearOptions>(15);
  resize(n, "linear", coordinates_of(o.align_corners(), o.half_pixel_centers()), nullptr);
}

void convert_resize_nearest(OpNode& n) {
  const auto& o = n.options<fb::ResizeNearestNeighborOptions>(74);
  const bool rounds = o.align_corners() || o.half_pixel_centers();
  resize(n, "nearest", coordinates_of(o.align_corners(), o.half_pixel_centers()),
         rounds ? "round_prefer_ceil" : "floor");
}

namespace {

void blocks(OpNode& n, const char* op) {
  if (!n.expect_inputs(1, 1)) return;
  const auto& o = n.options<fb::BlockOptions>(n.op == "SPACE_TO_DEPTH" ? 19 : 94);
  const ValueId x = n.channels_first(n.in(0));
  n.results = {n.channels_last(n.move(op, x, {}, {{"blocksize", int64_t{o.block_size()}}}))};
}

}  // namespace

void convert_space_to_depth(OpNode& n) { blocks(n, "SpaceToDepth"); }
void convert_depth_to_space(OpNode& n) { blocks(n, "DepthToSpace"); }

}  // namespace mnn::tflite
