// Transposed fp32 convolution in three forms. By classes: output pixels of equal position modulo
// the stride see the same taps, so each such class is a plain convolution (a depthwise one, when
// every channel is a group) over its own grid. By rows, when there are too few output channels to
// fill a register tile: one product per input row makes all taps of all output channels at once,
// and every output row adds up those it is made of.
#include <algorithm>
#include <cstring>

#include "libruntime/kernels/conv.h"
#include "libruntime/kernels/direct_f32.h"
#include "libruntime/kernels/isa.h"

namespace mnn {
namespace {

class ClassConvTransposeF32 final : public MatrixKernel {
 public:
  static Result<MatrixKernelPtr> make(const ConvGeometry& g, const Weights<float>& weights,
                                      const float* bias, const Epilogue& epilogue,
                                      const KernelTable& table, const KernelOptions& options) {
    auto made = std::make_unique<ClassConvTransposeF32>(table);
    for (int64_t pz = 0; pz < std::min(g.stride_d, g.od); ++pz)
      for (int64_t py = 0; py < std::min(g.stride_h, g.oh); ++py)
        for (int64_t px = 0; px < std::min(g.stride_w, g.ow); ++px) {
          const OutputGrid grid{g.oh, g.ow, py, px, g.stride_h, g.stride_w};
          MNN_RETURN_IF_ERROR(
              made->add_class(g, pz, grid, weights, bias, epilogue, table, options));
        }
    return MatrixKernelPtr(std::move(made));
  }
  explicit ClassConvTransposeF32(const KernelTable& table)
      : name_(std::string("conv_transpose_f32_") + table.isa) {}

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return weight_floats_ * 4 + scratch_bytes_ * parts_; }
  int phases() const override { return weight_floats_ > 0 ? 2 : 1; }
  int parts() const override { return parts_; }
  void run(int phase, int part, const KernelArgs& args) const override {
    // Classes may have different numbers of parts, so each part has a scratch of its own.
    KernelArgs own = args;
    own.scratch = args.scratch + weight_floats_ * 4 + part * scratch_bytes_;
    auto* packed = reinterpret_cast<float*>(args.scratch);
    for (const auto& kernel : classes_)
      if (part < kernel->parts()) kernel->run(0, part, own);
    for (const auto& kernel : computed_) {
      if (phase == 0) {
        kernel->pack(static_cast<const float*>(args.b), static_cast<const float*>(args.bias),
                     packed, part, parts_);
      } else if (part < kernel->parts()) {
        kernel->run_packed(packed, part, own);
      }
      packed += round_up(kernel->weight_floats(), 16);
    }
  }

 private:
  // Input row of output row y and tap k: (y + pad - k * dilation) / stride when that divides; for
  // y = first + q * stride that is q plus a constant.
  struct Tap {
    int64_t k, offset;
  };
  static std::vector<Tap> taps_of(int64_t first, int64_t pad, int64_t kernel, int64_t dilation,
                                  int64_t stride) {
    std::vector<Tap> taps;
    for (int64_t k = 0; k < kernel; ++k) {
      const int64_t at = first + pad - k * dilation;
      if (at % stride == 0) taps.push_back({k, at / stride});
    }
    return taps;
  }

