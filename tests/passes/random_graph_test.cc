// Optimizing a graph must not change what it computes: random graphs of image operators before and
// after, on random inputs.
#include <gtest/gtest.h>

#include "libconvert/convert.h"
#include "libruntime/core/builder.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "tests/passes/check.h"

namespace mnn {
namespace {

class GraphMaker {
 public:
  // With an open batch the first dim is a symbol in the end, and stays first.
  GraphMaker(uint64_t seed, bool open_batch) : state_(seed), b_(g_), open_batch_(open_batch) {}

  // A graph of `steps` random steps. All values have four dims.
  Graph make(int steps) {
    const int inputs = 1 + pick(2);
    for (int i = 0; i < inputs; ++i) {
      const int batch = open_batch_ ? 3 : 1 + pick(2);
      add(g_.add_input("x" + std::to_string(i),
                       tensor_type(DType::kF32, {batch, 1 + pick(4), 4 + pick(3), 5})));
    }
    for (int i = 0; i < steps; ++i) step();
    const int outputs = 1 + pick(2);
    for (int i = 0; i < outputs; ++i) {
      const ValueId v = values_[values_.size() - 1 - static_cast<size_t>(pick(2))];
      if (g_.value(v).kind == ValueKind::kTemporary && !g_.is_result(v)) {
        g_.value(v).name = "y" + std::to_string(i);
        g_.outputs.push_back(v);
      }
    }
    if (g_.outputs.empty()) g_.outputs.push_back(b_.op("Identity", {values_.back()}));
    if (open_batch_) {
      for (Value& v : g_.values) {
        if (v.kind == ValueKind::kTemporary) v.type = {};
      }
      for (const ValueId v : g_.inputs) (*g_.value(v).type.shape)[0] = Dim::symbol("n");
    }
    return std::move(g_);
  }

 private:
  int pick(int n) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int>((state_ >> 33) % static_cast<uint64_t>(n));
  }
  float number() { return static_cast<float>(pick(401) - 200) / 100; }
  ValueId any_value() {
    // Mostly recent ones, so that chains form.
    const int back = pick(3) ? 0 : pick(static_cast<int>(values_.size()));
    return values_[values_.size() - 1 - static_cast<size_t>(back)];
  }
  std::vector<int64_t> dims(ValueId v) { return known_dims(*g_.value(v).type.shape); }

  ValueId constant(std::vector<int64_t> shape, bool positive = false) {
    Tensor t = *Tensor::allocate(DType::kF32, shape);
    for (int64_t i = 0; i < t.elements(); ++i) {
      t.data<float>()[i] = positive ? 0.25f + std::abs(number()) : number();
    }
    return b_.constant(t);
  }
  ValueId ints(std::vector<int64_t> v) { return b_.constant(Tensor::ints(v)); }

  void add(ValueId v) { values_.push_back(v); }
  void emit(ValueId v) {
    Node& node = g_.nodes.back();
    auto types = infer_node(g_, node);
    ASSERT_TRUE(types.ok()) << node.op << ": " << types.status().message();
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      g_.value(node.outputs[i]).type = (*types)[i].type;
    }
    add(v);
  }
  void emit(const std::string& op, std::vector<ValueId> in, Builder::Attributes a = {}) {
    emit(b_.op(op, std::move(in), std::move(a)));
  }
  // One step of several nodes.
  ValueId inner(const std::string& op, std::vector<ValueId> in, Builder::Attributes a = {}) {
    emit(op, std::move(in), std::move(a));
    const ValueId v = values_.back();
    values_.pop_back();
    return v;
  }

  ValueId operand(ValueId x) {
    const std::vector<int64_t> d = dims(x);
    switch (pick(5)) {
      case 0: return constant({});
      case 1: return constant({d[1], 1, 1});
      case 2: return constant({1, d[1], 1, 1});
      case 3: return constant({d[3]});
      default: return constant({1});
    }
  }

  void step() {
    const ValueId x = any_value();
    const std::vector<int64_t> d = dims(x);
    switch (pick(24)) {
      case 0:
      case 1:
      case 2: conv(x, d); break;
      case 3: emit("Relu", {x}); break;
      case 4: emit("Clip", {x, b_.scalar(0.0f), b_.scalar(6.0f)}); break;
      case 5: emit("Mul", {x, inner("Sigmoid", {x})}); break;
      case 6: emit("HardSigmoid", {x}, {{"alpha", 1.0 / 6}, {"beta", 0.5}}); break;
      case 7: {
        const ValueId clip =
            inner("Clip", {inner("Add", {x, b_.scalar(3.0f)}), b_.scalar(0.0f), b_.scalar(6.0f)});
        emit("Div", {inner("Mul", {x, clip}), b_.scalar(6.0f)});
        break;
      }
      case 8: emit("Add", {x, operand(x)}); break;
      case 9: emit("Mul", {operand(x), x}); break;
      case 10:
        emit("Sub", pick(2) ? std::vector{x, operand(x)} : std::vector{operand(x), x});
        break;
      case 11: emit("Div", {x, constant({1, d[1], 1, 1}, true)}); break;
      case 12:
        emit("BatchNormalization",
             {x, constant({d[1]}), constant({d[1]}), constant({d[1]}), constant({d[1]}, true)});
        break;
      case 13:
      case 14: residual(x, d); break;
      case 15: transpose(x); break;
      case 16: transpose(x); break;
      case 17: emit("Pad", {x, ints({0, 0, pick(2), pick(2), 0, 0, pick(2), pick(2)})}); break;
      case 18: emit("Concat", {x, x}, {{"axis", int64_t{pick(4)}}}); break;
      case 19: {
        const char* op = pick(2) ? "AveragePool" : "MaxPool";
        if (d[2] < 2 || d[3] < 2) break;
        emit(op, {x}, {{"kernel_shape", std::vector<int64_t>{2, 2}}});
        break;
      }
      case 20: emit("ReduceMean", {x, ints({2, 3})}, {{"keepdims", int64_t{1}}}); break;
      case 21: {
        const ValueId flat = inner("Flatten", {x}, {{"axis", int64_t{1}}});
        emit("Reshape", {flat, ints({0, d[1], d[2], d[3]})});
        break;
      }
      case 22: layer_norm(x, d); break;
      case 23: {
        const ValueId w = constant({d[3], d[3]});
        emit("Add", {inner("MatMul", {x, w}), constant({d[3]})});
        break;
      }
    }
    // Bounded sizes.
    if (g_.value(values_.back()).type.shape &&
        num_elements(*g_.value(values_.back()).type.shape).value() > 4000) {
      values_.pop_back();
    }
  }

