// Runs every operator case on everything that can run it and compares the results.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <set>

#include "libruntime/compile/partition.h"
#include "libruntime/compile/registry.h"
#include "libruntime/core/builder.h"
#include "libruntime/core/io/mnn_file.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/text.h"
#include "libruntime/kernels/isa.h"
#include "libruntime/kernels/weights.h"
#include "libruntime/session.h"
#include "libruntime/thread_pool.h"
#include "tests/gpu/host_device.h"
#include "tests/ops/op_case.h"
#include "tests/test_data.h"

namespace mnn {
namespace {

const std::vector<OpCase>& all_cases() {
  static const std::vector<OpCase> cases = load_op_cases(test_data("ops"));
  return cases;
}

// One way to run a graph. `name` is what a "skip" line says.
struct Runner {
  std::string name;
  std::function<Result<std::vector<Tensor>>(const Graph&, std::span<const Tensor>)> run;
  double least_tolerance = 0;
};

Result<std::vector<Tensor>> run_session(const Graph& graph, std::span<const Tensor> inputs,
                                        const std::string& isa) {
  SessionOptions options;
  if (!isa.empty()) options.backend_options["cpu"]["isa"] = isa;
  MNN_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, Session::create(graph, options));
  return session->run(inputs);
}

// Sessions of one backend, kept apart from each other, on what all cases share: the backend itself
// with its compiled kernels. Null, with a line said once, where there is no device.
std::shared_ptr<Engine> device_engine(const std::string& backend) {
  static std::map<std::string, std::shared_ptr<Engine>> engines;
  const auto known = engines.find(backend);
  if (known != engines.end()) return known->second;
  std::shared_ptr<Engine> engine = std::move(Engine::create()).value();
  const auto opened = engine->backend(backend);
  const Status status = opened.ok() ? (*opened)->device().status() : opened.status();
  if (!status.ok()) {
    std::cout << "skipped: backend " << backend << ": " << status.message() << "\n";
    engine = nullptr;
  }
  return engines.emplace(backend, engine).first->second;
}

// What the backend says of each node is what happens: it computes those it takes, no others. Nodes
// made of one bear one name: they are told apart where they agree.
Status check_who_computed(const Session& session, const Backend& backend) {
  const Graph& graph = session.planned();
  std::map<std::string, std::set<bool>> taken;
  for (const Node& node : graph.nodes) {
    taken[display_name(graph, node)].insert(!backend.why_not(graph, node));
  }
  for (const StepInfo& step : session.steps()) {
    const auto node = taken.find(step.name);
    if (node == taken.end() || node->second.size() > 1 || step.op == "Transfer") continue;
    if (node->second.contains(true) != (step.backend == backend.name())) {
      return internal_error("node " + step.name + " (" + step.op + ") ran on " + step.backend);
    }
  }
  return {};
}

Result<std::vector<Tensor>> run_on_device(const Graph& graph, std::span<const Tensor> inputs,
                                          const std::string& name) {
  const std::shared_ptr<Engine> engine = device_engine(name);
  MNN_ASSIGN_OR_RETURN(const Backend* const backend, engine->backend(name));
  MNN_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                       Session::create(graph, engine, std::vector{name}));
  auto outputs = session->run(inputs);
  if (!outputs.ok()) return outputs;
  MNN_RETURN_IF_ERROR(check_who_computed(*session, *backend));
  return outputs;
}

// Which half of the runners: the host's, or with MNN_OPS_ON=devices those of devices, whose kernels
// take minutes to compile when nothing has kept them.
bool on_devices() {
  const char* on = std::getenv("MNN_OPS_ON");
  return on != nullptr && std::string_view(on) == "devices";
}

std::vector<Runner> host_runners() {
  std::vector<Runner> list = {
      {"reference",
       [](const Graph& g, std::span<const Tensor> inputs) { return run_reference(g, inputs); }},
  };
  // A session for every instruction set; what the CPU backend does not take runs on the reference.
  for (const std::string& isa : available_isas()) {
    Runner runner;
    runner.name = "cpu-" + isa;
    runner.run = [isa](const Graph& g, std::span<const Tensor> inputs) {
      return run_session(g, inputs, isa);
    };
    // Kernels compute in float where the reference computes in double.
    runner.least_tolerance = 4e-6;
    list.push_back(std::move(runner));
  }
  return list;
}

