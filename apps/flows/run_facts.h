// Which program made a result, and with what arguments: every report and every --json says so.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace mnn::flows {

struct RunFacts {
  std::string tool = std::string("mnn-toolbox ") + MNN_VERSION;
  // The command line without what leaves the result as it is: names of outputs, threads, talk. The
  // same result has the same report, whoever made it and where it went.
  std::string command;
};
// The process's own; run_command fills it.
RunFacts& run_facts();
// Adds "tool" and, where there is one, "command".
void add_run_facts(nlohmann::ordered_json& out);

}  // namespace mnn::flows
