#include "libconvert/frontends/common/tensor_node.h"

namespace mnn::frontend {
namespace {

Ints to_first(size_t rank) {
  Ints perm = {0, static_cast<int64_t>(rank) - 1};
  for (size_t i = 1; i + 1 < rank; ++i) perm.push_back(static_cast<int64_t>(i));
  return perm;
}
Ints to_last(size_t rank) {
  Ints perm = {0};
  for (size_t i = 2; i < rank; ++i) perm.push_back(static_cast<int64_t>(i));
  perm.push_back(1);
  return perm;
}

}  // namespace

bool TensorNode::expect_inputs(size_t least, size_t most) {
  if (!status.ok()) return false;
  size_t found = inputs.size();
  while (found > 0 && inputs[found - 1] == kNoValue) --found;
  if (found > most || found < least) {
    fail(invalid("expected " + std::to_string(least) +
                 (least == most ? "" : " to " + std::to_string(most)) + " inputs, found " +
                 std::to_string(found)));
    return false;
  }
  for (size_t i = 0; i < least; ++i) {
    if (!has(i)) {
      fail(invalid("input " + std::to_string(i) + " is missing"));
      return false;
    }
  }
  return true;
}

ValueId TensorNode::move(std::string_view type, ValueId x, std::vector<ValueId> rest,
                         Attributes attrs) {
  rest.insert(rest.begin(), x);
  const ValueId y = emit(type, std::move(rest), std::move(attrs));
  const QuantParams* q = quant(x);
  if (y != kNoValue && q != nullptr && q->axis < 0 && graph.value(x).kind != ValueKind::kConstant) {
    const QuantParams copy = *q;
    graph.value(y).quant = copy;
  }
  return y;
}

ValueId TensorNode::transpose(ValueId x, const Ints& perm) {
  return move("Transpose", x, {}, {{"perm", perm}});
}

ValueId TensorNode::channels_first(ValueId x) {
  if (x == kNoValue || !status.ok()) return kNoValue;
  const auto known = layouts.first.find(x);
  if (known != layouts.first.end()) return known->second;
  const Type& type = type_of(x);
  if (!type.shape || type.rank() < 3) {
    fail(invalid("expected an image with channels, found " + type.str()));
    return kNoValue;
  }
  const ValueId y = transpose(x, to_first(type.rank()));
  if (y != kNoValue) {
    layouts.first.emplace(x, y);
    layouts.last.emplace(y, x);
  }
  return y;
}

ValueId TensorNode::channels_last(ValueId y) {
  if (y == kNoValue || !status.ok()) return kNoValue;
  const auto known = layouts.last.find(y);
  if (known != layouts.last.end()) return known->second;
  const Type& type = type_of(y);
  if (!type.shape || type.rank() < 3) {
    fail(invalid("expected an image with channels, found " + type.str()));
    return kNoValue;
  }
  const ValueId x = transpose(y, to_last(type.rank()));
  if (x != kNoValue) {
    layouts.first.emplace(x, y);
    layouts.last.emplace(y, x);
  }
  return x;
}

ValueId TensorNode::zero_of(DType dtype) {
  Result<Tensor> zero = Tensor::allocate(dtype, {});
  if (zero.ok()) return add_constant(std::move(zero).value());
  fail(zero.status());
  return kNoValue;
}

ValueId TensorNode::shape_operand(size_t i) {
  if (!has(i)) {
    fail(invalid("input " + std::to_string(i) + " is missing"));
    return kNoValue;
  }
  if (const auto values = ints(i)) return add_ints(*values);
  const ValueId v = cast(in(i), DType::kI64);
  const auto r = rank(i);
  if (r && *r == 1) return v;
  return emit("Reshape", {v, add_ints({-1})});
}

std::optional<Ints> TensorNode::known_ints(size_t i) const {
  auto values = ints(i);
  if (values || !has(i)) return values;
  const ShapeValues* known = draft.types.known(inputs[i]);
  if (known == nullptr) return std::nullopt;
  Ints out;
  for (const Dim& d : *known) {
    if (!d.known()) return std::nullopt;
    out.push_back(d.value());
  }
  return out;
}

Ints TensorNode::need_ints(size_t i, const char* what) {
  if (!status.ok()) return {};
  auto values = known_ints(i);
  if (values) return *values;
  fail(unsupported(std::string(what) + " must be constant"));
  return {};
}

int64_t TensorNode::need_int(size_t i, const char* what) {
  const Ints values = need_ints(i, what);
  if (status.ok() && values.size() != 1)
    fail(invalid("expected one number for " + std::string(what)));
  return status.ok() ? values[0] : 0;
}

std::optional<Ints> TensorNode::known_dims_of(ValueId v) const {
  const Type& type = type_of(v);
  if (!type.is_static()) return std::nullopt;
  return known_dims(*type.shape);
}

ValueId TensorNode::joined(const std::vector<ValueId>& parts) {
  Ints all;
  for (const ValueId p : parts) {
    const Tensor* t = p == kNoValue ? nullptr : graph.constant(p);
    const auto values = t != nullptr ? t->to_ints() : Result<Ints>(invalid(""));
    if (!values.ok()) return emit("Concat", parts, {{"axis", int64_t{0}}});
    all.insert(all.end(), values->begin(), values->end());
  }
  return add_ints(all);
}

}  // namespace mnn::frontend
