#include "apps/flows/compare.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "apps/flows/check.h"
#include "apps/flows/compare_pairs.h"
#include "apps/flows/diff_match.h"
#include "libruntime/core/task_metrics.h"
#include "libruntime/report/format.h"

namespace mnn::flows {
namespace {

// Layers are held in memory in groups of about this size, so that big models fit.
constexpr int64_t kGroupBytes = int64_t{512} << 20;

// One tensor to compare: which value of each graph, where its row is.
struct Pair {
  ValueId ref, test;
  ComparedTensor* row;
  std::string stem;  // of its dump; empty: none
  ErrorSums sums;
  const OutputSlice* slice = nullptr;  // null: the whole tensor
  bool each = false;                   // keeps the errors of each sample
  std::vector<ErrorSums> of_sample = {};
};

Status add_numbers(Pair& p, const Tensor& ref, const Tensor& test) {
  ErrorSums own;
  if (p.slice != nullptr) {
    MNN_ASSIGN_OR_RETURN(const Tensor r, cut_slice(ref, *p.slice));
    MNN_ASSIGN_OR_RETURN(const Tensor t, cut_slice(test, *p.slice));
    p.row->type = r.type_str();
    MNN_RETURN_IF_ERROR(own.add(r, t));
  } else {
    MNN_RETURN_IF_ERROR(own.add(ref, test));
  }
  p.sums.merge(own);
  if (p.each) p.of_sample.push_back(own);
  return {};
}

// Adds one sample; keeps the first problem.
void add_sample(Pair& p, const Tensor& ref, const Tensor& test) {
  p.row->type = ref.type_str();
  if (!p.row->problem.empty()) return;
  Tensor aligned = test;
  if (ref.dims() != test.dims()) {
    if (std::optional<Tensor> moved = with_channels_moved(test, ref.dims())) {
      aligned = *std::move(moved);
      p.row->moved_channels = true;
    }
  }
  if (ref.dims() != aligned.dims()) {
    p.row->problem = "shapes differ: " + ref.type_str() + " and " + test.type_str();
  } else if (ref.elements() == 0) {
    p.row->problem = "it is empty: there is nothing to compare";
  } else if (ref.dtype() == DType::kString || test.dtype() == DType::kString) {
    if (!identical(ref, test)) p.row->problem = "the strings differ";
    p.sums.count += ref.elements();
  } else {
    const Status added = add_numbers(p, ref, aligned);
    if (!added.ok()) p.row->problem = added.message();
  }
}

int64_t estimated_bytes(const Graph& graph, ValueId v) {
  constexpr int64_t kUnknown = int64_t{4} << 20;
  const Type& type = graph.value(v).type;
  if (!type.is_static()) return kUnknown;
  int64_t elements = 1;
  for (const Dim& d : *type.shape) elements *= d.value();
  return 4 * elements;
}

// Runs both models on every sample, `pairs` exposed, and adds what comes out to their sums.
Status run_group(const Graph& ref, const Graph& test, const CompareInputs& inputs,
                 const std::vector<size_t>& test_inputs, const CompareOptions& options,
                 std::span<Pair> pairs, const std::function<void()>& step) {
  Graph ref_graph = ref, test_graph = test;
  std::vector<ValueId> ref_values, test_values;
  for (const Pair& p : pairs) {
    ref_values.push_back(p.ref);
    test_values.push_back(p.test);
  }
  const std::vector<size_t> ref_at = expose(ref_graph, ref_values);
  const std::vector<size_t> test_at = expose(test_graph, test_values);
  auto ref_session = open_session(ref_graph, options.engine, options.ref_backend);
  if (!ref_session.ok()) return ref_session.status().context(options.ref_name);
  auto test_session = open_session(test_graph, options.engine, options.test_backend);
  if (!test_session.ok()) return test_session.status().context(options.test_name);
  for (size_t s = 0; s < inputs.count; ++s) {
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> given, inputs.load(s));
    std::vector<Tensor> permuted;
    for (const size_t i : test_inputs) permuted.push_back(given[i]);
    (*ref_session)->reset_states();
    (*test_session)->reset_states();
    auto ref_out = (*ref_session)->run(given);
    if (!ref_out.ok()) return in_sample(ref_out.status(), inputs, s).context(options.ref_name);
    auto test_out = (*test_session)->run(permuted);
    if (!test_out.ok()) return in_sample(test_out.status(), inputs, s).context(options.test_name);
    for (size_t i = 0; i < pairs.size(); ++i) {
      MNN_ASSIGN_OR_RETURN(const Tensor r, source_tensor(ref, pairs[i].ref, (*ref_out)[ref_at[i]]));
      MNN_ASSIGN_OR_RETURN(const Tensor t,
                           source_tensor(test, pairs[i].test, (*test_out)[test_at[i]]));
      if (!r.defined() || !t.defined()) {
        pairs[i].row->problem = "it is no tensor";
        continue;
      }
      add_sample(pairs[i], r, t);
      if (options.dump && !pairs[i].stem.empty()) {
        MNN_RETURN_IF_ERROR(options.dump("ref", s, pairs[i].stem, r));
        MNN_RETURN_IF_ERROR(options.dump("test", s, pairs[i].stem, t));
      }
    }
    step();
  }
  return {};
}

std::string sample_name(const CompareInputs& inputs, size_t s) {
  if (s >= inputs.names.size()) return "sample " + std::to_string(s);
  return inputs.names[s].substr(inputs.names[s].find_last_of('/') + 1);
}

// The figures of the task asked for, from another run of both models.
Status measure_task(const Graph& ref, const Graph& test, const CompareInputs& inputs,
                    const std::vector<size_t>& test_inputs, const std::vector<int>& test_outputs,
                    const CompareOptions& options, Comparison& out) {
  std::vector<std::unique_ptr<TaskMetric>> metrics;
  for (const std::string& spec : options.metrics) {
    MNN_ASSIGN_OR_RETURN(auto metric, make_metric(ref, spec));
    metrics.push_back(std::move(metric));
  }
  const bool eval = !options.eval.command.empty();
  if (metrics.empty() && !eval) return {};
  if (std::find(test_outputs.begin(), test_outputs.end(), -1) != test_outputs.end())
    return usage_error("--metric and --eval: TEST has not all outputs of REF");
  std::optional<Evaluation> evaluation;
  if (eval) {
    MNN_ASSIGN_OR_RETURN(Evaluation made, Evaluation::create());
    evaluation.emplace(std::move(made));
  }
  MNN_ASSIGN_OR_RETURN(const auto ref_session,
                       open_session(ref, options.engine, options.ref_backend));
  MNN_ASSIGN_OR_RETURN(const auto test_session,
                       open_session(test, options.engine, options.test_backend));
  for (size_t s = 0; s < inputs.count; ++s) {
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> given, inputs.load(s));
    std::vector<Tensor> permuted, have;
    for (const size_t i : test_inputs) permuted.push_back(given[i]);
    ref_session->reset_states();
    test_session->reset_states();
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> want, ref_session->run(given));
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> made, test_session->run(permuted));
    for (const int o : test_outputs) have.push_back(made[static_cast<size_t>(o)]);
    for (size_t m = 0; m < metrics.size(); ++m) {
      const Status status = metrics[m]->add(want, have);
      if (!status.ok()) return status.context("--metric " + options.metrics[m]);
    }
    if (eval) MNN_RETURN_IF_ERROR(evaluation->add(ref, sample_name(inputs, s), want, have));
  }
  for (size_t m = 0; m < metrics.size(); ++m)
    out.metrics.emplace_back(options.metrics[m], metrics[m]->value());
  if (eval) {
    MNN_ASSIGN_OR_RETURN(out.eval, evaluation->run(options.eval));
  }
  return {};
}

