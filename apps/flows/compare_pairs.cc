#include "apps/flows/compare_pairs.h"

#include <algorithm>
#include <unordered_map>

#include "apps/flows/check.h"
#include "libruntime/core/bind_shapes.h"
#include "libruntime/core/op.h"

namespace mnn::flows {
namespace {

// [N, C, …] with C moved to the end, or back, as f64.
Result<Tensor> move_channels(const Tensor& t, bool to_end) {
  std::vector<int64_t> dims = t.dims();
  const int64_t channels = to_end ? dims[1] : dims.back();
  const int64_t inner = t.elements() / std::max<int64_t>(1, dims[0] * channels);
  if (to_end) {
    std::rotate(dims.begin() + 1, dims.begin() + 2, dims.end());
  } else {
    std::rotate(dims.begin() + 1, dims.end() - 1, dims.end());
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<double> from, t.to_doubles());
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(DType::kF64, dims));
  double* to = out.data<double>();
  const int64_t rows = to_end ? channels : inner, columns = to_end ? inner : channels;
  for (int64_t n = 0; n < dims[0]; ++n) {
    const int64_t base = n * rows * columns;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        to[base + c * rows + r] = from[static_cast<size_t>(base + r * columns + c)];
      }
    }
  }
  return out;
}

}  // namespace

Result<std::vector<size_t>> map_inputs(const Graph& ref, const Graph& test, bool& by_position) {
  if (ref.inputs.size() != test.inputs.size()) {
    return usage_error("REF has " + std::to_string(ref.inputs.size()) + " inputs, TEST " +
                       std::to_string(test.inputs.size()));
  }
  std::unordered_map<std::string, size_t> at;
  for (size_t i = 0; i < ref.inputs.size(); ++i) at.emplace(ref.value(ref.inputs[i]).name, i);
  std::vector<size_t> map;
  for (size_t i = 0; i < test.inputs.size(); ++i) {
    const auto it = at.find(test.value(test.inputs[i]).name);
    by_position |= it == at.end();
    map.push_back(it == at.end() ? i : it->second);
  }
  if (by_position) {
    for (size_t i = 0; i < map.size(); ++i) map[i] = i;
  }
  return map;
}

std::vector<int> map_outputs(const Graph& ref, const Graph& test, bool& by_position) {
  std::unordered_map<std::string, int> at;
  for (size_t i = 0; i < test.outputs.size(); ++i) {
    at.emplace(test.value(test.outputs[i]).name, static_cast<int>(i));
  }
  std::vector<int> map;
  bool some = false;
  for (const ValueId v : ref.outputs) {
    const auto it = at.find(ref.value(v).name);
    map.push_back(it == at.end() ? -1 : it->second);
    some |= it != at.end();
  }
  if (!some && ref.outputs.size() == test.outputs.size()) {
    by_position = true;
    for (size_t i = 0; i < map.size(); ++i) map[i] = static_cast<int>(i);
  }
  return map;
}

ValueId as_read(const Graph& graph, const Uses& uses, ValueId v) {
  for (;;) {
    const auto at = static_cast<size_t>(v);
    if (uses.output_uses[at] > 0 || uses.consumers[at].empty()) return v;
    ValueId read = kNoValue;
    for (const NodeId reader : uses.consumers[at]) {
      const Node& quantize = graph.node(reader);
      if (quantize.op != "QuantizeLinear" || quantize.inputs[0] != v ||
          quantize.outputs[0] == kNoValue) {
        return v;
      }
      for (const NodeId next : uses.consumers[static_cast<size_t>(quantize.outputs[0])]) {
        if (read == kNoValue && graph.node(next).op == "DequantizeLinear")
          read = graph.node(next).outputs[0];
      }
    }
    if (read == kNoValue) return v;
    v = read;
  }
}

Status in_sample(const Status& status, const CompareInputs& inputs, size_t s) {
  return s < inputs.names.size() ? status.context("sample " + inputs.names[s]) : status;
}

Result<JudgedSlices> find_slices(const Graph& ref, const CompareInputs& inputs,
                                 const CompareOptions& options) {
  std::vector<OutputSlice> by_hand;
  for (const std::string& text : options.output_slices) {
    MNN_ASSIGN_OR_RETURN(OutputSlice slice, parse_slice(ref, text));
    by_hand.push_back(std::move(slice));
  }
  auto session = open_session(ref, options.engine, options.ref_backend);
  if (!session.ok()) return session.status().context(options.ref_name);
  std::vector<std::vector<Tensor>> reference;
  Graph bound = ref;
  for (size_t s = 0; s < std::min(inputs.count, kSliceSamples); ++s) {
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> given, inputs.load(s));
    if (s == 0) {
      std::vector<std::vector<int64_t>> dims;
      for (const Tensor& t : given) dims.push_back(t.dims());
      const Status status = bind_inputs(bound, dims);
      if (!status.ok()) return status.context(options.ref_name);
      MNN_RETURN_IF_ERROR(infer_types(bound));
    }
    (*session)->reset_states();
    auto outputs = (*session)->run(given);
    if (!outputs.ok()) return in_sample(outputs.status(), inputs, s).context(options.ref_name);
    reference.push_back(std::move(outputs).value());
  }
  return judged_slices(bound, reference, by_hand);
}

std::optional<Tensor> with_channels_moved(const Tensor& t, const std::vector<int64_t>& dims) {
  if (t.rank() != dims.size() || t.rank() < 3) return std::nullopt;
  for (const bool to_end : {true, false}) {
    std::vector<int64_t> moved_dims = t.dims();
    const auto second = moved_dims.begin() + 1;
    std::rotate(second, to_end ? second + 1 : moved_dims.end() - 1, moved_dims.end());
    if (moved_dims != dims) continue;
    Result<Tensor> moved = move_channels(t, to_end);
    if (moved.ok()) return std::move(moved).value();
  }
  return std::nullopt;
}

}  // namespace mnn::flows
