// One operator of a TensorFlow graph on its way into the IR's.
#pragma once

#include "libconvert/frontends/common/rows.h"
#include "libconvert/frontends/common/window.h"
#include "tensorflow.pb.h"

namespace mnn::tensorflow {

using frontend::Ints;

class OpNode : public frontend::TensorNode {
 public:
  OpNode(frontend::GraphDraft& d, int64_t& node_budget, frontend::Layouts& l, const NodeDef& node)
      : TensorNode(d, node_budget, l), tf(node) {
    op = node.op();
  }

  const NodeDef& tf;
  size_t outputs = 1;  // at least as many are read

  // Attributes of the operator; the fallback where there is none. One of another kind is an error.
  int64_t attr_int(const std::string& key, int64_t fallback = 0);
  bool attr_bool(const std::string& key, bool fallback = false);
  double attr_float(const std::string& key, double fallback = 0);
  std::string attr_text(const std::string& key, const std::string& fallback = {});
  Ints attr_ints(const std::string& key);
  std::vector<float> attr_floats(const std::string& key);
  DType attr_type(const std::string& key, DType fallback);

  // Whether its tensors hold complex numbers: they have a last axis of two that the source does not
  // count, real and imaginary.
  bool is_complex() const;
  // Whether images come with their channels behind the batch (data_format "NCHW", "NCDHW").
  bool is_channels_first();
  // Input i, or `v`, with the channels behind the batch, and a result as the source lays it out.
  ValueId image(size_t i) { return image_of(in(i)); }
  ValueId image_of(ValueId v) { return is_channels_first() ? v : channels_first(v); }
  ValueId result_image(ValueId y) { return is_channels_first() ? y : channels_last(y); }
  // One number an axis of the plane from a list of `space` + 2 in the source's order; the others
  // must be 1. Without the attribute all are 1.
  Ints plane(const std::string& key, size_t space);

 private:
  const AttrValue* find(const std::string& key, AttrValue::ValueCase kind);
};

}  // namespace mnn::tensorflow
