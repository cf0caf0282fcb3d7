// Integer products of quantized operands: MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv.
#include <cmath>

#include "libruntime/core/builder.h"
#include "libruntime/core/ops/conv_kernel.h"
#include "libruntime/core/ops/macs.h"
#include "libruntime/core/ops/matmul.h"
#include "libruntime/core/ops/numeric.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

using Made = Result<std::vector<ValueId>>;

// The operands are u8 or i8: inference saw to it.
template <typename F>
void dispatch_byte(DType dtype, F f) {
  if (dtype == DType::kU8) {
    f.template operator()<uint8_t>();
  } else {
    f.template operator()<int8_t>();
  }
}

constexpr TypeMask kBytes = mask_of(DType::kU8, DType::kI8);
constexpr TypeMask kScales = mask_of(DType::kF32, DType::kF16, DType::kBF16);

// Input i is a scalar, or one number per index of the dimension of `size`; optional.
Status expect_scalar_or(const OpContext& c, size_t i, const Dim& size) {
  if (!c.rank_known(i)) return {};
  const Dim n = num_elements(*c.in[i].shape);
  if (!n.known() || n.is(1) || !size.known() || n.same(size)) return {};
  return invalid("input " + std::to_string(i) + ": expected one number or " + size.str() +
                 ", found " + c.in[i].str());
}

// The numbers of a scale or zero point input; `fill` when it is absent.
Result<std::vector<double>> numbers(const KernelContext& c, size_t i, double fill) {
  if (!c.has_input(i)) return std::vector<double>{fill};
  return c.in[i]->to_doubles();
}

// Entry i of a per-index list, or the only one of a scalar.
double pick(const std::vector<double>& values, int64_t i) {
  return values[values.size() == 1 ? 0 : static_cast<size_t>(i)];
}

Status infer_matmul_integer(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kBytes));
  MNN_RETURN_IF_ERROR(expect_input(c, 1, kBytes));
  for (size_t i = 2; i < 4; ++i) {
    if (c.has_input(i)) MNN_RETURN_IF_ERROR(expect_like(c, i, i - 2));
  }
  c.out[0].type.dtype = DType::kI32;
  MNN_ASSIGN_OR_RETURN(c.out[0].type.shape, matmul_shape(c, 0, 1));
  return {};
}

// Scales or zero points of a matrix product: one, one per row (column), or one per row (column) of
// each matrix of the batch.
class PerLine {
 public:
  PerLine(std::vector<double> values, int64_t lines) : values_(std::move(values)), lines_(lines) {}
  Status check(std::string_view what, int64_t matrices) const {
    const auto n = static_cast<int64_t>(values_.size());
    if (n == 1 || n == lines_ || (lines_ > 0 && n % lines_ == 0 && n / lines_ == matrices))
      return {};
    return invalid(std::string(what) + ": expected 1 or " + std::to_string(lines_) +
                   " numbers, found " + std::to_string(n));
  }
  double at(int64_t matrix, int64_t line) const {
    if (values_.size() == 1) return values_[0];
    const bool shared = static_cast<int64_t>(values_.size()) == lines_;
    return values_[static_cast<size_t>(shared ? line : matrix * lines_ + line)];
  }

 private:
  std::vector<double> values_;
  int64_t lines_;
};

Result<PerLine> per_line(const KernelContext& c, size_t input, double fill, int64_t lines,
                         const std::vector<int64_t>& batch) {
  MNN_ASSIGN_OR_RETURN(std::vector<double> values, numbers(c, input, fill));
  PerLine p(std::move(values), lines);
  MNN_RETURN_IF_ERROR(
      p.check("input " + std::to_string(input), checked_elements(batch).value_or(0)));
  return p;
}

// Calls store(sum, index of a's matrix, row, index of b's matrix, column) for every product element
// in row-major order; the sum is that of (a - zero of a) * (b - zero of b).
template <typename F>
void multiply(const Tensor& a, const Tensor& b, const MatMulPlan& p, const PerLine& zero_a,
              const PerLine& zero_b, F store) {
  std::vector<int64_t> row(static_cast<size_t>(p.columns)), zeros(row.size());
  dispatch_byte(a.dtype(), [&]<typename A>() {
    dispatch_byte(b.dtype(), [&]<typename B>() {
      p.for_each_batch([&](int64_t, int64_t ma, int64_t mb) {
        for (int64_t j = 0; j < p.columns; ++j) {
          zeros[static_cast<size_t>(j)] = static_cast<int64_t>(zero_b.at(mb, j));
        }
        for (int64_t i = 0; i < p.rows; ++i) {
          std::fill(row.begin(), row.end(), 0);
          const A* const left = a.data<A>() + (ma * p.rows + i) * p.inner;
          const auto shift = static_cast<int64_t>(zero_a.at(ma, i));
          for (int64_t k = 0; k < p.inner; ++k) {
            const int64_t factor = static_cast<int64_t>(left[k]) - shift;
            const B* const line = b.data<B>() + (mb * p.inner + k) * p.columns;
            for (int64_t j = 0; j < p.columns; ++j) {
              row[static_cast<size_t>(j)] +=
                  factor * (static_cast<int64_t>(line[j]) - zeros[static_cast<size_t>(j)]);
            }
          }
          for (int64_t j = 0; j < p.columns; ++j) {
            store(row[static_cast<size_t>(j)], ma, i, mb, j);
          }
        }
      });
    });
  });
}

