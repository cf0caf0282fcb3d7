// Every case of tests/data/torch/aten_cases.jsonl: an operator's call is lowered with its tensors
// as inputs of a graph, run by the reference kernels and held against PyTorch's results.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "libconvert/frontends/torch/aten.h"
#include "libruntime/core/op.h"
#include "tests/test_data.h"

namespace mnn::torch {
namespace {

using Json = nlohmann::json;

double number_of(const Json& j) {
  if (j.is_boolean()) return j.get<bool>() ? 1 : 0;
  return j.is_string() ? std::stod(j.get<std::string>()) : j.get<double>();
}

Tensor tensor_of(const Json& j) {
  const DType dtype = *parse_dtype(j["dtype"].get<std::string>());
  Result<Tensor> t = Tensor::allocate(dtype, j["dims"].get<std::vector<int64_t>>());
  EXPECT_TRUE(t.ok());
  const Json& data = j["data"];
  dispatch_plain(dtype, [&]<typename T>() {
    for (size_t i = 0; i < data.size(); ++i) {
      if constexpr (std::is_same_v<T, bool>) {
        t->data<T>()[i] = number_of(data[i]) != 0;
      } else if constexpr (std::is_integral_v<T>) {
        t->data<T>()[i] = data[i].get<T>();
      } else {
        t->data<T>()[i] = store_from_compute<T>(number_of(data[i]));
      }
    }
  });
  return std::move(t).value();
}

bool is_tensor(const Json& j) { return j.is_object() && j.contains("dims"); }

class Runner {
 public:
  Arg argument(const Json& j) {
    if (j.is_null()) return {};
    if (j.is_boolean()) return Arg::of_bool(j.get<bool>());
    if (j.is_number_integer()) return Arg::of_int(j.get<int64_t>());
    if (j.is_number()) return Arg::of_float(j.get<double>());
    if (j.is_string()) {
      const std::string text = j.get<std::string>();
      if (text == "inf" || text == "-inf") return Arg::of_float(std::stod(text));
      return Arg(text);
    }
    if (is_tensor(j)) {
      inputs.push_back(tensor_of(j));
      const Type type = type_of(inputs.back());
      const ValueId id = graph.add_input("x" + std::to_string(inputs.size()), type);
      if (j.contains("codes")) return quantized(id, j);
      return Arg::tensor(id, j.value("complex", false));
    }
    if (j.is_object()) return Arg(*parse_dtype(j["dtype"].get<std::string>()));
    ListArg list;
    for (const Json& item : j) list.push_back(argument(item));
    return Arg(std::move(list));
  }

  // A tensor on a grid.
  Arg quantized(ValueId id, const Json& j) {
    const DType codes = *parse_dtype(j["codes"].get<std::string>());
    const bool whole = !j.contains("axis");
    const auto constant = [&](const Json& numbers, DType dtype) {
      Json t = {{"dtype", std::string(dtype_name(dtype))}, {"dims", Json::array()}};
      if (!whole) t["dims"].push_back(numbers.size());
      t["data"] = whole ? Json::array({numbers}) : numbers;
      return graph.add_constant(tensor_of(t));
    };
    return TensorArg{id,
                     false,
                     {constant(j["scale"], DType::kF32), constant(j["zero_point"], codes),
                      j.value("axis", int64_t{-1})}};
  }

  Graph graph;
  std::vector<Tensor> inputs;
};

void flatten(const std::vector<Arg>& results, std::vector<Arg>& out) {
  for (const Arg& r : results) {
    const ListArg* list = r.get<ListArg>();
    if (list != nullptr) {
      flatten(*list, out);
    } else {
      out.push_back(r);
    }
  }
}

void flatten(const Json& results, std::vector<Json>& out) {
  for (const Json& r : results) {
    if (r.is_array()) {
      flatten(r, out);
    } else {
      out.push_back(r);
    }
  }
}

void expect_equal(const Tensor& found, const Json& expected) {
  EXPECT_EQ(dtype_name(found.dtype()), expected["dtype"].get<std::string>());
  EXPECT_EQ(found.dims(), expected["dims"].get<std::vector<int64_t>>());
  const Json& data = expected["data"];
  if (data.is_null()) return;  // any
  ASSERT_EQ(static_cast<size_t>(found.elements()), data.size());
  const Result<std::vector<double>> values = found.to_doubles();
  ASSERT_TRUE(values.ok());
  // Codes may differ by one where a number lies between two.
  const bool whole = expected.contains("codes") && expected["scale"].is_number();
  const double step = whole ? 1.01 * expected["scale"].get<double>() : 0;
  double largest = 0;
  for (const Json& d : data) {
    if (std::isfinite(number_of(d))) largest = std::fmax(largest, std::fabs(number_of(d)));
  }
  for (size_t i = 0; i < data.size(); ++i) {
    const double want = number_of(data[i]), have = (*values)[i];
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(have)) << "element " << i;
    } else if (std::isinf(want)) {
      EXPECT_EQ(have, want) << "element " << i;
    } else {
      EXPECT_NEAR(have, want, 2e-6 + 5e-6 * largest + step) << "element " << i;
    }
  }
}

