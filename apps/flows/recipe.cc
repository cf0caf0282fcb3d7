#include "apps/flows/recipe.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace mnn::flows {
namespace {

using nlohmann::json;

// Every field once, for those who write and those who read.
template <typename F, typename Visit>
void each_field(F& f, Visit&& visit) {
  visit("scheme", f.scheme);
  visit("method", f.method);
  visit("weight_scale", f.weight_scale);
  visit("overflow_fix", f.overflow_fix);
  visit("level", f.level);
  visit("group_size", f.group_size);
  visit("symmetric", f.symmetric);
  visit("low_rank", f.low_rank);
  visit("int8_activations", f.int8_activations);
  visit("layers", f.layers);
  visit("keep_float", f.keep_float);
  visit("output_slices", f.output_slices);
  visit("metrics", f.metrics);
  visit("promote", f.promote);
  visit("requantize", f.requantize);
  visit("shapes", f.shapes);
  visit("import", f.import_keys);
  visit("min_cosine", f.thresholds.min_cosine);
  visit("min_snr", f.thresholds.min_snr);
  visit("min_sample_snr", f.thresholds.min_sample_snr);
  visit("min_eval", f.thresholds.min_eval);
  visit("min_metric", f.thresholds.min_metric);
  visit("max_size", f.thresholds.max_size);
  visit("max_latency", f.thresholds.max_latency);
  visit("max_size_share", f.max_size_share);
  visit("max_int8_ratio", f.max_int8_ratio);
  visit("image_height", f.images.height);
  visit("image_width", f.images.width);
  visit("image_mean", f.images.mean);
  visit("image_scale", f.images.scale);
  visit("image_layout", f.images.layout);
  visit("image_color", f.images.color);
  visit("image_fill", f.images.fill);
}

template <typename T>
json value_of(const T& v) {
  return v;
}
template <typename T>
json value_of(const std::optional<T>& v) {
  return v ? json(*v) : json();
}

template <typename T>
void take(const json& j, T& v) {
  v = j.get<T>();
}
template <typename T>
void take(const json& j, std::optional<T>& v) {
  v = j.get<T>();
}

json all_of(const QuantFlow& flow) {
  json out;
  each_field(flow, [&](const char* key, const auto& field) { out[key] = value_of(field); });
  out["image_fit"] = image_fit_name(flow.images.fit);
  out["image_filter"] = image_filter_name(flow.images.filter);
  return out;
}

}  // namespace

nlohmann::json recipe_json(const QuantFlow& flow) {
  QuantFlow own = flow;
  const bool steered = own.promote || own.scheme == "mixed";
  if (!steered) {
    own.thresholds = {};
    own.max_size_share.reset();
  }
  const json defaults = all_of(QuantFlow{}), mine = all_of(own);
  json out = json::object();
  for (const auto& [key, value] : mine.items()) {
    if (value != defaults[key]) out[key] = value;
  }
  if (steered && !own.eval.command.empty()) out["eval"] = true;
  return out;
}

Status take_recipe(const nlohmann::json& recipe, QuantFlow& flow) {
  if (!recipe.is_object()) return invalid("metadata: expected an object \"recipe\"");
  std::vector<std::string> known = {"eval", "holdout_sha256", "image_fit", "image_filter"};
  std::string wrong;
  each_field(flow, [&](const char* key, auto& field) {
    known.emplace_back(key);
    const auto it = recipe.find(key);
    if (it == recipe.end()) return;
    try {
      take(*it, field);
    } catch (const json::exception&) {
      if (wrong.empty()) wrong = key;
    }
  });
  const auto text = [&](const char* key) {
    const auto it = recipe.find(key);
    if (it == recipe.end()) return std::string();
    if (!it->is_string() && wrong.empty()) wrong = key;
    return it->is_string() ? it->get<std::string>() : std::string();
  };
  if (const std::string fit = text("image_fit"); !fit.empty()) {
    MNN_ASSIGN_OR_RETURN(flow.images.fit, parse_image_fit(fit));
  }
  if (const std::string filter = text("image_filter"); !filter.empty()) {
    MNN_ASSIGN_OR_RETURN(flow.images.filter, parse_image_filter(filter));
  }
  if (!wrong.empty()) return invalid("metadata: key recipe." + wrong + " is of a wrong kind");
  for (const auto& [key, value] : recipe.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      return unsupported("metadata: key recipe." + key +
                         " is unknown: the file is of a newer version");
  }
  return {};
}

}  // namespace mnn::flows
