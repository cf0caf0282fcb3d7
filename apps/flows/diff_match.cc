#include "apps/flows/diff_match.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "libruntime/core/op.h"

namespace mnn::flows {
namespace {

// Constants of fewer elements (axes, shapes, scalars) say little about which layer this is.
constexpr int64_t kTellingElements = 16;

uint64_t mix(uint64_t hash, uint64_t more) {
  uint64_t z = hash * 0x9e3779b97f4a7c15u + more;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  return z ^ (z >> 29);
}

uint64_t hash_text(std::string_view text) { return std::hash<std::string_view>()(text); }

uint64_t hash_tensor(const Tensor& t) {
  if (!t.defined()) return 1;
  uint64_t h = mix(static_cast<uint64_t>(t.dtype()), 2);
  // Leading ones change nothing about an operand that broadcasts.
  const auto first =
      std::find_if(t.dims().begin(), t.dims().end(), [](int64_t d) { return d != 1; });
  for (auto d = first; d != t.dims().end(); ++d) h = mix(h, static_cast<uint64_t>(*d));
  if (t.dtype() == DType::kString) {
    for (const std::string& s : t.string_values()) h = mix(h, hash_text(s));
    return h;
  }
  return mix(h,
             hash_text({reinterpret_cast<const char*>(t.raw()), static_cast<size_t>(t.bytes())}));
}

uint64_t hash_attribute(const Attribute& attribute) {
  uint64_t h = 3;
  std::visit(
      [&]<typename T>(const T& v) {
        if constexpr (std::is_same_v<T, Tensor>) {
          h = mix(h, hash_tensor(v));
        } else if constexpr (std::is_same_v<T, std::string>) {
          h = mix(h, hash_text(v));
        } else if constexpr (std::is_arithmetic_v<T>) {
          h = mix(h, std::hash<T>()(v));
        } else {
          for (const auto& e : v) h = mix(h, std::hash<std::decay_t<decltype(e)>>()(e));
        }
      },
      attribute);
  return h;
}

// Lists that say the same as none: no padding, steps of one.
bool says_nothing(const std::string& name, const Attribute& attribute) {
  const auto* list = std::get_if<std::vector<int64_t>>(&attribute);
  const int64_t neutral = name == "pads" ? 0 : 1;
  return list != nullptr && (name == "pads" || name == "strides" || name == "dilations") &&
         std::all_of(list->begin(), list->end(), [&](int64_t v) { return v == neutral; });
}

// Exporters differ in the defaults they spell out.
uint64_t hash_attributes(const std::string& op,
                         const std::map<std::string, Attribute, std::less<>>& attributes) {
  std::map<std::string, uint64_t> hashes;
  if (const OpDef* def = find_op(op)) {
    for (const AttrDef& d : def->attributes) {
      if (!says_nothing(d.name, d.default_value)) hashes[d.name] = hash_attribute(d.default_value);
    }
  }
  for (const auto& [name, attribute] : attributes) {
    if (!says_nothing(name, attribute)) hashes[name] = hash_attribute(attribute);
  }
  uint64_t h = 3;
  for (const auto& [name, hash] : hashes) h = mix(mix(h, hash_text(name)), hash);
  return h;
}

struct Hashes {
  std::vector<uint64_t> whole;    // per node: what it computes, all the way from the inputs
  std::vector<uint64_t> weights;  // per node: operator, attributes and large constants; 0: has none
};

// Inputs are told apart by their names, or by their positions.
enum class InputsBy : uint8_t { kName, kPosition };

Hashes hash_nodes(const Graph& graph, InputsBy inputs) {
  std::vector<uint64_t> value(graph.values.size(), 0);
  for (size_t v = 0; v < graph.values.size(); ++v) {
    const Value& one = graph.values[v];
    value[v] = one.kind == ValueKind::kTemporary || one.kind == ValueKind::kInput
                   ? mix(4, hash_text(one.name))
                   : hash_tensor(one.data);
  }
  for (size_t i = 0; inputs == InputsBy::kPosition && i < graph.inputs.size(); ++i)
    value[static_cast<size_t>(graph.inputs[i])] = mix(10, i);
  Hashes hashes;
  for (const Node& node : graph.nodes) {
    uint64_t own = mix(hash_text(node.op), hash_attributes(node.op, node.attributes));
    for (const FusedOp& f : node.fused) {
      own = mix(mix(own, hash_text(f.op)), hash_attributes(f.op, f.attributes));
    }
    uint64_t whole = own, weights = own;
    bool telling = false;
    for (const ValueId v : node.inputs) {
      const uint64_t h = v == kNoValue ? 5 : value[static_cast<size_t>(v)];
      whole = mix(whole, h);
      const bool constant = v != kNoValue && graph.value(v).kind == ValueKind::kConstant &&
                            graph.value(v).data.elements() >= kTellingElements;
      if (constant) weights = mix(weights, h);
      telling |= constant;
    }
    for (const ValueId v : node.captures) whole = mix(whole, value[static_cast<size_t>(v)]);
    for (const Graph& g : node.subgraphs) {
      for (const uint64_t h : hash_nodes(g, inputs).whole) whole = mix(whole, h);
    }
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      if (node.outputs[k] != kNoValue) {
        value[static_cast<size_t>(node.outputs[k])] = mix(whole, k + 6);
      }
    }
    hashes.whole.push_back(whole);
    hashes.weights.push_back(telling ? weights : 0);
  }
  return hashes;
}

class Matcher {
 public:
  Matcher(const Graph& a, const Graph& b) : a_(a), b_(b) {
    match_.b_of_a.assign(a.nodes.size(), -1);
    match_.a_of_b.assign(b.nodes.size(), -1);
  }