// The samples one by one, from the pairs that the outputs are judged by.
SampleErrors sample_errors_of(JudgedSlices judged, const std::vector<const Pair*>& pairs,
                              const CompareInputs& inputs) {
  SampleErrors out;
  judged.sample_power.clear();
  for (const Pair* p : pairs) {
    // Without figures of every sample there are none of any.
    if (p->of_sample.size() != inputs.count) return {};
    out.slice_names.push_back(p->row->name);
    judged.sample_power.push_back(p->sums.ref_squared / static_cast<double>(inputs.count));
  }
  for (size_t s = 0; s < inputs.count && !pairs.empty(); ++s) {
    std::vector<ErrorSums> errors;
    for (const Pair* p : pairs) errors.push_back(p->of_sample[s]);
    out.samples.push_back({sample_name(inputs, s), s, sample_snr_db(judged, errors),
                           sample_slice_snrs_db(judged, errors)});
  }
  return out;
}

}  // namespace

Result<Comparison> compare_models(const Graph& ref, const Graph& test, const CompareInputs& inputs,
                                  const CompareOptions& given) {
  CompareOptions options = given;
  if (options.engine == nullptr) {
    MNN_ASSIGN_OR_RETURN(options.engine, open_engine(options.threads, options.isa));
  }
  Comparison out;
  out.samples = inputs.count;
  bool inputs_by_position = false, outputs_by_position = false;
  MNN_ASSIGN_OR_RETURN(const std::vector<size_t> test_inputs,
                       map_inputs(ref, test, inputs_by_position));
  const std::vector<int> test_outputs = map_outputs(ref, test, outputs_by_position);
  if (inputs_by_position) out.notes.emplace_back("input names differ: aligned by position");
  if (outputs_by_position) out.notes.emplace_back("output names differ: aligned by position");

  const std::vector<Layer> ref_layers = list_layers(ref), test_layers = list_layers(test);
  std::vector<AlignedLayers> aligned;
  if (!options.outputs_only) {
    MNN_ASSIGN_OR_RETURN(aligned, align_layers(ref, ref_layers, test, test_layers, options.align));
    out.unaligned = list_unaligned(ref_layers, test_layers, aligned);
    if (aligned.empty()) out.notes.emplace_back("no layer is the same in both models");
  }
  MNN_ASSIGN_OR_RETURN(const JudgedSlices judged, find_slices(ref, inputs, options));
  // Rows get their final addresses before pairs point at them.
  out.layers.resize(aligned.size());
  out.outputs.reserve(ref.outputs.size() + judged.slices.size());
  std::vector<Layer> stems_of;
  std::vector<Pair> pairs, parts;  // parts: what the outputs are judged by
  const Uses ref_uses = index_uses(ref), test_uses = index_uses(test);
  for (size_t i = 0; i < aligned.size(); ++i) {
    const Layer &r = ref_layers[aligned[i].ref], &t = test_layers[aligned[i].test];
    out.layers[i].name = t.name;
    out.layers[i].ref_name = r.name;
    out.layers[i].by = aligned[i].by;
    out.layers[i].ref_op = r.op;
    out.layers[i].test_op = t.op;
    const ValueId ref_value = as_read(ref, ref_uses, r.value),
                  test_value = as_read(test, test_uses, t.value);
    if (ref_value != r.value) out.layers[i].ref_op += ", quantized";
    if (test_value != t.value) out.layers[i].test_op += ", quantized";
    out.layers[i].ref_value = ref_value;
    out.layers[i].test_value = test_value;
    pairs.push_back({ref_value, test_value, &out.layers[i], {}, {}});
    stems_of.push_back({t.name, {}, {}, t.value});
  }
  for (size_t i = 0; i < ref.outputs.size(); ++i) {
    ComparedTensor& row = out.outputs.emplace_back();
    row.name = ref.value(ref.outputs[i]).name;
    if (test_outputs[i] < 0) {
      row.problem = "TEST has no such output";
      row.metrics.failed = true;
      continue;
    }
    const ValueId t = test.outputs[static_cast<size_t>(test_outputs[i])];
    pairs.push_back({ref.outputs[i], t, &row, {}, {}});
    stems_of.push_back({"output." + row.name, {}, {}, t});
    for (const OutputSlice& slice : judged.slices) {
      if (slice.output != i) continue;
      Pair part = pairs.back();
      if (!slice.whole()) {
        part.row = &out.outputs.emplace_back();
        part.row->name = slice.name;
        part.row->slice = true;
        part.slice = &slice;
      }
      part.each = true;
      parts.push_back(part);
    }
  }
  const std::vector<std::string> stems = layer_stems(stems_of);
  for (size_t i = 0; i < pairs.size(); ++i) pairs[i].stem = stems[i];
  // A whole output that is judged as such has one pair.
  std::vector<size_t> judged_pairs;
  for (const Pair& part : parts) {
    const auto whole =
        std::find_if(pairs.begin(), pairs.end(), [&](const Pair& p) { return p.row == part.row; });
    judged_pairs.push_back(static_cast<size_t>(whole - pairs.begin()));
    if (whole == pairs.end()) {
      pairs.push_back(part);
    } else {
      whole->each = true;
    }
  }

  std::vector<std::pair<size_t, size_t>> groups;  // [begin, end)
  for (size_t begin = 0; begin < pairs.size();) {
    size_t end = begin;
    for (int64_t bytes = 0; end < pairs.size() && (end == begin || bytes < kGroupBytes); ++end) {
      bytes += estimated_bytes(ref, pairs[end].ref) + estimated_bytes(test, pairs[end].test);
    }
    groups.emplace_back(begin, end);
    begin = end;
  }
  const auto total = static_cast<int64_t>(groups.size() * inputs.count);
  int64_t done = 0;
  const auto step = [&] {
    if (options.progress) options.progress(++done, total);
  };
  for (const auto& [begin, end] : groups) {
    MNN_RETURN_IF_ERROR(run_group(ref, test, inputs, test_inputs, options,
                                  std::span(pairs).subspan(begin, end - begin), step));
  }
  for (Pair& p : pairs) p.row->metrics = metrics_of(p.sums);
  std::vector<const Pair*> by;
  for (const size_t i : judged_pairs) by.push_back(&pairs[i]);
  out.sample_errors = sample_errors_of(judged, by, inputs);
  MNN_RETURN_IF_ERROR(measure_task(ref, test, inputs, test_inputs, test_outputs, options, out));
  return out;
}

