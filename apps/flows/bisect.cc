#include "apps/flows/bisect.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_set>

#include "apps/flows/check.h"
#include "apps/flows/compare_pairs.h"
#include "libruntime/core/half.h"
#include "libruntime/core/ops/convert.h"
#include "libruntime/core/quant.h"

namespace mnn::flows {
namespace {

// Half of the noise.
const double kHalfDb = 10 * std::log10(2.0);

// TEST's value `v` as a run of REF made it, before it is turned into what TEST takes.
Result<Tensor> as_test_takes(const Tensor& made, const Value& v) {
  Tensor t = made;
  if (v.type.is_static() && known_dims(*v.type.shape) != t.dims()) {
    std::optional<Tensor> moved = with_channels_moved(t, known_dims(*v.type.shape));
    if (!moved) return invalid("expected " + v.type.str() + ", found " + t.type_str());
    t = *std::move(moved);
  }
  if (t.dtype() != v.type.dtype) {
    MNN_ASSIGN_OR_RETURN(t, convert_elements(t, v.type.dtype));
  }
  if (!v.smoothing) return t;
  ChannelDivisors factors = *v.smoothing;
  for (float& d : factors.divisors) d = 1.0f / d;
  return without_smoothing(t, factors);
}

class Bisector {
 public:
  Bisector(const Graph& ref, const Graph& test, const CompareInputs& inputs,
           const CompareOptions& options, const Comparison& comparison)
      : ref_(ref),
        test_(test),
        inputs_(inputs),
        options_(options),
        rows_(comparison.layers),
        uses_(index_uses(test)) {}

  Result<Bisection> run() {
    if (options_.engine == nullptr) {
      MNN_ASSIGN_OR_RETURN(options_.engine, open_engine(options_.threads, options_.isa));
    }
    bool by_position = false;
    MNN_ASSIGN_OR_RETURN(test_inputs_, map_inputs(ref_, test_, by_position));
    test_outputs_ = map_outputs(ref_, test_, by_position);
    MNN_ASSIGN_OR_RETURN(judged_, find_slices(ref_, inputs_, options_));
    std::erase_if(judged_.slices,
                  [&](const OutputSlice& s) { return test_outputs_[s.output] < 0; });
    if (judged_.slices.empty()) return usage_error("--bisect: no output of both has numbers");
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (can_be_fed(rows_[i])) layers_.push_back(i);
    }
    out_.layers = layers_.size();
    // What halving takes, and the run that looks at the layer.
    runs_planned_ = 4 + static_cast<int64_t>(std::bit_width(layers_.size()));
    MNN_ASSIGN_OR_RETURN(out_.output_snr_db, snr_db({}, std::nullopt));
    out_.lost = !(out_.output_snr_db >= kNoLossDb);
    if (out_.lost) MNN_RETURN_IF_ERROR(search());
    return std::move(out_);
  }

 private:
  Status search() {
    // With REF's values in the first `low` layers the loss is there, in the first `high` it is not.
    size_t low = 0, high = layers_.size();
    double at_low = out_.output_snr_db;
    MNN_ASSIGN_OR_RETURN(double at_high, snr_db(layers_, std::nullopt));
    if (is_loss(at_high)) {
      out_.before_snr_db = out_.up_to_snr_db = out_.repaired_snr_db = at_high;
      name_between(layers_, test_.outputs);
      return {};
    }
    while (high - low > 1) {
      const size_t middle = low + (high - low) / 2;
      MNN_ASSIGN_OR_RETURN(const double snr, snr_db(first(middle), std::nullopt));
      (is_loss(snr) ? low : high) = middle;
      (is_loss(snr) ? at_low : at_high) = snr;
    }
    const size_t found = layers_[low];
    out_.layer = found;
    out_.before_snr_db = at_low;
    out_.up_to_snr_db = at_high;
    MNN_RETURN_IF_ERROR(snr_db(first(low), found).status());
    MNN_ASSIGN_OR_RETURN(out_.repaired_snr_db, snr_db({found}, std::nullopt));
    name_between(first(low), {rows_[found].test_value});
    std::erase(out_.between, rows_[found].name);
    return {};
  }

