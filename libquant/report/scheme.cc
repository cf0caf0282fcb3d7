#include "libquant/report/scheme.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

namespace mnn {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSchemeFormat = "mnn-quant-scheme";
constexpr int kSchemeVersion = 1;

// Names that tell all apart: "#2", "#3" … behind those that were there before.
class UniqueNames {
 public:
  std::string add(const std::string& name) {
    std::string unique = name;
    for (int i = 2; !taken_.insert(unique).second; ++i) unique = name + "#" + std::to_string(i);
    return unique;
  }

 private:
  std::set<std::string> taken_;
};

std::vector<std::string> layer_names(const Graph& graph) {
  UniqueNames unique;
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) names.push_back(unique.add(display_name(graph, node)));
  return names;
}

// A value's own name; without one, the layer that makes it and the number of the output.
std::vector<std::string> value_names(const Graph& graph) {
  std::vector<std::string> names(graph.values.size());
  for (size_t v = 0; v < names.size(); ++v) names[v] = graph.values[v].name;
  for (const Node& node : graph.nodes) {
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      if (node.outputs[o] == kNoValue) continue;
      std::string& name = names[static_cast<size_t>(node.outputs[o])];
      if (name.empty()) name = display_name(graph, node) + ":" + std::to_string(o);
    }
  }
  UniqueNames unique;
  for (std::string& name : names) name = unique.add(name);
  return names;
}

const char* weight_scale_name(WeightScale w) { return w == WeightScale::kMse ? "mse" : "absmax"; }

Json floats(const Tensor& t) {
  Json list = Json::array();
  for (const float x : t.span<float>()) list.push_back(x);
  return list;
}

bool is_plain(const Json& list) {
  return std::none_of(list.begin(), list.end(), [](const Json& e) { return e.is_structured(); });
}

// Lists of numbers on one line, everything else on lines of its own.
void print(const Json& value, const std::string& indent, std::string& out) {
  if (!value.is_structured() || value.empty() || (value.is_array() && is_plain(value))) {
    out += value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return;
  }
  const bool object = value.is_object();
  out += object ? "{\n" : "[\n";
  const std::string inner = indent + "  ";
  size_t left = value.size();
  for (auto it = value.begin(); it != value.end(); ++it) {
    out += inner;
    if (object) out += Json(it.key()).dump(-1, ' ', false, Json::error_handler_t::replace) + ": ";
    print(*it, inner, out);
    out += --left > 0 ? ",\n" : "\n";
  }
  out += indent + (object ? "}" : "]");
}

// Walks the file; every error says where.
class Reader {
 public:
  Reader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  Status fail(const std::string& key, const std::string& text) const {
    return invalid((where_.empty() ? "" : where_ + ": ") +
                   (key.empty() ? "" : "key '" + key + "': ") + text);
  }
  Status check_keys(std::initializer_list<const char*> known) const {
    if (!object_.is_object()) return fail("", "expected an object");
    for (const auto& [key, value] : object_.items()) {
      if (std::none_of(known.begin(), known.end(), [&](const char* k) { return key == k; }))
        return fail(key, "is not a key of this object");
    }
    return {};
  }
  bool has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }
  Result<std::string> text(const char* key) const {
    if (!has(key) || !object_[key].is_string()) return fail(key, "expected a text");
    return object_[key].get<std::string>();
  }
  Result<const Json*> list(const char* key) const {
    if (!has(key) || !object_[key].is_array()) return fail(key, "expected a list");
    return &object_[key];
  }
  Result<int64_t> integer(const char* key) const {
    if (!has(key) || !object_[key].is_number_integer()) return fail(key, "expected an integer");
    return object_[key].get<int64_t>();
  }
  Result<bool> boolean(const char* key) const {
    if (!has(key) || !object_[key].is_boolean()) return fail(key, "expected true or false");
    return object_[key].get<bool>();
  }
  Result<double> number(const char* key) const {
    if (!has(key) || !object_[key].is_number()) return fail(key, "expected a number");
    return object_[key].get<double>();
  }
  // Finite numbers; `positive`: above 0. As floats.
  Result<std::vector<float>> numbers(const char* key, bool positive) const {
    MNN_ASSIGN_OR_RETURN(const Json* all, list(key));
    std::vector<float> found;
    for (const Json& e : *all) {
      const float x = e.is_number() ? e.get<float>() : NAN;
      if (!std::isfinite(x) || (positive && x <= 0)) {
        return fail(key, std::string("expected ") + (positive ? "positive" : "finite") +
                             " numbers, found " + e.dump());
      }
      found.push_back(x);
    }
    return found;
  }

 private:
  const Json& object_;
  std::string where_;
};

