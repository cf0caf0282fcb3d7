// GPTQ (arXiv:2210.17323): weights are coded one input after the other, and what each rounding did
// to the layer's output is taken back by the weights that are not coded yet.
#pragma once

#include "libquant/weights/group_codes.h"

namespace mnn {

// Sums of products of a layer's inputs over all rows it met: X^T X, [size, size].
class Gram {
 public:
  explicit Gram(int64_t size) : size_(size), sums_(static_cast<size_t>(size * size), 0.0) {}
  // `rows` rows of `size` numbers: number i of row r at x[r * row_stride + i * stride].
  void add(const float* x, int64_t rows, int64_t row_stride, int64_t stride, ThreadPool& pool);
  // Of a tensor whose axis holds the inputs; one without it, or of another extent, is passed over.
  void add(const Tensor& t, int axis, ThreadPool& pool);
  int64_t size() const { return size_; }
  bool empty() const { return rows_ == 0; }
  // L of L L^T, the Gram matrix with its diagonal damped by a hundredth of its mean, ten times more
  // as often as it takes; the lower triangle, row after row. kInvalidArgument where the inputs are
  // not finite.
  Result<std::vector<double>> factor() const;
  double at(int64_t i, int64_t j) const {
    return sums_[static_cast<size_t>(i >= j ? i * size_ + j : j * size_ + i)];
  }

 private:
  int64_t size_, rows_ = 0;
  std::vector<double> sums_;  // the lower triangle
};

// Of a matrix [inputs, outputs] inside a tensor.
struct MatrixView {
  int64_t inputs = 0, outputs = 0, input_stride = 1, output_stride = 1;
  MatrixView(const std::vector<int64_t>& dims, const GroupFormat& f) {
    const auto axis = static_cast<size_t>(f.axis), channel = static_cast<size_t>(f.channel_axis);
    inputs = dims[axis];
    outputs = dims[channel];
    if (axis < channel) {
      input_stride = outputs;
    } else {
      output_stride = inputs;
    }
  }
  int64_t at(int64_t k, int64_t n) const { return k * input_stride + n * output_stride; }
  // The group of input k in output n.
  int64_t entry(int64_t k, int64_t n, int64_t group) const {
    if (group == 0) return n;
    const int64_t parts = (inputs + group - 1) / group;
    return input_stride > output_stride || outputs == 1 ? k / group * outputs + n
                                                        : n * parts + k / group;
  }
};

// Whether encode_gptq() takes weights of these dims: a matrix of the two axes, all others 1.
bool is_matrix(const std::vector<int64_t>& dims, const GroupFormat& format);

// Codes for weights that are a matrix of `format.axis` (the Gram matrix's) and
// `format.channel_axis`. The diagonal is damped by a hundredth of its mean, ten times more as often
// as it takes: inputs that are always 0 do no harm. The same bytes for any number of threads.
// Errors as of encode_groups().
Result<GroupCodes> encode_gptq(const Tensor& weights, const GroupFormat& format, const Gram& gram,
                               ThreadPool& pool);

// What coding does to the sum of squares of the layer's outputs: tr(D^T G D), D the weights'
// errors.
Result<double> output_error(const Tensor& weights, const GroupFormat& format,
                            const GroupCodes& codes, const Gram& gram, ThreadPool& pool);

}  // namespace mnn
