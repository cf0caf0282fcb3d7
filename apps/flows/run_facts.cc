#include "apps/flows/run_facts.h"

#include <nlohmann/json.hpp>

namespace mnn::flows {

RunFacts& run_facts() {
  static RunFacts facts;
  return facts;
}

void add_run_facts(nlohmann::ordered_json& out) {
  out["tool"] = run_facts().tool;
  if (!run_facts().command.empty()) out["command"] = run_facts().command;
}

}  // namespace mnn::flows
