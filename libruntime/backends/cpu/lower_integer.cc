// Products of bytes whose zero points come with each run, and what makes such bytes: MatMulInteger,
// ConvInteger, DynamicQuantizeLinear.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "libruntime/backends/cpu/matrix.h"
#include "libruntime/backends/cpu/rows.h"
#include "libruntime/core/ops/window.h"
#include "libruntime/kernels/gemm.h"

namespace mnn::cpu {
namespace {

constexpr int64_t kMostColumns = int64_t{1} << 32;  // bytes of a ConvInteger

// ---- MatMulInteger ----

// Zero points: one of x; of the second operand one, or one a column where both are constant.
std::optional<std::string> supports_zeros(const NodeView& n) {
  if (n.has_input(2) && product(n.in_dims(2)) != 1) return "a zero point per row";
  if (!n.has_input(3) || product(n.in_dims(3)) == 1) return std::nullopt;
  if (!n.is_constant(1) || !n.is_constant(3)) return "computed zero points, one a column";
  const Dims dims = n.in_dims(3);
  if (product(std::span(dims).first(dims.size() - 1)) != 1) return "zero points by matrix";
  return std::nullopt;
}

// Whether B is one constant matrix, which is packed once.
bool keeps_matrix(const NodeView& n) {
  const Dims b = n.in_dims(1);
  return n.is_constant(1) && (!n.has_input(3) || n.is_constant(3)) &&
         product(std::span(b).first(b.size() - 2)) == 1;
}

std::optional<std::string> supports_matmul_integer(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in(0).type.rank() < 2 || n.in(1).type.rank() < 2) return "a vector";
  if (n.in_dims(0).back() > kMostByteProducts) return "a long sum";
  if (auto why = supports_zeros(n)) return why;
  if (n.has_input(3) && product(n.in_dims(3)) != 1 && !keeps_matrix(n)) {
    return "zero points per column of several matrices";
  }
  return std::nullopt;
}

// `count` bytes of a constant from `first` on as unsigned ones: signed ones are raised by 128.
void raise(const Tensor& t, int64_t first, int64_t count, uint8_t* to) {
  const auto* from = reinterpret_cast<const uint8_t*>(t.raw()) + first;
  const uint8_t turned = t.dtype() == DType::kI8 ? 0x80 : 0;
  for (int64_t i = 0; i < count; ++i) to[i] = from[i] ^ turned;
}

// The values as unsigned bytes in row-major order, raised like that.
Result<Array> unsigned_bytes(Lowering& l, ValueId v) {
  MNN_ASSIGN_OR_RETURN(const Array x, l.real(v, row_major(l.dims(v).size())));
  if (x.dtype == DType::kU8) return x;
  if (const Tensor* t = l.constant(v)) {
    MNN_ASSIGN_OR_RETURN(Tensor raised, Tensor::allocate(DType::kU8, t->dims()));
    raise(*t, 0, t->elements(), raised.data<uint8_t>());
    return l.constant_array(std::move(raised));
  }
  return l.turn_top_bit("raise_bytes", x, DType::kU8, std::nullopt);
}

// The zero points of a node's first two inputs, raised like them.
struct Zeros {
  std::optional<Array> x, b;  // nullopt: absent, which is zero
  int32_t absent_x = 0, absent_b = 0;
  int32_t of_x(const Run& run) const { return x ? *run.data<uint8_t>(*x) : absent_x; }
  int32_t of_b(const Run& run) const { return b ? *run.data<uint8_t>(*b) : absent_b; }
};

Result<Zeros> zeros_of(Lowering& l, const Node& node, bool of_both) {
  const NodeView n(l.graph(), node);
  Zeros z;
  z.absent_x = n.in_type(0) == DType::kI8 ? 128 : 0;
  z.absent_b = n.in_type(1) == DType::kI8 ? 128 : 0;
  if (n.has_input(2)) {
    MNN_ASSIGN_OR_RETURN(z.x, unsigned_bytes(l, node.inputs[2]));
  }
  if (of_both && n.has_input(3)) {
    MNN_ASSIGN_OR_RETURN(z.b, unsigned_bytes(l, node.inputs[3]));
  }
  return z;
}

// A step that multiplies bytes into y from element `at` of each row on. No `b`: it is kept by the
// kernel.
Status add_product(Lowering& l, std::shared_ptr<const MatrixKernel> kernel, const GemmGeometry& g,
                   const Array& a, const Array* b, const Zeros& zeros, const Array& y,
                   int64_t a_at = 0, int64_t y_at = 0) {
  l.count_weights(*kernel);
  std::vector<Array> in = {a};
  if (b != nullptr) in.push_back(*b);
  if (zeros.x) in.push_back(*zeros.x);
  if (zeros.b) in.push_back(*zeros.b);
  const Array out[] = {y};
  Step& step = l.add_step(kernel->name(), in, out, 0, nullptr);
  step.info.macs = g.batch * g.m * g.n * g.k;
  step.info.form = ComputeForm::kU8xU8;
  step.phases = kernel->phases();
  step.parts = kernel->parts();
  const int scratch = l.add_scratch(kernel->scratch_bytes());
  const std::optional<Array> computed = b == nullptr ? std::nullopt : std::optional<Array>(*b);
  l.last_step().run = [=](const Run& run, int phase, int part) {
    KernelArgs args;
    args.x = run.bytes(a) + a_at;
    if (computed) args.b = run.bytes(*computed);
    args.y = run.bytes(y) + y_at * 4;
    args.scratch = run.storage(scratch);
    args.x_zero = zeros.of_x(run);
    args.b_zero = zeros.of_b(run);
    kernel->run(phase, part, args);
  };
  return {};
}

// `count` bytes of a constant from `first` on, raised like computed ones.
Weights<uint8_t> kept_bytes(Lowering& l, ValueId v, int64_t first, int64_t count) {
  using Elements = Weights<uint8_t>::Elements;
  return {l.weight_id(v).derived(layout_name("raised", {first, count})),
          [&l, v, first, count]() -> Result<Elements> {
            const Tensor* t = l.constant(v);
            if (t == nullptr) return internal_error("the weights cannot be read");
            const auto made = std::make_shared<AlignedBuffer<uint8_t>>(count);
            raise(*t, first, count, made->data());
            return Elements(made, made->data());
          }};
}

// The zero points of a constant second operand: one, or one a column.
Result<std::vector<uint8_t>> kept_zeros(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  if (!n.has_input(3)) return std::vector<uint8_t>(1, n.in_type(1) == DType::kI8 ? 128 : 0);
  const Tensor* t = l.constant(node.inputs[3]);
  if (t == nullptr) return internal_error("the zero points cannot be read");
  std::vector<uint8_t> zeros(static_cast<size_t>(t->elements()));
  raise(*t, 0, t->elements(), zeros.data());
  return zeros;
}

Status lower_matmul_integer(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Array a, unsigned_bytes(l, node.inputs[0]));
  const Dims dims = l.dims(node.outputs[0]);
  if (keeps_matrix(n)) {
    GemmGeometry g;
    g.k = a.dims.back();
    g.n = dims.back();
    g.m = product(dims) / std::max<int64_t>(g.n, 1);
    MNN_ASSIGN_OR_RETURN(const std::vector<uint8_t> b_zeros, kept_zeros(l, node));
    MNN_ASSIGN_OR_RETURN(std::shared_ptr<const MatrixKernel> kernel,
                         make_gemm_integer(g, kept_bytes(l, node.inputs[1], 0, g.k * g.n), b_zeros,
                                           l.kernel_options()));
    MNN_ASSIGN_OR_RETURN(const Zeros zeros, zeros_of(l, node, false));
    const Array y = l.allocate(DType::kI32, dims, row_major(dims.size()));
    MNN_RETURN_IF_ERROR(add_product(l, std::move(kernel), g, a, nullptr, zeros, y));
    return l.finish(node, y);
  }
  MNN_ASSIGN_OR_RETURN(const Array b, unsigned_bytes(l, node.inputs[1]));
  GemmGeometry g;
  g.k = a.dims.back();
  g.n = dims.back();
  if (product(std::span(b.dims).first(b.rank() - 2)) == 1) {
    g.m = product(dims) / g.n;
  } else {
    const Dims batch(dims.begin(), dims.end() - 2);
    g.m = dims[dims.size() - 2];
    g.batch = product(batch);
    g.a_offsets = batch_offsets(a, batch);
    g.b_offsets = batch_offsets(b, batch);
  }
  MNN_ASSIGN_OR_RETURN(const Zeros zeros, zeros_of(l, node, true));
  MNN_ASSIGN_OR_RETURN(std::shared_ptr<const MatrixKernel> kernel,
                       make_matmul_integer(g, l.kernel_options()));
  const Array y = l.allocate(DType::kI32, dims, row_major(dims.size()));
  MNN_RETURN_IF_ERROR(add_product(l, std::move(kernel), g, a, &b, zeros, y));
  return l.finish(node, y);
}