std::string TaskFigure::text() const { return format_number(value, 4); }
std::string TaskFigure::failure() const {
  return least && value < *least ? text() + " is below " + format_number(*least, 4) : "";
}

std::vector<TaskFigure> task_figures(const Comparison& comparison, const CompareGate& gate) {
  std::vector<TaskFigure> figures;
  for (const auto& [name, value] : comparison.metrics)
    figures.push_back({"metric " + name, value, gate.min_metric});
  if (comparison.eval) figures.push_back({"--eval", *comparison.eval, gate.min_eval});
  return figures;
}

std::string failure_of(const ComparedTensor& row, const CompareGate& gate) {
  if (!row.problem.empty()) return row.problem;
  if (row.metrics.failed) return "NaN or infinity, or nothing to compare";
  if (gate.min_cosine && row.metrics.cosine < *gate.min_cosine) {
    return "cosine " + format_number(row.metrics.cosine, 6) + " is below " +
           format_number(*gate.min_cosine, 6);
  }
  if (gate.min_snr && row.metrics.snr_db < *gate.min_snr) {
    return "SNR " + format_number(row.metrics.snr_db, 2) + " dB is below " +
           format_number(*gate.min_snr, 2) + " dB";
  }
  return {};
}

CompareGate naming_gate(const CompareGate& gate) {
  return gate.of_layers() ? gate : CompareGate{kDefaultMinCosine, kDefaultMinSnrDb, {}, {}};
}

