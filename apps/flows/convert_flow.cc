#include "apps/flows/convert_flow.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "apps/flows/check.h"
#include "apps/flows/conversion_report.h"
#include "apps/flows/tensors.h"
#include "libconvert/report/onnx_json.h"
#include "libruntime/core/io/file.h"
#include "libruntime/core/states.h"
#include "libruntime/core/text.h"
#include "libruntime/report/format.h"

namespace mnn::flows {
namespace {

// Writes the graph after each pass as DIR/<number>_<pass>.txt; keeps the first error.
void dump_after_each(const std::string& dir, LoadOptions& load, Status& status) {
  load.passes.after = [&status, dir, count = 0](std::string_view pass, int,
                                                const Graph& g) mutable {
    std::string number = std::to_string(count++);
    number.insert(0, 2 - std::min<size_t>(2, number.size()), '0');
    const Status s =
        write_file(dir + "/" + number + "_" + std::string(pass) + ".txt", print_graph(g));
    if (status.ok()) status = s;
  };
}

// Stores the constants as f16 and measures what that does to the outputs.
Result<HalfOutcome> store_as_half(Graph& graph, int threads) {
  const Graph before = graph;
  HalfOutcome out;
  MNN_ASSIGN_OR_RETURN(out.report, narrow_constants(graph));
  const auto dims = concrete_input_dims(before);
  if (!dims.ok()) return out;
  Result<std::vector<Tensor>> made = random_inputs(before, *dims, 1);
  if (!made.ok()) return out;
  // One after the other: two sessions of a large model need not fit at once.
  const auto run = [&](const Graph& g) -> Result<std::vector<Tensor>> {
    MNN_ASSIGN_OR_RETURN(auto session, open_session(g, threads));
    return session->run(*made);
  };
  // Random inputs need not make sense to a model: then there is no figure, and no harm.
  const Result<std::vector<Tensor>> wide = run(before);
  if (!wide.ok()) return out;
  const Result<std::vector<Tensor>> half = run(graph);
  if (!half.ok()) return out;
  constexpr double kAny = std::numeric_limits<double>::infinity();
  for (const OutputCheck& c : check_relative(before, *wide, *half, kAny)) {
    if (c.passed) out.outputs.emplace_back(c.name, c.metrics);
  }
  return out;
}

Result<std::vector<OutputCheck>> check(const ConvertFlow& flow, const LoadedModel& loaded) {
  const Graph& graph = loaded.model.graph;
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs,
                       read_inputs(flow.expect, graph, loaded.source_inputs));
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> expected, read_expected(flow.expect, graph));
  MNN_ASSIGN_OR_RETURN(auto session, open_session(graph, flow.threads));
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> found, session->run(inputs));
  const bool half = flow.fp16 || !half_storage(graph).empty();
  return check_relative(graph, expected, found, half ? kHalfTolerance : kConversionTolerance);
}

Status add_state(LoadedModel& loaded, const std::string& input, const std::string& output) {
  Graph& graph = loaded.model.graph;
  const std::vector<ValueId> before = graph.inputs;
  MNN_RETURN_IF_ERROR(make_state(graph, input, output));
  const auto gone =
      static_cast<int>(std::ranges::mismatch(before, graph.inputs).in1 - before.begin());
  // It keeps its place in the source's list, like an initializer listed there.
  for (auto& entry : loaded.source_inputs) {
    entry.second = entry.second == gone ? -1 : entry.second - (entry.second > gone ? 1 : 0);
  }
  loaded.notes.push_back("input " + input + " is a state, output " + output + " its next content");
  return {};
}

std::map<std::string, std::string> options_of(const ConvertFlow& flow) {
  std::map<std::string, std::string> options = shape_options(flow.shapes);
  options.merge(import_options(flow.import_keys));
  if (!flow.fuse) options["fuse"] = "false";
  if (flow.fp16) options["fp16"] = "true";
  for (const auto& [input, output] : flow.states) options["state " + input] = output;
  return options;
}

}  // namespace

std::string half_text(const HalfOutcome& half) {
  std::string text = std::to_string(half.report.narrowed) + " constants as f16, " +
                     format_bytes(half.report.bytes_saved) + " less";
  if (half.report.narrowed > 0) {
    text += ", their SNR " + format_number(metrics_of(half.report.error).snr_db, 1) + " dB";
  }
  if (!half.report.kept.empty()) {
    text += "; " + std::to_string(half.report.kept.size()) + " stay f32";
  }
  for (const auto& [name, m] : half.outputs) {
    text += "; output " + name + " on random inputs: SNR " + format_number(m.snr_db, 1) +
            " dB, max|y-r|/max|r| " + scientific(m.max_rel);
  }
  return text;
}

Result<ConvertOutcome> run_convert_flow(const ConvertFlow& flow, const Events& events) {
  MNN_RETURN_IF_ERROR(check_target(flow.target));
  for (const std::string& r : flow.reports) MNN_RETURN_IF_ERROR(check_report_name(r));
  LoadOptions load;
  load.shapes = flow.shapes;
  load.import_keys = flow.import_keys;
  load.fuse = flow.fuse;
  Status dumped;
  if (!flow.dump_passes.empty()) {
    MNN_RETURN_IF_ERROR(make_folder(flow.dump_passes));
    dump_after_each(flow.dump_passes, load, dumped);
  }
  ConvertOutcome out;
  events.at("reading " + flow.model, 0, 4);
  MNN_ASSIGN_OR_RETURN(out.loaded, load_any(flow.model, load));
  MNN_RETURN_IF_ERROR(dumped);
  Graph& graph = out.loaded.model.graph;
  for (const auto& [input, output] : flow.states) {
    MNN_RETURN_IF_ERROR(add_state(out.loaded, input, output).context(flow.model));
  }
  if (flow.fp16) {
    events.at("storing as f16", 1, 4);
    MNN_RETURN_IF_ERROR(widen_constants(graph));
    MNN_ASSIGN_OR_RETURN(out.half, store_as_half(graph, flow.threads));
    out.loaded.notes.push_back(half_text(*out.half));
    for (const std::string& kept : out.half->report.kept) {
      out.loaded.notes.push_back("stays f32: " + kept);
    }
  }
  out.placement = place(graph);
  if (!flow.expect.empty()) {
    events.at("checking", 2, 4);
    auto checks = check(flow, out.loaded);
    if (!checks.ok()) return checks.status().context(flow.model);
    out.checks = std::move(checks).value();
    out.verdict = checks_status(out.checks);
    for (const OutputCheck& c : out.checks) {
      out.loaded.notes.push_back(
          "checked against " + flow.expect + ": output " + c.name +
          (c.passed ? ": max|y-r|/max|r| " + scientific(c.metrics.max_rel) : ": " + c.problem));
    }
  }
  out.loaded.model.metadata_json = make_metadata(out.loaded, options_of(flow));
  events.at("writing", 3, 4);
  out.path = out.verdict.ok() ? flow.output : rejected_path(flow.output);
  MNN_RETURN_IF_ERROR(write_model(out.loaded.model, out.path));
  out.stale = settle_earlier(flow.output, out.verdict);
  std::error_code ec;
  out.bytes = static_cast<int64_t>(std::filesystem::file_size(out.path, ec));
  for (const std::string& r : flow.reports) {
    MNN_RETURN_IF_ERROR(
        write_conversion_report(r, out.loaded, out.placement, out.bytes, out.checks));
  }
  if (!flow.netron.empty()) MNN_RETURN_IF_ERROR(write_file(flow.netron, onnx_json(graph)));
  return out;
}

}  // namespace mnn::flows