Result<Json> parse(const std::string& text) {
  Json root = Json::parse(text, nullptr, false);
  if (root.is_discarded()) return invalid("not JSON");
  const Reader top(root, "");
  MNN_RETURN_IF_ERROR(top.check_keys(
      {"format", "version", "scheme", "recipe", "calibration", "smoothing", "tensors", "layers"}));
  MNN_ASSIGN_OR_RETURN(const std::string format, top.text("format"));
  if (format != kSchemeFormat)
    return top.fail("format",
                    "expected '" + std::string(kSchemeFormat) + "', found '" + format + "'");
  MNN_ASSIGN_OR_RETURN(const int64_t version, top.integer("version"));
  if (version != kSchemeVersion) {
    return top.fail("version", "expected " + std::to_string(kSchemeVersion) + ", found " +
                                   std::to_string(version));
  }
  MNN_ASSIGN_OR_RETURN(const std::string scheme, top.text("scheme"));
  if (scheme != "int8") return top.fail("scheme", "expected 'int8', found '" + scheme + "'");
  return root;
}

struct LayerEntry {
  WeightScale weights = WeightScale::kAbsMax;
  bool overflow_fix = false;
  std::vector<float> bias;
  bool corrected = false;
};

class SchemeReader {
 public:
  SchemeReader(const Graph& graph, const Json& root)
      : graph_(graph),
        root_(root),
        layer_names_(layer_names(graph)),
        value_names_(value_names(graph)) {
    for (size_t n = 0; n < layer_names_.size(); ++n)
      node_of_[layer_names_[n]] = static_cast<NodeId>(n);
    for (size_t v = 0; v < value_names_.size(); ++v)
      value_of_[value_names_[v]] = static_cast<ValueId>(v);
  }

  Result<Solution> run() {
    const Reader top(root_, "");
    MNN_ASSIGN_OR_RETURN(solution_.recipe, top.text("recipe"));
    solution_.graph = graph_;
    const QuantPlan full = plan_quantization(graph_);
    MNN_RETURN_IF_ERROR(read_layers(full));
    MNN_RETURN_IF_ERROR(read_smoothing(full));
    MNN_RETURN_IF_ERROR(read_float_tensors());
    solution_.plan = plan_quantization(solution_.graph, keep_float_, float_values_);
    MNN_RETURN_IF_ERROR(read_tensors());
    MNN_RETURN_IF_ERROR(make_weights());
    return std::move(solution_);
  }

 private:
  Status read_layers(const QuantPlan& full) {
    std::set<NodeId> known, weighted;
    for (const QuantLayer& layer : full.layers) {
      known.insert(layer.node);
      if (layer.has_weight()) weighted.insert(layer.node);
    }
    MNN_ASSIGN_OR_RETURN(const Json* list, Reader(root_, "").list("layers"));
    for (size_t i = 0; i < list->size(); ++i) {
      const Json& object = (*list)[i];
      const std::string at = "layers[" + std::to_string(i) + "]";
      MNN_RETURN_IF_ERROR(Reader(object, at)
                              .check_keys({"name", "op", "precision", "weight_scale",
                                           "overflow_fix", "bias", "input", "second", "output"}));
      MNN_ASSIGN_OR_RETURN(const std::string name, Reader(object, at).text("name"));
      const Reader r(object, at + " (" + name + ")");
      const auto it = node_of_.find(name);
      if (it == node_of_.end() || known.count(it->second) == 0)
        return r.fail("name", "the model has no layer of this name to quantize");
      if (!known.count(it->second) || layers_.count(it->second) || keep_float_.count(it->second))
        return r.fail("name", "the layer is listed twice");
      MNN_ASSIGN_OR_RETURN(const std::string precision, r.text("precision"));
      if (precision == "float") {
        keep_float_.insert(it->second);
        continue;
      }
      if (precision != "int8")
        return r.fail("precision", "expected 'int8' or 'float', found '" + precision + "'");
      LayerEntry entry;
      if (!weighted.count(it->second)) {
        for (const char* key : {"weight_scale", "overflow_fix", "bias"}) {
          if (r.has(key)) return r.fail(key, "this layer has no weights");
        }
        layers_[it->second] = entry;
        continue;
      }
      MNN_ASSIGN_OR_RETURN(const std::string weights, r.text("weight_scale"));
      if (weights != "absmax" && weights != "mse")
        return r.fail("weight_scale", "expected 'absmax' or 'mse', found '" + weights + "'");
      if (weights == "mse") entry.weights = WeightScale::kMse;
      if (r.has("overflow_fix")) {
        MNN_ASSIGN_OR_RETURN(entry.overflow_fix, r.boolean("overflow_fix"));
      }
      if (r.has("bias")) {
        MNN_ASSIGN_OR_RETURN(entry.bias, r.numbers("bias", false));
        entry.corrected = true;
      }
      layers_[it->second] = std::move(entry);
    }
    for (const NodeId n : known) {
      if (layers_.count(n) == 0 && keep_float_.count(n) == 0)
        return invalid("layers: layer '" + layer_names_[static_cast<size_t>(n)] + "' is missing");
    }
    return {};
  }

