#include "apps/flows/export_flow.h"

#include <nlohmann/json.hpp>

#include "libruntime/core/io/file.h"

namespace mnn::flows {
namespace {

using nlohmann::json;

constexpr const char* kOnnx = "onnx";
constexpr int64_t kExternalBytes = 1024;  // smaller tensors stay in the model
constexpr std::string_view kMetadata = "metadata.";

Result<std::string> format_of(const ExportFlow& flow) {
  if (flow.to == kOnnx) return flow.to;
  if (!flow.to.empty()) return unsupported("--to " + flow.to + ": this version writes onnx");
  const std::string name = file_name(flow.output);
  const size_t dot = name.rfind('.');
  if (dot != std::string::npos && name.substr(dot + 1) == kOnnx) return std::string(kOnnx);
  return usage_error(flow.output + ": the name does not tell the format: give --to onnx");
}

// What the source said of itself (ONNX's metadata_props), by the front end or kept in a .mnn.
std::map<std::string, std::string> source_metadata(const LoadedModel& loaded) {
  std::map<std::string, std::string> out;
  const auto keep = [&](const std::string& key, const std::string& value) {
    if (key.starts_with(kMetadata)) out[key.substr(kMetadata.size())] = value;
  };
  for (const auto& [key, value] : loaded.facts) keep(key, value);
  const json meta = json::parse(loaded.model.metadata_json, nullptr, false);
  const auto source = meta.is_object() ? meta.find("source") : meta.end();
  if (!meta.is_object() || source == meta.end() || !source->is_object()) return out;
  for (const auto& [key, value] : source->items()) {
    if (value.is_string()) keep(key, value.get<std::string>());
  }
  return out;
}

}  // namespace

Result<ExportOutcome> run_export_flow(const ExportFlow& flow, const Events& events) {
  ExportOutcome out;
  MNN_ASSIGN_OR_RETURN(out.format, format_of(flow));
  LoadOptions load;
  load.shapes = flow.shapes;
  load.import_keys = flow.import_keys;
  load.fuse = flow.fuse;
  events.at("reading " + flow.model, 0, 3);
  MNN_ASSIGN_OR_RETURN(const LoadedModel loaded, load_any(flow.model, load));
  OnnxExportOptions options;
  options.opset = flow.opset;
  options.contrib = flow.contrib;
  options.dequantize = flow.dequantize;
  options.external_bytes = flow.external_data ? kExternalBytes : -1;
  options.external_name = file_name(flow.output) + ".data";
  options.metadata = source_metadata(loaded);
  events.at("translating", 1, 3);
  Result<OnnxExport> made = export_onnx(loaded.model.graph, options);
  if (!made.ok()) return made.status().context(flow.model);
  out.model = std::move(made).value();
  events.at("writing", 2, 3);
  MNN_ASSIGN_OR_RETURN(out.bytes, write_onnx(out.model, flow.output, options));
  out.path = flow.output;
  if (!out.model.external.empty()) out.external_path = flow.output + ".data";
  out.model.model.clear();
  for (const ExportedState& s : out.model.states) {
    out.notes.push_back("state " + s.input + " is an input, output " + s.output +
                        " its next content" +
                        (s.zeros ? "; it starts with zeros" : "; it does not start with zeros"));
  }
  if (out.model.dequantized_constants > 0) {
    out.notes.push_back(std::to_string(out.model.dequantized_constants) +
                        " quantized constants are written as floats");
  }
  return out;
}

}  // namespace mnn::flows