  // Output slices pz, pz + stride_d, … and their pixels of `grid`.
  Status add_class(const ConvGeometry& g, int64_t pz, const OutputGrid& grid,
                   const Weights<float>& weights, const float* bias, const Epilogue& epilogue,
                   const KernelTable& table, const KernelOptions& options) {
    const auto slices = taps_of(pz, g.pad_front, g.kd, g.dilation_d, g.stride_d);
    const auto rows = taps_of(grid.first_h, g.pad_top, g.kh, g.dilation_h, g.stride_h);
    const auto columns = taps_of(grid.first_w, g.pad_left, g.kw, g.dilation_w, g.stride_w);
    ConvGeometry unit = g;
    unit.stride_d = unit.stride_h = unit.stride_w = 1;
    const int64_t qh = ceil_div(g.oh - grid.first_h, g.stride_h);
    const int64_t qw = ceil_div(g.ow - grid.first_w, g.stride_w);
    const int64_t outputs = g.oc / g.groups, inputs = g.ic / g.groups;
    const int64_t area = g.kd * g.kh * g.kw;
    const bool plain = weights && !g.deep() && g.dilation_h == 1 && g.dilation_w == 1 &&
                       !rows.empty() && !columns.empty();
    if (g.groups > 1 && g.groups == g.ic && g.oc == g.ic && plain) {
      // Offsets fall by one from tap to tap: the reversed taps are a kernel.
      unit.kh = static_cast<int64_t>(rows.size());
      unit.kw = static_cast<int64_t>(columns.size());
      unit.pad_top = -rows.back().offset;
      unit.pad_left = -columns.back().offset;
      unit.oh = qh;
      unit.ow = qw;
      std::vector<int64_t> taps;
      for (size_t y = rows.size(); y-- > 0;)
        for (size_t x = columns.size(); x-- > 0;) taps.push_back(rows[y].k * g.kw + columns[x].k);
      std::string how = layout_name("taps", {g.ic, area});
      for (const int64_t tap : taps) how += " " + std::to_string(tap);
      const auto turn = [taps, area, channels = g.ic](const float* from, float* to) {
        for (int64_t c = 0; c < channels; ++c)
          for (const int64_t tap : taps) *to++ = from[c * area + tap];
      };
      const Weights<float> turned =
          weights.derived(how, g.ic * static_cast<int64_t>(taps.size()), turn);
      MNN_ASSIGN_OR_RETURN(MatrixKernelPtr kernel,
                           make_depthwise_f32(unit, grid, turned, bias, epilogue, table, options));
      keep_all(kernel->packed());
      scratch_bytes_ = std::max(scratch_bytes_, kernel->scratch_bytes());
      parts_ = std::max(parts_, kernel->parts());
      classes_.push_back(std::move(kernel));
      return {};
    }
    DirectGrid direct;
    std::vector<int64_t> kernel_tap;
    for (const Tap& z : slices)
      for (const Tap& y : rows)
        for (const Tap& x : columns) {
          direct.taps.push_back({z.offset, y.offset, x.offset});
          kernel_tap.push_back((z.k * g.kh + y.k) * g.kw + x.k);
        }
    direct.qd = ceil_div(g.od - pz, g.stride_d);
    direct.qh = qh;
    direct.qw = qw;
    direct.y_first_d = pz;
    direct.y_step_d = g.stride_d;
    direct.y_first_h = grid.first_h;
    direct.y_first_w = grid.first_w;
    direct.y_step_h = grid.step_h;
    direct.y_step_w = grid.step_w;
    auto kernel =
        std::make_unique<DirectConvF32>(unit, std::move(direct), table, epilogue, options.threads);
    MNN_RETURN_IF_ERROR(
        kernel->set_weights({outputs, inputs * outputs * area, area, outputs * area, kernel_tap},
                            weights, bias, options.weights));
    keep_all(kernel->packed());
    parts_ = std::max(parts_, kernel->parts());
    if (weights) {
      scratch_bytes_ = std::max(scratch_bytes_, kernel->scratch_bytes());
      classes_.push_back(std::move(kernel));
    } else {
      scratch_bytes_ = std::max(scratch_bytes_, kernel->part_scratch() * kernel->parts());
      weight_floats_ += round_up(kernel->weight_floats(), 16);
      computed_.push_back(std::move(kernel));
    }
    return {};
  }