std::vector<Runner> device_runners() {
  register_host_device();
  std::vector<Runner> list;
  for (const std::string& name : backend_names()) {
    if (!std::move(find_backend(name)).value()->device || device_engine(name) == nullptr) continue;
    Runner runner;
    runner.name = name;
    runner.run = [name](const Graph& g, std::span<const Tensor> inputs) {
      return run_on_device(g, inputs, name);
    };
    // Drivers may be off by some units in the last place in divisions, roots and powers.
    runner.least_tolerance = 8e-6;
    list.push_back(std::move(runner));
  }
  return list;
}

const std::vector<Runner>& runners() {
  static const std::vector<Runner> list = on_devices() ? device_runners() : host_runners();
  return list;
}

// Complex numbers compare as pairs of reals.
Tensor as_reals(const Tensor& t) {
  if (t.dtype() != DType::kC64 && t.dtype() != DType::kC128) return t;
  std::vector<int64_t> dims = t.dims();
  dims.push_back(2);
  return Tensor::wrap(t.dtype() == DType::kC64 ? DType::kF32 : DType::kF64, std::move(dims),
                      const_cast<std::byte*>(t.raw()));
}

// Empty when `found` is `expected` within the tolerance, else what is wrong.
std::string difference(const Tensor& expected, const Tensor& found, double tolerance) {
  if (expected.dtype() != found.dtype() || expected.dims() != found.dims()) {
    return "expected " + expected.type_str() + ", found " + found.type_str();
  }
  if (identical(expected, found)) return "";
  const std::string both =
      "\n  expected " + print_tensor(expected) + "\n  found    " + print_tensor(found);
  const auto e = as_reals(expected).to_doubles(), f = as_reals(found).to_doubles();
  if (!e.ok() || !f.ok() || is_integer(expected.dtype()) || expected.dtype() == DType::kBool) {
    return "elements differ" + both;
  }
  double scale = 0;
  for (const double v : *e) {
    if (std::isfinite(v)) scale = std::max(scale, std::abs(v));
  }
  if (scale == 0) scale = 1;
  for (size_t i = 0; i < e->size(); ++i) {
    const double a = (*e)[i], b = (*f)[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    if (!(std::abs(a - b) <= tolerance * scale)) {
      return "element " + std::to_string(i) + ": expected " + std::to_string(a) + ", found " +
             std::to_string(b) + " (difference " + std::to_string(std::abs(a - b) / scale * 1e6) +
             "e-6 of the largest magnitude)" + both;
    }
  }
  return "";
}

// The inferred type has the result's dtype, and its rank and dims wherever they are known.
std::string type_difference(const Type& type, const Tensor& result) {
  const std::string message = "inferred " + type.str() + ", computed " + result.type_str();
  if (type.kind != Type::Kind::kTensor || type.dtype != result.dtype()) return message;
  if (!type.shape) return "";
  if (type.shape->size() != result.rank()) return message;
  for (size_t i = 0; i < result.rank(); ++i) {
    const Dim& d = (*type.shape)[i];
    if (d.known() && d.value() != result.dims()[i]) return message;
  }
  return "";
}

// `graph` with all inputs but the first as constants.
Graph with_constants(Graph graph, std::span<const Tensor> inputs) {
  for (size_t i = 1; i < graph.inputs.size(); ++i) {
    Value& value = graph.value(graph.inputs[i]);
    value.kind = ValueKind::kConstant;
    value.data = inputs[i];
  }
  graph.inputs.resize(std::min<size_t>(graph.inputs.size(), 1));
  return graph;
}

// Replaces nodes that have a reference and a decomposition by their decomposition. Returns how
// many.
Result<int> decompose_nodes(Graph& graph) {
  int count = 0;
  std::vector<Node> kept;
  for (size_t n = 0, end = graph.nodes.size(); n < end; ++n) {
    const Node node = graph.nodes[n];
    const OpDef* def = find_op(node.op);
    if (def->decompose == nullptr || def->reference == nullptr || !node.fused.empty()) {
      kept.push_back(node);
      continue;
    }
    ++count;
    Builder builder(graph);
    MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> made, def->decompose(builder, node));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      if (i >= made.size() || made[i] == kNoValue) return internal_error("an output is missing");
      replace_uses(graph, node.outputs[i], made[i]);
    }
    // What was kept so far reads the new values too.
    for (size_t i = 0; i < node.outputs.size() && i < made.size(); ++i) {
      for (Node& k : kept) {
        std::replace(k.inputs.begin(), k.inputs.end(), node.outputs[i], made[i]);
      }
    }
    for (size_t made_node = end; made_node < graph.nodes.size(); ++made_node) {
      kept.push_back(graph.nodes[made_node]);
    }
    graph.nodes.resize(end);
  }
  graph.nodes = std::move(kept);
  MNN_RETURN_IF_ERROR(sort_nodes(graph));
  return count;
}

