#include "apps/flows/diff.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "apps/flows/diff_match.h"
#include "apps/flows/layers.h"
#include "libruntime/core/half.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/text.h"
#include "libruntime/report/format.h"

namespace mnn::flows {
namespace {

constexpr int64_t kShownElements = 8;

std::string short_number(double value) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return text.data();
}

std::string tensor_text(const Tensor& t) {
  if (!t.defined()) return "none";
  return t.elements() <= kShownElements ? print_tensor(t) : t.type_str();
}

std::string attribute_text(const Attribute& attribute) {
  const auto one = []<typename T>(const T& v) -> std::string {
    if constexpr (std::is_same_v<T, std::string>) {
      return "\"" + v + "\"";
    } else if constexpr (std::is_same_v<T, double>) {
      return short_number(v);
    } else {
      return std::to_string(v);
    }
  };
  return std::visit(
      [&]<typename T>(const T& v) -> std::string {
        if constexpr (std::is_same_v<T, Tensor>) {
          return tensor_text(v);
        } else if constexpr (std::is_same_v<T, std::string> || std::is_arithmetic_v<T>) {
          return one(v);
        } else {
          std::string text;
          for (const auto& e : v) text += (text.empty() ? "" : ",") + one(e);
          return "[" + text + "]";
        }
      },
      attribute);
}

bool equal(const Attribute& a, const Attribute& b) {
  return std::visit(
      []<typename A, typename B>(const A& x, const B& y) {
        if constexpr (!std::is_same_v<A, B>) {
          return false;
        } else if constexpr (std::is_same_v<A, Tensor>) {
          return x.defined() == y.defined() && (!x.defined() || identical(x, y));
        } else {
          return x == y;
        }
      },
      a, b);
}

std::string quant_text(const std::optional<QuantParams>& q) {
  return q ? describe_quant(*q) : "none";
}

std::string border_text(const Value& v) {
  return v.type.str() + (v.quant ? " as " + quant_text(v.quant) : "");
}

std::string constant_text(const Value& v) {
  if (v.quant) return v.type.str() + " as " + quant_text(v.quant);
  const bool shown = v.data.defined() && v.data.elements() <= kShownElements;
  return shown ? print_tensor(v.data) : v.type.str();
}

bool same_constant(const Value& a, const Value& b) {
  if (a.kind != b.kind || a.type.str() != b.type.str() || a.quant != b.quant) return false;
  if (!a.data.defined() || !b.data.defined()) return a.data.defined() == b.data.defined();
  return identical(a.data, b.data);
}

std::string fused_text(const Node& node) {
  std::string text;
  for (const FusedOp& f : node.fused) {
    text += (text.empty() ? "" : " + ") + f.op;
    std::string attributes;
    for (const auto& [name, attribute] : f.attributes) {
      attributes += (attributes.empty() ? "" : ", ") + name + "=" + attribute_text(attribute);
    }
    if (!attributes.empty()) text += " {" + attributes + "}";
  }
  return text;
}

// One pair of graphs: the models', or those of two matched nodes.
class Differ {
 public:
  Differ(const Graph& a, const Graph& b, std::string prefix, GraphDiff& out,
         const NodePairs& align = {})
      : a_(a),
        b_(b),
        prefix_(std::move(prefix)),
        out_(out),
        uses_a_(index_uses(a)),
        uses_b_(index_uses(b)),
        match_(match_nodes(a, b, align)) {}

  void run() {
    out_.nodes_a += static_cast<int64_t>(a_.nodes.size());
    out_.nodes_b += static_cast<int64_t>(b_.nodes.size());
    pair_inputs();
    for (size_t i = 0; i < a_.nodes.size(); ++i) {
      if (match_.b_of_a[i] < 0 && !is_storage_cast(a_, a_.nodes[i])) {
        out_.removed.push_back(ref_of(a_, a_.nodes[i]));
      }
    }
    for (size_t i = 0; i < b_.nodes.size(); ++i) {
      const NodeId partner = match_.a_of_b[i];
      if (is_storage_cast(b_, b_.nodes[i])) continue;
      if (partner < 0) {
        out_.added.push_back(ref_of(b_, b_.nodes[i]));
      } else {
        compare(a_.node(partner), b_.nodes[i]);
      }
    }
    compare_outputs();
  }