  std::vector<MatrixKernelPtr> classes_;
  std::vector<std::unique_ptr<DirectConvF32>> computed_;  // classes whose weights come with runs
  std::string name_;
  int64_t scratch_bytes_ = 0;  // of one part
  int64_t weight_floats_ = 0;  // of computed_, packed
  int parts_ = 1;
};

class RowConvTransposeF32 final : public MatrixKernel {
 public:
  static Result<MatrixKernelPtr> make(const ConvGeometry& g, const Weights<float>& weights,
                                      const float* bias, const Epilogue& epilogue,
                                      const KernelTable& table, const KernelOptions& options) {
    // The product of one input row: columns are kernel row, kernel column, output channel.
    ConvGeometry row;
    row.iw = row.ow = g.iw;
    row.ic = g.ic;
    row.oc = g.kh * g.kw * g.oc;
    row.x_pixel_stride = g.x_pixel_stride;
    const auto turn = [ic = g.ic, oc = g.oc, area = g.kh * g.kw](const float* from, float* to) {
      for (int64_t c = 0; c < ic; ++c)
        for (int64_t o = 0; o < oc; ++o)
          for (int64_t tap = 0; tap < area; ++tap)
            to[(tap * oc + o) * ic + c] = from[(c * oc + o) * area + tap];
    };
    KernelOptions own = options;
    own.isa = table.isa;
    own.threads = 1;
    const Weights<float> turned =
        weights.derived(layout_name("rows", {g.ic, g.oc, g.kh * g.kw}), row.oc * g.ic, turn);
    MNN_ASSIGN_OR_RETURN(MatrixKernelPtr product, make_conv_f32(row, turned, nullptr, {}, own));
    auto made = std::make_unique<RowConvTransposeF32>(g, std::move(product), epilogue, table,
                                                      options.threads);
    AlignedBuffer<float> line(g.ow * g.oc);
    for (int64_t i = 0; bias && i < g.ow * g.oc; ++i) line[i] = bias[i % g.oc];
    MNN_ASSIGN_OR_RETURN(made->bias_, made->keep(options.weights, line));
    return MatrixKernelPtr(std::move(made));
  }

  RowConvTransposeF32(const ConvGeometry& g, MatrixKernelPtr product, const Epilogue& epilogue,
                      const KernelTable& table, int threads)
      : g_(g), product_(std::move(product)), table_(table), epilogue_(epilogue) {
    name_ = std::string("conv_transpose_f32_rows_") + table.isa;
    post_ = plan_epilogue({});
    post_.before_pass = epilogue.before.kind != Activation::kNone;
    post_.residual_pass = epilogue.residual;
    post_.after_pass = epilogue.after.kind != Activation::kNone;
    keep_all(product_->packed());
    const int64_t rows = g.n * g.oh, row_macs = g.iw * g.ic * g.kh * g.kw * g.oc;
    parts_ = split_work(rows * 6, 1, g.n * g.ih * row_macs, threads).parts();
    // Input rows that meet in one output row.
    ring_ = ((g.kh - 1) * g.dilation_h) / g.stride_h + 1;
    taps_ = g.kh * g.kw * g.oc;
    ring_bytes_ = round_up(ring_ * g.iw * taps_ * 4, 64);
    sum_bytes_ = round_up(g.ow * g.oc * 4, 64);
    part_scratch_ = ring_bytes_ + sum_bytes_ + round_up(product_->scratch_bytes(), 64);
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override { return part_scratch_ * parts_; }
  int parts() const override { return parts_; }

  void run(int, int part, const KernelArgs& args) const override {
    const Range rows = piece(g_.n * g_.oh, parts_, part);
    std::byte* scratch = args.scratch + part * part_scratch_;
    auto* ring = reinterpret_cast<float*>(scratch);
    auto* sum = reinterpret_cast<float*>(scratch + ring_bytes_);
    KernelArgs product;
    product.scratch = scratch + ring_bytes_ + sum_bytes_;
    int64_t image = -1, next = 0;  // the ring holds input rows [next - ring_, next) of the image
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const int64_t oy = r % g_.oh;
      const auto [first, end] = transposed_input_rows(g_, oy);
      if (r / g_.oh != image) next = 0;
      image = r / g_.oh;
      for (next = std::max(next, first); next < end; ++next) {
        product.x =
            static_cast<const float*>(args.x) + (image * g_.ih + next) * g_.iw * g_.x_pixel_stride;
        product.y = ring + next % ring_ * g_.iw * taps_;
        product_->run(0, 0, product);
      }
      std::memcpy(sum, bias_, static_cast<size_t>(g_.ow * g_.oc) * sizeof(float));
      for (int64_t iy = first; iy < end; ++iy) {
        const int64_t reach_down = oy + g_.pad_top - iy * g_.stride_h;
        if (reach_down % g_.dilation_h != 0) continue;
        add_row(ring + iy % ring_ * g_.iw * taps_ + reach_down / g_.dilation_h * g_.kw * g_.oc,
                sum);
      }
      const int64_t at = r * g_.ow * g_.y_pixel_stride;
      store(sum, args.residual ? static_cast<const float*>(args.residual) + at : nullptr,
            static_cast<float*>(args.y) + at);
    }
  }