// ---- ConvInteger ----

std::optional<std::string> supports_conv_integer(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  const Dims w = n.in_dims(1);
  if (w.size() != 4) return "not two spatial axes";
  if (!n.is_constant(1)) return "weights are not constant";
  if (n.has_input(3) && !n.is_constant(3)) return "computed zero points of the weights";
  if (auto why = supports_zeros(n)) return why;
  const int64_t depth = product(std::span(w).subspan(1)), groups = n.attr_int("group");
  if (depth > kMostByteProducts) return "a long sum";
  if (product(n.out_dims()) / w[0] > kMostColumns / (depth * groups)) return "columns too large";
  return std::nullopt;
}

// Per output pixel the pixels under each tap, channels last, group after group; outside the image
// the zero point.
struct ByteColumns {
  Array x, columns;  // [pixels, groups, taps, channels of a group]
  Window window;
  int64_t pad_top = 0, pad_left = 0, rows = 0, row = 0;  // of the output
  int64_t kernel_h = 1, kernel_w = 1, groups = 1;

  void fill(const Run& run, int32_t zero, int64_t pixel) const {
    const int64_t c = x.dims[1], height = x.dims[2], width = x.dims[3];
    const int64_t each = c / groups, stride = kernel_h * kernel_w * each;
    const int64_t n = pixel / rows / row;
    const int64_t top = pixel / row % rows * window.strides[0] - pad_top;
    const int64_t left = pixel % row * window.strides[1] - pad_left;
    const uint8_t* image = run.data<uint8_t>(x) + n * height * width * c;
    uint8_t* to = run.data<uint8_t>(columns) + pixel * columns.dims[1];
    for (int64_t ky = 0; ky < kernel_h; ++ky) {
      for (int64_t kx = 0; kx < kernel_w; ++kx, to += each) {
        const int64_t iy = top + ky * window.dilations[0], ix = left + kx * window.dilations[1];
        const bool outside = iy < 0 || iy >= height || ix < 0 || ix >= width;
        const uint8_t* from = outside ? nullptr : image + (iy * width + ix) * c;
        for (int64_t g = 0; g < groups; ++g) {
          if (outside) {
            std::memset(to + g * stride, zero, static_cast<size_t>(each));
          } else {
            std::memcpy(to + g * stride, from + g * each, static_cast<size_t>(each));
          }
        }
      }
    }
  }
};

