// The report of `mnn quant` as JUnit XML.
#pragma once

#include <string>

#include "apps/flows/quant_verdict.h"
#include "libquant/quantize.h"

namespace mnn::flows {

// One case per threshold and output, one for the size, one per layer. A layer fails when its
// figures are NaN or nothing was compared; when an accuracy threshold was missed, also when its
// contribution alone misses it.
// The suite is of the model's name; `seconds`: what the search and the measuring took.
std::string quant_junit(const std::string& model, const QuantReport& report,
                        const Thresholds& thresholds, const std::vector<Judgement>& judgements,
                        double seconds);

}  // namespace mnn::flows
