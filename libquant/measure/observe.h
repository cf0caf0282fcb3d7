// Running models on samples and looking at what flows through them.
#pragma once

#include <functional>
#include <memory>

#include "libquant/types.h"
#include "libruntime/core/slices.h"
#include "libruntime/session.h"

namespace mnn {

struct RunOptions {
  std::shared_ptr<Engine> engine;  // null: each session has its own, of one thread
};

Result<std::unique_ptr<Session>> open_for_quant(Graph graph, const RunOptions& options);

// Some samples of a source, kept by index.
struct SampleSet {
  const SampleSource* source = nullptr;
  std::vector<size_t> indices;
  size_t size() const { return indices.size(); }
  Result<std::vector<Tensor>> load(size_t i) const;  // the error names the sample
  std::string name(size_t i) const;                  // the last part of its path
};

// The first `count` of them, or all.
SampleSet first_of(const SampleSet& all, size_t count);

// At most `count` of them, evenly spread.
SampleSet spread(const SampleSet& all, size_t count);

// Equal tensors have equal keys, others do not. For numbers.
std::string content_key(const Tensor& t);

// Runs every sample and hands over the named values, each as a dense f32 tensor. Values are
// observed in portions so that what is held at once stays bounded; `see(value index, sample index,
// tensor)` is called in sample order for each value.
using SeeValue = std::function<Status(size_t value, size_t sample, const Tensor& tensor)>;
Status observe(const Graph& graph, const std::vector<ValueId>& values, const SampleSet& samples,
               const RunOptions& options, const SeeValue& see,
               const std::function<void(int64_t done, int64_t total)>& progress);

// The network's outputs on every sample.
Result<std::vector<std::vector<Tensor>>> run_all(Session& session, const SampleSet& samples);

// The graph for inputs like `sample`, its types inferred; ids stay.
Result<Graph> bound_to(const Graph& graph, const std::vector<Tensor>& sample);
// MACs of every node for inputs like `sample`.
Result<std::vector<int64_t>> node_macs(const Graph& graph, const std::vector<Tensor>& sample);

// Whether output `o` is the same tensor on every sample, of two or more.
bool never_changes(const std::vector<std::vector<Tensor>>& outputs, size_t o);

// Errors of `test` against `reference`, per output, summed over the samples.
Result<std::vector<ErrorSums>> output_errors(const std::vector<std::vector<Tensor>>& reference,
                                             const std::vector<std::vector<Tensor>>& test);
// The same per judged slice.
Result<std::vector<ErrorSums>> slice_errors(const JudgedSlices& judged,
                                            const std::vector<std::vector<Tensor>>& reference,
                                            const std::vector<std::vector<Tensor>>& test);
// sample_snr_db() of each sample.
Result<std::vector<double>> sample_snrs_db(const JudgedSlices& judged,
                                           const std::vector<std::vector<Tensor>>& reference,
                                           const std::vector<std::vector<Tensor>>& test);
double mean_of(const std::vector<double>& values);
double worst_of(const std::vector<double>& values);
// What recipes and promotions are chosen by: three parts the mean of the samples' SNRs and one part
// the worst of them.
double score_of(const std::vector<double>& sample_snrs_db);
ErrorSums merged(const std::vector<ErrorSums>& outputs);

}  // namespace mnn