// Geometry of the input's window, without columns yet.
Result<ByteColumns> byte_window(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const Dims w = n.in_dims(1), dims = n.out_dims();
  ByteColumns c;
  MNN_ASSIGN_OR_RETURN(c.x, unsigned_bytes(l, node.inputs[0]));
  MNN_ASSIGN_OR_RETURN(c.x, l.copy(c.x, channels_last(4)));
  MNN_ASSIGN_OR_RETURN(c.window, read_window(n, to_shape({w.begin() + 2, w.end()})));
  c.pad_top = window_pad_begin(c.window, 0, c.x.dims[2], dims[2]);
  c.pad_left = window_pad_begin(c.window, 1, c.x.dims[3], dims[3]);
  c.rows = dims[2];
  c.row = dims[3];
  c.kernel_h = w[2];
  c.kernel_w = w[3];
  c.groups = n.attr_int("group");
  return c;
}

// A filter a channel: sums tap by tap over all channels of a pixel.
Status lower_depthwise_integer(Lowering& l, const Node& node) {
  MNN_ASSIGN_OR_RETURN(const ByteColumns c, byte_window(l, node));
  const Dims dims = l.dims(node.outputs[0]);
  const int64_t channels = dims[1], pixels = dims[0] * c.rows * c.row;
  const int64_t taps = c.kernel_h * c.kernel_w;
  MNN_ASSIGN_OR_RETURN(const std::vector<uint8_t> w_zeros, kept_zeros(l, node));
  MNN_ASSIGN_OR_RETURN(const auto raised, kept_bytes(l, node.inputs[1], 0, channels * taps).read());
  MNN_ASSIGN_OR_RETURN(Tensor filters, Tensor::allocate(DType::kI16, {taps, channels}));
  for (int64_t ch = 0; ch < channels; ++ch) {
    const int z = w_zeros[w_zeros.size() == 1 ? 0 : static_cast<size_t>(ch)];
    for (int64_t t = 0; t < taps; ++t)
      filters.data<int16_t>()[t * channels + ch] =
          static_cast<int16_t>(raised.get()[ch * taps + t] - z);
  }
  const Array w = l.constant_array(std::move(filters));
  MNN_ASSIGN_OR_RETURN(const Zeros zeros, zeros_of(l, node, false));
  const Array y = l.allocate(DType::kI32, dims, channels_last(4));
  std::vector<Array> in = {c.x, w};
  if (zeros.x) in.push_back(*zeros.x);
  const Array out[] = {y};
  Step& step = l.add_step("depthwise_integer", in, out, pixels * channels * taps, nullptr);
  step.info.macs = pixels * channels * taps;
  step.info.form = ComputeForm::kU8xU8;
  step.run = [=, parts = step.parts](const Run& run, int, int part) {
    const Range r = part_of(pixels, part, parts);
    const int32_t zero = zeros.of_x(run);
    const int64_t height = c.x.dims[2], width = c.x.dims[3];
    for (int64_t p = r.begin; p < r.end; ++p) {
      const int64_t top = p / c.row % c.rows * c.window.strides[0] - c.pad_top;
      const int64_t left = p % c.row * c.window.strides[1] - c.pad_left;
      const uint8_t* image =
          run.data<uint8_t>(c.x) + p / c.rows / c.row * height * width * channels;
      int32_t* sums = run.data<int32_t>(y) + p * channels;
      std::fill_n(sums, channels, 0);
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t iy = top + t / c.kernel_w * c.window.dilations[0];
        const int64_t ix = left + t % c.kernel_w * c.window.dilations[1];
        // What lies outside is the zero point and adds nothing.
        if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
        const uint8_t* from = image + (iy * width + ix) * channels;
        const int16_t* filter = run.data<int16_t>(w) + t * channels;
        for (int64_t ch = 0; ch < channels; ++ch) sums[ch] += (from[ch] - zero) * filter[ch];
      }
    }
  };
  return l.finish(node, y);
}

