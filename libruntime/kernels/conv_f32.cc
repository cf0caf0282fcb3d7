#include "libruntime/kernels/conv.h"
#include "libruntime/kernels/direct_f32.h"
#include "libruntime/kernels/isa.h"

namespace mnn {

Result<MatrixKernelPtr> make_conv_f32(const ConvGeometry& geometry, const Weights<float>& weights,
                                      const float* bias, const Epilogue& epilogue,
                                      const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(ConvGeometry g, check_geometry(geometry, 4));
  // Slices that do not mix are images.
  if (g.kd == 1 && g.stride_d == 1 && g.pad_front == 0 && g.od == g.id) {
    g.n *= g.id;
    g.id = g.od = 1;
  }
  const bool depthwise = g.groups > 1 && g.groups == g.ic;
  if (depthwise && !g.deep())
    return make_depthwise_f32(g, {}, weights, bias, epilogue, *table, options);
  if (depthwise && weights)
    return make_depthwise_3d_f32(g, weights, bias, epilogue, *table, options);
  if (options.winograd && weights && !g.deep() && prefer_winograd(g))
    return make_winograd_f32(g, weights, bias, epilogue, *table, options);
  DirectGrid grid;
  grid.qd = g.od;
  grid.qh = g.oh;
  grid.qw = g.ow;
  for (int64_t kz = 0; kz < g.kd; ++kz)
    for (int64_t ky = 0; ky < g.kh; ++ky)
      for (int64_t kx = 0; kx < g.kw; ++kx)
        grid.taps.push_back({kz * g.dilation_d - g.pad_front, ky * g.dilation_h - g.pad_top,
                             kx * g.dilation_w - g.pad_left});
  if (g.dilation_w == 1) grid.run = g.kw;
  auto kernel =
      std::make_unique<DirectConvF32>(g, std::move(grid), *table, epilogue, options.threads);
  const int64_t inputs = g.ic / g.groups, volume = g.kd * g.kh * g.kw;
  WeightView view{g.oc, 0, inputs * volume, volume, {}};
  for (int64_t tap = 0; tap < volume; ++tap) view.taps.push_back(tap);
  MNN_RETURN_IF_ERROR(kernel->set_weights(view, weights, bias, options.weights));
  return MatrixKernelPtr(std::move(kernel));
}

}  // namespace mnn