Status matmul_integer(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor &a = *c.in[0], &b = *c.in[1];
  const MatMulPlan p(a.dims(), b.dims());
  MNN_ASSIGN_OR_RETURN(const PerLine zero_a, per_line(c, 2, 0, p.rows, p.batch_a));
  MNN_ASSIGN_OR_RETURN(const PerLine zero_b, per_line(c, 3, 0, p.columns, p.batch_b));
  if (y->elements() == 0) return {};
  int32_t* out = y->data<int32_t>();
  multiply(a, b, p, zero_a, zero_b, [&](int64_t sum, int64_t, int64_t, int64_t, int64_t) {
    *out++ = static_cast<int32_t>(sum);
  });
  return {};
}

// round(value) + zero point, saturated to the type of output 0.
template <typename T>
T requantize(double value, double zero) {
  return saturate<T>(std::nearbyint(value) + zero);
}

// Inputs 1, 2 and 4, 5: scale and zero point of inputs 0 and 3; 6, 7: those of the output.
Status check_linear(const OpContext& c) {
  for (const size_t i : {0, 3}) {
    MNN_RETURN_IF_ERROR(expect_input(c, i, kBytes));
    MNN_RETURN_IF_ERROR(expect_input(c, i + 1, kScales));
    MNN_RETURN_IF_ERROR(expect_like(c, i + 2, i));
  }
  MNN_RETURN_IF_ERROR(expect_input(c, 6, kScales));
  MNN_RETURN_IF_ERROR(expect_scalar(c, 6));
  MNN_RETURN_IF_ERROR(expect_input(c, 7, kBytes));
  return expect_scalar(c, 7);
}

Status infer_linear_matmul(OpContext& c) {
  MNN_RETURN_IF_ERROR(check_linear(c));
  c.out[0].type.dtype = c.in[7].dtype;
  MNN_ASSIGN_OR_RETURN(c.out[0].type.shape, matmul_shape(c, 0, 3));
  return {};
}

Status linear_matmul(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor &a = *c.in[0], &b = *c.in[3];
  const MatMulPlan p(a.dims(), b.dims());
  MNN_ASSIGN_OR_RETURN(const PerLine scale_a, per_line(c, 1, 1, p.rows, p.batch_a));
  MNN_ASSIGN_OR_RETURN(const PerLine zero_a, per_line(c, 2, 0, p.rows, p.batch_a));
  MNN_ASSIGN_OR_RETURN(const PerLine scale_b, per_line(c, 4, 1, p.columns, p.batch_b));
  MNN_ASSIGN_OR_RETURN(const PerLine zero_b, per_line(c, 5, 0, p.columns, p.batch_b));
  MNN_ASSIGN_OR_RETURN(const std::vector<double> scale, numbers(c, 6, 1));
  MNN_ASSIGN_OR_RETURN(const std::vector<double> zero, numbers(c, 7, 0));
  if (y->elements() == 0) return {};
  dispatch_byte(y->dtype(), [&]<typename T>() {
    T* out = y->data<T>();
    multiply(a, b, p, zero_a, zero_b,
             [&](int64_t sum, int64_t ma, int64_t i, int64_t mb, int64_t j) {
               const double factor = scale_a.at(ma, i) * scale_b.at(mb, j) / scale[0];
               *out++ = requantize<T>(static_cast<double>(sum) * factor, zero[0]);
             });
  });
  return {};
}

Status infer_conv_integer(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kBytes));
  MNN_RETURN_IF_ERROR(expect_input(c, 1, kBytes));
  for (size_t i = 2; i < 4; ++i) {
    if (c.has_input(i)) MNN_RETURN_IF_ERROR(expect_like(c, i, i - 2));
  }
  if (c.has_input(2)) MNN_RETURN_IF_ERROR(expect_scalar(c, 2));
  c.out[0].type.dtype = DType::kI32;
  MNN_ASSIGN_OR_RETURN(c.out[0].type.shape, conv_shape(c, 0, 1));
  if (!c.rank_known(1)) return {};
  return expect_scalar_or(c, 3, (*c.in[1].shape)[0]);
}

