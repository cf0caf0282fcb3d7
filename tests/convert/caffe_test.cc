// Caffe layers one by one (tests/convert/caffe/layers.txt), networks, and files that are none.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "caffe.pb.h"
#include "libconvert/frontends/caffe/frontend.h"
#include "libconvert/frontends/caffe/layer.h"
#include "libruntime/core/op.h"

namespace mnn::testing {
namespace {

std::span<const std::byte> bytes_of(const std::string& s) { return std::as_bytes(std::span(s)); }

std::vector<double> numbers(const Tensor& t) {
  const auto values = t.to_doubles();
  return values.ok() ? *values : std::vector<double>{};
}

// "1,2 = 3 4"
Tensor tensor(const std::string& text) {
  std::istringstream dims(text.substr(0, text.find('='))), values(text.substr(text.find('=') + 1));
  std::vector<int64_t> shape;
  for (std::string d; std::getline(dims, d, ',');) {
    if (d.find_first_not_of(' ') != std::string::npos) shape.push_back(std::stoll(d));
  }
  std::vector<float> data;
  for (float v = 0; values >> v;) data.push_back(v);
  data.resize(static_cast<size_t>(*checked_elements(shape)), data.empty() ? 0 : data.back());
  return Tensor::of<float>(shape, data);
}

struct Case {
  std::string name, layer;
  std::vector<std::string> inputs, blobs, outputs;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  std::ifstream in(MNN_CAFFE_CASES);
  for (std::string line; std::getline(in, line);) {
    const std::string word = line.substr(0, line.find(' '));
    const std::string rest = line.substr(std::min(line.size(), word.size() + 1));
    if (word == "case") all.push_back({rest, {}, {}, {}, {}});
    if (word == "layer") all.back().layer = rest;
    if (word == "in") all.back().inputs.push_back(rest);
    if (word == "blob") all.back().blobs.push_back(rest);
    if (word == "out") all.back().outputs.push_back(rest);
  }
  return all;
}

std::string input_layer(const std::string& name, const Tensor& t) {
  std::string text =
      "layer { name: \"" + name + "\" type: \"Input\" top: \"" + name + "\" input_param { shape {";
  for (const int64_t d : t.dims()) text += " dim: " + std::to_string(d);
  return text + " } } }\n";
}

void run(const Case& c) {
  std::string text, layer = "layer { name: \"l\" " + c.layer;
  std::vector<Tensor> feeds;
  for (const std::string& in : c.inputs) {
    const std::string name = "x" + std::to_string(feeds.size());
    feeds.push_back(tensor(in));
    text += input_layer(name, feeds.back());
    layer += " bottom: \"" + name + "\"";
  }
  for (size_t i = 0; i < c.outputs.size(); ++i) layer += " top: \"y" + std::to_string(i) + "\"";
  text += layer + " }\n";
  caffe::NetParameter weights;
  caffe::LayerParameter& l = *weights.add_layer();
  l.set_name("l");
  for (const std::string& blob : c.blobs) {
    caffe::BlobProto& b = *l.add_blobs();
    const Tensor t = tensor(blob);
    for (const float v : t.span<float>()) b.add_data(v);
  }
  const std::string stored = weights.SerializeAsString();
  auto model = import_caffe(bytes_of(text), bytes_of(stored));
  ASSERT_TRUE(model.ok()) << c.name << ": " << model.status().message();
  for (const bool optimized : {false, true}) {
    if (optimized) {
      const auto report = optimize(model->graph);
      ASSERT_TRUE(report.ok()) << c.name << ": " << report.status().message();
    }
    const auto out = run_reference(model->graph, feeds);
    ASSERT_TRUE(out.ok()) << c.name << ": " << out.status().message();
    ASSERT_EQ(out->size(), c.outputs.size()) << c.name;
    for (size_t i = 0; i < c.outputs.size(); ++i) {
      const Tensor expected = tensor(c.outputs[i]);
      ASSERT_EQ((*out)[i].dims(), expected.dims()) << c.name;
      const std::vector<double> a = numbers((*out)[i]), b = numbers(expected);
      // Expected numbers have six digits.
      for (size_t k = 0; k < a.size(); ++k) {
        EXPECT_NEAR(a[k], b[k], 1e-5 * std::max(1.0, std::abs(b[k]))) << c.name << " " << k;
      }
    }
  }
}

TEST(CaffeLayers, Cases) {
  for (const Case& c : cases()) run(c);
}

TEST(CaffeLayers, EveryTypeHasACase) {
  std::set<std::string> tested;
  for (const Case& c : cases()) {
    const size_t from = c.layer.find('"') + 1;
    tested.insert(c.layer.substr(from, c.layer.find('"', from) - from));
  }
  size_t types = 0;
  for (const std::string& type : caffe::supported_layers()) {
    ++types;
    if (caffe::is_data(type) || caffe::is_dropped(type)) continue;
    EXPECT_TRUE(tested.contains(type)) << type << " has no case";
  }
  EXPECT_GE(types, 60u);
}

// Layers that feed a network are inputs, those that only judge it are gone.
TEST(CaffeLayers, DataAndLosses) {
  const std::string relu = "layer { name: \"r\" type: \"ReLU\" bottom: \"data\" top: \"r\" }\n";
  for (const std::string& type : caffe::supported_layers()) {
    const bool data = caffe::is_data(type);
    if (!data && !caffe::is_dropped(type)) continue;
    const std::string text =
        data ? "layer { name: \"d\" type: \"" + type + "\" top: \"data\" }\n" + relu
             : "input: \"data\" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 2\n" + relu +
                   "layer { name: \"s\" type: \"Split\" bottom: \"r\" top: \"s\" top: \"t\" }\n" +
                   "layer { name: \"l\" type: \"" + type + "\" bottom: \"t\" top: \"l\" }\n";
    ImportOptions options;
    options.shapes["data"] = {1, 1, 1, 2};
    const auto model = import_caffe(bytes_of(text), {}, options);
    ASSERT_TRUE(model.ok()) << type << ": " << model.status().message();
    ASSERT_EQ(model->graph.inputs.size(), 1u) << type;
    const auto out = run_reference(model->graph, std::vector{tensor("1,1,1,2 = -1 2")});
    ASSERT_TRUE(out.ok()) << type << ": " << out.status().message();
    EXPECT_EQ(numbers((*out)[0]), (std::vector<double>{0, 2})) << type;
  }
}

constexpr const char* kOld =
    "name: \"old\"\ninput: \"data\"\ninput_dim: 1 input_dim: 1 input_dim: 1 input_dim: 2\n"
    "layers { name: \"ip\" type: INNER_PRODUCT bottom: \"data\" top: \"ip\"\n"
    "  inner_product_param { num_output: 1 } }\n"
    "layers { name: \"r\" type: RELU bottom: \"ip\" top: \"ip\" }\n"
    "layers { name: \"d\" type: DROPOUT bottom: \"ip\" top: \"ip\" include { phase: TRAIN } }\n";

std::string old_weights(int numbers) {
  caffe::NetParameter net;
  caffe::V1LayerParameter& l = *net.add_layers();
  l.set_name("ip");
  l.set_type(caffe::V1LayerParameter::INNER_PRODUCT);
  for (int i = 0; i < numbers; ++i) {
    if (i == 0) l.add_blobs();
    l.mutable_blobs(0)->add_data(static_cast<float>(i + 1));
  }
  l.add_blobs()->add_data(10);
  return net.SerializeAsString();
}

TEST(CaffeNetwork, FirstVersionInPlace) {
  const std::string text = kOld, weights = old_weights(2);
  const auto model = import_caffe(bytes_of(text), bytes_of(weights));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.value(model->graph.outputs[0]).name, "ip");
  const auto out = run_reference(model->graph, std::vector{tensor("1,1,1,2 = 1 2")});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(numbers((*out)[0]), std::vector<double>{15});
}

void expect_error(const std::string& text, const std::string& weights, Code code,
                  const std::string& part) {
  const auto model = import_caffe(bytes_of(text), bytes_of(weights));
  ASSERT_FALSE(model.ok()) << part;
  EXPECT_EQ(model.status().code(), code) << model.status().message();
  EXPECT_NE(model.status().message().find(part), std::string::npos) << model.status().message();
}

TEST(CaffeNetwork, WrongFiles) {
  expect_error(kOld, old_weights(3), Code::kInvalidArgument, "belong to another network");
  expect_error(kOld, "", Code::kInvalidArgument, "--import weights=FILE");
  expect_error(kOld, "no weights", Code::kInvalidArgument, "damaged or foreign");
  expect_error("layer { name: 7 }", "", Code::kInvalidArgument, "line 1");
  expect_error("layers { layer { name: \"a\" type: \"conv\" } }", "", Code::kUnsupported, "V0");
  expect_error("name: \"empty\"", "", Code::kInvalidArgument, "no layers");
  expect_error(
      "layer { name: \"a\" type: \"Odd\" top: \"a\" } layer { name: \"b\" type: \"Python\" top: "
      "\"b\" }",
      "", Code::kUnsupported, "Python");
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += "layer { include { ";
  expect_error(deep, "", Code::kInvalidArgument, "");
  const std::string unknown =
      "input: \"data\" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 2\n"
      "layer { name: \"r\" type: \"ReLU\" bottom: \"data\" top: \"r\" odd_param { a: 1 } }";
  const auto model = import_caffe(bytes_of(unknown), {});
  EXPECT_TRUE(model.ok()) << model.status().message();
}

TEST(CaffeNetwork, Mutations) {
  std::mt19937 random(3);
  const std::string text = kOld, weights = old_weights(2);
  for (int i = 0; i < 2000; ++i) {
    std::string a = text, b = weights;
    std::string& hit = i % 2 == 0 ? a : b;
    for (unsigned edits = 1 + random() % 3; edits > 0; --edits) {
      hit[random() % hit.size()] = static_cast<char>(random());
    }
    auto model = import_caffe(bytes_of(a), bytes_of(b));
    if (!model.ok()) continue;
    EXPECT_TRUE(verify(model->graph).ok());
    if (optimize(model->graph).ok()) {
      EXPECT_TRUE(verify(model->graph).ok());
    }
  }
}

}  // namespace
}  // namespace mnn::testing
