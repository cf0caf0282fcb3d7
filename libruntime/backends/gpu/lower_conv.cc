// Convolutions and poolings.
#include <algorithm>

#include "libruntime/backends/gpu/epilogue.h"
#include "libruntime/backends/gpu/lower_bytes.h"
#include "libruntime/backends/gpu/lower_codes.h"

namespace mnn::gpu {
namespace {

std::optional<std::string> why_not_image(const NodeView& n) {
  for (size_t i = 0; i < n.node.own_inputs(); ++i) {
    if (n.has_input(i) && n.in_type(i) != DType::kF32) return "input is not f32";
  }
  const size_t rank = n.in(0).type.rank();
  if (rank < 3 || rank > 5) return std::to_string(rank) + "-dimensional input";
  return std::nullopt;
}

std::optional<std::string> why_not_pool(const NodeView& n) {
  if (n.has_output(1)) return "indices";
  return why_not_image(n);
}

bool is_point(const ConvGeometry& g) {
  return g.kd * g.kh * g.kw == 1 && g.stride_d * g.stride_h * g.stride_w == 1 && g.pad_front == 0 &&
         g.pad_top == 0 && g.pad_left == 0 && g.id == g.od && g.ih == g.oh && g.iw == g.ow;
}

// [group][tap][ic][o4] F4.
int pack_conv(Lowering& l, ValueId v, const ConvGeometry& g) {
  const int64_t ic = g.ic / g.groups, oc = g.oc / g.groups, o = (oc + 7) / 8 * 8;
  const int64_t taps = g.kd * g.kh * g.kw;
  return l.weights(v, layout_name("conv", {g.groups}), g.groups * taps * ic * o,
                   [=, groups = g.groups](const Tensor& real, uint32_t* words) {
                     const auto* from = real.data<float>();
                     for (int64_t q = 0; q < groups * oc; ++q) {
                       uint32_t* to = words + q / oc * taps * ic * o + q % oc;
                       for (int64_t c = 0; c < ic; ++c) {
                         for (int64_t t = 0; t < taps; ++t) {
                           to[(t * ic + c) * o] = word(*from++);
                         }
                       }
                     }
                     return Status();
                   });
}

Status lower_conv(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const ConvGeometry g, conv_geometry(n));
  const int64_t oc = g.oc / g.groups, pixels = g.od * g.oh * g.ow;
  const bool known = n.is_constant(1) && (!n.has_input(2) || n.is_constant(2));
  const bool transposed = node.op == "ConvTranspose";
  std::vector<float> bias;
  size_t from = 0;
  if (known && n.has_input(2)) {
    const Tensor* t = l.constant(node.inputs[2]);
    if (t == nullptr) return internal_error("the bias cannot be read");
    bias.assign(t->data<float>(), t->data<float>() + t->elements());
  }
  if (known) from = fuse_bias(l.graph(), node, 1, l.reader(), bias);
  if (multiplies_bytes(l.graph(), node)) return lower_byte_conv(l, node, g, bias, from);
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const DeviceEpilogue e, take_epilogue(l, node, from));
  const Array y = l.allocate(DType::kF32, l.dims(node.outputs[0]));
  if (known && !transposed && oc >= 4) {
    const int64_t o = (oc + 7) / 8 * 8;
    std::vector<float> wide(static_cast<size_t>(g.groups * o), 0.0f);
    for (size_t i = 0; i < bias.size(); ++i) {
      const auto c = static_cast<int64_t>(i);
      wide[static_cast<size_t>(c / oc * o + c % oc)] = bias[i];
    }
    const int shift = l.weights(wide), residual = e.residual_or(x.storage);
    const int64_t items = g.n * g.groups * (o / 8) * ((pixels + 3) / 4);
    const auto codes = conv_codes(l, node.inputs[1], g.groups, g.kd * g.kh * g.kw);
    const int w = codes ? codes->words : pack_conv(l, node.inputs[1], g);
    Launch& launch = l.launch(codes ? "mnn_conv_codes" : "mnn_conv", items);
    launch.buffers = {x.storage, w, shift, residual, y.storage};
    add_window(g, launch);
    e.add_to(launch);
    launch.constants.push_back(is_point(g) ? 1 : 0);
    if (codes) {
      launch.buffers.insert(launch.buffers.begin() + 2, codes->scales >= 0 ? codes->scales : shift);
      launch.params.push_back(word(std::max<int64_t>(1, codes->group)));
      for (const int c : {codes->bits, codes->offset ? 1 : 0, codes->group > 0 ? 1 : 0}) {
        launch.constants.push_back(c);
      }
    }
    count_products(l, node, launch);
    return l.finish(node, y, e.part.count);
  }
  const auto codes =
      known && !transposed ? channel_codes(l, node.inputs[1]) : std::optional<DeviceCodes>();
  int w = -1;
  if (codes) {
    w = codes->words;
  } else {
    MNN_ASSIGN_OR_RETURN(const Array dense, l.dense(node.inputs[1]));
    w = dense.storage;
  }
  int shift = x.storage;
  const bool has_bias = !bias.empty() || n.has_input(2);
  if (!bias.empty()) {
    shift = l.weights(bias);
  } else if (n.has_input(2)) {
    MNN_ASSIGN_OR_RETURN(const Array b, l.dense(node.inputs[2]));
    shift = b.storage;
  }
  Launch& launch = l.launch(transposed ? "mnn_conv_transpose"
                            : codes    ? "mnn_conv_single_codes"
                                       : "mnn_conv_single",
                            g.n * g.oc * pixels);
  launch.buffers = {x.storage, w, shift, e.residual_or(x.storage), y.storage};
  add_window(g, launch);
  e.add_to(launch);
  launch.constants.push_back(has_bias ? 1 : 0);
  if (codes) {
    launch.buffers.insert(launch.buffers.begin() + 2, codes->scales);
    launch.constants.push_back(codes->bits);
    launch.constants.push_back(codes->offset ? 1 : 0);
  }
  count_products(l, node, launch);
  return l.finish(node, y, e.part.count);
}