void run_case(const Json& one) {
  Runner r;
  AtenCall call;
  call.op = one["op"].get<std::string>();
  call.overload = one["overload"].get<std::string>();
  call.origin = "case";
  for (const Json& a : one["args"]) call.args.push_back(r.argument(a));
  for (const auto& [name, a] : one["kwargs"].items()) call.kwargs.emplace_back(name, r.argument(a));
  frontend::GraphDraft draft(r.graph);
  int64_t budget = 100000;
  const Result<std::vector<Arg>> results = lower_call(draft, budget, call);
  ASSERT_TRUE(results.ok()) << results.status().message();
  std::vector<Arg> found;
  std::vector<Json> expected;
  flatten(*results, found);
  flatten(one["results"], expected);
  ASSERT_GE(found.size(), expected.size());
  std::vector<size_t> as_tensors;
  for (size_t i = 0; i < expected.size(); ++i) {
    const TensorArg* t = found[i].get<TensorArg>();
    const IntArg* n = found[i].get<IntArg>();
    if (expected[i].is_boolean()) {
      EXPECT_EQ(found[i], Arg::of_bool(expected[i].get<bool>()));
      continue;
    }
    if (expected[i].is_number() && n != nullptr && n->known()) {
      EXPECT_EQ(n->value, expected[i].get<int64_t>());
      continue;
    }
    if (expected[i].is_number_float()) {
      const FloatArg* real = found[i].get<FloatArg>();
      ASSERT_TRUE(real != nullptr && real->known());
      EXPECT_FLOAT_EQ(static_cast<float>(real->value), expected[i].get<float>());
      continue;
    }
    ValueId id = t != nullptr ? t->id : n != nullptr ? n->id : kNoValue;
    ASSERT_NE(id, kNoValue) << "result " << i;
    if (t != nullptr) {
      EXPECT_EQ(t->quantized(), expected[i].contains("codes"));
      EXPECT_EQ(t->complex, expected[i].value("complex", false));
    }
    r.graph.outputs.push_back(id);
    as_tensors.push_back(i);
  }
  ASSERT_TRUE(verify(r.graph).ok()) << verify(r.graph).message();
  const Result<std::vector<Tensor>> outputs = run_reference(r.graph, r.inputs);
  ASSERT_TRUE(outputs.ok()) << outputs.status().message();
  for (size_t i = 0; i < outputs->size(); ++i) {
    // What inference says holds.
    const Type& type = r.graph.value(r.graph.outputs[i]).type;
    EXPECT_TRUE(can_hold(type, (*outputs)[i]));
    expect_equal((*outputs)[i], expected[as_tensors[i]]);
  }
}

std::vector<Json> all_cases() {
  std::ifstream in(test_data("data/torch/aten_cases.jsonl"));
  std::vector<Json> cases;
  for (std::string line; std::getline(in, line);) cases.push_back(Json::parse(line));
  return cases;
}

TEST(AtenCases, EachGivesPyTorchsResults) {
  const std::vector<Json> cases = all_cases();
  EXPECT_GT(cases.size(), 450u);
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE("case " + std::to_string(i + 1) + ": " + cases[i]["op"].get<std::string>() + "." +
                 cases[i]["overload"].get<std::string>());
    run_case(cases[i]);
  }
}

TEST(AtenTable, SchemasAreSound) {
  std::set<std::string> seen;
  for (const AtenRow& row : aten_rows()) {
    ASSERT_FALSE(row.schema.name.empty()) << row.schema.text;
    EXPECT_TRUE(seen.insert(row.schema.name + "." + row.schema.overload).second)
        << row.schema.text << " stands twice";
    EXPECT_FALSE(row.form.empty()) << row.schema.text;
    for (const Param& p : row.schema.params) EXPECT_FALSE(p.name.empty()) << row.schema.text;
  }
}

