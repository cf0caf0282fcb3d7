// Multiply-accumulates of one node, from its inferred shapes.
#include <algorithm>
#include <map>

#include "libruntime/compile/backend.h"
#include "libruntime/compile/subgraphs.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

using Dims = std::vector<int64_t>;

std::optional<Dims> static_dims(const Graph& graph, const std::vector<ValueId>& ids, size_t i) {
  if (i >= ids.size() || ids[i] == kNoValue) return std::nullopt;
  const Type& type = graph.value(ids[i]).type;
  if (!type.is_static()) return std::nullopt;
  return known_dims(*type.shape);
}

// The product of non-negative numbers; 0 when it does not fit.
int64_t product(const Dims& dims, size_t from = 0) {
  int64_t p = 1;
  for (size_t i = from; i < dims.size(); ++i) {
    if (__builtin_mul_overflow(p, dims[i], &p)) return 0;
  }
  return p;
}

int64_t times(int64_t a, int64_t b) { return product({a, b}); }

int64_t macs_of_conv(const Graph& graph, const Node& node, bool transposed) {
  const auto w = static_dims(graph, node.inputs, 1);
  // Each output of a convolution reads, and each input of a transposed one feeds, one filter.
  const auto pixels =
      transposed ? static_dims(graph, node.inputs, 0) : static_dims(graph, node.outputs, 0);
  if (!w || !pixels || w->empty()) return 0;
  return times(product(*pixels), product(*w, 1));
}

int64_t macs_of_matmul(const Graph& graph, const Node& node, bool transposed_a) {
  const auto a = static_dims(graph, node.inputs, 0);
  const auto y = static_dims(graph, node.outputs, 0);
  if (!a || !y || a->empty()) return 0;
  return times(product(*y), transposed_a ? a->front() : a->back());
}

// Every index of the equation runs once: the product of the extents of all distinct labels.
int64_t macs_of_einsum(const Graph& graph, const Node& node) {
  if (node.inputs.size() < 2) return 0;
  const auto it = node.attributes.find("equation");
  const auto* equation =
      it == node.attributes.end() ? nullptr : std::get_if<std::string>(&it->second);
  if (equation == nullptr) return 0;
  std::map<char, int64_t> extent;
  Dims ellipsis;  // the longest, as broadcast
  size_t operand = 0, at = 0;
  while (operand < node.inputs.size()) {
    std::string term;
    while (at < equation->size() && (*equation)[at] != ',' && (*equation)[at] != '-') {
      if ((*equation)[at] != ' ') term += (*equation)[at];
      ++at;
    }
    ++at;
    const auto dims = static_dims(graph, node.inputs, operand++);
    if (!dims) return 0;
    const size_t dots = term.find("...");
    const size_t labels = dots == std::string::npos ? term.size() : term.size() - 3;
    if (labels > dims->size() || (dots == std::string::npos && labels != dims->size())) return 0;
    size_t d = 0;
    for (size_t i = 0; i < term.size(); ++i) {
      if (i == dots) {
        const Dims covered(dims->begin() + static_cast<long>(d),
                           dims->begin() + static_cast<long>(d + dims->size() - labels));
        if (product(covered) > product(ellipsis) || ellipsis.empty()) ellipsis = covered;
        d += covered.size();
        i += 2;
        continue;
      }
      int64_t& e = extent[term[i]];
      e = std::max(e, (*dims)[d++]);
    }
  }
  int64_t macs = product(ellipsis);
  for (const auto& [label, size] : extent) macs = times(macs, size);
  return macs;
}

// Input and recurrent weights act on every step of every sequence.
int64_t macs_of_recurrent(const Graph& graph, const Node& node) {
  const auto x = static_dims(graph, node.inputs, 0);
  const auto w = static_dims(graph, node.inputs, 1);
  const auto r = static_dims(graph, node.inputs, 2);
  if (!x || !w || !r || x->size() != 3) return 0;
  return times(times((*x)[0], (*x)[1]), product(*w) + product(*r));
}

// Every query meets every key, and every output sums that many values. The heads of Q, K and V lie
// in a dim of their own or side by side in the last.
int64_t macs_of_attention(const Graph& graph, const Node& node) {
  const auto q = static_dims(graph, node.inputs, 0), k = static_dims(graph, node.inputs, 1);
  const auto y = static_dims(graph, node.outputs, 0);
  if (!q || !k || !y || k->size() < 3) return 0;
  int64_t keys = (*k)[k->size() - 2];
  const auto past = static_dims(graph, node.inputs, 4);
  if (past && past->size() == 4) keys += (*past)[2];
  return times(product(*q), keys) + times(product(*y), keys);
}

int64_t macs_of_subgraphs(const Graph& graph, const Node& node) {
  int64_t most = 0;
  for (size_t i = 0; i < node.subgraphs.size(); ++i) {
    const Graph body = first_trip(graph, node, i);
    int64_t sum = 0;
    for (const Node& inner : body.nodes) {
      if (__builtin_add_overflow(sum, count_macs(body, inner), &sum)) return 0;
    }
    most = std::max(most, sum);
  }
  return times(most, trip_count(graph, node));
}

bool transposes_a(const Node& node) {
  const auto it = node.attributes.find("transA");
  const auto* value = it == node.attributes.end() ? nullptr : std::get_if<int64_t>(&it->second);
  return value != nullptr && *value != 0;
}

}  // namespace

int64_t count_macs(const Graph& graph, const Node& node) {
  if (!node.subgraphs.empty()) return macs_of_subgraphs(graph, node);
  if (node.op == "Conv" || node.op == "ConvInteger" || node.op == "DeformConv")
    return macs_of_conv(graph, node, false);
  if (node.op == "ConvTranspose") return macs_of_conv(graph, node, true);
  if (node.op == "MatMul" || node.op == "MatMulInteger") return macs_of_matmul(graph, node, false);
  if (node.op == "Gemm") return macs_of_matmul(graph, node, transposes_a(node));
  if (node.op == "Einsum") return macs_of_einsum(graph, node);
  if (node.op == "LSTM" || node.op == "GRU" || node.op == "RNN") {
    return macs_of_recurrent(graph, node);
  }
  if (node.op == "Attention") return macs_of_attention(graph, node);
  return 0;
}

}  // namespace mnn