  // Pairs free nodes of equal key in order. Key 0 takes no part. With `unique` only keys that one
  // free node on each side has.
  void pair(const std::function<uint64_t(const Graph&, size_t, bool is_a)>& key, bool unique) {
    struct Bucket {
      std::vector<NodeId> a, b;
    };
    std::unordered_map<uint64_t, Bucket> buckets;
    for (size_t i = 0; i < match_.b_of_a.size(); ++i) {
      const uint64_t k = match_.b_of_a[i] < 0 ? key(a_, i, true) : 0;
      if (k != 0) buckets[k].a.push_back(static_cast<NodeId>(i));
    }
    for (size_t i = 0; i < match_.a_of_b.size(); ++i) {
      const uint64_t k = match_.a_of_b[i] < 0 ? key(b_, i, false) : 0;
      const auto it = k == 0 ? buckets.end() : buckets.find(k);
      if (it != buckets.end()) it->second.b.push_back(static_cast<NodeId>(i));
    }
    for (const auto& [k, bucket] : buckets) {
      if (unique && (bucket.a.size() != 1 || bucket.b.size() != 1)) continue;
      for (size_t i = 0; i < std::min(bucket.a.size(), bucket.b.size()); ++i) {
        join(bucket.a[i], bucket.b[i]);
      }
    }
  }
  // Free nodes only.
  void join(NodeId a, NodeId b) {
    NodeId &of_a = match_.b_of_a[static_cast<size_t>(a)],
           &of_b = match_.a_of_b[static_cast<size_t>(b)];
    if (of_a >= 0 || of_b >= 0) return;
    of_a = b;
    of_b = a;
  }
  NodeMatch take() { return std::move(match_); }

 private:
  const Graph &a_, &b_;
  NodeMatch match_;
};

// What computes the same from inputs at the same positions, then what has the same large constants.
void pair_by_structure(const Graph& a, const Graph& b, Matcher& matcher) {
  const Hashes in_a = hash_nodes(a, InputsBy::kPosition), in_b = hash_nodes(b, InputsBy::kPosition);
  const auto of = [&](bool is_a) -> const Hashes& { return is_a ? in_a : in_b; };
  matcher.pair([&](const Graph&, size_t i, bool is_a) { return of(is_a).whole[i]; }, false);
  matcher.pair([&](const Graph&, size_t i, bool is_a) { return of(is_a).weights[i]; }, true);
}

}  // namespace

NodeMatch match_structure(const Graph& a, const Graph& b) {
  Matcher matcher(a, b);
  pair_by_structure(a, b, matcher);
  return matcher.take();
}

Result<NodePairs> find_nodes(const Graph& a, const Graph& b, const NamePairs& names) {
  if (names.empty()) return NodePairs();
  const auto names_of = [](const Graph& g) {
    std::vector<std::string> all;
    for (const Node& node : g.nodes) all.push_back(display_name(g, node));
    return all;
  };
  const std::vector<std::string> in_a = names_of(a), in_b = names_of(b);
  NodePairs pairs;
  for (const auto& [of_a, of_b] : names) {
    MNN_ASSIGN_OR_RETURN(const size_t n, find_name(in_a, of_a, "A", "node"));
    MNN_ASSIGN_OR_RETURN(const size_t m, find_name(in_b, of_b, "B", "node"));
    pairs.emplace_back(static_cast<NodeId>(n), static_cast<NodeId>(m));
  }
  return pairs;
}

NodeMatch match_nodes(const Graph& a, const Graph& b, const NodePairs& told) {
  const Hashes in_a = hash_nodes(a, InputsBy::kName), in_b = hash_nodes(b, InputsBy::kName);
  const auto name = [](const Graph& g, size_t i) {
    return mix(7, hash_text(display_name(g, g.nodes[i])));
  };
  const auto op = [](const Graph& g, size_t i) { return hash_text(g.nodes[i].op); };
  const auto origin = [](const Graph& g, size_t i) {
    uint64_t h = 8;
    for (const std::string& o : g.nodes[i].origin) h = mix(h, hash_text(o));
    return h;
  };
  const auto whole = [&](size_t i, bool is_a) { return (is_a ? in_a : in_b).whole[i]; };
  Matcher matcher(a, b);
  for (const auto& [n, m] : told) matcher.join(n, m);
  matcher.pair([&](const Graph& g, size_t i, bool is_a) { return mix(whole(i, is_a), name(g, i)); },
               false);
  matcher.pair([&](const Graph&, size_t i, bool is_a) { return whole(i, is_a); }, false);
  pair_by_structure(a, b, matcher);
  matcher.pair(
      [&](const Graph& g, size_t i, bool) { return mix(mix(name(g, i), op(g, i)), origin(g, i)); },
      false);
  matcher.pair([&](const Graph& g, size_t i, bool) { return mix(name(g, i), op(g, i)); }, false);
  matcher.pair([&](const Graph& g, size_t i, bool) { return name(g, i); }, false);
  // Something was fused into it on one side only.
  matcher.pair(
      [&](const Graph& g, size_t i, bool) {
        const std::vector<std::string>& o = g.nodes[i].origin;
        return o.empty() ? 0 : mix(mix(9, hash_text(o.front())), op(g, i));
      },
      true);
  return matcher.take();
}

}  // namespace mnn::flows
