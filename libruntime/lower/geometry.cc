#include "libruntime/lower/geometry.h"

#include <algorithm>

#include "libruntime/core/ops/window.h"
#include "libruntime/lower/node_view.h"

namespace mnn {

Result<ConvGeometry> conv_geometry(const NodeView& n) {
  const bool transposed = n.node.op == "ConvTranspose";
  const Dims x = n.in_dims(0), w = n.in_dims(1), y = n.out_dims();
  const size_t space = x.size() - 2;
  const Shape kernel = to_shape({w.begin() + 2, w.end()});
  MNN_ASSIGN_OR_RETURN(const Window window, read_window(n, kernel));
  std::vector<int64_t> pads;
  const std::vector<int64_t> extra = n.attr_ints("output_padding");
  const std::vector<int64_t> shape = n.attr_ints("output_shape");
  const bool same = window.auto_pad == Window::AutoPad::kSameUpper ||
                    window.auto_pad == Window::AutoPad::kSameLower;
  for (size_t i = 0; i < space; ++i) {
    if (!transposed) {
      pads.push_back(window_pad_begin(window, i, x[i + 2], y[i + 2]));
    } else if (shape.empty() && !same) {
      pads.push_back(window.pads_begin[i]);
    } else {
      const int64_t full = window.strides[i] * (x[i + 2] - 1) + (extra.empty() ? 0 : extra[i]) +
                           (w[i + 2] - 1) * window.dilations[i] + 1;
      const int64_t total = std::max<int64_t>(0, full - y[i + 2]);
      pads.push_back(window.auto_pad == Window::AutoPad::kSameUpper ? total / 2 : (total + 1) / 2);
    }
  }
  ConvGeometry g;
  g.n = x[0];
  g.ic = x[1];
  g.oc = y[1];
  g.groups = n.attr_int("group");
  g.iw = x.back();
  g.ow = y.back();
  g.kw = w.back();
  g.stride_w = window.strides.back();
  g.dilation_w = window.dilations.back();
  g.pad_left = pads.back();
  if (space >= 2) {
    g.ih = x[space];
    g.oh = y[space];
    g.kh = w[space];
    g.stride_h = window.strides[space - 2];
    g.dilation_h = window.dilations[space - 2];
    g.pad_top = pads[space - 2];
  }
  if (space == 3) {
    g.id = x[2];
    g.od = y[2];
    g.kd = w[2];
    g.stride_d = window.strides[0];
    g.dilation_d = window.dilations[0];
    g.pad_front = pads[0];
  }
  return g;
}

Result<PoolGeometry> pool_geometry(const NodeView& n) {
  return window_geometry(n, n.in_dims(0), n.out_dims());
}

Result<PoolGeometry> window_geometry(const NodeView& n, const Dims& x, const Dims& y) {
  MNN_ASSIGN_OR_RETURN(std::vector<Dim> kernel, read_kernel_shape(n));
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(n, std::move(kernel)));
  PoolGeometry g;
  g.n = x[0];
  g.c = x[1];
  g.count_pads = n.node.op == "AveragePool" && n.attr_int("count_include_pad") != 0;
  WindowAxis* const axes[] = {&g.d, &g.h, &g.w};
  for (size_t i = 0; i < w.rank(); ++i) {
    WindowAxis& axis = *axes[kMaxSpatial - w.rank() + i];
    axis.in = x[i + 2];
    axis.out = y[i + 2];
    axis.kernel = w.kernel[i].value();
    axis.stride = w.strides[i];
    axis.dilation = w.dilations[i];
    axis.pad_begin = window_pad_begin(w, i, axis.in, axis.out);
    axis.pad_end = window_pad_end(w, i, axis.in, axis.out);
  }
  return g;
}

}  // namespace mnn
