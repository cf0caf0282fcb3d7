#include "libruntime/core/control_flow.h"

#include <algorithm>

#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// No sound model comes near; they stop loops that never end. Without a trip count only the body
// says when to stop, which is never for a broken one.
constexpr int64_t kMaxTrips = int64_t{1} << 24;
constexpr int64_t kMaxUncountedTrips = int64_t{1} << 17;

Result<bool> read_condition(const Tensor& t) {
  if (t.dtype() != DType::kBool || t.elements() != 1) {
    return invalid("the condition must be one bool, found " + t.type_str());
  }
  return t.data<bool>()[0];
}

Result<std::vector<Tensor>> run_if(const Node& node, std::span<const Tensor* const> inputs,
                                   std::span<const Tensor> captures, const RunSubgraph& run) {
  MNN_ASSIGN_OR_RETURN(const bool condition, read_condition(*inputs[0]));
  return run(node.subgraphs[condition ? 0 : 1], captures);
}

Status check_carried(const Tensor& before, const Tensor& after, size_t i) {
  // An empty optional may get its element, and the other way round.
  const bool optional =
      before.form() == Tensor::Form::kNothing || after.form() == Tensor::Form::kNothing;
  if (before.dtype() == after.dtype() && (optional || before.form() == after.form())) return {};
  return invalid("carried value " + std::to_string(i) + " changes its type from " +
                 before.type_str() + " to " + after.type_str());
}

// One tensor per trip, put together along a new axis.
class ScanOutput {
 public:
  Status add(Tensor part) {
    if (!parts_.empty() && (part.dtype() != parts_[0].dtype() || part.dims() != parts_[0].dims())) {
      return invalid("a scan output changes from " + parts_[0].type_str() + " to " +
                     part.type_str());
    }
    parts_.push_back(std::move(part));
    return {};
  }

  // `declared` gives type and dims when there was no trip. Dims nothing is known about are 0 then.
  Result<Tensor> stack(const Type& declared, int64_t axis, bool reversed) const {
    std::vector<int64_t> dims;
    DType dtype = declared.dtype;
    if (!parts_.empty()) {
      dims = parts_[0].dims();
      dtype = parts_[0].dtype();
    } else if (declared.shape) {
      for (const Dim& d : *declared.shape) dims.push_back(d.known() ? d.value() : 0);
    }
    MNN_ASSIGN_OR_RETURN(const size_t at, normalize_axis(axis, dims.size() + 1));
    const int64_t outer = product(dims, 0, at), inner = product(dims, at, dims.size());
    const auto trips = static_cast<int64_t>(parts_.size());
    dims.insert(dims.begin() + static_cast<long>(at), trips);
    MNN_ASSIGN_OR_RETURN(Tensor y, Tensor::allocate(dtype, dims));
    if (y.elements() == 0) return y;
    MNN_RETURN_IF_ERROR(dispatch_move(dtype, [&]<typename T>() {
      for (int64_t t = 0; t < trips; ++t) {
        const Tensor& part = parts_[static_cast<size_t>(reversed ? trips - 1 - t : t)];
        for (int64_t o = 0; o < outer; ++o) {
          std::copy_n(elements<T>(part) + o * inner, inner,
                      elements<T>(y) + (o * trips + t) * inner);
        }
      }
    }));
    return y;
  }

 private:
  std::vector<Tensor> parts_;
};

