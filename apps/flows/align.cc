#include "apps/flows/align.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "apps/flows/diff_match.h"
#include "libruntime/core/io/file.h"
#include "libruntime/core/nearest.h"

namespace mnn::flows {
namespace {

// Those of `layers` that are not done.
void list_side(const std::vector<Layer>& layers, const std::vector<bool>& aligned,
               const std::vector<Layer>& others, const std::string& side,
               const std::string& other_side, std::vector<Unaligned>& out) {
  std::unordered_map<std::string, const Layer*> inside;
  std::unordered_set<std::string> names;
  for (const Layer& other : others) {
    for (const std::string& o : other.origin) inside.emplace(o, &other);
    names.insert(other.name);
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    if (aligned[i]) continue;
    const auto it = inside.find(layers[i].name);
    std::string why = "not in " + other_side;
    if (names.contains(layers[i].name)) {
      why = "another value in " + other_side + " after rewriting";
    } else if (it != inside.end()) {
      why = "fused into " + it->second->name;
    }
    out.push_back({side, layers[i].name, layers[i].op, why});
  }
}

// Per layer of `test` the one of `ref` that match_structure() found; kNone without.
constexpr size_t kNone = static_cast<size_t>(-1);
std::vector<size_t> structural_twins(const Graph& ref_graph, const std::vector<Layer>& ref,
                                     const Graph& test_graph, const std::vector<Layer>& test) {
  const NodeMatch match = match_structure(ref_graph, test_graph);
  std::unordered_map<ValueId, size_t> at;
  for (size_t r = 0; r < ref.size(); ++r) at.emplace(ref[r].value, r);
  std::unordered_map<ValueId, ValueId> partner;
  for (size_t n = 0; n < test_graph.nodes.size(); ++n) {
    if (match.a_of_b[n] < 0) continue;
    const std::vector<ValueId>& outputs = test_graph.nodes[n].outputs;
    const std::vector<ValueId>& theirs = ref_graph.node(match.a_of_b[n]).outputs;
    for (size_t k = 0; k < std::min(outputs.size(), theirs.size()); ++k)
      partner.emplace(outputs[k], theirs[k]);
  }
  std::vector<size_t> twin(test.size(), kNone);
  for (size_t t = 0; t < test.size(); ++t) {
    const auto other = partner.find(test[t].value);
    const auto it = other == partner.end() ? at.end() : at.find(other->second);
    if (it != at.end()) twin[t] = it->second;
  }
  return twin;
}

}  // namespace

Result<size_t> find_name(const std::vector<std::string>& names, const std::string& name,
                         const std::string& side, const std::string& what) {
  const auto at = std::ranges::find(names, name);
  if (at != names.end()) return static_cast<size_t>(at - names.begin());
  const std::string near = nearest(names, name);
  return usage_error("--align: " + side + " has no " + what + " '" + name + "'" +
                     (near.empty() ? "" : "; did you mean " + near + "?"));
}

Result<NamePairs> read_name_pairs(const std::string& path) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  const auto* text = reinterpret_cast<const char*>(file.bytes.data());
  const auto root = nlohmann::ordered_json::parse(text, text + file.bytes.size(), nullptr, false);
  NamePairs pairs;
  const Status wrong = invalid(path +
                               ": expected a JSON object of names, {\"layer of one model\": "
                               "\"layer of the other\"}");
  if (!root.is_object()) return wrong;
  for (const auto& [ref, test] : root.items()) {
    if (!test.is_string()) return wrong;
    pairs.emplace_back(ref, test.get<std::string>());
  }
  return pairs;
}