 private:
  NodeRef ref_of(const Graph& g, const Node& n) const {
    return {prefix_ + display_name(g, n), op_label(n)};
  }

  // Inputs (of sub-graphs: captures) by name; those left over by position, which is a change.
  void pair_inputs() {
    const auto pair = [&](const std::vector<ValueId>& in_a, const std::vector<ValueId>& in_b,
                          bool border) {
      std::unordered_map<std::string, ValueId> by_name;
      for (const ValueId v : in_a) by_name.emplace(a_.value(v).name, v);
      std::set<ValueId> used;
      std::vector<ValueId> left;
      for (const ValueId v : in_b) {
        const auto it = by_name.find(b_.value(v).name);
        if (it == by_name.end()) {
          left.push_back(v);
          continue;
        }
        used.insert(it->second);
        input_of_b_.emplace(v, it->second);
        const Value &before = a_.value(it->second), &after = b_.value(v);
        if (border && (before.type.str() != after.type.str() || before.quant != after.quant)) {
          out_.border.push_back(
              {"input", prefix_ + after.name, border_text(before), border_text(after)});
        }
      }
      size_t next = 0;
      for (const ValueId v : in_a) {
        if (used.contains(v)) continue;
        const bool renamed = next < left.size() && in_a.size() == in_b.size();
        if (renamed) input_of_b_.emplace(left[next], v);
        if (border) {
          out_.border.push_back(
              {"input", prefix_ + a_.value(v).name,
               a_.value(v).name + ": " + a_.value(v).type.str(),
               renamed ? b_.value(left[next]).name + ": " + b_.value(left[next]).type.str() : ""});
        }
        if (renamed) ++next;
      }
      for (; border && next < left.size(); ++next) {
        const Value& v = b_.value(left[next]);
        out_.border.push_back({"input", prefix_ + v.name, "", v.name + ": " + v.type.str()});
      }
      if (border && used.size() == in_a.size() && in_a.size() == in_b.size()) {
        check_order("input", in_a, in_b);
      }
    };
    pair(a_.inputs, b_.inputs, true);
    pair(a_.captures, b_.captures, false);
  }

  void check_order(const std::string& side, const std::vector<ValueId>& in_a,
                   const std::vector<ValueId>& in_b) {
    std::string before, after;
    for (size_t i = 0; i < in_a.size(); ++i) {
      before += (i ? ", " : "") + a_.value(in_a[i]).name;
      after += (i ? ", " : "") + b_.value(in_b[i]).name;
    }
    if (before != after) out_.border.push_back({side, prefix_ + "order", before, after});
  }

  void compare_outputs() {
    std::unordered_map<std::string, ValueId> by_name;
    for (const ValueId v : a_.outputs) by_name.emplace(a_.value(v).name, v);
    std::set<ValueId> used;
    for (size_t i = 0; i < b_.outputs.size(); ++i) {
      const ValueId v = b_.outputs[i];
      const Value& after = b_.value(v);
      const auto it = by_name.find(after.name);
      // Outputs of sub-graphs have a place, not a name.
      const bool nested = !prefix_.empty() && i < a_.outputs.size();
      const ValueId w = nested ? a_.outputs[i] : it == by_name.end() ? kNoValue : it->second;
      if (w == kNoValue) {
        out_.border.push_back({"output", prefix_ + after.name, "", after.type.str()});
        continue;
      }
      used.insert(w);
      const Value& before = a_.value(w);
      if (before.type.str() != after.type.str()) {
        out_.border.push_back(
            {"output", prefix_ + after.name, before.type.str(), after.type.str()});
      } else if (!same_source(w, v)) {
        out_.border.push_back({"output", prefix_ + after.name, source_text(a_, uses_a_, w),
                               source_text(b_, uses_b_, v)});
      }
    }
    for (const ValueId v : a_.outputs) {
      if (!used.contains(v)) {
        out_.border.push_back({"output", prefix_ + a_.value(v).name, a_.value(v).type.str(), ""});
      }
    }
    if (prefix_.empty() && used.size() == a_.outputs.size() && used.size() == b_.outputs.size()) {
      check_order("output", a_.outputs, b_.outputs);
    }
  }