// Calls store(sum, output channel) for every element of the convolution of x - zero with
// w - zeros[channel], started at start(channel), in row-major order.
template <typename Start, typename Store>
Status convolve_integers(const KernelContext& c, const Tensor& x, const Tensor& weight,
                         const Tensor& y, double zero, const std::vector<double>& zeros,
                         Start start, Store store) {
  const Shape dims = to_shape(weight.dims());
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(c, {dims.begin() + 2, dims.end()}));
  const Plane p = make_plane(w, x.dims(), y.dims());
  const int64_t group = c.attr_int("group"), channels = weight.dims()[1];
  const int64_t outputs = weight.dims()[0], per_group = outputs / group;
  const auto zero_x = static_cast<int64_t>(zero);
  std::vector<int64_t> row;
  dispatch_byte(x.dtype(), [&]<typename X>() {
    dispatch_byte(weight.dtype(), [&]<typename W>() {
      for (int64_t n = 0; n < x.dims()[0]; ++n) {
        for (int64_t o = 0; o < outputs; ++o) {
          const auto zero_w = static_cast<int64_t>(pick(zeros, o));
          const int64_t first = (n * group + o / per_group) * channels;
          convolve<int64_t>(
              p, channels, x.data<X>() + first * volume(p.in),
              weight.data<W>() + o * channels * volume(p.kernel), start(o),
              [&](X v) { return static_cast<int64_t>(v) - zero_x; },
              [&](W v) { return static_cast<int64_t>(v) - zero_w; },
              [&](int64_t sum) { store(sum, o); }, row);
        }
      }
    });
  });
  return {};
}

Status conv_integer(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  MNN_ASSIGN_OR_RETURN(const std::vector<double> zero, numbers(c, 2, 0));
  MNN_ASSIGN_OR_RETURN(const std::vector<double> zeros, numbers(c, 3, 0));
  if (y->elements() == 0) return {};
  int32_t* out = y->data<int32_t>();
  return convolve_integers(
      c, *c.in[0], *c.in[1], *y, zero[0], zeros, [](int64_t) { return int64_t{0}; },
      [&](int64_t sum, int64_t) { *out++ = static_cast<int32_t>(sum); });
}

Status infer_linear_conv(OpContext& c) {
  MNN_RETURN_IF_ERROR(check_linear(c));
  MNN_RETURN_IF_ERROR(expect_scalar(c, 1));
  MNN_RETURN_IF_ERROR(expect_scalar(c, 2));
  MNN_RETURN_IF_ERROR(expect_optional_input(c, 8, mask_of(DType::kI32)));
  c.out[0].type.dtype = c.in[7].dtype;
  MNN_ASSIGN_OR_RETURN(c.out[0].type.shape, conv_shape(c, 0, 3));
  if (!c.rank_known(3)) return {};
  const Dim& outputs = (*c.in[3].shape)[0];
  MNN_RETURN_IF_ERROR(expect_scalar_or(c, 4, outputs));
  MNN_RETURN_IF_ERROR(expect_scalar_or(c, 5, outputs));
  MNN_RETURN_IF_ERROR(expect_rank(c, 8, 1));
  if (!c.rank_known(8)) return {};
  return expect_dim((*c.in[8].shape)[0], outputs, "size of the bias");
}

Status linear_conv(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  std::vector<double> v[8];
  for (const size_t i : {1, 2, 4, 5, 6, 7}) {
    MNN_ASSIGN_OR_RETURN(v[i], numbers(c, i, 0));
  }
  if (y->elements() == 0) return {};
  const int32_t* const bias = c.has_input(8) ? c.in[8]->data<int32_t>() : nullptr;
  Status status;
  dispatch_byte(y->dtype(), [&]<typename T>() {
    T* out = y->data<T>();
    status = convolve_integers(
        c, *c.in[0], *c.in[3], *y, v[2][0], v[5],
        [&](int64_t o) { return bias ? int64_t{bias[o]} : int64_t{0}; },
        [&](int64_t sum, int64_t o) {
          const double factor = v[1][0] * pick(v[4], o) / v[6][0];
          *out++ = requantize<T>(static_cast<double>(sum) * factor, v[7][0]);
        });
  });
  return status;
}

