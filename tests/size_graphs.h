// Random graphs whose sizes are computed from sizes, for tests of inference and of what runs them.
#pragma once

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "libruntime/core/builder.h"
#include "libruntime/core/op.h"

namespace mnn {

// Random graphs over x: f32[n,m,4] and w: f32[k]: numbers computed from their sizes, and operators
// that take such numbers.
class SizeGraphs {
 public:
  explicit SizeGraphs(uint32_t seed) : random_(seed), b_(g_) {
    x_ = g_.add_input("x", tensor_type(DType::kF32, {Dim::symbol("n"), Dim::symbol("m"), Dim(4)}));
    w_ = g_.add_input("w", tensor_type(DType::kF32, {Dim::symbol("k")}));
    tensors_ = {x_, w_};
  }

  Graph make() {
    for (int i = 0; i < 3; ++i) numbers_.push_back(size_of(i < 2 ? x_ : w_, i % 2));
    for (int i = 2 + pick(6); i > 0; --i) numbers_.push_back(number());
    for (int i = 1 + pick(3); i > 0; --i) use();
    for (const ValueId v : numbers_) g_.outputs.push_back(v);
    for (size_t i = 2; i < tensors_.size(); ++i) g_.outputs.push_back(tensors_[i]);
    for (size_t i = 0; i < g_.outputs.size(); ++i) {
      g_.value(g_.outputs[i]).name = "y" + std::to_string(i);
    }
    return g_;
  }

 private:
  int pick(int count) { return static_cast<int>(random_() % static_cast<uint32_t>(count)); }
  ValueId literal(int64_t v) { return b_.constant(Tensor::scalar<int64_t>(v)); }
  ValueId any_number() {
    return numbers_[static_cast<size_t>(pick(static_cast<int>(numbers_.size())))];
  }
  ValueId operand() { return pick(2) ? literal(pick(15) - 5) : any_number(); }
  ValueId list_of(ValueId number) { return b_.op("Unsqueeze", {number, b_.ints({0})}); }
  ValueId size_of(ValueId tensor, int64_t axis) {
    return b_.op("Gather", {b_.op("Shape", {tensor}), literal(axis)}, {{"axis", int64_t{0}}});
  }

  ValueId number() {
    static constexpr const char* kBinary[] = {"Add", "Sub", "Mul", "Div", "Mod", "Max", "Min"};
    const ValueId a = any_number(), b = operand();
    switch (pick(12)) {
      case 0: return b_.op("Neg", {a});
      case 1: return b_.op("Abs", {b_.op("Sub", {a, b})});
      case 2: return b_.op("Mod", {a, b}, {{"fmod", int64_t{1}}});
      case 3: {
        static constexpr const char* kTests[] = {"Greater", "Less", "Equal", "LessOrEqual"};
        return b_.op("Where", {b_.op(kTests[pick(4)], {a, b}), operand(), any_number()});
      }
      case 4: {
        static constexpr const char* kFolds[] = {"ReduceMax", "ReduceMin", "ReduceSum",
                                                 "ReduceProd"};
        const ValueId list =
            b_.op("Concat", {list_of(a), list_of(b), list_of(operand())}, {{"axis", int64_t{0}}});
        return b_.op(kFolds[pick(4)], {list, b_.ints({0})}, {{"keepdims", int64_t{0}}});
      }
      case 5:
        return b_.op("Cast", {b_.op("Cast", {a}, {{"to", static_cast<int64_t>(DType::kI32)}})},
                     {{"to", static_cast<int64_t>(DType::kI64)}});
      case 6: {
        // ceil(a / 2) or the like through floats.
        const auto to = [](DType t) {
          return Builder::Attributes{{"to", static_cast<int64_t>(t)}};
        };
        const ValueId real = b_.op("Mul", {b_.op("Cast", {a}, to(DType::kF32)), b_.scalar(0.5f)});
        return b_.op("Cast", {pick(2) ? b_.op(pick(2) ? "Ceil" : "Floor", {real}) : real},
                     to(DType::kI64));
      }
      default: return b_.op(kBinary[pick(7)], {a, b});
    }
  }

  // A number that is no negative size, most of the time.
  ValueId size() {
    const ValueId v = any_number();
    return pick(5) ? b_.op("Min", {b_.op("Max", {v, literal(pick(2))}), literal(12)}) : v;
  }
  ValueId bound() {
    if (pick(3)) return list_of(operand());
    static constexpr int64_t kFar[] = {INT64_MAX, INT64_MIN, INT32_MAX, -INT32_MAX, 0, -1};
    return b_.ints({kFar[pick(6)]});
  }