  // The f16 constant under a widening Cast, else the value itself.
  static ValueId stored(const Graph& g, const Uses& uses, ValueId v) {
    if (v == kNoValue) return v;
    const NodeId from = uses.producer[static_cast<size_t>(v)];
    return from >= 0 && is_widening(g, g.node(from)) ? g.node(from).inputs[0] : v;
  }

  // Whether both values are the same output of matched nodes, the same input or both constants.
  bool same_source(ValueId v, ValueId w) const {
    if (v == kNoValue || w == kNoValue) return v == w;
    if (is_stored(a_.value(v)) || is_stored(b_.value(w))) {
      return a_.value(v).kind == b_.value(w).kind;
    }
    const NodeId from_a = uses_a_.producer[static_cast<size_t>(v)];
    const NodeId from_b = uses_b_.producer[static_cast<size_t>(w)];
    if (from_a < 0 || from_b < 0) {
      const auto it = input_of_b_.find(w);
      return from_a == from_b && it != input_of_b_.end() && it->second == v;
    }
    if (match_.b_of_a[static_cast<size_t>(from_a)] != from_b) return false;
    const auto position = [](const std::vector<ValueId>& list, ValueId id) {
      return std::find(list.begin(), list.end(), id) - list.begin();
    };
    return position(a_.node(from_a).outputs, v) == position(b_.node(from_b).outputs, w);
  }

  static std::string source_text(const Graph& g, const Uses& uses, ValueId v) {
    if (v == kNoValue) return "";
    const Value& value = g.value(v);
    if (is_stored(value)) return "constant " + constant_text(value);
    const NodeId from = uses.producer[static_cast<size_t>(v)];
    if (from < 0) return "input " + value.name;
    const std::vector<ValueId>& outs = g.node(from).outputs;
    const auto k = std::find(outs.begin(), outs.end(), v) - outs.begin();
    return display_name(g, g.node(from)) + (k > 0 ? ":" + std::to_string(k) : "");
  }

  void compare_constants(ValueId v, ValueId w, const std::string& reader, size_t input) {
    if (!constants_done_.emplace(v, w).second) return;
    const Value &before = a_.value(v), &after = b_.value(w);
    ++out_.constants;
    if (same_constant(before, after)) return;
    ConstantChange change;
    change.name = !after.name.empty()
                      ? after.name
                      : (before.name.empty() ? "input " + std::to_string(input) + " of " + reader
                                             : before.name);
    change.reader = reader;
    change.before = constant_text(before);
    change.after = constant_text(after);
    const auto real_a = constant_as_real(before), real_b = constant_as_real(after);
    if (real_a.ok() && real_b.ok() && real_a->dims() == real_b->dims()) {
      ErrorSums sums;
      if (sums.add(*real_a, *real_b).ok()) change.metrics = metrics_of(sums);
    }
    out_.constant_changes.push_back(std::move(change));
  }

  void compare_attributes(const Node& a, const Node& b, NodeChange& change) {
    const OpDef* def = a.op == b.op ? find_op(a.op) : nullptr;
    const auto value = [&](const Node& n, const std::string& name) -> const Attribute* {
      const auto it = n.attributes.find(name);
      if (it != n.attributes.end()) return &it->second;
      if (def == nullptr) return nullptr;
      for (const AttrDef& d : def->attributes) {
        if (d.name == name) return &d.default_value;
      }
      return nullptr;
    };
    std::set<std::string> names;
    for (const auto& [name, attribute] : a.attributes) names.insert(name);
    for (const auto& [name, attribute] : b.attributes) names.insert(name);
    for (const std::string& name : names) {
      const Attribute *before = value(a, name), *after = value(b, name);
      if (before != nullptr && after != nullptr && equal(*before, *after)) continue;
      change.changes.push_back({"attribute " + name, before ? attribute_text(*before) : "",
                                after ? attribute_text(*after) : ""});
    }
  }

