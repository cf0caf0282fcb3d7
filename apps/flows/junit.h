// JUnit XML: the form in which CI systems take results.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace mnn::flows {

struct JUnitCase {
  std::string group;                   // "layers", "outputs", "thresholds"
  std::string name;                    // what was judged
  std::string failure;                 // one line with the figures; empty: passed
  std::string skipped;                 // why it was not judged; empty: it was
  std::string output;                  // the figures of a case that passed; may be empty
  std::optional<double> seconds = {};  // a time that was measured, for the case's time attribute
};

// One suite; `seconds`: what it took. Holds no hosts and no dates. Characters that XML cannot hold
// become U+FFFD.
std::string junit_xml(const std::string& suite, const std::vector<JUnitCase>& cases,
                      std::optional<double> seconds = {});

}  // namespace mnn::flows