Status lower_conv_integer(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const Dims w = n.in_dims(1), dims = n.out_dims();
  if (w[1] == 1 && n.attr_int("group") == w[0]) return lower_depthwise_integer(l, node);
  MNN_ASSIGN_OR_RETURN(ByteColumns c, byte_window(l, node));
  MNN_ASSIGN_OR_RETURN(const Zeros zeros, zeros_of(l, node, false));
  MNN_ASSIGN_OR_RETURN(const std::vector<uint8_t> w_zeros, kept_zeros(l, node));
  const int64_t pixels = dims[0] * c.rows * c.row, depth = w[1] * w[2] * w[3];
  const int64_t each = w[0] / c.groups, taps = w[2] * w[3];
  c.columns = l.allocate(DType::kU8, {pixels, depth * c.groups}, row_major(2));
  std::vector<Array> in = {c.x};
  if (zeros.x) in.push_back(*zeros.x);
  const Array out[] = {c.columns};
  Step& step = l.add_step("byte_columns", in, out, c.columns.elements() / 8, nullptr);
  step.run = [=, parts = step.parts](const Run& run, int, int part) {
    const Range r = part_of(pixels, part, parts);
    for (int64_t p = r.begin; p < r.end; ++p) c.fill(run, zeros.of_x(run), p);
  };
  const Array y = l.allocate(DType::kI32, dims, channels_last(4));
  for (int64_t group = 0; group < c.groups; ++group) {
    // The group's [outputs, channels, taps] as [taps, channels, outputs].
    const int64_t size = depth * each;
    const Weights<uint8_t> turned =
        kept_bytes(l, node.inputs[1], group * size, size)
            .derived(layout_name("columns", {w[1], taps}), size,
                     [=, channels = w[1]](const uint8_t* from, uint8_t* to) {
                       for (int64_t i = 0; i < size; ++i) {
                         const int64_t tap = i % taps, channel = i / taps % channels;
                         to[(tap * channels + channel) * each + i / depth] = from[i];
                       }
                     });
    GemmGeometry g;
    g.m = pixels;
    g.k = depth;
    g.n = each;
    g.a_stride = depth * c.groups;
    g.c_stride = w[0];
    const auto at = static_cast<size_t>(group * each);
    const std::span<const uint8_t> b_zeros =
        w_zeros.size() == 1 ? std::span(w_zeros)
                            : std::span(w_zeros).subspan(at, static_cast<size_t>(each));
    MNN_ASSIGN_OR_RETURN(std::shared_ptr<const MatrixKernel> kernel,
                         make_gemm_integer(g, turned, b_zeros, l.kernel_options()));
    MNN_RETURN_IF_ERROR(add_product(l, std::move(kernel), g, c.columns, nullptr, zeros, y,
                                    group * depth, group * each));
  }
  return l.finish(node, y);
}

