// Every operator of TensorFlow Lite against numbers of LiteRT: tests/convert/tflite/*.txt.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "libconvert/frontends/tflite/op_map.h"
#include "libruntime/core/op.h"
#include "tests/convert/case_values.h"
#include "tests/convert/tflite_builder.h"

namespace mnn::testing {
namespace {

const std::map<std::string, std::pair<int8_t, DType>> kTypes = {
    {"f32", {0, DType::kF32}}, {"f16", {1, DType::kF16}}, {"i32", {2, DType::kI32}},
    {"u8", {3, DType::kU8}},   {"i64", {4, DType::kI64}}, {"bool", {6, DType::kBool}},
    {"i16", {7, DType::kI16}}, {"c64", {8, DType::kC64}}, {"i8", {9, DType::kI8}},
    {"i4", {17, DType::kI4}}};

struct Operand {
  TfTensor tensor;
  DType dtype = DType::kF32;
  Values values;
  double tolerance = 0;
};

// "i8[2,3]{0.5,-3} ~ 0.1 = 1 2 3"
Operand operand(const std::string& text, const std::string& name) {
  Operand o;
  const size_t open = text.find('['), close = text.find(']'), equals = text.find('=');
  const auto& type = kTypes.at(text.substr(0, open));
  o.dtype = type.second;
  o.tensor.name = name;
  o.tensor.type = type.first;
  std::istringstream dims(text.substr(open + 1, close - open - 1));
  for (std::string d; std::getline(dims, d, ',');) o.tensor.dims.push_back(std::stoi(d));
  int64_t elements = 1;
  for (const int32_t d : o.tensor.dims) elements *= d;
  if (const size_t brace = text.find('{'); brace != std::string::npos) {
    const std::string quant = text.substr(brace + 1, text.find('}') - brace - 1);
    if (const size_t at = quant.find('@'); at != std::string::npos) {
      std::istringstream scales(quant.substr(0, at));
      for (float s = 0; scales >> s;) o.tensor.scales.push_back(s);
      o.tensor.zeros.assign(o.tensor.scales.size(), 0);
      o.tensor.axis = std::stoi(quant.substr(at + 1));
    } else {
      o.tensor.scales = {std::stof(quant)};
      o.tensor.zeros = {std::stoi(quant.substr(quant.find(',') + 1))};
    }
  }
  if (const size_t tilde = text.find('~'); tilde != std::string::npos) {
    o.tolerance = std::stod(text.substr(tilde + 1));
  }
  if (equals == std::string::npos) return o;
  const std::string values = text.substr(equals + 1);
  if (values.find("ramp") != std::string::npos) o.values = ramp(elements);
  for (int64_t i = 0; i < elements && values.find("codes") != std::string::npos; ++i) {
    const int low = o.dtype == DType::kU8 ? 28 : o.dtype == DType::kI4 ? -7 : -100;
    o.values.push_back(static_cast<double>(low + (i * 37) % (o.dtype == DType::kI4 ? 15 : 200)));
  }
  std::istringstream in(values);
  for (std::string one; o.values.size() < static_cast<size_t>(elements) && in >> one;) {
    o.values.push_back(std::stod(one));
  }
  return o;
}

int code_of(const std::string& name) {
  for (int code = 0; !tflite::builtin_name(code).empty(); ++code) {
    if (tflite::builtin_name(code) == name) return code;
  }
  ADD_FAILURE() << "no operator " << name;
  return -1;
}

void check(const Operand& expected, const Tensor& found, const std::string& where) {
  ASSERT_EQ(found.dtype(), expected.dtype) << where;
  std::vector<int64_t> dims(expected.tensor.dims.begin(), expected.tensor.dims.end());
  ASSERT_EQ(found.dims(), dims) << where;
  // Sums in another order differ in the last bits; rounding to codes may then fall the other way.
  const double least = expected.tensor.scales.empty() ? 0 : 1;
  expect_values(found, expected.values, std::max(expected.tolerance, least), where);
}

void run(const Case& c, std::map<std::string, std::set<std::string>>& becomes) {
  TfGraph g;
  TfOperator op;
  std::string then;
  std::vector<Tensor> feeds;
  std::vector<Operand> expected;
  for (const std::string& line : c.lines) {
    const std::string word = line.substr(0, line.find(' '));
    const std::string rest = line.substr(std::min(line.size(), word.size() + 1));
    if (word == "op") {
      std::istringstream in(rest);
      std::string name, field;
      in >> name;
      op.code = code_of(name);
      in >> op.kind;
      while (in >> field) {
        const size_t colon = field.find(':'), equals = field.find('=');
        op.options.push_back({std::stoi(field), field.substr(colon + 1, equals - colon - 1),
                              field.substr(equals + 1)});
      }
    } else if (word == "then") {
      then = rest;
    } else if (word == "none") {
      op.inputs.push_back(-1);
    } else if (word == "out") {
      expected.push_back(operand(rest, "y" + std::to_string(expected.size())));
    } else {
      Operand o = operand(rest, "x" + std::to_string(op.inputs.size()));
      o.tensor.variable = word == "variable";
      if (word == "const") o.tensor.data = packed(o.dtype, o.values);
      const int32_t id = g.add(o.tensor);
      op.inputs.push_back(id);
      if (word != "in") continue;
      g.inputs.push_back(id);
      std::vector<int64_t> dims(o.tensor.dims.begin(), o.tensor.dims.end());
      Result<Tensor> t = Tensor::allocate(o.dtype, dims);
      ASSERT_TRUE(t.ok());
      const std::string bytes = packed(o.dtype, o.values);
      std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(t->raw()));
      feeds.push_back(*t);
    }
  }
  for (const Operand& o : expected) g.outputs.push_back(g.add(o.tensor));
  op.outputs = g.outputs;
  if (!then.empty()) {
    TfTensor middle = expected[0].tensor;
    middle.name = "middle";
    middle.type = tflite::builtin_name(op.code) == "RFFT2D" ? 8 : 0;
    op.outputs = {g.add(middle)};
    TfOperator second;
    second.code = code_of(then);
    second.inputs = op.outputs;
    second.outputs = g.outputs;
    g.operators = {op, second};
  } else {
    g.operators = {op};
  }
  Result<ImportedModel> model = TfModel{{g}}.import();
  ASSERT_TRUE(model.ok()) << c.where << ": " << model.status().message();
  if (then.empty()) {
    for (const Node& node : model->graph.nodes) {
      const bool border = node.op == "QuantizeLinear" || node.op == "DequantizeLinear";
      if (!border) becomes[std::string(tflite::builtin_name(op.code))].insert(node.op);
    }
  }
  run_both_ways(*model, feeds, c.where,
                [&](const std::vector<Tensor>& out, const std::string& where) {
                  ASSERT_EQ(out.size(), expected.size()) << where;
                  for (size_t i = 0; i < expected.size(); ++i) check(expected[i], out[i], where);
                });
}

// What the operators become: docs/operators-tflite.md. MNN_UPDATE=1 writes it.
std::string page(const std::map<std::string, std::set<std::string>>& becomes) {
  std::string text =
      "# Operators of TensorFlow Lite\n\n"
      "Written by `tflite_test` (`MNN_UPDATE=1` renews it) from the cases in "
      "`tests/convert/tflite/`, "
      "whose numbers are LiteRT's.\n\n"
      "| operator | number | becomes |\n|---|---|---|\n";
  for (const std::string& name : tflite::supported_operators()) {
    const bool custom = name.starts_with("custom ");
    std::string into;
    const auto row = becomes.find(name);
    if (row != becomes.end()) {
      for (const std::string& op : row->second) into += (into.empty() ? "" : ", ") + op;
    }
    text += "| " + name + " | " + (custom ? "32" : std::to_string(code_of(name))) + " | " + into +
            " |\n";
  }
  return text;
}

TEST(TfliteOps, Cases) {
  std::map<std::string, std::set<std::string>> becomes = {
      {"IF", {"If, or the branch that is taken"}},
      {"WHILE", {"Loop"}},
      {"VAR_HANDLE", {"a state"}},
      {"READ_VARIABLE", {"a state's content"}},
      {"ASSIGN_VARIABLE", {"a state's next content"}},
      {"CALL_ONCE", {"what states start with"}},
      {"DENSIFY", {"a constant"}},
      {"custom Convolution2DTransposeBias", {"ConvTranspose"}},
      {"custom MaxPoolingWithArgmax2D", {"ArgMax", "ReduceMax"}},
      {"custom MaxUnpooling2D", {"Mul", "OneHot"}},
      {"custom TFLite_Detection_PostProcess", {"Exp", "Gather", "Loop"}}};
  for (const Case& c : read_cases(MNN_TFLITE_CASES)) run(c, becomes);
  for (const std::string& name : tflite::supported_operators()) {
    const tflite::OpRow* row =
        name.starts_with("STABLEHLO_") ? tflite::find_builtin(code_of(name)) : nullptr;
    if (row != nullptr && !row->target.empty()) becomes[name] = {std::string(row->target)};
  }
  const std::string path = MNN_TFLITE_PAGE;
  if (std::getenv("MNN_UPDATE") != nullptr) std::ofstream(path) << page(becomes);
  std::ifstream in(path);
  const std::string written((std::istreambuf_iterator<char>(in)), {});
  EXPECT_EQ(written, page(becomes)) << path << " is not current: run with MNN_UPDATE=1";
}

// What a case cannot say is tested with whole models.
TEST(TfliteOps, EveryOperatorHasACase) {
  std::set<std::string> tested = {"ASSIGN_VARIABLE", "CALL_ONCE",  "DENSIFY", "IF",
                                  "READ_VARIABLE",   "VAR_HANDLE", "WHILE"};
  for (const Case& c : read_cases(MNN_TFLITE_CASES)) {
    for (const std::string& line : c.lines) {
      std::istringstream in(line);
      std::string word, name;
      in >> word >> name;
      if (word == "op" || word == "then") tested.insert(name);
    }
  }
  size_t operators = 0;
  for (const std::string& name : tflite::supported_operators()) {
    if (name.starts_with("custom ") || name.starts_with("STABLEHLO_")) continue;
    ++operators;
    EXPECT_TRUE(tested.contains(name)) << name << " has no case";
  }
  EXPECT_GE(operators, 110u);
}

}  // namespace
}  // namespace mnn::testing