class OpCaseTest : public testing::TestWithParam<size_t> {
 protected:
  const OpCase& c() const { return all_cases()[GetParam()]; }
  bool skipped(const std::string& variant) const { return c().skipped.contains(variant); }

  void check_results(const Graph& graph, const Result<std::vector<Tensor>>& results,
                     double least_tolerance) {
    ASSERT_TRUE(results.ok()) << results.status().message();
    ASSERT_EQ(results->size(), graph.outputs.size());
    for (size_t i = 0; i < c().expectations.size(); ++i) {
      const OpCase::Expectation& e = c().expectations[i];
      if (!e.data) continue;
      EXPECT_EQ(difference(*e.data, (*results)[i], std::max(c().tolerance, least_tolerance)), "")
          << "output " << e.name;
    }
  }

  // Each output as the only one that is wanted.
  void check_alone(const Graph& graph, std::span<const Tensor> inputs, const Runner& runner) {
    for (size_t i = 0; i < c().expectations.size() && graph.outputs.size() > 1; ++i) {
      const OpCase::Expectation& e = c().expectations[i];
      if (!e.data) continue;
      SCOPED_TRACE("output " + e.name + " alone");
      Graph alone = graph;
      alone.outputs = {graph.outputs[i]};
      remove_dead(alone);
      const Result<std::vector<Tensor>> results = runner.run(alone, inputs);
      ASSERT_TRUE(results.ok()) << results.status().message();
      EXPECT_EQ(difference(*e.data, (*results)[0], std::max(c().tolerance, runner.least_tolerance)),
                "");
    }
  }

  void check_text(const Graph& graph) {
    PrintOptions all;
    all.max_constant_elements = INT64_MAX;
    const std::string once = print_graph(graph, all);
    const Result<Graph> again = parse_graph(once);
    ASSERT_TRUE(again.ok()) << again.status().message() << "\n" << once;
    EXPECT_EQ(print_graph(*again, all), once);
  }

  void check_file(const Graph& graph) {
    PrintOptions all;
    all.max_constant_elements = INT64_MAX;
    Model model;
    model.graph = graph;
    const auto bytes = try_serialize_model(model);
    ASSERT_TRUE(bytes.ok()) << bytes.status().message();
    const Result<Model> again = parse_model(*bytes, nullptr);
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_EQ(print_graph(again->graph, all), print_graph(graph, all));
  }

  void check_inference(const Graph& graph, std::span<const Tensor> results) {
    Graph inferred = graph;
    const Status status = infer_types(inferred);
    ASSERT_TRUE(status.ok()) << status.message();
    for (size_t i = 0; i < results.size(); ++i) {
      EXPECT_EQ(type_difference(inferred.value(inferred.outputs[i]).type, results[i]), "");
    }
  }

