#include "libquant/calibrate/data_check.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>

#include "libruntime/core/op.h"

namespace mnn {
namespace {

constexpr size_t kNamesShown = 5;

std::string number(double v) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", v);
  return text;
}

// Whether all elements are the first one.
bool is_constant(const Tensor& t) {
  if (t.form() != Tensor::Form::kTensor || t.dtype() == DType::kString) return false;
  const int64_t n = t.elements();
  if (n < 2 || t.bytes() % n != 0) return false;
  if (t.dtype() == DType::kF32) {
    const std::span<const float> x = t.span<float>();
    return std::all_of(x.begin(), x.end(), [&](float v) { return v == x[0]; });
  }
  const int64_t size = t.bytes() / n;
  return std::memcmp(t.raw(), t.raw() + size, static_cast<size_t>(t.bytes() - size)) == 0;
}

// One number throughout, in every input that holds more than one.
bool is_constant(const std::vector<Tensor>& sample) {
  bool any = false;
  for (const Tensor& t : sample) {
    if (t.form() == Tensor::Form::kTensor && t.elements() < 2) continue;
    if (!is_constant(t)) return false;
    any = true;
  }
  return any;
}

// Per value whether it depends on what the inputs hold, not on their shapes alone.
std::vector<char> follows_data(const Graph& graph) {
  std::vector<char> follows(graph.values.size(), 0);
  for (const ValueId v : graph.inputs) follows[static_cast<size_t>(v)] = 1;
  mark_what_follows(graph, follows,
                    [](const Node& node) { return has_traits(node.op, kReadsShape); });
  return follows;
}

// Equal samples have equal keys, others do not. Empty where a sample holds more than plain tensors.
std::string key_of(const std::vector<Tensor>& sample) {
  std::string key;
  for (const Tensor& t : sample) {
    if (t.form() != Tensor::Form::kTensor || t.dtype() == DType::kString) return {};
    key += content_key(t);
  }
  return key;
}

// Samples that are the same, the first one apart.
struct Repeats {
  std::string first;
  std::vector<std::string> others;
};

class SampleCheck {
 public:
  Status add(const SampleSet& set, bool held_back) {
    for (size_t i = 0; i < set.size(); ++i) {
      MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, set.load(i));
      const std::string name = set.name(i);
      ++count_;
      if (is_constant(sample)) constant_.push_back(name);
      const std::string key = key_of(sample);
      if (key.empty()) continue;
      const auto [it, is_new] = first_.emplace(key, repeats_.size());
      if (is_new) {
        repeats_.push_back({name, {}});
        calibrates_.push_back(!held_back);
        continue;
      }
      repeats_[it->second].others.push_back(name);
      if (held_back && calibrates_[it->second]) seen_.push_back(name);
    }
    return {};
  }

  std::vector<std::string> faults() const {
    std::vector<std::string> faults;
    const std::string all = std::to_string(count_);
    if (!constant_.empty()) {
      faults.push_back(
          (constant_.size() == count_ ? "all " + all + " samples hold" : "samples that hold") +
          " one number throughout, such as an empty image: " + some_of(constant_));
    }
    for (const Repeats& r : repeats_) {
      if (r.others.empty()) continue;
      faults.push_back(r.others.size() + 1 == count_
                           ? "all " + all + " samples are equal: " + some_of(with_first(r))
                           : "samples that equal " + r.first + ": " + some_of(r.others));
    }
    if (!seen_.empty()) {
      faults.push_back(
          "held-back samples that calibrate too, so that their errors are not those of "
          "unseen data: " +
          some_of(seen_));
    }
    return faults;
  }

 private:
  static std::vector<std::string> with_first(const Repeats& r) {
    std::vector<std::string> names = {r.first};
    names.insert(names.end(), r.others.begin(), r.others.end());
    return names;
  }

  size_t count_ = 0;
  std::vector<std::string> constant_;
  std::vector<Repeats> repeats_;  // in the order of their first samples
  std::vector<bool> calibrates_;  // the first of each
  std::map<std::string, size_t> first_;
  std::vector<std::string> seen_;  // held-back ones that equal a calibration sample
};

}  // namespace

std::string some_of(const std::vector<std::string>& names) {
  std::string text;
  const size_t shown = std::min(names.size(), kNamesShown);
  for (size_t i = 0; i < shown; ++i) text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > shown) text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

void mark_what_follows(const Graph& graph, std::vector<char>& marked,
                       const std::function<bool(const Node&)>& stops) {
  for (const Node& node : graph.nodes) {
    if (stops(node)) continue;
    bool any = false;
    for (const auto* list : {&node.inputs, &node.captures}) {
      for (const ValueId v : *list) any = any || (v != kNoValue && marked[static_cast<size_t>(v)]);
    }
    for (const ValueId v : node.outputs) {
      if (v != kNoValue && any) marked[static_cast<size_t>(v)] = 1;
    }
  }
}

Result<std::vector<std::string>> check_samples(const SampleSet& calibration,
                                               const SampleSet& holdout) {
  SampleCheck check;
  MNN_RETURN_IF_ERROR(check.add(calibration, false));
  // Too few to hold some back: they are the same.
  if (holdout.source != calibration.source || holdout.indices != calibration.indices)
    MNN_RETURN_IF_ERROR(check.add(holdout, true));
  return check.faults();
}

std::vector<std::string> check_tensors(const Graph& graph, const Calibration& calibration) {
  std::vector<std::string> faults;
  if (calibration.constants.empty()) return faults;
  const Uses uses = index_uses(graph);
  const std::vector<char> follows = follows_data(graph);
  std::vector<char> fixed(graph.values.size(), 0);  // seen, or made of nothing else
  for (const Calibration::Constant& c : calibration.constants)
    fixed[static_cast<size_t>(c.value)] = 1;
  // What is made of such tensors alone says nothing new.
  const auto follows_fixed = [&](const Node& node) {
    bool any = false;
    for (const auto* list : {&node.inputs, &node.captures}) {
      for (const ValueId v : *list) {
        const auto at = static_cast<size_t>(v);
        if (v == kNoValue || !follows[at]) continue;
        if (!fixed[at]) return false;
        any = true;
      }
    }
    return any;
  };
  std::vector<char> follower(graph.values.size(), 0);
  for (const Node& node : graph.nodes) {
    if (!follows_fixed(node)) continue;
    for (const ValueId v : node.outputs) {
      if (v != kNoValue) fixed[static_cast<size_t>(v)] = follower[static_cast<size_t>(v)] = 1;
    }
  }
  for (const Calibration::Constant& c : calibration.constants) {
    const auto at = static_cast<size_t>(c.value);
    // What only shapes decide is the same everywhere.
    if (!follows[at] || follower[at]) continue;
    std::vector<std::string> readers;
    for (const NodeId reader : uses.consumers[at]) {
      const std::string name = display_name(graph, graph.node(reader));
      if (std::find(readers.begin(), readers.end(), name) == readers.end()) readers.push_back(name);
    }
    const NodeId maker = uses.producer[at];
    faults.push_back((maker < 0
                          ? "input " + graph.value(c.value).name
                          : "what layer " + display_name(graph, graph.node(maker)) + " makes") +
                     (readers.empty() ? "" : ", read by " + some_of(readers) + ",") + " is " +
                     (c.number ? number(*c.number + 0.0) : "the same") +
                     " in every calibration sample: its range says nothing");
  }
  return faults;
}

}  // namespace mnn
