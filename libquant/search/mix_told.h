// What a search for a mix found, put into the report.
#pragma once

#include "libquant/search/mix.h"

namespace mnn {

// What of a part only whoever made it knows.
struct ToldPart {
  bool layer = true;  // else a value between layers, which no count of layers has
  double snr_db = 0;  // at the outputs, with it alone in its first option
};

// "41 int8, 3 w8"
std::string counts_of(const std::vector<MixPart>& parts, const std::vector<ToldPart>& told,
                      const Mix& mix);

// Fills report.mix, and the latency where it was limited. `start`: the first mix, all in int8, to
// which times that were not measured are relative.
void tell_mix(const std::vector<MixPart>& parts, const std::vector<ToldPart>& told,
              const MixSearch& search, const MixResult& found, const MixTrial& start,
              QuantReport& report);

}  // namespace mnn
