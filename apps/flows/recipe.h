// The recipe of a quantized file: everything that was asked for and changes its bytes, as its
// metadata keep it. No paths, no commands: data is known by its SHA-256.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "apps/flows/quant_flow.h"

namespace mnn::flows {

// What differs from the defaults. Thresholds are among it where they steer a search; of --eval it
// is said that there is one.
nlohmann::json recipe_json(const QuantFlow& flow);
// Takes a recipe over. kInvalidArgument names a key that is unknown or of a wrong kind.
Status take_recipe(const nlohmann::json& recipe, QuantFlow& flow);

}  // namespace mnn::flows
