// Convolutions, pooling, normalization and products.
#include <algorithm>
#include <numeric>

#include "libconvert/frontends/tensorflow/op_map.h"

namespace mnn::tensorflow {

using frontend::check_window;
using frontend::filter_dims;
using frontend::Window;
using frontend::window_attributes;

namespace {

// What stands before, behind and around the plane in explicit paddings; `attrs` gets them.
void add_explicit_pads(OpNode& n, OpNode::Attributes& attrs, size_t space) {
  const Ints all = n.attr_ints("explicit_paddings");
  if (all.size() != 2 * (space + 2)) return n.fail(invalid("expected paddings of every axis"));
  const size_t first = n.is_channels_first() ? 2 : 1;
  Ints pads(2 * space);
  for (size_t i = 0; i < space + 2; ++i) {
    const int64_t low = all[2 * i], high = all[2 * i + 1];
    if (low < 0 || high < 0) return n.fail(invalid("negative paddings"));
    if (i >= first && i < first + space) {
      pads[i - first] = low;
      pads[i - first + space] = high;
    } else if (low != 0 || high != 0) {
      return n.fail(unsupported("paddings of batch or channels are not supported"));
    }
  }
  attrs["pads"] = pads;
}

// strides, dilations and pads of a window over x [n, c, space…].
OpNode::Attributes window_over(OpNode& n, ValueId x, Window w) {
  const std::string padding = n.attr_text("padding", "VALID");
  if (padding != "SAME" && padding != "VALID" && padding != "EXPLICIT") {
    n.fail(invalid("padding " + padding + " is not known"));
  }
  w.same = padding == "SAME";
  if (!n.status.ok() || !check_window(n, w)) return {};
  OpNode::Attributes attrs = window_attributes(n, x, w);
  if (padding == "EXPLICIT") add_explicit_pads(n, attrs, w.strides.size());
  return attrs;
}

// A filter with the axes of its window first, as the convolution wants it: `perm` starts with the
// two axes of channels.
ValueId filter(OpNode& n, ValueId v, Ints perm, size_t space) {
  for (size_t i = 0; i < space; ++i) perm.push_back(static_cast<int64_t>(i));
  return n.emit("Transpose", {v}, {{"perm", perm}});
}

}  // namespace

// x, filter [space…, in / groups, out]
void convert_conv(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const size_t space = n.op == "Conv3D" ? 3 : 2;
  const Ints f = filter_dims(n, 1, space + 2);
  const ValueId x = n.image(0);
  const Window w{n.plane("strides", space), n.plane("dilations", space),
                 Ints(f.begin(), f.begin() + static_cast<int64_t>(space)), false};
  OpNode::Attributes attrs = window_over(n, x, w);
  if (!n.status.ok()) return;
  const Dim channels = (*n.type_of(x).shape)[1];
  if (channels.known() && f[space] > 0 && channels.value() != f[space]) {
    attrs["group"] = channels.value() / f[space];
  }
  const auto in = static_cast<int64_t>(space);
  n.results = {n.result_image(n.emit("Conv", {x, filter(n, n.in(1), {in + 1, in}, space)}, attrs))};
}

// x, filter [h, w, in, multiplier]
void convert_depthwise_conv(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const Ints f = filter_dims(n, 1, 4);
  const ValueId x = n.image(0);
  const Window w{n.plane("strides", 2), n.plane("dilations", 2), {f[0], f[1]}, false};
  OpNode::Attributes attrs = window_over(n, x, w);
  if (!n.status.ok()) return;
  attrs["group"] = f[2];
  int64_t out = 0;
  if (__builtin_mul_overflow(f[2], f[3], &out)) return n.fail(invalid("the filter is too large"));
  // [h, w, in, multiplier] -> [in * multiplier, 1, h, w]
  const ValueId flat = n.emit("Reshape", {n.in(1), n.add_ints({f[0], f[1], 1, out})});
  n.results = {n.result_image(n.emit("Conv", {x, filter(n, flat, {3, 2}, 2)}, attrs))};
}

// The sizes of x, filter, y: what a convolution of x by the filter gives, turned round.
void convert_conv_backprop(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  const bool depthwise = n.op == "DepthwiseConv2dNativeBackpropInput";
  const size_t space = n.op == "Conv3DBackpropInputV2" ? 3 : 2;
  const Ints f = filter_dims(n, 1, space + 2);
  const ValueId y = n.image(2);
  Window w{n.plane("strides", space), n.plane("dilations", space),
           Ints(f.begin(), f.begin() + static_cast<int64_t>(space)),
           n.attr_text("padding") == "SAME"};
  if (!n.status.ok() || !check_window(n, w)) return;
  if (n.attr_text("padding") == "EXPLICIT") {
    return n.fail(unsupported("explicit paddings are not supported here"));
  }
  const auto sizes = n.known_ints(0);
  if (sizes && sizes->size() != space + 2) {
    return n.fail(invalid("expected " + std::to_string(space + 2) + " sizes"));
  }
  const Type& type = n.type_of(y);
  if (!type.shape || type.rank() != space + 2) {
    return n.fail(invalid("expected an image, found " + type.str()));
  }
  const size_t first = n.is_channels_first() ? 2 : 1;
  Ints pads(2 * space), extra(space);
  bool any = false, more = false;
  for (size_t i = 0; i < space; ++i) {
    const int64_t window = (w.kernel[i] - 1) * w.dilations[i] + 1;
    const Dim& in = (*type.shape)[i + 2];
    // Where sizes are open they can only be what the padding makes of them: a multiple of the
    // stride, or all that the window reaches.
    int64_t rest = w.same || window < w.strides[i] ? window - w.strides[i] : 0;
    if (sizes && in.known()) {
      int64_t full = 0;
      if (__builtin_mul_overflow(in.value() - 1, w.strides[i], &full)) {
        return n.fail(invalid("sizes overflow"));
      }
      rest = full + window - (*sizes)[i + first];
    }
    const int64_t total = w.same ? std::max<int64_t>(rest, 0) : 0;
    pads[i] = total / 2;
    pads[i + space] = w.same ? total - pads[i] : std::max<int64_t>(rest, 0);
    extra[i] = std::max<int64_t>(-rest, 0);
    any |= pads[i] + pads[i + space] > 0;
    more |= extra[i] > 0;
  }
  OpNode::Attributes attrs = {{"strides", w.strides}, {"dilations", w.dilations}};
  if (any) attrs["pads"] = pads;
  if (more) attrs["output_padding"] = extra;
  ValueId weights = n.in(1);
  const auto in = static_cast<int64_t>(space);
  if (depthwise) {
    attrs["group"] = f[2];
    // [h, w, in, multiplier] -> [in * multiplier, 1, h, w]
    weights = n.emit("Reshape", {weights, n.add_ints({f[0], f[1], 1, f[2] * f[3]})});
  }
  n.results = {
      n.result_image(n.emit("ConvTranspose", {y, filter(n, weights, {in + 1, in}, space)}, attrs))};
}

void convert_pool(OpNode& n) {
  const bool v2 = n.op == "MaxPoolV2";
  if (!n.expect_inputs(v2 ? 3 : 1, v2 ? 3 : 1)) return;
  const size_t space = n.op.ends_with("3D") ? 3 : 2;
  const ValueId x = n.image(0);
  Window w;
  if (v2) {
    // The sizes are inputs.
    const size_t first = n.is_channels_first() ? 2 : 1;
    const Ints kernel = n.need_ints(1, "the window"), strides = n.need_ints(2, "the strides");
    if (n.status.ok() && (kernel.size() != 4 || strides.size() != 4)) {
      n.fail(invalid("expected 4 numbers"));
    }
    if (!n.status.ok()) return;
    w.kernel = {kernel[first], kernel[first + 1]};
    w.strides = {strides[first], strides[first + 1]};
  } else {
    w.kernel = n.plane("ksize", space);
    w.strides = n.plane("strides", space);
  }
  OpNode::Attributes attrs = window_over(n, x, w);
  attrs["kernel_shape"] = w.kernel;
  n.results = {
      n.result_image(n.emit(n.op.starts_with("Max") ? "MaxPool" : "AveragePool", {x}, attrs))};
}

// The second result counts in the flattened image: (y * width + x) * channels + c.
void convert_max_pool_argmax(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId x = n.channels_first(n.in(0));
  const Window w{n.plane("strides", 2), {}, n.plane("ksize", 2), false};
  OpNode::Attributes attrs = window_over(n, x, w);
  attrs["kernel_shape"] = w.kernel;
  if (n.outputs < 2) {
    n.results = {n.channels_last(n.emit("MaxPool", {x}, attrs))};
    return;
  }
  const auto made = n.emit_n("MaxPool", {x}, 2, attrs);
  const auto dims = n.known_dims_of(x);
  if (!n.status.ok()) return;
  if (!dims) return n.fail(unsupported("places in an image of open size are not supported"));
  // The IR counts [n, c, h, w].
  const int64_t c = (*dims)[1], plane = (*dims)[2] * (*dims)[3];
  if (plane <= 0 || c <= 0) return n.fail(invalid("the image is empty"));
  const ValueId in_plane = n.emit("Mod", {made[1], n.scalar_i64(plane)});
  const ValueId before = n.emit("Div", {made[1], n.scalar_i64(plane)});
  const ValueId channel = n.emit("Mod", {before, n.scalar_i64(c)});
  ValueId at = n.emit("Add", {n.emit("Mul", {in_plane, n.scalar_i64(c)}), channel});
  if (n.attr_bool("include_batch_in_index")) {
    const ValueId batch = n.emit("Div", {before, n.scalar_i64(c)});
    at = n.emit("Add", {at, n.emit("Mul", {batch, n.scalar_i64(plane * c)})});
  }
  n.results = {n.channels_last(made[0]),
               n.channels_last(n.cast(at, n.attr_type("Targmax", DType::kI64)))};
}

// Over 2 * radius + 1 neighbouring channels.
void convert_lrn(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId x = n.channels_first(n.in(0));
  const int64_t radius = n.attr_int("depth_radius", 5);
  if (radius < 0 || radius > 1 << 20) return n.fail(invalid("the radius is out of range"));
  const int64_t size = 2 * radius + 1;
  n.results = {
      n.channels_last(n.emit("LRN", {x},
                             {{"size", size},
                              {"alpha", n.attr_float("alpha", 1) * static_cast<double>(size)},
                              {"beta", n.attr_float("beta", 0.5)},
                              {"bias", n.attr_float("bias", 1)}}))};
}

// x, scale, offset, mean, variance
void convert_batch_norm(OpNode& n) {
  if (!n.expect_inputs(5, 5)) return;
  const bool training = n.attr_bool("is_training", true);
  const ValueId x = n.image(0);
  const double epsilon = n.attr_float("epsilon", 1e-4);
  ValueId mean = n.in(3), variance = n.in(4);
  if (training) {
    if (n.outputs > 1) {
      return n.fail(unsupported("the statistics of training are not supported as results"));
    }
    // Those of the batch itself.
    const ValueId axes = n.add_ints(n.type_of(x).rank() == 5 ? Ints{0, 2, 3, 4} : Ints{0, 2, 3});
    const ValueId centre = n.emit("ReduceMean", {x, axes});
    const ValueId d = n.emit("Sub", {x, centre});
    variance = n.emit("ReduceMean", {n.emit("Mul", {d, d}), axes}, {{"keepdims", int64_t{0}}});
    mean = n.emit("Reshape", {centre, n.add_ints({-1})});
  }
  const ValueId y =
      n.emit("BatchNormalization", {x, n.in(1), n.in(2), mean, variance}, {{"epsilon", epsilon}});
  n.results = {n.result_image(y)};
  // What is left are copies of the statistics.
  for (size_t i = 1; i < n.outputs; ++i) n.results.push_back(i % 2 == 1 ? n.in(3) : n.in(4));
}

// x, mean, variance, beta, gamma
void convert_global_batch_norm(OpNode& n) {
  if (!n.expect_inputs(5, 5)) return;
  const ValueId x = n.channels_first(n.in(0));
  ValueId scale = n.in(4);
  if (!n.attr_bool("scale_after_normalization")) {
    const auto channels = n.known_dims_of(n.in(1));
    if (!channels) return n.fail(unsupported("statistics of open size are not supported"));
    scale = n.emit("Expand", {n.scalar_f32(1), n.add_ints(*channels)});
  }
  const ValueId y = n.emit("BatchNormalization", {x, scale, n.in(3), n.in(1), n.in(2)},
                           {{"epsilon", n.attr_float("variance_epsilon", 1e-3)}});
  n.results = {n.channels_last(y)};
}

// x, bias of the channels
void convert_bias_add(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const bool first = n.op == "BiasAdd" && n.is_channels_first();
  const auto rank = n.rank(0);
  // Beside a convolution the bias stands with the channels behind the batch, where it is one op.
  const auto twin = n.layouts.first.find(n.in(0));
  if (!first && twin != n.layouts.first.end() && rank && *rank >= 3) {
    Ints after(*rank - 2);
    std::iota(after.begin(), after.end(), int64_t{1});
    n.results = {n.channels_last(n.emit("Add", {twin->second, n.unsqueeze(n.in(1), after)}))};
    return;
  }
  if (!first || (rank && *rank < 3)) {
    n.results = {n.emit("Add", {n.in(0), n.in(1)})};
    return;
  }
  Ints after(n.need_rank(0) - (n.status.ok() ? 2 : 0));
  std::iota(after.begin(), after.end(), int64_t{1});
  if (n.status.ok()) n.results = {n.emit("Add", {n.in(0), n.unsqueeze(n.in(1), after)})};
}

namespace {

ValueId turned(OpNode& n, size_t i, bool turn) {
  if (!turn || !n.status.ok()) return n.in(i);
  const size_t rank = n.need_rank(i);
  if (n.status.ok() && rank < 2) n.fail(invalid("expected a matrix"));
  if (!n.status.ok()) return kNoValue;
  Ints perm(rank);
  std::iota(perm.begin(), perm.end(), int64_t{0});
  std::swap(perm[rank - 1], perm[rank - 2]);
  return n.transpose(n.in(i), perm);
}

}  // namespace

void convert_matmul(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  n.results = {n.emit("MatMul", {turned(n, 0, n.attr_bool("transpose_a")),
                                 turned(n, 1, n.attr_bool("transpose_b"))})};
}

void convert_batch_matmul(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const ValueId y =
      n.emit("MatMul", {turned(n, 0, n.attr_bool("adj_x")), turned(n, 1, n.attr_bool("adj_y"))});
  n.results = {n.cast(y, n.attr_type("Tout", n.dtype(0)))};
}

void convert_einsum(OpNode& n) {
  if (n.inputs.empty()) return n.fail(invalid("expected inputs, found none"));
  n.results = {n.emit("Einsum", n.inputs, {{"equation", n.attr_text("equation")}})};
}

namespace {

// x [b, in], h [b, out], weights [in + out, gates], bias
ValueId gates_of(OpNode& n, ValueId x, ValueId h, ValueId weights, ValueId bias) {
  const ValueId both = n.emit("Concat", {x, h}, {{"axis", int64_t{1}}});
  return n.emit("Add", {n.emit("MatMul", {both, weights}), bias});
}

}  // namespace

// x, c, h, weights, peepholes of i, f and o, bias: gates in the order i, c, f, o
void convert_lstm_cell(OpNode& n) {
  if (!n.expect_inputs(8, 8)) return;
  const bool peephole = n.attr_bool("use_peephole");
  const double forget = n.attr_float("forget_bias", 1), clip = n.attr_float("cell_clip", 3);
  const ValueId gates = gates_of(n, n.in(0), n.in(2), n.in(3), n.in(7));
  auto parts = n.emit_n("Split", {gates}, 4, {{"axis", int64_t{1}}, {"num_outputs", int64_t{4}}});
  const ValueId cell = n.in(1);
  const auto peep = [&](ValueId gate, size_t weights, ValueId state) {
    return peephole ? n.emit("Add", {gate, n.emit("Mul", {state, n.in(weights)})}) : gate;
  };
  const ValueId i = n.emit("Sigmoid", {peep(parts[0], 4, cell)});
  const ValueId f =
      n.emit("Sigmoid", {peep(n.emit("Add", {parts[2], n.scalar_f32(forget)}), 5, cell)});
  const ValueId ci = n.emit("Tanh", {parts[1]});
  ValueId cs = n.emit("Add", {n.emit("Mul", {ci, i}), n.emit("Mul", {cell, f})});
  if (clip > 0) cs = n.emit("Clip", {cs, n.scalar_f32(-clip), n.scalar_f32(clip)});
  const ValueId o = n.emit("Sigmoid", {peep(parts[3], 6, cs)});
  const ValueId co = n.emit("Tanh", {cs});
  n.results = {i, cs, f, o, ci, co, n.emit("Mul", {co, o})};
}

// x, h, weights of r and u, of c, bias of r and u, of c
void convert_gru_cell(OpNode& n) {
  if (!n.expect_inputs(6, 6)) return;
  const ValueId h = n.in(1);
  const ValueId gates = n.emit("Sigmoid", {gates_of(n, n.in(0), h, n.in(2), n.in(4))});
  const auto parts =
      n.emit_n("Split", {gates}, 2, {{"axis", int64_t{1}}, {"num_outputs", int64_t{2}}});
  const ValueId held = n.emit("Mul", {h, parts[0]});
  const ValueId c = n.emit("Tanh", {gates_of(n, n.in(0), held, n.in(3), n.in(5))});
  const ValueId rest = n.emit("Sub", {n.scalar_f32(1), parts[1]});
  n.results = {parts[0], parts[1], c,
               n.emit("Add", {n.emit("Mul", {parts[1], h}), n.emit("Mul", {rest, c})})};
}

}  // namespace mnn::tensorflow