  // Inference with every input dim a symbol of its own, then with unknown ranks: it may know less,
  // but must not fail or be wrong.
  void check_open_shapes(const Graph& graph, std::span<const Tensor> inputs,
                         std::span<const Tensor> results) {
    Graph open = graph;
    Bindings bindings;
    for (size_t i = 0; i < inputs.size(); ++i) {
      Shape shape;
      for (size_t d = 0; d < inputs[i].rank(); ++d) {
        std::string symbol = "d" + std::to_string(i) + "_" + std::to_string(d);
        shape.push_back(Dim::symbol(symbol));
        bindings[std::move(symbol)] = inputs[i].dims()[d];
      }
      open.value(open.inputs[i]).type.shape = std::move(shape);
    }
    Graph ranked = open;
    Status status = infer_types(ranked);
    ASSERT_TRUE(status.ok()) << "with symbolic dims: " << status.message();
    for (size_t i = 0; i < results.size(); ++i) {
      Type type = ranked.value(ranked.outputs[i]).type;
      if (type.shape) type.shape = bind_shape(*type.shape, bindings);
      EXPECT_EQ(type_difference(type, results[i]), "")
          << "with symbolic dims: " << ranked.value(ranked.outputs[i]).type.str();
    }
    for (const ValueId v : open.inputs) open.value(v).type.shape.reset();
    status = infer_types(open);
    ASSERT_TRUE(status.ok()) << "with unknown ranks: " << status.message();
    for (size_t i = 0; i < results.size(); ++i) {
      EXPECT_EQ(type_difference(open.value(open.outputs[i]).type, results[i]), "")
          << "with unknown ranks";
    }
  }

  void check_decomposition(Graph graph, std::span<const Tensor> inputs) {
    Status status = infer_types(graph);
    ASSERT_TRUE(status.ok()) << status.message();
    const Result<int> count = decompose_nodes(graph);
    ASSERT_TRUE(count.ok()) << count.status().message();
    if (*count == 0) return;
    status = verify(graph);
    ASSERT_TRUE(status.ok()) << status.message() << "\n" << print_graph(graph);
    check_results(graph, run_reference(graph, inputs), 0);
  }

  void check_runs(const Graph& graph) {
    std::vector<Tensor> inputs;
    for (const OpCase::Input& input : c().inputs) inputs.push_back(*input.data);
    const std::span<const Tensor> first(inputs.data(), std::min<size_t>(inputs.size(), 1));
    const Graph constants = with_constants(graph, inputs);
    for (const Runner& runner : runners()) {
      if (skipped(runner.name)) continue;
      SCOPED_TRACE("on " + runner.name);
      check_results(graph, runner.run(graph, inputs), runner.least_tolerance);
      check_alone(graph, inputs, runner);
      if (inputs.size() < 2 || skipped("constants")) continue;
      SCOPED_TRACE("with all inputs but the first as constants");
      check_results(constants, runner.run(constants, first), runner.least_tolerance);
    }
    if (on_devices()) return;
    const Result<std::vector<Tensor>> results = run_reference(graph, inputs);
    if (!results.ok()) return;
    if (!skipped("inference")) {
      check_inference(graph, *results);
      SCOPED_TRACE("with all inputs but the first as constants");
      check_inference(constants, *results);
    }
    if (!skipped("open")) {
      check_open_shapes(graph, inputs, *results);
      SCOPED_TRACE("with all inputs but the first as constants");
      check_open_shapes(constants, first, *results);
    }
    if (!skipped("decomposition")) {
      SCOPED_TRACE("decomposed");
      check_decomposition(constants, first);
    }
  }

  void check_declared_types(const Graph& graph) {
    Graph inferred = graph;
    const Status status = infer_types(inferred);
    ASSERT_TRUE(status.ok()) << status.message();
    for (size_t i = 0; i < c().expectations.size(); ++i) {
      if (!c().expectations[i].type) continue;
      EXPECT_EQ(inferred.value(inferred.outputs[i]).type.str(), c().expectations[i].type->str())
          << "output " << c().expectations[i].name;
    }
  }

  Status status_of_all_steps() {
    MNN_ASSIGN_OR_RETURN(Graph graph, c().graph());
    MNN_RETURN_IF_ERROR(verify(graph));
    MNN_RETURN_IF_ERROR(infer_types(graph));
    if (!c().has_data()) return {};
    std::vector<Tensor> inputs;
    for (const OpCase::Input& input : c().inputs) inputs.push_back(*input.data);
    return run_reference(graph, inputs).status();
  }
};

