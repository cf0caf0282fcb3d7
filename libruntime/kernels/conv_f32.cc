#include <algorithm>

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
    return make_depthwise_f32(g, weights, bias, epilogue, *table, options.threads);
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
  kernel->pack(
      [&](int64_t o, int64_t c, size_t tap) {
        return weights[(o * inputs + c) * area + static_cast<int64_t>(tap)];
      },
      bias);
  return MatrixKernelPtr(std::move(kernel));
}

namespace {

// Output pixels of equal position modulo the stride see the same taps: each such class is a plain
// convolution over its own grid.
class ConvTransposeF32 final : public MatrixKernel {
 public:
  ConvTransposeF32(const ConvGeometry& g, const float* weights, const float* bias,
                   const Epilogue& epilogue, const KernelTable& table, int threads) {
    name_ = std::string("conv_transpose_f32_") + table.isa;
    ConvGeometry unit = g;
    unit.stride_h = unit.stride_w = 1;
    const int64_t outputs = g.oc / g.groups, inputs = g.ic / g.groups, area = g.kh * g.kw;
    for (int64_t py = 0; py < std::min(g.stride_h, g.oh); ++py)
      for (int64_t px = 0; px < std::min(g.stride_w, g.ow); ++px) {
        DirectGrid grid;
        std::vector<int64_t> kernel_tap;
        // Input row of output row y and tap ky: (y + pad - ky * dilation) / stride when that
        // divides; for y = py + q * stride that is q plus a constant.
        for (int64_t ky = 0; ky < g.kh; ++ky)
          for (int64_t kx = 0; kx < g.kw; ++kx) {
            const int64_t y = py + g.pad_top - ky * g.dilation_h;
            const int64_t x = px + g.pad_left - kx * g.dilation_w;
            if (y % g.stride_h != 0 || x % g.stride_w != 0) continue;
            grid.taps.push_back({y / g.stride_h, x / g.stride_w});
            kernel_tap.push_back(ky * g.kw + kx);
          }
        grid.qh = ceil_div(g.oh - py, g.stride_h);
        grid.qw = ceil_div(g.ow - px, g.stride_w);
        grid.y_first_h = py;
        grid.y_first_w = px;
        grid.y_step_h = g.stride_h;
        grid.y_step_w = g.stride_w;
        auto kernel =
            std::make_unique<DirectConvF32>(unit, std::move(grid), table, epilogue, threads);
        kernel->pack(
            [&](int64_t o, int64_t c, size_t tap) {
              const int64_t in = o / outputs * inputs + c;
              return weights[(in * outputs + o % outputs) * area + kernel_tap[tap]];
            },
            bias);
        packed_bytes_ += kernel->packed_bytes();
        scratch_bytes_ = std::max(scratch_bytes_, kernel->scratch_bytes());
        parts_ = std::max(parts_, kernel->parts());
        classes_.push_back(std::move(kernel));
      }
  }

  const char* name() const override { return name_.c_str(); }
  int64_t packed_bytes() const override { return packed_bytes_; }
  int64_t scratch_bytes() const override { return scratch_bytes_ * parts_; }
  int parts() const override { return parts_; }
  void run(int, int part, const KernelArgs& args) const override {
    // Classes may have different numbers of parts, so each part has a scratch of its own.
    KernelArgs own = args;
    own.scratch = args.scratch + part * scratch_bytes_;
    for (const auto& kernel : classes_)
      if (part < kernel->parts()) kernel->run(0, part, own);
  }

 private:
  std::vector<std::unique_ptr<DirectConvF32>> classes_;
  std::string name_;
  int64_t packed_bytes_ = 0, scratch_bytes_ = 0;
  int parts_ = 1;
};

}  // namespace

Result<MatrixKernelPtr> make_conv_transpose_f32(const ConvGeometry& geometry, const float* weights,
                                                const float* bias, const Epilogue& epilogue,
                                                const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const ConvGeometry g, check_geometry(geometry, 4));
  if (g.stride_h * g.stride_w > 4096)
    return unsupported("transposed convolution with strides " + std::to_string(g.stride_h) + " x " +
                       std::to_string(g.stride_w));
  return MatrixKernelPtr(
      std::make_unique<ConvTransposeF32>(g, weights, bias, epilogue, *table, options.threads));
}

}  // namespace mnn