  // Not a number counts as all of the loss.
  bool is_loss(double snr) const { return !(snr > out_.output_snr_db + kHalfDb); }

  std::vector<size_t> first(size_t count) const {
    return {layers_.begin(), layers_.begin() + static_cast<long>(count)};
  }

  bool can_be_fed(const ComparedTensor& row) const {
    if (!row.problem.empty()) return false;
    const Type &r = ref_.value(row.ref_value).type, &t = test_.value(row.test_value).type;
    if (r.kind != Type::Kind::kTensor || t.kind != Type::Kind::kTensor || !t.shape) return false;
    if (row.moved_channels && !t.is_static()) return false;
    if (test_.value(row.test_value).kind != ValueKind::kTemporary) return false;
    return is_float(t.dtype) ? is_float(r.dtype) : t.dtype == r.dtype && t.dtype != DType::kString;
  }

  // The nodes that make `wanted` of REF's values in the layers `fed`, and which of these they read.
  struct Part {
    std::unordered_set<ValueId> fed;
    std::vector<char> nodes;
  };
  Part part_of(const std::vector<size_t>& fed, std::vector<ValueId> wanted) const {
    std::unordered_set<ValueId> stops;
    for (const size_t i : fed) stops.insert(rows_[i].test_value);
    Part part;
    part.nodes.assign(test_.nodes.size(), 0);
    while (!wanted.empty()) {
      const ValueId v = wanted.back();
      wanted.pop_back();
      if (v == kNoValue) continue;
      if (stops.contains(v)) {
        part.fed.insert(v);
        continue;
      }
      const NodeId maker = uses_.producer[static_cast<size_t>(v)];
      if (maker < 0 || part.nodes[static_cast<size_t>(maker)]) continue;
      part.nodes[static_cast<size_t>(maker)] = 1;
      const Node& node = test_.node(maker);
      wanted.insert(wanted.end(), node.inputs.begin(), node.inputs.end());
      wanted.insert(wanted.end(), node.captures.begin(), node.captures.end());
    }
    return part;
  }

  void name_between(const std::vector<size_t>& fed, const std::vector<ValueId>& wanted) {
    const Part part = part_of(fed, wanted);
    const std::vector<char> storage = storage_nodes(test_);
    for (size_t n = 0; n < part.nodes.size(); ++n) {
      if (part.nodes[n] && !storage[n]) out_.between.push_back(display_name(test_, test_.nodes[n]));
    }
  }

