#include "libquant/report/layer_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "libquant/bias.h"
#include "libquant/measure/walk.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"

namespace mnn {
namespace {

constexpr size_t kWalkSamples = 8;
constexpr size_t kContributionSamples = 3;
// Layers whose suggested remedy is tried, and below which contribution one is looked for.
constexpr size_t kTriedLayers = 5;
constexpr double kGoodContributionDb = 30.0;
constexpr double kNotableGainDb = 0.1;

struct Row {
  LayerError error;
  int layer = -1;  // of the plan; -1: a node without weights
  ValueId output = kNoValue;
  ErrorSums isolated, accumulated;
  int64_t clipped = 0, elements = 0;
  std::string first;  // content of the float tensor on the first sample
  size_t samples = 0;
  bool changes = false;  // from sample to sample
};

class LayerReporter {
 public:
  explicit LayerReporter(const LayerReportInput& in)
      : in_(in), alone_(in.decisions), few_(first_of(in.holdout, kContributionSamples)) {}

  Result<std::vector<LayerError>> run() {
    make_rows();
    MNN_RETURN_IF_ERROR(count_all_macs());
    MNN_ASSIGN_OR_RETURN(alone_, with_biases_alone(in_.graph, in_.plan, in_.decisions,
                                                   first_of(in_.holdout, kWalkSamples), in_.run));
    MNN_RETURN_IF_ERROR(walk_rows());
    MNN_RETURN_IF_ERROR(contributions());
    std::stable_sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) {
      return a.error.contribution.snr_db < b.error.contribution.snr_db;
    });
    MNN_RETURN_IF_ERROR(suggest());
    std::vector<LayerError> errors;
    for (Row& r : rows_) errors.push_back(std::move(r.error));
    return errors;
  }

 private:
  void make_rows() {
    std::map<NodeId, int> layer_of;
    for (size_t i = 0; i < in_.plan.layers.size(); ++i)
      layer_of[in_.plan.layers[i].node] = static_cast<int>(i);
    for (size_t n = 0; n < in_.graph.nodes.size(); ++n) {
      const Node& node = in_.graph.nodes[n];
      const ValueId out = node.outputs.empty() ? kNoValue : node.outputs[0];
      const auto it = layer_of.find(static_cast<NodeId>(n));
      const bool stored = out != kNoValue && is_planned(in_.plan, out);
      if (it == layer_of.end() && !stored) continue;
      Row row;
      row.output = out;
      LayerError& e = row.error;
      e.node = static_cast<int>(n);
      e.name = display_name(in_.graph, node);
      e.origin = node.origin;
      e.op = node.op;
      const size_t own = node.fused.size() - (ends_in_smoothing(in_.graph, node) ? 1 : 0);
      for (size_t i = 0; i < own; ++i) e.op += "+" + node.fused[i].op;
      e.weight_snr_db = kExactSnrDb;
      if (it != layer_of.end()) {
        row.layer = it->second;
        const QuantizedWeights& w = in_.decisions.weights[static_cast<size_t>(row.layer)];
        e.int8 = true;
        e.scheme = "int8";
        if (w.stored.defined()) {
          e.weight_snr_db = w.snr_db;
          e.weight_bytes_before = w.stored.elements() * 4;
          e.weight_bytes_after = w.stored.bytes() + encoding_bytes(w.params);
        }
      }
      row_of_[static_cast<NodeId>(n)] = rows_.size();
      rows_.push_back(std::move(row));
    }
  }

