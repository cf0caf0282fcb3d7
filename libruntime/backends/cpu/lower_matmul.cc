// MatMul and Gemm. Transposes and slices of activations are read through strides; only rows whose
// elements are not neighbours are moved first.
#include <algorithm>
#include <numeric>

#include "libruntime/backends/cpu/matrix.h"
#include "libruntime/backends/cpu/rows.h"
#include "libruntime/kernels/code_panels.h"
#include "libruntime/kernels/gemm.h"
#include "libruntime/lower/product.h"

namespace mnn::cpu {
namespace {

// Whether the rows of A become bytes as the node runs.
bool rounds_rows(const NodeView& n) { return n.attr_int("activation_bits") != 0; }

// B as codes that a product of such rows reads; null when it is none.
const QuantParams* codes_for_rounded(const NodeView& n) {
  if (!n.is_constant(1) || !n.in(1).quant) return nullptr;
  const bool turned = n.node.op == "Gemm" && n.attr_int("transB") != 0;
  const QuantParams& quant = *n.in(1).quant;
  return takes_codes_int8(quant, n.in_dims(1), turned) ? &quant : nullptr;
}

std::optional<std::string> supports_product(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(0) == DType::kF64 && node.fused.empty()) return std::nullopt;
  if (auto why = why_no_product(n)) return why;
  if (rounds_rows(n) && codes_for_rounded(n) == nullptr)
    return "activation_bits with weights that are no codes in groups of 16, 32, …";
  return check_post_ops(graph, node, kDevice);
}

// The last axis is contiguous.
bool rows_contiguous(const Array& a) { return a.dims.back() == 1 || a.strides.back() == 1; }

std::vector<int> swap_last(size_t rank) {
  std::vector<int> perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  if (rank >= 2) std::swap(perm[rank - 1], perm[rank - 2]);
  return perm;
}

// A value as a stack of matrices [batch…, rows, columns] with contiguous rows.
Result<Array> row_matrix(Lowering& l, ValueId v, bool transposed_view, bool bytes) {
  const size_t rank = l.dims(v).size();
  const std::vector<int> perm = transposed_view ? swap_last(rank) : row_major(rank);
  const Array* form = l.find_form(v, [&](const Array& a) {
    return a.grid.has_value() == bytes && rows_contiguous(transposed(a, perm));
  });
  if (form != nullptr) return transposed(*form, perm);
  MNN_ASSIGN_OR_RETURN(const Array made, bytes ? l.stored(v, perm) : l.real(v, perm));
  return transposed(made, perm);
}

int64_t row_stride(const Array& a) {
  const size_t rank = a.rank();
  return a.dims[rank - 2] == 1 ? a.dims[rank - 1] : a.strides[rank - 2];
}

// Leading axes and rows as one axis, when strides allow it; a row is at least as long as its
// stride.
std::optional<Array> as_rows(const Array& a) {
  const int64_t k = a.dims.back();
  const std::optional<Array> flat = reshaped(a, {product(a.dims) / k, k});
  if (!flat || !rows_contiguous(*flat) || row_stride(*flat) < k) return std::nullopt;
  return flat;
}

Array with_leading_one(Array a) {
  a.dims.insert(a.dims.begin(), 1);
  a.strides.insert(a.strides.begin(), a.dims.size() > 1 ? a.dims[1] : 1);
  return a;
}
Array with_trailing_one(Array a) {
  a.dims.push_back(1);
  a.strides.push_back(1);
  return a;
}

// The residual of an int8 kernel as it is stored; `quant` learns how.
Result<std::optional<Array>> byte_residual(Lowering& l, const FusedPart& part, const Order& order,
                                           ConvQuant& quant) {
  if (part.residual == kNoValue) return std::optional<Array>();
  const auto grid = l.grid(part.residual);
  quant.residual_type = grid ? ResidualType::kU8 : ResidualType::kF32;
  if (grid) quant.residual = quant_of(*grid);
  MNN_ASSIGN_OR_RETURN(const Array residual,
                       grid ? l.stored(part.residual, order) : l.real(part.residual, order));
  return std::optional<Array>(residual);
}

// Of both int8 forms; of a graph that is not quantized yet, or is.
std::optional<std::string> why_not_product_bytes(const Graph& graph, const Node& node,
                                                 ComputeForm form) {
  const NodeView n(graph, node);
  if (form == ComputeForm::kS8xCodes) {
    if (rounds_rows(n) && codes_for_rounded(n) != nullptr) return std::nullopt;
    return "its rows are not quantized as they come";
  }
  if (rounds_rows(n)) return "its rows are quantized as they come";
  for (size_t i = 0; i < 2; ++i) {
    if (n.in_type(i) != DType::kF32)
      return i == 0 ? "the input is not f32" : "the weights are not f32";
    if (!n.in(i).type.shape) return "the rank is not known";
  }
  if (n.in(0).type.rank() < 2) return "the input is no matrix";
  const double alpha = node.op == "Gemm" ? n.attr_float("alpha") : 1.0;
  const bool turned = node.op == "Gemm" && n.attr_int("transB") != 0;
  if (n.in(0).type.is_static() && n.out().type.is_static()) {
    if (auto why = check_post_ops(graph, node, kDevice)) return why;
  }
  const Shape& b = *n.in(1).type.shape;
  if (form == ComputeForm::kU8xS8) {
    if (auto why = why_not_constant(n, 1, "the weights")) return why;
    if (n.is_constant(0)) return "the input is constant";
    if (b.size() != 2) return "the weights are no matrix";
    if (alpha != 1.0) return "alpha is set";
    if (!n.in(1).type.is_static()) return std::nullopt;
    ConvGeometry g;
    g.ic = n.in_dims(1)[turned ? 1 : 0];
    return why_not_int8(g, false);
  }
  if (n.is_constant(0) || n.is_constant(1)) return "an input is constant";
  if (b.size() < 2) return "the second input is no matrix";
  if (!(alpha > 0)) return "alpha is not positive";
  const Dim& depth = b[b.size() - (turned ? 1 : 2)];
  if (depth.known() && depth.value() > kMostByteProducts) {
    return "a sum of more than " + std::to_string(kMostByteProducts) + " products";
  }
  return std::nullopt;
}

// x [m, k] bytes times a constant; false when it is no product for the int8 kernel.
Result<bool> try_int8(Lowering& l, const Node& node, const Product& p, const Dims& result) {
  const ValueId yv = node.outputs[0];
  const auto in_grid = l.grid(p.a), out_grid = l.grid(yv);
  const Dims b_dims = l.dims(p.b);
  if (!in_grid || why_not_product_bytes(l.graph(), node, ComputeForm::kU8xS8)) return false;
  const auto weights = byte_weights(l.graph().value(p.b), p.b_transposed ? 0 : 1);
  if (!weights) return false;
  MNN_ASSIGN_OR_RETURN(Array x, row_matrix(l, p.a, p.a_transposed, true));
  std::optional<Array> flat = as_rows(x);
  if (!flat) {
    MNN_ASSIGN_OR_RETURN(x, l.copy(x, row_major(x.rank())));
    flat = as_rows(x);
  }
  ByteOutput out(l.graph(), node, result.size() - 1);
  const FusedPart part = out.fuse_from(p.fused_from);
  GemmGeometry g;
  g.k = x.dims.back();
  g.n = b_dims[p.b_transposed ? 0 : 1];
  g.m = product(result) / g.n;
  g.a_stride = row_stride(*flat);
  g.b_transposed = p.b_transposed;
  ConvQuant quant;
  quant.in = quant_of(*in_grid);
  quant.weight_scales = weights->scales.data();
  set_output(out, quant);
  const Order order = row_major(result.size());
  MNN_ASSIGN_OR_RETURN(const auto residual, byte_residual(l, part, order, quant));
  MNN_ASSIGN_OR_RETURN(MatrixKernelPtr kernel,
                       make_gemm_int8(g, kernel_weights(l, p.b, *weights), p.bias_data(), quant,
                                      part.epilogue, l.kernel_options()));
  const Array y = l.allocate(DType::kF32, result, order, out.stored() ? out_grid : std::nullopt);
  add_matrix_step(l, node, std::move(kernel), *flat, nullptr, residual ? &*residual : nullptr, y,
                  ComputeForm::kU8xS8, weights->values.bytes(), part.epilogue);
  MNN_RETURN_IF_ERROR(l.finish(node, y, part.count));
  return true;
}

// How a and b are read: both as floats or both as bytes.
struct Operands {
  GemmGeometry g;
  Array a;
  std::optional<Array> b;  // none: a constant
};

// A, and the batch it makes together with B; `batch` gets its dims.
Status place_a(Lowering& l, const Product& p, const Dims& result, bool bytes, Operands& o,
               Dims& batch) {
  const Dims a_dims = l.dims(p.a), b_dims = l.dims(p.b);
  GemmGeometry& g = o.g;
  MNN_ASSIGN_OR_RETURN(Array a, row_matrix(l, p.a, p.a_transposed, bytes));
  if (a.rank() == 1) a = with_leading_one(a);
  g.alpha = p.alpha;
  g.k = a.dims.back();
  g.n = b_dims.size() == 1 ? 1 : b_dims[b_dims.size() - (p.b_transposed ? 2 : 1)];
  std::optional<Array> flat;
  if (b_dims.size() <= 2 || product(std::span(b_dims).first(b_dims.size() - 2)) == 1) {
    flat = as_rows(a);
    if (!flat && !p.a_transposed) {
      const Order order = row_major(a_dims.size());
      MNN_ASSIGN_OR_RETURN(a, bytes ? l.stored(p.a, order) : l.real(p.a, order));
      if (a.rank() == 1) a = with_leading_one(a);
      flat = as_rows(a);
    }
  }
  if (row_stride(a) < g.k) {
    // Repeated or overlapping rows are written out.
    MNN_ASSIGN_OR_RETURN(a, l.copy(a, row_major(a.rank())));
  }
  batch = result;
  if (flat) {
    a = *flat;
    g.m = a.dims[0];
  } else {
    g.m = a.dims[a.rank() - 2];
    batch.resize(std::max(a_dims.size(), b_dims.size()) - 2);
    g.batch = product(batch);
    g.a_offsets = batch_offsets(a, batch);
  }
  g.a_stride = row_stride(a);
  o.a = a;
  return {};
}

// A computed B. The matrix may lie either way round.
Status place_b(Lowering& l, const Product& p, const Dims& batch, bool bytes, Operands& o) {
  const size_t rank = l.dims(p.b).size();
  GemmGeometry& g = o.g;
  Array view;
  if (bytes) {
    view = l.stored(p.b);
  } else {
    MNN_ASSIGN_OR_RETURN(view, l.real(p.b));
  }
  view = transposed(view, p.b_transposed ? swap_last(rank) : row_major(rank));
  if (view.rank() == 1) view = with_trailing_one(view);
  const auto turned = transposed(view, swap_last(view.rank()));
  auto usable = [](const Array& m) { return rows_contiguous(m) && row_stride(m) >= m.dims.back(); };
  if (!usable(view) && !usable(turned)) {
    MNN_ASSIGN_OR_RETURN(view, l.copy(view, row_major(view.rank())));
  }
  g.b_transposed = !usable(view);
  g.b_stride = row_stride(g.b_transposed ? turned : view);
  if (g.batch > 1) g.b_offsets = batch_offsets(view, batch);
  o.b = view;
  return {};
}

// Both operands bytes, both computed; false when it is no product for the int8 kernel.
Result<bool> try_int8_both(Lowering& l, const Node& node, const Product& p, const Dims& result) {
  const auto a_grid = l.grid(p.a), b_grid = l.grid(p.b), out_grid = l.grid(node.outputs[0]);
  if (!a_grid || !b_grid || why_not_product_bytes(l.graph(), node, ComputeForm::kU8xU8))
    return false;
  Operands o;
  Dims batch;
  MNN_RETURN_IF_ERROR(place_a(l, p, result, true, o, batch));
  MNN_RETURN_IF_ERROR(place_b(l, p, batch, true, o));
  ByteOutput out(l.graph(), node, result.size() - 1);
  const FusedPart part = out.fuse_from(p.fused_from);
  ConvQuant quant;
  quant.in = quant_of(*a_grid);
  set_output(out, quant);
  const Order order = row_major(result.size());
  MNN_ASSIGN_OR_RETURN(const auto residual, byte_residual(l, part, order, quant));
  MNN_ASSIGN_OR_RETURN(MatrixKernelPtr kernel,
                       make_matmul_int8(o.g, quant_of(*b_grid), p.bias_data(), quant, part.epilogue,
                                        l.kernel_options()));
  const Array y = l.allocate(DType::kF32, result, order, out.stored() ? out_grid : std::nullopt);
  add_matrix_step(l, node, std::move(kernel), o.a, &*o.b, residual ? &*residual : nullptr, y,
                  ComputeForm::kU8xU8, 0, part.epilogue);
  MNN_RETURN_IF_ERROR(l.finish(node, y, part.count));
  return true;
}

// alpha times the product in double, and beta times `c`, unless that is no value.
Status lower_product_f64(Lowering& l, const Node& node, const Product& p, double alpha,
                         ValueId c = kNoValue, double beta = 0) {
  const Dims result = l.dims(node.outputs[0]);
  Operands o;
  Dims batch;
  MNN_RETURN_IF_ERROR(place_a(l, p, result, false, o, batch));
  MNN_RETURN_IF_ERROR(place_b(l, p, batch, false, o));
  MNN_ASSIGN_OR_RETURN(MatrixKernelPtr kernel, make_matmul_f64(o.g, alpha, l.kernel_options()));
  const Array y = l.allocate(DType::kF64, result, row_major(result.size()));
  add_matrix_step(l, node, std::move(kernel), o.a, &*o.b, nullptr, y, ComputeForm::kF64, 0, {});
  if (c != kNoValue) {
    MNN_ASSIGN_OR_RETURN(const Array added, l.real(c));
    const Array wide = broadcast_to(added, result);
    const Array in[] = {y, added}, out[] = {y};
    Step& step = l.add_step("add_f64", in, out, y.elements(), nullptr);
    step.run = [=, parts = step.parts](const Run& run, int, int part) {
      const Range rows = part_of(result[0], part, parts);
      const int64_t columns = result[1];
      for (int64_t i = rows.begin; i < rows.end; ++i) {
        double* to = run.data<double>(y) + i * columns;
        const double* from = run.data<double>(wide) + i * wide.strides[0];
        for (int64_t j = 0; j < columns; ++j) to[j] += beta * from[j * wide.strides[1]];
      }
    };
  }
  l.define(node.outputs[0], y);
  return {};
}

Status lower_product(Lowering& l, const Node& node, const Product& p) {
  const Dims result = l.dims(node.outputs[0]);
  MNN_ASSIGN_OR_RETURN(bool done, try_int8(l, node, p, result));
  if (done) return {};
  MNN_ASSIGN_OR_RETURN(done, try_int8_both(l, node, p, result));
  if (done) return {};

  Operands o;
  Dims batch;
  MNN_RETURN_IF_ERROR(place_a(l, p, result, false, o, batch));
  const FusedPart part = fuse(l.graph(), node, p.fused_from);
  const Order order = row_major(result.size());
  std::optional<Array> residual;
  if (part.residual != kNoValue) {
    MNN_ASSIGN_OR_RETURN(residual, l.real(part.residual, order));
  }
  MatrixKernelPtr kernel;
  int64_t weight_bytes = 0;
  ComputeForm form = ComputeForm::kF32;
  if (l.graph().value(p.b).kind == ValueKind::kConstant) {
    const Dims b_dims = l.dims(p.b);
    o.g.b_transposed = p.b_transposed;
    if (o.g.batch > 1) {
      Array all;
      all.dims = b_dims;
      all.strides = dense_strides(b_dims, row_major(b_dims.size()));
      if (all.rank() == 1) all = with_trailing_one(all);
      o.g.b_offsets = batch_offsets(all, batch);
    }
    const Value& b = l.graph().value(p.b);
    if (b.quant && takes_codes(*b.quant, b_dims, p.b_transposed)) {
      weight_bytes = b.data.bytes();
      const WeightCodes codes{l.weight_id(p.b), b.data, *b.quant, p.b_transposed};
      const bool bytes = rounds_rows(NodeView(l.graph(), node));
      if (bytes) form = ComputeForm::kS8xCodes;
      MNN_ASSIGN_OR_RETURN(kernel,
                           (bytes ? make_gemm_codes_int8 : make_gemm_codes)(
                               o.g, codes, p.bias_data(), part.epilogue, l.kernel_options()));
    } else {
      weight_bytes = product(b_dims) * 4;
      MNN_ASSIGN_OR_RETURN(kernel, make_gemm_f32(o.g, l.weights(p.b), p.bias_data(), part.epilogue,
                                                 l.kernel_options()));
    }
  } else {
    MNN_RETURN_IF_ERROR(place_b(l, p, batch, false, o));
    MNN_ASSIGN_OR_RETURN(kernel,
                         make_matmul_f32(o.g, p.bias_data(), part.epilogue, l.kernel_options()));
  }
  const Array y = l.allocate(DType::kF32, result, order);
  add_matrix_step(l, node, std::move(kernel), o.a, o.b ? &*o.b : nullptr,
                  residual ? &*residual : nullptr, y, form, weight_bytes, part.epilogue);
  return l.finish(node, y, part.count);
}

Status lower_matrix(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Product p, decode_product(n, l.reader()));
  if (n.in_type(0) != DType::kF64) return lower_product(l, p.node, p);
  if (node.op == "MatMul") return lower_product_f64(l, node, p, 1);
  return lower_product_f64(l, node, p, n.attr_float("alpha"),
                           n.has_input(2) ? node.inputs[2] : kNoValue, n.attr_float("beta"));
}

constexpr OpRow kMatmulRows[] = {
    {"MatMul", supports_product, lower_matrix, true, why_not_product_bytes},
    {"Gemm", supports_product, lower_matrix, true, why_not_product_bytes},
};

}  // namespace

std::span<const OpRow> matmul_rows() { return kMatmulRows; }

}  // namespace mnn::cpu
