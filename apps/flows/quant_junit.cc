#include "apps/flows/quant_junit.h"

#include <algorithm>

#include "apps/flows/junit.h"

namespace mnn::flows {
namespace {

JUnitCase make_case(const std::string& group, const std::string& name, const std::string& why,
                    const std::string& line) {
  return {group, name, why.empty() ? "" : why + " (" + line + ")", {}, line};
}

}  // namespace

std::string quant_junit(const std::string& model, const QuantReport& report,
                        const Thresholds& thresholds, const std::vector<Judgement>& judgements,
                        double seconds) {
  std::vector<JUnitCase> cases;
  bool accurate = true;
  for (const Judgement& j : judgements) {
    cases.push_back(make_case("thresholds", j.name, j.failure, j.figures));
    accurate &= j.failure.empty() || !j.subject.starts_with("output ");
  }
  for (const LayerError& layer : report.layers) {
    std::string why;
    const std::pair<const char*, const ErrorMetrics*> parts[] = {
        {"isolated", &layer.isolated},
        {"accumulated", &layer.accumulated},
        {"contribution", &layer.contribution}};
    for (const auto& [what, m] : parts) {
      if (why.empty() && m->failed) why = std::string(what) + ": " + missed_by(*m, {});
    }
    if (why.empty() && !accurate) {
      why = missed_by(layer.contribution, thresholds);
      if (!why.empty()) why = "contribution: " + why;
    }
    const std::string line = layer.op + "; contribution " + figures_of(layer.contribution) +
                             "; isolated " + figures_of(layer.isolated) + "; accumulated " +
                             figures_of(layer.accumulated);
    cases.push_back(make_case("layers", layer.name, why, line));
  }
  return junit_xml("mnn quant " + model, cases, seconds);
}

}  // namespace mnn::flows
