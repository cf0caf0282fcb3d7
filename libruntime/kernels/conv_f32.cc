#include "libruntime/kernels/conv.h"
#include "libruntime/kernels/direct_f32.h"
#include "libruntime/kernels/isa.h"

namespace mnn {

Result<MatrixKernelPtr> make_conv_f32(const ConvGeometry& geometry, const float* weights,
                                      const float* bias, const Epilogue& epilogue,
                                      const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const ConvGeometry g, check_geometry(geometry, 4));
  if (g.groups > 1 && g.groups == g.ic)
    return make_depthwise_f32(g, {}, weights, bias, epilogue, *table, options.threads);
  if (options.winograd && prefer_winograd(g))
    return make_winograd_f32(g, weights, bias, epilogue, *table, options.threads);
  DirectGrid grid;
  grid.qh = g.oh;
  grid.qw = g.ow;
  for (int64_t ky = 0; ky < g.kh; ++ky)
    for (int64_t kx = 0; kx < g.kw; ++kx)
      grid.taps.push_back({ky * g.dilation_h - g.pad_top, kx * g.dilation_w - g.pad_left});
  if (g.dilation_w == 1) grid.run = g.kw;
  auto kernel =
      std::make_unique<DirectConvF32>(g, std::move(grid), *table, epilogue, options.threads);
  const int64_t inputs = g.ic / g.groups, area = g.kh * g.kw;
  WeightView view{weights, g.oc, 0, inputs * area, area, {}};
  for (int64_t tap = 0; tap < area; ++tap) view.taps.push_back(tap);
  kernel->pack(view, bias);
  return MatrixKernelPtr(std::move(kernel));
}

}  // namespace mnn