// Input i of a quantized operator as floats; its scale and zero point are the next two inputs.
ValueId dequantize(Builder& b, const Node& node, size_t i, int64_t axis) {
  return b.op("DequantizeLinear", {node.inputs[i], node.inputs[i + 1], node.inputs[i + 2]},
              {{"axis", axis}});
}

ValueId quantize_result(Builder& b, const Node& node, ValueId y) {
  return b.op("QuantizeLinear", {y, node.inputs[6], node.inputs[7]});
}

bool is_scalar(const Type& type) {
  if (!type.shape) return false;
  return num_elements(*type.shape).is(1);
}

Made decompose_linear_matmul(Builder& b, const Node& node) {
  // Per-row and per-column scales are one-dimensional there only for plain matrices.
  for (const size_t i : {1, 4}) {
    const Type& scale = b.type(node.inputs[i]);
    if (!scale.shape || (scale.rank() > 1 && !is_scalar(scale))) {
      return unsupported("QLinearMatMul with scales per matrix cannot be decomposed");
    }
  }
  const ValueId product = b.op("MatMul", {dequantize(b, node, 0, -2), dequantize(b, node, 3, -1)});
  return std::vector<ValueId>{quantize_result(b, node, product)};
}

Made decompose_linear_conv(Builder& b, const Node& node) {
  std::vector<ValueId> inputs = {dequantize(b, node, 0, 1), dequantize(b, node, 3, 0)};
  if (node.own_inputs() > 8 && node.inputs[8] != kNoValue) {
    const ValueId scale = b.op("Mul", {node.inputs[1], node.inputs[4]});
    const ValueId bias =
        b.op("Cast", {node.inputs[8]}, {{"to", static_cast<int64_t>(DType::kF32)}});
    inputs.push_back(b.op("Mul", {bias, scale}));
  }
  const ValueId y = b.op("Conv", std::move(inputs), node.attributes);
  return std::vector<ValueId>{quantize_result(b, node, y)};
}

// (a - zero of a) times (b - zero of b) in i32.
Made decompose_matmul_integer(Builder& b, const Node& node) {
  auto operand = [&](size_t i) -> Result<ValueId> {
    const Builder::Attributes to_i32 = {{"to", static_cast<int64_t>(DType::kI32)}};
    const ValueId wide = b.op("Cast", {node.inputs[i]}, to_i32);
    if (node.own_inputs() <= i + 2 || node.inputs[i + 2] == kNoValue) return wide;
    const Type type = b.type(node.inputs[i + 2]);
    if (!type.shape) return unsupported("a zero point of unknown rank cannot be decomposed");
    ValueId zero = b.op("Cast", {node.inputs[i + 2]}, to_i32);
    // One per row of a: a column.
    if (i == 0 && type.rank() == 1 && !is_scalar(type)) {
      zero = b.op("Unsqueeze", {zero, b.ints({1})});
    }
    return b.op("Sub", {wide, zero});
  };
  MNN_ASSIGN_OR_RETURN(const ValueId left, operand(0));
  MNN_ASSIGN_OR_RETURN(const ValueId right, operand(1));
  return std::vector<ValueId>{b.op("MatMul", {left, right})};
}

}  // namespace

std::vector<OpDef> define_integer_matmul() {
  using Ints = std::vector<int64_t>;
  const std::vector<AttrDef> window = {{"auto_pad", "NOTSET"}, {"dilations", Ints()},
                                       {"group", int64_t{1}},  {"kernel_shape", Ints()},
                                       {"pads", Ints()},       {"strides", Ints()}};
  return {
      {.name = "MatMulInteger",
       .min_inputs = 2,
       .max_inputs = 4,
       .infer = infer_matmul_integer,
       .reference = matmul_integer,
       .decompose = decompose_matmul_integer,
       .macs = macs_of_matmul},
      {.name = "QLinearMatMul",
       .min_inputs = 8,
       .max_inputs = 8,
       .infer = infer_linear_matmul,
       .reference = linear_matmul,
       .decompose = decompose_linear_matmul,
       .macs = macs_of_matmul},
      {.name = "ConvInteger",
       .min_inputs = 2,
       .max_inputs = 4,
       .traits = kConvolves,
       .attributes = window,
       .infer = infer_conv_integer,
       .reference = conv_integer,
       .macs = macs_of_conv<>},
      {.name = "QLinearConv",
       .min_inputs = 8,
       .max_inputs = 9,
       .traits = kConvolves,
       .attributes = window,
       .infer = infer_linear_conv,
       .reference = linear_conv,
       .decompose = decompose_linear_conv,
       .macs = macs_of_conv<3>},
  };
}

}  // namespace mnn