// inputs: trip count, condition, carried values. Body: iteration, condition, carried values ->
// condition, carried values, scan outputs.
Result<std::vector<Tensor>> run_loop(const Node& node, std::span<const Tensor* const> inputs,
                                     std::span<const Tensor> captures, const RunSubgraph& run) {
  const Graph& body = node.subgraphs[0];
  const size_t carried_count = inputs.size() - 2;
  const size_t scan_count = body.outputs.size() - 1 - carried_count;
  int64_t limit = kMaxUncountedTrips, trips = limit + 1;
  if (inputs[0] != nullptr) {
    MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> count, inputs[0]->to_ints());
    if (count.size() != 1) {
      return invalid("the trip count must be one number, found " + inputs[0]->type_str());
    }
    limit = kMaxTrips;
    trips = count[0];
  }
  bool condition = true;
  if (inputs[1] != nullptr) {
    MNN_ASSIGN_OR_RETURN(condition, read_condition(*inputs[1]));
  }
  std::vector<Tensor> carried;
  for (const Tensor* t : inputs.subspan(2)) {
    if (t == nullptr) return invalid("a carried value is missing");
    carried.push_back(*t);
  }
  std::vector<ScanOutput> scans(scan_count);
  for (int64_t i = 0; i < trips && condition; ++i) {
    if (i == limit) {
      return limit_exceeded("the loop did not end after " + std::to_string(i) + " trips");
    }
    std::vector<Tensor> feeds = {Tensor::scalar<int64_t>(i), Tensor::scalar(condition)};
    feeds.insert(feeds.end(), carried.begin(), carried.end());
    feeds.insert(feeds.end(), captures.begin(), captures.end());
    MNN_ASSIGN_OR_RETURN(std::vector<Tensor> out, run(body, feeds));
    MNN_ASSIGN_OR_RETURN(const bool go_on, read_condition(out[0]));
    // Without a condition input the body's condition says nothing.
    if (inputs[1] != nullptr) condition = go_on;
    for (size_t k = 0; k < carried_count; ++k) {
      MNN_RETURN_IF_ERROR(check_carried(carried[k], out[k + 1], k));
      carried[k] = std::move(out[k + 1]);
    }
    for (size_t k = 0; k < scan_count; ++k) {
      MNN_RETURN_IF_ERROR(scans[k].add(std::move(out[k + 1 + carried_count])));
    }
  }
  for (size_t k = 0; k < scan_count; ++k) {
    const Type& type = body.value(body.outputs[k + 1 + carried_count]).type;
    MNN_ASSIGN_OR_RETURN(Tensor stacked, scans[k].stack(type, 0, false));
    carried.push_back(std::move(stacked));
  }
  return carried;
}

std::vector<int64_t> ints_or(const AttributeReader& c, std::string_view name, size_t count) {
  if (c.has(name)) return c.attr_ints(name);
  return std::vector<int64_t>(count, 0);
}

// x without `axis`, at index `i` of it.
Result<Tensor> slice_at(const Tensor& x, size_t axis, int64_t i) {
  std::vector<int64_t> dims = x.dims();
  const int64_t along = dims[axis];
  dims.erase(dims.begin() + static_cast<long>(axis));
  MNN_ASSIGN_OR_RETURN(Tensor y, Tensor::allocate(x.dtype(), dims));
  if (y.elements() == 0) return y;
  const int64_t outer = product(dims, 0, axis), inner = product(dims, axis, dims.size());
  MNN_RETURN_IF_ERROR(dispatch_move(x.dtype(), [&]<typename T>() {
    for (int64_t o = 0; o < outer; ++o) {
      std::copy_n(elements<T>(x) + (o * along + i) * inner, inner, elements<T>(y) + o * inner);
    }
  }));
  return y;
}

