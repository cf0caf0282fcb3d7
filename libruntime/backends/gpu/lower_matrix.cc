// MatMul and Gemm.
#include <algorithm>
#include <cstring>

#include "libruntime/backends/gpu/epilogue.h"
#include "libruntime/backends/gpu/lower_bytes.h"
#include "libruntime/backends/gpu/lower_codes.h"

namespace mnn::gpu {
namespace {

std::optional<std::string> why_not_product(const NodeView& n) {
  if (n.attr_int("activation_bits") != 0) return "rows rounded to bytes as they come";
  return why_no_product(n);
}

std::vector<int> swap_last(size_t rank) {
  std::vector<int> perm = row_major(rank);
  std::swap(perm[rank - 1], perm[rank - 2]);
  return perm;
}

// Rows of a dense x [m, k] times a constant matrix.
Status lower_packed(Lowering& l, const Product& p, const Dims& result) {
  const Dims b = l.dims(p.b);
  const int64_t k = b[p.b_transposed ? 1 : 0], n = b[p.b_transposed ? 0 : 1];
  const int64_t m = product(result) / n, n4 = (n + 7) / 8 * 2;
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(p.a));
  const float alpha = p.alpha;
  const bool turned = p.b_transposed;
  std::vector<float> bias = p.bias;
  bias.resize(static_cast<size_t>(n4 * 4), 0.0f);
  const int shift = l.weights(bias);
  MNN_ASSIGN_OR_RETURN(const DeviceEpilogue e, take_epilogue(l, p.node, p.fused_from));
  const Array y = l.allocate(DType::kF32, result);
  const int64_t rows = m == 1 ? 1 : 4, items = n4 / 2 * ((m + rows - 1) / rows);
  if (const auto codes = matrix_codes(l, p.b, turned, alpha)) {
    Launch& launch = l.launch("mnn_gemm_codes", items);
    launch.buffers = {x.storage, codes->words,         codes->scales >= 0 ? codes->scales : shift,
                      shift,     e.residual_or(shift), y.storage};
    launch.params = {word(m), word(n), word(k), word(n4), word(k)};
    e.add_to(launch);
    launch.params.push_back(word(codes->group));
    for (const int c : {static_cast<int>(rows), codes->bits, codes->offset ? 1 : 0}) {
      launch.constants.push_back(c);
    }
    count_products(l, p.node, launch);
    return l.finish(p.node, y, e.part.count);
  }
  const int w = l.weights(p.b, layout_name("columns", {turned, std::bit_cast<int32_t>(alpha)}),
                          k * n4 * 4, [=](const Tensor& real, uint32_t* words) {
                            const auto* from = real.data<float>();
                            for (int64_t i = 0; i < k; ++i) {
                              for (int64_t j = 0; j < n; ++j) {
                                words[i * n4 * 4 + j] =
                                    word(alpha * from[turned ? j * k + i : i * n + j]);
                              }
                            }
                            return Status();
                          });
  Launch& launch = l.launch("mnn_gemm", items);
  launch.buffers = {x.storage, w, shift, e.residual_or(shift), y.storage};
  launch.params = {word(m), word(n), word(k), word(n4), word(k)};
  e.add_to(launch);
  launch.constants.push_back(static_cast<int>(rows));
  count_products(l, p.node, launch);
  return l.finish(p.node, y, e.part.count);
}

// Matrices of any strides.
Status lower_strided(Lowering& l, const Product& p, const Dims& result) {
  MNN_ASSIGN_OR_RETURN(Array a, l.array(p.a));
  MNN_ASSIGN_OR_RETURN(Array b, l.array(p.b));
  if (a.rank() == 1) {
    a.dims.insert(a.dims.begin(), 1);
    a.strides.insert(a.strides.begin(), 0);
  }
  if (b.rank() == 1) {
    b.dims.push_back(1);
    b.strides.push_back(0);
  }
  if (p.a_transposed) a = transposed(a, swap_last(a.rank()));
  if (p.b_transposed) b = transposed(b, swap_last(b.rank()));
  MNN_ASSIGN_OR_RETURN(const DeviceEpilogue e, take_epilogue(l, p.node, p.fused_from));
  const Array y = l.allocate(DType::kF32, result);
  Launch& launch = add_matmul(l, a, b, p.alpha, p.bias, e, y);
  count_products(l, p.node, launch);
  return l.finish(p.node, y, e.part.count);
}

Status lower_matrix(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Product p, decode_product(n, l.reader()));
  if (multiplies_bytes(l.graph(), node)) return lower_byte_product(l, p);
  const Dims result = l.dims(node.outputs[0]);
  const bool constant = l.graph().value(p.b).kind == ValueKind::kConstant;
  if (constant && n.in(1).type.rank() == 2 && !p.a_transposed) return lower_packed(l, p, result);
  return lower_strided(l, p, result);
}

constexpr OpRow kMatrixRows[] = {
    {"MatMul", why_not_product, lower_matrix},
    {"Gemm", why_not_product, lower_matrix},
};

}  // namespace

Launch& add_matmul(Lowering& l, Array a, Array b, float alpha, const std::vector<float>& bias,
                   const DeviceEpilogue& e, const Array& y) {
  const size_t rank = std::max(a.rank(), b.rank());
  for (Array* v : {&a, &b}) {
    const size_t missing = rank - v->rank();
    v->dims.insert(v->dims.begin(), missing, 1);
    v->strides.insert(v->strides.begin(), missing, 0);
  }
  const int64_t m = a.dims[rank - 2], k = a.dims[rank - 1], n = b.dims[rank - 1];
  // Where the matrices of the batch begin.
  std::vector<int> t = {static_cast<int>(a.offset), static_cast<int>(b.offset)};
  for (size_t d = 0; d + 2 < rank; ++d) {
    const int64_t extent = std::max(a.dims[d], b.dims[d]);
    std::vector<int> next;
    for (size_t i = 0; i < t.size(); i += 2) {
      for (int64_t j = 0; j < extent; ++j) {
        next.push_back(t[i] + static_cast<int>(a.dims[d] == 1 ? 0 : j * a.strides[d]));
        next.push_back(t[i + 1] + static_cast<int>(b.dims[d] == 1 ? 0 : j * b.strides[d]));
      }
    }
    t = std::move(next);
  }
  const auto batch = static_cast<int64_t>(t.size() / 2);
  const int at = l.table(std::move(t));
  const int shift = bias.empty() ? b.storage : l.weights(bias);
  Launch& launch = l.launch("mnn_matmul", batch * ((m + 3) / 4) * ((n + 3) / 4));
  launch.buffers = {a.storage, b.storage, at, shift, e.residual_or(shift), y.storage};
  for (const int64_t v : {batch, m, n, k, a.strides[rank - 2], a.strides[rank - 1],
                          b.strides[rank - 2], b.strides[rank - 1]}) {
    launch.params.push_back(word(v));
  }
  launch.params.push_back(word(alpha));
  e.add_to(launch);
  launch.constants.push_back(bias.empty() ? 0 : 1);
  return launch;
}

std::span<const OpRow> matrix_rows() { return kMatrixRows; }

}  // namespace mnn::gpu