// docs/operators-torch.md: `torch_test --gtest_filter=AtenTable.ThePageIsCurrent` with
// MNN_UPDATE=1 writes it anew.
std::string operators_page() {
  std::set<std::string> covered;
  for (const Json& one : all_cases()) {
    covered.insert(one["op"].get<std::string>() + "." + one["overload"].get<std::string>());
  }
  std::set<std::string> names;
  for (const AtenRow& row : aten_rows()) names.insert(row.schema.name);
  std::string page =
      "# PyTorch operators\n\nGenerated from the table in "
      "`libconvert/frontends/torch/rows_*.cc`: " +
      std::to_string(aten_rows().size()) + " overloads of " + std::to_string(names.size()) +
      " operators, which exported programs (`.pt2`) and TorchScript (`.pt`) share. In-place "
      "(`add_`) and `out=` variants\nneed no row of their own; other names (`clip`, `multiply`) "
      "end in the row of the usual one. \"none\": the operator does nothing in\nevaluation. A row "
      "marked * has a case with PyTorch's results in `tests/data/torch/aten_cases.jsonl`.\n\n"
      "Higher-order operators of exported programs: `cond` (If), `while_loop` (Loop), `map`, "
      "`scan` "
      "(Scan),\n`wrap_with_set_grad_enabled`, `wrap_with_autocast`, `wrap`, `invoke_subgraph` "
      "(the graph in their place).\n\n| operator | becomes | |\n|---|---|---|\n";
  for (const AtenRow& row : aten_rows()) {
    const std::string& overload = row.schema.overload;
    const bool tested =
        covered.contains(row.schema.name + "." + (overload.empty() ? "default" : overload));
    page += "| `" + row.schema.name + (overload.empty() ? "" : "." + overload) + "` | " + row.form +
            " | " + (tested ? "*" : "") + " |\n";
  }
  return page;
}

TEST(AtenTable, ThePageIsCurrent) {
  const std::string path = test_data("../docs/operators-torch.md");
  if (std::getenv("MNN_UPDATE") != nullptr) std::ofstream(path) << operators_page();
  std::ifstream in(path);
  const std::string page((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  EXPECT_TRUE(page == operators_page())
      << "docs/operators-torch.md is stale; write it anew: MNN_UPDATE=1 torch_test "
         "--gtest_filter=AtenTable.ThePageIsCurrent";
}

TEST(AtenTable, SpellingsEndInOneRow) {
  EXPECT_EQ(row_named("aten::add_", "Tensor"), row_named("aten::add", "Tensor"));
  EXPECT_EQ(row_named("aten::clip_", ""), row_named("aten::clamp", "default"));
  EXPECT_EQ(row_named("aten::__and__", "Tensor"), row_named("aten::bitwise_and", "Tensor"));
  EXPECT_EQ(row_named("aten::no_such_operator", ""), nullptr);
  AtenCall call{"aten::hardtanh_", "", {Arg::tensor(0)}, {}, ""};
  const Result<Resolved> resolved = resolve_call(call);
  ASSERT_TRUE(resolved.ok());
  EXPECT_TRUE(resolved->in_place);
  ASSERT_EQ(resolved->values.size(), 3u);
  EXPECT_EQ(resolved->values[1], Arg::of_int(-1));
}

TEST(AtenTable, OverloadsComeFromTheArguments) {
  AtenCall call{"aten::add", "", {Arg::tensor(0), Arg::of_int(2)}, {}, ""};
  EXPECT_EQ(resolve_call(call)->row->schema.overload, "Scalar");
  call.args[1] = Arg::tensor(1);
  EXPECT_EQ(resolve_call(call)->row->schema.overload, "Tensor");
  call.args = {Arg::of_int(2), Arg::of_int(3)};
  EXPECT_EQ(resolve_call(call)->row->schema.overload, "int");
  call.args = {Arg::tensor(0)};
  EXPECT_EQ(resolve_call(call).status().code(), Code::kInvalidArgument);
  call.args = {Arg::tensor(0), Arg::tensor(1)};
  call.kwargs = {{"beta", Arg::of_int(2)}};
  EXPECT_EQ(resolve_call(call).status().code(), Code::kInvalidArgument);
  call.op = "aten::no_such_operator";
  EXPECT_EQ(resolve_call(call).status().code(), Code::kUnsupported);
}

}  // namespace
}  // namespace mnn::torch