// inputs: states, scanned tensors. Body: states, slices -> states, scan outputs.
Result<std::vector<Tensor>> run_scan(const Node& node, std::span<const Tensor* const> inputs,
                                     std::span<const Tensor> captures, const RunSubgraph& run) {
  const AttributeReader c(node, *find_op("Scan"));
  const Graph& body = node.subgraphs[0];
  const auto scanned = static_cast<size_t>(c.attr_int("num_scan_inputs"));
  const size_t states = inputs.size() - scanned;
  const size_t scan_count = body.outputs.size() - states;
  const auto in_axes = ints_or(c, "scan_input_axes", scanned);
  const auto in_directions = ints_or(c, "scan_input_directions", scanned);
  const auto out_axes = ints_or(c, "scan_output_axes", scan_count);
  const auto out_directions = ints_or(c, "scan_output_directions", scan_count);
  for (const Tensor* t : inputs) {
    if (t == nullptr) return invalid("an input is missing");
  }
  std::vector<size_t> axes;
  int64_t trips = 0;
  for (size_t k = 0; k < scanned; ++k) {
    const Tensor& x = *inputs[states + k];
    MNN_ASSIGN_OR_RETURN(const size_t axis, normalize_axis(in_axes[k], x.rank()));
    if (k > 0 && x.dims()[axis] != trips) {
      return invalid("scan inputs differ in length: " + std::to_string(trips) + " and " +
                     std::to_string(x.dims()[axis]));
    }
    trips = x.dims()[axis];
    axes.push_back(axis);
  }
  if (trips > kMaxTrips) return limit_exceeded(std::to_string(trips) + " trips are too many");
  std::vector<Tensor> state;
  for (size_t k = 0; k < states; ++k) state.push_back(*inputs[k]);
  std::vector<ScanOutput> scans(scan_count);
  for (int64_t i = 0; i < trips; ++i) {
    std::vector<Tensor> feeds = state;
    for (size_t k = 0; k < scanned; ++k) {
      const int64_t at = in_directions[k] != 0 ? trips - 1 - i : i;
      MNN_ASSIGN_OR_RETURN(Tensor slice, slice_at(*inputs[states + k], axes[k], at));
      feeds.push_back(std::move(slice));
    }
    feeds.insert(feeds.end(), captures.begin(), captures.end());
    MNN_ASSIGN_OR_RETURN(std::vector<Tensor> out, run(body, feeds));
    for (size_t k = 0; k < states; ++k) {
      MNN_RETURN_IF_ERROR(check_carried(state[k], out[k], k));
      state[k] = std::move(out[k]);
    }
    for (size_t k = 0; k < scan_count; ++k) {
      MNN_RETURN_IF_ERROR(scans[k].add(std::move(out[states + k])));
    }
  }
  for (size_t k = 0; k < scan_count; ++k) {
    const Type& type = body.value(body.outputs[states + k]).type;
    MNN_ASSIGN_OR_RETURN(Tensor stacked, scans[k].stack(type, out_axes[k], out_directions[k] != 0));
    state.push_back(std::move(stacked));
  }
  return state;
}

// inputs: sequences and tensors. Body: an element of each sequence and the tensors -> an element of
// each output. The first sequence says how many there are.
Result<std::vector<Tensor>> run_sequence_map(const Node& node,
                                             std::span<const Tensor* const> inputs,
                                             std::span<const Tensor> captures,
                                             const RunSubgraph& run) {
  const Graph& body = node.subgraphs[0];
  std::vector<std::vector<Tensor>> made(body.outputs.size());
  for (const Tensor* t : inputs) {
    if (t == nullptr) return invalid("an input is missing");
  }
  const size_t count = inputs[0]->items().size();
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (inputs[k]->form() == Tensor::Form::kSequence && inputs[k]->items().size() != count) {
      return invalid("sequences differ in length: " + std::to_string(count) + " and " +
                     std::to_string(inputs[k]->items().size()));
    }
  }
  for (size_t i = 0; i < count; ++i) {
    std::vector<Tensor> feeds;
    for (const Tensor* t : inputs) feeds.push_back(t->is_tensor() ? *t : t->items()[i]);
    feeds.insert(feeds.end(), captures.begin(), captures.end());
    MNN_ASSIGN_OR_RETURN(std::vector<Tensor> out, run(body, feeds));
    for (size_t k = 0; k < made.size(); ++k) made[k].push_back(std::move(out[k]));
  }
  std::vector<Tensor> results;
  for (size_t k = 0; k < made.size(); ++k) {
    const DType dtype = count > 0 ? made[k][0].dtype() : body.value(body.outputs[k]).type.dtype;
    results.push_back(Tensor::sequence(dtype, std::move(made[k])));
  }
  return results;
}

}  // namespace

Result<std::vector<Tensor>> run_control_flow(const Node& node,
                                             std::span<const Tensor* const> inputs,
                                             std::span<const Tensor> captures,
                                             const RunSubgraph& run) {
  if (node.op == "If") return run_if(node, inputs, captures, run);
  if (node.op == "Loop") return run_loop(node, inputs, captures, run);
  if (node.op == "Scan") return run_scan(node, inputs, captures, run);
  if (node.op == "SequenceMap") return run_sequence_map(node, inputs, captures, run);
  return unsupported("operator " + node.op + " cannot be run");
}

}  // namespace mnn