TEST_P(OpCaseTest, Holds) {
  SCOPED_TRACE(c().where());
  ASSERT_EQ(c().malformed, "");
  if (!c().error.empty()) {
    const Status status = status_of_all_steps();
    ASSERT_FALSE(status.ok()) << "expected the error: " << c().error;
    EXPECT_NE(status.message().find(c().error), std::string::npos)
        << "expected the error: " << c().error << "\nfound: " << status.message();
    return;
  }
  const Result<Graph> graph = c().graph();
  ASSERT_TRUE(graph.ok()) << graph.status().message() << "\n" << c().statements;
  const Status status = verify(*graph);
  ASSERT_TRUE(status.ok()) << status.message();
  if (c().has_data()) check_runs(*graph);
  if (on_devices()) return;
  if (!skipped("text")) check_text(*graph);
  if (!skipped("file")) check_file(*graph);
  check_declared_types(*graph);
}

std::string test_name(const testing::TestParamInfo<size_t>& info) {
  const OpCase& c = all_cases()[info.param];
  std::string name = c.file + "_" + c.name;
  for (char& ch : name) {
    if (!std::isalnum(static_cast<unsigned char>(ch))) ch = '_';
  }
  // The line keeps names apart that differ in other characters only.
  return name + "_" + std::to_string(c.line);
}

std::vector<size_t> case_numbers() {
  std::vector<size_t> numbers(all_cases().size());
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = i;
  return numbers;
}

INSTANTIATE_TEST_SUITE_P(Ops, OpCaseTest, testing::ValuesIn(case_numbers()), test_name);

void collect_ops(const Graph& graph, std::set<std::string>& ops) {
  for (const Node& node : graph.nodes) {
    ops.insert(node.op);
    for (const Graph& g : node.subgraphs) collect_ops(g, ops);
  }
}

TEST(OpTable, EveryOperatorHasACaseThatSucceeds) {
  std::set<std::string> tested;
  for (const OpCase& c : all_cases()) {
    const Result<Graph> graph = c.graph();
    if (graph.ok() && c.error.empty()) collect_ops(*graph, tested);
  }
  for (const OpDef* def : all_ops()) {
    EXPECT_TRUE(tested.contains(def->name)) << "no case in tests/ops/*.txt uses " << def->name;
  }
}

// Calls f(case, planned graph) for every case that runs, as it is and with all inputs but the first
// as constants.
template <typename F>
void for_each_planned(F&& f) {
  for (const OpCase& c : all_cases()) {
    const Result<Graph> graph = c.graph();
    if (!graph.ok() || !c.error.empty() || !c.has_data()) continue;
    std::vector<Tensor> inputs;
    for (const OpCase::Input& input : c.inputs) inputs.push_back(*input.data);
    const std::span<const Tensor> first(inputs.data(), std::min<size_t>(inputs.size(), 1));
    for (const auto& [g, feeds] : {std::pair(*graph, std::span<const Tensor>(inputs)),
                                   std::pair(with_constants(*graph, inputs), first)}) {
      const auto session = Session::create(g, {});
      if (!session.ok() || !(*session)->run(feeds).ok()) continue;
      f(c, (*session)->planned());
    }
  }
}

// A node of a planned graph by itself, its operands stored as the int8 form says where they can be.
Result<Graph> stored_for(const Graph& graph, NodeId id, ComputeForm form) {
  Segment segment;
  segment.nodes = {id};
  for (const ValueId v : graph.node(id).inputs) {
    if (v == kNoValue || graph.value(v).kind == ValueKind::kConstant) continue;
    if (std::ranges::find(segment.inputs, v) == segment.inputs.end()) segment.inputs.push_back(v);
  }
  for (const ValueId v : graph.node(id).outputs) {
    if (v != kNoValue) segment.outputs.push_back(v);
  }
  Graph alone = extract(graph, segment);
  const Node& node = alone.nodes[0];
  for (size_t i = 0; i < std::min<size_t>(2, node.own_inputs()); ++i) {
    if (node.inputs[i] == kNoValue) continue;
    Value& value = alone.value(node.inputs[i]);
    if (value.type.dtype != DType::kF32 || value.quant) continue;
    const bool constant = value.kind == ValueKind::kConstant;
    if (!constant && (i == 0 || form == ComputeForm::kU8xU8)) {
      value.quant = tensor_quant(DType::kU8, 0.05f, 128);
    } else if (constant && i == 1 && form == ComputeForm::kU8xS8) {
      const QuantParams params = tensor_quant(DType::kI8, 0.1f, 0);
      MNN_ASSIGN_OR_RETURN(value.data, quantize_tensor(value.data, params));
      value.quant = params;
    }
  }
  return alone;
}