  Status count_all_macs() {
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, in_.holdout.load(0));
    MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> macs, node_macs(in_.graph, sample));
    for (const auto& [node, row] : row_of_) rows_[row].error.macs = macs[static_cast<size_t>(node)];
    return {};
  }

  Status walk_rows() {
    WalkOptions options;
    options.run = in_.run;
    options.progress = [&](int64_t done, int64_t total) { progress("layer errors", done, total); };
    options.see = [&](const WalkedNode& w) -> Status {
      const auto it = row_of_.find(w.node);
      if (it == row_of_.end() || w.reference.dtype() != DType::kF32) return {};
      Row& row = rows_[it->second];
      row.error.shape = w.reference.dims();
      const std::string content = content_key(w.reference);
      if (row.samples++ == 0) row.first = content;
      row.changes = row.changes || content != row.first;
      MNN_ASSIGN_OR_RETURN(const Tensor reference, of_source(w.reference, row));
      if (w.isolated.defined()) {
        MNN_ASSIGN_OR_RETURN(const Tensor isolated, of_source(w.isolated, row));
        MNN_RETURN_IF_ERROR(row.isolated.add_or_miss(reference, isolated));
      }
      MNN_ASSIGN_OR_RETURN(const Tensor accumulated, of_source(w.accumulated, row));
      MNN_RETURN_IF_ERROR(row.accumulated.add_or_miss(reference, accumulated));
      if (is_planned(in_.plan, row.output)) count_clipped(row, w.reference);
      return {};
    };
    const SampleSet some = first_of(in_.holdout, kWalkSamples);
    MNN_RETURN_IF_ERROR(walk(in_.graph, in_.plan, in_.decisions, alone_, some, options));
    for (Row& row : rows_) {
      row.error.isolated = metrics_of(row.isolated);
      row.error.accumulated = metrics_of(row.accumulated);
      const bool same = row.samples > 1 && !row.changes;
      for (ErrorMetrics* m : {&row.error.isolated, &row.error.accumulated})
        m->constant = m->constant || same;
      row.error.clipped_share =
          row.elements ? static_cast<double>(row.clipped) / static_cast<double>(row.elements) : 0.0;
    }
    return {};
  }

  // A layer's figures are those of its own tensor, not of the smoothed one.
  Result<Tensor> of_source(const Tensor& t, const Row& row) const {
    const auto& smoothing = in_.graph.value(row.output).smoothing;
    return smoothing ? without_smoothing(t, *smoothing) : t;
  }

  void count_clipped(Row& row, const Tensor& reference) const {
    const QuantParams& p = params_of(in_.plan, in_.decisions, row.output);
    int64_t inner = reference.elements();
    if (p.axis >= 0) {
      inner = 1;
      for (size_t d = static_cast<size_t>(p.axis) + 1; d < reference.rank(); ++d)
        inner *= reference.dims()[d];
    }
    const float* x = reference.data<float>();
    for (int64_t at = 0, run = 0; at < reference.elements(); at += inner, ++run) {
      const int64_t c = run % p.entries();
      // Half a step beyond the last level still rounds to it.
      const float low = (-0.5f - p.zero_point_at(c)) * p.scale_at(c);
      const float high = (255.5f - p.zero_point_at(c)) * p.scale_at(c);
      for (int64_t i = at; i < at + inner; ++i) row.clipped += x[i] < low || x[i] > high;
    }
    row.elements += reference.elements();
  }

  // Runs a few samples: the errors of each.
  Result<std::vector<std::vector<ErrorSums>>> errors_of(Graph graph) {
    MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(std::move(graph), in_.run));
    MNN_ASSIGN_OR_RETURN(const auto outputs, run_all(*session, few_));
    std::vector<std::vector<ErrorSums>> errors;
    for (size_t s = 0; s < outputs.size(); ++s) {
      MNN_ASSIGN_OR_RETURN(auto one, slice_errors(in_.judged, in_.reference[s], outputs[s]));
      errors.push_back(std::move(one));
    }
    return errors;
  }

  // What a change is judged by, as recipes are.
  Result<double> score(Graph graph) {
    MNN_ASSIGN_OR_RETURN(const auto errors, errors_of(std::move(graph)));
    std::vector<double> each;
    for (const auto& one : errors) each.push_back(sample_snr_db(in_.judged, one));
    return score_of(each);
  }

  Status contributions() {
    bool same_outputs = true;
    for (size_t o = 0; o < in_.graph.outputs.size(); ++o)
      same_outputs = same_outputs && never_changes(in_.reference, o);
    for (size_t r = 0; r < rows_.size(); ++r) {
      progress("contributions", static_cast<int64_t>(r), static_cast<int64_t>(rows_.size()));
      Row& row = rows_[r];
      Graph g = row.layer >= 0
                    ? annotate_only(in_.graph, in_.plan, alone_, static_cast<size_t>(row.layer))
                    : annotate_value_only(in_.graph, in_.plan, in_.decisions, row.output);
      auto errors = errors_of(std::move(g));
      if (!errors.ok()) return errors.status().context("layer " + row.error.name);
      ErrorMetrics m = contribution_of(*errors);
      m.constant = m.constant || same_outputs;
      row.error.contribution = m;
      row.error.amplified = row.error.isolated.snr_db >= 30.0 && m.snr_db < 20.0;
    }
    return {};
  }

  // One way to treat a row: a name for the reader and the network with it.
  struct Remedy {
    std::string name;
    QuantDecisions decisions;
    bool weights = false;  // of layer `at`; else the parameters of group `at`
    size_t at = 0;
  };
  struct Fix {
    Remedy remedy;
    double gain = -INFINITY;
  };

  std::vector<Remedy> remedies(const Row& row) const {
    std::vector<Remedy> all;
    const ValueId value =
        row.layer < 0 ? row.output : in_.plan.layers[static_cast<size_t>(row.layer)].input;
    const size_t group = group_of(in_.plan, value);
    const QuantParams& now = in_.decisions.params[group];
    auto try_params = [&](const std::string& name, QuantParams params) {
      if (params == now) return;
      all.push_back({name, in_.decisions, false, group});
      all.back().decisions.params[group] = std::move(params);
    };
    if (in_.calibration != nullptr) {
      const Histogram& h = in_.calibration->histograms[group];
      const auto& channels = in_.calibration->channels;
      for (size_t i = 0; i < channels.size(); ++i) {
        if (channels[i].value != value || !channels[i].depthwise) continue;
        try_params("a scale per channel of the input",
                   channel_params(in_.calibration->stats[i],
                                  static_cast<size_t>(channels[i].channels), range_minmax(h), 1.0));
      }
      const char* of = row.layer < 0 ? "of the output" : "of the input";
      for (const auto& [name, method] : {std::pair{"min-max", CalibrationMethod::kMinMax},
                                         {"percentile", CalibrationMethod::kPercentile},
                                         {"MSE", CalibrationMethod::kMse}}) {
        if (method != CalibrationMethod::kMinMax && h.count == 0) continue;
        const RealRange r = choose_range(h, method);
        try_params(std::string(name) + " range " + of, activation_params(r.low, r.high));
      }
    }
    const auto i = static_cast<size_t>(row.layer);
    if (row.layer >= 0 && in_.plan.layers[i].has_weight()) {
      const QuantLayer& layer = in_.plan.layers[i];
      const QuantizedWeights& now = in_.decisions.weights[i];
      const auto try_weights = [&](const char* name, WeightScale scale, bool fix) {
        auto other = quantize_layer(in_.graph, layer, scale, fix);
        if (!other.ok()) return;
        all.push_back({name, in_.decisions, true, i});
        all.back().decisions.weights[i] = std::move(other).value();
      };
      if (now.method == WeightScale::kMse) {
        try_weights("absmax weight scales", WeightScale::kAbsMax, now.overflow_fix);
      } else {
        try_weights("MSE weight scales", WeightScale::kMse, now.overflow_fix);
      }
      if (now.overflow_fix) try_weights("weight scales without overflow fix", now.method, false);
    }
    return all;
  }

  // What to do about the worst layers: the remedy with the best gain at the network's output, and
  // what keeping the layer in float would gain.
  Status suggest() {
    MNN_ASSIGN_OR_RETURN(const double now, score(annotate(in_.graph, in_.plan, in_.decisions)));
    std::vector<Fix> fixes;
    const size_t most = in_.try_all ? rows_.size() : kTriedLayers;
    size_t tried = 0;
    for (Row& row : rows_) {
      if (tried >= most || row.error.contribution.snr_db >= kGoodContributionDb) break;
      progress("remedies", static_cast<int64_t>(tried), static_cast<int64_t>(most));
      ++tried;
      Fix best;
      double in_float = -INFINITY;
      for (Remedy& remedy : remedies(row)) {
        MNN_ASSIGN_OR_RETURN(const double with,
                             score(annotate(in_.graph, in_.plan, remedy.decisions)));
        if (with - now <= best.gain) continue;
        best.gain = with - now;
        best.remedy = std::move(remedy);
      }
      if (row.layer >= 0) {
        MNN_ASSIGN_OR_RETURN(const double without,
                             score(annotate_without(in_.graph, in_.plan, in_.decisions,
                                                    static_cast<size_t>(row.layer))));
        in_float = without - now;
      }
      row.error.suggestion = suggestion_text(best.remedy.name, best.gain, in_float);
      if (best.gain > kNotableGainDb) fixes.push_back(std::move(best));
    }
    if (!in_.try_all || in_.fixes == nullptr) return {};
    return try_together(std::move(fixes), now, tried);
  }

  // One after another, the most gain first; each stays where it helps beside the others.
  Status try_together(std::vector<Fix> fixes, double now, size_t tried) {
    std::ranges::stable_sort(fixes, [](const Fix& a, const Fix& b) { return a.gain > b.gain; });
    Fixes& told = *in_.fixes;
    told.tried = true;
    told.layers = tried;
    QuantDecisions all = in_.decisions;
    double best = now;
    for (size_t i = 0; i < fixes.size(); ++i) {
      progress("remedies together", static_cast<int64_t>(i), static_cast<int64_t>(fixes.size()));
      QuantDecisions more = all;
      const Remedy& remedy = fixes[i].remedy;
      if (remedy.weights) {
        more.weights[remedy.at] = remedy.decisions.weights[remedy.at];
      } else {
        more.params[remedy.at] = remedy.decisions.params[remedy.at];
      }
      MNN_ASSIGN_OR_RETURN(const double with, score(annotate(in_.graph, in_.plan, more)));
      if (with <= best) continue;
      best = with;
      all = std::move(more);
      ++told.helped;
    }
    told.together_db = best - now;
    return {};
  }

  void progress(const std::string& phase, int64_t done, int64_t total) const {
    if (in_.progress) in_.progress(phase, done, total);
  }

  const LayerReportInput& in_;
  QuantDecisions alone_;  // for a layer that is the only one quantized
  SampleSet few_;
  std::vector<Row> rows_;
  std::map<NodeId, size_t> row_of_;
};

