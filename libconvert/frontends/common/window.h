// Windows that convolutions and pools move over images, as sources with channels last have them.
#pragma once

#include "libconvert/frontends/common/tensor_node.h"

namespace mnn::frontend {

// A window over the spatial axes, first to last.
struct Window {
  Ints strides, dilations, kernel;
  bool same = false;
};

// What a window adds at both ends of an axis for SAME: the odd pixel comes last.
std::pair<int64_t, int64_t> same_pads(int64_t in, int64_t kernel, int64_t stride, int64_t dilation);
// An error unless all numbers are positive.
bool check_window(TensorNode& n, const Window& w);
// strides, dilations and pads of a window over x [n, c, space…].
TensorNode::Attributes window_attributes(TensorNode& n, ValueId x, const Window& w);
// The dims of a filter; an error where they are not known.
Ints filter_dims(TensorNode& n, size_t i, size_t rank);

}  // namespace mnn::frontend