  void use() {
    const ValueId t = tensors_[static_cast<size_t>(pick(static_cast<int>(tensors_.size())))];
    const size_t rank =
        ranks_[static_cast<size_t>(t)] ? ranks_[static_cast<size_t>(t)] : (t == x_ ? 3 : 1);
    ValueId made = kNoValue;
    size_t made_rank = rank;
    switch (pick(11)) {
      case 0:
      case 1:
      case 2: {
        static constexpr int64_t kSteps[] = {1, 1, 1, 2, 3, -1, -2};
        made = b_.op("Slice", {t, bound(), bound(), b_.ints({pick(static_cast<int>(rank))}),
                               b_.ints({kSteps[pick(7)]})});
        break;
      }
      case 3: {
        static constexpr int64_t kDeltas[] = {1, 2, -1, -3};
        made = b_.op("Range", {operand(), any_number(), literal(kDeltas[pick(4)])});
        made_rank = 1;
        break;
      }
      case 4:
        made = b_.op("ConstantOfShape", {list_of(size())});
        made_rank = 1;
        break;
      case 5: {
        std::vector<ValueId> entries(rank, kNoValue);
        for (ValueId& e : entries) e = pick(2) ? b_.ints({1}) : list_of(size());
        made = b_.op("Tile", {t, b_.op("Concat", entries, {{"axis", int64_t{0}}})});
        break;
      }
      case 6:
        made = b_.op(
            "Pad",
            {t, b_.op("Concat", {list_of(size()), list_of(operand())}, {{"axis", int64_t{0}}}),
             kNoValue, b_.ints({pick(static_cast<int>(rank))})});
        break;
      case 7:
        made = b_.op("Expand",
                     {b_.op("Unsqueeze", {w_, b_.ints({0})}),
                      b_.op("Concat", {list_of(size()), list_of(pick(2) ? literal(1) : size())},
                            {{"axis", int64_t{0}}})});
        made_rank = 2;
        break;
      case 8: {
        const ValueId first = pick(2) ? list_of(any_number()) : b_.ints({pick(3) - 1});
        made = b_.op("Reshape",
                     {t, b_.op("Concat", {first, pick(2) ? b_.ints({-1}) : list_of(any_number())},
                               {{"axis", int64_t{0}}})});
        made_rank = 2;
        break;
      }
      case 9: made = b_.op("Concat", {t, t}, {{"axis", pick(static_cast<int>(rank))}}); break;
      default: {
        // Pooling along the last axis, which may be too short for it.
        const ValueId image = b_.op("Reshape", {t, b_.ints({1, 1, -1})});
        const int64_t stride = 1 + pick(3), kernel = 1 + pick(4),
                      pad = pick(static_cast<int>(kernel));
        made = b_.op("MaxPool", {image},
                     {{"kernel_shape", std::vector<int64_t>{kernel}},
                      {"strides", std::vector<int64_t>{stride}},
                      {"pads", std::vector<int64_t>{pad, pick(static_cast<int>(kernel))}},
                      {"ceil_mode", int64_t{pick(2)}}});
        made_rank = 3;
        break;
      }
    }
    if (g_.nodes.back().op == "Range") {
      made = b_.op("Cast", {made}, {{"to", static_cast<int64_t>(DType::kF32)}});
    }
    ranks_[static_cast<size_t>(made)] = made_rank;
    tensors_.push_back(made);
    // A size of what was made is as good a number as any.
    numbers_.push_back(size_of(made, pick(static_cast<int>(made_rank))));
    if (pick(2)) numbers_.push_back(number());
  }

  std::mt19937 random_;
  Graph g_;
  Builder b_;
  ValueId x_, w_;
  std::vector<ValueId> numbers_, tensors_;
  std::map<size_t, size_t> ranks_;
};

// Sizes to bind: also those that slices and windows do not fit, 1 and 0.
inline const std::vector<Bindings>& size_bindings() {
  static const std::vector<Bindings> all = {{{"n", 2}, {"m", 5}, {"k", 3}},
                                            {{"n", 7}, {"m", 1}, {"k", 8}},
                                            {{"n", 1}, {"m", 12}, {"k", 1}},
                                            {{"n", 0}, {"m", 3}, {"k", 5}}};
  return all;
}

inline std::vector<Tensor> size_inputs(const Bindings& bindings) {
  std::vector<Tensor> inputs;
  const std::vector<int64_t> shapes[] = {{bindings.at("n"), bindings.at("m"), 4},
                                         {bindings.at("k")}};
  for (const std::vector<int64_t>& dims : shapes) {
    Tensor t = *Tensor::allocate(DType::kF32, dims);
    for (int64_t i = 0; i < t.elements(); ++i) t.data<float>()[i] = static_cast<float>(i % 7) - 2;
    inputs.push_back(std::move(t));
  }
  return inputs;
}

}  // namespace mnn
