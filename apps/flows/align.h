// Which layer of one model is which of another.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "apps/flows/layers.h"
#include "libruntime/core/status.h"

namespace mnn::flows {

// Names in two models that mean the same.
using NamePairs = std::vector<std::pair<std::string, std::string>>;
// A JSON object {"name in the first": "name in the second"}, as --align reads it. kInvalidArgument
// when it is none.
Result<NamePairs> read_name_pairs(const std::string& path);

// The first of `names` that is `name`. kUsage where there is none: `side` has no such layer, or
// node
// (`what`).
Result<size_t> find_name(const std::vector<std::string>& names, const std::string& name,
                         const std::string& side, const std::string& what);

struct AlignedLayers {
  enum class By { kName, kStructure, kHand };
  size_t ref = 0, test = 0;  // positions
  By by = By::kName;
};
// What is the same in `ref` and `test`: as told by hand, then by layer name (repeated ones in order
// when both have as many, else by the name of the value), then by the value's name. A value that a
// rewrite changed has no partner, nor one that other operators make under another name. What is
// left is aligned by match_structure(): two exporters may have nothing in common but the network.
// In the order of `test`. kUsage where `by_hand` names a layer that is not there.
Result<std::vector<AlignedLayers>> align_layers(const Graph& ref_graph,
                                                const std::vector<Layer>& ref,
                                                const Graph& test_graph,
                                                const std::vector<Layer>& test,
                                                const NamePairs& by_hand = {});

// A source layer that has no counterpart.
struct Unaligned {
  std::string side;  // "ref" or "test": where it is
  std::string name, op;
  std::string why;  // "fused into stem_relu", "not in TEST"
};

std::vector<Unaligned> list_unaligned(const std::vector<Layer>& ref, const std::vector<Layer>& test,
                                      const std::vector<AlignedLayers>& aligned);

}  // namespace mnn::flows
