#include "apps/flows/project.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "libruntime/core/io/file.h"
#include "libruntime/core/nearest.h"

namespace mnn::flows {
namespace {

using nlohmann::json;

// Reads keys of one object; the first wrong one is kept as the error.
class Reader {
 public:
  Reader(const json& object, std::string where, Status& status)
      : object_(object), where_(std::move(where)), status_(status) {
    if (!object_.is_object()) fail("", "an object");
  }
  void text(const char* key, std::string& out) {
    if (const json* v = find(key))
      v->is_string() ? void(out = v->get<std::string>()) : fail(key, "a string");
  }
  void choice(const char* key, std::string& out, const std::vector<std::string>& choices) {
    text(key, out);
    if (std::find(choices.begin(), choices.end(), out) != choices.end()) return;
    std::string all;
    for (const std::string& c : choices) all += (all.empty() ? "" : ", ") + c;
    fail(key, "one of " + all + ", found '" + out + "'");
  }
  // Dims per input name, -1 for an open one.
  void shapes(const char* key, ShapeMap& out) {
    const json* v = find(key);
    if (v == nullptr) return;
    if (!v->is_object()) return fail(key, "an object");
    for (const auto& [name, dims] : v->items()) {
      std::vector<int64_t> list;
      for (const json& d : dims.is_array() ? dims : json::array({nullptr})) {
        if (!d.is_number_integer() || d.get<int64_t>() < -1) {
          return fail(std::string(key) + "." + name, "a list of dims, -1 for an open one");
        }
        list.push_back(d.get<int64_t>());
      }
      out[name] = std::move(list);
    }
  }
  void number(const char* key, std::optional<double>& out) {
    if (const json* v = find(key))
      v->is_number() ? void(out = v->get<double>()) : fail(key, "a number");
  }
  void number(const char* key, std::optional<int64_t>& out) {
    if (const json* v = find(key)) {
      v->is_number_integer() ? void(out = v->get<int64_t>()) : fail(key, "an integer");
    }
  }
  void number(const char* key, int64_t& out) {
    std::optional<int64_t> v;
    number(key, v);
    if (v) out = *v;
  }
  template <typename T>
  void list(const char* key, std::vector<T>& out) {
    const json* v = find(key);
    if (v == nullptr) return;
    std::vector<T> items;
    for (const json& e : v->is_array() ? *v : json::array({nullptr})) {
      const bool good = std::is_same_v<T, std::string> ? e.is_string() : e.is_number();
      if (!good) return fail(key, "a list");
      items.push_back(e.get<T>());
    }
    out = std::move(items);
  }
  const json* find(const char* key) {
    known_.emplace_back(key);
    if (!object_.is_object()) return nullptr;
    const auto it = object_.find(key);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }
  void fail(const std::string& key, const std::string& expected) {
    if (status_.ok()) status_ = invalid("key " + where_ + key + ": expected " + expected);
  }
  // Refuses every key that nobody asked for: a misspelt one would say nothing.
  void finish() {
    if (!object_.is_object() || !status_.ok()) return;
    for (const auto& [key, value] : object_.items()) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      const std::string near = nearest(known_, key);
      std::string all;
      for (const std::string& k : known_) all += (all.empty() ? "" : ", ") + k;
      status_ = invalid("key " + where_ + key + " is unknown; " +
                        (near.empty() ? "there are " + all : "did you mean " + near + "?"));
      return;
    }
  }

 private:
  const json& object_;
  std::string where_;
  Status& status_;
  std::vector<std::string> known_;
};

}  // namespace

std::string Project::path(const std::string& relative) const {
  if (relative.empty() || folder.empty() || folder == "." || relative[0] == '/') return relative;
  return folder + "/" + relative;
}

std::string find_project(const std::string& folder) {
  std::error_code ec;
  // What was given where possible: messages then have short names.
  std::filesystem::path at = folder;
  if (std::filesystem::exists(at / kProjectFile, ec)) return folder;
  at = std::filesystem::weakly_canonical(at, ec);
  for (; !ec && at.has_relative_path(); at = at.parent_path()) {
    if (std::filesystem::exists(at / kProjectFile, ec)) return at.string();
  }
  return {};
}

