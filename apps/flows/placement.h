// What will run a model, and where its time will go.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn::flows {

// The nodes of one operator.
struct OpPlacement {
  // By back end ("cpu", "reference", "session" for control flow): how many nodes, in whole or in
  // part. Those in none of them depend on shapes alone, and are computed before a run.
  std::map<std::string, int64_t> nodes;
  int64_t macs = 0;
  double reference_share = 0;  // of the estimated time of the model
  std::string why;             // why the reference has some
  // "cpu", "cpu (3), reference (1): why"
  std::string text() const;
};

struct Placement {
  // Dims the figures hold for, "x=1,3,224,224" or empty when the model's own are all known.
  std::string assumed;
  bool planned = false;        // false: the model takes none of the dims tried; nothing is known
  double reference_share = 0;  // of the estimated time
  std::map<std::string, OpPlacement> ops;  // by operator of the graph, sub-graphs included
};
// Plans the model for the CPU without packing or running anything; open dims get likely values.
Placement place(const Graph& graph);

// "none", or the share of the estimated time on the reference and its operators.
std::string reference_text(const Placement& placement);
// What to warn of and the way out; empty when the reference has little to do.
std::string reference_warning(const Placement& placement);
// {"time_share", "operators": [{"op", "nodes", "time_share", "why"}]}, for --json.
nlohmann::ordered_json reference_json(const Placement& placement);

}  // namespace mnn::flows