const ComparedTensor* first_bad(const Comparison& comparison, const CompareGate& gate) {
  const CompareGate naming = naming_gate(gate);
  for (const ComparedTensor& row : comparison.layers) {
    if (!failure_of(row, naming).empty()) return &row;
  }
  return nullptr;
}

std::vector<std::string> missed_of(const Comparison& comparison, const CompareGate& gate) {
  std::vector<std::string> missed;
  for (const ComparedTensor& row : comparison.layers) {
    const std::string why = failure_of(row, gate);
    if (why.empty()) continue;
    missed.push_back("node " + row.name + " (" + row.test_op +
                     "): " + (missed.empty() ? "first bad layer: " : "") + why);
  }
  for (const ComparedTensor& row : comparison.outputs) {
    const std::string why = failure_of(row, gate);
    if (!why.empty()) missed.push_back("output " + row.name + ": " + why);
  }
  for (const TaskFigure& f : task_figures(comparison, gate)) {
    if (!f.failure().empty()) missed.push_back(f.name + ": " + f.failure());
  }
  return missed;
}

Status judge_comparison(const Comparison& comparison, const CompareGate& gate) {
  const std::vector<std::string> missed = missed_of(comparison, gate);
  if (missed.empty()) return {};
  return Status(gate.given() ? Code::kThreshold : Code::kInternal, missed[0]);
}

}  // namespace mnn::flows