// Their operands are bytes already.
std::optional<std::string> why_not_integer_form(const Graph& graph, const Node& node,
                                                ComputeForm form) {
  if (form != ComputeForm::kU8xU8) return "both operands are taken as computed bytes";
  return node.op == "MatMulInteger" ? supports_matmul_integer(graph, node)
                                    : supports_conv_integer(graph, node);
}

// ---- DynamicQuantizeLinear ----

std::optional<std::string> supports_dynamic_quantize(const Graph&, const Node&) {
  return std::nullopt;
}

Status lower_dynamic_quantize(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  const Array y = l.allocate(DType::kU8, x.dims, order_of(x));
  const Array scale = l.allocate(DType::kF32, {}, {}), zero = l.allocate(DType::kU8, {}, {});
  const Array in[] = {x}, range[] = {scale, zero}, out[] = {y};
  l.add_step("dynamic_range", in, range, 0, [=, k = &l.kernels()](const Run& run, int, int) {
    const float* from = run.data<float>(x);
    // The range always holds 0; NaN is passed over.
    const float least = k->reduce_row(ReduceOp::kMin, from, x.elements());
    const float most = k->reduce_row(ReduceOp::kMax, from, x.elements());
    float low = std::min(0.0f, least), high = std::max(0.0f, most);
    for (int64_t i = 0; i < x.elements() && (least != least || most != most); ++i) {
      low = std::min(low, from[i]);
      high = std::max(high, from[i]);
    }
    const float s = high == low ? 1.0f : (high - low) / 255.0f;
    *run.data<float>(scale) = s;
    *run.data<uint8_t>(zero) =
        static_cast<uint8_t>(std::clamp(std::nearbyint(0.0f - low / s), 0.0f, 255.0f));
  });
  const Array all[] = {x, scale, zero};
  Step& step = l.add_step("dynamic_quantize", all, out, x.elements() / 2, nullptr);
  step.run = [=, parts = step.parts, k = &l.kernels()](const Run& run, int, int part) {
    const Range r = part_of(x.elements(), part, parts, 64);
    k->to_u8(run.data<float>(x) + r.begin, run.data<uint8_t>(y) + r.begin, r.end - r.begin,
             *run.data<float>(scale), *run.data<uint8_t>(zero));
  };
  l.define(node.outputs[0], y);
  if (n.has_output(1)) l.define(node.outputs[1], scale);
  if (n.has_output(2)) l.define(node.outputs[2], zero);
  return {};
}

constexpr OpRow kIntegerRows[] = {
    {"MatMulInteger", supports_matmul_integer, lower_matmul_integer, true, why_not_integer_form},
    {"ConvInteger", supports_conv_integer, lower_conv_integer, true, why_not_integer_form},
    {"DynamicQuantizeLinear", supports_dynamic_quantize, lower_dynamic_quantize},
};

}  // namespace

std::span<const OpRow> integer_rows() { return kIntegerRows; }

}  // namespace mnn::cpu