  // Over all layers, those kept in float too: to them it changes nothing.
  Status read_smoothing(const QuantPlan& full) {
    if (!Reader(root_, "").has("smoothing")) return {};
    MNN_ASSIGN_OR_RETURN(const Json* list, Reader(root_, "").list("smoothing"));
    const std::vector<ChannelValue> channels = channel_values(graph_, full);
    for (size_t i = 0; i < list->size(); ++i) {
      const Json& object = (*list)[i];
      const std::string at = "smoothing[" + std::to_string(i) + "]";
      MNN_RETURN_IF_ERROR(Reader(object, at).check_keys({"tensor", "alpha", "divisors"}));
      MNN_ASSIGN_OR_RETURN(const std::string name, Reader(object, at).text("tensor"));
      const Reader r(object, at + " (" + name + ")");
      Smoothing s;
      MNN_ASSIGN_OR_RETURN(s.alpha, r.number("alpha"));
      MNN_ASSIGN_OR_RETURN(s.divisors, r.numbers("divisors", true));
      const auto it = value_of_.find(name);
      const auto value = std::find_if(channels.begin(), channels.end(), [&](const ChannelValue& c) {
        return it != value_of_.end() && c.value == it->second;
      });
      if (value == channels.end() || !can_smooth(graph_, *value))
        return r.fail("tensor", "the model has no tensor of this name that can be smoothed");
      if (static_cast<int64_t>(s.divisors.size()) != value->channels) {
        return r.fail("divisors", "expected " + std::to_string(value->channels) +
                                      " numbers, found " + std::to_string(s.divisors.size()));
      }
      if (!solution_.smoothings.empty() && solution_.smoothings.back().value >= it->second)
        return r.fail("tensor", "entries must stand in the order in which they were exported");
      s.value = it->second;
      apply_smoothing(solution_.graph, full, *value, s);
      solution_.smoothings.push_back(std::move(s));
    }
    return {};
  }

  // Entries that say that a tensor between layers stays float. Between layers kept in float it does
  // so anyway.
  Status read_float_tensors() {
    const auto has = [](const QuantPlan& plan, ValueId v) {
      return std::binary_search(plan.between.begin(), plan.between.end(), v);
    };
    const QuantPlan full = plan_quantization(solution_.graph);
    const QuantPlan own = plan_quantization(solution_.graph, keep_float_);
    MNN_ASSIGN_OR_RETURN(const Json* list, Reader(root_, "").list("tensors"));
    for (size_t i = 0; i < list->size(); ++i) {
      const Json& object = (*list)[i];
      if (!object.is_object() || !object.contains("precision")) continue;
      const std::string at = "tensors[" + std::to_string(i) + "]";
      MNN_RETURN_IF_ERROR(Reader(object, at).check_keys({"name", "precision"}));
      MNN_ASSIGN_OR_RETURN(const std::string name, Reader(object, at).text("name"));
      const Reader r(object, at + " (" + name + ")");
      MNN_ASSIGN_OR_RETURN(const std::string precision, r.text("precision"));
      if (precision != "float")
        return r.fail("precision", "expected 'float', found '" + precision + "'");
      const auto it = value_of_.find(name);
      if (it == value_of_.end() || !has(full, it->second))
        return r.fail("name", "the model has no tensor of this name that may stay float");
      if (has(own, it->second)) float_values_.insert(it->second);
    }
    return {};
  }