Result<std::vector<AlignedLayers>> align_layers(const Graph& ref_graph,
                                                const std::vector<Layer>& ref,
                                                const Graph& test_graph,
                                                const std::vector<Layer>& test,
                                                const NamePairs& by_hand) {
  using Groups = std::unordered_map<std::string, std::vector<size_t>>;
  const auto group = [](const std::vector<Layer>& layers, auto&& key) {
    Groups groups;
    for (size_t i = 0; i < layers.size(); ++i) {
      const std::string& k = key(layers[i]);
      if (!k.empty()) groups[k].push_back(i);
    }
    return groups;
  };
  const auto layer_name = [](const Layer& l) -> const std::string& { return l.name; };
  const auto value_name = [](const Graph& g) {
    return [&g](const Layer& l) -> const std::string& { return g.value(l.value).name; };
  };
  std::vector<size_t> partner(test.size(), kNone);
  std::vector<bool> taken(ref.size(), false);
  const auto join = [&](size_t r, size_t t) {
    if (taken[r] || partner[t] != kNone) return;
    taken[r] = true;
    partner[t] = r;
  };
  // A pass that changes what a layer makes (a scale moved into the next weights, a transpose moved
  // over it) leaves the new value without a name: a named and a nameless one are not the same.
  const auto same_meaning = [&](size_t r, size_t t) {
    const bool ref_named = !ref_graph.value(ref[r].value).name.empty();
    const bool test_named = !test_graph.value(test[t].value).name.empty();
    if (ref_named != test_named) return false;
    if (!ref_named) return ref[r].origin == test[t].origin;
    // Tensors with names of their own that other operators make are others, whatever their layers
    // are called: one may be in front of an activation and one behind it.
    return ref[r].op == test[t].op ||
           ref_graph.value(ref[r].value).name == test_graph.value(test[t].value).name;
  };
  const Groups ref_names = group(ref, layer_name), test_names = group(test, layer_name);
  std::vector<bool> told(test.size(), false);
  const auto names_of = [](const std::vector<Layer>& layers) {
    std::vector<std::string> names;
    for (const Layer& l : layers) names.push_back(l.name);
    return names;
  };
  const std::vector<std::string> ref_in_order = names_of(ref), test_in_order = names_of(test);
  for (const auto& [r, t] : by_hand) {
    MNN_ASSIGN_OR_RETURN(const size_t in_ref, find_name(ref_in_order, r, "REF", "layer"));
    MNN_ASSIGN_OR_RETURN(const size_t in_test, find_name(test_in_order, t, "TEST", "layer"));
    join(in_ref, in_test);
    told[in_test] = true;
  }
  const Groups ref_values = group(ref, value_name(ref_graph)),
               test_values = group(test, value_name(test_graph));
  for (const auto& [name, tests] : test_names) {
    const auto it = ref_names.find(name);
    if (it == ref_names.end()) continue;
    const std::vector<size_t>& refs = it->second;
    if (refs.size() == tests.size()) {
      for (size_t i = 0; i < refs.size(); ++i) {
        if (same_meaning(refs[i], tests[i])) join(refs[i], tests[i]);
      }
      continue;
    }
    // Repeated: only the one whose value is called the same is surely the same.
    for (const size_t t : tests) {
      const std::string& value = test_graph.value(test[t].value).name;
      for (const size_t r : refs) {
        if (!value.empty() && ref_graph.value(ref[r].value).name == value) join(r, t);
      }
    }
  }
  for (const auto& [name, tests] : test_values) {
    const auto it = ref_values.find(name);
    if (it != ref_values.end() && it->second.size() == 1 && tests.size() == 1) {
      join(it->second[0], tests[0]);
    }
  }
  std::vector<AlignedLayers> pairs;
  const std::vector<size_t> twin = structural_twins(ref_graph, ref, test_graph, test);
  for (size_t t = 0; t < test.size(); ++t) {
    if (partner[t] != kNone) {
      pairs.push_back(
          {partner[t], t, told[t] ? AlignedLayers::By::kHand : AlignedLayers::By::kName});
    } else if (twin[t] != kNone && !taken[twin[t]]) {
      pairs.push_back({twin[t], t, AlignedLayers::By::kStructure});
    }
  }
  return pairs;
}

std::vector<Unaligned> list_unaligned(const std::vector<Layer>& ref, const std::vector<Layer>& test,
                                      const std::vector<AlignedLayers>& aligned) {
  std::vector<bool> ref_done(ref.size(), false), test_done(test.size(), false);
  for (const AlignedLayers& pair : aligned) ref_done[pair.ref] = test_done[pair.test] = true;
  std::vector<Unaligned> out;
  list_side(ref, ref_done, test, "ref", "TEST", out);
  list_side(test, test_done, ref, "test", "REF", out);
  return out;
}

}  // namespace mnn::flows
