// Which constants are weights, and what they meet.
#pragma once

#include <optional>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

inline constexpr int64_t kLeastWeights = 128;  // elements; smaller ones are not worth their scales
// Whether the value is a float constant that codes may stand for.
bool is_weight(const Value& value);

// How a constant is read that can be stored in a few bits.
struct WeightRole {
  int axis = 0;          // groups lie along it: the one that is summed over
  int channel_axis = 0;  // of what is made
  // The input whose mean square by index along `input_axis` says how much each index of `axis`
  // counts; -1: nothing does.
  int input = -1, input_axis = -1;
};
// nullopt: input `index` of the node is none.
std::optional<WeightRole> weight_role(const Graph& graph, const Node& node, size_t index);

// The mean square of a tensor by index along one axis, over all samples.
class MeanSquare {
 public:
  // `axis` may count from the end; tensors without it, or of another extent, are passed over.
  void add(const Tensor& t, int axis);
  // How much each of `extent` indices counts, 1 on average; never 0: an index that no sample uses
  // still counts a little. Empty where nothing was seen.
  std::vector<float> importance(int64_t extent) const;

 private:
  std::vector<double> sums_;
};

}  // namespace mnn