  Status read_tensors() {
    const std::vector<ChannelValue> channels = channel_values(solution_.graph, solution_.plan);
    MNN_ASSIGN_OR_RETURN(const Json* list, Reader(root_, "").list("tensors"));
    std::vector<std::optional<QuantParams>> params(static_cast<size_t>(solution_.plan.groups));
    std::set<ValueId> listed;
    for (size_t i = 0; i < list->size(); ++i) {
      const Json& object = (*list)[i];
      const std::string at = "tensors[" + std::to_string(i) + "]";
      if (object.is_object() && object.contains("precision")) continue;
      MNN_RETURN_IF_ERROR(Reader(object, at).check_keys({"name", "axis", "scale", "zero_point"}));
      MNN_ASSIGN_OR_RETURN(const std::string name, Reader(object, at).text("name"));
      const Reader r(object, at + " (" + name + ")");
      const auto it = value_of_.find(name);
      if (it == value_of_.end()) return r.fail("name", "the model has no tensor of this name");
      if (!listed.insert(it->second).second) return r.fail("name", "the tensor is listed twice");
      // A tensor that only layers kept in float read needs no grid.
      if (!is_planned(solution_.plan, it->second)) continue;
      MNN_ASSIGN_OR_RETURN(const QuantParams p, read_params(r, it->second, channels));
      auto& group = params[group_of(solution_.plan, it->second)];
      if (group && *group != p) {
        return r.fail("scale",
                      "tensors that share their elements need the same scale and zero point"
                      " (see the entries around it)");
      }
      group = p;
    }
    for (const ValueId v : solution_.plan.values) {
      const auto& group = params[group_of(solution_.plan, v)];
      if (!group)
        return invalid("tensors: tensor '" + value_names_[static_cast<size_t>(v)] + "' is missing");
    }
    for (auto& p : params) solution_.decisions.params.push_back(*std::move(p));
    return {};
  }

  static Result<QuantParams> read_params(const Reader& r, ValueId v,
                                         const std::vector<ChannelValue>& channels) {
    MNN_ASSIGN_OR_RETURN(const std::vector<float> scales, r.numbers("scale", true));
    std::vector<int32_t> zero_points;
    MNN_ASSIGN_OR_RETURN(const std::vector<float> zeros, r.numbers("zero_point", false));
    for (const float z : zeros) {
      if (z < 0 || z > 255 || z != std::floor(z))
        return r.fail("zero_point", "expected integers from 0 to 255");
      zero_points.push_back(static_cast<int32_t>(z));
    }
    if (r.has("axis")) {
      MNN_ASSIGN_OR_RETURN(const int64_t axis, r.integer("axis"));
      const auto value = std::find_if(channels.begin(), channels.end(), [&](const ChannelValue& c) {
        return c.value == v && c.depthwise;
      });
      if (axis != 1 || value == channels.end()) {
        return r.fail("axis",
                      "only tensors that nothing but int8 depthwise convolutions read may "
                      "have a scale per channel, and their axis is 1");
      }
      if (static_cast<int64_t>(scales.size()) != value->channels)
        return r.fail("scale", "expected " + std::to_string(value->channels) + " numbers, found " +
                                   std::to_string(scales.size()));
    } else if (scales.size() != 1) {
      return r.fail("scale", "expected one number, found " + std::to_string(scales.size()) +
                                 " (a scale per channel needs the key 'axis')");
    }
    if (zero_points.size() != scales.size())
      return r.fail("zero_point", "expected " + std::to_string(scales.size()) + " numbers, found " +
                                      std::to_string(zero_points.size()));
    return r.has("axis") ? axis_quant(DType::kU8, 1, scales, zero_points)
                         : tensor_quant(DType::kU8, scales[0], zero_points[0]);
  }