  void compare(const Node& a, const Node& b) {
    const std::string name_a = display_name(a_, a), name_b = display_name(b_, b);
    NodeChange change{prefix_ + name_b, op_label(b), {}};
    const std::string fused_a = fused_text(a), fused_b = fused_text(b);
    if (name_a != name_b && fused_a != fused_b) {
      change.changes.push_back({"last layer", name_a, name_b});
    } else if (name_a != name_b) {
      out_.renamed.push_back({prefix_ + name_a, prefix_ + name_b, op_label(b)});
    }
    if (a.op != b.op) change.changes.push_back({"op", a.op, b.op});
    compare_attributes(a, b, change);
    if (fused_a != fused_b) change.changes.push_back({"fused", fused_a, fused_b});
    for (size_t i = 0; i < std::max(a.inputs.size(), b.inputs.size()); ++i) {
      const ValueId v = i < a.inputs.size() ? stored(a_, uses_a_, a.inputs[i]) : kNoValue;
      const ValueId w = i < b.inputs.size() ? stored(b_, uses_b_, b.inputs[i]) : kNoValue;
      if (!same_source(v, w)) {
        change.changes.push_back({"input " + std::to_string(i), source_text(a_, uses_a_, v),
                                  source_text(b_, uses_b_, w)});
      } else if (v != kNoValue && is_stored(a_.value(v))) {
        compare_constants(v, w, prefix_ + name_b, i);
      }
    }
    if (a.outputs.size() != b.outputs.size()) {
      change.changes.push_back(
          {"outputs", std::to_string(a.outputs.size()), std::to_string(b.outputs.size())});
    }
    bool shapes_differ = false;
    for (size_t k = 0; k < std::min(a.outputs.size(), b.outputs.size()); ++k) {
      if (a.outputs[k] == kNoValue || b.outputs[k] == kNoValue) continue;
      const Value &x = a_.value(a.outputs[k]), &y = b_.value(b.outputs[k]);
      const std::string which = k > 0 ? " of output " + std::to_string(k) : "";
      if (x.quant != y.quant) {
        change.changes.push_back(
            {"quantization" + which, quant_text(x.quant), quant_text(y.quant)});
      }
      if (x.type.dtype != y.type.dtype) {
        change.changes.push_back({"type" + which, x.type.str(), y.type.str()});
      } else {
        shapes_differ |= x.type.str() != y.type.str();
      }
    }
    out_.shape_changes += shapes_differ;
    if (!change.changes.empty()) out_.changed.push_back(std::move(change));
    for (size_t i = 0; i < std::min(a.subgraphs.size(), b.subgraphs.size()); ++i) {
      const std::string prefix = prefix_ + name_b + "/" + subgraph_label(b, i) + "/";
      Differ(a.subgraphs[i], b.subgraphs[i], prefix, out_).run();
    }
  }

  const Graph &a_, &b_;
  const std::string prefix_;
  GraphDiff& out_;
  const Uses uses_a_, uses_b_;
  const NodeMatch match_;
  std::unordered_map<ValueId, ValueId> input_of_b_;  // input of B -> that of A
  std::set<std::pair<ValueId, ValueId>> constants_done_;
};

}  // namespace

bool GraphDiff::same() const {
  return added.empty() && removed.empty() && renamed.empty() && changed.empty() &&
         constant_changes.empty() && border.empty() && shape_changes == 0;
}

std::string GraphDiff::summary() const {
  std::string text;
  const auto part = [&](size_t n, std::array<const char*, 2> what) {
    if (n == 0) return;
    text += (text.empty() ? "" : ", ") + std::to_string(n) + " " + what[0] + (n == 1 ? "" : "s") +
            what[1];
  };
  part(added.size(), {"node", " added"});
  part(removed.size(), {"node", " removed"});
  part(changed.size(), {"node", " changed"});
  part(renamed.size(), {"node", " renamed"});
  part(static_cast<size_t>(shape_changes), {"node", " with other shapes"});
  part(constant_changes.size(), {"constant", " changed"});
  part(border.size(), {"change", " of inputs and outputs"});
  return text.empty() ? "no difference" : text;
}

GraphDiff diff_graphs(const Graph& a, const Graph& b, const NodePairs& align) {
  GraphDiff out;
  Differ(a, b, "", out, align).run();
  return out;
}

}  // namespace mnn::flows