// Whether the last axis of the first output, of this rank, is what a classifier's is.
bool scores_in_last_axis(const Graph& graph, int64_t rank) {
  for (const Node& node : graph.nodes) {
    if (node.outputs.empty() || node.outputs[0] != graph.outputs[0]) continue;
    if (node.op == "MatMul" || node.op == "Gemm") return true;
    if (node.op != "Softmax" && node.op != "LogSoftmax") return false;
    const int64_t axis = AttributeReader(node, *find_op(node.op)).attr_int("axis");
    return axis == -1 || axis == rank - 1;
  }
  return false;
}

}  // namespace

std::string suggestion_text(const std::string& remedy, double remedy_gain, double float_gain) {
  std::string text;
  const auto add = [&](const std::string& name, double gain) {
    if (name.empty() || !(gain > kNotableGainDb)) return;
    char figure[32];
    std::snprintf(figure, sizeof figure, "%+.2f dB", gain);
    text += (text.empty() ? "" : "; ") + name + ": " + figure;
  };
  add(remedy, remedy_gain);
  add("in float", float_gain);
  return text.empty() ? text : text + " at the output";
}

ErrorMetrics contribution_of(const std::vector<std::vector<ErrorSums>>& samples) {
  std::vector<ErrorSums> pooled = samples.at(0);
  for (size_t s = 1; s < samples.size(); ++s) {
    for (size_t i = 0; i < pooled.size(); ++i) pooled[i].merge(samples[s][i]);
  }
  ErrorMetrics m = metrics_of(merged(pooled));
  m.snr_db = pooled_snr_db(pooled);
  for (const ErrorSums& slice : pooled) m.cosine = std::min(m.cosine, metrics_of(slice).cosine);
  return m;
}

Result<std::vector<LayerError>> report_layers(const LayerReportInput& input) {
  return LayerReporter(input).run();
}

double argmax_agreement(const Graph& graph, const std::vector<std::vector<Tensor>>& reference,
                        const std::vector<std::vector<Tensor>>& test) {
  int64_t same = 0, rows = 0;
  for (size_t s = 0; s < reference.size(); ++s) {
    if (reference[s].empty()) return -1;
    const Tensor &r = reference[s][0], &t = test[s][0];
    const bool scores = r.rank() == 2 || (r.rank() == 3 && scores_in_last_axis(graph, 3));
    if (r.dtype() != DType::kF32 || !scores || r.dims().back() < 2) return -1;
    const int64_t n = r.dims().back();
    for (int64_t at = 0; at + n <= r.elements(); at += n) {
      const float *a = r.data<float>() + at, *b = t.data<float>() + at;
      same += std::max_element(a, a + n) - a == std::max_element(b, b + n) - b;
      ++rows;
    }
  }
  return rows == 0 ? -1 : static_cast<double>(same) / static_cast<double>(rows);
}

}  // namespace mnn
