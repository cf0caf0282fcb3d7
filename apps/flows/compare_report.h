// What `mnn compare` says: text, JSON, HTML, JUnit.
#pragma once

#include <string>

#include "apps/flows/compare.h"

namespace mnn::flows {

struct CompareTitle {
  std::string ref, test;  // the files
  std::string inputs;     // "inputs/" or "random inputs of seed 1"
};

// At most `max_layers` rows of layers, the first bad one always among them.
std::string compare_text(const Comparison& c, const CompareGate& gate, const CompareTitle& title,
                         size_t max_layers, size_t worst_samples, size_t width);
std::string compare_json(const Comparison& c, const CompareGate& gate, const CompareTitle& title);

// What a comparison with a bisection found, in a line.
std::string bisect_line(const Comparison& c);

// A usage error unless the name ends in .json, .html or .xml.
Status check_compare_report_name(const std::string& path);
Status write_compare_report(const std::string& path, const Comparison& c, const CompareGate& gate,
                            const CompareTitle& title, size_t worst_samples,
                            const std::function<std::string(size_t)>& picture);

}  // namespace mnn::flows