 private:
  // Adds one kernel row of every input pixel of a row to the output row.
  void add_row(const float* taps, float* sum) const {
    const bool run = g_.dilation_w == 1;
    const int64_t n = (run ? g_.kw : 1) * g_.oc;
    for (int64_t ix = 0; ix < g_.iw; ++ix, taps += taps_) {
      const int64_t ox = ix * g_.stride_w - g_.pad_left;
      if (run && ox >= 0 && ox + g_.kw <= g_.ow) {
        float* y = sum + ox * g_.oc;
        if (n >= 2 * table_.lanes) {
          table_.add_f32(taps, y, n);
        } else {
          for (int64_t i = 0; i < n; ++i) y[i] += taps[i];
        }
        continue;
      }
      for (int64_t kx = 0; kx < g_.kw; ++kx) {
        const int64_t x = ox + kx * g_.dilation_w;
        if (x < 0 || x >= g_.ow) continue;
        for (int64_t o = 0; o < g_.oc; ++o) sum[x * g_.oc + o] += taps[kx * g_.oc + o];
      }
    }
  }

  void store(float* sum, const float* residual, float* y) const {
    const bool dense = g_.y_pixel_stride == g_.oc;
    const int64_t pieces = dense ? 1 : g_.ow, n = dense ? g_.ow * g_.oc : g_.oc;
    for (int64_t i = 0; i < pieces; ++i, sum += n, y += g_.y_pixel_stride) {
      if (post_.any_pass()) {
        run_post_pass(table_, epilogue_, post_,
                      residual ? residual + i * g_.y_pixel_stride : nullptr, sum, n);
      }
      std::memcpy(y, sum, static_cast<size_t>(n) * sizeof(float));
    }
  }

  ConvGeometry g_;
  MatrixKernelPtr product_;
  const KernelTable& table_;
  Epilogue epilogue_;
  TilePost post_;
  std::string name_;
  int64_t ring_ = 1, taps_ = 0, ring_bytes_ = 0, sum_bytes_ = 0, part_scratch_ = 0;
  int parts_ = 1;
  const float* bias_ = nullptr;  // one output row
};

}  // namespace

Result<MatrixKernelPtr> make_conv_transpose_f32(const ConvGeometry& geometry,
                                                const Weights<float>& weights, const float* bias,
                                                const Epilogue& epilogue,
                                                const KernelOptions& options) {
  MNN_ASSIGN_OR_RETURN(const KernelTable* table, find_kernels(options.isa));
  MNN_ASSIGN_OR_RETURN(const ConvGeometry g, check_geometry(geometry, 4));
  constexpr int64_t kMost = kMostTransposedStrides;
  if (g.stride_d > kMost || g.stride_h > kMost || g.stride_w > kMost ||
      g.stride_d * g.stride_h * g.stride_w > kMost)
    return unsupported("transposed convolution with strides " + std::to_string(g.stride_d) + " x " +
                       std::to_string(g.stride_h) + " x " + std::to_string(g.stride_w));
  // Tiles that would be less than half full.
  const bool few = weights && !g.deep() && g.groups == 1 &&
                   g.oc * 2 <= int64_t{table->vectors_f32} * table->lanes;
  return few ? RowConvTransposeF32::make(g, weights, bias, epilogue, *table, options)
             : ClassConvTransposeF32::make(g, weights, bias, epilogue, *table, options);
}

}  // namespace mnn
