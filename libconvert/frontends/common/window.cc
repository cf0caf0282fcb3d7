#include "libconvert/frontends/common/window.h"

#include <algorithm>

namespace mnn::frontend {

std::pair<int64_t, int64_t> same_pads(int64_t in, int64_t kernel, int64_t stride,
                                      int64_t dilation) {
  const int64_t out = (in + stride - 1) / stride;
  const int64_t total = std::max<int64_t>((out - 1) * stride + (kernel - 1) * dilation + 1 - in, 0);
  return {total / 2, total - total / 2};
}

bool check_window(TensorNode& n, const Window& w) {
  for (const Ints* list : {&w.strides, &w.dilations, &w.kernel}) {
    for (const int64_t v : *list) {
      if (v >= 1) continue;
      n.fail(invalid("expected positive strides, dilations and sizes, found " + std::to_string(v)));
      return false;
    }
  }
  return n.status.ok();
}

TensorNode::Attributes window_attributes(TensorNode& n, ValueId x, const Window& w) {
  TensorNode::Attributes attrs;
  const size_t space = w.strides.size();
  if (n.status.ok() && n.type_of(x).rank() != space + 2) {
    n.fail(invalid("expected an input of rank " + std::to_string(space + 2) + ", found " +
                   n.type_of(x).str()));
  }
  if (!n.status.ok()) return attrs;
  attrs["strides"] = w.strides;
  if (!w.dilations.empty()) attrs["dilations"] = w.dilations;
  if (!w.same) return attrs;
  Ints pads(2 * space);
  for (size_t i = 0; i < space; ++i) {
    const Dim& in = (*n.type_of(x).shape)[i + 2];
    const bool one = w.strides[i] == 1;  // every size then needs the same
    if (!in.known() && !one) {
      attrs["auto_pad"] = std::string("SAME_UPPER");
      return attrs;
    }
    const auto [low, high] = same_pads(in.known() ? in.value() : 1 << 20, w.kernel[i], w.strides[i],
                                       w.dilations.empty() ? 1 : w.dilations[i]);
    pads[i] = low;
    pads[space + i] = high;
  }
  if (std::ranges::any_of(pads, [](int64_t p) { return p != 0; })) attrs["pads"] = pads;
  return attrs;
}

Ints filter_dims(TensorNode& n, size_t i, size_t rank) {
  const auto dims = n.known_dims_of(n.in(i));
  if (dims && dims->size() == rank) return *dims;
  n.fail(invalid("expected a filter of rank " + std::to_string(rank) + ", found " +
                 n.type_of(n.in(i)).str()));
  return Ints(rank, 1);
}

}  // namespace mnn::frontend
