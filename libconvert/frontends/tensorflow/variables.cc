#include "libconvert/frontends/tensorflow/variables.h"

#include <charconv>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace mnn::tensorflow {
namespace {

using Nodes = std::unordered_map<std::string_view, const NodeDef*>;
template <typename T>
using Repeated = google::protobuf::RepeatedPtrField<T>;

// Of "node:1", "node:output:1" or "^node" the node.
std::string_view node_of(std::string_view reference) {
  if (reference.starts_with('^')) reference.remove_prefix(1);
  return reference.substr(0, reference.find(':'));
}

// Of "node:1" and "node:output:1" the 1; 0 where there is none.
size_t index_of(std::string_view reference) {
  const size_t colon = reference.rfind(':');
  size_t index = 0;
  if (colon != std::string_view::npos) {
    std::from_chars(reference.data() + colon + 1, reference.data() + reference.size(), index);
  }
  return index;
}

Nodes by_name(const Repeated<NodeDef>& nodes) {
  Nodes map;
  for (const NodeDef& n : nodes) map.emplace(n.name(), &n);
  return map;
}

// The inputs that are no control inputs.
std::vector<std::string_view> data_inputs(const NodeDef& node) {
  std::vector<std::string_view> inputs;
  for (const std::string& i : node.input()) {
    if (!i.starts_with('^')) inputs.push_back(i);
  }
  return inputs;
}

const AttrValue* attr(const NodeDef& node, const std::string& name) {
  const auto at = node.attr().find(name);
  return at == node.attr().end() ? nullptr : &at->second;
}

const std::string& called(const NodeDef& node) {
  static const std::string kNone;
  const AttrValue* f = attr(node, "f");
  return f == nullptr ? kNone : f->func().name();
}

bool makes_variable(const std::string& op) {
  return op == "VarHandleOp" || op == "VariableV2" || op == "Variable";
}

// Past what hands on its input: a reference without its index is followed, one with it is kept.
std::string_view source_of(const Nodes& nodes, std::string_view reference) {
  constexpr int kMostSteps = 64;
  for (int i = 0; i < kMostSteps; ++i) {
    const auto at = nodes.find(node_of(reference));
    if (at == nodes.end() || at->second->op() != "Identity" || at->second->input_size() == 0) break;
    reference = at->second->input(0);
  }
  return reference;
}

// A constant vector of strings; an element that is not stored is the last one.
class Strings {
 public:
  Strings(const Nodes& nodes, std::string_view reference) {
    const auto at = nodes.find(node_of(source_of(nodes, reference)));
    if (at == nodes.end() || at->second->op() != "Const") return;
    if (const AttrValue* value = attr(*at->second, "value")) tensor_ = &value->tensor();
  }
  const std::string* at(size_t i) const {
    if (tensor_ == nullptr || tensor_->string_val_size() == 0) return nullptr;
    const auto last = static_cast<size_t>(tensor_->string_val_size()) - 1;
    return &tensor_->string_val(static_cast<int>(std::min(i, last)));
  }

 private:
  const TensorProto* tensor_ = nullptr;
};

// "10 4 0,5:-": the dims of the whole, then a start and a length a dim, "-" for all. Nullopt of the
// whole ("") and of what says nothing.
std::optional<Box> read_slice(std::string_view text) {
  std::vector<int64_t> dims;
  const auto take_number = [&](int64_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return true;
  };
  const auto take = [&](char c) {
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
  };
  for (size_t words = text.find(' '); words != std::string_view::npos; words = text.find(' ')) {
    int64_t dim = 0;
    if (!take_number(dim) || !take(' ')) return std::nullopt;
    dims.push_back(dim);
  }
  Box box;
  for (const int64_t dim : dims) {
    int64_t start = 0, length = dim;
    if (!take('-') && (!take_number(start) || !take(',') || !take_number(length))) {
      return std::nullopt;
    }
    box.start.push_back(start);
    box.size.push_back(length);
    if (box.start.size() < dims.size() && !take(':')) return std::nullopt;
  }
  if (dims.empty() || !text.empty()) return std::nullopt;
  return box;
}

class Finder {
 public:
  Finder(const MetaGraphDef& meta, const TrackableObjectGraph& objects)
      : meta_(meta), objects_(objects), nodes_(by_name(meta.graph_def().node())) {
    for (const FunctionDef& f : meta.graph_def().library().function()) {
      functions_.emplace(f.signature().name(), &f);
    }
  }

  std::map<std::string, SavedAs> run() {
    for (const NodeDef& node : meta_.graph_def().node()) add_bound(node);
    add_restored(nodes_, meta_.graph_def().node(), [](std::string_view name) { return name; });
    for (const NodeDef& node : meta_.graph_def().node()) add_restored_by(node);
    for (const char* list : {"variables", "global_variables"}) add_listed(list);
    return std::move(found_);
  }

 private:
  void add(std::string_view handle, SavedAs saved) {
    const auto node = nodes_.find(handle);
    if (node == nodes_.end() || !makes_variable(node->second->op())) return;
    found_.try_emplace(std::string(handle), std::move(saved));
  }