  Status make_weights() {
    for (const QuantLayer& layer : solution_.plan.layers) {
      const std::string& name = layer_names_[static_cast<size_t>(layer.node)];
      const LayerEntry& entry = layers_.at(layer.node);
      auto w = quantize_layer(solution_.graph, layer, entry.weights, entry.overflow_fix);
      if (!w.ok()) return w.status().context("layer " + name);
      solution_.decisions.weights.push_back(std::move(w).value());
      Tensor bias;
      if (entry.corrected) {
        MNN_ASSIGN_OR_RETURN(const Tensor own, bias_of(solution_.graph, layer));
        const Reader r(root_, "layers: layer '" + name + "'");
        if (!own.defined()) return r.fail("bias", "this layer has no bias that can be set");
        if (own.elements() != static_cast<int64_t>(entry.bias.size()))
          return r.fail("bias", "expected " + std::to_string(own.elements()) + " numbers, found " +
                                    std::to_string(entry.bias.size()));
        MNN_ASSIGN_OR_RETURN(bias, own.clone());
        std::copy(entry.bias.begin(), entry.bias.end(), bias.data<float>());
      }
      solution_.decisions.bias.push_back(std::move(bias));
    }
    return {};
  }

  const Graph& graph_;
  const Json& root_;
  const std::vector<std::string> layer_names_, value_names_;
  std::map<std::string, NodeId> node_of_;
  std::map<std::string, ValueId> value_of_;
  std::map<NodeId, LayerEntry> layers_;
  std::set<NodeId> keep_float_;
  std::set<ValueId> float_values_;
  Solution solution_;
};

}  // namespace

std::string scheme_json(const Graph& graph, const Solution& s, const std::string& scheme,
                        const std::string& calibration) {
  const std::vector<std::string> layers = layer_names(graph), values = value_names(graph);
  auto value_name = [&](ValueId v) { return values[static_cast<size_t>(v)]; };
  Json out;
  out["format"] = kSchemeFormat;
  out["version"] = kSchemeVersion;
  out["scheme"] = scheme;
  out["recipe"] = s.recipe;
  out["calibration"] = Json::parse(calibration);
  out["smoothing"] = Json::array();
  for (const Smoothing& smoothing : s.smoothings) {
    out["smoothing"].push_back({{"tensor", value_name(smoothing.value)},
                                {"alpha", smoothing.alpha},
                                {"divisors", smoothing.divisors}});
  }
  out["tensors"] = Json::array();
  for (const ValueId v : s.plan.values) {
    const QuantParams& p = params_of(s.plan, s.decisions, v);
    Json row = {{"name", value_name(v)}};
    if (p.axis >= 0) row["axis"] = p.axis;
    row["scale"] = row["zero_point"] = Json::array();
    for (int64_t i = 0; i < p.entries(); ++i) {
      row["scale"].push_back(p.scale_at(i));
      row["zero_point"].push_back(static_cast<int32_t>(p.zero_point_at(i)));
    }
    out["tensors"].push_back(std::move(row));
  }
  for (const ValueId v : s.plan.float_values)
    out["tensors"].push_back({{"name", value_name(v)}, {"precision", "float"}});
  out["layers"] = Json::array();
  size_t next = 0;
  for (const QuantLayer& layer : plan_quantization(graph).layers) {
    Json row = {{"name", layers[static_cast<size_t>(layer.node)]},
                {"op", graph.node(layer.node).op},
                {"input", value_name(layer.input)}};
    if (!layer.has_weight()) row["second"] = value_name(layer.second);
    row["output"] = value_name(layer.output);
    const bool int8 = next < s.plan.layers.size() && s.plan.layers[next].node == layer.node;
    row["precision"] = int8 ? "int8" : "float";
    next += int8 ? 1 : 0;
    if (int8 && layer.has_weight()) {
      row["weight_scale"] = weight_scale_name(s.decisions.weights[next - 1].method);
      row["overflow_fix"] = s.decisions.weights[next - 1].overflow_fix;
      const Tensor& bias = s.decisions.bias[next - 1];
      row["bias"] = bias.defined() ? floats(bias) : Json();
    }
    out["layers"].push_back(std::move(row));
  }
  std::string text;
  print(out, "", text);
  return text + "\n";
}

Result<Solution> read_scheme(const Graph& graph, const std::string& text) {
  MNN_ASSIGN_OR_RETURN(const Json root, parse(text));
  return SchemeReader(graph, root).run();
}

Result<std::string> scheme_calibration(const std::string& text) {
  MNN_ASSIGN_OR_RETURN(const Json root, parse(text));
  return root.contains("calibration") ? root["calibration"].dump() : std::string("{}");
}

}  // namespace mnn