Result<Project> read_project(const std::string& folder) {
  const std::string path = (folder.empty() || folder == "." ? "" : folder + "/") + kProjectFile;
  std::error_code ec;
  if (!std::filesystem::exists(path, ec)) {
    return usage_error("there is no " + path + " (see mnn init --help)");
  }
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  const auto* text = reinterpret_cast<const char*>(file.bytes.data());
  const json root = json::parse(text, text + file.bytes.size(), nullptr, false);
  Project p;
  p.folder = folder;
  Status status;
  if (root.is_discarded()) return invalid(path + ": not JSON");
  Reader top(root, "", status);
  if (const json* source = top.find("source")) {
    Reader r(*source, "source.", status);
    r.text("path", p.source);
    r.text("sha256", p.source_sha256);
    r.text("format", p.source_format);
    r.finish();
  }
  if (const json* inputs = top.find("inputs")) {
    for (const json& row : inputs->is_array() ? *inputs : json::array({nullptr})) {
      Project::Input input;
      Reader r(row, "inputs[].", status);
      r.text("name", input.name);
      r.text("type", input.type);
      r.finish();
      p.inputs.push_back(std::move(input));
    }
  }
  top.text("model", p.model);
  top.text("quantized", p.quantized);
  top.text("golden", p.golden);
  top.list("targets", p.targets);
  top.shapes("shapes", p.shapes);
  top.shapes("assumed_shapes", p.assumed_shapes);
  if (const json* calibration = top.find("calibration")) {
    Reader r(*calibration, "calibration.", status);
    r.text("path", p.calibration);
    if (const json* image = r.find("image")) {
      Reader i(*image, "calibration.image.", status);
      i.number("height", p.images.height);
      i.number("width", p.images.width);
      i.list("mean", p.images.mean);
      i.list("scale", p.images.scale);
      i.choice("layout", p.images.layout, {"nchw", "nhwc"});
      i.choice("color", p.images.color, {"rgb", "bgr", "gray"});
      std::string fit(image_fit_name(p.images.fit)), filter(image_filter_name(p.images.filter));
      i.choice("fit", fit, {"stretch", "letterbox", "center-crop", "pad"});
      i.choice("filter", filter, {"linear", "antialias"});
      std::optional<double> fill;
      i.number("fill", fill);
      std::vector<float> std;
      i.list("std", std);
      i.finish();
      if (status.ok()) {
        MNN_ASSIGN_OR_RETURN(p.images.fit, parse_image_fit(fit));
        MNN_ASSIGN_OR_RETURN(p.images.filter, parse_image_filter(filter));
        if (fill) p.images.fill = static_cast<float>(*fill);
        if (!std.empty()) {
          const Status s = set_mean_std(p.images.mean, std, p.images);
          if (!s.ok()) return invalid(path + ": calibration.image: " + s.message());
        }
      }
    }
    r.finish();
  }
  if (const json* quantization = top.find("quantization")) {
    Reader r(*quantization, "quantization.", status);
    r.text("scheme", p.scheme);
    r.text("method", p.method);
    r.list("layers", p.layers);
    r.list("keep_float", p.keep_float);
    r.finish();
  }
  if (const json* thresholds = top.find("thresholds")) {
    Reader r(*thresholds, "thresholds.", status);
    r.number("min_cosine", p.thresholds.min_cosine);
    r.number("min_snr", p.thresholds.min_snr);
    r.number("min_sample_snr", p.thresholds.min_sample_snr);
    r.number("min_eval", p.thresholds.min_eval);
    r.number("min_metric", p.thresholds.min_metric);
    r.number("max_size", p.thresholds.max_size);
    r.number("max_ms", p.thresholds.max_ms);
    r.number("max_memory", p.thresholds.max_memory);
    r.number("max_ratio", p.thresholds.max_ratio);
    r.list("fill", p.fill);
    r.finish();
  }
  top.finish();
  if (!status.ok()) return status.context(path);
  if (p.model.empty()) return invalid(path + ": key model: expected the converted file");
  return p;
}

Status write_project(const Project& p) {
  json root;
  root["source"] = {{"path", p.source}, {"sha256", p.source_sha256}, {"format", p.source_format}};
  root["inputs"] = json::array();
  for (const Project::Input& i : p.inputs) {
    root["inputs"].push_back({{"name", i.name}, {"type", i.type}});
  }
  root["model"] = p.model;
  root["quantized"] = p.quantized;
  root["golden"] = p.golden;
  root["targets"] = p.targets;
  root["shapes"] = json::object();
  for (const auto& [name, dims] : p.shapes) root["shapes"][name] = dims;
  root["assumed_shapes"] = json::object();
  for (const auto& [name, dims] : p.assumed_shapes) root["assumed_shapes"][name] = dims;
  root["calibration"] = {{"path", p.calibration},
                         {"image",
                          {{"height", p.images.height},
                           {"width", p.images.width},
                           {"mean", p.images.mean},
                           {"scale", p.images.scale},
                           {"layout", p.images.layout},
                           {"color", p.images.color},
                           {"fit", image_fit_name(p.images.fit)},
                           {"filter", image_filter_name(p.images.filter)},
                           {"fill", p.images.fill}}}};
  root["quantization"] = {{"scheme", p.scheme},
                          {"method", p.method},
                          {"layers", p.layers},
                          {"keep_float", p.keep_float}};
  // null: no threshold. All keys are there, so that nobody has to look them up.
  const auto number = [](const auto& value) { return value ? json(*value) : json(); };
  root["thresholds"] = {{"min_cosine", number(p.thresholds.min_cosine)},
                        {"min_snr", number(p.thresholds.min_snr)},
                        {"min_sample_snr", number(p.thresholds.min_sample_snr)},
                        {"min_eval", number(p.thresholds.min_eval)},
                        {"min_metric", number(p.thresholds.min_metric)},
                        {"max_size", number(p.thresholds.max_size)},
                        {"max_ms", number(p.thresholds.max_ms)},
                        {"max_memory", number(p.thresholds.max_memory)},
                        {"max_ratio", number(p.thresholds.max_ratio)},
                        {"fill", p.fill}};
  return write_file(p.path(kProjectFile),
                    root.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

Result<Thresholds> gate_profile(const std::string& name) {
  Thresholds gate;
  gate.sound_data = true;
  if (name == "normal" || name == "strict") {
    gate.min_cosine = name == "normal" ? 0.99 : 0.999;
    gate.min_snr = name == "normal" ? 15.0 : 30.0;
    return gate;
  }
  return usage_error("--gate " + name + ": expected normal or strict");
}

}  // namespace mnn::flows
