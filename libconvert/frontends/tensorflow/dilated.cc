// A convolution between SpaceToBatchND and BatchToSpaceND, as dilated ones were written once.
#include <algorithm>

#include "libconvert/frontends/tensorflow/import_state.h"

namespace mnn::tensorflow {
namespace {

const AttrValue* attribute(const NodeDef& node, const char* key) {
  const auto it = node.attr().find(key);
  return it == node.attr().end() ? nullptr : &it->second;
}

bool all_ones(const NodeDef& node, const char* key) {
  const AttrValue* value = attribute(node, key);
  return value == nullptr ||
         std::ranges::all_of(value->list().i(), [](int64_t v) { return v == 1; });
}

// A convolution that only slides over what it is given, channels last.
bool slides(const BodyNode& node) {
  if (node.def == nullptr || node.inputs.size() != 2) return false;
  if (node.op != "Conv2D" && node.op != "DepthwiseConv2dNative") return false;
  const AttrValue* padding = attribute(*node.def, "padding");
  const AttrValue* format = attribute(*node.def, "data_format");
  return padding != nullptr && padding->s() == "VALID" &&
         (format == nullptr || format->s() == "NHWC") && all_ones(*node.def, "strides") &&
         all_ones(*node.def, "dilations");
}

}  // namespace

Result<std::optional<Items>> Importer::dilated_conv(Frame& frame, const BodyNode& to_space,
                                                    const std::string& name) {
  const std::optional<Items> none;
  const auto maker = [&](const BodyNode& node) -> const BodyNode* {
    if (node.inputs.empty()) return nullptr;
    const Edge e = behind_passes(frame.body, node.inputs[0]);
    return frame.fed.contains(e) ? nullptr : &frame.body.nodes[static_cast<size_t>(e.node)];
  };
  const BodyNode* conv = maker(to_space);
  if (conv == nullptr || !slides(*conv)) return none;
  const BodyNode* to_batch = maker(*conv);
  if (to_batch == nullptr || to_batch->op != "SpaceToBatchND" || to_batch->inputs.size() != 3 ||
      to_space.inputs.size() != 3) {
    return none;
  }
  OpNode sizes(frame.scope.draft, budget_, frame.layouts, *to_space.def);
  for (const Edge& e :
       {to_batch->inputs[1], to_batch->inputs[2], to_space.inputs[1], to_space.inputs[2]}) {
    MNN_ASSIGN_OR_RETURN(const Item item, demand(frame, e));
    MNN_ASSIGN_OR_RETURN(const ValueId v, local(frame.scope, item));
    sizes.inputs.push_back(v);
  }
  const auto block = sizes.known_ints(0), pads = sizes.known_ints(1), crops = sizes.known_ints(3);
  if (!block || !pads || !crops || block != sizes.known_ints(2) || block->size() != 2 ||
      pads->size() != 4 || crops->size() != 4) {
    return none;
  }
  NodeDef dilated = *conv->def;
  auto& attrs = *dilated.mutable_attr();
  attrs["padding"].set_s("EXPLICIT");
  auto& paddings = *attrs["explicit_paddings"].mutable_list();
  paddings.clear_i();
  for (const int64_t zero : {0, 0}) paddings.add_i(zero);
  for (size_t i = 0; i < 4; ++i) {
    // What is cut off in the end need not be filled up before.
    if ((*pads)[i] < (*crops)[i]) return none;
    paddings.add_i((*pads)[i] - (*crops)[i]);
  }
  for (const int64_t zero : {0, 0}) paddings.add_i(zero);
  auto& dilations = *attrs["dilations"].mutable_list();
  dilations.clear_i();
  for (const int64_t d : {int64_t{1}, (*block)[0], (*block)[1], int64_t{1}}) dilations.add_i(d);
  OpNode node(frame.scope.draft, budget_, frame.layouts, dilated);
  node.name = name;
  for (const Edge& e : {to_batch->inputs[0], conv->inputs[1]}) {
    MNN_ASSIGN_OR_RETURN(const Item item, demand(frame, e));
    MNN_ASSIGN_OR_RETURN(const ValueId v, local(frame.scope, item));
    if (frontend::is_undefined(frame.scope, v)) return none;
    node.inputs.push_back(v);
  }
  find_row(conv->op)->convert(node);
  MNN_RETURN_IF_ERROR(node.status);
  const ValueId y = node.results[0];
  if (node.graph.value(y).name.empty()) node.graph.value(y).name = name;
  return std::optional(Items{tensor(frame.scope, y)});
}

}  // namespace mnn::tensorflow