  // The SNR at the outputs of TEST with REF's values in the layers `fed`. `look_at`: a layer of
  // which the error goes to out_.alone.
  Result<double> snr_db(const std::vector<size_t>& fed, std::optional<size_t> look_at) {
    ++out_.runs;
    std::vector<ValueId> wanted = test_.results();
    if (look_at) wanted.push_back(rows_[*look_at].test_value);
    const Part part = part_of(fed, wanted);
    Graph ref_graph = ref_, test_graph = test_;
    std::vector<ValueId> ref_values;
    std::vector<size_t> rows;  // of the values fed
    size_t looked_at = 0;
    if (look_at) {
      looked_at = expose(test_graph, {rows_[*look_at].test_value})[0];
      ref_values.push_back(rows_[*look_at].ref_value);
    }
    std::unordered_set<ValueId> left = part.fed;
    for (const size_t i : fed) {
      const ValueId v = rows_[i].test_value;
      if (left.erase(v) == 0) continue;
      rows.push_back(i);
      ref_values.push_back(rows_[i].ref_value);
      const Value& value = test_.value(v);
      replace_uses(test_graph, v, test_graph.add_input(value.name, value.type));
    }
    remove_dead(test_graph);
    const std::vector<size_t> ref_at = expose(ref_graph, ref_values);
    auto ref_session = open_session(ref_graph, options_.engine, options_.ref_backend);
    if (!ref_session.ok()) return ref_session.status().context(options_.ref_name);
    auto test_session = open_session(test_graph, options_.engine, options_.test_backend);
    if (!test_session.ok()) return test_session.status().context(options_.test_name);
    std::vector<ErrorSums> sums(judged_.slices.size());
    ErrorSums layer;
    for (size_t s = 0; s < inputs_.count; ++s) {
      MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> given, inputs_.load(s));
      (*ref_session)->reset_states();
      (*test_session)->reset_states();
      auto reference = (*ref_session)->run(given);
      if (!reference.ok())
        return in_sample(reference.status(), inputs_, s).context(options_.ref_name);
      std::vector<Tensor> taken;
      for (const size_t i : test_inputs_) taken.push_back(given[i]);
      for (size_t i = 0; i < rows.size(); ++i) {
        const ComparedTensor& row = rows_[rows[i]];
        const Tensor& made = (*reference)[ref_at[i + (look_at ? 1 : 0)]];
        Result<Tensor> fits = source_tensor(ref_, row.ref_value, made);
        if (fits.ok()) fits = as_test_takes(*fits, test_.value(row.test_value));
        if (!fits.ok()) return fits.status().context("layer " + row.name);
        taken.push_back(std::move(fits).value());
      }
      auto found = (*test_session)->run(taken);
      if (!found.ok()) return in_sample(found.status(), inputs_, s).context(options_.test_name);
      MNN_RETURN_IF_ERROR(add_outputs(*reference, *found, sums));
      if (look_at) {
        const ComparedTensor& row = rows_[*look_at];
        MNN_ASSIGN_OR_RETURN(const Tensor r,
                             source_tensor(ref_, row.ref_value, (*reference)[ref_at[0]]));
        MNN_ASSIGN_OR_RETURN(const Tensor t,
                             source_tensor(test_, row.test_value, (*found)[looked_at]));
        MNN_RETURN_IF_ERROR(layer.add(r, in_order_of(r, t)));
      }
      if (options_.progress) {
        const int64_t samples = static_cast<int64_t>(inputs_.count);
        options_.progress(std::min(++done_, runs_planned_ * samples), runs_planned_ * samples);
      }
    }
    if (look_at) out_.alone = metrics_of(layer);
    return pooled_snr_db(sums);
  }

  // `t` with its channels where `r` has them.
  static Tensor in_order_of(const Tensor& r, const Tensor& t) {
    if (r.dims() == t.dims()) return t;
    return with_channels_moved(t, r.dims()).value_or(t);
  }

  Status add_outputs(const std::vector<Tensor>& reference, const std::vector<Tensor>& found,
                     std::vector<ErrorSums>& sums) const {
    std::vector<Tensor> have;
    for (size_t o = 0; o < test_outputs_.size(); ++o) {
      const int at = test_outputs_[o];
      have.push_back(at < 0 ? Tensor() : in_order_of(reference[o], found[static_cast<size_t>(at)]));
    }
    MNN_ASSIGN_OR_RETURN(const std::vector<ErrorSums> errors,
                         slice_errors(judged_, reference, have));
    for (size_t i = 0; i < sums.size(); ++i) sums[i].merge(errors[i]);
    return {};
  }

  const Graph &ref_, &test_;
  const CompareInputs& inputs_;
  CompareOptions options_;
  const std::vector<ComparedTensor>& rows_;
  const Uses uses_;
  std::vector<size_t> test_inputs_;
  std::vector<int> test_outputs_;
  JudgedSlices judged_;
  std::vector<size_t> layers_;  // positions of the rows that can be fed, in TEST's order
  int64_t runs_planned_ = 0, done_ = 0;
  Bisection out_;
};

}  // namespace

Result<Bisection> bisect_models(const Graph& ref, const Graph& test, const CompareInputs& inputs,
                                const CompareOptions& options, const Comparison& comparison) {
  return Bisector(ref, test, inputs, options, comparison).run();
}

}  // namespace mnn::flows
