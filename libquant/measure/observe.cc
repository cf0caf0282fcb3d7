#include "libquant/measure/observe.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "libruntime/compile/backend.h"
#include "libruntime/core/bind_shapes.h"
#include "libruntime/core/io/file.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

// What one sample's observed values may take together before they are split into portions.
constexpr int64_t kPortionBytes = int64_t{256} << 20;

int64_t bytes_hint(const Graph& graph, ValueId v) {
  const Type& t = graph.value(v).type;
  return t.is_static() ? checked_elements(known_dims(*t.shape)).value_or(0) * 4 : int64_t{4} << 20;
}

Status of_sample(const Status& status, const SampleSet& samples, size_t s) {
  return status.context("sample " + samples.name(s));
}

}  // namespace

Result<std::unique_ptr<Session>> open_for_quant(Graph graph, const RunOptions& options) {
  if (options.engine == nullptr) return Session::create(std::move(graph), {});
  return Session::create(std::move(graph), options.engine, {"cpu"});
}

Result<std::vector<Tensor>> SampleSet::load(size_t i) const {
  Result<std::vector<Tensor>> sample = source->load(indices[i]);
  if (sample.ok() || source->names.empty()) return sample;
  const std::string& name = source->names[indices[i]];
  const Status& status = sample.status();
  return status.message().find(name) == std::string::npos ? status.context(name) : status;
}

std::string SampleSet::name(size_t i) const {
  const size_t index = indices[i];
  if (index >= source->names.size()) return "sample " + std::to_string(index);
  const std::string& path = source->names[index];
  return path.substr(path.find_last_of('/') + 1);
}

SampleSet first_of(const SampleSet& all, size_t count) {
  SampleSet some = all;
  some.indices.resize(std::min(count, all.size()));
  return some;
}

SampleSet spread(const SampleSet& all, size_t count) {
  SampleSet some;
  some.source = all.source;
  const size_t n = std::min(count, all.size());
  for (size_t i = 0; i < n; ++i) some.indices.push_back(all.indices[i * all.size() / n]);
  return some;
}

std::string content_key(const Tensor& t) {
  return t.type_str() + sha256_hex({t.raw(), static_cast<size_t>(t.bytes())});
}

Status observe(const Graph& graph, const std::vector<ValueId>& values, const SampleSet& samples,
               const RunOptions& options, const SeeValue& see,
               const std::function<void(int64_t, int64_t)>& progress) {
  std::vector<std::pair<size_t, size_t>> portions;
  for (size_t begin = 0; begin < values.size();) {
    int64_t bytes = 0;
    size_t end = begin;
    while (end < values.size() &&
           (end == begin || bytes + bytes_hint(graph, values[end]) <= kPortionBytes)) {
      bytes += bytes_hint(graph, values[end++]);
    }
    portions.emplace_back(begin, end);
    begin = end;
  }
  const auto total = static_cast<int64_t>(portions.size() * samples.size());
  int64_t done = 0;
  for (const auto& [begin, end] : portions) {
    Graph g = graph;
    g.outputs.assign(values.begin() + static_cast<long>(begin),
                     values.begin() + static_cast<long>(end));
    g.updates.clear();  // each sample starts with fresh states
    // Only the values asked for are made: what lies behind the last of them is not run. Inputs
    // stay.
    Graph cut = g;
    remove_dead(cut);
    MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(std::move(cut), options));
    for (size_t s = 0; s < samples.size(); ++s) {
      MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, samples.load(s));
      const Result<std::vector<Tensor>> ran = session->run(inputs);
      if (!ran.ok()) return of_sample(ran.status(), samples, s);
      const std::vector<Tensor>& seen = *ran;
      for (size_t v = 0; v < seen.size(); ++v) MNN_RETURN_IF_ERROR(see(begin + v, s, seen[v]));
      if (progress) progress(++done, total);
    }
  }
  return {};
}

Result<std::vector<std::vector<Tensor>>> run_all(Session& session, const SampleSet& samples) {
  std::vector<std::vector<Tensor>> all;
  for (size_t s = 0; s < samples.size(); ++s) {
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, samples.load(s));
    session.reset_states();
    Result<std::vector<Tensor>> outputs = session.run(inputs);
    if (!outputs.ok()) return of_sample(outputs.status(), samples, s);
    all.push_back(std::move(outputs).value());
  }
  return all;
}

Result<Graph> bound_to(const Graph& graph, const std::vector<Tensor>& sample) {
  Graph g = graph;
  std::vector<std::vector<int64_t>> dims;
  for (const Tensor& t : sample) dims.push_back(t.dims());
  MNN_RETURN_IF_ERROR(bind_inputs(g, dims));
  MNN_RETURN_IF_ERROR(infer_types(g));
  return g;
}

Result<std::vector<int64_t>> node_macs(const Graph& graph, const std::vector<Tensor>& sample) {
  MNN_ASSIGN_OR_RETURN(const Graph g, bound_to(graph, sample));
  std::vector<int64_t> macs;
  for (const Node& node : g.nodes) macs.push_back(count_macs(g, node));
  return macs;
}

bool never_changes(const std::vector<std::vector<Tensor>>& outputs, size_t o) {
  return outputs.size() > 1 && std::all_of(outputs.begin(), outputs.end(), [&](const auto& sample) {
           return identical(sample[o], outputs[0][o]);
         });
}

Result<std::vector<ErrorSums>> output_errors(const std::vector<std::vector<Tensor>>& reference,
                                             const std::vector<std::vector<Tensor>>& test) {
  std::vector<ErrorSums> sums(reference.empty() ? 0 : reference[0].size());
  for (size_t s = 0; s < reference.size(); ++s) {
    for (size_t o = 0; o < sums.size(); ++o) {
      if (reference[s][o].dtype() == DType::kString) continue;
      MNN_RETURN_IF_ERROR(sums[o].add_or_miss(reference[s][o], test[s][o]));
    }
  }
  return sums;
}

ErrorSums merged(const std::vector<ErrorSums>& outputs) {
  ErrorSums all;
  for (const ErrorSums& s : outputs) all.merge(s);
  return all;
}

Result<std::vector<ErrorSums>> slice_errors(const JudgedSlices& judged,
                                            const std::vector<std::vector<Tensor>>& reference,
                                            const std::vector<std::vector<Tensor>>& test) {
  std::vector<ErrorSums> sums(judged.slices.size());
  for (size_t s = 0; s < reference.size(); ++s) {
    MNN_ASSIGN_OR_RETURN(const auto errors, slice_errors(judged, reference[s], test[s]));
    for (size_t i = 0; i < sums.size(); ++i) sums[i].merge(errors[i]);
  }
  return sums;
}

Result<std::vector<double>> sample_snrs_db(const JudgedSlices& judged,
                                           const std::vector<std::vector<Tensor>>& reference,
                                           const std::vector<std::vector<Tensor>>& test) {
  std::vector<double> all;
  for (size_t s = 0; s < reference.size(); ++s) {
    MNN_ASSIGN_OR_RETURN(const auto errors, slice_errors(judged, reference[s], test[s]));
    all.push_back(sample_snr_db(judged, errors));
  }
  return all;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

double worst_of(const std::vector<double>& values) {
  return values.empty() ? 0 : *std::min_element(values.begin(), values.end());
}

double score_of(const std::vector<double>& sample_snrs_db) {
  return 0.75 * mean_of(sample_snrs_db) + 0.25 * worst_of(sample_snrs_db);
}

}  // namespace mnn
