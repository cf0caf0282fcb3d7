// Direct fp32 convolution over a grid of output pixels with any list of taps: the plain and the
// transposed convolution are both made of it.
#pragma once

#include <string>
#include <vector>

#include "libruntime/kernels/conv.h"
#include "libruntime/kernels/conv_plan.h"
#include "libruntime/kernels/plan.h"

namespace mnn {

// Grid point (qz, qy, qx) reads input pixels (qz * stride_d + dz, qy * stride_h + dy, qx * stride_w
// + dx) of each tap and writes output pixel (y_first_d + qz * y_step_d, y_first_h + qy * y_step_h,
// y_first_w + qx * y_step_w).
struct DirectGrid {
  struct Tap {
    int64_t dz, dy, dx;
  };
  int64_t qd = 1, qh = 1, qw = 1;
  std::vector<Tap> taps;
  int64_t y_first_d = 0, y_first_h = 0, y_first_w = 0;
  int64_t y_step_d = 1, y_step_h = 1, y_step_w = 1;
  // Runs of this many taps are neighbours along x in a dense input (1: nothing is known).
  int64_t run = 1;
};

// Where weights lie: data[at(o, tap) + c * input_stride] is that of output channel o, channel c of
// its group.
struct WeightView {
  int64_t outputs = 1;  // of a group
  int64_t group_stride = 0, output_stride = 0, input_stride = 0;
  std::vector<int64_t> taps;  // offsets
  int64_t at(int64_t o, size_t tap) const {
    return o / outputs * group_stride + o % outputs * output_stride + taps[tap];
  }
};

class DirectConvF32 final : public MatrixKernel {
 public:
  // `g` has passed check_geometry; its kernel size, dilations and pads are not used.
  DirectConvF32(const ConvGeometry& g, DirectGrid grid, const KernelTable& table,
                const Epilogue& epilogue, int threads);
  // What every run uses. `weights` none: they come with each run.
  Status set_weights(const WeightView& view, const Weights<float>& weights, const float* bias,
                     WeightsCache* cache);

  // Of weights that come with a run: packed weights and bias in floats, and making them; the parts
  // may run at once.
  int64_t weight_floats() const { return columns() * (depth() + 1); }
  void pack(const float* weights, const float* bias, float* packed, int part, int parts) const;
  // A run with what pack has made.
  void run_packed(const float* packed, int part, const KernelArgs& args) const {
    run_packed(packed, packed + columns() * depth(), part, args);
  }

  const char* name() const override { return name_.c_str(); }
  int64_t scratch_bytes() const override {
    return part_scratch_ * parts() + (computed_ ? weight_floats() * 4 : 0);
  }
  int phases() const override { return computed_ ? 2 : 1; }
  int parts() const override { return split_.parts(); }
  void run(int phase, int part, const KernelArgs& args) const override;
  int64_t part_scratch() const { return part_scratch_; }

 private:
  int64_t block_rows(int64_t pixel_bytes, int64_t weight_bytes) const;
  int64_t columns() const;  // of the packed weights
  int64_t depth() const;    // floats of a column
  std::string layout() const;
  void pack_columns(const float* weights, float* packed, int part, int parts) const;
  void pack_bias(const float* bias, float* packed, int part, int parts) const;
  void run_packed(const float* packed, const float* bias, int part, const KernelArgs& args) const;
  void pack_dot(const float* weights, int64_t o, float* packed) const;
  void pack_panel(const float* weights, const Panel& p, float* w) const;
  void run_dots(int64_t rows, const float* const* pointers, const int64_t* y_offset,
                const float* packed, const float* bias, const KernelArgs& args) const;
  void run_panel(const Panel& p, int64_t rows, const float* const* pointers,
                 const int64_t* y_offset, const float* packed, const float* bias,
                 const KernelArgs& args) const;
  void finish(const int64_t* y_offset, int64_t rows, const Range& panels,
              const KernelArgs& args) const;
  void point(const Range& block, const float* x, const float** pointers, int64_t* y_offset,
             float* copies) const;
  void point_row(const float* row, int64_t ix, int64_t count, const float** p, float* copies) const;
  const float* edge(const float* row, int64_t ix, float* copy) const;

  ConvGeometry g_;
  DirectGrid grid_;
  const KernelTable& table_;
  Epilogue epilogue_;
  TilePost post_;
  std::string name_;
  int64_t m_ = 0, group_inputs_ = 0, block_ = 0;
  int64_t run_ = 1;           // taps in a run
  int64_t runs_ = 0, k_ = 0;  // runs, floats in each
  bool dots_ = false;         // few columns: each is a row of weights
  bool identity_ = false;     // grid point i reads pixel i and writes pixel i
  bool computed_ = false;     // weights come with each run
  bool taps_inside_ = false;  // the taps of a channel are neighbours in the weights
  std::vector<Panel> panels_;
  Split split_;
  WeightView view_;
  const float *packed_ = nullptr, *bias_ = nullptr;
  AlignedBuffer<float> zeros_;
  int64_t pointer_bytes_ = 0, copy_bytes_ = 0, part_scratch_ = 0;
};

// Whether Winograd is expected to beat the direct kernel on this geometry.
bool prefer_winograd(const ConvGeometry& checked);
// 3x3, stride 1, one group.
Result<MatrixKernelPtr> make_winograd_f32(const ConvGeometry& checked,
                                          const Weights<float>& weights, const float* bias,
                                          const Epilogue& epilogue, const KernelTable& table,
                                          const KernelOptions& options);

// Where pixel (oy, ox) of a result goes in a wider one of oh x ow pixels (0: it is the whole).
struct OutputGrid {
  int64_t oh = 0, ow = 0;
  int64_t first_h = 0, first_w = 0, step_h = 1, step_w = 1;
};

// y = x * w per channel; needs groups == ic. `weights` none: they come with each run.
Result<MatrixKernelPtr> make_depthwise_f32(const ConvGeometry& checked, const OutputGrid& grid,
                                           const Weights<float>& weights, const float* bias,
                                           const Epilogue& epilogue, const KernelTable& table,
                                           const KernelOptions& options);
// The same in three dimensions, for constant weights.
Result<MatrixKernelPtr> make_depthwise_3d_f32(const ConvGeometry& checked,
                                              const Weights<float>& weights, const float* bias,
                                              const Epilogue& epilogue, const KernelTable& table,
                                              const KernelOptions& options);

}  // namespace mnn
