// Common subexpressions: one constant for equal bytes, one node for equal work. Linear time.
#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"
#include "libruntime/core/io/file.h"

namespace mnn {
namespace {

class Hash {
 public:
  void add(uint64_t value) {
    state_ = (state_ ^ value) * 0x9e3779b97f4a7c15u;
    state_ ^= state_ >> 29;
  }
  void add(std::string_view text) {
    add(text.size());
    bytes(text.data(), text.size());
  }
  void bytes(const void* data, size_t size) {
    const auto* p = static_cast<const unsigned char*>(data);
    for (; size >= 8; p += 8, size -= 8) {
      uint64_t word;
      std::memcpy(&word, p, 8);
      add(word);
    }
    uint64_t last = 0;
    if (size > 0) std::memcpy(&last, p, size);
    add(last);
  }
  void add(const Tensor& t) {
    add(static_cast<uint64_t>(t.dtype()));
    for (const int64_t d : t.dims()) add(static_cast<uint64_t>(d));
    if (t.dtype() == DType::kString) {
      for (const std::string& s : t.string_values()) add(std::string_view(s));
    } else if (t.bytes() > 0) {
      bytes(t.raw(), static_cast<size_t>(t.bytes()));
      release_pages({t.raw(), static_cast<size_t>(t.bytes())});
    }
  }
  void add(const Attribute& attribute) {
    add(attribute.index());
    std::visit(
        [this]<typename T>(const T& v) {
          if constexpr (std::is_same_v<T, std::string>) {
            add(std::string_view(v));
          } else if constexpr (std::is_same_v<T, Tensor>) {
            if (v.defined()) add(v);
          } else if constexpr (std::is_arithmetic_v<T>) {
            bytes(&v, sizeof v);
          } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            for (const std::string& s : v) add(std::string_view(s));
          } else {
            bytes(v.data(), v.size() * sizeof v[0]);
          }
        },
        attribute);
  }
  uint64_t value() const { return state_; }

 private:
  uint64_t state_ = 0x243f6a8885a308d3u;
};

using AttributeMap = std::map<std::string, Attribute, std::less<>>;

bool equal(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&]<typename T>(const T& v) {
        const T& w = std::get<T>(b);
        if constexpr (std::is_same_v<T, Tensor>) {
          return identical(v, w);
        } else if constexpr (std::is_same_v<T, double>) {
          return std::bit_cast<uint64_t>(v) == std::bit_cast<uint64_t>(w);
        } else {
          return v == w;
        }
      },
      a);
}

bool equal(const AttributeMap& a, const AttributeMap& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && equal(x.second, y.second);
  });
}

bool equal(const std::vector<FusedOp>& a, const std::vector<FusedOp>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const FusedOp& x, const FusedOp& y) {
    return x.op == y.op && x.operands == y.operands && equal(x.attributes, y.attributes);
  });
}

class Merger {
 public:
  explicit Merger(Graph& graph) : graph_(graph), same_as_(graph.values.size()) {
    for (size_t v = 0; v < same_as_.size(); ++v) same_as_[v] = static_cast<ValueId>(v);
    is_result_.assign(graph.values.size(), 0);
    for (const ValueId v : graph.results()) is_result_[static_cast<size_t>(v)] = 1;
  }

  int run() {
    merge_constants();
    std::unordered_multimap<uint64_t, NodeId> seen;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      Node& node = graph_.nodes[n];
      for (auto* list : {&node.inputs, &node.captures}) {
        for (ValueId& v : *list) {
          if (v != kNoValue) v = same_as_[static_cast<size_t>(v)];
        }
      }
      if (!may_merge(node)) continue;
      const uint64_t hash = hash_of(node);
      const auto [first, last] = seen.equal_range(hash);
      bool merged = false;
      int tries = 0;
      for (auto it = first; it != last && !merged && tries < 16; ++it, ++tries) {
        merged = merge(graph_.node(it->second), node);
      }
      if (!merged) seen.emplace(hash, static_cast<NodeId>(n));
    }
    for (Node& node : graph_.nodes) {
      if (merged_ > 0 && node.origin.size() > 1) drop_repeats(node.origin);
    }
    return merged_;
  }

 private:
  void merge_constants() {
    std::unordered_multimap<uint64_t, ValueId> seen;
    for (size_t v = 0; v < graph_.values.size(); ++v) {
      const Value& value = graph_.values[v];
      if (value.kind != ValueKind::kConstant || is_result_[v]) continue;
      Hash h;
      h.add(value.data);
      const auto [first, last] = seen.equal_range(h.value());
      bool merged = false;
      int tries = 0;
      for (auto it = first; it != last && !merged && tries < 16; ++it, ++tries) {
        const Value& other = graph_.value(it->second);
        if (!identical(other.data, value.data) || other.quant != value.quant) continue;
        same_as_[v] = it->second;
        merged = true;
      }
      if (!merged) seen.emplace(h.value(), static_cast<ValueId>(v));
    }
  }

  bool may_merge(const Node& node) const {
    const OpDef* def = find_op(node.op);
    if (!def || !def->deterministic || !node.subgraphs.empty()) return false;
    for (const ValueId v : node.outputs) {
      if (v != kNoValue && is_result_[static_cast<size_t>(v)]) return false;
    }
    return true;
  }

  static uint64_t hash_of(const Node& node) {
    Hash h;
    h.add(std::string_view(node.op));
    for (const ValueId v : node.inputs) h.add(static_cast<uint64_t>(v));
    for (const auto& [name, value] : node.attributes) {
      h.add(std::string_view(name));
      h.add(value);
    }
    h.add(node.fused.size());
    h.add(node.outputs.size());
    return h.value();
  }

  // Redirects what `b` makes to what `a` makes when they are the same work.
  bool merge(Node& a, const Node& b) {
    if (a.op != b.op || a.inputs != b.inputs || a.outputs.size() != b.outputs.size() ||
        !equal(a.attributes, b.attributes) || !equal(a.fused, b.fused)) {
      return false;
    }
    for (size_t i = 0; i < a.outputs.size(); ++i) {
      if (b.outputs[i] == kNoValue) continue;
      if (a.outputs[i] == kNoValue ||
          graph_.value(a.outputs[i]).quant != graph_.value(b.outputs[i]).quant) {
        return false;
      }
    }
    for (size_t i = 0; i < a.outputs.size(); ++i) {
      if (b.outputs[i] != kNoValue) same_as_[static_cast<size_t>(b.outputs[i])] = a.outputs[i];
    }
    a.origin.insert(a.origin.end(), b.origin.begin(), b.origin.end());
    ++merged_;
    return true;
  }

  Graph& graph_;
  std::vector<ValueId> same_as_;
  std::vector<char> is_result_;
  int merged_ = 0;
};

}  // namespace

Result<int> merge_common(Graph& graph) {
  int merged = 0;
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) {
      MNN_ASSIGN_OR_RETURN(const int inner, merge_common(g));
      merged += inner;
    }
  }
  merged += Merger(graph).run();
  if (merged > 0) remove_dead(graph);
  return merged;
}

}  // namespace mnn
