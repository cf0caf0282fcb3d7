// Depthwise fp32 convolution in three dimensions: each slice of the output is the sum of plain
// depthwise convolutions of the input slices under its kernel.
#include <algorithm>
#include <cstring>

#include "libruntime/kernels/direct_f32.h"

namespace mnn {
namespace {

class Depthwise3dF32 final : public MatrixKernel {
 public:
  Depthwise3dF32(const ConvGeometry& g, const Epilogue& epilogue, const KernelTable& table,
                 int threads)
      : g_(g), table_(table), epilogue_(epilogue), post_(plan_epilogue({})) {
    name_ = std::string("conv_f32_depthwise_3d_") + table.isa;
    post_.before_pass = epilogue.before.kind != Activation::kNone;
    post_.residual_pass = epilogue.residual;
    post_.after_pass = epilogue.after.kind != Activation::kNone;
    const int64_t slices = g.n * g.od;
    parts_ = split_work(slices * 6, 1, slices * g.oh * g.ow * g.oc * g.kd * g.kh * g.kw, threads)
                 .parts();
    // y may be the residual, so a slice that is to be added to it is put together elsewhere.
    sum_bytes_ = epilogue.residual ? round_up(g.oh * g.ow * g.y_pixel_stride * 4, 64) : 0;
    part_scratch_ = sum_bytes_;
  }

  Status pack(const Weights<float>& weights, const float* bias, KernelOptions options) {
    AlignedBuffer<float> own(g_.oc);
    if (bias) std::copy_n(bias, g_.oc, own.data());
    MNN_ASSIGN_OR_RETURN(bias_, keep(options.weights, own));
    ConvGeometry slice = g_;
    slice.n = slice.id = slice.od = slice.kd = 1;
    options.threads = 1;
    const int64_t area = g_.kh * g_.kw, oc = g_.oc, kd = g_.kd;
    Epilogue add;
    add.residual = true;
    for (int64_t kz = 0; kz < kd; ++kz) {
      const auto one = [=](const float* from, float* to) {
        for (int64_t c = 0; c < oc; ++c)
          std::copy_n(from + (c * kd + kz) * area, area, to + c * area);
      };
      const Weights<float> taps =
          weights.derived(layout_name("slice", {kz, kd, area, oc}), oc * area, one);
      MNN_ASSIGN_OR_RETURN(MatrixKernelPtr first,
                           make_depthwise_f32(slice, {}, taps, bias_, {}, table_, options));
      MNN_ASSIGN_OR_RETURN(MatrixKernelPtr more,
                           make_depthwise_f32(slice, {}, taps, nullptr, add, table_, options));
      keep_all(first->packed());
      keep_all(more->packed());
      part_scratch_ = std::max(part_scratch_, sum_bytes_ + round_up(first->scratch_bytes(), 64));
      first_.push_back(std::move(first));
      more_.push_back(std::move(more));
    }
    return {};
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return part_scratch_ * parts_; }
  int parts() const override { return parts_; }

  void run(int, int part, const KernelArgs& args) const override {
    const Range slices = piece(g_.n * g_.od, parts_, part);
    const int64_t in = g_.ih * g_.iw * g_.x_pixel_stride, out = g_.oh * g_.ow * g_.y_pixel_stride;
    for (int64_t i = slices.begin; i < slices.end; ++i) {
      KernelArgs own;
      std::byte* scratch = args.scratch + part * part_scratch_;
      auto* y = static_cast<float*>(args.y) + i * out;
      auto* sum = sum_bytes_ > 0 ? reinterpret_cast<float*>(scratch) : y;
      own.scratch = scratch + sum_bytes_;
      own.y = sum;
      own.residual = sum;
      bool any = false;
      for (int64_t kz = 0; kz < g_.kd; ++kz) {
        const int64_t iz = i % g_.od * g_.stride_d - g_.pad_front + kz * g_.dilation_d;
        if (iz < 0 || iz >= g_.id) continue;
        own.x = static_cast<const float*>(args.x) + (i / g_.od * g_.id + iz) * in;
        (any ? more_ : first_)[static_cast<size_t>(kz)]->run(0, 0, own);
        any = true;
      }
      finish(any, args.residual ? static_cast<const float*>(args.residual) + i * out : nullptr, sum,
             y);
    }
  }

 private:
  void finish(bool any, const float* residual, float* sum, float* y) const {
    const bool dense = g_.y_pixel_stride == g_.oc;
    for (int64_t p = 0; p < g_.oh * g_.ow && !any; ++p)
      std::copy_n(bias_, g_.oc, sum + p * g_.y_pixel_stride);
    if (!post_.any_pass()) return;
    const int64_t pieces = dense ? 1 : g_.oh * g_.ow, n = dense ? g_.oh * g_.ow * g_.oc : g_.oc;
    for (int64_t p = 0; p < pieces; ++p) {
      const int64_t at = p * g_.y_pixel_stride;
      run_post_pass(table_, epilogue_, post_, residual ? residual + at : nullptr, sum + at, n);
      if (sum != y) std::memcpy(y + at, sum + at, static_cast<size_t>(n) * sizeof(float));
    }
  }

  ConvGeometry g_;
  const KernelTable& table_;
  Epilogue epilogue_;
  TilePost post_;
  std::string name_;
  std::vector<MatrixKernelPtr> first_, more_;  // per kernel slice: with the bias, adding to y
  const float* bias_ = nullptr;
  int64_t sum_bytes_ = 0, part_scratch_ = 0;
  int parts_ = 1;
};

}  // namespace

Result<MatrixKernelPtr> make_depthwise_3d_f32(const ConvGeometry& g, const Weights<float>& weights,
                                              const float* bias, const Epilogue& epilogue,
                                              const KernelTable& table,
                                              const KernelOptions& options) {
  auto kernel = std::make_unique<Depthwise3dF32>(g, epilogue, table, options.threads);
  MNN_RETURN_IF_ERROR(kernel->pack(weights, bias, options));
  return MatrixKernelPtr(std::move(kernel));
}

}  // namespace mnn