  void conv(ValueId x, const std::vector<int64_t>& d) {
    Builder::Attributes a;
    const int64_t kh = 1 + pick(2), kw = 1 + pick(2), p = pick(2);
    if (d[2] + 2 * p < kh || d[3] + 2 * p < kw) return;
    a["pads"] = std::vector<int64_t>{p, p, p, p};
    const int64_t group = pick(2) ? 1 : d[1];
    a["group"] = group;
    const int64_t per_group = 1 + pick(3);
    const bool transposed = pick(4) == 0;
    std::vector<ValueId> in = {x};
    in.push_back(transposed ? constant({d[1], per_group, kh, kw})
                            : constant({per_group * group, d[1] / group, kh, kw}));
    if (pick(2)) in.push_back(constant({per_group * group}));
    if (transposed) {
      a["pads"] = std::vector<int64_t>{0, 0, 0, 0};
      emit("ConvTranspose", in, a);
    } else {
      emit("Conv", in, a);
    }
  }

  void residual(ValueId x, const std::vector<int64_t>& d) {
    for (size_t i = values_.size(); i-- > 0;) {
      if (values_[i] != x && dims(values_[i]) == d) {
        emit("Add", pick(2) ? std::vector{x, values_[i]} : std::vector{values_[i], x});
        return;
      }
    }
    emit("Add", {inner("Conv", {x, constant({d[1], d[1], 1, 1})}), x});
  }

  void transpose(ValueId x) {
    static const std::vector<std::vector<int64_t>> perms = {
        {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 1, 3, 2}, {1, 0, 2, 3}};
    emit("Transpose", {x}, {{"perm", perms[static_cast<size_t>(pick(open_batch_ ? 3 : 4))]}});
  }

  void layer_norm(ValueId x, const std::vector<int64_t>& d) {
    const ValueId mean = inner("ReduceMean", {x, ints({-1})});
    const ValueId diff = inner("Sub", {x, mean});
    const ValueId square =
        pick(2) ? inner("Pow", {diff, b_.scalar(2.0f)}) : inner("Mul", {diff, diff});
    const ValueId variance = inner("ReduceMean", {square, ints({3})});
    const ValueId deviation = inner("Sqrt", {inner("Add", {variance, b_.scalar(0.1f)})});
    const ValueId normal = inner("Div", {diff, deviation});
    emit("Add", {inner("Mul", {constant({d[3]}), normal}), constant({d[3]})});
  }

  Graph g_;
  uint64_t state_;
  Builder b_;
  bool open_batch_;
  std::vector<ValueId> values_;
};

TEST(RandomGraphs, KeepTheirResults) {
  int64_t before = 0, after = 0;
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    Graph g = GraphMaker(seed, seed % 3 == 0).make(3 + static_cast<int>(seed % 12));
    ASSERT_TRUE(infer_types(g).ok());
    Graph optimized = g;
    const auto report = optimize(optimized);
    ASSERT_TRUE(report.ok()) << "seed " << seed << ": " << report.status().message() << "\n"
                             << print_graph(g);
    // Inputs are about 1: an output near 0 is what was left of larger numbers, with their error.
    ASSERT_EQ(disagreement(g, optimized, seed, 2e-5, 0.1), "")
        << "seed " << seed << "\n"
        << print_graph(g) << print_graph(optimized);
    before += report->nodes_unfused;
    after += report->nodes_after;
    ASSERT_LE(report->nodes_after, report->nodes_unfused) << "seed " << seed;
    for (size_t i = 0; i < g.outputs.size(); ++i) {
      const Value &was = g.value(g.outputs[i]), &now = optimized.value(optimized.outputs[i]);
      ASSERT_EQ(was.name, now.name);
      ASSERT_EQ(was.type.str(), now.type.str()) << "seed " << seed;
    }

    Graph again = optimized;
    ASSERT_TRUE(optimize(again).ok());
    EXPECT_LE(count_plan_steps(again), count_plan_steps(optimized)) << "seed " << seed;
  }
  EXPECT_LT(after, before * 9 / 10);
}

TEST(RandomGraphs, WithoutFusionNothingIsFused) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Graph g = GraphMaker(seed, seed % 3 == 0).make(10);
    ASSERT_TRUE(infer_types(g).ok());
    Graph cleaned = g;
    OptimizeOptions options;
    options.fuse = false;
    ASSERT_TRUE(optimize(cleaned, options).ok());
    for (const Node& node : cleaned.nodes) EXPECT_TRUE(node.fused.empty());
    ASSERT_EQ(disagreement(g, cleaned, seed), "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace mnn
