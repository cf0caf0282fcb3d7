// What of two models is held against each other: inputs, outputs, layers as they are read.
#pragma once

#include <optional>
#include <vector>

#include "apps/flows/compare.h"
#include "libruntime/core/slices.h"

namespace mnn::flows {

// Where each input of TEST is among REF's: by name, else by position.
Result<std::vector<size_t>> map_inputs(const Graph& ref, const Graph& test, bool& by_position);

// Which output of TEST each output of REF is compared with: by name, else by position; -1: none.
std::vector<int> map_outputs(const Graph& ref, const Graph& test, bool& by_position);

// The value that the readers of `v` get: where all of them quantize it, what they make of that.
// Quantizers leave out a Relu where the rounding clamps, so that only then a tensor is again what
// its name says.
ValueId as_read(const Graph& graph, const Uses& uses, ValueId v);

// The status with the name of sample `s` in front.
Status in_sample(const Status& status, const CompareInputs& inputs, size_t s);

// How the outputs of `ref` are judged, by its outputs on the first samples.
Result<JudgedSlices> find_slices(const Graph& ref, const CompareInputs& inputs,
                                 const CompareOptions& options);

// The f64 of `t` with these dims, where only its channels stand elsewhere: at its second axis, last
// in `dims`, or the other way round. nullopt where that is not what differs.
std::optional<Tensor> with_channels_moved(const Tensor& t, const std::vector<int64_t>& dims);

}  // namespace mnn::flows
