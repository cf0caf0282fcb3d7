// Builds .pt2 archives in memory: a graph as JSON, weights as raw records.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace mnn::testing {

using Records = std::vector<std::pair<std::string, std::string>>;

inline void put(std::string& out, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

inline uint32_t crc32_of(const std::string& bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int k = 0; k < 8; ++k) crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1)));
  }
  return ~crc;
}

// A zip archive of stored entries.
inline std::string zip_of(const Records& records) {
  std::string out, directory;
  for (const auto& [name, data] : records) {
    const size_t at = out.size();
    const uint32_t crc = crc32_of(data);
    const auto common = [&](std::string& to) {
      put(to, 20, 2), put(to, 0, 2), put(to, 0, 2), put(to, 0, 4), put(to, crc, 4);
      put(to, data.size(), 4), put(to, data.size(), 4), put(to, name.size(), 2), put(to, 0, 2);
    };
    put(out, 0x04034b50, 4), common(out);
    out += name + data;
    put(directory, 0x02014b50, 4), put(directory, 20, 2), common(directory);
    put(directory, 0, 2), put(directory, 0, 2), put(directory, 0, 2), put(directory, 0, 4);
    put(directory, at, 4);
    directory += name;
  }
  const size_t start = out.size();
  out += directory;
  put(out, 0x06054b50, 4), put(out, 0, 4), put(out, records.size(), 2), put(out, records.size(), 2);
  put(out, directory.size(), 4), put(out, start, 4), put(out, 0, 2);
  return out;
}

inline constexpr int kJsonF32 = 7, kJsonI64 = 5, kJsonBool = 12;

// A graph of an exported program, node by node.
class ProgramBuilder {
 public:
  using Json = nlohmann::json;
  using Args = std::vector<std::pair<std::string, Json>>;

  static Json tensor(const std::string& name) { return {{"as_tensor", {{"name", name}}}}; }
  static Json tensors(const std::vector<std::string>& names) {
    Json list = Json::array();
    for (const std::string& n : names) list.push_back({{"name", n}});
    return {{"as_tensors", list}};
  }
  static Json graph_arg(const ProgramBuilder& body) {
    return {{"as_graph", {{"name", "body"}, {"graph", body.graph}}}};
  }
  static Json meta(int dtype, const std::vector<int64_t>& dims) {
    Json sizes = Json::array(), strides = Json::array();
    int64_t stride = 1;
    for (size_t i = dims.size(); i-- > 0;) {
      sizes.insert(sizes.begin(), Json::object({{"as_int", dims[i]}}));
      strides.insert(strides.begin(), Json::object({{"as_int", stride}}));
      stride *= dims[i];
    }
    return {{"dtype", dtype},
            {"sizes", sizes},
            {"strides", strides},
            {"storage_offset", {{"as_int", 0}}}};
  }

  ProgramBuilder() {
    graph = {{"inputs", Json::array()},
             {"outputs", Json::array()},
             {"nodes", Json::array()},
             {"tensor_values", Json::object()},
             {"sym_int_values", Json::object()}};
    signature = {{"input_specs", Json::array()}, {"output_specs", Json::array()}};
  }

  void input(const std::string& name, const std::vector<int64_t>& dims, int dtype = kJsonF32) {
    graph["inputs"].push_back(tensor(name));
    graph["tensor_values"][name] = meta(dtype, dims);
    signature["input_specs"].push_back({{"user_input", {{"arg", tensor(name)}}}});
  }
  void stored(const std::string& kind, const std::string& name, const std::vector<int64_t>& dims,
              const std::vector<float>& values) {
    graph["inputs"].push_back(tensor(name));
    graph["tensor_values"][name] = meta(kJsonF32, dims);
    const std::string key = kind == "tensor_constant" ? "tensor_constant_name" : kind + "_name";
    signature["input_specs"].push_back({{kind, {{"arg", {{"name", name}}}, {key, name}}}});
    const std::string record = "weight_" + std::to_string(weights.size());
    config[name] = {{"path_name", record},
                    {"is_param", kind == "parameter"},
                    {"use_pickle", false},
                    {"tensor_meta", meta(kJsonF32, dims)}};
    weights.emplace_back(
        "m/data/weights/" + record,
        std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
  }
  void node(const std::string& target, const Args& args, const Json& outputs,
            const std::string& module = "") {
    Json inputs = Json::array();
    for (const auto& [name, arg] : args)
      inputs.push_back({{"name", name}, {"arg", arg}, {"kind", 1}});
    Json metadata = {{"stack_trace", "File \"net.py\", line 7, in forward\n    y = f(x)"}};
    if (!module.empty())
      metadata["nn_module_stack"] = "L__self__,,net.Net;L__self__m," + module + ",net.M";
    graph["nodes"].push_back(
        {{"target", target}, {"inputs", inputs}, {"outputs", outputs}, {"metadata", metadata}});
  }
  // One tensor from one, as most operators do.
  void aten(const std::string& op, const Args& args, const std::string& output) {
    node("torch.ops.aten." + op, args, Json::array({tensor(output)}));
  }
  void output(const std::string& name) {
    graph["outputs"].push_back(tensor(name));
    signature["output_specs"].push_back({{"user_output", {{"arg", tensor(name)}}}});
  }

  Json json() const {
    return {{"graph_module",
             {{"graph", graph}, {"signature", signature}, {"module_call_graph", Json::array()}}},
            {"opset_version", {{"aten", 10}}},
            {"range_constraints", Json::object()},
            {"schema_version", {{"major", 8}, {"minor", 17}}},
            {"torch_version", "2.11.0"}};
  }
  std::string archive() const { return archive_of(json().dump()); }
  std::string archive_of(const std::string& text) const {
    Records records = {{"m/archive_format", "pt2"}, {"m/models/model.json", text}};
    records.insert(records.end(), weights.begin(), weights.end());
    const Json all = {{"config", config}};
    records.emplace_back("m/data/weights/model_weights_config.json", all.dump());
    return zip_of(records);
  }

  Json graph, signature, config = Json::object();
  Records weights;
};

}  // namespace mnn::testing
