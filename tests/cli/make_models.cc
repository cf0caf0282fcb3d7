// Writes the small models and tensors the command-line cases use into a folder: make_cli_models
// DIR.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "libruntime/core/io/npy.h"
#include "libruntime/core/tensor.h"
#include "onnx_model.pb.h"

namespace {

using namespace mnn::onnx;
constexpr int kFloat = 1, kInt64 = 7, kFloat16 = 10;

// The same numbers everywhere: no library's random generator.
class Noise {
 public:
  float next() {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<float>(static_cast<double>(state_ >> 40) / (1 << 24)) - 0.5f;
  }

 private:
  uint64_t state_ = 7;
};

class ModelBuilder {
 public:
  explicit ModelBuilder(int opset, int type = kFloat) : type_(type) {
    model_.set_ir_version(8);
    model_.set_producer_name("make_cli_models");
    auto* import = model_.add_opset_import();
    import->set_domain("");
    import->set_version(opset);
    model_.mutable_graph()->set_name("main");
  }
  // dims: a number is known, anything else is a symbol.
  void value(ValueInfoProto* info, const std::string& name, const std::vector<std::string>& dims,
             int type) {
    info->set_name(name);
    auto* tensor = info->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    tensor->mutable_shape();
    for (const std::string& d : dims) {
      auto* dim = tensor->mutable_shape()->add_dim();
      if (d.find_first_not_of("0123456789") == std::string::npos)
        dim->set_dim_value(std::stoll(d));
      else
        dim->set_dim_param(d);
    }
  }
  void input(const std::string& name, const std::vector<std::string>& dims) {
    input(name, dims, type_);
  }
  void input(const std::string& name, const std::vector<std::string>& dims, int type) {
    value(model_.mutable_graph()->add_input(), name, dims, type);
  }
  static void sequence(ValueInfoProto* info, const std::string& name) {
    info->set_name(name);
    auto* element = info->mutable_type()->mutable_sequence_type()->mutable_elem_type();
    element->mutable_tensor_type()->set_elem_type(kFloat);
  }
  void sequence_input(const std::string& name) {
    sequence(model_.mutable_graph()->add_input(), name);
  }
  void sequence_output(const std::string& name) {
    sequence(model_.mutable_graph()->add_output(), name);
  }
  void output(const std::string& name, const std::vector<std::string>& dims) {
    value(model_.mutable_graph()->add_output(), name, dims, type_);
  }
  void weights(const std::string& name, const std::vector<int64_t>& dims, float scale,
               float offset = 0) {
    auto* t = model_.mutable_graph()->add_initializer();
    t->set_name(name);
    t->set_data_type(type_);
    int64_t n = 1;
    for (const int64_t d : dims) {
      t->add_dims(d);
      n *= d;
    }
    for (int64_t i = 0; i < n; ++i) {
      const float x = noise_.next() * scale + offset;
      if (type_ == kFloat16) {
        t->add_int32_data(mnn::float_to_half_bits(x));
      } else {
        t->add_float_data(x);
      }
    }
  }
  void numbers(const std::string& name, const std::vector<int64_t>& dims,
               const std::vector<float>& values) {
    auto* t = model_.mutable_graph()->add_initializer();
    t->set_name(name);
    t->set_data_type(kFloat);
    for (const int64_t d : dims) t->add_dims(d);
    for (const float v : values) t->add_float_data(v);
  }
  void integers(const std::string& name, const std::vector<int64_t>& values) {
    auto* t = model_.mutable_graph()->add_initializer();
    t->set_name(name);
    t->set_data_type(TensorProto::INT64);
    t->add_dims(static_cast<int64_t>(values.size()));
    for (const int64_t v : values) t->add_int64_data(v);
  }
  NodeProto* node(const std::string& op, const std::string& name,
                  const std::vector<std::string>& inputs, const std::string& output) {
    auto* n = model_.mutable_graph()->add_node();
    n->set_op_type(op);
    n->set_name(name);
    for (const std::string& i : inputs) n->add_input(i);
    n->add_output(output);
    return n;
  }
  static void ints(NodeProto* n, const std::string& name, const std::vector<int64_t>& values) {
    auto* a = n->add_attribute();
    a->set_name(name);
    a->set_type(AttributeProto::INTS);
    for (const int64_t v : values) a->add_ints(v);
  }
  static void number(NodeProto* n, const std::string& name, int64_t value) {
    auto* a = n->add_attribute();
    a->set_name(name);
    a->set_type(AttributeProto::INT);
    a->set_i(value);
  }
  void write(const std::string& path) const {
    std::ofstream file(path, std::ios::binary);
    model_.SerializeToOstream(&file);
  }