Status lower_pool(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const PoolGeometry g, pool_geometry(n));
  if (pools_bytes(l, node)) return lower_byte_pool(l, node, g);
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  const Array y = l.allocate(DType::kF32, l.dims(node.outputs[0]));
  Launch& launch = l.launch("mnn_pool", y.elements());
  launch.buffers = {x.storage, y.storage};
  add_pool(g, g.n * g.c, launch);
  launch.constants = {node.op == "AveragePool" ? 1 : 0};
  return l.finish(node, y);
}

constexpr OpRow kConvRows[] = {
    {"Conv", why_not_image, lower_conv},
    {"ConvTranspose", why_not_image, lower_conv},
    {"MaxPool", why_not_pool, lower_pool},
    {"AveragePool", why_not_pool, lower_pool},
};

}  // namespace

void add_window(const ConvGeometry& g, Launch& launch) {
  for (const int64_t v : {g.n,
                          g.groups,
                          g.ic / g.groups,
                          g.oc / g.groups,
                          g.id,
                          g.ih,
                          g.iw,
                          g.od,
                          g.oh,
                          g.ow,
                          g.kd,
                          g.kh,
                          g.kw,
                          g.stride_d,
                          g.stride_h,
                          g.stride_w,
                          g.dilation_d,
                          g.dilation_h,
                          g.dilation_w,
                          g.pad_front,
                          g.pad_top,
                          g.pad_left}) {
    launch.params.push_back(word(v));
  }
}

void add_pool(const PoolGeometry& g, int64_t planes, Launch& launch) {
  launch.params = {word(planes)};
  const WindowAxis* const axes[] = {&g.d, &g.h, &g.w};
  auto add = [&](auto field) {
    for (const WindowAxis* a : axes) launch.params.push_back(word(field(*a)));
  };
  add([](const WindowAxis& a) { return a.in; });
  add([](const WindowAxis& a) { return a.out; });
  add([](const WindowAxis& a) { return a.kernel; });
  add([](const WindowAxis& a) { return a.stride; });
  add([](const WindowAxis& a) { return a.dilation; });
  add([](const WindowAxis& a) { return a.pad_begin; });
  add([](const WindowAxis& a) { return a.in + a.pad_end; });
  launch.params.push_back(word(int64_t{g.count_pads}));
}

std::span<const OpRow> conv_rows() { return kConvRows; }

}  // namespace mnn::gpu
