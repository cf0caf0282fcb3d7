// Einsum as transposes, reductions and matrix products, for backends without a kernel of its own.
#include <algorithm>

#include "libruntime/core/builder.h"
#include "libruntime/core/ops/einsum.h"

namespace mnn {
namespace {

using Labels = std::vector<int>;

struct SymbolicOperand {
  ValueId value = kNoValue;
  Labels labels;
};

bool has_label(const Labels& labels, int label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

// Dimensions of `x` from `begin` up to `end` as a vector.
ValueId dims_of(Builder& b, ValueId x, size_t begin, size_t end) {
  return b.op("Shape", {x},
              {{"start", static_cast<int64_t>(begin)}, {"end", static_cast<int64_t>(end)}});
}

ValueId reshape(Builder& b, ValueId x, std::vector<ValueId> parts) {
  const ValueId shape =
      parts.size() == 1 ? parts[0] : b.op("Concat", std::move(parts), {{"axis", int64_t{0}}});
  return b.op("Reshape", {x, shape}, {{"allowzero", int64_t{1}}});
}

SymbolicOperand permute(Builder& b, const SymbolicOperand& o, const Labels& order) {
  if (o.labels == order) return o;
  std::vector<int64_t> perm;
  for (const int l : order) {
    perm.push_back(std::find(o.labels.begin(), o.labels.end(), l) - o.labels.begin());
  }
  return {b.op("Transpose", {o.value}, {{"perm", perm}}), order};
}

// Sums away the labels that are not in `keep`.
SymbolicOperand reduce_to(Builder& b, const SymbolicOperand& o, const Labels& keep) {
  std::vector<int64_t> axes;
  Labels left;
  for (size_t i = 0; i < o.labels.size(); ++i) {
    if (has_label(keep, o.labels[i])) {
      left.push_back(o.labels[i]);
    } else {
      axes.push_back(static_cast<int64_t>(i));
    }
  }
  if (axes.empty()) return o;
  return {b.op("ReduceSum", {o.value, b.ints(axes)}, {{"keepdims", int64_t{0}}}), left};
}

Labels joined(const Labels& a, const Labels& b, const Labels& c = {}) {
  Labels all = a;
  all.insert(all.end(), b.begin(), b.end());
  all.insert(all.end(), c.begin(), c.end());
  return all;
}

// The product over shared labels, summed over those that are not in `keep`.
SymbolicOperand multiply(Builder& b, const SymbolicOperand& x, const SymbolicOperand& y,
                         const Labels& keep) {
  Labels batch, rows, inner, columns;
  for (const int l : x.labels) {
    Labels& group = !has_label(y.labels, l) ? rows : has_label(keep, l) ? batch : inner;
    group.push_back(l);
  }
  for (const int l : y.labels) {
    if (!has_label(x.labels, l)) columns.push_back(l);
  }
  const SymbolicOperand left = permute(b, x, joined(batch, rows, inner));
  const SymbolicOperand right = permute(b, y, joined(batch, inner, columns));
  const Labels result = joined(batch, rows, columns);
  const size_t nb = batch.size(), nr = rows.size(), ni = inner.size(), nc = columns.size();
  if (ni == 0) {
    // Nothing is summed: an elementwise product over dimensions of size 1.
    auto widen = [&](ValueId v, size_t first, size_t count) {
      if (count == 0) return v;
      std::vector<int64_t> axes;
      for (size_t i = 0; i < count; ++i) axes.push_back(static_cast<int64_t>(first + i));
      return b.op("Unsqueeze", {v, b.ints(axes)});
    };
    return {b.op("Mul", {widen(left.value, nb + nr, nc), widen(right.value, nb, nr)}), result};
  }
  if (nr == 1 && ni == 1 && nc == 1) return {b.op("MatMul", {left.value, right.value}), result};
  // Several labels of a kind become one dimension, none a dimension of 1.
  auto matrices = [&](ValueId v, size_t first, size_t second) {
    std::vector<ValueId> parts;
    if (nb > 0) parts.push_back(dims_of(b, v, 0, nb));
    parts.push_back(b.op("ReduceProd", {dims_of(b, v, nb, nb + first)}));
    parts.push_back(b.op("ReduceProd", {dims_of(b, v, nb + first, nb + first + second)}));
    return reshape(b, v, std::move(parts));
  };
  const ValueId product =
      b.op("MatMul", {matrices(left.value, nr, ni), matrices(right.value, ni, nc)});
  std::vector<ValueId> parts;
  if (nb > 0) parts.push_back(dims_of(b, product, 0, nb));
  if (nr > 0) parts.push_back(dims_of(b, left.value, nb, nb + nr));
  if (nc > 0) parts.push_back(dims_of(b, right.value, nb + ni, nb + ni + nc));
  if (parts.empty()) parts.push_back(b.ints({}));
  return {reshape(b, product, std::move(parts)), result};
}

// Whether some operand may have another size than 1 for `label`.
bool others_differ(const Builder& b, const Node& node, const EinsumEquation& e, int label) {
  for (size_t i = 0; i < e.terms.size(); ++i) {
    for (size_t d = 0; d < e.terms[i].size(); ++d) {
      if (e.terms[i][d] == label && !(*b.type(node.inputs[i]).shape)[d].is(1)) return true;
    }
  }
  return false;
}

}  // namespace

Result<std::vector<ValueId>> decompose_einsum(Builder& b, const Node& node) {
  std::vector<size_t> ranks;
  for (size_t i = 0; i < node.own_inputs(); ++i) {
    const Type& type = b.type(node.inputs[i]);
    if (!type.shape) return unsupported("Einsum of unknown rank cannot be decomposed");
    ranks.push_back(type.rank());
  }
  const DType dtype = b.type(node.inputs[0]).dtype;
  if (!is_float(dtype) && dtype_bits(dtype) < 32) {
    return unsupported("Einsum of " + std::string(dtype_name(dtype)) + " cannot be decomposed");
  }
  const std::string text = AttributeReader(node, *find_op("Einsum")).attr_string("equation");
  MNN_ASSIGN_OR_RETURN(const EinsumEquation e, parse_einsum(text, ranks));
  std::vector<SymbolicOperand> operands;
  for (size_t i = 0; i < e.terms.size(); ++i) {
    const Labels& labels = e.terms[i];
    const Shape& shape = *b.type(node.inputs[i]).shape;
    for (size_t d = 0; d < labels.size(); ++d) {
      if (std::count(labels.begin(), labels.end(), labels[d]) > 1) {
        return unsupported("Einsum with a diagonal cannot be decomposed");
      }
      // A matrix product does not broadcast the dimension it sums.
      if (!has_label(e.output, labels[d]) && shape[d].is(1) &&
          others_differ(b, node, e, labels[d])) {
        return unsupported("Einsum that broadcasts a summed label cannot be decomposed");
      }
    }
    operands.push_back({node.inputs[i], labels});
  }
  auto needed = [&](size_t operand, bool later_only) {
    Labels keep = e.output;
    for (size_t k = later_only ? operand + 1 : 0; k < e.terms.size(); ++k) {
      if (k != operand) keep = joined(keep, e.terms[k]);
    }
    return keep;
  };
  for (size_t i = 0; i < operands.size(); ++i) {
    operands[i] = reduce_to(b, operands[i], needed(i, false));
  }
  SymbolicOperand all = operands[0];
  for (size_t i = 1; i < operands.size(); ++i) {
    const Labels keep = needed(i, true);
    all = reduce_to(b, multiply(b, all, operands[i], keep), keep);
  }
  all = permute(b, all, e.output);
  if (all.value == node.inputs[0]) all.value = b.op("Identity", {all.value});
  return std::vector<ValueId>{all.value};
}

}  // namespace mnn