// Whether what a backend says of its int8 kernels is what it does.
TEST(OpTable, TheCpuComputesInTheFormsItSays) {
  const auto cpu = std::move(open_backend("cpu")).value();
  ThreadPool pool(1);
  WeightsCache weights;
  std::map<ComputeForm, int> picked;
  for_each_planned([&](const OpCase& c, const Graph& planned) {
    for (size_t n = 0; n < planned.nodes.size(); ++n) {
      const Node& node = planned.nodes[n];
      if (cpu->why_not(planned, node)) continue;
      for (const ComputeForm form : {ComputeForm::kU8xS8, ComputeForm::kU8xU8}) {
        const auto alone = stored_for(planned, static_cast<NodeId>(n), form);
        ASSERT_TRUE(alone.ok()) << c.name << ": " << alone.status().message();
        if (cpu->why_not(*alone, alone->nodes[0])) continue;
        const auto made = cpu->compile(*alone, {&pool, &weights, nullptr});
        ASSERT_TRUE(made.ok()) << c.name << ": " << made.status().message();
        const std::vector<StepInfo> steps = (*made)->steps();
        const bool found = std::ranges::any_of(
            steps, [&](const StepInfo& step) { return step.macs > 0 && step.form == form; });
        const auto why = cpu->why_not_form(planned, node, form);
        EXPECT_EQ(found, !why.has_value())
            << c.name << ": " << node.op << " in " << form_name(form) << ": " << why.value_or("");
        picked[form] += found;
      }
    }
  });
  EXPECT_GT(picked[ComputeForm::kU8xS8], 20);
  EXPECT_GT(picked[ComputeForm::kU8xU8], 10);
}

// The list for readers is that of the backends.
TEST(OpTable, TheOperatorsOfDevicesAreListed) {
  std::ifstream file(test_data("../docs/operators-devices.md"));
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::string list = text.substr(text.rfind("\n\n"));
  std::set<std::string> listed;
  for (size_t at = list.find('`'); at != std::string::npos;) {
    const size_t end = list.find('`', at + 1);
    ASSERT_NE(end, std::string::npos);
    listed.insert(list.substr(at + 1, end - at - 1));
    at = list.find('`', end + 1);
  }
  for (const std::string& name : backend_names()) {
    if (!std::move(find_backend(name)).value()->device) continue;
    const std::vector<std::string> ops = std::move(open_backend(name)).value()->operators();
    EXPECT_EQ(listed, std::set<std::string>(ops.begin(), ops.end())) << "of " << name;
  }
}

// Operators that each backend runs in some case: without a case that its kernel takes, the
// comparison above would hold the reference against itself. No driver is needed.
TEST(OpTable, EveryOperatorOfABackendHasACaseThatItRuns) {
  std::vector<std::unique_ptr<Backend>> backends;
  for (const std::string& name : backend_names()) {
    if (name != "reference") backends.push_back(std::move(open_backend(name)).value());
  }
  std::map<std::string, std::set<std::string>> ran;
  // The session's first backend takes what it can.
  for_each_planned([&](const OpCase&, const Graph& planned) {
    for (const auto& backend : backends) {
      for (const Node& node : planned.nodes) {
        if (!backend->why_not(planned, node)) ran[backend->name()].insert(node.op);
      }
    }
  });
  for (const auto& backend : backends) {
    for (const std::string& op : backend->operators()) {
      EXPECT_TRUE(ran[backend->name()].contains(op))
          << "no case in tests/ops/*.txt runs " << op << " on " << backend->name();
    }
  }
}

}  // namespace
}  // namespace mnn
