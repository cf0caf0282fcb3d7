// Embeddings.
#include <limits>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

void embedding(Call& c) { c.give(c.gather(c.tensor("weight"), c.tensor("indices"), 0)); }

// Bags of rows: 0 sum, 1 mean, 2 max. Bag b holds the indices from offsets[b] up to the next one.
void embedding_bag(Call& c) {
  const ValueId weight = c.tensor("weight"), indices = c.tensor("indices");
  const ValueId offsets = c.cast(c.tensor("offsets"), DType::kI64);
  const int64_t mode = c.integer("mode");
  if (c.rank(indices) != 1 || c.rank(offsets) != 1) {
    return c.fail(invalid("expected indices and offsets of rank 1"));
  }
  const DType type = c.dtype_of(weight);
  const bool last = c.flag("include_last_offset");
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  const IntArg length = c.size(indices, 0);
  const ValueId begin = last ? c.slice(offsets, 0, IntArg{0}, IntArg{-1}) : offsets;
  const ValueId end =
      last ? c.slice(offsets, 0, IntArg{1}, IntArg{kEnd})
           : c.concat({c.slice(offsets, 0, IntArg{1}, IntArg{kEnd}), c.list_of({length})}, 0);
  // inside[b, i]: index i is in bag b, and is no padding.
  const ValueId places = c.expand_dims(c.range(IntArg{0}, length, IntArg{1}), {0});
  ValueId inside = c.binary("And", c.binary("LessOrEqual", c.expand_dims(begin, {1}), places),
                            c.binary("Less", places, c.expand_dims(end, {1})));
  if (c.has_param("padding_idx") && !c.none("padding_idx")) {
    int64_t padding = c.integer("padding_idx");
    if (padding < 0) padding += c.known_dim(weight, 0);
    if (!(c.overload_is("") && c.integer("padding_idx") < 0)) {
      const ValueId used = c.unary(
          "Not",
          c.binary("Equal", indices, c.number(static_cast<double>(padding), c.dtype_of(indices))));
      inside = c.binary("And", inside, c.expand_dims(used, {0}));
    }
  }
  const ValueId rows = c.gather(weight, indices, 0);
  ValueId y = kNoValue;
  if (mode == 2) {
    const ValueId some =
        c.expand_dims(c.reduce("ReduceMax", c.cast(inside, DType::kI32), {1}, false), {1});
    const ValueId lowest = c.number(-std::numeric_limits<float>::infinity(), type);
    const ValueId spread = c.where(c.expand_dims(inside, {2}), c.expand_dims(rows, {0}), lowest);
    y = c.where(c.cast(some, DType::kBool), c.reduce("ReduceMax", spread, {1}, false),
                c.number(0, type));
  } else {
    ValueId share = c.cast(inside, type);
    if (!c.none("per_sample_weights")) {
      share = c.binary("Mul", share, c.expand_dims(c.tensor("per_sample_weights"), {0}));
    }
    y = c.binary("MatMul", share, rows);
    if (mode == 1) {
      const ValueId count = c.reduce("ReduceSum", c.cast(inside, type), {1}, true);
      y = c.binary("Div", y, c.binary("Max", count, c.number(1, type)));
    }
  }
  c.give(y);
  for (int i = 0; i < 3; ++i) c.give(Arg());  // for training
}

}  // namespace

std::vector<RowText> embedding_rows() {
  return {
      {"embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool "
       "scale_grad_by_freq=False, bool sparse=False) -> Tensor",
       "Gather", embedding},
      {"embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool "
       "scale_grad_by_freq=False, int mode=0, bool sparse=False, Tensor? per_sample_weights=None, "
       "bool include_last_offset=False) -> (Tensor, Tensor, Tensor, Tensor)",
       "Gather, MatMul", embedding_bag},
      {"embedding_bag.padding_idx(Tensor weight, Tensor indices, Tensor offsets, bool "
       "scale_grad_by_freq, int mode, bool sparse, Tensor? per_sample_weights, bool "
       "include_last_offset, int? padding_idx) -> (Tensor, Tensor, Tensor, Tensor)",
       "Gather, MatMul", embedding_bag},
      {"_embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool "
       "scale_grad_by_freq=False, int mode=0, bool sparse=False, Tensor? per_sample_weights=None, "
       "bool include_last_offset=False, int padding_idx=-1) -> (Tensor, Tensor, Tensor, Tensor)",
       "Gather, MatMul", embedding_bag},
      {"_embedding_bag_forward_only(Tensor weight, Tensor indices, Tensor offsets, bool "
       "scale_grad_by_freq=False, int mode=0, bool sparse=False, Tensor? per_sample_weights=None, "
       "bool include_last_offset=False, int padding_idx=-1) -> (Tensor, Tensor, Tensor, Tensor)",
       "Gather, MatMul", embedding_bag},
  };
}

}  // namespace mnn::torch