 private:
  ModelProto model_;
  Noise noise_;
  const int type_;  // of inputs, outputs and weights
};

struct CnnOptions {
  std::string batch = "1";
  float depthwise_scale = 0.6f;
  int64_t classes = 10;
  bool nan_weights = false;  // of the classifier
  bool edited = false;       // a Sigmoid more, another pooling, no Relu behind the residual
  int type = kFloat;
};

// Conv, BatchNormalization, Relu, a depthwise Conv with a residual, pooling, Gemm, Softmax.
ModelBuilder small_cnn(const CnnOptions& o = {}) {
  const int64_t classes = o.classes;
  ModelBuilder m(13, o.type);
  m.input("x", {o.batch, "3", "16", "16"});
  m.output("y", {o.batch, std::to_string(classes)});
  m.weights("w1", {16, 3, 3, 3}, 0.6f);
  m.weights("scale", {16}, 0.2f, 1.0f);
  m.weights("shift", {16}, 0.2f);
  m.weights("mean", {16}, 0.2f);
  m.weights("var", {16}, 0.2f, 1.0f);
  m.weights("w2", {16, 1, 3, 3}, o.depthwise_scale);
  m.weights("b2", {16}, 0.2f);
  m.weights("w3", {classes, 16}, 0.8f, o.nan_weights ? std::nanf("") : 0.0f);
  m.weights("b3", {classes}, 0.2f);
  ModelBuilder::ints(m.node("Conv", "stem", {"x", "w1"}, "c1"), "pads", {1, 1, 1, 1});
  m.node("BatchNormalization", "stem_bn", {"c1", "scale", "shift", "mean", "var"}, "n1");
  m.node("Relu", "stem_relu", {"n1"}, "r1");
  auto* dw = m.node("Conv", "depthwise", {"r1", "w2", "b2"}, "c2");
  ModelBuilder::ints(dw, "pads", {1, 1, 1, 1});
  ModelBuilder::number(dw, "group", 16);
  m.node("Add", "residual", {"c2", "r1"}, "a2");
  if (!o.edited) m.node("Relu", "residual_relu", {"a2"}, "r2");
  m.node(o.edited ? "GlobalMaxPool" : "GlobalAveragePool", "pool", {o.edited ? "a2" : "r2"}, "p");
  m.node("Flatten", "flatten", {"p"}, "f");
  if (o.edited) m.node("Sigmoid", "squash", {"f"}, "s");
  auto* fc = m.node("Gemm", "classifier", {o.edited ? "s" : "f", "w3", "b3"}, "g");
  ModelBuilder::number(fc, "transB", 1);
  m.node("Softmax", "softmax", {"g"}, "y");
  return m;
}

// Features of strides 2 and 4 joined again, as detectors do: it runs on images whose sides are
// multiples of 4.
ModelBuilder small_detector() {
  ModelBuilder m(13);
  m.input("images", {"n", "3", "h", "w"});
  m.output("boxes", {"n", "4", "rows", "columns"});
  m.weights("w1", {8, 3, 3, 3}, 0.6f);
  m.weights("w2", {8, 8, 3, 3}, 0.4f);
  m.weights("w3", {8, 8, 2, 2}, 0.4f);
  m.weights("w4", {4, 16, 1, 1}, 0.4f);
  const auto down = [&](const std::string& name, const std::string& x, const std::string& w,
                        const std::string& y) {
    auto* conv = m.node("Conv", name, {x, w}, y);
    ModelBuilder::ints(conv, "pads", {1, 1, 1, 1});
    ModelBuilder::ints(conv, "strides", {2, 2});
  };
  down("down2", "images", "w1", "a");
  m.node("Relu", "act2", {"a"}, "b");
  down("down4", "b", "w2", "c");
  m.node("Relu", "act4", {"c"}, "d");
  ModelBuilder::ints(m.node("ConvTranspose", "up", {"d", "w3"}, "e"), "strides", {2, 2});
  auto* axis = m.node("Concat", "join", {"b", "e"}, "f")->add_attribute();
  axis->set_name("axis");
  axis->set_type(AttributeProto::INT);
  axis->set_i(1);
  m.node("Conv", "head", {"f", "w4"}, "boxes");
  return m;
}

// Tokens of any number, each with a weight, to one vector a sequence.
ModelBuilder small_text_model() {
  ModelBuilder m(13);
  m.input("ids", {"batch", "length"}, kInt64);
  m.input("weight", {"batch", "length", "1"});
  m.output("y", {"batch", "length", "8"});
  m.weights("table", {50, 8}, 1.0f);
  m.weights("w", {8, 8}, 0.6f);
  m.node("Gather", "embed", {"table", "ids"}, "a");
  m.node("Mul", "weigh", {"a", "weight"}, "b");
  m.node("MatMul", "project", {"b", "w"}, "c");
  m.node("Relu", "act", {"c"}, "y");
  return m;
}

// Channels of very different sizes behind an activation: what smoothing is for.
ModelBuilder wide_channels() {
  ModelBuilder m(13);
  m.input("x", {"1", "3", "16", "16"});
  m.output("y", {"1", "10", "1", "1"});
  m.weights("w1", {12, 3, 3, 3}, 0.6f);
  m.weights("k", {12, 1, 1}, 6.0f, 3.05f);
  m.weights("w2", {10, 12, 1, 1}, 0.6f);
  m.node("Conv", "stem", {"x", "w1"}, "c1");
  m.node("Mul", "loud", {"c1", "k"}, "l1");
  m.node("Sigmoid", "gate", {"l1"}, "s1");
  m.node("Mul", "swish", {"l1", "s1"}, "a1");
  m.node("Conv", "head", {"a1", "w2"}, "c2");
  m.node("GlobalAveragePool", "pool", {"c2"}, "y");
  return m;
}

// Boxes in hundreds of pixels and scores below one in one output, from features of which the boxes
// read a loud channel and the scores the quiet ones: on one grid the scores die.
ModelBuilder two_units() {
  ModelBuilder m(13);
  m.input("x", {"1", "3", "16", "16"});
  m.output("y", {"1", "5", "16", "16"});
  m.numbers("w1", {4, 3, 1, 1},
            {300, -200, 250, 0.5f, -0.4f, 0.3f, -0.3f, 0.6f, 0.2f, 0.4f, 0.3f, -0.6f});
  m.numbers("w2", {2, 4, 1, 1}, {0.8f, 0.1f, 0.1f, 0.1f, 0.6f, 0.2f, 0.1f, 0.3f});
  m.numbers("w3", {3, 4, 1, 1}, {0, 4, -3, 2, 0, -2, 5, 1, 0, 3, 1, -4});
  m.numbers("b3", {3}, {-2, -1.5f, -2});
  m.weights("w0", {3, 3, 3, 3}, 1.2f);
  ModelBuilder::ints(m.node("Conv", "first", {"x", "w0"}, "c0"), "pads", {1, 1, 1, 1});
  m.node("Conv", "stem", {"c0", "w1"}, "c1");
  m.node("Relu", "stem_relu", {"c1"}, "a1");
  m.node("Conv", "box_head", {"a1", "w2"}, "boxes");
  m.node("Conv", "score_head", {"a1", "w3", "b3"}, "logits");
  m.node("Sigmoid", "score", {"logits"}, "scores");
  ModelBuilder::number(m.node("Concat", "join", {"boxes", "scores"}, "y"), "axis", 1);
  return m;
}

// Most of the work is an LSTM's.
ModelBuilder recurrent() {
  ModelBuilder m(13);
  m.input("x", {"6", "1", "8"});
  m.output("y", {"6", "1", "4"});
  m.weights("w", {1, 64, 8}, 0.6f);
  m.weights("r", {1, 64, 16}, 0.6f);
  m.weights("v", {16, 4}, 0.6f);
  auto* lstm = m.node("LSTM", "lstm", {"x", "w", "r"}, "h");
  auto* hidden = lstm->add_attribute();
  hidden->set_name("hidden_size");
  hidden->set_type(AttributeProto::INT);
  hidden->set_i(16);
  m.integers("axis", {1});
  m.node("Squeeze", "squeeze", {"h", "axis"}, "s");
  m.node("MatMul", "head", {"s", "v"}, "y");
  return m;
}

bool write_samples(const std::string& folder, int count, const std::vector<int64_t>& dims,
                   float scale = 2) {
  Noise noise;
  std::filesystem::create_directories(folder);
  for (int i = 0; i < count; ++i) {
    auto t = mnn::Tensor::allocate(mnn::DType::kF32, dims);
    for (int64_t e = 0; e < t->elements(); ++e) t->data<float>()[e] = scale * noise.next() + 0.0f;
    if (!mnn::write_npy(folder + "/sample_" + std::to_string(i) + ".npy", *t).ok()) return false;
  }
  return true;
}

// Inputs of sequences.onnx: the sequence [1 2], [3], and the tensor [4 5].
void write_sequence_inputs(const std::string& folder) {
  std::filesystem::create_directories(folder);
  SequenceProto sequence;
  sequence.set_elem_type(SequenceProto::TENSOR);
  const auto add = [&](const std::vector<float>& values) {
    TensorProto* t = sequence.add_tensor_values();
    t->set_data_type(kFloat);
    t->add_dims(static_cast<int64_t>(values.size()));
    for (const float v : values) t->add_float_data(v);
  };
  add({1, 2});
  add({3});
  std::ofstream file(folder + "/input_0.pb", std::ios::binary);
  sequence.SerializeToOstream(&file);
  TensorProto tensor;
  tensor.set_data_type(kFloat);
  tensor.add_dims(2);
  for (const float v : {4.0f, 5.0f}) tensor.add_float_data(v);
  std::ofstream tensor_file(folder + "/input_1.pb", std::ios::binary);
  tensor.SerializeToOstream(&tensor_file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_cli_models DIR\n";
    return 2;
  }
  const std::string dir = argv[1];
  small_cnn().write(dir + "/cnn.onnx");
  small_cnn({.batch = "n"}).write(dir + "/dynamic.onnx");
  small_cnn({.depthwise_scale = 0.3f}).write(dir + "/other_weights.onnx");
  small_cnn({.depthwise_scale = 0.78f}).write(dir + "/scaled.onnx");  // one layer, times 1.3
  small_cnn({.classes = 12}).write(dir + "/more_classes.onnx");
  small_cnn({.nan_weights = true}).write(dir + "/nan_weights.onnx");
  small_cnn({.edited = true}).write(dir + "/edited.onnx");
  small_cnn({.type = kFloat16}).write(dir + "/half.onnx");
  {
    ModelBuilder m(13);
    m.input("x", {"n", "24", "24"});
    m.output("y", {"n"});
    m.node("Relu", "relu", {"x"}, "r");
    m.node("Det", "volume", {"r"}, "y");
    m.write(dir + "/reference.onnx");
  }
  small_detector().write(dir + "/detector.onnx");
  small_text_model().write(dir + "/text_model.onnx");
  {
    ModelBuilder m(13);
    m.input("x", {"2", "h"});
    m.output("y", {"2", "h"});
    m.node("Relu", "relu", {"x"}, "r");
    m.node("Sigmoid", "sigmoid", {"r"}, "y");
    m.write(dir + "/open.onnx");
  }
  {
    ModelBuilder m(13);
    m.input("x", {"2"});
    m.output("y", {"2"});
    m.node("FooBar", "first", {"x"}, "a");
    m.node("Relu", "fine", {"a"}, "b");
    m.node("BarFoo", "second", {"b"}, "y");
    m.write(dir + "/unsupported.onnx");
  }
  {
    ModelBuilder m(13);
    m.input("x", {"2"});
    m.output("y", {"2"});
    m.node("Add", "ahead", {"x", "b"}, "a");
    m.node("Relu", "back", {"a"}, "b");
    m.node("Relu", "end", {"b"}, "y");
    m.write(dir + "/cycle.onnx");
  }
  {
    // A running sum whose memory the caller passes in and out.
    ModelBuilder m(13);
    m.input("x", {"1", "4"});
    m.input("sum", {"1", "4"});
    m.input("factor", {"1"});
    m.output("y", {"1", "4"});
    m.output("total", {"1", "4"});
    m.node("Add", "add", {"x", "sum"}, "total");
    m.node("Mul", "scale", {"total", "factor"}, "y");
    m.write(dir + "/stream.onnx");
  }
  {
    ModelBuilder m(13);
    m.input("x", {"n", "m"});
    for (const char* output : {"y", "z", "y"}) m.output(output, {"n", "m"});
    m.node("Relu", "relu", {"x"}, "y");
    m.node("Neg", "negative", {"y"}, "z");
    m.write(dir + "/twice.onnx");
  }
  {
    // Sizes of sizes: the last nine columns, counted; every second column before the last two; as
    // many zeros as columns are missing to seven.
    ModelBuilder m(13);
    m.input("x", {"n", "m"});
    m.output("count", {"1"});
    m.output("part", {"n", "p"});
    m.output("zeros", {"q"});
    m.integers("minus_nine", {-9});
    m.integers("minus_two", {-2});
    m.integers("zero", {0});
    m.integers("one", {1});
    m.integers("two", {2});
    m.integers("seven", {7});
    m.integers("end", {INT64_MAX});
    m.node("Slice", "tail", {"x", "minus_nine", "end", "one"}, "t");
    m.node("Shape", "tail_shape", {"t"}, "ts");
    m.node("Gather", "count_columns", {"ts", "one"}, "c");
    ModelBuilder::number(m.node("Cast", "as_float", {"c"}, "count"), "to", kFloat);
    m.node("Slice", "cut", {"x", "zero", "minus_two", "one", "two"}, "part");
    m.node("Shape", "shape", {"x"}, "s");
    m.node("Gather", "columns", {"s", "one"}, "m1");
    m.node("Sub", "missing", {"seven", "m1"}, "d");
    m.node("Max", "at_least_none", {"d", "zero"}, "k");
    m.node("ConstantOfShape", "fill", {"k"}, "zeros");
    m.write(dir + "/sizes.onnx");
  }
  {
    ModelBuilder m(13);
    m.sequence_input("s");
    m.input("x", {"n"});
    m.sequence_output("t");
    m.output("y", {"m"});
    m.node("SequenceInsert", "insert", {"s", "x"}, "t");
    ModelBuilder::number(m.node("ConcatFromSequence", "join", {"t"}, "y"), "axis", 0);
    m.write(dir + "/sequences.onnx");
  }
  write_sequence_inputs(dir + "/sequences");
  std::ofstream(dir + "/text.onnx") << "this is no model\n";
  wide_channels().write(dir + "/wide_channels.onnx");
  recurrent().write(dir + "/recurrent.onnx");
  two_units().write(dir + "/two_units.onnx");
  const std::vector<int64_t> image = {1, 3, 16, 16};
  const bool written = write_samples(dir + "/samples", 8, image) &&
                       write_samples(dir + "/black", 8, image, 0) &&
                       write_samples(dir + "/sequence_samples", 8, {6, 1, 8});
  return written ? 0 : 1;
}