  // The last inputs of a call are the objects its function is bound to.
  void add_bound(const NodeDef& call) {
    const auto& graph = meta_.object_graph_def();
    const auto function = graph.concrete_functions().find(called(call));
    if (function == graph.concrete_functions().end()) return;
    const auto& bound = function->second.bound_inputs();
    const std::vector<std::string_view> inputs = data_inputs(call);
    const auto count = static_cast<size_t>(bound.size());
    if (count > inputs.size()) return;
    for (size_t i = 0; i < count; ++i) {
      const int id = bound.Get(static_cast<int>(i));
      if (id < 0 || id >= graph.nodes_size() || id >= objects_.nodes_size()) continue;
      if (!graph.nodes(id).has_variable()) continue;
      for (const auto& a : objects_.nodes(id).attributes()) {
        if (a.checkpoint_key().empty()) continue;
        add(node_of(source_of(nodes_, inputs[inputs.size() - count + i])),
            {a.checkpoint_key(), {}});
      }
    }
  }

  // Assign(variable, RestoreV2(file, names, slices):k) among the nodes of one body; `handle` says
  // what a name of it is in the main graph.
  template <typename Handle>
  void add_restored(const Nodes& nodes, const Repeated<NodeDef>& body, const Handle& handle) {
    for (const NodeDef& node : body) {
      if (node.op() != "Assign" && node.op() != "AssignVariableOp") continue;
      const std::vector<std::string_view> inputs = data_inputs(node);
      if (inputs.size() < 2) continue;
      const std::string_view value = source_of(nodes, inputs[1]);
      const auto restore = nodes.find(node_of(value));
      if (restore == nodes.end() || restore->second->op() != "RestoreV2") continue;
      const std::vector<std::string_view> from = data_inputs(*restore->second);
      if (from.size() < 3) continue;
      const std::string* key = Strings(nodes, from[1]).at(index_of(value));
      const std::string* slice = Strings(nodes, from[2]).at(index_of(value));
      if (key == nullptr) continue;
      add(handle(node_of(inputs[0])), {*key, read_slice(slice == nullptr ? "" : *slice)});
    }
  }

  // The same inside the function of a call: its arguments are the call's inputs. One call restores
  // all: a second one of the same function is of no interest.
  void add_restored_by(const NodeDef& call) {
    const auto function = functions_.find(called(call));
    if (function == functions_.end()) return;
    const FunctionDef& f = *function->second;
    functions_.erase(function);
    const std::vector<std::string_view> inputs = data_inputs(call);
    std::unordered_map<std::string_view, std::string_view> handles;
    for (size_t i = 0; i < inputs.size() && static_cast<int>(i) < f.signature().input_arg_size();
         ++i) {
      handles.emplace(f.signature().input_arg(static_cast<int>(i)).name(),
                      node_of(source_of(nodes_, inputs[i])));
    }
    add_restored(by_name(f.node_def()), f.node_def(), [&](std::string_view name) {
      const auto at = handles.find(name);
      return at == handles.end() ? std::string_view() : at->second;
    });
  }

  void add_listed(const char* list) {
    const auto collection = meta_.collection_def().find(list);
    if (collection == meta_.collection_def().end()) return;
    for (const std::string& text : collection->second.bytes_list().value()) {
      VariableDef variable;
      if (!variable.ParseFromString(text)) continue;
      const std::string name(node_of(variable.variable_name()));
      SavedAs saved{name, {}};
      if (variable.has_save_slice_info_def()) {
        const auto& part = variable.save_slice_info_def();
        saved.key = part.full_name();
        saved.part.emplace();
        saved.part->start.assign(part.var_offset().begin(), part.var_offset().end());
        saved.part->size.assign(part.var_shape().begin(), part.var_shape().end());
      }
      add(name, std::move(saved));
    }
  }

  const MetaGraphDef& meta_;
  const TrackableObjectGraph& objects_;
  Nodes nodes_;
  std::unordered_map<std::string_view, const FunctionDef*> functions_;
  std::map<std::string, SavedAs> found_;
};

}  // namespace

std::map<std::string, SavedAs> saved_variables(const MetaGraphDef& meta,
                                               const TrackableObjectGraph& objects) {
  return Finder(meta, objects).run();
}

std::set<std::string> needed_variables(const GraphDef& graph,
                                       const std::set<std::string>& tensors) {
  const Nodes nodes = by_name(graph.node());
  std::set<std::string> variables;
  std::unordered_set<std::string_view> seen;
  std::vector<std::string_view> left(tensors.begin(), tensors.end());
  while (!left.empty()) {
    const auto at = nodes.find(node_of(left.back()));
    left.pop_back();
    if (at == nodes.end() || !seen.insert(at->first).second) continue;
    if (makes_variable(at->second->op())) variables.insert(std::string(at->first));
    left.insert(left.end(), at->second->input().begin(), at->second->input().end());
  }
  return variables;
}

}  // namespace mnn::tensorflow
