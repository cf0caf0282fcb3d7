// Convolutions.
#include <numeric>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

struct Geometry {
  std::vector<int64_t> stride, padding, dilation, output_padding;
  int64_t groups = 1;
  bool transposed = false;
};

// One number stands for all spatial dims.
void widen(Call& c, std::vector<int64_t>& list, size_t spatial, int64_t fallback) {
  if (list.empty()) list.assign(spatial, fallback);
  if (list.size() == 1) list.assign(spatial, list[0]);
  if (list.size() != spatial) c.fail(invalid("the geometry does not fit the input"));
}

// `pads`: all befores, then all afters.
void convolve(Call& c, Geometry g, std::vector<int64_t> pads = {}) {
  ValueId x = c.tensor(c.has_param("input") ? "input" : "self");
  const ValueId w = c.tensor("weight"), b = c.tensor("bias");
  const size_t spatial = c.rank(w) - 2;
  if (!c.status.ok()) return;
  if (spatial < 1 || spatial > 3) return c.fail(invalid("expected a weight of rank 3 to 5"));
  const bool batched = c.rank(x) == spatial + 2;
  if (!batched) x = c.expand_dims(x, {0});
  widen(c, g.stride, spatial, 1);
  widen(c, g.dilation, spatial, 1);
  if (pads.empty()) {
    widen(c, g.padding, spatial, 0);
    pads = g.padding;
    pads.insert(pads.end(), g.padding.begin(), g.padding.end());
  }
  Call::Attributes attributes = {
      {"dilations", g.dilation}, {"group", g.groups}, {"pads", pads}, {"strides", g.stride}};
  std::vector<int64_t> kernel;
  for (size_t i = 0; i < spatial; ++i) kernel.push_back(c.known_dim(w, i + 2));
  attributes["kernel_shape"] = kernel;
  if (g.transposed) {
    widen(c, g.output_padding, spatial, 0);
    attributes["output_padding"] = g.output_padding;
  }
  if (!c.status.ok()) return;
  const ValueId y = c.emit(g.transposed ? "ConvTranspose" : "Conv", {x, w, b}, attributes);
  c.give(batched ? y : c.squeeze(y, {0}));
}

void conv(Call& c) {
  Geometry g{
      c.ints("stride"), c.ints("padding"), c.ints("dilation"), {}, c.integer("groups"), false};
  convolve(c, std::move(g));
}

// "valid" pads nothing, "same" what keeps the size; an odd one behind.
void conv_padding(Call& c) {
  Geometry g{c.ints("stride"), {}, c.ints("dilation"), {}, c.integer("groups"), false};
  const std::string mode = c.text("padding");
  if (mode != "same" && mode != "valid") return c.fail(invalid("padding '" + mode + "'"));
  const ValueId w = c.tensor("weight");
  const size_t spatial = std::max<size_t>(c.rank(w), 2) - 2;
  widen(c, g.dilation, spatial, 1);
  if (!c.status.ok()) return;
  std::vector<int64_t> pads(2 * spatial, 0);
  for (size_t i = 0; mode == "same" && i < spatial; ++i) {
    const int64_t total = g.dilation[i] * (c.known_dim(w, i + 2) - 1);
    pads[i] = total / 2;
    pads[spatial + i] = total - total / 2;
  }
  convolve(c, std::move(g), std::move(pads));
}

void conv_transpose(Call& c) {
  Geometry g{c.ints("stride"),         c.ints("padding"),   c.ints("dilation"),
             c.ints("output_padding"), c.integer("groups"), true};
  convolve(c, std::move(g));
}

void convolution(Call& c) {
  Geometry g{c.ints("stride"),         c.ints("padding"),   c.ints("dilation"),
             c.ints("output_padding"), c.integer("groups"), c.flag("transposed")};
  convolve(c, std::move(g));
}

// Time-major convolution: [T, N, C] with a weight [k, C, K].
void conv_tbc(Call& c) {
  const ValueId x = c.transpose(c.tensor("self"), {1, 2, 0}),
                w = c.transpose(c.tensor("weight"), {2, 1, 0});
  const int64_t pad = c.integer("pad");
  const ValueId y =
      c.emit("Conv", {x, w, c.tensor("bias")}, {{"pads", std::vector<int64_t>{pad, pad}}});
  c.give(c.transpose(y, {2, 0, 1}));
}

}  // namespace

std::vector<RowText> conv_rows() {
  return {
      {"conv1d(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, int[1] padding=0, "
       "int[1] dilation=1, int groups=1) -> Tensor",
       "Conv", conv},
      {"conv1d.padding(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, str "
       "padding=\"valid\", int[1] dilation=1, int groups=1) -> Tensor",
       "Conv", conv_padding},
      {"conv2d(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, int[2] padding=0, "
       "int[2] dilation=1, int groups=1) -> Tensor",
       "Conv", conv},
      {"conv2d.padding(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, str "
       "padding=\"valid\", int[2] dilation=1, int groups=1) -> Tensor",
       "Conv", conv_padding},
      {"conv3d(Tensor input, Tensor weight, Tensor? bias=None, int[3] stride=1, int[3] padding=0, "
       "int[3] dilation=1, int groups=1) -> Tensor",
       "Conv", conv},
      {"conv3d.padding(Tensor input, Tensor weight, Tensor? bias=None, int[3] stride=1, str "
       "padding=\"valid\", int[3] dilation=1, int groups=1) -> Tensor",
       "Conv", conv_padding},
      {"conv_transpose1d(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, int[1] "
       "padding=0, int[1] output_padding=0, int groups=1, int[1] dilation=1) -> Tensor",
       "ConvTranspose", conv_transpose},
      {"conv_transpose2d.input(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, "
       "int[2] padding=0, int[2] output_padding=0, int groups=1, int[2] dilation=1) -> Tensor",
       "ConvTranspose", conv_transpose},
      {"conv_transpose3d.input(Tensor input, Tensor weight, Tensor? bias=None, int[3] stride=1, "
       "int[3] padding=0, int[3] output_padding=0, int groups=1, int[3] dilation=1) -> Tensor",
       "ConvTranspose", conv_transpose},
      {"convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] "
       "dilation, bool transposed, int[] output_padding, int groups) -> Tensor",
       "Conv; ConvTranspose", convolution},
      {"_convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, "
       "int[] dilation, bool transposed, int[] output_padding, int groups, bool benchmark, bool "
       "deterministic, bool cudnn_enabled, bool allow_tf32) -> Tensor",
       "Conv; ConvTranspose", convolution},
      {"_convolution.deprecated(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] "
       "padding, int[] dilation, bool transposed, int[] output_padding, int groups, bool "
       "benchmark, bool deterministic, bool cudnn_enabled) -> Tensor",
       "Conv; ConvTranspose", convolution},
      {"conv_tbc(Tensor self, Tensor weight, Tensor bias, int pad=0) -> Tensor", "Transpose, Conv",
       conv_tbc},
  };
}

}  // namespace mnn::torch
